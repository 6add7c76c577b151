/*
 * linkemu_run - two shell commands in a lab, from the start of the first to the end of both.
 */
#include "bench/lab/linkemu_run.h"

#include "net/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define GRACE_NS VLY_S(2) /* between the polite word and the end */
#define SIGNAL_CODE 128

struct child {
    pid_t pid; /* 0: none, or it has ended */
    int status;
};

static sigset_t watched(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    return set;
}

void bench_linkemu_block_signals(void)
{
    sigset_t set = watched();

    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int start(const struct bench_lab *lab, enum bench_side side, const char *command,
                 struct child *child, char why[BENCH_WHY_BYTES])
{
    char shell[] = "sh", option[] = "-c";
    char *copy = strdup(command);
    char *const argv[] = {shell, option, copy, NULL};
    const int fds[3] = {side == BENCH_LEFT ? 0 : -1, 1, 2};
    pid_t pid = VLY_E_NOMEM;

    if (copy != NULL)
        pid = bench_lab_spawn(lab, side, argv, fds, why);
    else
        (void)snprintf(why, BENCH_WHY_BYTES, "out of memory");
    free(copy);
    if (pid < 0)
        return pid;
    child->pid = pid;
    return 0;
}

/* Notes the end of a child that has ended. */
static void look(struct child *c, int options)
{
    pid_t pid;

    if (c->pid == 0)
        return;
    do
        pid = waitpid(c->pid, &c->status, options);
    while (pid < 0 && errno == EINTR);
    if (pid != 0)
        c->pid = 0;
}

static void end_all(const struct bench_lab *lab, struct child *left, struct child *right)
{
    sigset_t set = watched();
    uint64_t end_ns = vly_clock_now_ns() + GRACE_NS;

    bench_lab_signal(lab, SIGTERM);
    for (;;) {
        uint64_t left_ns = vly_time_since(end_ns, vly_clock_now_ns());
        struct timespec wait = {(time_t)(left_ns / VLY_S(1)), (long)(left_ns % VLY_S(1))};

        look(left, WNOHANG);
        look(right, WNOHANG);
        if ((left->pid == 0 && right->pid == 0) || left_ns == 0)
            break;
        if (sigtimedwait(&set, NULL, &wait) > 0)
            continue;
    }
    bench_lab_kill(lab);
    look(left, 0);
    look(right, 0);
}

int bench_linkemu_run(const struct bench_lab *lab, const char *left, const char *right,
                      int *out_code, char why[BENCH_WHY_BYTES])
{
    struct child l = {0}, r = {0};
    sigset_t set = watched();
    int signum = SIGCHLD;
    int err = 0;

    (void)setenv("VOLLEY_LEFT", bench_lab_address(lab, BENCH_LEFT), 1);
    (void)setenv("VOLLEY_RIGHT", bench_lab_address(lab, BENCH_RIGHT), 1);
    if (right != NULL)
        err = start(lab, BENCH_RIGHT, right, &r, why);
    if (err == 0)
        err = start(lab, BENCH_LEFT, left, &l, why);
    while (err == 0 && l.pid != 0 && (signum == SIGCHLD || signum < 0)) {
        signum = sigwaitinfo(&set, NULL);
        look(&l, WNOHANG);
        look(&r, WNOHANG);
    }
    end_all(lab, &l, &r);
    if (signum > 0 && signum != SIGCHLD)
        *out_code = SIGNAL_CODE + signum;
    else
        *out_code = WIFEXITED(l.status) ? WEXITSTATUS(l.status) : SIGNAL_CODE + WTERMSIG(l.status);
    return err;
}
