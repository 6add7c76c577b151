/*
 * link_model - one direction of a network path: when, whether and how each packet comes out.
 *
 *   in --> MTU --> outage --> byte queue --> rate --> loss --> delay + jitter --> out
 *                            (DropTail,            (i.i.d.,    (reorder: held back;
 *                             CoDel)                bursts)     duplicate, damage: per copy)
 *
 * It knows neither clock nor socket nor payload: the simulator asks in virtual time, an emulator of
 * real packets in real time. A link draws from PRNGs of its own, one for each kind of chance, and
 * draws for every packet offered: what befalls the n-th one depends on the seed, n and its size,
 * neither on times nor on the queue nor on the other kinds. Rates are exact (no rounding adds up
 * over packets), also across the changes of rate that were announced. Cost: O(1) for a packet, plus
 * the changes passed. No allocation.
 */
#ifndef VLY_SIM_LINK_MODEL_H
#define VLY_SIM_LINK_MODEL_H

#include "sim/codel.h"
#include "sim/prng.h"

#include <volley/sim.h>

#define VLY_LINK_CHANGES_MAX 64
#define VLY_LINK_QUEUE_MAX (UINT64_C(1) << 33) /* bytes */
#define VLY_LINK_UNDAMAGED SIZE_MAX

enum vly_link_quantity {
    VLY_LINK_RATE,   /* rate_bytes_per_s; what is queued goes out at the new rate from then on */
    VLY_LINK_DELAY,  /* delay_ns of packets offered from then on */
    VLY_LINK_MTU,    /* mtu_bytes */
    VLY_LINK_OUTAGE, /* 1: everything offered is lost, 0: no longer; what is under way arrives */
};

/* A kind of chance, with draws of its own. */
enum vly_link_chance {
    VLY_LINK_CHANCE_LOSS,
    VLY_LINK_CHANCE_DELAY,
    VLY_LINK_CHANCE_DUPLICATE,
    VLY_LINK_CHANCE_DAMAGE,
    VLY_LINK_CHANCE_SECOND, /* all that befalls the second copy */
    VLY_LINK_CHANCES,
};

struct vly_link_change {
    uint64_t at_ns;
    enum vly_link_quantity what;
    uint64_t value;
};

struct vly_link_counters {
    uint64_t offered_pkts, offered_bytes;
    uint64_t delivered_pkts, delivered_bytes; /* copies included */
    uint64_t lost_pkts;                       /* at random: i.i.d. and bursts */
    uint64_t burst_lost_pkts;                 /* those of them in the bad state */
    uint64_t queue_dropped_pkts, codel_dropped_pkts, mtu_dropped_pkts, outage_dropped_pkts;
    uint64_t reordered_pkts, duplicated_pkts, corrupted_pkts, truncated_pkts, ce_marked_pkts;
    uint64_t queue_max_bytes;
};

struct vly_link_model {
    struct vly_link_spec spec; /* as changed so far */
    struct vly_prng prng[VLY_LINK_CHANCES];
    struct vly_codel codel;
    struct vly_link_change changes[VLY_LINK_CHANGES_MAX]; /* rising times */
    size_t changes_n, changes_next;
    uint64_t now_ns; /* of the last offer; the next two describe this moment */
    uint64_t backlog_bytes;
    uint64_t drained_frac; /* of the backlog's first byte, in 1 / 10^9 bytes */
    uint64_t last_arrival_ns;
    size_t packet_max_bytes; /* the largest offered so far */
    bool outage;
    bool burst; /* Gilbert-Elliott: in the bad state */
    struct vly_link_counters counters;
};

/* A copy of the packet that comes out. */
struct vly_link_copy {
    uint64_t at_ns;
    size_t len;        /* less than what went in when it was cut */
    size_t damage_bit; /* this bit is flipped; VLY_LINK_UNDAMAGED: none */
    bool ce_mark;      /* set CE if the packet is ECN-capable */
};

/* Sets the losses of `spec`: `loss` of all packets, in bursts of `burst_pkts` on average; 0: each
 * by itself. Bursts are a two-state chain that loses everything in its bad state: it stays there
 * for `burst_pkts` packets on average, and enters it often enough to lose `loss` of them all. */
void vly_link_spec_lose(struct vly_link_spec *spec, double loss, uint64_t burst_pkts);
/* Returns 0, or VLY_E_INVALID when `spec` has a probability outside [0, 1] or a queue over
 * VLY_LINK_QUEUE_MAX. A queue of 0 becomes rate * 2 * delay, at least 64 KiB. */
VLY_MUST_USE int vly_link_model_init(struct vly_link_model *l, const struct vly_link_spec *spec,
                                     uint64_t seed);
/* Announces a change, not earlier than those announced before nor than the last offer. Returns 0,
 * VLY_E_INVALID when it is, VLY_E_LIMIT when there are too many. */
VLY_MUST_USE int vly_link_model_change(struct vly_link_model *l,
                                       const struct vly_link_change *change);
/* A packet of `len` bytes (at least 1) enters at `now_ns`, which never falls. Returns how many
 * copies come out, at most two, and fills as many. */
unsigned vly_link_model_offer(struct vly_link_model *l, uint64_t now_ns, size_t len,
                              struct vly_link_copy out[2]);
/* Bytes waiting or being sent at `now_ns`, which never falls. */
uint64_t vly_link_model_backlog_bytes(struct vly_link_model *l, uint64_t now_ns);
/* Packets that did not come out, whatever the reason. */
uint64_t vly_link_model_drops(const struct vly_link_model *l);
/* Does to the packet's bytes what `copy` says; cutting it to copy->len is left to the caller. */
void vly_link_model_damage(const struct vly_link_copy *copy, uint8_t *data);

#endif
