/*
 * hystart: RFC 9406, driven by rounds of given round-trip times. RULE 29.
 */
#include "proto/cc.h"

#include "support/support.h"

#define ACKED 1200u

struct run {
    struct vly_hystart h;
    uint64_t min_rtt_ns;
    bool app_limited;
    bool left;
    uint64_t grown_bytes; /* in the last round */
};

static void run_init(struct run *r, uint64_t min_rtt_ns)
{
    *r = (struct run){.min_rtt_ns = min_rtt_ns};
    vly_hystart_init(&r->h);
}

/* A round of `n` ACKs, one datagram each, all with the same round-trip time. */
static void round_of(struct run *r, uint64_t rtt_ns, unsigned n)
{
    r->grown_bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        struct vly_ack_sample s = {.acked_bytes = ACKED,
                                   .latest_rtt_ns = rtt_ns,
                                   .smoothed_rtt_ns = rtt_ns,
                                   .min_rtt_ns = r->min_rtt_ns,
                                   .round_start = i == 0,
                                   .cwnd_limited = !r->app_limited};

        r->grown_bytes += vly_hystart_on_ack(&r->h, &s, &r->left);
    }
}

/* The delay that leads to conservative slow start: an eighth, between 4 and 16 ms. */
static void test_hystart_delay_threshold(void **state)
{
    static const struct {
        const char *name;
        uint64_t base_us, enters_us;
    } cases[] = {
        {"an eighth", 64000, 8000},
        {"at least 4 ms", 2000, 4000},
        {"at most 16 ms", 400000, 16000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t base_ns = VLY_US(cases[i].base_us), grown_ns = VLY_US(cases[i].enters_us);
        struct run r;

        print_message("  %s\n", cases[i].name);
        run_init(&r, base_ns);
        round_of(&r, base_ns, 10);
        round_of(&r, base_ns + grown_ns - 1, 10);
        assert_false(r.h.in_css);
        assert_int_equal(r.grown_bytes, 10 * ACKED);
        run_init(&r, base_ns);
        round_of(&r, base_ns, 10);
        round_of(&r, base_ns + grown_ns, 10);
        assert_true(r.h.in_css);
    }
}

static void test_hystart_decides_on_the_smallest_of_several_samples(void **state)
{
    struct run r;

    (void)state;
    /* Three samples are too few. */
    run_init(&r, VLY_MS(40));
    round_of(&r, VLY_MS(40), 10);
    round_of(&r, VLY_MS(80), 3);
    assert_false(r.h.in_css);
    /* One low sample in the round says that there is no standing queue. */
    run_init(&r, VLY_MS(40));
    round_of(&r, VLY_MS(40), 10);
    round_of(&r, VLY_MS(41), 1);
    for (unsigned i = 0; i < 10; i++) {
        struct vly_ack_sample s = {.acked_bytes = ACKED,
                                   .latest_rtt_ns = VLY_MS(80),
                                   .min_rtt_ns = VLY_MS(40),
                                   .cwnd_limited = true};

        assert_int_equal(vly_hystart_on_ack(&r.h, &s, &r.left), ACKED);
    }
    assert_false(r.h.in_css);
    /* An ACK without a sample does not count as one. */
    run_init(&r, VLY_MS(40));
    round_of(&r, VLY_MS(40), 10);
    round_of(&r, VLY_MS(80), 3);
    for (unsigned i = 0; i < 10; i++) {
        struct vly_ack_sample s = {.min_rtt_ns = VLY_MS(40), .cwnd_limited = true};

        (void)vly_hystart_on_ack(&r.h, &s, &r.left);
    }
    assert_false(r.h.in_css);
    /* Nor does it say that the delay has gone. */
    round_of(&r, VLY_MS(40), 10);
    round_of(&r, VLY_MS(80), 10);
    round_of(&r, VLY_MS(80), 3);
    assert_true(r.h.in_css);
    for (unsigned i = 0; i < 10; i++) {
        struct vly_ack_sample s = {.min_rtt_ns = VLY_MS(40), .cwnd_limited = true};

        (void)vly_hystart_on_ack(&r.h, &s, &r.left);
    }
    assert_true(r.h.in_css);
}

/* Five rounds at a quarter of the growth, the one in which it began among them; then it is over. */
static void test_hystart_conservative_rounds_then_leave(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, VLY_MS(40));
    round_of(&r, VLY_MS(40), 10);
    round_of(&r, VLY_MS(46), 10);
    assert_true(r.h.in_css);
    /* Three ACKs before the fourth decided; from there on a quarter. */
    assert_int_equal(r.grown_bytes, 3 * ACKED + 7 * (ACKED / 4));
    for (unsigned n = 2; n <= 5; n++) {
        round_of(&r, VLY_MS(46), 10);
        assert_int_equal(r.grown_bytes, 10 * (ACKED / 4));
        assert_false(r.left);
    }
    round_of(&r, VLY_MS(46), 1);
    assert_true(r.left);
    assert_int_equal(r.grown_bytes, 0);
    /* Later slow starts are plain. */
    round_of(&r, VLY_MS(90), 10);
    assert_int_equal(r.grown_bytes, 10 * ACKED);
}

static void test_hystart_resumes_when_the_delay_goes_away(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, VLY_MS(40));
    round_of(&r, VLY_MS(40), 10);
    round_of(&r, VLY_MS(46), 10);
    round_of(&r, VLY_MS(46), 10);
    assert_true(r.h.in_css);
    round_of(&r, VLY_MS(45), 10); /* below the baseline of 46 ms */
    assert_false(r.h.in_css);
    round_of(&r, VLY_MS(45), 10);
    assert_int_equal(r.grown_bytes, 10 * ACKED);
    assert_false(r.left);
    /* The next time all five rounds are due again. */
    round_of(&r, VLY_MS(51), 10);
    assert_true(r.h.in_css);
    for (unsigned n = 2; n <= 5; n++)
        round_of(&r, VLY_MS(51), 10);
    assert_false(r.left);
    round_of(&r, VLY_MS(51), 1);
    assert_true(r.left);
}

/* A round's last sample is its smallest by a millisecond, yet far above the round before: jitter.
 * The round in which CSS began counts, so that the fifth after it begins without slow start. */
static void test_hystart_jitter_in_the_round_of_entry(void **state)
{
    struct vly_ack_sample last = {.acked_bytes = ACKED,
                                  .latest_rtt_ns = VLY_MS(59),
                                  .smoothed_rtt_ns = VLY_MS(60),
                                  .min_rtt_ns = VLY_MS(40),
                                  .cwnd_limited = true};
    struct run r;

    (void)state;
    run_init(&r, VLY_MS(40));
    round_of(&r, VLY_MS(40), 10);
    round_of(&r, VLY_MS(60), 10);
    assert_int_equal(vly_hystart_on_ack(&r.h, &last, &r.left), ACKED / 4);
    for (unsigned n = 2; n <= 5; n++) {
        round_of(&r, VLY_MS(60), 10);
        assert_int_equal(r.grown_bytes, 10 * (ACKED / 4));
    }
    assert_false(r.left);
    round_of(&r, VLY_MS(60), 1);
    assert_true(r.left);
}

/* Below a millisecond delay is the scheduler's. */
static void test_hystart_ignores_delay_on_short_paths(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, VLY_US(999));
    round_of(&r, VLY_US(999), 10);
    for (unsigned n = 0; n < 20; n++) {
        round_of(&r, VLY_MS(50) * (n + 1), 10);
        assert_int_equal(r.grown_bytes, 10 * ACKED);
    }
    assert_false(r.left);
}

/* RULE 27 */
static void test_hystart_application_limited_rounds_decide_nothing(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, VLY_MS(40));
    round_of(&r, VLY_MS(40), 10);
    r.app_limited = true;
    for (unsigned n = 0; n < 20; n++) {
        round_of(&r, VLY_MS(80), 10);
        assert_int_equal(r.grown_bytes, 0);
    }
    assert_false(r.h.in_css);
    assert_false(r.left);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hystart_delay_threshold),
        cmocka_unit_test(test_hystart_decides_on_the_smallest_of_several_samples),
        cmocka_unit_test(test_hystart_conservative_rounds_then_leave),
        cmocka_unit_test(test_hystart_resumes_when_the_delay_goes_away),
        cmocka_unit_test(test_hystart_jitter_in_the_round_of_entry),
        cmocka_unit_test(test_hystart_ignores_delay_on_short_paths),
        cmocka_unit_test(test_hystart_application_limited_rounds_decide_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
