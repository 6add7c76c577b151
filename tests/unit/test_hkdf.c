#include "crypto/crypto.h"
#include "proto/hkdf.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

static void assert_span(const uint8_t *data, struct vly_span want)
{
    assert_memory_equal(data, want.data, want.len);
}

static struct vly_span answer(const struct test_vectors *v, unsigned number, const char *name)
{
    char full[32];

    snprintf(full, sizeof(full), "a%u_%s", number, name);
    return test_vectors_find(v, full);
}

static void test_hkdf_known_answers(void **state)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    struct test_vectors v = test_vectors_load("rfc5869.txt");
    uint8_t prk[32], out[VLY_HKDF_OUT_MAX];

    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        struct vly_span okm = answer(&v, i, "okm");

        vly_hkdf_extract(crypto, answer(&v, i, "salt"), answer(&v, i, "ikm"), prk);
        assert_span(prk, answer(&v, i, "prk"));
        vly_hkdf_expand(crypto, prk, answer(&v, i, "info"), out, okm.len);
        assert_span(out, okm);
    }
    test_vectors_free(&v);
}

/* A salt is HMAC's key: filled up with zeros to a block of 64 bytes, hashed when longer. The
 * answers are those of Python's hmac for the bytes 1, 2, 3 ... as key and "volley" as message. */
static void test_hkdf_salt_of_any_length(void **state)
{
    static const struct {
        size_t len;
        const char *prk;
    } cases[] = {
        {32, "9f63d4a1d4d3ad895b69c32163dca3881c43b1e98714224e88c021945e4422e7"},
        {33, "5fac3d031131c53975d38efa6939e4fc0df8bb6596fa52cfef3296c4081bd704"},
        {64, "2463215b1b226f393915261bfc94bf628aafac2bcd9d22cc22bc953e19349184"},
        {65, "8dbb3aa4394ca9cd856b2b1255df7ad853bb237d7fe643a1eb3059fe60949372"},
    };
    uint8_t salt[65], prk[32];

    (void)state;
    for (size_t i = 0; i < sizeof(salt); i++)
        salt[i] = (uint8_t)(i + 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        vly_hkdf_extract(vly_crypto_system(), (struct vly_span){salt, cases[i].len},
                         (struct vly_span){(const uint8_t *)"volley", 6}, prk);
        test_assert_hex(prk, sizeof(prk), cases[i].prk);
    }
}

/* Each shorter output is the beginning of the longest, and nothing is written behind it. */
static void test_hkdf_output_of_any_length(void **state)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    const uint8_t prk[32] = {7};
    struct vly_span info = {(const uint8_t *)"info", 4};
    uint8_t all[VLY_HKDF_OUT_MAX], out[VLY_HKDF_OUT_MAX + 1];

    (void)state;
    vly_hkdf_expand(crypto, prk, info, all, sizeof(all));
    for (size_t len = 0; len <= sizeof(all); len += len < 100 ? 1 : 671) {
        out[len] = 0xa5;
        vly_hkdf_expand(crypto, prk, info, out, len);
        assert_memory_equal(out, all, len);
        assert_int_equal(out[len], 0xa5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hkdf_known_answers),
        cmocka_unit_test(test_hkdf_salt_of_any_length),
        cmocka_unit_test(test_hkdf_output_of_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
