/*
 * conn_recv - a DATA packet in: frames dispatched one by one.
 *
 * The packet is verified already (RULE 9). It is recorded as received only when all of it was
 * processed (RULE 16); on VLY_E_LIMIT it is dropped as if the network had, and comes again.
 */
#include "conn_internal.h"

#include <string.h>

/* A frame at hand, and what a handler may say: 0, VLY_E_PROTOCOL with a close code, VLY_E_NOMEM,
 * VLY_E_LIMIT (drop the packet), VLY_E_CLOSED (the connection is over). */
struct frame_in {
    const struct vly_frame *frame;
    uint64_t pn;
    uint64_t now_ns;
    uint64_t code; /* out: close code */
};

static int protocol_error(struct frame_in *in, enum vly_close_code code)
{
    in->code = code;
    return VLY_E_PROTOCOL;
}

static int on_padding(struct vly_conn *c, struct frame_in *in)
{
    (void)c;
    (void)in;
    return 0;
}

static int on_ping(struct vly_conn *c, struct frame_in *in)
{
    (void)in;
    vly_ackset_ask(&c->ackset);
    return 0;
}

static int on_ack(struct vly_conn *c, struct frame_in *in)
{
    return vly_conn_on_ack(c, &in->frame->ack, in->now_ns, &in->code);
}

static int on_floor(struct vly_conn *c, struct frame_in *in)
{
    if (in->frame->floor > in->pn)
        return protocol_error(in, VLY_CLOSE_PROTOCOL_VIOLATION);
    vly_ackset_set_floor(&c->ackset, in->frame->floor);
    return 0;
}

/* Counts data up to `end` against the credit of stream and connection, each byte once. RULE 33 */
static int credit_use(struct vly_conn *c, struct vly_stream *s, struct frame_in *in, uint64_t end)
{
    uint64_t upto = end - c->sh->config.first_offset;
    uint64_t bytes = upto > s->recv_credit.highest_bytes ? upto - s->recv_credit.highest_bytes : 0;

    if (vly_flow_recv_use(&s->recv_credit, bytes) != 0 ||
        vly_flow_recv_use(&c->recv_credit, bytes) != 0)
        return protocol_error(in, VLY_CLOSE_FLOW_CONTROL);
    return 0;
}

/* Of a direction that is over, or that the application wants no more of, only the size still
 * counts. RULE 35 */
static int stream_discard(struct vly_conn *c, struct vly_stream *s, struct frame_in *in)
{
    uint64_t end = in->frame->stream.offset + in->frame->stream.data.len;

    if (vly_recvbuf_discard(&s->recv, end, in->frame->stream.fin) != 0)
        return protocol_error(in, VLY_CLOSE_FINAL_SIZE);
    vly_conn_drop_received(c, s, in->now_ns);
    if (in->frame->stream.fin) {
        s->recv_state = VLY_RECV_DONE;
        s->need_stop = false;
    }
    return 0;
}

static int stream_deliver(struct vly_conn *c, struct vly_stream *s)
{
    struct vly_recv_piece piece;

    while (vly_recvbuf_next(&s->recv, &piece)) {
        struct vly_queued_event ev = {.type = VLY_EV_DATA,
                                      .conn = c,
                                      .stream = s->id,
                                      .offset = piece.offset,
                                      .data = piece.data};

        if (vly_events_push(c->sh, &ev) != 0)
            return VLY_E_NOMEM;
        s->handed_bytes += piece.data.len;
        c->stats.stream_bytes_received += piece.data.len;
    }
    if (vly_recvbuf_held_bytes(&s->recv) > 0 && !s->buffered) {
        s->buffered = true;
        s->buffered_next = c->buffered;
        c->buffered = s;
    }
    return 0;
}

static int stream_insert(struct vly_conn *c, struct vly_stream *s, struct frame_in *in)
{
    int err = stream_deliver(c, s); /* what waited until any order was asked for */

    if (err == 0)
        err = vly_recvbuf_insert(&s->recv, in->frame->stream.offset, in->frame->stream.data,
                                 in->frame->stream.fin);
    if (err == VLY_E_PROTOCOL)
        return protocol_error(in, VLY_CLOSE_FINAL_SIZE); /* RULE 35 */
    if (err == 0)
        err = stream_deliver(c, s);
    if (err != 0 || !vly_recvbuf_is_complete(&s->recv))
        return err;
    s->recv_state = VLY_RECV_DONE;
    s->need_max = false;
    vly_ackset_ask(&c->ackset);
    return vly_conn_event(c, VLY_EV_STREAM_END, s->id, s->recv.final_bytes);
}

static int on_stream(struct vly_conn *c, struct frame_in *in)
{
    uint64_t end = in->frame->stream.offset + in->frame->stream.data.len;
    struct vly_stream *s;
    int err;

    err = vly_conn_stream_for_frame(c, in->frame->stream.id, in->now_ns, &s, &in->code);
    if (err != 0 || s == NULL)
        return err;
    if (in->frame->stream.offset < c->sh->config.first_offset)
        return protocol_error(in, VLY_CLOSE_PROTOCOL_VIOLATION);
    if (s->recv_state == VLY_RECV_DONE)
        return vly_recvbuf_discard(&s->recv, end, in->frame->stream.fin) == 0
                   ? 0
                   : protocol_error(in, VLY_CLOSE_FINAL_SIZE);
    err = credit_use(c, s, in, end);
    if (err == 0)
        err = s->recv_state == VLY_RECV_OPEN ? stream_insert(c, s, in) : stream_discard(c, s, in);
    c->data_heard |= s->recv_state == VLY_RECV_OPEN;
    if (err == 0)
        vly_conn_sweep_stream(c, s);
    return err;
}

static int on_reset_stream(struct vly_conn *c, struct frame_in *in)
{
    uint64_t final_bytes = in->frame->reset.final_bytes;
    bool tell;
    struct vly_stream *s;
    int err = vly_conn_stream_for_frame(c, in->frame->reset.id, in->now_ns, &s, &in->code);

    if (err != 0 || s == NULL)
        return err;
    if (final_bytes < c->sh->config.first_offset ||
        vly_recvbuf_set_final(&s->recv, final_bytes) != 0)
        return protocol_error(in, VLY_CLOSE_FINAL_SIZE);
    if (s->recv_state == VLY_RECV_DONE)
        return 0;
    err = credit_use(c, s, in, final_bytes);
    if (err != 0)
        return err;
    vly_conn_drop_received(c, s, in->now_ns);
    tell = s->recv_state == VLY_RECV_OPEN;
    s->recv_state = VLY_RECV_DONE;
    s->need_max = s->need_stop = false;
    if (tell)
        err = vly_conn_event(c, VLY_EV_STREAM_RESET, s->id, in->frame->reset.code);
    if (err == 0)
        vly_conn_sweep_stream(c, s);
    return err;
}

static int on_stop_sending(struct vly_conn *c, struct frame_in *in)
{
    struct vly_stream *s;
    int err = vly_conn_stream_for_frame(c, in->frame->stop.id, in->now_ns, &s, &in->code);

    if (err != 0 || s == NULL || s->send_state != VLY_SEND_OPEN)
        return err;
    vly_conn_reset_stream(c, s->id, in->frame->stop.code);
    return vly_conn_event(c, VLY_EV_STREAM_STOPPED, s->id, in->frame->stop.code);
}

/* Streams leave the send queue when credit forbids them to go on; with new credit all come back. */
static int on_max_data(struct vly_conn *c, struct frame_in *in)
{
    if (!vly_flow_send_raise(&c->send_credit, in->frame->max.limit))
        return 0;
    c->flow_blocked = false;
    for (size_t i = 0; i < c->streams.cap; i++) {
        struct vly_stream *s = vly_streams_slot(&c->streams, i);

        if (s != NULL && s->send_state == VLY_SEND_OPEN && vly_sendbuf_has_pending(&s->send))
            vly_streams_push(&c->streams, s);
    }
    return 0;
}

static int on_max_stream_data(struct vly_conn *c, struct frame_in *in)
{
    struct vly_stream *s;
    uint64_t base = c->sh->config.first_offset;
    int err = vly_conn_stream_for_frame(c, in->frame->max.id, in->now_ns, &s, &in->code);

    if (err != 0 || s == NULL || in->frame->max.limit < base)
        return err;
    if (!vly_flow_send_raise(&s->send_credit, in->frame->max.limit - base))
        return 0;
    c->flow_blocked = false;
    if (s->send_state == VLY_SEND_OPEN && vly_sendbuf_has_pending(&s->send))
        vly_streams_push(&c->streams, s);
    return 0;
}

static int on_max_streams(struct vly_conn *c, struct frame_in *in)
{
    if (in->frame->max.limit <= c->peer_max_streams)
        return 0;
    c->peer_max_streams = in->frame->max.limit;
    return vly_conn_event(c, VLY_EV_WRITABLE, VLY_STREAM_NONE, 0);
}

/* RULE 37: one slot, whatever arrives. */
static int on_path_challenge(struct vly_conn *c, struct frame_in *in)
{
    c->path_response_pending = true;
    memcpy(c->path_response, in->frame->path, sizeof(c->path_response));
    return 0;
}

static int on_path_response(struct vly_conn *c, struct frame_in *in)
{
    return vly_conn_path_on_response(c, in->frame->path, in->now_ns);
}

/* RULE 15: it came in a packet that verified; nothing else closes an open connection. */
static int on_close(struct vly_conn *c, struct frame_in *in)
{
    vly_conn_on_close_frame(c, in->frame->type == VLY_FRAME_CLOSE_APP, in->frame->close.code,
                            in->frame->close.reason, in->now_ns);
    return VLY_E_CLOSED;
}

typedef int frame_handler(struct vly_conn *c, struct frame_in *in);

static frame_handler *const handlers[] = {
    [VLY_FRAME_PADDING] = on_padding,
    [VLY_FRAME_PING] = on_ping,
    [VLY_FRAME_ACK] = on_ack,
    [VLY_FRAME_ACK_ECN] = on_ack,
    [VLY_FRAME_FLOOR] = on_floor,
    [VLY_FRAME_STREAM] = on_stream,
    [VLY_FRAME_STREAM_FIN] = on_stream,
    [VLY_FRAME_RESET_STREAM] = on_reset_stream,
    [VLY_FRAME_STOP_SENDING] = on_stop_sending,
    [VLY_FRAME_MAX_DATA] = on_max_data,
    [VLY_FRAME_MAX_STREAM_DATA] = on_max_stream_data,
    [VLY_FRAME_MAX_STREAMS] = on_max_streams,
    [VLY_FRAME_PATH_CHALLENGE] = on_path_challenge,
    [VLY_FRAME_PATH_RESPONSE] = on_path_response,
    [VLY_FRAME_CLOSE] = on_close,
    [VLY_FRAME_CLOSE_APP] = on_close,
};

static int frames_process(struct vly_conn *c, const struct vly_packet *p, bool *counted,
                          struct frame_in *in)
{
    struct vly_rd r = vly_rd_init(p->frames.data, p->frames.len);
    struct vly_frame frame;

    *in = (struct frame_in){.frame = &frame, .pn = p->pn, .now_ns = p->now_ns};
    if (vly_rd_left(&r) == 0)
        return protocol_error(in, VLY_CLOSE_PROTOCOL_VIOLATION);
    while (vly_rd_left(&r) > 0) {
        int err;

        if (vly_frame_decode(&frame, &r) != 0)
            return protocol_error(in, VLY_CLOSE_FRAME_ENCODING); /* RULE 14 */
        c->stats.frames_received[frame.type]++;
        *counted |= frame.eliciting;
        err = handlers[frame.type](c, in);
        if (err != 0)
            return err;
    }
    return 0;
}

/* A CLOSE is all a closing connection listens to; anything else makes it repeat its own, as one
 * answer per packet (SPEC 7). */
static void closing_on_packet(struct vly_conn *c, const struct vly_packet *p)
{
    struct vly_rd r = vly_rd_init(p->frames.data, p->frames.len);
    struct vly_frame frame;

    while (vly_rd_left(&r) > 0 && vly_frame_decode(&frame, &r) == 0) {
        c->stats.frames_received[frame.type]++;
        if (frame.type == VLY_FRAME_CLOSE || frame.type == VLY_FRAME_CLOSE_APP) {
            vly_conn_end(c, c->end.err, p->now_ns);
            return;
        }
    }
    c->close_pending = true;
}

static void packet_drop(struct vly_conn *c, const struct vly_packet *p, int why)
{
    uint64_t abc[3] = {(uint64_t)-why, p->bytes, p->pn};

    if (why == VLY_E_DUPLICATE)
        c->stats.duplicates_received++;
    else
        c->stats.dropped_received++;
    vly_conn_trace(c, VLY_TRACE_PACKET_DROPPED, p->now_ns, abc);
}

/* What the first packets say about the set-up. */
static int setup_on_packet(struct vly_conn *c, const struct vly_packet *p)
{
    if (c->role == VLY_CLIENT && c->hello_due_ns != VLY_NEVER) { /* our FINISH arrived */
        c->hello_due_ns = VLY_NEVER;
        vly_conn_drop_message(c);
    }
    /* A later one says that the first was lost, and waited for a timer. */
    if (c->role == VLY_SERVER && p->pn == c->sh->config.first_pn && !c->rtt.has_sample)
        vly_conn_flight_answered(c, p->now_ns);
    if (vly_conn_may(c, VLY_SERVER_CONFIRMED))
        return vly_conn_confirm(c, VLY_SERVER_CONFIRMED, p->now_ns);
    return 0;
}

void vly_conn_on_packet(struct vly_conn *c, const struct vly_packet *p)
{
    uint64_t abc[3] = {p->pn, p->bytes, p->ecn};
    struct frame_in in = {0};
    bool counted = false;
    int err = vly_ackset_test(&c->ackset, p->pn); /* RULE 11 */

    if (p->elsewhere != NULL)
        vly_conn_path_heard(c, p);
    if (err != 0) {
        packet_drop(c, p, err);
        /* Perhaps our ACK was lost: say again what we have. */
        if (err == VLY_E_DUPLICATE && c->state == VLY_STATE_OPEN)
            vly_ackset_ask(&c->ackset);
        return;
    }
    c->stats.packets_received++;
    c->stats.bytes_received += p->bytes;
    if (p->bytes > c->stats.datagram_received_bytes)
        c->stats.datagram_received_bytes = p->bytes;
    c->last_received_ns = p->now_ns;
    c->unanswered_ns = VLY_NEVER;
    vly_conn_trace(c, VLY_TRACE_PACKET_RECEIVED, p->now_ns, abc);
    if (c->state == VLY_STATE_CLOSING) {
        closing_on_packet(c, p);
        return;
    }
    err = setup_on_packet(c, p);
    if (err == 0)
        err = frames_process(c, p, &counted, &in);
    if (err == 0) {
        vly_ackset_add(&c->ackset, p->pn, p->now_ns, counted, p->ecn,
                       c->rtt.has_sample ? c->rtt.smoothed_ns : 0);
        if (counted)
            vly_ackset_add_bytes(&c->ackset, p->bytes);
    } else if (err == VLY_E_LIMIT)
        packet_drop(c, p, err);
    else if (err == VLY_E_PROTOCOL)
        vly_conn_fail(c, err, in.code, p->now_ns);
    else if (err != VLY_E_CLOSED)
        vly_conn_fail(c, VLY_E_NOMEM, VLY_CLOSE_NO_MEMORY, p->now_ns);
}
