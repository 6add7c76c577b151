#include "loss.h"

#include <assert.h>

void vly_loss_init(struct vly_loss *l)
{
    *l = (struct vly_loss){.loss_time_ns = VLY_NEVER, .reo_steps = 1};
}

void vly_loss_on_largest_acked(struct vly_loss *l, uint64_t pn, uint64_t sent_ns)
{
    if (l->has_acked && pn <= l->largest_acked)
        return;
    l->has_acked = true;
    l->largest_acked = pn;
    l->largest_acked_sent_ns = sent_ns;
}

/* How long after it was sent a packet older than an acknowledged one counts as lost. SPEC 5.3. */
static uint64_t time_threshold_ns(const struct vly_loss *l, const struct vly_rtt *rtt)
{
    uint64_t base_ns = rtt->smoothed_ns > rtt->latest_ns ? rtt->smoothed_ns : rtt->latest_ns;
    uint64_t window_ns = base_ns / 8;

    if (l->reordering_seen) {
        uint64_t reo_ns = rtt->min_ns / 4 * l->reo_steps;

        if (reo_ns > rtt->smoothed_ns)
            reo_ns = rtt->smoothed_ns;
        if (reo_ns > window_ns)
            window_ns = reo_ns;
    }
    if (base_ns + window_ns < VLY_RTT_GRANULARITY_NS)
        return VLY_RTT_GRANULARITY_NS; /* RFC 9002 6.1.2: never below the timer's granularity */
    return base_ns + window_ns;
}

void vly_loss_begin_pass(struct vly_loss *l)
{
    l->run_open = false;
    l->run_longest_ns = 0;
}

/* Extends or begins the run of losses with nothing acknowledged in between. */
static void run_add(struct vly_loss *l, const struct vly_sentlog *log, uint64_t pn,
                    uint64_t sent_ns)
{
    if (l->run_open) {
        size_t i = vly_rangeset_find(&log->acked, l->run_last_pn);

        if (i < log->acked.n && log->acked.r[i].begin < pn)
            l->run_open = false;
    }
    if (!l->run_open)
        l->run_first_ns = sent_ns;
    l->run_open = true;
    l->run_last_pn = pn;
    if (sent_ns - l->run_first_ns > l->run_longest_ns)
        l->run_longest_ns = sent_ns - l->run_first_ns;
}

/* RULE 22: only a packet older than an acknowledged one can be lost; a timer alone declares
 * nothing. */
struct vly_sent *vly_loss_next(struct vly_loss *l, struct vly_sentlog *log,
                               const struct vly_rtt *rtt, uint64_t now_ns, uint64_t *pn)
{
    struct vly_sent *s;
    uint64_t lost_at_ns;
    bool by_count;

    l->loss_time_ns = VLY_NEVER;
    if (!l->has_acked)
        return NULL;
    s = vly_sentlog_lowest(log, l->largest_acked, pn);
    if (s == NULL)
        return NULL;
    lost_at_ns = vly_time_add(s->sent_ns, time_threshold_ns(l, rtt));
    by_count = !l->reordering_seen && l->largest_acked - *pn >= VLY_PACKET_THRESHOLD;
    if (!by_count && lost_at_ns > now_ns) {
        l->loss_time_ns = lost_at_ns; /* sent times rise with numbers: all later ones wait longer */
        return NULL;
    }
    run_add(l, log, *pn, s->sent_ns);
    vly_sentlog_settle(log, s, VLY_SENT_LOST);
    return s;
}

bool vly_loss_is_persistent(const struct vly_loss *l, const struct vly_rtt *rtt,
                            uint64_t max_ack_delay_ns)
{
    if (!rtt->has_sample)
        return false;
    return l->run_longest_ns > VLY_PERSISTENT_PTOS * vly_rtt_pto_ns(rtt, max_ack_delay_ns);
}

bool vly_loss_on_congestion(struct vly_loss *l, uint64_t sent_ns, uint64_t now_ns)
{
    if (l->episode != 0 && sent_ns <= l->recovery_start_ns)
        return false;
    l->episode++;
    l->in_recovery = true;
    l->recovery_start_ns = now_ns;
    l->episode_lost_pkts = 0;
    l->episode_spurious_pkts = 0;
    if (l->reo_persist > 0 && --l->reo_persist == 0) {
        l->reordering_seen = false;
        l->reo_steps = 1;
    }
    return true;
}

bool vly_loss_on_spurious(struct vly_loss *l, const struct vly_sent *s, const struct vly_rtt *rtt,
                          uint64_t now_ns)
{
    assert(s->state == VLY_SENT_LOST);
    l->reo_persist = VLY_REO_PERSIST;
    if (!l->reordering_seen) {
        l->reordering_seen = true;
        l->reo_last_raise_ns = now_ns;
    } else if (vly_time_since(now_ns, l->reo_last_raise_ns) >= rtt->smoothed_ns) {
        l->reo_steps++;
        l->reo_last_raise_ns = now_ns;
    }
    if (s->episode != l->episode)
        return false;
    l->episode_spurious_pkts++;
    return l->episode_spurious_pkts == l->episode_lost_pkts;
}

bool vly_loss_on_acked(struct vly_loss *l, uint64_t sent_ns)
{
    if (!l->in_recovery || sent_ns <= l->recovery_start_ns)
        return false;
    l->in_recovery = false;
    return true;
}

void vly_loss_on_path_change(struct vly_loss *l, uint64_t now_ns)
{
    l->episode++;
    l->in_recovery = false;
    l->recovery_start_ns = now_ns;
    l->episode_lost_pkts = 1; /* one that never turns out spurious */
    l->episode_spurious_pkts = 0;
    l->loss_time_ns = VLY_NEVER;
    l->pto_count = 0;
}

uint64_t vly_loss_pto_ns(const struct vly_loss *l, const struct vly_rtt *rtt,
                         uint64_t max_ack_delay_ns)
{
    uint64_t pto_ns = vly_rtt_pto_ns(rtt, max_ack_delay_ns);

    for (uint32_t i = 0; i < l->pto_count && pto_ns < VLY_PTO_MAX_NS; i++)
        pto_ns *= 2;
    /* A path slower than the cap keeps its own PTO. */
    if (pto_ns > VLY_PTO_MAX_NS) {
        uint64_t plain_ns = vly_rtt_pto_ns(rtt, max_ack_delay_ns);

        pto_ns = plain_ns > VLY_PTO_MAX_NS ? plain_ns : VLY_PTO_MAX_NS;
    }
    return pto_ns;
}

uint64_t vly_loss_deadline_ns(const struct vly_loss *l, const struct vly_sentlog *log,
                              const struct vly_rtt *rtt, uint64_t max_ack_delay_ns)
{
    if (l->loss_time_ns != VLY_NEVER)
        return l->loss_time_ns;
    if (log->in_flight_pkts == 0)
        return VLY_NEVER;
    return vly_time_add(l->last_counted_ns, vly_loss_pto_ns(l, rtt, max_ack_delay_ns));
}
