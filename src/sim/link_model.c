#include "sim/link_model.h"

#include <assert.h>

#define NS_PER_S UINT64_C(1000000000)
#define QUEUE_MIN_BYTES 65536
#define MTU_DEFAULT 65507

static bool is_probability(double p)
{
    return p >= 0 && p <= 1; /* false for NaN */
}

static uint64_t queue_default(const struct vly_link_spec *s)
{
    double bdp = 2.0 * (double)s->rate_bytes_per_s * (double)s->delay_ns / (double)NS_PER_S;

    if (s->rate_bytes_per_s == 0 || bdp > (double)VLY_LINK_QUEUE_MAX)
        return VLY_LINK_QUEUE_MAX;
    return bdp < QUEUE_MIN_BYTES ? QUEUE_MIN_BYTES : (uint64_t)bdp;
}

int vly_link_model_init(struct vly_link_model *l, const struct vly_link_spec *spec, uint64_t seed)
{
    const double p[] = {spec->loss,    spec->burst_enter, spec->burst_leave,
                        spec->reorder, spec->burst_loss,  spec->duplicate,
                        spec->corrupt, spec->truncate,    spec->ce_mark};

    *l = (struct vly_link_model){.spec = *spec};
    for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++)
        if (!is_probability(p[i]))
            return VLY_E_INVALID;
    if (spec->queue_bytes > VLY_LINK_QUEUE_MAX)
        return VLY_E_INVALID;
    if (spec->queue_bytes == 0)
        l->spec.queue_bytes = queue_default(spec);
    if (spec->mtu_bytes == 0)
        l->spec.mtu_bytes = MTU_DEFAULT;
    vly_prng_init(&l->prng, seed);
    return 0;
}

int vly_link_model_change(struct vly_link_model *l, const struct vly_link_change *change)
{
    uint64_t earliest_ns = l->changes_n > 0 ? l->changes[l->changes_n - 1].at_ns : 0;

    if (change->at_ns < earliest_ns || change->at_ns < l->now_ns)
        return VLY_E_INVALID;
    if (l->changes_n == VLY_LINK_CHANGES_MAX)
        return VLY_E_LIMIT;
    l->changes[l->changes_n++] = *change;
    return 0;
}

/* Lets the queue empty itself at the present rate from now_ns until `until_ns`. */
static void drain(struct vly_link_model *l, uint64_t until_ns)
{
    uint64_t rate = l->spec.rate_bytes_per_s;
    uint64_t passed_ns = until_ns - l->now_ns;
    uint64_t frac; /* in 1 / 10^9 bytes: fits, for the backlog is at most 2^33 + 2^16 bytes */

    l->now_ns = until_ns;
    if (rate == 0 || passed_ns > l->backlog_bytes * NS_PER_S / rate) {
        l->backlog_bytes = 0;
        l->drained_frac = 0;
        return;
    }
    frac = passed_ns * rate + l->drained_frac;
    if (frac >= l->backlog_bytes * NS_PER_S) {
        l->backlog_bytes = 0;
        l->drained_frac = 0;
        return;
    }
    l->backlog_bytes -= frac / NS_PER_S;
    l->drained_frac = frac % NS_PER_S;
}

static void apply(struct vly_link_model *l, const struct vly_link_change *c)
{
    switch (c->what) {
    case VLY_LINK_RATE:
        l->spec.rate_bytes_per_s = c->value;
        break;
    case VLY_LINK_DELAY:
        l->spec.delay_ns = c->value;
        break;
    case VLY_LINK_MTU:
        l->spec.mtu_bytes = c->value;
        break;
    case VLY_LINK_OUTAGE:
        l->outage = c->value != 0;
        break;
    }
}

static void advance(struct vly_link_model *l, uint64_t now_ns)
{
    assert(now_ns >= l->now_ns);
    while (l->changes_next < l->changes_n && l->changes[l->changes_next].at_ns <= now_ns) {
        const struct vly_link_change *c = &l->changes[l->changes_next++];

        drain(l, c->at_ns);
        apply(l, c);
    }
    drain(l, now_ns);
}

uint64_t vly_link_model_backlog_bytes(struct vly_link_model *l, uint64_t now_ns)
{
    advance(l, now_ns);
    return l->backlog_bytes;
}

/* When the last byte of the backlog will have gone out, at the present rate and those announced. */
static uint64_t finish_ns(const struct vly_link_model *l)
{
    uint64_t rate = l->spec.rate_bytes_per_s;
    uint64_t need = l->backlog_bytes * NS_PER_S - l->drained_frac;
    uint64_t t_ns = l->now_ns;

    for (size_t i = l->changes_next; rate != 0; i++) {
        uint64_t takes_ns = need / rate + (need % rate != 0);

        while (i < l->changes_n && l->changes[i].what != VLY_LINK_RATE)
            i++;
        if (i == l->changes_n || takes_ns <= l->changes[i].at_ns - t_ns)
            return t_ns + takes_ns;
        need -= (l->changes[i].at_ns - t_ns) * rate;
        t_ns = l->changes[i].at_ns;
        rate = l->changes[i].value;
    }
    return t_ns;
}

static bool is_lost(struct vly_link_model *l)
{
    const struct vly_link_spec *s = &l->spec;

    if (vly_prng_chance(&l->prng, l->burst ? s->burst_leave : s->burst_enter))
        l->burst = !l->burst;
    if (l->burst && vly_prng_chance(&l->prng, s->burst_loss)) {
        l->counters.burst_lost_pkts++;
        return true;
    }
    return vly_prng_chance(&l->prng, s->loss);
}

/* Whether the packet gets as far as the wire. */
static bool is_admitted(struct vly_link_model *l, size_t len)
{
    struct vly_link_counters *n = &l->counters;

    if (len > l->spec.mtu_bytes) {
        n->mtu_dropped_pkts++;
        return false;
    }
    if (l->outage) {
        n->outage_dropped_pkts++;
        return false;
    }
    /* An idle link takes any packet, however small its queue. */
    if (l->backlog_bytes > 0 && l->backlog_bytes + len > l->spec.queue_bytes) {
        n->queue_dropped_pkts++;
        return false;
    }
    return true;
}

static uint64_t arrival_ns(struct vly_link_model *l, uint64_t sent_ns)
{
    const struct vly_link_spec *s = &l->spec;
    uint64_t at_ns = vly_time_add(sent_ns, s->delay_ns);

    if (s->jitter_ns > 0)
        at_ns = vly_time_add(at_ns, vly_prng_below(&l->prng, s->jitter_ns + 1));
    if (vly_prng_chance(&l->prng, s->reorder)) {
        l->counters.reordered_pkts++;
        return vly_time_add(at_ns, s->reorder_ns);
    }
    if (s->reorder > 0)
        return at_ns;
    if (at_ns < l->last_arrival_ns)
        at_ns = l->last_arrival_ns;
    l->last_arrival_ns = at_ns;
    return at_ns;
}

static void make_copy(struct vly_link_model *l, uint64_t sent_ns, size_t len,
                      struct vly_link_copy *out)
{
    struct vly_link_counters *n = &l->counters;

    *out = (struct vly_link_copy){arrival_ns(l, sent_ns), len, VLY_LINK_UNDAMAGED, false};
    if (len > 1 && vly_prng_chance(&l->prng, l->spec.truncate)) {
        out->len = 1 + (size_t)vly_prng_below(&l->prng, len - 1);
        n->truncated_pkts++;
    }
    if (vly_prng_chance(&l->prng, l->spec.corrupt)) {
        out->damage_bit = (size_t)vly_prng_below(&l->prng, out->len * 8);
        n->corrupted_pkts++;
    }
    if (vly_prng_chance(&l->prng, l->spec.ce_mark)) {
        out->ce_mark = true;
        n->ce_marked_pkts++;
    }
    n->delivered_pkts++;
    n->delivered_bytes += out->len;
}

unsigned vly_link_model_offer(struct vly_link_model *l, uint64_t now_ns, size_t len,
                              struct vly_link_copy out[2])
{
    struct vly_link_counters *n = &l->counters;
    uint64_t sent_ns;

    assert(len > 0);
    advance(l, now_ns);
    n->offered_pkts++;
    n->offered_bytes += len;
    if (!is_admitted(l, len))
        return 0;
    l->backlog_bytes += len;
    if (l->backlog_bytes > n->queue_max_bytes)
        n->queue_max_bytes = l->backlog_bytes;
    sent_ns = finish_ns(l);
    if (is_lost(l)) { /* on the wire: it has used up its share of the rate */
        n->lost_pkts++;
        return 0;
    }
    make_copy(l, sent_ns, len, &out[0]);
    if (!vly_prng_chance(&l->prng, l->spec.duplicate))
        return 1;
    n->duplicated_pkts++;
    make_copy(l, sent_ns, len, &out[1]);
    return 2;
}

uint64_t vly_link_model_drops(const struct vly_link_model *l)
{
    const struct vly_link_counters *n = &l->counters;

    return n->lost_pkts + n->queue_dropped_pkts + n->mtu_dropped_pkts + n->outage_dropped_pkts;
}

void vly_link_model_damage(const struct vly_link_copy *copy, uint8_t *data)
{
    if (copy->damage_bit != VLY_LINK_UNDAMAGED)
        data[copy->damage_bit / 8] ^= (uint8_t)(1u << copy->damage_bit % 8);
}
