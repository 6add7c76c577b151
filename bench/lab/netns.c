/*
 * netns - two network namespaces without a name, and functions and processes inside them.
 */
#include "bench/lab/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_ROUNDS 100 /* of looking for processes: more than any of them can fork away from */

static int err_of_errno(int e)
{
    switch (e) {
    case EPERM:
    case EACCES:
        return VLY_E_PERMISSION;
    case ENOMEM:
        return VLY_E_NOMEM;
    default:
        return VLY_E_IO;
    }
}

int bench_netns_fail(struct bench_netns_answer *a, int err, const char *format, ...)
{
    int e = errno;
    char what[BENCH_WHY_BYTES / 2];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    a->err = err != 0 ? err : err_of_errno(e);
    (void)snprintf(a->why, sizeof(a->why), "%s: %s", what, strerror(e));
    return a->err;
}

/* ---- a function in a child ---- */

struct message {
    struct msghdr head;
    struct iovec iov;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * BENCH_NETNS_FDS_MAX)];
};

static void message_init(struct message *m, struct bench_netns_answer *a)
{
    memset(m, 0, sizeof(*m));
    m->iov = (struct iovec){a, sizeof(*a)};
    m->head = (struct msghdr){.msg_iov = &m->iov,
                              .msg_iovlen = 1,
                              .msg_control = m->control,
                              .msg_controllen = sizeof(m->control)};
}

static void answer_send(int socket_fd, struct bench_netns_answer *a)
{
    struct message m;

    message_init(&m, a);
    if (a->n_fds == 0) {
        m.head.msg_control = NULL;
        m.head.msg_controllen = 0;
    } else {
        struct cmsghdr *c = CMSG_FIRSTHDR(&m.head);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * a->n_fds);
        memcpy(CMSG_DATA(c), a->fds, sizeof(int) * a->n_fds);
        m.head.msg_controllen = CMSG_SPACE(sizeof(int) * a->n_fds);
    }
    (void)sendmsg(socket_fd, &m.head, MSG_NOSIGNAL);
}

static void answer_receive(int socket_fd, struct bench_netns_answer *a)
{
    struct message m;
    struct cmsghdr *c;
    ssize_t n;

    message_init(&m, a);
    do
        n = recvmsg(socket_fd, &m.head, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(*a)) {
        *a = (struct bench_netns_answer){.err = VLY_E_IO, .why = "a helper process died"};
        return;
    }
    c = CMSG_FIRSTHDR(&m.head);
    if (a->n_fds > 0 && (c == NULL || c->cmsg_len != CMSG_LEN(sizeof(int) * a->n_fds))) {
        *a = (struct bench_netns_answer){.err = VLY_E_LIMIT, .why = "too many open files"};
        return;
    }
    if (a->n_fds > 0)
        memcpy(a->fds, CMSG_DATA(c), sizeof(int) * a->n_fds);
}

void bench_netns_call(void (*call)(const void *ctx, struct bench_netns_answer *out),
                      const void *ctx, struct bench_netns_answer *out)
{
    int pair[2];
    pid_t pid;

    *out = (struct bench_netns_answer){0};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        (void)bench_netns_fail(out, 0, "cannot make a socket pair");
        return;
    }
    pid = fork();
    if (pid < 0) {
        (void)bench_netns_fail(out, 0, "cannot start a process");
        (void)close(pair[0]);
        (void)close(pair[1]);
        return;
    }
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        call(ctx, out);
        answer_send(pair[1], out);
        _exit(0);
    }
    (void)close(pair[1]);
    answer_receive(pair[0], out);
    (void)close(pair[0]);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* ---- making them ---- */

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        (void)close(fd);
    return ok;
}

/* Makes us root in a user namespace of our own. */
static int become_root(struct bench_netns_answer *out)
{
    unsigned uid = geteuid(), gid = getegid();
    char map[32];

    if (unshare(CLONE_NEWUSER) != 0)
        return bench_netns_fail(out, VLY_E_PERMISSION,
                                "network namespaces need root, or user namespaces (sysctl "
                                "user.max_user_namespaces)");
    (void)write_file("/proc/self/setgroups", "deny"); /* absent before Linux 3.19 */
    (void)snprintf(map, sizeof(map), "0 %u 1", uid);
    if (!write_file("/proc/self/uid_map", map))
        return bench_netns_fail(out, VLY_E_PERMISSION, "/proc/self/uid_map cannot be written");
    (void)snprintf(map, sizeof(map), "0 %u 1", gid);
    if (!write_file("/proc/self/gid_map", map))
        return bench_netns_fail(out, VLY_E_PERMISSION, "/proc/self/gid_map cannot be written");
    return 0;
}

static int answer_add_file(struct bench_netns_answer *out, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return bench_netns_fail(out, 0, "cannot open %s", path);
    out->fds[out->n_fds++] = fd;
    return 0;
}

/* Answers with both network namespaces, and then the user namespace if there is one. */
static void make(const void *ctx, struct bench_netns_answer *out)
{
    bool is_root = true;

    (void)ctx;
    for (int side = BENCH_LEFT; side <= BENCH_RIGHT; side++) {
        if (unshare(CLONE_NEWNET) != 0) {
            if (side == BENCH_RIGHT || errno != EPERM) {
                (void)bench_netns_fail(out, 0, "cannot make a network namespace");
                return;
            }
            if (become_root(out) != 0)
                return;
            is_root = false;
            if (unshare(CLONE_NEWNET) != 0) {
                (void)bench_netns_fail(out, 0, "cannot make a network namespace");
                return;
            }
        }
        /* Else the kernel's own packets (router solicitations) cross the link among ours. */
        (void)write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        if (answer_add_file(out, "/proc/self/ns/net") != 0)
            return;
    }
    if (!is_root)
        (void)answer_add_file(out, "/proc/self/ns/user");
}

int bench_netns_open(struct bench_netns *ns, char why[BENCH_WHY_BYTES])
{
    struct bench_netns_answer a;

    *ns = (struct bench_netns){-1, {-1, -1}};
    bench_netns_call(make, NULL, &a);
    if (a.err != 0) {
        for (unsigned i = 0; i < a.n_fds; i++)
            (void)close(a.fds[i]);
        memcpy(why, a.why, BENCH_WHY_BYTES);
        return a.err;
    }
    ns->net_fd[BENCH_LEFT] = a.fds[0];
    ns->net_fd[BENCH_RIGHT] = a.fds[1];
    ns->user_fd = a.n_fds > 2 ? a.fds[2] : -1;
    return 0;
}

void bench_netns_close(struct bench_netns *ns)
{
    const int fds[] = {ns->user_fd, ns->net_fd[BENCH_LEFT], ns->net_fd[BENCH_RIGHT]};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    *ns = (struct bench_netns){-1, {-1, -1}};
}

int bench_netns_enter(const struct bench_netns *ns, enum bench_side side)
{
    /* EINVAL: we are in it already. */
    if (ns->user_fd >= 0 && setns(ns->user_fd, CLONE_NEWUSER) != 0 && errno != EINVAL)
        return err_of_errno(errno);
    if (setns(ns->net_fd[side], CLONE_NEWNET) != 0)
        return err_of_errno(errno);
    return 0;
}

/* ---- who is inside ---- */

static bool is_inside(const struct bench_netns *ns, const char *pid)
{
    char path[64];
    struct stat it, side;

    (void)snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
    if (stat(path, &it) != 0)
        return false;
    for (int i = BENCH_LEFT; i <= BENCH_RIGHT; i++)
        if (fstat(ns->net_fd[i], &side) == 0 && side.st_ino == it.st_ino &&
            side.st_dev == it.st_dev)
            return true;
    return false;
}

unsigned bench_netns_signal(const struct bench_netns *ns, int signum)
{
    DIR *proc = opendir("/proc");
    struct dirent *e;
    unsigned n = 0;

    if (proc == NULL)
        return 0;
    while ((e = readdir(proc)) != NULL) {
        long pid = strtol(e->d_name, NULL, 10);

        if (pid > 1 && is_inside(ns, e->d_name) && kill((pid_t)pid, signum) == 0)
            n++;
    }
    (void)closedir(proc);
    return n;
}

void bench_netns_kill(const struct bench_netns *ns)
{
    for (int i = 0; i < KILL_ROUNDS && bench_netns_signal(ns, SIGKILL) > 0; i++)
        (void)sched_yield();
}
