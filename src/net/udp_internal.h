/*
 * udp_internal - what udp_socket.c, udp_send.c and udp_recv.c share.
 */
#ifndef VLY_NET_UDP_INTERNAL_H
#define VLY_NET_UDP_INTERNAL_H

#include "net/addr.h"
#include "net/udp_socket.h"

#include <stdalign.h>
#include <sys/uio.h>

/* A slot takes the longest GRO run. While runs come, few slots are read at once, so that all of
 * them stay in the second-level cache; while single datagrams come, many are. Slots begin at
 * different places of the cache's sets. */
#define UDP_SLOT_BYTES 65536u
#define UDP_SLOT_STRIDE_BYTES (UDP_SLOT_BYTES + 25u * 64u)
#define UDP_SLOTS_FEW 8u
#define UDP_SLOTS_MAX 64u
#define UDP_CONTROL_BYTES 128u

/* Addresses to which segmented sends were refused: one entry a hash, the newer one stays. */
#define UDP_REFUSALS 64u

struct udp_refusal {
    struct vly_addr to;
    size_t segment_bytes; /* this size and larger ones; 0: the entry is free */
    unsigned batches;     /* sent without segmentation since */
};

struct udp_slot {
    union vly_sockaddr from;
    struct vly_addr peer; /* the same, as the engine has it */
    alignas(8) uint8_t control[UDP_CONTROL_BYTES];
};

struct vly_udp {
    int fd; /* -1 while half-built */
    int family;
    enum vly_io io;
    enum vly_ecn ecn; /* of the datagrams sent */
    uint32_t recv_buffer_bytes;
    uint32_t drops_seen; /* SO_RXQ_OVFL when last heard */
    struct vly_udp_stats stats;
    union vly_sockaddr local;

    int pipe[2];           /* udp_splice.c; -1 while there is none */
    unsigned copy_batches; /* to be copied before splicing is tried again */

    size_t too_long_bytes; /* of the shortest datagram that was, since it was asked for; 0: none */
    bool has_refusals;
    struct udp_refusal refusals[UDP_REFUSALS];

    unsigned n_slots; /* to be read at once */
    uint8_t *buffers; /* of UDP_SLOTS_MAX slots */
    struct udp_slot slots[UDP_SLOTS_MAX];
    struct iovec iovecs[UDP_SLOTS_MAX];
    struct mmsghdr messages[UDP_SLOTS_MAX];
};

/* udp_send.c: the part of a batch that is still to be sent. */
struct udp_rest {
    union vly_sockaddr to;
    socklen_t to_len;
    const uint8_t *data;
    size_t len;
    size_t segment_bytes;
    struct vly_span apart; /* vly_batch.apart */
};

/* A message to r->to, without content, that is cut into segments of r->segment_bytes. */
struct udp_message {
    struct msghdr header;
    alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
};
void vly_udp_message(struct udp_message *m, struct udp_rest *r);

/* udp_splice.c: whether the kernel can do it at all. */
bool vly_udp_can_splice(void);
enum udp_spliced {
    UDP_SPLICED,       /* the kernel reads it where it stands */
    UDP_NOT_SPLICED,   /* not now: it is to be copied */
    UDP_SPLICE_FAILED, /* it is to be copied, and the kernel may be reading it all the same */
};
/* Hands all of `r`, none of which stands apart, over without copying it. */
enum udp_spliced vly_udp_splice(struct vly_udp *s, struct udp_rest *r);
/* What could be copied could not be spliced: that is tried again much later. */
void vly_udp_copy_for_a_while(struct vly_udp *s);
void vly_udp_close_pipe(struct vly_udp *s);

#endif
