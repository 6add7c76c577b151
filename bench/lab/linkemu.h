/*
 * linkemu - the link emulator: moves IP packets between two TUN devices, in real time, as the
 * simulator's link model says.
 *
 * A thread for each direction. Rates and queues count bytes of IP packets. A flipped bit is one of
 * the whole packet: the kernel's checksums of IP, TCP and UDP find it and drop the packet, as they
 * would after a real link. A packet is never early; that it is late, by how much, is counted.
 * Memory: at most BENCH_LINKEMU_MEMORY_BYTES of packets under way in a direction, more are dropped
 * and counted.
 */
#ifndef BENCH_LINKEMU_H
#define BENCH_LINKEMU_H

#include "bench/lab/lab.h"

#define BENCH_LINKEMU_MEMORY_BYTES (UINT64_C(1) << 28)
#define BENCH_LINKEMU_LATE_NS VLY_US(300) /* what counts as late */

/* Of a direction. All uint64_t. */
struct bench_linkemu_stats {
    struct vly_link_counters link;
    uint64_t memory_dropped_pkts; /* by the emulator, for lack of memory: the run is no good */
    uint64_t refused_pkts; /* delivered, but the kernel did not take them: damaged heads, memory */
    uint64_t late_pkts, late_max_ns;
};

struct bench_linkemu;

/* Takes over what `spec` says of both ways. Returns 0, VLY_E_NOMEM, or VLY_E_INVALID with a line in
 * `why`. */
VLY_MUST_USE int bench_linkemu_new(struct bench_linkemu **out, const struct bench_lab_spec *spec,
                                   char why[BENCH_WHY_BYTES]);
/* Starts the threads, in a process that was forked after _new and ends by _exit. `tun` are both
 * ends' devices; time 0 of the announced changes is now. Returns 0 or VLY_E_NOMEM. */
VLY_MUST_USE int bench_linkemu_start(struct bench_linkemu *e, const int tun[2]);
/* What happened so far, as any process that shares `e` sees it. */
void bench_linkemu_stats(const struct bench_linkemu *e, struct bench_linkemu_stats out[2]);
/* Gives back this process's share; NULL is allowed. */
void bench_linkemu_free(struct bench_linkemu *e);

#endif
