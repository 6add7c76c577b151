/*
 * rangeset - a set of uint64_t as sorted disjoint half-open ranges.
 *
 * Invariant: r[i].begin < r[i].end < r[i + 1].begin (no empty, no touching ranges);
 * n <= max; head + n <= cap <= max.
 * Cost: add at the end and remove at either end O(1), elsewhere O(log n) to find and O(n) to move.
 * (At the end of a full block the ranges slide down into room that removals at the front left;
 * amortised O(1) unless the set is within a few ranges of `max`.) Memory grows by doubling up to
 * `max` ranges and is kept until fini.
 */
#ifndef VLY_PROTO_RANGESET_H
#define VLY_PROTO_RANGESET_H

#include <volley/base.h>

struct vly_range {
    uint64_t begin; /* first member */
    uint64_t end;   /* one past the last */
};

struct vly_rangeset {
    struct vly_range *r; /* owned; the block begins at r - head */
    size_t n;
    size_t head; /* slots before r that removals at the front left */
    size_t cap;  /* slots in the block */
    size_t max;
    const struct vly_alloc *alloc; /* borrowed for the set's life */
};

/* Makes an empty set of at most `max` ranges; allocates nothing. */
void vly_rangeset_init(struct vly_rangeset *s, const struct vly_alloc *alloc, size_t max);
/* Frees the memory; the set is empty and may be used again. */
void vly_rangeset_fini(struct vly_rangeset *s);
/* Adds [begin, end); an empty range is a no-op. Returns 0, VLY_E_LIMIT when it would need more than
 * `max` ranges, VLY_E_NOMEM; on failure the set is unchanged. */
VLY_MUST_USE int vly_rangeset_add(struct vly_rangeset *s, uint64_t begin, uint64_t end);
/* Removes [begin, end). Splitting a range may need one more: errors as for add. */
VLY_MUST_USE int vly_rangeset_remove(struct vly_rangeset *s, uint64_t begin, uint64_t end);
/* Removes everything below `floor`. Never fails. */
void vly_rangeset_trim(struct vly_rangeset *s, uint64_t floor);
void vly_rangeset_clear(struct vly_rangeset *s);
bool vly_rangeset_has(const struct vly_rangeset *s, uint64_t value);
/* The index of the first range whose end is above `value`; n when there is none. */
size_t vly_rangeset_find(const struct vly_rangeset *s, uint64_t value);
/* Whether all of [begin, end) is in the set; true for an empty range. */
bool vly_rangeset_covers(const struct vly_rangeset *s, uint64_t begin, uint64_t end);
/* The first part of [begin, end) that is NOT in the set; false when there is none. */
bool vly_rangeset_next_gap(const struct vly_rangeset *s, uint64_t begin, uint64_t end,
                           struct vly_range *gap);
/* The number of members in the set. */
uint64_t vly_rangeset_count(const struct vly_rangeset *s);
/* Asserts the invariant; a no-op unless VLY_CHECKS is defined (debug and fuzz builds). */
void vly_rangeset_check(const struct vly_rangeset *s);

/* The search of vly_rangeset_find over any n sorted disjoint ranges. */
size_t vly_ranges_find(const struct vly_range *r, size_t n, uint64_t value);

#endif
