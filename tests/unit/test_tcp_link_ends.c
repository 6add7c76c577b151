/*
 * How a link over TCP begins and ends: nobody there, strangers, peers that break the rules, a
 * server that is full, a peer that vanishes.
 */
#include "support/tcp_world.h"

#include "proto/frame.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

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
