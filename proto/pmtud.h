/*
 * pmtud - the longest datagram that a path carries, RFC 8899; SPEC 5.7.
 *
 *             something newer is acknowledged          nothing left to try
 *     BASE --------------------------------> SEARCHING ------------------> DONE
 *       ^                                        ^                           |
 *       |          (from any state)              +------------ 10 min -------+
 *       +--- three PTOs in a row, or long packets are lost while short ones arrive
 *
 * It knows sizes, numbers and times; what a probe looks like and when there is occasion for one is
 * the connection's (conn_pmtud.c). RFC 8899's ERROR state has no place here: VLY_DATAGRAM_BASE is
 * the least the protocol works with. Cost: O(1), one comparison for a packet that is acknowledged.
 */
#ifndef VLY_PROTO_PMTUD_H
#define VLY_PROTO_PMTUD_H

#include <volley/base.h>

#define VLY_PMTUD_TRIES 3u            /* probes of a size; MAX_PROBES of RFC 8899 */
#define VLY_PMTUD_RAISE_NS VLY_S(600) /* PMTU_RAISE_TIMER */
#define VLY_PMTUD_PTOS 3u             /* unanswered, they look like a black hole */
#define VLY_PMTUD_LARGE_LOST 6u       /* and so do as many long packets, none newer acknowledged */

enum vly_pmtud_state {
    VLY_PMTUD_OFF,  /* the size is fixed */
    VLY_PMTUD_BASE, /* fell back: whether the base size passes is not known yet */
    VLY_PMTUD_SEARCHING,
    VLY_PMTUD_DONE,
};

struct vly_pmtud {
    enum vly_pmtud_state state;
    uint32_t size_bytes;   /* a datagram may have */
    uint32_t max_bytes;    /* nothing longer is tried */
    uint32_t failed_bytes; /* this and more does not pass; above max_bytes: nothing has failed */
    uint32_t probe_bytes;  /* tried now */
    unsigned tries;        /* of that size, lost */
    bool probing;          /* a probe is under way, as packet probe_pn */
    uint64_t probe_pn;
    uint64_t due_ns;  /* probing: then it is lost; else there is no probe before */
    uint64_t base_pn; /* BASE: from this number on what is sent is short */
    unsigned falls;   /* since the last search that began with the raise timer */
    /* Black holes: a packet of `large_bytes` or more is a long one. */
    uint32_t large_bytes;
    unsigned large_lost;      /* since the newest of those that were acknowledged */
    uint64_t large_first_ns;  /* when the first of them was sent */
    uint64_t large_acked_end; /* its number + 1 */
};

/* Starts with datagrams of `start_bytes`, to be searched up to `max_bytes`; 0: all stays as it is.
 */
void vly_pmtud_init(struct vly_pmtud *p, uint32_t start_bytes, uint32_t max_bytes);

/* Whether it is worth asking for a probe. */
static inline bool vly_pmtud_is_due(const struct vly_pmtud *p, uint64_t now_ns)
{
    return p->state > VLY_PMTUD_BASE && !p->probing && now_ns >= p->due_ns;
}

/* How long a probe is to be that may go now; 0: none may. */
uint32_t vly_pmtud_next_bytes(struct vly_pmtud *p, uint64_t now_ns);
/* A probe of the size that vly_pmtud_next_bytes said went out; without an acknowledgement it is
 * lost at `lost_ns`. */
void vly_pmtud_on_sent(struct vly_pmtud *p, uint64_t pn, uint64_t lost_ns);
/* The probe was acknowledged: size_bytes is its size now. */
void vly_pmtud_on_acked(struct vly_pmtud *p, uint64_t now_ns);
/* The probe is lost. */
void vly_pmtud_on_lost(struct vly_pmtud *p, uint64_t now_ns);
/* Datagrams of so many bytes cannot leave this host that way, a probe among them: nothing went out.
 * The next probe may follow at once. */
void vly_pmtud_on_refused(struct vly_pmtud *p, uint32_t bytes, uint64_t now_ns);
/* When the probe that is under way is lost; VLY_NEVER. */
static inline uint64_t vly_pmtud_deadline_ns(const struct vly_pmtud *p)
{
    return p->probing ? p->due_ns : VLY_NEVER;
}

/* The size that packets really have, which may be less than size_bytes. */
void vly_pmtud_set_used(struct vly_pmtud *p, uint32_t used_bytes);
/* A packet that was no probe was acknowledged. */
static inline void vly_pmtud_note_acked(struct vly_pmtud *p, uint64_t pn, uint32_t bytes)
{
    if (bytes < p->large_bytes || pn < p->large_acked_end)
        return;
    p->large_acked_end = pn + 1;
    p->large_lost = 0;
}
/* Such a packet, sent at `sent_ns`, was lost. Returns whether it looks as if long ones do not pass
 * any more: enough of them were lost, over more than `span_ns` (a PTO: a queue that overflows for a
 * moment has room for short ones only, too). */
bool vly_pmtud_note_lost(struct vly_pmtud *p, uint64_t pn, uint32_t bytes, uint64_t sent_ns,
                         uint64_t span_ns);
/* RULE 31: back to VLY_DATAGRAM_BASE, from packet `pn` on, when datagrams may be longer; returns
 * whether they could. A probe that is under way is forgotten. */
bool vly_pmtud_fall_back(struct vly_pmtud *p, uint64_t pn, uint64_t now_ns);
/* An ACK has come whose largest number is `pn`. */
static inline void vly_pmtud_on_heard(struct vly_pmtud *p, uint64_t pn)
{
    if (p->state == VLY_PMTUD_BASE && pn >= p->base_pn)
        p->state = VLY_PMTUD_SEARCHING;
}

#endif
