/*
 * handshake: sealed connections, by each method: packet by packet, each one lost or doubled, what
 * either end believes, and what it says when it does not. SPEC 3, 3.1.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "proto/conn_internal.h"
#include "support/raw.h"

static const enum vly_method methods[] = {VLY_METHOD_KEYS, VLY_METHOD_PSK, VLY_METHOD_CODE};

static struct pair_side *client(struct pair *p)
{
    return &p->side[PAIR_CLIENT];
}

static struct pair_side *server(struct pair *p)
{
    return &p->side[PAIR_SERVER];
}

static struct pair *pair_of(enum vly_method method)
{
    const struct vly_endpoint_config c = pair_sealed(PAIR_CLIENT, method);
    const struct vly_endpoint_config s = pair_sealed(PAIR_SERVER, method);

    return pair_new(&c, &s);
}

/* Every method: connected, the suite agreed, data both ways, closed; nothing readable on the way.
 */
static void test_handshake_sealed_transfers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct pair *p = pair_of(methods[i]);
        bool keys = methods[i] == VLY_METHOD_KEYS;

        print_message("  method %d\n", methods[i]);
        pair_connect(p);
        assert_ptr_equal(vly_conn_suite(client(p)->conn), client(p)->crypto.sealed[0]);
        assert_ptr_equal(vly_conn_suite(server(p)->conn), server(p)->crypto.sealed[0]);
        assert_int_equal(vly_conn_peer_key(client(p)->conn) != NULL, keys);
        assert_int_equal(vly_conn_peer_key(server(p)->conn) != NULL, keys);
        if (keys)
            assert_memory_equal(vly_conn_peer_key(client(p)->conn),
                                sealed_credentials(VLY_CLIENT, VLY_METHOD_KEYS)->pin, 32);
        pair_write(p, PAIR_CLIENT, pair_open(p, PAIR_CLIENT), 100000, true);
        pair_write(p, PAIR_SERVER, pair_open(p, PAIR_SERVER), 50000, true);
        pair_run(p, VLY_S(1));
        assert_int_equal(server(p)->stream[0].final_bytes, 100000);
        assert_int_equal(client(p)->stream[1].final_bytes, 50000);
        assert_int_equal(pair_stats(p, PAIR_CLIENT).retransmits, 0);
        assert_null(client(p)->conn->handshake);
        assert_null(client(p)->conn->message);
        assert_null(server(p)->conn->handshake);
        vly_conn_close(client(p)->conn, p->now_ns, 0, "");
        pair_run(p, VLY_S(1));
        assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, 0);
        assert_int_equal(server(p)->last[VLY_EV_CLOSED].err, VLY_E_CLOSED);
        pair_free(p);
    }
}

/* ---- what is lost or doubled on the way ---- */

static struct pair_datagram keep(const struct pair_side *s, size_t i)
{
    struct pair_datagram d = s->out[i];

    d.data = test_exact_copy(d.data, d.len);
    return d;
}

static void give(struct pair *p, enum pair_who to, const struct pair_datagram *d)
{
    pair_give(p, to, &p->side[1 - to].addr, VLY_ECN_NONE, (struct vly_span){d->data, d->len});
}

/* Brings the handshake to where `nth` datagrams have passed, and gives the next one, of `from`. */
static struct pair_datagram stop_at(struct pair *p, unsigned nth, enum pair_who from)
{
    struct pair_datagram d;

    pair_begin(p);
    for (unsigned i = 0; i < nth; i++) {
        pair_flush(p, i % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER);
        pair_deliver(p, i % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER);
    }
    pair_flush(p, from);
    d = keep(&p->side[from], 0);
    pair_drop(p, from);
    return d;
}

static void tag(struct pair_datagram *d)
{
    size_t len = d->len - VLY_TAG_BYTES;

    vly_seal_one(&vly_suite_plain, NULL, 0, d->data, len, len);
}

/* HELLO, RETRY, HELLO, ACCEPT and what follows it (FINISH, DATA), each flight lost or doubled: a
 * timer or two later it stands all the same, once. RULE 2: the server, until it is confirmed, never
 * sends three times what it got. */
static void test_handshake_sealed_each_flight_lost_or_doubled(void **state)
{
    (void)state;
    for (unsigned at = 0; at < ARRAY_LEN(methods) * 5 * 2; at++) {
        enum vly_method method = methods[at / 10];
        unsigned nth = at / 2 % 5;
        bool doubled = at % 2 != 0;
        enum pair_who from = nth % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER;
        struct pair *p = pair_of(method);

        pair_begin(p);
        for (unsigned i = 0; i < nth; i++) {
            enum pair_who who = i % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER;

            pair_flush(p, who);
            pair_deliver(p, who);
        }
        pair_flush(p, from);
        for (size_t i = 0; doubled && i < p->side[from].out_n; i++) {
            struct pair_datagram d = keep(&p->side[from], i);

            give(p, 1 - from, &d);
            give(p, 1 - from, &d);
            free(d.data);
        }
        pair_drop(p, from);
        pair_run(p, VLY_S(2));
        assert_string_equal(client(p)->log, "C");
        assert_string_equal(server(p)->log, "A");
        assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns_made, 1);
        pair_free(p);
    }
}

/* RULE 2: HELLO after HELLO, each of 1200 bytes: the ACCEPT, the same bytes each time, is never
 * three times as much. */
static void test_handshake_sealed_accept_is_small_and_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct pair *p = pair_of(methods[i]);
        struct pair_datagram hello, accept;

        pair_begin(p);
        for (unsigned k = 0; k < 2; k++) {
            pair_flush(p, k == 0 ? PAIR_CLIENT : PAIR_SERVER);
            pair_deliver(p, k == 0 ? PAIR_CLIENT : PAIR_SERVER);
        }
        pair_flush(p, PAIR_CLIENT);
        hello = keep(client(p), 0);
        pair_deliver(p, PAIR_CLIENT);
        assert_int_equal(pair_flush(p, PAIR_SERVER), 1);
        accept = keep(server(p), 0);
        assert_in_range(accept.len, 100, 1199); /* SPEC 2 */
        for (unsigned k = 0; k < 20; k++) {
            pair_drop(p, PAIR_SERVER);
            give(p, PAIR_SERVER, &hello);
            assert_int_equal(pair_flush(p, PAIR_SERVER), 1);
            assert_int_equal(server(p)->out[0].len, accept.len);
            assert_memory_equal(server(p)->out[0].data, accept.data, accept.len);
        }
        assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns_made, 1);
        free(hello.data);
        free(accept.data);
        pair_free(p);
    }
}

/* RULE 2: at each step, with the largest ACCEPT there is. Nothing but
 * the client's HELLOs, one each 250 ms, gets through; what the server says is lost. */
static void test_handshake_sealed_amplification(void **state)
{
    static const char application[] = "an-application-of-32-characters-";
    struct vly_endpoint_config c = pair_sealed(PAIR_CLIENT, VLY_METHOD_KEYS);
    struct vly_endpoint_config s = pair_sealed(PAIR_SERVER, VLY_METHOD_KEYS);
    uint64_t received_bytes = 0, sent_bytes = 0, accepts = 0;
    struct pair *p;

    (void)state;
    assert_int_equal(strlen(application), VLY_APPLICATION_MAX);
    c.conn.application = s.conn.application = application;
    p = pair_new(&c, &s);
    pair_begin(p);
    for (unsigned step = 0; step < 100; step++) {
        pair_flush(p, PAIR_CLIENT);
        for (size_t i = 0; i < client(p)->out_n; i++)
            received_bytes += client(p)->out[i].len;
        pair_deliver(p, PAIR_CLIENT);
        pair_serve_deadline(p, PAIR_SERVER);
        pair_flush(p, PAIR_SERVER);
        for (size_t i = 0; i < server(p)->out_n; i++) {
            sent_bytes += server(p)->out[i].len;
            accepts += server(p)->out[i].data[0] == VLY_PACKET_ACCEPT;
            assert_true(sent_bytes <= 3 * received_bytes);
            assert_true(server(p)->out[i].len < 1200); /* SPEC 2 */
        }
        if (accepts == 0)
            pair_deliver(p, PAIR_SERVER);
        else
            pair_drop(p, PAIR_SERVER);
        pair_wait(p, VLY_MS(50));
        pair_serve_deadline(p, PAIR_CLIENT);
    }
    assert_in_range(accepts, 15, 21); /* one for each HELLO with the cookie, and no more */
    pair_run(p, VLY_S(1));
    assert_string_equal(client(p)->log, "C");
    assert_string_equal(server(p)->log, "A");
    pair_free(p);
}

/* RULE 2: a HELLO that lacks one byte is not answered, with the cookie or without. */
static void test_handshake_sealed_short_hello(void **state)
{
    (void)state;
    for (unsigned cookie = 0; cookie < 2; cookie++) {
        struct pair *p = pair_of(VLY_METHOD_KEYS);
        struct pair_datagram hello = stop_at(p, 2 * cookie, PAIR_CLIENT);

        assert_int_equal(hello.len, 1200);
        hello.len--;
        tag(&hello);
        give(p, PAIR_SERVER, &hello);
        assert_int_equal(pair_flush(p, PAIR_SERVER), 0);
        hello.data[hello.len - VLY_TAG_BYTES] = 0; /* padding */
        hello.len++;
        tag(&hello);
        give(p, PAIR_SERVER, &hello);
        assert_int_equal(pair_flush(p, PAIR_SERVER), 1);
        free(hello.data);
        pair_free(p);
    }
}

/* ---- RULE 1 ---- */

/* RULE 1: without a valid cookie nothing is allocated, of either memory. */
static void test_handshake_sealed_flood_allocates_nothing(void **state)
{
    struct pair *p = pair_of(VLY_METHOD_KEYS);
    uint64_t requests = server(p)->alloc.counting.requests, secrets = sealed_memory.requests;
    struct pair_datagram hello;

    (void)state;
    secrets = sealed_memory.requests;
    pair_begin(p);
    pair_flush(p, PAIR_CLIENT);
    hello = keep(client(p), 0);
    secrets = sealed_memory.requests;
    for (uint32_t i = 0; i < 1000; i++) {
        struct vly_addr from = {.len = 8};

        memcpy(from.data, &i, sizeof(i));
        pair_give(p, PAIR_SERVER, &from, VLY_ECN_NONE, (struct vly_span){hello.data, hello.len});
        assert_int_equal(pair_flush(p, PAIR_SERVER), 1);
        assert_in_range(server(p)->out[0].len, 1, 119);
        pair_drop(p, PAIR_SERVER);
    }
    assert_int_equal(server(p)->alloc.counting.requests, requests);
    assert_int_equal(sealed_memory.requests, secrets);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, 0);
    free(hello.data);
    pair_free(p);
}

/* ---- what does not fit together ---- */

static const struct vly_credentials *changed(enum vly_role role, enum vly_method method,
                                             void (*change)(struct vly_credentials *c))
{
    static struct vly_credentials copy[2];

    copy[role] = *sealed_credentials(role, method);
    if (change != NULL)
        change(&copy[role]);
    return &copy[role];
}

static void other_psk(struct vly_credentials *c)
{
    c->psk[0] ^= 1;
}

static void other_code(struct vly_credentials *c)
{
    c->code[0] ^= 1;
}

static void other_pin(struct vly_credentials *c)
{
    c->pin[0] ^= 1;
}

static void no_pin(struct vly_credentials *c)
{
    c->has_pin = false;
}

static void accept_new(struct vly_credentials *c)
{
    c->has_pin = false;
    c->accept_new = true;
}

/* What each end says when the two do not fit. */
static void test_handshake_sealed_refused(void **state)
{
    static const struct {
        const char *name;
        enum vly_method client, server;
        void (*change)(struct vly_credentials *c); /* at the client */
        int err;                                   /* there; 0: it connects */
        uint64_t turned_away;                      /* at the server; 0: nobody */
    } cases[] = {
        {"wrong key file", VLY_METHOD_PSK, VLY_METHOD_PSK, other_psk, VLY_E_AUTH, VLY_CLOSE_AUTH},
        {"wrong code", VLY_METHOD_CODE, VLY_METHOD_CODE, other_code, VLY_E_AUTH, 0},
        {"server's key unknown", VLY_METHOD_KEYS, VLY_METHOD_KEYS, no_pin, VLY_E_HOST_UNKNOWN, 0},
        {"unknown, believed", VLY_METHOD_KEYS, VLY_METHOD_KEYS, accept_new, 0, 0},
        {"server's key changed", VLY_METHOD_KEYS, VLY_METHOD_KEYS, other_pin, VLY_E_HOST_CHANGED,
         0},
        {"another method", VLY_METHOD_KEYS, VLY_METHOD_PSK, NULL, VLY_E_AUTH, VLY_CLOSE_METHOD},
        {"plain at the client", VLY_METHOD_NONE, VLY_METHOD_KEYS, NULL, VLY_E_SUITE,
         VLY_CLOSE_SUITE},
        {"plain at the server", VLY_METHOD_KEYS, VLY_METHOD_NONE, NULL, VLY_E_SUITE,
         VLY_CLOSE_SUITE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_endpoint_config c = pair_sealed(PAIR_CLIENT, cases[i].client);
        struct vly_endpoint_config s = pair_sealed(PAIR_SERVER, cases[i].server);
        struct pair *p;

        print_message("  %s\n", cases[i].name);
        if (cases[i].client != VLY_METHOD_NONE)
            c.credentials = changed(VLY_CLIENT, cases[i].client, cases[i].change);
        p = pair_new(&c, &s);
        pair_begin(p);
        pair_run(p, VLY_S(11));
        assert_int_equal(client(p)->events[VLY_EV_CONNECTED], cases[i].err == 0);
        assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, cases[i].err);
        assert_int_equal(server(p)->events[VLY_EV_ACCEPTED], cases[i].err == 0);
        assert_int_equal(server(p)->last[VLY_EV_TURNED_AWAY].code, cases[i].turned_away);
        if (cases[i].err == VLY_E_HOST_UNKNOWN || cases[i].err == VLY_E_HOST_CHANGED)
            assert_memory_equal(vly_conn_peer_key(client(p)->last[VLY_EV_CLOSED].conn),
                                sealed_credentials(VLY_CLIENT, VLY_METHOD_KEYS)->pin, 32);
        pair_free(p);
    }
}

/* The server takes the first of its suites that the client offers. */
static void test_handshake_sealed_suite_is_the_servers_choice(void **state)
{
    struct pair *p = pair_of(VLY_METHOD_KEYS);

    (void)state;
    server(p)->crypto.sealed[0] = p->side[PAIR_CLIENT].crypto.sealed[1];
    server(p)->crypto.sealed[1] = p->side[PAIR_CLIENT].crypto.sealed[0];
    pair_connect(p);
    assert_int_equal(vly_conn_suite(client(p)->conn)->id, VLY_SUITE_CHACHA20);
    assert_int_equal(vly_conn_suite(server(p)->conn)->id, VLY_SUITE_CHACHA20);
    pair_free(p);
    p = pair_of(VLY_METHOD_KEYS);
    server(p)->crypto.sealed[0] = p->side[PAIR_CLIENT].crypto.sealed[1];
    server(p)->crypto.sealed[1] = NULL;
    client(p)->crypto.sealed[1] = NULL;
    pair_begin(p);
    pair_settle(p);
    assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, VLY_E_SUITE);
    assert_int_equal(server(p)->last[VLY_EV_TURNED_AWAY].code, VLY_CLOSE_SUITE);
    pair_free(p);
}

/* What the server learns from FINISH it answers by a sealed CLOSE. */
static void test_handshake_sealed_application_of_finish(void **state)
{
    struct vly_endpoint_config c = pair_sealed(PAIR_CLIENT, VLY_METHOD_KEYS);
    struct vly_endpoint_config s = pair_sealed(PAIR_SERVER, VLY_METHOD_KEYS);
    struct pair *p;

    (void)state;
    c.conn.application = "else/1";
    p = pair_new(&c, &s);
    pair_begin(p);
    pair_run(p, VLY_S(1));
    assert_string_equal(client(p)->log, "CX");
    assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, VLY_E_REFUSED);
    assert_int_equal(client(p)->last[VLY_EV_CLOSED].code, VLY_CLOSE_APPLICATION);
    assert_string_equal(server(p)->log, "t");
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, 0);
    pair_free(p);
}

/* That CLOSE is lost: it comes again, so that the client learns why. */
static void test_handshake_sealed_turned_away_twice(void **state)
{
    struct vly_endpoint_config c = pair_sealed(PAIR_CLIENT, VLY_METHOD_KEYS);
    struct vly_endpoint_config s = pair_sealed(PAIR_SERVER, VLY_METHOD_KEYS);
    struct pair *p;

    (void)state;
    c.conn.application = "else/1";
    p = pair_new(&c, &s);
    pair_begin(p);
    for (unsigned i = 0; i < 5; i++) {
        pair_flush(p, i % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER);
        pair_deliver(p, i % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER);
    }
    pair_flush(p, PAIR_SERVER);
    pair_drop(p, PAIR_SERVER);
    pair_run(p, VLY_S(1));
    assert_string_equal(client(p)->log, "CX");
    assert_int_equal(client(p)->last[VLY_EV_CLOSED].code, VLY_CLOSE_APPLICATION);
    assert_string_equal(server(p)->log, "t");
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, 0);
    pair_free(p);
}

/* SPEC 3.1: three ACCEPTs without a FINISH that verifies, or one with, and the code is dead. */
static void test_handshake_sealed_code_dies(void **state)
{
    struct vly_endpoint_config c = pair_sealed(PAIR_CLIENT, VLY_METHOD_CODE);
    struct vly_endpoint_config s = pair_sealed(PAIR_SERVER, VLY_METHOD_CODE);
    struct pair *p;

    (void)state;
    for (unsigned wrong = 0; wrong <= VLY_CODE_FAILURES_MAX; wrong++) {
        c.credentials = changed(VLY_CLIENT, VLY_METHOD_CODE, other_code);
        p = pair_new(&c, &s);
        for (unsigned i = 0; i < wrong; i++)
            pair_begin(p);
        pair_run(p, VLY_S(1));
        assert_int_equal(client(p)->events[VLY_EV_CLOSED], wrong); /* the ACCEPT came thrice */
        /* The right code, at last. */
        (void)changed(VLY_CLIENT, VLY_METHOD_CODE, NULL);
        pair_begin(p);
        pair_run(p, VLY_S(1));
        assert_int_equal(client(p)->events[VLY_EV_CONNECTED], wrong < VLY_CODE_FAILURES_MAX);
        assert_int_equal(client(p)->events[VLY_EV_CLOSED],
                         wrong + (wrong == VLY_CODE_FAILURES_MAX));
        pair_begin(p); /* once used, or guessed at too often, it is dead */
        pair_run(p, VLY_S(1));
        assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, VLY_E_AUTH);
        assert_int_equal(server(p)->last[VLY_EV_TURNED_AWAY].code, VLY_CLOSE_AUTH);
        pair_free(p);
    }
}

/* ---- somebody in between ---- */

/* RULE 5, RULE 9: every bit of ACCEPT and of FINISH flipped, with a right checksum: none is
 * believed, none changes what comes of the true one. */
static void test_handshake_sealed_flipped_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        /* An ACCEPT of method code may be a guess: test_handshake_code. */
        for (unsigned nth = methods[i] == VLY_METHOD_CODE ? 4 : 3;
             nth <= (methods[i] == VLY_METHOD_PSK ? 3u : 4u); nth++) {
            enum pair_who from = nth == 3 ? PAIR_SERVER : PAIR_CLIENT;
            struct pair *p = pair_of(methods[i]);
            struct pair_datagram d = stop_at(p, nth, from);

            assert_int_equal(d.data[0], nth == 3 ? VLY_PACKET_ACCEPT : VLY_PACKET_FINISH);
            for (size_t bit = 0; bit < 8 * (d.len - VLY_TAG_BYTES); bit++) {
                d.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
                tag(&d);
                give(p, 1 - from, &d);
                assert_string_equal(p->side[1 - from].log, "");
                d.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
            tag(&d);
            give(p, 1 - from, &d);
            assert_string_equal(p->side[1 - from].log, nth == 3 ? "C" : "A");
            pair_run(p, VLY_S(1));
            assert_string_equal(client(p)->log, "C");
            assert_string_equal(server(p)->log, "A");
            free(d.data);
            pair_free(p);
        }
    }
}

/* RULE 5: an attacker on the way changes what the client offers, cookie and all, and answers for
 * both ends what each expects in clear. Nothing comes of it, least of all another suite. */
static void test_handshake_sealed_downgrade(void **state)
{
    static const struct {
        const char *name;
        size_t at; /* in HELLO */
        uint8_t to;
    } cases[] = {
        {"the best suite is taken out", 14, VLY_SUITE_CHACHA20},
        {"plain is offered", 14, VLY_SUITE_PLAIN},
        {"another method", 14 + 2 + 1 + 41 + 2, VLY_METHOD_PSK},
        {"another client id", 12, 0x55},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair *p = pair_of(VLY_METHOD_KEYS);
        uint64_t now_ns = p->now_ns;

        print_message("  %s\n", cases[i].name);
        pair_begin(p);
        while (p->now_ns < now_ns + VLY_S(3)) {
            pair_flush(p, PAIR_CLIENT);
            for (size_t k = 0; k < client(p)->out_n; k++) {
                struct pair_datagram *d = &client(p)->out[k];
                size_t at = cases[i].at;

                if (d->data[0] != VLY_PACKET_HELLO)
                    continue;
                if (at > 16 && d->data[16] == 0) /* no cookie yet */
                    at -= 41;
                d->data[at] = cases[i].to;
                tag(d);
            }
            pair_deliver(p, PAIR_CLIENT);
            pair_flush(p, PAIR_SERVER);
            for (size_t k = 0; k < server(p)->out_n; k++) {
                struct pair_datagram *d = &server(p)->out[k];

                vly_store_u64(d->data + 1, client(p)->conn->cid);
                if (d->data[0] == VLY_PACKET_REFUSE)
                    d->data[0] = 0; /* kept from the client */
                tag(d);
            }
            pair_deliver(p, PAIR_SERVER);
            pair_wait(p, VLY_MS(50));
            pair_serve_deadline(p, PAIR_CLIENT);
        }
        assert_string_equal(client(p)->log, "");
        assert_int_equal(server(p)->events[VLY_EV_ACCEPTED], 0);
        pair_free(p);
    }
}

/* RULE 5: the version of HELLO changed on the way, in each bit: what the server says to that does
 * not end the attempt, and the true HELLO is answered. */
static void test_handshake_sealed_version_of_hello(void **state)
{
    (void)state;
    for (unsigned cookie = 0; cookie < 2; cookie++) {
        struct pair *p = pair_of(VLY_METHOD_KEYS);
        struct pair_datagram hello = stop_at(p, 2 * cookie, PAIR_CLIENT);

        for (unsigned bit = 0; bit < 32; bit++) {
            hello.data[1 + bit / 8] ^= (uint8_t)(1 << bit % 8);
            tag(&hello);
            give(p, PAIR_SERVER, &hello);
            assert_int_equal(pair_flush(p, PAIR_SERVER), 1);
            assert_int_equal(server(p)->out[0].data[0], VLY_PACKET_VERSIONS);
            pair_deliver(p, PAIR_SERVER);
            hello.data[1 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns_made, 0);
        assert_string_equal(client(p)->log, "");
        tag(&hello);
        give(p, PAIR_SERVER, &hello);
        pair_run(p, VLY_S(1));
        assert_string_equal(client(p)->log, "C");
        free(hello.data);
        pair_free(p);
    }
}

/* RULE 5: a server that speaks more than one version and took another one than its ACCEPT says in
 * clear, after somebody changed it there. */
static void test_handshake_sealed_version_of_accept(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        for (uint32_t other = 0; other < 2; other++) {
            struct pair *p = pair_of(methods[i]);
            struct raw r;

            raw_init(&r, p, PAIR_CLIENT, NULL);
            r.method = methods[i];
            r.version = VLY_VERSION_1 + other;
            pair_begin(p);
            raw_take(&r);
            raw_retry(&r);
            raw_send_accept(&r, NULL, VLY_SUITE_PLAIN);
            raw_take(&r);
            assert_string_equal(client(p)->log, other == 0 ? "C" : "");
            pair_free(p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_sealed_transfers),
        cmocka_unit_test(test_handshake_sealed_each_flight_lost_or_doubled),
        cmocka_unit_test(test_handshake_sealed_accept_is_small_and_the_same),
        cmocka_unit_test(test_handshake_sealed_amplification),
        cmocka_unit_test(test_handshake_sealed_short_hello),
        cmocka_unit_test(test_handshake_sealed_flood_allocates_nothing),
        cmocka_unit_test(test_handshake_sealed_refused),
        cmocka_unit_test(test_handshake_sealed_suite_is_the_servers_choice),
        cmocka_unit_test(test_handshake_sealed_application_of_finish),
        cmocka_unit_test(test_handshake_sealed_turned_away_twice),
        cmocka_unit_test(test_handshake_sealed_code_dies),
        cmocka_unit_test(test_handshake_sealed_flipped_bits),
        cmocka_unit_test(test_handshake_sealed_downgrade),
        cmocka_unit_test(test_handshake_sealed_version_of_hello),
        cmocka_unit_test(test_handshake_sealed_version_of_accept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
