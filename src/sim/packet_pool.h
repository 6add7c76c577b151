/*
 * packet_pool - memory of the datagrams under way: free lists by size, last in, first out.
 *
 * Cost: O(1). What was freed last, and still is in the cache, is given out first.
 */
#ifndef VLY_SIM_PACKET_POOL_H
#define VLY_SIM_PACKET_POOL_H

#include <volley/base.h>

#define VLY_POOL_CLASSES 4

struct vly_pool_packet {
    struct vly_pool_packet *next; /* in the free list */
    uint8_t size_class;
    uint8_t ecn;
    uint16_t from, to; /* nodes */
    uint32_t len;
    uint8_t data[];
};

struct vly_packet_pool {
    struct vly_pool_packet *unused[VLY_POOL_CLASSES]; /* owned */
    uint64_t live_bytes, live_max_bytes;              /* handed out, and how much may be */
};

void vly_pool_init(struct vly_packet_pool *p, uint64_t live_max_bytes);
/* Everything handed out must have been put back. */
void vly_pool_fini(struct vly_packet_pool *p);
/* A packet with room for `len` bytes, at most 65535, its other fields undefined; NULL when memory
 * or live_max_bytes do not suffice. */
struct vly_pool_packet *vly_pool_get(struct vly_packet_pool *p, size_t len);
void vly_pool_put(struct vly_packet_pool *p, struct vly_pool_packet *packet);

#endif
