/*
 * rtt - round-trip time estimate, RFC 9002 section 5.
 *
 * Cost: O(1). Deviation: a sample counts as 1 ns at least, so that nobody divides by zero where
 * both ends share a clock tick.
 */
#include "rtt.h"

#include <string.h>

void vly_rtt_init(struct vly_rtt *rtt)
{
    memset(rtt, 0, sizeof(*rtt));
    rtt->smoothed_ns = VLY_RTT_INITIAL_NS;
    rtt->variance_ns = VLY_RTT_INITIAL_NS / 2; /* RFC 9002 5.3 */
    rtt->min_ns = VLY_NEVER;
}

/* `old` moved by 1/divisor of the way to `sample`. */
static uint64_t moved_towards(uint64_t old, uint64_t sample, uint64_t divisor)
{
    return sample >= old ? old + (sample - old) / divisor : old - (old - sample) / divisor;
}

void vly_rtt_on_sample(struct vly_rtt *rtt, uint64_t latest_ns, uint64_t ack_delay_ns)
{
    uint64_t adjusted_ns, error_ns;

    if (latest_ns == 0)
        latest_ns = 1;
    rtt->latest_ns = latest_ns;
    if (!rtt->has_sample) {
        rtt->has_sample = true;
        rtt->min_ns = latest_ns;
        rtt->smoothed_ns = latest_ns;
        rtt->variance_ns = latest_ns / 2;
        return;
    }
    if (latest_ns < rtt->min_ns)
        rtt->min_ns = latest_ns;
    /* RULE 20, RFC 9002 5.3: min_ns itself is taken without the delay, so that a peer that
     * overstates its delay cannot lower it; and the delay counts only where it leaves at least
     * min_ns. */
    adjusted_ns = latest_ns;
    if (latest_ns - rtt->min_ns >= ack_delay_ns)
        adjusted_ns = latest_ns - ack_delay_ns;
    error_ns = adjusted_ns > rtt->smoothed_ns ? adjusted_ns - rtt->smoothed_ns
                                              : rtt->smoothed_ns - adjusted_ns;
    rtt->variance_ns = moved_towards(rtt->variance_ns, error_ns, 4);
    rtt->smoothed_ns = moved_towards(rtt->smoothed_ns, adjusted_ns, 8);
}

uint64_t vly_rtt_pto_ns(const struct vly_rtt *rtt, uint64_t max_ack_delay_ns)
{
    uint64_t spread_ns = rtt->variance_ns > VLY_NEVER / 4 ? VLY_NEVER : 4 * rtt->variance_ns;

    if (spread_ns < VLY_RTT_GRANULARITY_NS)
        spread_ns = VLY_RTT_GRANULARITY_NS;
    return vly_time_add(vly_time_add(rtt->smoothed_ns, spread_ns), max_ack_delay_ns);
}
