/*
 * cc_reno: RFC 9002 appendix B, window by window.
 */
#include "proto/cc.h"

#include "support/support.h"

#define DATAGRAM 1200u

static const struct vly_loss_sample loss = {.lost_bytes = DATAGRAM};

/* One round trip: the whole window is acknowledged, two datagrams an ACK. */
static void round_trip(struct vly_cc *cc, uint64_t now_ns)
{
    struct vly_ack_sample s = {.smoothed_rtt_ns = VLY_MS(50),
                               .latest_rtt_ns = VLY_MS(50),
                               .min_rtt_ns = VLY_MS(50),
                               .cwnd_limited = true};

    for (uint64_t left = cc->cwnd_bytes; left > 0; left -= s.acked_bytes) {
        s.acked_bytes = left < 2 * DATAGRAM ? left : 2 * DATAGRAM;
        cc->ops->on_ack(cc, now_ns, &s);
    }
}

static void test_cc_reno_slow_start_doubles(void **state)
{
    struct vly_cc cc;

    (void)state;
    vly_cc_init(&cc, &vly_cc_reno_ops, DATAGRAM, 0, 0);
    for (uint64_t n = 0; n < 10; n++) {
        assert_int_equal(cc.cwnd_bytes, (12000u << n));
        round_trip(&cc, VLY_MS(50) * n);
    }
}

/* RULE 28 */
static void test_cc_reno_avoidance_adds_a_datagram_a_round_trip(void **state)
{
    struct vly_cc cc;

    (void)state;
    vly_cc_init(&cc, &vly_cc_reno_ops, DATAGRAM, 0, 0);
    cc.ssthresh_bytes = cc.cwnd_bytes;
    for (uint64_t n = 0; n < 100; n++) {
        assert_int_equal(cc.cwnd_bytes, 12000 + n * DATAGRAM);
        round_trip(&cc, VLY_MS(50) * n);
    }
}

static void test_cc_reno_loss_halves(void **state)
{
    static const struct {
        const char *name;
        uint64_t cwnd_bytes, after_bytes;
    } cases[] = {
        {"half", 120000, 60000},
        {"an odd window", 120001, 60000},
        {"not below two datagrams", 3600, 2400},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_cc cc;

        print_message("  %s\n", cases[i].name);
        vly_cc_init(&cc, &vly_cc_reno_ops, DATAGRAM, 0, 0);
        cc.cwnd_bytes = cases[i].cwnd_bytes;
        cc.ops->on_loss(&cc, VLY_S(1), &loss);
        assert_int_equal(cc.cwnd_bytes, cases[i].after_bytes);
        assert_int_equal(cc.ssthresh_bytes, cases[i].after_bytes);
        assert_false(vly_cc_in_slow_start(&cc));
    }
}

/* What was counted towards the next datagram belongs to the window before the loss. */
static void test_cc_reno_loss_forgets_what_was_counted(void **state)
{
    struct vly_ack_sample s = {.cwnd_limited = true, .acked_bytes = 23999};
    struct vly_cc cc;

    (void)state;
    vly_cc_init(&cc, &vly_cc_reno_ops, DATAGRAM, 0, 0);
    cc.cwnd_bytes = cc.ssthresh_bytes = 24000;
    cc.ops->on_ack(&cc, 0, &s);
    cc.ops->on_loss(&cc, 0, &loss);
    s.acked_bytes = 11999;
    cc.ops->on_ack(&cc, 0, &s);
    assert_int_equal(cc.cwnd_bytes, 12000);
    s.acked_bytes = 1;
    cc.ops->on_ack(&cc, 0, &s);
    assert_int_equal(cc.cwnd_bytes, 13200);
}

static void test_cc_reno_slow_start_after_persistent_congestion(void **state)
{
    struct vly_cc cc;

    (void)state;
    vly_cc_init(&cc, &vly_cc_reno_ops, DATAGRAM, 0, 0);
    cc.cwnd_bytes = 96000;
    cc.ops->on_loss(&cc, 0, &(struct vly_loss_sample){.persistent = true});
    for (uint64_t n = 0; vly_cc_in_slow_start(&cc); n++) {
        assert_int_equal(cc.cwnd_bytes, (2400u << n));
        round_trip(&cc, VLY_MS(50) * n);
    }
    /* The ACK that crossed ssthresh, 48000, was the last to count fully. */
    assert_in_range(cc.cwnd_bytes, 48000, 48000 + 2 * DATAGRAM);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cc_reno_slow_start_doubles),
        cmocka_unit_test(test_cc_reno_avoidance_adds_a_datagram_a_round_trip),
        cmocka_unit_test(test_cc_reno_loss_halves),
        cmocka_unit_test(test_cc_reno_loss_forgets_what_was_counted),
        cmocka_unit_test(test_cc_reno_slow_start_after_persistent_congestion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
