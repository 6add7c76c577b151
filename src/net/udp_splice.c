/*
 * udp_splice - long batches handed to the kernel without a copy.
 *
 *     sendmsg(MSG_MORE)  address and segment size; the kernel waits for content
 *     vmsplice           our pages into a pipe, by reference
 *     splice             from there into the waiting message, which goes
 *
 * The receiver's copy, or the device, is then the first to read the bytes. Unlike MSG_ZEROCOPY this
 * is no copy either where the packets stay on this machine, but nobody tells when the pages are
 * free: whoever lends a batch finds out by acknowledgements (vly_endpoint_has_settled). Whatever
 * fails here is left to the calls that copy: they know what to make of the error.
 */
#include "net/udp_internal.h"

#include <fcntl.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES 4096u  /* the smallest there is; longer ones only take less room */
#define FRAGMENTS_MAX 17u /* pages that a packet in the kernel refers to, MAX_SKB_FRAGS */
#define PIPE_BYTES (32u * PAGE_BYTES)
#define PARTS_MAX 3u

/* Batches copied after a failure, before splicing is tried again. */
#define RETRY_BATCHES 4096u

static size_t pages_of(const struct iovec *part)
{
    size_t in_page = (uintptr_t)part->iov_base % PAGE_BYTES;

    return (in_page + part->iov_len + PAGE_BYTES - 1) / PAGE_BYTES;
}

static size_t add_part(struct iovec *parts, size_t n, const void *data, size_t len)
{
    if (len == 0)
        return n;
    parts[n] = (struct iovec){.iov_base = (void *)data, .iov_len = len};
    return n + 1;
}

/* What is to go, in at most PARTS_MAX parts. Of memory that stands apart whole pages go from there;
 * its ends are copied to where they belong, next to what is before and behind. */
static size_t parts_of(const struct udp_rest *r, struct iovec *parts)
{
    const uint8_t *apart = r->apart.data;
    uint8_t *place = r->data + r->len - VLY_TAG_BYTES - r->apart.len; /* where it belongs */
    size_t head, whole, tail, n;

    if (r->apart.len == 0)
        return add_part(parts, 0, r->data, r->len);
    head = (PAGE_BYTES - (uintptr_t)apart % PAGE_BYTES) % PAGE_BYTES;
    if (head > r->apart.len)
        head = r->apart.len;
    whole = (r->apart.len - head) / PAGE_BYTES * PAGE_BYTES;
    tail = r->apart.len - head - whole;
    memcpy(place, apart, head);
    memcpy(place + head + whole, apart + head + whole, tail);
    n = add_part(parts, 0, r->data, (size_t)(place - r->data) + head);
    n = add_part(parts, n, apart + head, whole);
    return add_part(parts, n, place + head + whole, tail + VLY_TAG_BYTES);
}

void vly_udp_close_pipe(struct vly_udp *s)
{
    if (s->pipe[0] >= 0) {
        close(s->pipe[0]);
        close(s->pipe[1]);
    }
    s->pipe[0] = s->pipe[1] = -1;
}

static bool open_pipe(struct vly_udp *s)
{
    if (s->pipe[0] >= 0)
        return true;
    if (pipe2(s->pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
        s->pipe[0] = s->pipe[1] = -1;
        return false;
    }
    if (fcntl(s->pipe[1], F_SETPIPE_SZ, PIPE_BYTES) >= (int)PIPE_BYTES)
        return true;
    vly_udp_close_pipe(s); /* the user has too many, or too long ones */
    return false;
}

/* Begins the message. When that fails there is nothing to clean up. */
static bool begin(struct vly_udp *s, struct udp_rest *r)
{
    struct udp_message m;

    vly_udp_message(&m, r);
    return sendmsg(s->fd, &m.header, MSG_MORE) == 0;
}

static bool complete(struct vly_udp *s, size_t len, const struct iovec *parts, size_t n)
{
    return vmsplice(s->pipe[1], parts, n, SPLICE_F_NONBLOCK) == (ssize_t)len &&
           splice(s->pipe[0], NULL, s->fd, NULL, len, SPLICE_F_NONBLOCK) == (ssize_t)len;
}

/* Nothing of the failed message may stay: neither in the pipe nor in the socket, where the next one
 * would be appended to it. What the socket has goes: datagrams that come twice, and one cut short.
 */
static void clean_up(struct vly_udp *s)
{
    int off = 0;

    vly_udp_close_pipe(s);
    (void)setsockopt(s->fd, SOL_UDP, UDP_CORK, &off, sizeof(off));
}

enum udp_spliced vly_udp_splice(struct vly_udp *s, struct udp_rest *r)
{
    struct iovec parts[PARTS_MAX];
    size_t pages = 0;
    size_t n;

    if (s->copy_batches > 0) {
        s->copy_batches--;
        return UDP_NOT_SPLICED;
    }
    n = parts_of(r, parts);
    for (size_t i = 0; i < n; i++)
        pages += pages_of(&parts[i]);
    if (pages > FRAGMENTS_MAX)
        return UDP_NOT_SPLICED;
    if (!open_pipe(s)) {
        vly_udp_copy_for_a_while(s);
        return UDP_NOT_SPLICED;
    }
    if (!begin(s, r))
        return UDP_NOT_SPLICED;
    s->stats.send_calls++;
    if (complete(s, r->len, parts, n))
        return UDP_SPLICED;
    clean_up(s);
    return UDP_SPLICE_FAILED;
}

void vly_udp_copy_for_a_while(struct vly_udp *s)
{
    s->copy_batches = RETRY_BATCHES;
}
