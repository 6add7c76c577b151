/*
 * driver - an endpoint, a UDP socket and a timer joined on a uv loop; each connection is offered
 * as a link (volley/transport.h).
 *
 * Nothing here is thread-safe: all calls come from the loop's thread. Every call may also be made
 * from within a link's events.
 */
#ifndef VLY_NET_DRIVER_H
#define VLY_NET_DRIVER_H

#include "net/clock.h"
#include "net/udp_socket.h"
#include <volley/transport.h>

#include <uv.h>

struct vly_driver;

struct vly_driver_options {
    /* window_bytes 0: what the receive buffer holds. ack_every_pkts other than 0: that many
     * datagrams are received at a time, and what they ask for is sent before the next. */
    struct vly_conn_config conn;
    struct vly_udp_options udp;
    bool allow_plain;
    const struct vly_credentials *credentials; /* unless allow_plain; borrowed */
    const struct vly_crypto *crypto;           /* NULL: vly_crypto_system */
    struct vly_keylog keylog;
    bool no_spin; /* plain: never wait for the socket but in the loop, see spin.h */
    bool is_server;
    size_t max_conns;
    struct vly_trace trace;
    /* Server: a connection came in. Set link->events and link->user before returning 0; returning
     * a vly_err closes it with `reject_code` and the error's text, and the link is gone. */
    int (*on_accept)(void *ctx, struct vly_link *link);
    /* Server: VLY_EV_TURNED_AWAY. May be NULL. */
    void (*on_turned_away)(void *ctx, const char *client, const char *why);
    void *ctx;
    uint64_t reject_code; /* an application code, not 0: that would be a clean close */
};

/* Opens the socket at `bind_addr` and starts reading. The options are copied, but what they point
 * to is borrowed for the driver's life. Errors as vly_udp_open; *out is NULL then. */
VLY_MUST_USE int vly_driver_open(struct vly_driver **out, uv_loop_t *loop,
                                 const struct sockaddr *bind_addr,
                                 const struct vly_driver_options *opt);
/* Begins a connection. The link is usable at once for setting events and user; on_open or on_closed
 * follows from the loop. Errors: VLY_E_UNREACHABLE and VLY_E_PERMISSION (the system knows no way
 * there), VLY_E_INVALID (address family), VLY_E_STATE (the driver is closing), and those of
 * vly_endpoint_connect. */
VLY_MUST_USE int vly_driver_connect(struct vly_driver *d, const struct sockaddr *peer,
                                    struct vly_link **out);
/* Closes all connections with `code` and `reason`, waits for them (at most about 600 ms) and for
 * what was offloaded, then closes socket and timer, frees the driver and calls `done` (may be
 * NULL). Every link has had its on_closed by then. Once only. */
void vly_driver_close(struct vly_driver *d, uint64_t code, const char *reason,
                      void (*done)(void *ctx), void *ctx);
/* Both are owned by the driver. What is called on the endpoint's connections from outside goes out
 * with the next packet the driver sends. */
struct vly_udp *vly_driver_socket(struct vly_driver *d);
struct vly_endpoint *vly_driver_endpoint(struct vly_driver *d);

#endif
