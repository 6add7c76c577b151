/*
 * conn: streams as the application sees them: open, write, order, reset, stop.
 */
#include <string.h>

#include "proto/conn_internal.h"
#include "support/pair.h"

#define WINDOW (UINT64_C(1) << 20) /* conn.h's default */

static struct pair_side *client(struct pair *p)
{
    return &p->side[PAIR_CLIENT];
}

static struct pair_side *server(struct pair *p)
{
    return &p->side[PAIR_SERVER];
}

/* ---- data ---- */

static void test_conn_stream_carries_any_size(void **state)
{
    static const struct {
        const char *name;
        size_t bytes;
        const char *server_log;
    } cases[] = {
        {"nothing but its end", 0, "Aoe"},     {"one byte", 1, "Aode"},
        {"one packet", 1400, "Aode"},          {"some packets", 10000, "Aode"},
        {"a block and a byte", 65537, "Aode"}, {"all the sender takes at once", 512u << 10, "Aode"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair *p = pair_connected(NULL, NULL);
        uint64_t id = pair_open(p, PAIR_CLIENT);

        print_message("  %s\n", cases[i].name);
        assert_int_equal(id, 0);
        pair_write(p, PAIR_CLIENT, id, cases[i].bytes, true);
        pair_run(p, VLY_S(5));
        assert_string_equal(server(p)->log, cases[i].server_log);
        assert_string_equal(client(p)->log, "Ck");
        assert_int_equal(server(p)->stream[id].final_bytes, cases[i].bytes);
        assert_int_equal(server(p)->stream[id].bytes, cases[i].bytes);
        assert_int_equal(client(p)->last[VLY_EV_STREAM_ACKED].offset, cases[i].bytes);
        assert_int_equal(pair_stats(p, PAIR_CLIENT).retransmits, 0);
        pair_free(p);
    }
}

static void test_conn_stream_goes_both_ways(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    pair_write(p, PAIR_CLIENT, id, 100, true);
    pair_settle(p);
    pair_write(p, PAIR_SERVER, id, 50000, true);
    pair_run(p, VLY_S(1));
    assert_string_equal(server(p)->log, "Aodek");
    assert_string_equal(client(p)->log, "Ckde");
    assert_int_equal(client(p)->stream[id].final_bytes, 50000);
    /* Over in both directions: nothing is kept of it. */
    assert_int_equal(client(p)->conn->streams.n, 0);
    assert_int_equal(server(p)->conn->streams.n, 0);
    assert_int_equal(client(p)->conn->send_held_bytes, 0);
    pair_free(p);
}

static void test_conn_stream_ids_by_side(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);

    (void)state;
    assert_int_equal(pair_open(p, PAIR_CLIENT), 0);
    assert_int_equal(pair_open(p, PAIR_SERVER), 1);
    assert_int_equal(pair_open(p, PAIR_CLIENT), 2);
    assert_int_equal(pair_open(p, PAIR_SERVER), 3);
    assert_int_equal(pair_open(p, PAIR_CLIENT), 4);
    /* SPEC 6: opening one opens all lower ones of that side. */
    pair_write(p, PAIR_CLIENT, 4, 1, false);
    pair_settle(p);
    assert_string_equal(server(p)->log, "Aoood");
    assert_int_equal(server(p)->last[VLY_EV_STREAM_OPENED].stream, 4);
    pair_write(p, PAIR_SERVER, 0, 1, false);
    pair_settle(p);
    assert_string_equal(client(p)->log, "Cd");
    pair_free(p);
}

static void test_conn_stream_reserve_and_commit_in_place(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    struct vly_conn *c = client(p)->conn;
    uint64_t id = pair_open(p, PAIR_CLIENT);
    uint8_t *room;
    size_t len = 1000;

    (void)state;
    assert_int_equal(vly_conn_reserve(c, id, &room, &len), 0);
    assert_int_equal(len, 1000);
    for (size_t i = 0; i < len; i++)
        room[i] = pair_byte(id, i);
    assert_int_equal(vly_conn_commit(c, id, 600, false), 0);
    len = 400;
    assert_int_equal(vly_conn_reserve(c, id, &room, &len), 0);
    for (size_t i = 0; i < len; i++)
        room[i] = pair_byte(id, 600 + i);
    assert_int_equal(vly_conn_commit(c, id, 400, true), 0);
    pair_settle(p);
    assert_string_equal(server(p)->log, "Aode");
    assert_int_equal(server(p)->stream[id].bytes, 1000);
    pair_free(p);
}

/* What cannot be done to a stream that is not there, or over in that direction. */
static void test_conn_stream_wrong_state(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    struct vly_conn *c = client(p)->conn;
    uint64_t ended = pair_open(p, PAIR_CLIENT), reset = pair_open(p, PAIR_CLIENT);
    const uint64_t ids[] = {ended, reset, 100, 1};
    uint8_t *room;

    (void)state;
    pair_write(p, PAIR_CLIENT, ended, 10, true);
    vly_conn_reset_stream(c, reset, 1);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        size_t len = 1, written;

        assert_int_equal(vly_conn_reserve(c, ids[i], &room, &len), VLY_E_STATE);
        assert_int_equal(vly_conn_commit(c, ids[i], 0, true), VLY_E_STATE);
        assert_int_equal(
            vly_conn_write(c, ids[i], (struct vly_span){(const uint8_t *)"x", 1}, true, &written),
            VLY_E_STATE);
        assert_int_equal(written, 0);
        assert_int_equal(vly_conn_write_room(c, ids[i]), 0);
    }
    assert_int_equal(vly_conn_set_order(c, 100, VLY_ANY_ORDER), VLY_E_STATE);
    vly_conn_reset_stream(c, 100, 1); /* no-ops */
    vly_conn_stop_stream(c, 100, 1);
    vly_conn_reset_stream(c, reset, 2);
    pair_settle(p);
    assert_int_equal(server(p)->last[VLY_EV_STREAM_RESET].code, 1);
    pair_free(p);
}

/* A lost packet: in order the rest waits, in any order it does not. */
static void test_conn_stream_orders(void **state)
{
    static const struct {
        enum vly_order order;
        uint64_t least, most; /* before the repair, of 4200 in three packets; the second is lost */
    } cases[] = {{VLY_IN_ORDER, 1400, 1440}, {VLY_ANY_ORDER, 2700, 2800}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair *p = pair_connected(NULL, NULL);
        uint64_t id = pair_open(p, PAIR_CLIENT);

        server(p)->order = cases[i].order;
        pair_write(p, PAIR_CLIENT, id, 4200, true);
        assert_int_equal(pair_flush(p, PAIR_CLIENT), 3);
        pair_drop_nth(p, PAIR_CLIENT, 1);
        pair_deliver(p, PAIR_CLIENT);
        assert_in_range(server(p)->stream[id].bytes, cases[i].least, cases[i].most);
        pair_run(p, VLY_S(1));
        assert_string_equal(server(p)->log, "Aode");
        assert_int_equal(server(p)->stream[id].bytes, 4200);
        pair_free(p);
    }
}

/* A gap in the very run that opens the stream: the application can ask for any order only after it,
 * and what waits by then comes with the stream's next data, though the gap is there still. */
static void test_conn_stream_any_order_after_a_run_with_a_gap(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT), first;
    const struct vly_stream *s;

    (void)state;
    server(p)->order = VLY_ANY_ORDER;
    pair_write(p, PAIR_CLIENT, id, 4200, false);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 3);
    pair_drop_nth(p, PAIR_CLIENT, 1);
    pair_deliver_run(p, PAIR_CLIENT);
    first = server(p)->stream[id].bytes;
    assert_in_range(first, 1400, 1440);
    s = vly_streams_find(&server(p)->conn->streams, id);
    assert_true(vly_recvbuf_held_bytes(&s->recv) > 0);
    assert_int_equal(pair_write_some(p, PAIR_CLIENT, id, 4200, 100, false), 100);
    pair_flush(p, PAIR_CLIENT);
    pair_deliver_run(p, PAIR_CLIENT);
    assert_int_equal(s->recv.frontier, first);
    assert_int_equal(vly_rangeset_count(&s->recv.have), server(p)->stream[id].bytes - first);
    assert_in_range(server(p)->stream[id].bytes, 4300 - 1440, 4300 - 1400);
    vly_endpoint_on_deadline(server(p)->ep, p->now_ns); /* the next verb frees it */
    assert_int_equal(vly_recvbuf_held_bytes(&s->recv), 0);
    assert_int_equal(pair_write_some(p, PAIR_CLIENT, id, 4300, 100, true), 100);
    pair_run(p, VLY_S(1));
    assert_string_equal(server(p)->log, "Aode");
    assert_int_equal(server(p)->stream[id].bytes, 4400);
    pair_free(p);
}

/* Such a stream is given up before that: its credit comes back. RULE 33 */
static void test_conn_stream_any_order_and_stopped_before_more_comes(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    server(p)->order = VLY_ANY_ORDER;
    pair_write(p, PAIR_CLIENT, id, 4200, false);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 3);
    pair_drop_nth(p, PAIR_CLIENT, 1);
    pair_deliver_run(p, PAIR_CLIENT);
    vly_conn_stop_stream(server(p)->conn, id, 7);
    assert_int_equal(pair_write_some(p, PAIR_CLIENT, id, 4200, 100, false), 100);
    pair_run(p, VLY_S(1));
    assert_in_range(server(p)->stream[id].bytes, 1400, 1440);
    assert_int_equal(server(p)->conn->recv_credit.consumed_bytes,
                     server(p)->conn->recv_credit.highest_bytes);
    pair_free(p);
}

/* Any order may be asked for at any time, in order only while there is no gap. */
static void test_conn_stream_order_may_change(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    pair_write(p, PAIR_CLIENT, id, 100, false);
    pair_settle(p);
    assert_int_equal(vly_conn_set_order(server(p)->conn, id, VLY_ANY_ORDER), 0);
    assert_int_equal(vly_conn_set_order(server(p)->conn, id, VLY_IN_ORDER), 0);
    assert_int_equal(pair_write_some(p, PAIR_CLIENT, id, 100, 2900, true), 2900);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 3);
    pair_drop_nth(p, PAIR_CLIENT, 0);
    pair_deliver(p, PAIR_CLIENT);
    assert_int_equal(server(p)->stream[id].bytes, 100);
    assert_int_equal(vly_conn_set_order(server(p)->conn, id, VLY_ANY_ORDER), 0);
    assert_int_equal(vly_conn_set_order(server(p)->conn, id, VLY_IN_ORDER), VLY_E_STATE);
    server(p)->order = VLY_ANY_ORDER;
    pair_run(p, VLY_S(1));
    assert_string_equal(server(p)->log, "Aode");
    assert_int_equal(server(p)->stream[id].bytes, 3000);
    pair_free(p);
}

/* ---- more scattered than there is room to note ---- */

/* Six packets, every other one lost; the sets that note what is outstanding are cut to one range.
 */
static struct pair *scattered(uint64_t *id, size_t acked_max, size_t pending_max)
{
    struct pair *p = pair_connected(NULL, NULL);
    struct vly_stream *s;

    *id = pair_open(p, PAIR_CLIENT);
    s = vly_streams_find(&client(p)->conn->streams, *id);
    s->send.acked.max = acked_max;
    s->send.pending.max = pending_max;
    pair_write(p, PAIR_CLIENT, *id, 8000, true);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 6);
    for (size_t i = 0; i < 3; i++)
        pair_drop_nth(p, PAIR_CLIENT, i);
    return p;
}

/* What is acknowledged and cannot be noted goes out once more. */
static void test_conn_stream_too_scattered_to_note_acks(void **state)
{
    uint64_t id;
    struct pair *p = scattered(&id, 1, 100);

    (void)state;
    pair_run(p, VLY_S(2));
    assert_string_equal(client(p)->log, "Ck");
    assert_int_equal(server(p)->stream[id].final_bytes, 8000);
    pair_free(p);
}

/* What is lost and cannot be noted ends the connection: nothing is lost silently. */
static void test_conn_stream_too_scattered_to_note_losses(void **state)
{
    uint64_t id;
    struct pair *p = scattered(&id, 100, 1);

    (void)state;
    pair_run(p, VLY_S(2));
    assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, VLY_E_NOMEM);
    assert_int_equal(server(p)->last[VLY_EV_CLOSED].code, VLY_CLOSE_NO_MEMORY);
    pair_free(p);
}

/* ---- reset and stop ---- */

static void test_conn_stream_reset(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    pair_write(p, PAIR_CLIENT, id, 5000, false);
    pair_settle(p);
    pair_write_some(p, PAIR_CLIENT, id, 5000, 5000, false); /* never sent */
    vly_conn_reset_stream(client(p)->conn, id, 7);
    assert_int_equal(client(p)->conn->send_held_bytes, 0);
    pair_settle(p);
    assert_string_equal(server(p)->log, "Aodr");
    assert_int_equal(server(p)->last[VLY_EV_STREAM_RESET].stream, id);
    assert_int_equal(server(p)->last[VLY_EV_STREAM_RESET].code, 7);
    pair_write(p, PAIR_SERVER, id, 10, true);
    pair_run(p, VLY_MS(100));
    assert_int_equal(client(p)->conn->streams.n, 0);
    assert_int_equal(server(p)->conn->streams.n, 0);
    pair_free(p);
}

static void test_conn_stream_reset_and_stop_are_repaired(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t reset = pair_open(p, PAIR_CLIENT), stop = pair_open(p, PAIR_CLIENT);

    (void)state;
    pair_write(p, PAIR_CLIENT, stop, 10, false);
    pair_settle(p);
    pair_write_some(p, PAIR_SERVER, stop, 0, 10, false);
    pair_settle(p);
    vly_conn_reset_stream(client(p)->conn, reset, 3);
    vly_conn_stop_stream(client(p)->conn, stop, 4);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 1);
    pair_drop(p, PAIR_CLIENT);
    pair_run(p, VLY_S(2));
    assert_int_equal(server(p)->last[VLY_EV_STREAM_RESET].code, 3);
    assert_int_equal(server(p)->last[VLY_EV_STREAM_STOPPED].code, 4);
    pair_free(p);
}

/* SPEC 6: it is answered with RESET_STREAM of the same code. */
static void test_conn_stream_stop(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    pair_write(p, PAIR_CLIENT, id, 5000, false);
    pair_settle(p);
    vly_conn_stop_stream(server(p)->conn, id, 9);
    pair_settle(p);
    assert_string_equal(client(p)->log, "Cs");
    assert_int_equal(client(p)->last[VLY_EV_STREAM_STOPPED].code, 9);
    /* It asked for the end, so that nothing is told of it. */
    assert_string_equal(server(p)->log, "Aod");
    pair_write(p, PAIR_SERVER, id, 0, true);
    pair_settle(p);
    assert_int_equal(client(p)->conn->streams.n, 0);
    assert_int_equal(server(p)->conn->streams.n, 0);
    pair_free(p);
}

/* The end of the stream was seen already, a gap before it was not: the peer, which gets everything
 * acknowledged, has no reason to reset, and the stream is over all the same. */
static void test_conn_stream_stop_with_a_known_end(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    pair_write(p, PAIR_CLIENT, id, 4200, true);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 3);
    pair_drop_nth(p, PAIR_CLIENT, 1);
    pair_deliver(p, PAIR_CLIENT);
    pair_flush(p, PAIR_SERVER); /* the ACK is under way before the application decides */
    vly_conn_stop_stream(server(p)->conn, id, 9);
    pair_deliver(p, PAIR_SERVER);
    pair_flush(p, PAIR_SERVER);
    pair_drop(p, PAIR_SERVER); /* the STOP_SENDING, if there is one, comes late */
    pair_run(p, VLY_S(1));
    pair_write(p, PAIR_SERVER, id, 0, true);
    pair_run(p, VLY_S(1));
    assert_int_equal(server(p)->conn->streams.n, 0);
    assert_int_equal(client(p)->conn->streams.n, 0);
    pair_free(p);
}

/* RULE 33: credit that was given back is not held as memory as well. */
static void test_conn_stream_memory_of_ended_directions(void **state)
{
    static const char *const how[] = {"reset by the peer", "stopped by the application"};

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(how); k++) {
        struct pair *p = pair_connected(NULL, NULL);

        print_message("  %s\n", how[k]);
        for (unsigned i = 0; i < 50; i++) {
            uint64_t id = pair_open(p, PAIR_CLIENT);

            pair_write(p, PAIR_CLIENT, id, 100000, false);
            pair_flush(p, PAIR_CLIENT);
            pair_drop_nth(p, PAIR_CLIENT, 0); /* the beginning: the rest has to be kept */
            pair_deliver(p, PAIR_CLIENT);
            if (k == 0)
                vly_conn_reset_stream(client(p)->conn, id, 1);
            else
                vly_conn_stop_stream(server(p)->conn, id, 1);
            pair_run(p, VLY_MS(500));
        }
        assert_int_equal(server(p)->conn->streams.n, 50); /* the other directions are open */
        assert_true(server(p)->alloc.max_bytes < 800000);
        pair_free(p);
    }
}

/* More to say at once than one packet can note (32 frames). */
static void test_conn_stream_many_control_frames(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        uint64_t id = pair_open(p, PAIR_CLIENT);

        pair_write(p, PAIR_CLIENT, id, 1, false);
        if (i % 50 == 0)
            pair_settle(p);
    }
    pair_run(p, VLY_S(1));
    assert_int_equal(server(p)->events[VLY_EV_STREAM_OPENED], 200);
    for (unsigned i = 0; i < 200; i++) {
        vly_conn_reset_stream(client(p)->conn, 2 * i, i);
        vly_conn_stop_stream(client(p)->conn, 2 * i, i);
    }
    pair_run(p, VLY_S(1));
    assert_int_equal(server(p)->events[VLY_EV_STREAM_RESET], 200);
    assert_int_equal(server(p)->events[VLY_EV_STREAM_STOPPED], 200);
    assert_int_equal(server(p)->conn->streams.n, 0);
    assert_int_equal(client(p)->conn->streams.n, 0);
    pair_free(p);
}

/* Bytes handed on before a reset are given back by the application, the others by the engine: each
 * once. */
static void test_conn_stream_credit_after_reset(void **state)
{
    const struct vly_conn_config small = {.window_bytes = 20000, .window_max_bytes = 20000};
    struct pair *p = pair_connected(NULL, &small);

    (void)state;
    server(p)->holds_credit = true;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t id = pair_open(p, PAIR_CLIENT);

        pair_write(p, PAIR_CLIENT, id, 5000, false);
        assert_true(pair_flush(p, PAIR_CLIENT) > 1);
        pair_drop_nth(p, PAIR_CLIENT, 1);
        pair_deliver(p, PAIR_CLIENT);
        assert_true(server(p)->stream[id].bytes > 0);
        vly_conn_reset_stream(client(p)->conn, id, 1);
        pair_run(p, VLY_MS(500));
        pair_consume(p, PAIR_SERVER, id);
        pair_run(p, VLY_MS(500));
        assert_int_equal(server(p)->events[VLY_EV_STREAM_RESET], i + 1);
    }
    assert_int_equal(server(p)->conn->recv_credit.highest_bytes,
                     server(p)->conn->recv_credit.consumed_bytes);
    pair_free(p);
}

/* The end arrives while STOP_SENDING is under way: it is as good as a reset. */
static void test_conn_stream_ends_after_stop(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    pair_write(p, PAIR_CLIENT, id, 1000, false);
    pair_settle(p);
    pair_write_some(p, PAIR_CLIENT, id, 1000, 1000, true);
    pair_flush(p, PAIR_CLIENT);
    vly_conn_stop_stream(server(p)->conn, id, 9);
    pair_deliver(p, PAIR_CLIENT);
    pair_write(p, PAIR_SERVER, id, 0, true);
    pair_run(p, VLY_MS(100));
    assert_string_equal(server(p)->log, "Aodk"); /* nothing of what it did not want */
    assert_int_equal(client(p)->events[VLY_EV_STREAM_ACKED], 1);
    assert_int_equal(client(p)->conn->streams.n, 0);
    assert_int_equal(server(p)->conn->streams.n, 0);
    assert_int_equal(server(p)->conn->recv_credit.highest_bytes,
                     server(p)->conn->recv_credit.consumed_bytes);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_stream_carries_any_size),
        cmocka_unit_test(test_conn_stream_goes_both_ways),
        cmocka_unit_test(test_conn_stream_ids_by_side),
        cmocka_unit_test(test_conn_stream_reserve_and_commit_in_place),
        cmocka_unit_test(test_conn_stream_wrong_state),
        cmocka_unit_test(test_conn_stream_orders),
        cmocka_unit_test(test_conn_stream_any_order_after_a_run_with_a_gap),
        cmocka_unit_test(test_conn_stream_any_order_and_stopped_before_more_comes),
        cmocka_unit_test(test_conn_stream_order_may_change),
        cmocka_unit_test(test_conn_stream_too_scattered_to_note_acks),
        cmocka_unit_test(test_conn_stream_too_scattered_to_note_losses),
        cmocka_unit_test(test_conn_stream_reset),
        cmocka_unit_test(test_conn_stream_reset_and_stop_are_repaired),
        cmocka_unit_test(test_conn_stream_stop),
        cmocka_unit_test(test_conn_stream_stop_with_a_known_end),
        cmocka_unit_test(test_conn_stream_memory_of_ended_directions),
        cmocka_unit_test(test_conn_stream_many_control_frames),
        cmocka_unit_test(test_conn_stream_credit_after_reset),
        cmocka_unit_test(test_conn_stream_ends_after_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
