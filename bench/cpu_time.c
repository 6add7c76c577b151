#include "bench/cpu_time.h"

#include "bench/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t bench_timeval_ns(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * VLY_S(1) + (uint64_t)t->tv_usec * VLY_US(1);
}

/* The seventh number of /proc/stat's first line. */
uint64_t bench_softirq_ns(void)
{
    char line[256] = "";
    char *at = line + 3; /* behind "cpu" */
    long per_s = sysconf(_SC_CLK_TCK);
    FILE *f = fopen("/proc/stat", "re");
    uint64_t ticks = 0;

    if (f == NULL)
        return BENCH_UNKNOWN;
    if (fgets(line, sizeof(line), f) == NULL || strncmp(line, "cpu ", 4) != 0 || per_s <= 0)
        at = NULL;
    (void)fclose(f);
    for (unsigned i = 0; i < 7 && at != NULL; i++)
        ticks = strtoull(at, &at, 10);
    return at != NULL ? ticks * (VLY_S(1) / (uint64_t)per_s) : BENCH_UNKNOWN;
}
