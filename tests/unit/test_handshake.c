/*
 * handshake: setting a connection up, each packet lost or doubled, and what a server believes
 * before there is a connection. SPEC 3.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "proto/conn_internal.h"
#include "proto/cookie.h"
#include "support/raw.h"

static struct pair_side *client(struct pair *p)
{
    return &p->side[PAIR_CLIENT];
}

static struct pair_side *server(struct pair *p)
{
    return &p->side[PAIR_SERVER];
}

static uint8_t type_of(const struct pair_side *s, size_t i)
{
    return s->out[i].data[0];
}

/* A datagram under way, kept for later. */
static struct pair_datagram keep(const struct pair_side *s, size_t i)
{
    struct pair_datagram d = s->out[i];

    d.data = test_exact_copy(d.data, d.len);
    return d;
}

static void give(struct pair *p, enum pair_who to, const struct vly_addr *from,
                 const struct pair_datagram *d)
{
    pair_give(p, to, from, VLY_ECN_NONE, (struct vly_span){d->data, d->len});
}

/* ---- as it should be ---- */

static void test_handshake_step_by_step(void **state)
{
    struct pair *p = pair_new(NULL, NULL);

    (void)state;
    pair_begin(p);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 1);
    assert_int_equal(type_of(client(p), 0), VLY_PACKET_HELLO);
    assert_int_equal(client(p)->out[0].len, 1200); /* RULE 2 */
    pair_deliver(p, PAIR_CLIENT);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, 0); /* RULE 1 */
    assert_int_equal(pair_flush(p, PAIR_SERVER), 1);
    assert_int_equal(type_of(server(p), 0), VLY_PACKET_RETRY);
    assert_in_range(server(p)->out[0].len, 27, 119);
    pair_deliver(p, PAIR_SERVER);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 1);
    assert_int_equal(client(p)->out[0].len, 1200);
    pair_deliver(p, PAIR_CLIENT);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, 1);
    assert_string_equal(server(p)->log, ""); /* told when the client has proved to hear us */
    assert_int_equal(pair_flush(p, PAIR_SERVER), 1);
    assert_int_equal(type_of(server(p), 0), VLY_PACKET_ACCEPT);
    pair_wait(p, VLY_MS(40));
    pair_deliver(p, PAIR_SERVER);
    assert_string_equal(client(p)->log, "C");
    assert_int_equal(pair_stats(p, PAIR_CLIENT).handshake_ns, VLY_MS(40));
    assert_int_equal(pair_stats(p, PAIR_CLIENT).smoothed_rtt_ns, VLY_MS(40));
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 1);
    assert_int_equal(type_of(client(p), 0), VLY_PACKET_DATA);
    pair_deliver(p, PAIR_CLIENT);
    assert_string_equal(server(p)->log, "A");
    assert_int_equal(vly_conn_role(server(p)->conn), VLY_SERVER);
    assert_int_equal(vly_conn_role(client(p)->conn), VLY_CLIENT);
    assert_memory_equal(vly_conn_peer(server(p)->conn).data, client(p)->addr.data, 3);
    vly_conn_set_user(server(p)->conn, p);
    assert_ptr_equal(vly_conn_user(server(p)->conn), p);
    pair_free(p);
}

/* Each of the five packets lost once, or doubled: a timer later, at most, it stands all the same,
 * once. */
static void test_handshake_each_packet_lost_or_doubled(void **state)
{
    (void)state;
    for (unsigned nth = 0; nth < 5; nth++) {
        for (unsigned copies = 0; copies <= 2; copies += 2) {
            enum pair_who from = nth % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER;
            struct pair *p = pair_new(NULL, NULL);
            uint64_t begin_ns = p->now_ns;
            struct pair_datagram d;

            pair_begin(p);
            for (unsigned i = 0; i < nth; i++) {
                enum pair_who who = i % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER;

                assert_int_equal(pair_flush(p, who), 1);
                pair_deliver(p, who);
            }
            assert_int_equal(pair_flush(p, from), 1);
            d = keep(&p->side[from], 0);
            pair_drop(p, from);
            for (unsigned i = 0; i < copies; i++)
                give(p, from == PAIR_CLIENT ? PAIR_SERVER : PAIR_CLIENT, &p->side[from].addr, &d);
            free(d.data);
            pair_run(p, VLY_S(1));
            assert_string_equal(client(p)->log, "C");
            assert_string_equal(server(p)->log, "A");
            assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns_made, 1);
            assert_in_range(server(p)->conn->start_ns + server(p)->conn->stats.handshake_ns -
                                begin_ns,
                            0, copies > 0 ? VLY_MS(10) : VLY_MS(520));
            pair_free(p);
        }
    }
}

/* Only the client's timer repairs; without any answer it gives up after ten seconds. */
static void test_handshake_without_an_answer(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    unsigned hellos = 0;

    (void)state;
    pair_begin(p);
    for (unsigned ms = 0; ms < 9999; ms++) {
        hellos += (unsigned)pair_flush(p, PAIR_CLIENT);
        pair_drop(p, PAIR_CLIENT);
        pair_wait(p, VLY_MS(1));
        pair_serve_deadline(p, PAIR_CLIENT);
        assert_int_equal(client(p)->events[VLY_EV_CLOSED], 0);
    }
    assert_int_equal(hellos, 40);
    pair_wait(p, VLY_MS(1));
    pair_serve_deadline(p, PAIR_CLIENT);
    pair_flush(p, PAIR_CLIENT);
    assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, VLY_E_NO_ANSWER);
    pair_free(p);
}

/* The client vanishes after its cookie: ten seconds, and the application never hears of it. */
static void test_handshake_never_confirmed(void **state)
{
    struct pair *p = pair_new(NULL, NULL);

    (void)state;
    pair_begin(p);
    for (unsigned i = 0; i < 3; i++) {
        pair_flush(p, i % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER);
        pair_deliver(p, i % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER);
    }
    pair_flush(p, PAIR_SERVER);
    pair_drop(p, PAIR_SERVER);
    vly_conn_close(client(p)->conn, p->now_ns, 0, "");
    pair_run(p, VLY_MS(9990));
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, 1);
    pair_run(p, VLY_MS(20));
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, 0);
    assert_string_equal(server(p)->log, "");
    pair_free(p);
}

/* Parameters are kept to: what each side sends and allows. */
static void test_handshake_parameters(void **state)
{
    const struct vly_conn_config c = {.announced_datagram_bytes = 1300, .max_streams = 3};
    const struct vly_conn_config s = {.max_datagram_bytes = 9000, .window_bytes = 5000};
    struct pair *p = pair_connected(&c, &s);
    uint64_t id;

    (void)state;
    assert_int_equal(server(p)->conn->datagram_bytes, 1300);
    assert_int_equal(client(p)->conn->datagram_bytes, 1472);
    assert_int_equal(client(p)->conn->send_credit.limit_bytes, 5000);
    assert_int_equal(client(p)->conn->peer_params.idle_timeout_ms, 30000); /* RULE 8 */
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pair_open(p, PAIR_SERVER), 2 * i + 1);
    assert_int_equal(vly_conn_open_stream(server(p)->conn, &id), VLY_E_AGAIN);
    pair_write(p, PAIR_SERVER, 1, 100000, true);
    while (pair_flush(p, PAIR_SERVER) > 0) {
        for (size_t i = 0; i < server(p)->out_n; i++)
            assert_in_range(server(p)->out[i].len, 1, 1300);
        pair_deliver(p, PAIR_SERVER);
        pair_run(p, VLY_MS(1));
    }
    pair_free(p);
}

/* SPEC 3: of two RETRY the newer cookie counts, from the next timer on; in OPEN none does. */
static void test_handshake_retry_again(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct pair_datagram stale;

    (void)state;
    pair_begin(p);
    pair_flush(p, PAIR_CLIENT);
    pair_deliver(p, PAIR_CLIENT);
    pair_flush(p, PAIR_SERVER);
    stale = keep(server(p), 0);
    pair_deliver(p, PAIR_SERVER);
    pair_flush(p, PAIR_CLIENT); /* HELLO with the cookie, under way for 61 s */
    pair_wait(p, VLY_COOKIE_LIFE_NS + VLY_S(1));
    client(p)->conn->start_ns = p->now_ns;
    pair_deliver(p, PAIR_CLIENT);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).retries_sent, 2);
    pair_settle(p);
    assert_string_equal(client(p)->log, "");
    pair_run(p, VLY_MS(300));
    assert_string_equal(client(p)->log, "C");
    give(p, PAIR_CLIENT, &server(p)->addr, &stale);
    pair_settle(p);
    assert_string_equal(client(p)->log, "C");
    free(stale.data);
    pair_free(p);
}

/* ---- what a server believes ---- */

/* RULE 3: a cookie is good for its address, port, HELLO and time, and for nothing else. */
static void test_handshake_cookie_replayed(void **state)
{
    static const struct {
        const char *name;
        bool other_port, other_hello, flipped;
        uint64_t later_ns;
        bool good;
    } cases[] = {
        {"as it was", false, false, false, 0, true},
        {"nearly a minute later", false, false, false, VLY_S(59), true},
        {"more than a minute later", false, false, false, VLY_S(61), false},
        {"two keys later", false, false, false, VLY_S(150), false},
        {"from another port", true, false, false, 0, false},
        {"in another HELLO", false, true, false, 0, false},
        {"one bit flipped", false, false, true, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair *p = pair_new(NULL, NULL);
        struct vly_params params = raw_params();
        struct raw r, other;

        print_message("  %s\n", cases[i].name);
        raw_init(&r, p, PAIR_SERVER, NULL);
        raw_hello(&r, &params, 0);
        raw_take(&r);
        p->now_ns += cases[i].later_ns;
        raw_init(&other, p, PAIR_SERVER, &(struct vly_addr){.len = 1}); /* keys move on, perhaps */
        raw_hello(&other, NULL, 0);
        raw_take(&other);
        if (cases[i].other_port)
            r.addr.data[2] ^= 1;
        if (cases[i].other_hello)
            params.max_streams++;
        if (cases[i].flipped)
            r.cookie[20] ^= 1;
        raw_hello(&r, &params, 0);
        raw_take(&r);
        assert_int_equal(r.seen.handshake[VLY_PACKET_ACCEPT], cases[i].good);
        assert_int_equal(r.seen.handshake[VLY_PACKET_RETRY], cases[i].good ? 1 : 2);
        assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, cases[i].good);
        pair_free(p);
    }
}

/* RULE 1: ten thousand HELLOs from as many addresses, without a cookie or with an invented one, and
 * packets of connections that there are not: not one allocation. RULE 2: each is answered by less
 * than it brought. */
static void test_handshake_flood_allocates_nothing(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t requests = server(p)->alloc.counting.requests;
    struct raw r;

    (void)state;
    raw_init(&r, p, PAIR_SERVER, NULL);
    for (uint32_t i = 0; i < 10000; i++) {
        memcpy(r.addr.data, &i, sizeof(i));
        r.addr.len = (uint8_t)(4 + i % 20);
        r.cid = i + 1;
        r.cookie_len = i % 3 == 0 ? 0 : VLY_COOKIE_BYTES;
        memset(r.cookie, (int)i, sizeof(r.cookie));
        raw_hello(&r, NULL, 0);
        raw_take(&r);
        assert_in_range(r.seen.last_sent_bytes, 1, 119);
        r.host_cid = i + 1;
        vly_wr_zeros(raw_packet(&r), 1000);
        raw_send(&r);
        raw_take(&r);
        assert_in_range(r.seen.last_sent_bytes, 0, 1000);
    }
    assert_int_equal(server(p)->alloc.counting.requests, requests);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).retries_sent, 10000);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns_made, 0);
    pair_free(p);
}

/* HELLOs that are not worth an answer. */
static void test_handshake_hellos_dropped(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct test_vectors vectors = test_vectors_load("packets.txt");
    struct vly_span hello = test_vectors_find(&vectors, "hello");
    uint8_t *copy = test_exact_copy(hello.data, hello.len);

    (void)state;
    pair_give(p, PAIR_CLIENT, &server(p)->addr, VLY_ECN_NONE, hello); /* no server there */
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 0);
    copy[100] ^= 1; /* the tag does not fit */
    pair_give(p, PAIR_SERVER, &client(p)->addr, VLY_ECN_NONE, (struct vly_span){copy, hello.len});
    copy[100] ^= 1;
    vly_seal_one(&vly_suite_plain, NULL, 0, copy, hello.len - 17, hello.len - 17); /* 1199 bytes */
    pair_give(p, PAIR_SERVER, &client(p)->addr, VLY_ECN_NONE,
              (struct vly_span){copy, hello.len - 1});
    memcpy(copy, hello.data, hello.len);
    copy[1000] = 1; /* padding that is not zero */
    vly_seal_one(&vly_suite_plain, NULL, 0, copy, hello.len - 16, hello.len - 16);
    pair_give(p, PAIR_SERVER, &client(p)->addr, VLY_ECN_NONE, (struct vly_span){copy, hello.len});
    assert_int_equal(pair_flush(p, PAIR_SERVER), 0);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).datagrams_dropped, 3);
    free(copy);
    test_vectors_free(&vectors);
    pair_free(p);
}

/* ---- UNKNOWN ---- */

/* RULE 7: answers to packets of connections that there are not: smaller than those, at most 100 a
 * second, and never an answer to an answer. */
static void test_handshake_unknown_is_small_and_rare(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_init(&r, p, PAIR_SERVER, NULL);
    r.host_cid = 1;
    for (size_t frames = 1; frames < 12; frames++) {
        size_t sent = VLY_DATA_HEADER_BYTES + frames + VLY_TAG_BYTES;

        vly_wr_zeros(raw_packet(&r), frames);
        raw_send(&r);
        raw_take(&r);
        assert_true(r.seen.last_sent_bytes < sent);
        assert_int_equal(r.seen.last_sent_bytes, sent > VLY_UNKNOWN_BYTES ? VLY_UNKNOWN_BYTES : 0);
    }
    for (unsigned i = 0; i < 1000; i++) {
        vly_wr_zeros(raw_packet(&r), 1000);
        raw_send(&r);
        raw_take(&r);
    }
    assert_int_equal(r.seen.handshake[VLY_PACKET_UNKNOWN], 100);
    pair_wait(p, VLY_S(1));
    vly_wr_zeros(raw_packet(&r), 1000);
    raw_send(&r);
    assert_int_equal(raw_take(&r), 1);
    pair_free(p);
}

/* RULE 7: two servers, each made to believe that the other sends to it. */
static void test_handshake_two_servers_fall_silent(void **state)
{
    struct vly_endpoint_config both = pair_config(PAIR_SERVER);
    struct pair *p = pair_new(&both, &both);
    struct raw r;
    unsigned rounds = 0;

    (void)state;
    raw_init(&r, p, PAIR_SERVER, NULL); /* sends as the other server */
    r.host_cid = 1;
    vly_wr_zeros(raw_packet(&r), 1000);
    raw_send(&r);
    raw_hello(&r, NULL, 0);
    raw_hello(&r, NULL, 3);
    while (pair_flush(p, PAIR_CLIENT) + pair_flush(p, PAIR_SERVER) > 0) {
        pair_deliver(p, PAIR_CLIENT);
        pair_deliver(p, PAIR_SERVER);
        rounds++;
    }
    assert_int_equal(rounds, 1);
    pair_free(p);
}

/* RULE 20: which of two HELLOs an ACCEPT answers cannot be told: no sample then. */
static void test_handshake_ambiguous_round_trip(void **state)
{
    struct pair *p = pair_new(NULL, NULL);

    (void)state;
    pair_begin(p);
    for (unsigned i = 0; i < 2; i++) {
        pair_flush(p, i == 0 ? PAIR_CLIENT : PAIR_SERVER);
        pair_deliver(p, i == 0 ? PAIR_CLIENT : PAIR_SERVER);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pair_flush(p, PAIR_CLIENT), i + 1); /* both are under way */
        pair_wait(p, VLY_HELLO_TIMER_NS);
        pair_serve_deadline(p, PAIR_CLIENT);
    }
    pair_drop_nth(p, PAIR_CLIENT, 1);
    pair_deliver(p, PAIR_CLIENT);
    pair_flush(p, PAIR_SERVER);
    pair_deliver(p, PAIR_SERVER);
    assert_string_equal(client(p)->log, "C");
    assert_int_equal(pair_stats(p, PAIR_CLIENT).smoothed_rtt_ns, 0);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_step_by_step),
        cmocka_unit_test(test_handshake_each_packet_lost_or_doubled),
        cmocka_unit_test(test_handshake_without_an_answer),
        cmocka_unit_test(test_handshake_never_confirmed),
        cmocka_unit_test(test_handshake_parameters),
        cmocka_unit_test(test_handshake_retry_again),
        cmocka_unit_test(test_handshake_cookie_replayed),
        cmocka_unit_test(test_handshake_flood_allocates_nothing),
        cmocka_unit_test(test_handshake_hellos_dropped),
        cmocka_unit_test(test_handshake_unknown_is_small_and_rare),
        cmocka_unit_test(test_handshake_two_servers_fall_silent),
        cmocka_unit_test(test_handshake_ambiguous_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
