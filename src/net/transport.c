/*
 * transport - one way to open, connect and close for all carriers.
 */
#include "net/transport_internal.h"

#include <arpa/inet.h>
#include <string.h>

uint64_t transport_idle_timeout_ns(uint64_t timeout_ns)
{
    if (timeout_ns <= VLY_S(15))
        return VLY_S(30);
    return timeout_ns < VLY_S(300) ? 2 * timeout_ns : VLY_S(600);
}

void transport_set_local(struct vly_transport *t, const union vly_sockaddr *local)
{
    bool is_v6 = local->any.sa_family == AF_INET6;

    t->port = ntohs(is_v6 ? local->v6.sin6_port : local->v4.sin_port);
    if (is_v6)
        inet_ntop(AF_INET6, &local->v6.sin6_addr, t->address, sizeof t->address);
    else
        inet_ntop(AF_INET, &local->v4.sin_addr, t->address, sizeof t->address);
}

/* Copies a struct that may be older, or newer, than ours. */
static void copy(void *to, size_t to_size, const void *from, size_t from_size)
{
    memset(to, 0, to_size);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
}

int vly_transport_open(struct vly_transport **out, struct uv_loop_s *loop,
                       const struct vly_transport_spec *spec)
{
    struct vly_transport_spec s;

    *out = NULL;
    copy(&s, sizeof s, spec, spec->size);
    if (s.application == NULL || s.bind == NULL || (s.is_server && s.on_accept == NULL))
        return VLY_E_INVALID;
    switch (s.options.carrier) {
    case VLY_CARRIER_UDP:
        return udp_transport_open(out, loop, &s);
    case VLY_CARRIER_TCP:
        return tcp_transport_open(out, loop, &s);
    }
    return VLY_E_INVALID;
}

int vly_transport_connect(struct vly_transport *t, const struct sockaddr *peer,
                          struct vly_link **out)
{
    return t->ops->connect(t, peer, out);
}

const char *vly_transport_address(const struct vly_transport *t)
{
    return t->address;
}

uint16_t vly_transport_port(const struct vly_transport *t)
{
    return t->port;
}

void vly_transport_close(struct vly_transport *t, uint64_t code, const char *reason,
                         void (*done)(void *ctx), void *ctx)
{
    t->ops->close(t, code, reason, done, ctx);
}
