/*
 * loss - which packets are lost, when to probe, and what a late acknowledgement means.
 * SPEC 5.3, 5.4.
 *
 * RULE 21: RFC 9002 thresholds with the adaptive reordering window of RFC 8985; PTO is the only
 * retransmission timer. Deviations: the packet threshold is not used while reordering is known (RFC
 * 8985 6.2 step 4), and the back-off stops at VLY_PTO_MAX_NS.
 */
#ifndef VLY_PROTO_LOSS_H
#define VLY_PROTO_LOSS_H

#include "rtt.h"
#include "sentlog.h"

#define VLY_PACKET_THRESHOLD 3u
/* RULE 25: probes go on, so that a transfer goes on as soon as the network does. */
#define VLY_PTO_MAX_NS VLY_MS(500)
#define VLY_PERSISTENT_PTOS 3u /* RFC 9002 7.6.1 */
#define VLY_REO_PERSIST 16u    /* recoveries, RFC 8985 6.2 step 4 */

struct vly_loss {
    bool has_acked;
    uint64_t largest_acked;
    uint64_t largest_acked_sent_ns;
    uint64_t loss_time_ns; /* when the oldest packet in flight becomes lost by time; VLY_NEVER */
    uint32_t pto_count;
    uint64_t last_counted_ns; /* when the newest counted packet was sent */
    /* RACK */
    bool reordering_seen;
    uint32_t reo_steps;         /* n of SPEC 5.3 */
    uint32_t reo_persist;       /* recoveries left before n falls back */
    uint64_t reo_last_raise_ns; /* at most one step a round trip */
    /* The current or last congestion episode. */
    uint32_t episode;
    bool in_recovery;
    uint64_t recovery_start_ns; /* packets sent before belong to the episode */
    uint64_t episode_lost_pkts;
    uint64_t episode_spurious_pkts;
    /* Of one detection pass. */
    uint64_t run_first_ns, run_last_pn;
    uint64_t run_longest_ns;
    bool run_open;
};

void vly_loss_init(struct vly_loss *l);

/* Notes the largest acknowledged number of an ACK and when it was sent. */
void vly_loss_on_largest_acked(struct vly_loss *l, uint64_t pn, uint64_t sent_ns);

/* Begins a pass, then gives the lost packets one by one, oldest first, already settled as LOST in
 * `log`; NULL at the end. The pass leaves loss_time_ns right. */
void vly_loss_begin_pass(struct vly_loss *l);
struct vly_sent *vly_loss_next(struct vly_loss *l, struct vly_sentlog *log,
                               const struct vly_rtt *rtt, uint64_t now_ns, uint64_t *pn);
/* After a pass: whether its losses span a persistent congestion period (RULE 24). */
bool vly_loss_is_persistent(const struct vly_loss *l, const struct vly_rtt *rtt,
                            uint64_t max_ack_delay_ns);

/* A packet that was sent at `sent_ns` is lost or CE-marked: returns true when that begins a new
 * episode. `count_lost`: losses, not marks. */
bool vly_loss_on_congestion(struct vly_loss *l, uint64_t sent_ns, uint64_t now_ns);
/* A LOST packet was acknowledged after all: widens the reordering window. Returns true when every
 * loss of the current episode has now turned out spurious: the reduction is to be undone (RULE 23).
 */
bool vly_loss_on_spurious(struct vly_loss *l, const struct vly_sent *s, const struct vly_rtt *rtt,
                          uint64_t now_ns);
/* A packet sent at `sent_ns` was newly acknowledged: ends the episode when it was sent after its
 * begin. Returns true when it ended now. */
bool vly_loss_on_acked(struct vly_loss *l, uint64_t sent_ns);

/* What is in flight is about to be given up because the peer has another address: an episode that
 * reduces nothing and is not undone. */
void vly_loss_on_path_change(struct vly_loss *l, uint64_t now_ns);

/* When to act for loss: the time threshold, else the PTO; VLY_NEVER when nothing is in flight. */
uint64_t vly_loss_deadline_ns(const struct vly_loss *l, const struct vly_sentlog *log,
                              const struct vly_rtt *rtt, uint64_t max_ack_delay_ns);
/* The PTO with its back-off. */
uint64_t vly_loss_pto_ns(const struct vly_loss *l, const struct vly_rtt *rtt,
                         uint64_t max_ack_delay_ns);

#endif
