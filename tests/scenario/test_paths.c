/*
 * Paths from 50 us to 2 s of round trip, slow and fast, with large and small datagrams.
 */
#include "support/scenario.h"

#include <inttypes.h>

/* 20 MB at 100 Mbit/s need 1.6 s. The rest is a matter of round trips: three and a half of set-up
 * and the last acknowledgement; slow start doubles ten packets until they fill the path or are all
 * of the 14,000, eleven times at most; and four more for what the exit from slow start (RFC 9406:
 * five rounds of a quarter) and the growth of the receive window cost. With no delay it is 60 ms of
 * queue instead. */
static void test_round_trip_times(void **state)
{
    static const uint64_t delays_ns[] = {VLY_US(25), VLY_US(250), VLY_MS(5),
                                         VLY_MS(50), VLY_MS(375), VLY_S(1)};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(delays_ns); i++) {
        const uint64_t rtt_ns = 2 * delays_ns[i];
        struct scenario s;

        scenario_init(&s, 1);
        scenario_link(&s, &(struct vly_link_spec){.rate_bytes_per_s = 100 * SCENARIO_MBIT,
                                                  .delay_ns = delays_ns[i]});
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 20000000});
        scenario_run(&s, VLY_S(120));
        print_message(
            "  %8" PRIu64 " us: %6" PRIu64 " ms, %4" PRIu64 " of %" PRIu64 " packets sent again\n",
            rtt_ns / 1000, s.elapsed_ns / 1000000, s.sender.retransmits, s.sender.packets_sent);
        assert_true(s.elapsed_ns < VLY_MS(1600) / 100 * 104 + 19 * rtt_ns + VLY_MS(60));
        assert_int_equal(s.sender.spurious_losses, 0);
        assert_int_equal(s.sender.lost_packets,
                         scenario_counters(&s, TO_CLIENT)->queue_dropped_pkts);
        /* Until its first sample the server takes the path for one of 100 ms: it probes after 305
         * ms, and then each 500. */
        assert_true(s.sender.pto_count <=
                    (rtt_ns < VLY_MS(305) ? 0 : 1 + (rtt_ns - VLY_MS(305)) / VLY_MS(500)));
        /* Slow start oversteps by a path and a queue at most (as long, but 64 KiB at least); 0.7 of
         * twice that is too much still, for which half a path more is lost. Later each fill of the
         * queue costs a few packets. */
        assert_true(s.sender.retransmits * 1472 <
                    5 * (rtt_ns / 80 + 65536) / 2 + s.sender.congestion_events * 4 * 1472);
        scenario_fini(&s);
    }
}

/* From a modem to a network card, at 10 ms. A hundred times the rate, a hundred times the bytes:
 * each transfer is 4 s of bytes; slow start finds all these rates in seven to fifteen round trips,
 * and the share of headers in a packet (41 of 1472 bytes, 3 %) is the same. */
static void test_rates(void **state)
{
    static const uint64_t rates_kbit[] = {56, 1000, 10000, 100000, 1000000};
    const size_t n = (size_t)scenario_scaled(ARRAY_LEN(rates_kbit), ARRAY_LEN(rates_kbit) - 1);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const uint64_t rate = rates_kbit[i] * 125;
        struct scenario s;

        scenario_init(&s, 1);
        scenario_link(&s, &(struct vly_link_spec){.rate_bytes_per_s = rate, .delay_ns = VLY_MS(5)});
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 4 * rate, .order = VLY_ANY_ORDER});
        scenario_run(&s, VLY_S(120));
        print_message("  %7" PRIu64 " kbit/s: %5" PRIu64 " ms\n", rates_kbit[i],
                      s.elapsed_ns / 1000000);
        /* At 56 kbit/s a HELLO alone takes 170 ms, a data packet 210: four of them for the set-up.
         */
        assert_true(s.elapsed_ns < VLY_S(4) / 100 * 104 + VLY_MS(200) + 4 * 1472 * VLY_S(1) / rate);
        assert_int_equal(s.sender.spurious_losses, 0);
        scenario_fini(&s);
    }
}

/* Datagrams from the smallest path MTU to the largest there are, with 1 % of them lost. */
static void test_datagram_sizes(void **state)
{
    static const uint32_t sizes[] = {1200, 1472, 8972, 65507};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const double packets = 10e6 / sizes[i];
        struct scenario s;

        scenario_init(&s, 1);
        scenario_conn(&s, &(struct vly_conn_config){.max_datagram_bytes = sizes[i]});
        scenario_link(&s, &(struct vly_link_spec){.rate_bytes_per_s = 100 * SCENARIO_MBIT,
                                                  .delay_ns = VLY_MS(10),
                                                  .queue_bytes = 10000000,
                                                  .loss = 0.01});
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 10000000});
        scenario_run(&s, VLY_S(120));
        /* As test_loss.c: 1.01 % again, and 5 deviations; two probes where few packets are in
         * flight. */
        assert_true((double)s.sender.retransmits < packets * 0.0101 + 5 * 0.1 * 100 / 4 + 20);
        /* Twelve datagrams a round trip, more where that is more than the link's rate; five times.
         */
        assert_true((double)s.elapsed_ns / 1e9 < 1.5 + 5 * packets / 12 * 0.02);
        scenario_fini(&s);
    }
}

/* A peer may announce that it reads small datagrams only: the sender keeps to that. */
static void test_announced_datagram_size(void **state)
{
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_conn(&s, &(struct vly_conn_config){.max_datagram_bytes = 9000});
    s.config[CLIENT].conn.announced_datagram_bytes = 1300;
    scenario_link(&s, &(struct vly_link_spec){.delay_ns = VLY_MS(10)});
    s.link[TO_CLIENT].mtu_bytes = 1300;
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 1000000});
    scenario_run(&s, VLY_S(10));
    assert_int_equal(scenario_counters(&s, TO_CLIENT)->mtu_dropped_pkts, 0);
    assert_int_equal(s.sender.retransmits, 0);
    scenario_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_times),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_datagram_sizes),
        cmocka_unit_test(test_announced_datagram_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
