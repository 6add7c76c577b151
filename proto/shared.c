#include "shared.h"

#include "conn_internal.h"

#include <assert.h>

#define EVENTS_MIN 64u

struct vly_reply *vly_replies_free_slot(struct vly_replies *r)
{
    return r->n == VLY_REPLIES_MAX ? NULL : &r->slot[(r->head + r->n) % VLY_REPLIES_MAX];
}

static int events_grow(struct vly_shared *sh)
{
    struct vly_events *q = &sh->events;
    size_t cap = q->cap == 0 ? EVENTS_MIN : q->cap * 2;
    struct vly_queued_event *ring;

    ring = sh->alloc->resize(sh->alloc->ctx, NULL, 0, cap * sizeof(*ring));
    if (ring == NULL)
        return VLY_E_NOMEM;
    for (size_t i = 0; i < q->n; i++)
        ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
    if (q->ring != NULL)
        sh->alloc->resize(sh->alloc->ctx, q->ring, q->cap * sizeof(*ring), 0);
    q->ring = ring;
    q->cap = cap;
    q->head = 0;
    return 0;
}

int vly_events_push(struct vly_shared *sh, const struct vly_queued_event *ev)
{
    struct vly_events *q = &sh->events;

    if (q->n == q->cap) {
        int err = events_grow(sh);

        if (err != 0)
            return err;
    }
    q->ring[(q->head + q->n++) & (q->cap - 1)] = *ev;
    return 0;
}

bool vly_events_pop(struct vly_shared *sh, struct vly_queued_event *out)
{
    struct vly_events *q = &sh->events;

    if (q->n == 0)
        return false;
    *out = q->ring[q->head];
    q->head = (q->head + 1) & (q->cap - 1);
    q->n--;
    return true;
}

void vly_events_forget(struct vly_shared *sh, const struct vly_conn *c)
{
    struct vly_events *q = &sh->events;
    size_t kept = 0;

    for (size_t i = 0; i < q->n; i++) {
        struct vly_queued_event *ev = &q->ring[(q->head + i) & (q->cap - 1)];

        if (ev->conn != c)
            q->ring[(q->head + kept++) & (q->cap - 1)] = *ev;
    }
    q->n = kept;
}

void vly_ready_push(struct vly_shared *sh, struct vly_conn *c)
{
    if (c->is_ready)
        return;
    c->is_ready = true;
    c->ready_next = NULL;
    if (sh->ready_tail != NULL)
        sh->ready_tail->ready_next = c;
    else
        sh->ready_head = c;
    sh->ready_tail = c;
}

struct vly_conn *vly_ready_pop(struct vly_shared *sh)
{
    struct vly_conn *c = sh->ready_head;

    if (c == NULL)
        return NULL;
    sh->ready_head = c->ready_next;
    if (sh->ready_head == NULL)
        sh->ready_tail = NULL;
    c->is_ready = false;
    c->ready_next = NULL;
    return c;
}
