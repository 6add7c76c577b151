/*
 * Somebody on the way of a sealed connection over TCP, or at one end of it without the keys: what
 * is changed, cut, replayed, sent back or made up opens no link and delivers nothing.
 */
#include "support/tcp_relay.h"

#include "proto/frame.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTENT_BYTES 3000u

/* What each way of the handshake with static keys takes. */
#define OPENING_BYTES (64u + 1 + 2 + 1 + 32)
#define LAST_BYTES (2u + 48 + 16)
#define ANSWER_BYTES (64u + 96 + 64)

/* `timeout_ns` 0: as usual, where nothing is to run into it. */
static struct tcp_world *sealed_world(uint64_t timeout_ns)
{
    struct tcp_world *w = tcp_world_new();

    tcp_world_seal(w);
    w->options.timeout_ns = timeout_ns;
    return w;
}

static struct tcp_relay *connect_by_relay(struct tcp_world *w)
{
    struct tcp_relay *r;

    tcp_world_serve(w);
    r = tcp_relay_new(vly_transport_port(w->server.transport));
    tcp_world_connect(w, &w->client, r->port);
    return r;
}

static bool client_lives(const struct tcp_world *w)
{
    return w->client.closed == 0;
}

static bool nothing_arrived(const struct tcp_world *w)
{
    return !w->server.ended[0];
}

static bool not_open(const struct tcp_world *w)
{
    return !w->client.open || w->server.link == NULL;
}

static size_t links_of_server(const struct tcp_world *w)
{
    return ((const struct tcp_transport *)w->server.transport)->n_links;
}

static bool server_has_links(const struct tcp_world *w)
{
    return links_of_server(w) > 0;
}

static void over(struct tcp_world *w, struct tcp_relay *r)
{
    if (w->client.link != NULL)
        w->client.link->ops->close(w->client.link, 0, "");
    tcp_relay_run_while(r, w, server_has_links);
    tcp_relay_free(r);
    tcp_world_free(w);
}

/* ---- on the way: the handshake ---- */

/* RULE 5. Whichever byte is changed: the client never opens, but for its own last message, which it
 * cannot see; the server never has a link. */
static void check_flip(enum relay_way way, size_t at)
{
    struct tcp_world *w = sealed_world(VLY_MS(100));
    struct tcp_relay *r = connect_by_relay(w);

    r->way[way].flip_bit = 8 * (uint64_t)at + at % 8;
    tcp_relay_run_while(r, w, client_lives);
    assert_int_equal(w->client.open, way == RELAY_TO_SERVER && at >= OPENING_BYTES);
    assert_int_not_equal(w->client.err, 0);
    assert_null(w->server.link);
    assert_int_equal(w->server.closed, 0);
    over(w, r);
}

static void test_handshake_changed_anywhere(void **state)
{
    (void)state;
    for (size_t at = 0; at < OPENING_BYTES + LAST_BYTES; at++)
        check_flip(RELAY_TO_SERVER, at);
    for (size_t at = 0; at < ANSWER_BYTES; at++)
        check_flip(RELAY_TO_CLIENT, at);
}

/* The relay's count is the documents': a handshake takes these bytes and no others. */
static void test_handshake_takes_what_is_said(void **state)
{
    struct tcp_world *w = sealed_world(0);
    struct tcp_relay *r = connect_by_relay(w);

    (void)state;
    tcp_relay_run_while(r, w, not_open);
    assert_int_equal(r->way[RELAY_TO_SERVER].passed_bytes, OPENING_BYTES + LAST_BYTES);
    assert_int_equal(r->way[RELAY_TO_CLIENT].passed_bytes, ANSWER_BYTES);
    over(w, r);
}

static void check_cut(enum relay_way way, size_t at)
{
    struct tcp_world *w = sealed_world(VLY_MS(100));
    struct tcp_relay *r = connect_by_relay(w);

    r->way[way].cut_at = at;
    tcp_relay_run_while(r, w, client_lives);
    assert_int_equal(w->client.open, way == RELAY_TO_SERVER && at >= OPENING_BYTES);
    assert_int_not_equal(w->client.err, 0);
    assert_null(w->server.link);
    over(w, r);
}

static void test_handshake_cut_anywhere(void **state)
{
    (void)state;
    for (size_t at = 0; at < OPENING_BYTES + LAST_BYTES; at++)
        check_cut(RELAY_TO_SERVER, at);
    for (size_t at = 0; at < ANSWER_BYTES; at++)
        check_cut(RELAY_TO_CLIENT, at);
}

/* ---- on the way: afterwards ---- */

/* RULE 9. From a changed byte on nothing is delivered, and both ends know that it was no end. */
static void check_later(bool cut, uint64_t after)
{
    struct tcp_world *w = sealed_world(VLY_MS(500));
    struct tcp_relay *r = connect_by_relay(w);
    struct tcp_relay_way *way = &r->way[RELAY_TO_SERVER];

    tcp_relay_run_while(r, w, not_open);
    way->flip_bit = cut ? UINT64_MAX : 8 * (way->passed_bytes + after) + after % 8;
    way->cut_at = cut ? way->passed_bytes + after : UINT64_MAX;
    w->server.link->ops->expect_answer(w->server.link, true);
    (void)tcp_end_send(&w->client, 200000);
    tcp_relay_run_while(r, w, client_lives);
    while (w->server.closed == 0) {
        tcp_relay_step(r);
        tcp_world_turn(w, 1);
    }
    assert_true(w->server.received[0] <= after); /* and it is the pattern, or on_data fails */
    assert_false(w->server.ended[0]);
    assert_int_equal(w->client.err, VLY_E_LOST);
    assert_int_equal(w->server.err, VLY_E_LOST);
    over(w, r);
}

static void test_blocks_changed_or_cut(void **state)
{
    static const uint64_t places[] = {0,     3,     4,     5,     19,    20,    1000,
                                      65539, 65540, 65555, 65556, 65557, 65560, 131112};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        check_later(false, places[i]);
        check_later(true, places[i]);
    }
}

/* Toward the client as well: the server's first word is changed. */
static void test_blocks_of_the_server_changed(void **state)
{
    struct tcp_world *w = sealed_world(0);
    struct tcp_relay *r = connect_by_relay(w);

    (void)state;
    tcp_relay_run_while(r, w, not_open);
    r->way[RELAY_TO_CLIENT].flip_bit = 8 * (r->way[RELAY_TO_CLIENT].passed_bytes + 7);
    w->server.link->ops->close(w->server.link, 0, "bye");
    tcp_relay_run_while(r, w, client_lives);
    assert_int_equal(w->client.err, VLY_E_LOST);
    assert_int_equal(w->client.stats.forgeries, 1);
    assert_non_null(strstr(w->client.reason, "changed on the way"));
    over(w, r);
}

/* Nothing of what is sent can be seen, but for the prefaces. */
static void test_content_cannot_be_seen(void **state)
{
    struct tcp_world *w = sealed_world(0);
    struct tcp_relay *r = connect_by_relay(w);
    uint8_t content[CONTENT_BYTES];

    (void)state;
    tcp_relay_run_while(r, w, not_open);
    (void)tcp_end_send(&w->client, CONTENT_BYTES);
    tcp_relay_run_while(r, w, nothing_arrived);
    tcp_pattern(content, sizeof content, 0, 0);
    assert_true(r->way[RELAY_TO_SERVER].kept_len > CONTENT_BYTES + OPENING_BYTES);
    for (size_t at = 0; at + 8 <= CONTENT_BYTES; at += 8)
        assert_null(memmem(r->way[RELAY_TO_SERVER].kept, r->way[RELAY_TO_SERVER].kept_len,
                           content + at, 8));
    over(w, r);
}

/* ---- at one end ---- */

/* Sends all of it to the server, and waits until the server has let go of it. */
static void say_to_server(struct tcp_world *w, const uint8_t *bytes, size_t len)
{
    int fd = tcp_raw_connect(vly_transport_port(w->server.transport));

    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    while (links_of_server(w) == 0)
        tcp_world_turn(w, 1);
    tcp_world_run_while(w, server_has_links);
    close(fd);
}

/* RULE 11. What a client once said, said again: to the same server, all of it. */
static void check_replay(bool psk)
{
    struct tcp_world *w = sealed_world(0);
    struct tcp_relay *r;

    if (psk)
        tcp_world_seal_psk(w);
    r = connect_by_relay(w);
    tcp_relay_run_while(r, w, not_open);
    (void)tcp_end_send(&w->client, 100);
    tcp_relay_run_while(r, w, nothing_arrived);
    w->client.link->ops->close(w->client.link, 0, "");
    tcp_relay_run_while(r, w, server_has_links);
    assert_int_equal(w->server.closed, 1);

    w->server.received[0] = 0;
    say_to_server(w, r->way[RELAY_TO_SERVER].kept, r->way[RELAY_TO_SERVER].kept_len);
    assert_int_equal(w->turned_away, 1);
    assert_string_equal(w->turned_away_why, vly_close_code_text(VLY_CLOSE_AUTH));
    assert_int_equal(w->server.closed, 1);
    assert_int_equal(w->server.received[0], 0);
    over(w, r);
}

static void test_replays(void **state)
{
    (void)state;
    check_replay(false);
    check_replay(true);
}

/* A server that has nothing to say but what it hears. */
static void check_reflection(bool psk)
{
    struct tcp_world *w = sealed_world(0);
    uint8_t heard[1024];
    uint16_t port;
    int fd, listener = tcp_raw_listen(&port);

    if (psk)
        tcp_world_seal_psk(w);
    tcp_world_connect(w, &w->client, port);
    fd = accept(listener, NULL, NULL);
    while (w->client.closed == 0) {
        ssize_t n = recv(fd, heard, sizeof heard, MSG_DONTWAIT);

        if (n > 0)
            assert_int_equal(send(fd, heard, (size_t)n, MSG_NOSIGNAL), n);
        tcp_world_turn(w, 1);
    }
    assert_false(w->client.open);
    assert_int_equal(w->client.err, VLY_E_AUTH);
    close(fd);
    close(listener);
    tcp_world_free(w);
}

static void test_reflection(void **state)
{
    (void)state;
    check_reflection(false);
    check_reflection(true);
}

/* RULE 14. A good preface, then anything: the server ends it, with a word or without, and serves
 * the next client. */
static void test_garbage_in_the_handshake(void **state)
{
    struct tcp_world *w = sealed_world(0);
    struct vly_tcp_preface p = {.suite = VLY_SUITE_AES_256_GCM,
                                .data_max_bytes = 4096,
                                .idle_timeout_ms = 30000,
                                .application = "test/1"};
    uint8_t bytes[VLY_TCP_PREFACE_BYTES + VLY_HANDSHAKE_MAX];
    struct vly_prng prng;

    (void)state;
    vly_prng_init(&prng, test_seed());
    tcp_world_serve(w);
    for (unsigned i = 0; i < 300; i++) {
        size_t len = i < 100 ? i : (size_t)vly_prng_below(&prng, VLY_HANDSHAKE_MAX + 1);
        uint8_t *behind = bytes + VLY_TCP_PREFACE_BYTES;

        p.handshake_bytes = (uint16_t)len;
        vly_tcp_preface_encode(&p, bytes);
        vly_prng_fill(&prng, behind, VLY_HANDSHAKE_MAX);
        if (i % 2 == 0) { /* a good offer */
            behind[0] = 1;
            behind[1] = VLY_SUITE_AES_256_GCM;
            behind[2] = (uint8_t)(i % 8);
        }
        say_to_server(w, bytes, VLY_TCP_PREFACE_BYTES + len);
        assert_null(w->server.link);
    }
    tcp_world_connect(w, &w->client, vly_transport_port(w->server.transport));
    tcp_world_run_while(w, not_open);
    tcp_world_free(w);
}

/* Whoever says nothing keeps nobody out: the oldest of those who have proven nothing goes when
 * somebody else comes, long before its deadline, and nobody goes who has. */
static void test_silent_strangers_make_room(void **state)
{
    struct tcp_world *w = sealed_world(VLY_S(5));
    struct tcp_end second = w->client;
    int fd[80];

    (void)state;
    w->max_links = 2;
    tcp_world_open(w);
    for (size_t i = 0; i < ARRAY_LEN(fd); i++)
        fd[i] = tcp_raw_connect(vly_transport_port(w->server.transport));
    tcp_world_connect(w, &second, vly_transport_port(w->server.transport));
    while (!second.open && second.closed == 0)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    assert_true(second.open);
    assert_int_equal(w->client.closed, 0);
    assert_int_equal(w->server.closed, 0);
    for (size_t i = 0; i < ARRAY_LEN(fd); i++)
        close(fd[i]);
    vly_transport_close(second.transport, 0, "", NULL, NULL);
    tcp_world_free(w);
}

#define TINY_BLOCKS 150000u

/* As much of `wire` as the socket takes; returns how far that is. */
static size_t send_some(struct tcp_link *l, const uint8_t *wire, size_t pos, size_t len)
{
    ssize_t n = send(l->fd, wire + pos, len - pos, MSG_NOSIGNAL | MSG_DONTWAIT);

    return n > 0 ? pos + (size_t)n : pos;
}

/* A peer whose blocks carry one byte each costs many times as much for what it sends: its turn ends
 * sooner, and others have theirs. */
static void test_tiny_blocks_end_a_turn(void **state)
{
    struct tcp_world *w = sealed_world(0);
    uint8_t record[VLY_TCP_HEADER_BYTES + 1];
    size_t one = sizeof record + VLY_TCP_BLOCK_EXTRA_BYTES, len = TINY_BLOCKS * one, pos = 0;
    uint8_t *wire = malloc(len);
    struct tcp_link *l;
    uint64_t most = 0, stream;

    (void)state;
    assert_non_null(wire);
    tcp_world_open(w);
    l = tcp_of(w->client.link);
    assert_int_equal(l->base.ops->open_stream(&l->base, &stream), 0);
    vly_tcp_header_encode(
        &(struct vly_tcp_header){.type = VLY_TCP_DATA, .length = 1, .stream = stream}, record);
    for (size_t i = 0; i < TINY_BLOCKS; i++) {
        tcp_pattern(record + VLY_TCP_HEADER_BYTES, 1, stream, i);
        assert_int_equal(
            vly_tcp_seal_text(&l->seal, (struct vly_span){record, sizeof record}, wire + i * one),
            0);
    }
    while (w->server.received[0] < TINY_BLOCKS) {
        uint64_t before = w->server.received[0];

        pos = send_some(l, wire, pos, len);
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
        if (w->server.received[0] - before > most)
            most = w->server.received[0] - before;
    }
    free(wire);
    assert_in_range(most, 1, TCP_IN_BYTES / one + 1); /* what one read gives */
    tcp_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_takes_what_is_said),
        cmocka_unit_test(test_handshake_changed_anywhere),
        cmocka_unit_test(test_handshake_cut_anywhere),
        cmocka_unit_test(test_blocks_changed_or_cut),
        cmocka_unit_test(test_blocks_of_the_server_changed),
        cmocka_unit_test(test_content_cannot_be_seen),
        cmocka_unit_test(test_replays),
        cmocka_unit_test(test_reflection),
        cmocka_unit_test(test_garbage_in_the_handshake),
        cmocka_unit_test(test_silent_strangers_make_room),
        cmocka_unit_test(test_tiny_blocks_end_a_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
