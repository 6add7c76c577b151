/*
 * pacer - token bucket that spreads packets over time.
 *
 * Credit accrues at the given rate while time passes, late timers included, up to one burst. In any
 * interval of t ns at most burst + rate * t bytes pass. The burst is what the rate sends in
 * VLY_PACER_BURST_NS, at least two datagrams, at most the largest of 64 KiB, four datagrams and
 * what the rate sends in VLY_PACER_LATE_NS: above 2 Gbit/s, 64 KiB is less than a timer's lateness
 * and would cap the rate.
 */
#ifndef VLY_PROTO_PACER_H
#define VLY_PROTO_PACER_H

#include <volley/base.h>

#define VLY_PACER_BURST_NS VLY_MS(1)
#define VLY_PACER_BURST_MAX_BYTES 65536u
#define VLY_PACER_LATE_NS VLY_US(250)

struct vly_pacer {
    uint64_t credit_bytes;
    uint64_t credit_frac; /* remainder of the last accrual, so that no rate is rounded away */
    uint64_t last_ns;
};

/* Starts with a whole burst. */
void vly_pacer_init(struct vly_pacer *p, uint64_t now_ns);
/* Bytes that may be sent now at `bytes_per_s`; UINT64_MAX when that is 0 (no pacing). */
uint64_t vly_pacer_budget(struct vly_pacer *p, uint64_t now_ns, uint64_t bytes_per_s,
                          uint32_t datagram_bytes);
/* What the budget does not cover (a probe) uses it up and leaves no debt. */
void vly_pacer_on_sent(struct vly_pacer *p, uint32_t bytes);
/* When the budget reaches `bytes` (at most a burst) at that rate: now or later. */
uint64_t vly_pacer_when_ns(const struct vly_pacer *p, uint64_t now_ns, uint64_t bytes_per_s,
                           uint64_t bytes);

#endif
