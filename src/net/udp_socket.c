/*
 * udp_socket - opening, options and statistics of the UDP socket.
 *
 * Every option but the address is a wish: a kernel without it makes the transfer slower or blind to
 * ECN and drops, never impossible.
 */
#include "net/udp_internal.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const io_names[] = {
    [VLY_IO_AUTO] = "auto", [VLY_IO_BASIC] = "basic",   [VLY_IO_MMSG] = "mmsg",
    [VLY_IO_GSO] = "gso",   [VLY_IO_SPLICE] = "splice",
};

const char *vly_io_name(enum vly_io io)
{
    return io_names[io];
}

bool vly_io_parse(const char *name, enum vly_io *out)
{
    for (size_t i = 0; i < sizeof(io_names) / sizeof(io_names[0]); i++)
        if (strcmp(name, io_names[i]) == 0) {
            *out = (enum vly_io)i;
            return true;
        }
    return false;
}

static int err_of_errno(void)
{
    switch (errno) {
    case EADDRINUSE:
        return VLY_E_EXISTS;
    case EACCES:
    case EPERM:
        return VLY_E_PERMISSION;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EHOSTUNREACH:
    case EINVAL: /* connect: no way from the address it is bound to */
    case ENETDOWN:
    case ENETUNREACH:
    case ENODEV:
        return VLY_E_UNREACHABLE;
    case ENOBUFS:
    case ENOMEM:
        return VLY_E_NOMEM;
    default:
        return VLY_E_IO;
    }
}

static bool set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

static void raise_buffers(struct vly_udp *s, uint32_t bytes)
{
    int wanted = (int)(bytes < INT32_MAX / 2 ? bytes : INT32_MAX / 2);
    int granted = 0;
    socklen_t len = sizeof(granted);

    if (!set_int(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, wanted))
        set_int(s->fd, SOL_SOCKET, SO_RCVBUF, wanted);
    if (!set_int(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, wanted))
        set_int(s->fd, SOL_SOCKET, SO_SNDBUF, wanted);
    if (getsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &granted, &len) == 0 && granted > 0)
        s->recv_buffer_bytes = (uint32_t)granted / 2;
}

/* The path MTU is the engine's to find (SPEC 5.7): nothing is fragmented, here or on the way, and
 * what the kernel believes to know of the path, from messages that anybody can forge, is no matter.
 */
static void set_options(const struct vly_udp *s)
{
    if (s->family == AF_INET6) {
        set_int(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        set_int(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
        set_int(s->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    } else {
        set_int(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
        set_int(s->fd, IPPROTO_IP, IP_RECVTOS, 1);
    }
    set_int(s->fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
}

/* The best strategy up to `wanted` that the kernel has; turns UDP_GRO on for gso. */
static enum vly_io choose_io(int fd, enum vly_io wanted)
{
    struct mmsghdr none;

    if (wanted == VLY_IO_BASIC || (recvmmsg(fd, &none, 0, 0, NULL) < 0 && errno == ENOSYS))
        return VLY_IO_BASIC;
    if (wanted == VLY_IO_MMSG)
        return VLY_IO_MMSG;
    if (!set_int(fd, SOL_UDP, UDP_SEGMENT, 0) || !set_int(fd, SOL_UDP, UDP_GRO, 1))
        return VLY_IO_MMSG;
    return wanted != VLY_IO_GSO && vly_udp_can_splice() ? VLY_IO_SPLICE : VLY_IO_GSO;
}

/* Touches the pages of the first slots now: the first touch of fresh memory costs more than the
 * datagram in it. Not with zeros, which the compiler would make a calloc of. */
static int make_slots(struct vly_udp *s)
{
    s->buffers = malloc(UDP_SLOTS_MAX * UDP_SLOT_STRIDE_BYTES);
    if (s->buffers == NULL)
        return VLY_E_NOMEM;
    s->n_slots = s->io == VLY_IO_BASIC ? UDP_SLOTS_MAX : UDP_SLOTS_FEW;
    memset(s->buffers, 0xff, UDP_SLOTS_FEW * UDP_SLOT_STRIDE_BYTES);
    for (size_t i = 0; i < UDP_SLOTS_MAX; i++) {
        s->iovecs[i].iov_base = s->buffers + i * UDP_SLOT_STRIDE_BYTES;
        s->iovecs[i].iov_len = UDP_SLOT_BYTES;
        s->messages[i].msg_hdr.msg_iov = &s->iovecs[i];
        s->messages[i].msg_hdr.msg_iovlen = 1;
        s->messages[i].msg_hdr.msg_name = &s->slots[i].from;
        s->messages[i].msg_hdr.msg_control = s->slots[i].control;
    }
    return 0;
}

static int bind_to(struct vly_udp *s, const struct sockaddr *addr)
{
    struct vly_addr checked;
    union vly_sockaddr sa;
    socklen_t len;
    int err = vly_addr_encode(&checked, addr);

    if (err != 0)
        return err;
    len = vly_addr_decode(&sa, &checked);
    s->family = addr->sa_family;
    s->fd = socket(s->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return err_of_errno();
    set_options(s);
    if (bind(s->fd, &sa.any, len) != 0 || getsockname(s->fd, &s->local.any, &len) != 0)
        return err_of_errno();
    return 0;
}

int vly_udp_open(struct vly_udp **out, const struct sockaddr *bind_addr,
                 const struct vly_udp_options *opt)
{
    struct vly_udp *s = calloc(1, sizeof(*s));
    int err = VLY_E_NOMEM;

    *out = NULL;
    if (s == NULL)
        return err;
    s->fd = s->pipe[0] = s->pipe[1] = -1;
    if ((err = bind_to(s, bind_addr)) != 0)
        goto fail;
    raise_buffers(s, opt->buffer_bytes != 0 ? opt->buffer_bytes : VLY_SOCKET_BUFFER_BYTES);
    s->io = choose_io(s->fd, opt->io);
    if ((err = make_slots(s)) != 0)
        goto fail;
    *out = s;
    return 0;

fail:
    vly_udp_close(s);
    return err;
}

void vly_udp_close(struct vly_udp *s)
{
    int saved = errno;

    if (s == NULL)
        return;
    if (s->fd >= 0)
        close(s->fd);
    vly_udp_close_pipe(s);
    free(s->buffers);
    free(s);
    errno = saved;
}

int vly_udp_fd(const struct vly_udp *s)
{
    return s->fd;
}

void vly_udp_local(const struct vly_udp *s, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out, &s->local, sizeof(s->local));
}

enum vly_io vly_udp_io(const struct vly_udp *s)
{
    return s->io;
}

uint32_t vly_udp_recv_buffer_bytes(const struct vly_udp *s)
{
    return s->recv_buffer_bytes;
}

/* Connecting another socket looks the route up, as the first send would. */
int vly_udp_check_route(const struct vly_udp *s, const struct vly_addr *peer)
{
    union vly_sockaddr from = s->local;
    union vly_sockaddr to;
    socklen_t len = vly_addr_decode(&to, peer);
    int err = 0;
    int fd;

    if (to.any.sa_family != s->family)
        return VLY_E_INVALID;
    fd = socket(s->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0; /* nothing is known of the route then */
    if (s->family == AF_INET6)
        from.v6.sin6_port = 0;
    else
        from.v4.sin_port = 0;
    if (bind(fd, &from.any, len) == 0 && connect(fd, &to.any, len) != 0)
        err = err_of_errno();
    close(fd);
    return err;
}

void vly_udp_stats(const struct vly_udp *s, struct vly_udp_stats *out)
{
    *out = s->stats;
}
