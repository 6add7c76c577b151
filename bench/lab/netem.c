/*
 * netem - a link by the kernel's own tc netem.
 */
#include "bench/lab/netem.h"

#include "bench/lab/netdev.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)
#define QUEUE_MAX_PKTS 1000000

static void VLY_PRINTF(2, 3) add(struct bench_netem_args *a, const char *format, ...)
{
    va_list args;

    assert(a->n < BENCH_NETEM_ARGS_MAX);
    va_start(args, format);
    (void)vsnprintf(a->text[a->n], sizeof(a->text[0]), format, args);
    va_end(args);
    a->argv[a->n] = a->text[a->n];
    a->argv[++a->n] = NULL;
}

static void add_share(struct bench_netem_args *a, const char *name, double share)
{
    if (share <= 0)
        return;
    add(a, "%s", name);
    add(a, "%.6f%%", 100 * share);
}

static void add_loss(struct bench_netem_args *a, const struct vly_link_spec *way)
{
    if (way->burst_enter <= 0) {
        if (way->loss > 0)
            add(a, "loss");
        add_share(a, "random", way->loss);
        return;
    }
    add(a, "loss");
    add(a, "gemodel");
    add(a, "%.6f%%", 100 * way->burst_enter);
    add(a, "%.6f%%", 100 * way->burst_leave);
    add(a, "%.6f%%", 100 * way->burst_loss);
    add(a, "%.6f%%", 100 * way->loss);
}

/* The model's queue, default included, and what the delay holds at the link's rate. */
static uint64_t queue_pkts(const struct vly_link_spec *way, uint32_t mtu_bytes)
{
    struct vly_link_model model;
    uint64_t bytes;

    if (vly_link_model_init(&model, way, 0) != 0 || way->rate_bytes_per_s == 0)
        return QUEUE_MAX_PKTS;
    bytes = model.spec.queue_bytes;
    if (way->rate_bytes_per_s < UINT64_MAX / NS_PER_S)
        bytes += (uint64_t)((double)way->rate_bytes_per_s * (double)way->delay_ns / 1e9);
    bytes = bytes / mtu_bytes + 1;
    return bytes < QUEUE_MAX_PKTS ? bytes : QUEUE_MAX_PKTS;
}

static const char *what_netem_lacks(const struct vly_link_spec *way)
{
    if (way->reorder > 0)
        return "reordering by a time";
    if (way->truncate > 0)
        return "truncation";
    if (way->ce_mark > 0)
        return "CE marks";
    if (way->mtu_bytes > 0)
        return "an MTU of the link";
    if (way->codel)
        return "CoDel";
    return NULL;
}

int bench_netem_args(struct bench_netem_args *out, const struct vly_link_spec *way,
                     uint32_t mtu_bytes, char why[BENCH_WHY_BYTES])
{
    static const char *const head[] = {"tc",         "qdisc", "replace", "dev",
                                       BENCH_NETDEV, "root",  "netem",   "limit"};
    const char *lacks = what_netem_lacks(way);

    *out = (struct bench_netem_args){0};
    if (lacks != NULL) {
        (void)snprintf(why, BENCH_WHY_BYTES, "netem has no %s: leave it out, or --netem", lacks);
        return VLY_E_INVALID;
    }
    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
        add(out, "%s", head[i]);
    add(out, "%" PRIu64, queue_pkts(way, mtu_bytes));
    if (way->delay_ns > 0 || way->jitter_ns > 0) {
        /* Ours is uniform in [delay, delay + jitter], netem's in [mean - j, mean + j]. */
        add(out, "delay");
        add(out, "%.3fus", (double)way->delay_ns / 1e3 + (double)way->jitter_ns / 2e3);
        if (way->jitter_ns > 0)
            add(out, "%.3fus", (double)way->jitter_ns / 2e3);
    }
    add_loss(out, way);
    add_share(out, "duplicate", way->duplicate);
    add_share(out, "corrupt", way->corrupt);
    if (way->rate_bytes_per_s > 0) {
        add(out, "rate");
        add(out, "%" PRIu64 "bps", way->rate_bytes_per_s); /* tc's "bps" are bytes */
    }
    return 0;
}

/* Runs tc on a side; its first line of complaint is put in `said`. Returns 0 or a vly_err. */
static int run_tc(const struct bench_lab *lab, enum bench_side side, char *const argv[],
                  char said[BENCH_WHY_BYTES])
{
    int pipe_fds[2], status = -1;
    ssize_t n = 0;
    pid_t pid;

    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return VLY_E_IO;
    pid = bench_lab_spawn(lab, side, argv, (int[]){-1, -1, pipe_fds[1]}, said);
    (void)close(pipe_fds[1]);
    if (pid > 0) {
        n = read(pipe_fds[0], said, BENCH_WHY_BYTES - 1);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
        said[n > 0 ? n : 0] = '\0';
        said[strcspn(said, "\n")] = '\0';
    }
    (void)close(pipe_fds[0]);
    if (pid < 0)
        return pid;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : VLY_E_IO;
}

int bench_netem_apply(const struct bench_lab *lab, const struct bench_lab_spec *spec,
                      uint32_t mtu_bytes, char why[BENCH_WHY_BYTES])
{
    for (int from = BENCH_LEFT; from <= BENCH_RIGHT; from++) {
        struct vly_link_spec way = spec->way[from];
        struct bench_netem_args args;
        char said[BENCH_WHY_BYTES] = "";
        int err;

        way.codel = way.codel || spec->codel[from].on;
        if (spec->n_changes[from] > 0) {
            (void)snprintf(why, BENCH_WHY_BYTES,
                           "netem has no outages and no changes of rate: leave them out, or "
                           "--netem");
            return VLY_E_INVALID;
        }
        err = bench_netem_args(&args, &way, mtu_bytes, why);
        if (err != 0)
            return err;
        err = run_tc(lab, (enum bench_side)from, args.argv, said);
        if (err == 0)
            continue;
        if (strstr(said, "unknown") != NULL || strstr(said, "No such file") != NULL)
            err = VLY_E_NOT_FOUND;
        (void)snprintf(why, BENCH_WHY_BYTES,
                       "netem cannot be used here, leave out --netem for our own emulator (%.120s)",
                       said);
        return err;
    }
    return 0;
}
