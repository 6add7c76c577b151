/*
 * cc_hystart - HyStart++, RFC 9406: slow start that ends when the round trip grows, not when the
 * queue overflows.
 *
 * A round whose smallest RTT exceeds the last round's by an eighth leads to conservative slow start
 * (CSS), a quarter of the growth; five rounds of that without the RTT coming back end slow start.
 *
 * Deviations from RFC 9406: four samples decide a round (N_RTT_SAMPLE is 8), because a receiver
 * need send only four ACKs a round trip (SPEC 5.1). Growth per ACK is not limited (L is infinite)
 * on the unpaced paths below VLY_CC_UNPACED_RTT_NS either: one ACK stands for up to 64 packets
 * there. On those paths delay is the hosts' scheduling and says nothing. Rounds in which the window
 * is not used up decide nothing. In the round in which CSS begins, a smaller RTT that is still an
 * eighth above the last round's is jitter and lowers the baseline only: were CSS left for it by the
 * round's last ACK, the round would not count and slow start would last one longer.
 */
#include "cc.h"

#define MIN_RTT_THRESH_NS VLY_MS(4)
#define MAX_RTT_THRESH_NS VLY_MS(16)
#define MIN_RTT_DIVISOR 8u
#define ROUND_SAMPLES 4u
#define CSS_GROWTH_DIVISOR 4u
#define CSS_ROUNDS 5u

void vly_hystart_init(struct vly_hystart *h)
{
    *h = (struct vly_hystart){
        .round_min_ns = VLY_NEVER,
        .last_round_min_ns = VLY_NEVER,
        .css_baseline_ns = VLY_NEVER,
    };
}

/* Whether this round's RTT shows a queue that the last one's did not. */
static bool delay_has_grown(const struct vly_hystart *h)
{
    uint64_t thresh_ns = h->last_round_min_ns / MIN_RTT_DIVISOR;

    if (h->round_samples < ROUND_SAMPLES || h->last_round_min_ns == VLY_NEVER)
        return false;
    if (thresh_ns < MIN_RTT_THRESH_NS)
        thresh_ns = MIN_RTT_THRESH_NS;
    if (thresh_ns > MAX_RTT_THRESH_NS)
        thresh_ns = MAX_RTT_THRESH_NS;
    return h->round_min_ns >= h->last_round_min_ns + thresh_ns;
}

static void round_begin(struct vly_hystart *h)
{
    h->last_round_min_ns = h->round_min_ns;
    h->round_min_ns = VLY_NEVER;
    h->round_samples = 0;
    /* The round in which CSS began counts as one, RFC 9406 4.2. */
    if (h->in_css)
        h->css_rounds++;
}

static void take_sample(struct vly_hystart *h, uint64_t rtt_ns)
{
    if (rtt_ns < h->round_min_ns)
        h->round_min_ns = rtt_ns;
    h->round_samples++;
    if (!h->in_css && delay_has_grown(h)) {
        h->in_css = true;
        h->css_rounds = 0;
        h->css_baseline_ns = h->round_min_ns;
    } else if (h->in_css && h->round_samples >= ROUND_SAMPLES &&
               h->round_min_ns < h->css_baseline_ns) {
        /* The delay went away again: leaving slow start would have been premature. */
        h->in_css = h->css_rounds == 0 && delay_has_grown(h);
        h->css_baseline_ns = h->in_css ? h->round_min_ns : VLY_NEVER;
    }
}

/* RULE 29. */
uint64_t vly_hystart_on_ack(struct vly_hystart *h, const struct vly_ack_sample *s, bool *leave)
{
    if (!s->cwnd_limited)
        return 0; /* RULE 27 */
    if (h->done || s->min_rtt_ns < VLY_CC_UNPACED_RTT_NS)
        return s->acked_bytes;
    if (s->round_start)
        round_begin(h);
    if (h->in_css && h->css_rounds >= CSS_ROUNDS) {
        h->done = true;
        *leave = true;
        return 0;
    }
    if (s->latest_rtt_ns != 0)
        take_sample(h, s->latest_rtt_ns);
    return h->in_css ? s->acked_bytes / CSS_GROWTH_DIVISOR : s->acked_bytes;
}
