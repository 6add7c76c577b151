/*
 * sentlog - what was sent, by packet number, until it is settled.
 *
 * A ring of entries indexed by packet number, from `oldest` to `next`. Numbers are never reused:
 * what is sent again is a new entry. A lost entry stays for a few round trips, so that a late
 * acknowledgement is recognised as a spurious loss. `acked` lets a repeated ACK range be skipped as
 * a whole.
 *
 * Invariant: in_flight_bytes is the sum over entries IN_FLIGHT; no entry below `lowest` is
 * IN_FLIGHT. Cost: O(1) to append or look up; growth doubles the ring up to VLY_SENTLOG_MAX
 * entries.
 */
#ifndef VLY_PROTO_SENTLOG_H
#define VLY_PROTO_SENTLOG_H

#include "rangeset.h"
#include "rate.h"

#define VLY_SENTLOG_MIN 64u
#define VLY_SENTLOG_MAX (1u << 18)
#define VLY_SENT_ITEMS_MAX (1u << 20)
#define VLY_SENTLOG_ACKED_MAX 4096u /* ranges; more only cost time */

enum vly_sent_state {
    VLY_SENT_UNCOUNTED, /* nothing eliciting in it: not in flight */
    VLY_SENT_IN_FLIGHT,
    VLY_SENT_ACKED,
    VLY_SENT_LOST,
    VLY_SENT_SKIPPED, /* left out on purpose: an ACK of it is a lie (RULE 17) */
    VLY_SENT_PROBE,   /* of the path's MTU: not in flight, kept until conn_pmtud.c settles it */
};

/* One thing a packet carried that has to arrive. */
enum vly_sent_kind {
    VLY_ITEM_NONE,
    VLY_ITEM_STREAM,
    VLY_ITEM_RESET,
    VLY_ITEM_STOP,
    VLY_ITEM_MAX_STREAM_DATA,
    VLY_ITEM_MAX_DATA,
    VLY_ITEM_MAX_STREAMS,
};

struct vly_sent_item {
    uint64_t stream;
    uint64_t offset; /* STREAM only, like the next two */
    uint32_t len;
    bool fin;
    uint8_t kind;  /* enum vly_sent_kind */
    uint32_t next; /* index + 1 of the packet's next item; 0: the last */
};

struct vly_sent {
    uint64_t sent_ns;
    struct vly_rate_snapshot rate;
    struct vly_sent_item item; /* the first; most packets have no other */
    uint32_t bytes;            /* size of the datagram */
    uint32_t episode;          /* LOST: the congestion episode it was counted in */
    uint8_t state;             /* enum vly_sent_state */
    bool ect;                  /* sent with ECT(0) */
};

struct vly_sentlog {
    const struct vly_alloc *alloc; /* borrowed */
    struct vly_sent *ring;         /* owned */
    uint32_t cap;                  /* power of two */
    uint64_t oldest;               /* first number still in the ring */
    uint64_t lowest;               /* no entry below is in flight */
    uint64_t next;                 /* the next number to use */
    uint64_t in_flight_bytes;
    uint64_t in_flight_pkts;
    struct vly_rangeset acked;      /* at or above `oldest` */
    struct vly_sent_item *items;    /* owned pool of further items */
    uint32_t items_cap, items_free; /* index + 1 of the first free one */
};

void vly_sentlog_init(struct vly_sentlog *log, const struct vly_alloc *alloc, uint64_t first_pn);
void vly_sentlog_fini(struct vly_sentlog *log);

/* Makes sure that one more packet can be recorded with vly_sentlog_append and `items` items.
 * Errors: VLY_E_NOMEM, VLY_E_LIMIT (too much is unsettled: wait). */
VLY_MUST_USE int vly_sentlog_reserve(struct vly_sentlog *log, unsigned items);
/* As many packets are unsettled as can be: nothing may be sent until one of them is. */
bool vly_sentlog_is_full(const struct vly_sentlog *log);
/* Takes the next number for an entry in `state`; cannot fail after a reserve. Borrowed until the
 * next append. */
struct vly_sent *vly_sentlog_append(struct vly_sentlog *log, enum vly_sent_state state,
                                    uint64_t now_ns, uint32_t bytes);
/* Takes the next number for an entry IN_FLIGHT with a copy of `like`; there must be room. */
struct vly_sent *vly_sentlog_append_like(struct vly_sentlog *log, const struct vly_sent *like);
/* How many entries fit before the ring has to grow. */
uint64_t vly_sentlog_room(const struct vly_sentlog *log);
/* Adds an item to the newest entry. */
void vly_sentlog_add_item(struct vly_sentlog *log, struct vly_sent *s,
                          const struct vly_sent_item *item);
/* The entry of `pn`; NULL when it is not in the ring. */
struct vly_sent *vly_sentlog_at(const struct vly_sentlog *log, uint64_t pn);
/* The item after `item` of the same packet, NULL past the last. */
const struct vly_sent_item *vly_sentlog_next_item(const struct vly_sentlog *log,
                                                  const struct vly_sent_item *item);

/* Moves an entry from IN_FLIGHT to ACKED or LOST, or from LOST to ACKED. */
void vly_sentlog_settle(struct vly_sentlog *log, struct vly_sent *s, enum vly_sent_state state);
/* Notes that [begin, end) has been acknowledged, for skipping. */
void vly_sentlog_mark_acked(struct vly_sentlog *log, uint64_t begin, uint64_t end);
/* The first entry in flight at or above `lowest`, below `end`; NULL when there is none. Sets *pn.
 */
struct vly_sent *vly_sentlog_lowest(struct vly_sentlog *log, uint64_t end, uint64_t *pn);
/* Forgets settled entries from the old end: lost ones when they were sent before `lost_before_ns`.
 */
void vly_sentlog_trim(struct vly_sentlog *log, uint64_t lost_before_ns);
void vly_sentlog_check(const struct vly_sentlog *log);

#endif
