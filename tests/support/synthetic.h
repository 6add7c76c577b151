/*
 * synthetic - a runner that measures nothing: it says what a test tells it to, and notes what it
 * was asked.
 */
#ifndef VLY_TESTS_SYNTHETIC_H
#define VLY_TESTS_SYNTHETIC_H

#include "bench/matrix/matrix_run.h"
#include "support/support.h"

#define SYNTHETIC_CALLS_MAX 512

struct synthetic {
    /* The rate of the n-th run of a row, counted from 0; negative: it fails. NULL: 1 Gbit/s. */
    double (*rate)(const struct bench_row *row, unsigned nth);
    /* The share that was stolen of the n-th run of all, counted from 0; NULL: not known. */
    double (*steal)(unsigned nth);
    const char *missing; /* this protocol is not installed */
    unsigned stop_at;    /* the stop flag rises in this call, counted from 1; 0: never */
    volatile bool stop;
    char calls[SYNTHETIC_CALLS_MAX][48]; /* "tcp-cubic 3": label of protocol and cc, seed */
    unsigned n;
    uint64_t rested_ns;       /* in sum */
    unsigned stop_resting_at; /* the stop flag rises in this rest, counted from 1; 0: never */
    unsigned rests;
};

extern const struct bench_runner_ops synthetic_ops;

/* Parses, runs and returns the document of a whole run, owned; fails the test when that fails. */
json_t *synthetic_result(struct synthetic *s, const char *config);

#endif
