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

void vly_link_spec_lose(struct vly_link_spec *spec, double loss, uint64_t burst_pkts)
{
    double enter;

    spec->loss = loss;
    spec->burst_enter = spec->burst_leave = spec->burst_loss = 0;
    if (burst_pkts == 0 || loss <= 0 || loss >= 1)
        return;
    spec->loss = 0;
    spec->burst_loss = 1;
    spec->burst_leave = 1 / (double)burst_pkts;
    enter = loss * spec->burst_leave / (1 - loss);
    spec->burst_enter = enter < 1 ? enter : 1;
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
    for (unsigned i = 0; i < VLY_LINK_CHANCES; i++)
        vly_prng_init(&l->prng[i], i == 0 ? seed : vly_prng_fork(seed, i));
    vly_codel_init(&l->codel, spec->codel_target_ns, spec->codel_interval_ns);
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

/* ---- what befalls a packet, whenever it comes ---- */

struct copy_fate {
    uint64_t jitter_ns;
    bool reorder, ce_mark;
    size_t len;
    size_t damage_bit;
};

struct fate {
    bool lost, burst_lost, duplicate;
    struct copy_fate copy[2];
};

static void draw_loss(struct vly_link_model *l, struct fate *f)
{
    struct vly_prng *prng = &l->prng[VLY_LINK_CHANCE_LOSS];
    const struct vly_link_spec *s = &l->spec;

    if (vly_prng_chance(prng, l->burst ? s->burst_leave : s->burst_enter))
        l->burst = !l->burst;
    f->burst_lost = l->burst && vly_prng_chance(prng, s->burst_loss);
    f->lost = f->burst_lost || vly_prng_chance(prng, s->loss);
}

static void draw_copy(const struct vly_link_spec *s, struct vly_prng *delay,
                      struct vly_prng *damage, size_t len, struct copy_fate *c)
{
    *c = (struct copy_fate){.len = len, .damage_bit = VLY_LINK_UNDAMAGED};
    if (s->jitter_ns > 0)
        c->jitter_ns = vly_prng_below(delay, s->jitter_ns + 1);
    c->reorder = vly_prng_chance(delay, s->reorder);
    if (len > 1 && vly_prng_chance(damage, s->truncate))
        c->len = 1 + (size_t)vly_prng_below(damage, len - 1);
    if (vly_prng_chance(damage, s->corrupt))
        c->damage_bit = (size_t)vly_prng_below(damage, c->len * 8);
    c->ce_mark = vly_prng_chance(damage, s->ce_mark);
}

static struct fate draw(struct vly_link_model *l, size_t len)
{
    struct vly_prng *second = &l->prng[VLY_LINK_CHANCE_SECOND];
    struct fate f;

    draw_loss(l, &f);
    draw_copy(&l->spec, &l->prng[VLY_LINK_CHANCE_DELAY], &l->prng[VLY_LINK_CHANCE_DAMAGE], len,
              &f.copy[0]);
    f.duplicate = vly_prng_chance(&l->prng[VLY_LINK_CHANCE_DUPLICATE], l->spec.duplicate);
    if (f.duplicate)
        draw_copy(&l->spec, second, second, len, &f.copy[1]);
    return f;
}

/* ---- the way through ---- */

/* The queue is a FIFO and the fates of all before are settled: so it is known now when the packet
 * gets to its head. */
static bool is_codel_dropped(struct vly_link_model *l)
{
    uint64_t head_ns = finish_ns(l);
    bool is_short = l->backlog_bytes <= l->packet_max_bytes;

    return vly_codel_drops(&l->codel, head_ns, head_ns - l->now_ns, is_short);
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
    if (l->spec.codel && is_codel_dropped(l)) {
        n->codel_dropped_pkts++;
        return false;
    }
    return true;
}

static uint64_t arrival_ns(struct vly_link_model *l, uint64_t sent_ns, const struct copy_fate *c)
{
    const struct vly_link_spec *s = &l->spec;
    uint64_t at_ns = vly_time_add(vly_time_add(sent_ns, s->delay_ns), c->jitter_ns);

    if (c->reorder) {
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
                      const struct copy_fate *c, struct vly_link_copy *out)
{
    struct vly_link_counters *n = &l->counters;

    *out = (struct vly_link_copy){arrival_ns(l, sent_ns, c), c->len, c->damage_bit, c->ce_mark};
    n->truncated_pkts += c->len < len;
    n->corrupted_pkts += c->damage_bit != VLY_LINK_UNDAMAGED;
    n->ce_marked_pkts += c->ce_mark;
    n->delivered_pkts++;
    n->delivered_bytes += c->len;
}

unsigned vly_link_model_offer(struct vly_link_model *l, uint64_t now_ns, size_t len,
                              struct vly_link_copy out[2])
{
    struct vly_link_counters *n = &l->counters;
    uint64_t sent_ns;
    struct fate fate;

    assert(len > 0);
    advance(l, now_ns);
    n->offered_pkts++;
    n->offered_bytes += len;
    if (len > l->packet_max_bytes)
        l->packet_max_bytes = len;
    fate = draw(l, len);
    if (!is_admitted(l, len))
        return 0;
    l->backlog_bytes += len;
    if (l->backlog_bytes > n->queue_max_bytes)
        n->queue_max_bytes = l->backlog_bytes;
    sent_ns = finish_ns(l);
    if (fate.lost) { /* on the wire: it has used up its share of the rate */
        n->lost_pkts++;
        n->burst_lost_pkts += fate.burst_lost;
        return 0;
    }
    make_copy(l, sent_ns, len, &fate.copy[0], &out[0]);
    if (!fate.duplicate)
        return 1;
    n->duplicated_pkts++;
    make_copy(l, sent_ns, len, &fate.copy[1], &out[1]);
    return 2;
}

uint64_t vly_link_model_drops(const struct vly_link_model *l)
{
    const struct vly_link_counters *n = &l->counters;

    return n->lost_pkts + n->queue_dropped_pkts + n->codel_dropped_pkts + n->mtu_dropped_pkts +
           n->outage_dropped_pkts;
}

void vly_link_model_damage(const struct vly_link_copy *copy, uint8_t *data)
{
    if (copy->damage_bit != VLY_LINK_UNDAMAGED)
        data[copy->damage_bit / 8] ^= (uint8_t)(1u << copy->damage_bit % 8);
}
