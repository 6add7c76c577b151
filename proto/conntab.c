#include "conntab.h"

#include "conn_internal.h"

#include <string.h>

#define TABLE_MIN 16u

void vly_conntab_init(struct vly_conntab *t, const struct vly_alloc *alloc)
{
    *t = (struct vly_conntab){.alloc = alloc};
}

struct vly_conn *vly_conntab_find(const struct vly_conntab *t, uint64_t cid)
{
    if (t->cap == 0)
        return NULL;
    for (size_t i = cid & (t->cap - 1); t->slots[i] != NULL; i = (i + 1) & (t->cap - 1)) {
        if (t->slots[i]->cid == cid)
            return t->slots[i];
    }
    return NULL;
}

static void table_put(struct vly_conntab *t, struct vly_conn *c)
{
    size_t i = c->cid & (t->cap - 1);

    while (t->slots[i] != NULL)
        i = (i + 1) & (t->cap - 1);
    t->slots[i] = c;
}

static void *pointers_new(const struct vly_alloc *alloc, size_t n)
{
    void *p = alloc->resize(alloc->ctx, NULL, 0, n * sizeof(void *));

    if (p != NULL)
        memset(p, 0, n * sizeof(void *));
    return p;
}

static void pointers_free(const struct vly_alloc *alloc, void *p, size_t n)
{
    if (p != NULL)
        alloc->resize(alloc->ctx, p, n * sizeof(void *), 0);
}

/* The heap is as large as the table: scheduling cannot fail. */
static int table_grow(struct vly_conntab *t)
{
    const struct vly_alloc *alloc = t->alloc;
    size_t old_cap = t->cap;
    size_t cap = old_cap == 0 ? TABLE_MIN : old_cap * 2;
    struct vly_conn **old = t->slots;
    struct vly_conn **slots = pointers_new(alloc, cap);
    struct vly_conn **heap = pointers_new(alloc, cap);

    if (slots == NULL || heap == NULL) {
        pointers_free(alloc, (void *)slots, cap);
        pointers_free(alloc, (void *)heap, cap);
        return VLY_E_NOMEM;
    }
    for (size_t i = 0; i < t->heap_n; i++)
        heap[i] = t->heap[i];
    t->slots = slots;
    t->cap = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i] != NULL)
            table_put(t, old[i]);
    }
    pointers_free(alloc, (void *)old, old_cap);
    pointers_free(alloc, (void *)t->heap, old_cap);
    t->heap = heap;
    return 0;
}

static void slot_remove(struct vly_conntab *t, const struct vly_conn *c)
{
    size_t mask = t->cap - 1;
    size_t i = c->cid & mask;

    while (t->slots[i] != c)
        i = (i + 1) & mask;
    for (size_t j = (i + 1) & mask; t->slots[j] != NULL; j = (j + 1) & mask) {
        size_t home = t->slots[j]->cid & mask;

        if (((j - home) & mask) >= ((j - i) & mask)) {
            t->slots[i] = t->slots[j];
            i = j;
        }
    }
    t->slots[i] = NULL;
    t->n--;
}

static void heap_set(struct vly_conntab *t, size_t i, struct vly_conn *c)
{
    t->heap[i] = c;
    c->heap_index = i;
}

static void heap_up(struct vly_conntab *t, size_t i, struct vly_conn *c)
{
    while (i > 0 && t->heap[(i - 1) / 2]->deadline_ns > c->deadline_ns) {
        heap_set(t, i, t->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_set(t, i, c);
}

static void heap_down(struct vly_conntab *t, size_t i, struct vly_conn *c)
{
    for (size_t child = 2 * i + 1; child < t->heap_n; child = 2 * i + 1) {
        if (child + 1 < t->heap_n && t->heap[child + 1]->deadline_ns < t->heap[child]->deadline_ns)
            child++;
        if (t->heap[child]->deadline_ns >= c->deadline_ns)
            break;
        heap_set(t, i, t->heap[child]);
        i = child;
    }
    heap_set(t, i, c);
}

void vly_conntab_unschedule(struct vly_conntab *t, struct vly_conn *c)
{
    size_t i = c->heap_index;
    struct vly_conn *last;

    if (i == SIZE_MAX)
        return;
    last = t->heap[--t->heap_n];
    c->heap_index = SIZE_MAX;
    if (last == c)
        return;
    heap_up(t, i, last);
    heap_down(t, last->heap_index, last);
}

void vly_conntab_update(struct vly_conntab *t, struct vly_conn *c)
{
    uint64_t deadline_ns = vly_conn_deadline(c);

    if (deadline_ns == c->deadline_ns && c->heap_index != SIZE_MAX)
        return;
    vly_conntab_unschedule(t, c);
    c->deadline_ns = deadline_ns;
    if (deadline_ns != VLY_NEVER)
        heap_up(t, t->heap_n++, c);
}

int vly_conntab_reserve(struct vly_conntab *t)
{
    return (t->n + 1) * 4 > t->cap * 3 ? table_grow(t) : 0;
}

void vly_conntab_add(struct vly_conntab *t, struct vly_conn *c)
{
    table_put(t, c);
    t->n++;
}

void vly_conntab_remove(struct vly_conntab *t, struct vly_conn *c)
{
    vly_conntab_unschedule(t, c);
    slot_remove(t, c);
}

void vly_conntab_fini(struct vly_conntab *t)
{
    for (size_t i = 0; i < t->cap; i++) {
        if (t->slots[i] != NULL)
            vly_conn_free(t->slots[i]);
    }
    pointers_free(t->alloc, (void *)t->slots, t->cap);
    pointers_free(t->alloc, (void *)t->heap, t->cap);
    *t = (struct vly_conntab){0};
}

struct vly_conn *vly_conntab_due(const struct vly_conntab *t, uint64_t now_ns)
{
    return t->heap_n > 0 && t->heap[0]->deadline_ns <= now_ns ? t->heap[0] : NULL;
}

uint64_t vly_conntab_deadline(const struct vly_conntab *t)
{
    return t->heap_n == 0 ? VLY_NEVER : t->heap[0]->deadline_ns;
}
