/*
 * A peer that holds a valid connection and breaks the rules in one packet or two: each breach ends
 * in the close code of SPEC 8, or in nothing at all.
 *
 * The server is real, the client is scripted. Floods are in test_hostile_flood.c, lies about what
 * was received in test_hostile_ack.c.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "support/raw.h"

#define NOTHING UINT64_MAX /* instead of a close code */
#define MEMORY_MAX 400000u /* of a server with one connection that has done little */

static void bytes(struct raw *r, const char *hex)
{
    struct test_bytes b = test_hex(hex);

    vly_wr_bytes(raw_packet(r), b.data, b.len);
    free(b.data);
}

/* Two of the peer's streams that are known: 0 with some data, 4 opened and ended by both sides. */
static void begin(struct raw *r, struct pair *p)
{
    raw_connect(r, p, NULL, NULL);
    raw_stream(r, 0, 0, 100, false);
    raw_stream(r, 4, 0, 10, true);
    raw_send(r);
    pair_write(p, PAIR_SERVER, 4, 0, true);
    raw_take(r);
    raw_ack_all(r);
    raw_take(r);
}

/* ---- one breach each ---- */

static void ack_of_a_number_never_sent(struct raw *r)
{
    raw_ack(r, 0, r->seen.largest_pn + 2);
}

static void ack_range_of_2_to_the_62(struct raw *r)
{
    bytes(r, "02 ffffffffffffffff 00 00 00 ffffffffffffffff");
    raw_send(r);
}

static void ack_that_reaches_below_zero(struct raw *r)
{
    bytes(r, "02 00 00 00 00 01");
    raw_send(r);
}

static void ack_gap_that_reaches_below_zero(struct raw *r)
{
    bytes(r, "02 01 00 00 01 00 00 00");
    raw_send(r);
}

static void ack_of_257_ranges(struct raw *r)
{
    bytes(r, "02 4800 00 00 4100 00 00*512");
    raw_send(r);
}

static void floor_above_its_packet(struct raw *r)
{
    vly_frame_floor_encode(raw_packet(r), r->next_pn + 1);
    raw_send(r);
}

static void floor_of_its_packet(struct raw *r)
{
    vly_frame_floor_encode(raw_packet(r), r->next_pn);
    raw_send(r);
}

static void floor_that_falls(struct raw *r)
{
    floor_of_its_packet(r);
    vly_frame_floor_encode(raw_packet(r), 0);
    raw_send(r);
}

static void data_beyond_the_stream_credit(struct raw *r)
{
    raw_stream(r, 0, (1 << 20) - 10, 11, false);
    raw_send(r);
}

static void data_beyond_the_connection_credit(struct raw *r)
{
    raw_stream(r, 0, (1 << 20) - 200, 100, false);
    raw_send(r);
    raw_stream(r, 2, 0, 91, false); /* 10 of stream 4 count too */
    raw_send(r);
}

static void reset_beyond_the_credit(struct raw *r)
{
    vly_frame_reset_encode(raw_packet(r), 0, 1, (1 << 20) + 1);
    raw_send(r);
}

static void data_up_to_the_credit(struct raw *r)
{
    raw_stream(r, 0, (1 << 20) - 20, 10, false);
    raw_send(r);
}

static void last_offset_of_all(struct raw *r)
{
    bytes(r, "09 00 ffffffffffffffff 00");
    raw_send(r);
}

static void offset_and_length_beyond_2_to_the_62(struct raw *r)
{
    bytes(r, "08 00 ffffffffffffffff 01 61");
    raw_send(r);
}

static void final_size_that_grows(struct raw *r)
{
    raw_stream(r, 0, 100, 100, true);
    raw_stream(r, 0, 100, 101, true);
    raw_send(r);
}

static void final_size_that_shrinks(struct raw *r)
{
    raw_stream(r, 0, 150, 50, true);
    raw_stream(r, 0, 150, 40, true);
    raw_send(r);
}

static void final_size_below_the_data(struct raw *r)
{
    raw_stream(r, 0, 50, 10, true);
    raw_send(r);
}

static void data_beyond_the_final_size(struct raw *r)
{
    raw_stream(r, 0, 150, 50, true); /* with a gap before it */
    raw_stream(r, 0, 200, 1, false);
    raw_send(r);
}

static void data_beyond_the_end_of_a_complete_direction(struct raw *r)
{
    raw_stream(r, 0, 100, 50, true);
    raw_send(r);
    raw_stream(r, 0, 150, 1, false);
    raw_send(r);
}

static void reset_of_another_size(struct raw *r)
{
    raw_stream(r, 0, 100, 50, true);
    vly_frame_reset_encode(raw_packet(r), 0, 1, 151);
    raw_send(r);
}

static void reset_below_the_data(struct raw *r)
{
    vly_frame_reset_encode(raw_packet(r), 0, 1, 99);
    raw_send(r);
}

static void reset_twice_with_another_size(struct raw *r)
{
    vly_frame_reset_encode(raw_packet(r), 0, 1, 100);
    raw_send(r);
    vly_frame_reset_encode(raw_packet(r), 0, 1, 200);
    raw_send(r);
}

static void end_of_another_size_after_reset(struct raw *r)
{
    vly_frame_reset_encode(raw_packet(r), 0, 1, 200);
    raw_stream(r, 0, 100, 50, true);
    raw_send(r);
}

static void end_below_what_a_stopped_stream_brought(struct raw *r)
{
    vly_conn_stop_stream(r->p->side[PAIR_SERVER].conn, 0, 1);
    raw_stream(r, 0, 100, 100, false);
    raw_send(r);
    raw_stream(r, 0, 100, 50, true);
    raw_send(r);
}

static void data_again_with_another_content(struct raw *r)
{
    /* The first copy of [120, 130) is the pattern: it has to be the one that is handed on. */
    raw_stream(r, 0, 120, 10, false);
    raw_send(r);
    vly_frame_stream_header_encode(raw_packet(r), 0, 100, 40, false);
    for (uint64_t i = 100; i < 140; i++)
        vly_wr_u8(&r->w, i < 120 || i >= 130 ? pair_byte(0, i) : 0xbb);
    raw_send(r);
    assert_int_equal(r->p->side[PAIR_SERVER].stream[0].bytes, 140);
}

static void more_streams_than_allowed(struct raw *r)
{
    raw_stream(r, 512, 0, 1, false);
    raw_send(r);
}

static void the_last_stream_allowed(struct raw *r)
{
    raw_stream(r, 510, 0, 1, false);
    raw_send(r);
    assert_int_equal(r->p->side[PAIR_SERVER].events[VLY_EV_STREAM_OPENED], 256);
}

static void stream_of_2_to_the_62(struct raw *r)
{
    bytes(r, "08 fffffffffffffffe 00 00");
    raw_send(r);
}

/* A stream of the server's that it has not opened. */
static void data_of_a_stream_of_the_receiver(struct raw *r)
{
    raw_stream(r, 1, 0, 1, false);
    raw_send(r);
}

static void reset_of_a_stream_of_the_receiver(struct raw *r)
{
    vly_frame_reset_encode(raw_packet(r), 1, 1, 0);
    raw_send(r);
}

static void stop_of_a_stream_of_the_receiver(struct raw *r)
{
    vly_frame_stop_encode(raw_packet(r), 1, 1);
    raw_send(r);
}

static void credit_of_a_stream_of_the_receiver(struct raw *r)
{
    vly_frame_max_stream_data_encode(raw_packet(r), 1, 1);
    raw_send(r);
}

static void frames_of_a_stream_that_is_over(struct raw *r)
{
    raw_stream(r, 4, 0, 1000, true);
    vly_frame_reset_encode(raw_packet(r), 4, 1, 5);
    vly_frame_stop_encode(raw_packet(r), 4, 1);
    vly_frame_max_stream_data_encode(raw_packet(r), 4, 1);
    raw_send(r);
}

static void packet_without_frames(struct raw *r)
{
    raw_packet(r);
    raw_send(r);
    r->next_pn--; /* it was not received */
}

static void packet_of_padding(struct raw *r)
{
    vly_wr_zeros(raw_packet(r), 5000);
    raw_send(r);
}

static void close_with_a_reason_of_10000_bytes(struct raw *r)
{
    bytes(r, "1c 00 6710 61*10000");
    raw_send(r);
}

static void limits_that_fall(struct raw *r)
{
    vly_frame_max_data_encode(raw_packet(r), 0);
    vly_frame_max_stream_data_encode(raw_packet(r), 0, 0);
    vly_frame_max_streams_encode(raw_packet(r), 0);
    raw_send(r);
    pair_write(r->p, PAIR_SERVER, 0, 5000, false);
    raw_take(r);
    assert_int_equal(r->seen.stream_bytes, 5000);
    assert_int_equal(pair_open(r->p, PAIR_SERVER), 1);
    raw_ack_all(r);
}

static void limits_without_limit(struct raw *r)
{
    vly_frame_max_data_encode(raw_packet(r), VLY_VARINT_MAX);
    vly_frame_max_stream_data_encode(raw_packet(r), 0, VLY_VARINT_MAX);
    vly_frame_max_streams_encode(raw_packet(r), VLY_VARINT_MAX);
    raw_send(r);
    pair_write(r->p, PAIR_SERVER, 0, 5000, false);
}

static void answer_to_no_challenge(struct raw *r)
{
    static const uint8_t data[8] = {1};

    vly_frame_path_encode(raw_packet(r), VLY_FRAME_PATH_RESPONSE, data);
    raw_send(r);
}

static void key_phase_in_plain(struct raw *r)
{
    struct vly_span s;

    vly_frame_close_encode(raw_packet(r), VLY_FRAME_CLOSE, 0, (struct vly_span){NULL, 0});
    s = raw_seal(r, r->next_pn);
    r->buf[0] |= VLY_KEY_PHASE_BIT;
    vly_seal_one(&vly_suite_plain, NULL, 0, r->buf, s.len - VLY_TAG_BYTES, s.len - VLY_TAG_BYTES);
    raw_give(r, s);
}

/* RULE 15: where packets are sealed a stranger, who holds no key, can make no tag. */
static void close_from_another_address(struct raw *r)
{
    struct vly_addr elsewhere = {.len = 3, .data = {'x', 'y', 'z'}};
    struct vly_span packet;

    vly_frame_close_encode(raw_packet(r), VLY_FRAME_CLOSE, 0, (struct vly_span){NULL, 0});
    packet = raw_seal(r, r->next_pn);
    if (r->method != VLY_METHOD_NONE)
        r->buf[packet.len - 1] ^= 1;
    pair_give(r->p, r->host, &elsewhere, VLY_ECN_NONE, packet);
}

static void close_of_another_connection(struct raw *r)
{
    r->host_cid ^= 1;
    vly_frame_close_encode(raw_packet(r), VLY_FRAME_CLOSE, 0, (struct vly_span){NULL, 0});
    raw_give(r, raw_seal(r, r->next_pn));
    r->host_cid ^= 1;
}

static void hello_again(struct raw *r)
{
    raw_hello(r, NULL, 0);
    raw_take(r);
    assert_int_equal(r->seen.handshake[VLY_PACKET_ACCEPT], 1);
}

/* What only a server sends, and FINISH, which plain does not have. */
static void packets_of_a_server(struct raw *r)
{
    static const char *const names[] = {"retry",   "accept", "versions",
                                        "unknown", "refuse", "finish"};
    struct test_vectors vectors = test_vectors_load("packets.txt");

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        raw_give(r, test_vectors_find(&vectors, names[i]));
    test_vectors_free(&vectors);
}

static const struct {
    const char *name;
    void (*commit)(struct raw *r);
    uint64_t code;
} breaches[] = {
#define BREACH(name, code)  \
    {                       \
#name, name, (code) \
    }
    BREACH(ack_of_a_number_never_sent, VLY_CLOSE_PROTOCOL_VIOLATION), /* RULE 17 */
    BREACH(ack_range_of_2_to_the_62, VLY_CLOSE_PROTOCOL_VIOLATION),   /* RULE 19 */
    BREACH(ack_that_reaches_below_zero, VLY_CLOSE_FRAME_ENCODING),
    BREACH(ack_gap_that_reaches_below_zero, VLY_CLOSE_FRAME_ENCODING),
    BREACH(ack_of_257_ranges, VLY_CLOSE_FRAME_ENCODING),
    BREACH(floor_above_its_packet, VLY_CLOSE_PROTOCOL_VIOLATION),
    BREACH(floor_of_its_packet, NOTHING),
    BREACH(floor_that_falls, NOTHING),
    BREACH(data_beyond_the_stream_credit, VLY_CLOSE_FLOW_CONTROL), /* RULE 33 */
    BREACH(data_beyond_the_connection_credit, VLY_CLOSE_FLOW_CONTROL),
    BREACH(reset_beyond_the_credit, VLY_CLOSE_FLOW_CONTROL),
    BREACH(data_up_to_the_credit, NOTHING),
    BREACH(last_offset_of_all, VLY_CLOSE_FLOW_CONTROL),
    BREACH(offset_and_length_beyond_2_to_the_62, VLY_CLOSE_FRAME_ENCODING), /* RULE 36 */
    BREACH(final_size_that_grows, VLY_CLOSE_FINAL_SIZE),                    /* RULE 35 */
    BREACH(final_size_that_shrinks, VLY_CLOSE_FINAL_SIZE),
    BREACH(final_size_below_the_data, VLY_CLOSE_FINAL_SIZE),
    BREACH(data_beyond_the_final_size, VLY_CLOSE_FINAL_SIZE),
    BREACH(data_beyond_the_end_of_a_complete_direction, VLY_CLOSE_FINAL_SIZE),
    BREACH(reset_of_another_size, VLY_CLOSE_FINAL_SIZE),
    BREACH(reset_below_the_data, VLY_CLOSE_FINAL_SIZE),
    BREACH(reset_twice_with_another_size, VLY_CLOSE_FINAL_SIZE),
    BREACH(end_of_another_size_after_reset, VLY_CLOSE_FINAL_SIZE),
    BREACH(end_below_what_a_stopped_stream_brought, VLY_CLOSE_FINAL_SIZE),
    BREACH(data_again_with_another_content, NOTHING), /* RULE 35 */
    BREACH(more_streams_than_allowed, VLY_CLOSE_STREAM_LIMIT),
    BREACH(the_last_stream_allowed, NOTHING),
    BREACH(stream_of_2_to_the_62, VLY_CLOSE_STREAM_LIMIT),
    BREACH(data_of_a_stream_of_the_receiver, VLY_CLOSE_STREAM_STATE),
    BREACH(reset_of_a_stream_of_the_receiver, VLY_CLOSE_STREAM_STATE),
    BREACH(stop_of_a_stream_of_the_receiver, VLY_CLOSE_STREAM_STATE),
    BREACH(credit_of_a_stream_of_the_receiver, VLY_CLOSE_STREAM_STATE),
    BREACH(frames_of_a_stream_that_is_over, NOTHING),
    BREACH(packet_without_frames, NOTHING),
    BREACH(packet_of_padding, NOTHING),
    BREACH(close_with_a_reason_of_10000_bytes, VLY_CLOSE_FRAME_ENCODING),
    BREACH(limits_that_fall, NOTHING),
    BREACH(limits_without_limit, NOTHING),
    BREACH(answer_to_no_challenge, NOTHING),
    BREACH(key_phase_in_plain, NOTHING),
    BREACH(close_from_another_address, NOTHING),
    BREACH(close_of_another_connection, NOTHING),
    BREACH(hello_again, NOTHING),
    BREACH(packets_of_a_server, NOTHING),
#undef BREACH
};

/* The connection goes on as if nothing had been: a PING is acknowledged. */
static void assert_alive(struct raw *r)
{
    uint64_t acks;

    raw_take(r);
    assert_int_equal(r->seen.close_code, NOTHING);
    acks = r->seen.frames[VLY_FRAME_ACK];
    vly_frame_ping_encode(raw_packet(r));
    raw_send(r);
    raw_take(r);
    assert_int_equal(r->seen.frames[VLY_FRAME_ACK], acks + 1);
    assert_int_equal(r->seen.ack.largest, r->next_pn - 1);
    assert_int_equal(r->p->side[PAIR_SERVER].events[VLY_EV_CLOSED], 0);
}

/* SPEC 8: CLOSE goes out at once, the application is told, and no further packet is answered. */
static void assert_closed(struct raw *r, uint64_t code)
{
    const struct pair_side *s = &r->p->side[PAIR_SERVER];

    raw_take(r);
    assert_int_equal(r->seen.close_code, code);
    assert_string_equal(r->seen.reason, vly_close_code_text(code));
    assert_int_equal(s->events[VLY_EV_CLOSED], 1);
    assert_int_equal(s->last[VLY_EV_CLOSED].err, VLY_E_PROTOCOL);
    assert_int_equal(s->last[VLY_EV_CLOSED].code, code);
    assert_false(s->last[VLY_EV_CLOSED].app_code);
    vly_frame_ping_encode(raw_packet(r));
    raw_send(r);
    assert_int_equal(raw_take(r), 0);
    assert_int_equal(vly_endpoint_deadline(s->ep), VLY_NEVER);
}

/* RULE 14, 17, 19, 33, 35, 36 */
static void test_hostile_peer_breaches(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(breaches); i++) {
        struct pair *p = pair_new(NULL, NULL);
        struct raw r;

        print_message("  %s\n", breaches[i].name);
        begin(&r, p);
        breaches[i].commit(&r);
        if (breaches[i].code == NOTHING)
            assert_alive(&r);
        else
            assert_closed(&r, breaches[i].code);
        assert_in_range(p->side[PAIR_SERVER].alloc.max_bytes, 1, MEMORY_MAX);
        pair_free(p);
    }
}

/* RULE 14: a type that is not in the table, alone or behind a frame that is. */
static void test_hostile_peer_unknown_frames(void **state)
{
    unsigned unknown = 0;

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        struct pair *p;
        struct raw r;

        if (strcmp(vly_frame_name((uint8_t)type), "?") != 0)
            continue;
        p = pair_new(NULL, NULL);
        begin(&r, p);
        if (type % 2 == 0)
            vly_frame_ping_encode(raw_packet(&r));
        vly_wr_u8(raw_packet(&r), (uint8_t)type);
        raw_send(&r);
        assert_closed(&r, VLY_CLOSE_FRAME_ENCODING);
        pair_free(p);
        unknown++;
    }
    assert_int_equal(unknown, 256 - 16);
}

/* One of each frame, whatever it says; returns where each ends. */
static size_t all_frames(struct raw *r, size_t ends[16])
{
    static const uint8_t path[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct vly_wr *w = raw_packet(r);
    size_t n = 0;

#define FRAME_ENDS() ends[n++] = vly_wr_len(w)
    vly_frame_ping_encode(w), FRAME_ENDS();
    bytes(r, "02 00 00 00 00 00"), FRAME_ENDS();
    bytes(r, "03 4000 00 00 00 00 05 00 00"), FRAME_ENDS();
    vly_frame_floor_encode(w, 1), FRAME_ENDS();
    raw_stream(r, 0, 100, 80, false), FRAME_ENDS();
    vly_frame_max_data_encode(w, 1 << 20), FRAME_ENDS();
    vly_frame_max_stream_data_encode(w, 0, 1 << 20), FRAME_ENDS();
    vly_frame_max_streams_encode(w, 300), FRAME_ENDS();
    vly_frame_path_encode(w, VLY_FRAME_PATH_CHALLENGE, path), FRAME_ENDS();
    vly_frame_path_encode(w, VLY_FRAME_PATH_RESPONSE, path), FRAME_ENDS();
    vly_frame_reset_encode(w, 0, 1, 180), FRAME_ENDS();
    vly_frame_stop_encode(w, 0, 1), FRAME_ENDS();
    raw_stream(r, 2, 0, 5, true), FRAME_ENDS();
    vly_frame_close_encode(w, VLY_FRAME_CLOSE_APP, 1000, (struct vly_span){path, 8}), FRAME_ENDS();
#undef FRAME_ENDS
    return n;
}

/* RULE 14: a packet with all frames, cut at every byte: the cut frame is what it is closed for, and
 * nothing is read behind it (the sanitizer watches). */
static void test_hostile_peer_frames_cut_at_every_byte(void **state)
{
    size_t len = SIZE_MAX;

    (void)state;
    for (size_t cut = VLY_DATA_HEADER_BYTES + 1; cut <= len; cut++) {
        struct pair *p = pair_new(NULL, NULL);
        size_t ends[16], n;
        bool at_an_end = false;
        struct raw r;

        begin(&r, p);
        n = all_frames(&r, ends);
        len = ends[n - 1];
        r.w.pos = r.w.start + cut;
        raw_send(&r);
        raw_take(&r);
        for (size_t i = 0; i < n; i++)
            at_an_end |= cut == ends[i];
        if (cut == len)
            assert_int_equal(p->side[PAIR_SERVER].last[VLY_EV_CLOSED].code, 1000);
        else if (at_an_end)
            assert_alive(&r);
        else
            assert_closed(&r, VLY_CLOSE_FRAME_ENCODING);
        pair_free(p);
    }
}

/* What may not change when a packet is not authentic. */
static void assert_same_state(const struct pair *p, const struct vly_conn_stats *before)
{
    struct vly_conn_stats now = pair_stats(p, PAIR_SERVER);

    now.dropped_received = before->dropped_received;
    now.forgeries = before->forgeries;
    assert_memory_equal(&now, before, sizeof(now));
}

/* RULE 9: every single bit of a packet flipped. Nothing changes, the replay window included: the
 * packet itself is taken afterwards. */
static void test_hostile_peer_flipped_bits(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct vly_conn_stats before;
    struct vly_span packet;
    uint8_t copy[200];
    struct raw r;

    (void)state;
    begin(&r, p);
    raw_stream(&r, 0, 100, 50, false);
    packet = raw_seal(&r, r.next_pn++);
    memcpy(copy, packet.data, packet.len);
    before = pair_stats(p, PAIR_SERVER);
    for (size_t bit = 0; bit < 8 * packet.len; bit++) {
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        raw_give(&r, (struct vly_span){copy, packet.len});
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        raw_take(&r);
        assert_same_state(p, &before);
        assert_int_equal(r.seen.close_code, NOTHING);
        assert_int_equal(p->side[PAIR_SERVER].stream[0].bytes, 100);
    }
    raw_give(&r, (struct vly_span){copy, packet.len});
    assert_int_equal(p->side[PAIR_SERVER].stream[0].bytes, 150);
    assert_alive(&r);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_peer_breaches),
        cmocka_unit_test(test_hostile_peer_unknown_frames),
        cmocka_unit_test(test_hostile_peer_frames_cut_at_every_byte),
        cmocka_unit_test(test_hostile_peer_flipped_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
