/*
 * prng: the published sequences, uniformity within statistical bounds, independence of streams.
 */
#include "sim/prng.h"
#include "support/support.h"

#include <string.h>

/* First outputs of xoshiro256** with the state 1, 2, 3, 4 (the reference C code's). */
static void test_prng_sequence(void **state)
{
    static const uint64_t want[] = {11520,
                                    0,
                                    1509978240,
                                    1215971899390074240,
                                    1216172134540287360,
                                    607988272756665600,
                                    UINT64_C(16172922978634559625),
                                    8476171486693032832};
    struct vly_prng p = {{1, 2, 3, 4}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(vly_prng_u64(&p), want[i]);
}

/* splitmix64 from the seed 0, as its author prints it. */
static void test_prng_seeding(void **state)
{
    static const uint64_t want[4] = {UINT64_C(0xe220a8397b1dcdaf), UINT64_C(0x6e789e6aa1b965f4),
                                     UINT64_C(0x06c45d188009454f), UINT64_C(0xf88bb8a8724c81ec)};
    struct vly_prng p;

    (void)state;
    vly_prng_init(&p, 0);
    assert_memory_equal(p.s, want, sizeof(want));
}

static void test_prng_fork_separates(void **state)
{
    (void)state;
    assert_int_equal(vly_prng_fork(7, 1), vly_prng_fork(7, 1));
    assert_int_not_equal(vly_prng_fork(7, 1), vly_prng_fork(7, 2));
    assert_int_not_equal(vly_prng_fork(7, 1), vly_prng_fork(8, 1));
    assert_int_not_equal(vly_prng_fork(1, 2), vly_prng_fork(2, 1));
}

/* 10 bins of 100,000 draws: each within 5 standard deviations (95) of 10,000. The seed is fixed, so
 * this cannot fail by chance. */
static void test_prng_below_is_uniform(void **state)
{
    unsigned bins[10] = {0};
    struct vly_prng p;

    (void)state;
    vly_prng_init(&p, 1);
    for (int i = 0; i < 100000; i++)
        bins[vly_prng_below(&p, 10)]++;
    for (size_t i = 0; i < ARRAY_LEN(bins); i++)
        assert_in_range(bins[i], 10000 - 475, 10000 + 475);
    assert_int_equal(vly_prng_below(&p, 0), 0);
    assert_int_equal(vly_prng_below(&p, 1), 0);
}

static void test_prng_chance(void **state)
{
    struct vly_prng p, before;
    unsigned hits = 0;

    (void)state;
    vly_prng_init(&p, 2);
    for (int i = 0; i < 100000; i++) {
        double u = vly_prng_unit(&p);

        assert_true(u >= 0 && u < 1);
        hits += vly_prng_chance(&p, 0.2);
        assert_true(vly_prng_chance(&p, 1));
    }
    assert_in_range(hits, 20000 - 630, 20000 + 630); /* 5 standard deviations of 126 */
    before = p;
    assert_false(vly_prng_chance(&p, 0));
    assert_memory_equal(&p, &before, sizeof(p)); /* what is switched off draws nothing */
}

static void test_prng_fill(void **state)
{
    uint8_t a[19] = {0}, b[24];
    struct vly_prng p;

    (void)state;
    vly_prng_init(&p, 3);
    vly_prng_fill(&p, a, 11);
    assert_int_equal(a[11], 0);
    vly_prng_init(&p, 3);
    vly_prng_fill(&p, b, sizeof(b));
    assert_memory_equal(a, b, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prng_sequence),       cmocka_unit_test(test_prng_seeding),
        cmocka_unit_test(test_prng_fork_separates), cmocka_unit_test(test_prng_below_is_uniform),
        cmocka_unit_test(test_prng_chance),         cmocka_unit_test(test_prng_fill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
