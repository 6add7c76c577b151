/*
 * peer - the table of all peers, and what they share.
 */
#include "bench/rows/peer.h"

#include "proto/cc.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct bench_peer *const families[] = {
    bench_peers_volley, bench_peers_iperf3, bench_peers_scp, bench_peers_rsync, bench_peers_socat,
};

#define N_FAMILIES (sizeof(families) / sizeof(families[0]))

const struct bench_peer *bench_peer_find(const char *protocol, enum bench_kind kind)
{
    for (size_t i = 0; i < N_FAMILIES; i++)
        for (const struct bench_peer *p = families[i]; p->protocol != NULL; p++)
            if (p->kind == kind && strcmp(p->protocol, protocol) == 0)
                return p;
    return NULL;
}

/* ---- arguments ---- */

void bench_argv_init(struct bench_argv *argv)
{
    argv->n = 0;
    argv->text_bytes = 0;
    argv->at[0] = NULL;
}

void bench_argv_add(struct bench_argv *argv, const char *format, ...)
{
    size_t room = sizeof(argv->text) - argv->text_bytes;
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(argv->text + argv->text_bytes, room, format, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < room && argv->n < BENCH_ARGV_MAX);
    argv->at[argv->n++] = argv->text + argv->text_bytes;
    argv->at[argv->n] = NULL;
    argv->text_bytes += (size_t)len + 1;
}

/* ---- programs ---- */

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

static bool find_in(const char *directories, const char *program, char *out, size_t cap)
{
    while (*directories != '\0') {
        size_t len = strcspn(directories, ":");
        int written = snprintf(out, cap, "%.*s/%s", (int)len, directories, program);
        if (len > 0 && written > 0 && (size_t)written < cap && is_program(out))
            return true;
        directories += len + (directories[len] == ':');
    }
    return false;
}

static bool find_ours(const char *program, const char *given, char *out, size_t cap)
{
    char self[512];
    ssize_t len;

    if (given != NULL && *given != '\0')
        return snprintf(out, cap, "%s", given) < (int)cap && is_program(out);
    len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len <= 0)
        return false;
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    return find_in(self, program, out, cap);
}

bool bench_program_find(const char *program, char *out, size_t cap)
{
    const char *path = getenv("PATH");

    if (strcmp(program, "volley") == 0)
        return find_ours(program, getenv("VOLLEY_BIN"), out, cap);
    if (strcmp(program, "volley-bench") == 0)
        return find_ours(program, getenv("VOLLEY_BENCH_BIN"), out, cap);
    return find_in(path != NULL ? path : "/usr/bin:/bin", program, out, cap) ||
           find_in("/usr/local/sbin:/usr/sbin:/sbin", program, out, cap);
}

/* ---- what a row may ask for ---- */

static bool kernel_has_cc(const char *cc, char why[BENCH_WHY_BYTES])
{
    char known[160] = "not known";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has =
        fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc, (socklen_t)strlen(cc)) == 0;
    bool forbidden = errno == EPERM;
    FILE *f;

    if (fd >= 0)
        (void)close(fd);
    if (has)
        return true;
    f = fopen(forbidden ? "/proc/sys/net/ipv4/tcp_allowed_congestion_control"
                        : "/proc/sys/net/ipv4/tcp_available_congestion_control",
              "re");
    if (f != NULL && fgets(known, sizeof(known), f) != NULL)
        known[strcspn(known, "\n")] = '\0';
    if (f != NULL)
        (void)fclose(f);
    (void)snprintf(why, BENCH_WHY_BYTES,
                   "TCP's congestion control '%s' is not %s here; there is %s", cc,
                   forbidden ? "allowed" : "known", known);
    return false;
}

static bool cc_suits(const struct bench_peer *peer, const struct bench_row *row,
                     char why[BENCH_WHY_BYTES])
{
    if (row->cc[0] == '\0')
        return true;
    if ((peer->can & BENCH_CAN_CC_TCP) != 0)
        return kernel_has_cc(row->cc, why);
    if ((peer->can & BENCH_CAN_CC_VOLLEY) != 0 && vly_cc_find(row->cc) != NULL)
        return true;
    if ((peer->can & BENCH_CAN_CC_VOLLEY) != 0)
        (void)snprintf(why, BENCH_WHY_BYTES,
                       "volley has no congestion control '%s'; there is cubic, reno, fixed",
                       row->cc);
    else
        (void)snprintf(why, BENCH_WHY_BYTES,
                       "%s cannot choose a congestion control; leave it to the default",
                       row->protocol);
    return false;
}

bool bench_peer_suits(const struct bench_peer *peer, const struct bench_row *row,
                      char why[BENCH_WHY_BYTES])
{
    const char *cannot = NULL;

    if (row->rate_bytes_per_s != 0 && (peer->can & BENCH_CAN_RATE) == 0)
        cannot = "cannot be held to a rate";
    else if (row->mss_bytes != 0 && (peer->can & BENCH_CAN_MSS) == 0)
        cannot = "cannot choose the size of its packets";
    else if (row->io[0] != '\0' && (peer->can & BENCH_CAN_IO) == 0)
        cannot = "has no choice of --io";
    else if ((row->suite[0] != '\0' || row->crypto[0] != '\0') &&
             (peer->can & BENCH_CAN_CRYPTO) == 0)
        cannot = "has no choice of suite= and crypto=";
    else if (row->ack_every_pkts != 0 && (peer->can & BENCH_CAN_ACKS) == 0)
        cannot = "has no choice of ack-every=";
    else if (row->parallel > 1 && (peer->can & BENCH_CAN_PARALLEL) == 0)
        cannot = "uses one connection";
    else if (row->kind == BENCH_FILE && row->bytes == 0)
        cannot = "needs a size for its file";
    else if (row->kind == BENCH_MEMORY && row->bytes == 0 && row->duration_ns == 0)
        cannot = "needs a size or a duration";
    else if (row->bytes != 0 && peer->by_time)
        cannot = "needs a duration, not a size";
    if (cannot == NULL)
        return cc_suits(peer, row, why);
    (void)snprintf(why, BENCH_WHY_BYTES, "%s %s %s", row->protocol,
                   row->kind == BENCH_FILE ? "with files" : "from memory", cannot);
    return false;
}
