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

/* Handed on at most at once: what is opened together should still be in the cache when it is
 * delivered. */
#define TOGETHER_DATAGRAMS 64u
#define TOGETHER_BYTES 65536u

/* Full slots hold a few datagrams or long runs. */
#define SMALL_SLOT_BYTES 4096u

/* Datagrams that are to be handed on together. */
struct together {
    vly_udp_on_datagrams *on;
    void *ctx;
    size_t n, bytes;
    struct vly_datagram datagrams[TOGETHER_DATAGRAMS];
};

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

static void hand_on(struct together *t)
{
    if (t->n > 0)
        t->on(t->ctx, t->datagrams, t->n);
    t->n = t->bytes = 0;
}

/* Cuts a slot into its datagrams. */
static void take_slot(struct vly_udp *s, unsigned slot, struct together *t)
{
    struct mmsghdr *m = &s->messages[slot];
    struct vly_addr *from = &s->slots[slot].peer;
    uint8_t *data = s->iovecs[slot].iov_base;
    struct notes notes = {0};

    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c != NULL; c = CMSG_NXTHDR(&m->msg_hdr, c))
        read_note(s, c, &notes);
    if (vly_addr_encode(from, &s->slots[slot].from.any) != 0)
        return;
    if (notes.segment_bytes == 0)
        notes.segment_bytes = m->msg_len;
    for (size_t begin = 0; begin < m->msg_len; begin += notes.segment_bytes) {
        size_t left = m->msg_len - begin;
        size_t len = left < notes.segment_bytes ? left : notes.segment_bytes;

        if (t->n == TOGETHER_DATAGRAMS || t->bytes + len > TOGETHER_BYTES)
            hand_on(t);
        t->datagrams[t->n++] =
            (struct vly_datagram){.data = data + begin, .len = len, .from = from, .ecn = notes.ecn};
        t->bytes += len;
        s->stats.datagrams_received++;
    }
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

/* One call a datagram. */
static int recv_basic(struct vly_udp *s, struct together *t)
{
    for (unsigned i = 0; i < s->n_slots; i++) {
        ssize_t n;

        s->stats.recv_calls++;
        n = recvmsg(s->fd, &s->messages[i].msg_hdr, MSG_DONTWAIT);
        if (n < 0)
            return errno == EINTR ? VLY_E_AGAIN : err_of_recv(errno);
        s->messages[i].msg_len = (unsigned)n;
        take_slot(s, i, t);
    }
    return VLY_E_AGAIN;
}

/* How many slots to read next, after `n` that held so many bytes: few once they are long, however
 * many there were; many once all were full of short ones. */
static void slots_adapt(struct vly_udp *s, size_t n, size_t bytes)
{
    if (bytes > n * SMALL_SLOT_BYTES)
        s->n_slots = UDP_SLOTS_FEW;
    else if (n == s->n_slots)
        s->n_slots = UDP_SLOTS_MAX;
}

static int recv_mmsg(struct vly_udp *s, struct together *t)
{
    unsigned n_asked = s->n_slots;
    size_t bytes = 0;
    int n;

    s->stats.recv_calls++;
    n = recvmmsg(s->fd, s->messages, n_asked, MSG_DONTWAIT, NULL);
    if (n < 0)
        return errno == EINTR ? VLY_E_AGAIN : err_of_recv(errno);
    for (unsigned i = 0; i < (unsigned)n; i++) {
        bytes += s->messages[i].msg_len;
        take_slot(s, i, t);
    }
    slots_adapt(s, (unsigned)n, bytes);
    return (unsigned)n == n_asked ? VLY_E_AGAIN : 0;
}

int vly_udp_recv(struct vly_udp *s, vly_udp_on_datagrams *on, void *ctx)
{
    struct together t; /* its datagrams are not worth initialising */
    int err;

    t.on = on;
    t.ctx = ctx;
    t.n = t.bytes = 0;
    slots_reset(s);
    err = s->io == VLY_IO_BASIC ? recv_basic(s, &t) : recv_mmsg(s, &t);
    hand_on(&t);
    return err;
}
