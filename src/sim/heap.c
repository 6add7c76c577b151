#include "sim/heap.h"

#include <assert.h>
#include <stdlib.h>

#define ARITY 4      /* half as deep as a binary heap; four children lie in two cache lines */
#define FIRST_CAP 64 /* a power of two, as all ring sizes */

void vly_heap_init(struct vly_heap *h)
{
    *h = (struct vly_heap){0};
}

void vly_heap_fini(struct vly_heap *h)
{
    free(h->e);
    free(h->queue);
    *h = (struct vly_heap){0};
}

static bool is_before(const struct vly_heap_entry *a, const struct vly_heap_entry *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

static bool is_after_queue(const struct vly_heap *h, uint64_t at_ns)
{
    size_t last = (h->queue_begin + h->queue_n - 1) & (h->queue_cap - 1);

    return h->queue_n == 0 || at_ns >= h->queue[last].at_ns;
}

static int queue_grow(struct vly_heap *h)
{
    size_t cap = h->queue_cap > 0 ? 2 * h->queue_cap : FIRST_CAP;
    struct vly_heap_entry *queue;

    if (h->queue_n >= VLY_HEAP_MAX)
        return VLY_E_LIMIT;
    queue = malloc(cap * sizeof(*queue));
    if (queue == NULL)
        return VLY_E_NOMEM;
    for (size_t i = 0; i < h->queue_n; i++)
        queue[i] = h->queue[(h->queue_begin + i) & (h->queue_cap - 1)];
    free(h->queue);
    h->queue = queue;
    h->queue_cap = cap;
    h->queue_begin = 0;
    return 0;
}

static int queue_push(struct vly_heap *h, const struct vly_heap_entry *new)
{
    if (h->queue_n == h->queue_cap) {
        int err = queue_grow(h);

        if (err != 0)
            return err;
    }
    h->queue[(h->queue_begin + h->queue_n++) & (h->queue_cap - 1)] = *new;
    return 0;
}

static int grow(struct vly_heap *h)
{
    size_t cap = h->cap > 0 ? 2 * h->cap : FIRST_CAP;
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

static int heap_push(struct vly_heap *h, const struct vly_heap_entry *new)
{
    size_t i = h->n;

    if (h->n == h->cap) {
        int err = grow(h);

        if (err != 0)
            return err;
    }
    h->n++;
    while (i > 0 && is_before(new, &h->e[(i - 1) / ARITY])) {
        h->e[i] = h->e[(i - 1) / ARITY];
        i = (i - 1) / ARITY;
    }
    h->e[i] = *new;
    return 0;
}

int vly_heap_push(struct vly_heap *h, uint64_t at_ns, void *item)
{
    struct vly_heap_entry new = {at_ns, h->pushed++, item};
    int err = is_after_queue(h, at_ns) ? queue_push(h, &new) : heap_push(h, &new);

    vly_heap_check(h);
    return err;
}

/* The queue's first event comes before the heap's. */
static bool is_queue_next(const struct vly_heap *h)
{
    return h->queue_n > 0 &&
           (h->n == 0 || is_before(&h->queue[h->queue_begin & (h->queue_cap - 1)], &h->e[0]));
}

uint64_t vly_heap_next_ns(const struct vly_heap *h)
{
    if (is_queue_next(h))
        return h->queue[h->queue_begin & (h->queue_cap - 1)].at_ns;
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

static void *heap_pop(struct vly_heap *h)
{
    void *item = h->e[0].item;
    struct vly_heap_entry last = h->e[--h->n];
    size_t i = 0;

    while (i * ARITY + 1 < h->n) {
        size_t child = first_child(h, i);

        if (!is_before(&h->e[child], &last))
            break;
        h->e[i] = h->e[child];
        i = child;
    }
    h->e[i] = last;
    return item;
}

void *vly_heap_pop(struct vly_heap *h)
{
    void *item = NULL;

    if (is_queue_next(h)) {
        item = h->queue[h->queue_begin++ & (h->queue_cap - 1)].item;
        h->queue_n--;
    } else if (h->n > 0) {
        item = heap_pop(h);
    }
    vly_heap_check(h);
    return item;
}

void vly_heap_check(const struct vly_heap *h)
{
#ifdef VLY_CHECKS
    size_t mask = h->queue_cap - 1;

    /* All of it at each step would be quadratic: the path from the last one to the root, the root's
     * children, and both ends of the queue. */
    assert(h->n <= h->cap && h->queue_n <= h->queue_cap);
    for (size_t i = h->n > 0 ? h->n - 1 : 0; i > 0; i = (i - 1) / ARITY)
        assert(!is_before(&h->e[i], &h->e[(i - 1) / ARITY]));
    for (size_t i = 1; i <= ARITY && i < h->n; i++)
        assert(is_before(&h->e[0], &h->e[i]));
    if (h->queue_n > 1) {
        size_t last = h->queue_begin + h->queue_n - 1;

        assert(is_before(&h->queue[h->queue_begin & mask], &h->queue[(h->queue_begin + 1) & mask]));
        assert(is_before(&h->queue[(last - 1) & mask], &h->queue[last & mask]));
    }
#else
    (void)h;
#endif
}
