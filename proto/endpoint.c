/*
 * endpoint - making and freeing, and the five verbs; what becomes of a datagram is in
 * endpoint_recv.c, what is answered without a connection in answer.c.
 */
#include "endpoint_internal.h"

#include "conn_internal.h"

#include <assert.h>
#include <string.h>

/* ---- making and freeing ---- */

static void config_defaults(struct vly_conn_config *c)
{
    if (c->cc == NULL)
        c->cc = &vly_cc_cubic_ops;
    if (c->max_datagram_bytes == 0)
        c->max_datagram_bytes = 1472;
    if (c->announced_datagram_bytes == 0)
        c->announced_datagram_bytes = VLY_DATAGRAM_MAX;
    if (c->window_bytes == 0)
        c->window_bytes = 1u << 20;
    if (c->window_max_bytes == 0)
        c->window_max_bytes = 64u << 20;
    if (c->window_max_bytes < c->window_bytes)
        c->window_max_bytes = c->window_bytes;
    if (c->send_buffer_max_bytes == 0)
        c->send_buffer_max_bytes = 64u << 20;
    if (c->max_streams == 0)
        c->max_streams = 256;
    if (c->idle_timeout_ns == 0)
        c->idle_timeout_ns = VLY_S(30);
    if (c->handshake_timeout_ns == 0)
        c->handshake_timeout_ns = VLY_S(10);
    if (c->answer_timeout_ns == 0)
        c->answer_timeout_ns = VLY_S(10);
    if (c->max_ack_delay_ns == 0)
        c->max_ack_delay_ns = VLY_MS(5);
    if (c->ack_every_pkts == 0)
        c->ack_every_pkts = VLY_ACK_EVERY_MAX;
    if (c->application == NULL)
        c->application = "volley-file/1";
}

static bool in_limits(uint64_t v, uint64_t lowest, uint64_t highest)
{
    return v >= lowest && v <= highest;
}

/* RULE 5: plain or sealed, never both. */
static bool security_is_valid(const struct vly_endpoint_config *cfg)
{
    return cfg->allow_plain || (cfg->credentials != NULL && cfg->crypto->sealed[0] != NULL &&
                                cfg->credentials->method != VLY_METHOD_NONE);
}

/* `c` with its defaults: what it makes the connection announce is within SPEC 2.10. */
static bool config_is_valid(const struct vly_endpoint_config *cfg, const struct vly_conn_config *c)
{
    return cfg->alloc != NULL && cfg->crypto != NULL && security_is_valid(cfg) &&
           cfg->max_batch_pkts <= VLY_BATCH_PKTS &&
           in_limits(c->max_datagram_bytes, VLY_DATAGRAM_BASE, VLY_DATAGRAM_MAX) &&
           in_limits(c->announced_datagram_bytes, VLY_DATAGRAM_BASE, VLY_DATAGRAM_MAX) &&
           c->search_max_bytes <= VLY_DATAGRAM_MAX && c->window_max_bytes <= VLY_VARINT_MAX &&
           c->max_streams <= VLY_STREAMS_MAX && c->ack_every_pkts <= VLY_ACK_EVERY_MAX &&
           in_limits(c->idle_timeout_ns, VLY_S(1), VLY_S(600)) && c->max_ack_delay_ns <= VLY_S(1) &&
           in_limits(strlen(c->application), 1, VLY_APPLICATION_MAX) &&
           (c->cc != &vly_cc_fixed_ops || c->rate_bytes_per_s > 0) &&
           c->first_pn <= VLY_VARINT_MAX && c->first_offset <= VLY_VARINT_MAX;
}

int vly_endpoint_new(struct vly_endpoint **out, const struct vly_endpoint_config *cfg,
                     uint64_t now_ns)
{
    struct vly_conn_config conn = cfg->conn;
    struct vly_endpoint *ep;

    *out = NULL;
    config_defaults(&conn);
    if (!config_is_valid(cfg, &conn))
        return VLY_E_INVALID;
    ep = cfg->alloc->resize(cfg->alloc->ctx, NULL, 0, sizeof(*ep));
    if (ep == NULL)
        return VLY_E_NOMEM;
    memset(ep, 0, sizeof(*ep));
    ep->sh.alloc = cfg->alloc;
    vly_conntab_init(&ep->conns, cfg->alloc);
    ep->sh.crypto = cfg->crypto;
    ep->sh.config = conn;
    memcpy(ep->application, ep->sh.config.application, strlen(ep->sh.config.application));
    ep->sh.config.application = ep->application;
    ep->sh.takes_apart = cfg->takes_apart;
    ep->sh.max_batch_pkts = cfg->max_batch_pkts == 0 ? VLY_BATCH_PKTS : cfg->max_batch_pkts;
    ep->sh.addr_port_bytes = cfg->addr_port_bytes;
    ep->sh.trace = cfg->trace;
    ep->sh.credentials = cfg->allow_plain ? NULL : cfg->credentials;
    ep->sh.keylog = cfg->keylog;
    ep->is_server = cfg->is_server;
    ep->max_conns = cfg->max_conns == 0 ? 1024 : cfg->max_conns;
    vly_cookie_keys_init(&ep->cookies, cfg->crypto, now_ns);
    cfg->crypto->random(cfg->crypto->random_ctx, ep->id_key, sizeof(ep->id_key));
    ep->answers_since_ns = now_ns;
    *out = ep;
    return 0;
}

void vly_endpoint_drop(struct vly_endpoint *ep, struct vly_conn *c)
{
    vly_ready_remove(&ep->sh, c);
    vly_half_open_remove(&ep->sh, c);
    vly_events_forget(&ep->sh, c);
    vly_conntab_remove(&ep->conns, c);
    ep->n_clients -= c->role == VLY_CLIENT;
    for (struct vly_conn **at = &ep->received; *at != NULL; at = &(*at)->received_next)
        if (*at == c) {
            *at = c->received_next;
            break;
        }
    vly_conn_free(c);
    if (ep->conns.n == 0)
        ep->sh.crypto->wipe(ep->sh.clear, sizeof(ep->sh.clear));
}

void vly_endpoint_free(struct vly_endpoint *ep)
{
    const struct vly_alloc *alloc;

    if (ep == NULL)
        return;
    alloc = ep->sh.alloc;
    vly_conntab_fini(&ep->conns);
    if (ep->sh.events.ring != NULL)
        alloc->resize(alloc->ctx, ep->sh.events.ring,
                      ep->sh.events.cap * sizeof(*ep->sh.events.ring), 0);
    ep->sh.crypto->wipe(ep, sizeof(*ep)); /* the keys of cookies and ids */
    alloc->resize(alloc->ctx, ep, sizeof(*ep), 0);
}

int vly_endpoint_add(struct vly_endpoint *ep, enum vly_role role, const struct vly_addr *peer,
                     uint64_t cid, uint64_t now_ns, struct vly_conn **out)
{
    int err;

    *out = NULL;
    if (vly_conntab_reserve(&ep->conns) != 0)
        return VLY_E_NOMEM;
    err = vly_conn_new(out, &ep->sh, role, peer, now_ns);
    if (err != 0)
        return err;
    (*out)->cid = cid;
    vly_conntab_add(&ep->conns, *out);
    ep->n_clients += role == VLY_CLIENT;
    ep->stats.conns_made++;
    vly_ready_push(&ep->sh, *out);
    return 0;
}

int vly_endpoint_connect(struct vly_endpoint *ep, const struct vly_addr *peer, uint64_t now_ns,
                         struct vly_conn **out)
{
    const struct vly_crypto *crypto = ep->sh.crypto;
    uint64_t cid;
    int err;

    *out = NULL;
    if (ep->conns.n >= ep->max_conns)
        return VLY_E_LIMIT;
    do {
        crypto->random(crypto->random_ctx, &cid, sizeof(cid));
    } while (cid == 0 || vly_conntab_find(&ep->conns, cid) != NULL);
    err = vly_endpoint_add(ep, VLY_CLIENT, peer, cid, now_ns, out);
    if (err != 0)
        return err;
    err = vly_conn_begin_handshake(*out);
    if (err != 0) {
        vly_endpoint_drop(ep, *out);
        *out = NULL;
        return err;
    }
    (*out)->told = true;
    return 0;
}

void vly_endpoint_release(struct vly_endpoint *ep, struct vly_conn *c)
{
    assert(c->state == VLY_STATE_CLOSED);
    vly_endpoint_drop(ep, c);
}

/* What the events of the last verb pointed to is given back. */
static void verb_begin(struct vly_endpoint *ep)
{
    struct vly_conn *c;

    while ((c = ep->received) != NULL) {
        ep->received = c->received_next;
        c->holds_events = false;
        vly_conn_release_buffers(c);
    }
}

void vly_endpoint_holds_events(struct vly_endpoint *ep, struct vly_conn *c)
{
    if (c->holds_events)
        return;
    c->holds_events = true;
    c->received_next = ep->received;
    ep->received = c;
}

void vly_endpoint_recv_run(struct vly_endpoint *ep, const struct vly_datagram *d, size_t n,
                           uint64_t now_ns)
{
    verb_begin(ep);
    for (size_t i = 0; i < n;)
        i += vly_endpoint_dispatch(ep, d + i, n - i, now_ns);
}

void vly_endpoint_recv(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    vly_endpoint_recv_run(ep, d, 1, now_ns);
}

/* ---- the other verbs ---- */

static bool send_reply(struct vly_endpoint *ep, struct vly_batch *b)
{
    struct vly_replies *r = &ep->sh.replies;
    const struct vly_reply *reply = &r->slot[r->head];

    if (r->n == 0)
        return false;
    memcpy(b->data, reply->data, reply->len);
    b->len = b->segment_bytes = reply->len;
    b->n = 1;
    b->to = reply->to;
    b->cid = 0;
    b->ecn = VLY_ECN_NONE;
    r->head = (r->head + 1) % VLY_REPLIES_MAX;
    r->n--;
    return true;
}

void vly_batch_gather(struct vly_batch *b)
{
    if (b->apart.len > 0)
        memcpy(b->data + b->len - VLY_TAG_BYTES - b->apart.len, b->apart.data, b->apart.len);
    b->apart.len = 0;
}

/* Whether one that has sent in this turn has to let the others go first. */
static bool turn_is_over(const struct vly_shared *sh, const struct vly_conn *c, uint64_t now_ns)
{
    size_t share = VLY_ROUND_BATCHES / (sh->ready_n + 1);
    size_t most = share < VLY_TURN_BATCHES ? share : VLY_TURN_BATCHES;

    return c->turn_batches > 0 &&
           (c->turn_batches >= most || vly_time_since(now_ns, c->turn_since_ns) >= VLY_TURN_NS);
}

bool vly_endpoint_send(struct vly_endpoint *ep, struct vly_batch *b, uint64_t now_ns)
{
    struct vly_conn *c;

    verb_begin(ep);
    b->len = b->segment_bytes = b->apart.len = 0;
    b->n = 0;
    b->end_pn = 0;
    if (send_reply(ep, b))
        return true;
    while ((c = vly_ready_pop(&ep->sh)) != NULL) {
        if (turn_is_over(&ep->sh, c, now_ns)) {
            c->turn_batches = 0;
            vly_ready_push(&ep->sh, c);
            continue;
        }
        if (vly_conn_send(c, b, now_ns)) {
            b->end_pn = c->log.next;
            if (c->turn_batches++ == 0)
                c->turn_since_ns = now_ns;
            vly_ready_push_first(&ep->sh, c);
            return true;
        }
        c->turn_batches = 0;
        vly_conntab_update(&ep->conns, c);
    }
    return send_reply(ep, b); /* the CLOSE of one that could not go on, just now */
}

void vly_endpoint_on_refused(struct vly_endpoint *ep, uint64_t cid, size_t bytes, uint64_t now_ns)
{
    struct vly_conn *c = vly_conntab_find(&ep->conns, cid);

    if (cid == 0 || c == NULL)
        return;
    vly_conn_pmtud_refused(c, bytes, now_ns);
    vly_ready_push(&ep->sh, c);
}

bool vly_endpoint_has_settled(const struct vly_endpoint *ep, uint64_t cid, uint64_t end_pn)
{
    const struct vly_conn *c = vly_conntab_find(&ep->conns, cid);

    return c == NULL || c->log.oldest >= end_pn;
}

uint64_t vly_endpoint_deadline(const struct vly_endpoint *ep)
{
    return vly_conntab_deadline(&ep->conns);
}

void vly_endpoint_on_deadline(struct vly_endpoint *ep, uint64_t now_ns)
{
    struct vly_conn *c;

    verb_begin(ep);
    while ((c = vly_conntab_due(&ep->conns, now_ns)) != NULL) {
        /* Not scheduled until it has sent what it has to: then its deadline is known again. */
        vly_conntab_unschedule(&ep->conns, c);
        vly_conn_on_deadline(c, now_ns);
        vly_ready_push(&ep->sh, c);
    }
}

static void event_fill(struct vly_event *out, const struct vly_queued_event *ev)
{
    out->type = ev->type;
    out->conn = ev->conn;
    out->stream = ev->stream;
    out->offset = ev->offset;
    out->data = ev->data;
    out->err = 0;
    out->app_code = false;
    out->code = 0;
    out->reason[0] = '\0';
    if (ev->type == VLY_EV_STREAM_RESET || ev->type == VLY_EV_STREAM_STOPPED ||
        ev->type == VLY_EV_TURNED_AWAY)
        out->code = ev->offset;
}

/* The next connection that is over. One the application never heard of is freed quietly. */
static bool closed_next(struct vly_endpoint *ep, struct vly_event *out)
{
    struct vly_conn *c;

    while ((c = ep->sh.closed_head) != NULL) {
        ep->sh.closed_head = c->closed_next;
        if (ep->sh.closed_head == NULL)
            ep->sh.closed_tail = NULL;
        if (!c->told) {
            vly_endpoint_drop(ep, c);
            continue;
        }
        memset(out, 0, sizeof(*out));
        out->type = VLY_EV_CLOSED;
        out->conn = c;
        out->err = c->end.err;
        out->app_code = c->end.by_app;
        out->code = c->end.code;
        memcpy(out->reason, c->end.reason, sizeof(out->reason));
        return true;
    }
    return false;
}

bool vly_endpoint_next_event(struct vly_endpoint *ep, struct vly_event *ev)
{
    struct vly_queued_event queued;

    if (vly_events_pop(&ep->sh, &queued)) {
        event_fill(ev, &queued);
        return true;
    }
    return closed_next(ep, ev);
}

void vly_endpoint_stats(const struct vly_endpoint *ep, struct vly_endpoint_stats *s)
{
    *s = ep->stats;
    s->conns = ep->conns.n;
}
