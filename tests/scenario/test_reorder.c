/*
 * Packets overtake each other, come twice, or come so late that they were given up.
 * Link of 100 Mbit/s and 20 ms round trip: a packet each 118 us.
 */
#include "support/scenario.h"

/* Deep, so that nothing is lost; the window below keeps what is in flight at four BDPs. */
#define LINK .rate_bytes_per_s = 100 * SCENARIO_MBIT, .delay_ns = VLY_MS(10), .queue_bytes = 4000000

static const struct vly_conn_config four_bdps = {.window_bytes = 1000000,
                                                 .window_max_bytes = 1000000};

/* RULE 21. The first round trips, until the reordering window has grown to the depth at hand, cost
 * some packets: at most one in a thousand of 35,000. Each is seen to be spurious, so that the
 * transfer takes as long as without: 4 s of bytes, 0.17 s of set-up and slow start, 5 % to spare.
 */
static void test_reorder_alone_causes_no_retransmission(void **state)
{
    static const struct {
        const char *name;
        struct vly_link_spec to_client, to_server;
    } rows[] = {
        {"10 % held back 8 packets", {LINK, .reorder = 0.1, .reorder_ns = VLY_MS(1)}, {LINK}},
        {"50 % held back 8 packets", {LINK, .reorder = 0.5, .reorder_ns = VLY_MS(1)}, {LINK}},
        {"10 % held back 42 packets", {LINK, .reorder = 0.1, .reorder_ns = VLY_MS(5)}, {LINK}},
        {"1 % held back 85 packets", {LINK, .reorder = 0.01, .reorder_ns = VLY_MS(10)}, {LINK}},
        {"jitter of 42 packets", {LINK, .reorder = 1e-9, .jitter_ns = VLY_MS(5)}, {LINK}},
        {"acknowledgements", {LINK}, {LINK, .reorder = 0.3, .reorder_ns = VLY_MS(5)}},
    };

    const uint64_t bytes = scenario_scaled(100, 25) * 1000000;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct scenario s;

        scenario_init(&s, scenario_first_seed());
        scenario_conn(&s, &four_bdps);
        s.link[TO_CLIENT] = rows[i].to_client;
        s.link[TO_SERVER] = rows[i].to_server;
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = bytes});
        scenario_run(&s, VLY_S(60));
        print_message("  %-26s %llu of %llu packets sent again, %llu ms\n", rows[i].name,
                      (unsigned long long)s.sender.retransmits,
                      (unsigned long long)s.sender.packets_sent,
                      (unsigned long long)s.elapsed_ns / 1000000);
        assert_true(s.sender.retransmits <= 64);
        assert_int_equal(s.sender.spurious_losses, s.sender.lost_packets);
        assert_int_equal(s.sender.pto_count, 0);
        assert_true((double)s.elapsed_ns / 1e9 < (0.17 + (double)bytes / 12.5e6) * 1.05);
        scenario_fini(&s);
    }
}

/* A thousand packets overtake at 1 Gbit/s: one in a thousand is held back 12 ms. */
static void test_reorder_by_a_thousand_packets(void **state)
{
    const struct vly_link_spec fast = {
        .rate_bytes_per_s = 1000 * SCENARIO_MBIT, .delay_ns = VLY_MS(10), .queue_bytes = 40000000};
    const uint64_t bytes = scenario_scaled(100, 25) * 1000000;
    struct scenario s;

    (void)state;
    scenario_init(&s, scenario_first_seed());
    scenario_conn(&s,
                  &(struct vly_conn_config){.window_bytes = 8000000, .window_max_bytes = 8000000});
    scenario_link(&s, &fast);
    s.link[TO_CLIENT].reorder = 0.001;
    s.link[TO_CLIENT].reorder_ns = VLY_MS(12);
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = bytes});
    scenario_run(&s, VLY_S(10));
    assert_true(s.sender.retransmits <= 64);
    assert_int_equal(s.sender.spurious_losses, s.sender.lost_packets);
    /* 250 ms of slow start. */
    assert_true((double)s.elapsed_ns / 1e9 < (0.25 + (double)bytes / 125e6) * 1.1);
    scenario_fini(&s);
}

/* RULE 11, RULE 18: every datagram may come twice, out of turn. Nothing is sent again, nothing is
 * handed on twice (bulk.h), and the time is that of a transfer without: 80 ms of bytes, 140 of
 * set-up and slow start. */
static void test_duplicates_change_nothing(void **state)
{
    struct scenario s;

    (void)state;
    for (enum vly_order order = VLY_IN_ORDER; order <= VLY_ANY_ORDER; order++) {
        scenario_init(&s, scenario_first_seed());
        scenario_link(&s, &(struct vly_link_spec){LINK, .duplicate = 0.3});
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 1000000, .order = order});
        scenario_run(&s, VLY_S(2));
        assert_int_equal(s.sender.retransmits, 0);
        assert_in_range(s.receiver.duplicates_received, 150, 270); /* 0.3 * 700, 5 deviations */
        assert_int_equal(s.receiver.stream_bytes_received, 1000000);
        assert_true(s.elapsed_ns < VLY_MS(225));
        scenario_fini(&s);
    }
}

/* The receive window keeps the link's queue empty: what is held up is so by that time alone. */
static const struct vly_conn_config no_queue = {.window_bytes = 400000, .window_max_bytes = 400000};

struct window {
    uint64_t before_bytes, reduced_bytes, after_bytes;
};

/* The congestion window of the sender as it was before, lowest, and at the end. */
static void follow_window(struct scenario *s, struct window *w)
{
    bool goes_on;

    *w = (struct window){0};
    do {
        goes_on = scenario_continue(s, VLY_MS(1));
        if (s->sender.congestion_events == 0)
            w->before_bytes = s->sender.cwnd_bytes;
        else if (w->reduced_bytes == 0 || s->sender.cwnd_bytes < w->reduced_bytes)
            w->reduced_bytes = s->sender.cwnd_bytes;
    } while (goes_on);
    w->after_bytes = s->sender.cwnd_bytes;
}

/* RULE 23: one packet comes 20 ms late, a round trip, after it was given up and sent again. Its
 * late acknowledgement takes the reduction back. */
static void test_spurious_loss_is_undone(void **state)
{
    struct window w;
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_conn(&s, &no_queue);
    scenario_link(&s, &(struct vly_link_spec){LINK});
    scenario_hold(&s, TO_CLIENT, PKT_STREAM, 1500, VLY_MS(10) + VLY_MS(20));
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 5000000});
    follow_window(&s, &w);
    scenario_run(&s, VLY_S(5));
    assert_int_equal(s.sender.retransmits, 1);
    assert_int_equal(s.sender.spurious_losses, 1);
    assert_int_equal(s.sender.congestion_events, 1);
    assert_int_equal(s.sender.undos, 1);
    assert_int_equal(s.receiver.duplicates_received,
                     0); /* another number: not a duplicate packet */
    assert_true(w.reduced_bytes < w.before_bytes * 3 / 4); /* CUBIC: 0.7 */
    assert_true(w.after_bytes >= w.before_bytes);
    scenario_fini(&s);
}

/* The counterpart: it never comes, and the window stays reduced. */
static void test_true_loss_is_not_undone(void **state)
{
    struct window w;
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_conn(&s, &no_queue);
    scenario_link(&s, &(struct vly_link_spec){LINK});
    scenario_drop(&s, TO_CLIENT, PKT_STREAM, 1500);
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 5000000});
    follow_window(&s, &w);
    scenario_run(&s, VLY_S(5));
    assert_int_equal(s.sender.retransmits, 1);
    assert_int_equal(s.sender.lost_packets, 1);
    assert_int_equal(s.sender.undos, 0);
    assert_true(w.reduced_bytes < w.before_bytes * 3 / 4);
    scenario_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reorder_alone_causes_no_retransmission),
        cmocka_unit_test(test_reorder_by_a_thousand_packets),
        cmocka_unit_test(test_duplicates_change_nothing),
        cmocka_unit_test(test_spurious_loss_is_undone),
        cmocka_unit_test(test_true_loss_is_not_undone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
