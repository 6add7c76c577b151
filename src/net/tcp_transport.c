/*
 * tcp_transport - TCP connections on a uv loop: listening, connecting, timers, the end.
 *
 *     readable, writable ---> read ---> write ---> room is told ---> write
 *     wake               ---^          (a call was made outside of events)
 *     tick: handshake, silence, closing
 *
 * Each connection is one uv_poll_t on its non-blocking socket; the calls themselves are direct,
 * which saves libuv's request for each write. Invariant: tcp_pump is never entered for a link from
 * itself; a link is freed by tcp_finish alone, its memory when libuv has let go of the handle.
 */
#include "net/clock.h"
#include "net/tcp_internal.h"
#include "proto/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_DEFAULT_NS VLY_S(10)
#define TICK_MIN_MS 10u
#define TICK_MAX_MS 250u
#define LINKS_DEFAULT 1024u
#define STRANGERS_MAX 64u /* connections beyond the limit that prove themselves, or are refused */
#define STRANGER_MIN_NS VLY_MS(500)
#define ACCEPTS_MAX 64u /* of one turn */

static void transport_finish(struct tcp_transport *t);
static void on_tick(uv_timer_t *handle);
static void on_wake(uv_idle_t *handle);
static void on_listener(uv_poll_t *handle, int status, int events);

static struct tcp_transport *transport_of(struct vly_transport *t)
{
    return (struct tcp_transport *)t;
}

void tcp_wake(struct tcp_link *l)
{
    l->dirty = true;
    if (!l->pumping)
        uv_idle_start(&l->transport->wake, on_wake);
}

/* ---- a link's end ---- */

static void on_link_handle_closed(uv_handle_t *handle)
{
    struct tcp_link *l = handle->data;
    struct tcp_transport *t = l->transport;

    free(l);
    t->n_handles--;
    transport_finish(t);
}

static void listen_on(struct tcp_transport *t, bool on)
{
    if (t->listener < 0 || t->listen_polled == on || t->state != TCP_TRANSPORT_OPEN)
        return;
    t->listen_polled = on;
    if (on)
        uv_poll_start(&t->listen_poll, UV_READABLE, on_listener);
    else
        uv_poll_stop(&t->listen_poll);
}

/* The last event, and the end of the link. */
static void tcp_finish(struct tcp_link *l)
{
    struct tcp_transport *t = l->transport;

    if (l->has_user)
        l->base.events->on_closed(l->base.user, l->end_err, l->end_code, l->end_reason);
    if (l->prev != NULL)
        l->prev->next = l->next;
    else
        t->links = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    t->n_links--;
    if (t->n_links == 0)
        uv_timer_stop(&t->tick);
    tcp_streams_free(l);
    tcp_out_free(l);
    tcp_handshake_free(l->handshake);
    vly_tcp_seal_fini(&l->seal);
    uv_close((uv_handle_t *)&l->poll, on_link_handle_closed);
    close(l->fd);
    l->fd = -1;
    listen_on(t, true); /* a place, or a descriptor, is free */
    transport_finish(t);
}

/* ---- the pump ---- */

/* Those up to `last` have had their turn: the others come before them. */
static void rotate(struct tcp_link *l, struct tcp_stream *last)
{
    struct tcp_stream *tail = last;

    if (last == NULL || last->next == NULL)
        return;
    while (tail->next != NULL)
        tail = tail->next;
    tail->next = l->streams;
    l->streams = last->next;
    last->next = NULL;
}

static void tell_writable(struct tcp_link *l)
{
    const struct vly_link_events *events = l->base.events;
    struct tcp_stream *last = NULL;

    if (tcp_may_open(l)) {
        l->streams_wanted = false;
        events->on_writable(l->base.user, UINT64_MAX);
    }
    for (struct tcp_stream *s = l->streams; s != NULL && l->state == LINK_OPEN; s = s->next) {
        if (!s->wants_room || s->send_over || s->sent_bytes == s->send_limit_bytes ||
            !tcp_out_is_ready(l))
            continue;
        s->wants_room = false;
        last = s;
        events->on_writable(l->base.user, s->id);
    }
    rotate(l, last);
}

static void on_connection(uv_poll_t *handle, int status, int events);

static void set_poll(struct tcp_link *l)
{
    int events = UV_READABLE;

    if (l->state == LINK_CONNECTING)
        events = UV_WRITABLE;
    else if (l->out.blocked && l->broken == 0)
        events |= UV_WRITABLE;
    if (events == l->poll_events || l->state == LINK_OVER)
        return;
    l->poll_events = events;
    uv_poll_start(&l->poll, events, on_connection);
}

/* Reading comes before the end that writing met: it may hold the reason. */
static void tcp_pump(struct tcp_link *l, bool readable)
{
    bool more;

    assert(!l->pumping);
    l->pumping = true;
    l->turn_bytes = 0;
    if (l->state >= LINK_PREFACE && l->state < LINK_OVER && (readable || l->broken != 0))
        tcp_read(l);
    tcp_flush(l);
    tell_writable(l);
    l->dirty = false;
    more = !tcp_out_is_ready(l) && !l->out.blocked && l->state == LINK_OPEN;
    tcp_flush(l);
    tcp_streams_sweep(l);
    l->pumping = false;
    if (more || tcp_may_open(l) || l->broken != 0)
        tcp_wake(l);
    set_poll(l);
    if (l->state == LINK_OVER)
        tcp_finish(l);
}

static void on_connected(struct tcp_link *l)
{
    int error = vly_tcp_take_error(l->fd);

    if (error != 0) {
        tcp_fail(l, error);
        return;
    }
    l->state = LINK_PREFACE;
    tcp_handshake_start(l);
}

static void on_connection(uv_poll_t *handle, int status, int events)
{
    struct tcp_link *l = handle->data;

    if (status < 0)
        l->poll_events = 0; /* libuv has stopped it: reading takes the error */
    if (l->state == LINK_CONNECTING)
        on_connected(l);
    if ((events & UV_WRITABLE) != 0 && l->broken == 0)
        l->out.blocked = false;
    tcp_pump(l, status < 0 || (events & UV_READABLE) != 0);
}

static void on_wake(uv_idle_t *handle)
{
    struct tcp_transport *t = handle->data;

    uv_idle_stop(handle);
    for (struct tcp_link *l = t->links, *next; l != NULL; l = next) {
        next = l->next;
        if (l->dirty)
            tcp_pump(l, false);
    }
}

/* ---- time ---- */

/* Silence. While the peer's system owes us acknowledgements it is the one to judge
 * (TCP_USER_TIMEOUT): our own records may wait behind much content. Else a peer that is alive
 * answers a PING. */
static void check_silence(struct tcp_link *l, uint64_t now_ns)
{
    uint64_t quiet_ns;

    if (vly_tcp_unacked_bytes(l->fd) > 0)
        l->quiet_since_ns = now_ns;
    quiet_ns = vly_time_since(now_ns, l->quiet_since_ns);
    if (quiet_ns >= l->limit_idle_ns || (l->pinged && quiet_ns >= l->limit_answer_ns)) {
        tcp_end(l, VLY_E_LOST, 0, "");
    } else if (l->expecting && !l->pinged && quiet_ns >= l->limit_answer_ns / 2) {
        l->pinged = l->need_ping = true;
        tcp_wake(l);
    }
}

static void tick_link(struct tcp_link *l, uint64_t now_ns)
{
    switch (l->state) {
    case LINK_CONNECTING:
    case LINK_PREFACE:
    case LINK_HANDSHAKE:
        if (now_ns >= l->deadline_ns)
            tcp_end(l, VLY_E_NO_ANSWER, 0, "");
        break;
    case LINK_OPEN:
        check_silence(l, now_ns);
        break;
    case LINK_CLOSING:
        if (now_ns >= l->deadline_ns)
            tcp_end(l, 0, 0, "");
        break;
    case LINK_OVER:
        break;
    }
}

static void on_tick(uv_timer_t *handle)
{
    struct tcp_transport *t = handle->data;
    uint64_t now_ns = vly_clock_now_ns();

    listen_on(t, true);
    if (t->links == NULL)
        uv_timer_stop(handle);
    for (struct tcp_link *l = t->links; l != NULL; l = l->next)
        if (!l->pumping)
            tick_link(l, now_ns);
}

static void start_ticking(struct tcp_transport *t)
{
    uint64_t period_ms = t->timeout_ns / VLY_MS(8);

    if (period_ms < TICK_MIN_MS)
        period_ms = TICK_MIN_MS;
    if (period_ms > TICK_MAX_MS)
        period_ms = TICK_MAX_MS;
    if (!uv_is_active((uv_handle_t *)&t->tick))
        uv_timer_start(&t->tick, on_tick, period_ms, period_ms);
}

/* ---- a link's beginning ---- */

/* Takes `fd`. NULL: out of memory. */
static struct tcp_link *link_new(struct tcp_transport *t, int fd, const struct vly_addr *peer)
{
    struct tcp_link *l = calloc(1, sizeof *l);

    if (l == NULL || uv_poll_init_socket(t->loop, &l->poll, fd) != 0) {
        close(fd);
        free(l);
        return NULL;
    }
    t->n_handles++;
    l->base.ops = t->security != NULL ? &tcp_sealed_link_ops : &tcp_link_ops;
    l->transport = t;
    l->poll.data = l;
    l->fd = fd;
    l->out.file_fd = -1;
    l->next_id[1] = 1;
    l->is_server = t->spec.is_server;
    l->state = l->is_server ? LINK_PREFACE : LINK_CONNECTING;
    l->deadline_ns = vly_clock_now_ns() + t->timeout_ns;
    l->peer_addr = *peer;
    vly_addr_text(peer, l->peer_text);
    l->next = t->links;
    if (l->next != NULL)
        l->next->prev = l;
    t->links = l;
    t->n_links++;
    start_ticking(t);
    set_poll(l);
    return l;
}

/* Who has proven nothing yet has his place to himself for a moment, enough for a handshake; then
 * for as long as nobody else wants it, and who has been at it longest goes first. */
static void drop_oldest_stranger(struct tcp_transport *t)
{
    struct tcp_link *oldest = NULL;
    uint64_t begun_ns;

    for (struct tcp_link *l = t->links; l != NULL; l = l->next) /* the latest comes first */
        if (l->state < LINK_OPEN)
            oldest = l;
    if (oldest == NULL)
        return;
    begun_ns = oldest->deadline_ns - t->timeout_ns;
    if (vly_time_since(vly_clock_now_ns(), begun_ns) >= STRANGER_MIN_NS)
        tcp_end(oldest, VLY_E_BUSY, 0, "");
}

/* Beyond the limit connections wait in the kernel, and so they do while there are no descriptors:
 * polling goes on when a link has ended, or with the next tick. */
static void on_listener(uv_poll_t *handle, int status, int events)
{
    struct tcp_transport *t = handle->data;

    (void)events;
    for (unsigned i = 0; status == 0 && i < ACCEPTS_MAX; i++) {
        struct vly_addr peer;
        int fd, err;

        if (t->n_links >= t->spec.max_links + STRANGERS_MAX) {
            if (i == 0) { /* somebody waits */
                drop_oldest_stranger(t);
                listen_on(t, false);
            }
            return;
        }
        /* A connection that finds no descriptor for its files left is of no use. */
        if (t->n_links > 0 && !vly_tcp_has_descriptors(t->listener)) {
            listen_on(t, false);
            start_ticking(t);
            return;
        }
        err = vly_tcp_accept(t->listener, &fd, &peer, &t->socket_opt);
        if (err == 0 && link_new(t, fd, &peer) != NULL)
            continue;
        if (err == 0 || err == VLY_E_NOMEM) {
            listen_on(t, false);
            start_ticking(t);
        }
        if (err != VLY_E_IO) /* of one connection, which is gone */
            return;
    }
}

static int tcp_connect(struct vly_transport *transport, const struct sockaddr *peer,
                       struct vly_link **out)
{
    struct tcp_transport *t = transport_of(transport);
    struct vly_addr addr;
    struct tcp_link *l;
    int fd, err;

    *out = NULL;
    if (t->state != TCP_TRANSPORT_OPEN || t->spec.is_server)
        return VLY_E_STATE;
    if ((err = vly_addr_encode(&addr, peer)) != 0)
        return err;
    err = vly_tcp_connect(&fd, peer, &t->socket_opt);
    if (err != 0 && err != VLY_E_REFUSED)
        return err;
    if ((l = link_new(t, fd, &addr)) == NULL)
        return VLY_E_NOMEM;
    l->has_user = true;
    if (err == VLY_E_REFUSED) /* at once: told from the loop all the same */
        tcp_fail(l, ECONNREFUSED);
    *out = &l->base;
    return 0;
}

/* ---- opening and closing ---- */

static void transport_free(struct tcp_transport *t)
{
    void (*done)(void *ctx) = t->on_done;
    void *ctx = t->done_ctx;

    vly_net_security_free(t->security);
    free(t->in);
    free(t);
    if (done != NULL)
        done(ctx);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct tcp_transport *t = handle->data;

    t->n_handles--;
    transport_finish(t);
}

static void close_listener(struct tcp_transport *t)
{
    if (t->listener < 0)
        return;
    uv_close((uv_handle_t *)&t->listen_poll, on_handle_closed);
    close(t->listener);
    t->listener = -1;
}

/* The next step of closing, if nothing holds it up any more. */
static void transport_finish(struct tcp_transport *t)
{
    if (t->state == TCP_TRANSPORT_CLOSING && t->links == NULL && t->offloads.running == 0) {
        t->state = TCP_TRANSPORT_GONE;
        uv_close((uv_handle_t *)&t->tick, on_handle_closed);
        uv_close((uv_handle_t *)&t->wake, on_handle_closed);
    } else if (t->state == TCP_TRANSPORT_GONE && t->n_handles == 0) {
        transport_free(t);
    }
}

static void on_offload_done(void *owner)
{
    transport_finish(owner);
}

static void tcp_transport_close(struct vly_transport *transport, uint64_t code, const char *reason,
                                void (*done)(void *ctx), void *ctx)
{
    struct tcp_transport *t = transport_of(transport);

    assert(t->state == TCP_TRANSPORT_OPEN);
    t->state = TCP_TRANSPORT_CLOSING;
    t->on_done = done;
    t->done_ctx = ctx;
    close_listener(t);
    for (struct tcp_link *l = t->links; l != NULL; l = l->next) {
        if (l->has_user)
            tcp_close(l, 0, true, code, reason);
        else
            tcp_end(l, 0, 0, "");
    }
    transport_finish(t);
}

static const struct transport_ops tcp_ops = {.connect = tcp_connect, .close = tcp_transport_close};

static int make_listener(struct tcp_transport *t)
{
    int err = vly_tcp_listen(&t->listener, t->spec.bind, &t->socket_opt);

    if (err != 0)
        return err;
    if (uv_poll_init_socket(t->loop, &t->listen_poll, t->listener) != 0) {
        close(t->listener);
        t->listener = -1;
        return VLY_E_IO;
    }
    t->listen_poll.data = t;
    t->n_handles++;
    listen_on(t, true);
    return 0;
}

static struct tcp_transport *transport_new(uv_loop_t *loop, const struct vly_transport_spec *spec)
{
    struct tcp_transport *t = calloc(1, sizeof *t);

    if (t == NULL || (t->in = malloc(TCP_IN_BYTES)) == NULL) {
        free(t);
        return NULL;
    }
    t->base.ops = &tcp_ops;
    t->spec = *spec;
    if (t->spec.max_links == 0)
        t->spec.max_links = LINKS_DEFAULT;
    memcpy(t->application, spec->application, strlen(spec->application) + 1);
    t->timeout_ns = spec->options.timeout_ns != 0 ? spec->options.timeout_ns : TIMEOUT_DEFAULT_NS;
    if (spec->options.tcp_cc != NULL)
        memcpy(t->cc, spec->options.tcp_cc, strlen(spec->options.tcp_cc) + 1);
    t->socket_opt = (struct vly_tcp_options){.cc = t->cc[0] != '\0' ? t->cc : NULL,
                                             .buffer_bytes = spec->options.window_bytes,
                                             .timeout_ns = t->timeout_ns};
    t->credit_bytes = vly_tcp_credit_bytes(spec->options.window_bytes);
    t->loop = loop;
    t->listener = -1;
    t->offloads = (struct vly_offloads){.loop = loop, .on_less = on_offload_done, .owner = t};
    uv_timer_init(loop, &t->tick);
    uv_idle_init(loop, &t->wake);
    t->tick.data = t->wake.data = t;
    t->n_handles = 2;
    return t;
}

static int secure(struct tcp_transport *t)
{
    int err = vly_net_security_new(&t->security, t->spec.options.security, t->spec.is_server);

    t->spec.options.security = NULL; /* was borrowed */
    return err;
}

int tcp_transport_open(struct vly_transport **out, uv_loop_t *loop,
                       const struct vly_transport_spec *spec)
{
    size_t name_len = strlen(spec->application);
    struct tcp_transport *t;
    union vly_sockaddr local;
    int err;

    if (name_len == 0 || name_len > VLY_TCP_APPLICATION_MAX)
        return VLY_E_INVALID;
    if (spec->options.tcp_cc != NULL && !vly_tcp_cc_exists(spec->options.tcp_cc))
        return VLY_E_INVALID;
    if ((t = transport_new(loop, spec)) == NULL)
        return VLY_E_NOMEM;
    if ((!spec->options.plain && (err = secure(t)) != 0) ||
        (spec->is_server && (err = make_listener(t)) != 0)) {
        tcp_transport_close(&t->base, 0, "", NULL, NULL);
        return err;
    }
    memcpy(&local, spec->bind,
           spec->bind->sa_family == AF_INET6 ? sizeof local.v6 : sizeof local.v4);
    if (t->listener >= 0)
        vly_tcp_local(t->listener, &local);
    transport_set_local(&t->base, &local);
    *out = &t->base;
    return 0;
}
