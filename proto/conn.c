/*
 * conn - lifecycle, timers and the application's calls.
 *
 * A call of the application changes state and puts the connection on the endpoint's ready list;
 * what is to be sent is found by conn_send.c.
 */
#include "conn_internal.h"
#include "num.h"

#include <assert.h>
#include <string.h>

static void conn_init_limits(struct vly_conn *c, uint64_t now_ns)
{
    const struct vly_conn_config *cfg = &c->sh->config;
    uint64_t window_max = cfg->window_max_bytes;

    vly_flow_recv_init(&c->recv_credit, cfg->window_bytes, window_max, now_ns);
    c->our_max_streams = cfg->max_streams;
    c->next_id[VLY_CLIENT] = 0;
    c->next_id[VLY_SERVER] = 1;
}

int vly_conn_new(struct vly_conn **out, struct vly_shared *sh, enum vly_role role,
                 const struct vly_addr *peer, uint64_t now_ns)
{
    const struct vly_conn_config *cfg = &sh->config;
    struct vly_conn *c = sh->alloc->resize(sh->alloc->ctx, NULL, 0, sizeof(*c));
    uint32_t skip;

    *out = NULL;
    if (c == NULL)
        return VLY_E_NOMEM;
    memset(c, 0, sizeof(*c));
    c->sh = sh;
    c->role = role;
    c->state = role == VLY_CLIENT ? VLY_STATE_HELLO_SENT : VLY_STATE_ACCEPTED;
    c->peer = *peer;
    c->start_ns = c->last_received_ns = c->blocked_since_ns = now_ns;
    c->hello_due_ns = role == VLY_CLIENT ? now_ns : VLY_NEVER;
    c->suite = sh->credentials == NULL ? sh->crypto->plain : sh->crypto->sealed[0];
    vly_params_init(&c->peer_params);
    vly_ackset_init(&c->ackset);
    vly_sentlog_init(&c->log, sh->alloc, cfg->first_pn);
    vly_rtt_init(&c->rtt);
    vly_loss_init(&c->loss);
    vly_rate_init(&c->rate, now_ns);
    c->datagram_bytes = cfg->max_datagram_bytes;
    vly_pmtud_init(&c->pmtud, c->datagram_bytes, 0); /* before the peer's limit is known */
    vly_cc_init(&c->cc, cfg->cc, c->datagram_bytes, cfg->rate_bytes_per_s, now_ns);
    vly_pacer_init(&c->pacer, now_ns);
    vly_streams_init(&c->streams, sh->alloc);
    conn_init_limits(c, now_ns);
    sh->crypto->random(sh->crypto->random_ctx, &skip, sizeof(skip));
    c->skip_at_pn = cfg->first_pn + VLY_SKIP_MIN_PKTS + skip % VLY_SKIP_MIN_PKTS;
    c->floor_pn = c->floor_sent = cfg->first_pn;
    c->unanswered_ns = c->last_keepalive_ns = c->pacing_due_ns = VLY_NEVER;
    c->close_due_ns = c->close_until_ns = VLY_NEVER;
    c->deadline_ns = VLY_NEVER;
    c->heap_index = SIZE_MAX;
    *out = c;
    return 0;
}

void vly_conn_free(struct vly_conn *c)
{
    const struct vly_alloc *alloc = c->sh->alloc;

    vly_conn_drop_message(c);
    vly_handshake_free(c->handshake);
    vly_send_keys_free(c->send_keys);
    vly_recv_keys_free(c->recv_keys);
    vly_streams_fini(&c->streams);
    vly_sentlog_fini(&c->log);
    alloc->resize(alloc->ctx, c, sizeof(*c), 0);
}

void vly_conn_trace(const struct vly_conn *c, enum vly_trace_type type, uint64_t now_ns,
                    const uint64_t abc[3])
{
    const struct vly_trace *t = &c->sh->trace;

    if (t->on_event == NULL)
        return;
    t->on_event(
        t->ctx,
        &(struct vly_trace_event){
            .type = type, .time_ns = now_ns, .cid = c->cid, .a = abc[0], .b = abc[1], .c = abc[2]});
}

int vly_conn_event(struct vly_conn *c, enum vly_event_type type, uint64_t stream, uint64_t offset)
{
    return vly_events_push(c->sh, &(struct vly_queued_event){
                                      .type = type, .conn = c, .stream = stream, .offset = offset});
}

void vly_conn_our_params(const struct vly_conn *c, struct vly_params *out)
{
    const struct vly_conn_config *cfg = &c->sh->config;

    vly_params_init(out);
    out->max_data_bytes = cfg->window_bytes;
    out->max_stream_data_bytes = cfg->window_bytes;
    out->max_streams = cfg->max_streams;
    out->idle_timeout_ms = cfg->idle_timeout_ns / VLY_MS(1);
    out->max_ack_delay_us = cfg->max_ack_delay_ns / VLY_US(1);
    out->max_datagram_bytes = cfg->announced_datagram_bytes;
    if (c->role == VLY_SERVER) {
        out->has_reset_token = true;
        memcpy(out->reset_token, c->reset_token, sizeof(out->reset_token));
    }
    out->application_len = (uint8_t)strlen(cfg->application);
    memcpy(out->application, cfg->application, out->application_len);
}

void vly_conn_apply_params(struct vly_conn *c, uint64_t now_ns)
{
    const struct vly_conn_config *cfg = &c->sh->config;

    vly_conn_pmtud_start(c);
    if (c->cc.datagram_bytes != c->datagram_bytes)
        vly_cc_init(&c->cc, cfg->cc, c->datagram_bytes, cfg->rate_bytes_per_s, now_ns);
    vly_conn_pmtud_fit(c);
    c->send_credit.limit_bytes = c->peer_params.max_data_bytes;
    c->peer_max_streams = c->peer_params.max_streams;
}

/* ---- streams ---- */

static int stream_make(struct vly_conn *c, uint64_t id, uint64_t now_ns, struct vly_stream **out)
{
    const struct vly_conn_config *cfg = &c->sh->config;
    int err = vly_streams_add(&c->streams, id, cfg->first_offset, out);

    if (err != 0)
        return err;
    (*out)->send_credit.limit_bytes = c->peer_params.max_stream_data_bytes;
    vly_flow_recv_init(&(*out)->recv_credit, cfg->window_bytes, cfg->window_max_bytes, now_ns);
    return 0;
}

int vly_conn_stream_for_frame(struct vly_conn *c, uint64_t id, uint64_t now_ns,
                              struct vly_stream **out, uint64_t *code)
{
    enum vly_role owner = (id & 1) == 0 ? VLY_CLIENT : VLY_SERVER;

    *out = vly_streams_find(&c->streams, id);
    if (*out != NULL || id < c->next_id[owner])
        return 0;
    if (owner == c->role) {
        *code = VLY_CLOSE_STREAM_STATE;
        return VLY_E_PROTOCOL;
    }
    if (id / 2 >= c->our_max_streams) {
        *code = VLY_CLOSE_STREAM_LIMIT;
        return VLY_E_PROTOCOL;
    }
    while (c->next_id[owner] <= id) { /* SPEC 6: opens all lower ones; bounded by our_max_streams */
        int err = stream_make(c, c->next_id[owner], now_ns, out);

        if (err == 0)
            err = vly_conn_event(c, VLY_EV_STREAM_OPENED, c->next_id[owner], 0);
        if (err != 0)
            return err;
        c->next_id[owner] += 2;
    }
    return 0;
}

void vly_conn_sweep_stream(struct vly_conn *c, struct vly_stream *s)
{
    enum vly_role owner = (s->id & 1) == 0 ? VLY_CLIENT : VLY_SERVER;
    const struct vly_conn_config *cfg = &c->sh->config;

    if (!vly_stream_is_over(s) || s->buffered)
        return;
    if (s->wants_room)
        c->rooms_wanted--;
    vly_streams_unqueue(&c->streams, s);
    vly_streams_remove(&c->streams, s);
    if (owner == c->role)
        return;
    c->peer_streams_over++;
    if (c->peer_streams_over + cfg->max_streams - c->our_max_streams >=
        (cfg->max_streams + 3) / 4) {
        c->our_max_streams = c->peer_streams_over + cfg->max_streams;
        c->need_max_streams = true;
    }
}

void vly_conn_release_buffers(struct vly_conn *c)
{
    while (c->buffered != NULL) {
        struct vly_stream *s = c->buffered;

        c->buffered = s->buffered_next;
        s->buffered_next = NULL;
        s->buffered = false;
        if (s->recv_state == VLY_RECV_OPEN)
            vly_recvbuf_release(&s->recv);
        else
            vly_recvbuf_drop(&s->recv);
        vly_conn_sweep_stream(c, s);
    }
}

/* What the application may hand over: so much ahead of what was sent that its pauses do not show,
 * and no more, for what waits is cold when it goes out. What was sent stays until it is
 * acknowledged, within the buffers' cap. RULE 39 */
static size_t stream_room(const struct vly_conn *c, const struct vly_stream *s)
{
    uint64_t max = c->sh->config.send_buffer_max_bytes;
    uint64_t held = vly_sendbuf_held_bytes(&s->send);
    uint64_t room = c->unsent_bytes < VLY_UNSENT_MAX ? VLY_UNSENT_MAX - c->unsent_bytes : 0;

    if (room > max - vly_min_u64(max, c->send_held_bytes))
        room = max - vly_min_u64(max, c->send_held_bytes);
    if (room < VLY_STREAM_ROOM_MIN && held < VLY_STREAM_ROOM_MIN)
        room = VLY_STREAM_ROOM_MIN - held;
    return (size_t)room;
}

/* Room worth an event: not for a few bytes at a time. */
static bool room_is_useful(const struct vly_conn *c, const struct vly_stream *s)
{
    size_t room = stream_room(c, s);

    return room >= VLY_SENDBUF_BLOCK || (room > 0 && vly_sendbuf_held_bytes(&s->send) == 0);
}

int vly_conn_offer_room(struct vly_conn *c)
{
    for (size_t i = 0; c->rooms_wanted > 0 && i < c->streams.cap; i++) {
        struct vly_stream *s = vly_streams_slot(&c->streams, i);

        if (s == NULL || !s->wants_room || !room_is_useful(c, s))
            continue;
        if (vly_conn_event(c, VLY_EV_WRITABLE, s->id, 0) != 0)
            return VLY_E_NOMEM;
        s->wants_room = false;
        c->rooms_wanted--;
    }
    return 0;
}

/* ---- deadlines ---- */

static uint64_t idle_timeout_ns(const struct vly_conn *c)
{
    return vly_min_u64(c->sh->config.idle_timeout_ns, c->peer_params.idle_timeout_ms * VLY_MS(1));
}

/* When silence is to be probed: after half the answer timeout, but 15 s after the last such probe
 * (RULE 8). */
static uint64_t keepalive_ns(const struct vly_conn *c)
{
    uint64_t due_ns;

    if (!c->expecting || c->log.in_flight_pkts > 0)
        return VLY_NEVER;
    due_ns = vly_time_add(c->last_received_ns,
                          vly_min_u64(c->sh->config.answer_timeout_ns / 2, VLY_KEEPALIVE_NS));
    if (c->last_keepalive_ns == VLY_NEVER)
        return due_ns;
    if (due_ns < vly_time_add(c->last_keepalive_ns, VLY_KEEPALIVE_NS))
        due_ns = vly_time_add(c->last_keepalive_ns, VLY_KEEPALIVE_NS);
    return due_ns;
}

static uint64_t open_deadline_ns(const struct vly_conn *c)
{
    uint64_t max_delay_ns = c->peer_params.max_ack_delay_us * VLY_US(1);
    uint64_t at_ns = vly_loss_deadline_ns(&c->loss, &c->log, &c->rtt, max_delay_ns);

    if (!vly_sentlog_is_full(&c->log)) /* else even an ACK has to wait for the peer's (RULE 39) */
        at_ns = vly_min_u64(at_ns, vly_ackset_due_ns(&c->ackset, c->sh->config.max_ack_delay_ns));
    at_ns = vly_min_u64(at_ns, c->pacing_due_ns);
    at_ns = vly_min_u64(at_ns, c->hello_due_ns);
    at_ns = vly_min_u64(at_ns, vly_conn_path_deadline_ns(c));
    at_ns = vly_min_u64(at_ns, vly_pmtud_deadline_ns(&c->pmtud));
    at_ns = vly_min_u64(at_ns, vly_time_add(c->last_received_ns, idle_timeout_ns(c)));
    at_ns = vly_min_u64(at_ns, vly_time_add(c->unanswered_ns, c->sh->config.answer_timeout_ns));
    at_ns = vly_min_u64(at_ns, vly_conn_path_quiet_ns(c));
    return vly_min_u64(at_ns, keepalive_ns(c));
}

uint64_t vly_conn_deadline(const struct vly_conn *c)
{
    switch (c->state) {
    case VLY_STATE_HELLO_SENT:
    case VLY_STATE_COOKIE_SENT:
        return vly_min_u64(c->hello_due_ns,
                           vly_time_add(c->start_ns, c->sh->config.handshake_timeout_ns));
    case VLY_STATE_ACCEPTED:
        return vly_time_add(c->start_ns, c->sh->config.handshake_timeout_ns);
    case VLY_STATE_OPEN:
        return open_deadline_ns(c);
    case VLY_STATE_CLOSING:
        return vly_min_u64(c->close_due_ns, c->close_until_ns);
    case VLY_STATE_CLOSED:
        break;
    }
    return VLY_NEVER;
}

/* RULE 22: a probe sends, it declares nothing lost. */
static void on_pto(struct vly_conn *c, uint64_t now_ns)
{
    uint64_t max_delay_ns = c->peer_params.max_ack_delay_us * VLY_US(1);
    uint64_t abc[3] = {c->loss.pto_count, c->log.in_flight_bytes,
                       vly_loss_pto_ns(&c->loss, &c->rtt, max_delay_ns)};

    vly_conn_trace(c, VLY_TRACE_PTO, now_ns, abc);
    c->loss.pto_count++;
    c->stats.pto_count++;
    c->probes = 2;
    c->loss.last_counted_ns = now_ns; /* re-armed also when nothing could be sent */
    if (c->loss.pto_count >= VLY_PMTUD_PTOS)
        vly_conn_pmtud_fall_back(c, now_ns);
}

static void open_on_deadline(struct vly_conn *c, uint64_t now_ns)
{
    const struct vly_conn_config *cfg = &c->sh->config;
    uint64_t max_delay_ns = c->peer_params.max_ack_delay_us * VLY_US(1);

    if (vly_time_add(c->unanswered_ns, cfg->answer_timeout_ns) <= now_ns) {
        vly_conn_fail(c, VLY_E_LOST, VLY_CLOSE_TIMEOUT, now_ns);
        return;
    }
    if (vly_time_add(c->last_received_ns, idle_timeout_ns(c)) <= now_ns) {
        c->end.code = VLY_CLOSE_TIMEOUT;
        vly_conn_end(c, VLY_E_LOST, now_ns); /* SPEC 7: silently, the peer does the same */
        return;
    }
    if (keepalive_ns(c) <= now_ns) {
        c->ping_pending = true;
        c->last_keepalive_ns = now_ns;
    }
    if (vly_conn_path_quiet_ns(c) <= now_ns) {
        c->ping_pending = true;
        c->data_heard = false;
    }
    if (c->pacing_due_ns <= now_ns)
        c->pacing_due_ns = VLY_NEVER;
    if (vly_pmtud_deadline_ns(&c->pmtud) <= now_ns)
        vly_conn_pmtud_lost(c, now_ns);
    if (vly_loss_deadline_ns(&c->loss, &c->log, &c->rtt, max_delay_ns) > now_ns)
        return;
    if (c->loss.loss_time_ns == VLY_NEVER)
        on_pto(c, now_ns);
    else if (vly_conn_detect_loss(c, 0, now_ns) != 0)
        vly_conn_fail(c, VLY_E_NOMEM, VLY_CLOSE_NO_MEMORY, now_ns);
}

void vly_conn_on_deadline(struct vly_conn *c, uint64_t now_ns)
{
    bool late = vly_time_since(now_ns, c->start_ns) >= c->sh->config.handshake_timeout_ns;

    switch (c->state) {
    case VLY_STATE_HELLO_SENT:
    case VLY_STATE_COOKIE_SENT:
        if (late) /* CLIENT_SILENCE */
            vly_conn_end(c, c->unproved > 0 ? VLY_E_AUTH : VLY_E_NO_ANSWER, now_ns);
        break;
    case VLY_STATE_ACCEPTED: /* SERVER_FORGETS */
        if (late)
            vly_conn_end(c, VLY_E_NO_ANSWER, now_ns);
        break;
    case VLY_STATE_OPEN:
        open_on_deadline(c, now_ns);
        break;
    case VLY_STATE_CLOSING:
        vly_conn_closing_timer(c, now_ns);
        break;
    case VLY_STATE_CLOSED:
        break;
    }
}

/* ---- the application's calls ---- */

void vly_conn_set_user(struct vly_conn *c, void *user)
{
    c->user = user;
}

void *vly_conn_user(const struct vly_conn *c)
{
    return c->user;
}

enum vly_role vly_conn_role(const struct vly_conn *c)
{
    return c->role;
}

struct vly_span vly_conn_peer(const struct vly_conn *c)
{
    return (struct vly_span){c->peer.data, c->peer.len};
}

const uint8_t *vly_conn_peer_key(const struct vly_conn *c)
{
    return c->has_peer_key ? c->peer_key : NULL;
}

const struct vly_suite_ops *vly_conn_suite(const struct vly_conn *c)
{
    return c->suite;
}

int vly_conn_open_stream(struct vly_conn *c, uint64_t *id)
{
    struct vly_stream *s;
    int err;

    if (c->state != VLY_STATE_OPEN)
        return VLY_E_STATE;
    if (c->next_id[c->role] / 2 >= c->peer_max_streams)
        return VLY_E_AGAIN;
    err = stream_make(c, c->next_id[c->role], c->last_received_ns, &s);
    if (err != 0)
        return err;
    *id = s->id;
    c->next_id[c->role] += 2;
    return 0;
}

int vly_conn_set_order(struct vly_conn *c, uint64_t id, enum vly_order order)
{
    struct vly_stream *s = vly_streams_find(&c->streams, id);

    return s == NULL ? VLY_E_STATE : vly_recvbuf_set_order(&s->recv, order);
}

static struct vly_stream *writable_stream(const struct vly_conn *c, uint64_t id)
{
    struct vly_stream *s;

    if (c->state != VLY_STATE_OPEN)
        return NULL;
    s = vly_streams_find(&c->streams, id);
    return s == NULL || s->send_state != VLY_SEND_OPEN || s->send.fin ? NULL : s;
}

size_t vly_conn_write_room(const struct vly_conn *c, uint64_t id)
{
    const struct vly_stream *s = writable_stream(c, id);

    return s == NULL ? 0 : stream_room(c, s);
}

static int wait_for_room(struct vly_conn *c, struct vly_stream *s)
{
    c->rooms_wanted += s->wants_room ? 0 : 1;
    s->wants_room = true;
    return VLY_E_AGAIN;
}

/* The stream holds `len` bytes more that are to go out. */
static void handed_over(struct vly_conn *c, struct vly_stream *s, size_t len)
{
    c->send_held_bytes += len;
    c->unsent_bytes += len;
    vly_streams_push(&c->streams, s);
    vly_ready_push(c->sh, c);
}

int vly_conn_reserve(struct vly_conn *c, uint64_t id, uint8_t **ptr, size_t *len)
{
    struct vly_stream *s = writable_stream(c, id);
    size_t room;

    if (s == NULL)
        return VLY_E_STATE;
    room = stream_room(c, s);
    if (room == 0)
        return wait_for_room(c, s);
    if (*len > room)
        *len = room;
    return vly_sendbuf_reserve(&s->send, ptr, len);
}

int vly_conn_commit(struct vly_conn *c, uint64_t id, size_t len, bool fin)
{
    struct vly_stream *s = writable_stream(c, id);
    int err;

    if (s == NULL)
        return VLY_E_STATE;
    err = vly_sendbuf_commit(&s->send, len, fin);
    if (err == 0)
        handed_over(c, s, len);
    return err;
}

int vly_conn_lend(struct vly_conn *c, uint64_t id, const uint8_t *data, size_t *len, bool fin)
{
    struct vly_stream *s = writable_stream(c, id);
    size_t wanted = *len, room;
    int err;

    *len = 0;
    if (s == NULL)
        return VLY_E_STATE;
    room = stream_room(c, s);
    if (room == 0 && wanted > 0)
        return wait_for_room(c, s);
    if (room < wanted)
        fin = false;
    else
        room = wanted;
    err = vly_sendbuf_lend(&s->send, (struct vly_span){data, room}, fin);
    if (err != 0)
        return err;
    *len = room;
    handed_over(c, s, room);
    return 0;
}

uint64_t vly_conn_released(const struct vly_conn *c, uint64_t id)
{
    const struct vly_stream *s = vly_streams_find(&c->streams, id);

    if (s == NULL || s->send_state != VLY_SEND_OPEN)
        return UINT64_MAX;
    return s->send.base - c->sh->config.first_offset;
}

int vly_conn_write(struct vly_conn *c, uint64_t id, struct vly_span data, bool fin, size_t *written)
{
    *written = 0;
    do {
        size_t len = data.len - *written;
        uint8_t *ptr = NULL;
        int err = 0;

        if (len > 0) {
            err = vly_conn_reserve(c, id, &ptr, &len);
            if (err == VLY_E_AGAIN)
                return 0;
            if (err != 0)
                return err;
            memcpy(ptr, data.data + *written, len);
        }
        err = vly_conn_commit(c, id, len, fin && *written + len == data.len);
        if (err != 0)
            return err;
        *written += len;
    } while (*written < data.len);
    return 0;
}

void vly_conn_consume(struct vly_conn *c, uint64_t id, uint64_t bytes, uint64_t now_ns)
{
    struct vly_stream *s = vly_streams_find(&c->streams, id);

    if (c->state != VLY_STATE_OPEN)
        return;
    if (vly_flow_recv_consume(&c->recv_credit, bytes, now_ns, c->rtt.min_ns)) {
        c->need_max_data = true;
        vly_ready_push(c->sh, c);
    }
    if (s == NULL || s->recv_state != VLY_RECV_OPEN)
        return;
    if (vly_flow_recv_consume(&s->recv_credit, bytes, now_ns, c->rtt.min_ns) &&
        s->recv.final_bytes == UINT64_MAX) {
        s->need_max = true;
        vly_streams_push(&c->streams, s);
        vly_ready_push(c->sh, c);
    }
}

/* RULE 33: memory goes with the credit, or a peer could have both. What events point to stays until
 * the next verb. */
void vly_conn_drop_received(struct vly_conn *c, struct vly_stream *s, uint64_t now_ns)
{
    uint64_t bytes = s->recv_credit.highest_bytes - s->handed_bytes;

    if (!s->buffered)
        vly_recvbuf_drop(&s->recv);
    s->handed_bytes += bytes;
    if (bytes > 0 && vly_flow_recv_consume(&c->recv_credit, bytes, now_ns, c->rtt.min_ns))
        c->need_max_data = true;
}

void vly_conn_reset_stream(struct vly_conn *c, uint64_t id, uint64_t code)
{
    struct vly_stream *s = vly_streams_find(&c->streams, id);

    if (c->state != VLY_STATE_OPEN || s == NULL || s->send_state != VLY_SEND_OPEN)
        return;
    s->send_state = VLY_SEND_RESET;
    s->reset_code = code;
    s->need_reset = true;
    c->send_held_bytes -= vly_sendbuf_held_bytes(&s->send);
    c->unsent_bytes -= s->send.end - s->send.sent_end;
    vly_sendbuf_drop(&s->send);
    vly_streams_push(&c->streams, s);
    vly_ready_push(c->sh, c);
}

void vly_conn_stop_stream(struct vly_conn *c, uint64_t id, uint64_t code)
{
    struct vly_stream *s = vly_streams_find(&c->streams, id);

    if (c->state != VLY_STATE_OPEN || s == NULL || s->recv_state != VLY_RECV_OPEN)
        return;
    s->recv_state = VLY_RECV_STOPPED;
    s->stop_code = code;
    s->need_stop = true;
    vly_conn_drop_received(c, s, c->last_received_ns);
    vly_ready_push(c->sh, c);
    if (s->recv.final_bytes == UINT64_MAX) {
        vly_streams_push(&c->streams, s);
        return;
    }
    /* All that is missing is on its way or will be sent again: the peer, once everything of it is
     * acknowledged, would not answer. */
    s->recv_state = VLY_RECV_DONE;
    s->need_stop = false;
    vly_conn_sweep_stream(c, s);
}

void vly_conn_expect_answer(struct vly_conn *c, bool expecting)
{
    c->expecting = expecting;
    vly_ready_push(c->sh, c);
}

void vly_conn_ping(struct vly_conn *c)
{
    c->ping_pending = true;
    vly_ready_push(c->sh, c);
}

void vly_conn_set_kernel_drops(struct vly_conn *c, uint64_t drops, uint64_t now_ns)
{
    if (drops > c->kernel_drops && c->state == VLY_STATE_OPEN)
        vly_flow_recv_throttle(&c->recv_credit, now_ns);
    c->kernel_drops = drops;
}

void vly_conn_stats(const struct vly_conn *c, struct vly_conn_stats *s)
{
    *s = c->stats;
    s->kernel_drops_local = c->kernel_drops;
    s->key_updates_sent = c->send_keys != NULL ? c->send_keys->generation : 0;
    s->key_updates_received = c->recv_keys != NULL ? c->recv_keys->generation : 0;
    s->forgeries = c->recv_keys != NULL && c->sh->credentials != NULL ? c->recv_keys->forgeries : 0;
    s->smoothed_rtt_ns = c->rtt.has_sample ? c->rtt.smoothed_ns : 0;
    s->min_rtt_ns = c->rtt.has_sample ? c->rtt.min_ns : 0;
    s->latest_rtt_ns = c->rtt.latest_ns;
    s->cwnd_bytes = c->cc.cwnd_bytes;
    if (c->prr.active && s->cwnd_bytes < c->log.in_flight_bytes + c->prr.allowance_bytes)
        s->cwnd_bytes =
            c->log.in_flight_bytes + c->prr.allowance_bytes; /* RFC 9937: cwnd follows in flight */
    s->ssthresh_bytes = c->cc.ssthresh_bytes;
    s->in_flight_bytes = c->log.in_flight_bytes;
    s->delivery_bytes_per_s = c->delivery_bytes_per_s;
    s->recv_window_bytes = c->recv_credit.window_bytes;
    s->datagram_bytes = c->pmtud.size_bytes;
}
