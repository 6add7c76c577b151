/*
 * conn_pmtud: what a probe is, when it goes, and what the connection makes of it. The search itself
 * is in test_pmtud.c, whole transfers are in the scenarios.
 */
#include <string.h>

#include "proto/conn_internal.h"
#include "proto/num.h"
#include "support/pair.h"

#define ENOUGH 65536u /* bytes sent before a search begins */
#define LONGEST VLY_DATAGRAM_MAX

static const struct vly_conn_config searching = {.search_max_bytes = LONGEST};

static struct vly_conn *client(const struct pair *p)
{
    return p->side[PAIR_CLIENT].conn;
}

static void deliver_batch(struct pair *p)
{
    const struct vly_batch *b = &p->batch;

    for (size_t at = 0; at < b->len; at += b->segment_bytes)
        pair_give(p, PAIR_SERVER, &p->side[PAIR_CLIENT].addr, VLY_ECN_NONE,
                  (struct vly_span){b->data + at, vly_min_u64(b->segment_bytes, b->len - at)});
}

static void acknowledge(struct pair *p)
{
    pair_flush(p, PAIR_SERVER);
    pair_deliver(p, PAIR_SERVER);
}

/* A connection whose client has just sent enough for a probe to be due, all of it acknowledged. */
static struct pair *start(const struct vly_conn_config *conn)
{
    struct pair *p = pair_connected(conn, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);

    pair_write(p, PAIR_CLIENT, id, ENOUGH - 1000, false);
    pair_settle(p);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).mtu_probes_sent, 0);
    assert_int_equal(pair_write_some(p, PAIR_CLIENT, id, ENOUGH - 1000, 1000, false), 1000);
    vly_conn_ping(client(p)); /* acknowledged at once */
    assert_true(vly_endpoint_send(p->side[PAIR_CLIENT].ep, &p->batch, p->now_ns));
    deliver_batch(p);
    acknowledge(p);
    assert_int_equal(client(p)->log.in_flight_pkts, 0);
    return p;
}

/* The batch that comes next is a probe of that size: alone, without anything to be repeated. */
static void expect_probe(struct pair *p, size_t bytes)
{
    struct vly_conn *c = client(p);
    uint64_t in_flight = c->log.in_flight_bytes, sent = c->stats.mtu_probes_sent;
    uint64_t padding = c->stats.frames_sent[VLY_FRAME_PADDING];

    assert_true(vly_endpoint_send(p->side[PAIR_CLIENT].ep, &p->batch, p->now_ns));
    assert_int_equal(p->batch.n, 1);
    assert_int_equal(p->batch.len, bytes);
    assert_int_equal(p->batch.segment_bytes, bytes);
    assert_int_equal(p->batch.cid, c->cid);
    assert_int_equal(c->stats.mtu_probes_sent, sent + 1);
    assert_int_equal(c->log.in_flight_bytes, in_flight);
    assert_int_equal(c->stats.frames_sent[VLY_FRAME_PADDING] - padding,
                     bytes - VLY_DATA_HEADER_BYTES - 1 - VLY_TAG_BYTES);
}

/* The peer acknowledges a probe at once; datagrams are as long as it from then on, as far as the
 * window has room for four of them. */
static void test_conn_pmtud_acknowledged(void **state)
{
    struct pair *p = start(&searching);
    struct vly_conn *c = client(p);
    uint64_t cwnd;

    (void)state;
    expect_probe(p, LONGEST);
    assert_false(vly_pmtud_is_due(&c->pmtud, p->now_ns)); /* one at a time */
    cwnd = c->cc.cwnd_bytes;
    deliver_batch(p);
    acknowledge(p);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).datagram_bytes, LONGEST);
    assert_int_equal(c->cc.cwnd_bytes, cwnd); /* a longer size never raises the window */
    assert_int_equal(c->datagram_bytes, vly_min_u64(cwnd / 4, LONGEST));
    assert_int_equal(c->cc.datagram_bytes, c->datagram_bytes);
    assert_int_equal(pair_stats(p, PAIR_SERVER).datagram_received_bytes, LONGEST);
    pair_settle(p);
    pair_free(p);
}

/* Its own timer, and nothing else, notices that it is lost; the third time is the last. */
static void test_conn_pmtud_lost(void **state)
{
    struct pair *p = start(&searching);
    struct vly_conn *c = client(p);
    struct vly_conn_stats stats;

    (void)state;
    for (unsigned i = 0; i < VLY_PMTUD_TRIES; i++) {
        expect_probe(p, LONGEST);
        assert_int_equal(pair_flush(p, PAIR_CLIENT), 0);
        pair_wait(p, vly_pmtud_deadline_ns(&c->pmtud) - p->now_ns);
        vly_endpoint_on_deadline(p->side[PAIR_CLIENT].ep, p->now_ns);
    }
    assert_true(c->pmtud.failed_bytes == LONGEST);
    stats = pair_stats(p, PAIR_CLIENT);
    assert_int_equal(stats.lost_packets, 0);
    assert_int_equal(stats.pto_count, 0);
    assert_int_equal(stats.congestion_events, 0);
    assert_int_equal(stats.datagram_bytes, 1472);
    pair_settle(p);
    pair_free(p);
}

/* What the host refuses is known at once: the next probe follows without waiting. */
static void test_conn_pmtud_refused(void **state)
{
    struct pair *p = start(&searching);
    struct vly_endpoint *ep = p->side[PAIR_CLIENT].ep;

    (void)state;
    expect_probe(p, LONGEST);
    vly_endpoint_on_refused(ep, p->batch.cid, LONGEST, p->now_ns);
    expect_probe(p, 8972);
    /* A connection that is not, or is none's: nothing. */
    vly_endpoint_on_refused(ep, 0, 8972, p->now_ns);
    vly_endpoint_on_refused(ep, p->batch.cid + 1, 8972, p->now_ns);
    assert_true(client(p)->pmtud.probing);
    deliver_batch(p);
    acknowledge(p);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).datagram_bytes, 8972);
    pair_settle(p);
    pair_free(p);
}

/* Data that the host refuses is lost, and all that follows is short. */
static void test_conn_pmtud_data_refused(void **state)
{
    struct pair *p = start(&searching);
    struct vly_conn *c = client(p);

    (void)state;
    vly_endpoint_on_refused(p->side[PAIR_CLIENT].ep, c->cid, 1472, p->now_ns);
    assert_int_equal(c->datagram_bytes, VLY_DATAGRAM_BASE);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).mtu_fall_backs, 1);
    assert_int_equal(c->pmtud.failed_bytes, 1472);
    /* 1200 bytes are sent whatever the host says. */
    vly_endpoint_on_refused(p->side[PAIR_CLIENT].ep, c->cid, VLY_DATAGRAM_BASE, p->now_ns);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).mtu_fall_backs, 1);
    pair_settle(p);
    pair_free(p);
}

/* Without a search nothing changes the size: what was chosen is sent. */
static void test_conn_pmtud_off(void **state)
{
    const struct vly_conn_config fixed = {.max_datagram_bytes = 9000};
    struct pair *p = pair_connected(&fixed, NULL);
    struct vly_conn *c = client(p);

    (void)state;
    pair_write(p, PAIR_CLIENT, pair_open(p, PAIR_CLIENT), 200000, false);
    pair_settle(p);
    vly_endpoint_on_refused(p->side[PAIR_CLIENT].ep, c->cid, 9000, p->now_ns);
    assert_int_equal(c->datagram_bytes, 9000);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).mtu_probes_sent, 0);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).datagram_bytes, 9000);
    pair_free(p);
}

/* The peer's limit bounds the search, and the first datagrams. */
static void test_conn_pmtud_peer_limit(void **state)
{
    static const struct {
        uint32_t announced, start, probe;
    } rows[] = {{5000, 1472, 5000}, {1472, 1472, 0}, {1300, 1300, 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct vly_conn_config peer = {.announced_datagram_bytes = rows[i].announced};
        struct pair *p = pair_connected(&searching, &peer);
        const struct vly_pmtud *m = &client(p)->pmtud;

        assert_int_equal(client(p)->datagram_bytes, rows[i].start);
        assert_int_equal(m->state, rows[i].probe == 0 ? VLY_PMTUD_DONE : VLY_PMTUD_SEARCHING);
        assert_int_equal(m->max_bytes, rows[i].announced);
        pair_free(p);
    }
}

/* The log keeps a probe's entry, though it is not in flight, until it is known what became of it.
 */
static void test_conn_pmtud_entry_is_kept(void **state)
{
    struct pair *p = start(&searching);
    struct vly_conn *c = client(p);
    static uint8_t probe[LONGEST];
    uint64_t pn;

    (void)state;
    expect_probe(p, LONGEST);
    pn = c->pmtud.probe_pn;
    memcpy(probe, p->batch.data, sizeof(probe));
    pair_wait(p, VLY_MS(2)); /* the pacer was charged for it */
    vly_conn_ping(c);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 1);
    pair_deliver(p, PAIR_CLIENT);
    acknowledge(p);
    assert_int_equal(c->log.in_flight_pkts, 0); /* all else is acknowledged */
    assert_true(c->log.next > pn + 1);
    assert_int_equal(c->log.oldest, pn);
    pair_give(p, PAIR_SERVER, &p->side[PAIR_CLIENT].addr, VLY_ECN_NONE,
              (struct vly_span){probe, sizeof(probe)});
    acknowledge(p);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).datagram_bytes, LONGEST);
    vly_conn_ping(c);
    pair_settle(p);
    assert_true(c->log.oldest > pn);
    pair_free(p);
}

/* Long packets vanish while short ones are acknowledged: no timeout tells, but the losses do. */
static void test_conn_pmtud_black_hole(void **state)
{
    struct pair *p = start(&searching);
    struct pair_side *s = &p->side[PAIR_CLIENT];
    struct vly_conn *c = client(p);
    uint64_t written = ENOUGH;
    unsigned rounds = 0;

    (void)state;
    for (; c->stats.mtu_fall_backs == 0; rounds++) {
        assert_true(rounds < 20);
        written += pair_write_some(p, PAIR_CLIENT, 0, written, 1400, false);
        pair_flush(p, PAIR_CLIENT);
        vly_conn_ping(c);
        pair_flush(p, PAIR_CLIENT);
        for (size_t i = s->out_n; i > 0; i--)
            if (s->out[i - 1].len > VLY_DATAGRAM_BASE)
                pair_drop_nth(p, PAIR_CLIENT, i - 1);
        pair_deliver(p, PAIR_CLIENT);
        acknowledge(p);
        pair_wait(p, VLY_MS(3));
        pair_serve_deadline(p, PAIR_CLIENT);
    }
    assert_int_equal(c->stats.pto_count, 0);
    assert_in_range(c->stats.lost_packets, VLY_PMTUD_LARGE_LOST, 2 * VLY_PMTUD_LARGE_LOST);
    assert_int_equal(c->datagram_bytes, VLY_DATAGRAM_BASE);
    pair_settle(p);
    assert_int_equal(p->side[PAIR_SERVER].stream[0].bytes, written);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_pmtud_acknowledged),
        cmocka_unit_test(test_conn_pmtud_lost),
        cmocka_unit_test(test_conn_pmtud_refused),
        cmocka_unit_test(test_conn_pmtud_data_refused),
        cmocka_unit_test(test_conn_pmtud_off),
        cmocka_unit_test(test_conn_pmtud_peer_limit),
        cmocka_unit_test(test_conn_pmtud_entry_is_kept),
        cmocka_unit_test(test_conn_pmtud_black_hole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
