/*
 * netem - a link by the kernel's own tc netem, for comparison with our emulator.
 */
#ifndef BENCH_NETEM_H
#define BENCH_NETEM_H

#include "bench/lab/lab.h"

#define BENCH_NETEM_ARGS_MAX 40
#define BENCH_NETEM_ARG_BYTES 32

struct bench_netem_args {
    char *argv[BENCH_NETEM_ARGS_MAX + 1]; /* into text; ends with NULL */
    size_t n;
    char text[BENCH_NETEM_ARGS_MAX][BENCH_NETEM_ARG_BYTES];
};

/* Makes the command "tc qdisc replace dev DEVICE root netem ..." that stands for one way of a link.
 * netem counts its queue in packets, of `mtu_bytes` here, and what is under way with it. Returns 0,
 * or VLY_E_INVALID with a line in `why` for what netem does not have: holding packets back,
 * truncation, CE marks, an MTU, CoDel. */
VLY_MUST_USE int bench_netem_args(struct bench_netem_args *out, const struct vly_link_spec *way,
                                  uint32_t mtu_bytes, char why[BENCH_WHY_BYTES]);
/* Sets both ways of a veth lab. Returns 0, VLY_E_INVALID as above or with announced changes,
 * VLY_E_NOT_FOUND (no tc, or no netem in this kernel), VLY_E_IO; `why` tells. */
VLY_MUST_USE int bench_netem_apply(const struct bench_lab *lab, const struct bench_lab_spec *spec,
                                   uint32_t mtu_bytes, char why[BENCH_WHY_BYTES]);

#endif
