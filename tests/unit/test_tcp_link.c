/*
 * Streams over a TCP link, plain and sealed: two transports on one loop, over real sockets.
 */
#include "support/tcp_world.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BULK_BYTES (40u << 20) /* several times the credit */

static bool not_all_ended(const struct tcp_world *w)
{
    return !w->server.ended[0] || !w->server.ended[1] || !w->server.ended[2];
}

static void test_streams_arrive_in_order_and_whole(void **state)
{
    struct tcp_world *w = tcp_world_new();

    (void)state;
    tcp_world_open(w);
    assert_int_equal(tcp_end_send(&w->client, BULK_BYTES), 0);
    assert_int_equal(tcp_end_send(&w->client, 1), 2);
    assert_int_equal(tcp_end_send(&w->client, BULK_BYTES), 4);
    tcp_world_run_while(w, not_all_ended);
    assert_int_equal(w->server.received[0], BULK_BYTES);
    assert_int_equal(w->server.received[1], 1);
    assert_int_equal(w->server.received[2], BULK_BYTES);
    w->client.link->ops->close(w->client.link, 7, "done");
    tcp_world_run_until(w, &w->client.closed);
    tcp_world_run_until(w, &w->server.closed);
    assert_int_equal(w->client.err, 0);
    assert_int_equal(w->server.err, 0);
    assert_int_equal(w->server.code, 7);
    assert_string_equal(w->server.reason, "done");
    assert_string_equal(w->client.stats.transport, "tcp");
    assert_string_equal(w->client.stats.io, "tcp");
    assert_true(w->client.stats.bytes_sent > 2 * BULK_BYTES);
    assert_true(w->server.stats.bytes_received > 2 * BULK_BYTES);
    assert_true(w->client.stats.cwnd_bytes > 0 && w->client.stats.cc[0] != '\0');
    tcp_world_free(w);
}

/* ---- credit ---- */

static bool control_not_there(const struct tcp_world *w)
{
    return !w->server.ended[1];
}

static bool held_not_there(const struct tcp_world *w)
{
    return !w->server.ended[0];
}

/* RULE 39. A stream that is not consumed stops at its credit; another one goes on; with new credit
 * the first one does, too. */
static void test_stream_not_consumed_bounds_memory_and_blocks_no_other(void **state)
{
    struct tcp_world *w = tcp_world_new();
    const struct tcp_link *l;
    uint64_t credit_bytes;

    (void)state;
    w->server.hold_stream = 0;
    tcp_world_open(w);
    credit_bytes = ((const struct tcp_link *)w->server.link)->transport->credit_bytes;
    (void)tcp_end_send(&w->client, 2 * credit_bytes);
    (void)tcp_end_send(&w->client, BULK_BYTES);
    tcp_world_run_while(w, control_not_there);
    tcp_world_turn(w, 50);
    assert_int_equal(w->server.received[0], credit_bytes);
    assert_int_equal(w->client.sent[0], credit_bytes);
    assert_false(w->server.ended[0]);
    l = (const struct tcp_link *)w->client.link;
    assert_true(l->out.len - l->out.pos <= TCP_WIRE_BYTES && l->out.text_len <= TCP_OUT_BYTES);

    w->server.hold_stream = UINT64_MAX;
    w->server.link->ops->consume(w->server.link, 0, credit_bytes);
    tcp_world_run_while(w, held_not_there);
    assert_int_equal(w->server.received[0], 2 * credit_bytes);
    tcp_world_free(w);
}

static bool a_stream_starves(const struct tcp_world *w)
{
    for (unsigned i = 0; i < 3; i++)
        if (w->server.received[i] < BULK_BYTES / 8)
            return true;
    return false;
}

/* Streams that always have more to say share a socket that is always full. */
static void test_every_stream_has_its_turn(void **state)
{
    struct tcp_world *w = tcp_world_new();

    (void)state;
    w->options.window_bytes = 65536;
    w->client.takes_turns = true;
    tcp_world_open(w);
    for (unsigned i = 0; i < 3; i++)
        (void)tcp_end_send(&w->client, UINT64_MAX / 2);
    tcp_world_run_while(w, a_stream_starves);
    tcp_world_free(w);
}

/* A peer that wants records of one byte gets few of them in a turn: others have theirs. */
static void test_small_records_end_a_turn_as_well(void **state)
{
    struct tcp_world *w = tcp_world_new();

    (void)state;
    tcp_world_open(w);
    ((struct tcp_link *)w->client.link)->peer.data_max_bytes = 1;
    (void)tcp_end_send(&w->client, 15000);
    assert_in_range(w->client.sent[0], 100, 2000);
    tcp_world_run_while(w, held_not_there);
    assert_int_equal(w->server.received[0], 15000);
    tcp_world_free(w);
}

static void test_streams_are_limited_and_come_back(void **state)
{
    struct tcp_world *w = tcp_world_new();
    struct tcp_link *l;

    (void)state;
    tcp_world_open(w);
    l = (struct tcp_link *)w->client.link;
    l->peer.max_streams = 1;
    assert_int_equal(tcp_end_send(&w->client, 10), 0);
    assert_int_equal(tcp_end_send(&w->client, 10), UINT64_MAX);
    while (!w->server.ended[0])
        tcp_world_turn(w, 1);
    assert_int_equal(w->client.writable_opens, 0);
    assert_int_equal(w->server.link->ops->commit(w->server.link, 0, 0, true), 0);
    tcp_world_run_until(w, &w->client.writable_opens);
    assert_int_equal(tcp_end_send(&w->client, 10), 2);
    assert_null(tcp_stream_find(l, 0));
    tcp_world_free(w);
}

static bool credit_is_left(const struct tcp_world *w)
{
    const struct tcp_link *l = (const struct tcp_link *)w->server.link;

    return w->server.received[0] < l->transport->credit_bytes;
}

/* The only stream ends with what new credit lets out, and nothing comes from the peer any more. */
static void test_room_for_a_stream_is_told_after_its_last_word(void **state)
{
    struct tcp_world *w = tcp_world_new();
    uint64_t credit_bytes;

    (void)state;
    w->server.hold_stream = 0;
    tcp_world_open(w);
    ((struct tcp_link *)w->client.link)->peer.max_streams = 1;
    credit_bytes = ((const struct tcp_link *)w->server.link)->transport->credit_bytes;
    (void)tcp_end_send(&w->client, credit_bytes + 1);
    tcp_world_run_while(w, credit_is_left);
    assert_int_equal(w->server.link->ops->commit(w->server.link, 0, 0, true), 0);
    while (!w->client.ended[0])
        tcp_world_turn(w, 1);
    assert_int_equal(tcp_end_send(&w->client, 10), UINT64_MAX);
    w->server.link->ops->consume(w->server.link, 0, credit_bytes);
    tcp_world_run_until(w, &w->client.writable_opens);
    tcp_world_free(w);
}

/* ---- giving up a stream ---- */

static bool no_stop(const struct tcp_world *w)
{
    return w->client.stop_code[0] == UINT64_MAX;
}

static bool no_reset(const struct tcp_world *w)
{
    return w->server.reset_code[1] == UINT64_MAX;
}

static void test_stop_and_reset(void **state)
{
    struct tcp_world *w = tcp_world_new();
    uint64_t before;

    (void)state;
    tcp_world_open(w);
    (void)tcp_end_send(&w->client, UINT64_MAX / 2);
    while (w->server.received[0] == 0)
        tcp_world_turn(w, 1);
    w->server.link->ops->stop(w->server.link, 0, 11);
    before = w->server.received[0];
    tcp_world_run_while(w, no_stop);
    assert_int_equal(w->client.stop_code[0], 11);
    assert_int_equal(w->server.received[0], before); /* what still came was dropped */

    (void)tcp_end_send(&w->client, UINT64_MAX / 2);
    w->client.link->ops->reset(w->client.link, 2, 12);
    tcp_world_run_while(w, no_reset);
    assert_int_equal(w->server.reset_code[1], 12);
    assert_false(w->server.ended[1]);
    assert_int_equal(w->server.reset_code[0], UINT64_MAX); /* it had asked for that one */
    tcp_world_free(w);
}

/* ---- a file's own way ---- */

static int make_file(size_t bytes, uint64_t stream)
{
    char name[] = "/tmp/volley-test-XXXXXX";
    int fd = mkstemp(name);
    uint8_t *content = malloc(bytes);

    assert_true(fd >= 0 && content != NULL);
    (void)unlink(name);
    tcp_pattern(content, bytes, stream, 0);
    assert_int_equal(write(fd, content, bytes), (ssize_t)bytes);
    free(content);
    return fd;
}

static uint64_t send_file(struct tcp_world *w, int fd, size_t bytes)
{
    struct vly_link *link = w->client.link;
    struct vly_file_range range = {.fd = fd};
    uint64_t stream;

    assert_int_equal(link->ops->open_stream(link, &stream), 0);
    while (range.offset < bytes) {
        size_t len = bytes - (size_t)range.offset;
        int err = link->ops->send_file(link, stream, &range, &len, true);

        if (err == VLY_E_AGAIN) {
            tcp_world_turn(w, 1);
            continue;
        }
        assert_int_equal(err, 0);
        assert_true(len > 0);
        range.offset += len;
    }
    return stream;
}

static void test_send_file(void **state)
{
    struct tcp_world *w = tcp_world_new();
    int fd = make_file(3000000, 0);

    (void)state;
    tcp_world_open(w);
    assert_int_equal(send_file(w, fd, 3000000), 0);
    close(fd); /* what is under way has its own */
    tcp_world_run_while(w, held_not_there);
    assert_int_equal(w->server.received[0], 3000000);
    assert_int_equal(tcp_end_send(&w->client, 1000), 2);
    tcp_world_run_while(w, control_not_there);
    w->client.link->ops->close(w->client.link, 0, "");
    tcp_world_run_until(w, &w->client.closed);
    assert_string_equal(w->client.stats.io, "sendfile");
    tcp_world_free(w);
}

/* A promise of bytes that are not there any more is kept with zeros: nothing hangs, and what
 * follows on the connection is in its place. */
static void test_send_file_that_shrinks(void **state)
{
    struct tcp_world *w = tcp_world_new();
    struct vly_file_range range = {.fd = make_file(400000, 0), .offset = 1000};
    size_t len = 200000;
    uint64_t stream;

    (void)state;
    w->server.any_stream = 0;
    tcp_world_open(w);
    assert_int_equal(w->client.link->ops->open_stream(w->client.link, &stream), 0);
    assert_int_equal(ftruncate(range.fd, 50000), 0);
    assert_int_equal(w->client.link->ops->send_file(w->client.link, stream, &range, &len, false),
                     0);
    assert_int_equal(len, 200000);
    w->client.link->ops->reset(w->client.link, stream, 9);
    assert_int_equal(tcp_end_send(&w->client, 1000), 2);
    tcp_world_run_while(w, control_not_there);
    assert_int_equal(w->server.received[0], 200000);
    assert_int_equal(w->server.reset_code[0], 9);
    assert_int_equal(w->server.received[1], 1000);
    close(range.fd);
    tcp_world_free(w);
}

/* A file that cannot be read is its stream's trouble, and not the connection's. */
static void test_send_file_that_fails(void **state)
{
    struct tcp_world *w = tcp_world_new();
    struct vly_file_range range = {.fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    size_t len = 200000;
    uint64_t stream;

    (void)state;
    assert_true(range.fd >= 0);
    w->server.any_stream = 0;
    tcp_world_open(w);
    assert_int_equal(w->client.link->ops->open_stream(w->client.link, &stream), 0);
    assert_int_equal(w->client.link->ops->send_file(w->client.link, stream, &range, &len, true), 0);
    assert_int_equal(tcp_end_send(&w->client, 1000), 2);
    tcp_world_run_while(w, control_not_there);
    assert_int_equal(w->server.received[0], 200000);
    assert_int_equal(w->server.received[1], 1000);
    close(range.fd);
    tcp_world_free(w);
}

/* Not every file has sendfile; this one is our own memory. */
static void test_send_file_without_sendfile(void **state)
{
    struct tcp_world *w = tcp_world_new();
    uint8_t *content = malloc(200000);
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    struct vly_file_range range = {.fd = fd, .offset = (uint64_t)(uintptr_t)content};
    size_t len = 200000;
    uint64_t stream;

    (void)state;
    assert_true(fd >= 0 && content != NULL);
    tcp_world_open(w);
    tcp_pattern(content, len, 0, 0);
    assert_int_equal(w->client.link->ops->open_stream(w->client.link, &stream), 0);
    assert_int_equal(w->client.link->ops->send_file(w->client.link, stream, &range, &len, true), 0);
    tcp_world_run_while(w, held_not_there);
    assert_int_equal(w->server.received[0], 200000);
    close(fd);
    free(content);
    tcp_world_free(w);
}

int main(void)
{
    const struct CMUnitTest streams[] = {
        cmocka_unit_test(test_streams_arrive_in_order_and_whole),
        cmocka_unit_test(test_stream_not_consumed_bounds_memory_and_blocks_no_other),
        cmocka_unit_test(test_every_stream_has_its_turn),
        cmocka_unit_test(test_small_records_end_a_turn_as_well),
        cmocka_unit_test(test_streams_are_limited_and_come_back),
        cmocka_unit_test(test_room_for_a_stream_is_told_after_its_last_word),
        cmocka_unit_test(test_stop_and_reset),
    };
    const struct CMUnitTest files[] = {
        cmocka_unit_test(test_send_file),
        cmocka_unit_test(test_send_file_that_shrinks),
        cmocka_unit_test(test_send_file_that_fails),
        cmocka_unit_test(test_send_file_without_sendfile),
    };

    return cmocka_run_group_tests_name("files", files, NULL, NULL) +
           cmocka_run_group_tests_name("plain", streams, NULL, NULL) +
           cmocka_run_group_tests_name("sealed", streams, tcp_worlds_seal, NULL);
}
