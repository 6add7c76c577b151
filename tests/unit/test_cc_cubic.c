/*
 * cc_cubic: the window against the closed forms of RFC 9438, in virtual time. RULE 29.
 *
 * The path acknowledges a window a round trip, spread evenly over ACKs, as a bottleneck would.
 */
#include "proto/cc.h"

#include <math.h>

#include "support/support.h"

#define DATAGRAM 1200u
#define PKTS(cc) ((double)(cc)->cwnd_bytes / DATAGRAM)
#define ALPHA (9.0 / 17.0) /* 3 (1 - 0.7) / (1 + 0.7) */

static const struct vly_loss_sample loss = {.lost_bytes = DATAGRAM};
static const struct vly_loss_sample outage = {.lost_bytes = DATAGRAM, .persistent = true};

struct path {
    struct vly_cc cc;
    uint64_t now_ns;
    uint64_t rtt_ns;
    unsigned acks_per_round;
    double left_over; /* bytes of the last ACK that were no whole ones */
    bool app_limited;
};

static void path_init(struct path *p, uint64_t rtt_ns, uint64_t cwnd_pkts)
{
    *p = (struct path){.now_ns = VLY_S(1000), .rtt_ns = rtt_ns, .acks_per_round = 50};
    vly_cc_init(&p->cc, &vly_cc_cubic_ops, DATAGRAM, 0, p->now_ns);
    p->cc.cwnd_bytes = cwnd_pkts * DATAGRAM;
}

static void path_ack(struct path *p)
{
    double bytes = (double)p->cc.cwnd_bytes / p->acks_per_round + p->left_over;
    struct vly_ack_sample s = {.acked_bytes = (uint64_t)bytes,
                               .smoothed_rtt_ns = p->rtt_ns,
                               .latest_rtt_ns = p->rtt_ns,
                               .min_rtt_ns = p->rtt_ns,
                               .cwnd_limited = !p->app_limited};

    p->left_over = bytes - floor(bytes);
    p->now_ns += p->rtt_ns / p->acks_per_round;
    p->cc.ops->on_ack(&p->cc, p->now_ns, &s);
}

static void path_run(struct path *p, uint64_t ns)
{
    for (uint64_t end_ns = p->now_ns + ns; p->now_ns < end_ns;)
        path_ack(p);
}

static void path_lose(struct path *p, const struct vly_loss_sample *s)
{
    p->cc.ops->on_loss(&p->cc, p->now_ns, s);
}

static void assert_pkts(const struct path *p, double want, double tolerance)
{
    if (fabs(PKTS(&p->cc) - want) > tolerance)
        fail_msg("window of %.1f datagrams, not %.1f +- %.1f", PKTS(&p->cc), want, tolerance);
}

/* 1000 datagrams at 100 ms: reduced to 700, K = cbrt(300 / 0.4) = 9.09 s to the old peak, the
 * plateau there, and the same curve upwards. Each ACK steers for the window one round trip ahead,
 * so the real one may lag or lead by what the curve does in that time. */
static void test_cc_cubic_curve(void **state)
{
    const double k = cbrt(300 / 0.4);
    struct path p;

    (void)state;
    path_init(&p, VLY_MS(100), 1000);
    path_lose(&p, &loss);
    assert_pkts(&p, 700, 1);
    assert_int_equal(p.cc.ssthresh_bytes, p.cc.cwnd_bytes);
    for (unsigned s = 1; s <= 25; s++) {
        double t = s, want;

        path_run(&p, VLY_S(1));
        want = 0.4 * pow(t - k, 3) + 1000;
        assert_pkts(&p, want, 2 + 1.2 * pow(t - k, 2) * 0.1);
    }
}

/* 100 datagrams at 10 ms: K would be 4.2 s, Reno is back after 30 / 0.53 round trips = 0.57 s. From
 * cwnd_prior on it adds a whole datagram a round trip. */
static void test_cc_cubic_reno_friendly_region(void **state)
{
    struct path p;

    (void)state;
    path_init(&p, VLY_MS(10), 100);
    path_lose(&p, &loss);
    for (unsigned round = 1; round <= 200; round++) {
        double want = 70 + ALPHA * round;

        if (want > 100)
            want = 100 + (round - 30 / ALPHA);
        path_run(&p, VLY_MS(10));
        assert_pkts(&p, want, 1.5);
    }
}

/* RFC 9438 4.7 */
static void test_cc_cubic_fast_convergence(void **state)
{
    struct path p;

    (void)state;
    path_init(&p, VLY_MS(100), 1000);
    path_lose(&p, &loss);
    assert_true(fabs(p.cc.cubic.w_max_bytes - 1000 * DATAGRAM) < 1);
    path_run(&p, VLY_S(2)); /* on the way up, below the peak */
    path_lose(&p, &loss);
    {
        double k = cbrt(300 / 0.4), before = 0.4 * pow(2 - k, 3) + 1000;

        assert_true(fabs(p.cc.cubic.w_max_bytes / DATAGRAM - before * 0.85) < 10);
        assert_pkts(&p, before * 0.7, 10);
    }
    /* A loss above the peak is taken as it is. */
    path_run(&p, VLY_S(30));
    {
        double before = PKTS(&p.cc);

        path_lose(&p, &loss);
        assert_true(fabs(p.cc.cubic.w_max_bytes / DATAGRAM - before) < 1);
    }
}

/* RFC 9438 4.2: at most half a window more in a round trip, however steep the curve. */
static void test_cc_cubic_growth_is_at_most_half_a_window_a_round_trip(void **state)
{
    struct path p;
    double steepest = 0;

    (void)state;
    path_init(&p, VLY_S(2), 10);
    p.cc.ssthresh_bytes = p.cc.cwnd_bytes;
    for (unsigned round = 0; round < 20; round++) {
        double before = PKTS(&p.cc);

        path_run(&p, VLY_S(2));
        if (PKTS(&p.cc) / before > steepest)
            steepest = PKTS(&p.cc) / before;
    }
    /* Spread over many ACKs, each of which sees the growth of those before: e^0.5. */
    assert_true(steepest <= 1.65);
    assert_true(steepest > 1.3);
}

/* RULE 27, RFC 9438 5.8: the time in which the application had little to send is as if it had not
 * been. A connection with a pause of 100 s (much on the cubic scale) ends where one without ends.
 */
static void test_cc_cubic_pauses_do_not_count(void **state)
{
    struct path busy, limited, idle;

    (void)state;
    path_init(&busy, VLY_MS(100), 1000);
    path_lose(&busy, &loss);
    path_run(&busy, VLY_S(4));
    limited = busy;
    idle = busy;
    path_run(&busy, VLY_S(4));

    limited.app_limited = true;
    path_run(&limited, VLY_S(100));
    limited.app_limited = false;
    assert_int_equal(limited.cc.cwnd_bytes, idle.cc.cwnd_bytes);
    path_run(&limited, VLY_S(4));
    assert_pkts(&limited, PKTS(&busy.cc), 3);

    idle.now_ns += VLY_S(100);
    path_run(&idle, VLY_S(4));
    assert_pkts(&idle, PKTS(&busy.cc), 3);
}

/* RFC 9438 4.8: slow start to ssthresh, then a curve of its own without the old peak. */
static void test_cc_cubic_after_persistent_congestion(void **state)
{
    struct path p;

    (void)state;
    path_init(&p, VLY_MS(100), 1000);
    path_lose(&p, &outage);
    assert_int_equal(p.cc.cwnd_bytes, 2 * DATAGRAM);
    assert_int_equal(p.cc.ssthresh_bytes, 700 * DATAGRAM);
    while (vly_cc_in_slow_start(&p.cc))
        path_ack(&p);
    /* e-fold each round trip, as the ACKs come evenly: ln(350) = 5.9 of them. */
    assert_in_range(p.now_ns - VLY_S(1000), VLY_MS(500), VLY_MS(700));
    path_run(&p, VLY_S(10));
    /* K = 0: 0.4 * 10^3 above where it began, and the Reno window in between. */
    assert_pkts(&p, 1100, 25);
}

/* RULE 23: with a loss that was none, the curve goes on as if nothing had been. */
static void test_cc_cubic_undo_continues_the_curve(void **state)
{
    struct path p, q;

    (void)state;
    path_init(&p, VLY_MS(100), 1000);
    path_lose(&p, &loss);
    path_run(&p, VLY_S(5));
    q = p;
    path_lose(&q, &loss);
    assert_true(q.cc.cwnd_bytes < p.cc.cwnd_bytes);
    q.now_ns += VLY_MS(100);
    q.cc.ops->on_undo(&q.cc, q.now_ns);
    assert_int_equal(q.cc.cwnd_bytes, p.cc.cwnd_bytes);
    path_run(&p, VLY_S(10));
    path_run(&q, VLY_S(10));
    assert_pkts(&q, PKTS(&p.cc), 5);
}

/* The deviation for paths below a millisecond: one loss leaves a batch, many leave it too. */
static void test_cc_cubic_floor_on_short_paths(void **state)
{
    static const struct {
        const char *name;
        uint64_t rtt_ns;
        uint32_t datagram_bytes;
        uint64_t cwnd_bytes, least_bytes;
    } cases[] = {
        {"64 KiB", VLY_US(30), 1472, 1000000, 65536},
        {"four large datagrams", VLY_US(30), 65507, 1000000, 4 * 65507},
        {"no more than there was", VLY_US(30), 1472, 20000, 20000},
        {"not from a millisecond on", VLY_MS(1), 1472, 1000000, 2944},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct path p;

        print_message("  %s\n", cases[i].name);
        path_init(&p, cases[i].rtt_ns, 1);
        vly_cc_set_datagram(&p.cc, cases[i].datagram_bytes);
        p.cc.ssthresh_bytes = 1;
        path_ack(&p);
        p.cc.cwnd_bytes = cases[i].cwnd_bytes;
        for (unsigned n = 0; n < 30; n++)
            path_lose(&p, &loss);
        assert_int_equal(p.cc.cwnd_bytes, cases[i].least_bytes);
        /* A path that is gone is another matter. */
        path_lose(&p, &outage);
        assert_int_equal(p.cc.cwnd_bytes, 2 * cases[i].datagram_bytes);
    }
}

/* One round of a path of `rate` and `base_ns` with a queue without end: `acks` ACKs, whose
 * round-trip times lie up to `jitter_ns` above what window and rate make of them. Returns the
 * longest. */
static uint64_t bottleneck_round(struct path *p, double rate, uint64_t base_ns,
                                 struct vly_prng *jitter, uint64_t jitter_ns)
{
    const unsigned acks = 64;
    uint64_t longest_ns = 0, window = p->cc.cwnd_bytes;
    double queued_ns = (double)window / rate * 1e9;
    uint64_t rtt_ns = queued_ns > (double)base_ns ? (uint64_t)queued_ns : base_ns;

    for (unsigned i = 0; i < acks; i++) {
        uint64_t sample_ns = rtt_ns + vly_prng_below(jitter, jitter_ns + 1);
        struct vly_ack_sample s = {.acked_bytes = window / acks,
                                   .smoothed_rtt_ns = rtt_ns,
                                   .latest_rtt_ns = sample_ns,
                                   .min_rtt_ns = base_ns,
                                   .round_start = i == 0,
                                   .cwnd_limited = true};

        p->now_ns += rtt_ns / acks;
        p->cc.ops->on_ack(&p->cc, p->now_ns, &s);
        if (sample_ns > longest_ns)
            longest_ns = sample_ns;
    }
    return longest_ns;
}

/* 10 Gbit/s x 50 ms, 62.5 MB: 12.4 doublings of ten datagrams fill it, so 13 round trips and then
 * the window stays above. Slow start ends by delay, not by loss. */
static void test_cc_cubic_fills_a_long_fat_path(void **state)
{
    const double rate = 1.25e9, bdp = rate * 0.05;
    struct vly_prng prng;
    unsigned rounds = 0;
    struct path p;

    (void)state;
    vly_prng_init(&prng, test_seed());
    path_init(&p, VLY_MS(50), 10);
    while ((double)p.cc.cwnd_bytes < 0.95 * bdp) {
        (void)bottleneck_round(&p, rate, VLY_MS(50), &prng, VLY_MS(3));
        rounds++;
        assert_true(rounds <= 13);
        assert_int_equal(p.cc.ssthresh_bytes, UINT64_MAX);
    }
    while (vly_cc_in_slow_start(&p.cc)) {
        (void)bottleneck_round(&p, rate, VLY_MS(50), &prng, VLY_MS(3));
        rounds++;
        assert_true(rounds <= 25);
    }
    /* Up to a doubling beyond the path before it shows, and five rounds of a quarter each. */
    assert_true((double)p.cc.cwnd_bytes < 2 * pow(1.25, 5) * bdp);
    for (unsigned n = 0; n < 100; n++) {
        uint64_t before = p.cc.cwnd_bytes;

        (void)bottleneck_round(&p, rate, VLY_MS(50), &prng, 0);
        assert_true(p.cc.cwnd_bytes >= before);
    }
}

/* Slow start left too early on a long fat path, at a tenth of it: the curve starts flat, from here
 * (K = 0), and takes cbrt(47000 / 0.4) = 49 s to the top, as RFC 9438 has it. */
static void test_cc_cubic_climbs_after_leaving_slow_start(void **state)
{
    struct path p;

    (void)state;
    path_init(&p, VLY_MS(50), 5200);
    p.cc.ssthresh_bytes = p.cc.cwnd_bytes;
    path_run(&p, VLY_S(10));
    assert_pkts(&p, 5200 + 400, 20);
    path_run(&p, VLY_S(39));
    assert_pkts(&p, 5200 + 0.4 * 49 * 49 * 49, 200);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cc_cubic_curve),
        cmocka_unit_test(test_cc_cubic_reno_friendly_region),
        cmocka_unit_test(test_cc_cubic_fast_convergence),
        cmocka_unit_test(test_cc_cubic_growth_is_at_most_half_a_window_a_round_trip),
        cmocka_unit_test(test_cc_cubic_pauses_do_not_count),
        cmocka_unit_test(test_cc_cubic_after_persistent_congestion),
        cmocka_unit_test(test_cc_cubic_undo_continues_the_curve),
        cmocka_unit_test(test_cc_cubic_floor_on_short_paths),
        cmocka_unit_test(test_cc_cubic_fills_a_long_fat_path),
        cmocka_unit_test(test_cc_cubic_climbs_after_leaving_slow_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
