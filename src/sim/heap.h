/*
 * heap - events by time, those of the same time in the order they were pushed.
 *
 * Most events are pushed later than all before them (a link without reordering): these stand in a
 * queue beside the heap, and whichever of the two has the earlier first event gives the next one.
 * Invariant: the keys (time, push count) of the queue rise; those of a heap node are below those of
 * its four children.
 * Cost: O(1) for events pushed in order, else O(log n), n without them. At most VLY_HEAP_MAX events
 * in either; memory grows by doubling and is kept until fini.
 */
#ifndef VLY_SIM_HEAP_H
#define VLY_SIM_HEAP_H

#include <volley/base.h>

#define VLY_HEAP_MAX (1u << 24)

struct vly_heap_entry {
    uint64_t at_ns;
    uint64_t order; /* how many were pushed before */
    void *item;     /* the caller's */
};

struct vly_heap {
    struct vly_heap_entry *e; /* owned: the heap */
    size_t n, cap;
    struct vly_heap_entry *queue; /* owned ring; the first one is at queue_begin % queue_cap */
    size_t queue_begin, queue_n, queue_cap;
    uint64_t pushed;
};

/* Makes an empty heap; allocates nothing. */
void vly_heap_init(struct vly_heap *h);
/* Frees the heap's memory, not the items. */
void vly_heap_fini(struct vly_heap *h);
/* Returns 0, VLY_E_LIMIT, VLY_E_NOMEM. */
VLY_MUST_USE int vly_heap_push(struct vly_heap *h, uint64_t at_ns, void *item);
/* Time of the first event, VLY_NEVER when there is none. */
uint64_t vly_heap_next_ns(const struct vly_heap *h);
/* Takes the first event; NULL when there is none. */
void *vly_heap_pop(struct vly_heap *h);
/* Asserts the invariant; a no-op unless VLY_CHECKS is defined (debug and fuzz builds). */
void vly_heap_check(const struct vly_heap *h);

#endif
