/*
 * matrix_run - runs a matrix into a result: the order of the runs, how many, and what becomes of
 * those that fail.
 *
 * Rows of a group (same link, kind and size) are interleaved: A B C, C B A, A B C, ... Every run
 * has a lab of its own, with the seed of its round. One that the machine's host disturbed is made
 * again in its place (bench/matrix/steal.h). Rounds end when each ratio to the reference is known
 * well enough, or at the matrix's most. The document is saved after every run, so that a run that
 * was interrupted goes on where it stopped.
 */
#ifndef BENCH_MATRIX_RUN_H
#define BENCH_MATRIX_RUN_H

#include "bench/matrix/result.h"
#include "cli/progress.h"

#include <stdio.h>

/* How a row is run; tests have others. */
struct bench_runner_ops {
    /* As bench_row_is_available. */
    bool (*is_available)(void *ctx, const struct bench_row *row, char why[BENCH_WHY_BYTES]);
    /* Opens a lab, runs the row once in it, closes it. As bench_row_run; a lab that cannot be
     * opened is a failed sample. */
    int (*run)(void *ctx, const struct bench_lab_spec *lab, const struct bench_row *row,
               uint64_t timeout_ns, struct bench_sample *out);
    /* Waits so long, less when the stop flag rises. */
    void (*rest)(void *ctx, uint64_t time_ns);
};

struct bench_runner {
    const struct bench_matrix *matrix; /* borrowed */
    json_t *doc;                       /* borrowed: bench_result_new, or one that was interrupted */
    const struct bench_runner_ops *ops;
    void *ctx;                 /* of ops */
    const volatile bool *stop; /* ends the run when it becomes true */
    const char *path;          /* where doc is saved; NULL: nowhere */
    FILE *progress;            /* a line for each run; NULL: none */
    struct vly_progress *line; /* of progress, borrowed: when it is on, runs that succeed are shown
                                  there alone, each over the one before; the caller clears it */
};

/* Returns 0 when all rows are finished (also failed ones), VLY_E_CANCELLED when stopped, or what
 * bench_result_save returns, with its line in `why`. */
VLY_MUST_USE int bench_matrix_run(const struct bench_runner *r, char why[BENCH_WHY_BYTES]);

#endif
