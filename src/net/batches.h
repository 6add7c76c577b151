/*
 * batches - the memory in which a driver's batches are made, some of which the kernel still reads.
 *
 * Invariant: the batch to be filled is never one that was lent to the kernel and has not settled
 * (vly_endpoint_has_settled). The last one that is left is not lent, but copied.
 * Cost: no allocation; the one used last is used next, while it is still in the cache.
 */
#ifndef VLY_NET_BATCHES_H
#define VLY_NET_BATCHES_H

#include "proto/endpoint.h"

#define VLY_BATCHES 64u /* the window that most paths of one machine or LAN come to use */

struct vly_lent_batch {
    uint8_t slot;
    uint64_t cid, end_pn; /* of vly_batch */
};

struct vly_batches {
    uint8_t *memory; /* owned; batches begin with a page */
    uint8_t *first;  /* in it */
    uint8_t now;     /* the slot to be filled */
    uint8_t free[VLY_BATCHES];
    unsigned n_free;
    struct vly_lent_batch lent[VLY_BATCHES]; /* a ring, in the order they went */
    unsigned lent_head, n_lent;
};

/* Returns 0 or VLY_E_NOMEM. Takes memory as batches are used: 68 KiB for the first, 2 MiB for the
 * next thirty. */
VLY_MUST_USE int vly_batches_init(struct vly_batches *b);
/* All zero is allowed. The kernel keeps the pages that it has still to read. */
void vly_batches_fini(struct vly_batches *b);
/* Other memory, which the kernel does not read, for all; the batch of now is moved. Returns 0 or
 * VLY_E_NOMEM, and all is as before. */
VLY_MUST_USE int vly_batches_renew(struct vly_batches *b);

/* The batch to be filled, or being sent. */
struct vly_batch *vly_batches_now(const struct vly_batches *b);
/* Whether that one may be lent: takes back those that have settled meanwhile. */
bool vly_batches_may_lend(struct vly_batches *b, const struct vly_endpoint *ep);
/* It was lent; another one takes its place. */
void vly_batches_lend(struct vly_batches *b);

#endif
