/*
 * peer_iperf3 - reading what iperf3 3.12 prints with -J.
 *
 * Its option -O loses the bytes of the interval in which the warm-up ends and mixes the warm-up's
 * losses into the totals of UDP, so it is not used: the run is longer by the warm-up, and the
 * intervals that begin in it are left out here.
 */
#ifndef BENCH_PEER_IPERF3_H
#define BENCH_PEER_IPERF3_H

#include "bench/rows/row.h"
#include "bench/sample.h"

/* Fills the sample from the outputs of both ends. Returns 0, or fails the sample: VLY_E_MALFORMED
 * when one of them is not what it should be, VLY_E_FAILED with iperf3's own words. */
int bench_iperf3_read(const struct bench_row *row, const char *client, const char *server,
                      struct bench_sample *out);

#endif
