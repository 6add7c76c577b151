/*
 * udp_link - one connection of the engine, offered to file code as a link.
 *
 * Calls change the engine's state and wake the driver; events come from the driver's pump. A link
 * lives from its making to the return of on_closed, its connection a moment longer.
 */
#include "net/driver_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct udp_link *of(struct vly_link *l)
{
    return (struct udp_link *)l;
}

static const struct udp_link *of_const(const struct vly_link *l)
{
    return (const struct udp_link *)l;
}

/* ---- calls ---- */

static int link_open_stream(struct vly_link *l, uint64_t *stream)
{
    return vly_conn_open_stream(of(l)->conn, stream);
}

static int link_set_order(struct vly_link *l, uint64_t stream, enum vly_link_order order)
{
    return vly_conn_set_order(of(l)->conn, stream,
                              order == VLY_LINK_ANY_ORDER ? VLY_ANY_ORDER : VLY_IN_ORDER);
}

static int link_reserve(struct vly_link *l, uint64_t stream, uint8_t **ptr, size_t *len)
{
    return vly_conn_reserve(of(l)->conn, stream, ptr, len);
}

static int link_commit(struct vly_link *l, uint64_t stream, size_t len, bool fin)
{
    driver_wake(of(l)->driver);
    return vly_conn_commit(of(l)->conn, stream, len, fin);
}

static int link_lend(struct vly_link *l, uint64_t stream, const uint8_t *data, size_t *len,
                     bool fin)
{
    driver_wake(of(l)->driver);
    return vly_conn_lend(of(l)->conn, stream, data, len, fin);
}

static uint64_t link_released(const struct vly_link *l, uint64_t stream)
{
    return vly_conn_released(of_const(l)->conn, stream);
}

static void link_consume(struct vly_link *l, uint64_t stream, uint64_t bytes)
{
    driver_wake(of(l)->driver);
    vly_conn_consume(of(l)->conn, stream, bytes, driver_now_ns(of(l)->driver));
}

static void link_reset(struct vly_link *l, uint64_t stream, uint64_t code)
{
    driver_wake(of(l)->driver);
    vly_conn_reset_stream(of(l)->conn, stream, code);
}

static void link_stop(struct vly_link *l, uint64_t stream, uint64_t code)
{
    driver_wake(of(l)->driver);
    vly_conn_stop_stream(of(l)->conn, stream, code);
}

static void link_expect_answer(struct vly_link *l, bool expecting)
{
    driver_wake(of(l)->driver);
    vly_conn_expect_answer(of(l)->conn, expecting);
}

static void link_close(struct vly_link *l, uint64_t code, const char *reason)
{
    driver_wake(of(l)->driver);
    vly_conn_close(of(l)->conn, driver_now_ns(of(l)->driver), code, reason);
}

static void link_stats(const struct vly_link *l, struct vly_link_stats *out)
{
    const struct udp_link *ul = of_const(l);
    const struct vly_suite_ops *suite = vly_conn_suite(ul->conn);
    struct vly_conn_stats s;

    vly_conn_stats(ul->conn, &s);
    *out = (struct vly_link_stats){
        .packets_sent = s.packets_sent,
        .packets_received = s.packets_received,
        .retransmits = s.retransmits,
        .lost_packets = s.lost_packets,
        .spurious_losses = s.spurious_losses,
        .bytes_sent = s.bytes_sent,
        .bytes_received = s.bytes_received,
        .smoothed_rtt_ns = s.smoothed_rtt_ns,
        .min_rtt_ns = s.min_rtt_ns,
        .cwnd_bytes = s.cwnd_bytes,
        .kernel_drops_local = s.kernel_drops_local,
        .kernel_drops_peer = s.kernel_drops_peer,
        .limited_cwnd_ns = s.limited_cwnd_ns,
        .limited_flow_ns = s.limited_flow_ns,
        .limited_pacing_ns = s.limited_pacing_ns,
        .limited_app_ns = s.limited_app_ns,
        .path_changes = s.path_changes,
        .datagram_bytes = s.datagram_bytes,
        .datagram_received_bytes = s.datagram_received_bytes,
        .suite = suite->name,
        .crypto = suite->backend,
        .key_updates = s.key_updates_sent + s.key_updates_received,
        .forgeries = s.forgeries,
        .transport = "udp",
        .io = vly_io_name(driver_io_to(ul->driver, &ul->peer)),
    };
    snprintf(out->cc, sizeof(out->cc), "%s",
             ul->driver->opt.conn.cc != NULL ? ul->driver->opt.conn.cc->name : "cubic");
    static_assert(VLY_LINK_FRAME_TYPES == VLY_FRAME_TYPES, "one counter for each type of frame");
    memcpy(out->frames_sent, s.frames_sent, sizeof(out->frames_sent));
    memcpy(out->frames_received, s.frames_received, sizeof(out->frames_received));
}

static const char *link_peer(const struct vly_link *l)
{
    return of_const(l)->peer_text;
}

static bool link_peer_key(const struct vly_link *l, uint8_t out[VLY_PUBLIC_KEY_BYTES])
{
    const struct udp_link *ul = of_const(l);
    const uint8_t *key = ul->conn != NULL ? vly_conn_peer_key(ul->conn) : NULL;

    if (key != NULL)
        memcpy(out, key, VLY_PUBLIC_KEY_BYTES);
    return key != NULL;
}

static int link_offload(struct vly_link *l, void (*work)(void *arg), void (*done)(void *arg),
                        void *arg)
{
    return vly_offload(&of(l)->driver->offloads, work, done, arg);
}

static const struct vly_link_ops udp_link_ops = {
    .open_stream = link_open_stream,
    .set_order = link_set_order,
    .reserve = link_reserve,
    .commit = link_commit,
    .lend = link_lend,
    .released = link_released,
    .consume = link_consume,
    .reset = link_reset,
    .stop = link_stop,
    .expect_answer = link_expect_answer,
    .close = link_close,
    .stats = link_stats,
    .peer = link_peer,
    .peer_key = link_peer_key,
    .offload = link_offload,
};

/* ---- life and events ---- */

struct udp_link *udp_link_new(struct vly_driver *d, const struct vly_addr *peer)
{
    struct udp_link *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return NULL;
    l->base.ops = &udp_link_ops;
    l->driver = d;
    l->peer = *peer;
    vly_addr_text(peer, l->peer_text);
    l->next = d->links;
    if (l->next != NULL)
        l->next->prev = l;
    d->links = l;
    return l;
}

void udp_link_attach(struct udp_link *l, struct vly_conn *conn)
{
    l->conn = conn;
    vly_conn_set_user(conn, l);
    vly_conn_set_kernel_drops(conn, l->driver->kernel_drops, driver_now_ns(l->driver));
}

void udp_link_free(struct udp_link *l)
{
    if (l == NULL)
        return;
    if (l->conn != NULL)
        vly_conn_set_user(l->conn, NULL);
    if (l->prev != NULL)
        l->prev->next = l->next;
    else
        l->driver->links = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    free(l);
}

void udp_link_close(struct udp_link *l, int err, uint64_t code, const char *reason)
{
    l->base.events->on_closed(l->base.user, err, code, reason);
    udp_link_free(l);
}

/* A close by an application is a clean one, whichever side's it is: its code says the rest. */
static void emit_closed(struct udp_link *l, const struct vly_event *ev)
{
    int err = ev->app_code && ev->err == VLY_E_CLOSED ? 0 : ev->err;

    udp_link_close(l, err, ev->app_code ? ev->code : 0, ev->reason);
}

static void on_moved(struct udp_link *l)
{
    struct vly_span bytes = vly_conn_peer(l->conn);

    l->peer.len = (uint8_t)bytes.len;
    memcpy(l->peer.data, bytes.data, bytes.len);
    vly_addr_text(&l->peer, l->peer_text);
}

void udp_link_emit(struct udp_link *l, const struct vly_event *ev)
{
    const struct vly_link_events *events = l->base.events;
    void *user = l->base.user;

    assert(events != NULL);
    switch (ev->type) {
    case VLY_EV_CONNECTED:
        events->on_open(user);
        break;
    case VLY_EV_STREAM_OPENED:
        events->on_stream(user, ev->stream);
        break;
    case VLY_EV_DATA:
        events->on_data(user, ev->stream, ev->offset, ev->data);
        break;
    case VLY_EV_STREAM_END:
        events->on_end(user, ev->stream, ev->offset);
        break;
    case VLY_EV_STREAM_RESET:
        events->on_reset(user, ev->stream, ev->code);
        break;
    case VLY_EV_STREAM_STOPPED:
        events->on_stopped(user, ev->stream, ev->code);
        break;
    case VLY_EV_WRITABLE:
        events->on_writable(user, ev->stream);
        break;
    case VLY_EV_MOVED:
        on_moved(l);
        break;
    case VLY_EV_CLOSED:
        emit_closed(l, ev);
        break;
    case VLY_EV_ACCEPTED:
    case VLY_EV_STREAM_ACKED:
    case VLY_EV_TURNED_AWAY:
        break; /* no concern of a link's user */
    }
}
