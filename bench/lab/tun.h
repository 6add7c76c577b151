/*
 * tun - the device through which the emulator sees the packets of a side: whole IP packets, one a
 * call. Without a header for offloads the kernel cuts and sums all before we see it, so that TCP
 * and UDP come as the same packets of at most the MTU.
 */
#ifndef BENCH_TUN_H
#define BENCH_TUN_H

#include "bench/lab/netns.h"

/* Makes the device BENCH_NETDEV in the network namespace of the calling process and adds its
 * non-blocking descriptor to the answer. Returns 0, or the error that it puts in the answer. */
VLY_MUST_USE int bench_tun_open(struct bench_netns_answer *out);

#endif
