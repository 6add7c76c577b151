/*
 * load_server - the load generator's server: one process a client.
 */
#include "bench/load/load_server.h"

#include "bench/load/control.h"
#include "bench/load/flow_ops.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKLOG 64

/* How a session's process tells its parent whether it was a run. */
enum session_exit { SESSION_RAN = 0, SESSION_STRANGER = 1 };

struct parent {
    const struct bench_load_server *server;
    int listen_fd, signal_fd;
    sigset_t before; /* the signals blocked before */
    pid_t sessions[BENCH_SESSIONS_MAX];
    size_t n_sessions;
    bool done;
};

/* ---- a session's process ---- */

/* Never returns. */
_Noreturn static void session(const struct parent *p, int fd, pid_t parent)
{
    struct bench_load_session out;
    uv_loop_t loop;

    /* Asked first and checked then: the parent may have gone in between. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(SESSION_STRANGER);
    close(p->listen_fd);
    close(p->signal_fd);
    (void)sigprocmask(SIG_SETMASK, &p->before, NULL);
    if (uv_loop_init(&loop) != 0)
        _exit(SESSION_STRANGER);
    bench_load_serve(&loop, fd, &out);
    (void)uv_loop_close(&loop);
    if (out.asked && p->server->on_session != NULL)
        p->server->on_session(p->server->user, &out);
    bench_sample_fini(&out.result.forward);
    bench_sample_fini(&out.result.back);
    exit(out.asked ? SESSION_RAN : SESSION_STRANGER);
}

/* ---- the parent ---- */

static void turn_away(int fd)
{
    json_t *error = json_pack("{s:s, s:s, s:s}", "type", "error", "code", "BUSY", "message",
                              "the server has as many clients as it takes; try again later");
    char *text = error != NULL ? json_dumps(error, JSON_COMPACT) : NULL;

    if (text != NULL) {
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
        (void)send(fd, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    free(text);
    json_decref(error);
    close(fd);
}

static void accept_one(struct parent *p)
{
    pid_t parent = getpid();
    pid_t pid;
    int fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (p->n_sessions == BENCH_SESSIONS_MAX) {
        turn_away(fd);
        return;
    }
    (void)fflush(NULL); /* nothing is to be written twice */
    pid = fork();
    if (pid == 0)
        session(p, fd, parent);
    if (pid > 0)
        p->sessions[p->n_sessions++] = pid;
    close(fd);
}

/* A session that was killed or crashed counts as a run: --once would wait for ever otherwise. */
static void reap(struct parent *p)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < p->n_sessions; i++)
            if (p->sessions[i] == pid)
                p->sessions[i] = p->sessions[--p->n_sessions];
        if (p->server->once && !(WIFEXITED(status) && WEXITSTATUS(status) == SESSION_STRANGER))
            p->done = true;
    }
}

static void end_sessions(struct parent *p)
{
    for (size_t i = 0; i < p->n_sessions; i++)
        (void)kill(p->sessions[i], SIGKILL);
    for (size_t i = 0; i < p->n_sessions; i++)
        while (waitpid(p->sessions[i], NULL, 0) < 0 && errno == EINTR)
            ;
}

static void on_signal(struct parent *p)
{
    struct signalfd_siginfo info;

    if (read(p->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGCHLD)
        reap(p);
    else
        p->done = true;
}

static void serve(struct parent *p)
{
    struct pollfd fds[2] = {
        {.fd = p->signal_fd, .events = POLLIN},
        {.fd = p->listen_fd, .events = POLLIN},
    };

    while (!p->done) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if ((fds[0].revents & POLLIN) != 0)
            on_signal(p);
        if (!p->done && (fds[1].revents & POLLIN) != 0)
            accept_one(p);
    }
    end_sessions(p);
}

static int listen_at(struct parent *p, struct vly_fault *why)
{
    struct sockaddr_storage at = p->server->at;
    socklen_t len = bench_sockaddr_port(&at, bench_sockaddr_port_of(&at));
    int one = 1;
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    p->listen_fd = fd;
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (const struct sockaddr *)&at, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return vly_fault_set(
            why,
            errno == EADDRINUSE      ? VLY_E_EXISTS
            : errno == EADDRNOTAVAIL ? VLY_E_UNREACHABLE
                                     : vly_err_from_errno(errno),
            "cannot listen on TCP port %u: %s%s", bench_sockaddr_port_of(&at), strerror(errno),
            errno == EADDRINUSE ? "; try another one, or --port 0 for a free one" : "");
    if (p->server->on_listening != NULL)
        p->server->on_listening(p->server->user, &at);
    return 0;
}

static int watch_signals(struct parent *p, struct vly_fault *why)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, &p->before);
    p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return p->signal_fd >= 0 ? 0 : vly_fault_errno(why, errno);
}

int bench_load_server_run(const struct bench_load_server *server, struct vly_fault *why)
{
    struct parent p = {.server = server, .listen_fd = -1, .signal_fd = -1};
    int err = watch_signals(&p, why);

    if (err == 0 && (err = listen_at(&p, why)) == 0)
        serve(&p);
    if (p.listen_fd >= 0)
        close(p.listen_fd);
    if (p.signal_fd >= 0)
        close(p.signal_fd);
    (void)sigprocmask(SIG_SETMASK, &p.before, NULL);
    return err;
}
