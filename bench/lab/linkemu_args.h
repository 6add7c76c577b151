/*
 * linkemu_args - the options of volley bench linkemu as the lab that they describe.
 */
#ifndef BENCH_LINKEMU_ARGS_H
#define BENCH_LINKEMU_ARGS_H

#include "bench/lab/lab.h"
#include "cli/link_opts.h"

#define BENCH_LINKEMU_SAME UINT64_MAX /* of a way back: as the way there */

struct bench_linkemu_args {
    struct vly_link_args link; /* the way there; first: its table relies on it */
    const char *left, *right;  /* NULL: a shell; nothing */
    uint64_t mtu_bytes, seed;
    bool json, netem, veth;

    const char *outages, *rates; /* NULL: none */

    uint64_t back_bytes_per_s, back_delay_ns, back_jitter_ns, back_queue_bytes;
    double back_loss; /* below 0: as the way there */
};

/* Nothing on the way, and everything the same on the way back. */
void bench_linkemu_args_init(struct bench_linkemu_args *a);

struct bench_linkemu_changes {
    struct vly_link_change list[VLY_LINK_CHANGES_MAX];
    size_t n;
};

/* Adds "2s+500ms,10s+1s": from 2 s on for half a second, and again. Returns 0, VLY_E_INVALID, or
 * VLY_E_LIMIT when there are too many. */
VLY_MUST_USE int bench_linkemu_outages_parse(const char *text, struct bench_linkemu_changes *c);
/* Adds "5s=50Mbit,10s=100Mbit": the rate from then on. */
VLY_MUST_USE int bench_linkemu_rates_parse(const char *text, struct bench_linkemu_changes *c);

/* `changes` are both ways', and have to live until the lab is open. Returns 0, or VLY_E_INVALID
 * with what is wrong in `why`. */
VLY_MUST_USE int bench_linkemu_args_spec(const struct bench_linkemu_args *a,
                                         struct bench_linkemu_changes changes[2],
                                         struct bench_lab_spec *out, char why[BENCH_WHY_BYTES]);

#endif
