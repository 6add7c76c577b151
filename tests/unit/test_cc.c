/*
 * cc: the table of controllers, and the rules that every controller with a window keeps.
 */
#include "proto/cc.h"

#include <string.h>

#include "support/support.h"

#define DATAGRAM 1200u

static const struct vly_cc_ops *const windowed[] = {&vly_cc_reno_ops, &vly_cc_cubic_ops};

/* An ACK of a sender that uses its window up on a 50 ms path. */
static struct vly_ack_sample ack_of(uint64_t bytes)
{
    return (struct vly_ack_sample){.acked_bytes = bytes,
                                   .smoothed_rtt_ns = VLY_MS(50),
                                   .latest_rtt_ns = VLY_MS(50),
                                   .min_rtt_ns = VLY_MS(50),
                                   .cwnd_limited = true};
}

static void on_ack(struct vly_cc *cc, uint64_t now_ns, const struct vly_ack_sample *s)
{
    cc->ops->on_ack(cc, now_ns, s);
}

static void on_loss(struct vly_cc *cc, uint64_t now_ns)
{
    cc->ops->on_loss(cc, now_ns, &(struct vly_loss_sample){.lost_bytes = DATAGRAM});
}

static void init_in_avoidance(struct vly_cc *cc, const struct vly_cc_ops *ops, uint64_t cwnd_bytes)
{
    vly_cc_init(cc, ops, DATAGRAM, 0, 0);
    cc->cwnd_bytes = cwnd_bytes;
    cc->ssthresh_bytes = cwnd_bytes;
}

static void test_cc_table(void **state)
{
    size_t n = 0;

    (void)state;
    for (const struct vly_cc_ops *ops; (ops = vly_cc_at(n)) != NULL; n++) {
        assert_ptr_equal(vly_cc_find(ops->name), ops);
        assert_non_null(ops->init);
        assert_non_null(ops->on_sent);
        assert_non_null(ops->on_ack);
        assert_non_null(ops->on_loss);
        assert_non_null(ops->on_undo);
    }
    assert_int_equal(n, 3);
    assert_string_equal(vly_cc_at(0)->name, "cubic");
    assert_ptr_equal(vly_cc_find("reno"), &vly_cc_reno_ops);
    assert_ptr_equal(vly_cc_find("fixed"), &vly_cc_fixed_ops);
    assert_null(vly_cc_find("vegas"));
    assert_null(vly_cc_find("ren"));
    assert_null(vly_cc_find("renown"));
    assert_null(vly_cc_find(""));
    assert_null(vly_cc_at(SIZE_MAX));
}

static void test_cc_initial_window(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(windowed); i++) {
        struct vly_cc cc;

        vly_cc_init(&cc, windowed[i], DATAGRAM, 0, 0);
        assert_int_equal(cc.cwnd_bytes, 12000);
        assert_true(vly_cc_in_slow_start(&cc));
        assert_int_equal(vly_cc_minimum_bytes(&cc), 2400);
        cc.ops->on_sent(&cc, 0, DATAGRAM);
        assert_int_equal(cc.cwnd_bytes, 12000);
        /* Larger datagrams: the window holds at least the minimum of them, and never shrinks. */
        vly_cc_set_datagram(&cc, 1472);
        assert_int_equal(cc.cwnd_bytes, 12000);
        vly_cc_set_datagram(&cc, 9000);
        assert_int_equal(cc.cwnd_bytes, 18000);
        assert_int_equal(vly_cc_minimum_bytes(&cc), 18000);
    }
}

static void test_cc_pacing_rate(void **state)
{
    static const struct {
        const char *name;
        uint64_t cwnd_bytes, ssthresh_bytes, smoothed_ns, min_ns, bytes_per_s;
    } cases[] = {
        {"twice the window a round trip in slow start", 100000, UINT64_MAX, VLY_MS(50), VLY_MS(40),
         4000000},
        {"a quarter more in avoidance", 100000, 100000, VLY_MS(50), VLY_MS(40), 2500000},
        {"no sample yet", 100000, UINT64_MAX, 0, VLY_NEVER, 0},
        {"no minimum yet", 100000, UINT64_MAX, VLY_MS(100), VLY_NEVER, 0},
        {"the ACK clock below a millisecond", 100000, UINT64_MAX, VLY_US(1200), VLY_US(999), 0},
        {"paced from a millisecond on", 100000, 100000, VLY_MS(1), VLY_MS(1), 125000000},
        {"never zero by rounding", 1, 1, VLY_S(100), VLY_S(100), 1},
        {"the largest window", VLY_CC_CWND_MAX, UINT64_MAX, VLY_MS(1), VLY_MS(1),
         2000 * VLY_CC_CWND_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_cc cc;

        print_message("  %s\n", cases[i].name);
        vly_cc_init(&cc, &vly_cc_reno_ops, DATAGRAM, 0, 0);
        cc.cwnd_bytes = cases[i].cwnd_bytes;
        cc.ssthresh_bytes = cases[i].ssthresh_bytes;
        assert_int_equal(vly_cc_pacing_bytes_per_s(&cc, cases[i].smoothed_ns, cases[i].min_ns),
                         cases[i].bytes_per_s);
    }
}

/* RULE 24 */
static void test_cc_persistent_congestion_falls_to_the_minimum(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(windowed); i++) {
        const struct vly_loss_sample outage = {.lost_bytes = DATAGRAM, .persistent = true};
        struct vly_cc cc;
        uint64_t ssthresh_bytes;

        vly_cc_init(&cc, windowed[i], DATAGRAM, 0, 0);
        cc.cwnd_bytes = 1000 * DATAGRAM;
        cc.ops->on_loss(&cc, VLY_S(1), &outage);
        assert_int_equal(cc.cwnd_bytes, 2400);
        ssthresh_bytes = cc.ssthresh_bytes;
        assert_in_range(ssthresh_bytes, 500 * DATAGRAM, 700 * DATAGRAM);
        /* The outage goes on: what it was before is not forgotten. */
        cc.ops->on_loss(&cc, VLY_S(2), &outage);
        assert_int_equal(cc.cwnd_bytes, 2400);
        assert_int_equal(cc.ssthresh_bytes, ssthresh_bytes);
        assert_true(vly_cc_in_slow_start(&cc));
        cc.ops->on_undo(&cc, VLY_S(3));
        assert_int_equal(cc.cwnd_bytes, 1000 * DATAGRAM);
        assert_int_equal(cc.ssthresh_bytes, UINT64_MAX);
    }
}

static void test_cc_window_never_falls_below_the_minimum(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(windowed); i++) {
        struct vly_cc cc;

        vly_cc_init(&cc, windowed[i], DATAGRAM, 0, 0);
        for (unsigned n = 0; n < 20; n++)
            on_loss(&cc, VLY_S(1) * n);
        assert_int_equal(cc.cwnd_bytes, 2400);
        assert_int_equal(cc.ssthresh_bytes, 2400);
    }
}

/* RULE 27 */
static void test_cc_no_growth_when_application_limited_or_in_recovery(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(windowed); i++) {
        for (unsigned variant = 0; variant < 6; variant++) {
            struct vly_ack_sample s = ack_of(10 * DATAGRAM);
            struct vly_cc cc;
            uint64_t before;

            vly_cc_init(&cc, windowed[i], DATAGRAM, 0, 0);
            if (variant / 2 == 1) /* avoidance; 0: first slow start; 2: a later one */
                cc.ssthresh_bytes = cc.cwnd_bytes;
            else if (variant / 2 == 2)
                cc.ssthresh_bytes = 2 * cc.cwnd_bytes;
            if (variant % 2 == 0)
                s.cwnd_limited = false;
            else
                s.in_recovery = true;
            before = cc.cwnd_bytes;
            for (unsigned n = 0; n < 1000; n++)
                on_ack(&cc, VLY_MS(50) * n, &s);
            assert_int_equal(cc.cwnd_bytes, before);
        }
    }
}

/* RULE 28: the same bytes, acknowledged at once or by the piece, give the same window. */
static void test_cc_splitting_acks_gains_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(windowed); i++) {
        for (unsigned in_avoidance = 0; in_avoidance < 2; in_avoidance++) {
            struct vly_ack_sample whole = ack_of(100 * DATAGRAM), piece = ack_of(100);
            struct vly_cc a, b;

            vly_cc_init(&a, windowed[i], DATAGRAM, 0, 0);
            if (in_avoidance)
                init_in_avoidance(&a, windowed[i], 100 * DATAGRAM);
            b = a;
            for (unsigned n = 1; n <= 10; n++) {
                on_ack(&a, VLY_MS(50) * n, &whole);
                for (unsigned k = 0; k < 100 * DATAGRAM / 100; k++)
                    on_ack(&b, VLY_MS(50) * n, &piece);
            }
            assert_true(a.cwnd_bytes > 100 * DATAGRAM);
            /* Each piece sees a window that has grown by the pieces before: never more. */
            assert_in_range(b.cwnd_bytes, a.cwnd_bytes - 2 * DATAGRAM, a.cwnd_bytes);
        }
    }
}

/* RULE 23 */
static void test_cc_undo_restores_the_window(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(windowed); i++) {
        struct vly_cc cc;

        /* In slow start: it goes on. */
        vly_cc_init(&cc, windowed[i], DATAGRAM, 0, 0);
        cc.cwnd_bytes = 500 * DATAGRAM;
        on_loss(&cc, VLY_S(1));
        assert_true(cc.cwnd_bytes < 500 * DATAGRAM);
        assert_false(vly_cc_in_slow_start(&cc));
        cc.ops->on_undo(&cc, VLY_S(2));
        assert_int_equal(cc.cwnd_bytes, 500 * DATAGRAM);
        assert_true(vly_cc_in_slow_start(&cc));
        /* Once only. */
        cc.cwnd_bytes = 400 * DATAGRAM;
        cc.ops->on_undo(&cc, VLY_S(3));
        assert_int_equal(cc.cwnd_bytes, 400 * DATAGRAM);
        /* What has grown beyond it since stays. */
        init_in_avoidance(&cc, windowed[i], 10 * DATAGRAM);
        on_loss(&cc, VLY_S(4));
        cc.cwnd_bytes = 30 * DATAGRAM;
        cc.ops->on_undo(&cc, VLY_S(5));
        assert_int_equal(cc.cwnd_bytes, 30 * DATAGRAM);
        assert_int_equal(cc.ssthresh_bytes, 10 * DATAGRAM);
    }
}

static void test_cc_window_has_a_largest_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(windowed); i++) {
        struct vly_ack_sample s = ack_of(VLY_CC_CWND_MAX);
        struct vly_cc cc;

        vly_cc_init(&cc, windowed[i], DATAGRAM, 0, 0);
        for (unsigned n = 0; n < 3; n++)
            on_ack(&cc, VLY_MS(50) * n, &s);
        assert_int_equal(cc.cwnd_bytes, VLY_CC_CWND_MAX);
        init_in_avoidance(&cc, windowed[i], VLY_CC_CWND_MAX - 1);
        for (unsigned n = 0; n < 1000; n++)
            on_ack(&cc, VLY_MS(50) * n, &s);
        assert_int_equal(cc.cwnd_bytes, VLY_CC_CWND_MAX);
    }
}

static void test_cc_fixed_keeps_its_rate(void **state)
{
    struct vly_ack_sample s = ack_of(DATAGRAM);
    struct vly_cc cc;

    (void)state;
    vly_cc_init(&cc, &vly_cc_fixed_ops, DATAGRAM, 12500000, 0);
    assert_int_equal(cc.cwnd_bytes, 64 * DATAGRAM);
    /* Paced even where there is no sample, and on the shortest path. */
    assert_int_equal(vly_cc_pacing_bytes_per_s(&cc, 0, VLY_NEVER), 12500000);
    assert_int_equal(vly_cc_pacing_bytes_per_s(&cc, VLY_US(30), VLY_US(20)), 12500000);
    on_ack(&cc, VLY_S(1), &s);
    assert_int_equal(cc.cwnd_bytes, 1250000); /* twice 50 ms of 12.5 MB/s */
    on_loss(&cc, VLY_S(1));
    cc.ops->on_loss(&cc, VLY_S(1), &(struct vly_loss_sample){.persistent = true});
    cc.ops->on_undo(&cc, VLY_S(1));
    assert_int_equal(cc.cwnd_bytes, 1250000);
    assert_int_equal(vly_cc_pacing_bytes_per_s(&cc, VLY_MS(50), VLY_MS(50)), 12500000);
    s.smoothed_rtt_ns = VLY_US(10);
    on_ack(&cc, VLY_S(2), &s);
    assert_int_equal(cc.cwnd_bytes, 64 * DATAGRAM);
    vly_cc_init(&cc, &vly_cc_fixed_ops, DATAGRAM, UINT64_MAX, 0);
    on_ack(&cc, VLY_S(2), &s);
    assert_int_equal(cc.cwnd_bytes, VLY_CC_CWND_MAX);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cc_table),
        cmocka_unit_test(test_cc_initial_window),
        cmocka_unit_test(test_cc_pacing_rate),
        cmocka_unit_test(test_cc_persistent_congestion_falls_to_the_minimum),
        cmocka_unit_test(test_cc_window_never_falls_below_the_minimum),
        cmocka_unit_test(test_cc_no_growth_when_application_limited_or_in_recovery),
        cmocka_unit_test(test_cc_splitting_acks_gains_nothing),
        cmocka_unit_test(test_cc_undo_restores_the_window),
        cmocka_unit_test(test_cc_window_has_a_largest_size),
        cmocka_unit_test(test_cc_fixed_keeps_its_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
