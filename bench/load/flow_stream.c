/*
 * flow_stream - byte streams over TCP connections, plain or under TLS: the part that both share.
 *
 * The block that is sent stays in the cache, so does the one that is received into: what is
 * measured is the transport. Cost: one system call a block and one poll a turn.
 */
#include "bench/load/flow_stream.h"

#include "bench/load/load.h"
#include "net/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAM_TURN 16u /* blocks moved before others on the loop have their turn */
#define BACKLOG 128

static void on_conn(uv_poll_t *poll, int status, int events);

static void poll_for(struct stream_conn *c, int events)
{
    if (c->events == events)
        return;
    c->events = events;
    if (events == 0)
        (void)uv_poll_stop(&c->poll);
    else
        (void)uv_poll_start(&c->poll, events, on_conn);
}

/* The slot is free when the loop has let go of the handle. */
static void on_conn_closed(uv_handle_t *handle)
{
    struct stream_conn *c = handle->data;

    c->flow = NULL;
}

static void conn_close(struct stream_conn *c)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (c->state == STREAM_FREE)
        return;
    c->state = STREAM_FREE;
    c->flow->wire->detach(c);
    /* What is still in the kernel's buffers must not go on into the next run. */
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    uv_close((uv_handle_t *)&c->poll, on_conn_closed);
    close(c->fd);
    c->fd = -1;
}

static bool is_over(const struct stream_conn *c)
{
    return bench_load_is_over(c->flow->base.setup.load, bench_flow_way(&c->flow->base, c->number));
}

/* A connection of the run has broken: the end of it, unless its way is over already. */
static void conn_broken(struct stream_conn *c, const char *what)
{
    struct flow_stream *flow = c->flow;
    bool joined = c->state == STREAM_READY || !flow->base.setup.server;

    if (!joined) { /* perhaps a stranger's */
        poll_for(c, 0);
        conn_close(c);
    } else if (is_over(c)) {
        poll_for(c, 0);
    } else {
        poll_for(c, 0);
        bench_load_fail(flow->base.setup.load, VLY_E_LOST, "a data connection broke: %s", what);
    }
}

/* ---- payload ---- */

static void send_turn(struct stream_conn *c)
{
    struct flow_stream *flow = c->flow;
    enum bench_way way = bench_flow_way(&flow->base, c->number);

    for (unsigned i = 0; i < STREAM_TURN && c->offset < c->limit; i++) {
        size_t len;
        const uint8_t *data = bench_hot_at(&flow->base.hot, c->offset, c->limit, &len);
        ssize_t n = flow->wire->write(c, data, len);

        if (n == VLY_E_AGAIN)
            return;
        if (n < 0) {
            conn_broken(c, strerror(errno));
            return;
        }
        c->offset += (uint64_t)n;
        bench_load_handed(flow->base.setup.load, way, (uint64_t)n);
        if ((size_t)n < len)
            return;
    }
    if (c->offset < c->limit)
        return;
    poll_for(c, 0);
    if (--flow->n_sending[way] == 0)
        bench_load_all_handed(flow->base.setup.load, way);
}

static void receive_turn(struct stream_conn *c)
{
    struct flow_stream *flow = c->flow;
    const struct bench_request *r = flow->base.setup.request;
    struct bench_load *load = flow->base.setup.load;

    for (unsigned i = 0; i < STREAM_TURN || flow->wire->pending(c); i++) {
        ssize_t n = flow->wire->read(c, flow->block, (size_t)r->block_bytes);
        struct vly_span got = {.data = flow->block, .len = (size_t)n};

        if (n == VLY_E_AGAIN)
            return;
        if (n <= 0) {
            conn_broken(c, n == 0 ? "the sender closed it" : strerror(errno));
            return;
        }
        if (!bench_hot_check(&flow->base.hot, c->offset, got, r->verify)) {
            poll_for(c, 0);
            bench_load_fail(load, VLY_E_INTEGRITY, "what arrived is not what was sent");
            return;
        }
        c->offset += (uint64_t)n;
        bench_load_arrived(load, bench_flow_way(&flow->base, c->number),
                           bench_flow_stream(&flow->base, c->number), (uint64_t)n);
    }
}

static void conn_begin(struct stream_conn *c)
{
    if (!bench_flow_sends(&c->flow->base, c->number))
        poll_for(c, UV_READABLE);
    else if (c->flow->started)
        poll_for(c, UV_WRITABLE);
    else
        poll_for(c, 0);
}

/* ---- joining ---- */

static void conn_ready(struct stream_conn *c)
{
    struct flow_stream *flow = c->flow;
    enum bench_way way = bench_flow_way(&flow->base, c->number);

    c->state = STREAM_READY;
    c->limit =
        bench_request_share(flow->base.setup.request, bench_flow_stream(&flow->base, c->number));
    if (bench_flow_sends(&flow->base, c->number))
        flow->n_sending[way]++;
    conn_begin(c);
    if (++flow->n_ready == flow->base.n_conns)
        bench_load_ready(flow->base.setup.load);
}

static bool has_number(const struct flow_stream *flow, unsigned number)
{
    for (size_t i = 0; i < flow->n_slots; i++)
        if (flow->conns[i].state == STREAM_READY && flow->conns[i].number == number)
            return true;
    return false;
}

/* The server reads exactly the preamble: what follows is payload. */
static void read_preamble(struct stream_conn *c)
{
    struct flow_stream *flow = c->flow;
    ssize_t n =
        flow->wire->read(c, c->preamble + c->preamble_len, sizeof(c->preamble) - c->preamble_len);

    if (n == VLY_E_AGAIN)
        return;
    if (n <= 0) {
        conn_broken(c, "");
        return;
    }
    c->preamble_len += (size_t)n;
    if (c->preamble_len < sizeof(c->preamble))
        return;
    if (!bench_preamble_read(c->preamble, flow->base.setup.token, flow->base.n_conns, &c->number) ||
        has_number(flow, c->number))
        conn_broken(c, "");
    else
        conn_ready(c);
}

static void write_preamble(struct stream_conn *c)
{
    ssize_t n = c->flow->wire->write(c, c->preamble + c->preamble_len,
                                     sizeof(c->preamble) - c->preamble_len);

    if (n == VLY_E_AGAIN)
        return;
    if (n < 0) {
        conn_broken(c, strerror(errno));
        return;
    }
    c->preamble_len += (size_t)n;
    if (c->preamble_len == sizeof(c->preamble))
        conn_ready(c);
}

static void conn_join(struct stream_conn *c)
{
    struct bench_flow *f = &c->flow->base;

    c->state = STREAM_JOINING;
    if (f->setup.server) {
        poll_for(c, UV_READABLE);
        read_preamble(c);
        return;
    }
    if (f->connect_ns == 0)
        f->connect_ns = vly_clock_now_ns() - f->opened_ns;
    bench_preamble_write(c->preamble, f->setup.token, c->number);
    poll_for(c, UV_WRITABLE);
    write_preamble(c);
}

static void conn_shake(struct stream_conn *c)
{
    int events = 0;
    int err = c->flow->wire->shake(c, &events);

    if (err == VLY_E_AGAIN)
        poll_for(c, events);
    else if (err != 0)
        conn_broken(c, "the handshake failed");
    else
        conn_join(c);
}

static void conn_connected(struct stream_conn *c)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        conn_broken(c, strerror(error != 0 ? error : errno));
        return;
    }
    c->state = STREAM_SHAKING;
    conn_shake(c);
}

static void on_conn(uv_poll_t *poll, int status, int events)
{
    struct stream_conn *c = poll->data;

    (void)status; /* an error shows in the next call */
    (void)events;
    if (status < 0)
        c->events = 0;
    switch (c->state) {
    case STREAM_FREE:
        break;
    case STREAM_CONNECTING:
        conn_connected(c);
        break;
    case STREAM_SHAKING:
        conn_shake(c);
        break;
    case STREAM_JOINING:
        if (c->flow->base.setup.server)
            read_preamble(c);
        else
            write_preamble(c);
        break;
    case STREAM_READY:
        if (bench_flow_sends(&c->flow->base, c->number))
            send_turn(c);
        else
            receive_turn(c);
        break;
    }
}

/* ---- making connections ---- */

/* Takes `fd`. */
static int conn_open(struct flow_stream *flow, struct stream_conn *c, int fd,
                     enum stream_state state)
{
    *c = (struct stream_conn){.flow = flow, .fd = fd, .number = c->number};
    if (uv_poll_init(flow->base.setup.loop, &c->poll, fd) != 0) {
        close(fd);
        c->flow = NULL;
        return VLY_E_IO;
    }
    c->poll.data = c;
    c->state = state;
    if (flow->wire->attach(c) != 0) {
        conn_close(c);
        return VLY_E_NOMEM;
    }
    return 0;
}

static struct stream_conn *free_slot(struct flow_stream *flow)
{
    for (size_t i = 0; i < flow->n_slots; i++)
        if (flow->conns[i].flow == NULL)
            return &flow->conns[i];
    return NULL;
}

static void on_listen(uv_poll_t *poll, int status, int events)
{
    struct flow_stream *flow = poll->data;
    struct stream_conn *c;
    int fd = accept4(flow->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)status;
    (void)events;
    if (fd < 0)
        return;
    c = flow->n_ready < flow->base.n_conns ? free_slot(flow) : NULL;
    if (c == NULL) {
        close(fd);
        return;
    }
    if (conn_open(flow, c, fd, STREAM_SHAKING) == 0)
        conn_shake(c);
}

static int listen_at(struct flow_stream *flow, struct vly_fault *why)
{
    const struct bench_request *r = flow->base.setup.request;
    struct sockaddr_storage at = flow->base.setup.at;
    socklen_t len = bench_sockaddr_port(&at, 0);
    bool sends = r->bidir || bench_request_sends(r, true, BENCH_FORWARD);
    int fd = flow_tcp_socket(&flow->base, sends, why);

    if (fd < 0)
        return fd;
    flow->listen_fd = fd;
    if (bind(fd, (const struct sockaddr *)&at, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0 ||
        uv_poll_init(flow->base.setup.loop, &flow->listen_poll, fd) != 0)
        return vly_fault_set(why, VLY_E_IO, "cannot listen for data connections: %s",
                             strerror(errno));
    flow->listening = true;
    flow->listen_poll.data = flow;
    (void)uv_poll_start(&flow->listen_poll, UV_READABLE, on_listen);
    flow->base.setup.ports[0] = bench_sockaddr_port_of(&at);
    return 0;
}

static int connect_one(struct flow_stream *flow, unsigned number, struct vly_fault *why)
{
    struct sockaddr_storage at = flow->base.setup.at;
    socklen_t len = bench_sockaddr_port(&at, flow->base.setup.ports[0]);
    struct stream_conn *c = &flow->conns[number];
    int fd = flow_tcp_socket(&flow->base, bench_flow_sends(&flow->base, number), why);

    if (fd < 0)
        return fd;
    c->number = number;
    if (conn_open(flow, c, fd, STREAM_CONNECTING) != 0)
        return vly_fault_plain(why, VLY_E_NOMEM);
    if (connect(fd, (const struct sockaddr *)&at, len) != 0 && errno != EINPROGRESS)
        return vly_fault_set(why, VLY_E_UNREACHABLE, "cannot open a data connection: %s",
                             strerror(errno));
    poll_for(c, UV_WRITABLE);
    return 0;
}

int flow_stream_open(struct bench_flow *f, struct vly_fault *why, const struct bench_wire *wire)
{
    struct flow_stream *flow = (struct flow_stream *)f;
    size_t block_bytes = (size_t)f->setup.request->block_bytes;
    int err;

    flow->wire = wire;
    flow->listen_fd = -1;
    flow->n_slots = f->n_conns + (f->setup.server ? BENCH_STRANGERS_MAX : 0);
    flow->conns = calloc(flow->n_slots, sizeof(*flow->conns));
    flow->block = malloc(block_bytes);
    if (flow->conns == NULL || flow->block == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    memset(flow->block, 0xff, block_bytes); /* its pages are there before anything is timed */
    if ((err = wire->open(flow, why)) != 0)
        return err;
    if (f->setup.server)
        return listen_at(flow, why);
    for (unsigned i = 0; i < f->n_conns && err == 0; i++)
        err = connect_one(flow, i, why);
    return err;
}

void flow_stream_start(struct bench_flow *f)
{
    struct flow_stream *flow = (struct flow_stream *)f;

    flow->started = true;
    for (size_t i = 0; i < flow->n_slots; i++) {
        struct stream_conn *c = &flow->conns[i];

        if (c->state == STREAM_READY)
            conn_begin(c);
        else
            conn_close(c); /* strangers */
    }
}

void flow_stream_halt(struct bench_flow *f, enum bench_way way)
{
    struct flow_stream *flow = (struct flow_stream *)f;

    for (size_t i = 0; i < flow->n_slots; i++)
        if (flow->conns[i].state == STREAM_READY && bench_flow_way(f, flow->conns[i].number) == way)
            poll_for(&flow->conns[i], 0);
}

static void add(uint64_t *sum, uint64_t value)
{
    if (value != UINT64_MAX)
        *sum = *sum == UINT64_MAX ? value : *sum + value;
}

void flow_stream_state(const struct bench_flow *f, enum bench_way way, struct bench_flow_state *out)
{
    const struct flow_stream *flow = (const struct flow_stream *)f;
    unsigned n = 0;

    for (size_t i = 0; i < flow->n_slots; i++) {
        const struct stream_conn *c = &flow->conns[i];
        struct bench_flow_state one;

        if (c->state != STREAM_READY || bench_flow_way(f, c->number) != way ||
            !bench_flow_sends(f, c->number))
            continue;
        memset(&one, 0xff, sizeof(one));
        flow_tcp_state(c->fd, &one);
        add(&out->cwnd_bytes, one.cwnd_bytes);
        add(&out->in_flight_bytes, one.in_flight_bytes);
        add(&out->smoothed_rtt_ns, one.smoothed_rtt_ns);
        add(&out->retransmits, one.retransmits);
        add(&out->packets_sent, one.packets_sent);
        memcpy(out->cc, one.cc, sizeof(out->cc));
        memcpy(out->io, one.io, sizeof(out->io));
        n++;
    }
    if (n > 0 && out->smoothed_rtt_ns != UINT64_MAX)
        out->smoothed_rtt_ns /= n;
}

void flow_stream_close(struct bench_flow *f)
{
    struct flow_stream *flow = (struct flow_stream *)f;

    for (size_t i = 0; i < flow->n_slots && flow->conns != NULL; i++)
        conn_close(&flow->conns[i]);
    if (flow->listening)
        uv_close((uv_handle_t *)&flow->listen_poll, NULL);
    if (flow->listen_fd >= 0)
        close(flow->listen_fd);
}

void flow_stream_fini(struct bench_flow *f)
{
    struct flow_stream *flow = (struct flow_stream *)f;

    if (flow->wire != NULL)
        flow->wire->close(flow);
    free(flow->conns);
    free(flow->block);
}
