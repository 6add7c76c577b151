#include "crypto/crypto.h"
#include "proto/hkdf.h"
#include "support/cases.h"

#include <stdlib.h>
#include <string.h>

typedef void digest_fn(const struct vly_span *parts, size_t n, uint8_t *out);

/* Whole, and in three parts of which one is empty. */
static void check_digests(const char *file, digest_fn *digest, size_t out_bytes)
{
    struct test_cases cases = test_cases_load(file);
    uint8_t out[64];

    for (size_t i = 0; i < cases.n; i++) {
        const struct test_case *c = &cases.v[i];
        struct vly_span text = test_case_bytes(c, "text");
        size_t cut = text.len / 3;
        struct vly_span parts[] = {{text.data, cut}, {NULL, 0}, {text.data + cut, text.len - cut}};

        digest(&text, 1, out);
        assert_memory_equal(out, test_case_exactly(c, "digest", out_bytes), out_bytes);
        memset(out, 0, sizeof(out));
        digest(parts, ARRAY_LEN(parts), out);
        assert_memory_equal(out, test_case_exactly(c, "digest", out_bytes), out_bytes);
    }
    test_cases_free(&cases);
}

static void test_sha256_vectors(void **state)
{
    (void)state;
    check_digests("sha256.txt", vly_crypto_system()->sha256, 32);
}

static void test_sha512_vectors(void **state)
{
    (void)state;
    check_digests("sha512.txt", vly_crypto_system()->sha512, 64);
}

/* RFC 2104: a longer key is hashed first, a shorter one followed by zeros. */
static void hmac_key(uint8_t out[32], struct vly_span key)
{
    memset(out, 0, 32);
    if (key.len > 64)
        vly_crypto_system()->sha256(&key, 1, out);
    else if (key.len <= 32)
        memcpy(out, key.data, key.len);
    else
        fail_msg("a key of %zu bytes has no equivalent", key.len);
}

static void test_hmac_vectors(void **state)
{
    struct test_cases cases = test_cases_load("hmac-sha256.txt");
    uint8_t key[32];
    uint8_t mac[VLY_MAC_BYTES];

    (void)state;
    for (size_t i = 0; i < cases.n; i++) {
        const struct test_case *c = &cases.v[i];
        struct vly_span text = test_case_bytes(c, "text");
        struct vly_span want = test_case_bytes(c, "mac");

        hmac_key(key, test_case_bytes(c, "key"));
        vly_crypto_system()->hmac(key, &text, 1, mac);
        if ((memcmp(mac, want.data, want.len) == 0) != test_case_is(c, "valid"))
            fail_msg("%s", test_case_text(c, "case"));
    }
    test_cases_free(&cases);
}

static void test_hkdf_vectors(void **state)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    struct test_cases cases = test_cases_load("hkdf-sha256.txt");
    uint8_t prk[32];

    (void)state;
    for (size_t i = 0; i < cases.n; i++) {
        const struct test_case *c = &cases.v[i];
        struct vly_span want = test_case_bytes(c, "okm");
        uint8_t *out = malloc(want.len);

        assert_non_null(out);
        vly_hkdf_extract(crypto, test_case_bytes(c, "salt"), test_case_bytes(c, "ikm"), prk);
        vly_hkdf_expand(crypto, prk, test_case_bytes(c, "info"), out, want.len);
        assert_memory_equal(out, want.data, want.len);
        free(out);
    }
    test_cases_free(&cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_vectors),
        cmocka_unit_test(test_sha512_vectors),
        cmocka_unit_test(test_hmac_vectors),
        cmocka_unit_test(test_hkdf_vectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
