/*
 * rtt: the estimator against RFC 9002 section 5, computed by hand.
 */
#include "proto/rtt.h"

#include "support/support.h"

static void test_rtt_before_the_first_sample(void **state)
{
    struct vly_rtt rtt;

    (void)state;
    vly_rtt_init(&rtt);
    assert_false(rtt.has_sample);
    assert_int_equal(rtt.min_ns, VLY_NEVER);
    assert_int_equal(rtt.smoothed_ns, VLY_MS(100));
    /* 100 + 4 * 50 + 5 */
    assert_int_equal(vly_rtt_pto_ns(&rtt, VLY_MS(5)), VLY_MS(305));
}

/* RULE 20 */
static void test_rtt_samples(void **state)
{
    static const struct {
        const char *name;
        uint64_t latest_us, delay_us;
        uint64_t smoothed_ns, variance_ns, min_us;
    } steps[] = {
        {"the first is taken as it is", 100000, 40000, VLY_US(100000), VLY_US(50000), 100000},
        {"delay is taken off", 120000, 10000, VLY_US(101250), VLY_US(40000), 100000},
        {"down to the minimum", 110000, 10000, VLY_US(101093) + 750, VLY_US(30312) + 500, 100000},
        {"a delay that would go below it is not believed", 105000, 50000, VLY_US(101582) + 31,
         VLY_US(23710) + 938, 100000},
        {"a new minimum is taken without the delay", 80000, 10000, VLY_US(98884) + 278,
         VLY_US(23178) + 711, 80000},
    };
    struct vly_rtt rtt;

    (void)state;
    vly_rtt_init(&rtt);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        print_message("  %s\n", steps[i].name);
        vly_rtt_on_sample(&rtt, VLY_US(steps[i].latest_us), VLY_US(steps[i].delay_us));
        assert_true(rtt.has_sample);
        assert_int_equal(rtt.latest_ns, VLY_US(steps[i].latest_us));
        assert_int_equal(rtt.min_ns, VLY_US(steps[i].min_us));
        /* One nanosecond a step may be lost by integer division. */
        assert_in_range(rtt.smoothed_ns, steps[i].smoothed_ns - 5, steps[i].smoothed_ns + 5);
        assert_in_range(rtt.variance_ns, steps[i].variance_ns - 5, steps[i].variance_ns + 5);
    }
}

/* RULE 20: a peer that invents delays of any size cannot talk the estimate below what was measured.
 */
static void test_rtt_lying_delays_never_go_below_the_minimum(void **state)
{
    struct vly_prng prng;
    struct vly_rtt rtt;
    uint64_t smallest_ns = VLY_NEVER;

    (void)state;
    vly_prng_init(&prng, test_seed());
    vly_rtt_init(&rtt);
    for (int i = 0; i < 100000; i++) {
        uint64_t latest_ns = VLY_MS(10) + vly_prng_below(&prng, VLY_MS(90));

        vly_rtt_on_sample(&rtt, latest_ns, vly_prng_below(&prng, VLY_MS(200)));
        if (latest_ns < smallest_ns)
            smallest_ns = latest_ns;
        assert_int_equal(rtt.min_ns, smallest_ns);
        assert_true(rtt.smoothed_ns >= rtt.min_ns);
    }
}

static void test_rtt_pto_has_a_granularity(void **state)
{
    struct vly_rtt rtt;

    (void)state;
    vly_rtt_init(&rtt);
    for (int i = 0; i < 200; i++)
        vly_rtt_on_sample(&rtt, VLY_US(50), 0);
    /* The variance has faded: 50 us + 1 ms + 5 ms. */
    assert_in_range(vly_rtt_pto_ns(&rtt, VLY_MS(5)), VLY_US(6050), VLY_US(6051));
}

static void test_rtt_extremes(void **state)
{
    struct vly_rtt rtt;

    (void)state;
    vly_rtt_init(&rtt);
    vly_rtt_on_sample(&rtt, 0, 0);
    assert_int_equal(rtt.min_ns, 1);
    assert_int_equal(rtt.smoothed_ns, 1);
    for (unsigned i = 0; i < 2; i++)
        vly_rtt_on_sample(&rtt, VLY_NEVER - 1, 0);
    assert_true(rtt.smoothed_ns > VLY_NEVER / 8);
    assert_true(rtt.variance_ns > VLY_NEVER / 4);
    assert_int_equal(vly_rtt_pto_ns(&rtt, VLY_MS(5)), VLY_NEVER);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rtt_before_the_first_sample),
        cmocka_unit_test(test_rtt_samples),
        cmocka_unit_test(test_rtt_lying_delays_never_go_below_the_minimum),
        cmocka_unit_test(test_rtt_pto_has_a_granularity),
        cmocka_unit_test(test_rtt_extremes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
