/*
 * udp_transport - the driver of the engine, offered as a transport.
 */
#include "net/driver.h"
#include "net/security.h"
#include "net/transport_internal.h"

#include <stdlib.h>
#include <string.h>

struct udp_transport {
    struct vly_transport base; /* first */
    struct vly_driver *driver;
    struct vly_net_security *security; /* owned; NULL: plain */
    void (*done)(void *ctx);
    void *done_ctx;
};

static int udp_connect(struct vly_transport *t, const struct sockaddr *peer, struct vly_link **out)
{
    return vly_driver_connect(((struct udp_transport *)t)->driver, peer, out);
}

static void on_closed(void *ctx)
{
    struct udp_transport *u = ctx;
    void (*done)(void *done_ctx) = u->done;
    void *done_ctx = u->done_ctx;

    vly_net_security_free(u->security);
    free(u);
    if (done != NULL)
        done(done_ctx);
}

static void udp_close(struct vly_transport *t, uint64_t code, const char *reason,
                      void (*done)(void *ctx), void *ctx)
{
    struct udp_transport *u = (struct udp_transport *)t;

    u->done = done;
    u->done_ctx = ctx;
    vly_driver_close(u->driver, code, reason, on_closed, u);
}

static const struct transport_ops udp_ops = {.connect = udp_connect, .close = udp_close};

static int driver_options(struct vly_driver_options *o, const struct vly_transport_spec *spec)
{
    const struct vly_transport_options *t = &spec->options;

    *o = (struct vly_driver_options){.allow_plain = t->plain,
                                     .no_spin = t->no_spin,
                                     .is_server = spec->is_server,
                                     .max_conns = spec->max_links,
                                     .on_accept = spec->on_accept,
                                     .on_turned_away = spec->on_turned_away,
                                     .ctx = spec->ctx,
                                     .reject_code = spec->reject_code};
    o->conn.cc = vly_cc_find(t->cc != NULL ? t->cc : "cubic");
    o->conn.rate_bytes_per_s = t->rate_bytes_per_s;
    o->conn.max_datagram_bytes = t->max_datagram_bytes;
    o->conn.ack_every_pkts = t->ack_every_pkts;
    o->conn.window_max_bytes = t->window_bytes;
    o->conn.send_buffer_max_bytes = t->window_bytes;
    o->conn.handshake_timeout_ns = t->timeout_ns;
    o->conn.answer_timeout_ns = t->timeout_ns;
    o->conn.idle_timeout_ns = transport_idle_timeout_ns(t->timeout_ns);
    o->conn.application = spec->application;
    if (o->conn.cc == NULL || (t->io != NULL && !vly_io_parse(t->io, &o->udp.io)))
        return VLY_E_INVALID;
    return 0;
}

/* Unless the transport is plain. */
static int secure(struct udp_transport *u, struct vly_driver_options *o,
                  const struct vly_transport_spec *spec)
{
    int err;

    if (spec->options.plain)
        return 0;
    err = vly_net_security_new(&u->security, spec->options.security, spec->is_server);
    if (err != 0)
        return err;
    o->credentials = u->security->credentials;
    o->crypto = &u->security->crypto;
    o->keylog = u->security->keylog;
    return 0;
}

int udp_transport_open(struct vly_transport **out, uv_loop_t *loop,
                       const struct vly_transport_spec *spec)
{
    struct udp_transport *u = calloc(1, sizeof *u);
    struct vly_driver_options o;
    struct sockaddr_storage storage;
    union vly_sockaddr local;
    int err;

    if (u == NULL)
        return VLY_E_NOMEM;
    u->base.ops = &udp_ops;
    if ((err = driver_options(&o, spec)) != 0 || (err = secure(u, &o, spec)) != 0 ||
        (err = vly_driver_open(&u->driver, loop, spec->bind, &o)) != 0) {
        vly_net_security_free(u->security);
        free(u);
        return err;
    }
    vly_udp_local(vly_driver_socket(u->driver), &storage);
    memcpy(&local, &storage, sizeof local);
    transport_set_local(&u->base, &local);
    *out = &u->base;
    return 0;
}
