#include "sentlog.h"

#include <assert.h>
#include <string.h>

void vly_sentlog_init(struct vly_sentlog *log, const struct vly_alloc *alloc, uint64_t first_pn)
{
    *log = (struct vly_sentlog){
        .alloc = alloc, .oldest = first_pn, .lowest = first_pn, .next = first_pn};
    vly_rangeset_init(&log->acked, alloc, VLY_SENTLOG_ACKED_MAX);
}

void vly_sentlog_fini(struct vly_sentlog *log)
{
    const struct vly_alloc *alloc = log->alloc;

    if (log->ring != NULL)
        alloc->resize(alloc->ctx, log->ring, log->cap * sizeof(*log->ring), 0);
    if (log->items != NULL)
        alloc->resize(alloc->ctx, log->items, log->items_cap * sizeof(*log->items), 0);
    vly_rangeset_fini(&log->acked);
    log->ring = NULL;
    log->items = NULL;
    log->cap = log->items_cap = log->items_free = 0;
}

static struct vly_sent *slot(const struct vly_sentlog *log, uint64_t pn)
{
    return &log->ring[pn & (log->cap - 1)];
}

/* Doubles the ring. Entries move to where their number points in the larger one. */
static int ring_grow(struct vly_sentlog *log)
{
    uint32_t cap = log->cap == 0 ? VLY_SENTLOG_MIN : log->cap * 2;
    struct vly_sent *ring;

    if (cap > VLY_SENTLOG_MAX)
        return VLY_E_LIMIT;
    ring = log->alloc->resize(log->alloc->ctx, NULL, 0, cap * sizeof(*ring));
    if (ring == NULL)
        return VLY_E_NOMEM;
    for (uint64_t pn = log->oldest; pn < log->next; pn++)
        ring[pn & (cap - 1)] = *slot(log, pn);
    if (log->ring != NULL)
        log->alloc->resize(log->alloc->ctx, log->ring, log->cap * sizeof(*ring), 0);
    log->ring = ring;
    log->cap = cap;
    return 0;
}

/* Doubles the item pool and threads the new half onto the free list. */
static int items_grow(struct vly_sentlog *log)
{
    uint32_t cap = log->items_cap == 0 ? 64 : log->items_cap * 2;
    struct vly_sent_item *items;

    if (cap > VLY_SENT_ITEMS_MAX)
        return VLY_E_LIMIT;
    items = log->alloc->resize(log->alloc->ctx, log->items, log->items_cap * sizeof(*items),
                               cap * sizeof(*items));
    if (items == NULL)
        return VLY_E_NOMEM;
    for (uint32_t i = log->items_cap; i < cap; i++)
        items[i].next = i + 1 < cap ? i + 2 : log->items_free;
    log->items_free = log->items_cap + 1;
    log->items = items;
    log->items_cap = cap;
    return 0;
}

static bool items_has(const struct vly_sentlog *log, unsigned wanted)
{
    uint32_t i = log->items_free;

    for (; wanted > 0 && i != 0; wanted--)
        i = log->items[i - 1].next;
    return wanted == 0;
}

int vly_sentlog_reserve(struct vly_sentlog *log, unsigned items)
{
    if (log->next - log->oldest >= log->cap)
        vly_sentlog_trim(log, 0); /* packets that only acknowledge may be all there is */
    if (log->next - log->oldest >= log->cap) {
        int err = ring_grow(log);

        if (err == VLY_E_LIMIT) { /* lost entries at the old end only wait to be proved spurious */
            vly_sentlog_trim(log, VLY_NEVER);
            err = log->next - log->oldest >= log->cap ? VLY_E_LIMIT : 0;
        }
        if (err != 0)
            return err;
    }
    while (items > 1 && !items_has(log, items - 1)) {
        int err = items_grow(log);

        if (err != 0)
            return err;
    }
    return 0;
}

bool vly_sentlog_is_full(const struct vly_sentlog *log)
{
    return log->next - log->oldest >= VLY_SENTLOG_MAX;
}

struct vly_sent *vly_sentlog_append(struct vly_sentlog *log, enum vly_sent_state state,
                                    uint64_t now_ns, uint32_t bytes)
{
    struct vly_sent *s;

    assert(log->next - log->oldest < log->cap);
    s = slot(log, log->next++);
    *s = (struct vly_sent){.sent_ns = now_ns, .bytes = bytes, .state = (uint8_t)state};
    if (state == VLY_SENT_IN_FLIGHT) {
        log->in_flight_bytes += bytes;
        log->in_flight_pkts++;
    }
    return s;
}

/* Not inlined: `like` would be put together anew for each packet, field by field, and the copy, of
 * several fields at a time, would wait until they have left the store buffer: 50 ns a packet. */
__attribute__((noinline)) struct vly_sent *vly_sentlog_append_like(struct vly_sentlog *log,
                                                                   const struct vly_sent *like)
{
    struct vly_sent *s;

    assert(log->next - log->oldest < log->cap && like->state == VLY_SENT_IN_FLIGHT);
    s = slot(log, log->next++);
    *s = *like;
    log->in_flight_bytes += like->bytes;
    log->in_flight_pkts++;
    return s;
}

uint64_t vly_sentlog_room(const struct vly_sentlog *log)
{
    return log->cap - (log->next - log->oldest);
}

void vly_sentlog_add_item(struct vly_sentlog *log, struct vly_sent *s,
                          const struct vly_sent_item *item)
{
    uint32_t index;

    if (s->item.kind == VLY_ITEM_NONE) {
        s->item = *item;
        s->item.next = 0;
        return;
    }
    index = log->items_free;
    assert(index != 0); /* reserved */
    log->items_free = log->items[index - 1].next;
    log->items[index - 1] = *item;
    log->items[index - 1].next = s->item.next;
    s->item.next = index;
}

struct vly_sent *vly_sentlog_at(const struct vly_sentlog *log, uint64_t pn)
{
    return pn >= log->oldest && pn < log->next ? slot(log, pn) : NULL;
}

const struct vly_sent_item *vly_sentlog_next_item(const struct vly_sentlog *log,
                                                  const struct vly_sent_item *item)
{
    return item->next == 0 ? NULL : &log->items[item->next - 1];
}

static void items_release(struct vly_sentlog *log, struct vly_sent *s)
{
    uint32_t i = s->item.next;

    while (i != 0) {
        uint32_t next = log->items[i - 1].next;

        log->items[i - 1].next = log->items_free;
        log->items_free = i;
        i = next;
    }
    s->item.next = 0;
    s->item.kind = VLY_ITEM_NONE;
}

void vly_sentlog_settle(struct vly_sentlog *log, struct vly_sent *s, enum vly_sent_state state)
{
    if (s->state == VLY_SENT_IN_FLIGHT) {
        assert(log->in_flight_bytes >= s->bytes && log->in_flight_pkts > 0);
        log->in_flight_bytes -= s->bytes;
        log->in_flight_pkts--;
    }
    s->state = (uint8_t)state;
    if (state == VLY_SENT_ACKED)
        items_release(log, s);
}

void vly_sentlog_mark_acked(struct vly_sentlog *log, uint64_t begin, uint64_t end)
{
    /* A failure is harmless: the entries say ACKED themselves and are walked once more. */
    if (vly_rangeset_add(&log->acked, begin, end) != 0)
        return;
}

struct vly_sent *vly_sentlog_lowest(struct vly_sentlog *log, uint64_t end, uint64_t *pn)
{
    if (log->lowest < log->oldest)
        log->lowest = log->oldest;
    while (log->lowest < end && log->lowest < log->next) {
        struct vly_sent *s = slot(log, log->lowest);

        if (s->state == VLY_SENT_IN_FLIGHT) {
            *pn = log->lowest;
            return s;
        }
        log->lowest++;
    }
    return NULL;
}

void vly_sentlog_trim(struct vly_sentlog *log, uint64_t lost_before_ns)
{
    while (log->oldest < log->next) {
        struct vly_sent *s = slot(log, log->oldest);

        if (s->state == VLY_SENT_IN_FLIGHT || s->state == VLY_SENT_PROBE)
            break;
        if (s->state == VLY_SENT_LOST && s->sent_ns >= lost_before_ns)
            break;
        items_release(log, s);
        log->oldest++;
    }
    if (log->lowest < log->oldest)
        log->lowest = log->oldest;
    vly_rangeset_trim(&log->acked, log->oldest);
}

void vly_sentlog_check(const struct vly_sentlog *log)
{
#ifdef VLY_CHECKS
    uint64_t bytes = 0;
    uint64_t pkts = 0;

    for (uint64_t pn = log->oldest; pn < log->next; pn++) {
        const struct vly_sent *s = slot(log, pn);

        if (s->state == VLY_SENT_IN_FLIGHT) {
            assert(pn >= log->lowest);
            bytes += s->bytes;
            pkts++;
        }
    }
    assert(bytes == log->in_flight_bytes);
    assert(pkts == log->in_flight_pkts);
#else
    (void)log;
#endif
}
