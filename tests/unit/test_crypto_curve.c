#include "crypto/crypto.h"
#include "support/cases.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

static void test_x25519_vectors(void **state)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    struct test_cases cases = test_cases_load("x25519.txt");
    size_t zero = 0;

    (void)state;
    for (size_t i = 0; i < cases.n; i++) {
        const struct test_case *c = &cases.v[i];
        uint8_t out[32];
        bool ok = crypto->x25519(out, test_case_exactly(c, "secret", 32),
                                 test_case_exactly(c, "point", 32));

        if (ok != test_case_is(c, "valid"))
            fail_msg("%s: %d", test_case_text(c, "case"), ok);
        if (ok)
            assert_memory_equal(out, test_case_exactly(c, "product", 32), 32);
        zero += !ok;
    }
    assert_true(cases.n >= 500 && zero >= 20); /* points of low order, canonical or not */
    assert_int_equal(ERR_peek_error(), 0);
    test_cases_free(&cases);
}

/* RFC 7748 5.2: k, u = X25519(k, u), k. */
static void test_x25519_a_thousand_times(void **state)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    uint8_t k[32] = {9};
    uint8_t u[32] = {9};
    uint8_t out[32];

    (void)state;
    for (int i = 1; i <= 1000; i++) {
        assert_true(crypto->x25519(out, k, u));
        memcpy(u, k, sizeof(u));
        memcpy(k, out, sizeof(k));
        if (i == 1)
            test_assert_hex(k, 32,
                            "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    test_assert_hex(k, 32, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

/* RFC 7748 6.1. */
static void test_x25519_public_keys(void **state)
{
    static const char *const secrets[] = {
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
    };
    static const char *const publics[] = {
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    };
    const struct vly_crypto *crypto = vly_crypto_system();
    uint8_t out[32];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct test_bytes secret = test_hex(secrets[i]);
        struct test_bytes other = test_hex(publics[1 - i]);

        crypto->x25519_public(out, secret.data);
        test_assert_hex(out, 32, publics[i]);
        assert_true(crypto->x25519(out, secret.data, other.data));
        test_assert_hex(out, 32,
                        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        free(secret.data);
        free(other.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_x25519_vectors),
        cmocka_unit_test(test_x25519_a_thousand_times),
        cmocka_unit_test(test_x25519_public_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
