/*
 * The end of a flight is lost: nothing that follows tells of it, so that only the probe timer can.
 * Link of 100 Mbit/s and 40 ms round trip. Set-up takes two round trips and half of one until the
 * server may send: data begins at 100 ms.
 */
#include "support/scenario.h"

#define PACKET 1400u /* less than a packet holds, with room for its other frames */

static void begin(struct scenario *s)
{
    scenario_init(s, 1);
    scenario_link(s, &(struct vly_link_spec){.rate_bytes_per_s = 100 * SCENARIO_MBIT,
                                             .delay_ns = VLY_MS(20)});
}

/* Four packets, the last three of them lost, then the first repair too (RFC 8985 3.4).
 *
 *   ms        server                        client
 *   100        P0 P1 P2 P3 ----x  --------->     P0 arrives
 *   145           <------------------- ACK P0    after max_ack_delay
 *   209        P4 = P1 -----x                    PTO after P3, with RTT samples of 40 and 45 ms:
 *              P5 = P2 -------------------->     43 + 4 * 14 + 5 = 105 ms
 *   249           <------------------- ACK P5
 *              P6 = P1, P7 = P3 ----------->     P1, P3 are lost by the packet threshold
 *   254        P8 = P1 -------------------->     P4 is lost by the time threshold, rtt / 8 later
 *   290           <------------------- ACK P7
 */
static void test_tail_loss_repair_also_lost(void **state)
{
    struct scenario s;

    (void)state;
    begin(&s);
    for (uint64_t nth = 2; nth <= 5; nth++)
        scenario_drop(&s, TO_CLIENT, PKT_STREAM, nth);
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 4 * PACKET});
    scenario_run(&s, VLY_S(2));
    assert_int_equal(s.sender.pto_count, 1);
    assert_int_equal(s.sender.probes_sent, 2);
    assert_int_equal(s.sender.lost_packets, 4);
    assert_int_equal(s.sender.spurious_losses, 0);
    assert_in_range(s.sender.retransmits, 5, 6); /* P4 to P8; P2 was lost, too */
    assert_in_range(s.elapsed_ns, VLY_MS(270), VLY_MS(310));
    scenario_fini(&s);
}

/* RULE 22: the last k of 20 packets are lost, each k that lies within the second and last flight.
 * One timeout finds out; its probes tell which are lost, these go out again at once, and the timer
 * itself declares nothing lost.
 *
 * Without loss the transfer takes 190 ms. The probe timer is a PTO after the last packet, about 145
 * ms with RTT samples of 40 to 45 ms; then a round trip to learn from the probe, one and the
 * reordering time for the repairs, paced: together less than 150 ms more. */
static void test_tail_loss_of_each_last_k(void **state)
{
    (void)state;
    for (unsigned k = 1; k <= 10; k++) {
        struct scenario s;

        begin(&s);
        for (unsigned nth = 20 - k + 1; nth <= 20; nth++)
            scenario_drop(&s, TO_CLIENT, PKT_STREAM, nth);
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 20 * PACKET});
        scenario_run(&s, VLY_S(5));
        assert_int_equal(s.sender.pto_count, 1);
        assert_int_equal(s.sender.probes_sent, 2);
        assert_int_equal(s.sender.lost_packets, k);
        assert_int_equal(s.sender.spurious_losses, 0);
        assert_int_equal(s.sender.persistent_congestions, 0);
        assert_in_range(s.sender.retransmits, k, k + 2); /* and the two probes */
        assert_in_range(s.elapsed_ns, VLY_MS(190), VLY_MS(340));
        scenario_fini(&s);
    }
}

/* The whole first flight is lost, so that there is no RTT sample of data: the PTO is that of the
 * client's PING or the initial 100 + 4 * 50 + 5 = 305 ms. */
static void test_tail_loss_of_everything(void **state)
{
    struct scenario s;

    (void)state;
    begin(&s);
    for (uint64_t nth = 1; nth <= 10; nth++)
        scenario_drop(&s, TO_CLIENT, PKT_STREAM, nth);
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 10 * PACKET});
    scenario_run(&s, VLY_S(5));
    assert_in_range(s.sender.pto_count, 1, 1);
    assert_in_range(s.sender.retransmits, 10, 12);
    assert_true(s.elapsed_ns < VLY_MS(100 + 305 + 150));
    scenario_fini(&s);
}

/* Only acknowledgements are lost at the end, the last three of them: the sender probes, and learns
 * that all is there. Nothing was lost on the way, and nothing is declared so. */
static void test_tail_loss_of_acks(void **state)
{
    struct scenario plain, s;

    (void)state;
    begin(&plain);
    scenario_drop(&plain, TO_SERVER, PKT_ACK, 1000); /* never: counts */
    scenario_transfer(&plain, &(struct vly_bulk_spec){.bytes = 20 * PACKET});
    scenario_run(&plain, VLY_S(5));
    begin(&s);
    for (uint64_t i = 0; i < 3; i++)
        scenario_drop(&s, TO_SERVER, PKT_ACK, plain.sent[TO_SERVER][PKT_ACK] - i);
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 20 * PACKET});
    scenario_run(&s, VLY_S(5));
    assert_int_equal(s.sender.lost_packets, 0);
    assert_in_range(s.sender.pto_count, 1, 1);
    assert_true(s.elapsed_ns < plain.elapsed_ns + VLY_MS(200)); /* a PTO and a round trip */
    scenario_fini(&plain);
    scenario_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tail_loss_repair_also_lost),
        cmocka_unit_test(test_tail_loss_of_each_last_k),
        cmocka_unit_test(test_tail_loss_of_everything),
        cmocka_unit_test(test_tail_loss_of_acks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
