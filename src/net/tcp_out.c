/*
 * tcp_out - records on their way to the socket: one buffer, written as soon as it is worth a call,
 * and behind it possibly a part of a file that goes by sendfile.
 *
 * Invariant: no record is begun before the one before it is wholly in the buffer or in the file
 * part, and none behind a file part. Records about streams wait as flags on them, so they need no
 * memory; while some wait no content is taken, so each comes before content made later. Cost: a
 * copy into the buffer by whoever fills it, one write for each TCP_CONTENT_BYTES; sealed, the
 * cipher's pass from one buffer to the other in place of sendfile.
 */
#include "net/tcp_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLUSH_BYTES (64u << 10) /* worth a call of its own */
#define TURN_BYTES (4u << 20)   /* content of one pump; then others on the loop have their turn */
#define RECORD_MIN_BYTES (4u << 10) /* of a turn for any record: the calls cost the same */
#define ROOM_MIN_BYTES (16u << 10)
#define CONTROL_BYTES (VLY_TCP_HEADER_BYTES + VLY_TCP_BODY_MAX)

static bool make_buffer(struct tcp_link *l)
{
    struct tcp_out *o = &l->out;

    if (o->data == NULL && (o->data = malloc(TCP_WIRE_BYTES)) == NULL)
        return false;
    return !l->sealed || o->text != NULL || (o->text = malloc(TCP_OUT_BYTES)) != NULL;
}

/* Where records are made: behind those that wait. */
static uint8_t *records_end(const struct tcp_link *l)
{
    return l->sealed ? l->out.text + l->out.text_len : l->out.data + l->out.len;
}

static size_t *records_len(struct tcp_link *l)
{
    return l->sealed ? &l->out.text_len : &l->out.len;
}

/* Bytes that still fit behind what waits. */
static size_t space(const struct tcp_link *l)
{
    if (l->out.file_left > 0)
        return 0;
    return TCP_OUT_BYTES - (l->sealed ? l->out.text_len : l->out.len);
}

/* ---- control records ---- */

static void append_control(struct tcp_link *l, const struct vly_tcp_control *c)
{
    assert(space(l) >= CONTROL_BYTES);
    *records_len(l) += vly_tcp_control_encode(c, records_end(l));
}

static void append_for_stream(struct tcp_link *l, const struct tcp_stream *s,
                              enum vly_tcp_type type, uint64_t value)
{
    append_control(
        l, &(struct vly_tcp_control){.header = {.type = type, .stream = s->id}, .value = value});
}

static void append_fin(struct tcp_link *l, const struct tcp_stream *s)
{
    struct vly_tcp_header h = {.type = VLY_TCP_DATA, .flags = VLY_TCP_FIN, .stream = s->id};

    vly_tcp_header_encode(&h, records_end(l));
    *records_len(l) += VLY_TCP_HEADER_BYTES;
}

static void append_stream_controls(struct tcp_link *l, const struct tcp_stream *s)
{
    if (s->need_credit)
        append_for_stream(l, s, VLY_TCP_CREDIT, s->recv_limit_bytes);
    if (s->need_stop)
        append_for_stream(l, s, VLY_TCP_STOP, s->stop_code);
    if (s->need_reset)
        append_for_stream(l, s, VLY_TCP_RESET, s->reset_code);
    if (s->need_fin)
        append_fin(l, s);
}

static void append_ping(struct tcp_link *l, bool *need, enum vly_tcp_type type)
{
    if (!*need || space(l) < CONTROL_BYTES)
        return;
    *need = false;
    append_control(l, &(struct vly_tcp_control){.header = {.type = type}});
}

/* CLOSE goes past everything that waits: nobody will want it. */
static void append_close(struct tcp_link *l)
{
    struct vly_tcp_control c = {
        .header = {.type = VLY_TCP_CLOSE, .flags = l->end_is_application ? VLY_TCP_APPLICATION : 0},
        .value = l->end_code,
        .reason = {.data = (const uint8_t *)l->end_reason, .len = strlen(l->end_reason)}};

    if (!l->need_close || space(l) < CONTROL_BYTES)
        return;
    append_control(l, &c);
    l->need_close = false;
}

static void append_controls(struct tcp_link *l)
{
    if (l->state == LINK_CLOSING)
        append_close(l);
    if (l->state != LINK_OPEN)
        return;
    append_ping(l, &l->need_pong, VLY_TCP_PONG);
    append_ping(l, &l->need_ping, VLY_TCP_PING);
    while (l->control_head != NULL && space(l) >= 4 * CONTROL_BYTES) {
        struct tcp_stream *s = l->control_head;

        l->control_head = s->next_control;
        if (l->control_head == NULL)
            l->control_tail = NULL;
        append_stream_controls(l, s);
        tcp_stream_told(l, s);
    }
}

/* ---- writing ---- */

/* Returns false when there is nothing more to be done now: the socket is full or has failed. */
static bool wrote(struct tcp_link *l, ssize_t n)
{
    if (n >= 0)
        return true;
    if (errno == EINTR)
        return true;
    l->out.blocked = true;
    if (errno != EAGAIN)
        l->broken = errno;
    tcp_wake(l); /* the pump polls for room, or reads what the peer said before */
    return false;
}

static bool write_bytes(struct tcp_link *l)
{
    struct tcp_out *o = &l->out;

    while (o->pos < o->len) {
        int flags = MSG_NOSIGNAL | (o->file_left > 0 ? MSG_MORE : 0);
        ssize_t n = send(l->fd, o->data + o->pos, o->len - o->pos, flags);

        if (!wrote(l, n))
            return false;
        o->pos += n > 0 ? (size_t)n : 0;
    }
    o->pos = o->len = 0;
    return true;
}

static void drop_file(struct tcp_out *o)
{
    if (o->file_fd >= 0)
        close(o->file_fd);
    o->file_fd = -1;
    o->file_left = 0;
}

/* What sendfile does not take is copied. A file that became shorter, or cannot be read, has its
 * record filled up, as the length is out already: that content is nobody's; the source tells
 * (SPEC 10.3). */
static bool copy_file(struct tcp_link *l)
{
    struct tcp_out *o = &l->out;
    ssize_t n;

    o->len = o->file_left < TCP_OUT_BYTES / 2 ? o->file_left : TCP_OUT_BYTES / 2;
    n = pread(o->file_fd, o->data, o->len, (off_t)o->file_offset);
    if (n > 0)
        o->len = (size_t)n;
    else
        memset(o->data, 0, o->len);
    o->file_offset += o->len;
    o->file_left -= o->len;
    if (o->file_left == 0)
        drop_file(o);
    return write_bytes(l);
}

/* Whether sendfile failed for the sake of the file, which other streams do not care about. */
static bool is_of_file(int errno_value)
{
    return errno_value != EAGAIN && errno_value != EINTR && vly_tcp_err(errno_value) != VLY_E_LOST;
}

static bool write_file(struct tcp_link *l)
{
    struct tcp_out *o = &l->out;

    while (o->file_left > 0) {
        off_t offset = (off_t)o->file_offset;
        ssize_t n = sendfile(l->fd, o->file_fd, &offset, o->file_left);

        if (n == 0 || (n < 0 && is_of_file(errno))) {
            if (!copy_file(l))
                return false;
            continue;
        }
        if (!wrote(l, n))
            return false;
        if (n > 0) {
            o->file_offset += (uint64_t)n;
            o->file_left -= (size_t)n;
        }
    }
    drop_file(o);
    return true;
}

/* The records that wait become blocks; `data` is empty. */
static void seal_records(struct tcp_link *l)
{
    struct tcp_out *o = &l->out;
    int err;

    if (o->text_len == 0)
        return;
    assert(l->sealed && o->pos == 0 && o->len == 0);
    err = vly_tcp_seal_text(&l->seal, (struct vly_span){o->text, o->text_len}, o->data);
    if (err != 0)
        tcp_end(l, err, 0, "");
    else
        o->len = VLY_TCP_SEALED_BYTES(o->text_len);
    o->text_len = 0;
}

/* The peer learns that nothing follows as soon as it has read our CLOSE. */
static void finish_writing(struct tcp_link *l)
{
    if (l->state == LINK_CLOSING && !l->need_close && l->fd >= 0)
        (void)shutdown(l->fd, SHUT_WR);
}

void tcp_flush(struct tcp_link *l)
{
    if (l->out.blocked || l->state == LINK_CONNECTING || l->state == LINK_OVER || !make_buffer(l))
        return;
    do {
        if (!write_bytes(l) || !write_file(l))
            return;
        append_controls(l);
        seal_records(l);
    } while (l->out.len > 0);
    finish_writing(l);
}

/* ---- content ---- */

bool tcp_out_is_ready(struct tcp_link *l)
{
    if (l->out.blocked)
        return false;
    if (l->turn_bytes >= TURN_BYTES) {
        tcp_wake(l);
        return false;
    }
    if (!make_buffer(l))
        return true; /* tcp_out_room tells */
    if (l->out.file_left > 0 || space(l) < ROOM_MIN_BYTES + VLY_TCP_HEADER_BYTES)
        tcp_flush(l);
    if (l->out.blocked || l->state != LINK_OPEN)
        return false;
    append_controls(l);
    return l->control_head == NULL && space(l) >= ROOM_MIN_BYTES + VLY_TCP_HEADER_BYTES;
}

uint8_t *tcp_out_room(struct tcp_link *l, size_t *len)
{
    size_t room;

    if (!make_buffer(l))
        return NULL;
    room = space(l) - VLY_TCP_HEADER_BYTES;
    *len = *len < room ? *len : room;
    return records_end(l) + VLY_TCP_HEADER_BYTES;
}

void tcp_out_commit(struct tcp_link *l, const struct vly_tcp_header *h, size_t in_room)
{
    assert(l->out.data != NULL);
    vly_tcp_header_encode(h, records_end(l));
    *records_len(l) += VLY_TCP_HEADER_BYTES + in_room;
    l->turn_bytes += h->length > RECORD_MIN_BYTES ? h->length : RECORD_MIN_BYTES;
    if (l->out.len - l->out.pos + l->out.text_len + l->out.file_left >= FLUSH_BYTES)
        tcp_flush(l);
    else
        tcp_wake(l);
}

bool tcp_out_clear(struct tcp_link *l, struct vly_span bytes)
{
    if (!make_buffer(l)) {
        tcp_end(l, VLY_E_NOMEM, 0, "");
        return false;
    }
    assert(!l->sealed && space(l) >= bytes.len);
    memcpy(l->out.data + l->out.len, bytes.data, bytes.len);
    l->out.len += bytes.len;
    tcp_flush(l);
    return l->state != LINK_OVER;
}

void tcp_out_free(struct tcp_link *l)
{
    drop_file(&l->out);
    free(l->out.data);
    free(l->out.text);
    l->out.data = l->out.text = NULL;
}
