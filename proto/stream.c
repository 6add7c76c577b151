#include "stream.h"

#include <assert.h>
#include <string.h>

#define TABLE_MIN 16u

void vly_streams_init(struct vly_streams *t, const struct vly_alloc *alloc)
{
    *t = (struct vly_streams){.alloc = alloc};
}

static void stream_free(const struct vly_alloc *alloc, struct vly_stream *s)
{
    vly_sendbuf_fini(&s->send);
    vly_recvbuf_fini(&s->recv);
    alloc->resize(alloc->ctx, s, sizeof(*s), 0);
}

void vly_streams_fini(struct vly_streams *t)
{
    for (size_t i = 0; i < t->cap; i++) {
        if (t->slots[i] != NULL)
            stream_free(t->alloc, t->slots[i]);
    }
    if (t->slots != NULL)
        t->alloc->resize(t->alloc->ctx, (void *)t->slots, t->cap * sizeof(struct vly_stream *), 0);
    t->slots = NULL;
    t->cap = t->n = 0;
    t->queue_head = t->queue_tail = NULL;
}

/* Fibonacci hashing: consecutive ids, which is what there is, spread evenly. */
static size_t home(const struct vly_streams *t, uint64_t id)
{
    return (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (t->cap - 1);
}

struct vly_stream *vly_streams_find(const struct vly_streams *t, uint64_t id)
{
    if (t->cap == 0)
        return NULL;
    for (size_t i = home(t, id); t->slots[i] != NULL; i = (i + 1) & (t->cap - 1)) {
        if (t->slots[i]->id == id)
            return t->slots[i];
    }
    return NULL;
}

static void table_put(struct vly_streams *t, struct vly_stream *s)
{
    size_t i = home(t, s->id);

    while (t->slots[i] != NULL)
        i = (i + 1) & (t->cap - 1);
    t->slots[i] = s;
}

static int table_grow(struct vly_streams *t)
{
    struct vly_streams old = *t;
    size_t cap = old.cap == 0 ? TABLE_MIN : old.cap * 2;

    t->slots = t->alloc->resize(t->alloc->ctx, NULL, 0, cap * sizeof(struct vly_stream *));
    if (t->slots == NULL) {
        t->slots = old.slots;
        return VLY_E_NOMEM;
    }
    memset((void *)t->slots, 0, cap * sizeof(struct vly_stream *));
    t->cap = cap;
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i] != NULL)
            table_put(t, old.slots[i]);
    }
    if (old.slots != NULL)
        t->alloc->resize(t->alloc->ctx, (void *)old.slots, old.cap * sizeof(struct vly_stream *),
                         0);
    return 0;
}

int vly_streams_add(struct vly_streams *t, uint64_t id, uint64_t base, struct vly_stream **out)
{
    struct vly_stream *s;

    assert(vly_streams_find(t, id) == NULL);
    if ((t->n + 1) * 4 > t->cap * 3 && table_grow(t) != 0)
        return VLY_E_NOMEM;
    s = t->alloc->resize(t->alloc->ctx, NULL, 0, sizeof(*s));
    if (s == NULL)
        return VLY_E_NOMEM;
    memset(s, 0, sizeof(*s));
    s->id = id;
    vly_sendbuf_init(&s->send, t->alloc, base);
    vly_recvbuf_init(&s->recv, t->alloc, base);
    table_put(t, s);
    t->n++;
    *out = s;
    return 0;
}

void vly_streams_remove(struct vly_streams *t, struct vly_stream *s)
{
    size_t i = home(t, s->id);
    size_t mask = t->cap - 1;

    assert(!s->queued);
    while (t->slots[i] != s)
        i = (i + 1) & mask;
    /* Close the hole by moving back what probing would no longer reach (backward shift). */
    for (size_t j = (i + 1) & mask; t->slots[j] != NULL; j = (j + 1) & mask) {
        size_t h = home(t, t->slots[j]->id);

        if (((j - h) & mask) >= ((j - i) & mask)) {
            t->slots[i] = t->slots[j];
            i = j;
        }
    }
    t->slots[i] = NULL;
    t->n--;
    stream_free(t->alloc, s);
}

struct vly_stream *vly_streams_slot(const struct vly_streams *t, size_t i)
{
    return t->slots[i];
}

void vly_streams_push(struct vly_streams *t, struct vly_stream *s)
{
    if (s->queued)
        return;
    s->queued = true;
    s->queue_next = NULL;
    if (t->queue_tail != NULL)
        t->queue_tail->queue_next = s;
    else
        t->queue_head = s;
    t->queue_tail = s;
}

struct vly_stream *vly_streams_pop(struct vly_streams *t)
{
    struct vly_stream *s = t->queue_head;

    if (s == NULL)
        return NULL;
    t->queue_head = s->queue_next;
    if (t->queue_head == NULL)
        t->queue_tail = NULL;
    s->queued = false;
    s->queue_next = NULL;
    return s;
}

void vly_streams_unqueue(struct vly_streams *t, struct vly_stream *s)
{
    struct vly_stream *prev = NULL;

    if (!s->queued)
        return;
    for (struct vly_stream *at = t->queue_head; at != s; at = at->queue_next)
        prev = at;
    if (prev != NULL)
        prev->queue_next = s->queue_next;
    else
        t->queue_head = s->queue_next;
    if (t->queue_tail == s)
        t->queue_tail = prev;
    s->queued = false;
    s->queue_next = NULL;
}

bool vly_stream_has_control(const struct vly_stream *s)
{
    return s->need_reset || s->need_stop || s->need_max;
}

bool vly_stream_is_over(const struct vly_stream *s)
{
    bool sent = s->send_state == VLY_SEND_DONE;
    bool received = s->recv_state == VLY_RECV_DONE;

    return sent && received && !s->need_stop;
}
