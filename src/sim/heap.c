#include "sim/heap.h"

#include <assert.h>
#include <stdlib.h>

#define ARITY 4 /* half as deep as a binary heap; four children lie in two cache lines */

void vly_heap_init(struct vly_heap *h)
{
    *h = (struct vly_heap){0};
}

void vly_heap_fini(struct vly_heap *h)
{
    free(h->e);
    *h = (struct vly_heap){0};
}

static bool is_before(const struct vly_heap_entry *a, const struct vly_heap_entry *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

static int grow(struct vly_heap *h)
{
    size_t cap = h->cap > 0 ? 2 * h->cap : 64;
    struct vly_heap_entry *e;

    if (h->n >= VLY_HEAP_MAX)
        return VLY_E_LIMIT;
    e = realloc(h->e, cap * sizeof(*e));
    if (e == NULL)
        return VLY_E_NOMEM;
    h->e = e;
    h->cap = cap;
    return 0;
}

int vly_heap_push(struct vly_heap *h, uint64_t at_ns, void *item)
{
    struct vly_heap_entry new = {at_ns, h->pushed, item};
    size_t i = h->n;

    if (h->n == h->cap) {
        int err = grow(h);

        if (err != 0)
            return err;
    }
    h->n++;
    h->pushed++;
    while (i > 0 && is_before(&new, &h->e[(i - 1) / ARITY])) {
        h->e[i] = h->e[(i - 1) / ARITY];
        i = (i - 1) / ARITY;
    }
    h->e[i] = new;
    vly_heap_check(h);
    return 0;
}

uint64_t vly_heap_next_ns(const struct vly_heap *h)
{
    return h->n > 0 ? h->e[0].at_ns : VLY_NEVER;
}

static size_t first_child(const struct vly_heap *h, size_t parent)
{
    size_t first = parent * ARITY + 1;
    size_t end = first + ARITY < h->n ? first + ARITY : h->n;

    for (size_t i = first + 1; i < end; i++)
        if (is_before(&h->e[i], &h->e[first]))
            first = i;
    return first;
}

void *vly_heap_pop(struct vly_heap *h)
{
    struct vly_heap_entry last;
    void *item;
    size_t i = 0;

    if (h->n == 0)
        return NULL;
    item = h->e[0].item;
    last = h->e[--h->n];
    while (i * ARITY + 1 < h->n) {
        size_t child = first_child(h, i);

        if (!is_before(&h->e[child], &last))
            break;
        h->e[i] = h->e[child];
        i = child;
    }
    h->e[i] = last;
    vly_heap_check(h);
    return item;
}

void vly_heap_check(const struct vly_heap *h)
{
#ifdef VLY_CHECKS
    /* The whole heap at each step would be quadratic: the path from the last one to the root, and
     * the root's children. */
    assert(h->n <= h->cap && h->cap <= VLY_HEAP_MAX);
    for (size_t i = h->n > 0 ? h->n - 1 : 0; i > 0; i = (i - 1) / ARITY)
        assert(!is_before(&h->e[i], &h->e[(i - 1) / ARITY]));
    for (size_t i = 1; i <= ARITY && i < h->n; i++)
        assert(is_before(&h->e[0], &h->e[i]));
#else
    (void)h;
#endif
}
