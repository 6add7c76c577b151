/*
 * cc_reno - the controller of RFC 9002 section 7 and appendix B.
 *
 * The measure the others are held against. Growth counts bytes, not ACK frames, so that splitting
 * an acknowledgement gains nothing (RULE 28), and stops while the window is not used up (RULE 27).
 */
#include "cc.h"

static void reno_init(struct vly_cc *cc, uint64_t now_ns)
{
    (void)now_ns;
    cc->reno = (struct vly_cc_reno){0};
}

static void reno_on_ack(struct vly_cc *cc, uint64_t now_ns, const struct vly_ack_sample *s)
{
    struct vly_cc_reno *reno = &cc->reno;

    (void)now_ns;
    if (s->in_recovery || !s->cwnd_limited)
        return;
    if (vly_cc_in_slow_start(cc)) {
        vly_cc_grow(cc, s->acked_bytes);
        return;
    }
    /* One datagram for each window acknowledged. */
    reno->acked_bytes += s->acked_bytes;
    while (reno->acked_bytes >= cc->cwnd_bytes) {
        reno->acked_bytes -= cc->cwnd_bytes;
        vly_cc_grow(cc, cc->datagram_bytes);
    }
}

static void reno_on_loss(struct vly_cc *cc, uint64_t now_ns, const struct vly_loss_sample *s)
{
    uint64_t minimum = vly_cc_minimum_bytes(cc);

    (void)now_ns;
    /* At the minimum already, more of the same outage keeps ssthresh (RFC 5681 3.1), or it would be
     * followed by linear growth from two datagrams. */
    if (s->persistent && cc->cwnd_bytes <= minimum)
        return;
    cc->undo.cwnd_bytes = cc->cwnd_bytes;
    cc->undo.ssthresh_bytes = cc->ssthresh_bytes;
    cc->reno.acked_bytes = 0;
    cc->ssthresh_bytes = cc->cwnd_bytes / 2 > minimum ? cc->cwnd_bytes / 2 : minimum;
    cc->cwnd_bytes = s->persistent ? minimum : cc->ssthresh_bytes; /* RULE 24 */
}

/* RULE 23. */
static void reno_on_undo(struct vly_cc *cc, uint64_t now_ns)
{
    (void)now_ns;
    if (cc->undo.cwnd_bytes == 0)
        return;
    if (cc->cwnd_bytes < cc->undo.cwnd_bytes)
        cc->cwnd_bytes = cc->undo.cwnd_bytes;
    cc->ssthresh_bytes = cc->undo.ssthresh_bytes;
    cc->undo.cwnd_bytes = 0;
}

const struct vly_cc_ops vly_cc_reno_ops = {
    .name = "reno",
    .init = reno_init,
    .on_sent = vly_cc_ignore_sent,
    .on_ack = reno_on_ack,
    .on_loss = reno_on_loss,
    .on_undo = reno_on_undo,
};
