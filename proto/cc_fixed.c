/*
 * cc_fixed - a sending rate chosen by the user, for measuring and for private lines.
 *
 * The pacing rate is the one given, whatever is lost; the window only has to be too large to
 * matter: twice what the rate sends in a round trip, so that ACKs may come late. It is no
 * congestion control in the sense of RFC 8085 and has no place on a shared path.
 */
#include "cc.h"

#include <assert.h>

#define WINDOW_MIN_PKTS 64u

static void fixed_init(struct vly_cc *cc, uint64_t now_ns)
{
    (void)now_ns;
    assert(cc->fixed_bytes_per_s > 0);
    cc->pacing_bytes_per_s = cc->fixed_bytes_per_s;
    cc->cwnd_bytes = WINDOW_MIN_PKTS * (uint64_t)cc->datagram_bytes;
}

static void fixed_on_ack(struct vly_cc *cc, uint64_t now_ns, const struct vly_ack_sample *s)
{
    double wanted = 2e-9 * (double)cc->fixed_bytes_per_s * (double)s->smoothed_rtt_ns;
    uint64_t least = WINDOW_MIN_PKTS * (uint64_t)cc->datagram_bytes;

    (void)now_ns;
    cc->cwnd_bytes = wanted < (double)VLY_CC_CWND_MAX ? (uint64_t)wanted : VLY_CC_CWND_MAX;
    if (cc->cwnd_bytes < least)
        cc->cwnd_bytes = least;
}

static void fixed_on_loss(struct vly_cc *cc, uint64_t now_ns, const struct vly_loss_sample *s)
{
    (void)cc;
    (void)now_ns;
    (void)s;
}

static void fixed_on_undo(struct vly_cc *cc, uint64_t now_ns)
{
    (void)cc;
    (void)now_ns;
}

const struct vly_cc_ops vly_cc_fixed_ops = {
    .name = "fixed",
    .init = fixed_init,
    .on_sent = vly_cc_ignore_sent,
    .on_ack = fixed_on_ack,
    .on_loss = fixed_on_loss,
    .on_undo = fixed_on_undo,
};
