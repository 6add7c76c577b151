/*
 * linkemu_args - the options of volley bench linkemu as the lab that they describe.
 */
#include "bench/lab/linkemu_args.h"

#include "cli/quantity.h"
#include "file/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_BYTES 64 /* of one outage or rate */

void bench_linkemu_args_init(struct bench_linkemu_args *a)
{
    *a = (struct bench_linkemu_args){
        .seed = 1,
        .link.reorder_ns = VLY_LINK_REORDER_NS,
        .back_bytes_per_s = BENCH_LINKEMU_SAME,
        .back_delay_ns = BENCH_LINKEMU_SAME,
        .back_jitter_ns = BENCH_LINKEMU_SAME,
        .back_queue_bytes = BENCH_LINKEMU_SAME,
        .back_loss = -1,
    };
}

/* ---- lists of changes ---- */

static int add(struct bench_linkemu_changes *c, uint64_t at_ns, enum vly_link_quantity what,
               uint64_t value)
{
    if (c->n == VLY_LINK_CHANGES_MAX)
        return VLY_E_LIMIT;
    c->list[c->n++] = (struct vly_link_change){at_ns, what, value};
    return 0;
}

static int add_outage(struct bench_linkemu_changes *c, const char *at, const char *lasts)
{
    uint64_t at_ns, for_ns;
    int err = vly_duration_parse(at, &at_ns);

    if (err == 0)
        err = vly_duration_parse(lasts, &for_ns);
    if (err == 0 && (for_ns == 0 || vly_time_add(at_ns, for_ns) == VLY_NEVER))
        err = VLY_E_INVALID;
    if (err == 0)
        err = add(c, at_ns, VLY_LINK_OUTAGE, 1);
    return err != 0 ? err : add(c, at_ns + for_ns, VLY_LINK_OUTAGE, 0);
}

static int add_rate(struct bench_linkemu_changes *c, const char *at, const char *rate)
{
    uint64_t at_ns, bytes_per_s;
    int err = vly_duration_parse(at, &at_ns);

    if (err == 0)
        err = vly_rate_parse(rate, &bytes_per_s);
    return err != 0 ? err : add(c, at_ns, VLY_LINK_RATE, bytes_per_s);
}

/* Calls `item` with the two halves, left and right of `between`, of each part of a list. */
static int for_each(const char *text, char between, struct bench_linkemu_changes *c,
                    int (*item)(struct bench_linkemu_changes *c, const char *a, const char *b))
{
    int err = 0;

    for (const char *at = text; err == 0 && at != NULL;) {
        size_t len = strcspn(at, ",");
        char part[ITEM_BYTES];
        char *half;

        if (len >= sizeof(part))
            return VLY_E_INVALID;
        memcpy(part, at, len);
        part[len] = '\0';
        half = strchr(part, between);
        if (half == NULL)
            return VLY_E_INVALID;
        *half = '\0';
        err = item(c, part, half + 1);
        at = at[len] == ',' ? at + len + 1 : NULL;
    }
    return err;
}

int bench_linkemu_outages_parse(const char *text, struct bench_linkemu_changes *c)
{
    return for_each(text, '+', c, add_outage);
}

int bench_linkemu_rates_parse(const char *text, struct bench_linkemu_changes *c)
{
    return for_each(text, '=', c, add_rate);
}

static int by_time(const void *a, const void *b)
{
    const struct vly_link_change *x = a, *y = b;

    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    /* An outage that begins when another ends goes on. */
    return (x->value > y->value) - (x->value < y->value);
}

static int parse_changes(const struct bench_linkemu_args *a, enum bench_side from,
                         struct bench_linkemu_changes *c, char why[BENCH_WHY_BYTES])
{
    bool own_rate = from == BENCH_RIGHT && a->back_bytes_per_s != BENCH_LINKEMU_SAME;
    int err = 0;

    c->n = 0;
    if (a->outages != NULL)
        err = bench_linkemu_outages_parse(a->outages, c);
    if (err != 0) {
        (void)snprintf(why, BENCH_WHY_BYTES,
                       err == VLY_E_LIMIT ? "there are too many outages in %.1s..."
                                          : "--outage %.80s is not of the form 2s+500ms,10s+1s",
                       vly_shown(a->outages).text);
        return err;
    }
    if (a->rates != NULL && !own_rate)
        err = bench_linkemu_rates_parse(a->rates, c);
    if (err != 0) {
        (void)snprintf(why, BENCH_WHY_BYTES,
                       "--rate-at %.80s is not of the form 5s=50Mbit,10s=100Mbit, or too long",
                       vly_shown(a->rates).text);
        return err;
    }
    qsort(c->list, c->n, sizeof(c->list[0]), by_time);
    return 0;
}

/* ---- the lab ---- */

static uint64_t or_same(uint64_t back, uint64_t there)
{
    return back == BENCH_LINKEMU_SAME ? there : back;
}

static void fill_ways(const struct bench_linkemu_args *a, struct vly_link_spec way[2])
{
    struct vly_link_spec *there = &way[BENCH_LEFT], *back = &way[BENCH_RIGHT];

    vly_link_args_spec(&a->link, there);
    *back = *there;
    back->rate_bytes_per_s = or_same(a->back_bytes_per_s, there->rate_bytes_per_s);
    back->delay_ns = or_same(a->back_delay_ns, there->delay_ns);
    back->jitter_ns = or_same(a->back_jitter_ns, there->jitter_ns);
    back->queue_bytes = or_same(a->back_queue_bytes, there->queue_bytes);
    vly_link_spec_lose(back, a->back_loss < 0 ? a->link.loss : a->back_loss, a->link.burst_pkts);
}

int bench_linkemu_args_spec(const struct bench_linkemu_args *a,
                            struct bench_linkemu_changes changes[2], struct bench_lab_spec *out,
                            char why[BENCH_WHY_BYTES])
{
    *out = (struct bench_lab_spec){
        .kind = a->veth ? BENCH_LAB_VETH : BENCH_LAB_EMULATED,
        .mtu_bytes = (uint32_t)a->mtu_bytes,
        .seed = a->seed,
        .netem = a->netem,
    };
    if (a->veth && a->netem) {
        (void)snprintf(why, BENCH_WHY_BYTES, "--veth and --netem contradict each other");
        return VLY_E_INVALID;
    }
    if (a->json && (a->veth || a->netem)) {
        (void)snprintf(why, BENCH_WHY_BYTES,
                       "--json prints what our own emulator counts: not with --veth or --netem");
        return VLY_E_INVALID;
    }
    fill_ways(a, out->way);
    for (int from = BENCH_LEFT; from <= BENCH_RIGHT; from++) {
        if (parse_changes(a, (enum bench_side)from, &changes[from], why) != 0)
            return VLY_E_INVALID;
        out->changes[from] = changes[from].list;
        out->n_changes[from] = changes[from].n;
    }
    return 0;
}
