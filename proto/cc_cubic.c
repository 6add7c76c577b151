/*
 * cc_cubic - RFC 9438 with HyStart++ (RFC 9406), the default.
 *
 * After a reduction the window follows W(t) = C (t - K)^3 + W_max, in datagrams and seconds since
 * the epoch began, or Reno's curve where that is higher. Cost: O(1), one cube root an epoch.
 *
 * Deviations from RFC 9438:
 * - the window, not the bytes in flight, is what a loss reduces (4.6 allows it since an unused
 * window does not grow here, RULE 27);
 * - time in which the sender does not use the window up does not count into t (5.8), nor does more
 *   than one round trip between two ACKs;
 * - below VLY_CC_UNPACED_RTT_NS a loss leaves at least FLOOR_BYTES: that much is one batch between
 * two wake-ups of a host, a smaller window would wait for the scheduler and not for the path.
 */
#include "cc.h"

#include <math.h>

#define CUBIC_C 0.4
#define CUBIC_BETA 0.7
#define CUBIC_ALPHA (3 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA)) /* RFC 9438 4.3 */
#define FLOOR_BYTES 65536u
#define FLOOR_PKTS 4u

static void cubic_init(struct vly_cc *cc, uint64_t now_ns)
{
    (void)now_ns;
    cc->cubic = (struct vly_cc_cubic){.epoch_ns = VLY_NEVER};
}

/* The epoch begins: from the window as it is towards W_max, or from a plateau of its own when W_max
 * is unknown or below (RFC 9438 4.2, 4.8, 4.10). */
static void epoch_begin(struct vly_cc *cc, uint64_t now_ns)
{
    struct vly_cc_cubic *cubic = &cc->cubic;
    double cwnd = (double)cc->cwnd_bytes;

    cubic->epoch_ns = now_ns;
    cubic->last_ns = now_ns;
    cubic->w_est_bytes = cwnd;
    cubic->frac_bytes = 0;
    cubic->k_ns = 0;
    if (cwnd >= cubic->w_max_bytes)
        cubic->w_max_bytes = cwnd;
    else
        cubic->k_ns = (uint64_t)(1e9 * cbrt((cubic->w_max_bytes - cwnd) /
                                            (CUBIC_C * (double)cc->datagram_bytes)));
}

/* W_cubic(t), RFC 9438 equation 1, in bytes. */
static double window_at(const struct vly_cc *cc, uint64_t t_ns)
{
    double d = ((double)t_ns - (double)cc->cubic.k_ns) * 1e-9;

    return CUBIC_C * d * d * d * (double)cc->datagram_bytes + cc->cubic.w_max_bytes;
}

/* Takes out of t what did not serve to probe the path. */
static void epoch_advance(struct vly_cc_cubic *cubic, uint64_t now_ns,
                          const struct vly_ack_sample *s)
{
    uint64_t passed_ns = vly_time_since(now_ns, cubic->last_ns);
    uint64_t counted_ns = 0;

    if (s->cwnd_limited)
        counted_ns = passed_ns < s->smoothed_rtt_ns ? passed_ns : s->smoothed_rtt_ns;
    cubic->epoch_ns += passed_ns - counted_ns;
    cubic->last_ns = now_ns;
}

/* The window Reno would have, RFC 9438 4.3. */
static void reno_window_grow(struct vly_cc *cc, double acked_bytes)
{
    struct vly_cc_cubic *cubic = &cc->cubic;
    double alpha = cubic->w_est_bytes >= cubic->cwnd_prior_bytes ? 1 : CUBIC_ALPHA;

    cubic->w_est_bytes += alpha * (double)cc->datagram_bytes * acked_bytes / (double)cc->cwnd_bytes;
}

static void avoid_congestion(struct vly_cc *cc, uint64_t now_ns, const struct vly_ack_sample *s)
{
    struct vly_cc_cubic *cubic = &cc->cubic;
    double cwnd = (double)cc->cwnd_bytes;
    double acked = (double)s->acked_bytes < cwnd ? (double)s->acked_bytes : cwnd;
    uint64_t t_ns;

    if (cubic->epoch_ns == VLY_NEVER)
        epoch_begin(cc, now_ns);
    epoch_advance(cubic, now_ns, s);
    if (!s->cwnd_limited)
        return;
    reno_window_grow(cc, acked);
    t_ns = vly_time_since(now_ns, cubic->epoch_ns);
    if (window_at(cc, t_ns) < cubic->w_est_bytes) {
        if (cubic->w_est_bytes > cwnd)
            cubic->frac_bytes = cubic->w_est_bytes - cwnd;
    } else {
        double target = window_at(cc, t_ns + s->smoothed_rtt_ns);

        if (target > 1.5 * cwnd)
            target = 1.5 * cwnd;
        if (target > cwnd)
            cubic->frac_bytes += (target - cwnd) * acked / cwnd; /* RULE 28: by bytes */
    }
    vly_cc_grow(cc, (uint64_t)cubic->frac_bytes);
    cubic->frac_bytes -= (double)(uint64_t)cubic->frac_bytes;
}

static void cubic_on_ack(struct vly_cc *cc, uint64_t now_ns, const struct vly_ack_sample *s)
{
    bool leave = false;

    if (s->min_rtt_ns != VLY_NEVER)
        cc->cubic.min_rtt_ns = s->min_rtt_ns;
    if (s->in_recovery)
        return;
    if (!vly_cc_in_slow_start(cc)) {
        avoid_congestion(cc, now_ns, s); /* RULE 29 */
    } else if (cc->ssthresh_bytes == UINT64_MAX) {
        vly_cc_grow(cc, vly_hystart_on_ack(&cc->hystart, s, &leave));
        if (leave)
            cc->ssthresh_bytes = cc->cwnd_bytes;
    } else if (s->cwnd_limited) {
        /* RFC 9406 4.3: after the first loss HyStart++ is not used any more. */
        vly_cc_grow(cc, s->acked_bytes);
    }
}

/* The least a single loss leaves; never more than there is. */
static uint64_t floor_bytes(const struct vly_cc *cc)
{
    uint64_t least = vly_cc_minimum_bytes(cc);

    if (cc->cubic.min_rtt_ns == 0 || cc->cubic.min_rtt_ns >= VLY_CC_UNPACED_RTT_NS)
        return least;
    least = FLOOR_PKTS * (uint64_t)cc->datagram_bytes;
    if (least < FLOOR_BYTES)
        least = FLOOR_BYTES;
    return least < cc->cwnd_bytes ? least : cc->cwnd_bytes;
}

static void reduce(struct vly_cc *cc)
{
    struct vly_cc_cubic *cubic = &cc->cubic;
    double cwnd = (double)cc->cwnd_bytes;
    uint64_t reduced = (uint64_t)(CUBIC_BETA * cwnd), least = floor_bytes(cc);

    cubic->cwnd_prior_bytes = cwnd;
    /* Fast convergence, RFC 9438 4.7: a flow that is reduced below its last peak makes room. */
    cubic->w_max_bytes = cwnd < cubic->w_max_bytes ? cwnd * (1 + CUBIC_BETA) / 2 : cwnd;
    cc->ssthresh_bytes = reduced > least ? reduced : least;
}

static void cubic_on_loss(struct vly_cc *cc, uint64_t now_ns, const struct vly_loss_sample *s)
{
    uint64_t minimum = vly_cc_minimum_bytes(cc);

    (void)now_ns;
    /* At the minimum already, more of the same outage keeps ssthresh (RFC 5681 3.1), or it would be
     * followed by growth as if the path carried two datagrams. */
    if (s->persistent && cc->cwnd_bytes <= minimum)
        return;
    cc->undo.cwnd_bytes = cc->cwnd_bytes;
    cc->undo.ssthresh_bytes = cc->ssthresh_bytes;
    cc->undo.cubic = cc->cubic;
    cc->cubic.epoch_ns = VLY_NEVER;
    reduce(cc);
    cc->cwnd_bytes = cc->ssthresh_bytes;
    if (s->persistent) {
        cc->cwnd_bytes = minimum;  /* RULE 24 */
        cc->cubic.w_max_bytes = 0; /* RFC 9438 4.8: K = 0 in the epoch after it */
    }
}

/* RULE 23, RFC 9438 4.9.2. */
static void cubic_on_undo(struct vly_cc *cc, uint64_t now_ns)
{
    uint64_t min_rtt_ns = cc->cubic.min_rtt_ns;

    (void)now_ns;
    if (cc->undo.cwnd_bytes == 0)
        return;
    if (cc->cwnd_bytes < cc->undo.cwnd_bytes)
        cc->cwnd_bytes = cc->undo.cwnd_bytes;
    cc->ssthresh_bytes = cc->undo.ssthresh_bytes;
    cc->cubic = cc->undo.cubic;
    cc->cubic.min_rtt_ns = min_rtt_ns;
    cc->undo.cwnd_bytes = 0;
}

const struct vly_cc_ops vly_cc_cubic_ops = {
    .name = "cubic",
    .init = cubic_init,
    .on_sent = vly_cc_ignore_sent,
    .on_ack = cubic_on_ack,
    .on_loss = cubic_on_loss,
    .on_undo = cubic_on_undo,
};
