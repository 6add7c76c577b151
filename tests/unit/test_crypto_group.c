#include "crypto/crypto.h"
#include "support/cases.h"

#include <stdlib.h>
#include <string.h>

static void check_multiple(const struct test_case *c)
{
    const uint8_t *want = test_case_exactly(c, "product", 32);
    static const uint8_t identity[32];
    uint8_t out[32];
    bool ok = vly_crypto_system()->group_multiply(out, test_case_exactly(c, "scalar", 32),
                                                  test_case_exactly(c, "point", 32));

    assert_int_equal(ok, memcmp(want, identity, 32) != 0); /* zero times the generator is refused */
    if (ok)
        assert_memory_equal(out, want, 32);
}

static void check_invalid(const struct test_case *c)
{
    static const uint8_t one[32] = {1};
    uint8_t out[32];

    if (vly_crypto_system()->group_multiply(out, one, test_case_exactly(c, "invalid", 32)))
        fail_msg("%s: decoded", test_case_text(c, "case"));
}

static void check_map(const struct test_case *c)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    struct vly_span text = test_case_bytes(c, "text");
    uint8_t hash[64];
    uint8_t out[32];

    crypto->sha512(&text, 1, hash);
    crypto->group_map(out, hash);
    assert_memory_equal(out, test_case_exactly(c, "element", 32), 32);
}

static void test_ristretto_vectors(void **state)
{
    struct test_cases cases = test_cases_load("ristretto255.txt");
    size_t n[3] = {0};

    (void)state;
    for (size_t i = 0; i < cases.n; i++) {
        const struct test_case *c = &cases.v[i];

        if (test_case_text(c, "scalar") != NULL) {
            check_multiple(c);
            n[0]++;
        } else if (test_case_text(c, "invalid") != NULL) {
            check_invalid(c);
            n[1]++;
        } else {
            check_map(c);
            n[2]++;
        }
    }
    assert_true(n[0] == 16 && n[1] == 29 && n[2] == 7); /* all of RFC 9496 A.1, A.2, A.3 */
    test_cases_free(&cases);
}

/* The order of the group, RFC 9496 4.4, and what is left of numbers near it. */
static void test_scalars_are_reduced(void **state)
{
    static const struct {
        const char *uniform, *scalar;
    } cases[] = {
        {"00*64", "00*32"},
        {"01 00*63", "01 00*31"},
        {"edd3f55c1a631258d69cf7a2def9de14 00*15 10 00*32", "00*32"},
        {"ecd3f55c1a631258d69cf7a2def9de14 00*15 10 00*32",
         "ecd3f55c1a631258d69cf7a2def9de14 00*15 10"},
        {"eed3f55c1a631258d69cf7a2def9de14 00*15 10 00*32", "01 00*31"},
        /* 2^256 */
        {"00*32 01 00*31", "1d95988d7431ecd670cf7d73f45befc6 fe ff*14 0f"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes uniform = test_hex(cases[i].uniform);
        uint8_t out[32];

        assert_int_equal(uniform.len, 64);
        vly_crypto_system()->group_scalar(out, uniform.data);
        test_assert_hex(out, 32, cases[i].scalar);
        free(uniform.data);
    }
}

/* a (b G) = b (a G), in place too. */
static void test_products_commute(void **state)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    struct vly_prng prng;
    uint8_t wide[64];
    uint8_t a[32];
    uint8_t b[32];
    uint8_t ab[32];
    uint8_t ba[32];

    (void)state;
    vly_prng_init(&prng, test_seed());
    for (int i = 0; i < 50; i++) {
        vly_prng_fill(&prng, wide, sizeof(wide));
        crypto->group_scalar(a, wide);
        vly_prng_fill(&prng, wide, sizeof(wide));
        crypto->group_scalar(b, wide);
        vly_prng_fill(&prng, wide, sizeof(wide));
        crypto->group_map(ab, wide);
        memcpy(ba, ab, sizeof(ba));
        assert_true(crypto->group_multiply(ab, a, ab));
        assert_true(crypto->group_multiply(ab, b, ab));
        assert_true(crypto->group_multiply(ba, b, ba));
        assert_true(crypto->group_multiply(ba, a, ba));
        assert_memory_equal(ab, ba, 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ristretto_vectors),
        cmocka_unit_test(test_scalars_are_reduced),
        cmocka_unit_test(test_products_commute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
