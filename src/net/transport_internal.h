/*
 * transport_internal - what a carrier offers as a struct vly_transport.
 */
#ifndef VLY_NET_TRANSPORT_INTERNAL_H
#define VLY_NET_TRANSPORT_INTERNAL_H

#include "net/addr.h"

#include <volley/transport.h>

#include <uv.h>

struct transport_ops {
    int (*connect)(struct vly_transport *t, const struct sockaddr *peer, struct vly_link **out);
    void (*close)(struct vly_transport *t, uint64_t code, const char *reason,
                  void (*done)(void *ctx), void *ctx);
};

struct vly_transport {
    const struct transport_ops *ops;
    uint16_t port;
    char address[INET6_ADDRSTRLEN];
};

/* `spec` has all members of ours; its options were not checked. */
int udp_transport_open(struct vly_transport **out, uv_loop_t *loop,
                       const struct vly_transport_spec *spec);
int tcp_transport_open(struct vly_transport **out, uv_loop_t *loop,
                       const struct vly_transport_spec *spec);

void transport_set_local(struct vly_transport *t, const union vly_sockaddr *local);
/* Silence is borne for twice the time an answer may take, within what can be announced (SPEC 2.10,
 * 13.1). */
uint64_t transport_idle_timeout_ns(uint64_t timeout_ns);

#endif
