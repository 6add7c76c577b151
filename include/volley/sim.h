/*
 * sim - the production engine over a simulated link, in virtual time, from a seed.
 *
 * The same seed and options give the same packets, byte for byte (equal trace hashes).
 */
#ifndef VOLLEY_SIM_H
#define VOLLEY_SIM_H

#include <volley/base.h>

/* One direction of a link. Zero means: none of it (rate 0: infinitely fast; mtu 0: 65507). */
struct vly_link_spec {
    uint64_t rate_bytes_per_s;
    uint64_t delay_ns;
    uint64_t jitter_ns;   /* uniform in [0, jitter] added; keeps order unless reorder is set */
    uint64_t queue_bytes; /* DropTail; 0: one bandwidth-delay product, at least 64 KiB (unbounded at
                             rate 0) */
    double loss;          /* i.i.d. probability */
    double burst_enter, burst_leave,
        burst_loss; /* Gilbert-Elliott: per packet good -> bad, bad -> good, loss in bad */
    double reorder; /* probability that a packet is held back by reorder_ns */
    uint64_t reorder_ns;
    double duplicate;
    double corrupt;     /* probability that one random bit of a packet flips */
    double truncate;    /* probability that a packet is cut at a random byte */
    uint64_t mtu_bytes; /* larger datagrams are dropped */
    double ce_mark;     /* probability of an ECN CE mark */
    bool codel;         /* the queue also drops early, RFC 8289 */
    uint64_t codel_target_ns, codel_interval_ns; /* 0: 5 ms, 100 ms */
};

struct vly_sim_options {
    size_t size;
    uint64_t seed;
    uint64_t bytes;               /* to move from server to client */
    unsigned streams;             /* 0: 1; the bytes are shared out */
    struct vly_link_spec forward; /* server to client: the data's way */
    struct vly_link_spec back;
    const char *cc; /* NULL: "cubic" */
    uint64_t rate_bytes_per_s;
    uint32_t max_datagram_bytes; /* 0: 1472 */
    uint64_t window_max_bytes;   /* 0: 256 MiB */
    uint64_t give_up_ns;         /* virtual time; 0: one hour */
    bool plain;                  /* without encryption */
};

struct vly_sim_result {
    int err;             /* 0: every byte arrived once, verified */
    uint64_t elapsed_ns; /* virtual, from connect to the last byte acknowledged */
    uint64_t bytes;
    uint64_t packets_sent, retransmits, lost_packets, spurious_losses, link_drops;
    double goodput_bytes_per_s;
    uint64_t trace_hash;
};

/* Runs one transfer. Returns 0 or VLY_E_INVALID, VLY_E_NOMEM; how the transfer went stands in the
 * result. */
VLY_MUST_USE int vly_sim_run(const struct vly_sim_options *opt, struct vly_sim_result *out);

#endif
