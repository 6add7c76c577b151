/*
 * handshake: when it is not to be: other versions, refusals, answers that are none.
 * SPEC 2.7, 2.8, 3.
 */
#include <string.h>

#include "crypto/crypto.h"
#include "proto/conn_internal.h"
#include "support/raw.h"

static struct pair_side *client(struct pair *p)
{
    return &p->side[PAIR_CLIENT];
}

static struct pair_side *server(struct pair *p)
{
    return &p->side[PAIR_SERVER];
}

static void give_packet(struct pair *p, enum pair_who to, const struct vly_addr *from,
                        struct vly_wr *w)
{
    size_t len = vly_wr_len(w);

    assert_false(w->failed);
    vly_seal_one(&vly_suite_plain, NULL, 0, w->start, len, len);
    pair_give(p, to, from, VLY_ECN_NONE, (struct vly_span){w->start, len + VLY_TAG_BYTES});
}

/* ---- versions and refusals ---- */

static void test_handshake_refused_other_version(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_init(&r, p, PAIR_SERVER, NULL);
    for (unsigned i = 0; i < 1000; i++) {
        raw_hello(&r, NULL, VLY_VERSION_1 + 1);
        raw_take(&r);
        assert_in_range(r.seen.last_sent_bytes, 0, 119);
    }
    /* SPEC 2.7: at most 100 a second. */
    assert_int_equal(r.seen.handshake[VLY_PACKET_VERSIONS], 100);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).versions_sent, 100);
    pair_wait(p, VLY_S(1));
    raw_hello(&r, NULL, VLY_VERSION_1 + 1);
    assert_int_equal(raw_take(&r), 1);
    pair_free(p);
}

/* The list of versions, as a client sees it. */
static void test_handshake_refused_versions_of_the_server(void **state)
{
    static const struct {
        const char *name;
        uint32_t versions[2];
        bool elsewhere;
        int err; /* 0: not believed */
    } cases[] = {
        {"others only", {1, 2}, false, VLY_E_VERSION},
        {"ours too: a mistake or a forgery", {1, VLY_VERSION_1}, false, 0},
        {"from another address", {1, 2}, true, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair *p = pair_new(NULL, NULL);
        struct vly_addr elsewhere = {.len = 2, .data = {7, 7}};
        uint8_t buf[64];
        struct vly_wr w = vly_wr_init(buf, sizeof(buf));

        print_message("  %s\n", cases[i].name);
        pair_begin(p);
        pair_flush(p, PAIR_CLIENT);
        pair_drop(p, PAIR_CLIENT);
        vly_wr_u8(&w, VLY_PACKET_VERSIONS);
        vly_wr_u64(&w, client(p)->conn->cid);
        vly_wr_u8(&w, 8);
        vly_wr_u32(&w, cases[i].versions[0]);
        vly_wr_u32(&w, cases[i].versions[1]);
        give_packet(p, PAIR_CLIENT, cases[i].elsewhere ? &elsewhere : &server(p)->addr, &w);
        assert_int_equal(client(p)->events[VLY_EV_CLOSED], cases[i].err != 0);
        assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, cases[i].err);
        pair_run(p, VLY_S(1));
        assert_string_equal(client(p)->log, cases[i].err == 0 ? "C" : "X");
        give_packet(p, PAIR_CLIENT, &server(p)->addr, &w); /* too late in either case */
        pair_run(p, VLY_S(1));
        assert_int_equal(client(p)->events[VLY_EV_CLOSED], cases[i].err != 0);
        pair_free(p);
    }
}

static void test_handshake_refused_with_its_code(void **state)
{
    static const struct {
        const char *name;
        const char *application; /* of the client */
        bool server_plain;
        size_t max_conns;
        uint64_t code;
        int err;
    } cases[] = {
        {"another application", "else/1", true, 0, VLY_CLOSE_APPLICATION, VLY_E_REFUSED},
        {"a longer name", "volley-file/11", true, 0, VLY_CLOSE_APPLICATION, VLY_E_REFUSED},
        {"no plain here", NULL, false, 0, VLY_CLOSE_SUITE, VLY_E_SUITE},
        {"full", NULL, true, 1, VLY_CLOSE_BUSY, VLY_E_BUSY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_endpoint_config c = pair_config(PAIR_CLIENT), s = pair_config(PAIR_SERVER);
        struct pair *p;

        print_message("  %s\n", cases[i].name);
        c.conn.application = cases[i].application;
        if (!cases[i].server_plain)
            sealed_config(&s, VLY_METHOD_PSK);
        s.max_conns = cases[i].max_conns;
        p = pair_new(&c, &s);
        if (cases[i].max_conns > 0)
            pair_connect(p);
        pair_begin(p);
        pair_settle(p);
        assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, cases[i].err);
        assert_int_equal(client(p)->last[VLY_EV_CLOSED].code, cases[i].code);
        assert_string_equal(client(p)->last[VLY_EV_CLOSED].reason,
                            vly_close_code_text(cases[i].code));
        assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).refused_sent, 1);
        assert_int_equal(server(p)->events[VLY_EV_TURNED_AWAY], 1);
        assert_int_equal(server(p)->last[VLY_EV_TURNED_AWAY].code, cases[i].code);
        assert_int_equal(server(p)->last[VLY_EV_TURNED_AWAY].data.len, client(p)->addr.len);
        assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, cases[i].max_conns);
        pair_free(p);
    }
}

/* REFUSE counts while connecting, and from the server's address. */
static void test_handshake_refused_refusals_of_others(void **state)
{
    struct vly_addr elsewhere = {.len = 2, .data = {7, 7}};
    struct pair *p = pair_new(NULL, NULL);
    struct vly_refuse refuse = {.code = VLY_CLOSE_BUSY};
    uint8_t buf[64];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));

    (void)state;
    pair_begin(p);
    refuse.client_cid = client(p)->conn->cid;
    vly_refuse_encode(&w, &refuse);
    give_packet(p, PAIR_CLIENT, &elsewhere, &w);
    pair_settle(p);
    give_packet(p, PAIR_CLIENT, &server(p)->addr, &w);
    buf[8] ^= 1; /* of another connection */
    give_packet(p, PAIR_CLIENT, &server(p)->addr, &w);
    assert_string_equal(client(p)->log, "C");
    assert_int_equal(pair_endpoint_stats(p, PAIR_CLIENT).datagrams_dropped, 3);
    pair_free(p);
}

/* A HELLO whose parameters do not decode, or that has a handshake message, which plain has not. */
static void test_handshake_refused_parameters_refused(void **state)
{
    static const uint8_t suite = VLY_SUITE_PLAIN, twice[] = {0x01, 1, 5, 0x01, 1, 5};

    (void)state;
    for (int message = 0; message < 2; message++) {
        struct pair *p = pair_new(NULL, NULL);
        struct vly_hello hello = {.version = VLY_VERSION_1, .suites = {&suite, 1}};
        uint8_t buf[1300];
        struct raw r;

        raw_init(&r, p, PAIR_SERVER, NULL);
        hello.client_cid = r.cid;
        if (message)
            hello.handshake = (struct vly_span){twice, 1};
        else
            hello.params = (struct vly_span){twice, sizeof(twice)};
        for (int i = 0; i < 2; i++) {
            struct vly_wr w = vly_wr_init(buf, sizeof(buf));

            hello.cookie = (struct vly_span){r.cookie, r.cookie_len};
            vly_hello_encode(&w, &hello);
            give_packet(p, PAIR_SERVER, &r.addr, &w);
            raw_take(&r);
        }
        assert_int_equal(r.seen.handshake[VLY_PACKET_REFUSE], 1);
        assert_int_equal(r.seen.refuse.code, VLY_CLOSE_PARAMETER);
        assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).conns, 0);
        pair_free(p);
    }
}

/* ---- what a client is told ---- */

/* ACCEPT that answers something else, or comes from somewhere else. */
static void test_handshake_refused_wrong_accepts(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r, elsewhere;

    (void)state;
    raw_init(&r, p, PAIR_CLIENT, NULL);
    pair_begin(p);
    raw_take(&r);
    raw_send_accept(&r, NULL, VLY_SUITE_PLAIN); /* it has asked nobody for a connection yet */
    assert_string_equal(client(p)->log, "");
    raw_retry(&r);
    raw_init(&elsewhere, p, PAIR_CLIENT, &(struct vly_addr){.len = 2, .data = {7, 7}});
    elsewhere.host_cid = r.host_cid;
    raw_send_accept(&elsewhere, NULL, VLY_SUITE_PLAIN);
    raw_send_accept(&r, NULL, VLY_SUITE_AES_256_GCM);
    r.host_cid ^= 1;
    raw_send_accept(&r, NULL, VLY_SUITE_PLAIN);
    r.host_cid ^= 1;
    assert_string_equal(client(p)->log, "");
    raw_send_accept(&r, NULL, VLY_SUITE_PLAIN);
    assert_string_equal(client(p)->log, "C");
    raw_send_accept(&r, NULL, VLY_SUITE_PLAIN); /* again: ignored */
    assert_string_equal(client(p)->log, "C");
    pair_free(p);
}

/* SPEC 2.10: parameters that are not valid end the handshake. */
static void test_handshake_refused_accept_with_bad_parameters(void **state)
{
    static const uint8_t twice[] = {0x01, 1, 5, 0x01, 1, 5};
    struct pair *p = pair_new(NULL, NULL);
    struct vly_accept accept = {.server_cid = 1,
                                .version = VLY_VERSION_1,
                                .suite = VLY_SUITE_PLAIN,
                                .params = {twice, sizeof(twice)}};
    uint8_t buf[100];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    struct raw r;

    (void)state;
    raw_init(&r, p, PAIR_CLIENT, NULL);
    pair_begin(p);
    raw_take(&r);
    raw_retry(&r);
    accept.client_cid = client(p)->conn->cid;
    vly_accept_encode(&w, &accept);
    give_packet(p, PAIR_CLIENT, &server(p)->addr, &w);
    assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, VLY_E_PROTOCOL);
    assert_int_equal(client(p)->last[VLY_EV_CLOSED].code, VLY_CLOSE_PARAMETER);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 0);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_refused_other_version),
        cmocka_unit_test(test_handshake_refused_versions_of_the_server),
        cmocka_unit_test(test_handshake_refused_with_its_code),
        cmocka_unit_test(test_handshake_refused_refusals_of_others),
        cmocka_unit_test(test_handshake_refused_parameters_refused),
        cmocka_unit_test(test_handshake_refused_wrong_accepts),
        cmocka_unit_test(test_handshake_refused_accept_with_bad_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
