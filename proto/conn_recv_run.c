/*
 * conn_recv_run - DATA packets of one connection that arrived in a row: opened with one call, then
 * processed one by one.
 *
 * Nearly all packets of a bulk transfer are the next one, with the next data of a stream and
 * nothing else. Those are taken here, in one look at each; whatever else a packet may be,
 * conn_recv.c knows.
 */
#include "conn_internal.h"

#include "num.h"

/* What the packets taken here add up to, and what was found for the one before. */
struct run {
    struct vly_conn *conn;
    const struct vly_packet *like; /* the packets differ from it in number and text */
    struct vly_stream *stream;     /* of the last packet taken; NULL: look it up */
    uint64_t pkts, bytes, data_bytes, longest_bytes;
};

/* Whether the connection is past everything that makes its first packets special. */
static bool is_settled(const struct vly_conn *c, const struct vly_packet *p)
{
    return c->state == VLY_STATE_OPEN && p->elsewhere == NULL && c->rtt.has_sample &&
           (c->role == VLY_SERVER || c->hello_due_ns == VLY_NEVER);
}

/* The stream that takes data at its frontier and waits for nothing else. */
static struct vly_stream *stream_for(struct run *r, uint64_t id)
{
    struct vly_stream *s = r->stream;

    if (s != NULL && s->id == id)
        return s;
    s = vly_streams_find(&r->conn->streams, id);
    return s != NULL && s->recv_state == VLY_RECV_OPEN ? s : NULL;
}

static bool has_credit(const struct vly_flow_recv *f, size_t len)
{
    return len <= f->limit_bytes - f->highest_bytes;
}

/* Takes the packet if it is the next one and holds one STREAM frame with the next data of an open
 * stream. False: nothing has changed. */
static bool take_next(struct run *r, uint64_t pn, struct vly_span text)
{
    struct vly_conn *c = r->conn;
    struct vly_rd rd = vly_rd_init(text.data, text.len);
    bool is_stream = vly_rd_u8(&rd) == VLY_FRAME_STREAM;
    uint64_t id = vly_rd_varint(&rd), offset = vly_rd_varint(&rd), len = vly_rd_varint(&rd);
    struct vly_queued_event ev = {.type = VLY_EV_DATA, .conn = c, .stream = id, .offset = offset};
    struct vly_stream *s;

    if (!is_stream || rd.failed || len == 0 || len != vly_rd_left(&rd) ||
        len > VLY_VARINT_MAX - offset || !vly_ackset_is_next(&c->ackset, pn))
        return false;
    s = stream_for(r, id);
    if (s == NULL || !vly_recvbuf_is_next(&s->recv, offset) || !has_credit(&s->recv_credit, len) ||
        !has_credit(&c->recv_credit, len))
        return false;
    ev.data = (struct vly_span){rd.pos, (size_t)len};
    if (vly_events_push(c->sh, &ev) != 0)
        return false;
    vly_recvbuf_append(&s->recv, (size_t)len);
    s->recv_credit.highest_bytes += len;
    c->recv_credit.highest_bytes += len;
    s->handed_bytes += len;
    r->stream = s;
    r->data_bytes += len;
    return true;
}

/* The sums go where conn_recv.c counts each packet by itself. */
static void count(struct run *r)
{
    struct vly_conn *c = r->conn;

    if (r->pkts == 0)
        return;
    c->stats.packets_received += r->pkts;
    c->stats.bytes_received += r->bytes;
    c->stats.frames_received[VLY_FRAME_STREAM] += r->pkts;
    c->stats.stream_bytes_received += r->data_bytes;
    c->stats.datagram_received_bytes =
        vly_max_u64(c->stats.datagram_received_bytes, r->longest_bytes);
    c->last_received_ns = r->like->now_ns;
    c->unanswered_ns = VLY_NEVER;
    c->data_heard = true;
    r->pkts = r->bytes = r->data_bytes = 0;
}

static void record(struct run *r, uint64_t pn, size_t bytes)
{
    const struct vly_packet *p = r->like;
    struct vly_conn *c = r->conn;
    uint64_t abc[3] = {pn, bytes, p->ecn};

    r->pkts++;
    r->bytes += bytes;
    r->longest_bytes = vly_max_u64(r->longest_bytes, bytes);
    vly_ackset_add(&c->ackset, pn, p->now_ns, true, p->ecn, c->rtt.smoothed_ns);
    vly_ackset_add_bytes(&c->ackset, bytes);
    vly_conn_trace(c, VLY_TRACE_PACKET_RECEIVED, p->now_ns, abc);
}

size_t vly_conn_recv_run(struct vly_conn *c, const struct vly_packet *like,
                         const struct vly_aead_job *jobs, size_t n)
{
    struct run r = {.conn = c, .like = like};
    bool settled = is_settled(c, like);
    size_t n_used = 0;

    for (const struct vly_aead_job *job = jobs; job < jobs + n && c->state != VLY_STATE_CLOSED;
         job++) {
        struct vly_span text = {job->out, job->len};
        size_t bytes = job->head_bytes + job->len + VLY_TAG_BYTES;
        struct vly_packet p;

        if (!job->ok)
            continue;
        n_used++;
        if (settled && take_next(&r, job->number, text)) {
            record(&r, job->number, bytes);
            continue;
        }
        count(&r);
        p = *like;
        p.pn = job->number;
        p.frames = text;
        p.bytes = (uint32_t)bytes;
        vly_conn_on_packet(c, &p);
        r.stream = NULL; /* it may be over */
        settled = is_settled(c, like);
    }
    count(&r);
    return n_used;
}
