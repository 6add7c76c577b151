/*
 * matrix_real - the runner that measures: every run of a row in a lab of its own.
 */
#ifndef BENCH_MATRIX_REAL_H
#define BENCH_MATRIX_REAL_H

#include "bench/matrix/matrix_run.h"

/* Its ctx points to the stop flag of the struct bench_runner: to a const volatile bool *. */
extern const struct bench_runner_ops bench_runner_real;

#endif
