/*
 * addr - socket addresses as the engine carries them: opaque, equal when their bytes are.
 *
 *   bytes  IPv4            bytes  IPv6
 *       2  port                2  port
 *       4  address            16  address
 *                              4  scope (interface index, host order), 0 when there is none
 *
 * A sockaddr itself would not do: it has padding, and a flow label that no comparison should see.
 */
#ifndef VLY_NET_ADDR_H
#define VLY_NET_ADDR_H

#include "proto/endpoint.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define VLY_ADDR_PORT_BYTES 2

/* "[", an IPv6 address with "%" and an interface name, "]:65535" and NUL. */
#define VLY_ADDR_TEXT_MAX 72

/* Room for either kind of address. */
union vly_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Returns VLY_E_INVALID when `sa` is neither IPv4 nor IPv6. */
VLY_MUST_USE int vly_addr_encode(struct vly_addr *out, const struct sockaddr *sa);

/* Returns the length of the sockaddr. `a` came from vly_addr_encode. */
socklen_t vly_addr_decode(union vly_sockaddr *out, const struct vly_addr *a);

/* "192.0.2.1:7711", "[2001:db8::1]:7711", "[fe80::1%eth0]:7711". */
void vly_addr_text(const struct vly_addr *a, char text[VLY_ADDR_TEXT_MAX]);

#endif
