/*
 * load_ends - the two ends of a run: the client that connects, the server's session on a socket.
 */
#include "bench/load/load_internal.h"

#include "cli/quantity.h"
#include "file/path.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void result_init(struct bench_load_result *out)
{
    bench_sample_init(&out->forward);
    bench_sample_init(&out->back);
    out->signum = 0;
}

/* ---- the client ---- */

/* Waits for a connection that is being made; a signal ends the wait. Returns 0 or an errno. */
static int await_connected(int fd, uint64_t timeout_ns)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof(error);
    int n = poll(&p, 1, (int)(timeout_ns / VLY_MS(1)));

    if (n < 0)
        return errno;
    if (n == 0)
        return ETIMEDOUT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return errno;
    return error;
}

/* Returns a connected socket, or -1 with an errno. */
static int connect_to(const struct sockaddr_storage *at, uint64_t timeout_ns, int *out_errno)
{
    socklen_t len =
        at->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *out_errno = errno;
    if (fd < 0)
        return -1;
    *out_errno = 0;
    if (connect(fd, (const struct sockaddr *)at, len) != 0)
        *out_errno = errno == EINPROGRESS ? await_connected(fd, timeout_ns) : errno;
    if (*out_errno == 0)
        return fd;
    close(fd);
    return -1;
}

static int err_of_connect(int error)
{
    return error == ETIMEDOUT ? VLY_E_NO_ANSWER
           : error == EINTR   ? VLY_E_CANCELLED
                              : VLY_E_UNREACHABLE;
}

static int reach(struct bench_load *load, int *out_fd)
{
    const struct bench_load_client *client = load->client;
    int error = 0;

    for (size_t i = 0; i < client->n; i++) {
        *out_fd = connect_to(&client->at[i], load->request.timeout_ns, &error);
        load->at = client->at[i];
        if (*out_fd >= 0)
            return 0;
        if (error == EINTR)
            break;
    }
    return bench_sample_fail(&load->out->forward, err_of_connect(error),
                             error == EINTR ? "interrupted before %s answered"
                                            : "cannot reach %s: %s; is volley bench serve running "
                                              "there?",
                             client->name, strerror(error));
}

static void on_signal(void *ctx, int signum)
{
    struct bench_load *load = ctx;

    load->out->signum = signum;
    bench_load_fail(load, VLY_E_CANCELLED, "interrupted");
}

static void run(struct bench_load *load)
{
    int fd = -1;

    if (reach(load, &fd) != 0) {
        (void)uv_run(load->loop, UV_RUN_NOWAIT); /* hands out the signal that may have come */
        return;
    }
    if (bench_load_begin(load, fd) != 0) {
        (void)bench_sample_fail(&load->out->forward, VLY_E_IO, "the control connection broke");
        bench_load_end(load);
    }
    bench_load_finish(load);
}

void bench_load_run(uv_loop_t *loop, const struct bench_request *request,
                    const struct bench_load_client *client, struct bench_load_result *out)
{
    struct bench_load *load = calloc(1, sizeof(*load));
    struct vly_fault why;

    result_init(out);
    if (load == NULL) {
        (void)bench_sample_fail(&out->forward, VLY_E_NOMEM, "out of memory");
        return;
    }
    load->loop = loop;
    load->request = *request;
    load->client = client;
    load->out = out;
    (void)snprintf(load->peer, sizeof(load->peer), "%s", client->name);
    load->control.fd = -1;
    if (bench_request_check(request, &why) != 0) {
        (void)bench_sample_fail(&out->forward, why.err, "%s", why.text);
    } else {
        vly_signals_open(&load->signals, loop, on_signal, load);
        run(load);
        vly_signals_close(&load->signals);
        (void)uv_run(loop, UV_RUN_DEFAULT);
    }
    free(load);
}

/* ---- the server's session ---- */

static void say_hello(struct bench_load *load)
{
    json_t *hello = bench_message("hello");

    if (hello != NULL) {
        (void)json_object_set_new(hello, "protocol", json_string("volley-bench"));
        (void)json_object_set_new(hello, "version", json_integer(BENCH_LOAD_VERSION));
    }
    bench_control_send(&load->control, hello);
}

void bench_load_serve(uv_loop_t *loop, int fd, struct bench_load_session *out)
{
    struct bench_load *load = calloc(1, sizeof(*load));
    socklen_t len = sizeof(load->at);

    *out = (struct bench_load_session){.asked = false};
    result_init(&out->result);
    bench_request_init(&out->request);
    if (load == NULL) {
        (void)bench_sample_fail(&out->result.forward, VLY_E_NOMEM, "out of memory");
        close(fd);
        return;
    }
    load->loop = loop;
    load->server = true;
    load->request = out->request; /* its timeout, until the client's is known */
    load->session = out;
    load->out = &out->result;
    if (bench_load_begin(load, fd) == 0 &&
        getsockname(fd, (struct sockaddr *)&load->at, &len) == 0) {
        bench_control_peer(&load->control, out->peer, sizeof(out->peer));
        (void)snprintf(load->peer, sizeof(load->peer), "%s", out->peer);
        say_hello(load);
    } else {
        (void)bench_sample_fail(&out->result.forward, VLY_E_IO, "the control connection broke");
        bench_load_end(load);
    }
    bench_load_finish(load);
    free(load);
}
