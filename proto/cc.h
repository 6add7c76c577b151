/*
 * cc - congestion controllers behind one table.
 *
 * No controller reads a clock, allocates, or sees a packet. The connection owns what is common to
 * all (recovery episodes, in-flight count, persistent congestion, PRR); a controller turns samples
 * into a window and, if it wants, a pacing rate.
 */
#ifndef VLY_PROTO_CC_H
#define VLY_PROTO_CC_H

#include <volley/base.h>

#define VLY_CC_INITIAL_PKTS 10u /* RFC 9002 7.2 */
#define VLY_CC_MINIMUM_PKTS 2u
#define VLY_CC_CWND_MAX (UINT64_C(1) << 40)

/* One ACK frame's worth. All counts are of counted packets. */
struct vly_ack_sample {
    uint64_t acked_bytes;     /* newly acknowledged */
    uint64_t in_flight_bytes; /* before this ACK */
    uint64_t largest_sent_ns; /* when the largest newly acknowledged packet was sent */
    uint64_t latest_rtt_ns;   /* 0 when this ACK gave no sample */
    uint64_t smoothed_rtt_ns;
    uint64_t min_rtt_ns;
    uint64_t rate_bytes_per_s; /* delivery rate, 0 when there is no sample */
    bool rate_app_limited;
    bool round_start;  /* the first ACK of a round trip */
    bool cwnd_limited; /* the sender was using its window up: it may grow (RULE 27) */
    bool in_recovery;  /* what it acknowledges left before the current episode began: no growth */
};

/* A congestion episode begins: loss or CE of a packet sent after the previous episode began. */
struct vly_loss_sample {
    uint64_t lost_bytes;
    uint64_t in_flight_bytes; /* before the loss is taken off */
    bool ecn;                 /* CE rather than loss */
    bool persistent;          /* RFC 9002 7.6: fall to the minimum window (RULE 24) */
};

struct vly_cc;

struct vly_cc_ops {
    const char *name; /* the --cc argument */
    void (*init)(struct vly_cc *cc, uint64_t now_ns);
    void (*on_sent)(struct vly_cc *cc, uint64_t now_ns, uint32_t bytes);
    void (*on_ack)(struct vly_cc *cc, uint64_t now_ns, const struct vly_ack_sample *s);
    void (*on_loss)(struct vly_cc *cc, uint64_t now_ns, const struct vly_loss_sample *s);
    /* Every loss of the last episode was spurious: take its reduction back (RULE 23). */
    void (*on_undo)(struct vly_cc *cc, uint64_t now_ns);
};

/* RFC 9406. */
struct vly_hystart {
    bool in_css, done;
    uint64_t round_min_ns, last_round_min_ns, css_baseline_ns;
    uint32_t round_samples, css_rounds;
};

struct vly_cc_reno {
    uint64_t acked_bytes; /* towards the next datagram of growth */
};

struct vly_cc_cubic {
    uint64_t epoch_ns; /* start of the current growth period, VLY_NEVER when none */
    uint64_t k_ns;
    double w_max_bytes;
    double w_est_bytes; /* the Reno-friendly window, RFC 9438 4.3 */
    double cwnd_prior_bytes;
    double frac_bytes;   /* growth not yet added */
    uint64_t last_ns;    /* the last ACK of this epoch */
    uint64_t min_rtt_ns; /* 0 when unknown */
};

struct vly_cc {
    const struct vly_cc_ops *ops;
    uint32_t datagram_bytes;
    uint64_t cwnd_bytes;
    uint64_t ssthresh_bytes;
    uint64_t pacing_bytes_per_s; /* 0: the connection derives one from cwnd and RTT */
    uint64_t fixed_bytes_per_s;  /* `fixed` only */
    struct vly_hystart hystart;
    /* What on_undo goes back to; cwnd_bytes 0 when there is nothing to undo. */
    struct {
        uint64_t cwnd_bytes, ssthresh_bytes;
        struct vly_cc_cubic cubic;
    } undo;
    union {
        struct vly_cc_reno reno;
        struct vly_cc_cubic cubic;
    };
};

extern const struct vly_cc_ops vly_cc_reno_ops;
extern const struct vly_cc_ops vly_cc_cubic_ops;
extern const struct vly_cc_ops vly_cc_fixed_ops;

/* The controller of that name, NULL when there is none. */
const struct vly_cc_ops *vly_cc_find(const char *name);
/* The i-th controller, NULL past the end: for help texts. */
const struct vly_cc_ops *vly_cc_at(size_t i);
/* `fixed_bytes_per_s` is for the controller `fixed`, else ignored. */
void vly_cc_init(struct vly_cc *cc, const struct vly_cc_ops *ops, uint32_t datagram_bytes,
                 uint64_t fixed_bytes_per_s, uint64_t now_ns);
/* The path carries larger (or smaller) datagrams from now on. */
void vly_cc_set_datagram(struct vly_cc *cc, uint32_t datagram_bytes);
bool vly_cc_in_slow_start(const struct vly_cc *cc);
uint64_t vly_cc_minimum_bytes(const struct vly_cc *cc);
/* The pacing rate to use: the controller's, else 2 (slow start) or 1.25 times cwnd / smoothed RTT;
 * 0 (no pacing) while there is no RTT sample or when min_rtt_ns is below VLY_CC_UNPACED_RTT_NS and
 * the controller asks for none. */
#define VLY_CC_UNPACED_RTT_NS VLY_MS(1)
uint64_t vly_cc_pacing_bytes_per_s(const struct vly_cc *cc, uint64_t smoothed_rtt_ns,
                                   uint64_t min_rtt_ns);

/* Shared by controllers. */

/* Slow start with HyStart++ (RFC 9406 4.2). Returns the bytes to add to cwnd; sets *leave when slow
 * start is over (ssthresh = cwnd), else leaves it alone. */
void vly_hystart_init(struct vly_hystart *h);
uint64_t vly_hystart_on_ack(struct vly_hystart *h, const struct vly_ack_sample *s, bool *leave);
/* Adds to the window, at most to VLY_CC_CWND_MAX. */
void vly_cc_grow(struct vly_cc *cc, uint64_t bytes);
/* Does nothing: for controllers that need no hook of that kind. */
void vly_cc_ignore_sent(struct vly_cc *cc, uint64_t now_ns, uint32_t bytes);

#endif
