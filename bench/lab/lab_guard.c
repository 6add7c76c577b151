/*
 * lab_guard - the processes of a lab: starting one on a side, and the guard.
 */
#include "bench/lab/lab_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a program on a side ---- */

/* Makes fds[i] the descriptor i. They may be 0 to 2 themselves: so first all out of the way. */
static int place_fds(const int fds[3])
{
    int copy[3];

    for (int i = 0; i < 3; i++) {
        int fd = fds[i] >= 0 ? fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);

        copy[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy[i] < 0)
            return -1;
    }
    for (int i = 0; i < 3; i++)
        if (dup2(copy[i], i) < 0)
            return -1;
    return 0;
}

static void reset_signals(void)
{
    sigset_t none;

    for (int signum = 1; signum < NSIG; signum++)
        (void)signal(signum, SIG_DFL); /* fails for some, which is as it should be */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: becomes the program, or returns with errno. */
static void become(const struct bench_lab_place *place, char *const argv[], const int fds[3],
                   pid_t parent)
{
    if (place_fds(fds) != 0 ||
        (place->ns != NULL && bench_netns_enter(place->ns, place->side) != 0))
        return;
    reset_signals();
    /* Entering a user namespace takes this back: so now, and what was missed meanwhile. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    (void)execvp(argv[0], argv);
}

pid_t bench_lab_start(const struct bench_lab_place *place, char *const argv[], const int fds[3],
                      char why[BENCH_WHY_BYTES])
{
    int pipe_fds[2], e = 0;
    pid_t parent = getpid(), pid = -1;
    ssize_t n;

    if (pipe2(pipe_fds, O_CLOEXEC) == 0) {
        pid = fork();
        if (pid == 0) {
            become(place, argv, fds, parent);
            e = errno;
            (void)!write(pipe_fds[1], &e, sizeof(e));
            _exit(127);
        }
        e = errno;
        (void)close(pipe_fds[1]);
        do
            n = pid > 0 ? read(pipe_fds[0], &e, sizeof(e)) : -1;
        while (n < 0 && pid > 0 && errno == EINTR);
        (void)close(pipe_fds[0]);
        if (pid > 0 && n == 0)
            return pid; /* exec has closed the pipe */
        if (pid > 0)
            (void)waitpid(pid, NULL, 0);
    } else {
        e = errno;
    }
    (void)snprintf(why, BENCH_WHY_BYTES, "cannot start %.100s: %s", argv[0], strerror(e));
    return e == ENOENT ? VLY_E_NOT_FOUND : e == EACCES ? VLY_E_PERMISSION : VLY_E_IO;
}

/* ---- the guard ---- */

/* Closes what we have from our parent but these, which rise: a pipe held open here would not end
 * with it. */
static void keep_only(const int *fds, size_t n)
{
    unsigned from = 0;

    for (size_t i = 0; i < n; i++) {
        if ((unsigned)fds[i] > from)
            (void)close_range(from, (unsigned)fds[i] - 1, 0);
        from = (unsigned)fds[i] + 1;
    }
    (void)close_range(from, ~0u, 0);
}

static int by_value(const void *a, const void *b)
{
    const int *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

struct duty {
    const struct bench_netns *ns;
    struct bench_linkemu *emulator; /* NULL: none */
    int tun[2];                     /* its devices */
    pid_t parent;
    int ready_fd;
};

static void guard(const struct duty *d)
{
    int keep[] = {
        2,        d->ns->net_fd[BENCH_LEFT], d->ns->net_fd[BENCH_RIGHT], d->ready_fd, d->tun[0],
        d->tun[1]};
    size_t n_keep = sizeof(keep) / sizeof(keep[0]) - (d->emulator == NULL ? 2 : 0);
    struct pollfd gone = {.events = POLLIN};

    qsort(keep, n_keep, sizeof(keep[0]), by_value);
    keep_only(keep, n_keep);
    gone.fd = (int)syscall(SYS_pidfd_open, d->parent, 0);
    /* Ctrl-C is for those we guard. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGQUIT, SIG_IGN);
    (void)prctl(PR_SET_NAME, "volley-lab");
    if (gone.fd < 0 || (d->emulator != NULL && bench_linkemu_start(d->emulator, d->tun) != 0))
        _exit(1);
    (void)!write(d->ready_fd, "", 1);
    (void)close(d->ready_fd);
    while (getppid() == d->parent && poll(&gone, 1, -1) != 1)
        continue;
    bench_netns_kill(d->ns);
    _exit(0);
}

int bench_lab_guard_start(struct bench_lab_guard *g, const struct bench_netns *ns,
                          struct bench_linkemu *emulator, const int tun[2],
                          char why[BENCH_WHY_BYTES])
{
    struct duty d = {ns, emulator, {tun[0], tun[1]}, getpid(), -1};
    int ready[2];
    char byte;
    ssize_t n;

    if (pipe2(ready, O_CLOEXEC) != 0) {
        (void)snprintf(why, BENCH_WHY_BYTES, "cannot make a pipe: %s", strerror(errno));
        return VLY_E_IO;
    }
    d.ready_fd = ready[1];
    g->pid = fork();
    if (g->pid == 0)
        guard(&d);
    (void)close(ready[1]);
    do
        n = g->pid > 0 ? read(ready[0], &byte, 1) : -1;
    while (n < 0 && g->pid > 0 && errno == EINTR);
    (void)close(ready[0]);
    if (n == 1)
        return 0;
    (void)snprintf(why, BENCH_WHY_BYTES, "cannot start the lab's guard process");
    return VLY_E_IO;
}

void bench_lab_guard_stop(struct bench_lab_guard *g)
{
    if (g->pid <= 0)
        return;
    (void)kill(g->pid, SIGKILL);
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    g->pid = 0;
}
