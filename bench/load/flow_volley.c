/*
 * flow_volley - byte streams over our own links, as file code sees them: one stream a connection.
 *
 * The carrier is UDP, sealed or plain, or TCP, sealed. The server makes a key for the run, which
 * the control connection tells the client.
 *
 * The sender lends its block to the engine where that can be done, else copies it into the room it
 * gives; the receiver takes data in any order and gives the credit back at once. The stream begins
 * with the preamble; data of a way towards the client follows in the stream's other direction.
 */
#include "bench/load/flow_ops.h"
#include "bench/load/load.h"
#include "crypto/crypto.h"
#include "file/path.h"
#include "net/clock.h"

#include <volley/transport.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APPLICATION "volley-bench/1"
#define CODE_REFUSED 1
#define CODE_FINISHED 2
#define NO_STREAM UINT64_MAX

struct volley_flow;

struct volley_conn {
    struct volley_flow *flow;
    struct vly_link *link; /* NULL: free, or closed */
    uint64_t stream;       /* NO_STREAM: none yet */
    bool joined;
    unsigned number;
    uint8_t preamble[BENCH_PREAMBLE_BYTES];
    size_t preamble_len;
    uint64_t offset, limit; /* payload sent, and to be sent */
};

struct volley_flow {
    struct bench_flow base;
    struct vly_transport *transport; /* NULL: not open, or closed */
    bool started;
    struct volley_conn *conns; /* owned */
    size_t n_slots;
    unsigned n_joined;
    unsigned n_sending[BENCH_WAYS];
};

static void give_up(struct volley_conn *c, int err, const char *text)
{
    bench_load_fail(c->flow->base.setup.load, err, "%s", text);
}

/* A connection that has not shown the token, or shows it wrongly. */
static void turn_away(struct volley_conn *c)
{
    c->link->ops->close(c->link, CODE_REFUSED, "not part of a run");
}

/* ---- sending ---- */

/* Hands over up to *len bytes; in *len how many were taken. */
static int hand_over(struct volley_conn *c, const uint8_t *data, size_t *len, bool last)
{
    const struct vly_link_ops *ops = c->link->ops;
    size_t room = *len;
    uint8_t *to;
    int err;

    if (ops->lend != NULL) /* the hot block never changes */
        return ops->lend(c->link, c->stream, data, len, last);
    err = ops->reserve(c->link, c->stream, &to, &room);
    if (err != 0)
        return err;
    memcpy(to, data, room);
    last = last && room == *len;
    *len = room;
    return ops->commit(c->link, c->stream, room, last);
}

static void send_blocks(struct volley_conn *c)
{
    struct bench_flow *f = &c->flow->base;
    enum bench_way way = bench_flow_way(f, c->number);

    while (c->offset < c->limit) {
        size_t len;
        const uint8_t *data = bench_hot_at(&f->hot, c->offset, c->limit, &len);
        int err = hand_over(c, data, &len, c->offset + len == c->limit);

        if (err == VLY_E_AGAIN)
            return;
        if (err != 0) {
            give_up(c, err, vly_err_text(err));
            return;
        }
        c->offset += len;
        bench_load_handed(f->setup.load, way, len);
    }
    if (--c->flow->n_sending[way] == 0)
        bench_load_all_handed(f->setup.load, way);
}

static bool may_send(const struct volley_conn *c)
{
    const struct bench_flow *f = &c->flow->base;

    return c->flow->started && c->joined && c->link != NULL && bench_flow_sends(f, c->number) &&
           !bench_load_is_over(f->setup.load, bench_flow_way(f, c->number));
}

static void on_writable(void *user, uint64_t stream)
{
    struct volley_conn *c = user;

    if (stream == c->stream && may_send(c) && c->offset < c->limit)
        send_blocks(c);
}

/* ---- joining ---- */

static void join(struct volley_conn *c)
{
    struct volley_flow *flow = c->flow;
    struct bench_flow *f = &flow->base;

    c->joined = true;
    c->limit = bench_request_share(f->setup.request, bench_flow_stream(f, c->number));
    if (bench_flow_sends(f, c->number))
        flow->n_sending[bench_flow_way(f, c->number)]++;
    if (++flow->n_joined == f->n_conns)
        bench_load_ready(f->setup.load);
}

/* Client: the connection exists. */
static void on_open(void *user)
{
    struct volley_conn *c = user;
    struct bench_flow *f = &c->flow->base;
    const struct vly_link_ops *ops = c->link->ops;
    size_t room = BENCH_PREAMBLE_BYTES;
    uint8_t *to;

    if (f->connect_ns == 0)
        f->connect_ns = vly_clock_now_ns() - f->opened_ns;
    /* Both hold for a fresh connection: a stream may be opened, its buffer is empty. */
    if (ops->open_stream(c->link, &c->stream) != 0 ||
        ops->set_order(c->link, c->stream, VLY_LINK_ANY_ORDER) != 0 ||
        ops->reserve(c->link, c->stream, &to, &room) != 0 || room < BENCH_PREAMBLE_BYTES) {
        give_up(c, VLY_E_NOMEM, "out of memory");
        return;
    }
    bench_preamble_write(to, f->setup.token, c->number);
    if (ops->commit(c->link, c->stream, BENCH_PREAMBLE_BYTES, false) != 0)
        give_up(c, VLY_E_NOMEM, "out of memory");
    else
        join(c);
}

static void on_stream(void *user, uint64_t stream)
{
    struct volley_conn *c = user;

    if (c->stream != NO_STREAM || !c->flow->base.setup.server) {
        turn_away(c);
        return;
    }
    c->stream = stream;
    (void)c->link->ops->set_order(c->link, stream, VLY_LINK_ANY_ORDER);
}

static bool has_number(const struct volley_flow *flow, unsigned number)
{
    for (size_t i = 0; i < flow->n_slots; i++)
        if (flow->conns[i].joined && flow->conns[i].number == number)
            return true;
    return false;
}

/* Server: the client sends nothing else before all have joined. */
static void read_preamble(struct volley_conn *c, uint64_t offset, struct vly_span data)
{
    struct bench_flow *f = &c->flow->base;

    if (offset != c->preamble_len || data.len > sizeof(c->preamble) - c->preamble_len) {
        turn_away(c);
        return;
    }
    memcpy(c->preamble + c->preamble_len, data.data, data.len);
    c->preamble_len += data.len;
    if (c->preamble_len < sizeof(c->preamble))
        return;
    if (bench_preamble_read(c->preamble, f->setup.token, f->n_conns, &c->number) &&
        !has_number(c->flow, c->number))
        join(c);
    else
        turn_away(c);
}

/* ---- receiving ---- */

static void on_data(void *user, uint64_t stream, uint64_t offset, struct vly_span data)
{
    struct volley_conn *c = user;
    struct bench_flow *f = &c->flow->base;

    c->link->ops->consume(c->link, stream, data.len);
    if (!c->joined) {
        read_preamble(c, offset, data);
        return;
    }
    if (f->setup.server)
        offset -= BENCH_PREAMBLE_BYTES;
    if (!bench_hot_check(&f->hot, offset, data, f->setup.request->verify)) {
        give_up(c, VLY_E_INTEGRITY, "what arrived is not what was sent");
        return;
    }
    bench_load_arrived(f->setup.load, bench_flow_way(f, c->number), bench_flow_stream(f, c->number),
                       data.len);
}

static void on_end(void *user, uint64_t stream, uint64_t final_bytes)
{
    (void)user;
    (void)stream;
    (void)final_bytes;
}

static void on_broken_off(void *user, uint64_t stream, uint64_t code)
{
    struct volley_conn *c = user;
    struct bench_flow *f = &c->flow->base;

    (void)stream;
    (void)code;
    if (c->joined && !bench_load_is_over(f->setup.load, bench_flow_way(f, c->number)))
        give_up(c, VLY_E_LOST, "the peer gave up a stream");
}

static void on_closed(void *user, int err, uint64_t code, const char *reason)
{
    struct volley_conn *c = user;
    struct bench_flow *f = &c->flow->base;
    bool ours = c->joined || !f->setup.server;
    bool over = bench_load_is_over(f->setup.load, bench_flow_way(f, c->number));

    (void)code;
    c->link = NULL;
    if (!ours) /* a stranger's: the slot is free */
        *c = (struct volley_conn){.flow = c->flow, .stream = NO_STREAM};
    else if (!over)
        bench_load_fail(f->setup.load, err != 0 ? err : VLY_E_LOST, "a data connection broke: %s",
                        err != 0 ? vly_err_text(err) : vly_shown(reason).text);
}

static const struct vly_link_events events = {
    .on_open = on_open,
    .on_stream = on_stream,
    .on_data = on_data,
    .on_end = on_end,
    .on_reset = on_broken_off,
    .on_stopped = on_broken_off,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

/* ---- opening ---- */

static void attach(struct volley_conn *c, struct vly_link *link)
{
    c->link = link;
    link->events = &events;
    link->user = c;
}

static int on_accept(void *ctx, struct vly_link *link)
{
    struct volley_flow *flow = ctx;

    for (size_t i = 0; i < flow->n_slots; i++)
        if (flow->conns[i].link == NULL && !flow->conns[i].joined) {
            attach(&flow->conns[i], link);
            return 0;
        }
    return VLY_E_BUSY;
}

static const char *unless_empty(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static struct vly_transport_options options(const struct bench_request *r,
                                            const struct vly_security *security)
{
    bool tcp = r->protocol == BENCH_VOLLEY_TCP;

    return (struct vly_transport_options){
        .size = sizeof(struct vly_transport_options),
        .plain = !bench_protocol_is_sealed(r->protocol),
        .security = security,
        .cc = tcp ? NULL : unless_empty(r->cc),
        .tcp_cc = tcp ? unless_empty(r->cc) : NULL,
        .io = unless_empty(r->io),
        .no_spin = r->no_spin,
        .ack_every_pkts = (uint32_t)r->ack_every_pkts,
        .rate_bytes_per_s = r->rate_bytes_per_s / r->parallel,
        .max_datagram_bytes = (uint32_t)r->mss_bytes,
        .window_bytes = r->window_bytes,
        .timeout_ns = r->timeout_ns,
        .carrier = tcp ? VLY_CARRIER_TCP : VLY_CARRIER_UDP,
    };
}

/* `secret` has room for the server's key. */
static struct vly_security security(const struct bench_flow *f, uint8_t secret[VLY_KEY_BYTES])
{
    const struct bench_request *r = f->setup.request;
    const struct vly_crypto *crypto = vly_crypto_system();
    struct vly_security s = {
        .size = sizeof(s), .suite = unless_empty(r->suite), .crypto = unless_empty(r->crypto)};

    if (!f->setup.server) {
        s.server_key = f->setup.server_key;
        return s;
    }
    crypto->random(crypto->random_ctx, secret, VLY_KEY_BYTES);
    crypto->x25519_public(f->setup.server_key, secret);
    s.secret_key = secret;
    return s;
}

static int open_transport(struct volley_flow *flow, const struct sockaddr *at)
{
    const struct bench_flow *f = &flow->base;
    uint8_t secret[VLY_KEY_BYTES];
    bool sealed = bench_protocol_is_sealed(f->setup.request->protocol);
    struct vly_security who = {0};
    struct vly_transport_spec spec = {
        .size = sizeof(spec),
        .application = APPLICATION,
        .bind = at,
        .is_server = f->setup.server,
        .max_links = flow->n_slots,
        .on_accept = on_accept,
        .ctx = flow,
        .reject_code = CODE_REFUSED,
    };
    int err;

    if (sealed)
        who = security(f, secret);
    spec.options = options(f->setup.request, sealed ? &who : NULL);
    err = vly_transport_open(&flow->transport, f->setup.loop, &spec);
    vly_crypto_system()->wipe(secret, sizeof(secret));
    return err;
}

static int connect_all(struct volley_flow *flow, struct vly_fault *why)
{
    struct sockaddr_storage at = flow->base.setup.at;

    (void)bench_sockaddr_port(&at, flow->base.setup.ports[0]);
    for (unsigned i = 0; i < flow->base.n_conns; i++) {
        struct vly_link *link;
        int err = vly_transport_connect(flow->transport, (const struct sockaddr *)&at, &link);

        if (err != 0)
            return vly_fault_set(why, err, "cannot open a data connection: %s", vly_err_text(err));
        flow->conns[i].number = i;
        attach(&flow->conns[i], link);
    }
    return 0;
}

static int flow_open(struct bench_flow *f, struct vly_fault *why)
{
    struct volley_flow *flow = (struct volley_flow *)f;
    struct sockaddr_storage at = {.ss_family = f->setup.at.ss_family};
    int err;

    flow->n_slots = f->n_conns + (f->setup.server ? BENCH_STRANGERS_MAX : 0);
    flow->conns = calloc(flow->n_slots, sizeof(*flow->conns));
    if (flow->conns == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    for (size_t i = 0; i < flow->n_slots; i++)
        flow->conns[i] = (struct volley_conn){.flow = flow, .stream = NO_STREAM};
    if (f->setup.server) {
        at = f->setup.at;
        (void)bench_sockaddr_port(&at, 0);
    }
    err = open_transport(flow, (const struct sockaddr *)&at);
    if (err != 0)
        return vly_fault_set(why, err, "cannot open a %s socket: %s",
                             f->setup.request->protocol == BENCH_VOLLEY_TCP ? "TCP" : "UDP",
                             vly_err_text(err));
    if (!f->setup.server)
        return connect_all(flow, why);
    f->setup.ports[0] = vly_transport_port(flow->transport);
    return 0;
}

static void flow_start(struct bench_flow *f)
{
    struct volley_flow *flow = (struct volley_flow *)f;

    flow->started = true;
    for (size_t i = 0; i < flow->n_slots; i++) {
        struct volley_conn *c = &flow->conns[i];

        if (c->link != NULL && !c->joined)
            turn_away(c);
        else if (may_send(c))
            send_blocks(c);
    }
}

/* What waits is not to go out after the run. */
static void flow_halt(struct bench_flow *f, enum bench_way way)
{
    struct volley_flow *flow = (struct volley_flow *)f;

    for (size_t i = 0; i < flow->n_slots; i++) {
        struct volley_conn *c = &flow->conns[i];

        if (c->joined && c->link != NULL && bench_flow_way(f, c->number) == way)
            c->link->ops->reset(c->link, c->stream, CODE_FINISHED);
    }
}

/* ---- figures ---- */

/* Adds what one link of the sending end counted. */
static void state_add(struct bench_flow_state *out, const struct vly_link_stats *s, bool first)
{
    if (first)
        out->cwnd_bytes = out->smoothed_rtt_ns = out->retransmits = out->packets_sent = 0;
    out->cwnd_bytes += s->cwnd_bytes;
    out->smoothed_rtt_ns += s->smoothed_rtt_ns;
    out->retransmits += s->retransmits;
    out->packets_sent += s->packets_sent;
    out->datagram_bytes = s->datagram_bytes;
    (void)snprintf(out->io, sizeof(out->io), "%s", s->io);
    (void)snprintf(out->cc, sizeof(out->cc), "%s", s->cc);
    (void)snprintf(out->suite, sizeof(out->suite), "%s", s->suite != NULL ? s->suite : "");
    (void)snprintf(out->crypto, sizeof(out->crypto), "%s", s->crypto != NULL ? s->crypto : "");
}

static void flow_state(const struct bench_flow *f, enum bench_way way, struct bench_flow_state *out)
{
    const struct volley_flow *flow = (const struct volley_flow *)f;
    bool datagrams = f->setup.request->protocol != BENCH_VOLLEY_TCP;
    uint64_t drops = 0;
    unsigned n = 0;

    for (size_t i = 0; i < flow->n_slots; i++) {
        const struct volley_conn *c = &flow->conns[i];
        struct vly_link_stats s;

        if (!c->joined || c->link == NULL || bench_flow_way(f, c->number) != way)
            continue;
        c->link->ops->stats(c->link, &s);
        if (s.kernel_drops_local > drops) /* all have the same socket */
            drops = s.kernel_drops_local;
        if (bench_flow_sends(f, c->number))
            state_add(out, &s, n++ == 0);
    }
    if (datagrams)
        out->kernel_drops = drops;
    if (n > 0)
        out->smoothed_rtt_ns /= n;
    if (n > 0 && !datagrams) /* the kernel counts them, not the link */
        out->packets_sent = out->datagram_bytes = UINT64_MAX;
}

/* ---- closing ---- */

static void flow_close(struct bench_flow *f)
{
    struct volley_flow *flow = (struct volley_flow *)f;

    if (flow->transport != NULL)
        vly_transport_close(flow->transport, CODE_FINISHED, "the run is over", NULL, NULL);
    flow->transport = NULL;
}

static void flow_fini(struct bench_flow *f)
{
    struct volley_flow *flow = (struct volley_flow *)f;

    free(flow->conns);
}

const struct bench_flow_ops bench_flow_volley = {
    .size = sizeof(struct volley_flow),
    .n_ports = 1,
    .open = flow_open,
    .start = flow_start,
    .halt = flow_halt,
    .state = flow_state,
    .close = flow_close,
    .fini = flow_fini,
};
