#include "support/pair.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

#define STEPS_AT_ONE_TIME_MAX 1000

static const char event_letter[] = {
    [VLY_EV_CONNECTED] = 'C',      [VLY_EV_ACCEPTED] = 'A',     [VLY_EV_STREAM_OPENED] = 'o',
    [VLY_EV_DATA] = 'd',           [VLY_EV_STREAM_END] = 'e',   [VLY_EV_STREAM_RESET] = 'r',
    [VLY_EV_STREAM_STOPPED] = 's', [VLY_EV_STREAM_ACKED] = 'k', [VLY_EV_WRITABLE] = 'w',
    [VLY_EV_MOVED] = 'm',          [VLY_EV_CLOSED] = 'X',       [VLY_EV_TURNED_AWAY] = 't',
};

/* ---- making and freeing ---- */

static void *resize(void *ctx, void *ptr, size_t old_size, size_t size)
{
    struct pair_alloc *a = ctx;
    void *fresh = a->counting.alloc.resize(a->counting.alloc.ctx, ptr, old_size, size);

    if (a->counting.live_bytes > a->max_bytes)
        a->max_bytes = a->counting.live_bytes;
    return fresh;
}

static void draw(void *ctx, void *buf, size_t len)
{
    vly_prng_fill(ctx, buf, len);
}

struct vly_endpoint_config pair_config(enum pair_who who)
{
    return pair_sealed(who, sealed_method());
}

struct vly_endpoint_config pair_sealed(enum pair_who who, enum vly_method method)
{
    struct vly_endpoint_config cfg = {.allow_plain = true, .is_server = who == PAIR_SERVER};

    sealed_config(&cfg, method);
    return cfg;
}

static void side_init(struct pair *p, enum pair_who who, const struct vly_endpoint_config *given)
{
    struct pair_side *s = &p->side[who];
    struct vly_endpoint_config cfg = given != NULL ? *given : pair_config(who);

    cfg.takes_apart = true;
    test_counting_alloc_init(&s->alloc.counting, 0);
    s->alloc.alloc = (struct vly_alloc){.resize = resize, .ctx = &s->alloc};
    s->addr = (struct vly_addr){.len = 3, .data = {'p', 'a', (uint8_t)who}};
    vly_prng_init(&s->prng, 1 + (uint64_t)who);
    vly_crypto_with_random(&s->crypto, draw, &s->prng);
    sealed_memory_install(&s->crypto);
    cfg.crypto = &s->crypto;
    cfg.alloc = &s->alloc.alloc;
    assert_int_equal(vly_endpoint_new(&s->ep, &cfg, p->now_ns), 0);
}

struct pair *pair_new(const struct vly_endpoint_config *client,
                      const struct vly_endpoint_config *server)
{
    struct pair *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->secrets_before = sealed_memory.live_blocks;
    p->now_ns = PAIR_START_NS;
    side_init(p, PAIR_CLIENT, client);
    side_init(p, PAIR_SERVER, server);
    return p;
}

struct pair_secrets *pair_new_secrets(struct pair *p)
{
    p->scripted = realloc(p->scripted, (p->scripted_n + 1) * sizeof(*p->scripted));
    assert_non_null(p->scripted);
    memset(&p->scripted[p->scripted_n], 0, sizeof(*p->scripted));
    return &p->scripted[p->scripted_n++];
}

void pair_free(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        struct pair_side *s = &p->side[i];

        pair_drop(p, (enum pair_who)i);
        free(s->out);
        vly_endpoint_free(s->ep);
        assert_int_equal(s->alloc.counting.live_blocks, 0);
        assert_int_equal(s->alloc.counting.live_bytes, 0);
    }
    for (size_t i = 0; i < p->scripted_n; i++) {
        vly_handshake_free(p->scripted[i].handshake);
        vly_send_keys_free(p->scripted[i].send);
        vly_recv_keys_free(p->scripted[i].recv);
    }
    free(p->scripted);
    assert_int_equal(sealed_memory.live_blocks, p->secrets_before);
    free(p);
}

/* ---- the application ---- */

uint8_t pair_byte(uint64_t stream, uint64_t offset)
{
    return (uint8_t)((offset * UINT64_C(2654435761) >> 13) + 37 * stream);
}

static struct pair_stream *side_stream(struct pair_side *s, uint64_t id)
{
    return &s->stream[id < PAIR_STREAMS_MAX ? id : PAIR_STREAMS_MAX - 1];
}

static void log_event(struct pair_side *s, enum vly_event_type type)
{
    size_t n = strlen(s->log);

    if (type == VLY_EV_DATA && n > 0 && s->log[n - 1] == 'd')
        return;
    if (n + 1 < sizeof(s->log))
        s->log[n] = event_letter[type];
}

static void on_data(struct pair *p, struct pair_side *s, const struct vly_event *ev)
{
    struct pair_stream *stream = side_stream(s, ev->stream);

    for (size_t i = 0; i < ev->data.len && !s->any_content; i++)
        assert_int_equal(ev->data.data[i], pair_byte(ev->stream, ev->offset + i));
    if (s->order == VLY_IN_ORDER && ev->stream < PAIR_STREAMS_MAX - 1)
        assert_int_equal(ev->offset, stream->bytes);
    stream->bytes += ev->data.len;
    stream->unconsumed_bytes += ev->data.len;
    if (!s->holds_credit) {
        vly_conn_consume(ev->conn, ev->stream, ev->data.len, p->now_ns);
        stream->unconsumed_bytes -= ev->data.len;
    }
}

static void digest_event(struct pair_side *s, const struct vly_event *ev)
{
    uint64_t parts[] = {ev->type,     ev->stream,        ev->offset,
                        ev->data.len, (uint64_t)ev->err, ev->code};

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        s->digest = (s->digest ^ parts[i]) * UINT64_C(0x100000001b3) + 1;
}

static void drain(struct pair *p, struct pair_side *s)
{
    struct vly_event ev;

    while (vly_endpoint_next_event(s->ep, &ev)) {
        assert_int_equal(ev.conn == NULL, ev.type == VLY_EV_TURNED_AWAY);
        log_event(s, ev.type);
        if (ev.type != VLY_EV_CLOSED)
            digest_event(s, &ev);
        s->last[ev.type] = ev;
        s->events[ev.type]++;
        if (ev.type == VLY_EV_ACCEPTED)
            s->conn = ev.conn;
        if (ev.type == VLY_EV_STREAM_OPENED && s->order != VLY_IN_ORDER)
            assert_int_equal(vly_conn_set_order(ev.conn, ev.stream, s->order), 0);
        if (ev.type == VLY_EV_DATA)
            on_data(p, s, &ev);
        if (ev.type == VLY_EV_STREAM_END)
            side_stream(s, ev.stream)->final_bytes = ev.offset;
    }
}

uint64_t pair_open(struct pair *p, enum pair_who who)
{
    uint64_t id = UINT64_MAX;

    assert_int_equal(vly_conn_open_stream(p->side[who].conn, &id), 0);
    return id;
}

size_t pair_write_some(struct pair *p, enum pair_who who, uint64_t stream, uint64_t offset,
                       size_t len, bool fin)
{
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    size_t written;

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = pair_byte(stream, offset + i);
    assert_int_equal(
        vly_conn_write(p->side[who].conn, stream, (struct vly_span){bytes, len}, fin, &written), 0);
    free(bytes);
    return written;
}

void pair_write(struct pair *p, enum pair_who who, uint64_t stream, size_t len, bool fin)
{
    assert_int_equal(pair_write_some(p, who, stream, 0, len, fin), len);
}

void pair_consume(struct pair *p, enum pair_who who, uint64_t stream)
{
    struct pair_stream *s = side_stream(&p->side[who], stream);

    vly_conn_consume(p->side[who].conn, stream, s->unconsumed_bytes, p->now_ns);
    s->unconsumed_bytes = 0;
}

void pair_release(struct pair *p, enum pair_who who)
{
    struct pair_side *s = &p->side[who];

    assert_int_equal(s->events[VLY_EV_CLOSED], 1);
    vly_endpoint_release(s->ep, s->last[VLY_EV_CLOSED].conn);
    s->conn = NULL;
}

struct vly_conn_stats pair_stats(const struct pair *p, enum pair_who who)
{
    struct vly_conn_stats stats;

    vly_conn_stats(p->side[who].conn, &stats);
    return stats;
}

struct vly_endpoint_stats pair_endpoint_stats(const struct pair *p, enum pair_who who)
{
    struct vly_endpoint_stats stats;

    vly_endpoint_stats(p->side[who].ep, &stats);
    return stats;
}

/* ---- datagrams ---- */

static void out_add(struct pair_side *s, const struct vly_batch *b, size_t at)
{
    struct pair_datagram *d;
    size_t len = b->len - at < b->segment_bytes ? b->len - at : b->segment_bytes;

    if (s->out_n == s->out_cap) {
        s->out_cap = s->out_cap == 0 ? 64 : s->out_cap * 2;
        s->out = realloc(s->out, s->out_cap * sizeof(*s->out));
        assert_non_null(s->out);
    }
    d = &s->out[s->out_n++];
    *d = (struct pair_datagram){.to = b->to, .ecn = b->ecn, .len = len};
    d->data = test_exact_copy(b->data + at, len);
}

/* Where a part belongs that stands elsewhere, there is nothing of worth. */
static void gather(struct pair_side *s, struct vly_batch *b)
{
    if (b->apart.len == 0)
        return;
    assert_int_equal(b->n, 1);
    s->apart_n++;
    memset(b->data + b->len - VLY_TAG_BYTES - b->apart.len, 0xee, b->apart.len);
    vly_batch_gather(b);
}

static bool make_batch(struct pair *p, struct pair_side *s)
{
    if (p->blank_batches)
        memset(p->batch.data, PAIR_BLANK, sizeof(p->batch.data));
    return vly_endpoint_send(s->ep, &p->batch, p->now_ns);
}

size_t pair_flush(struct pair *p, enum pair_who from)
{
    struct pair_side *s = &p->side[from];
    struct vly_batch *b = &p->batch;

    drain(p, s);
    while (make_batch(p, s)) {
        assert_in_range(b->n, 1, VLY_BATCH_PKTS);
        assert_true(b->len > (b->n - 1) * b->segment_bytes && b->len <= b->n * b->segment_bytes);
        gather(s, b);
        for (size_t at = 0; at < b->len; at += b->segment_bytes)
            out_add(s, b, at);
        drain(p, s);
    }
    drain(p, s);
    return s->out_n;
}

void pair_give(struct pair *p, enum pair_who to, const struct vly_addr *from, enum vly_ecn ecn,
               struct vly_span data)
{
    struct pair_side *s = &p->side[to];
    uint8_t *copy = test_exact_copy(data.data, data.len);

    drain(p, s);
    vly_endpoint_recv(
        s->ep, &(struct vly_datagram){.data = copy, .len = data.len, .from = from, .ecn = ecn},
        p->now_ns);
    drain(p, s);
    free(copy);
}

static bool same_addr(const struct vly_addr *a, const struct vly_addr *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

void pair_deliver(struct pair *p, enum pair_who from)
{
    struct pair_side *s = &p->side[from];
    enum pair_who to = from == PAIR_CLIENT ? PAIR_SERVER : PAIR_CLIENT;

    for (size_t i = 0; i < s->out_n; i++) {
        const struct pair_datagram *d = &s->out[i];

        if (same_addr(&d->to, &p->side[to].addr))
            pair_give(p, to, &s->addr, d->ecn, (struct vly_span){d->data, d->len});
    }
    pair_drop(p, from);
}

void pair_deliver_run(struct pair *p, enum pair_who from)
{
    struct pair_side *s = &p->side[from], *to = &p->side[1 - from];
    struct vly_datagram *run = calloc(s->out_n + 1, sizeof(*run));
    size_t n = 0;

    assert_non_null(run);
    for (size_t i = 0; i < s->out_n; i++) {
        const struct pair_datagram *d = &s->out[i];

        if (same_addr(&d->to, &to->addr))
            run[n++] = (struct vly_datagram){d->data, d->len, &s->addr, d->ecn};
    }
    drain(p, to);
    vly_endpoint_recv_run(to->ep, run, n, p->now_ns);
    drain(p, to);
    free(run);
    pair_drop(p, from);
}

void pair_drop(struct pair *p, enum pair_who from)
{
    struct pair_side *s = &p->side[from];

    for (size_t i = 0; i < s->out_n; i++)
        free(s->out[i].data);
    s->out_n = 0;
}

void pair_drop_nth(struct pair *p, enum pair_who from, size_t nth)
{
    struct pair_side *s = &p->side[from];

    assert_in_range(nth, 0, s->out_n - 1);
    free(s->out[nth].data);
    s->out_n--;
    memmove(&s->out[nth], &s->out[nth + 1], (s->out_n - nth) * sizeof(*s->out));
}

/* ---- time ---- */

void pair_settle(struct pair *p)
{
    while (pair_flush(p, PAIR_CLIENT) + pair_flush(p, PAIR_SERVER) > 0) {
        p->now_ns += PAIR_DELAY_NS;
        pair_deliver(p, PAIR_CLIENT);
        pair_deliver(p, PAIR_SERVER);
    }
}

static uint64_t next_deadline_ns(const struct pair *p)
{
    uint64_t client_ns = vly_endpoint_deadline(p->side[PAIR_CLIENT].ep);
    uint64_t server_ns = vly_endpoint_deadline(p->side[PAIR_SERVER].ep);

    return client_ns < server_ns ? client_ns : server_ns;
}

void pair_serve_deadline(struct pair *p, enum pair_who who)
{
    struct pair_side *s = &p->side[who];

    if (vly_endpoint_deadline(s->ep) > p->now_ns)
        return;
    vly_endpoint_on_deadline(s->ep, p->now_ns);
    drain(p, s);
}

void pair_run(struct pair *p, uint64_t for_ns)
{
    uint64_t until_ns = p->now_ns + for_ns;
    unsigned steps = 0;

    for (;;) {
        size_t under_way = pair_flush(p, PAIR_CLIENT) + pair_flush(p, PAIR_SERVER);
        uint64_t next_ns = under_way > 0 ? p->now_ns + PAIR_DELAY_NS : next_deadline_ns(p);

        if (next_ns > until_ns)
            break;
        steps = next_ns > p->now_ns ? 0 : steps + 1;
        assert_true(steps < STEPS_AT_ONE_TIME_MAX); /* a deadline that is never met */
        if (next_ns > p->now_ns)
            p->now_ns = next_ns;
        pair_deliver(p, PAIR_CLIENT);
        pair_deliver(p, PAIR_SERVER);
        pair_serve_deadline(p, PAIR_CLIENT);
        pair_serve_deadline(p, PAIR_SERVER);
    }
    p->now_ns = until_ns;
}

void pair_wait(struct pair *p, uint64_t for_ns)
{
    p->now_ns += for_ns;
}

void pair_begin(struct pair *p)
{
    struct pair_side *c = &p->side[PAIR_CLIENT];

    assert_int_equal(vly_endpoint_connect(c->ep, &p->side[PAIR_SERVER].addr, p->now_ns, &c->conn),
                     0);
}

void pair_connect(struct pair *p)
{
    pair_begin(p);
    pair_settle(p);
    assert_string_equal(p->side[PAIR_CLIENT].log, "C");
    assert_string_equal(p->side[PAIR_SERVER].log, "A");
}

struct pair *pair_connected(const struct vly_conn_config *client,
                            const struct vly_conn_config *server)
{
    struct vly_endpoint_config cfg[2] = {pair_config(PAIR_CLIENT), pair_config(PAIR_SERVER)};
    struct pair *p;

    if (client != NULL)
        cfg[PAIR_CLIENT].conn = *client;
    if (server != NULL)
        cfg[PAIR_SERVER].conn = *server;
    p = pair_new(&cfg[PAIR_CLIENT], &cfg[PAIR_SERVER]);
    pair_connect(p);
    return p;
}
