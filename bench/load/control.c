/*
 * control - the connection over which the two ends of a run agree: one JSON object a line.
 */
#include "bench/load/control.h"

#include "file/path.h"
#include "net/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DRAIN_READS 64u /* of one who talks nonsense: no more is listened to */

/* ---- messages ---- */

int bench_message_parse(json_t **out, const char *line, size_t len, struct vly_fault *why)
{
    json_error_t error;
    json_t *message = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);

    *out = NULL;
    if (message == NULL)
        return vly_fault_set(why, VLY_E_PROTOCOL, "a line is no JSON object: %s",
                             vly_shown(error.text).text);
    if (json_string_value(json_object_get(message, "type")) == NULL) {
        json_decref(message);
        return vly_fault_set(why, VLY_E_PROTOCOL, "a message has no type");
    }
    *out = message;
    return 0;
}

json_t *bench_message(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

/* ---- the connection ---- */

/* What is not read would make the kernel reset the connection, and what we say be lost. */
static void say_nonsense(struct bench_control *c, const char *text)
{
    json_t *error = bench_message("error");

    for (unsigned i = 0; i < DRAIN_READS && recv(c->fd, c->in, sizeof(c->in), 0) > 0; i++)
        ;
    if (error != NULL) {
        (void)json_object_set_new(error, "code", json_string(vly_err_name(VLY_E_PROTOCOL)));
        (void)json_object_set_new(error, "message", json_string(text));
    }
    bench_control_send(c, error);
}

static void lose(struct bench_control *c, int err, const char *text)
{
    struct vly_fault why;

    (void)vly_fault_set(&why, err, "%s", text);
    if (err == VLY_E_PROTOCOL)
        say_nonsense(c, text);
    bench_control_close(c);
    c->on_lost(c->user, &why);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void want(struct bench_control *c)
{
    (void)uv_poll_start(&c->poll, UV_READABLE | (c->out_len > 0 ? UV_WRITABLE : 0), on_poll);
}

/* Returns false when the connection is broken. */
static bool flush(struct bench_control *c)
{
    ssize_t n;

    while (c->out_len > 0) {
        n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        c->out_len -= (size_t)n;
        memmove(c->out, c->out + n, c->out_len);
    }
    return true;
}

/* Hands on the whole lines of the buffer; stops when a handler has closed the connection. */
static void take_lines(struct bench_control *c)
{
    size_t begin = 0;
    char *end;

    while (c->fd >= 0 && (end = memchr(c->in + begin, '\n', c->in_len - begin)) != NULL) {
        size_t len = (size_t)(end - (c->in + begin));
        struct vly_fault why;
        json_t *message;

        if (bench_message_parse(&message, c->in + begin, len, &why) != 0) {
            lose(c, why.err, why.text);
            return;
        }
        begin += len + 1;
        c->on_message(c->user, json_string_value(json_object_get(message, "type")), message);
        json_decref(message);
    }
    c->in_len -= begin;
    memmove(c->in, c->in + begin, c->in_len);
    if (c->fd >= 0 && c->in_len == sizeof(c->in))
        lose(c, VLY_E_PROTOCOL, "a line of the control connection is too long");
}

static void receive(struct bench_control *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);

    if (n > 0) {
        c->heard_ns = vly_clock_now_ns();
        c->in_len += (size_t)n;
        take_lines(c);
    } else if (n == 0) {
        lose(c, VLY_E_CLOSED, "it closed the control connection");
    } else if (errno != EAGAIN && errno != EINTR) {
        lose(c, VLY_E_LOST, strerror(errno));
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct bench_control *c = poll->data;

    if (status < 0) { /* an error waits to be read */
        receive(c);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        if (!flush(c)) {
            lose(c, VLY_E_LOST, strerror(errno));
            return;
        }
        want(c);
    }
    if ((events & UV_READABLE) != 0)
        receive(c);
}

int bench_control_open(struct bench_control *c, uv_loop_t *loop, int fd)
{
    int one = 1;

    c->fd = fd;
    c->out = NULL;
    c->in_len = c->out_len = 0;
    c->heard_ns = vly_clock_now_ns();
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 ||
        uv_poll_init(loop, &c->poll, fd) != 0) {
        close(fd);
        c->fd = -1;
        return VLY_E_IO;
    }
    c->poll.data = c;
    want(c);
    return 0;
}

static bool keep(struct bench_control *c, const char *text, size_t len)
{
    char *grown;

    if (c->out_len + len + 1 > BENCH_CONTROL_OUT_MAX)
        return false;
    grown = realloc(c->out, c->out_len + len + 1);
    if (grown == NULL)
        return false;
    c->out = grown;
    memcpy(grown + c->out_len, text, len);
    grown[c->out_len + len] = '\n';
    c->out_len += len + 1;
    return true;
}

/* A broken connection is noticed by the next read: nothing calls back from here. */
void bench_control_send(struct bench_control *c, json_t *message)
{
    char *text = message != NULL ? json_dumps(message, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

    json_decref(message);
    if (c->fd >= 0 && (text == NULL || !keep(c, text, strlen(text)) || !flush(c)))
        (void)shutdown(c->fd, SHUT_RDWR);
    else if (c->fd >= 0)
        want(c);
    free(text);
}

void bench_control_peer(const struct bench_control *c, char *text, size_t cap)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    char host[64], port[8];

    (void)snprintf(text, cap, "?");
    if (c->fd < 0 || getpeername(c->fd, (struct sockaddr *)&peer, &len) != 0)
        return;
    if (getnameinfo((struct sockaddr *)&peer, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        (void)snprintf(text, cap, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}

void bench_control_close(struct bench_control *c)
{
    if (c->fd < 0)
        return;
    (void)flush(c);
    uv_close((uv_handle_t *)&c->poll, NULL);
    close(c->fd);
    c->fd = -1;
    free(c->out);
    c->out = NULL;
    c->out_len = 0;
}
