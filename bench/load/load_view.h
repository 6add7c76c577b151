/*
 * load_view - what volley bench run shows: intervals and a summary for people, events for programs.
 */
#ifndef BENCH_LOAD_VIEW_H
#define BENCH_LOAD_VIEW_H

#include "bench/load/load.h"
#include "cli/cli.h"

struct bench_load_view {
    struct vly_cli cli;
    const struct bench_request *request; /* borrowed */
    bool quiet;
    bool headed; /* the head of the table was printed */
};

/* What will be run where, for people. */
void bench_load_view_begin(struct bench_load_view *v, const char *server);
void bench_load_view_interval(struct bench_load_view *v, const struct bench_load_interval *i);
/* The result, or what failed. Returns the exit code. */
int bench_load_view_end(struct bench_load_view *v, const struct bench_load_result *result);
/* A line about a session of the server. */
void bench_load_view_session(const struct vly_cli *cli, const struct bench_load_session *session,
                             bool quiet);

#endif
