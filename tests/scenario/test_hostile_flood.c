/*
 * A peer that sends much, or oddly much of one thing: what it costs has a bound, and the connection
 * works on.
 *
 * The server is real, the client is scripted. The bounds on memory are those of the limits at work,
 * named beside each, and some slack for what a connection takes anyway.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/conn_internal.h"
#include "proto/recvbuf.h"
#include "support/raw.h"

#define NOTHING UINT64_MAX  /* instead of a close code */
#define SLACK_BYTES 400000u /* endpoint, connection, a few streams */
#define WINDOW_BYTES (UINT64_C(1) << 20)

static struct pair_side *server(struct pair *p)
{
    return &p->side[PAIR_SERVER];
}

static void assert_memory_below(struct pair *p, uint64_t bytes)
{
    assert_in_range(server(p)->alloc.max_bytes, 1, bytes + SLACK_BYTES);
}

/* A PING is acknowledged: nothing is wrong. */
static void assert_alive(struct raw *r)
{
    raw_ack_all(r);
    raw_run(r, VLY_MS(50));
    vly_frame_ping_encode(raw_packet(r));
    raw_send(r);
    raw_take(r);
    assert_int_equal(r->seen.close_code, NOTHING);
    assert_int_equal(r->seen.ack.largest, r->next_pn - 1);
    assert_int_equal(server(r->p)->events[VLY_EV_CLOSED], 0);
}

/* ---- fragments ---- */

/* RULE 34: every other byte of a stream, one by one. Gaps have a bound; the packets that would open
 * more are dropped and not acknowledged, so that nothing is lost when the peer comes to its senses.
 */
static void test_hostile_flood_every_other_byte(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t unacked_pn;
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    for (uint64_t i = 0; i < VLY_RECVBUF_GAPS_MAX; i++) {
        raw_stream(&r, 0, 2 * i + 1, 1, false);
        if (i % 128 == 127)
            raw_send(&r);
    }
    raw_run(&r, VLY_MS(10));
    raw_ack_all(&r);
    assert_int_equal(r.seen.ack.largest, r.next_pn - 2);
    unacked_pn = r.next_pn;
    for (uint64_t i = VLY_RECVBUF_GAPS_MAX; i < 3 * VLY_RECVBUF_GAPS_MAX; i++) {
        raw_stream(&r, 0, 2 * i + 1, 1, false);
        raw_send(&r);
    }
    raw_run(&r, VLY_MS(10));
    assert_int_equal(r.seen.ack.largest, unacked_pn - 2);
    assert_int_equal(server(p)->conn->stats.dropped_received, 2 * VLY_RECVBUF_GAPS_MAX);
    /* Two bytes a gap in blocks, 16 bytes a gap in a set that doubles. */
    assert_memory_below(p, 2 * 16 * VLY_RECVBUF_GAPS_MAX + 20 * VLY_RECVBUF_GAPS_MAX);
    raw_stream(&r, 0, 0, 2 * VLY_RECVBUF_GAPS_MAX, false);
    raw_send(&r);
    assert_int_equal(server(p)->stream[0].bytes, 2 * VLY_RECVBUF_GAPS_MAX);
    assert_alive(&r);
    pair_free(p);
}

/* RULE 34: a stream in frames of one byte, 10,000 of them in a datagram. */
static void test_hostile_flood_frames_of_one_byte(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t at = 0;
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    for (unsigned packet = 0; packet < 20; packet++) {
        for (unsigned i = 0; i < 7000; i++)
            raw_stream(&r, 0, at++, 1, false);
        raw_send(&r);
        assert_int_equal(server(p)->stream[0].bytes, at);
        raw_take(&r);
    }
    assert_memory_below(p, 16384 * sizeof(struct vly_queued_event)); /* one datagram's events */
    assert_alive(&r);
    pair_free(p);
}

/* RULE 33: 256 streams whose first byte is missing, all credit used up: what is kept for them is
 * the window and a block for each. Then they are reset, and others come. */
static void test_hostile_flood_first_byte_missing(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    for (unsigned round = 0; round < 5; round++) {
        for (uint64_t i = 0; i < 150; i++) {
            uint64_t id = 2 * (150 * round + i);

            raw_stream(&r, id, 1, 5000, false);
            raw_send(&r);
            raw_take(&r);
        }
        for (uint64_t i = 0; i < 150; i++) {
            uint64_t id = 2 * (150 * round + i);

            vly_frame_reset_encode(raw_packet(&r), id, 1, 5001);
            vly_frame_stop_encode(raw_packet(&r), id, 1);
            raw_send(&r);
            raw_take(&r);
            raw_ack_all(&r);
        }
        raw_run(&r, VLY_MS(10));
        assert_int_equal(r.seen.close_code, NOTHING);
        assert_int_equal(server(p)->conn->streams.n, 0);
    }
    assert_int_equal(server(p)->events[VLY_EV_STREAM_OPENED], 750);
    assert_memory_below(p, WINDOW_BYTES + 150 * (VLY_RECVBUF_BLOCK + 1000));
    pair_free(p);
}

/* RULE 33: memory that a reset has given the credit back for is not held on to by streams whose
 * other direction stays open. */
static void test_hostile_flood_resets_without_end(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    for (uint64_t id = 0; id < 2 * 50; id += 2) {
        for (uint64_t at = 1; at < 900000; at += 60000) {
            raw_stream(&r, id, at, 60000, false);
            raw_send(&r);
        }
        vly_frame_reset_encode(raw_packet(&r), id, 1, 900001);
        raw_send(&r);
        raw_take(&r);
        raw_ack_all(&r);
    }
    assert_int_equal(r.seen.close_code, NOTHING);
    assert_int_equal(server(p)->conn->streams.n, 50);
    assert_memory_below(p, WINDOW_BYTES + 50 * 1000);
    pair_free(p);
}

/* ---- control frames ---- */

/* RULE 37: 10,000 challenges a packet, and no ACK for the answers: one slot, the newest wins, and
 * no more goes out than the window lets. */
static void test_hostile_flood_challenges_without_acks(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint8_t path[8] = {0};
    size_t before;
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    before = server(p)->alloc.max_bytes;
    for (uint64_t i = 0; i < 10000; i++) {
        vly_store_u64(path, i);
        vly_frame_path_encode(raw_packet(&r), VLY_FRAME_PATH_CHALLENGE, path);
        if (i % 50 == 49) {
            raw_send(&r);
            raw_take(&r);
        }
    }
    assert_true(pair_stats(p, PAIR_SERVER).in_flight_bytes <=
                pair_stats(p, PAIR_SERVER).cwnd_bytes);
    assert_in_range(r.seen.frames[VLY_FRAME_PATH_RESPONSE], 1, 200);
    assert_in_range(server(p)->alloc.max_bytes, before, before + 100000);
    raw_ack_all(&r);
    raw_run(&r, VLY_MS(50));
    assert_memory_equal(r.seen.path, path, 8);
    assert_alive(&r);
    pair_free(p);
}

static void test_hostile_flood_pings(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    for (unsigned i = 0; i < 2000; i++) {
        for (unsigned k = 0; k < 200; k++)
            vly_frame_ping_encode(raw_packet(&r));
        raw_send(&r);
        raw_take(&r);
        if (i % 100 == 0)
            raw_ack_all(&r);
    }
    assert_int_equal(r.seen.frames[VLY_FRAME_ACK], r.seen.packets); /* one each, nothing else */
    assert_memory_below(p, 0);
    assert_alive(&r);
    pair_free(p);
}

/* Every order of four things one may do to a stream, twice over. */
static void test_hostile_flood_resets_and_stops(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    for (uint64_t order = 0; order < 256; order++) {
        uint64_t id = 2 * order;

        for (uint64_t step = 0, left = order; step < 8;
             step++, left = step == 4 ? order : left / 4) {
            switch (left % 4) {
            case 0:
                raw_stream(&r, id, 0, 100, true);
                break;
            case 1:
                vly_frame_reset_encode(raw_packet(&r), id, 1, 100);
                break;
            case 2:
                vly_frame_stop_encode(raw_packet(&r), id, 1);
                break;
            default:
                vly_frame_max_stream_data_encode(raw_packet(&r), id, order);
            }
            raw_send(&r);
        }
        raw_stream(&r, id, 0, 100, true);
        vly_frame_stop_encode(raw_packet(&r), id, 1);
        raw_send(&r);
        raw_take(&r);
        raw_ack_all(&r);
    }
    assert_int_equal(r.seen.close_code, NOTHING);
    assert_int_equal(server(p)->events[VLY_EV_STREAM_OPENED], 256);
    assert_int_equal(server(p)->events[VLY_EV_STREAM_END] + server(p)->events[VLY_EV_STREAM_RESET],
                     256);
    assert_int_equal(server(p)->events[VLY_EV_STREAM_STOPPED], 256);
    assert_int_equal(server(p)->conn->streams.n, 0);
    assert_alive(&r);
    pair_free(p);
}

/* A packet that is dropped for its gaps after its FLOOR was obeyed: nothing is left to acknowledge
 * then, and nothing may be due. */
static void test_hostile_flood_floor_in_a_dropped_packet(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    for (uint64_t i = 0; i <= VLY_RECVBUF_GAPS_MAX; i++) {
        if (i == VLY_RECVBUF_GAPS_MAX)
            vly_frame_floor_encode(raw_packet(&r), r.next_pn);
        raw_stream(&r, 0, 2 * i + 1, 1, false);
        raw_send(&r);
    }
    assert_int_equal(server(p)->conn->ackset.n, 0);
    raw_run(&r, VLY_S(1)); /* fails when a deadline stays in the past */
    assert_alive(&r);
    pair_free(p);
}

/* ---- numbers ---- */

/* The largest number there is, at once: it is a number like others, and the last one. */
static void test_hostile_flood_last_packet_number(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    raw_stream(&r, 0, 0, 10, false);
    raw_send_pn(&r, VLY_VARINT_MAX);
    raw_take(&r);
    assert_int_equal(r.seen.ack.largest, VLY_VARINT_MAX);
    assert_int_equal(server(p)->stream[0].bytes, 10);
    vly_frame_ping_encode(raw_packet(&r));
    raw_send_pn(&r, VLY_VARINT_MAX + 1); /* not a number: dropped */
    assert_int_equal(raw_take(&r), 0);
    r.next_pn = 100;
    vly_frame_ping_encode(raw_packet(&r)); /* late, and as good as any */
    raw_send(&r);
    assert_int_equal(raw_take(&r), 1);
    assert_int_equal(r.seen.close_code, NOTHING);
    pair_free(p);
}

/* Numbers with gaps between all of them: 256 ranges are remembered, what is older is dropped, and
 * no number is taken twice. */
static void test_hostile_flood_every_other_number(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t received;
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    for (uint64_t pn = 2; pn < 4000; pn += 2) {
        raw_stream(&r, 0, pn / 2, 1, false);
        raw_send_pn(&r, pn);
    }
    raw_take(&r);
    assert_int_equal(r.seen.ack.more, VLY_ACK_RANGES_MAX - 1);
    received = pair_stats(p, PAIR_SERVER).packets_received;
    for (uint64_t pn = 2; pn < 4000; pn += 2) {
        vly_frame_ping_encode(raw_packet(&r));
        raw_send_pn(&r, pn);
    }
    assert_int_equal(pair_stats(p, PAIR_SERVER).packets_received, received);
    r.next_pn = 4001;
    assert_alive(&r);
    pair_free(p);
}

/* RULE 11: everything a connection received, again and in random order: it changes nothing. */
static void test_hostile_flood_replay(void **state)
{
    static struct vly_span packet[300];
    struct pair *p = pair_new(NULL, NULL);
    struct vly_conn_stats before, after;
    struct vly_prng prng;
    struct raw r;

    (void)state;
    vly_prng_init(&prng, test_seed());
    raw_connect(&r, p, NULL, NULL);
    for (uint64_t i = 0; i < ARRAY_LEN(packet); i++) {
        struct vly_span s;

        raw_stream(&r, 0, 100 * i, 100, i + 1 == ARRAY_LEN(packet));
        if (i % 7 == 0)
            vly_frame_max_data_encode(raw_packet(&r), i);
        s = raw_seal(&r, r.next_pn++);
        packet[i] = (struct vly_span){test_exact_copy(s.data, s.len), s.len};
        raw_give(&r, packet[i]);
        raw_take(&r);
    }
    assert_string_equal(server(p)->log, "Aode");
    before = pair_stats(p, PAIR_SERVER);
    for (unsigned i = 0; i < 3000; i++)
        raw_give(&r, packet[vly_prng_below(&prng, ARRAY_LEN(packet))]);
    after = pair_stats(p, PAIR_SERVER);
    assert_int_equal(after.duplicates_received, before.duplicates_received + 3000);
    after.duplicates_received = before.duplicates_received;
    assert_memory_equal(&after, &before, sizeof(after));
    assert_string_equal(server(p)->log, "Aode");
    for (size_t i = 0; i < ARRAY_LEN(packet); i++)
        free((void *)(uintptr_t)packet[i].data);
    assert_alive(&r);
    pair_free(p);
}

/* ---- connections ---- */

/* Cookies are honest, connections many: a quarter of what the server takes may wait to be
 * confirmed, then each new one takes the place of the oldest; ten seconds later all are gone. Those
 * that were confirmed are not touched, and an honest client comes through. */
static void test_hostile_flood_of_connections(void **state)
{
    struct vly_endpoint_config cfg = pair_config(PAIR_SERVER);
    struct raw r, honest;
    struct pair *p;
    size_t full_bytes;

    (void)state;
    cfg.max_conns = 1200;
    p = pair_new(NULL, &cfg);
    raw_connect(&honest, p, NULL, NULL);
    for (unsigned i = 0; i < 500; i++) {
        raw_init(&r, p, PAIR_SERVER, NULL);
        raw_hello(&r, NULL, 0);
        raw_take(&r);
        raw_hello(&r, NULL, 0);
        raw_take(&r);
        assert_int_equal(r.seen.handshake[VLY_PACKET_ACCEPT], 1);
        assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, 1 + (i < 300 ? i + 1 : 300));
        if (i == 300)
            full_bytes = server(p)->alloc.max_bytes;
    }
    assert_int_equal(server(p)->alloc.max_bytes, full_bytes);
    assert_alive(&honest);
    raw_connect(&r, p, NULL, NULL);
    assert_alive(&r);
    raw_run(&r, VLY_S(11));
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, 2);
    pair_free(p);
}

/* Those that a small server has room for may all begin at once. */
static void test_hostile_flood_of_friends(void **state)
{
    struct vly_endpoint_config cfg = pair_config(PAIR_SERVER);
    struct pair *p;

    (void)state;
    cfg.max_conns = 23;
    p = pair_new(NULL, &cfg);
    for (unsigned i = 0; i < 23; i++) {
        struct raw r;

        raw_init(&r, p, PAIR_SERVER, NULL);
        raw_hello(&r, NULL, 0);
        raw_take(&r);
        raw_hello(&r, NULL, 0);
        raw_take(&r);
        assert_int_equal(r.seen.handshake[VLY_PACKET_ACCEPT], 1);
        assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, i + 1);
    }
    pair_free(p);
}

/* A server that takes few: those that nobody confirms do not make it BUSY. */
static void test_hostile_flood_of_a_small_server(void **state)
{
    (void)state;
    for (size_t most = 1; most <= 6; most++) {
        struct vly_endpoint_config cfg = pair_config(PAIR_SERVER);
        struct pair *p;
        struct raw r;

        cfg.max_conns = most;
        p = pair_new(NULL, &cfg);
        for (unsigned i = 0; i < 10; i++) {
            raw_init(&r, p, PAIR_SERVER, NULL);
            raw_hello(&r, NULL, 0);
            raw_take(&r);
            raw_hello(&r, NULL, 0);
            raw_take(&r);
            assert_int_equal(r.seen.handshake[VLY_PACKET_ACCEPT], 1);
        }
        for (size_t i = 0; i < most; i++)
            raw_connect(&r, p, NULL, NULL);
        assert_alive(&r);
        assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, most);
        pair_free(p);
    }
}

/* All connections are in use: BUSY, before anything is computed. */
static void test_hostile_flood_of_a_full_server(void **state)
{
    struct vly_endpoint_config cfg = pair_config(PAIR_SERVER);
    struct pair *p;
    struct raw r;

    (void)state;
    cfg.max_conns = 5;
    p = pair_new(NULL, &cfg);
    for (unsigned i = 0; i < 5; i++)
        raw_connect(&r, p, NULL, NULL);
    raw_init(&r, p, PAIR_SERVER, NULL);
    for (unsigned i = 0; i < 2; i++) {
        raw_hello(&r, NULL, 0);
        raw_take(&r);
    }
    assert_int_equal(r.seen.handshake[VLY_PACKET_REFUSE], 1);
    assert_int_equal(r.seen.refuse.code, VLY_CLOSE_BUSY);
    assert_int_equal(server(p)->events[VLY_EV_TURNED_AWAY], 1);
    pair_free(p);
}

/* What is not even a packet: any length, any content, from anywhere. */
static void test_hostile_flood_of_garbage(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct vly_conn_stats before, after;
    struct vly_prng prng;
    uint8_t buf[1500];
    uint64_t requests;
    struct raw r;

    (void)state;
    vly_prng_init(&prng, test_seed());
    raw_connect(&r, p, NULL, NULL);
    before = pair_stats(p, PAIR_SERVER);
    requests = server(p)->alloc.counting.requests;
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = vly_prng_below(&prng, sizeof(buf));

        vly_prng_fill(&prng, buf, sizeof(buf));
        if (i % 2 == 0) { /* that looks like one of the connection */
            buf[0] = VLY_PACKET_DATA;
            vly_store_u64(buf + 1, r.host_cid);
        } else if (i % 4 == 1) {
            buf[0] &= 7;
        }
        raw_give(&r, (struct vly_span){buf, len});
    }
    after = pair_stats(p, PAIR_SERVER);
    after.dropped_received = before.dropped_received;
    after.forgeries = before.forgeries;
    assert_memory_equal(&after, &before, sizeof(after));
    assert_int_equal(server(p)->alloc.counting.requests, requests);
    assert_alive(&r);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_flood_every_other_byte),
        cmocka_unit_test(test_hostile_flood_frames_of_one_byte),
        cmocka_unit_test(test_hostile_flood_first_byte_missing),
        cmocka_unit_test(test_hostile_flood_resets_without_end),
        cmocka_unit_test(test_hostile_flood_challenges_without_acks),
        cmocka_unit_test(test_hostile_flood_pings),
        cmocka_unit_test(test_hostile_flood_resets_and_stops),
        cmocka_unit_test(test_hostile_flood_floor_in_a_dropped_packet),
        cmocka_unit_test(test_hostile_flood_last_packet_number),
        cmocka_unit_test(test_hostile_flood_every_other_number),
        cmocka_unit_test(test_hostile_flood_replay),
        cmocka_unit_test(test_hostile_flood_of_connections),
        cmocka_unit_test(test_hostile_flood_of_friends),
        cmocka_unit_test(test_hostile_flood_of_a_small_server),
        cmocka_unit_test(test_hostile_flood_of_a_full_server),
        cmocka_unit_test(test_hostile_flood_of_garbage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
