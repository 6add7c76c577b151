/*
 * A peer that lies about what it received, when, and how: it gains nothing, and mostly is found
 * out.
 *
 * The server is real and sends, the client is scripted. A round trip takes RAW_RTT_NS.
 */
#include <stdlib.h>

#include "proto/conn_internal.h"
#include "support/raw.h"

#define NOTHING UINT64_MAX /* instead of a close code */

/* A connection with stream 0 open, over which the server may send at will. */
static void begin(struct raw *r, struct pair *p)
{
    raw_connect(r, p, NULL, NULL);
    raw_stream(r, 0, 0, 1, false);
    raw_send(r);
    raw_take(r);
    raw_ack_all(r);
}

static struct vly_conn *host_conn(const struct raw *r)
{
    return r->p->side[PAIR_SERVER].conn;
}

/* Keeps the server's send buffer full. `*offset` is how much was written before. */
static void feed(struct raw *r, uint64_t *offset)
{
    *offset += pair_write_some(r->p, PAIR_SERVER, 0, *offset, 200000, false);
}

/* What the server has in flight leaves and a round trip passes. */
static void round_trip(struct raw *r, uint64_t *offset)
{
    feed(r, offset);
    raw_run(r, RAW_RTT_NS);
}

static void write_ack(struct raw *r, const struct vly_ack_fields *fields)
{
    vly_frame_ack_encode(raw_packet(r), fields);
    raw_send(r);
}

static struct pair *server_with(const struct vly_conn_config *conn)
{
    struct vly_endpoint_config cfg = pair_config(PAIR_SERVER);

    cfg.conn = *conn;
    return pair_new(NULL, &cfg);
}

/* ---- what was never received ---- */

/* RULE 17: numbers are left out at random, not sooner than after 512 packets. */
static void test_hostile_ack_of_a_skipped_number(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t offset = 0;
    struct raw r;

    (void)state;
    begin(&r, p);
    for (round_trip(&r, &offset); r.skipped_n == 0; round_trip(&r, &offset)) {
        raw_ack_all(&r);
        assert_in_range(r.expected_pn, 0, 1500);
    }
    assert_int_equal(r.seen.close_code, NOTHING);
    assert_in_range(r.skipped[0], VLY_SKIP_MIN_PKTS, 2 * VLY_SKIP_MIN_PKTS);
    raw_ack(&r, r.skipped[0], r.skipped[0] + 1);
    raw_take(&r);
    assert_int_equal(r.seen.close_code, VLY_CLOSE_PROTOCOL_VIOLATION);
    pair_free(p);
}

/* RULE 17: a receiver that acknowledges whatever may have been sent, to be sent more, meets a
 * skipped number soon. */
static void test_hostile_ack_optimistic(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 20; seed++) {
        struct pair *p = pair_new(NULL, NULL);
        uint64_t offset = 0;
        struct raw r;

        vly_prng_init(&p->side[PAIR_SERVER].prng, seed);
        begin(&r, p);
        while (r.seen.close_code == NOTHING) {
            round_trip(&r, &offset);
            raw_ack(&r, 0, r.expected_pn);
            raw_take(&r);
            assert_in_range(r.expected_pn, 0, 2000);
        }
        assert_int_equal(r.seen.close_code, VLY_CLOSE_PROTOCOL_VIOLATION);
        assert_in_range(r.skipped_n, 1, 2);
        pair_free(p);
    }
}

/* RULE 19: what a range covers costs nothing: here all numbers there are, at each packet. */
static void test_hostile_ack_of_all_numbers_at_once(void **state)
{
    const struct vly_conn_config conn = {.first_pn = VLY_VARINT_MAX - 1000000};
    struct pair *p = server_with(&conn);
    uint64_t offset = 0;
    struct raw r;

    (void)state;
    raw_init(&r, p, PAIR_SERVER, NULL);
    begin(&r, p);
    for (unsigned i = 0; i < 20; i++) {
        round_trip(&r, &offset);
        raw_ack(&r, r.skipped_n > 0 ? r.skipped[r.skipped_n - 1] + 1 : 0, r.expected_pn);
    }
    assert_true(pair_stats(p, PAIR_SERVER).stream_bytes_sent > 100000);
    assert_int_equal(pair_stats(p, PAIR_SERVER).in_flight_bytes, 0);
    assert_int_equal(r.seen.close_code, NOTHING);
    pair_free(p);
}

/* The same ACK over and over says nothing new. */
static void test_hostile_ack_repeated(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct vly_conn_stats before, after;
    uint64_t offset = 0, packets;
    struct raw r;

    (void)state;
    begin(&r, p);
    for (unsigned i = 0; i < 3; i++) {
        round_trip(&r, &offset);
        raw_ack_all(&r);
    }
    raw_take(&r);
    packets = r.seen.packets;
    before = pair_stats(p, PAIR_SERVER);
    for (unsigned i = 0; i < 1000; i++)
        raw_ack(&r, 0, r.seen.ack.largest);
    after = pair_stats(p, PAIR_SERVER);
    raw_take(&r);
    assert_int_equal(after.cwnd_bytes, before.cwnd_bytes);
    assert_int_equal(after.smoothed_rtt_ns, before.smoothed_rtt_ns);
    assert_int_equal(after.in_flight_bytes, before.in_flight_bytes);
    assert_int_equal(after.lost_packets, 0);
    assert_int_equal(r.seen.packets, packets);
    pair_free(p);
}

/* ---- when ---- */

/* RULE 20: 2^62 microseconds, said of each packet. */
static void test_hostile_ack_lying_delay(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t offset = 0;
    struct raw r;

    (void)state;
    begin(&r, p);
    for (unsigned i = 0; i < 50; i++) {
        struct vly_ack_fields fields;

        round_trip(&r, &offset);
        assert_true(vly_ackset_fields(&r.received, p->now_ns, &fields));
        fields.delay_us = VLY_VARINT_MAX;
        write_ack(&r, &fields);
    }
    assert_int_equal(r.seen.close_code, NOTHING);
    assert_true(pair_stats(p, PAIR_SERVER).smoothed_rtt_ns >=
                pair_stats(p, PAIR_SERVER).min_rtt_ns);
    /* Not below what there is by more than the delay that was announced, 5 ms. */
    assert_true(pair_stats(p, PAIR_SERVER).smoothed_rtt_ns >= RAW_RTT_NS - VLY_MS(5));
    pair_free(p);
}

/* ---- how ---- */

/* Twenty round trips, each acknowledged in `pieces`. Returns the window at the end. */
static uint64_t window_after(unsigned pieces)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t offset = 0, acked, cwnd_bytes;
    struct raw r;

    begin(&r, p);
    acked = r.expected_pn;
    for (unsigned i = 0; i < 5; i++) {
        round_trip(&r, &offset);
        for (unsigned k = 1; k <= pieces; k++) {
            uint64_t end = acked + (r.expected_pn - acked) * k / pieces;

            if (end > acked)
                raw_ack(&r, acked, end);
            acked = end;
        }
    }
    cwnd_bytes = pair_stats(p, PAIR_SERVER).cwnd_bytes;
    pair_free(p);
    return cwnd_bytes;
}

/* RULE 28: an ACK for each packet, or for a fraction of it, gives no larger window than one for
 * all. */
static void test_hostile_ack_splitting_gains_nothing(void **state)
{
    uint64_t one = window_after(1);

    (void)state;
    assert_true(one > 30000); /* it did grow */
    assert_in_range(window_after(3), 1, one);
    assert_in_range(window_after(1000), 1, one);
}

/* RULE 32: the counts a peer may come up with, and what becomes of the marks. */
static void test_hostile_ack_ecn_counts(void **state)
{
    static const struct {
        const char *name;
        uint64_t ect0, ect1, ce; /* of all packets so far, in percent; 100 is honest */
        bool off;
    } cases[] = {
        {"all arrived", 100, 0, 0, false},
        {"some with CE", 90, 0, 10, false},
        {"more than were sent", 1000000, 0, 0, false},
        {"none arrived", 0, 0, 0, true},
        {"half of them", 50, 0, 0, true},
        {"ECT(1), which nobody sends", 100, 1, 0, true},
        {"all as ECT(1)", 0, 100, 0, true},
    };

    (void)state;
    if (sealed_method() != VLY_METHOD_NONE) /* counts packets from the first one on */
        skip();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair *p = pair_new(NULL, NULL);
        uint64_t offset = 0;
        struct raw r;

        print_message("  %s\n", cases[i].name);
        begin(&r, p);
        for (unsigned k = 0; k < 10; k++) {
            struct vly_ack_fields fields;
            uint64_t n;

            round_trip(&r, &offset);
            n = r.expected_pn;
            assert_true(vly_ackset_fields(&r.received, p->now_ns, &fields));
            fields.has_ecn = true;
            fields.ect0 = (n * cases[i].ect0 + 99) / 100;
            fields.ect1 = n * cases[i].ect1 / 100;
            fields.ce = n * cases[i].ce / 100;
            write_ack(&r, &fields);
        }
        assert_int_equal(host_conn(&r)->ecn.off, cases[i].off);
        assert_int_equal(pair_stats(p, PAIR_SERVER).ecn_ce > 0, cases[i].ce > 0 && !cases[i].off);
        assert_int_equal(r.seen.close_code, NOTHING);
        /* Off means off: what goes out is not marked any more. */
        feed(&r, &offset);
        assert_true(pair_flush(p, PAIR_SERVER) > 0);
        assert_int_equal(p->side[PAIR_SERVER].out[0].ecn,
                         cases[i].off ? VLY_ECN_NONE : VLY_ECN_ECT0);
        pair_free(p);
    }
}

/* RULE 32: counts that fall are those of an ACK that was overtaken, or invented: they say nothing,
 * and the ones that follow count on from the highest. */
static void test_hostile_ack_ecn_counts_that_fall(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t offset = 0;
    struct raw r;

    (void)state;
    begin(&r, p);
    for (unsigned k = 0; k < 10; k++) {
        struct vly_ack_fields fields;

        round_trip(&r, &offset);
        assert_true(vly_ackset_fields(&r.received, p->now_ns, &fields));
        fields.has_ecn = true;
        fields.ect0 = k % 2 == 0 ? 100000 + 1000 * k : 0;
        fields.ce = k % 2 == 0 ? 5 : 0;
        write_ack(&r, &fields);
    }
    assert_int_equal(pair_stats(p, PAIR_SERVER).ecn_ce, 5);
    assert_int_equal(pair_stats(p, PAIR_SERVER).congestion_events, 1);
    pair_free(p);
}

/* A figure for people; it is not believed to mean anything. */
static void test_hostile_ack_kernel_drops(void **state)
{
    static const uint64_t drops[] = {3, VLY_VARINT_MAX, 0, 7};
    struct pair *p = pair_new(NULL, NULL);
    uint64_t offset = 0;
    struct raw r;

    (void)state;
    begin(&r, p);
    for (size_t i = 0; i < ARRAY_LEN(drops); i++) {
        struct vly_ack_fields fields;

        round_trip(&r, &offset);
        assert_true(vly_ackset_fields(&r.received, p->now_ns, &fields));
        fields.kernel_drops = drops[i];
        write_ack(&r, &fields);
    }
    assert_int_equal(pair_stats(p, PAIR_SERVER).kernel_drops_peer, VLY_VARINT_MAX);
    assert_int_equal(pair_stats(p, PAIR_SERVER).congestion_events, 0);
    assert_int_equal(r.seen.close_code, NOTHING);
    pair_free(p);
}

/* ---- losses that are none ---- */

/* The server sends eight packets. Returns the number of the first. */
static uint64_t send_eight(struct raw *r, uint64_t *offset)
{
    uint64_t first = r->expected_pn;

    assert_int_equal(pair_write_some(r->p, PAIR_SERVER, 0, *offset, 11000, false), 11000);
    *offset += 11000;
    raw_run(r, RAW_RTT_NS);
    assert_in_range(r->expected_pn - first, 8, 9);
    return first;
}

/* All but the first `hole` of them are acknowledged, and then those too. */
static void lose_and_find(struct raw *r, uint64_t first, uint64_t hole)
{
    uint64_t end = r->expected_pn;

    raw_ack(r, first + hole, end);
    raw_run(r, VLY_MS(1));
    raw_ack(r, first, first + hole);
    raw_run(r, VLY_MS(1));
    raw_ack(r, end, r->expected_pn); /* the repairs */
}

/* RULE 23: an episode whose every loss was none is taken back. */
static void test_hostile_ack_spurious_losses_are_undone(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t offset = 0, before;
    struct raw r;

    (void)state;
    begin(&r, p);
    before = pair_stats(p, PAIR_SERVER).cwnd_bytes;
    lose_and_find(&r, send_eight(&r, &offset), 2);
    assert_int_equal(pair_stats(p, PAIR_SERVER).congestion_events, 1);
    assert_int_equal(pair_stats(p, PAIR_SERVER).spurious_losses, 2);
    assert_int_equal(pair_stats(p, PAIR_SERVER).undos, 1);
    assert_true(pair_stats(p, PAIR_SERVER).cwnd_bytes >= before);
    pair_free(p);
}

/* RULE 23: not so when the network itself said that it was congested: a mark cannot turn out to
 * have been none. */
static void test_hostile_ack_spurious_losses_do_not_undo_a_mark(void **state)
{
    struct pair *p;
    struct vly_range range;
    struct vly_ack_fields fields = {
        .ranges = &range, .n_ranges = 1, .has_ecn = true, .ect0 = 1000, .ce = 1};
    uint64_t offset = 0, first, before;
    struct raw r;

    (void)state;
    if (sealed_method() != VLY_METHOD_NONE) /* counts packets from the first one on */
        skip();
    p = pair_new(NULL, NULL);
    begin(&r, p);
    first = send_eight(&r, &offset);
    before = pair_stats(p, PAIR_SERVER).cwnd_bytes;
    range = (struct vly_range){first + 2, r.expected_pn};
    write_ack(&r, &fields);
    raw_run(&r, VLY_MS(1));
    raw_ack(&r, first, first + 2);
    assert_int_equal(pair_stats(p, PAIR_SERVER).congestion_events, 1);
    assert_int_equal(pair_stats(p, PAIR_SERVER).spurious_losses, 2);
    assert_int_equal(pair_stats(p, PAIR_SERVER).undos, 0);
    assert_true(pair_stats(p, PAIR_SERVER).ssthresh_bytes < before);
    pair_free(p);
}

/* A peer that reports everything late drives the reordering window up, but not beyond a round trip:
 * real losses are found all the same. */
static void test_hostile_ack_always_late(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t offset = 0, first;
    struct raw r;

    (void)state;
    begin(&r, p);
    for (unsigned i = 0; i < 50; i++) { /* no number is skipped yet */
        first = send_eight(&r, &offset);
        raw_ack(&r, first + 1, r.expected_pn);
        raw_run(&r, RAW_RTT_NS);
        raw_ack(&r, first, r.expected_pn);
    }
    assert_true(pair_stats(p, PAIR_SERVER).spurious_losses > 10);
    first = send_eight(&r, &offset);
    raw_ack(&r, first + 1, r.expected_pn);
    raw_run(&r, 2 * pair_stats(p, PAIR_SERVER).smoothed_rtt_ns);
    assert_int_equal(vly_sentlog_at(&host_conn(&r)->log, first)->state, VLY_SENT_LOST);
    pair_free(p);
}

/* ---- losses that ACKs only hint at ---- */

/* The largest acknowledged number is that of a packet that only acknowledges: it counts as later
 * than those before it like any other (SPEC 5.3). */
static void test_hostile_ack_of_an_uncounted_largest(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct vly_range ranges[2];
    struct vly_ack_fields fields = {.ranges = ranges, .n_ranges = 2};
    uint64_t first, uncounted;
    struct raw r;

    (void)state;
    begin(&r, p);
    raw_take(&r);
    first = r.expected_pn;
    pair_write(p, PAIR_SERVER, 0, 8000, false);
    raw_run(&r, RAW_RTT_NS);
    vly_frame_ping_encode(raw_packet(&r)); /* asks for an ACK, which is the last packet sent */
    raw_send(&r);
    raw_take(&r);
    uncounted = r.expected_pn - 1;
    assert_int_equal(vly_sentlog_at(&host_conn(&r)->log, uncounted)->state, VLY_SENT_UNCOUNTED);
    /* The newest counted packet is missing as well: only the uncounted one is newer than it. */
    ranges[0] = (struct vly_range){first, first + 1};
    ranges[1] = (struct vly_range){uncounted, uncounted + 1};
    write_ack(&r, &fields);
    assert_true(pair_stats(p, PAIR_SERVER).lost_packets >= 2);
    pair_free(p);
}

/* ---- nothing at all ---- */

/* RULE 39: what is kept for a peer that acknowledges nothing has a bound, and so has the time. */
static void test_hostile_ack_never(void **state)
{
    const struct vly_conn_config conn = {.send_buffer_max_bytes = 500000};
    struct pair *p = server_with(&conn);
    uint64_t offset = 0, packets;
    struct raw r;

    (void)state;
    begin(&r, p);
    for (unsigned i = 0; i < 100; i++) {
        feed(&r, &offset);
        raw_run(&r, VLY_MS(90));
        assert_int_equal(p->side[PAIR_SERVER].events[VLY_EV_CLOSED], 0);
    }
    assert_int_equal(offset, 500000);
    assert_in_range(p->side[PAIR_SERVER].alloc.max_bytes, 500000, 1000000);
    /* RULE 22: probes go out, two at a time, further and further apart; nothing is declared lost.
     */
    packets = r.seen.packets;
    assert_in_range(packets, 20, 60);
    assert_int_equal(pair_stats(p, PAIR_SERVER).lost_packets, 0);
    raw_run(&r, VLY_S(2));
    assert_int_equal(p->side[PAIR_SERVER].last[VLY_EV_CLOSED].err, VLY_E_LOST);
    assert_int_equal(r.seen.close_code, VLY_CLOSE_TIMEOUT);
    pair_free(p);
}

/* RULE 39: it talks and has everything acknowledged, but acknowledges nothing itself. Its answers
 * pile up behind the one packet that it owes us, up to a bound; then it is not answered any more,
 * and nothing spins. */
static void test_hostile_ack_never_but_talking(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t packets;
    struct raw r;

    (void)state;
    begin(&r, p);
    pair_write(p, PAIR_SERVER, 0, 100, false);
    for (unsigned i = 0; i < VLY_SENTLOG_MAX + 1000; i++) {
        vly_frame_ping_encode(raw_packet(&r));
        raw_send(&r);
        if (i % 1000 == 0)
            raw_run(&r, VLY_MS(1));
        raw_take(&r);
    }
    packets = r.seen.packets;
    assert_in_range(packets, VLY_SENTLOG_MAX - 1000, VLY_SENTLOG_MAX + 1000);
    assert_in_range(p->side[PAIR_SERVER].alloc.max_bytes, 1, 64u << 20);
    raw_run(&r, VLY_S(1));
    vly_frame_ping_encode(raw_packet(&r));
    raw_send(&r);
    raw_run(&r, VLY_S(1));
    assert_int_equal(r.seen.packets, packets);
    /* It comes to its senses: all goes on. */
    raw_ack_all(&r);
    raw_take(&r);
    assert_true(r.seen.packets > packets);
    assert_int_equal(r.seen.ack.largest, r.next_pn - 1);
    pair_free(p);
}

/* Islands: the set that notes what was acknowledged is full (cut to one range here), which costs
 * time and nothing else. */
static void test_hostile_ack_scattered(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t offset = 0, first;
    struct raw r;

    (void)state;
    begin(&r, p);
    vly_rangeset_fini(&host_conn(&r)->log.acked);
    host_conn(&r)->log.acked.max = 1;
    first = send_eight(&r, &offset);
    for (uint64_t pn = first + 7; pn >= first + 2; pn -= 2)
        raw_ack(&r, pn, pn + 1);
    raw_ack(&r, first, first + 8);
    assert_int_equal(pair_stats(p, PAIR_SERVER).in_flight_bytes, 0);
    assert_int_equal(host_conn(&r)->send_held_bytes, 0);
    assert_int_equal(r.seen.close_code, NOTHING);
    pair_free(p);
}

/* RULE 20: more than the delay that was announced, 5 ms, is not believed, even where it would fit.
 */
static void test_hostile_ack_delay_beyond_the_announced(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t offset = 0;
    struct raw r;

    (void)state;
    begin(&r, p); /* the smallest round trip is RAW_RTT_NS */
    for (unsigned i = 0; i < 30; i++) {
        struct vly_ack_fields fields;

        offset += pair_write_some(p, PAIR_SERVER, 0, offset, 1000, false);
        raw_run(&r, 3 * RAW_RTT_NS);
        assert_true(vly_ackset_fields(&r.received, p->now_ns, &fields));
        fields.delay_us = 15000;
        write_ack(&r, &fields);
    }
    assert_in_range(pair_stats(p, PAIR_SERVER).smoothed_rtt_ns, 3 * RAW_RTT_NS - VLY_MS(6),
                    3 * RAW_RTT_NS);
    pair_free(p);
}

/* RULE 20: an ACK whose largest number is no news says nothing about the round trip, though it
 * acknowledges something else. */
static void test_hostile_ack_largest_is_no_news(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;
    uint64_t first;

    (void)state;
    begin(&r, p);
    first = r.expected_pn;
    pair_write(p, PAIR_SERVER, 0, 2000, false);
    raw_run(&r, RAW_RTT_NS);
    raw_ack(&r, first + 1, first + 2);
    assert_int_equal(pair_stats(p, PAIR_SERVER).latest_rtt_ns, RAW_RTT_NS);
    p->now_ns += VLY_MS(1);
    raw_ack(&r, first, first + 2);
    assert_int_equal(pair_stats(p, PAIR_SERVER).latest_rtt_ns, RAW_RTT_NS);
    assert_int_equal(pair_stats(p, PAIR_SERVER).in_flight_bytes, 0);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_ack_of_a_skipped_number),
        cmocka_unit_test(test_hostile_ack_optimistic),
        cmocka_unit_test(test_hostile_ack_of_all_numbers_at_once),
        cmocka_unit_test(test_hostile_ack_repeated),
        cmocka_unit_test(test_hostile_ack_lying_delay),
        cmocka_unit_test(test_hostile_ack_splitting_gains_nothing),
        cmocka_unit_test(test_hostile_ack_ecn_counts),
        cmocka_unit_test(test_hostile_ack_ecn_counts_that_fall),
        cmocka_unit_test(test_hostile_ack_kernel_drops),
        cmocka_unit_test(test_hostile_ack_spurious_losses_are_undone),
        cmocka_unit_test(test_hostile_ack_spurious_losses_do_not_undo_a_mark),
        cmocka_unit_test(test_hostile_ack_always_late),
        cmocka_unit_test(test_hostile_ack_of_an_uncounted_largest),
        cmocka_unit_test(test_hostile_ack_never),
        cmocka_unit_test(test_hostile_ack_never_but_talking),
        cmocka_unit_test(test_hostile_ack_scattered),
        cmocka_unit_test(test_hostile_ack_delay_beyond_the_announced),
        cmocka_unit_test(test_hostile_ack_largest_is_no_news),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
