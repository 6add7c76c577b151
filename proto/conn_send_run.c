/*
 * conn_send_run - a run: full packets that carry nothing but the next new bytes of the only stream
 * that sends. Most of a bulk transfer is runs.
 *
 * What stands in the way of a packet (window, pacing, credit, the ring's room, what else is to be
 * said) is asked once for all of them, and what they add up to is counted once. All other packets
 * are made by conn_send.c, which would make the same ones (tests/unit/test_conn_runs.c).
 */
#include "conn_internal.h"

#include "num.h"

#include <string.h>

/* A run in the making. */
struct run {
    struct vly_stream *stream;
    struct vly_data_header header; /* of the next packet */
    uint64_t offset;               /* of its data */
    size_t payload_bytes;          /* of each */
    size_t n_pkts;
    uint64_t now_ns;
};

/* The only stream with anything to say, if that is new data alone; else NULL. */
static struct vly_stream *only_sender(const struct vly_conn *c)
{
    struct vly_stream *s = c->streams.queue_head;

    if (s == NULL || s->queue_next != NULL || s->send_state != VLY_SEND_OPEN ||
        vly_stream_has_control(s) || s->send.pending.n != 1 ||
        s->send.pending.r[0].begin != s->send.sent_end)
        return NULL;
    return s;
}

/* Whether the connection has anything to say beside data. */
static bool has_more_to_say(const struct vly_conn *c)
{
    return c->probes > 0 || c->ping_pending || c->need_max_data || c->need_max_streams ||
           c->path_response_pending || vly_conn_floor_due_pn(c) <= c->log.next ||
           vly_ackset_due_ns(&c->ackset, 0) != VLY_NEVER;
}

/* How much data each packet carries; 0 when packets would differ in more than their numbers. */
static size_t payload_bytes(const struct vly_conn *c, const struct vly_stream *s)
{
    size_t room = c->datagram_bytes - VLY_TAG_BYTES - VLY_DATA_HEADER_BYTES;
    size_t len = room - vly_frame_stream_overhead(s->id, s->send.sent_end, room);
    uint64_t run_end = s->send.sent_end + VLY_BATCH_PKTS * (uint64_t)len;

    if (vly_varint_len(len) != vly_varint_len(room) ||
        vly_varint_len(s->send.sent_end) != vly_varint_len(run_end))
        return 0;
    return len;
}

/* How many packets the window and the pacer let go. */
static uint64_t allowed_pkts(struct vly_conn *c, uint64_t now_ns)
{
    uint64_t window = vly_conn_window_room(c);
    uint64_t budget =
        vly_pacer_budget(&c->pacer, now_ns, vly_conn_pacing_rate(c), c->datagram_bytes);

    return vly_min_u64(window, budget) / c->datagram_bytes;
}

/* How many packets the stream has data and credit for. The last byte is left to the packet that may
 * carry the end. */
static uint64_t filled_pkts(const struct vly_conn *c, const struct vly_stream *s, size_t payload)
{
    uint64_t end = vly_min_u64(s->send.end - s->send.fin, vly_conn_stream_max_end(c, s));

    return end > s->send.sent_end ? (end - s->send.sent_end) / payload : 0;
}

/* How many numbers may follow each other: none left out (RULE 17), no FLOOR, no other key, all in
 * the ring as it is. */
static uint64_t free_numbers(const struct vly_conn *c)
{
    uint64_t pn = c->log.next;
    uint64_t skip = c->skip_at_pn > pn ? c->skip_at_pn - pn : 0;
    uint64_t floor = vly_conn_floor_due_pn(c) - pn;
    uint64_t key = vly_send_keys_left(c->send_keys, pn);

    return vly_min_u64(vly_min_u64(skip, floor), vly_min_u64(key, vly_sentlog_room(&c->log)));
}

/* The packet that is to stand at `at` of the batch: header and frame are written, the data lent to
 * the cipher. */
static void write_packet(struct vly_conn *c, const struct run *r, struct vly_batch *b, size_t at)
{
    struct vly_wr w = vly_conn_clear(c, at, c->datagram_bytes);
    struct vly_span lent;

    vly_data_header_encode(&w, &r->header);
    vly_frame_stream_header_encode(&w, r->stream->id, r->offset, r->payload_bytes, false);
    lent = vly_sendbuf_read(&r->stream->send, r->offset, r->payload_bytes, w.pos);
    w.pos += r->payload_bytes;
    vly_conn_seal_later(c, r->header.pn, &w, lent, b->data + at);
}

static void record_packet(struct vly_conn *c, const struct run *r, const struct vly_sent *like)
{
    uint64_t abc[3] = {c->log.next, like->bytes, c->log.in_flight_bytes};
    struct vly_sent *s = vly_sentlog_append_like(&c->log, like);

    s->item.offset = r->offset;
    vly_conn_trace(c, VLY_TRACE_PACKET_SENT, r->now_ns, abc);
}

/* What the log remembers of each packet of the run, but for its offset. */
static struct vly_sent common_record(struct vly_conn *c, const struct run *r)
{
    struct vly_sent like = {.sent_ns = r->now_ns,
                            .bytes = c->datagram_bytes,
                            .state = VLY_SENT_IN_FLIGHT,
                            .ect = !c->ecn.off,
                            .item = {.kind = VLY_ITEM_STREAM,
                                     .stream = r->stream->id,
                                     .len = (uint32_t)r->payload_bytes}};

    vly_rate_on_sent(&c->rate, r->now_ns, c->log.in_flight_bytes, &like.rate);
    return like;
}

/* What all packets of the run add up to. */
static void count(struct vly_conn *c, const struct run *r)
{
    struct vly_stream *s = r->stream;
    uint64_t data_bytes = r->n_pkts * r->payload_bytes;
    uint32_t bytes = (uint32_t)r->n_pkts * c->datagram_bytes;

    vly_sendbuf_sent(&s->send, r->offset);
    if (!vly_sendbuf_has_pending(&s->send))
        (void)vly_streams_pop(&c->streams);
    c->send_credit.used_bytes += data_bytes;
    c->unsent_bytes -= data_bytes;
    c->stats.stream_bytes_sent += data_bytes;
    c->stats.frames_sent[VLY_FRAME_STREAM] += r->n_pkts;
    vly_conn_counted_sent(c, bytes, r->now_ns);
}

unsigned vly_conn_send_run(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns)
{
    struct run r = {.stream = only_sender(c), .now_ns = now_ns};
    struct vly_sent like;

    if (r.stream == NULL || has_more_to_say(c) ||
        (r.payload_bytes = payload_bytes(c, r.stream)) == 0)
        return 0;
    r.n_pkts =
        vly_min_u64(c->sh->max_batch_pkts - b->n, (sizeof(b->data) - b->len) / c->datagram_bytes);
    r.n_pkts = vly_min_u64(r.n_pkts, filled_pkts(c, r.stream, r.payload_bytes));
    r.n_pkts = vly_min_u64(r.n_pkts, free_numbers(c));
    if (r.n_pkts > 0)
        r.n_pkts = vly_min_u64(r.n_pkts, allowed_pkts(c, now_ns));
    if (r.n_pkts == 0)
        return 0;
    like = common_record(c, &r);
    r.header = (struct vly_data_header){
        .cid = c->peer_cid, .pn = c->log.next, .key_phase = vly_send_keys_phase(c->send_keys)};
    r.offset = r.stream->send.sent_end;
    for (size_t i = 0; i < r.n_pkts; i++) {
        write_packet(c, &r, b, b->len + i * c->datagram_bytes);
        record_packet(c, &r, &like);
        r.header.pn++;
        r.offset += r.payload_bytes;
    }
    count(c, &r);
    return (unsigned)r.n_pkts;
}
