/*
 * linkemu_run - two shell commands in a lab, from the start of the first to the end of both.
 */
#ifndef BENCH_LINKEMU_RUN_H
#define BENCH_LINKEMU_RUN_H

#include "bench/lab/lab.h"

/* Runs `right` (NULL: nothing), then `left`, until that ends or a signal comes; then ends all that
 * still runs in the lab, politely first. *out_code is the exit code of `left`, 128 + n when signal
 * n ended it or came. Returns 0 or a vly_err with a line in `why`.
 *
 * The caller has blocked the signals of bench_linkemu_block_signals, before it opened the lab. */
VLY_MUST_USE int bench_linkemu_run(const struct bench_lab *lab, const char *left, const char *right,
                                   int *out_code, char why[BENCH_WHY_BYTES]);
void bench_linkemu_block_signals(void);

#endif
