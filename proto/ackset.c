/*
 * ackset - ranges of received packet numbers in a fixed array, and the ACK policy of SPEC 5.1.
 *
 * Invariants and cost: ackset.h. The array is full only when 256 gaps are open at once; then the
 * oldest range goes and `floor` rises over it, so that a number is never taken for new twice
 * (RULE 11). What goes unacknowledged that way is sent again by the peer.
 */
#include "ackset.h"

#include <assert.h>
#include <string.h>

void vly_ackset_init(struct vly_ackset *set)
{
    memset(set, 0, sizeof(*set));
    set->first_unacked_ns = VLY_NEVER;
    set->quarter_begin_ns = VLY_NEVER;
    set->every_pkts = VLY_ACK_EVERY_MIN;
    set->every_max_pkts = VLY_ACK_EVERY_MAX;
}

void vly_ackset_set_every_max(struct vly_ackset *set, uint32_t pkts)
{
    assert(pkts >= 1 && pkts <= VLY_ACK_EVERY_MAX);
    set->every_max_pkts = pkts;
    if (set->every_pkts > pkts)
        set->every_pkts = pkts;
}

int vly_ackset_test(const struct vly_ackset *set, uint64_t pn)
{
    size_t i = vly_ranges_find(set->r, set->n, pn);

    if (pn < set->floor)
        return VLY_E_STALE;
    return i < set->n && set->r[i].begin <= pn ? VLY_E_DUPLICATE : 0;
}

/* The lowest number that would not close or leave a gap. */
static uint64_t next_expected(const struct vly_ackset *set)
{
    return set->n > 0 ? set->r[set->n - 1].end : set->floor;
}

/* Opens the range [pn, pn + 1) before r[i], which it does not touch. */
static void insert_at(struct vly_ackset *set, size_t i, uint64_t pn)
{
    struct vly_range *r = set->r;

    if (set->n < VLY_ACKSET_MAX) {
        memmove(&r[i + 1], &r[i], (set->n - i) * sizeof(*r));
        set->n++;
        r[i] = (struct vly_range){pn, pn + 1};
        return;
    }
    if (i == 0) { /* `pn` itself is the oldest */
        set->floor = pn + 1;
        return;
    }
    set->floor = r[0].end;
    memmove(&r[0], &r[1], (i - 1) * sizeof(*r));
    r[i - 1] = (struct vly_range){pn, pn + 1};
}

static void insert(struct vly_ackset *set, uint64_t pn)
{
    struct vly_range *r = set->r;
    size_t i = vly_ranges_find(r, set->n, pn); /* r[i - 1] < pn < r[i] */
    bool joins_left = i > 0 && r[i - 1].end == pn;
    bool joins_right = i < set->n && r[i].begin == pn + 1;

    assert(pn >= set->floor && (i == set->n || pn < r[i].begin));
    if (joins_left && joins_right) {
        r[i - 1].end = r[i].end;
        memmove(&r[i], &r[i + 1], (set->n - i - 1) * sizeof(*r));
        set->n--;
    } else if (joins_left) {
        r[i - 1].end = pn + 1;
    } else if (joins_right) {
        r[i].begin = pn;
    } else {
        insert_at(set, i, pn);
    }
}

static void count_ecn(struct vly_ackset *set, enum vly_ecn ecn)
{
    switch (ecn) {
    case VLY_ECN_NONE:
        break;
    case VLY_ECN_ECT0:
        set->ect0++;
        break;
    case VLY_ECN_ECT1:
        set->ect1++;
        break;
    case VLY_ECN_CE:
        set->ce++;
        break;
    }
}

/* SPEC 5.1 rule 2: measures how many counted packets a quarter of a round trip brings. Scaled by
 * the time that really passed, which a receive batch or a pause stretches. */
static void measure_quarter(struct vly_ackset *set, uint64_t now_ns, uint64_t srtt_ns)
{
    uint64_t quarter_ns = srtt_ns / 4;
    uint64_t elapsed_ns = vly_time_since(now_ns, set->quarter_begin_ns);
    uint64_t pkts;

    set->quarter_pkts++;
    if (set->quarter_begin_ns == VLY_NEVER || srtt_ns == 0) {
        set->quarter_begin_ns = now_ns;
        set->quarter_pkts = 0;
        return;
    }
    if (elapsed_ns == 0 || elapsed_ns < quarter_ns)
        return;
    /* In double, so that a long pause cannot overflow. */
    pkts = (uint64_t)((double)set->quarter_pkts * (double)quarter_ns / (double)elapsed_ns);
    if (pkts < VLY_ACK_EVERY_MIN)
        pkts = VLY_ACK_EVERY_MIN;
    set->every_pkts = pkts > set->every_max_pkts ? set->every_max_pkts : (uint32_t)pkts;
    set->quarter_begin_ns = now_ns;
    set->quarter_pkts = 0;
}

void vly_ackset_add(struct vly_ackset *set, uint64_t pn, uint64_t now_ns, bool counted,
                    enum vly_ecn ecn, uint64_t srtt_ns)
{
    uint64_t expected = next_expected(set);

    assert(pn <= VLY_VARINT_MAX);
    if (set->n > 0 && pn == expected)
        set->r[set->n - 1].end = pn + 1;
    else
        insert(set, pn);
    if (pn >= expected)
        set->largest_received_ns = now_ns;
    count_ecn(set, ecn);
    if (counted) {
        if (set->unacked_pkts++ == 0)
            set->first_unacked_ns = now_ns;
        if (pn != expected || ecn == VLY_ECN_CE)
            set->at_once = true;
        measure_quarter(set, now_ns, srtt_ns);
    }
    vly_ackset_check(set);
}

void vly_ackset_ask(struct vly_ackset *set)
{
    set->at_once = true;
}

void vly_ackset_set_floor(struct vly_ackset *set, uint64_t floor)
{
    size_t i = vly_ranges_find(set->r, set->n, floor);

    if (floor <= set->floor)
        return;
    set->floor = floor;
    if (i > 0) {
        memmove(&set->r[0], &set->r[i], (set->n - i) * sizeof(set->r[0]));
        set->n -= i;
    }
    if (set->n > 0 && set->r[0].begin < floor)
        set->r[0].begin = floor;
    vly_ackset_check(set);
}

uint64_t vly_ackset_due_ns(const struct vly_ackset *set, uint64_t max_ack_delay_ns)
{
    if (set->n == 0)
        return VLY_NEVER; /* FLOOR has taken what there was to say */
    if (set->at_once || set->unacked_pkts >= set->every_pkts ||
        set->unacked_bytes >= VLY_ACK_EVERY_BYTES)
        return 0;
    return vly_time_add(set->first_unacked_ns, max_ack_delay_ns);
}

bool vly_ackset_fields(const struct vly_ackset *set, uint64_t now_ns, struct vly_ack_fields *out)
{
    if (set->n == 0)
        return false;
    *out = (struct vly_ack_fields){
        .ranges = set->r,
        .n_ranges = set->n,
        .delay_us = vly_time_since(now_ns, set->largest_received_ns) / 1000,
        .has_ecn = set->ect0 > 0 || set->ect1 > 0 || set->ce > 0,
        .ect0 = set->ect0,
        .ect1 = set->ect1,
        .ce = set->ce,
    };
    return true;
}

void vly_ackset_sent(struct vly_ackset *set)
{
    set->unacked_pkts = 0;
    set->unacked_bytes = 0;
    set->first_unacked_ns = VLY_NEVER;
    set->at_once = false;
}

void vly_ackset_check(const struct vly_ackset *set)
{
#ifdef VLY_CHECKS
    assert(set->n <= VLY_ACKSET_MAX);
    assert(set->n == 0 || set->r[0].begin >= set->floor);
    assert((set->unacked_pkts == 0) == (set->first_unacked_ns == VLY_NEVER));
    for (size_t i = 0; i < set->n; i++) {
        assert(set->r[i].begin < set->r[i].end);
        assert(i == 0 || set->r[i - 1].end < set->r[i].begin);
    }
#else
    (void)set;
#endif
}
