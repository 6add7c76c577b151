/*
 * The path breaks and heals, or changes under way.
 * Link of 100 Mbit/s and 20 ms round trip; 20 MB take 1.7 s without trouble.
 */
#include "support/scenario.h"

#define BYTES 20000000u
#define LINK .rate_bytes_per_s = 100 * SCENARIO_MBIT, .delay_ns = VLY_MS(10)
#define BEGIN_NS VLY_MS(500)
#define PTO_MAX_NS VLY_MS(500)

static void begin(struct scenario *s)
{
    scenario_init(s, 1);
    scenario_link(s, &(struct vly_link_spec){LINK});
    scenario_transfer(s, &(struct vly_bulk_spec){.bytes = BYTES});
}

/* RULE 25: after five seconds of nothing the transfer goes on by itself.
 *
 * At most one probe interval after the path has healed a probe gets through. Two round trips later
 * what was in flight is known to be lost; the window grows from two packets to the 170 of the path
 * in seven round trips, 0.2 s in all. Some 15 MB are left: 1.2 s, with a tenth for CUBIC finding
 * its level. */
static void test_blackout_heals(void **state)
{
    const uint64_t heal_ns = BEGIN_NS + VLY_S(5);
    struct scenario s;

    (void)state;
    begin(&s);
    scenario_outage(&s, BEGIN_NS, heal_ns);
    scenario_run(&s, VLY_S(30));
    assert_true(s.elapsed_ns < heal_ns + PTO_MAX_NS + VLY_MS(200) + VLY_MS(1350));
    assert_int_equal(s.sender.spurious_losses, 0);
    /* What the queue (350 packets with the path) held and what was probed, nothing more. */
    assert_true(s.sender.lost_packets < 2 * 350 + 40);
    /* 100 + 200 + 400 ms, then each 500: 13 timeouts in 5 s, two probes each. */
    assert_in_range(s.sender.pto_count, 11, 14);
    assert_int_equal(s.sender.probes_sent, 2 * s.sender.pto_count);
    scenario_fini(&s);
}

/* RULE 24: the silence was persistent congestion: the window starts again from its minimum, two
 * datagrams, and has at most doubled within the round trip after that is found out. */
static void test_blackout_is_persistent_congestion(void **state)
{
    struct scenario s;

    (void)state;
    begin(&s);
    scenario_outage(&s, BEGIN_NS, BEGIN_NS + VLY_S(3));
    while (s.sender.persistent_congestions == 0)
        assert_true(scenario_continue(&s, VLY_MS(5)));
    assert_true(vly_world_now_ns(s.world) > BEGIN_NS + VLY_S(3));
    assert_true(s.sender.cwnd_bytes <= 4 * 1472);
    scenario_run(&s, VLY_S(30));
    assert_int_equal(s.sender.persistent_congestions, 1);
    scenario_fini(&s);
}

/* Shorter than three PTOs: no persistent congestion. (RTT 20 to 40 ms: a PTO is about 60.) */
static void test_short_outage_is_not_persistent(void **state)
{
    struct scenario s;

    (void)state;
    begin(&s);
    scenario_outage(&s, BEGIN_NS, BEGIN_NS + VLY_MS(50));
    scenario_run(&s, VLY_S(30));
    assert_int_equal(s.sender.persistent_congestions, 0);
    assert_true(s.elapsed_ns < VLY_MS(1700 + 50 + 700)); /* the window is halved once */
    scenario_fini(&s);
}

/* One way only: data arrive, acknowledgements do not. All that the window holds is sent once, then
 * probes alone; nothing is declared lost, for nothing newer is acknowledged; the first
 * acknowledgement settles it all. */
static void test_blackout_of_acknowledgements(void **state)
{
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_link(&s, &(struct vly_link_spec){LINK, .queue_bytes = 4000000});
    scenario_conn(&s,
                  &(struct vly_conn_config){.window_bytes = 1000000, .window_max_bytes = 1000000});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = BYTES});
    scenario_change(&s, TO_SERVER, BEGIN_NS, VLY_LINK_OUTAGE, 1);
    scenario_change(&s, TO_SERVER, BEGIN_NS + VLY_S(3), VLY_LINK_OUTAGE, 0);
    scenario_run(&s, VLY_S(30));
    assert_int_equal(s.sender.lost_packets, s.sender.spurious_losses);
    assert_true(s.sender.retransmits <= s.sender.probes_sent + s.sender.spurious_losses);
    assert_true(s.elapsed_ns < VLY_MS(1700) + VLY_S(3) + PTO_MAX_NS + VLY_MS(300));
    scenario_fini(&s);
}

/* Too long: both sides give up once nothing has come for 10 s, the answer timeout. The sender has
 * been asking for that long; the receiver, which asks nothing, forgets it at its idle timeout of 30
 * s. */
static void test_blackout_for_good(void **state)
{
    struct scenario s;

    (void)state;
    begin(&s);
    scenario_outage(&s, BEGIN_NS, VLY_S(1000));
    scenario_run_any(&s, BEGIN_NS + VLY_S(10) + VLY_MS(200));
    assert_true(s.bulk.side[VLY_SERVER].is_closed);
    assert_int_equal(s.bulk.side[VLY_SERVER].closed.err, VLY_E_LOST);
    scenario_run_any(&s, BEGIN_NS + VLY_S(30) + VLY_MS(200));
    assert_true(s.bulk.side[VLY_CLIENT].is_closed);
    assert_int_equal(s.bulk.side[VLY_CLIENT].closed.err, VLY_E_LOST);
    scenario_fini(&s);
}

/* 5 s off, 2 s on, again and again: each time it gets somewhere. 20 MB need 1.7 s of path, of which
 * each time the search for it (a probe interval, seven round trips) takes up to 0.7 s. */
static void test_blackouts_in_a_row(void **state)
{
    struct scenario s;

    (void)state;
    begin(&s);
    for (uint64_t i = 0; i < 4; i++)
        scenario_outage(&s, BEGIN_NS + i * VLY_S(7), BEGIN_NS + i * VLY_S(7) + VLY_S(5));
    scenario_run(&s, VLY_S(60));
    assert_true(s.elapsed_ns < BEGIN_NS + VLY_S(14)); /* within the second time it is on */
    scenario_fini(&s);
}

/* The rate falls to a tenth: what is in flight overflows the queue once, then the window fits. 4.9
 * MB are through at 500 ms, the rest takes 12.1 s at 10 Mbit/s; 5 % to spare. */
static void test_rate_falls(void **state)
{
    struct scenario s;

    (void)state;
    begin(&s);
    scenario_change(&s, TO_CLIENT, BEGIN_NS, VLY_LINK_RATE, 10 * SCENARIO_MBIT);
    scenario_run(&s, VLY_S(60));
    assert_true(s.elapsed_ns < (VLY_MS(500) + VLY_MS(12100)) / 100 * 105);
    /* Slow start's overshoot and the step each lose about a path and its queue: 350 packets each.
     */
    assert_true(s.sender.retransmits < 2 * 350 + 150);
    assert_int_equal(s.sender.spurious_losses, 0);
    scenario_fini(&s);
}

/* The rate rises tenfold. The window of 350 packets, path and queue of before, moves 25 MB/s where
 * nothing queues: 55 MB take 2.2 s, and half of that to spare. At the old rate it were 5.1 s. */
static void test_rate_rises(void **state)
{
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_link(&s, &(struct vly_link_spec){LINK});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 3 * BYTES});
    scenario_change(&s, TO_CLIENT, BEGIN_NS, VLY_LINK_RATE, 1000 * SCENARIO_MBIT);
    scenario_run(&s, VLY_S(60));
    assert_true(s.elapsed_ns < VLY_MS(500) + VLY_MS(2200) / 2 * 3);
    scenario_fini(&s);
}

/* The path becomes ten times as long. What is in flight is late, not lost: some of it is probed or
 * given up by mistake, but that is found out. Afterwards 210 ms of round trip; CUBIC's window of
 * 350 packets moves 2.4 MB/s there, growing. */
static void test_delay_rises(void **state)
{
    struct scenario s;

    (void)state;
    begin(&s);
    scenario_change(&s, TO_CLIENT, VLY_MS(800), VLY_LINK_DELAY, VLY_MS(200));
    scenario_run(&s, VLY_S(60));
    assert_int_equal(s.sender.persistent_congestions, 0);
    assert_true(s.sender.pto_count <= 3); /* 60, 120, 240 ms */
    assert_true(s.elapsed_ns < VLY_S(8));
    scenario_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blackout_heals),
        cmocka_unit_test(test_blackout_is_persistent_congestion),
        cmocka_unit_test(test_short_outage_is_not_persistent),
        cmocka_unit_test(test_blackout_of_acknowledgements),
        cmocka_unit_test(test_blackout_for_good),
        cmocka_unit_test(test_blackouts_in_a_row),
        cmocka_unit_test(test_rate_falls),
        cmocka_unit_test(test_rate_rises),
        cmocka_unit_test(test_delay_rises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
