/*
 * parts - the engine's parts on their own, as micro cases: frames and headers in and out, sets of
 * ranges, the ring of what was sent. Each call does its operation MICRO_PARTS_AT_ONCE times.
 */
#ifndef VLY_BENCH_MICRO_PARTS_H
#define VLY_BENCH_MICRO_PARTS_H

#include <volley/base.h>

#define MICRO_PARTS_AT_ONCE 64

struct micro_part {
    const char *what, *does;
    void (*run)(void);
};

extern const struct micro_part micro_parts[];
extern const size_t micro_parts_n;

#endif
