/*
 * table_internal - what table and sentence share, so that they cannot say different things.
 */
#ifndef BENCH_TABLE_INTERNAL_H
#define BENCH_TABLE_INTERNAL_H

#include "bench/matrix/result.h"

/* In which the rates of a group are shown. */
struct bench_unit {
    double bits_per_s;
    const char *name;
};

/* Of the group that begins with row `first`. */
struct bench_unit bench_group_unit(const json_t *doc, size_t first);
bool bench_is_first_of_group(const json_t *doc, size_t index);
/* The congestion control of a row: the one asked for, or what its samples say; "" not known. */
const char *bench_row_cc(const json_t *row);

#endif
