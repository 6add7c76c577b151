/*
 * rangeset - sorted disjoint ranges in one block that grows by doubling.
 *
 * Invariants and cost: rangeset.h. A transport adds at the end (what is sent or arrives in order)
 * and removes at the front (what is acknowledged or consumed); both move nothing. The rest are a
 * binary search and a memmove, which for the few hundred ranges of a lossy path is cheaper than
 * any tree.
 */
#include "rangeset.h"

#include <assert.h>
#include <string.h>

#define FIRST_CAP 8
#define CHECK_ALWAYS 256 /* ranges */

void vly_rangeset_init(struct vly_rangeset *s, const struct vly_alloc *alloc, size_t max)
{
    assert(max > 0);
    *s = (struct vly_rangeset){.alloc = alloc, .max = max};
}

void vly_rangeset_fini(struct vly_rangeset *s)
{
    if (s->cap > 0)
        s->alloc->resize(s->alloc->ctx, s->r - s->head, s->cap * sizeof(*s->r), 0);
    vly_rangeset_init(s, s->alloc, s->max);
}

size_t vly_ranges_find(const struct vly_range *r, size_t n, uint64_t value)
{
    size_t low = 0;
    size_t high = n;

    if (n == 0 || value < r[0].end)
        return 0;
    if (value >= r[n - 1].end)
        return n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (r[mid].end > value)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

size_t vly_rangeset_find(const struct vly_rangeset *s, uint64_t value)
{
    return vly_ranges_find(s->r, s->n, value);
}

/* Doubles the block. */
static int grow(struct vly_rangeset *s)
{
    struct vly_range *block = s->cap > 0 ? s->r - s->head : NULL;
    size_t cap = s->cap > 0 ? s->cap * 2 : FIRST_CAP;

    if (cap > s->max)
        cap = s->max;
    block = s->alloc->resize(s->alloc->ctx, block, s->cap * sizeof(*block), cap * sizeof(*block));
    if (block == NULL)
        return VLY_E_NOMEM;
    s->r = block + s->head;
    s->cap = cap;
    return 0;
}

/* Moves the ranges to the beginning of their block. */
static void slide_down(struct vly_rangeset *s)
{
    struct vly_range *block = s->r - s->head;

    assert(s->cap > 0 && block != NULL);
    memmove(block, s->r, s->n * sizeof(*s->r));
    s->r = block;
    s->head = 0;
}

/* Makes sure that r[n] may be written. */
static int make_room(struct vly_rangeset *s)
{
    if (s->head + s->n < s->cap)
        return 0;
    if (s->n == s->max)
        return VLY_E_LIMIT;
    /* Sliding pays only when at least as many slots come free as ranges move. */
    if (s->cap == 0 || (s->head < s->n && s->cap < s->max))
        return grow(s);
    slide_down(s);
    return 0;
}

/* Inserts [begin, end), which touches no other range, before r[i]. */
static int insert_at(struct vly_rangeset *s, size_t i, uint64_t begin, uint64_t end)
{
    int err = make_room(s);

    if (err != 0)
        return err;
    assert(s->r != NULL && s->head + s->n < s->cap);
    memmove(&s->r[i + 1], &s->r[i], (s->n - i) * sizeof(*s->r));
    s->r[i] = (struct vly_range){begin, end};
    s->n++;
    return 0;
}

/* Takes r[i] up to before r[j] out. */
static void delete_between(struct vly_rangeset *s, size_t i, size_t j)
{
    if (i == 0 && j > 0) {
        s->r += j;
        s->head += j;
    } else if (j > i) {
        memmove(&s->r[i], &s->r[j], (s->n - j) * sizeof(*s->r));
    }
    s->n -= j - i;
}

/* After an operation. A large set is checked at some sizes only: checking 65,536 ranges each time
 * takes the tests of the caps a minute. */
static void check_some(const struct vly_rangeset *s)
{
    if (s->n <= CHECK_ALWAYS || s->n % CHECK_ALWAYS == 0)
        vly_rangeset_check(s);
}

/* Adds anywhere but at the end. */
static int add_inside(struct vly_rangeset *s, uint64_t begin, uint64_t end)
{
    /* [i, j) are the ranges that overlap or touch [begin, end). */
    size_t i = begin > 0 ? vly_rangeset_find(s, begin - 1) : 0;
    size_t j = i;

    while (j < s->n && s->r[j].begin <= end)
        j++;
    if (i == j)
        return insert_at(s, i, begin, end);
    if (s->r[i].begin < begin)
        begin = s->r[i].begin;
    if (s->r[j - 1].end > end)
        end = s->r[j - 1].end;
    s->r[j - 1] = (struct vly_range){begin, end};
    delete_between(s, i, j - 1);
    return 0;
}

int vly_rangeset_add(struct vly_rangeset *s, uint64_t begin, uint64_t end)
{
    struct vly_range *last = s->n > 0 ? &s->r[s->n - 1] : NULL;
    int err = 0;

    assert(begin <= end);
    if (begin == end)
        return 0;
    if (last != NULL && begin >= last->begin && begin <= last->end) {
        if (end > last->end)
            last->end = end;
    } else if (last == NULL || begin > last->end) {
        err = insert_at(s, s->n, begin, end);
    } else {
        err = add_inside(s, begin, end);
    }
    check_some(s);
    return err;
}

int vly_rangeset_remove(struct vly_rangeset *s, uint64_t begin, uint64_t end)
{
    size_t i = vly_rangeset_find(s, begin);
    size_t j;

    assert(begin <= end);
    if (begin == end || i == s->n || s->r[i].begin >= end)
        return 0;
    if (s->r[i].begin < begin && s->r[i].end > end) {
        int err = insert_at(s, i + 1, end, s->r[i].end);

        if (err == 0)
            s->r[i].end = begin;
        check_some(s);
        return err;
    }
    if (s->r[i].begin < begin)
        s->r[i++].end = begin;
    for (j = i; j < s->n && s->r[j].end <= end;)
        j++;
    if (j < s->n && s->r[j].begin < end)
        s->r[j].begin = end;
    delete_between(s, i, j);
    check_some(s);
    return 0;
}

void vly_rangeset_trim(struct vly_rangeset *s, uint64_t floor)
{
    delete_between(s, 0, vly_rangeset_find(s, floor));
    if (s->n > 0 && s->r[0].begin < floor)
        s->r[0].begin = floor;
    check_some(s);
}

void vly_rangeset_clear(struct vly_rangeset *s)
{
    delete_between(s, 0, s->n);
    check_some(s);
}

bool vly_rangeset_has(const struct vly_rangeset *s, uint64_t value)
{
    size_t i = vly_rangeset_find(s, value);

    return i < s->n && s->r[i].begin <= value;
}

bool vly_rangeset_covers(const struct vly_rangeset *s, uint64_t begin, uint64_t end)
{
    size_t i = vly_rangeset_find(s, begin);

    assert(begin <= end);
    return begin == end || (i < s->n && s->r[i].begin <= begin && s->r[i].end >= end);
}

bool vly_rangeset_next_gap(const struct vly_rangeset *s, uint64_t begin, uint64_t end,
                           struct vly_range *gap)
{
    size_t i = vly_rangeset_find(s, begin);

    assert(begin <= end);
    if (i < s->n && s->r[i].begin <= begin)
        begin = s->r[i++].end; /* ranges do not touch: what follows is a gap */
    if (begin >= end)
        return false;
    gap->begin = begin;
    gap->end = i < s->n && s->r[i].begin < end ? s->r[i].begin : end;
    return true;
}

uint64_t vly_rangeset_count(const struct vly_rangeset *s)
{
    uint64_t count = 0;

    for (size_t i = 0; i < s->n; i++)
        count += s->r[i].end - s->r[i].begin;
    return count;
}

void vly_rangeset_check(const struct vly_rangeset *s)
{
#ifdef VLY_CHECKS
    assert(s->n <= s->max && s->cap <= s->max && s->head + s->n <= s->cap);
    assert((s->r == NULL) == (s->cap == 0));
    for (size_t i = 0; i < s->n; i++) {
        assert(s->r[i].begin < s->r[i].end);
        assert(i == 0 || s->r[i - 1].end < s->r[i].begin);
    }
#else
    (void)s;
#endif
}
