/*
 * conn_hello - the client's half of setting up, SPEC 3: HELLO, what answers it, and FINISH.
 *
 * What does not verify is ignored as if it had not come: anybody may have sent it. The handshake is
 * therefore read in a copy, which takes its place once all of the ACCEPT has proved right.
 */
#include "conn_internal.h"

#include <string.h>

/* The application's name and the largest parameters fit; so does payload S. */
#define PAYLOAD_BYTES VLY_HANDSHAKE_PAYLOAD_MAX

struct vly_span vly_conn_encode_params(const struct vly_conn *c, uint8_t *buf, size_t cap)
{
    struct vly_wr w = vly_wr_init(buf, cap);
    struct vly_params ours;

    vly_conn_our_params(c, &ours);
    vly_params_encode(&w, &ours);
    return (struct vly_span){buf, vly_wr_len(&w)};
}

void vly_conn_drop_message(struct vly_conn *c)
{
    const struct vly_alloc *alloc = c->sh->alloc;

    if (c->message != NULL)
        alloc->resize(alloc->ctx, c->message, c->message_len, 0);
    c->message = NULL;
    c->message_len = 0;
}

int vly_conn_keep_message(struct vly_conn *c, const uint8_t *message, size_t len)
{
    const struct vly_alloc *alloc = c->sh->alloc;
    uint8_t *kept = alloc->resize(alloc->ctx, NULL, 0, len);

    if (kept == NULL)
        return VLY_E_NOMEM;
    memcpy(kept, message, len);
    vly_conn_drop_message(c);
    c->message = kept;
    c->message_len = len;
    return 0;
}

size_t vly_handshake_prologue(const struct vly_hello *hello, uint8_t method,
                              uint8_t out[VLY_HANDSHAKE_PROLOGUE_MAX])
{
    struct vly_wr w = vly_wr_init(out, VLY_HANDSHAKE_PROLOGUE_MAX);

    vly_wr_bytes(&w, "VolleyUDP", 9);
    vly_wr_u32(&w, hello->version);
    vly_wr_u64(&w, hello->client_cid);
    vly_wr_bytes8(&w, hello->suites);
    vly_wr_u8(&w, method);
    return vly_wr_len(&w);
}

/* What a client offers, best first. Returns how many. */
static size_t offered_suites(const struct vly_shared *sh, uint8_t out[VLY_SUITES_SEALED_MAX])
{
    size_t n = 0;

    if (sh->credentials == NULL) {
        out[0] = sh->crypto->plain->id;
        return 1;
    }
    while (n < VLY_SUITES_SEALED_MAX && sh->crypto->sealed[n] != NULL) {
        out[n] = sh->crypto->sealed[n]->id;
        n++;
    }
    return n;
}

/* RULE 5: version, id, suites and method are in the transcript. */
int vly_conn_begin_handshake(struct vly_conn *c)
{
    const struct vly_shared *sh = c->sh;
    uint8_t suites[VLY_SUITES_SEALED_MAX], prologue[VLY_HANDSHAKE_PROLOGUE_MAX];
    uint8_t params[PAYLOAD_BYTES], message[1 + VLY_HANDSHAKE_MAX];
    struct vly_wr w = vly_wr_init(message, sizeof(message));
    struct vly_hello hello = {
        .version = VLY_VERSION_1, .client_cid = c->cid, .suites = {suites, 0}};
    struct vly_span payload = {NULL, 0};
    uint8_t method;
    size_t len;
    int err;

    if (sh->credentials == NULL)
        return 0;
    method = (uint8_t)sh->credentials->method;
    hello.suites.len = offered_suites(sh, suites);
    len = vly_handshake_prologue(&hello, method, prologue);
    err = vly_handshake_new(&c->handshake, sh->crypto, VLY_HANDSHAKE_CLIENT, sh->credentials,
                            (struct vly_span){prologue, len});
    if (err != 0)
        return err;
    if (vly_handshake_has_payload(c->handshake))
        payload = vly_conn_encode_params(c, params, sizeof(params));
    vly_wr_u8(&w, method);
    err = vly_handshake_write(c->handshake, payload, &w);
    return err != 0 ? err : vly_conn_keep_message(c, message, vly_wr_len(&w));
}

void vly_conn_write_hello(const struct vly_conn *c, struct vly_wr *w)
{
    uint8_t suites[VLY_SUITES_SEALED_MAX], params[PAYLOAD_BYTES];
    struct vly_hello hello = {
        .version = VLY_VERSION_1,
        .client_cid = c->cid,
        .suites = {suites, offered_suites(c->sh, suites)},
        .cookie = {c->cookie, c->cookie_len},
        .handshake = {c->message, c->message_len},
    };

    if (c->sh->credentials == NULL) /* else they travel inside */
        hello.params = vly_conn_encode_params(c, params, sizeof(params));
    vly_hello_encode(w, &hello);
}

void vly_conn_write_finish(const struct vly_conn *c, struct vly_wr *w)
{
    vly_finish_encode(w, &(struct vly_finish){c->peer_cid, {c->message, c->message_len}});
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
    bool first = vly_conn_may(c, VLY_CLIENT_COOKIE);

    if (!first && !vly_conn_may(c, VLY_CLIENT_FRESHER))
        return;
    if (p->cookie.len == 0 || p->cookie.len > sizeof(c->cookie))
        return;
    c->cookie_len = (uint8_t)p->cookie.len;
    memcpy(c->cookie, p->cookie.data, p->cookie.len);
    if (!first)
        return; /* the timer sends it */
    vly_conn_take(c, VLY_CLIENT_COOKIE, now_ns);
    c->hello_due_ns = now_ns;
    vly_ready_push(c->sh, c);
}

/* ---- ACCEPT ---- */

static const struct vly_suite_ops *offered_suite(const struct vly_shared *sh, uint8_t id)
{
    if (sh->credentials == NULL)
        return id == sh->crypto->plain->id ? sh->crypto->plain : NULL;
    for (size_t i = 0; i < VLY_SUITES_SEALED_MAX && sh->crypto->sealed[i] != NULL; i++) {
        if (sh->crypto->sealed[i]->id == id)
            return sh->crypto->sealed[i];
    }
    return NULL;
}

/* RULE 5: whether payload S says what the clear part of the ACCEPT says. `r` then stands at the
 * parameters. */
static bool is_confirmed(const struct vly_accept *p, struct vly_rd *r)
{
    uint32_t version = vly_rd_u32(r);
    uint8_t suite = vly_rd_u8(r);
    uint64_t cid = vly_rd_u64(r);

    return !r->failed && version == p->version && suite == p->suite && cid == p->server_cid;
}

/* Reads message 2. VLY_E_AUTH: it is not the server's answer; VLY_E_MALFORMED: it is, and its
 * parameters are not valid; VLY_E_NOMEM. */
static int read_answer(struct vly_conn *c, const struct vly_accept *p, struct vly_params *params)
{
    uint8_t payload[VLY_HANDSHAKE_MAX];
    struct vly_handshake *h;
    struct vly_rd r;
    size_t len;
    int err;

    if (p->handshake.len > VLY_HANDSHAKE_MAX || p->params.len > 0)
        return VLY_E_AUTH;
    err = vly_handshake_clone(&h, c->handshake);
    if (err != 0)
        return err;
    err = vly_handshake_read(h, p->handshake, payload, &len);
    r = vly_rd_init(payload, err == 0 ? len : 0);
    if (err != 0 || !is_confirmed(p, &r)) {
        vly_handshake_free(h);
        return err == VLY_E_NOMEM ? err : VLY_E_AUTH;
    }
    vly_handshake_free(c->handshake);
    c->handshake = h;
    return vly_params_decode(params, (struct vly_span){r.pos, vly_rd_left(&r)});
}

/* Our last message, if the method has one more, and the keys. */
static int complete(struct vly_conn *c)
{
    uint8_t params[PAYLOAD_BYTES], message[VLY_HANDSHAKE_MAX];
    struct vly_wr w = vly_wr_init(message, sizeof(message));
    int err = 0;

    vly_conn_drop_message(c);
    if (c->handshake != NULL && vly_handshake_is_our_turn(c->handshake)) {
        err = vly_handshake_write(c->handshake, vly_conn_encode_params(c, params, sizeof(params)),
                                  &w);
        if (err == 0)
            err = vly_conn_keep_message(c, message, vly_wr_len(&w));
    }
    return err != 0 ? err : vly_conn_make_keys(c);
}

static void open_as_client(struct vly_conn *c, const struct vly_params *params, uint64_t now_ns)
{
    c->peer_params = *params;
    c->has_reset_token = params->has_reset_token;
    memcpy(c->reset_token, params->reset_token, sizeof(c->reset_token));
    c->last_received_ns = now_ns;
    c->stats.handshake_ns = now_ns - c->start_ns;
    c->hello_due_ns = c->message != NULL ? now_ns : VLY_NEVER;
    vly_conn_flight_answered(c, now_ns);
    vly_conn_apply_params(c, now_ns);
    vly_conn_take(c, VLY_CLIENT_ACCEPTED, now_ns);
    c->ping_pending = true; /* the server waits for a first DATA packet */
    vly_ready_push(c->sh, c);
    if (vly_conn_event(c, VLY_EV_CONNECTED, 0, 0) != 0)
        vly_conn_fail(c, VLY_E_NOMEM, VLY_CLOSE_NO_MEMORY, now_ns);
}

/* Whether the user believes the server that has this key; ends the connection when not. */
static bool is_believed(struct vly_conn *c, uint64_t now_ns)
{
    int err = 0;

    if (c->handshake == NULL)
        return true;
    if (vly_conn_note_peer_key(c))
        err = vly_credentials_check(c->sh->credentials, c->peer_key);
    if (err == 0)
        return true;
    c->end.code = VLY_CLOSE_AUTH;
    vly_conn_end(c, err, now_ns); /* CLIENT_DISBELIEVES: our own key is not shown */
    return false;
}

/* It may have been anybody's. But with a code each may hold a guess at it (CLIENT_GUESSED_AT). */
static void on_unproved(struct vly_conn *c, uint64_t now_ns)
{
    c->unproved++;
    if (c->handshake == NULL || c->sh->credentials->method != VLY_METHOD_CODE ||
        c->unproved < VLY_CODE_FAILURES_MAX)
        return;
    c->end.code = VLY_CLOSE_AUTH;
    vly_conn_end(c, VLY_E_AUTH, now_ns);
}

void vly_conn_on_accept(struct vly_conn *c, const struct vly_accept *p, uint64_t now_ns)
{
    const struct vly_suite_ops *suite = offered_suite(c->sh, p->suite);
    struct vly_params params;
    int err;

    if (!vly_conn_may(c, VLY_CLIENT_ACCEPTED) || p->version != VLY_VERSION_1 || suite == NULL)
        return; /* not an answer to what was offered */
    if (c->handshake != NULL)
        err = read_answer(c, p, &params);
    else
        err = p->handshake.len > 0 ? VLY_E_AUTH : vly_params_decode(&params, p->params);
    if (err == VLY_E_AUTH) {
        on_unproved(c, now_ns);
        return;
    }
    if (err == VLY_E_MALFORMED) { /* SPEC 2.10 */
        vly_conn_fail(c, VLY_E_PROTOCOL, VLY_CLOSE_PARAMETER, now_ns);
        return;
    }
    c->suite = suite;
    c->peer_cid = p->server_cid;
    if (err == 0 && !is_believed(c, now_ns))
        return;
    if (err == 0)
        err = complete(c);
    if (err == 0)
        open_as_client(c, &params, now_ns);
    else
        vly_conn_fail(c, err, VLY_CLOSE_NO_MEMORY, now_ns);
}
