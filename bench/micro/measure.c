#include "bench/micro/micro.h"

#include <stdlib.h>
#include <time.h>

#define SLICE_NS 200000 /* short against the time slices of a scheduler */

/* CPU time: what others take of this processor does not count, but for its caches and clock. */
static uint64_t cpu_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t run_ns(struct micro_case *c, uint64_t times)
{
    uint64_t start_ns = cpu_now_ns();

    for (uint64_t i = 0; i < times; i++)
        c->run(c);
    return cpu_now_ns() - start_ns;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

void micro_measure(struct micro_case *cases, size_t n, size_t rounds)
{
    uint64_t times[MICRO_CASES_MAX];

    for (size_t i = 0; i < n; i++) {
        (void)run_ns(&cases[i], 10); /* the first calls load code */
        times[i] = 1 + SLICE_NS * 10 / (1 + run_ns(&cases[i], 10));
    }
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < n; i++)
            cases[i].slice_ns[round] = (double)run_ns(&cases[i], times[i]) /
                                       (double)(times[i] * (cases[i].n > 0 ? cases[i].n : 1));
    for (size_t i = 0; i < n; i++)
        qsort(cases[i].slice_ns, rounds, sizeof(double), ascending);
}
