/*
 * prr - proportional rate reduction, RFC 9937: how much may be sent during an episode, so that in
 * flight comes down to the new window smoothly instead of by half a round trip of silence.
 */
#ifndef VLY_PROTO_PRR_H
#define VLY_PROTO_PRR_H

#include <volley/base.h>

struct vly_prr {
    bool active;
    uint64_t recover_fs_bytes; /* in flight when the episode began (RecoverFS) */
    uint64_t delivered_bytes;
    uint64_t out_bytes;
    uint64_t allowance_bytes; /* what may be sent until the next ACK */
};

/* `in_flight_bytes`: before what was lost is taken off. One datagram, the fast retransmit, may go
 * at once. Only for an episode whose controller wants less in flight than there is: when its
 * ssthresh is not below `in_flight_bytes` (`fixed`), there is nothing to reduce. */
void vly_prr_begin(struct vly_prr *p, uint64_t in_flight_bytes, uint32_t datagram_bytes);
void vly_prr_end(struct vly_prr *p);
/* One ACK of the episode. `lost_bytes`: newly declared lost by it; `in_flight_bytes`: after it. */
void vly_prr_on_ack(struct vly_prr *p, uint64_t acked_bytes, uint64_t lost_bytes,
                    uint64_t in_flight_bytes, uint64_t ssthresh_bytes, uint32_t datagram_bytes);
void vly_prr_on_sent(struct vly_prr *p, uint32_t bytes);

#endif
