/*
 * child - see child.h.
 *
 * A process is waited for by pidfd, so that one poll sees its end and its pipes. What it started is
 * found in /proc and held by pidfds too: a pid alone could stand for another process by the time it
 * is signalled.
 */
#include "bench/rows/child.h"

#include "bench/usage.h"
#include "net/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURN_NS VLY_MS(50) /* between two looks at *stop, which no poll sees */
#define GRACE_NS VLY_S(1)  /* between SIGTERM and SIGKILL */
#define DESCENDANTS_MAX 64 /* of one child, found when it is ended */
#define FIRST_OUT_BYTES 4096

static int process_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void pidfd_kill(int pidfd, int signum)
{
    (void)syscall(SYS_pidfd_send_signal, pidfd, signum, NULL, 0);
}

static void fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void bench_children_init(struct bench_children *set, const struct bench_lab *lab,
                         uint64_t deadline_ns, const volatile bool *stop)
{
    *set = (struct bench_children){.lab = lab, .stop = stop, .deadline_ns = deadline_ns};
}

/* ---- starting ---- */

static void name_set(struct bench_child *c, const char *program)
{
    const char *slash = strrchr(program, '/');

    (void)snprintf(c->name, sizeof(c->name), "%.31s", slash != NULL ? slash + 1 : program);
}

/* Makes the pipes: theirs[i] is for the child. */
static int pipes_open(struct bench_child *c, int theirs[2])
{
    for (int i = 0; i < 2; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            return VLY_E_IO;
        c->fds[i] = ends[0];
        theirs[i] = ends[1];
        if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
            return VLY_E_IO;
    }
    return 0;
}

/* A process without a pidfd cannot be waited for with a deadline: it is not kept. */
static int adopt(struct bench_child *c, pid_t pid, char why[BENCH_WHY_BYTES])
{
    c->pid = pid;
    c->pidfd = process_open(pid);
    if (c->pidfd >= 0)
        return 0;
    (void)snprintf(why, BENCH_WHY_BYTES, "%s: pidfd_open: %s; it needs Linux 5.3", c->name,
                   strerror(errno));
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return VLY_E_IO;
}

int bench_child_start(struct bench_children *set, enum bench_side side, char *const argv[],
                      struct bench_child **out, char why[BENCH_WHY_BYTES])
{
    struct bench_child *c = &set->at[set->n];
    int theirs[2] = {-1, -1};
    pid_t pid;
    int err;

    if (set->n == BENCH_CHILDREN_MAX) {
        (void)snprintf(why, BENCH_WHY_BYTES, "a row runs at most %d programs", BENCH_CHILDREN_MAX);
        return VLY_E_LIMIT;
    }
    *c = (struct bench_child){.pidfd = -1, .fds = {-1, -1}};
    name_set(c, argv[0]);
    err = pipes_open(c, theirs);
    if (err != 0) {
        (void)snprintf(why, BENCH_WHY_BYTES, "%s: a pipe: %s", c->name, strerror(errno));
    } else {
        pid = bench_lab_spawn(set->lab, side, argv, (const int[3]){-1, theirs[0], theirs[1]}, why);
        err = pid < 0 ? (int)pid : adopt(c, pid, why);
    }
    fd_close(&theirs[0]);
    fd_close(&theirs[1]);
    if (err != 0) {
        fd_close(&c->fds[0]);
        fd_close(&c->fds[1]);
        return err;
    }
    set->n++;
    *out = c;
    return 0;
}

/* ---- reading ---- */

static int out_add(struct bench_child *c, const char *data, size_t len)
{
    size_t cap = c->out_cap == 0 ? FIRST_OUT_BYTES : c->out_cap;
    char *bigger;

    if (len > BENCH_CHILD_OUTPUT_MAX - c->out_bytes)
        len = BENCH_CHILD_OUTPUT_MAX - c->out_bytes;
    while (cap < c->out_bytes + len + 1)
        cap *= 2;
    if (cap > c->out_cap) {
        bigger = realloc(c->out, cap);
        if (bigger == NULL)
            return VLY_E_NOMEM;
        c->out = bigger;
        c->out_cap = cap;
    }
    memcpy(c->out + c->out_bytes, data, len);
    c->out_bytes += len;
    c->out[c->out_bytes] = '\0';
    return 0;
}

/* A line with nothing in it says nothing: the one before it is kept. */
static void err_line_end(struct bench_child *c)
{
    c->err_part[c->err_part_len] = '\0';
    if (strspn(c->err_part, " \t\r") < c->err_part_len)
        memcpy(c->err, c->err_part, c->err_part_len + 1);
    c->err_part_len = 0;
}

static void err_add(struct bench_child *c, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte == '\n')
            err_line_end(c);
        else if (byte != '\r' && c->err_part_len < sizeof(c->err_part) - 1)
            c->err_part[c->err_part_len++] = (char)(byte < 0x20 || byte == 0x7f ? '?' : byte);
    }
}

/* Reads what there is. */
static int drain(struct bench_child *c, int which)
{
    static char block[65536];

    while (c->fds[which] >= 0) {
        ssize_t n = read(c->fds[which], block, sizeof(block));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0) {
            fd_close(&c->fds[which]);
            return 0;
        }
        if (which == 1)
            err_add(c, block, (size_t)n);
        else if (out_add(c, block, (size_t)n) != 0)
            return VLY_E_NOMEM;
    }
    return 0;
}

/* It is dead, or about to be: what it wrote is in the pipes. A process that it left behind may hold
 * them open, so that they are not read to their end. */
static void reap(struct bench_child *c)
{
    struct rusage used = {0};

    while (wait4(c->pid, &c->status, 0, &used) < 0 && errno == EINTR)
        ;
    c->cpu_ns = bench_timeval_ns(&used.ru_utime) + bench_timeval_ns(&used.ru_stime);
    c->rss_bytes = 1024 * (uint64_t)used.ru_maxrss;
    fd_close(&c->pidfd);
    (void)drain(c, 0);
    (void)drain(c, 1);
    err_line_end(c);
    fd_close(&c->fds[0]);
    fd_close(&c->fds[1]);
}

int bench_children_turn(struct bench_children *set, uint64_t wait_ns)
{
    struct pollfd fds[3 * BENCH_CHILDREN_MAX];
    uint64_t now_ns = vly_clock_now_ns();
    int err = 0;

    if (*set->stop)
        return VLY_E_CANCELLED;
    if (now_ns >= set->deadline_ns)
        return VLY_E_NO_ANSWER;
    if (wait_ns > set->deadline_ns - now_ns)
        wait_ns = set->deadline_ns - now_ns;
    for (size_t i = 0; i < set->n; i++) {
        const struct bench_child *c = &set->at[i];
        fds[3 * i] = (struct pollfd){.fd = c->fds[0], .events = POLLIN};
        fds[3 * i + 1] = (struct pollfd){.fd = c->fds[1], .events = POLLIN};
        fds[3 * i + 2] = (struct pollfd){.fd = c->pidfd, .events = POLLIN};
    }
    if (poll(fds, 3 * set->n, (int)((wait_ns + VLY_MS(1) - 1) / VLY_MS(1))) <= 0)
        return 0;
    for (size_t i = 0; i < set->n && err == 0; i++) {
        struct bench_child *c = &set->at[i];
        err = fds[3 * i].revents != 0 ? drain(c, 0) : 0;
        if (err == 0 && fds[3 * i + 1].revents != 0)
            err = drain(c, 1);
        if (c->pidfd >= 0 && fds[3 * i + 2].revents != 0)
            reap(c);
    }
    return err;
}

int bench_child_line(struct bench_children *set, struct bench_child *c, char **line)
{
    for (;;) {
        char *begin = c->out != NULL ? c->out + c->out_read : NULL;
        char *end = begin != NULL ? strchr(begin, '\n') : NULL;
        int err;
        if (end != NULL) {
            *end = '\0';
            c->out_read = (size_t)(end - c->out) + 1;
            *line = begin;
            return 0;
        }
        if (c->pidfd < 0)
            return VLY_E_CLOSED;
        err = bench_children_turn(set, TURN_NS);
        if (err != 0)
            return err;
    }
}

int bench_child_wait(struct bench_children *set, struct bench_child *c, uint64_t until_ns)
{
    while (c->pidfd >= 0) {
        uint64_t now_ns = vly_clock_now_ns();
        int err;
        if (now_ns >= until_ns)
            return VLY_E_NO_ANSWER;
        err = bench_children_turn(set, until_ns - now_ns < TURN_NS ? until_ns - now_ns : TURN_NS);
        if (err != 0)
            return err;
    }
    return 0;
}

bool bench_child_succeeded(const struct bench_child *c)
{
    return c->pidfd < 0 && WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0;
}

void bench_child_tell(const struct bench_child *c, char why[BENCH_WHY_BYTES])
{
    const char *colon = c->err[0] != '\0' ? ": " : "";

    if (c->pidfd >= 0)
        (void)snprintf(why, BENCH_WHY_BYTES, "%s has not ended%s%s", c->name, colon, c->err);
    else if (WIFSIGNALED(c->status))
        (void)snprintf(why, BENCH_WHY_BYTES, "%s was ended by signal %d%s%s", c->name,
                       WTERMSIG(c->status), colon, c->err);
    else
        (void)snprintf(why, BENCH_WHY_BYTES, "%s ended with code %d%s%s", c->name,
                       WEXITSTATUS(c->status), colon, c->err);
}

/* ---- ending ---- */

/* The pids that `pid` started and that are there, or are not waited for yet. */
static size_t children_of(pid_t pid, pid_t *out, size_t cap)
{
    char path[64];
    size_t n = 0;
    intmax_t child;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%jd/task/%jd/children", (intmax_t)pid, (intmax_t)pid);
    f = fopen(path, "re");
    if (f == NULL)
        return 0;
    while (n < cap && fscanf(f, "%jd", &child) == 1) /* NOLINT(cert-err34-c): the kernel's */
        out[n++] = (pid_t)child;
    (void)fclose(f);
    return n;
}

bool bench_child_has_children(const struct bench_child *c)
{
    pid_t one;

    return c->pidfd >= 0 && children_of(c->pid, &one, 1) > 0;
}

struct descendants {
    pid_t pids[DESCENDANTS_MAX];
    int pidfds[DESCENDANTS_MAX];
    size_t n;
};

/* Breadth first: those that come later in the list were started by those before. */
static void descendants_find(struct descendants *d, pid_t root)
{
    size_t looked = 0;

    d->n = children_of(root, d->pids, DESCENDANTS_MAX);
    for (; looked < d->n; looked++)
        d->n += children_of(d->pids[looked], d->pids + d->n, DESCENDANTS_MAX - d->n);
    for (size_t i = 0; i < d->n; i++)
        d->pidfds[i] = process_open(d->pids[i]);
}

/* Kills what outlived its parent, and waits until it is gone. */
static void descendants_end(struct descendants *d)
{
    for (size_t i = 0; i < d->n; i++) {
        struct pollfd p = {.fd = d->pidfds[i], .events = POLLIN};
        if (p.fd < 0)
            continue;
        pidfd_kill(p.fd, SIGKILL);
        (void)poll(&p, 1, (int)(GRACE_NS / VLY_MS(1)));
        (void)close(p.fd);
    }
}

static bool is_gone_in(const struct bench_child *c, uint64_t wait_ns)
{
    struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
    uint64_t until_ns = vly_clock_now_ns() + wait_ns;

    for (;;) {
        uint64_t left_ns = vly_time_since(until_ns, vly_clock_now_ns());
        int n = poll(&p, 1, (int)(left_ns / VLY_MS(1)));
        if (n > 0)
            return true;
        if (n == 0 || errno != EINTR)
            return false;
    }
}

/* Stops it and lists what it started: a process that runs may start another one meanwhile. */
static void freeze(const struct bench_child *c, struct descendants *out)
{
    siginfo_t info;

    pidfd_kill(c->pidfd, SIGSTOP);
    while (waitid(P_PID, (id_t)c->pid, &info, WSTOPPED | WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    descendants_find(out, c->pid);
}

void bench_child_end(struct bench_children *set, struct bench_child *c)
{
    struct descendants below = {.n = 0};
    struct descendants later = {.n = 0};

    if (c->pidfd < 0)
        return;
    freeze(c, &below);
    pidfd_kill(c->pidfd, SIGTERM);
    pidfd_kill(c->pidfd, SIGCONT);
    if (!is_gone_in(c, *set->stop ? GRACE_NS / 4 : GRACE_NS)) {
        freeze(c, &later);
        pidfd_kill(c->pidfd, SIGKILL);
    }
    reap(c);
    descendants_end(&below);
    descendants_end(&later);
}

void bench_children_end(struct bench_children *set)
{
    for (size_t i = set->n; i-- > 0;) {
        bench_child_end(set, &set->at[i]);
        free(set->at[i].out);
        set->at[i].out = NULL;
    }
    set->n = 0;
}
