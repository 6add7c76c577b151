/*
 * loss: thresholds, probe timer, reordering, episodes. SPEC 5.3, 5.4; the figures are computed by
 * hand from RFC 9002 section 6 and RFC 8985 section 6.
 */
#include "proto/loss.h"

#include "support/support.h"

#define RTT_NS VLY_MS(80)

/* A log of `n` packets in flight, number i sent at i ms. */
struct bench {
    struct vly_loss loss;
    struct vly_sentlog log;
    struct vly_rtt rtt;
};

static void bench_init(struct bench *b, unsigned n)
{
    vly_loss_init(&b->loss);
    vly_sentlog_init(&b->log, &test_alloc, 0);
    vly_rtt_init(&b->rtt);
    for (int i = 0; i < 200; i++) /* until the variance is gone */
        vly_rtt_on_sample(&b->rtt, RTT_NS, 0);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(vly_sentlog_reserve(&b->log, 1), 0);
        vly_sentlog_append(&b->log, VLY_SENT_IN_FLIGHT, VLY_MS(i), 1000);
        b->loss.last_counted_ns = VLY_MS(i);
    }
}

static void ack(struct bench *b, uint64_t pn)
{
    struct vly_sent *s = vly_sentlog_at(&b->log, pn);

    vly_loss_on_largest_acked(&b->loss, pn, s->sent_ns);
    vly_sentlog_settle(&b->log, s, VLY_SENT_ACKED);
    vly_sentlog_mark_acked(&b->log, pn, pn + 1);
}

/* How many packets are lost by `now_ns`. */
static unsigned lost_by(struct bench *b, uint64_t now_ns)
{
    unsigned n = 0;
    uint64_t pn;

    vly_loss_begin_pass(&b->loss);
    while (vly_loss_next(&b->loss, &b->log, &b->rtt, now_ns, &pn) != NULL) {
        assert_int_equal(vly_sentlog_at(&b->log, pn)->state, VLY_SENT_LOST);
        n++;
    }
    vly_sentlog_check(&b->log);
    return n;
}

/* Packets 0 to 9, of which one is acknowledged; 90 ms = 9/8 of a round trip after each it is lost.
 */
static void test_loss_thresholds(void **state)
{
    static const struct {
        const char *name;
        uint64_t acked, now_ms, lost, loss_time_ms; /* 0: none */
    } cases[] = {
        {"one newer", 1, 81, 0, 90},          {"two newer", 2, 82, 0, 90},
        {"three newer: one", 3, 83, 1, 91},   {"seven newer: five", 7, 87, 5, 95},
        {"by time, just not", 1, 89, 0, 90},  {"by time", 1, 90, 1, 0},
        {"by time and number", 9, 96, 7, 97}, {"all by time", 9, 98, 9, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;

        print_message("  %s\n", cases[i].name);
        bench_init(&b, 10);
        ack(&b, cases[i].acked);
        assert_int_equal(lost_by(&b, VLY_MS(cases[i].now_ms)), cases[i].lost);
        assert_int_equal(b.loss.loss_time_ns,
                         cases[i].loss_time_ms == 0 ? VLY_NEVER : VLY_MS(cases[i].loss_time_ms));
        vly_sentlog_fini(&b.log);
    }
}

/* RULE 22: however much time passes, nothing is lost that nothing newer was acknowledged of. */
static void test_loss_needs_an_acknowledgement(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b, 10);
    assert_int_equal(lost_by(&b, VLY_S(1000)), 0);
    ack(&b, 0);
    assert_int_equal(lost_by(&b, VLY_S(1000)), 0);
    assert_int_equal(b.loss.loss_time_ns, VLY_NEVER);
    ack(&b, 5);
    ack(&b, 3); /* an older one, later: the largest stays */
    assert_int_equal(b.loss.largest_acked, 5);
    assert_int_equal(lost_by(&b, VLY_S(1000)), 3);
    vly_sentlog_fini(&b.log);
}

/* The threshold in time is a millisecond at least, RFC 9002 6.1.2. */
static void test_loss_granularity(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b, 3);
    vly_rtt_init(&b.rtt);
    vly_rtt_on_sample(&b.rtt, VLY_US(20), 0);
    ack(&b, 2);
    assert_int_equal(lost_by(&b, VLY_MS(1)), 1);
    assert_int_equal(b.loss.loss_time_ns, VLY_MS(2));
    vly_sentlog_fini(&b.log);
}

/* ---- probe timer ---- */

/* RULE 22: it doubles, and stops doubling; a path slower than the cap keeps its own. */
static void test_loss_pto_backs_off(void **state)
{
    /* 80 + 1 + 5 */
    static const uint64_t want_ms[] = {86, 172, 344, 500, 500, 500};
    struct bench b;

    (void)state;
    bench_init(&b, 1);
    for (uint32_t i = 0; i < ARRAY_LEN(want_ms); i++) {
        b.loss.pto_count = i;
        assert_in_range(vly_loss_pto_ns(&b.loss, &b.rtt, VLY_MS(5)), VLY_MS(want_ms[i]),
                        VLY_MS(want_ms[i]) + 100);
    }
    b.loss.pto_count = UINT32_MAX;
    assert_int_equal(vly_loss_pto_ns(&b.loss, &b.rtt, VLY_MS(5)), VLY_PTO_MAX_NS);
    assert_in_range(vly_loss_pto_ns(&b.loss, &b.rtt, VLY_S(1)), VLY_MS(1081), VLY_MS(1082));
    vly_sentlog_fini(&b.log);
}

static void test_loss_deadline(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b, 5);
    /* From the newest counted packet, at 4 ms. */
    assert_in_range(vly_loss_deadline_ns(&b.loss, &b.log, &b.rtt, VLY_MS(5)), VLY_MS(90),
                    VLY_MS(90) + 100);
    ack(&b, 1);
    assert_int_equal(lost_by(&b, VLY_MS(80)), 0);
    assert_int_equal(vly_loss_deadline_ns(&b.loss, &b.log, &b.rtt, VLY_MS(5)), VLY_MS(90));
    for (uint64_t pn = 0; pn < 5; pn++)
        if (pn != 1)
            ack(&b, pn);
    assert_int_equal(lost_by(&b, VLY_MS(81)), 0);
    assert_int_equal(vly_loss_deadline_ns(&b.loss, &b.log, &b.rtt, VLY_MS(5)), VLY_NEVER);
    vly_sentlog_fini(&b.log);
}

/* ---- reordering, RFC 8985 6.2 step 4 ---- */

/* Twice at one time: there is no further step in the second. */
static void spurious(struct bench *b, uint64_t pn, uint64_t now_ns)
{
    for (int i = 0; i < 2; i++)
        (void)vly_loss_on_spurious(&b->loss, vly_sentlog_at(&b->log, pn), &b->rtt,
                                   now_ns + (uint64_t)i);
    vly_sentlog_settle(&b->log, vly_sentlog_at(&b->log, pn), VLY_SENT_ACKED);
}

/* RULE 21: once it is seen, numbers do not count any more, and the window grows by a quarter of the
 * smallest round trip, at most once a round trip, up to a whole one. */
static void test_loss_reordering_widens_the_window(void **state)
{
    static const uint64_t window_ms[] = {20, 40, 60, 80, 80, 80};
    struct bench b;

    (void)state;
    bench_init(&b, 60);
    for (uint64_t i = 0; i < ARRAY_LEN(window_ms); i++) {
        uint64_t first = 10 * i, sent_ns = VLY_MS(first);

        ack(&b, first + 9);
        if (i == 0) {
            assert_int_equal(lost_by(&b, VLY_MS(89)), 7); /* by number */
        } else {
            uint64_t at_ns = sent_ns + RTT_NS + VLY_MS(window_ms[i - 1]);

            assert_int_equal(lost_by(&b, at_ns - 1), 0);
            assert_int_equal(b.loss.loss_time_ns, at_ns);
            assert_int_equal(lost_by(&b, at_ns), 1);
        }
        spurious(&b, first, VLY_S(i + 1));
        for (uint64_t pn = first; pn < first + 10; pn++)
            if (vly_sentlog_at(&b.log, pn)->state != VLY_SENT_ACKED)
                ack(&b, pn);
    }
    vly_sentlog_fini(&b.log);
}

/* After sixteen recoveries without a spurious loss everything is as it was. */
static void test_loss_reordering_is_forgotten(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b, 10);
    ack(&b, 9);
    (void)lost_by(&b, VLY_MS(90));
    spurious(&b, 0, VLY_S(1));
    for (uint64_t i = 0; i < VLY_REO_PERSIST; i++) {
        assert_true(b.loss.reordering_seen);
        assert_true(vly_loss_on_congestion(&b.loss, VLY_S(2 * i + 2), VLY_S(2 * i + 3)));
    }
    assert_false(b.loss.reordering_seen);
    assert_int_equal(b.loss.reo_steps, 1);
    vly_sentlog_fini(&b.log);
}

/* ---- episodes ---- */

static void test_loss_episodes(void **state)
{
    struct vly_loss l;

    (void)state;
    vly_loss_init(&l);
    assert_true(vly_loss_on_congestion(&l, 0, VLY_MS(100)));
    assert_true(l.in_recovery);
    /* What was sent before it began belongs to it. */
    assert_false(vly_loss_on_congestion(&l, VLY_MS(50), VLY_MS(110)));
    assert_false(vly_loss_on_congestion(&l, VLY_MS(100), VLY_MS(110)));
    assert_false(vly_loss_on_acked(&l, VLY_MS(100)));
    assert_true(vly_loss_on_acked(&l, VLY_MS(101)));
    assert_false(l.in_recovery);
    assert_false(vly_loss_on_acked(&l, VLY_MS(102)));
    assert_false(vly_loss_on_congestion(&l, VLY_MS(99), VLY_MS(120)));
    assert_true(vly_loss_on_congestion(&l, VLY_MS(101), VLY_MS(130)));
    assert_int_equal(l.episode, 2);
}

/* RULE 23: the last of an episode's losses to turn up makes it undone, and not a loss before. */
static void test_loss_undo_when_all_were_spurious(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b, 10);
    ack(&b, 5);
    assert_int_equal(lost_by(&b, VLY_MS(86)), 3);
    assert_true(vly_loss_on_congestion(&b.loss, 0, VLY_MS(86)));
    for (uint64_t pn = 0; pn < 3; pn++) {
        vly_sentlog_at(&b.log, pn)->episode = b.loss.episode;
        b.loss.episode_lost_pkts++;
    }
    assert_false(vly_loss_on_spurious(&b.loss, vly_sentlog_at(&b.log, 1), &b.rtt, VLY_MS(90)));
    assert_false(vly_loss_on_spurious(&b.loss, vly_sentlog_at(&b.log, 0), &b.rtt, VLY_MS(91)));
    assert_true(vly_loss_on_spurious(&b.loss, vly_sentlog_at(&b.log, 2), &b.rtt, VLY_MS(92)));
    /* One of an older episode says nothing of the present one. */
    assert_true(vly_loss_on_congestion(&b.loss, VLY_MS(95), VLY_MS(96)));
    assert_false(vly_loss_on_spurious(&b.loss, vly_sentlog_at(&b.log, 2), &b.rtt, VLY_MS(97)));
    vly_sentlog_fini(&b.log);
}

/* RULE 24: losses more than three PTOs apart, 3 * 86 ms, with nothing acknowledged between them. */
static void test_loss_persistent_congestion(void **state)
{
    static const struct {
        const char *name;
        unsigned packets;       /* a millisecond apart, the last one acknowledged */
        uint64_t acked_between; /* 0: none */
        bool has_sample, persistent;
    } cases[] = {
        {"exactly three", 260, 0, true, false},
        {"more", 262, 0, true, true},
        {"one arrived in between", 262, 100, true, false},
        {"one arrived in the middle of more", 510, 255, true, false},
        {"enough before it", 600, 300, true, true},
        {"no round trip known", 262, 0, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;

        print_message("  %s\n", cases[i].name);
        bench_init(&b, cases[i].packets);
        b.rtt.variance_ns = 0;
        if (cases[i].acked_between != 0)
            ack(&b, cases[i].acked_between);
        ack(&b, cases[i].packets - 1);
        assert_true(lost_by(&b, VLY_S(10)) >= cases[i].packets - 2);
        b.rtt.has_sample = cases[i].has_sample;
        assert_int_equal(vly_loss_is_persistent(&b.loss, &b.rtt, VLY_MS(5)), cases[i].persistent);
        vly_sentlog_fini(&b.log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_thresholds),
        cmocka_unit_test(test_loss_needs_an_acknowledgement),
        cmocka_unit_test(test_loss_granularity),
        cmocka_unit_test(test_loss_pto_backs_off),
        cmocka_unit_test(test_loss_deadline),
        cmocka_unit_test(test_loss_reordering_widens_the_window),
        cmocka_unit_test(test_loss_reordering_is_forgotten),
        cmocka_unit_test(test_loss_episodes),
        cmocka_unit_test(test_loss_undo_when_all_were_spurious),
        cmocka_unit_test(test_loss_persistent_congestion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
