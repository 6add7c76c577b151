/*
 * conn - lifecycle, timers and the application's calls but for those on streams (conn_stream.c).
 */
#include "conn_internal.h"
#include "num.h"

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
    vly_ackset_set_every_max(&c->ackset, cfg->ack_every_pkts);
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
