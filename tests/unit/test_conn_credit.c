/*
 * conn: what holds streams back: credit, room to write, how many there may be.
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

/* ---- credit ---- */

/* RULE 33: what may arrive is what was promised, until the application gives it back. */
static void test_conn_credit_credit_stops_the_sender(void **state)
{
    const struct vly_conn_config small = {.window_bytes = 20000, .window_max_bytes = 20000};
    struct pair *p = pair_connected(NULL, &small);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    server(p)->holds_credit = true;
    pair_write(p, PAIR_CLIENT, id, 50000, true);
    pair_run(p, VLY_MS(100));
    assert_int_equal(server(p)->stream[id].bytes, 20000);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).in_flight_bytes, 0);
    for (int i = 0; i < 2; i++) {
        pair_consume(p, PAIR_SERVER, id);
        pair_run(p, VLY_MS(100));
    }
    assert_int_equal(server(p)->stream[id].bytes, 50000);
    assert_string_equal(server(p)->log, "Aode");
    assert_true(pair_stats(p, PAIR_CLIENT).limited_flow_ns >= VLY_MS(90));
    pair_free(p);
}

/* The connection's credit stops many streams long before their own would: all go on when it comes.
 */
static void test_conn_credit_connection_credit_wakes_all(void **state)
{
    const struct vly_conn_config small = {.window_bytes = 100000, .window_max_bytes = 100000};
    struct pair *p = pair_connected(NULL, &small);
    uint64_t id[20];

    (void)state;
    server(p)->holds_credit = true;
    for (size_t i = 0; i < ARRAY_LEN(id); i++) {
        id[i] = pair_open(p, PAIR_CLIENT);
        pair_write(p, PAIR_CLIENT, id[i], 9000, true);
    }
    pair_run(p, VLY_MS(100));
    assert_int_equal(client(p)->events[VLY_EV_STREAM_ACKED], 0);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(id); i++)
            pair_consume(p, PAIR_SERVER, id[i]);
        pair_run(p, VLY_MS(100));
    }
    assert_int_equal(client(p)->events[VLY_EV_STREAM_ACKED], ARRAY_LEN(id));
    pair_free(p);
}

/* New limits get lost like anything else, and are sent again. */
static void test_conn_credit_lost_credit_is_repaired(void **state)
{
    const struct vly_conn_config small = {.window_bytes = 20000, .window_max_bytes = 20000};
    struct pair *p = pair_connected(NULL, &small);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    server(p)->holds_credit = true;
    pair_write(p, PAIR_CLIENT, id, 30000, true);
    pair_run(p, VLY_MS(100));
    pair_consume(p, PAIR_SERVER, id);
    assert_int_equal(pair_flush(p, PAIR_SERVER), 1);
    pair_drop(p, PAIR_SERVER);
    pair_run(p, VLY_S(2));
    assert_string_equal(server(p)->log, "Aode");
    pair_free(p);
}

/* First offsets just below 2^62 - 1: limits are cut there, RULE 36. */
static void test_conn_credit_ends_at_the_last_offset(void **state)
{
    const struct vly_conn_config high = {.first_offset = VLY_VARINT_MAX - 300000};
    struct pair *p = pair_connected(&high, &high);
    uint64_t id = pair_open(p, PAIR_CLIENT);
    uint8_t bytes[1000] = {0};
    size_t written, total = 0;
    int err;

    (void)state;
    server(p)->any_content = true;
    server(p)->order = VLY_ANY_ORDER;
    do {
        err = vly_conn_write(client(p)->conn, id, (struct vly_span){bytes, sizeof(bytes)}, false,
                             &written);
        total += written;
    } while (err == 0 && written == sizeof(bytes));
    assert_int_equal(err, VLY_E_LIMIT);
    assert_int_equal(total, 300000);
    assert_int_equal(vly_conn_commit(client(p)->conn, id, 0, true), 0);
    pair_run(p, VLY_S(1));
    assert_int_equal(server(p)->stream[id].bytes, 300000);
    assert_int_equal(server(p)->stream[id].final_bytes, VLY_VARINT_MAX);
    pair_free(p);
}

/* ---- room to write ---- */

/* RULE 39: what the sender keeps is bounded; WRITABLE says when there is room again. */
static void test_conn_credit_room_and_writable(void **state)
{
    const struct vly_conn_config small = {.send_buffer_max_bytes = 200000};
    struct pair *p = pair_connected(&small, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);
    size_t written;

    (void)state;
    assert_int_equal(vly_conn_write_room(client(p)->conn, id), 200000);
    written = pair_write_some(p, PAIR_CLIENT, id, 0, 300000, true);
    assert_int_equal(written, 200000);
    assert_int_equal(vly_conn_write_room(client(p)->conn, id), 0);
    assert_int_equal(pair_write_some(p, PAIR_CLIENT, id, written, 100000, true), 0);
    pair_run(p, VLY_S(1));
    assert_string_equal(client(p)->log, "Cw"); /* once */
    assert_int_equal(client(p)->last[VLY_EV_WRITABLE].stream, id);
    assert_int_equal(pair_write_some(p, PAIR_CLIENT, id, written, 100000, true), 100000);
    pair_run(p, VLY_S(1));
    assert_string_equal(server(p)->log, "Aode");
    assert_int_equal(server(p)->stream[id].final_bytes, 300000);
    pair_free(p);
}

/* One stream takes all the room: another still gets a little, and both end. */
static void test_conn_credit_room_for_each(void **state)
{
    const struct vly_conn_config small = {.send_buffer_max_bytes = 200000};
    struct pair *p = pair_connected(&small, NULL);
    uint64_t greedy = pair_open(p, PAIR_CLIENT), other = pair_open(p, PAIR_CLIENT);

    (void)state;
    assert_int_equal(pair_write_some(p, PAIR_CLIENT, greedy, 0, 200000, true), 200000);
    assert_int_equal(pair_write_some(p, PAIR_CLIENT, other, 0, 20000, true), VLY_STREAM_ROOM_MIN);
    pair_run(p, VLY_S(1));
    assert_int_equal(client(p)->last[VLY_EV_WRITABLE].stream, other);
    assert_int_equal(pair_write_some(p, PAIR_CLIENT, other, VLY_STREAM_ROOM_MIN,
                                     20000 - VLY_STREAM_ROOM_MIN, true),
                     20000 - VLY_STREAM_ROOM_MIN);
    pair_run(p, VLY_S(1));
    assert_int_equal(client(p)->events[VLY_EV_STREAM_ACKED], 2);
    pair_free(p);
}

/* ---- how many ---- */

static void test_conn_credit_limit_rises_as_streams_end(void **state)
{
    const struct vly_conn_config four = {.max_streams = 4};
    struct pair *p = pair_connected(NULL, &four);
    uint64_t id;

    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(pair_open(p, PAIR_CLIENT), 2 * i);
        pair_write(p, PAIR_CLIENT, 2 * i, 10, true);
    }
    assert_int_equal(vly_conn_open_stream(client(p)->conn, &id), VLY_E_AGAIN);
    pair_run(p, VLY_MS(100));
    assert_int_equal(vly_conn_open_stream(client(p)->conn, &id), VLY_E_AGAIN);
    for (uint64_t i = 0; i < 4; i++)
        pair_write(p, PAIR_SERVER, 2 * i, 0, true);
    pair_run(p, VLY_MS(100));
    assert_int_equal(client(p)->last[VLY_EV_WRITABLE].stream, UINT64_MAX);
    for (uint64_t i = 4; i < 8; i++)
        assert_int_equal(pair_open(p, PAIR_CLIENT), 2 * i);
    assert_int_equal(vly_conn_open_stream(client(p)->conn, &id), VLY_E_AGAIN);
    pair_free(p);
}

/* Ten thousand streams, one after the other: nothing is left of any. */
static void test_conn_credit_memory_of_ended_streams(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    size_t after_first[2] = {0};

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t id = pair_open(p, PAIR_CLIENT);

        server(p)->any_content = true; /* the count of one stream stands for many */
        pair_write(p, PAIR_CLIENT, id, 100, true);
        pair_settle(p);
        pair_write(p, PAIR_SERVER, id, 0, true);
        pair_settle(p);
        if (i == 500) {
            after_first[0] = client(p)->alloc.max_bytes;
            after_first[1] = server(p)->alloc.max_bytes;
        }
    }
    assert_int_equal(client(p)->conn->streams.n, 0);
    assert_int_equal(client(p)->events[VLY_EV_STREAM_END], 10000);
    assert_true(client(p)->alloc.max_bytes <= 2 * after_first[0]);
    assert_true(server(p)->alloc.max_bytes <= 2 * after_first[1]);
    pair_free(p);
}

/* That more streams may be opened gets lost, and is said again. */
static void test_conn_credit_lost_stream_limit_is_repaired(void **state)
{
    const struct vly_conn_config one = {.max_streams = 1};
    struct pair *p = pair_connected(NULL, &one);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    pair_write(p, PAIR_CLIENT, id, 10, true);
    pair_settle(p);
    pair_write(p, PAIR_SERVER, id, 0, true);
    pair_flush(p, PAIR_SERVER);
    pair_deliver(p, PAIR_SERVER);
    pair_flush(p, PAIR_CLIENT);
    pair_deliver(p, PAIR_CLIENT); /* the ACK that ends the stream at the server */
    assert_int_equal(pair_flush(p, PAIR_SERVER), 1);
    pair_drop(p, PAIR_SERVER);
    assert_int_equal(vly_conn_open_stream(client(p)->conn, &id), VLY_E_AGAIN);
    pair_run(p, VLY_S(2));
    assert_int_equal(pair_open(p, PAIR_CLIENT), 2);
    pair_free(p);
}

/* A stream that waits for room and is given up instead: nobody waits any more. */
static void test_conn_credit_given_up_while_waiting_for_room(void **state)
{
    const struct vly_conn_config small = {.send_buffer_max_bytes = 20000};
    struct pair *p = pair_connected(&small, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    (void)pair_write_some(p, PAIR_CLIENT, id, 0, 50000, true);
    assert_int_equal(client(p)->conn->rooms_wanted, 1);
    vly_conn_reset_stream(client(p)->conn, id, 1);
    pair_settle(p);
    pair_write(p, PAIR_SERVER, id, 0, true);
    pair_run(p, VLY_MS(100));
    assert_int_equal(client(p)->conn->streams.n, 0);
    assert_int_equal(client(p)->conn->rooms_wanted, 0);
    assert_int_equal(client(p)->conn->send_held_bytes, 0);
    pair_free(p);
}

/* What the socket's buffer could not hold makes the window smaller, once for each drop that is
 * news. */
static void test_conn_credit_gives_way_to_kernel_drops(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    struct vly_conn *c = server(p)->conn;
    uint64_t before_bytes = pair_stats(p, PAIR_SERVER).recv_window_bytes;

    (void)state;
    vly_conn_set_kernel_drops(c, 0, p->now_ns);
    assert_int_equal(pair_stats(p, PAIR_SERVER).recv_window_bytes, before_bytes);
    vly_conn_set_kernel_drops(c, 3, p->now_ns);
    assert_int_equal(pair_stats(p, PAIR_SERVER).recv_window_bytes, before_bytes / 2);
    vly_conn_set_kernel_drops(c, 3, p->now_ns + VLY_S(1));
    assert_int_equal(pair_stats(p, PAIR_SERVER).recv_window_bytes, before_bytes / 2);
    assert_int_equal(pair_stats(p, PAIR_SERVER).kernel_drops_local, 3);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_credit_credit_stops_the_sender),
        cmocka_unit_test(test_conn_credit_connection_credit_wakes_all),
        cmocka_unit_test(test_conn_credit_lost_credit_is_repaired),
        cmocka_unit_test(test_conn_credit_ends_at_the_last_offset),
        cmocka_unit_test(test_conn_credit_room_and_writable),
        cmocka_unit_test(test_conn_credit_room_for_each),
        cmocka_unit_test(test_conn_credit_limit_rises_as_streams_end),
        cmocka_unit_test(test_conn_credit_memory_of_ended_streams),
        cmocka_unit_test(test_conn_credit_lost_stream_limit_is_repaired),
        cmocka_unit_test(test_conn_credit_given_up_while_waiting_for_room),
        cmocka_unit_test(test_conn_credit_gives_way_to_kernel_drops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
