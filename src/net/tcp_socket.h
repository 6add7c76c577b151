/*
 * tcp_socket - the system calls of a TCP connection: options, addresses, congestion control,
 * TCP_INFO.
 *
 * The only file that knows TCP's socket options. Sockets are non-blocking and close-on-exec; the
 * kernel tunes their buffers itself unless a size was asked for.
 */
#ifndef VLY_NET_TCP_SOCKET_H
#define VLY_NET_TCP_SOCKET_H

#include "net/addr.h"

#include <volley/transport.h>

struct vly_tcp_options {
    const char *cc;        /* NULL: the system's */
    uint64_t buffer_bytes; /* 0: the kernel's own tuning */
    uint64_t timeout_ns;   /* sent and not acknowledged for so long: the connection is lost */
};

/* Returns 0 and the descriptor, which the caller closes, or VLY_E_EXISTS, VLY_E_PERMISSION,
 * VLY_E_UNREACHABLE, VLY_E_INVALID (address family, cc), VLY_E_NOMEM, VLY_E_IO. */
VLY_MUST_USE int vly_tcp_listen(int *out_fd, const struct sockaddr *at,
                                const struct vly_tcp_options *opt);
/* Begins to connect: it is decided when the socket becomes writable. Errors likewise, and
 * VLY_E_REFUSED, with a descriptor that is good for nothing. */
VLY_MUST_USE int vly_tcp_connect(int *out_fd, const struct sockaddr *to,
                                 const struct vly_tcp_options *opt);
/* Whether the process has descriptors left for what a few more connections do, not for their
 * sockets alone. `fd` is any of its own. */
bool vly_tcp_has_descriptors(int fd);
/* Returns 0; VLY_E_AGAIN when nobody waits; VLY_E_NOMEM when the system has no descriptor or memory
 * for it now; VLY_E_IO. */
VLY_MUST_USE int vly_tcp_accept(int listener, int *out_fd, struct vly_addr *peer,
                                const struct vly_tcp_options *opt);

void vly_tcp_local(int fd, union vly_sockaddr *out);
/* The errno that a pending connect, or the connection, ended with; 0: none. */
int vly_tcp_take_error(int fd);
/* What an errno of a TCP call amounts to. */
int vly_tcp_err(int errno_value);
/* Bytes that were sent and not acknowledged, or wait to be sent. */
uint64_t vly_tcp_unacked_bytes(int fd);
/* From TCP_INFO; `transport` and `io` are left alone. */
void vly_tcp_stats(int fd, struct vly_link_stats *out);
/* Credit for a stream with which the kernel's buffers are always the narrower limit. */
uint64_t vly_tcp_credit_bytes(uint64_t buffer_bytes);

/* Whether the kernel lets us use the congestion control `name`. */
bool vly_tcp_cc_exists(const char *name);
/* Those it has ready, as in "reno cubic"; "" when it does not tell. */
void vly_tcp_cc_list(char *out, size_t cap);

#endif
