/*
 * pacer - token bucket that spreads packets over time.
 *
 * Credit accrues at the given rate while time passes, late timers included, up to one burst. In any
 * interval of t ns at most burst + rate * t bytes pass.
 *
 * Waking up costs more than a packet, so who has used the credit up waits for a quantum, whatever
 * wakes it meanwhile: what the rate sends in VLY_PACER_QUANTUM_NS, at most
 * VLY_PACER_QUANTUM_MAX_BYTES or what the rate sends in VLY_PACER_LATE_NS, at least a datagram. A
 * burst is a quantum and what the rate sends while the timer is late, VLY_PACER_LATE_NS, at least
 * two datagrams.
 */
#ifndef VLY_PROTO_PACER_H
#define VLY_PROTO_PACER_H

#include <volley/base.h>

#define VLY_PACER_QUANTUM_NS VLY_MS(1)
#define VLY_PACER_QUANTUM_MAX_BYTES 65536u
#define VLY_PACER_LATE_NS VLY_US(250)

struct vly_pacer {
    uint64_t credit_bytes;
    uint64_t credit_frac; /* remainder of the last accrual, so that no rate is rounded away */
    uint64_t last_ns;
    bool waits; /* the credit was used up: for a quantum */
};

/* Starts with a whole burst. */
void vly_pacer_init(struct vly_pacer *p, uint64_t now_ns);
/* Bytes that may be sent now at `bytes_per_s`: at least a datagram, or 0 until there is a quantum;
 * UINT64_MAX when the rate is 0 (no pacing). */
uint64_t vly_pacer_budget(struct vly_pacer *p, uint64_t now_ns, uint64_t bytes_per_s,
                          uint32_t datagram_bytes);
/* What the budget does not cover (a probe) uses it up and leaves no debt. */
void vly_pacer_on_sent(struct vly_pacer *p, uint32_t bytes);
/* After a batch that is full: what is left waits for the next quantum, unless it is as much again.
 */
void vly_pacer_on_full_batch(struct vly_pacer *p, size_t batch_bytes);
/* When the budget reaches a quantum at that rate: now or later. */
uint64_t vly_pacer_due_ns(const struct vly_pacer *p, uint64_t now_ns, uint64_t bytes_per_s,
                          uint32_t datagram_bytes);

#endif
