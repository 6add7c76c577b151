/*
 * usage - processor time and memory as the system tells them.
 */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include "bench/sample.h"

#include <sys/time.h>

uint64_t bench_timeval_ns(const struct timeval *t);

/* Of all processors of this machine together, since the boot, counted in ticks of mostly 10 ms;
 * BENCH_UNKNOWN where the system does not tell it. */
struct bench_machine_time {
    uint64_t all_ns; /* whatever they did or did not */
    uint64_t softirq_ns;
    uint64_t steal_ns; /* ready to run, and the hypervisor ran somebody else */
};

/* From the first line of /proc/stat, of which there are `ticks_per_s`. */
void bench_machine_time_parse(const char *line, long ticks_per_s, struct bench_machine_time *out);
void bench_machine_time_now(struct bench_machine_time *out);
/* Sets the figures of the whole machine: what has passed since `then`. */
void bench_machine_time_since(const struct bench_machine_time *then, struct bench_sample *s);

/* The most memory that this process has ever held; BENCH_UNKNOWN. Not getrusage's: that counts what
 * the process was before exec. */
uint64_t bench_peak_rss_bytes(void);
/* The same from the text of /proc/PID/status. */
uint64_t bench_peak_rss_parse(const char *status);

#endif
