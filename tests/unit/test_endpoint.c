/*
 * endpoint: its settings, its ids, and whose turn it is to send.
 */
#include "crypto/crypto.h"
#include <string.h>

#include "proto/conn_internal.h"
#include "support/pair.h"

static struct pair_side *client(struct pair *p)
{
    return &p->side[PAIR_CLIENT];
}

static struct pair_side *server(struct pair *p)
{
    return &p->side[PAIR_SERVER];
}

/* ---- making endpoints ---- */

static void test_endpoint_settings(void **state)
{
    static const struct {
        const char *name;
        struct vly_conn_config conn;
        unsigned max_batch_pkts;
        int err;
    } cases[] = {
        {"defaults", {0}, 0, 0},
        {"datagram too small", {.max_datagram_bytes = 1199}, 0, VLY_E_INVALID},
        {"datagram too large", {.max_datagram_bytes = 65508}, 0, VLY_E_INVALID},
        {"announced too small", {.announced_datagram_bytes = 1199}, 0, VLY_E_INVALID},
        {"announced too large", {.announced_datagram_bytes = 65508}, 0, VLY_E_INVALID},
        {"window too large", {.window_bytes = UINT64_C(1) << 62}, 0, VLY_E_INVALID},
        {"too many streams", {.max_streams = VLY_STREAMS_MAX + 1}, 0, VLY_E_INVALID},
        {"idle too short", {.idle_timeout_ns = VLY_MS(999)}, 0, VLY_E_INVALID},
        {"idle too long", {.idle_timeout_ns = VLY_S(601)}, 0, VLY_E_INVALID},
        {"ACK too late", {.max_ack_delay_ns = VLY_MS(1001)}, 0, VLY_E_INVALID},
        {"no name", {.application = ""}, 0, VLY_E_INVALID},
        {"name of 33 bytes",
         {.application = "123456789012345678901234567890123"},
         0,
         VLY_E_INVALID},
        {"name of 32 bytes", {.application = "12345678901234567890123456789012"}, 0, 0},
        {"fixed rate of none", {.cc = &vly_cc_fixed_ops}, 0, VLY_E_INVALID},
        {"batch too large", {0}, VLY_BATCH_PKTS + 1, VLY_E_INVALID},
        {"batch of one", {0}, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_endpoint_config cfg = {.conn = cases[i].conn,
                                          .alloc = &test_alloc,
                                          .crypto = vly_crypto_system(),
                                          .allow_plain = true,
                                          .max_batch_pkts = cases[i].max_batch_pkts};
        struct vly_endpoint *ep;

        print_message("  %s\n", cases[i].name);
        assert_int_equal(vly_endpoint_new(&ep, &cfg, 0), cases[i].err);
        assert_int_equal(ep != NULL, cases[i].err == 0);
        vly_endpoint_free(ep);
    }
}

/* Sealed is for those who hold a key, and have ciphers. */
static void test_endpoint_sealed_settings(void **state)
{
    struct vly_crypto without = *vly_crypto_system();
    struct vly_credentials none = {.method = VLY_METHOD_NONE};
    struct vly_endpoint_config cfg = {.alloc = &test_alloc, .crypto = vly_crypto_system()};
    struct vly_endpoint *ep;

    (void)state;
    assert_int_equal(vly_endpoint_new(&ep, &cfg, 0), VLY_E_INVALID);
    cfg.credentials = &none;
    assert_int_equal(vly_endpoint_new(&ep, &cfg, 0), VLY_E_INVALID);
    sealed_config(&cfg, VLY_METHOD_KEYS);
    without.sealed[0] = NULL;
    cfg.crypto = &without;
    assert_int_equal(vly_endpoint_new(&ep, &cfg, 0), VLY_E_INVALID);
    cfg.crypto = vly_crypto_system();
    assert_int_equal(vly_endpoint_new(&ep, &cfg, 0), 0);
    vly_endpoint_free(ep);
}

static void test_endpoint_connect_fails_at_once(void **state)
{
    struct vly_endpoint_config cfg = pair_config(PAIR_CLIENT);
    struct pair *p;
    struct vly_conn *c;

    (void)state;
    cfg.max_conns = 2;
    p = pair_new(&cfg, NULL);
    pair_begin(p);
    pair_begin(p);
    assert_int_equal(vly_endpoint_connect(client(p)->ep, &server(p)->addr, p->now_ns, &c),
                     VLY_E_LIMIT);
    pair_free(p);
}

/* ---- datagrams out ---- */

/* Segments of one size, the last maybe shorter; as many as the settings and 64 KiB allow. */
static void test_endpoint_batches(void **state)
{
    static const struct {
        unsigned max_pkts;
        uint32_t datagram_bytes;
        unsigned n;
    } cases[] = {{0, 1472, 10}, {1, 1472, 1}, {4, 1472, 4}, {0, 9000, 7}, {0, 65507, 1}};
    static struct vly_batch b;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_endpoint_config c = pair_config(PAIR_CLIENT);
        struct pair *p;

        c.max_batch_pkts = cases[i].max_pkts;
        c.conn.max_datagram_bytes = cases[i].datagram_bytes;
        p = pair_new(&c, NULL);
        pair_connect(p);
        pair_write(p, PAIR_CLIENT, pair_open(p, PAIR_CLIENT), 300000, true);
        assert_true(vly_endpoint_send(client(p)->ep, &b, p->now_ns));
        assert_int_equal(b.n, cases[i].n);
        assert_int_equal(b.segment_bytes, cases[i].datagram_bytes);
        assert_int_equal(b.len, (size_t)cases[i].n * cases[i].datagram_bytes);
        assert_int_equal(b.ecn, VLY_ECN_ECT0);
        assert_memory_equal(b.to.data, server(p)->addr.data, b.to.len);
        pair_free(p);
    }
}

/* A batch has settled when all of its packets were acknowledged, or the connection is gone. */
static void test_endpoint_knows_what_has_settled(void **state)
{
    static struct vly_batch b;
    struct pair *p = pair_connected(NULL, NULL);
    const struct vly_endpoint *ep = client(p)->ep;
    uint64_t id = pair_open(p, PAIR_CLIENT);

    (void)state;
    pair_settle(p);
    pair_write(p, PAIR_CLIENT, id, 5000, false);
    pair_flush(p, PAIR_CLIENT);
    assert_int_equal(pair_write_some(p, PAIR_CLIENT, id, 5000, 5000, false), 5000);
    assert_true(vly_endpoint_send(client(p)->ep, &b, p->now_ns)); /* lost */
    assert_true(b.n > 1);
    pair_settle(p); /* what went before it is acknowledged */
    assert_true(vly_endpoint_has_settled(ep, b.cid, b.end_pn - b.n));
    for (uint64_t pn = b.end_pn - b.n + 1; pn <= b.end_pn; pn++)
        assert_false(vly_endpoint_has_settled(ep, b.cid, pn));
    assert_true(vly_endpoint_has_settled(ep, b.cid + 1, b.end_pn));
    pair_run(p, VLY_S(2)); /* given up and sent again */
    assert_true(vly_endpoint_has_settled(ep, b.cid, b.end_pn));
    pair_free(p);
}

#define ALL_BYTES 20000u /* more than the first window */

/* `n` connections, put in `conn`, each with a stream in `id` and `bytes` to send. */
static struct pair *pair_of_many(struct vly_conn **conn, uint64_t *id, size_t n, size_t bytes)
{
    struct vly_endpoint_config c = pair_config(PAIR_CLIENT);
    struct pair *p;

    c.max_batch_pkts = 1;
    p = pair_new(&c, NULL);
    for (size_t i = 0; i < n; i++) {
        pair_begin(p);
        pair_settle(p);
        conn[i] = client(p)->conn;
    }
    for (size_t i = 0; i < n; i++) {
        client(p)->conn = conn[i];
        id[i] = pair_open(p, PAIR_CLIENT);
        pair_write(p, PAIR_CLIENT, id[i], bytes, false);
    }
    return p;
}

static void assert_sends(struct pair *p, const struct vly_conn *c)
{
    static struct vly_batch b;

    assert_true(vly_endpoint_send(client(p)->ep, &b, p->now_ns));
    assert_int_equal(b.cid, c->cid);
}

/* Connections with something to send take turns of so many batches, whatever they sent in their
 * handshakes. */
static void test_endpoint_is_fair(void **state)
{
    struct vly_conn *conn[2];
    uint64_t id[2];
    struct pair *p = pair_of_many(conn, id, 2, ALL_BYTES);

    (void)state;
    for (unsigned i = 0; i < 2 * VLY_TURN_BATCHES + 2; i++)
        assert_sends(p, conn[i / VLY_TURN_BATCHES % 2]);
    pair_free(p);
}

/* Whoever has nothing more to send begins a whole turn when he has. */
static void test_endpoint_turns_begin_anew(void **state)
{
    static struct vly_batch b;
    struct vly_conn *conn[2];
    uint64_t id[2];
    struct pair *p = pair_of_many(conn, id, 2, 100);

    (void)state;
    assert_sends(p, conn[0]);
    assert_sends(p, conn[1]);
    assert_false(vly_endpoint_send(client(p)->ep, &b, p->now_ns));
    for (int i = 0; i < 2; i++) {
        client(p)->conn = conn[i];
        assert_int_equal(pair_write_some(p, PAIR_CLIENT, id[i], 100, ALL_BYTES, false), ALL_BYTES);
    }
    for (unsigned i = 0; i < VLY_TURN_BATCHES; i++)
        assert_sends(p, conn[0]);
    assert_sends(p, conn[1]);
    pair_free(p);
}

/* The more of them wait, the fewer. */
static void test_endpoint_rounds_are_short(void **state)
{
    enum { MANY = 2 * VLY_ROUND_BATCHES / VLY_TURN_BATCHES };
    struct vly_conn *conn[MANY];
    uint64_t id[MANY];
    struct pair *p = pair_of_many(conn, id, MANY, ALL_BYTES);

    (void)state;
    for (unsigned i = 0; i < VLY_ROUND_BATCHES; i++)
        assert_sends(p, conn[i / (VLY_TURN_BATCHES / 2)]);
    assert_sends(p, conn[0]);
    pair_free(p);
}

/* A turn is over after a while. */
static void test_endpoint_turns_are_short(void **state)
{
    struct vly_conn *conn[2];
    uint64_t id[2];
    struct pair *p = pair_of_many(conn, id, 2, ALL_BYTES);

    (void)state;
    for (unsigned turn = 0; turn < 4; turn++) {
        assert_sends(p, conn[turn % 2]);
        p->now_ns += VLY_TURN_NS - 1;
        assert_sends(p, conn[turn % 2]);
        p->now_ns += 1;
    }
    pair_free(p);
}

/* Released while it waits for its turn behind another. */
static void test_endpoint_releases_what_is_queued(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct vly_conn *c[3];
    struct vly_event ev;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vly_endpoint_connect(client(p)->ep, &server(p)->addr, p->now_ns, &c[i]),
                         0);
        if (i > 0)
            vly_conn_close(c[i], p->now_ns, 0, "");
    }
    for (int i = 1; i < 3; i++) {
        assert_true(vly_endpoint_next_event(client(p)->ep, &ev));
        assert_ptr_equal(ev.conn, c[i]);
    }
    assert_false(vly_endpoint_next_event(client(p)->ep, &ev));
    vly_endpoint_release(client(p)->ep, c[2]);
    vly_endpoint_release(client(p)->ep, c[1]);
    pair_settle(p);
    assert_string_equal(client(p)->log, "C");
    assert_int_equal(pair_endpoint_stats(p, PAIR_CLIENT).conns, 1);
    assert_int_equal(pair_endpoint_stats(p, PAIR_CLIENT).conns_made, 3);
    pair_free(p);
}

/* ---- ids ---- */

/* Draws 0, then 5, and 5 again: an id that cannot be used, one that is taken. */
static void draw_the_same(void *ctx, void *buf, size_t len)
{
    static const uint64_t values[] = {0, 5, 0, 5, 5, 6};
    unsigned *n = ctx;

    memset(buf, 0, len);
    if (len == sizeof(uint64_t))
        memcpy(buf, &values[(*n)++], len);
}

static void test_endpoint_ids_are_unique(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct vly_conn *c[2];
    unsigned drawn = 0;

    (void)state;
    client(p)->crypto.random = draw_the_same;
    client(p)->crypto.random_ctx = &drawn;
    for (int i = 0; i < 2; i++)
        assert_int_equal(vly_endpoint_connect(client(p)->ep, &server(p)->addr, p->now_ns, &c[i]),
                         0);
    assert_int_equal(drawn, 6);
    assert_int_equal(c[0]->cid, 5);
    assert_int_equal(c[1]->cid, 6);
    pair_free(p);
}

/* Datagrams of no or of any length that no packet has. */
static void test_endpoint_drops_what_is_too_short_or_long(void **state)
{
    static uint8_t zeros[VLY_DATAGRAM_MAX + 1];
    static const size_t lens[] = {0, 1, VLY_DATAGRAM_MIN - 1, VLY_DATAGRAM_MAX + 1};
    struct pair *p = pair_new(NULL, NULL);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        pair_give(p, PAIR_SERVER, &client(p)->addr, VLY_ECN_NONE,
                  (struct vly_span){zeros, lens[i]});
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).datagrams_dropped, ARRAY_LEN(lens));
    pair_free(p);
}

/* ---- keys ---- */

static void draw_keys(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    memset(buf, 0xa5, len);
}

/* Counts the key bytes in what is given back. */
static void *find_keys(void *ctx, void *ptr, size_t old_size, size_t size)
{
    const uint8_t *bytes = ptr;
    size_t *found = ctx;

    for (size_t i = 0; size == 0 && i < old_size; i++)
        *found += bytes[i] == 0xa5;
    return test_alloc.resize(test_alloc.ctx, ptr, old_size, size);
}

/* The keys of cookies, connection ids and reset tokens: who has them passes for any address. */
static void test_endpoint_wipes_its_keys(void **state)
{
    size_t found = 0;
    const struct vly_alloc alloc = {.resize = find_keys, .ctx = &found};
    struct vly_crypto crypto = *vly_crypto_system();
    struct vly_endpoint_config cfg = {
        .alloc = &alloc, .crypto = &crypto, .allow_plain = true, .is_server = true};
    struct vly_endpoint *ep;

    (void)state;
    crypto.random = draw_keys;
    assert_int_equal(vly_endpoint_new(&ep, &cfg, 0), 0);
    vly_endpoint_free(ep);
    assert_int_equal(found, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoint_settings),
        cmocka_unit_test(test_endpoint_sealed_settings),
        cmocka_unit_test(test_endpoint_connect_fails_at_once),
        cmocka_unit_test(test_endpoint_batches),
        cmocka_unit_test(test_endpoint_knows_what_has_settled),
        cmocka_unit_test(test_endpoint_is_fair),
        cmocka_unit_test(test_endpoint_turns_begin_anew),
        cmocka_unit_test(test_endpoint_rounds_are_short),
        cmocka_unit_test(test_endpoint_turns_are_short),
        cmocka_unit_test(test_endpoint_releases_what_is_queued),
        cmocka_unit_test(test_endpoint_ids_are_unique),
        cmocka_unit_test(test_endpoint_drops_what_is_too_short_or_long),
        cmocka_unit_test(test_endpoint_wipes_its_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
