/*
 * Memory that the application lends to a stream: read until it is released, not longer.
 */
#include "support/pair.h"

#include "proto/num.h"

#include <stdlib.h>
#include <string.h>

static struct pair_side *client(struct pair *p)
{
    return &p->side[PAIR_CLIENT];
}

static struct pair_side *server(struct pair *p)
{
    return &p->side[PAIR_SERVER];
}

#define RING_BYTES 200000u

/* What of the ring is lent, from `released` to `lent`. */
struct lender {
    uint8_t ring[RING_BYTES];
    uint64_t released, lent;
};

/* What is released is spoilt at once: whoever still reads it sends garbage. */
static void lender_spoil(struct lender *l, const struct pair *p, uint64_t id)
{
    uint64_t released = vly_conn_released(p->side[PAIR_CLIENT].conn, id);

    if (released == UINT64_MAX)
        return;
    assert_in_range(released, l->released, p->side[PAIR_SERVER].stream[id].bytes);
    for (; l->released < released; l->released++)
        l->ring[l->released % RING_BYTES] ^= 0xff;
}

static void lender_lend(struct lender *l, struct pair *p, uint64_t id, size_t len, bool fin)
{
    size_t at = (size_t)(l->lent % RING_BYTES), wanted;
    int err;

    len =
        (size_t)vly_min_u64(len, vly_min_u64(RING_BYTES - at, l->released + RING_BYTES - l->lent));
    for (size_t i = 0; i < len; i++)
        l->ring[at + i] = pair_byte(id, l->lent + i);
    wanted = len;
    err = vly_conn_lend(client(p)->conn, id, l->ring + at, &len, fin);
    assert_true(err == 0 || (err == VLY_E_AGAIN && len == 0));
    assert_true(len <= wanted);
    l->lent += len;
}

/* Every 20th packet is lost. Pieces of all sizes, in a ring whose end is followed by its beginning;
 * between them what is written without lending. */
static void lend_bulk(struct pair *p)
{
    struct lender *l = calloc(1, sizeof(*l));
    uint64_t id = pair_open(p, PAIR_CLIENT);
    struct vly_prng prng;

    vly_prng_init(&prng, test_seed());
    for (unsigned round = 0; l->lent < 2000000; round++) {
        assert_true(round < 20000);
        for (unsigned i = 0; i < 3; i++)
            lender_lend(l, p, id, 1 + (size_t)vly_prng_below(&prng, i == 0 ? 100 : 30000), false);
        if (round % 8 == 0)
            l->lent += pair_write_some(p, PAIR_CLIENT, id, l->lent,
                                       l->lent - l->released < RING_BYTES / 2 ? 500 : 0, false);
        for (size_t i = 0; i < pair_flush(p, PAIR_CLIENT); i++)
            if (vly_prng_chance(&prng, 0.05))
                pair_drop_nth(p, PAIR_CLIENT, i);
        pair_flush(p, PAIR_SERVER);
        p->now_ns += PAIR_DELAY_NS;
        pair_deliver_run(p, PAIR_CLIENT);
        pair_deliver_run(p, PAIR_SERVER);
        pair_serve_deadline(p, PAIR_CLIENT);
        pair_serve_deadline(p, PAIR_SERVER);
        lender_spoil(l, p, id);
    }
    pair_run(p, VLY_S(1));
    assert_true(pair_stats(p, PAIR_CLIENT).retransmits > 0);
    assert_int_equal(vly_conn_released(client(p)->conn, id), l->lent);
    assert_int_equal(vly_conn_commit(client(p)->conn, id, 0, true), 0);
    pair_run(p, VLY_S(1));
    assert_int_equal(server(p)->stream[id].final_bytes, l->lent);
    assert_int_equal(vly_conn_released(client(p)->conn, id), UINT64_MAX);
    free(l);
}

static void test_conn_lent_memory_is_read_until_released(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);

    (void)state;
    lend_bulk(p);
    assert_int_equal(client(p)->apart_n, 0);
    pair_free(p);
}

/* A long datagram that no cipher copies is sent from where its data stands. */
static void test_conn_lent_memory_stands_apart(void **state)
{
    const struct vly_conn_config cfg = {.max_datagram_bytes = 65507,
                                        .announced_datagram_bytes = 65507};
    struct pair *p = pair_connected(&cfg, &cfg);

    (void)state;
    lend_bulk(p);
    if (sealed_method() == VLY_METHOD_NONE)
        assert_true(client(p)->apart_n > 20);
    else
        assert_int_equal(client(p)->apart_n, 0);
    pair_free(p);
}

/* A stream that is reset lets go of all at once, though the other direction goes on. */
static void test_conn_lent_reset_releases_what_was_lent(void **state)
{
    struct pair *p = pair_connected(NULL, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);
    size_t len = 300000;
    uint8_t *data = calloc(1, len);

    (void)state;
    server(p)->any_content = true;
    assert_int_equal(vly_conn_lend(client(p)->conn, id, data, &len, true), 0);
    assert_int_equal(len, 300000);
    assert_true(pair_flush(p, PAIR_CLIENT) > 0);
    assert_int_equal(vly_conn_released(client(p)->conn, id), 0);
    vly_conn_reset_stream(client(p)->conn, id, 7);
    assert_int_equal(vly_conn_released(client(p)->conn, id), UINT64_MAX);
    free(data);
    pair_run(p, VLY_S(2));
    assert_string_equal(server(p)->log, "Aodr");
    assert_int_equal(vly_conn_released(client(p)->conn, id), UINT64_MAX);
    pair_free(p);
}

/* Nor is anything read after CLOSED, whoever closed. */
static void test_conn_lent_closed_connection_reads_nothing(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct pair *p = pair_connected(NULL, NULL);
        uint64_t id = pair_open(p, PAIR_CLIENT);
        size_t len = 300000;
        uint8_t *data = calloc(1, len);

        server(p)->any_content = true;
        assert_int_equal(vly_conn_lend(client(p)->conn, id, data, &len, false), 0);
        pair_flush(p, PAIR_CLIENT);
        pair_drop_nth(p, PAIR_CLIENT, 1);
        pair_deliver_run(p, PAIR_CLIENT);
        vly_conn_close(p->side[who].conn, p->now_ns, 7, "enough");
        while (client(p)->events[VLY_EV_CLOSED] == 0)
            pair_run(p, PAIR_DELAY_NS);
        free(data);
        pair_run(p, VLY_S(2));
        pair_release(p, PAIR_CLIENT);
        pair_free(p);
    }
}

/* ---- batches ---- */

static struct {
    const struct vly_suite_ops *real;
    struct vly_suite_ops suite; /* in its place */
    const struct vly_batch *batch;
    unsigned jobs;
} spied;

/* Clear text and its place in the batch: nothing was written there before it is sealed. */
static void spy_seal(void *keys, struct vly_aead_job *jobs, size_t n)
{
    const uint8_t *data = spied.batch->data;

    for (size_t i = 0; i < n; i++) {
        assert_true(jobs[i].in < data || jobs[i].in >= data + sizeof(spied.batch->data));
        assert_true(jobs[i].out > data);
        assert_true(jobs[i].out + jobs[i].len < data + sizeof(spied.batch->data));
        for (size_t k = 0; k < jobs[i].len + jobs[i].more.len; k++)
            assert_int_equal(jobs[i].out[k], PAIR_BLANK);
    }
    spied.jobs += (unsigned)n;
    spied.real->seal(keys, jobs, n);
}

/* Single packets, runs, key updates, probes of the path's MTU and the CLOSE. The kernel may still
 * be reading what the batch held before: clear text would get out. */
static void test_conn_batches_never_hold_clear_text(void **state)
{
    struct vly_endpoint_config c = pair_config(PAIR_CLIENT);
    struct pair *p;
    uint64_t id, at = 0;

    (void)state;
    if (sealed_method() == VLY_METHOD_NONE)
        skip();
    c.conn.search_max_bytes = VLY_DATAGRAM_MAX;
    c.conn.key_update_pkts = 100;
    p = pair_new(&c, NULL);
    spied.real = client(p)->crypto.sealed[0];
    spied.suite = *spied.real;
    spied.suite.seal = spy_seal;
    spied.batch = &p->batch;
    memset(client(p)->crypto.sealed, 0, sizeof(client(p)->crypto.sealed));
    client(p)->crypto.sealed[0] = &spied.suite;
    p->blank_batches = true;
    pair_connect(p);
    id = pair_open(p, PAIR_CLIENT);
    for (unsigned i = 0; i < 100; i++) {
        at += pair_write_some(p, PAIR_CLIENT, id, at, i % 3 == 0 ? 100 : 7000, false);
        pair_run(p, VLY_MS(1));
    }
    vly_conn_close(client(p)->conn, p->now_ns, 1, "enough");
    pair_run(p, VLY_MS(1));
    assert_true(spied.jobs > 100);
    assert_true(pair_stats(p, PAIR_CLIENT).mtu_probes_sent > 0);
    assert_true(pair_stats(p, PAIR_CLIENT).key_updates_sent > 0);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).frames_sent[VLY_FRAME_CLOSE_APP], 1);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_lent_memory_is_read_until_released),
        cmocka_unit_test(test_conn_lent_memory_stands_apart),
        cmocka_unit_test(test_conn_lent_reset_releases_what_was_lent),
        cmocka_unit_test(test_conn_lent_closed_connection_reads_nothing),
        cmocka_unit_test(test_conn_batches_never_hold_clear_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
