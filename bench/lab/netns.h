/*
 * netns - two network namespaces without a name, and functions and processes inside them.
 *
 * A short-lived child makes them and hands over their descriptors, so that this process stays where
 * it is. They end with the last descriptor or process that holds them: nothing has to be removed.
 * Where the system does not let us make them, they belong to a user namespace of our own, in which
 * we are root.
 */
#ifndef BENCH_NETNS_H
#define BENCH_NETNS_H

#include "bench/lab/lab.h"

struct bench_netns {
    int user_fd;   /* owned; -1: not needed */
    int net_fd[2]; /* owned, by enum bench_side */
};

#define BENCH_NETNS_FDS_MAX 3

/* What a function that ran in a child hands back. */
struct bench_netns_answer {
    int err;                   /* enum vly_err */
    char why[BENCH_WHY_BYTES]; /* one line when err is not 0 */
    unsigned n_fds;
    int fds[BENCH_NETNS_FDS_MAX]; /* the caller's to close */
};

/* Fails an answer: "`format`: the text of errno". Returns err, which errno gives when it is 0. */
int bench_netns_fail(struct bench_netns_answer *a, int err, const char *format, ...)
    VLY_PRINTF(3, 4);

/* Both descriptors are close-on-exec. Returns 0, VLY_E_PERMISSION, VLY_E_NOMEM or VLY_E_IO, with a
 * line in `why`. */
VLY_MUST_USE int bench_netns_open(struct bench_netns *ns, char why[BENCH_WHY_BYTES]);
void bench_netns_close(struct bench_netns *ns);
/* Moves the calling process, which has one thread, to a side. Returns 0 or a vly_err (errno tells).
 */
VLY_MUST_USE int bench_netns_enter(const struct bench_netns *ns, enum bench_side side);
/* Runs `call` in a child and waits for its answer. The child starts outside: it enters by itself.
 */
void bench_netns_call(void (*call)(const void *ctx, struct bench_netns_answer *out),
                      const void *ctx, struct bench_netns_answer *out);
/* Sends a signal to every process inside; returns to how many. */
unsigned bench_netns_signal(const struct bench_netns *ns, int signum);
/* Kills every process inside, also those that are just being born. */
void bench_netns_kill(const struct bench_netns *ns);

#endif
