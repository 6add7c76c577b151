/*
 * Sealed connections over UDP, as the user of a transport sees them: who is let in, who is not, and
 * what both ends learn of it. (The same over TCP: test_tcp_handshake.c.)
 */
#include "crypto/crypto.h"
#include "proto/frame.h"
#include "support/tcp_world.h"

#include <stdio.h>
#include <string.h>

static struct tcp_world *sealed_world(void)
{
    struct tcp_world *w = tcp_world_new();

    w->options.carrier = VLY_CARRIER_UDP;
    tcp_world_seal(w);
    return w;
}

static bool no_content(const struct tcp_world *w)
{
    return !w->server.ended[0];
}

/* Content arrives, and the connection ends cleanly. */
static void transfer(struct tcp_world *w)
{
    tcp_world_serve(w);
    tcp_world_connect(w, &w->client, vly_transport_port(w->server.transport));
    while (!w->client.open)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    (void)tcp_end_send(&w->client, 300000);
    tcp_world_run_while(w, no_content);
    w->client.link->ops->close(w->client.link, 7, "done");
    tcp_world_run_until(w, &w->client.closed);
    tcp_world_run_until(w, &w->server.closed);
    assert_int_equal(w->client.err, 0);
    assert_int_equal(w->server.code, 7);
    assert_int_equal(w->turned_away, 0);
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
        w = sealed_world();
        w->client.security.suite = suites[i % 3];
        w->server.security.suite = "auto,aes-128-gcm"; /* all */
        w->client.security.crypto = backends[i / 3];
        transfer(w);
        assert_string_equal(w->client.stats.transport, "udp");
        assert_string_equal(w->client.stats.suite, suites[i % 3]);
        assert_string_equal(w->client.stats.crypto, backends[i / 3]);
        assert_string_equal(w->server.stats.suite, suites[i % 3]);
        assert_true(w->client.has_peer_key && w->server.has_peer_key);
        assert_memory_equal(w->client.peer_key, tcp_public_key(tcp_server_secret), 32);
        assert_memory_equal(w->server.peer_key, tcp_public_key(tcp_client_secret), 32);
        tcp_world_free(w);
    }
}

static void check_refused(struct tcp_world *w, int err, enum vly_close_code code)
{
    const char *why = vly_close_code_text(code);

    tcp_world_connect(w, &w->client, vly_transport_port(w->server.transport));
    tcp_world_run_until(w, &w->client.closed);
    assert_int_equal(w->client.err, err);
    assert_string_equal(w->client.reason, why);
    assert_int_equal(w->turned_away, 1);
    assert_string_equal(w->turned_away_why, why);
    assert_false(w->client.open);
    assert_null(w->server.link);
    tcp_world_free(w);
}

/* The server takes its first that is offered. AES-128 is neither offered nor taken by whoever did
 * not name it, and whoever named it alone has no other. */
static void test_suites_in_common(void **state)
{
    static const struct {
        const char *client, *server, *taken; /* taken: NULL: none */
    } cases[] = {
        {NULL, "aes-128-gcm,auto", "aes-256-gcm"},
        {"aes-128-gcm,auto", NULL, "aes-256-gcm"},
        {"aes-128-gcm,auto", "aes-128-gcm,auto", "aes-128-gcm"},
        {"aes-256-gcm,aes-128-gcm", "aes-128-gcm,auto", "aes-128-gcm"},
        {"aes-128-gcm,auto", "auto,aes-128-gcm", "aes-256-gcm"},
        {"aes-128-gcm", "auto,aes-128-gcm", "aes-128-gcm"},
        {"aes-128-gcm", NULL, NULL},
        {NULL, "aes-128-gcm", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tcp_world *w = sealed_world();

        w->client.security.suite = cases[i].client;
        w->server.security.suite = cases[i].server;
        if (cases[i].taken == NULL) {
            tcp_world_serve(w);
            check_refused(w, VLY_E_SUITE, VLY_CLOSE_SUITE);
            continue;
        }
        transfer(w);
        assert_string_equal(w->client.stats.suite, cases[i].taken);
        assert_string_equal(w->server.stats.suite, cases[i].taken);
        tcp_world_free(w);
    }
}

static void test_pre_shared_key(void **state)
{
    struct tcp_world *w = sealed_world();

    (void)state;
    tcp_world_seal_psk(w);
    transfer(w);
    assert_false(w->client.has_peer_key || w->server.has_peer_key);
    tcp_world_free(w);
}

static void test_plain(void **state)
{
    struct tcp_world *w = sealed_world();

    (void)state;
    w->options.plain = true;
    transfer(w);
    assert_string_equal(w->client.stats.suite, "plain");
    assert_false(w->client.has_peer_key || w->server.has_peer_key);
    tcp_world_free(w);
}

static void test_client_without_a_key(void **state)
{
    struct tcp_world *w = sealed_world();

    (void)state;
    w->client.security.secret_key = NULL;
    transfer(w);
    assert_true(w->server.has_peer_key);
    assert_memory_not_equal(w->server.peer_key, tcp_public_key(tcp_client_secret), 32);
    tcp_world_free(w);
}

/* ---- who is not let in ---- */

/* Runs until the client's end, and frees the world. */
static void test_keys_that_do_not_fit(void **state)
{
    static const uint8_t other[32] = {7, 8, 10};
    struct tcp_world *w = sealed_world();

    (void)state;
    tcp_world_seal_psk(w);
    w->client.security.psk = other;
    tcp_world_serve(w);
    check_refused(w, VLY_E_AUTH, VLY_CLOSE_AUTH);

    w = sealed_world();
    w->client.security.psk = tcp_psk;
    tcp_world_serve(w);
    check_refused(w, VLY_E_AUTH, VLY_CLOSE_METHOD);

    w = sealed_world();
    w->client.security.suite = "aes-256-gcm";
    w->server.security.suite = "chacha20-poly1305";
    tcp_world_serve(w);
    check_refused(w, VLY_E_SUITE, VLY_CLOSE_SUITE);
}

/* One is plain, the other one is not: neither gives way. */
static void test_plain_and_sealed(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct tcp_world *w = sealed_world();

        w->options.plain = i == 0;
        tcp_world_serve(w);
        w->options.plain = i != 0;
        check_refused(w, VLY_E_SUITE, VLY_CLOSE_SUITE);
    }
}

static void check_not_believed(struct tcp_world *w, int err)
{
    tcp_world_serve(w);
    tcp_world_connect(w, &w->client, vly_transport_port(w->server.transport));
    tcp_world_run_until(w, &w->client.closed);
    assert_int_equal(w->client.err, err);
    assert_true(w->client.has_peer_key); /* to be asked about */
    assert_memory_equal(w->client.peer_key, tcp_public_key(tcp_server_secret), 32);
    assert_false(w->client.open);
    assert_null(w->server.link);
    tcp_world_free(w);
}

static void test_server_that_is_not_believed(void **state)
{
    struct tcp_world *w = sealed_world();

    (void)state;
    w->client.security.server_key = NULL;
    check_not_believed(w, VLY_E_HOST_UNKNOWN);
    w = sealed_world();
    w->client.security.server_key = tcp_public_key(tcp_client_secret);
    w->client.security.accept_new = true; /* is for unknown ones */
    check_not_believed(w, VLY_E_HOST_CHANGED);
    w = sealed_world();
    w->client.security.server_key = NULL;
    w->client.security.accept_new = true;
    transfer(w);
    tcp_world_free(w);
}

/* ---- the key log ---- */

struct key_lines {
    unsigned n;
    char line[8][160];
};

static void on_key(void *ctx, const char *line)
{
    struct key_lines *k = ctx;

    assert_true(k->n < ARRAY_LEN(k->line));
    (void)snprintf(k->line[k->n++], sizeof k->line[0], "%s", line);
}

/* Each direction has the id that stands in its packets, and both ends log the same. */
static void test_key_log(void **state)
{
    struct tcp_world *w = sealed_world();
    struct key_lines client = {0}, server = {0};

    (void)state;
    w->client.security.on_key = w->server.security.on_key = on_key;
    w->client.security.ctx = &client;
    w->server.security.ctx = &server;
    transfer(w);
    assert_int_equal(client.n, 2);
    assert_int_equal(server.n, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_memory_equal(client.line[i], "VOLLEY1 ", 8);
        assert_memory_not_equal(client.line[i] + 8, "0000000000000000", 16);
        assert_true(strcmp(client.line[i], server.line[0]) == 0 ||
                    strcmp(client.line[i], server.line[1]) == 0);
    }
    assert_memory_not_equal(client.line[0], client.line[1], 24);
    tcp_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_suite_and_backend),
        cmocka_unit_test(test_suites_in_common),
        cmocka_unit_test(test_pre_shared_key),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_client_without_a_key),
        cmocka_unit_test(test_keys_that_do_not_fit),
        cmocka_unit_test(test_plain_and_sealed),
        cmocka_unit_test(test_server_that_is_not_believed),
        cmocka_unit_test(test_key_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
