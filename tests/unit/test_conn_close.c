/*
 * conn: how a connection ends: closed by either side, forgotten by the peer, silent, out of memory.
 * SPEC 7.
 */
#include <string.h>

#include "crypto/crypto.h"
#include "proto/conn_internal.h"
#include "support/raw.h"
#include "support/sealed.h"

static struct pair_side *client(struct pair *p)
{
    return &p->side[PAIR_CLIENT];
}

static struct pair_side *server(struct pair *p)
{
    return &p->side[PAIR_SERVER];
}

static const struct vly_event *closed(struct pair *p, enum pair_who who)
{
    assert_int_equal(p->side[who].events[VLY_EV_CLOSED], 1);
    return &p->side[who].last[VLY_EV_CLOSED];
}

/* ---- by the application ---- */

static void test_conn_close_is_confirmed(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);

    (void)state;
    vly_conn_close(client(p)->conn, p->now_ns, 42, "that is all");
    assert_int_equal(client(p)->events[VLY_EV_CLOSED], 0);
    pair_settle(p);
    assert_int_equal(closed(p, PAIR_CLIENT)->err, 0);
    assert_int_equal(closed(p, PAIR_CLIENT)->code, 42);
    assert_int_equal(closed(p, PAIR_SERVER)->err, VLY_E_CLOSED);
    assert_true(closed(p, PAIR_SERVER)->app_code);
    assert_int_equal(closed(p, PAIR_SERVER)->code, 42);
    assert_string_equal(closed(p, PAIR_SERVER)->reason, "that is all");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vly_endpoint_deadline(p->side[i].ep), VLY_NEVER);
        pair_release(p, (enum pair_who)i);
        assert_int_equal(pair_endpoint_stats(p, (enum pair_who)i).conns, 0);
    }
    pair_free(p);
}

static void test_conn_close_by_both_at_once(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);

    (void)state;
    vly_conn_close(client(p)->conn, p->now_ns, 1, "mine");
    vly_conn_close(server(p)->conn, p->now_ns, 2, "mine too");
    pair_settle(p);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(closed(p, (enum pair_who)i)->err, 0);
        assert_int_equal(closed(p, (enum pair_who)i)->code, i + 1);
    }
    pair_free(p);
}

/* SPEC 7: at once, 50, 100 and 200 ms later, and no longer than 500 ms in all. */
static void test_conn_close_is_repeated(void **state)
{
    static const uint64_t sent_ms[] = {0, 50, 100, 200};
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t begin_ns = p->now_ns, n = 0;

    (void)state;
    vly_conn_close(client(p)->conn, p->now_ns, 0, "");
    for (uint64_t ms = 0; ms < 500; ms++) {
        p->now_ns = begin_ns + VLY_MS(ms);
        pair_serve_deadline(p, PAIR_CLIENT);
        if (pair_flush(p, PAIR_CLIENT) > 0) {
            assert_in_range(n, 0, ARRAY_LEN(sent_ms) - 1);
            assert_int_equal(ms, sent_ms[n++]);
            assert_int_equal(client(p)->out_n, 1);
        }
        pair_drop(p, PAIR_CLIENT);
        assert_int_equal(client(p)->events[VLY_EV_CLOSED], 0);
    }
    assert_int_equal(n, 4);
    p->now_ns = begin_ns + VLY_MS(500);
    pair_serve_deadline(p, PAIR_CLIENT);
    assert_int_equal(closed(p, PAIR_CLIENT)->err, 0);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 0);
    pair_free(p);
}

/* While it lingers it answers whatever comes by CLOSE, once for each packet, and hears nothing but
 * CLOSE. */
static void test_conn_close_lingers(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    vly_conn_close(server(p)->conn, p->now_ns, 7, "bye");
    assert_int_equal(raw_take(&r), 1);
    for (unsigned i = 0; i < 5; i++) {
        raw_stream(&r, 0, 0, 10, false);
        raw_send(&r);
        assert_int_equal(raw_take(&r), 1);
        assert_int_equal(r.seen.frames[VLY_FRAME_CLOSE_APP], i + 2);
    }
    vly_wr_u8(raw_packet(&r), 0xff); /* not even what is wrong matters */
    raw_send(&r);
    assert_int_equal(raw_take(&r), 1);
    assert_int_equal(server(p)->events[VLY_EV_STREAM_OPENED], 0);
    assert_int_equal(r.seen.frames[VLY_FRAME_ACK], 0);
    vly_frame_ping_encode(raw_packet(&r));
    vly_frame_close_encode(raw_packet(&r), VLY_FRAME_CLOSE, 0, (struct vly_span){NULL, 0});
    raw_send(&r);
    assert_int_equal(raw_take(&r), 0);
    assert_int_equal(closed(p, PAIR_SERVER)->err, 0);
    assert_int_equal(closed(p, PAIR_SERVER)->code, 7);
    pair_free(p);
}

/* Before there is anything to close, and twice. */
static void test_conn_close_early_and_again(void **state)
{
    struct pair *p = pair_new(NULL, NULL);

    (void)state;
    pair_begin(p);
    vly_conn_close(client(p)->conn, p->now_ns, 5, "changed my mind");
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 0);
    assert_int_equal(closed(p, PAIR_CLIENT)->err, 0);
    assert_int_equal(closed(p, PAIR_CLIENT)->code, 5);
    vly_conn_close(client(p)->conn, p->now_ns, 6, "again");
    pair_run(p, VLY_S(1));
    assert_int_equal(closed(p, PAIR_CLIENT)->code, 5);
    pair_free(p);
}

/* A closed connection takes calls, and does nothing. */
static void test_conn_close_ends_all_calls(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT), other;
    struct vly_conn *c = client(p)->conn;
    size_t written;

    (void)state;
    pair_write(p, PAIR_CLIENT, id, 100, false);
    vly_conn_close(c, p->now_ns, 0, "");
    for (int i = 0; i < 2; i++) { /* closing, closed */
        assert_int_equal(vly_conn_open_stream(c, &other), VLY_E_STATE);
        assert_int_equal(vly_conn_write(c, id, (struct vly_span){NULL, 0}, true, &written),
                         VLY_E_STATE);
        vly_conn_reset_stream(c, id, 1);
        vly_conn_stop_stream(c, id, 1);
        vly_conn_consume(c, id, 0, p->now_ns);
        vly_conn_ping(c);
        vly_conn_expect_answer(c, true);
        pair_settle(p);
    }
    assert_string_equal(client(p)->log, "CX");
    assert_string_equal(server(p)->log, "AX"); /* CLOSE overtakes what was not sent */
    pair_free(p);
}

static void test_conn_close_reason_is_cut_to_whole_characters(void **state)
{
    static const struct {
        const char *name;
        size_t ascii, more; /* that many 'x', then that many times U+20AC of three bytes */
        size_t cut;
    } cases[] = {
        {"empty", 0, 0, 0},
        {"what fits", 128, 0, 128},
        {"one byte more", 129, 0, 128},
        {"much more", 500, 0, 128},
        {"a character across", 127, 5, 127},
        {"its last byte", 126, 5, 126},
        {"at a boundary", 125, 5, 128},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair *p = pair_connected(NULL, NULL);
        char reason[600] = {0};

        print_message("  %s\n", cases[i].name);
        memset(reason, 'x', cases[i].ascii);
        for (size_t k = 0; k < cases[i].more; k++)
            strcat(reason, "\xe2\x82\xac");
        vly_conn_close(client(p)->conn, p->now_ns, 0, reason);
        pair_settle(p);
        assert_int_equal(strlen(closed(p, PAIR_SERVER)->reason), cases[i].cut);
        assert_memory_equal(closed(p, PAIR_SERVER)->reason, reason, cases[i].cut);
        pair_free(p);
    }
}

/* ---- by the peer ---- */

static void test_conn_close_codes_of_the_peer(void **state)
{
    static const struct {
        enum vly_frame_type type;
        uint64_t code;
        int err;
    } cases[] = {
        {VLY_FRAME_CLOSE, VLY_CLOSE_NO_ERROR, VLY_E_CLOSED},
        {VLY_FRAME_CLOSE, VLY_CLOSE_FLOW_CONTROL, VLY_E_PROTOCOL},
        {VLY_FRAME_CLOSE, VLY_CLOSE_TIMEOUT, VLY_E_LOST},
        {VLY_FRAME_CLOSE, VLY_VARINT_MAX, VLY_E_PROTOCOL},
        {VLY_FRAME_CLOSE_APP, 0, VLY_E_CLOSED},
        {VLY_FRAME_CLOSE_APP, VLY_CLOSE_TIMEOUT, VLY_E_CLOSED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair *p = pair_new(NULL, NULL);
        struct raw r;

        raw_connect(&r, p, NULL, NULL);
        vly_frame_close_encode(raw_packet(&r), cases[i].type, cases[i].code,
                               (struct vly_span){(const uint8_t *)"a\0b", 3});
        raw_send(&r);
        assert_int_equal(closed(p, PAIR_SERVER)->err, cases[i].err);
        assert_int_equal(closed(p, PAIR_SERVER)->code, cases[i].code);
        assert_int_equal(closed(p, PAIR_SERVER)->app_code, cases[i].type == VLY_FRAME_CLOSE_APP);
        assert_string_equal(closed(p, PAIR_SERVER)->reason, "a?b");
        /* SPEC 7: one CLOSE of NO_ERROR confirms it. */
        assert_int_equal(raw_take(&r), 1);
        assert_int_equal(r.seen.frames[VLY_FRAME_CLOSE], 1);
        assert_int_equal(r.seen.close_code, VLY_CLOSE_NO_ERROR);
        pair_free(p);
    }
}

/* Data and CLOSE in one packet: the data is told before the end, and nothing after it. */
static void test_conn_close_comes_last(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    raw_stream(&r, 0, 0, 10, true);
    vly_frame_close_encode(raw_packet(&r), VLY_FRAME_CLOSE_APP, 0, (struct vly_span){NULL, 0});
    raw_stream(&r, 2, 0, 10, true);
    raw_send(&r);
    assert_string_equal(server(p)->log, "AodeX");
    pair_free(p);
}

/* All slots for answers are taken: the CLOSE is not sent, the application is told all the same. */
static void test_conn_close_without_a_reply_slot(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r, other;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    raw_init(&other, p, PAIR_SERVER, NULL);
    for (unsigned i = 0; i < VLY_REPLIES_MAX + 5; i++)
        raw_hello(&other, NULL, 0);
    vly_wr_u8(raw_packet(&r), 0xff);
    raw_send(&r);
    assert_int_equal(closed(p, PAIR_SERVER)->code, VLY_CLOSE_FRAME_ENCODING);
    assert_int_equal(raw_take(&r), VLY_REPLIES_MAX);
    assert_int_equal(r.seen.frames[VLY_FRAME_CLOSE], 0);
    pair_free(p);
}

/* ---- forgotten by the server ---- */

static void give_unknown(struct raw *r, uint8_t token_byte, const struct vly_addr *from)
{
    struct vly_unknown unknown = {.server_cid = r->cid};
    uint8_t buf[VLY_UNKNOWN_BYTES];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));

    memset(unknown.token, token_byte, sizeof(unknown.token));
    vly_unknown_encode(&w, &unknown);
    vly_seal_one(&vly_suite_plain, NULL, 0, buf, vly_wr_len(&w), vly_wr_len(&w));
    pair_give(r->p, r->host, from, VLY_ECN_NONE, (struct vly_span){buf, sizeof(buf)});
}

/* SPEC 2.8: the client believes UNKNOWN only with the token that came with ACCEPT. */
static void test_conn_close_by_unknown(void **state)
{
    const struct vly_addr elsewhere = {.len = 1, .data = {1}};
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_accept(&r, p, NULL); /* its token is 16 times 0x5a */
    give_unknown(&r, 0x5b, &r.addr);
    give_unknown(&r, 0x5a, &elsewhere);
    r.cid ^= 1;
    give_unknown(&r, 0x5a, &r.addr);
    r.cid ^= 1;
    assert_int_equal(client(p)->events[VLY_EV_CLOSED], 0);
    assert_int_equal(raw_take(&r), 0);
    give_unknown(&r, 0x5a, &r.addr);
    assert_int_equal(closed(p, PAIR_CLIENT)->err, VLY_E_LOST);
    assert_int_equal(raw_take(&r), 0);
    give_unknown(&r, 0x5a, &r.addr);
    pair_free(p);
}

/* The client closes while the server has forgotten it already. */
static void test_conn_close_confirmed_by_unknown(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);

    (void)state;
    vly_conn_close(server(p)->conn, p->now_ns, 0, "");
    for (int i = 0; i < 6; i++) {
        pair_flush(p, PAIR_SERVER);
        pair_drop(p, PAIR_SERVER);
        pair_wait(p, VLY_MS(100));
        pair_serve_deadline(p, PAIR_SERVER);
    }
    pair_release(p, PAIR_SERVER);
    vly_conn_close(client(p)->conn, p->now_ns, 3, "longer than an answer");
    pair_settle(p);
    assert_int_equal(closed(p, PAIR_CLIENT)->err, 0);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).unknown_sent, 1);
    pair_free(p);
}

/* ---- silence ---- */

/* The smaller of both idle timeouts counts (RULE 8), and nobody says a word. */
static void test_conn_close_when_idle(void **state)
{
    static const struct {
        uint64_t client_s, server_s, closed_s;
    } cases[] = {{0, 0, 30}, {5, 0, 5}, {0, 7, 7}, {9, 8, 8}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct vly_conn_config c = {.idle_timeout_ns = VLY_S(cases[i].client_s)};
        const struct vly_conn_config s = {.idle_timeout_ns = VLY_S(cases[i].server_s)};
        struct pair *p = pair_connected(&c, &s);
        uint64_t sent = pair_stats(p, PAIR_SERVER).packets_sent;

        pair_run(p, VLY_S(cases[i].closed_s) - VLY_MS(10));
        assert_int_equal(client(p)->events[VLY_EV_CLOSED], 0);
        pair_run(p, VLY_MS(10));
        assert_int_equal(closed(p, PAIR_CLIENT)->err, VLY_E_LOST);
        assert_int_equal(closed(p, PAIR_SERVER)->err, VLY_E_LOST);
        assert_int_equal(closed(p, PAIR_SERVER)->code, VLY_CLOSE_TIMEOUT);
        assert_int_equal(pair_stats(p, PAIR_SERVER).packets_sent, sent);
        pair_free(p);
    }
}

/* Data is out and nothing comes back: ten seconds, then CLOSE says why. */
static void test_conn_close_when_not_answered(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT), begin_ns = p->now_ns;

    (void)state;
    pair_write(p, PAIR_CLIENT, id, 1000, true);
    while (client(p)->events[VLY_EV_CLOSED] == 0) {
        pair_flush(p, PAIR_CLIENT);
        pair_drop(p, PAIR_CLIENT);
        p->now_ns = vly_endpoint_deadline(client(p)->ep);
        pair_serve_deadline(p, PAIR_CLIENT);
    }
    assert_int_equal(p->now_ns - begin_ns, VLY_S(10));
    assert_int_equal(closed(p, PAIR_CLIENT)->err, VLY_E_LOST);
    pair_settle(p);
    assert_int_equal(closed(p, PAIR_SERVER)->err, VLY_E_LOST);
    assert_int_equal(closed(p, PAIR_SERVER)->code, VLY_CLOSE_TIMEOUT);
    pair_free(p);
}

/* RULE 8: somebody who waits asks, at least 15 s apart. */
static void test_conn_close_is_kept_off_by_keepalives(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t sent = pair_stats(p, PAIR_CLIENT).packets_sent, last_ns = 0, n = 0;

    (void)state;
    vly_conn_expect_answer(client(p)->conn, true);
    for (unsigned ms = 0; ms < 100000; ms += 100) {
        uint64_t now_sent;

        pair_run(p, VLY_MS(100));
        now_sent = pair_stats(p, PAIR_CLIENT).packets_sent;
        if (now_sent == sent)
            continue;
        assert_int_equal(now_sent, sent + 1);
        assert_true(last_ns == 0 || p->now_ns - last_ns >= VLY_S(15));
        sent = now_sent;
        last_ns = p->now_ns;
        n++;
    }
    assert_in_range(n, 6, 7);
    assert_int_equal(client(p)->events[VLY_EV_CLOSED], 0);
    assert_int_equal(server(p)->events[VLY_EV_CLOSED], 0);
    vly_conn_expect_answer(client(p)->conn, false);
    pair_run(p, VLY_S(40));
    assert_int_equal(closed(p, PAIR_CLIENT)->err, VLY_E_LOST);
    pair_free(p);
}

/* Who waits for a peer that died learns it sooner than by the idle timeout. */
static void test_conn_close_of_a_dead_peer_is_found_out(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t begin_ns = p->now_ns;

    (void)state;
    vly_conn_expect_answer(client(p)->conn, true);
    while (client(p)->events[VLY_EV_CLOSED] == 0) {
        pair_flush(p, PAIR_CLIENT);
        pair_drop(p, PAIR_CLIENT);
        p->now_ns = vly_endpoint_deadline(client(p)->ep);
        pair_serve_deadline(p, PAIR_CLIENT);
    }
    assert_in_range(p->now_ns - begin_ns, VLY_S(14), VLY_S(16)); /* 5 of silence, 10 of asking */
    assert_int_equal(closed(p, PAIR_CLIENT)->err, VLY_E_LOST);
    pair_free(p);
}

/* ---- out of memory ---- */

/* What an application may do: many streams, of which some come out of order, resets, stops. */
static void do_a_lot(struct pair *p)
{
    struct vly_conn *c = client(p)->conn;
    static uint8_t zeros[3000];
    uint64_t id = 0;
    size_t written;

    server(p)->any_content = true;
    for (unsigned i = 0; i < 70 && vly_conn_open_stream(c, &id) == 0; i++)
        if (vly_conn_write(c, id, (struct vly_span){zeros, sizeof(zeros)}, i % 3 == 0, &written) !=
            0)
            break;
    vly_conn_reset_stream(c, 2, 1);
    if (pair_flush(p, PAIR_CLIENT) > 5)
        pair_drop_nth(p, PAIR_CLIENT, 2);
    pair_run(p, VLY_MS(500));
    if (server(p)->conn != NULL && server(p)->events[VLY_EV_CLOSED] == 0)
        vly_conn_stop_stream(server(p)->conn, 4, 1);
    pair_run(p, VLY_S(60));
}

/* RULE 40: the n-th allocation of the client, then of the server, fails, for every n: both hear of
 * the end, cleanly, and the server's application only of connections that it was told of. */
static void test_conn_close_when_memory_fails(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        bool failed = true;

        for (uint64_t n = 1; failed; n++) {
            struct pair *p = pair_new(NULL, NULL);
            struct test_counting_alloc *a = &p->side[who].alloc.counting;
            struct vly_conn *c = NULL;

            a->fail_at = a->requests + n;
            if (vly_endpoint_connect(client(p)->ep, &server(p)->addr, p->now_ns, &c) == 0) {
                client(p)->conn = c;
                pair_settle(p);
                do_a_lot(p);
                assert_int_equal(client(p)->events[VLY_EV_CLOSED], 1);
                assert_int_equal(server(p)->events[VLY_EV_CLOSED],
                                 server(p)->events[VLY_EV_ACCEPTED]);
            }
            failed = a->requests >= a->fail_at;
            assert_in_range(n, 1, 2000);
            pair_free(p);
        }
    }
}

/* Numbers run out while it repeats its CLOSE: it stops, and ends by time. */
static void test_conn_close_with_the_last_numbers(void **state)
{
    struct vly_endpoint_config cfg = pair_config(PAIR_SERVER);
    struct pair *p;
    struct raw r;

    (void)state;
    cfg.conn.first_pn = VLY_VARINT_MAX - 2 * VLY_BATCH_PKTS - 1;
    p = pair_new(NULL, &cfg);
    raw_connect(&r, p, NULL, NULL);
    vly_conn_close(server(p)->conn, p->now_ns, 7, "bye");
    for (unsigned i = 0; i < 300; i++) {
        raw_take(&r);
        vly_frame_ping_encode(raw_packet(&r));
        raw_send(&r);
    }
    assert_int_equal(r.seen.largest_pn, VLY_VARINT_MAX);
    raw_run(&r, VLY_S(1));
    assert_int_equal(closed(p, PAIR_SERVER)->err, 0);
    pair_free(p);
}

/* A HELLO of a connection that is over, and not released yet, makes no second one. */
static void test_conn_close_and_hello_again(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_connect(&r, p, NULL, NULL);
    raw_hello(&r, NULL, 0); /* its answer is not sent any more */
    vly_frame_close_encode(raw_packet(&r), VLY_FRAME_CLOSE, 0, (struct vly_span){NULL, 0});
    raw_send(&r);
    raw_take(&r);
    assert_int_equal(r.seen.handshake[VLY_PACKET_ACCEPT], 0);
    raw_hello(&r, NULL, 0);
    assert_int_equal(raw_take(&r), 0);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns_made, 1);
    pair_free(p);
}

/* RULE 40: no memory to remember what is sent: that is said at once, by CLOSE behind FINISH where
 * the method has one, and not waited for. */
static void test_conn_close_when_nothing_can_be_sent(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct test_counting_alloc *a = &client(p)->alloc.counting;
    bool has_finish = sealed_method() == VLY_METHOD_KEYS || sealed_method() == VLY_METHOD_CODE;

    (void)state;
    pair_begin(p);
    for (int i = 0; i < 4; i++) {
        pair_flush(p, i % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER);
        pair_deliver(p, i % 2 == 0 ? PAIR_CLIENT : PAIR_SERVER);
    }
    assert_string_equal(client(p)->log, "C");
    a->fail_at = a->requests + 1;
    assert_int_equal(pair_flush(p, PAIR_CLIENT), has_finish ? 2 : 1); /* neither needs memory */
    assert_int_equal(closed(p, PAIR_CLIENT)->err, VLY_E_NOMEM);
    assert_int_equal(vly_endpoint_deadline(client(p)->ep), VLY_NEVER);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_close_is_confirmed),
        cmocka_unit_test(test_conn_close_by_both_at_once),
        cmocka_unit_test(test_conn_close_is_repeated),
        cmocka_unit_test(test_conn_close_lingers),
        cmocka_unit_test(test_conn_close_early_and_again),
        cmocka_unit_test(test_conn_close_ends_all_calls),
        cmocka_unit_test(test_conn_close_reason_is_cut_to_whole_characters),
        cmocka_unit_test(test_conn_close_codes_of_the_peer),
        cmocka_unit_test(test_conn_close_comes_last),
        cmocka_unit_test(test_conn_close_without_a_reply_slot),
        cmocka_unit_test(test_conn_close_by_unknown),
        cmocka_unit_test(test_conn_close_confirmed_by_unknown),
        cmocka_unit_test(test_conn_close_when_idle),
        cmocka_unit_test(test_conn_close_when_not_answered),
        cmocka_unit_test(test_conn_close_is_kept_off_by_keepalives),
        cmocka_unit_test(test_conn_close_of_a_dead_peer_is_found_out),
        cmocka_unit_test(test_conn_close_when_memory_fails),
        cmocka_unit_test(test_conn_close_with_the_last_numbers),
        cmocka_unit_test(test_conn_close_and_hello_again),
        cmocka_unit_test(test_conn_close_when_nothing_can_be_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
