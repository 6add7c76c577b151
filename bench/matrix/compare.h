/*
 * compare - what changed between two results: rows of the same id, and the machine.
 *
 * A row is called faster or slower when the rank test gives p < 0.05 and the ratio's 95 % interval
 * leaves out 1 (bench_verdict), and both sides have BENCH_COMPARE_LEAST samples: beside many, two
 * would pass the test.
 */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include "bench/matrix/result.h"

#include <stdio.h>

#define BENCH_P_MAX 0.05
#define BENCH_COMPARE_LEAST 4

/* {"schema":"volley-bench-compare/1",
 *  "rows":[{"id","verdict":"faster"|"slower"|"same"|"unknown","a","b","ratio","p","samples_a",
 *           "samples_b"}],
 *  "only_in_a":[id...], "only_in_b":[id...], "environment":[{"what","a","b"}],
 *  "faster":n, "slower":n, "same":n, "unknown":n}
 * a, b: medians in bits/s or null; ratio: b to a, an estimate or null. Owned; NULL: out of memory.
 */
json_t *bench_compare(const json_t *a, const json_t *b);
size_t bench_compare_count(const json_t *comparison, const char *verdict);
void bench_compare_print(FILE *out, const json_t *comparison);

#endif
