/*
 * driver - the pump between socket, engine and loop.
 *
 *     readable ---> recv ---> events ---> send ---> set the timer
 *     timer    ---> recv, on_deadline ---^
 *     wake     ---------------------------^   (the application did something outside of events)
 *
 * Invariant: the engine is entered from pump() alone and never from itself; what handlers of events
 * do is carried out by the pump that is under way. A batch the engine has made is sent or lost,
 * never made again: while the socket is full it is kept and the engine is asked for no other. Cost:
 * one clock read a batch, one timerfd_settime a timer that fires.
 */
#include "net/driver_internal.h"

#include "crypto/crypto.h"
#include "net/memory.h"
#include "proto/frame.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* The share of one pump; then others on the loop have their turn. */
#define RECV_BATCHES 4u
#define SEND_BATCHES 8u /* that many, lent, still stand in the second-level cache */

#define CLOSE_LIMIT_MS 600u /* the engine gives up waiting for the peer after 500 */
#define WINDOW_MIN_BYTES (UINT64_C(256) << 10)
#define WINDOW_MAX_BYTES (UINT64_C(4) << 20)

/* Datagrams at first, and the longest: what an MTU of 1500 or of 65535 leaves for them. (IPv6 could
 * do 20 bytes more; loopback has no more.) */
#define START_IPV4_BYTES 1472u
#define START_IPV6_BYTES 1452u
#define LONGEST_IPV4_BYTES 65507u
#define LONGEST_IPV6_BYTES 65487u

uint64_t driver_now_ns(const struct vly_driver *d)
{
    return d->pumping ? d->now_ns : vly_clock_now_ns();
}

/* ---- events ---- */

static void on_accepted(struct vly_driver *d, struct vly_conn *conn)
{
    struct vly_span bytes = vly_conn_peer(conn);
    struct vly_addr peer = {.len = (uint8_t)bytes.len};
    struct udp_link *l;
    int err = VLY_E_NOMEM;

    if (d->state != DRIVER_OPEN) {
        vly_conn_close(conn, d->now_ns, d->close_code, d->close_reason);
        return;
    }
    memcpy(peer.data, bytes.data, bytes.len);
    l = udp_link_new(d, &peer);
    if (l != NULL) {
        udp_link_attach(l, conn);
        err = d->opt.on_accept(d->opt.ctx, &l->base);
    }
    if (err != 0) {
        udp_link_free(l);
        vly_conn_close(conn, d->now_ns, d->opt.reject_code, vly_err_text(err));
    }
}

static void on_turned_away(struct vly_driver *d, const struct vly_event *ev)
{
    struct vly_addr client = {.len = (uint8_t)ev->data.len};
    char text[VLY_ADDR_TEXT_MAX];

    if (d->opt.on_turned_away == NULL)
        return;
    assert(ev->data.len <= sizeof(client.data));
    memcpy(client.data, ev->data.data, ev->data.len);
    vly_addr_text(&client, text);
    d->opt.on_turned_away(d->opt.ctx, text, vly_close_code_text(ev->code));
}

/* Connections without a link are those that were turned away. */
static void emit(struct vly_driver *d, const struct vly_event *ev)
{
    struct udp_link *l;

    if (ev->type == VLY_EV_TURNED_AWAY) { /* there is no connection */
        on_turned_away(d, ev);
        return;
    }
    l = vly_conn_user(ev->conn);
    if (ev->type == VLY_EV_ACCEPTED)
        on_accepted(d, ev->conn);
    else if (l != NULL)
        udp_link_emit(l, ev);
    if (ev->type == VLY_EV_CLOSED)
        vly_endpoint_release(d->ep, ev->conn);
}

/* Returns whether there were any. */
static bool drain_events(struct vly_driver *d)
{
    struct vly_event ev;
    bool any = false;

    while (vly_endpoint_next_event(d->ep, &ev)) {
        any = true;
        emit(d, &ev);
    }
    return any;
}

/* ---- the pump ---- */

static void on_socket(uv_poll_t *handle, int status, int events);
static void on_wake(uv_idle_t *handle);

static void send_all(struct vly_driver *d);

static void take(struct vly_driver *d, const struct vly_datagram *datagrams, size_t n)
{
    vly_endpoint_recv_run(d->ep, datagrams, n, d->now_ns);
    drain_events(d);
}

/* The engine counts a whole batch before it makes an ACK. To have one each so many packets, it is
 * given no more of them at a time; a piece may reach over the end of a batch. While the socket is
 * full the ACK waits, and covers the pieces after as well. */
static void take_in_pieces(struct vly_driver *d, const struct vly_datagram *datagrams, size_t n)
{
    size_t every = d->opt.conn.ack_every_pkts;

    while (n > 0) {
        size_t left = every - d->piece_datagrams;
        size_t piece = n < left ? n : left;

        take(d, datagrams, piece);
        datagrams += piece;
        n -= piece;
        d->piece_datagrams += piece;
        if (d->piece_datagrams < every)
            return;
        d->piece_datagrams = 0;
        send_all(d);
    }
}

static void on_datagrams(void *ctx, const struct vly_datagram *datagrams, size_t n)
{
    struct vly_driver *d = ctx;

    if (d->opt.conn.ack_every_pkts != 0)
        take_in_pieces(d, datagrams, n);
    else
        take(d, datagrams, n);
}

static void report_drops(struct vly_driver *d)
{
    struct vly_udp_stats stats;

    vly_udp_stats(d->udp, &stats);
    if (stats.kernel_drops == d->kernel_drops)
        return;
    d->kernel_drops = stats.kernel_drops;
    for (struct udp_link *l = d->links; l != NULL; l = l->next)
        vly_conn_set_kernel_drops(l->conn, d->kernel_drops, d->now_ns);
}

/* Returns whether the socket may hold more. */
static bool receive(struct vly_driver *d)
{
    int err = vly_udp_recv(d->udp, on_datagrams, d);

    report_drops(d);
    return err == VLY_E_AGAIN;
}

/* Returns false when the socket is full: the batch is kept. */
static bool flush(struct vly_driver *d)
{
    struct vly_batch *batch = vly_batches_now(&d->batches);
    size_t too_long_bytes;

    d->batch_sent.may_lend = d->lends && vly_batches_may_lend(&d->batches, d->ep);
    d->batch_kept = vly_udp_send(d->udp, batch, &d->batch_sent) == VLY_E_AGAIN;
    if (d->batch_kept)
        vly_batch_gather(batch);
    if (d->batch_sent.lent && !d->batch_kept)
        vly_batches_lend(&d->batches);
    too_long_bytes = vly_udp_take_too_long(d->udp);
    if (too_long_bytes > 0)
        vly_endpoint_on_refused(d->ep, batch->cid, too_long_bytes, d->now_ns);
    return !d->batch_kept;
}

/* Answers without a connection are no part of the share: they are short, there are no more of them
 * than slots, and one read may bring as many. What stayed would take the next ones' slots. */
static void send_all(struct vly_driver *d)
{
    if (d->batch_kept && !flush(d))
        return;
    for (unsigned i = 0; i < SEND_BATCHES;) {
        struct vly_batch *batch = vly_batches_now(&d->batches);
        bool filled = vly_endpoint_send(d->ep, batch, d->now_ns);
        bool any;

        i += !filled || batch->cid != 0;
        d->batch_sent = (struct vly_udp_progress){0};
        if (filled && !flush(d)) {
            drain_events(d);
            return;
        }
        any = drain_events(d);
        if (!filled && !any)
            return;
    }
    uv_idle_start(&d->wake, on_wake); /* more than its share */
}

/* Later deadlines leave the timer as it is: that it fires early once costs less than setting it
 * with every packet. */
static void set_timer(struct vly_driver *d)
{
    uint64_t deadline_ns = vly_endpoint_deadline(d->ep);
    struct itimerspec spec = {0};

    if (d->batch_kept && deadline_ns <= d->now_ns)
        deadline_ns = VLY_NEVER; /* it waits for the socket, not for time */
    if (!d->timer_fired && deadline_ns >= d->armed_ns)
        return;
    d->timer_fired = false;
    d->armed_ns = deadline_ns;
    if (deadline_ns != VLY_NEVER) {
        spec.it_value.tv_sec = (time_t)(deadline_ns / 1000000000u);
        spec.it_value.tv_nsec = (long)(deadline_ns % 1000000000u);
        if (deadline_ns == 0)
            spec.it_value.tv_nsec = 1; /* zero would disarm */
    }
    timerfd_settime(d->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void poll_socket(struct vly_driver *d)
{
    int events = UV_READABLE | (d->batch_kept ? UV_WRITABLE : 0);

    if (events == d->socket_events)
        return;
    d->socket_events = events;
    uv_poll_start(&d->socket_poll, events, on_socket);
}

/* Before time may declare anything lost, what has arrived meanwhile is read. */
static void pump(struct vly_driver *d, bool readable)
{
    bool heard = readable;

    assert(!d->pumping);
    d->pumping = true;
    for (unsigned i = 0; i < RECV_BATCHES; i++) {
        d->now_ns = vly_clock_now_ns();
        if (readable || vly_endpoint_deadline(d->ep) <= d->now_ns)
            readable = receive(d);
        if (vly_endpoint_deadline(d->ep) <= d->now_ns) {
            vly_endpoint_on_deadline(d->ep, d->now_ns);
            drain_events(d);
        }
        heard |= readable;
        send_all(d);
        if (!readable && heard && !uv_is_active((uv_handle_t *)&d->wake) && !d->batch_kept)
            readable = vly_spin_wait(&d->spin, vly_udp_fd(d->udp));
        if (!readable)
            break;
    }
    set_timer(d);
    poll_socket(d);
    d->pumping = false;
    driver_finish(d);
}

/* ---- callbacks of the loop ---- */

/* libuv stops polling a socket with a pending error; reading takes the error away. */
static void on_socket(uv_poll_t *handle, int status, int events)
{
    struct vly_driver *d = handle->data;

    if (status < 0)
        d->socket_events = 0;
    pump(d, status < 0 || (events & UV_READABLE) != 0);
}

static void on_timer(uv_poll_t *handle, int status, int events)
{
    struct vly_driver *d = handle->data;

    (void)status;
    (void)events;
    d->timer_fired = true;
    d->armed_ns = VLY_NEVER;
    pump(d, false);
}

static void on_wake(uv_idle_t *handle)
{
    uv_idle_stop(handle);
    pump(handle->data, false);
}

void driver_wake(struct vly_driver *d)
{
    if (!d->pumping && d->state != DRIVER_GONE)
        uv_idle_start(&d->wake, on_wake);
}

/* ---- opening and closing ---- */

static void driver_free(struct vly_driver *d)
{
    void (*done)(void *ctx) = d->on_done;
    void *ctx = d->done_ctx;

    vly_endpoint_free(d->ep);
    vly_udp_close(d->udp);
    vly_batches_fini(&d->batches);
    if (d->timer_fd >= 0)
        close(d->timer_fd);
    free(d);
    if (done != NULL)
        done(ctx);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct vly_driver *d = handle->data;

    if (--d->n_handles == 0)
        driver_free(d);
}

/* Handles are initialised in this order; the first n_handles of them are closed. */
static void driver_discard(struct vly_driver *d)
{
    uv_handle_t *handles[] = {
        (uv_handle_t *)&d->wake,
        (uv_handle_t *)&d->limit,
        (uv_handle_t *)&d->timer_poll,
        (uv_handle_t *)&d->socket_poll,
    };
    unsigned n = d->n_handles;

    d->state = DRIVER_GONE;
    if (n == 0)
        driver_free(d);
    for (unsigned i = 0; i < n; i++)
        uv_close(handles[i], on_handle_closed);
}

void driver_finish(struct vly_driver *d)
{
    if (d->state == DRIVER_CLOSING && !d->pumping && d->links == NULL && d->offloads.running == 0)
        driver_discard(d);
}

static void on_offload_done(void *owner)
{
    driver_finish(owner);
}

/* Nothing is tried beyond a size that the user chose. */
static void set_datagram_limits(const struct vly_driver *d, struct vly_conn_config *conn)
{
    struct sockaddr_storage local;
    bool v6;

    vly_udp_local(d->udp, &local);
    v6 = local.ss_family == AF_INET6;
    conn->search_max_bytes = conn->max_datagram_bytes;
    if (conn->max_datagram_bytes != 0)
        return;
    conn->max_datagram_bytes = v6 ? START_IPV6_BYTES : START_IPV4_BYTES;
    conn->search_max_bytes = v6 ? LONGEST_IPV6_BYTES : LONGEST_IPV4_BYTES;
}

static int make_engine(struct vly_driver *d)
{
    struct vly_endpoint_config cfg = {
        .conn = d->opt.conn,
        .alloc = &vly_alloc_system,
        .crypto = d->opt.crypto != NULL ? d->opt.crypto : vly_crypto_system(),
        .allow_plain = d->opt.allow_plain,
        .credentials = d->opt.credentials,
        .keylog = d->opt.keylog,
        .is_server = d->opt.is_server,
        .addr_port_bytes = VLY_ADDR_PORT_BYTES,
        .max_conns = d->opt.max_conns,
        .takes_apart = true,
        .trace = d->opt.trace,
    };

    if (cfg.conn.window_bytes == 0) {
        uint64_t window_bytes = vly_udp_recv_buffer_bytes(d->udp);

        if (window_bytes < WINDOW_MIN_BYTES)
            window_bytes = WINDOW_MIN_BYTES;
        cfg.conn.window_bytes = window_bytes < WINDOW_MAX_BYTES ? window_bytes : WINDOW_MAX_BYTES;
    }
    if (cfg.conn.window_max_bytes != 0 && cfg.conn.window_max_bytes < cfg.conn.window_bytes)
        cfg.conn.window_bytes = cfg.conn.window_max_bytes;
    set_datagram_limits(d, &cfg.conn);
    return vly_endpoint_new(&d->ep, &cfg, vly_clock_now_ns());
}

static int make_handles(struct vly_driver *d)
{
    d->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (d->timer_fd < 0)
        return VLY_E_IO;
    d->wake.data = d->limit.data = d->timer_poll.data = d->socket_poll.data = d;
    uv_idle_init(d->loop, &d->wake);
    uv_timer_init(d->loop, &d->limit);
    d->n_handles = 2;
    if (uv_poll_init(d->loop, &d->timer_poll, d->timer_fd) != 0)
        return VLY_E_IO;
    d->n_handles++;
    if (uv_poll_init(d->loop, &d->socket_poll, vly_udp_fd(d->udp)) != 0)
        return VLY_E_IO;
    d->n_handles++;
    uv_poll_start(&d->timer_poll, UV_READABLE, on_timer);
    poll_socket(d);
    return 0;
}

int vly_driver_open(struct vly_driver **out, uv_loop_t *loop, const struct sockaddr *bind_addr,
                    const struct vly_driver_options *opt)
{
    struct vly_driver *d = calloc(1, sizeof(*d));
    int err;

    *out = NULL;
    if (d == NULL)
        return VLY_E_NOMEM;
    d->opt = *opt;
    d->loop = loop;
    d->lends = !opt->allow_plain || !opt->is_server;
    d->offloads = (struct vly_offloads){.loop = loop, .on_less = on_offload_done, .owner = d};
    vly_spin_init(&d->spin, opt->allow_plain && !opt->no_spin);
    d->timer_fd = -1;
    d->armed_ns = VLY_NEVER;
    if ((err = vly_udp_open(&d->udp, bind_addr, &opt->udp)) != 0)
        goto fail;
    if ((err = vly_batches_init(&d->batches)) != 0)
        goto fail;
    if ((err = make_engine(d)) != 0)
        goto fail;
    if ((err = make_handles(d)) != 0)
        goto fail;
    *out = d;
    return 0;

fail:
    /* Now, not when the handles are closed: the caller frees what the endpoint borrows. */
    vly_endpoint_free(d->ep);
    d->ep = NULL;
    driver_discard(d);
    return err;
}

/* What a peer is late to read may be a batch that was made later. Sealed, it is worth nothing to
 * any but the one it is for; in clear, batches are lent only while all are for one peer. */
static int note_peer(struct vly_driver *d, const struct vly_addr *peer)
{
    if (!d->opt.allow_plain || !d->lends || vly_addr_equal(&d->only_peer, peer))
        return 0;
    if (d->only_peer.len == 0) {
        d->only_peer = *peer;
        return 0;
    }
    d->lends = false;
    return vly_batches_renew(&d->batches);
}

enum vly_io driver_io_to(const struct vly_driver *d, const struct vly_addr *to)
{
    enum vly_io io = vly_udp_io_to(d->udp, to);

    return io == VLY_IO_SPLICE && !d->lends ? VLY_IO_GSO : io;
}

int vly_driver_connect(struct vly_driver *d, const struct sockaddr *peer, struct vly_link **out)
{
    struct vly_addr addr;
    struct udp_link *l;
    struct vly_conn *conn;
    int err;

    *out = NULL;
    if (d->state != DRIVER_OPEN)
        return VLY_E_STATE;
    if ((err = vly_addr_encode(&addr, peer)) != 0)
        return err;
    if ((err = vly_udp_check_route(d->udp, &addr)) != 0)
        return err;
    if ((err = note_peer(d, &addr)) != 0)
        return err;
    if ((l = udp_link_new(d, &addr)) == NULL)
        return VLY_E_NOMEM;
    if ((err = vly_endpoint_connect(d->ep, &addr, driver_now_ns(d), &conn)) != 0) {
        udp_link_free(l);
        return err;
    }
    udp_link_attach(l, conn);
    driver_wake(d);
    *out = &l->base;
    return 0;
}

/* The engine has given every connection up before: whoever is left would wait for ever. */
static void on_limit(uv_timer_t *handle)
{
    struct vly_driver *d = handle->data;

    while (d->links != NULL)
        udp_link_close(d->links, VLY_E_CANCELLED, d->close_code, d->close_reason);
    driver_finish(d);
}

void vly_driver_close(struct vly_driver *d, uint64_t code, const char *reason,
                      void (*done)(void *ctx), void *ctx)
{
    assert(d->state == DRIVER_OPEN);
    d->state = DRIVER_CLOSING;
    d->close_code = code;
    snprintf(d->close_reason, sizeof(d->close_reason), "%.*s", VLY_REASON_MAX, reason);
    d->on_done = done;
    d->done_ctx = ctx;
    for (struct udp_link *l = d->links; l != NULL; l = l->next)
        vly_conn_close(l->conn, driver_now_ns(d), code, reason);
    uv_timer_start(&d->limit, on_limit, CLOSE_LIMIT_MS, 0);
    driver_wake(d);
}

struct vly_udp *vly_driver_socket(struct vly_driver *d)
{
    return d->udp;
}

struct vly_endpoint *vly_driver_endpoint(struct vly_driver *d)
{
    return d->ep;
}
