/*
 * cpu_time - processor time as the system tells it.
 */
#ifndef BENCH_CPU_TIME_H
#define BENCH_CPU_TIME_H

#include <stdint.h>
#include <sys/time.h>

uint64_t bench_timeval_ns(const struct timeval *t);
/* Softirq time of all processors since the boot, in ticks of 10 ms; BENCH_UNKNOWN where the system
 * does not tell it. */
uint64_t bench_softirq_ns(void);

#endif
