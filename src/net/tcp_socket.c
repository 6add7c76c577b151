/*
 * tcp_socket - see tcp_socket.h.
 *
 * <linux/tcp.h> in place of <netinet/tcp.h>: only its tcp_info has the counters we show.
 */
#include "net/tcp_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define BACKLOG 1024
#define SPARE_DESCRIPTORS 8u /* a file, its copy for sendfile, its directory; twice and more */
#define CREDIT_MIN_BYTES (UINT64_C(16) << 20)
#define CREDIT_MAX_BYTES (UINT64_C(128) << 20)
#define CREDIT_ASKED_MIN_BYTES (UINT64_C(1) << 20) /* with a buffer size that was asked for */

int vly_tcp_err(int errno_value)
{
    switch (errno_value) {
    case 0:
        return 0;
    case EADDRINUSE:
        return VLY_E_EXISTS;
    case EACCES:
    case EPERM:
        return VLY_E_PERMISSION;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case EINVAL:
    case ENETDOWN:
    case ENETUNREACH:
    case ENODEV:
        return VLY_E_UNREACHABLE;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return VLY_E_NOMEM;
    case ECONNABORTED:
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
        return VLY_E_LOST;
    default:
        return VLY_E_IO;
    }
}

static void set_int(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static bool set_cc(int fd, const char *name)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0;
}

/* A cc that is unknown is an error; whatever else is refused is left as it was. */
static int set_options(int fd, const struct vly_tcp_options *opt)
{
    uint64_t timeout_ms = opt->timeout_ns / VLY_MS(1);

    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* what is written together is sent together */
    if (timeout_ms > 0)
        set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
                timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX);
    if (opt->buffer_bytes > 0) {
        int size = opt->buffer_bytes < INT32_MAX / 2 ? (int)opt->buffer_bytes : INT32_MAX / 2;

        set_int(fd, SOL_SOCKET, SO_SNDBUF, size);
        set_int(fd, SOL_SOCKET, SO_RCVBUF, size);
    }
    return opt->cc == NULL || set_cc(fd, opt->cc) ? 0 : VLY_E_INVALID;
}

/* A new socket of the address's family, and the address as the kernel wants it. */
static int make_socket(int *out_fd, const struct sockaddr *sa, union vly_sockaddr *out,
                       socklen_t *len)
{
    struct vly_addr checked;
    int err = vly_addr_encode(&checked, sa);

    *out_fd = -1;
    if (err != 0)
        return err;
    *len = vly_addr_decode(out, &checked);
    *out_fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return *out_fd >= 0 ? 0 : vly_tcp_err(errno);
}

/* Closes the half-made socket; returns `err`. */
static int give_up(int *fd, int err)
{
    close(*fd);
    *fd = -1;
    return err;
}

int vly_tcp_listen(int *out_fd, const struct sockaddr *at, const struct vly_tcp_options *opt)
{
    union vly_sockaddr sa;
    socklen_t len;
    int err = make_socket(out_fd, at, &sa, &len);

    if (err != 0)
        return err;
    set_int(*out_fd, SOL_SOCKET, SO_REUSEADDR, 1); /* old connections may linger on the port */
    if (sa.any.sa_family == AF_INET6)
        set_int(*out_fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if ((err = set_options(*out_fd, opt)) != 0)
        return give_up(out_fd, err);
    if (bind(*out_fd, &sa.any, len) != 0 || listen(*out_fd, BACKLOG) != 0)
        return give_up(out_fd, vly_tcp_err(errno));
    return 0;
}

int vly_tcp_connect(int *out_fd, const struct sockaddr *to, const struct vly_tcp_options *opt)
{
    union vly_sockaddr sa;
    socklen_t len;
    int err = make_socket(out_fd, to, &sa, &len);

    if (err != 0)
        return err;
    if ((err = set_options(*out_fd, opt)) != 0)
        return give_up(out_fd, err);
    if (connect(*out_fd, &sa.any, len) == 0 || errno == EINPROGRESS || errno == EINTR)
        return 0;
    if (errno == ECONNREFUSED)
        return VLY_E_REFUSED;
    return give_up(out_fd, vly_tcp_err(errno));
}

bool vly_tcp_has_descriptors(int fd)
{
    struct rlimit limit;
    int probe = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* the lowest that is free */

    if (probe < 0)
        return false;
    close(probe);
    return getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
           (rlim_t)probe + SPARE_DESCRIPTORS <= limit.rlim_cur;
}

int vly_tcp_accept(int listener, int *out_fd, struct vly_addr *peer,
                   const struct vly_tcp_options *opt)
{
    union vly_sockaddr sa = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof sa;

    *out_fd = accept4(listener, &sa.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (*out_fd < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return VLY_E_AGAIN;
        return vly_tcp_err(errno) == VLY_E_NOMEM ? VLY_E_NOMEM : VLY_E_IO;
    }
    if (vly_addr_encode(peer, &sa.any) != 0)
        return give_up(out_fd, VLY_E_IO);
    (void)set_options(*out_fd, opt); /* the listener's were accepted */
    return 0;
}

void vly_tcp_local(int fd, union vly_sockaddr *out)
{
    socklen_t len = sizeof *out;

    memset(out, 0, sizeof *out);
    (void)getsockname(fd, &out->any, &len);
}

int vly_tcp_take_error(int fd)
{
    int value = 0;
    socklen_t len = sizeof value;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len) == 0 ? value : errno;
}

uint64_t vly_tcp_unacked_bytes(int fd)
{
    int bytes = 0;

    return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (uint64_t)bytes : 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

void vly_tcp_stats(int fd, struct vly_link_stats *out)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;

    len = sizeof out->cc;
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, out->cc, &len) != 0)
        out->cc[0] = '\0';
    out->cc[sizeof out->cc - 1] = '\0';
    len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return;
    out->packets_sent = info.tcpi_segs_out;
    out->packets_received = info.tcpi_segs_in;
    out->retransmits = info.tcpi_total_retrans;
    out->lost_packets = info.tcpi_total_retrans; /* it keeps no other count of them */
    out->spurious_losses = info.tcpi_dsack_dups;
    out->bytes_sent = info.tcpi_bytes_sent;
    out->bytes_received = info.tcpi_bytes_received;
    out->smoothed_rtt_ns = VLY_US(info.tcpi_rtt);
    out->min_rtt_ns = info.tcpi_min_rtt != UINT32_MAX ? VLY_US(info.tcpi_min_rtt) : 0;
    out->datagram_bytes = info.tcpi_snd_mss;
    out->datagram_received_bytes = info.tcpi_rcv_mss;
    out->cwnd_bytes = (uint64_t)info.tcpi_snd_cwnd * info.tcpi_snd_mss;
    out->limited_flow_ns = VLY_US(info.tcpi_rwnd_limited);
    out->limited_app_ns = VLY_US(info.tcpi_sndbuf_limited);
    out->limited_cwnd_ns =
        less(VLY_US(info.tcpi_busy_time), out->limited_flow_ns + out->limited_app_ns);
}

/* The first line of a file of /proc; "" when there is none. */
static void read_line(const char *path, char *out, size_t cap)
{
    FILE *f = fopen(path, "re");

    out[0] = '\0';
    if (f == NULL)
        return;
    if (fgets(out, (int)cap, f) == NULL)
        out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    (void)fclose(f);
}

/* The last of "least usual most". */
static uint64_t receive_buffer_max_bytes(void)
{
    char line[128];
    char *end = line;
    uint64_t value = 0;

    read_line("/proc/sys/net/ipv4/tcp_rmem", line, sizeof line);
    for (unsigned i = 0; i < 3; i++)
        value = strtoull(end, &end, 10);
    return value;
}

uint64_t vly_tcp_credit_bytes(uint64_t buffer_bytes)
{
    uint64_t kernel_bytes = buffer_bytes > 0 ? buffer_bytes : receive_buffer_max_bytes();
    uint64_t min_bytes = buffer_bytes > 0 ? CREDIT_ASKED_MIN_BYTES : CREDIT_MIN_BYTES;

    if (kernel_bytes > CREDIT_MAX_BYTES / 2)
        return CREDIT_MAX_BYTES;
    return 2 * kernel_bytes > min_bytes ? 2 * kernel_bytes : min_bytes;
}

bool vly_tcp_cc_exists(const char *name)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && name[0] != '\0' && strlen(name) < VLY_CC_NAME_MAX && set_cc(fd, name);

    if (fd >= 0)
        close(fd);
    return ok;
}

void vly_tcp_cc_list(char *out, size_t cap)
{
    read_line("/proc/sys/net/ipv4/tcp_available_congestion_control", out, cap);
}
