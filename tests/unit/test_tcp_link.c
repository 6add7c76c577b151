/*
 * Links over TCP: two transports on one loop, over real sockets; and against peers that say
 * nonsense, or nothing.
 */
#include "support/tcp_world.h"

#include "proto/frame.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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
    assert_true(l->out.len - l->out.pos <= TCP_OUT_BYTES);

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

/* ---- how it begins and ends ---- */

static void test_nobody_listens(void **state)
{
    struct tcp_world *w = tcp_world_new();
    uint16_t port;
    int fd = tcp_raw_listen(&port);

    (void)state;
    close(fd);
    tcp_world_connect(w, &w->client, port);
    tcp_world_run_until(w, &w->client.closed);
    assert_int_equal(w->client.err, VLY_E_UNREACHABLE);
    assert_non_null(strstr(w->client.reason, "--tcp"));
    tcp_world_free(w);
}

static void test_nobody_answers(void **state)
{
    struct tcp_world *w = tcp_world_new();
    uint16_t port;
    int fd = tcp_raw_listen(&port);

    (void)state;
    w->options.timeout_ns = VLY_MS(100);
    tcp_world_connect(w, &w->client, port);
    tcp_world_run_until(w, &w->client.closed);
    assert_int_equal(w->client.err, VLY_E_NO_ANSWER);
    close(fd);
    tcp_world_free(w);
}

/* The server of `greeting` bytes, and what the client makes of it. */
static void check_greeting(const void *greeting, size_t len, int expected)
{
    struct tcp_world *w = tcp_world_new();
    uint16_t port;
    int fd, listener = tcp_raw_listen(&port);

    w->options.timeout_ns = VLY_MS(100);
    tcp_world_connect(w, &w->client, port);
    fd = accept(listener, NULL, NULL);
    assert_int_equal(write(fd, greeting, len), (ssize_t)len);
    w->client.link->ops->expect_answer(w->client.link, true);
    tcp_world_run_until(w, &w->client.closed);
    assert_int_equal(w->client.err, expected);
    close(fd);
    close(listener);
    tcp_world_free(w);
}

static void preface_of(const char *application, uint8_t out[VLY_TCP_PREFACE_BYTES])
{
    struct vly_tcp_preface p = {.suite = VLY_SUITE_PLAIN,
                                .max_streams = 4,
                                .data_max_bytes = 4096,
                                .idle_timeout_ms = 30000,
                                .credit_bytes = 65536};

    memcpy(p.application, application, strlen(application) + 1);
    vly_tcp_preface_encode(&p, out);
}

static void test_servers_that_are_none(void **state)
{
    uint8_t p[VLY_TCP_PREFACE_BYTES + 16] = {0};

    (void)state;
    check_greeting("HTTP/1.1 400 Bad Request\r\n", 26, VLY_E_PROTOCOL);
    preface_of("other/1", p);
    check_greeting(p, VLY_TCP_PREFACE_BYTES, VLY_E_REFUSED);
    preface_of("test/1", p);
    check_greeting(p, VLY_TCP_PREFACE_BYTES, VLY_E_LOST); /* then silence, though it was asked */
    p[VLY_TCP_PREFACE_BYTES] = 0x55;
    check_greeting(p, sizeof p, VLY_E_PROTOCOL);
    p[8] = 2;
    check_greeting(p, VLY_TCP_PREFACE_BYTES, VLY_E_VERSION);
}

/* Reads until the server closes; returns how many bytes it said. */
static size_t read_all(struct tcp_world *w, int fd, uint8_t *out, size_t cap)
{
    size_t len = 0;
    ssize_t n = 1;

    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (n != 0) {
        n = read(fd, out + len, cap - len);
        len += n > 0 ? (size_t)n : 0;
        if (n < 0)
            (void)uv_run(&w->loop, UV_RUN_ONCE);
    }
    return len;
}

static void test_strangers_are_turned_away_and_clients_served(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    struct tcp_world *w = tcp_world_new();
    uint8_t said[256], p[VLY_TCP_PREFACE_BYTES];
    struct vly_tcp_header h;
    int fd;

    (void)state;
    w->options.timeout_ns = VLY_MS(200);
    tcp_world_serve(w);
    fd = tcp_raw_connect(vly_transport_port(w->server.transport));
    assert_true(write(fd, request, sizeof request) > 0);
    assert_int_equal(read_all(w, fd, said, sizeof said), 0);
    close(fd);

    fd = tcp_raw_connect(vly_transport_port(w->server.transport)); /* silent: has its deadline */
    assert_int_equal(read_all(w, fd, said, sizeof said), 0);
    close(fd);

    preface_of("other/1", p);
    fd = tcp_raw_connect(vly_transport_port(w->server.transport));
    assert_true(write(fd, p, sizeof p) > 0);
    assert_true(read_all(w, fd, said, sizeof said) > VLY_TCP_PREFACE_BYTES);
    assert_int_equal(vly_tcp_header_decode(&h, (struct vly_span){said + VLY_TCP_PREFACE_BYTES, 16}),
                     0);
    assert_int_equal(h.type, VLY_TCP_CLOSE);
    assert_int_equal(said[VLY_TCP_PREFACE_BYTES + 16 + 7], VLY_CLOSE_APPLICATION);
    close(fd);

    tcp_world_connect(w, &w->client, vly_transport_port(w->server.transport));
    while (!w->client.open)
        tcp_world_turn(w, 1);
    assert_null(w->server.reason[0] != '\0' ? "closed" : NULL);
    tcp_world_free(w);
}

/* Records that a client may not send, and the code it is told. */
static const struct {
    const char *hex;
    size_t content_bytes;
    uint8_t code;
} violations[] = {
    {"01 00 0000 00100000 0000000000000000  00*1048576"
     " 01 00 0000 00000001 0000000000000000",
     1, VLY_CLOSE_FLOW_CONTROL},
    {"01 01 0000 00000000 0000000000000000  01 00 0000 00000001 0000000000000000", 1,
     VLY_CLOSE_FINAL_SIZE},
    {"01 00 0000 00000001 0000000000000001", 1, VLY_CLOSE_STREAM_STATE},
    {"04 00 0000 00000008 0000000000000003 0000000000000001", 0, VLY_CLOSE_STREAM_STATE},
    {"01 01 0000 00000000 0000000000000200", 0, VLY_CLOSE_STREAM_LIMIT},
    {"09 00 0000 00000000 0000000000000000", 0, VLY_CLOSE_FRAME_ENCODING},
    {"02 00 0000 00000008 0000000000000000 ffffffffffffffff", 0, VLY_CLOSE_FRAME_ENCODING},
};

static void check_violation(const char *hex, size_t content_bytes, uint8_t code)
{
    struct tcp_world *w = tcp_world_new();
    struct test_bytes records = test_hex(hex);
    uint8_t said[512], p[VLY_TCP_PREFACE_BYTES];
    struct vly_tcp_header h;
    size_t len;
    int fd;

    w->options.window_bytes = 65536; /* credit: 1 MiB */
    w->server.hold_stream = w->server.any_stream = 0;
    tcp_world_serve(w);
    preface_of("test/1", p);
    fd = tcp_raw_connect(vly_transport_port(w->server.transport));
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_true(write(fd, p, sizeof p) > 0);
    for (size_t done = 0; done < records.len;) {
        ssize_t n = write(fd, records.data + done, records.len - done);

        done += n > 0 ? (size_t)n : 0;
        tcp_world_turn(w, 1);
    }
    (void)write(fd, "x", content_bytes);
    len = read_all(w, fd, said, sizeof said);
    assert_true(len >= VLY_TCP_PREFACE_BYTES + 24);
    assert_int_equal(vly_tcp_header_decode(&h, (struct vly_span){said + VLY_TCP_PREFACE_BYTES, 16}),
                     0);
    assert_int_equal(h.type, VLY_TCP_CLOSE);
    assert_int_equal(h.flags, 0);
    assert_int_equal(said[VLY_TCP_PREFACE_BYTES + 16 + 7], code);
    close(fd);
    tcp_world_run_until(w, &w->server.closed);
    assert_int_equal(w->server.err, VLY_E_PROTOCOL);
    free(records.data);
    tcp_world_free(w);
}

/* RULE 14 */
static void test_what_a_peer_may_not_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(violations); i++)
        check_violation(violations[i].hex, violations[i].content_bytes, violations[i].code);
}

/* A peer that opens and ends streams faster than it takes our answers has more of them open than it
 * may: they would wait here without bound. */
static void test_streams_of_a_peer_that_does_not_listen(void **state)
{
    struct tcp_world *w = tcp_world_new();
    uint8_t records[1000][VLY_TCP_HEADER_BYTES + 8] = {{0}}, p[VLY_TCP_PREFACE_BYTES];
    int fd;

    (void)state;
    w->server.gives_up = true;
    tcp_world_serve(w);
    preface_of("test/1", p);
    for (unsigned i = 0; i < ARRAY_LEN(records); i++)
        vly_tcp_header_encode(
            &(struct vly_tcp_header){.type = VLY_TCP_RESET, .length = 8, .stream = 2 * i},
            records[i]);
    fd = tcp_raw_connect(vly_transport_port(w->server.transport));
    assert_true(write(fd, p, sizeof p) > 0);
    assert_int_equal(write(fd, records, sizeof records), sizeof records);
    tcp_world_run_until(w, &w->server.closed);
    assert_int_equal(w->server.err, VLY_E_PROTOCOL);
    assert_int_equal(w->server.streams_opened, TCP_STREAMS_MAX);
    close(fd);
    tcp_world_free(w);
}

static void test_server_is_full(void **state)
{
    struct tcp_world *w = tcp_world_new();
    struct tcp_end second = w->client;

    (void)state;
    w->max_links = 1;
    tcp_world_open(w);
    tcp_world_connect(w, &second, vly_transport_port(w->server.transport));
    tcp_world_run_until(w, &second.closed);
    assert_int_equal(second.err, VLY_E_BUSY);
    vly_transport_close(second.transport, 0, "", NULL, NULL);
    assert_int_equal(w->client.closed, 0);
    tcp_world_free(w);
}

static size_t links_of_server(const struct tcp_world *w)
{
    return ((const struct tcp_transport *)w->server.transport)->n_links;
}

static bool has_one_link(const struct tcp_world *w)
{
    return links_of_server(w) == 1;
}

/* With fewer than eight descriptors to spare a connection waits in the queue, until there are. */
static void test_accepts_with_descriptors_to_spare(void **state)
{
    struct tcp_world *w = tcp_world_new();
    struct rlimit before, few;
    int raw, lowest;

    (void)state;
    tcp_world_open(w);
    raw = tcp_raw_connect(vly_transport_port(w->server.transport));
    lowest = dup(raw);
    close(lowest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)lowest + 8;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_true(vly_tcp_has_descriptors(raw));
    few.rlim_cur--;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_false(vly_tcp_has_descriptors(raw));
    tcp_world_turn(w, 10);
    assert_int_equal(links_of_server(w), 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    tcp_world_run_while(w, has_one_link);
    assert_int_equal(links_of_server(w), 2);
    close(raw);
    tcp_world_free(w);
}

static void test_application_refuses(void **state)
{
    struct tcp_world *w = tcp_world_new();

    (void)state;
    w->accept_err = VLY_E_NOMEM;
    tcp_world_serve(w);
    tcp_world_connect(w, &w->client, vly_transport_port(w->server.transport));
    tcp_world_run_until(w, &w->client.closed);
    assert_int_equal(w->client.err, 0);
    assert_int_equal(w->client.code, TCP_WORLD_REJECT);
    assert_string_equal(w->client.reason, vly_err_text(VLY_E_NOMEM));
    tcp_world_free(w);
}

/* The peer's process is gone: the system says so at once. */
static void test_peer_vanishes(void **state)
{
    struct tcp_world *w = tcp_world_new();
    uint8_t p[VLY_TCP_PREFACE_BYTES];
    int fd;

    (void)state;
    tcp_world_serve(w);
    preface_of("test/1", p);
    fd = tcp_raw_connect(vly_transport_port(w->server.transport));
    assert_true(write(fd, p, sizeof p) > 0);
    while (w->server.link == NULL)
        tcp_world_turn(w, 1);
    close(fd);
    tcp_world_run_until(w, &w->server.closed);
    assert_int_equal(w->server.err, VLY_E_LOST);
    tcp_world_free(w);
}

static void test_unknown_congestion_control(void **state)
{
    struct tcp_world *w = tcp_world_new();
    union vly_sockaddr any = {.any.sa_family = AF_INET};
    struct vly_transport_spec spec = {
        .size = sizeof spec, .options = w->options, .application = "test/1", .bind = &any.any};
    struct vly_transport *t;
    char list[256];

    (void)state;
    spec.options.tcp_cc = "nonesuch";
    assert_int_equal(vly_transport_open(&t, &w->loop, &spec), VLY_E_INVALID);
    assert_null(t);
    vly_tcp_cc_list(list, sizeof list);
    assert_non_null(strstr(list, "reno"));
    assert_true(vly_tcp_cc_exists("reno"));
    tcp_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_arrive_in_order_and_whole),
        cmocka_unit_test(test_stream_not_consumed_bounds_memory_and_blocks_no_other),
        cmocka_unit_test(test_every_stream_has_its_turn),
        cmocka_unit_test(test_small_records_end_a_turn_as_well),
        cmocka_unit_test(test_streams_are_limited_and_come_back),
        cmocka_unit_test(test_room_for_a_stream_is_told_after_its_last_word),
        cmocka_unit_test(test_stop_and_reset),
        cmocka_unit_test(test_send_file),
        cmocka_unit_test(test_send_file_that_shrinks),
        cmocka_unit_test(test_send_file_that_fails),
        cmocka_unit_test(test_send_file_without_sendfile),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_servers_that_are_none),
        cmocka_unit_test(test_strangers_are_turned_away_and_clients_served),
        cmocka_unit_test(test_what_a_peer_may_not_do),
        cmocka_unit_test(test_streams_of_a_peer_that_does_not_listen),
        cmocka_unit_test(test_server_is_full),
        cmocka_unit_test(test_accepts_with_descriptors_to_spare),
        cmocka_unit_test(test_application_refuses),
        cmocka_unit_test(test_peer_vanishes),
        cmocka_unit_test(test_unknown_congestion_control),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
