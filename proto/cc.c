/*
 * cc - the list of controllers and what they share.
 */
#include "cc.h"

#include <assert.h>
#include <string.h>

static const struct vly_cc_ops *const cc_all[] = {
    &vly_cc_cubic_ops,
    &vly_cc_reno_ops,
    &vly_cc_fixed_ops,
};

const struct vly_cc_ops *vly_cc_at(size_t i)
{
    return i < sizeof(cc_all) / sizeof(cc_all[0]) ? cc_all[i] : NULL;
}

const struct vly_cc_ops *vly_cc_find(const char *name)
{
    const struct vly_cc_ops *ops;

    for (size_t i = 0; (ops = vly_cc_at(i)) != NULL; i++)
        if (strcmp(ops->name, name) == 0)
            return ops;
    return NULL;
}

void vly_cc_init(struct vly_cc *cc, const struct vly_cc_ops *ops, uint32_t datagram_bytes,
                 uint64_t fixed_bytes_per_s, uint64_t now_ns)
{
    assert(datagram_bytes > 0);
    memset(cc, 0, sizeof(*cc));
    cc->ops = ops;
    cc->datagram_bytes = datagram_bytes;
    cc->cwnd_bytes = VLY_CC_INITIAL_PKTS * (uint64_t)datagram_bytes;
    cc->ssthresh_bytes = UINT64_MAX;
    cc->fixed_bytes_per_s = fixed_bytes_per_s;
    vly_hystart_init(&cc->hystart);
    ops->init(cc, now_ns);
}

void vly_cc_set_datagram(struct vly_cc *cc, uint32_t datagram_bytes)
{
    assert(datagram_bytes > 0);
    cc->datagram_bytes = datagram_bytes;
    if (cc->cwnd_bytes < vly_cc_minimum_bytes(cc))
        cc->cwnd_bytes = vly_cc_minimum_bytes(cc);
}

bool vly_cc_in_slow_start(const struct vly_cc *cc)
{
    return cc->cwnd_bytes < cc->ssthresh_bytes;
}

uint64_t vly_cc_minimum_bytes(const struct vly_cc *cc)
{
    return VLY_CC_MINIMUM_PKTS * (uint64_t)cc->datagram_bytes;
}

uint64_t vly_cc_pacing_bytes_per_s(const struct vly_cc *cc, uint64_t smoothed_rtt_ns,
                                   uint64_t min_rtt_ns)
{
    double gain = vly_cc_in_slow_start(cc) ? 2.0 : 1.25;
    double rate;

    if (cc->pacing_bytes_per_s != 0)
        return cc->pacing_bytes_per_s;
    if (smoothed_rtt_ns == 0 || min_rtt_ns == VLY_NEVER || min_rtt_ns < VLY_CC_UNPACED_RTT_NS)
        return 0;
    rate = gain * (double)cc->cwnd_bytes * 1e9 / (double)smoothed_rtt_ns;
    return rate < 1 ? 1 : (uint64_t)rate;
}

void vly_cc_grow(struct vly_cc *cc, uint64_t bytes)
{
    if (cc->cwnd_bytes >= VLY_CC_CWND_MAX)
        return;
    if (bytes > VLY_CC_CWND_MAX - cc->cwnd_bytes)
        bytes = VLY_CC_CWND_MAX - cc->cwnd_bytes;
    cc->cwnd_bytes += bytes;
}

void vly_cc_ignore_sent(struct vly_cc *cc, uint64_t now_ns, uint32_t bytes)
{
    (void)cc;
    (void)now_ns;
    (void)bytes;
}
