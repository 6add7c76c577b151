/*
 * tcp_in - what arrives on a TCP connection: the preface, then records, in blocks when it is
 * sealed, handed on as they come.
 *
 * Nothing of a block is looked at before it verified (RULE 9), and nothing after one that did not.
 * Content is never kept here: it goes from the read buffer to the link's user at once. Only the
 * beginning of a preface or of a control record is, when a read ends within it. Whatever the peer
 * may not do closes the connection with a code of SPEC 8.
 */
#include "net/clock.h"
#include "net/tcp_internal.h"
#include "proto/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define READS_MAX 8u /* of one pump; then others on the loop have their turn */
#define READ_AGAIN_BYTES (TCP_IN_BYTES / 2) /* after less there is hardly more */
#define BLOCKS_MAX 256u /* likewise: full ones are 32, but one of a byte costs as much as 1 KiB */

static void violation(struct tcp_link *l, uint64_t code, const char *what)
{
    tcp_close(l, VLY_E_PROTOCOL, false, code, what);
}

/* ---- streams of records ---- */

/* The peer opens stream `id`, and with it all lower ones of its own (SPEC 6). */
static bool open_up_to(struct tcp_link *l, uint64_t id)
{
    unsigned owner = !l->is_server;

    while (l->state == LINK_OPEN && l->next_id[owner] <= id) {
        struct tcp_stream *s;

        if (l->n_open[owner] >= (l->is_server ? TCP_STREAMS_MAX : 0)) {
            violation(l, VLY_CLOSE_STREAM_LIMIT, "more streams than were allowed");
            return false;
        }
        if ((s = tcp_stream_add(l, owner)) == NULL) {
            tcp_close(l, VLY_E_NOMEM, false, VLY_CLOSE_NO_MEMORY, "out of memory");
            return false;
        }
        l->base.events->on_stream(l->base.user, s->id);
    }
    return l->state == LINK_OPEN;
}

/* The stream a record names; *out NULL when it is over. Returns false when the connection is. */
static bool stream_of(struct tcp_link *l, uint64_t id, struct tcp_stream **out)
{
    unsigned owner = id % 2;

    *out = NULL;
    if (id >= l->next_id[owner]) {
        if (owner == (unsigned)l->is_server) {
            violation(l, VLY_CLOSE_STREAM_STATE, "a record of a stream that is not open");
            return false;
        }
        if (!open_up_to(l, id))
            return false;
    }
    *out = tcp_stream_find(l, id);
    return true;
}

/* ---- content ---- */

static void on_data_begin(struct tcp_link *l)
{
    const struct vly_tcp_header *h = &l->in.header;
    struct tcp_stream *s;

    if (!stream_of(l, h->stream, &s))
        return;
    if (s != NULL && s->recv_over)
        violation(l, VLY_CLOSE_FINAL_SIZE, "content after the end of its stream");
    else if (s != NULL && h->length > s->recv_limit_bytes - s->received_bytes)
        violation(l, VLY_CLOSE_FLOW_CONTROL, "more content than was allowed");
    l->in.data_left = h->length;
}

static void on_data_end(struct tcp_link *l)
{
    struct tcp_stream *s = tcp_stream_find(l, l->in.header.stream);

    if ((l->in.header.flags & VLY_TCP_FIN) == 0 || s == NULL || l->state != LINK_OPEN)
        return;
    s->recv_over = true;
    if (!s->stopped)
        l->base.events->on_end(l->base.user, s->id, s->received_bytes);
    tcp_stream_check_over(l, s);
}

static void on_content(struct tcp_link *l, struct vly_span *data)
{
    uint64_t id = l->in.header.stream;
    struct tcp_stream *s = tcp_stream_find(l, id);
    struct vly_span piece = *data;

    if (piece.len > l->in.data_left)
        piece.len = l->in.data_left;
    data->data += piece.len;
    data->len -= piece.len;
    l->in.data_left -= (uint32_t)piece.len;
    if (s != NULL) {
        uint64_t offset = s->received_bytes;

        s->received_bytes += piece.len;
        if (s->stopped)
            l->base.ops->consume(&l->base, id, piece.len);
        else
            l->base.events->on_data(l->base.user, id, offset, piece);
    }
    if (l->in.data_left == 0)
        on_data_end(l);
}

/* ---- control records ---- */

static void on_reset(struct tcp_link *l, struct tcp_stream *s, uint64_t code)
{
    if (s->recv_over)
        return;
    s->recv_over = true;
    if (!s->stopped)
        l->base.events->on_reset(l->base.user, s->id, code);
    tcp_stream_check_over(l, s);
}

static void on_stop(struct tcp_link *l, struct tcp_stream *s, uint64_t code)
{
    uint64_t id = s->id;

    if (s->send_over)
        return;
    tcp_stream_reset(l, s, code);
    l->base.events->on_stopped(l->base.user, id, code);
}

static int close_error(uint64_t code)
{
    switch (code) {
    case VLY_CLOSE_SUITE:
        return VLY_E_SUITE;
    case VLY_CLOSE_BUSY:
        return VLY_E_BUSY;
    case VLY_CLOSE_APPLICATION:
    case VLY_CLOSE_ACCESS:
        return VLY_E_REFUSED;
    case VLY_CLOSE_METHOD:
    case VLY_CLOSE_AUTH:
        return VLY_E_AUTH;
    case VLY_CLOSE_TIMEOUT:
        return VLY_E_LOST;
    default:
        return VLY_E_CLOSED;
    }
}

static void on_close(struct tcp_link *l, const struct vly_tcp_control *c)
{
    bool is_application = (c->header.flags & VLY_TCP_APPLICATION) != 0;
    char reason[VLY_REASON_MAX + 1];

    memcpy(reason, c->reason.data, c->reason.len);
    reason[c->reason.len] = '\0';
    tcp_end(l, is_application ? 0 : close_error(c->value), is_application ? c->value : 0, reason);
}

static void on_control(struct tcp_link *l, const struct vly_tcp_control *c)
{
    struct tcp_stream *s = NULL;

    if (c->header.type < VLY_TCP_PING && !stream_of(l, c->header.stream, &s))
        return;
    switch (c->header.type) {
    case VLY_TCP_DATA:
        break; /* has no body that is kept */
    case VLY_TCP_RESET:
        if (s != NULL)
            on_reset(l, s, c->value);
        break;
    case VLY_TCP_STOP:
        if (s != NULL)
            on_stop(l, s, c->value);
        break;
    case VLY_TCP_CREDIT:
        if (s != NULL && c->value > s->send_limit_bytes)
            s->send_limit_bytes = c->value;
        break;
    case VLY_TCP_PING:
        l->need_pong = true;
        tcp_wake(l);
        break;
    case VLY_TCP_PONG:
        break; /* that it came is all */
    case VLY_TCP_CLOSE:
        on_close(l, c);
        break;
    }
}

/* ---- bytes ---- */

bool tcp_gather(uint8_t *kept, size_t *kept_len, struct vly_span *data, size_t wanted)
{
    size_t len = wanted - *kept_len;

    if (len > data->len)
        len = data->len;
    memcpy(kept + *kept_len, data->data, len);
    *kept_len += len;
    data->data += len;
    data->len -= len;
    return *kept_len == wanted;
}

static bool gather(struct tcp_link *l, struct vly_span *data, size_t wanted)
{
    return tcp_gather(l->in.kept, &l->in.kept_len, data, wanted);
}

static struct vly_span kept(const struct tcp_link *l, size_t from)
{
    return (struct vly_span){.data = l->in.kept + from, .len = l->in.kept_len - from};
}

static void on_preface_bytes(struct tcp_link *l, struct vly_span *data)
{
    int err;

    (void)gather(l, data, VLY_TCP_PREFACE_BYTES);
    err = vly_tcp_preface_decode(&l->peer, kept(l, 0));
    if (err == VLY_E_AGAIN)
        return;
    l->in.kept_len = 0;
    tcp_handshake_on_preface(l, l->in.kept, err);
}

static void on_body(struct tcp_link *l)
{
    struct vly_tcp_control c;
    int err = vly_tcp_control_decode(&c, &l->in.header, kept(l, VLY_TCP_HEADER_BYTES));

    l->in.kept_len = 0; /* its bytes stay where they are until the next record */
    if (err != 0)
        violation(l, VLY_CLOSE_FRAME_ENCODING, "a record does not decode");
    else
        on_control(l, &c);
}

static void on_record_bytes(struct tcp_link *l, struct vly_span *data)
{
    struct vly_tcp_header *h = &l->in.header;
    int err;

    if (l->in.kept_len < VLY_TCP_HEADER_BYTES) {
        (void)gather(l, data, VLY_TCP_HEADER_BYTES);
        err = vly_tcp_header_decode(h, kept(l, 0));
        if (err == VLY_E_AGAIN)
            return;
        if (err != 0) {
            violation(l, VLY_CLOSE_FRAME_ENCODING, "a record does not decode");
            return;
        }
        if (h->type == VLY_TCP_DATA) {
            l->in.kept_len = 0;
            on_data_begin(l);
            if (l->in.data_left == 0)
                on_data_end(l);
            return;
        }
    }
    if (gather(l, data, VLY_TCP_HEADER_BYTES + h->length))
        on_body(l);
}

static void on_records(struct tcp_link *l, struct vly_span *data)
{
    if (l->in.data_left > 0)
        on_content(l, data);
    else
        on_record_bytes(l, data);
}

void tcp_take_refusal(struct tcp_link *l, struct vly_span *data)
{
    struct vly_tcp_header *h = &l->in.header;
    int err = 0;

    if (l->in.kept_len < VLY_TCP_HEADER_BYTES) {
        (void)gather(l, data, VLY_TCP_HEADER_BYTES);
        err = vly_tcp_header_decode(h, kept(l, 0));
    }
    if (err == VLY_E_AGAIN)
        return;
    if (err != 0 || h->type != VLY_TCP_CLOSE || h->flags != 0)
        tcp_end(l, VLY_E_PROTOCOL, 0, "it answers in clear");
    else if (gather(l, data, VLY_TCP_HEADER_BYTES + h->length))
        on_body(l);
}

/* One block, as far as it is there. That one does not verify is no accident over TCP. */
static void on_blocks(struct tcp_link *l, struct vly_tcp_bytes *in)
{
    struct vly_span text;
    int err = vly_tcp_seal_open(&l->seal, in, &text);

    if (err == VLY_E_NOMEM) {
        tcp_close(l, err, false, VLY_CLOSE_NO_MEMORY, "out of memory");
    } else if (l->state == LINK_HANDSHAKE) {
        if (err != 0 || text.len > 0)
            tcp_handshake_on_proof(l, err == 0);
    } else if (err != 0) {
        tcp_end(l, VLY_E_LOST, 0, "what arrived does not verify: it was changed on the way");
    }
    while (text.len > 0 && l->state == LINK_OPEN)
        on_records(l, &text);
}

static bool is_reading(const struct tcp_link *l)
{
    return l->state >= LINK_PREFACE && l->state <= LINK_OPEN;
}

void tcp_take(struct tcp_link *l, struct vly_tcp_bytes in)
{
    while (in.len > 0 && is_reading(l)) {
        struct vly_span data = {in.data, in.len};

        if (l->sealed) {
            on_blocks(l, &in);
            continue;
        }
        if (l->state == LINK_PREFACE)
            on_preface_bytes(l, &data);
        else if (l->state == LINK_HANDSHAKE)
            tcp_handshake_take(l, &data);
        else
            on_records(l, &data);
        in.data += in.len - data.len;
        in.len = data.len;
    }
}

static void on_end_of_stream(struct tcp_link *l)
{
    if (l->state == LINK_HANDSHAKE)
        tcp_handshake_on_gone(l);
    tcp_end(l, VLY_E_LOST, 0,
            l->state < LINK_OPEN
                ? "it closed the connection before it answered; is it 'volley serve --tcp'?"
                : "the other end is gone");
}

/* Whether a read of `len` bytes was the last one of this pump. */
static bool is_last_read(const struct tcp_link *l, size_t len, uint64_t blocks_before)
{
    if (l->state == LINK_OVER)
        return true;
    if (l->broken != 0) /* all that was said before is read */
        return false;
    return len < READ_AGAIN_BYTES || l->seal.opened_blocks - blocks_before > BLOCKS_MAX;
}

void tcp_read(struct tcp_link *l)
{
    uint8_t *in = l->transport->in;
    uint64_t blocks_before = l->seal.opened_blocks;

    for (unsigned i = 0; i < READS_MAX || l->broken != 0; i++) {
        ssize_t n = recv(l->fd, in, TCP_IN_BYTES, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            tcp_fail(l, errno);
            break;
        }
        if (n == 0) {
            on_end_of_stream(l);
            break;
        }
        l->quiet_since_ns = vly_clock_now_ns();
        l->pinged = false;
        tcp_take(l, (struct vly_tcp_bytes){.data = in, .len = (size_t)n});
        if (is_last_read(l, (size_t)n, blocks_before))
            break;
    }
    if (l->broken != 0 && l->state != LINK_OVER)
        tcp_fail(l, l->broken);
}
