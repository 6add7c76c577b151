/*
 * pacer - token bucket that spreads packets over time.
 *
 * Credit is bytes and billionths of a byte, so that a rate of one byte a second adds up too.
 * Cost: O(1), one division.
 */
#include "pacer.h"

#include "num.h"

#include <assert.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)
/* Faster is as good as this: above it a burst in billionths of a byte would not fit 64 bits. */
#define RATE_MAX_BYTES_PER_S UINT64_C(1000000000000)

/* What `rate` sends in `ns`, at most 1 s. */
static uint64_t bytes_in(uint64_t bytes_per_s, uint64_t ns)
{
    return bytes_per_s / (NS_PER_S / ns);
}

static uint64_t quantum_bytes(uint64_t bytes_per_s, uint32_t datagram_bytes)
{
    uint64_t most =
        vly_max_u64(VLY_PACER_QUANTUM_MAX_BYTES, bytes_in(bytes_per_s, VLY_PACER_LATE_NS));

    return vly_max_u64(vly_min_u64(bytes_in(bytes_per_s, VLY_PACER_QUANTUM_NS), most),
                       datagram_bytes);
}

static uint64_t burst_bytes(uint64_t bytes_per_s, uint32_t datagram_bytes)
{
    return vly_max_u64(quantum_bytes(bytes_per_s, datagram_bytes) +
                           bytes_in(bytes_per_s, VLY_PACER_LATE_NS),
                       2 * (uint64_t)datagram_bytes);
}

void vly_pacer_init(struct vly_pacer *p, uint64_t now_ns)
{
    memset(p, 0, sizeof(*p));
    p->credit_bytes = UINT64_MAX; /* cut to a burst when the rate is known */
    p->last_ns = now_ns;
}

uint64_t vly_pacer_budget(struct vly_pacer *p, uint64_t now_ns, uint64_t bytes_per_s,
                          uint32_t datagram_bytes)
{
    uint64_t rate = vly_min_u64(bytes_per_s, RATE_MAX_BYTES_PER_S);
    uint64_t elapsed_ns = vly_time_since(now_ns, p->last_ns);
    uint64_t burst;

    assert(datagram_bytes > 0);
    if (now_ns > p->last_ns)
        p->last_ns = now_ns;
    if (rate == 0)
        return UINT64_MAX;
    burst = burst_bytes(rate, datagram_bytes);
    if (p->credit_bytes >= burst || elapsed_ns > (burst - p->credit_bytes) * NS_PER_S / rate) {
        p->credit_bytes = burst;
        p->credit_frac = 0;
    } else {
        uint64_t frac = elapsed_ns * rate + p->credit_frac;

        p->credit_bytes += frac / NS_PER_S;
        p->credit_frac = frac % NS_PER_S;
    }
    if (p->credit_bytes >= quantum_bytes(rate, datagram_bytes))
        p->waits = false;
    else if (p->credit_bytes < datagram_bytes)
        p->waits = true;
    return p->waits ? 0 : p->credit_bytes;
}

void vly_pacer_on_sent(struct vly_pacer *p, uint32_t bytes)
{
    p->credit_bytes -= vly_min_u64(bytes, p->credit_bytes);
}

void vly_pacer_on_full_batch(struct vly_pacer *p, size_t batch_bytes)
{
    if (p->credit_bytes < batch_bytes)
        p->waits = true;
}

uint64_t vly_pacer_due_ns(const struct vly_pacer *p, uint64_t now_ns, uint64_t bytes_per_s,
                          uint32_t datagram_bytes)
{
    uint64_t rate = vly_min_u64(bytes_per_s, RATE_MAX_BYTES_PER_S), bytes, missing, due_ns;

    bytes = quantum_bytes(rate, datagram_bytes);
    if (rate == 0 || p->credit_bytes >= bytes)
        return now_ns;
    assert(bytes <= UINT64_MAX / NS_PER_S);
    missing = (bytes - p->credit_bytes) * NS_PER_S - p->credit_frac;
    due_ns = vly_time_add(p->last_ns, missing / rate + (missing % rate != 0));
    return vly_max_u64(due_ns, now_ns);
}
