/*
 * Packets in runs, out (conn_send_run.c) and in (conn_recv_run.c). What runs do must not differ
 * from what happens packet by packet.
 */
#include "support/pair.h"
#include "support/raw.h"

#include "proto/num.h"
#include "proto/pacer.h"

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

/* ---- out ---- */

/* What has been seen of a bulk transfer, packet by packet. */
struct watch {
    const struct vly_conn_config *cfg;
    struct sealed_keys *keys;
    uint64_t next_pn, next_offset, end_offset, floor_pn;
    uint64_t heard_pn; /* the packet that was the next one when an ACK may have come */
    uint64_t packets, skips, floors, short_packets;
};

/* The packet in clear. */
static struct vly_span open_text(const struct watch *w, const struct pair_datagram *d, uint8_t *out)
{
    size_t len = d->len - VLY_TAG_BYTES;

    if (sealed_method() == VLY_METHOD_NONE)
        return (struct vly_span){d->data, len};
    len = sealed_open(w->keys, (struct vly_span){d->data, d->len}, out);
    return (struct vly_span){out, len};
}

/* `left` bytes of room are not used: because nothing more fits, or there is no more data. */
static void watch_stream(struct watch *w, const struct vly_frame *f, size_t left)
{
    assert_int_equal(f->stream.offset, w->next_offset);
    for (size_t i = 0; i < f->stream.data.len; i++)
        assert_int_equal(f->stream.data.data[i],
                         pair_byte(f->stream.id, f->stream.offset - w->cfg->first_offset + i));
    w->next_offset += f->stream.data.len;
    assert_int_equal(f->type == VLY_FRAME_STREAM_FIN, w->next_offset == w->end_offset);
    if (left > 0) /* a length or an offset is about to take more bytes */
        w->short_packets++;
}

/* At its cadence, or when there is something new to say. */
static void watch_floor(struct watch *w, uint64_t pn)
{
    if (w->floors++ > 0)
        assert_in_range(pn, w->floor_pn + 128, vly_max_u64(w->floor_pn + 128, w->heard_pn) + 1);
    w->floor_pn = pn;
}

static void watch_packet(struct watch *w, const struct pair_datagram *d)
{
    uint8_t *out = malloc(d->len);
    struct vly_span text = open_text(w, d, out);
    struct vly_data_header h;
    struct vly_frame f, stream = {.type = VLY_FRAME_PADDING};
    struct vly_rd r = vly_rd_init(text.data, text.len);
    size_t left = w->cfg->max_datagram_bytes - d->len;

    assert_int_equal(vly_data_header_decode(&h, text), 0);
    if (w->packets > 0) {
        assert_in_range(h.pn, w->next_pn, w->next_pn + 1); /* RULE 17 */
        w->skips += h.pn != w->next_pn;
    }
    w->next_pn = h.pn + 1;
    w->packets++;
    (void)vly_rd_bytes(&r, VLY_DATA_HEADER_BYTES);
    while (vly_rd_left(&r) > 0) {
        size_t before = vly_rd_left(&r);

        assert_int_equal(vly_frame_decode(&f, &r), 0);
        if (f.type == VLY_FRAME_STREAM || f.type == VLY_FRAME_STREAM_FIN)
            stream = f;
        else if (f.type == VLY_FRAME_FLOOR)
            watch_floor(w, h.pn);
        else if (f.type == VLY_FRAME_PADDING)
            left += before - vly_rd_left(&r);
        else
            assert_in_range(f.type, VLY_FRAME_PING, VLY_FRAME_ACK_ECN);
    }
    if (stream.type != VLY_FRAME_PADDING)
        watch_stream(w, &stream, left);
    free(out);
}

/* A window is never overstepped, RULE 26. */
static void watch_flush(struct watch *w, struct pair *p)
{
    struct vly_conn_stats s;

    pair_flush(p, PAIR_CLIENT);
    s = pair_stats(p, PAIR_CLIENT);
    assert_true(s.in_flight_bytes <= s.cwnd_bytes);
    for (size_t i = 0; i < client(p)->out_n; i++)
        watch_packet(w, &client(p)->out[i]);
}

#define BULK_BYTES 3000000u

/* Writes all of a stream as room comes; the client's packets are watched on their way. */
static void watch_bulk(struct watch *w, struct pair *p, uint64_t bytes)
{
    uint64_t id = pair_open(p, PAIR_CLIENT), written = 0;

    w->next_offset = w->cfg->first_offset;
    w->end_offset = w->cfg->first_offset + bytes;
    for (unsigned round = 0; client(p)->events[VLY_EV_STREAM_ACKED] == 0; round++) {
        size_t piece = (size_t)vly_min_u64(bytes - written, 100000);

        assert_true(round < 5000);
        if (piece > 0)
            written +=
                pair_write_some(p, PAIR_CLIENT, id, written, piece, written + piece == bytes);
        watch_flush(w, p);
        pair_flush(p, PAIR_SERVER);
        p->now_ns += PAIR_DELAY_NS;
        pair_deliver_run(p, PAIR_CLIENT);
        pair_deliver_run(p, PAIR_SERVER);
        w->heard_pn = w->next_pn;
        pair_serve_deadline(p, PAIR_CLIENT);
        pair_serve_deadline(p, PAIR_SERVER);
    }
    assert_int_equal(server(p)->stream[id].bytes, bytes);
}

/* RULE 17, RULE 26: full packets, contiguous, numbers and FLOOR at their cadence, the end with the
 * last byte; whatever length the fields of a frame have. */
static void test_conn_runs_are_what_single_packets_would_be(void **state)
{
    const struct vly_conn_config cases[] = {
        {.max_datagram_bytes = 1472},
        {.max_datagram_bytes = 1200, .key_update_pkts = 500},
        {.max_datagram_bytes = 65507, .announced_datagram_bytes = 65507},
        {.max_datagram_bytes = 1472, .first_offset = (1u << 14) - 20000},
        {.max_datagram_bytes = 1472, .first_offset = (1u << 30) - 400000},
        {.max_datagram_bytes = 1472, .first_offset = VLY_VARINT_MAX - BULK_BYTES},
        {.max_datagram_bytes = 16384 + 30, .announced_datagram_bytes = 65507},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sealed_keys *keys = calloc(1, sizeof(*keys));
        struct watch w = {.cfg = &cases[i], .keys = keys};
        struct vly_endpoint_config cfg[2] = {pair_config(PAIR_CLIENT), pair_config(PAIR_SERVER)};
        struct vly_conn_stats s;
        uint64_t packets_before;
        struct pair *p;

        print_message("  case %d\n", (int)i);
        cfg[PAIR_CLIENT].conn = cfg[PAIR_SERVER].conn = cases[i];
        cfg[PAIR_CLIENT].keylog = sealed_keylog(keys);
        p = pair_new(&cfg[PAIR_CLIENT], &cfg[PAIR_SERVER]);
        server(p)->any_content = cases[i].first_offset != 0; /* watch_stream looks */
        server(p)->order = cases[i].first_offset != 0 ? VLY_ANY_ORDER : VLY_IN_ORDER;
        pair_connect(p);
        packets_before = pair_stats(p, PAIR_CLIENT).packets_sent;
        watch_bulk(&w, p, BULK_BYTES);
        s = pair_stats(p, PAIR_CLIENT);
        assert_int_equal(s.retransmits + s.lost_packets, 0);
        assert_int_equal(s.stream_bytes_sent, BULK_BYTES);
        assert_int_equal(w.packets, s.packets_sent - packets_before);
        assert_true(w.packets < 600 || (w.skips > 0 && w.floors > 3));
        /* The application's pieces and the limits of lengths leave some; all others are full. */
        assert_true(w.short_packets <= BULK_BYTES / 100000 + 5);
        assert_int_equal(pair_stats(p, PAIR_SERVER).datagram_received_bytes,
                         cases[i].max_datagram_bytes);
        if (sealed_method() != VLY_METHOD_NONE && cases[i].key_update_pkts > 0)
            assert_true(s.key_updates_sent > 3); /* in the midst of batches */
        pair_free(p);
        free(keys);
    }
}

/* RULE 33: with credit for less than the next full packet, that one is shorter; not a byte more
 * goes than was allowed, to all streams together. */
static void test_conn_runs_end_where_credit_does(void **state)
{
    const struct vly_conn_config small = {.window_bytes = 200000, .window_max_bytes = 200000};
    struct pair *p = pair_connected(NULL, &small);
    uint64_t id[2] = {pair_open(p, PAIR_CLIENT), pair_open(p, PAIR_CLIENT)};

    (void)state;
    server(p)->holds_credit = true;
    pair_write(p, PAIR_CLIENT, id[0], 100000, false);
    pair_run(p, VLY_S(1));
    pair_write(p, PAIR_CLIENT, id[1], 300000, true);
    pair_run(p, VLY_S(1));
    assert_int_equal(pair_stats(p, PAIR_CLIENT).stream_bytes_sent, 200000);
    assert_int_equal(server(p)->stream[id[1]].bytes, 100000);
    assert_int_equal(client(p)->events[VLY_EV_CLOSED], 0);
    server(p)->holds_credit = false;
    pair_consume(p, PAIR_SERVER, id[0]);
    pair_consume(p, PAIR_SERVER, id[1]);
    pair_run(p, VLY_S(1));
    assert_int_equal(server(p)->stream[id[1]].final_bytes, 300000);
    pair_free(p);
}

/* At no time has more gone than the rate lets go, but for one burst: what it lets go in 1.25 ms. */
static void test_conn_runs_keep_the_pace(void **state)
{
    const struct vly_conn_config paced = {.cc = &vly_cc_fixed_ops, .rate_bytes_per_s = 10000000};
    struct pair *p = pair_connected(&paced, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT), begin_ns, before;

    (void)state;
    pair_write(p, PAIR_CLIENT, id, 400000, true);
    begin_ns = p->now_ns;
    before = pair_stats(p, PAIR_CLIENT).bytes_sent;
    while (client(p)->events[VLY_EV_STREAM_ACKED] == 0) {
        uint64_t elapsed_ns = p->now_ns - begin_ns;

        pair_flush(p, PAIR_CLIENT);
        assert_true(pair_stats(p, PAIR_CLIENT).bytes_sent - before <= elapsed_ns / 100 + 12500);
        pair_run(p, PAIR_DELAY_NS);
        assert_true(elapsed_ns < VLY_S(1));
    }
    /* 0.4 MB at 10 MB/s, less the burst. */
    assert_in_range(p->now_ns - begin_ns, VLY_MS(32), VLY_MS(50));
    pair_free(p);
}

/* A timer is late; what accrued meanwhile does not make a second, short batch. */
static void test_conn_runs_paced_batches_are_full(void **state)
{
    const struct vly_conn_config paced = {.cc = &vly_cc_fixed_ops, .rate_bytes_per_s = 125000000};
    struct pair *p = pair_connected(&paced, NULL);
    uint64_t id = pair_open(p, PAIR_CLIENT);
    unsigned full = 0;

    (void)state;
    pair_write(p, PAIR_CLIENT, id, 200000, false);
    pair_run(p, VLY_S(1)); /* the credit is whole, and the window open */
    pair_write(p, PAIR_CLIENT, id, 400000, true);
    for (unsigned i = 0; i < 4; i++) {
        size_t before = client(p)->out_n;

        full += pair_flush(p, PAIR_CLIENT) - before == VLY_BATCH_BYTES / 1472;
        p->now_ns = vly_endpoint_deadline(client(p)->ep) + VLY_US(20);
        vly_endpoint_on_deadline(client(p)->ep, p->now_ns);
    }
    assert_int_equal(full, 4);
    pair_free(p);
}

/* ---- in: twins, of which one gets datagrams one by one, the other all at once ---- */

#define TWIN_CONNS 3u
#define TWIN_STREAMS 4u /* of each connection */
#define TWIN_SINGLE 0
#define TWIN_RUNS 1

struct twins {
    struct pair *p[2];
    struct vly_conn *conn[2][TWIN_CONNS];
    uint64_t stream[TWIN_CONNS][TWIN_STREAMS];
    uint64_t written[TWIN_CONNS][TWIN_STREAMS];
    uint64_t closed; /* a bit for each connection */
    struct vly_prng prng;
};

static uint64_t draw(struct twins *t, uint64_t n)
{
    return vly_prng_below(&t->prng, n);
}

/* What both have sent is the same, byte for byte: whatever was received has had the same effect. */
static void twins_flush(struct twins *t, enum pair_who who)
{
    struct pair_side *a = &t->p[0]->side[who], *b = &t->p[1]->side[who];

    pair_flush(t->p[0], who);
    pair_flush(t->p[1], who);
    assert_int_equal(a->digest, b->digest);
    assert_int_equal(a->out_n, b->out_n);
    for (size_t i = 0; i < a->out_n; i++) {
        assert_int_equal(a->out[i].len, b->out[i].len);
        assert_memory_equal(a->out[i].data, b->out[i].data, a->out[i].len);
    }
}

static void out_repeat(struct pair_side *s, size_t from, size_t to)
{
    struct pair_datagram copy = s->out[from];

    if (s->out_n == s->out_cap)
        return;
    copy.data = test_exact_copy(copy.data, copy.len);
    memmove(&s->out[to + 1], &s->out[to], (s->out_n - to) * sizeof(copy));
    s->out[to] = copy;
    s->out_n++;
}

static void out_move(struct pair_side *s, size_t from, size_t to)
{
    struct pair_datagram moved = s->out[from];

    s->out[from] = s->out[to];
    s->out[to] = moved;
}

/* The network's worst, the same to both: loss, duplicates, disorder, damage, a changed phase. */
static void twins_damage(struct twins *t, enum pair_who who)
{
    size_t n = t->p[0]->side[who].out_n;

    for (uint64_t k = draw(t, 4); k > 0 && n > 1; k--) {
        uint64_t what = draw(t, 6);
        size_t at = draw(t, n), to = draw(t, n);
        uint8_t bit = (uint8_t)(1u << draw(t, 8));
        uint64_t byte = draw(t, 1500);

        for (size_t i = 0; i < 2; i++) {
            struct pair_side *s = &t->p[i]->side[who];

            if (what == 0)
                pair_drop_nth(t->p[i], who, at);
            else if (what == 1)
                out_repeat(s, at, to);
            else if (what == 2)
                s->out[at].data[byte % s->out[at].len] ^= bit;
            else if (what == 3)
                s->out[at].data[0] ^= VLY_KEY_PHASE_BIT;
            else
                out_move(s, at, to);
            n = s->out_n;
        }
    }
}

static void twins_compare(struct twins *t)
{
    for (int who = 0; who < 2; who++) {
        struct vly_endpoint_stats a = pair_endpoint_stats(t->p[0], (enum pair_who)who),
                                  b = pair_endpoint_stats(t->p[1], (enum pair_who)who);

        assert_int_equal(t->p[0]->side[who].digest, t->p[1]->side[who].digest);
        assert_int_equal(t->p[0]->side[who].events[VLY_EV_CLOSED],
                         t->p[1]->side[who].events[VLY_EV_CLOSED]);
        assert_memory_equal(&a, &b, sizeof(a));
        assert_int_equal(vly_endpoint_deadline(t->p[0]->side[who].ep),
                         vly_endpoint_deadline(t->p[1]->side[who].ep));
    }
    for (size_t k = 0; k < TWIN_CONNS; k++) {
        struct vly_conn_stats a, b;

        if (t->closed & 1u << k)
            continue; /* what comes after the end is not opened one by one */
        vly_conn_stats(t->conn[0][k], &a);
        vly_conn_stats(t->conn[1][k], &b);
        assert_memory_equal(&a, &b, sizeof(a));
    }
}

static void twins_step(struct twins *t)
{
    uint64_t passes_ns = draw(t, 8) == 0 ? VLY_MS(draw(t, 100)) : PAIR_DELAY_NS;

    for (int who = 0; who < 2; who++) {
        twins_flush(t, (enum pair_who)who);
        twins_damage(t, (enum pair_who)who);
    }
    for (size_t i = 0; i < 2; i++) {
        t->p[i]->now_ns += passes_ns;
        for (int who = 0; who < 2; who++) {
            if (i == TWIN_RUNS)
                pair_deliver_run(t->p[i], (enum pair_who)who);
            else
                pair_deliver(t->p[i], (enum pair_who)who);
        }
        pair_serve_deadline(t->p[i], PAIR_CLIENT);
        pair_serve_deadline(t->p[i], PAIR_SERVER);
    }
    twins_compare(t);
}

/* One thing the application of the client may do, on both. */
static void twins_act(struct twins *t)
{
    size_t k = draw(t, TWIN_CONNS), m = draw(t, TWIN_STREAMS);
    size_t len = (size_t)draw(t, draw(t, 2) == 0 ? 100 : 200000), written = 0;
    uint64_t what = draw(t, 40);
    uint64_t id = t->stream[k][m];

    for (size_t i = 0; i < 2; i++) {
        client(t->p[i])->conn = t->conn[i][k];
        if (t->closed & 1u << k)
            continue;
        if (what == 0)
            vly_conn_reset_stream(t->conn[i][k], id, 7);
        else if (what == 1)
            vly_conn_ping(t->conn[i][k]);
        else if (what == 2 && k == 0)
            vly_conn_close(t->conn[i][k], t->p[i]->now_ns, 7, "enough");
        else if (vly_conn_write_room(t->conn[i][k], id) > 0)
            written = pair_write_some(t->p[i], PAIR_CLIENT, id, t->written[k][m], len, what == 3);
    }
    t->written[k][m] += written;
    if (what == 2 && k == 0)
        t->closed |= 1;
}

static void twins_open(struct twins *t)
{
    for (size_t k = 0; k < TWIN_CONNS; k++)
        for (size_t i = 0; i < 2; i++) {
            pair_begin(t->p[i]);
            pair_settle(t->p[i]);
            t->conn[i][k] = client(t->p[i])->conn;
            /* Ids that no other connection sends on: the pair checks content by id alone. */
            for (size_t m = 0; m < TWIN_STREAMS * TWIN_CONNS; m++) {
                uint64_t id = pair_open(t->p[i], PAIR_CLIENT);

                if (m % TWIN_CONNS == k)
                    t->stream[k][m / TWIN_CONNS] = id;
            }
        }
}

/* Secrets are counted for both together. */
static void twins_free(struct twins *t)
{
    for (size_t i = 0; i < 4; i++) {
        struct pair_side *s = &t->p[i / 2]->side[i % 2];

        vly_endpoint_free(s->ep);
        s->ep = NULL;
    }
    for (size_t i = 0; i < 2; i++)
        pair_free(t->p[i]);
}

/* RULE 9, RULE 11, RULE 16, RULE 35: for what arrives in a run, all is as if it had come packet by
 * packet: events, counters, ACKs and all else that is sent. */
static void test_conn_runs_received_as_one_by_one(void **state)
{
    static const uint32_t datagram_bytes[] = {1472, 1200, 9000, 65507};
    uint64_t seed = test_seed();

    (void)state;
    for (uint64_t round = 0; round < 24; round++) {
        struct twins t = {0};
        struct vly_conn_config conn = {.max_datagram_bytes = datagram_bytes[round % 4],
                                       .key_update_pkts = round % 3 == 0 ? 400 : 0};

        vly_prng_init(&t.prng, seed + round);
        for (size_t i = 0; i < 2; i++) {
            struct vly_endpoint_config cfg[2] = {pair_config(PAIR_CLIENT),
                                                 pair_config(PAIR_SERVER)};

            cfg[PAIR_CLIENT].conn = cfg[PAIR_SERVER].conn = conn;
            t.p[i] = pair_new(&cfg[PAIR_CLIENT], &cfg[PAIR_SERVER]);
        }
        twins_open(&t);
        for (unsigned step = 0; step < 150; step++) {
            for (uint64_t n = draw(&t, 4); n > 0; n--)
                twins_act(&t);
            twins_step(&t);
        }
        assert_true(server(t.p[0])->events[VLY_EV_DATA] > 100);
        twins_free(&t);
    }
}

/* Packets of a scripted client that arrive at once: with these numbers, each `len` bytes of stream
 * 0 from `offset` on. */
static void give_run(struct raw *r, const uint64_t *pn, size_t n, uint64_t offset, size_t len)
{
    struct vly_datagram run[8] = {0};
    uint8_t *copy[8] = {0};

    for (size_t i = 0; i < n; i++) {
        struct vly_span sealed;

        raw_stream(r, 0, offset + i * len, len, false);
        sealed = raw_seal(r, pn[i]);
        copy[i] = test_exact_copy(sealed.data, sealed.len);
        run[i] = (struct vly_datagram){.data = copy[i], .len = sealed.len, .from = &r->addr};
    }
    vly_endpoint_recv_run(server(r->p)->ep, run, n, r->p->now_ns);
    (void)raw_take(r);
    for (size_t i = 0; i < n; i++)
        free(copy[i]);
}

/* RULE 36: in a run, too, a number that no packet has makes a datagram worthless. */
static void test_conn_runs_numbers_beyond_all_are_dropped(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw *r = calloc(1, sizeof(*r));
    uint64_t pn[4];

    (void)state;
    raw_connect(r, p, NULL, NULL);
    pn[0] = r->next_pn;
    pn[1] = r->next_pn + 1;
    pn[2] = VLY_VARINT_MAX + 1;
    pn[3] = r->next_pn + 2;
    give_run(r, pn, 4, 0, 100);
    assert_int_equal(server(p)->stream[0].bytes, 200);
    assert_int_equal(pair_stats(p, PAIR_SERVER).stream_bytes_received, 200);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).datagrams_dropped, 1);
    pair_free(p);
    free(r);
}

/* RULE 11: of two packets with one number the first counts, whatever the other says. */
static void test_conn_runs_one_number_twice_counts_once(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw *r = calloc(1, sizeof(*r));
    uint64_t pn[3];

    (void)state;
    raw_connect(r, p, NULL, NULL);
    pn[0] = pn[1] = r->next_pn;
    pn[2] = r->next_pn + 1;
    give_run(r, pn, 3, 0, 100);
    assert_int_equal(server(p)->stream[0].bytes, 100); /* what comes next leaves a gap */
    assert_int_equal(pair_stats(p, PAIR_SERVER).duplicates_received, 1);
    pair_free(p);
    free(r);
}

/* SPEC 5.1: 256 KiB ask for an ACK, however few packets they are. */
static void test_conn_runs_many_bytes_ask_for_an_ack(void **state)
{
    struct vly_endpoint_config cfg = pair_config(PAIR_SERVER);
    struct pair *p;
    struct raw *r = calloc(1, sizeof(*r));
    uint64_t offset = 0, acks;

    (void)state;
    cfg.conn.window_bytes = 64u << 20; /* no credit goes back, which an ACK would ride on */
    p = pair_new(NULL, &cfg);
    raw_connect(r, p, NULL, NULL);
    for (unsigned ms = 0; ms < 20; ms++) { /* many packets in a round trip: ACKs become rare */
        for (unsigned i = 0; i < 50; i++, offset += 10) {
            raw_stream(r, 0, offset, 10, false);
            raw_send(r);
        }
        (void)raw_take(r);
        p->now_ns += VLY_MS(1);
    }
    vly_frame_ping_encode(raw_packet(r));
    raw_send(r);
    (void)raw_take(r); /* nothing is left to acknowledge */
    acks = r->seen.frames[VLY_FRAME_ACK];
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t pn[2] = {r->next_pn, r->next_pn + 1};

        give_run(r, pn, 2, offset, 60000);
        r->next_pn += 2;
        offset += 120000;
        assert_int_equal(r->seen.frames[VLY_FRAME_ACK], i < 2 ? acks : acks + 1);
    }
    assert_true(pair_stats(p, PAIR_SERVER).datagram_received_bytes > 60000);
    pair_free(p);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_runs_are_what_single_packets_would_be),
        cmocka_unit_test(test_conn_runs_end_where_credit_does),
        cmocka_unit_test(test_conn_runs_keep_the_pace),
        cmocka_unit_test(test_conn_runs_paced_batches_are_full),
        cmocka_unit_test(test_conn_runs_received_as_one_by_one),
        cmocka_unit_test(test_conn_runs_numbers_beyond_all_are_dropped),
        cmocka_unit_test(test_conn_runs_one_number_twice_counts_once),
        cmocka_unit_test(test_conn_runs_many_bytes_ask_for_an_ack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
