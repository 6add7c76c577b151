/*
 * conn_ack - what an ACK settles: packets, streams, the round-trip time, loss, the congestion
 * window. SPEC 5.
 *
 * Cost: by what is newly acknowledged and by the ranges in the frame, never by how wide a range
 * claims to be (RULE 19).
 */
#include "conn_internal.h"

/* What one ACK adds up to. */
struct ack_sum {
    uint64_t now_ns;
    uint64_t acked_bytes;
    uint64_t newest_sent_ns; /* of the newly acknowledged */
    uint64_t newly_ect;
    uint64_t in_flight_before_bytes;
    uint64_t spurious_pkts;
    bool any; /* a counted packet was newly acknowledged */
    bool undo;
    bool has_rtt;
    uint64_t rtt_ns;
    /* Data of one stream in a row, acknowledged but not settled yet; len 0: none. */
    uint64_t data_stream;
    struct vly_send_piece data;
};

static int data_lost(struct vly_stream *s, const struct vly_send_piece *piece)
{
    int err = s->send_state == VLY_SEND_OPEN ? vly_sendbuf_on_lost(&s->send, piece) : 0;

    return err == VLY_E_LIMIT ? VLY_E_NOMEM : err; /* else data would be lost track of */
}

static int data_acked(struct vly_conn *c, uint64_t stream, const struct vly_send_piece *piece)
{
    struct vly_stream *s = vly_streams_find(&c->streams, stream);
    uint64_t held;
    int err;

    if (s == NULL || s->send_state != VLY_SEND_OPEN)
        return 0;
    held = vly_sendbuf_held_bytes(&s->send);
    err = vly_sendbuf_on_acked(&s->send, piece);
    if (err == VLY_E_LIMIT) { /* too scattered to note: it is sent once more */
        vly_streams_push(&c->streams, s);
        return data_lost(s, piece);
    }
    if (err != 0)
        return err;
    c->send_held_bytes -= held - vly_sendbuf_held_bytes(&s->send);
    if (!vly_sendbuf_is_done(&s->send))
        return 0;
    s->send_state = VLY_SEND_DONE;
    err = vly_conn_event(c, VLY_EV_STREAM_ACKED, s->id, s->send.end);
    if (err == 0)
        vly_conn_sweep_stream(c, s);
    return err;
}

static struct vly_send_piece piece_of(const struct vly_sent_item *item)
{
    return (struct vly_send_piece){item->offset, item->len, item->fin};
}

static int item_acked(struct vly_conn *c, const struct vly_sent_item *item)
{
    struct vly_send_piece piece = piece_of(item);
    struct vly_stream *s;

    switch ((enum vly_sent_kind)item->kind) {
    case VLY_ITEM_STREAM:
        return data_acked(c, item->stream, &piece);
    case VLY_ITEM_RESET:
        s = vly_streams_find(&c->streams, item->stream);
        if (s != NULL && s->send_state == VLY_SEND_RESET) {
            s->need_reset = false;
            s->send_state = VLY_SEND_DONE;
            vly_conn_sweep_stream(c, s);
        }
        break;
    case VLY_ITEM_STOP:
        s = vly_streams_find(&c->streams, item->stream);
        if (s != NULL)
            s->need_stop = false;
        break;
    case VLY_ITEM_MAX_STREAM_DATA:
    case VLY_ITEM_MAX_DATA:
    case VLY_ITEM_MAX_STREAMS:
    case VLY_ITEM_NONE:
        break;
    }
    return 0;
}

/* What a lost packet carried goes out again, if it still matters. */
static int item_lost(struct vly_conn *c, const struct vly_sent_item *item)
{
    struct vly_send_piece piece = piece_of(item);
    struct vly_stream *s = NULL;
    int err = 0;

    if (item->kind != VLY_ITEM_MAX_DATA && item->kind != VLY_ITEM_MAX_STREAMS) {
        s = vly_streams_find(&c->streams, item->stream);
        if (s == NULL)
            return 0;
    }
    switch ((enum vly_sent_kind)item->kind) {
    case VLY_ITEM_STREAM:
        err = data_lost(s, &piece);
        break;
    case VLY_ITEM_RESET:
        s->need_reset = s->send_state == VLY_SEND_RESET;
        break;
    case VLY_ITEM_STOP:
        s->need_stop = s->recv_state == VLY_RECV_STOPPED;
        break;
    case VLY_ITEM_MAX_STREAM_DATA:
        s->need_max = s->recv_state == VLY_RECV_OPEN;
        break;
    case VLY_ITEM_MAX_DATA:
        c->need_max_data = true;
        break;
    case VLY_ITEM_MAX_STREAMS:
        c->need_max_streams = true;
        break;
    case VLY_ITEM_NONE:
        break;
    }
    if (s != NULL && (vly_stream_has_control(s) || vly_sendbuf_has_pending(&s->send)))
        vly_streams_push(&c->streams, s);
    return err;
}

static int items_each(struct vly_conn *c, const struct vly_sent *sent,
                      int (*each)(struct vly_conn *, const struct vly_sent_item *))
{
    const struct vly_sent_item *item = &sent->item;

    if (item->kind == VLY_ITEM_NONE)
        return 0;
    for (; item != NULL; item = vly_sentlog_next_item(&c->log, item)) {
        int err = each(c, item);

        if (err != 0)
            return err;
    }
    return 0;
}

/* Settles the data that was put together. */
static int data_flush(struct vly_conn *c, struct ack_sum *sum)
{
    int err = sum->data.len > 0 ? data_acked(c, sum->data_stream, &sum->data) : 0;

    sum->data.len = 0;
    return err;
}

/* Packets in a row mostly carry data in a row: it is settled as one. */
static int data_add(struct vly_conn *c, const struct vly_sent_item *item, struct ack_sum *sum)
{
    struct vly_send_piece *data = &sum->data;
    int err;

    if (data->len > 0 && item->stream == sum->data_stream && !data->fin &&
        item->offset == data->offset + data->len) {
        data->len += item->len;
        data->fin = item->fin;
        return 0;
    }
    err = data_flush(c, sum);
    if (err != 0 || item->len == 0)
        return err != 0 ? err : item_acked(c, item);
    sum->data_stream = item->stream;
    *data = piece_of(item);
    return 0;
}

static int packet_acked(struct vly_conn *c, struct vly_sent *s, uint64_t pn, struct ack_sum *sum)
{
    uint64_t abc[3] = {pn, s->bytes, sum->now_ns - s->sent_ns};
    int err;

    sum->any = true;
    sum->acked_bytes += s->bytes;
    sum->newly_ect += s->ect ? 1 : 0;
    if (s->sent_ns > sum->newest_sent_ns)
        sum->newest_sent_ns = s->sent_ns;
    vly_conn_trace(c, VLY_TRACE_PACKET_ACKED, sum->now_ns, abc);
    vly_pmtud_note_acked(&c->pmtud, pn, s->bytes);
    vly_rate_on_acked(&c->rate, sum->now_ns, s->sent_ns, s->bytes, &s->rate);
    if (vly_loss_on_acked(&c->loss, s->sent_ns))
        vly_prr_end(&c->prr);
    if (s->item.kind == VLY_ITEM_STREAM && s->item.next == 0)
        err = data_add(c, &s->item, sum);
    else
        err = items_each(c, s, item_acked);
    vly_sentlog_settle(&c->log, s, VLY_SENT_ACKED);
    return err;
}

/* RULE 23: the packet arrived after all. */
static int packet_spurious(struct vly_conn *c, struct vly_sent *s, uint64_t pn, struct ack_sum *sum)
{
    uint64_t abc[3] = {pn, s->bytes, sum->now_ns - s->sent_ns};
    int err;

    c->stats.spurious_losses++;
    sum->spurious_pkts++;
    vly_conn_trace(c, VLY_TRACE_PACKET_SPURIOUS, sum->now_ns, abc);
    if (vly_loss_on_spurious(&c->loss, s, &c->rtt, sum->now_ns))
        sum->undo = true;
    err = items_each(c, s, item_acked);
    vly_sentlog_settle(&c->log, s, VLY_SENT_ACKED);
    return err;
}

static int number_acked(struct vly_conn *c, uint64_t pn, struct ack_sum *sum, uint64_t *code)
{
    struct vly_sent *s = vly_sentlog_at(&c->log, pn);

    switch ((enum vly_sent_state)s->state) {
    case VLY_SENT_IN_FLIGHT:
        return packet_acked(c, s, pn, sum);
    case VLY_SENT_LOST:
        return packet_spurious(c, s, pn, sum);
    case VLY_SENT_SKIPPED: /* RULE 17: it was never sent */
        *code = VLY_CLOSE_PROTOCOL_VIOLATION;
        return VLY_E_PROTOCOL;
    case VLY_SENT_PROBE:
        s->state = VLY_SENT_ACKED;
        vly_conn_pmtud_acked(c, pn, sum->now_ns);
        break;
    case VLY_SENT_UNCOUNTED:
        s->state = VLY_SENT_ACKED;
        break;
    case VLY_SENT_ACKED:
        break;
    }
    return 0;
}

static int range_acked(struct vly_conn *c, struct vly_range range, struct ack_sum *sum,
                       uint64_t *code)
{
    struct vly_range gap;
    uint64_t at = range.begin > c->log.oldest ? range.begin : c->log.oldest;

    while (at < range.end && vly_rangeset_next_gap(&c->log.acked, at, range.end, &gap)) {
        for (uint64_t pn = gap.begin; pn < gap.end; pn++) {
            int err = number_acked(c, pn, sum, code);

            if (err != 0)
                return err;
        }
        at = gap.end;
    }
    if (range.end > c->log.oldest)
        vly_sentlog_mark_acked(&c->log, range.begin > c->log.oldest ? range.begin : c->log.oldest,
                               range.end);
    return 0;
}

/* The largest number gives the sample, when it is news and was counted (RULE 20). */
static void rtt_prepare(struct vly_conn *c, const struct vly_ack *ack, struct ack_sum *sum)
{
    const struct vly_sent *s = vly_sentlog_at(&c->log, ack->largest);

    if (s == NULL || s->state == VLY_SENT_SKIPPED)
        return;
    sum->has_rtt = s->state == VLY_SENT_IN_FLIGHT;
    sum->rtt_ns = vly_time_since(sum->now_ns, s->sent_ns);
    vly_loss_on_largest_acked(&c->loss, ack->largest, s->sent_ns);
}

static void rtt_take(struct vly_conn *c, const struct vly_ack *ack, const struct ack_sum *sum)
{
    uint64_t delay_us = ack->delay_us;

    if (!sum->has_rtt)
        return;
    if (delay_us > c->peer_params.max_ack_delay_us)
        delay_us = c->peer_params.max_ack_delay_us;
    vly_rtt_on_sample(&c->rtt, sum->rtt_ns, delay_us * VLY_US(1));
}

/* A new episode begins: the controller reduces, PRR paces the way down. */
static void congestion(struct vly_conn *c, const struct vly_loss_sample *sample, uint64_t now_ns)
{
    uint64_t abc[3];

    c->stats.congestion_events++;
    if (sample->persistent)
        c->stats.persistent_congestions++;
    c->cc.ops->on_loss(&c->cc, now_ns, sample);
    vly_prr_end(&c->prr);
    if (!sample->persistent && c->cc.ssthresh_bytes < sample->in_flight_bytes)
        vly_prr_begin(&c->prr, sample->in_flight_bytes, c->datagram_bytes);
    abc[0] = c->cc.cwnd_bytes;
    abc[1] = c->cc.ssthresh_bytes;
    abc[2] = sample->persistent;
    vly_conn_trace(c, VLY_TRACE_CONGESTION, now_ns, abc);
    vly_conn_pmtud_fit(c);
}

static int packet_lost(struct vly_conn *c, struct vly_sent *s, uint64_t pn, uint64_t now_ns)
{
    uint64_t abc[3] = {pn, s->bytes, c->log.in_flight_bytes};

    c->stats.lost_packets++;
    vly_conn_trace(c, VLY_TRACE_PACKET_LOST, now_ns, abc);
    s->episode = c->loss.episode;
    c->loss.episode_lost_pkts++;
    return items_each(c, s, item_lost);
}

int vly_conn_detect_loss(struct vly_conn *c, uint64_t acked_bytes, uint64_t now_ns)
{
    struct vly_loss_sample sample = {.in_flight_bytes = c->log.in_flight_bytes + acked_bytes};
    uint64_t max_delay_ns = c->peer_params.max_ack_delay_us * VLY_US(1);
    bool new_episode = false, black_hole = false;
    struct vly_sent *s;
    uint64_t pn;

    vly_loss_begin_pass(&c->loss);
    while ((s = vly_loss_next(&c->loss, &c->log, &c->rtt, now_ns, &pn)) != NULL) {
        int err;

        sample.lost_bytes += s->bytes;
        if (vly_loss_on_congestion(&c->loss, s->sent_ns, now_ns))
            new_episode = true;
        if (vly_pmtud_note_lost(&c->pmtud, pn, s->bytes, s->sent_ns,
                                vly_rtt_pto_ns(&c->rtt, max_delay_ns)))
            black_hole = true;
        err = packet_lost(c, s, pn, now_ns);
        if (err != 0)
            return err;
    }
    if (black_hole)
        vly_conn_pmtud_fall_back(c, now_ns);
    sample.persistent = vly_loss_is_persistent(&c->loss, &c->rtt, max_delay_ns);
    if (new_episode || sample.persistent)
        congestion(c, &sample, now_ns);
    if (c->prr.active && (acked_bytes > 0 || sample.lost_bytes > 0))
        vly_prr_on_ack(&c->prr, acked_bytes, sample.lost_bytes, c->log.in_flight_bytes,
                       c->cc.ssthresh_bytes, c->datagram_bytes);
    return 0;
}

int vly_conn_lose_in_flight(struct vly_conn *c, uint64_t now_ns)
{
    struct vly_sent *s;
    uint64_t pn;
    int err = 0;

    while (err == 0 && (s = vly_sentlog_lowest(&c->log, c->log.next, &pn)) != NULL) {
        vly_sentlog_settle(&c->log, s, VLY_SENT_LOST);
        err = packet_lost(c, s, pn, now_ns);
    }
    return err;
}

static void ecn_take(struct vly_conn *c, const struct vly_ack *ack, const struct ack_sum *sum)
{
    uint64_t counts[3] = {ack->ect0, ack->ect1, ack->ce};
    uint64_t new_ce = vly_ecn_on_ack(&c->ecn, sum->newly_ect, ack->has_ecn, counts);

    if (new_ce == 0)
        return;
    c->stats.ecn_ce += new_ce;
    if (vly_loss_on_congestion(&c->loss, sum->newest_sent_ns, sum->now_ns)) {
        struct vly_loss_sample sample = {.in_flight_bytes = sum->in_flight_before_bytes,
                                         .ecn = true};

        congestion(c, &sample, sum->now_ns);
    }
    c->loss.episode_lost_pkts++; /* one that never turns out spurious: no undo (RULE 23) */
}

/* All losses of the episode were reordering: as if it had not been. */
static void undo(struct vly_conn *c, uint64_t now_ns)
{
    uint64_t abc[3];

    c->stats.undos++;
    c->loss.in_recovery = false;
    vly_prr_end(&c->prr);
    c->cc.ops->on_undo(&c->cc, now_ns);
    abc[0] = c->cc.cwnd_bytes;
    abc[1] = c->cc.ssthresh_bytes;
    abc[2] = c->loss.episode_lost_pkts;
    vly_conn_trace(c, VLY_TRACE_UNDO, now_ns, abc);
}

static void window_update(struct vly_conn *c, const struct ack_sum *sum)
{
    struct vly_rate_sample rate = vly_rate_finish(&c->rate, c->rtt.min_ns);
    struct vly_ack_sample sample = {
        .acked_bytes = sum->acked_bytes,
        .in_flight_bytes = sum->in_flight_before_bytes,
        .largest_sent_ns = sum->newest_sent_ns,
        .latest_rtt_ns = sum->has_rtt ? c->rtt.latest_ns : 0,
        .smoothed_rtt_ns = c->rtt.smoothed_ns,
        .min_rtt_ns = c->rtt.min_ns,
        .rate_bytes_per_s = rate.bytes_per_s,
        .rate_app_limited = rate.app_limited,
        .cwnd_limited = c->cwnd_limited_ns >= sum->newest_sent_ns, /* RULE 27 */
        .in_recovery = c->loss.in_recovery,
    };
    uint64_t abc[3];

    if (rate.bytes_per_s > 0) {
        c->delivery_bytes_per_s = rate.bytes_per_s;
        sample.round_start = rate.prior_delivered_bytes >= c->round_delivered;
        if (sample.round_start)
            c->round_delivered = c->rate.delivered_bytes;
    }
    c->cc.ops->on_ack(&c->cc, sum->now_ns, &sample);
    vly_conn_pmtud_fit(c);
    abc[0] = c->cc.cwnd_bytes;
    abc[1] = c->log.in_flight_bytes;
    abc[2] = c->rtt.smoothed_ns;
    vly_conn_trace(c, VLY_TRACE_METRICS, sum->now_ns, abc);
}

static int ack_settle(struct vly_conn *c, const struct vly_ack *ack, struct ack_sum *sum)
{
    int err;

    rtt_take(c, ack, sum);
    if (sum->undo)
        undo(c, sum->now_ns);
    if (sum->any) {
        c->loss.pto_count = 0;
        c->probes = 0;
        ecn_take(c, ack, sum);
    }
    err = vly_conn_detect_loss(c, sum->acked_bytes, sum->now_ns);
    if (err != 0)
        return err;
    if (sum->any)
        window_update(c, sum);
    vly_sentlog_trim(
        &c->log, sum->now_ns > 4 * c->rtt.smoothed_ns ? sum->now_ns - 4 * c->rtt.smoothed_ns : 0);
    vly_sentlog_check(&c->log);
    return vly_conn_offer_room(c);
}

int vly_conn_on_ack(struct vly_conn *c, const struct vly_ack *ack, uint64_t now_ns, uint64_t *code)
{
    struct ack_sum sum = {.now_ns = now_ns, .in_flight_before_bytes = c->log.in_flight_bytes};
    struct vly_ack_iter it;
    struct vly_range range;

    if (ack->largest >= c->log.next) { /* RULE 17 */
        *code = VLY_CLOSE_PROTOCOL_VIOLATION;
        return VLY_E_PROTOCOL;
    }
    c->stats.acks_received++;
    if (ack->kernel_drops > c->stats.kernel_drops_peer)
        c->stats.kernel_drops_peer = ack->kernel_drops;
    rtt_prepare(c, ack, &sum);
    vly_ack_iter_init(&it, ack);
    while (vly_ack_next(&it, &range)) {
        int err;

        if (range.end <= c->log.oldest)
            break; /* they descend: the rest is settled */
        err = range_acked(c, range, &sum, code);
        if (err == 0)
            err = data_flush(c, &sum); /* the next range lies below */
        if (err != 0)
            return err;
    }
    vly_send_keys_on_ack(c->send_keys, ack->largest);
    vly_pmtud_on_heard(&c->pmtud, ack->largest);
    if (!sum.any && sum.spurious_pkts == 0)
        return 0;
    return ack_settle(c, ack, &sum);
}
