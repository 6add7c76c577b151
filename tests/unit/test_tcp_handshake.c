/*
 * How a sealed link over TCP begins: who is let in, who is turned away, and what both ends and
 * their users learn of it.
 */
#include "crypto/crypto.h"
#include "proto/frame.h"
#include "support/tcp_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void connect_client(struct tcp_world *w)
{
    tcp_world_serve(w);
    tcp_world_connect(w, &w->client, vly_transport_port(w->server.transport));
}

static bool no_content(const struct tcp_world *w)
{
    return !w->server.ended[0];
}

static void close_both(struct tcp_world *w)
{
    w->client.link->ops->close(w->client.link, 7, "done");
    tcp_world_run_until(w, &w->client.closed);
    tcp_world_run_until(w, &w->server.closed);
    assert_int_equal(w->client.err, 0);
    assert_int_equal(w->server.err, 0);
    assert_int_equal(w->server.code, 7);
    assert_string_equal(w->server.reason, "done");
}

static void assert_sealed(const struct tcp_end *e, const char *suite, const char *crypto)
{
    assert_string_equal(e->stats.suite, suite);
    assert_string_equal(e->stats.crypto, crypto);
    assert_int_equal(e->stats.forgeries, 0);
}

static void test_every_suite_and_backend(void **state)
{
    static const char *const suites[] = {"aes-256-gcm", "chacha20-poly1305", "aes-128-gcm"};
    static const char *const backends[] = {"openssl", "ipsec-mb"};

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct vly_crypto crypto = *vly_crypto_system();
        struct tcp_world *w;
        enum vly_backend backend;

        assert_true(vly_backend_parse(backends[i / 3], &backend));
        if (vly_crypto_choose(&crypto, backend, suites[i % 3]) != 0)
            continue;
        w = tcp_world_new();
        tcp_world_seal(w);
        w->client.security.suite = suites[i % 3];
        w->server.security.suite = "auto,aes-128-gcm"; /* all */
        w->client.security.crypto = backends[i / 3];
        tcp_world_open(w);
        assert_null(w->client.link->ops->send_file);
        (void)tcp_end_send(&w->client, 300000);
        tcp_world_run_while(w, no_content);
        close_both(w);
        assert_sealed(&w->client, suites[i % 3], backends[i / 3]);
        assert_string_equal(w->server.stats.suite, suites[i % 3]);
        assert_true(w->client.has_peer_key && w->server.has_peer_key);
        assert_memory_equal(w->client.peer_key, tcp_public_key(tcp_server_secret), 32);
        assert_memory_equal(w->server.peer_key, tcp_public_key(tcp_client_secret), 32);
        assert_int_equal(w->turned_away, 0);
        tcp_world_free(w);
    }
}

static void test_pre_shared_key(void **state)
{
    struct tcp_world *w = tcp_world_new();

    (void)state;
    tcp_world_seal_psk(w);
    tcp_world_open(w); /* though the client has nothing to say */
    (void)tcp_end_send(&w->client, 300000);
    tcp_world_run_while(w, no_content);
    close_both(w);
    assert_false(w->client.has_peer_key || w->server.has_peer_key);
    tcp_world_free(w);
}

/* RULE 12. Keys change many times under way, in both directions. */
static void test_keys_change(void **state)
{
    struct tcp_world *w = tcp_world_new();

    (void)state;
    tcp_world_seal(w);
    w->generation_blocks = 2;
    tcp_world_open(w);
    (void)tcp_end_send(&w->client, 20u << 20);
    tcp_world_run_while(w, no_content);
    assert_int_equal(w->server.received[0], 20u << 20);
    close_both(w);
    assert_true(w->client.stats.key_updates > 160);
    assert_in_range(w->server.stats.key_updates, 160, w->client.stats.key_updates + 2);
    tcp_world_free(w);
}

/* ---- who is not let in ---- */

/* The client learns `err` and a reason with `text` in it, the server's owner `why`; no link came
 * to be. */
static void check_refused(struct tcp_world *w, int err, const char *text, const char *why)
{
    connect_client(w);
    tcp_world_run_until(w, &w->client.closed);
    assert_int_equal(w->client.err, err);
    assert_non_null(strstr(w->client.reason, text));
    tcp_world_run_until(w, &w->turned_away);
    assert_string_equal(w->turned_away_why, why);
    assert_int_equal(w->turned_away, 1);
    assert_false(w->client.open);
    assert_string_equal(w->client.stats.suite, ""); /* and not plain */
    assert_null(w->server.link);
    assert_int_equal(w->server.closed, 0);
    tcp_world_free(w);
}

static struct tcp_world *sealed_world(void)
{
    struct tcp_world *w = tcp_world_new();

    tcp_world_seal(w);
    return w;
}

static void test_other_pre_shared_key(void **state)
{
    static const uint8_t other[32] = {7, 8, 10};
    const char *text = vly_close_code_text(VLY_CLOSE_AUTH);
    struct tcp_world *w = sealed_world();

    (void)state;
    tcp_world_seal_psk(w);
    w->client.security.psk = other;
    check_refused(w, VLY_E_AUTH, text, text);
}

static void test_other_kind_of_key(void **state)
{
    const char *text = vly_close_code_text(VLY_CLOSE_METHOD);
    struct tcp_world *w = sealed_world();

    (void)state;
    w->client.security.psk = tcp_psk;
    check_refused(w, VLY_E_AUTH, text, text);
    w = sealed_world();
    w->server.security.psk = tcp_psk;
    check_refused(w, VLY_E_AUTH, text, text);
}

#define LEFT "it left when it had seen this server's answer"

static void test_server_that_is_not_believed(void **state)
{
    struct tcp_world *w = sealed_world();

    (void)state;
    w->client.security.server_key = NULL;
    connect_client(w);
    tcp_world_run_until(w, &w->client.closed);
    assert_int_equal(w->client.err, VLY_E_HOST_UNKNOWN);
    assert_true(w->client.has_peer_key); /* to be asked about */
    assert_memory_equal(w->client.peer_key, tcp_public_key(tcp_server_secret), 32);
    tcp_world_run_until(w, &w->turned_away);
    assert_string_equal(w->turned_away_why, LEFT);
    assert_null(w->server.link);
    tcp_world_free(w);

    w = sealed_world();
    w->client.security.server_key = tcp_public_key(tcp_client_secret);
    w->client.security.accept_new = true; /* is for unknown ones */
    check_refused(w, VLY_E_HOST_CHANGED, "", LEFT);

    w = sealed_world();
    w->client.security.server_key = NULL;
    w->client.security.accept_new = true;
    tcp_world_open(w);
    tcp_world_free(w);
}

/* A client without a key of its own has one for this run. */
static void test_client_without_a_key(void **state)
{
    struct tcp_world *w = sealed_world();

    (void)state;
    w->client.security.secret_key = NULL;
    tcp_world_open(w);
    close_both(w);
    assert_true(w->server.has_peer_key);
    assert_memory_not_equal(w->server.peer_key, tcp_public_key(tcp_client_secret), 32);
    tcp_world_free(w);
}

static void test_nothing_in_common(void **state)
{
    const char *why = vly_close_code_text(VLY_CLOSE_SUITE);
    struct tcp_world *w = sealed_world();

    (void)state;
    w->client.security.suite = "aes-256-gcm";
    w->server.security.suite = "chacha20-poly1305";
    check_refused(w, VLY_E_SUITE, why, why);
}

/* One is plain, the other one is not: neither gives way. */
static void test_plain_and_sealed(void **state)
{
    const char *why = vly_close_code_text(VLY_CLOSE_SUITE);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct tcp_world *w = sealed_world();

        w->options.plain = i == 0;
        tcp_world_serve(w);
        w->options.plain = i != 0;
        tcp_world_connect(w, &w->client, vly_transport_port(w->server.transport));
        tcp_world_run_until(w, &w->client.closed);
        tcp_world_run_until(w, &w->turned_away);
        assert_int_equal(w->client.err, VLY_E_SUITE);
        assert_string_equal(w->turned_away_why, why);
        assert_false(w->client.open);
        assert_null(w->server.link);
        tcp_world_free(w);
    }
}

static void test_sealed_server_is_full_or_refuses(void **state)
{
    struct tcp_world *w = sealed_world();
    struct tcp_end second = w->client;

    (void)state;
    w->max_links = 1;
    tcp_world_open(w);
    tcp_world_connect(w, &second, vly_transport_port(w->server.transport));
    tcp_world_run_until(w, &second.closed);
    assert_int_equal(second.err, VLY_E_BUSY);
    assert_int_equal(w->turned_away, 1);
    vly_transport_close(second.transport, 0, "", NULL, NULL);
    tcp_world_free(w);

    w = sealed_world();
    w->accept_err = VLY_E_NOMEM;
    connect_client(w);
    tcp_world_run_until(w, &w->client.closed);
    assert_int_equal(w->client.err, 0);
    assert_int_equal(w->client.code, TCP_WORLD_REJECT);
    assert_string_equal(w->client.reason, vly_err_text(VLY_E_NOMEM));
    tcp_world_free(w);
}

/* Its user gives up before there are keys: nothing is said in clear. */
static void test_client_gives_up(void **state)
{
    struct tcp_world *w = sealed_world();
    uint8_t said[1024] = {0};
    uint16_t port;
    int fd, listener = tcp_raw_listen(&port);
    ssize_t n, len = 0;

    (void)state;
    tcp_world_connect(w, &w->client, port);
    fd = accept(listener, NULL, NULL);
    tcp_world_turn(w, 3);
    w->client.link->ops->close(w->client.link, 7, "enough");
    tcp_world_run_until(w, &w->client.closed);
    assert_int_equal(w->client.err, 0);
    while ((n = read(fd, said + len, sizeof said - (size_t)len)) > 0)
        len += n;
    assert_int_equal(len, 64 + vly_load_u16(said + 10));
    close(fd);
    close(listener);
    tcp_world_free(w);
}

/* ---- a server that refuses, or pretends to ---- */

static void server_preface(uint8_t suite, uint8_t out[VLY_TCP_PREFACE_BYTES])
{
    struct vly_tcp_preface p = {.suite = suite,
                                .max_streams = 4,
                                .data_max_bytes = 4096,
                                .idle_timeout_ms = 30000,
                                .credit_bytes = 65536,
                                .application = "test/1"};

    vly_tcp_preface_encode(&p, out);
}

/* What a client makes of a server that answers without a handshake, and then says `hex`. */
static void check_in_clear(uint8_t suite, const char *hex, int err, const char *reason)
{
    struct tcp_world *w = sealed_world();
    struct test_bytes records = test_hex(hex);
    uint8_t p[VLY_TCP_PREFACE_BYTES];
    uint16_t port;
    int fd, listener = tcp_raw_listen(&port);

    w->options.timeout_ns = VLY_MS(100);
    tcp_world_connect(w, &w->client, port);
    fd = accept(listener, NULL, NULL);
    server_preface(suite, p);
    assert_int_equal(write(fd, p, sizeof p), sizeof p);
    assert_int_equal(write(fd, records.data, records.len), (ssize_t)records.len);
    tcp_world_run_until(w, &w->client.closed);
    assert_int_equal(w->client.err, err);
    assert_string_equal(w->client.reason, reason);
    assert_int_equal(w->client.streams_opened, 0);
    assert_false(w->client.open);
    close(fd);
    close(listener);
    free(records.data);
    tcp_world_free(w);
}

/* RULE 5. In clear a server can end the attempt, and nothing else. */
static void test_what_is_believed_in_clear(void **state)
{
    static const char in_clear[] = "it answers in clear";

    (void)state;
    for (uint8_t suite = 1; suite <= 3; suite++) { /* plain and both sealed ones */
        check_in_clear(suite, "07 00 0000 00000008 0000000000000000 000000000000000c", VLY_E_BUSY,
                       "");
        check_in_clear(suite, "07 00 0000 0000000a 0000000000000000 000000000000000f 6e6f",
                       VLY_E_AUTH, "no");
        check_in_clear(suite, "07 01 0000 00000008 0000000000000000 0000000000000000",
                       VLY_E_PROTOCOL, in_clear); /* no clean end */
        check_in_clear(suite, "05 00 0000 00000000 0000000000000000", VLY_E_PROTOCOL, in_clear);
        check_in_clear(suite, "01 00 0000 00000001 0000000000000000 00", VLY_E_PROTOCOL, in_clear);
        check_in_clear(suite, "55", VLY_E_PROTOCOL, in_clear);
        check_in_clear(suite, "07 00 0000 00000008", VLY_E_NO_ANSWER, "");
        check_in_clear(suite, "", VLY_E_NO_ANSWER, "");
    }
}

/* ---- what the transport is given ---- */

static int accept_nobody(void *ctx, struct vly_link *link)
{
    (void)ctx;
    (void)link;
    return VLY_E_REFUSED;
}

static int open_with(const struct vly_security *security, bool is_server)
{
    struct tcp_world *w = tcp_world_new();
    union vly_sockaddr any = {.any.sa_family = AF_INET};
    struct vly_transport_spec spec = {
        .size = sizeof spec, .options = w->options, .application = "test/1", .bind = &any.any};
    struct vly_transport *t;
    int err;

    spec.options.plain = false;
    spec.options.security = security;
    spec.is_server = is_server;
    spec.on_accept = accept_nobody;
    err = vly_transport_open(&t, &w->loop, &spec);
    assert_true((t == NULL) == (err != 0));
    if (t != NULL)
        vly_transport_close(t, 0, "", NULL, NULL);
    tcp_world_free(w);
    return err;
}

static void test_security_of_a_transport(void **state)
{
    struct vly_security s = {.size = sizeof s};

    (void)state;
    assert_int_equal(open_with(NULL, false), 0);
    assert_int_equal(open_with(&s, false), 0);
    assert_int_equal(open_with(NULL, true), VLY_E_INVALID); /* a server has a key */
    s.secret_key = tcp_server_secret;
    assert_int_equal(open_with(&s, true), 0);
    s.suite = "rot13";
    assert_int_equal(open_with(&s, true), VLY_E_INVALID);
    s.suite = "auto";
    s.crypto = "abacus";
    assert_int_equal(open_with(&s, true), VLY_E_INVALID);
    s.crypto = "auto";
    s.size = offsetof(struct vly_security, psk); /* an older one */
    s.psk = (const uint8_t *)1;
    assert_int_equal(open_with(&s, true), 0);
}

/* ---- the key log ---- */

struct key_lines {
    unsigned n;
    char line[16][160];
};

static void on_key(void *ctx, const char *line)
{
    struct key_lines *k = ctx;

    assert_true(k->n < ARRAY_LEN(k->line));
    (void)snprintf(k->line[k->n++], sizeof k->line[0], "%s", line);
}

/* Of generation 0: connection 0, suite 2, key, IV. */
static void assert_key_line(const char *line)
{
    static const char head[] = "VOLLEY1 0000000000000000 2 0 ";
    static const char digits[] = "0123456789abcdef";

    assert_memory_equal(line, head, strlen(head));
    line += strlen(head);
    assert_int_equal(strspn(line, digits), 64);
    assert_int_equal(line[64], ' ');
    assert_int_equal(strspn(line + 65, digits), 24);
    assert_int_equal(line[89], '\0');
}

/* Both ends log both directions: the same two keys. */
static void test_key_log(void **state)
{
    struct tcp_world *w = sealed_world();
    struct key_lines client = {0}, server = {0};

    (void)state;
    w->client.security.suite = "aes-256-gcm";
    w->client.security.on_key = w->server.security.on_key = on_key;
    w->client.security.ctx = &client;
    w->server.security.ctx = &server;
    tcp_world_open(w);
    assert_int_equal(client.n, 2);
    assert_int_equal(server.n, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_key_line(client.line[i]);
    assert_string_not_equal(client.line[0], client.line[1]);
    assert_string_equal(client.line[0], server.line[1]);
    assert_string_equal(client.line[1], server.line[0]);
    tcp_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_suite_and_backend),
        cmocka_unit_test(test_pre_shared_key),
        cmocka_unit_test(test_keys_change),
        cmocka_unit_test(test_other_pre_shared_key),
        cmocka_unit_test(test_other_kind_of_key),
        cmocka_unit_test(test_server_that_is_not_believed),
        cmocka_unit_test(test_client_without_a_key),
        cmocka_unit_test(test_nothing_in_common),
        cmocka_unit_test(test_plain_and_sealed),
        cmocka_unit_test(test_sealed_server_is_full_or_refuses),
        cmocka_unit_test(test_client_gives_up),
        cmocka_unit_test(test_what_is_believed_in_clear),
        cmocka_unit_test(test_security_of_a_transport),
        cmocka_unit_test(test_key_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
