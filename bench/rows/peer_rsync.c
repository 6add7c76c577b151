/*
 * peer_rsync - rsync to its own daemon: no ssh, whole files, in place, not compressed.
 *
 * The daemon starts a process for each connection. Its CPU time is the daemon's once the daemon has
 * waited for it, which row.c waits for. In a user namespace, as a lab without root has, it may not
 * give up root's groups, and the row fails.
 */
#include "bench/rows/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The daemon would take nobody's rights as root. */
static int prepare(struct bench_job *job, char why[BENCH_WHY_BYTES])
{
    char path[BENCH_WORKDIR_PATH_BYTES + 16];
    FILE *f;
    bool bad;

    (void)snprintf(path, sizeof(path), "%s/rsyncd.conf", job->dir->path);
    f = fopen(path, "we");
    bad = f == NULL;
    if (f != NULL) {
        (void)fprintf(f, "use chroot = no\nreverse lookup = no\nmax verbosity = 0\n");
        if (geteuid() == 0)
            (void)fprintf(f, "uid = 0\ngid = 0\n");
        (void)fprintf(f, "[bench]\npath = %s/%s\nread only = %s\n", job->dir->path,
                      job->row->reverse ? "source" : "target", job->row->reverse ? "yes" : "no");
        bad = ferror(f) != 0;
        bad |= fclose(f) != 0;
    }
    if (!bad)
        return 0;
    (void)snprintf(why, BENCH_WHY_BYTES, "%.160s: %s", path, strerror(errno));
    return VLY_E_IO;
}

static void server(const struct bench_job *job, struct bench_argv *argv)
{
    bench_argv_add(argv, "rsync");
    bench_argv_add(argv, "--daemon");
    bench_argv_add(argv, "--no-detach");
    bench_argv_add(argv, "--config=%s/rsyncd.conf", job->dir->path);
    bench_argv_add(argv, "--address=%s", job->host);
    bench_argv_add(argv, "--port=%u", job->port);
    bench_argv_add(argv, "--log-file=/dev/stderr");
}

static void client(const struct bench_job *job, struct bench_argv *argv)
{
    bench_argv_add(argv, "rsync");
    bench_argv_add(argv, "--whole-file");
    bench_argv_add(argv, "--inplace");
    bench_argv_add(argv, "--no-compress");
    if (!job->row->reverse)
        bench_argv_add(argv, "%s", job->dir->source);
    bench_argv_add(argv, "rsync://%s:%u/bench/" BENCH_WORKDIR_FILE, job->host, job->port);
    if (job->row->reverse)
        bench_argv_add(argv, "%s", job->dir->target);
}

const struct bench_peer bench_peers_rsync[] = {
    {
        .protocol = "rsync",
        .kind = BENCH_FILE,
        .needs = {{"rsync", "rsync"}},
        .end_is_arrival = true,
        .io = "tcp",
        .prepare = prepare,
        .server = server,
        .client = client,
    },
    {.protocol = NULL},
};
