/*
 * udp_splice - long batches handed to the kernel without a copy.
 *
 *     sendmsg(MSG_MORE)  address and segment size; the kernel waits for content
 *     vmsplice           our pages into a pipe, by reference
 *     splice             from there into the waiting message, which goes
 *
 * The receiver's copy, or the device, is then the first to read the bytes. Unlike MSG_ZEROCOPY this
 * is no copy either where the packets stay on this machine, but nobody tells when the pages are
 * free: whoever lends a batch finds out by acknowledgements (vly_endpoint_has_settled). Memory of
 * the application is never lent, since nobody knows what will stand in it by the time it is read.
 * Whatever fails here is left to the calls that copy: they know what to make of the error.
 */
#include "net/udp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

/* A batch is in 17 pages at most, as many as a packet in the kernel may refer to (MAX_SKB_FRAGS),
 * and the pipe counts its room in pages. */
#define PAGE_BYTES 4096
#define PIPE_BYTES (32 * PAGE_BYTES)

/* Batches of the socket that are copied after a failure, before splicing is tried again. */
#define RETRY_BATCHES 4096u

/* Linux 6.5 gave splice to sockets one way, MSG_SPLICE_PAGES; before, UDP took single pages, and
 * over IPv6 none. */
bool vly_udp_can_splice(void)
{
    struct utsname u;
    long major, minor;
    char *end;

    if (uname(&u) != 0 || sysconf(_SC_PAGESIZE) != PAGE_BYTES)
        return false;
    major = strtol(u.release, &end, 10);
    minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    return major > 6 || (major == 6 && minor >= 5);
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
    if (fcntl(s->pipe[1], F_SETPIPE_SZ, PIPE_BYTES) >= PIPE_BYTES)
        return true;
    vly_udp_close_pipe(s); /* the user has too many, or too long ones */
    return false;
}

/* Begins the message. It names a segment size also for a single datagram: without one the kernel
 * would compute the checksum of what comes in parts itself. When this fails there is nothing to
 * clean up. */
static bool begin(struct vly_udp *s, struct udp_rest *r)
{
    struct udp_message m;

    vly_udp_message(&m, r);
    return sendmsg(s->fd, &m.header, MSG_MORE) == 0;
}

static bool complete(struct vly_udp *s, const struct udp_rest *r)
{
    const struct iovec all = {.iov_base = (void *)r->data, .iov_len = r->len};
    ssize_t n;

    if (vmsplice(s->pipe[1], &all, 1, SPLICE_F_NONBLOCK) != (ssize_t)r->len)
        return false;
    do
        n = splice(s->pipe[0], NULL, s->fd, NULL, r->len, SPLICE_F_NONBLOCK);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)r->len;
}

/* Nothing of the failed message may stay: neither in the pipe nor in the socket, where the next one
 * would be appended to it. What the socket has goes: datagrams that come twice, and one that is cut
 * short or empty. */
static void clean_up(struct vly_udp *s)
{
    int off = 0;

    vly_udp_close_pipe(s);
    (void)setsockopt(s->fd, SOL_UDP, UDP_CORK, &off, sizeof(off));
}

enum udp_spliced vly_udp_splice(struct vly_udp *s, struct udp_rest *r)
{
    if (s->copy_batches > 0) {
        s->copy_batches--;
        return UDP_NOT_SPLICED;
    }
    if (!open_pipe(s)) {
        vly_udp_copy_for_a_while(s);
        return UDP_NOT_SPLICED;
    }
    if (!begin(s, r))
        return UDP_NOT_SPLICED;
    s->stats.send_calls++;
    if (complete(s, r))
        return UDP_SPLICED;
    clean_up(s);
    return UDP_SPLICE_FAILED;
}

void vly_udp_copy_for_a_while(struct vly_udp *s)
{
    s->copy_batches = RETRY_BATCHES;
}
