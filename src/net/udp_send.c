/*
 * udp_send - batches into the socket, by the widest call the path takes.
 *
 * Invariant: a byte of a batch is handed to the kernel once, whatever fails on the way; but for a
 * splice that stops half-way (udp_splice.c), after which datagrams may come twice.
 * Cost: one call a batch (gso, mmsg) or a datagram (basic), three in place of the kernel's copy
 * (splice); no allocation, no copy.
 */
#include "net/udp_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

/* A path may come to bear segmentation again, when its MTU grows back: then it is tried anew. */
#define RETRY_BATCHES 4096u
#define SPLICE_MIN_BYTES 32768u

static size_t segments_of(size_t len, size_t segment_bytes)
{
    assert(segment_bytes > 0);
    return (len + segment_bytes - 1) / segment_bytes;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A single datagram of which a part stands elsewhere. */
static ssize_t send_parts(struct vly_udp *s, struct udp_rest *r)
{
    const uint8_t *tag = r->data + r->len - VLY_TAG_BYTES;
    struct iovec parts[] = {
        {.iov_base = (void *)r->data, .iov_len = r->len - VLY_TAG_BYTES - r->apart.len},
        {.iov_base = (void *)r->apart.data, .iov_len = r->apart.len},
        {.iov_base = (void *)tag, .iov_len = VLY_TAG_BYTES},
    };
    struct msghdr msg = {.msg_name = &r->to.any,
                         .msg_namelen = r->to_len,
                         .msg_iov = parts,
                         .msg_iovlen = sizeof(parts) / sizeof(parts[0])};

    return sendmsg(s->fd, &msg, 0);
}

/* The senders return how many bytes of the rest went out; 0 when none did, with errno set. */
static size_t send_basic(struct vly_udp *s, struct udp_rest *r)
{
    size_t len = min_size(r->len, r->segment_bytes);

    s->stats.send_calls++;
    if ((r->apart.len > 0 ? send_parts(s, r)
                          : sendto(s->fd, r->data, len, 0, &r->to.any, r->to_len)) < 0)
        return 0;
    s->stats.datagrams_sent++;
    return len;
}

static size_t send_mmsg(struct vly_udp *s, struct udp_rest *r)
{
    struct mmsghdr messages[VLY_BATCH_PKTS];
    struct iovec iovecs[VLY_BATCH_PKTS];
    size_t n = min_size(segments_of(r->len, r->segment_bytes), VLY_BATCH_PKTS);
    int sent;

    memset(messages, 0, n * sizeof(messages[0]));
    for (size_t i = 0; i < n; i++) {
        size_t begin = i * r->segment_bytes;

        iovecs[i].iov_base = (void *)(r->data + begin);
        iovecs[i].iov_len = min_size(r->len - begin, r->segment_bytes);
        messages[i].msg_hdr.msg_iov = &iovecs[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_name = &r->to;
        messages[i].msg_hdr.msg_namelen = r->to_len;
    }
    s->stats.send_calls++;
    sent = sendmmsg(s->fd, messages, (unsigned)n, 0);
    if (sent <= 0)
        return 0;
    s->stats.datagrams_sent += (unsigned)sent;
    return min_size(r->len, (size_t)sent * r->segment_bytes);
}

void vly_udp_message(struct udp_message *m, struct udp_rest *r)
{
    uint16_t segment_bytes = (uint16_t)r->segment_bytes;
    struct cmsghdr *c;

    memset(m->control, 0, sizeof(m->control));
    m->header = (struct msghdr){.msg_name = &r->to,
                                .msg_namelen = r->to_len,
                                .msg_control = m->control,
                                .msg_controllen = sizeof(m->control)};
    c = CMSG_FIRSTHDR(&m->header);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(segment_bytes));
    memcpy(CMSG_DATA(c), &segment_bytes, sizeof(segment_bytes));
}

static size_t send_gso(struct vly_udp *s, struct udp_rest *r)
{
    struct iovec iov = {.iov_base = (void *)r->data, .iov_len = r->len};
    struct udp_message m;

    vly_udp_message(&m, r);
    m.header.msg_iov = &iov;
    m.header.msg_iovlen = 1;
    s->stats.send_calls++;
    if (sendmsg(s->fd, &m.header, 0) < 0)
        return 0;
    s->stats.datagrams_sent += segments_of(r->len, r->segment_bytes);
    return r->len;
}

static size_t refusal_slot(const struct vly_addr *to)
{
    uint32_t h = UINT32_C(2166136261); /* FNV-1a */

    for (unsigned i = 0; i < to->len; i++)
        h = (h ^ to->data[i]) * UINT32_C(16777619);
    return h % UDP_REFUSALS;
}

static bool is_for(const struct udp_refusal *r, const struct vly_addr *to)
{
    return r->segment_bytes != 0 && r->to.len == to->len &&
           memcmp(r->to.data, to->data, to->len) == 0;
}

static void refusal_add(struct vly_udp *s, const struct vly_batch *b)
{
    struct udp_refusal *r = &s->refusals[refusal_slot(&b->to)];
    size_t segment_bytes = b->segment_bytes;

    if (is_for(r, &b->to))
        segment_bytes = min_size(segment_bytes, r->segment_bytes);
    *r = (struct udp_refusal){.to = b->to, .segment_bytes = segment_bytes};
    s->has_refusals = true;
    s->stats.gso_fallbacks++;
}

static bool is_refused(struct vly_udp *s, const struct vly_batch *b)
{
    struct udp_refusal *r = &s->refusals[refusal_slot(&b->to)];

    if (!is_for(r, &b->to) || b->segment_bytes < r->segment_bytes)
        return false;
    if (++r->batches < RETRY_BATCHES)
        return true;
    r->segment_bytes = 0;
    return false;
}

enum vly_io vly_udp_io_to(const struct vly_udp *s, const struct vly_addr *to)
{
    if (s->io >= VLY_IO_GSO && is_for(&s->refusals[refusal_slot(to)], to))
        return VLY_IO_MMSG;
    return s->copy_batches > 0 ? VLY_IO_GSO : s->io;
}

static enum vly_io strategy(struct vly_udp *s, const struct vly_batch *b, const struct udp_rest *r)
{
    if (s->io == VLY_IO_BASIC || r->len <= r->segment_bytes)
        return VLY_IO_BASIC;
    if (s->io == VLY_IO_MMSG || (s->has_refusals && is_refused(s, b)))
        return VLY_IO_MMSG;
    return VLY_IO_GSO;
}

static size_t send_by(struct vly_udp *s, enum vly_io io, struct udp_rest *r)
{
    switch (io) {
    case VLY_IO_AUTO:
    case VLY_IO_BASIC:
        break;
    case VLY_IO_MMSG:
        return send_mmsg(s, r);
    case VLY_IO_GSO:
    case VLY_IO_SPLICE: /* no strategy: vly_udp_send tries it before this one */
        return send_gso(s, r);
    }
    return send_basic(s, r);
}

/* EINVAL and EMSGSIZE: a segment is longer than the path's MTU. EIO: the device cannot fill in the
 * checksums. */
static bool is_refusal(int error)
{
    return error == EINVAL || error == EMSGSIZE || error == EIO || error == EOPNOTSUPP;
}

enum verdict { RETRY, FULL, DROP_DATAGRAM, DROP_REST };

static enum verdict judge(int error)
{
    switch (error) {
    case EINTR:
        return RETRY;
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
        return FULL;
    case EACCES:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EBADF:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENODEV:
        return DROP_REST;
    default: /* EPERM of a packet filter, EMSGSIZE, an error some earlier datagram has caused */
        return DROP_DATAGRAM;
    }
}

static int err_of_drop(int error)
{
    if (error == EACCES)
        return VLY_E_PERMISSION;
    return error == EBADF ? VLY_E_IO : VLY_E_UNREACHABLE;
}

static void set_ecn(struct vly_udp *s, enum vly_ecn ecn)
{
    int value = (int)ecn;

    if (s->ecn == ecn)
        return;
    s->ecn = ecn;
    if (s->family == AF_INET6)
        (void)setsockopt(s->fd, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof(value));
    else
        (void)setsockopt(s->fd, IPPROTO_IP, IP_TOS, &value, sizeof(value));
}

static void note_too_long(struct vly_udp *s, size_t bytes)
{
    if (s->too_long_bytes == 0 || bytes < s->too_long_bytes)
        s->too_long_bytes = bytes;
}

size_t vly_udp_take_too_long(struct vly_udp *s)
{
    size_t bytes = s->too_long_bytes;

    s->too_long_bytes = 0;
    return bytes;
}

/* Handing a short one over takes longer than copying it. */
static bool is_for_splice(const struct vly_udp *s, enum vly_io io, const struct udp_rest *r)
{
    return s->io == VLY_IO_SPLICE && io != VLY_IO_MMSG && r->apart.len == 0 &&
           r->len >= SPLICE_MIN_BYTES;
}

int vly_udp_send(struct vly_udp *s, const struct vly_batch *b, struct vly_udp_progress *p)
{
    struct udp_rest r = {.segment_bytes = b->segment_bytes, .apart = b->apart};

    r.to_len = vly_addr_decode(&r.to, &b->to);
    set_ecn(s, b->ecn);
    while (p->done < b->len) {
        enum udp_spliced spliced = UDP_NOT_SPLICED;
        enum vly_io io;
        size_t sent;
        enum verdict v;

        r.data = b->data + p->done;
        r.len = b->len - p->done;
        io = strategy(s, b, &r);
        if (p->may_lend && is_for_splice(s, io, &r))
            spliced = vly_udp_splice(s, &r);
        p->lent |= spliced != UDP_NOT_SPLICED; /* what failed may have been taken in part */
        if (spliced == UDP_SPLICED) {
            s->stats.datagrams_sent += segments_of(r.len, r.segment_bytes);
            p->done = b->len;
            break;
        }
        sent = send_by(s, io, &r);
        p->done += sent;
        if (sent > 0 && spliced == UDP_SPLICE_FAILED)
            vly_udp_copy_for_a_while(s);
        if (sent > 0)
            continue;
        if (io == VLY_IO_GSO && is_refusal(errno)) {
            refusal_add(s, b);
            continue;
        }
        v = judge(errno);
        if (v == RETRY)
            continue;
        if (v == FULL)
            return VLY_E_AGAIN;
        if (errno == EMSGSIZE)
            note_too_long(s, min_size(r.len, r.segment_bytes));
        sent = v == DROP_REST || io == VLY_IO_GSO ? r.len : min_size(r.len, r.segment_bytes);
        s->stats.send_errors += segments_of(sent, r.segment_bytes);
        p->done += sent;
        if (v == DROP_REST)
            return err_of_drop(errno);
    }
    return 0;
}
