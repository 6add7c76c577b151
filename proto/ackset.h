/*
 * ackset - packet numbers received so far, and when to say so (SPEC 5.1).
 *
 * Invariant: r[i].begin < r[i].end < r[i + 1].begin; at most VLY_ACKSET_MAX ranges, none of them
 * reaches below `floor`.
 * Cost: in-order add is O(1); otherwise O(log n) to find and O(n) to move. Never allocates.
 */
#ifndef VLY_PROTO_ACKSET_H
#define VLY_PROTO_ACKSET_H

#include "frame.h"
#include "rangeset.h"

#define VLY_ACKSET_MAX 256 /* ranges; beyond it the oldest is forgotten (RULE 19) */

/* The two ECN bits of the IP header. */
enum vly_ecn { VLY_ECN_NONE = 0, VLY_ECN_ECT1 = 1, VLY_ECN_ECT0 = 2, VLY_ECN_CE = 3 };

struct vly_ackset {
    struct vly_range r[VLY_ACKSET_MAX]; /* ascending */
    size_t n;
    uint64_t floor;               /* numbers below are neither kept nor accepted */
    uint64_t largest_received_ns; /* when the largest number arrived */
    uint64_t ect0, ect1, ce;      /* packets, duplicates left out */
    /* What is still to be acknowledged. */
    uint64_t unacked_pkts;  /* counted packets since the last ACK */
    uint64_t unacked_bytes; /* as far as vly_ackset_add_bytes has told */
    uint64_t first_unacked_ns;
    bool at_once; /* a reason of SPEC 5.1 rule 1 is present */
    /* Packets a quarter of a round trip brings, rule 2. */
    uint64_t quarter_begin_ns; /* VLY_NEVER before the first */
    uint64_t quarter_pkts;
    uint32_t every_pkts, every_max_pkts;
};

#define VLY_ACK_EVERY_MIN 2
#define VLY_ACK_EVERY_MAX 128
#define VLY_ACK_EVERY_BYTES (256u << 10)

void vly_ackset_init(struct vly_ackset *set);

/* Lets no more than `pkts` counted packets, 1 to VLY_ACK_EVERY_MAX, wait for an ACK (what comes in
 * one receive batch aside), where rule 2 would let more. */
void vly_ackset_set_every_max(struct vly_ackset *set, uint32_t pkts);

/* Whether `pn` may be processed: 0, VLY_E_DUPLICATE when it was received already, VLY_E_STALE when
 * it is below what is remembered; the caller drops the packet on both (RULE 11). */
VLY_MUST_USE int vly_ackset_test(const struct vly_ackset *set, uint64_t pn);

/* Whether `pn` follows the largest number recorded. */
static inline bool vly_ackset_is_next(const struct vly_ackset *set, uint64_t pn)
{
    return set->n > 0 && set->r[set->n - 1].end == pn;
}

/* Records `pn` (for which vly_ackset_test gave 0; asserted), received at `now_ns`, after the packet
 * has been processed (RULE 16). `counted`: it holds an eliciting frame. `srtt_ns`: current smoothed
 * RTT, 0 when unknown, for rule 2. An out-of-order `pn`, a new gap or CE asks for an ACK at once
 * when counted. */
void vly_ackset_add(struct vly_ackset *set, uint64_t pn, uint64_t now_ns, bool counted,
                    enum vly_ecn ecn, uint64_t srtt_ns);

/* The counted packet just added came in a datagram of `bytes`: a few long ones are as good a reason
 * for an ACK as many short ones. */
static inline void vly_ackset_add_bytes(struct vly_ackset *set, uint64_t bytes)
{
    set->unacked_bytes += bytes;
}

/* Asks for an ACK at once (PING, end of a stream). */
void vly_ackset_ask(struct vly_ackset *set);

/* Forgets everything below `floor`; never moves down. SPEC 4.3. */
void vly_ackset_set_floor(struct vly_ackset *set, uint64_t floor);

/* When an ACK is due: 0 for now, a time not after first_unacked_ns + max_ack_delay_ns, or
 * VLY_NEVER, also when there is nothing to report. */
uint64_t vly_ackset_due_ns(const struct vly_ackset *set, uint64_t max_ack_delay_ns);

/* What the ACK to send at `now_ns` says; ranges are borrowed until the next add or set_floor.
 * `kernel_drops` is 0: the caller knows it. Returns false when there is nothing to report. */
bool vly_ackset_fields(const struct vly_ackset *set, uint64_t now_ns, struct vly_ack_fields *out);

/* The ACK has been written: nothing is due any more. */
void vly_ackset_sent(struct vly_ackset *set);

/* Asserts the invariant; a no-op unless VLY_CHECKS is defined. */
void vly_ackset_check(const struct vly_ackset *set);

#endif
