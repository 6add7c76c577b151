/*
 * tcp_link - a TCP connection offered to file code as a link: its calls and its streams.
 *
 * Cost: finding a stream is one compare while one moves, else linear in the streams that are open.
 */
#include "net/tcp_internal.h"

#include "net/clock.h"
#include "proto/frame.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLOSE_LIMIT_NS VLY_MS(500) /* as over UDP, SPEC 7 */
#define CREDIT_STEP_BYTES (UINT64_C(1) << 20)

/* ---- streams ---- */

struct tcp_stream *tcp_stream_find(struct tcp_link *l, uint64_t id)
{
    if (l->latest != NULL && l->latest->id == id)
        return l->latest->over ? NULL : l->latest;
    for (struct tcp_stream *s = l->streams; s != NULL; s = s->next)
        if (s->id == id && !s->over)
            return l->latest = s;
    return NULL;
}

struct tcp_stream *tcp_stream_add(struct tcp_link *l, unsigned owner)
{
    struct tcp_stream *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->id = l->next_id[owner];
    s->send_limit_bytes = l->peer.credit_bytes;
    s->recv_limit_bytes = l->transport->credit_bytes;
    l->next_id[owner] += 2;
    l->n_open[owner]++;
    s->next = l->streams;
    l->streams = s;
    return s;
}

bool tcp_may_open(const struct tcp_link *l)
{
    return l->state == LINK_OPEN && l->streams_wanted &&
           l->n_open[l->is_server] < l->peer.max_streams;
}

/* It is over and the peer was told: another one may take its place. */
static void count_out(struct tcp_link *l, const struct tcp_stream *s)
{
    l->n_open[s->id % 2]--;
    if (tcp_may_open(l))
        tcp_wake(l);
}

void tcp_stream_check_over(struct tcp_link *l, struct tcp_stream *s)
{
    if (!s->send_over || !s->recv_over || s->over)
        return;
    s->over = true;
    s->need_stop = s->need_credit = false;
    l->any_over = true;
    if (!s->need_fin && !s->need_reset)
        count_out(l, s);
}

void tcp_streams_sweep(struct tcp_link *l)
{
    struct tcp_stream **at = &l->streams;

    if (!l->any_over)
        return;
    l->any_over = false;
    while (*at != NULL) {
        struct tcp_stream *s = *at;

        if (!s->over || s->queued) {
            l->any_over |= s->over;
            at = &s->next;
            continue;
        }
        *at = s->next;
        if (l->latest == s)
            l->latest = NULL;
        free(s);
    }
}

void tcp_streams_free(struct tcp_link *l)
{
    while (l->streams != NULL) {
        struct tcp_stream *next = l->streams->next;

        free(l->streams);
        l->streams = next;
    }
    l->latest = l->control_head = l->control_tail = NULL;
}

void tcp_stream_tell(struct tcp_link *l, struct tcp_stream *s)
{
    tcp_wake(l);
    if (s->queued)
        return;
    s->queued = true;
    s->next_control = NULL;
    if (l->control_tail != NULL)
        l->control_tail->next_control = s;
    else
        l->control_head = s;
    l->control_tail = s;
}

void tcp_stream_told(struct tcp_link *l, struct tcp_stream *s)
{
    bool was_last = s->over && (s->need_fin || s->need_reset);

    s->queued = false;
    s->need_credit = s->need_stop = s->need_reset = s->need_fin = false;
    if (was_last)
        count_out(l, s);
}

void tcp_stream_reset(struct tcp_link *l, struct tcp_stream *s, uint64_t code)
{
    if (s->send_over)
        return;
    s->send_over = s->need_reset = true;
    s->reset_code = code;
    tcp_stream_tell(l, s);
    tcp_stream_check_over(l, s);
}

/* ---- the end ---- */

static void note_end(struct tcp_link *l, int err, uint64_t code, const char *reason)
{
    l->end_err = err;
    l->end_code = code;
    snprintf(l->end_reason, sizeof l->end_reason, "%s", reason);
}

/* What would go in clear is for servers alone, as a refusal. */
static bool may_say_close(const struct tcp_link *l)
{
    bool in_clear = l->transport->security != NULL && !l->sealed;

    return l->state != LINK_CONNECTING && (l->is_server || !in_clear);
}

void tcp_close(struct tcp_link *l, int err, bool is_application, uint64_t code, const char *reason)
{
    if (l->state >= LINK_CLOSING)
        return;
    note_end(l, err, code, reason);
    l->end_is_application = is_application;
    l->need_close = true;
    l->deadline_ns = vly_clock_now_ns() + CLOSE_LIMIT_NS;
    l->state = may_say_close(l) ? LINK_CLOSING : LINK_OVER;
    tcp_wake(l);
}

void tcp_end(struct tcp_link *l, int err, uint64_t code, const char *reason)
{
    if (l->state < LINK_CLOSING)
        note_end(l, err, code, reason);
    l->state = LINK_OVER;
    tcp_wake(l);
}

void tcp_fail(struct tcp_link *l, int errno_value)
{
    bool early = l->state < LINK_OPEN;
    int err = vly_tcp_err(errno_value);

    if (l->state == LINK_HANDSHAKE)
        tcp_handshake_on_gone(l);
    if (early && errno_value == ECONNREFUSED)
        tcp_end(l, VLY_E_UNREACHABLE, 0,
                "no program listens on this TCP port; the server needs --tcp, or leave it out "
                "here to go over UDP");
    else if (early && errno_value == ETIMEDOUT)
        tcp_end(l, VLY_E_NO_ANSWER, 0, "");
    else if (early && err == VLY_E_LOST)
        tcp_end(l, VLY_E_LOST, 0, "closed before an answer came; is it 'volley serve --tcp'?");
    else if (errno_value == ETIMEDOUT)
        tcp_end(l, VLY_E_LOST, 0, "");
    else
        tcp_end(l, err, 0, strerror(errno_value));
}

/* ---- calls ---- */

static int link_open_stream(struct vly_link *link, uint64_t *stream)
{
    struct tcp_link *l = tcp_of(link);
    struct tcp_stream *s;

    if (l->state != LINK_OPEN)
        return VLY_E_STATE;
    if (l->n_open[l->is_server] >= l->peer.max_streams) {
        l->streams_wanted = true;
        return VLY_E_AGAIN;
    }
    if ((s = tcp_stream_add(l, l->is_server)) == NULL)
        return VLY_E_NOMEM;
    *stream = s->id;
    return 0;
}

/* TCP has an order already. */
static int link_set_order(struct vly_link *link, uint64_t stream, enum vly_link_order order)
{
    (void)order;
    return tcp_stream_find(tcp_of(link), stream) != NULL ? 0 : VLY_E_STATE;
}

/* The stream to be written; NULL when that cannot be. */
static struct tcp_stream *writable(struct tcp_link *l, uint64_t stream)
{
    struct tcp_stream *s = l->state == LINK_OPEN ? tcp_stream_find(l, stream) : NULL;

    return s == NULL || s->send_over ? NULL : s;
}

/* How much of `len` bytes of content may go into one record now; 0: not now. */
static size_t allowed(struct tcp_link *l, struct tcp_stream *s, size_t len)
{
    uint64_t credit_bytes = s->send_limit_bytes - s->sent_bytes;

    if (credit_bytes == 0 || !tcp_out_is_ready(l)) {
        s->wants_room = true;
        return 0;
    }
    if (len > TCP_CONTENT_BYTES)
        len = TCP_CONTENT_BYTES;
    if (len > l->peer.data_max_bytes)
        len = l->peer.data_max_bytes;
    return len < credit_bytes ? len : (size_t)credit_bytes;
}

static int link_reserve(struct vly_link *link, uint64_t stream, uint8_t **ptr, size_t *len)
{
    struct tcp_link *l = tcp_of(link);
    struct tcp_stream *s = writable(l, stream);

    if (s == NULL)
        return VLY_E_STATE;
    if ((*len = allowed(l, s, *len)) == 0)
        return l->state == LINK_OPEN ? VLY_E_AGAIN : VLY_E_STATE;
    *ptr = tcp_out_room(l, len);
    return *ptr != NULL ? 0 : VLY_E_NOMEM;
}

static void end_direction(struct tcp_link *l, struct tcp_stream *s)
{
    s->send_over = true;
    tcp_stream_check_over(l, s);
}

static int link_commit(struct vly_link *link, uint64_t stream, size_t len, bool fin)
{
    struct tcp_link *l = tcp_of(link);
    struct tcp_stream *s = writable(l, stream);
    struct vly_tcp_header h = {.type = VLY_TCP_DATA, .stream = stream};

    if (s == NULL)
        return VLY_E_STATE;
    if (len > 0) {
        h.length = (uint32_t)len;
        h.flags = fin ? VLY_TCP_FIN : 0;
        s->sent_bytes += len;
        tcp_out_commit(l, &h, len);
    } else if (fin) {
        s->need_fin = true;
        tcp_stream_tell(l, s);
    }
    if (fin)
        end_direction(l, s);
    return 0;
}

/* The record's length is a promise: the descriptor is kept, for whoever closes its own. */
static int link_send_file(struct vly_link *link, uint64_t stream,
                          const struct vly_file_range *range, size_t *len, bool fin)
{
    struct tcp_link *l = tcp_of(link);
    struct tcp_stream *s = writable(l, stream);
    struct vly_tcp_header h = {.type = VLY_TCP_DATA, .stream = stream};
    size_t wanted = *len, room = 1;

    if (s == NULL)
        return VLY_E_STATE;
    if ((*len = allowed(l, s, wanted)) == 0)
        return l->state == LINK_OPEN ? VLY_E_AGAIN : VLY_E_STATE;
    if (tcp_out_room(l, &room) == NULL)
        return VLY_E_NOMEM;
    if ((l->out.file_fd = fcntl(range->fd, F_DUPFD_CLOEXEC, 0)) < 0)
        return VLY_E_NOMEM;
    l->out.file_offset = range->offset;
    l->out.file_left = *len;
    l->used_sendfile = true;
    h.length = (uint32_t)*len;
    fin = fin && *len == wanted;
    h.flags = fin ? VLY_TCP_FIN : 0;
    s->sent_bytes += *len;
    tcp_out_commit(l, &h, 0);
    if (fin)
        end_direction(l, s);
    return 0;
}

/* Credit is told in steps: a record for each MiB costs nothing, and what is held back is a small
 * part of it. */
static void link_consume(struct vly_link *link, uint64_t stream, uint64_t bytes)
{
    struct tcp_link *l = tcp_of(link);
    struct tcp_stream *s = tcp_stream_find(l, stream);
    uint64_t window_bytes = l->transport->credit_bytes;
    uint64_t step_bytes =
        window_bytes / 4 < CREDIT_STEP_BYTES ? window_bytes / 4 : CREDIT_STEP_BYTES;

    if (s == NULL || l->state != LINK_OPEN)
        return;
    s->consumed_bytes += bytes;
    assert(s->consumed_bytes <= s->received_bytes);
    if (s->recv_over || s->consumed_bytes + window_bytes - s->recv_limit_bytes < step_bytes)
        return;
    s->recv_limit_bytes = s->consumed_bytes + window_bytes;
    s->need_credit = true;
    tcp_stream_tell(l, s);
}

static void link_reset(struct vly_link *link, uint64_t stream, uint64_t code)
{
    struct tcp_link *l = tcp_of(link);
    struct tcp_stream *s = writable(l, stream);

    if (s != NULL)
        tcp_stream_reset(l, s, code);
}

static void link_stop(struct vly_link *link, uint64_t stream, uint64_t code)
{
    struct tcp_link *l = tcp_of(link);
    struct tcp_stream *s = l->state == LINK_OPEN ? tcp_stream_find(l, stream) : NULL;

    if (s == NULL || s->recv_over || s->stopped)
        return;
    s->stopped = s->need_stop = true;
    s->stop_code = code;
    tcp_stream_tell(l, s);
}

static void link_expect_answer(struct vly_link *link, bool expecting)
{
    struct tcp_link *l = tcp_of(link);

    if (expecting && !l->expecting)
        l->quiet_since_ns = vly_clock_now_ns();
    l->expecting = expecting;
    l->pinged = false;
}

static void link_close(struct vly_link *link, uint64_t code, const char *reason)
{
    tcp_close(tcp_of(link), 0, true, code, reason);
}

static void link_stats(const struct vly_link *link, struct vly_link_stats *out)
{
    const struct tcp_link *l = (const struct tcp_link *)link;
    bool is_plain = l->transport->security == NULL;

    *out = (struct vly_link_stats){.transport = "tcp",
                                   .io = l->used_sendfile ? "sendfile" : "tcp",
                                   .suite = is_plain ? "plain" : "", /* not agreed on */
                                   .crypto = is_plain ? "none" : ""};
    if (l->sealed) {
        const struct vly_suite_ops *suite = l->seal.send->start.suite;

        out->suite = suite->name;
        out->crypto = suite->backend;
        out->key_updates = l->seal.send->generation + l->seal.recv->generation;
        out->forgeries = l->seal.recv->forgeries;
    }
    if (l->fd >= 0)
        vly_tcp_stats(l->fd, out);
}

static const char *link_peer(const struct vly_link *link)
{
    return ((const struct tcp_link *)link)->peer_text;
}

static bool link_peer_key(const struct vly_link *link, uint8_t out[VLY_PUBLIC_KEY_BYTES])
{
    const struct tcp_link *l = (const struct tcp_link *)link;

    if (l->has_peer_key)
        memcpy(out, l->peer_key, VLY_PUBLIC_KEY_BYTES);
    return l->has_peer_key;
}

static int link_offload(struct vly_link *link, void (*work)(void *arg), void (*done)(void *arg),
                        void *arg)
{
    return vly_offload(&tcp_of(link)->transport->offloads, work, done, arg);
}

#define COMMON_OPS                                                                          \
    .open_stream = link_open_stream, .set_order = link_set_order, .reserve = link_reserve,  \
    .commit = link_commit, .consume = link_consume, .reset = link_reset, .stop = link_stop, \
    .expect_answer = link_expect_answer, .close = link_close, .stats = link_stats,          \
    .peer = link_peer, .peer_key = link_peer_key, .offload = link_offload

const struct vly_link_ops tcp_link_ops = {COMMON_OPS, .send_file = link_send_file};
const struct vly_link_ops tcp_sealed_link_ops = {COMMON_OPS};
