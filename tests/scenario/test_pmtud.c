/*
 * Path MTU discovery on paths that carry more or less than one expects, and change under way.
 * Link without a bottleneck and 20 ms round trip, unless a test says otherwise; what is longer than
 * the link's MTU vanishes.
 *
 *     sender                                receiver
 *       | DATA x 45 (64 KiB)                    |
 *       |-------------------------------------->|
 *       | PING, PADDING: 65507 bytes   X        |    a round trip and a bit, three times
 *       | PING, PADDING: 8972 bytes             |
 *       |-------------------------------------->|
 *       |                                   ACK |
 *       |<--------------------------------------|
 *       | DATA: 8972 bytes each                 |
 */
#include "proto/conn_internal.h"
#include "support/scenario.h"

#define DELAY .delay_ns = VLY_MS(10)
#define RTT_NS VLY_MS(20)
#define BYTES 40000000u
#define LONGEST VLY_DATAGRAM_MAX

static const struct vly_conn_config searching = {.search_max_bytes = LONGEST};

static void begin(struct scenario *s, const struct vly_link_spec *link, uint64_t bytes)
{
    scenario_conn(s, &searching);
    scenario_link(s, link);
    scenario_transfer(s, &(struct vly_bulk_spec){.bytes = bytes});
}

/* Looks in until datagrams have the size. */
static void run_until_size(struct scenario *s, uint64_t bytes, uint64_t until_ns)
{
    while (s->sender.datagram_bytes != bytes) {
        assert_true(vly_world_now_ns(s->world) < until_ns);
        assert_true(scenario_continue(s, VLY_MS(1)));
    }
}

/* The common sizes are found exactly, others to the next size below that paths are likely to have.
 * A size that does not pass costs three probes of 50 ms each, one that does a round trip; 65507 is
 * tried first and four more at most. */
static void test_pmtud_finds_what_the_path_carries(void **state)
{
    static const struct {
        uint64_t mtu, found;
        unsigned failing;
    } rows[] = {{65507, 65507, 0}, {8972, 8972, 4}, {9200, 8972, 4}, {8952, 8952, 4},
                {1472, 1472, 5},   {1500, 1472, 5}, {4100, 4068, 4}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scenario s;

        scenario_init(&s, 1);
        begin(&s,
              &(struct vly_link_spec){DELAY, .mtu_bytes = rows[i].mtu,
                                      .rate_bytes_per_s = 250 * SCENARIO_MBIT},
              BYTES);
        run_until_size(&s, rows[i].found,
                       3 * RTT_NS + 3 * rows[i].failing * VLY_MS(51) + 4 * RTT_NS);
        scenario_run(&s, VLY_S(30));
        assert_int_equal(s.sender.datagram_bytes, rows[i].found);
        assert_in_range(s.sender.mtu_probes_sent, 1, 3 * rows[i].failing + 4);
        assert_int_equal(s.sender.mtu_fall_backs, 0);
        scenario_fini(&s);
    }
}

/* RFC 8899 3: probes that are lost are no congestion, nothing is sent again for them, and the
 * window is what it would have been without them. */
static void test_pmtud_lost_probes_change_nothing_else(void **state)
{
    const struct vly_link_spec link = {DELAY, .mtu_bytes = 1472};
    struct scenario s, without;

    (void)state;
    scenario_init(&s, 1);
    begin(&s, &link, BYTES);
    scenario_run(&s, VLY_S(30));
    scenario_init(&without, 1);
    scenario_link(&without, &link);
    scenario_transfer(&without, &(struct vly_bulk_spec){.bytes = BYTES});
    scenario_run(&without, VLY_S(30));

    assert_true(s.sender.mtu_probes_sent > VLY_PMTUD_TRIES);
    assert_int_equal(scenario_counters(&s, TO_CLIENT)->mtu_dropped_pkts, s.sender.mtu_probes_sent);
    assert_int_equal(s.sender.lost_packets, 0);
    assert_int_equal(s.sender.retransmits, 0);
    assert_int_equal(s.sender.congestion_events, 0);
    assert_int_equal(s.sender.pto_count, without.sender.pto_count);
    /* Nearly: a number that does not arrive makes the receiver acknowledge a little earlier. */
    assert_in_range(s.sender.cwnd_bytes, without.sender.cwnd_bytes * 99 / 100,
                    without.sender.cwnd_bytes * 101 / 100);
    assert_in_range(s.elapsed_ns, without.elapsed_ns - RTT_NS, without.elapsed_ns + RTT_NS);
    scenario_fini(&s);
    scenario_fini(&without);
}

/* 60 kB are over before a search would pay. */
static void test_pmtud_short_exchanges_do_not_probe(void **state)
{
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    begin(&s, &(struct vly_link_spec){DELAY}, 60000);
    scenario_run(&s, VLY_S(30));
    assert_int_equal(s.sender.mtu_probes_sent, 0);
    assert_int_equal(s.receiver.mtu_probes_sent, 0);
    scenario_fini(&s);
}

/* RULE 31: the path carries less from one moment on. All in flight is lost; three timeouts (75 ms
 * and twice and four times as much: about half a second) tell; then short packets get through, and
 * a search finds what is left. */
static void test_pmtud_path_shrinks(void **state)
{
    static const uint64_t mtus[] = {1472, 1400, 1300};
    static const uint64_t found[] = {1472, 1392, 1232};

    (void)state;
    for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
        struct scenario s;

        scenario_init(&s, 1);
        begin(&s,
              &(struct vly_link_spec){DELAY, .mtu_bytes = 8972,
                                      .rate_bytes_per_s = 100 * SCENARIO_MBIT},
              20000000);
        run_until_size(&s, 8972, VLY_S(1));
        scenario_change(&s, TO_CLIENT, VLY_MS(600), VLY_LINK_MTU, mtus[i]);
        scenario_run(&s, VLY_S(30));
        assert_int_equal(s.sender.mtu_fall_backs, 1);
        assert_int_equal(s.sender.datagram_bytes, found[i]);
        /* 1.7 s of sending, half a second until it falls, and as long for the window to grow again.
         */
        assert_true(s.elapsed_ns < VLY_MS(3000));
        scenario_fini(&s);
    }
}

/* The first datagrams are too long already: the handshake is not. 3 MB take 1.25 s; the three
 * timeouts 0.6 s; and since they look like congestion, the window has to grow from half of what it
 * was at first. */
static void test_pmtud_narrow_from_the_start(void **state)
{
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    begin(&s,
          &(struct vly_link_spec){DELAY, .mtu_bytes = 1300, .rate_bytes_per_s = 20 * SCENARIO_MBIT},
          3000000);
    scenario_run(&s, VLY_S(30));
    assert_int_equal(s.sender.mtu_fall_backs, 1);
    assert_int_equal(s.sender.datagram_bytes, 1232);
    assert_true(s.elapsed_ns < VLY_MS(1250 + 600 + 700));
    scenario_fini(&s);
}

/* Both ways at once: acknowledgements of short packets keep coming, so that no timeout tells. Six
 * long packets lost and none acknowledged do. */
static void test_pmtud_black_hole_for_long_packets_only(void **state)
{
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_conn(&s, &searching);
    scenario_link(&s, &(struct vly_link_spec){DELAY, .mtu_bytes = 8972,
                                              .rate_bytes_per_s = 100 * SCENARIO_MBIT});
    scenario_transfer(
        &s, &(struct vly_bulk_spec){.bytes = 10000000, .streams = 8, .way = VLY_BULK_BOTH_WAYS});
    run_until_size(&s, 8972, VLY_S(1));
    scenario_change(&s, TO_CLIENT, VLY_MS(600), VLY_LINK_MTU, 1472);
    scenario_run(&s, VLY_S(30));
    assert_int_equal(s.sender.mtu_fall_backs, 1);
    assert_int_equal(s.sender.datagram_bytes, 1472);
    assert_true(s.elapsed_ns < VLY_S(4));
    scenario_fini(&s);
}

/* One packet in twenty is lost at random: that is no black hole, and the size is found all the same
 * (three probes of the right one are lost once in 8000 times). */
static void test_pmtud_random_loss_is_no_black_hole(void **state)
{
    (void)state;
    for (uint64_t seed = scenario_first_seed(); seed < scenario_first_seed() + 10; seed++) {
        struct scenario s;

        scenario_init(&s, seed);
        begin(&s,
              &(struct vly_link_spec){DELAY, .mtu_bytes = 8972, .loss = 0.05,
                                      .rate_bytes_per_s = 100 * SCENARIO_MBIT},
              5000000);
        scenario_run(&s, VLY_S(120));
        assert_int_equal(s.sender.mtu_fall_backs, 0);
        assert_int_equal(s.sender.datagram_bytes, 8972);
        scenario_fini(&s);
    }
}

/* An outage looks like a black hole. Short packets are what asks then; and as soon as one is
 * answered the old size is tried, before any other. */
static void test_pmtud_outage_costs_a_round_trip(void **state)
{
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    begin(&s,
          &(struct vly_link_spec){DELAY, .mtu_bytes = LONGEST,
                                  .rate_bytes_per_s = 100 * SCENARIO_MBIT},
          20000000);
    run_until_size(&s, LONGEST, VLY_S(1));
    scenario_outage(&s, VLY_MS(600), VLY_MS(3600));
    while (s.sender.mtu_fall_backs == 0)
        assert_true(scenario_continue(&s, VLY_MS(5)));
    assert_int_equal(s.sender.datagram_bytes, VLY_DATAGRAM_BASE);
    run_until_size(&s, LONGEST, VLY_MS(3600 + 500) + 4 * RTT_NS);
    scenario_run(&s, VLY_S(30));
    assert_int_equal(s.sender.mtu_fall_backs, 1);
    scenario_fini(&s);
}

static void move_host(void *ctx, uint64_t now_ns)
{
    struct scenario *s = ctx;

    (void)now_ns;
    vly_world_move(s->world, CLIENT, 2);
}

/* Another network is another path: its MTU is found out anew. */
static void test_pmtud_new_host_starts_again(void **state)
{
    const struct vly_link_spec link = {DELAY, .mtu_bytes = 8972,
                                       .rate_bytes_per_s = 100 * SCENARIO_MBIT};
    uint64_t probes;
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_seal(&s, VLY_METHOD_KEYS);
    scenario_conn(&s, &searching);
    scenario_link(&s, &link);
    scenario_build(&s);
    assert_int_equal(vly_world_at(s.world, VLY_MS(800), move_host, &s), 0);
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 20000000, .expect_answer = true});
    run_until_size(&s, 8972, VLY_S(1));
    while (s.sender.path_changes == 0)
        assert_true(scenario_continue(&s, VLY_MS(1)));
    assert_int_equal(s.sender.datagram_bytes, 1472);
    probes = s.sender.mtu_probes_sent;
    run_until_size(&s, 8972, VLY_S(3));
    assert_true(s.sender.mtu_probes_sent > probes);
    scenario_run(&s, VLY_S(30));
    scenario_fini(&s);
}

/* 1 Mbit/s is two of the longest datagrams a second. They are made shorter, so that data, probes
 * and acknowledgements of such a slow sender flow: what a second allows is sent in a second. */
static void test_pmtud_low_rate_makes_short_datagrams(void **state)
{
    static const struct vly_conn_config conns[] = {
        {.search_max_bytes = LONGEST, .rate_bytes_per_s = SCENARIO_MBIT},
        {.search_max_bytes = LONGEST, .rate_bytes_per_s = SCENARIO_MBIT, .cc = &vly_cc_fixed_ops},
        {.search_max_bytes = LONGEST,
         .max_datagram_bytes = LONGEST,
         .rate_bytes_per_s = SCENARIO_MBIT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(conns) / sizeof(conns[0]); i++) {
        struct scenario s;

        scenario_init(&s, 1);
        scenario_conn(&s, &conns[i]);
        scenario_link(&s, &(struct vly_link_spec){DELAY});
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 500000});
        scenario_run(&s, VLY_S(30));
        assert_in_range(s.elapsed_ns, VLY_MS(3000), VLY_MS(4800));
        assert_int_equal(s.sender.pto_count, 0);
        assert_true(s.sender.packets_sent > 300);
        scenario_fini(&s);
    }
}

/* One in ten is lost: the window is small then, and so are the datagrams, since at least four have
 * to fit into it, or what is lost would be noticed by timeouts alone. */
static void test_pmtud_small_window_makes_short_datagrams(void **state)
{
    const uint64_t bytes = 3000000;
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    begin(&s, &(struct vly_link_spec){DELAY, .loss = 0.1}, bytes);
    scenario_run(&s, VLY_S(120));
    assert_int_equal(s.sender.datagram_bytes, LONGEST);
    assert_true(s.sender.cwnd_bytes < 4 * LONGEST);
    assert_true(s.sender.packets_sent > 3 * bytes / LONGEST);
    assert_true(s.sender.pto_count < s.sender.lost_packets / 4);
    scenario_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pmtud_finds_what_the_path_carries),
        cmocka_unit_test(test_pmtud_lost_probes_change_nothing_else),
        cmocka_unit_test(test_pmtud_short_exchanges_do_not_probe),
        cmocka_unit_test(test_pmtud_path_shrinks),
        cmocka_unit_test(test_pmtud_narrow_from_the_start),
        cmocka_unit_test(test_pmtud_black_hole_for_long_packets_only),
        cmocka_unit_test(test_pmtud_random_loss_is_no_black_hole),
        cmocka_unit_test(test_pmtud_outage_costs_a_round_trip),
        cmocka_unit_test(test_pmtud_new_host_starts_again),
        cmocka_unit_test(test_pmtud_low_rate_makes_short_datagrams),
        cmocka_unit_test(test_pmtud_small_window_makes_short_datagrams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
