/*
 * flow_tcp - plain TCP: read and write, the options of a socket, and what the kernel tells of it.
 */
#include "bench/load/flow_stream.h"
#include "bench/load/flow_tcp_info.h"

#include "file/path.h"
#include "net/tcp_socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/* ---- making a socket ---- */

static int set_cc(int fd, const char *cc, struct vly_fault *why)
{
    char controls[256];
    int error;

    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc, (socklen_t)strlen(cc)) == 0)
        return 0;
    error = errno;
    if (error == EPERM)
        return vly_fault_set(why, VLY_E_PERMISSION,
                             "TCP congestion control '%s' is for root alone; see "
                             "net.ipv4.tcp_allowed_congestion_control",
                             vly_shown(cc).text);
    vly_tcp_cc_list(controls, sizeof(controls));
    return vly_fault_set(why, VLY_E_INVALID,
                         "the sending kernel has no TCP congestion control '%s'; there are: %s",
                         vly_shown(cc).text, controls);
}

/* What fails here makes the run slower or no slower, and shows in its figures. */
static void set_wishes(int fd, const struct bench_request *r)
{
    uint64_t rate_bytes_per_s = r->rate_bytes_per_s / r->parallel;
    int window_bytes = (int)(r->window_bytes < INT32_MAX / 2 ? r->window_bytes : INT32_MAX / 2);

    (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (window_bytes != 0) {
        if (!set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, window_bytes))
            (void)set_int(fd, SOL_SOCKET, SO_SNDBUF, window_bytes);
        if (!set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, window_bytes))
            (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, window_bytes);
    }
    if (rate_bytes_per_s != 0) /* the kernel paces TCP by itself where there is no qdisc for it */
        (void)setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate_bytes_per_s,
                         sizeof(rate_bytes_per_s));
}

int flow_tcp_socket(const struct bench_flow *f, bool sends, struct vly_fault *why)
{
    const struct bench_request *r = f->setup.request;
    int fd = socket(f->setup.at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err;

    if (fd < 0)
        return vly_fault_set(why, VLY_E_IO, "cannot make a TCP socket: %s", strerror(errno));
    set_wishes(fd, r);
    if (r->mss_bytes != 0 && !set_int(fd, IPPROTO_TCP, TCP_MAXSEG, (int)r->mss_bytes)) {
        err = vly_fault_set(why, VLY_E_INVALID, "the kernel takes no MSS of %d bytes",
                            (int)r->mss_bytes);
        close(fd);
        return err;
    }
    if (sends && r->cc[0] != '\0' && (err = set_cc(fd, r->cc, why)) != 0) {
        close(fd);
        return err;
    }
    return fd;
}

void flow_tcp_state(int fd, struct bench_flow_state *out)
{
    struct flow_tcp_info info;
    socklen_t len = sizeof(out->cc) - 1;

    (void)snprintf(out->io, sizeof(out->io), "tcp");
    if (flow_tcp_info(fd, &info)) {
        out->cwnd_bytes = info.cwnd_bytes;
        out->in_flight_bytes = info.in_flight_bytes;
        out->smoothed_rtt_ns = info.smoothed_rtt_ns;
        out->retransmits = info.retransmits;
        out->packets_sent = info.segments_sent;
    }
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, out->cc, &len) != 0)
        len = 0;
    out->cc[len] = '\0';
}

/* ---- moving bytes ---- */

static int wire_open(struct flow_stream *flow, struct vly_fault *why)
{
    (void)flow;
    (void)why;
    return 0;
}

static void wire_close(struct flow_stream *flow)
{
    (void)flow;
}

static int wire_attach(struct stream_conn *conn)
{
    (void)conn;
    return 0;
}

static void wire_detach(struct stream_conn *conn)
{
    (void)conn;
}

static int wire_shake(struct stream_conn *conn, int *events)
{
    (void)conn;
    (void)events;
    return 0;
}

static ssize_t moved(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? VLY_E_AGAIN : VLY_E_LOST;
}

static ssize_t wire_read(struct stream_conn *conn, void *data, size_t len)
{
    return moved(recv(conn->fd, data, len, 0));
}

static ssize_t wire_write(struct stream_conn *conn, const void *data, size_t len)
{
    return moved(send(conn->fd, data, len, MSG_NOSIGNAL));
}

static bool wire_pending(const struct stream_conn *conn)
{
    (void)conn;
    return false;
}

static const struct bench_wire plain_wire = {
    .open = wire_open,
    .close = wire_close,
    .attach = wire_attach,
    .detach = wire_detach,
    .shake = wire_shake,
    .read = wire_read,
    .write = wire_write,
    .pending = wire_pending,
};

static int flow_open(struct bench_flow *f, struct vly_fault *why)
{
    return flow_stream_open(f, why, &plain_wire);
}

const struct bench_flow_ops bench_flow_tcp = {
    .size = sizeof(struct flow_stream),
    .n_ports = 1,
    .open = flow_open,
    .start = flow_stream_start,
    .halt = flow_stream_halt,
    .state = flow_stream_state,
    .close = flow_stream_close,
    .fini = flow_stream_fini,
};
