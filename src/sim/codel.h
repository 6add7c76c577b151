/*
 * codel - controlled delay, RFC 8289: drops from a queue in which packets have waited too long for
 * too long, at a rate that grows until they do not.
 *
 * The packets of a queue are shown to it one by one, in their order, each with the time at which it
 * gets to the head and how long it will have waited by then. In a FIFO of known rate both are known
 * when a packet arrives. Deviations from the RFC: the queue counts as short (its "no more than one
 * packet") by what stood before a packet when it came, since what will stand behind it is not known
 * yet. Cost: O(1), one square root for a drop.
 */
#ifndef VLY_SIM_CODEL_H
#define VLY_SIM_CODEL_H

#include <volley/base.h>

struct vly_codel {
    uint64_t target_ns, interval_ns;
    uint64_t standing_ns; /* from when on a wait above target stands; VLY_NEVER: it is not above */
    uint64_t next_drop_ns;
    uint64_t n_drops, n_drops_begin; /* the RFC's count and lastcount: in this spell of dropping */
    bool dropping;
};

/* 0 means the RFC's: 5 ms, 100 ms. */
void vly_codel_init(struct vly_codel *c, uint64_t target_ns, uint64_t interval_ns);
/* Whether to drop the packet that gets to the head at `now_ns` (which never falls) after `wait_ns`.
 * `is_short`: at most one packet stood before it. */
bool vly_codel_drops(struct vly_codel *c, uint64_t now_ns, uint64_t wait_ns, bool is_short);

#endif
