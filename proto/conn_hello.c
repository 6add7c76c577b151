/*
 * conn_hello - setting up, SPEC 3: the client's HELLO and what answers it, the server's ACCEPT.
 */
#include "conn_internal.h"

#include <string.h>

void vly_conn_write_hello(struct vly_conn *c, struct vly_wr *w)
{
    uint8_t suite = c->suite->id;
    uint8_t buf[256];
    struct vly_wr params = vly_wr_init(buf, sizeof(buf));
    struct vly_params ours;
    struct vly_hello hello = {
        .version = VLY_VERSION_1,
        .client_cid = c->cid,
        .suites = {&suite, 1},
        .cookie = {c->cookie, c->cookie_len},
    };

    vly_conn_our_params(c, &ours);
    vly_params_encode(&params, &ours);
    hello.params = (struct vly_span){buf, vly_wr_len(&params)};
    vly_hello_encode(w, &hello);
}

void vly_conn_write_accept(const struct vly_conn *c, struct vly_wr *w)
{
    uint8_t buf[256];
    struct vly_wr params = vly_wr_init(buf, sizeof(buf));
    struct vly_params ours;
    struct vly_accept accept = {
        .client_cid = c->peer_cid,
        .server_cid = c->cid,
        .version = VLY_VERSION_1,
        .suite = c->suite->id,
    };

    vly_conn_our_params(c, &ours);
    vly_params_encode(&params, &ours);
    accept.params = (struct vly_span){buf, vly_wr_len(&params)};
    vly_accept_encode(w, &accept);
}

void vly_conn_flight_sent(struct vly_conn *c, uint64_t now_ns)
{
    c->flight_sent_ns = now_ns;
    c->flights++;
}

void vly_conn_flight_answered(struct vly_conn *c, uint64_t now_ns)
{
    if (c->flights == 1)
        vly_rtt_on_sample(&c->rtt, now_ns - c->flight_sent_ns, 0);
}

void vly_conn_on_retry(struct vly_conn *c, const struct vly_retry *p, uint64_t now_ns)
{
    if (c->state != VLY_STATE_HELLO_SENT && c->state != VLY_STATE_COOKIE_SENT)
        return;
    if (p->cookie.len == 0 || p->cookie.len > sizeof(c->cookie))
        return;
    c->cookie_len = (uint8_t)p->cookie.len;
    memcpy(c->cookie, p->cookie.data, p->cookie.len);
    if (c->state == VLY_STATE_COOKIE_SENT)
        return; /* only a fresher one: the timer sends it */
    vly_conn_set_state(c, VLY_STATE_COOKIE_SENT, now_ns);
    c->hello_due_ns = now_ns;
    vly_ready_push(c->sh, c);
}

void vly_conn_on_accept(struct vly_conn *c, const struct vly_accept *p, uint64_t now_ns)
{
    if (c->state != VLY_STATE_HELLO_SENT && c->state != VLY_STATE_COOKIE_SENT)
        return;
    if (p->version != VLY_VERSION_1 || p->suite != c->suite->id || p->handshake.len > 0)
        return; /* not an answer to what was offered */
    if (vly_params_decode(&c->peer_params, p->params) != 0) {
        vly_conn_fail(c, VLY_E_PROTOCOL, VLY_CLOSE_PARAMETER, now_ns); /* SPEC 2.10 */
        return;
    }
    c->peer_cid = p->server_cid;
    c->has_reset_token = c->peer_params.has_reset_token;
    memcpy(c->reset_token, c->peer_params.reset_token, sizeof(c->reset_token));
    c->last_received_ns = now_ns;
    c->stats.handshake_ns = now_ns - c->start_ns;
    c->hello_due_ns = VLY_NEVER;
    vly_conn_flight_answered(c, now_ns);
    vly_conn_apply_params(c, now_ns);
    vly_conn_set_state(c, VLY_STATE_OPEN, now_ns);
    c->ping_pending = true; /* the server waits for a first DATA packet */
    vly_ready_push(c->sh, c);
    if (vly_conn_event(c, VLY_EV_CONNECTED, 0, 0) != 0)
        vly_conn_fail(c, VLY_E_NOMEM, VLY_CLOSE_NO_MEMORY, now_ns);
}
