/*
 * The congestion window: kept to, not grown without need, reduced by marks and restored by nothing
 * else. Link of 100 Mbit/s and 20 ms round trip.
 */
#include "support/scenario.h"

#include <inttypes.h>

#define LINK .rate_bytes_per_s = 100 * SCENARIO_MBIT, .delay_ns = VLY_MS(10)

/* RULE 26: the world compares what is in flight with the window around each send, through loss,
 * marks, reordering, probes and every controller; here they all happen. */
static void test_in_flight_keeps_to_the_window(void **state)
{
    static const char *const names[] = {"reno", "cubic", "fixed"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct scenario s;

        scenario_init(&s, scenario_first_seed());
        scenario_conn(&s, &(struct vly_conn_config){.cc = vly_cc_find(names[i]),
                                                    .rate_bytes_per_s = 40 * SCENARIO_MBIT});
        scenario_link(&s,
                      &(struct vly_link_spec){LINK, .loss = 0.01, .ce_mark = 0.002, .reorder = 0.02,
                                              .reorder_ns = VLY_MS(12), .queue_bytes = 100000});
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 5000000});
        scenario_run(&s, VLY_S(60));
        assert_true(s.sender.congestion_events > 10);
        assert_true(s.sender.in_flight_max_bytes > 20000);
        scenario_fini(&s);
    }
}

/* RULE 27. A window counts as used when half of it is in flight and only pacing holds the rest
 * back; the round trip that reaches this adds one more half. So it stays below three times what was
 * in flight, and, which is the point, does not depend on how long this goes on. */
static void assert_window_is_used(const struct vly_conn_config *conn, struct vly_bulk_spec spec)
{
    uint64_t cwnd_bytes[2];

    for (int i = 0; i < 2; i++, spec.bytes *= 3) {
        struct scenario s;

        scenario_init(&s, 1);
        scenario_conn(&s, conn);
        scenario_link(&s, &(struct vly_link_spec){LINK});
        scenario_transfer(&s, &spec);
        scenario_run(&s, VLY_S(30));
        assert_int_equal(s.sender.retransmits, 0);
        assert_true(s.sender.cwnd_bytes < 3 * s.sender.in_flight_max_bytes);
        cwnd_bytes[i] = s.sender.cwnd_bytes;
        scenario_fini(&s);
    }
    assert_true(cwnd_bytes[1] <= cwnd_bytes[0] + 2 * 1472);
}

/* RULE 27: an application that writes 1 MB/s, 20 KB a round trip. */
static void test_window_does_not_grow_unused(void **state)
{
    const struct vly_conn_config conn = {0};

    (void)state;
    assert_window_is_used(&conn,
                          (struct vly_bulk_spec){.bytes = 3000000, .write_bytes_per_s = 1000000});
}

/* RULE 27: credit for 64 KiB a round trip. */
static void test_window_does_not_grow_without_credit(void **state)
{
    const struct vly_conn_config conn = {.window_bytes = 65536, .window_max_bytes = 65536};

    (void)state;
    assert_window_is_used(&conn, (struct vly_bulk_spec){.bytes = 5000000});
}

/* CE marks in 1 % of the packets: each is reported, each round trip with one reduces the window
 * once, as a loss does, but nothing is sent again. Pace as with 1 % loss, test_loss.c: 1.1 s for
 * each MB. */
static void test_ecn_marks_reduce_without_loss(void **state)
{
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_link(&s, &(struct vly_link_spec){LINK, .queue_bytes = 4000000});
    s.link[TO_CLIENT].ce_mark = 0.01;
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 5000000});
    scenario_run(&s, VLY_S(30));
    assert_int_equal(s.sender.retransmits, 0);
    /* The end of the transfer may come with marks that are not reported any more. */
    assert_in_range(s.sender.ecn_ce, scenario_counters(&s, TO_CLIENT)->ce_marked_pkts - 2,
                    scenario_counters(&s, TO_CLIENT)->ce_marked_pkts);
    assert_in_range(s.sender.congestion_events, s.sender.ecn_ce / 2, s.sender.ecn_ce);
    assert_in_range(s.elapsed_ns, VLY_S(2), VLY_S(9));
    scenario_fini(&s);
}

/* Two flows through one bottleneck of the server: after 20 s neither had less than a quarter of the
 * link, and together they filled it. */
static void test_two_flows_share(void **state)
{
    const struct vly_bulk_spec spec = {.bytes = UINT64_C(1) << 40, .order = VLY_ANY_ORDER};
    const struct vly_endpoint_config client = {.allow_plain = true};
    const struct vly_link_spec link = {LINK};
    const uint64_t seconds = scenario_scaled(20, 8);
    const uint64_t link_bytes = seconds * 100 * SCENARIO_MBIT;
    struct vly_conn_stats stats[2];
    struct vly_bulk second;
    struct scenario s;

    (void)state;
    scenario_init(&s, scenario_first_seed());
    scenario_link(&s, &link);
    scenario_build(&s);
    assert_int_equal(vly_world_add_node(s.world, &client), 0);
    assert_int_equal(vly_world_add_link(s.world, 2, SERVER, &link), 0);
    assert_int_equal(vly_world_share_link(s.world, SERVER, 2, CLIENT), 0);
    scenario_transfer(&s, &spec);
    assert_int_equal(vly_bulk_join(&second, &s.bulk, 2, &spec), 0);
    scenario_run_any(&s, VLY_S(seconds));
    vly_bulk_stats(&s.bulk, VLY_CLIENT, &stats[0]);
    vly_bulk_stats(&second, VLY_CLIENT, &stats[1]);
    for (int i = 0; i < 2; i++)
        print_message("  %" PRIu64 " MB\n", stats[i].stream_bytes_received / 1000000);
    assert_true(stats[0].stream_bytes_received > link_bytes / 4);
    assert_true(stats[1].stream_bytes_received > link_bytes / 4);
    assert_true(stats[0].stream_bytes_received + stats[1].stream_bytes_received >
                link_bytes / 100 * 93);
    vly_bulk_fini(&second);
    scenario_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_flight_keeps_to_the_window),
        cmocka_unit_test(test_window_does_not_grow_unused),
        cmocka_unit_test(test_window_does_not_grow_without_credit),
        cmocka_unit_test(test_ecn_marks_reduce_without_loss),
        cmocka_unit_test(test_two_flows_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
