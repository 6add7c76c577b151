/*
 * flow_udp_raw - UDP without reliability: the ceiling that any protocol over UDP has here.
 *
 *   bytes  datagram
 *      16  token
 *       8  number, most significant byte first; all ones: a knock
 *          anything
 *
 * The client knocks until the server knows where all its sockets are. Every byte of a datagram of
 * the run counts as payload where it arrives; the last one may exceed what was asked for, to hold
 * its header. Cost: one system call a batch of up to 64 KiB, and the numbers written into it.
 */
#include "bench/load/flow_ops.h"
#include "bench/load/load.h"
#include "net/addr.h"
#include "net/clock.h"
#include "net/udp_socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES (BENCH_TOKEN_BYTES + 8)
#define KNOCK UINT64_MAX
#define KNOCK_MS 50u
#define DATAGRAM_BYTES 1472u /* fits an MTU of 1500 */
#define SEND_TURN 8u         /* batches before others on the loop have their turn */
#define RECV_TURN 8u
#define PACE_MS 1u /* with a rate: between two bursts */
#define PACE_BEHIND_NS VLY_MS(10)

struct udp_flow;

struct udp_conn {
    struct udp_flow *flow;
    struct vly_udp *socket; /* owned; NULL: not open */
    uv_poll_t poll;
    bool polled; /* the handle exists */
    unsigned number;
    bool has_peer;
    struct vly_addr peer;

    struct vly_batch *batch; /* owned by senders */
    bool batch_kept;         /* the socket was full: it goes on from batch_sent.done */
    struct vly_udp_progress batch_sent;
    uint64_t next_number;
    uint64_t sent_bytes, limit_bytes;
    bool all_sent;

    double credit_bytes; /* what the rate allows to be sent by now */
    uint64_t turn_bytes; /* received in this turn */
};

struct udp_flow {
    struct bench_flow base;
    struct udp_conn *conns; /* owned, one for each number */
    size_t datagram_bytes;
    uv_timer_t timer; /* client: knocks; sender with a rate: paces */
    bool has_timer, started, paced;
    bool halted[BENCH_WAYS];
    uint64_t paced_ns; /* the last burst */
    unsigned n_known;  /* server: sockets of the client it knows */
    unsigned n_sending[BENCH_WAYS];
};

static uint64_t read_number(const uint8_t *p)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < 8; i++)
        n = n << 8 | p[i];
    return n;
}

static void write_number(uint8_t *p, uint64_t n)
{
    for (unsigned i = 0; i < 8; i++)
        p[i] = (uint8_t)(n >> (56 - 8 * i));
}

/* ---- sending ---- */

/* A batch has at most what a millisecond's rate allows, so that a slow sender does not burst. */
static size_t batch_pkts(const struct udp_flow *f)
{
    size_t most = VLY_BATCH_BYTES / f->datagram_bytes;
    uint64_t rate = f->base.setup.request->rate_bytes_per_s / f->base.setup.request->parallel;
    uint64_t paced = rate / 1000 / f->datagram_bytes;

    if (most > VLY_BATCH_PKTS)
        most = VLY_BATCH_PKTS;
    if (!f->paced || paced >= most)
        return most;
    return paced > 0 ? (size_t)paced : 1;
}

/* The content stands in the batch already; the last datagram of a run may be cut. */
static void batch_fill(struct udp_conn *c)
{
    const struct udp_flow *f = c->flow;
    struct vly_batch *b = c->batch;
    uint64_t left = c->limit_bytes - c->sent_bytes;

    b->len = batch_pkts(f) * f->datagram_bytes;
    if (b->len > left)
        b->len = (size_t)left;
    if (b->len % f->datagram_bytes != 0 && b->len % f->datagram_bytes < HEADER_BYTES)
        b->len += HEADER_BYTES - b->len % f->datagram_bytes; /* it needs its header */
    b->n = 0;
    for (size_t at = 0; at < b->len; at += f->datagram_bytes, b->n++)
        write_number(b->data + at + BENCH_TOKEN_BYTES, c->next_number + b->n);
    c->batch_sent = (struct vly_udp_progress){0};
}

/* Returns false when the socket is full. What the kernel refuses is lost, as on the wire. */
static bool batch_send(struct udp_conn *c)
{
    c->batch_kept = vly_udp_send(c->socket, c->batch, &c->batch_sent) == VLY_E_AGAIN;
    if (c->batch_kept)
        return false;
    c->next_number += c->batch->n;
    c->sent_bytes += c->batch->len;
    bench_load_handed(c->flow->base.setup.load, bench_flow_way(&c->flow->base, c->number),
                      c->batch->len);
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static bool sends_now(const struct udp_conn *c)
{
    const struct bench_flow *f = &c->flow->base;

    return c->flow->started && bench_flow_sends(f, c->number) && !c->all_sent &&
           !c->flow->halted[bench_flow_way(f, c->number)];
}

/* A paced sender is woken by the timer, unless the socket is full. */
static void poll_conn(struct udp_conn *c)
{
    int events = UV_READABLE;

    if (sends_now(c) && (c->batch_kept || !c->flow->paced))
        events |= UV_WRITABLE;
    (void)uv_poll_start(&c->poll, events, on_poll);
}

static void conn_sent_all(struct udp_conn *c)
{
    enum bench_way way = bench_flow_way(&c->flow->base, c->number);

    c->all_sent = true;
    poll_conn(c);
    if (--c->flow->n_sending[way] == 0)
        bench_load_all_handed(c->flow->base.setup.load, way);
}

/* Sends up to `allowed_bytes`, a last batch over it; returns how much it was. */
static uint64_t send_some(struct udp_conn *c, uint64_t allowed_bytes)
{
    uint64_t before = c->sent_bytes;

    while (c->sent_bytes - before < allowed_bytes && c->sent_bytes < c->limit_bytes) {
        if (!c->batch_kept)
            batch_fill(c);
        if (!batch_send(c))
            break;
    }
    if (c->sent_bytes >= c->limit_bytes)
        conn_sent_all(c);
    return c->sent_bytes - before;
}

/* What the rate allows since the last burst. What could not be used is made up for within
 * PACE_BEHIND_NS. */
static void earn(struct udp_conn *c, uint64_t passed_ns)
{
    const struct bench_request *r = c->flow->base.setup.request;
    double rate = (double)r->rate_bytes_per_s / (double)r->parallel;
    double most = rate * (double)PACE_BEHIND_NS / 1e9 + VLY_BATCH_BYTES;

    c->credit_bytes += rate * (double)passed_ns / 1e9;
    if (c->credit_bytes > most)
        c->credit_bytes = most;
}

static void burst(struct udp_conn *c)
{
    double batch_bytes = (double)(batch_pkts(c->flow) * c->flow->datagram_bytes);

    while (sends_now(c) && (c->batch_kept || c->credit_bytes >= batch_bytes)) {
        uint64_t sent = send_some(c, 1);

        if (sent == 0)
            break;
        c->credit_bytes -= (double)sent;
    }
    poll_conn(c);
}

static void on_pace(uv_timer_t *timer)
{
    struct udp_flow *f = timer->data;
    uint64_t now_ns = vly_clock_now_ns();
    uint64_t passed_ns = vly_time_since(now_ns, f->paced_ns);

    f->paced_ns = now_ns;
    for (unsigned i = 0; i < f->base.n_conns; i++) {
        if (!sends_now(&f->conns[i]))
            continue;
        earn(&f->conns[i], passed_ns);
        burst(&f->conns[i]);
    }
}

/* ---- knocking ---- */

static void knock(struct udp_conn *c)
{
    struct vly_batch *b = c->batch;
    int err;

    write_number(b->data + BENCH_TOKEN_BYTES, KNOCK);
    b->len = b->segment_bytes = HEADER_BYTES;
    b->n = 1;
    c->batch_sent = (struct vly_udp_progress){0};
    err = vly_udp_send(c->socket, b, &c->batch_sent);
    (void)err; /* the next knock follows */
    b->segment_bytes = c->flow->datagram_bytes;
}

static void on_knock(uv_timer_t *timer)
{
    struct udp_flow *f = timer->data;

    for (unsigned i = 0; i < f->base.n_conns; i++)
        knock(&f->conns[i]);
}

static void take_knock(struct udp_conn *c, const struct vly_datagram *d)
{
    struct udp_flow *f = c->flow;

    if (!f->base.setup.server || c->has_peer)
        return;
    c->has_peer = true;
    c->peer = *d->from;
    c->batch->to = c->peer;
    if (++f->n_known == f->base.n_conns)
        bench_load_ready(f->base.setup.load);
}

/* ---- receiving ---- */

static void on_datagram(struct udp_conn *c, const struct vly_datagram *d)
{
    if (d->len < HEADER_BYTES || !bench_token_equal(d->data, c->flow->base.setup.token))
        return;
    if (read_number(d->data + BENCH_TOKEN_BYTES) == KNOCK)
        take_knock(c, d);
    else
        c->turn_bytes += d->len;
}

static void on_datagrams(void *ctx, const struct vly_datagram *d, size_t n)
{
    for (size_t i = 0; i < n; i++)
        on_datagram(ctx, &d[i]);
}

static void receive_turn(struct udp_conn *c)
{
    struct bench_flow *f = &c->flow->base;

    c->turn_bytes = 0;
    for (unsigned i = 0; i < RECV_TURN; i++)
        if (vly_udp_recv(c->socket, on_datagrams, c) != VLY_E_AGAIN)
            break;
    if (c->turn_bytes > 0 && !bench_flow_sends(f, c->number))
        bench_load_arrived(f->setup.load, bench_flow_way(f, c->number),
                           bench_flow_stream(f, c->number), c->turn_bytes);
}

static void send_turn(struct udp_conn *c)
{
    if (c->flow->paced)
        burst(c);
    else
        (void)send_some(c, SEND_TURN * batch_pkts(c->flow) * c->flow->datagram_bytes);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct udp_conn *c = poll->data;

    /* An error that some earlier datagram has caused is taken away by reading; polling goes on. */
    if (status < 0 || (events & UV_READABLE) != 0)
        receive_turn(c);
    if ((events & UV_WRITABLE) != 0 && sends_now(c))
        send_turn(c);
    if (status < 0)
        poll_conn(c);
}

/* ---- opening ---- */

static int make_batch(struct udp_conn *c)
{
    const struct udp_flow *f = c->flow;
    struct vly_batch *b = malloc(sizeof(*b));

    if (b == NULL)
        return VLY_E_NOMEM;
    memset(b, 0xa5, sizeof(*b)); /* the content, and its pages are there before anything is timed */
    for (size_t at = 0; at + HEADER_BYTES <= sizeof(b->data); at += f->datagram_bytes)
        memcpy(b->data + at, f->base.setup.token->bytes, BENCH_TOKEN_BYTES);
    b->segment_bytes = f->datagram_bytes;
    b->ecn = VLY_ECN_NONE;
    b->apart = (struct vly_span){0};
    b->to = c->peer;
    c->batch = b;
    return 0;
}

static int open_socket(struct udp_conn *c, struct vly_fault *why)
{
    struct bench_flow *f = &c->flow->base;
    struct sockaddr_storage at = {.ss_family = f->setup.at.ss_family};
    struct vly_udp_options options = {.buffer_bytes = (uint32_t)f->setup.request->window_bytes};
    int err;

    if (f->setup.request->io[0] != '\0')
        (void)vly_io_parse(f->setup.request->io, &options.io);
    if (options.io == VLY_IO_AUTO || options.io == VLY_IO_SPLICE)
        options.io = VLY_IO_GSO; /* its batches are filled again at once: none can be lent */
    if (f->setup.request->window_bytes > INT32_MAX)
        options.buffer_bytes = INT32_MAX;
    if (f->setup.server) {
        at = f->setup.at;
        (void)bench_sockaddr_port(&at, 0);
    }
    err = vly_udp_open(&c->socket, (const struct sockaddr *)&at, &options);
    if (err != 0)
        return vly_fault_set(why, err, "cannot open a UDP socket: %s", vly_err_text(err));
    if (uv_poll_init(f->setup.loop, &c->poll, vly_udp_fd(c->socket)) != 0)
        return vly_fault_plain(why, VLY_E_IO);
    c->poll.data = c;
    c->polled = true;
    return 0;
}

static int open_conn(struct udp_conn *c, struct vly_fault *why)
{
    struct bench_flow *f = &c->flow->base;
    struct sockaddr_storage at = f->setup.at;
    int err = open_socket(c, why);

    if (err != 0)
        return err;
    c->limit_bytes = bench_request_share(f->setup.request, bench_flow_stream(f, c->number));
    if (bench_flow_sends(f, c->number))
        c->flow->n_sending[bench_flow_way(f, c->number)]++;
    if (f->setup.server) {
        vly_udp_local(c->socket, &at);
        f->setup.ports[c->number] = bench_sockaddr_port_of(&at);
    } else {
        (void)bench_sockaddr_port(&at, f->setup.ports[c->number]);
        if ((err = vly_addr_encode(&c->peer, (const struct sockaddr *)&at)) != 0)
            return vly_fault_plain(why, err);
        c->has_peer = true;
    }
    if (make_batch(c) != 0)
        return vly_fault_plain(why, VLY_E_NOMEM);
    poll_conn(c);
    return 0;
}

static int flow_open(struct bench_flow *f, struct vly_fault *why)
{
    struct udp_flow *flow = (struct udp_flow *)f;
    int err = 0;

    flow->datagram_bytes =
        f->setup.request->mss_bytes != 0 ? (size_t)f->setup.request->mss_bytes : DATAGRAM_BYTES;
    flow->paced = f->setup.request->rate_bytes_per_s != 0;
    flow->conns = calloc(f->n_conns, sizeof(*flow->conns));
    if (flow->conns == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    (void)uv_timer_init(f->setup.loop, &flow->timer);
    flow->timer.data = flow;
    flow->has_timer = true;
    for (unsigned i = 0; i < f->n_conns && err == 0; i++) {
        flow->conns[i] = (struct udp_conn){.flow = flow, .number = i};
        err = open_conn(&flow->conns[i], why);
    }
    if (err == 0 && !f->setup.server)
        (void)uv_timer_start(&flow->timer, on_knock, 0, KNOCK_MS);
    return err;
}

/* Connecting took from the first knock to the server's word that it has heard all. */
static void flow_start(struct bench_flow *f)
{
    struct udp_flow *flow = (struct udp_flow *)f;

    flow->started = true;
    flow->paced_ns = vly_clock_now_ns();
    f->connect_ns = flow->paced_ns - f->opened_ns;
    (void)uv_timer_stop(&flow->timer);
    if (flow->paced)
        (void)uv_timer_start(&flow->timer, on_pace, PACE_MS, PACE_MS);
    for (unsigned i = 0; i < f->n_conns; i++)
        poll_conn(&flow->conns[i]);
}

static void flow_halt(struct bench_flow *f, enum bench_way way)
{
    struct udp_flow *flow = (struct udp_flow *)f;

    flow->halted[way] = true;
    for (unsigned i = 0; i < f->n_conns; i++)
        if (bench_flow_way(f, i) == way)
            poll_conn(&flow->conns[i]);
}

static void flow_state(const struct bench_flow *f, enum bench_way way, struct bench_flow_state *out)
{
    const struct udp_flow *flow = (const struct udp_flow *)f;
    uint64_t drops = 0;

    for (unsigned i = 0; i < f->n_conns; i++) {
        const struct udp_conn *c = &flow->conns[i];
        struct vly_udp_stats s;

        if (bench_flow_way(f, i) != way)
            continue;
        vly_udp_stats(c->socket, &s);
        drops += s.kernel_drops;
        if (!bench_flow_sends(f, i))
            continue;
        out->packets_sent =
            (out->packets_sent != UINT64_MAX ? out->packets_sent : 0) + c->next_number;
        out->datagram_bytes = flow->datagram_bytes;
        (void)snprintf(out->io, sizeof(out->io), "%s",
                       vly_io_name(vly_udp_io_to(c->socket, &c->peer)));
    }
    if (!bench_request_sends(f->setup.request, f->setup.server, way))
        out->kernel_drops = drops;
}

static void flow_close(struct bench_flow *f)
{
    struct udp_flow *flow = (struct udp_flow *)f;

    if (flow->has_timer)
        uv_close((uv_handle_t *)&flow->timer, NULL);
    for (unsigned i = 0; i < f->n_conns && flow->conns != NULL; i++)
        if (flow->conns[i].polled)
            uv_close((uv_handle_t *)&flow->conns[i].poll, NULL);
}

static void flow_fini(struct bench_flow *f)
{
    struct udp_flow *flow = (struct udp_flow *)f;

    for (unsigned i = 0; i < f->n_conns && flow->conns != NULL; i++) {
        vly_udp_close(flow->conns[i].socket);
        free(flow->conns[i].batch);
    }
    free(flow->conns);
}

const struct bench_flow_ops bench_flow_udp_raw = {
    .size = sizeof(struct udp_flow),
    .n_ports = 0,
    .open = flow_open,
    .start = flow_start,
    .halt = flow_halt,
    .state = flow_state,
    .close = flow_close,
    .fini = flow_fini,
};
