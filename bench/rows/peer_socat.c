/*
 * peer_socat - a file through a TCP connection with nothing else: blocks of 1 MiB, no hash.
 *
 * It sends without waiting for its peer, so the transfer ends when the receiver ends.
 */
#include "bench/rows/peer.h"

#include <inttypes.h>

#define BLOCK_BYTES (UINT64_C(1) << 20)
#define TCP_CONGESTION_OPTION "6:13" /* IPPROTO_TCP, TCP_CONGESTION: socat has no name for it */

/* Marks the bytes of a path that mean something to socat. */
static void path_escape(char out[2 * BENCH_WORKDIR_PATH_BYTES], const char *path)
{
    static const char special[] = ":,!\"'\\([{}])";

    for (; *path != '\0'; path++) {
        for (const char *s = special; *s != '\0'; s++)
            if (*s == *path)
                *out++ = '\\';
        *out++ = *path;
    }
    *out = '\0';
}

static void add_file(const struct bench_job *job, struct bench_argv *argv, bool sends)
{
    char path[2 * BENCH_WORKDIR_PATH_BYTES];

    path_escape(path, sends ? job->dir->source : job->dir->target);
    bench_argv_add(argv, sends ? "OPEN:%s,rdonly" : "CREATE:%s", path);
}

/* Flow goes from the first address to the second. The congestion control is the sender's. */
static void transfer(const struct bench_job *job, struct bench_argv *argv, bool sends,
                     const char *socket)
{
    const char *cc = sends ? job->row->cc : "";

    bench_argv_add(argv, "socat");
    bench_argv_add(argv, "-u");
    bench_argv_add(argv, "-b");
    bench_argv_add(argv, "%" PRIu64,
                   job->row->block_bytes != 0 ? job->row->block_bytes : BLOCK_BYTES);
    if (sends)
        add_file(job, argv, sends);
    bench_argv_add(argv, "%s%s%s", socket,
                   cc[0] != '\0' ? ",setsockopt-string=" TCP_CONGESTION_OPTION ":" : "", cc);
    if (!sends)
        add_file(job, argv, sends);
}

static void server(const struct bench_job *job, struct bench_argv *argv)
{
    char socket[128];

    (void)snprintf(socket, sizeof(socket), "TCP4-LISTEN:%u,bind=%s,reuseaddr", job->port,
                   job->host);
    transfer(job, argv, job->row->reverse, socket);
}

static void client(const struct bench_job *job, struct bench_argv *argv)
{
    char socket[128];

    (void)snprintf(socket, sizeof(socket), "TCP4:%s:%u", job->host, job->port);
    transfer(job, argv, !job->row->reverse, socket);
}

const struct bench_peer bench_peers_socat[] = {
    {
        .protocol = "socat",
        .kind = BENCH_FILE,
        .needs = {{"socat", "socat"}},
        .can = BENCH_CAN_CC_TCP,
        .ends_itself = true,
        .io = "tcp",
        .server = server,
        .client = client,
    },
    {.protocol = NULL},
};
