/*
 * udp_recv - datagrams out of the socket, cut from their GRO runs, with ECN and the drop count.
 *
 * Cost: one call a batch of slots, and none to learn that nothing is left: a batch that is not full
 * was the last (mmsg, gso). No allocation; the bytes are handed on where the kernel put them.
 */
#include "net/udp_internal.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#define BASIC_DATAGRAMS 64u /* read at most in one batch of single calls */
#define RUN_DATAGRAMS 64u   /* handed on at most at once */

/* What the kernel says beside a datagram or run. */
struct notes {
    enum vly_ecn ecn;
    size_t segment_bytes; /* 0: no run */
};

/* The kernel's counter has 32 bits and is stamped on datagrams as they are queued. */
static void note_drops(struct vly_udp *s, const struct cmsghdr *c)
{
    uint32_t drops;

    memcpy(&drops, CMSG_DATA(c), sizeof(drops));
    if ((int32_t)(drops - s->drops_seen) <= 0)
        return;
    s->stats.kernel_drops += drops - s->drops_seen;
    s->drops_seen = drops;
}

static void read_note(struct vly_udp *s, const struct cmsghdr *c, struct notes *out)
{
    int value = 0;

    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
        out->ecn = (enum vly_ecn)(*CMSG_DATA(c) & 3);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
        memcpy(&value, CMSG_DATA(c), sizeof(value));
        out->ecn = (enum vly_ecn)(value & 3);
    } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
        memcpy(&value, CMSG_DATA(c), sizeof(value));
        out->segment_bytes = value > 0 ? (size_t)value : 0;
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
        note_drops(s, c);
    }
}

static void hand_on(struct vly_udp *s, unsigned slot, vly_udp_on_run *on, void *ctx)
{
    struct mmsghdr *m = &s->messages[slot];
    uint8_t *data = s->iovecs[slot].iov_base;
    struct notes notes = {0};
    struct vly_datagram run[RUN_DATAGRAMS];
    struct vly_addr from;
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c != NULL; c = CMSG_NXTHDR(&m->msg_hdr, c))
        read_note(s, c, &notes);
    if (vly_addr_encode(&from, &s->slots[slot].from.any) != 0)
        return;
    if (notes.segment_bytes == 0)
        notes.segment_bytes = m->msg_len;
    for (size_t begin = 0; begin < m->msg_len; begin += notes.segment_bytes) {
        size_t left = m->msg_len - begin;

        if (n == RUN_DATAGRAMS) {
            on(ctx, run, n);
            n = 0;
        }
        run[n++] =
            (struct vly_datagram){.data = data + begin,
                                  .len = left < notes.segment_bytes ? left : notes.segment_bytes,
                                  .from = &from,
                                  .ecn = notes.ecn};
        s->stats.datagrams_received++;
    }
    if (n > 0)
        on(ctx, run, n);
}

static void slots_reset(struct vly_udp *s)
{
    for (unsigned i = 0; i < s->n_slots; i++) {
        s->messages[i].msg_hdr.msg_namelen = sizeof(s->slots[i].from);
        s->messages[i].msg_hdr.msg_controllen = UDP_CONTROL_BYTES;
    }
}

/* RULE 15: an error that some earlier datagram has caused (ICMP) is taken away by reporting it; the
 * poll says whether more is there. */
static int err_of_recv(int error)
{
    return error == EBADF || error == ENOTSOCK || error == EFAULT ? VLY_E_IO : 0;
}

static int recv_basic(struct vly_udp *s, vly_udp_on_run *on, void *ctx)
{
    for (unsigned i = 0; i < BASIC_DATAGRAMS; i++) {
        ssize_t n;

        slots_reset(s);
        s->stats.recv_calls++;
        n = recvmsg(s->fd, &s->messages[0].msg_hdr, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_of_recv(errno);
        s->messages[0].msg_len = (unsigned)n;
        hand_on(s, 0, on, ctx);
    }
    return VLY_E_AGAIN;
}

int vly_udp_recv(struct vly_udp *s, vly_udp_on_run *on, void *ctx)
{
    int n;

    if (s->io == VLY_IO_BASIC)
        return recv_basic(s, on, ctx);
    slots_reset(s);
    s->stats.recv_calls++;
    n = recvmmsg(s->fd, s->messages, s->n_slots, MSG_DONTWAIT, NULL);
    if (n < 0)
        return errno == EINTR ? VLY_E_AGAIN : err_of_recv(errno);
    for (unsigned i = 0; i < (unsigned)n; i++)
        hand_on(s, i, on, ctx);
    return (unsigned)n == s->n_slots ? VLY_E_AGAIN : 0;
}
