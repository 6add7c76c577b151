/*
 * prr - proportional rate reduction, RFC 9937 section 6.
 *
 * While more is in flight than ssthresh, each delivered byte lets ssthresh / RecoverFS bytes out,
 * so that both meet at the end of one round trip; below ssthresh it is as many as were delivered,
 * and one datagram more an ACK while no further loss shows.
 *
 * Deviations: all counts are bytes. SafeACK is an ACK that reports no loss; that it also advances
 * the oldest unacknowledged byte (SND.UNA) has no meaning where a retransmission is a new packet.
 */
#include "prr.h"

#include "num.h"

#include <string.h>

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

void vly_prr_begin(struct vly_prr *p, uint64_t in_flight_bytes, uint32_t datagram_bytes)
{
    *p = (struct vly_prr){
        .active = true,
        .recover_fs_bytes = vly_max_u64(in_flight_bytes, 1),
        .allowance_bytes = datagram_bytes,
    };
}

void vly_prr_end(struct vly_prr *p)
{
    memset(p, 0, sizeof(*p));
}

/* CEIL(prr_delivered * ssthresh / RecoverFS). */
static uint64_t proportion(const struct vly_prr *p, uint64_t ssthresh_bytes)
{
    double share =
        (double)p->delivered_bytes * (double)ssthresh_bytes / (double)p->recover_fs_bytes;
    uint64_t floor = (uint64_t)share;

    return (double)floor < share ? floor + 1 : floor;
}

void vly_prr_on_ack(struct vly_prr *p, uint64_t acked_bytes, uint64_t lost_bytes,
                    uint64_t in_flight_bytes, uint64_t ssthresh_bytes, uint32_t datagram_bytes)
{
    uint64_t allowance;

    if (!p->active || acked_bytes == 0)
        return;
    p->delivered_bytes += acked_bytes;
    if (in_flight_bytes > ssthresh_bytes) {
        allowance = less(proportion(p, ssthresh_bytes), p->out_bytes);
    } else {
        uint64_t room = ssthresh_bytes - in_flight_bytes;

        allowance = vly_max_u64(less(p->delivered_bytes, p->out_bytes), acked_bytes);
        if (lost_bytes == 0)
            allowance += datagram_bytes;
        if (allowance > room)
            allowance = room;
    }
    /* The fast retransmit goes out whatever the bound says. */
    if (p->out_bytes == 0)
        allowance = vly_max_u64(allowance, datagram_bytes);
    p->allowance_bytes = allowance;
}

void vly_prr_on_sent(struct vly_prr *p, uint32_t bytes)
{
    if (!p->active)
        return;
    p->out_bytes += bytes;
    p->allowance_bytes = less(p->allowance_bytes, bytes);
}
