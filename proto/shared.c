#include "shared.h"

#include "conn_internal.h"

#include <assert.h>
#include <string.h>

#define EVENTS_MIN 64u

bool vly_addr_equal(const struct vly_addr *a, const struct vly_addr *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

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
    if (out->type == VLY_EV_TURNED_AWAY)
        sh->turned_away_queued = false;
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

void vly_turned_away(struct vly_shared *sh, const struct vly_addr *client, enum vly_close_code code)
{
    struct vly_queued_event ev = {.type = VLY_EV_TURNED_AWAY, .offset = code};

    if (sh->turned_away_queued)
        return;
    sh->turned_away = *client;
    ev.data = (struct vly_span){sh->turned_away.data, client->len};
    sh->turned_away_queued = vly_events_push(sh, &ev) == 0;
}

bool vly_code_is_dead(const struct vly_shared *sh)
{
    return sh->code_used || sh->code_tries >= VLY_CODE_FAILURES_MAX;
}

void vly_half_open_add(struct vly_shared *sh, struct vly_conn *c)
{
    c->half_open_next = NULL;
    c->half_open_prev = sh->half_open_tail;
    if (sh->half_open_tail != NULL)
        sh->half_open_tail->half_open_next = c;
    else
        sh->half_open_head = c;
    sh->half_open_tail = c;
    sh->half_open_n++;
    c->is_half_open = true;
}

void vly_half_open_remove(struct vly_shared *sh, struct vly_conn *c)
{
    if (!c->is_half_open)
        return;
    if (c->half_open_prev != NULL)
        c->half_open_prev->half_open_next = c->half_open_next;
    else
        sh->half_open_head = c->half_open_next;
    if (c->half_open_next != NULL)
        c->half_open_next->half_open_prev = c->half_open_prev;
    else
        sh->half_open_tail = c->half_open_prev;
    sh->half_open_n--;
    c->is_half_open = false;
}

void vly_ready_push(struct vly_shared *sh, struct vly_conn *c)
{
    if (c->is_ready)
        return;
    c->is_ready = true;
    sh->ready_n++;
    c->ready_next = NULL;
    if (sh->ready_tail != NULL)
        sh->ready_tail->ready_next = c;
    else
        sh->ready_head = c;
    sh->ready_tail = c;
}

void vly_ready_push_first(struct vly_shared *sh, struct vly_conn *c)
{
    if (c->is_ready)
        return;
    c->is_ready = true;
    sh->ready_n++;
    c->ready_next = sh->ready_head;
    sh->ready_head = c;
    if (sh->ready_tail == NULL)
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
    sh->ready_n--;
    c->ready_next = NULL;
    return c;
}

void vly_ready_remove(struct vly_shared *sh, struct vly_conn *c)
{
    struct vly_conn *prev = NULL;

    if (!c->is_ready)
        return;
    sh->ready_n--;
    c->is_ready = false;
    for (struct vly_conn *at = sh->ready_head; at != c; at = at->ready_next)
        prev = at;
    if (prev != NULL)
        prev->ready_next = c->ready_next;
    else
        sh->ready_head = c->ready_next;
    if (sh->ready_tail == c)
        sh->ready_tail = prev;
    c->ready_next = NULL;
}
