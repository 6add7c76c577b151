/*
 * session - a matrix run as a command: signals, progress, the table at the end, the exit code.
 */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include "bench/matrix/matrix_run.h"
#include "cli/cli.h"

struct bench_session {
    const struct bench_matrix *matrix; /* borrowed */
    json_t *doc;                       /* borrowed; filled */
    const char *path;                  /* of the result; NULL: none is kept */
    const char *again;                 /* what continues it after an interruption; NULL: nothing */
    bool json, quiet;
};

/* Measures what is missing and shows the result. Returns an exit code: 0 also when rows failed, for
 * the table says so; 1 when none ran. */
int bench_session_run(const struct vly_cli *cli, const struct bench_session *s);
/* Shows a finished result: as JSON, or as table and sentence. */
void bench_session_show(const struct bench_session *s);

#endif
