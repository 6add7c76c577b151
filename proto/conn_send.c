/*
 * conn_send - packets out: what may go, what goes into a packet, what is remembered of it.
 *
 * A batch is filled with packets of one size, the last maybe shorter, so that the kernel can cut it
 * in one call. A packet takes its number only when it is certain to go.
 */
#include "conn_internal.h"
#include "seal.h"

#include <assert.h>
#include <string.h>

#define PACKET_ITEMS_MAX 32u
#define LENT_MIN_BYTES 256u  /* less is copied: two parts cost the cipher more than one */
#define STREAM_PIECE_MIN 32u /* a shorter piece waits for the next packet, unless it is all */
#define PROBE_LOOK_PKTS 64u  /* how far the second probe looks for something else to repeat */
/* Packet numbers kept for one more batch and for ending the connection. */
#define NUMBERS_LEFT_MIN (2u * VLY_BATCH_PKTS)

/* A packet in the making. */
struct build {
    struct vly_wr w; /* ends where the tag begins */
    /* Bytes of a stream that are in the packet, but have not been copied to their place: when it is
     * at the end of the text, sealing takes them from the stream. */
    struct vly_span lent;
    uint8_t *lent_to;
    uint64_t now_ns;
    struct vly_sent_item items[PACKET_ITEMS_MAX];
    unsigned n_items;
    bool counted;
    bool repeats;          /* holds data that was sent before */
    uint64_t *frames_sent; /* the connection's counters */
};

static bool has_content(const struct vly_conn *c)
{
    return c->ping_pending || c->need_max_data || c->need_max_streams || c->probes > 0 ||
           c->streams.queue_head != NULL;
}

/* RULE 26 */
uint64_t vly_conn_window_room(const struct vly_conn *c)
{
    if (c->prr.active)
        return c->prr.allowance_bytes;
    return c->cc.cwnd_bytes > c->log.in_flight_bytes ? c->cc.cwnd_bytes - c->log.in_flight_bytes
                                                     : 0;
}

/* Probes may always go, and with nothing in flight no ACK would ever come. */
static bool window_allows(const struct vly_conn *c)
{
    return c->probes > 0 || c->log.in_flight_bytes == 0 ||
           vly_conn_window_room(c) >= c->datagram_bytes;
}

uint64_t vly_conn_pacing_rate(const struct vly_conn *c)
{
    uint64_t rate = vly_cc_pacing_bytes_per_s(&c->cc, c->rtt.has_sample ? c->rtt.smoothed_ns : 0,
                                              c->rtt.min_ns);
    uint64_t cap = c->sh->config.rate_bytes_per_s;

    if (cap != 0 && (rate == 0 || rate > cap))
        return cap;
    return rate;
}

/* Sets when to go on if not now. */
static bool pacing_allows(struct vly_conn *c, uint64_t now_ns)
{
    uint64_t rate = vly_conn_pacing_rate(c);

    if (c->probes > 0 ||
        vly_pacer_budget(&c->pacer, now_ns, rate, c->datagram_bytes) >= c->datagram_bytes) {
        c->pacing_due_ns = VLY_NEVER;
        return true;
    }
    c->pacing_due_ns = vly_pacer_due_ns(&c->pacer, now_ns, rate, c->datagram_bytes);
    return false;
}

/* ---- frames ---- */

/* Whether one more item may be noted for this packet. */
static bool item_room(struct vly_conn *c, const struct build *b)
{
    return b->n_items < PACKET_ITEMS_MAX && vly_sentlog_reserve(&c->log, b->n_items + 1) == 0;
}

/* A frame was written from `at` on; its type stands first. */
static void frame_done(struct build *b, const uint8_t *at)
{
    b->frames_sent[*at]++;
}

/* Notes a control frame that was just written; undoes it when it did not fit. Returns whether it is
 * in the packet. */
static bool control_done(struct build *b, struct vly_wr before, enum vly_sent_kind kind,
                         uint64_t stream)
{
    if (b->w.failed) {
        b->w = before;
        return false;
    }
    frame_done(b, before.pos);
    b->items[b->n_items++] = (struct vly_sent_item){.kind = (uint8_t)kind, .stream = stream};
    b->counted = true;
    return true;
}

static void write_conn_control(struct vly_conn *c, struct build *b)
{
    struct vly_wr before = b->w;

    if (c->need_max_data && item_room(c, b)) {
        vly_frame_max_data_encode(&b->w, c->recv_credit.limit_bytes);
        c->need_max_data = !control_done(b, before, VLY_ITEM_MAX_DATA, 0);
    }
    before = b->w;
    if (c->need_max_streams && item_room(c, b)) {
        vly_frame_max_streams_encode(&b->w, c->our_max_streams);
        c->need_max_streams = !control_done(b, before, VLY_ITEM_MAX_STREAMS, 0);
    }
    if (c->ping_pending && vly_wr_room(&b->w) > 1) {
        vly_frame_ping_encode(&b->w);
        b->frames_sent[VLY_FRAME_PING]++;
        c->ping_pending = false;
        b->counted = true;
    }
}

/* What the peer may send of the stream, as an offset. RULE 36 */
static uint64_t stream_limit(const struct vly_conn *c, const struct vly_stream *s)
{
    uint64_t base = c->sh->config.first_offset;
    uint64_t room = VLY_VARINT_MAX - base;

    return base + (s->recv_credit.limit_bytes < room ? s->recv_credit.limit_bytes : room);
}

/* Returns false when there are frames left that this packet has no room for. */
static bool write_stream_control(struct vly_conn *c, struct vly_stream *s, struct build *b)
{
    struct vly_wr before = b->w;

    if (s->need_reset && item_room(c, b)) {
        vly_frame_reset_encode(&b->w, s->id, s->reset_code, s->send.sent_end);
        s->need_reset = !control_done(b, before, VLY_ITEM_RESET, s->id);
    }
    before = b->w;
    if (s->need_stop && item_room(c, b)) {
        vly_frame_stop_encode(&b->w, s->id, s->stop_code);
        s->need_stop = !control_done(b, before, VLY_ITEM_STOP, s->id);
    }
    before = b->w;
    if (s->need_max && item_room(c, b)) {
        vly_frame_max_stream_data_encode(&b->w, s->id, stream_limit(c, s));
        s->need_max = !control_done(b, before, VLY_ITEM_MAX_STREAM_DATA, s->id);
    }
    return !vly_stream_has_control(s);
}

uint64_t vly_conn_stream_max_end(const struct vly_conn *c, const struct vly_stream *s)
{
    uint64_t by_stream = c->sh->config.first_offset + s->send_credit.limit_bytes;
    uint64_t by_conn = s->send.sent_end + vly_flow_send_room(&c->send_credit);

    return by_stream < by_conn ? by_stream : by_conn;
}

static void lent_copy(struct build *b)
{
    if (b->lent.len > 0)
        memcpy(b->lent_to, b->lent.data, b->lent.len);
    b->lent.len = 0;
}

/* The bytes of a STREAM frame whose header was just written. */
static void write_piece(struct vly_stream *s, const struct vly_send_piece *piece, struct build *b)
{
    struct vly_span last;

    assert(!b->w.failed && vly_wr_room(&b->w) >= piece->len);
    lent_copy(b);
    last = vly_sendbuf_take(&s->send, piece, b->w.pos);
    b->w.pos += piece->len;
    b->lent = last;
    b->lent_to = b->w.pos - last.len;
    if (last.len < LENT_MIN_BYTES)
        lent_copy(b);
}

/* Writes one STREAM frame, if credit and room allow. Returns false when the packet has no room for
 * more of this stream. */
static bool write_stream_data(struct vly_conn *c, struct vly_stream *s, struct build *b)
{
    size_t room = vly_wr_room(&b->w);
    struct vly_send_piece piece;
    uint64_t sent_end = s->send.sent_end;
    size_t overhead;

    if (!item_room(c, b))
        return false;
    if (!vly_sendbuf_peek(&s->send, vly_conn_stream_max_end(c, s), room, &piece)) {
        c->flow_blocked |= vly_sendbuf_has_pending(&s->send);
        return true;
    }
    overhead = vly_frame_stream_overhead(s->id, piece.offset, room);
    if (room < overhead + (piece.len < STREAM_PIECE_MIN ? piece.len : STREAM_PIECE_MIN))
        return false;
    if (piece.len > room - overhead) {
        piece.len = room - overhead;
        piece.fin = false;
    }
    vly_frame_stream_header_encode(&b->w, s->id, piece.offset, piece.len, piece.fin);
    b->frames_sent[piece.fin ? VLY_FRAME_STREAM_FIN : VLY_FRAME_STREAM]++;
    write_piece(s, &piece, b);
    if (piece.offset < sent_end) {
        uint64_t again = sent_end - piece.offset;

        c->stats.retransmitted_bytes += again < piece.len ? again : piece.len;
        b->repeats = true;
    }
    if (s->send.sent_end > sent_end) {
        c->send_credit.used_bytes += s->send.sent_end - sent_end;
        c->unsent_bytes -= s->send.sent_end - sent_end;
        c->stats.stream_bytes_sent += s->send.sent_end - sent_end;
    }
    b->items[b->n_items++] = (struct vly_sent_item){.kind = VLY_ITEM_STREAM,
                                                    .stream = s->id,
                                                    .offset = piece.offset,
                                                    .len = (uint32_t)piece.len,
                                                    .fin = piece.fin};
    b->counted = true;
    return true;
}

static void write_streams(struct vly_conn *c, struct build *b)
{
    struct vly_stream *s;

    while ((s = vly_streams_pop(&c->streams)) != NULL) {
        uint8_t *before = b->w.pos;
        bool has_room = write_stream_control(c, s, b);

        if (has_room && s->send_state == VLY_SEND_OPEN && vly_sendbuf_has_pending(&s->send))
            has_room = write_stream_data(c, s, b);
        /* Stays queued while it has more that may go; what credit forbids is queued again when
         * credit comes. */
        if (!has_room || (b->w.pos != before && vly_sendbuf_has_pending(&s->send)))
            vly_streams_push(&c->streams, s);
        if (!has_room || vly_wr_room(&b->w) < STREAM_PIECE_MIN)
            break;
    }
}

/* The packet whose content a probe repeats: the oldest in flight for the first, the one after it
 * for the second. */
static const struct vly_sent *probe_source(struct vly_conn *c)
{
    uint64_t pn;
    const struct vly_sent *oldest = vly_sentlog_lowest(&c->log, c->log.next, &pn);

    if (oldest == NULL || c->probes > 1)
        return oldest;
    for (uint64_t next = pn + 1; next < c->log.next && next - pn < PROBE_LOOK_PKTS; next++) {
        const struct vly_sent *s = vly_sentlog_at(&c->log, next);

        if (s->state == VLY_SENT_IN_FLIGHT && s->item.kind == VLY_ITEM_STREAM)
            return s;
    }
    return oldest;
}

/* SPEC 5.4: a probe carries new data when there is some; else what is outstanding; else PING. */
static void write_probe(struct vly_conn *c, struct build *b)
{
    const struct vly_sent *source = probe_source(c);
    struct vly_stream *s = NULL;

    if (source != NULL && source->item.kind == VLY_ITEM_STREAM)
        s = vly_streams_find(&c->streams, source->item.stream);
    if (s != NULL && s->send_state == VLY_SEND_OPEN) {
        struct vly_send_piece piece = {source->item.offset, source->item.len, source->item.fin};

        if (vly_sendbuf_on_lost(&s->send, &piece) == 0 && vly_sendbuf_has_pending(&s->send)) {
            vly_streams_push(&c->streams, s);
            write_streams(c, b);
        }
    }
    if (!b->counted) {
        vly_frame_ping_encode(&b->w);
        b->frames_sent[VLY_FRAME_PING]++;
        b->counted = true;
    }
}

/* An ACK rides along whenever something is unacknowledged. */
static bool write_ack(struct vly_conn *c, struct build *b)
{
    struct vly_ack_fields fields;
    struct vly_wr before = b->w;

    if (vly_ackset_due_ns(&c->ackset, c->sh->config.max_ack_delay_ns) == VLY_NEVER ||
        !vly_ackset_fields(&c->ackset, b->now_ns, &fields))
        return false;
    fields.kernel_drops = c->kernel_drops;
    vly_frame_ack_encode(&b->w, &fields);
    if (b->w.failed) {
        b->w = before;
        return false;
    }
    frame_done(b, before.pos);
    vly_recv_keys_on_ack_sent(c->recv_keys, fields.ranges[fields.n_ranges - 1].end - 1);
    return true;
}

/* SPEC 3.2: an answer waits neither for the window nor for the pacer, and whoever asked asks again
 * when it is lost. */
static bool write_path_response(struct vly_conn *c, struct build *b)
{
    if (!c->path_response_pending || vly_wr_room(&b->w) < 9)
        return false;
    vly_frame_path_encode(&b->w, VLY_FRAME_PATH_RESPONSE, c->path_response);
    b->frames_sent[VLY_FRAME_PATH_RESPONSE]++;
    c->path_response_pending = false;
    return true;
}

uint64_t vly_conn_floor_due_pn(const struct vly_conn *c)
{
    return c->log.oldest > c->floor_sent ? c->floor_pn + VLY_FLOOR_EVERY_PKTS : UINT64_MAX;
}

/* SPEC 4.3: so that the receiver can forget. Stands before the data, which leaves no room. */
static bool write_floor(struct vly_conn *c, struct build *b)
{
    if (vly_conn_floor_due_pn(c) > c->log.next || vly_wr_room(&b->w) < 9)
        return false;
    vly_frame_floor_encode(&b->w, c->log.oldest);
    return true;
}

static void floor_sent(struct vly_conn *c, struct build *b, uint64_t pn)
{
    b->frames_sent[VLY_FRAME_FLOOR]++;
    c->floor_pn = pn;
    c->floor_sent = c->log.oldest;
}

/* ---- packets ---- */

/* SPEC 5.5, RULE 17: leaves a number out now and then, so that an ACK of what was never sent shows.
 */
static void maybe_skip(struct vly_conn *c, uint64_t now_ns)
{
    uint32_t r;
    uint64_t spacing;

    if (c->log.next < c->skip_at_pn || vly_sentlog_reserve(&c->log, 0) != 0)
        return;
    c->sh->crypto->random(c->sh->crypto->random_ctx, &r, sizeof(r));
    spacing = 2 * c->log.in_flight_pkts;
    if (spacing < VLY_SKIP_MIN_PKTS)
        spacing = VLY_SKIP_MIN_PKTS;
    (void)vly_sentlog_append(&c->log, VLY_SENT_SKIPPED, now_ns, 0);
    c->skip_at_pn = c->log.next + spacing + r % spacing;
}

void vly_conn_counted_sent(struct vly_conn *c, uint32_t bytes, uint64_t now_ns)
{
    c->loss.last_counted_ns = now_ns;
    c->cc.ops->on_sent(&c->cc, now_ns, bytes);
    vly_pacer_on_sent(&c->pacer, bytes);
    if (c->prr.active)
        vly_prr_on_sent(&c->prr, bytes);
    if (c->unanswered_ns == VLY_NEVER)
        c->unanswered_ns = now_ns;
    if (c->log.in_flight_bytes > c->stats.in_flight_max_bytes)
        c->stats.in_flight_max_bytes = c->log.in_flight_bytes;
}

/* The packet is complete: gives it its entry in the log. */
static void packet_record(struct vly_conn *c, const struct build *b, uint32_t bytes)
{
    uint64_t abc[3] = {c->log.next, bytes, c->log.in_flight_bytes};
    enum vly_sent_state state = b->counted ? VLY_SENT_IN_FLIGHT : VLY_SENT_UNCOUNTED;
    uint64_t in_flight = c->log.in_flight_bytes;
    struct vly_sent *s = vly_sentlog_append(&c->log, state, b->now_ns, bytes);

    vly_conn_trace(c, VLY_TRACE_PACKET_SENT, b->now_ns, abc);
    if (!b->counted)
        return;
    for (unsigned i = 0; i < b->n_items; i++)
        vly_sentlog_add_item(&c->log, s, &b->items[i]);
    s->ect = !c->ecn.off;
    c->stats.retransmits += b->repeats ? 1 : 0;
    vly_rate_on_sent(&c->rate, b->now_ns, in_flight, &s->rate);
    vly_conn_counted_sent(c, bytes, b->now_ns);
    if (c->probes > 0) {
        c->probes--;
        c->stats.probes_sent++;
    }
}

/* Nearly full with more to come: filled up, so that all packets of a batch have one size. */
static void packet_fill_up(const struct vly_conn *c, struct build *b)
{
    size_t room = vly_wr_room(&b->w);

    if (!b->counted || room == 0 || room > 2 * STREAM_PIECE_MIN || c->streams.queue_head == NULL)
        return;
    memset(b->w.pos, VLY_FRAME_PADDING, room);
    b->frames_sent[VLY_FRAME_PADDING] += room; /* one byte each */
    b->w.pos += room;
}

/* Gives the next packet its number and key phase. Fails the connection when there is no memory
 * (RULE 40), or when the key was used too often (RULE 12): its last number is for the CLOSE. */
static bool packet_begin(struct vly_conn *c, uint64_t now_ns, struct vly_data_header *h)
{
    int err = vly_sentlog_reserve(&c->log, 1);

    if (err == VLY_E_LIMIT)
        return false;
    *h = (struct vly_data_header){.cid = c->peer_cid, .pn = c->log.next};
    if (err == 0)
        err =
            vly_send_keys_is_last(c->send_keys, h->pn) ? VLY_E_LIMIT : vly_conn_begin_packet(c, h);
    if (err != 0)
        vly_conn_fail(c, err, err == VLY_E_LIMIT ? VLY_CLOSE_AEAD_LIMIT : VLY_CLOSE_NO_MEMORY,
                      now_ns);
    return err == 0;
}

/* Builds the next packet of the batch; returns its size, 0 when there is nothing to say. */
static size_t packet_build(struct vly_conn *c, struct vly_batch *batch, bool may_count,
                           struct build *b)
{
    bool ack_written, answered, floor_written = false;
    struct vly_data_header header;

    b->n_items = 0;
    b->counted = b->repeats = false;
    b->lent.len = 0;
    if (may_count)
        maybe_skip(c, b->now_ns);
    if (!packet_begin(c, b->now_ns, &header))
        return 0;
    b->w = vly_conn_clear(c, batch->len, c->datagram_bytes);
    vly_data_header_encode(&b->w, &header);
    ack_written = write_ack(c, b);
    answered = write_path_response(c, b);
    if (may_count) {
        floor_written = write_floor(c, b);
        write_conn_control(c, b);
        write_streams(c, b);
        if (!b->counted && c->probes > 0)
            write_probe(c, b);
    }
    if (!b->counted && !ack_written && !answered)
        return 0;
    if (floor_written)
        floor_sent(c, b, header.pn);
    packet_fill_up(c, b);
    if (ack_written) {
        vly_ackset_sent(&c->ackset);
        c->stats.acks_sent++;
    }
    if (b->lent.len > 0 && b->lent_to + b->lent.len != b->w.pos)
        lent_copy(b); /* something follows it */
    vly_conn_seal_later(c, header.pn, &b->w, b->lent, batch->data + batch->len);
    packet_record(c, b, (uint32_t)vly_wr_len(&b->w));
    return vly_wr_len(&b->w);
}

/* ---- batches ---- */

/* `n` packets more, of `each` bytes. */
static void batch_add(struct vly_batch *b, size_t each, unsigned n)
{
    if (b->n == 0)
        b->segment_bytes = each;
    b->n += n;
    b->len += n * each;
}

/* Puts the time since sending last stopped down to its cause. */
static void blocked_end(struct vly_conn *c, uint64_t now_ns)
{
    uint64_t ns = vly_time_since(now_ns, c->blocked_since_ns);

    switch (c->blocked) {
    case VLY_BLOCKED_APP:
        c->stats.limited_app_ns += ns;
        break;
    case VLY_BLOCKED_CWND:
        c->stats.limited_cwnd_ns += ns;
        break;
    case VLY_BLOCKED_FLOW:
        c->stats.limited_flow_ns += ns;
        break;
    case VLY_BLOCKED_PACING:
        c->stats.limited_pacing_ns += ns;
        break;
    }
    c->blocked_since_ns = now_ns;
}

static void blocked_begin(struct vly_conn *c, enum vly_blocked why, uint64_t now_ns)
{
    c->blocked = why;
    c->blocked_since_ns = now_ns;
    /* Pacing only spreads a window that is being used; far below it, something else is the limit
     * (RULE 27). */
    if (why == VLY_BLOCKED_CWND ||
        (why == VLY_BLOCKED_PACING && 2 * c->log.in_flight_bytes >= c->cc.cwnd_bytes))
        c->cwnd_limited_ns = now_ns;
    if (why == VLY_BLOCKED_APP)
        vly_rate_on_app_limited(&c->rate, c->log.in_flight_bytes);
}

/* Whether a counted packet may go now; when not, notes why. */
static bool may_count_now(struct vly_conn *c, uint64_t now_ns, enum vly_blocked *why)
{
    *why = c->flow_blocked ? VLY_BLOCKED_FLOW : VLY_BLOCKED_APP;
    if (!has_content(c))
        return false;
    if (!window_allows(c)) {
        *why = VLY_BLOCKED_CWND;
        return false;
    }
    *why = VLY_BLOCKED_PACING;
    return pacing_allows(c, now_ns);
}

static bool send_data(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns)
{
    unsigned max = c->sh->max_batch_pkts;
    enum vly_blocked why = VLY_BLOCKED_APP;
    struct build build = {.now_ns = now_ns, .frames_sent = c->stats.frames_sent};
    bool stopped = false;

    if (c->log.next > VLY_VARINT_MAX - NUMBERS_LEFT_MIN) {
        vly_conn_fail(c, VLY_E_LIMIT, VLY_CLOSE_INTERNAL, now_ns);
        return false;
    }
    c->pacing_due_ns = VLY_NEVER;
    if (c->log.in_flight_pkts == 0 && vly_send_keys_wants_ack(c->send_keys, c->log.next))
        c->ping_pending = true;
    while (b->n < max && b->len + c->datagram_bytes <= sizeof(b->data)) {
        bool may_count = may_count_now(c, now_ns, &why);
        bool ack_due = vly_ackset_due_ns(&c->ackset, c->sh->config.max_ack_delay_ns) <= now_ns;
        unsigned run = may_count ? vly_conn_send_run(c, b, now_ns) : 0;
        size_t len = 0;

        if (run > 0) {
            blocked_end(c, now_ns);
            batch_add(b, c->datagram_bytes, run);
            continue;
        }
        if (may_count || ack_due || c->path_response_pending)
            len = packet_build(c, b, may_count, &build);
        if (build.counted)
            blocked_end(c, now_ns);
        if (len == 0) {
            if (may_count)
                why = c->flow_blocked ? VLY_BLOCKED_FLOW : VLY_BLOCKED_APP;
            stopped = true;
            break;
        }
        batch_add(b, len, 1);
        if (len < c->datagram_bytes)
            break;
    }
    if (b->n > 0 && (b->n == max || b->len + c->datagram_bytes > sizeof(b->data)))
        vly_pacer_on_full_batch(&c->pacer, b->len);
    if (stopped && b->n == 0)
        blocked_end(c, now_ns);
    if (stopped)
        blocked_begin(c, why, now_ns);
    vly_conn_seal_batch(c, b);
    b->ecn = c->ecn.off ? VLY_ECN_NONE : VLY_ECN_ECT0;
    if (b->n > 0 && vly_conn_offer_room(c) != 0)
        vly_conn_fail(c, VLY_E_NOMEM, VLY_CLOSE_NO_MEMORY, now_ns);
    return b->n > 0;
}

/* Handshake packets carry plain's tag in all suites. */
static void handshake_packet_done(struct vly_conn *c, struct vly_batch *b, const struct vly_wr *w)
{
    size_t len = vly_wr_len(w);

    assert(!w->failed);
    vly_seal_one(c->sh->crypto->plain, NULL, 0, b->data, len, len);
    batch_add(b, len + VLY_TAG_BYTES, 1);
    c->stats.packets_sent++;
    c->stats.bytes_sent += b->len;
}

static bool send_hello(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns)
{
    struct vly_wr w = vly_wr_init(b->data, sizeof(b->data));

    if (c->hello_due_ns > now_ns)
        return false;
    vly_conn_write_hello(c, &w);
    handshake_packet_done(c, b, &w);
    c->hello_due_ns = now_ns + VLY_HELLO_TIMER_NS;
    if (c->cookie_len > 0)
        vly_conn_flight_sent(c, now_ns);
    return true;
}

static bool send_finish(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns)
{
    struct vly_wr w = vly_wr_init(b->data, sizeof(b->data));

    vly_conn_write_finish(c, &w);
    handshake_packet_done(c, b, &w);
    c->hello_due_ns = now_ns + VLY_HELLO_TIMER_NS;
    return true;
}

static bool send_accept(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns)
{
    struct vly_wr w = vly_wr_init(b->data, sizeof(b->data));

    c->accept_pending = false;
    vly_conn_flight_sent(c, now_ns);
    vly_conn_write_accept(c, &w);
    handshake_packet_done(c, b, &w);
    return true;
}

/* SPEC 7: at once, and 50, 100 and 200 ms later. */
static bool send_close(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns)
{
    struct vly_wr w = vly_conn_clear(c, 0, c->datagram_bytes);
    struct vly_data_header header = {.cid = c->peer_cid, .pn = c->log.next};

    if (!c->close_pending)
        return false;
    c->close_pending = false;
    if (c->log.next > VLY_VARINT_MAX || vly_sentlog_reserve(&c->log, 0) != 0 ||
        vly_conn_begin_packet(c, &header) != 0)
        return false;
    (void)vly_sentlog_append(&c->log, VLY_SENT_UNCOUNTED, now_ns, 0);
    vly_data_header_encode(&w, &header);
    vly_conn_write_close(c, &w);
    vly_conn_seal_later(c, header.pn, &w, (struct vly_span){0}, b->data);
    vly_conn_seal(c);
    batch_add(b, vly_wr_len(&w), 1);
    if (c->close_due_ns == VLY_NEVER && c->close_sent < 3)
        c->close_due_ns = c->close_until_ns - VLY_CLOSE_LINGER_NS + (VLY_MS(50) << c->close_sent++);
    return true;
}

bool vly_conn_send(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns)
{
    b->to = c->peer;
    b->cid = c->cid;
    b->ecn = VLY_ECN_NONE;
    if (c->accept_pending)
        return send_accept(c, b, now_ns);
    if (c->send_keys != NULL && c->hello_due_ns <= now_ns && c->state != VLY_STATE_CLOSED)
        return send_finish(c, b, now_ns);
    switch (c->state) {
    case VLY_STATE_HELLO_SENT:
    case VLY_STATE_COOKIE_SENT:
        return send_hello(c, b, now_ns);
    case VLY_STATE_OPEN:
        return vly_conn_path_send(c, b, now_ns) || vly_conn_pmtud_send(c, b, now_ns) ||
               send_data(c, b, now_ns);
    case VLY_STATE_CLOSING:
        return send_close(c, b, now_ns);
    case VLY_STATE_ACCEPTED:
    case VLY_STATE_CLOSED:
        break;
    }
    return false;
}
