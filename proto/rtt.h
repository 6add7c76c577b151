/*
 * rtt - round-trip time estimate, RFC 9002 section 5, in nanoseconds.
 */
#ifndef VLY_PROTO_RTT_H
#define VLY_PROTO_RTT_H

#include <volley/base.h>

#define VLY_RTT_INITIAL_NS VLY_MS(100) /* before the first sample */
#define VLY_RTT_GRANULARITY_NS VLY_MS(1)

struct vly_rtt {
    bool has_sample;
    uint64_t latest_ns;
    uint64_t smoothed_ns;
    uint64_t variance_ns;
    uint64_t min_ns; /* VLY_NEVER before the first sample */
};

void vly_rtt_init(struct vly_rtt *rtt);
/* Takes one sample. `ack_delay_ns` is already limited to the peer's max_ack_delay; it is never let
 * to bring a sample below min_ns (RULE 20). */
void vly_rtt_on_sample(struct vly_rtt *rtt, uint64_t latest_ns, uint64_t ack_delay_ns);
/* SPEC 5.4 without back-off: smoothed + max(4 * variance, granularity) + max_ack_delay. */
uint64_t vly_rtt_pto_ns(const struct vly_rtt *rtt, uint64_t max_ack_delay_ns);

#endif
