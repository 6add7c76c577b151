/*
 * udp_socket - a UDP socket with four ways to move datagrams, chosen at run time.
 *
 *     basic  one call a datagram
 *     mmsg   sendmmsg, recvmmsg: one call for many datagrams, each still its own in the kernel
 *     gso    UDP_SEGMENT, UDP_GRO: a run of equal datagrams crosses the kernel as one
 *     splice gso, and the kernel reads long batches where they stand (vmsplice, splice) in place of
 *            copying them
 *
 * The only files with these calls, ECN and SO_RXQ_OVFL in them are udp_*.c. Where the kernel
 * refuses a segmented send (a path with a small MTU, a device without checksums) the same data goes
 * out by mmsg at once, and so do the next batches of that size to that address.
 */
#ifndef VLY_NET_UDP_SOCKET_H
#define VLY_NET_UDP_SOCKET_H

#include "proto/endpoint.h"

#include <sys/socket.h>

/* --io */
enum vly_io { VLY_IO_AUTO, VLY_IO_BASIC, VLY_IO_MMSG, VLY_IO_GSO, VLY_IO_SPLICE };

const char *vly_io_name(enum vly_io io);
/* Returns false when `name` is none of auto, basic, mmsg, gso, splice. */
bool vly_io_parse(const char *name, enum vly_io *out);

#define VLY_SOCKET_BUFFER_BYTES (8u << 20) /* asked for; what was given is read back */

struct vly_udp_options {
    enum vly_io io;        /* the best to use: what the kernel lacks is replaced by the next */
    uint32_t buffer_bytes; /* 0: VLY_SOCKET_BUFFER_BYTES */
};

struct vly_udp_stats {
    uint64_t send_calls, recv_calls;
    uint64_t datagrams_sent, datagrams_received;
    uint64_t gso_fallbacks; /* segmented sends refused */
    uint64_t send_errors;   /* datagrams the kernel refused: lost */
    uint64_t kernel_drops;  /* SO_RXQ_OVFL as 64 bits; a GRO run counts once */
};

struct vly_udp; /* owns its descriptor and its receive buffers */

/* Opens a non-blocking socket bound to `bind_addr` (port 0: any; an IPv6 one takes no IPv4) and
 * raises its buffers (SO_*BUFFORCE, else SO_*BUF). Errors: VLY_E_INVALID (neither IPv4 nor IPv6),
 * VLY_E_NOMEM, VLY_E_EXISTS (address in use), VLY_E_PERMISSION, VLY_E_UNREACHABLE (no such local
 * address), VLY_E_IO; errno is left as the kernel set it, *out NULL. */
VLY_MUST_USE int vly_udp_open(struct vly_udp **out, const struct sockaddr *bind_addr,
                              const struct vly_udp_options *opt);
/* NULL is allowed. */
void vly_udp_close(struct vly_udp *s);
int vly_udp_fd(const struct vly_udp *s);
/* The address it is bound to. */
void vly_udp_local(const struct vly_udp *s, struct sockaddr_storage *out);
/* The strategy of the socket, and the one in use towards `to` after refusals; never AUTO. */
enum vly_io vly_udp_io(const struct vly_udp *s);
enum vly_io vly_udp_io_to(const struct vly_udp *s, const struct vly_addr *to);
/* Payload bytes the receive buffer is good for: half of what the kernel granted, since it counts
 * its own overhead too. */
uint32_t vly_udp_recv_buffer_bytes(const struct vly_udp *s);
/* Whether the routing table knows a way to `peer` from here: 0, VLY_E_UNREACHABLE,
 * VLY_E_PERMISSION, VLY_E_INVALID (the other address family). Sends nothing; true of remote trouble
 * it knows none. */
VLY_MUST_USE int vly_udp_check_route(const struct vly_udp *s, const struct vly_addr *peer);

/* How far a batch has come; all zero at first, but for `may_lend`. */
struct vly_udp_progress {
    size_t done;   /* bytes handed to the kernel */
    bool may_lend; /* the caller can leave the batch's bytes as they are for a while */
    bool lent;     /* and has to: the kernel reads them where they stand, when the receiver does */
};

/* Sends the rest of the batch, from `p->done` on, which becomes b->len. Returns 0; VLY_E_AGAIN when
 * the socket is full: call again with the same batch, gathered at most, when it is writable;
 * VLY_E_UNREACHABLE, VLY_E_PERMISSION, VLY_E_IO when the rest was dropped. To the engine what was
 * dropped is lost. */
VLY_MUST_USE int vly_udp_send(struct vly_udp *s, const struct vly_batch *b,
                              struct vly_udp_progress *p);

/* The size of the shortest datagram since the last call that the device it was to leave by does not
 * take; 0: there was none. To be called after each vly_udp_send. */
size_t vly_udp_take_too_long(struct vly_udp *s);

/* Called for `n` datagrams in the order they came, up to 64; `d` and the bytes are borrowed during
 * the call. */
typedef void vly_udp_on_datagrams(void *ctx, const struct vly_datagram *d, size_t n);
/* Reads one batch and calls `on` for all of its datagrams (a GRO run cut into its segments).
 * Returns 0 when the socket is drained, VLY_E_AGAIN when there may be more, or VLY_E_IO. */
VLY_MUST_USE int vly_udp_recv(struct vly_udp *s, vly_udp_on_datagrams *on, void *ctx);
void vly_udp_stats(const struct vly_udp *s, struct vly_udp_stats *out);

#endif
