/*
 * rate - delivery rate samples, draft-ietf-ccwg-bbr section 4.1.2.
 *
 * Of the packets one ACK acknowledges, the newest sent decides: it has the shortest memory. Packets
 * of one batch share their time and snapshot, so the first of them is as good as the others.
 */
#include "rate.h"

#include <string.h>

void vly_rate_init(struct vly_rate *r, uint64_t now_ns)
{
    memset(r, 0, sizeof(*r));
    r->delivered_ns = now_ns;
    r->first_sent_ns = now_ns;
}

void vly_rate_on_sent(struct vly_rate *r, uint64_t now_ns, uint64_t in_flight_bytes,
                      struct vly_rate_snapshot *out)
{
    /* After silence both intervals begin anew, or they would hold the idle time. */
    if (in_flight_bytes == 0) {
        r->first_sent_ns = now_ns;
        r->delivered_ns = now_ns;
    }
    *out = (struct vly_rate_snapshot){
        .delivered_bytes = r->delivered_bytes,
        .delivered_ns = r->delivered_ns,
        .first_sent_ns = r->first_sent_ns,
        .app_limited = r->app_limited_until != 0,
    };
}

void vly_rate_on_acked(struct vly_rate *r, uint64_t now_ns, uint64_t sent_ns, uint32_t bytes,
                       const struct vly_rate_snapshot *snap)
{
    r->delivered_bytes += bytes;
    r->delivered_ns = now_ns;
    /* Older than a packet acknowledged before: it would stretch the sample over a hole. */
    if (r->has_sample ? sent_ns <= r->first_sent_ns : sent_ns < r->first_sent_ns)
        return;
    r->has_sample = true;
    r->prior_delivered_bytes = snap->delivered_bytes;
    r->prior_delivered_ns = snap->delivered_ns;
    r->send_elapsed_ns = vly_time_since(sent_ns, snap->first_sent_ns);
    r->ack_elapsed_ns = vly_time_since(now_ns, snap->delivered_ns);
    r->sample_app_limited = snap->app_limited;
    r->first_sent_ns = sent_ns;
}

struct vly_rate_sample vly_rate_finish(struct vly_rate *r, uint64_t min_rtt_ns)
{
    struct vly_rate_sample sample = {0};

    if (r->app_limited_until != 0 && r->delivered_bytes > r->app_limited_until)
        r->app_limited_until = 0;
    if (!r->has_sample)
        return sample;
    r->has_sample = false;
    sample.prior_delivered_bytes = r->prior_delivered_bytes;
    sample.app_limited = r->sample_app_limited;
    /* The longer one: ACKs that arrive bunched, or a sender that burst, would otherwise look fast.
     */
    sample.interval_ns =
        r->send_elapsed_ns > r->ack_elapsed_ns ? r->send_elapsed_ns : r->ack_elapsed_ns;
    if (sample.interval_ns != 0 && sample.interval_ns >= min_rtt_ns)
        sample.bytes_per_s =
            (uint64_t)(1e9 * (double)(r->delivered_bytes - r->prior_delivered_bytes) /
                       (double)sample.interval_ns);
    return sample;
}

void vly_rate_on_app_limited(struct vly_rate *r, uint64_t in_flight_bytes)
{
    r->app_limited_until = r->delivered_bytes + in_flight_bytes;
    if (r->app_limited_until == 0)
        r->app_limited_until = 1;
}
