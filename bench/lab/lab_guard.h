/*
 * lab_guard - the processes of a lab: starting one on a side, and the guard that outlives us by a
 * moment to end them all.
 */
#ifndef BENCH_LAB_GUARD_H
#define BENCH_LAB_GUARD_H

#include "bench/lab/linkemu.h"
#include "bench/lab/netns.h"

struct bench_lab_place {
    const struct bench_netns *ns; /* NULL: where we are */
    enum bench_side side;
};

/* As bench_lab_spawn. */
pid_t bench_lab_start(const struct bench_lab_place *place, char *const argv[], const int fds[3],
                      char why[BENCH_WHY_BYTES]);

struct bench_lab_guard {
    pid_t pid; /* 0: none */
};

/* Starts the guard of `ns`. With an emulator (NULL: none) its process is also the one that forwards
 * packets between the devices `tun`. Returns 0, VLY_E_NOMEM or VLY_E_IO. */
VLY_MUST_USE int bench_lab_guard_start(struct bench_lab_guard *g, const struct bench_netns *ns,
                                       struct bench_linkemu *emulator, const int tun[2],
                                       char why[BENCH_WHY_BYTES]);
void bench_lab_guard_stop(struct bench_lab_guard *g);

#endif
