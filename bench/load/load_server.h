/*
 * load_server - the load generator's server: one process a client.
 *
 * Invariant: what one client does, a crash of its session included, ends that session alone; no
 * session outlives the server. Cost: a fork a client.
 */
#ifndef BENCH_LOAD_SERVER_H
#define BENCH_LOAD_SERVER_H

#include "bench/load/load.h"

#define BENCH_SESSIONS_MAX 64u

struct bench_load_server {
    struct sockaddr_storage at; /* port 0: one is picked */
    bool once;                  /* ends after the first session that asked for a run */
    /* It listens now, at `at`. */
    void (*on_listening)(void *user, const struct sockaddr_storage *at);
    /* In the session's process, at its end. */
    void (*on_session)(void *user, const struct bench_load_session *session);
    void *user;
};

/* Serves until SIGINT, SIGTERM or SIGHUP, or once. Returns 0, or VLY_E_EXISTS, VLY_E_UNREACHABLE,
 * ... with a line in `why`. */
VLY_MUST_USE int bench_load_server_run(const struct bench_load_server *server,
                                       struct vly_fault *why);

#endif
