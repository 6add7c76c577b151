/*
 * tcp_handshake - how a link over TCP begins: prefaces (SPEC 13.1) and, unless it is plain, the
 * handshake behind them (SPEC 13.5).
 *
 *     step      of      waits for                                then
 *     OPENING   server  suites, method, message 1                answers with message 2
 *     ANSWER    client  message 2                                sends message 3, OPEN
 *     REFUSAL   client  CLOSE in clear                           over
 *     LAST      server  message 3 (keys, code)                   OPEN
 *     PROOF     server  the first block (psk: message 1 may be   OPEN
 *                       a replay)
 *
 * Invariant: nobody is told of a link before its other end has proven what it is (RULE 5: what was
 * offered and chosen is in the transcript). Whoever is refused is told so in clear: there are no
 * keys yet, and it can only end the attempt.
 */
#include "net/clock.h"
#include "net/tcp_internal.h"
#include "proto/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SUITES_MAX 8u /* in an offer */

enum step { STEP_OPENING, STEP_ANSWER, STEP_REFUSAL, STEP_LAST, STEP_PROOF };

struct tcp_handshake {
    struct vly_handshake *messages;         /* owned; NULL until there is a first one */
    const struct vly_suite_ops *suite;      /* chosen */
    uint8_t preface[VLY_TCP_PREFACE_BYTES]; /* the other end's, as it came */
    enum step step;
    size_t wanted, len; /* of what the step waits for; LAST: first its length */
    uint8_t kept[2 + VLY_HANDSHAKE_MAX];
};

/* Bytes of messages 1 and 2 of each method: they stand in prefaces that are part of what the
 * messages authenticate. */
static const uint16_t message_bytes[][2] = {
    [VLY_METHOD_KEYS] = {32, 96 + VLY_TCP_PREFACE_BYTES},
    [VLY_METHOD_PSK] = {48, 48 + VLY_TCP_PREFACE_BYTES},
    [VLY_METHOD_CODE] = {48, 80 + VLY_TCP_PREFACE_BYTES},
};

static const struct vly_net_security *security(const struct tcp_link *l)
{
    return l->transport->security;
}

void tcp_handshake_free(struct tcp_handshake *h)
{
    if (h != NULL)
        vly_handshake_free(h->messages);
    free(h);
}

/* Returns false when out of memory: the link is over. */
static bool begin(struct tcp_link *l, enum step step)
{
    l->handshake = calloc(1, sizeof *l->handshake);
    if (l->handshake == NULL) {
        tcp_end(l, VLY_E_NOMEM, 0, "");
        return false;
    }
    l->handshake->step = step;
    return true;
}

/* ---- prefaces ---- */

static void preface_encode(const struct tcp_link *l, uint8_t suite, size_t handshake_bytes,
                           uint8_t out[VLY_TCP_PREFACE_BYTES])
{
    const struct tcp_transport *t = l->transport;
    struct vly_tcp_preface p = {
        .suite = suite,
        .handshake_bytes = (uint16_t)handshake_bytes,
        .max_streams = l->is_server ? TCP_STREAMS_MAX : 0,
        .data_max_bytes = VLY_TCP_DATA_MAX,
        .idle_timeout_ms = (uint32_t)(transport_idle_timeout_ns(t->timeout_ns) / VLY_MS(1)),
        .credit_bytes = t->credit_bytes};

    memcpy(p.application, t->application, sizeof p.application);
    vly_tcp_preface_encode(&p, out);
}

/* A preface without a handshake. */
static bool send_preface(struct tcp_link *l)
{
    const struct vly_net_security *s = security(l);
    uint8_t bytes[VLY_TCP_PREFACE_BYTES];

    preface_encode(l, s != NULL ? s->crypto.sealed[0]->id : VLY_SUITE_PLAIN, 0, bytes);
    return tcp_out_clear(l, (struct vly_span){bytes, sizeof bytes});
}

static void tell_turned_away(const struct tcp_link *l, const char *why)
{
    const struct vly_transport_spec *spec = &l->transport->spec;

    if (spec->on_turned_away != NULL)
        spec->on_turned_away(spec->ctx, l->peer_text, why);
}

/* The server's answer to a client that it does not take. */
static void refuse(struct tcp_link *l, int err, enum vly_close_code code, const char *reason)
{
    if (!send_preface(l))
        return;
    tcp_close(l, err, false, code, reason);
    tell_turned_away(l, reason);
}

static void refuse_as(struct tcp_link *l, int err, enum vly_close_code code)
{
    refuse(l, err, code, vly_close_code_text(code));
}

/* ---- what both ends do ---- */

/* Both directions are sealed from here on. Returns false when out of memory: the link is over. */
static bool seal(struct tcp_link *l)
{
    const struct vly_crypto *crypto = &security(l)->crypto;
    uint8_t client[VLY_KEY_BYTES], server[VLY_KEY_BYTES];
    struct vly_tcp_seal_start start = {.crypto = crypto,
                                       .suite = l->handshake->suite,
                                       .send_secret = l->is_server ? server : client,
                                       .recv_secret = l->is_server ? client : server,
                                       .generation_blocks = l->transport->generation_blocks,
                                       .keylog = security(l)->keylog};
    int err;

    vly_handshake_secrets(l->handshake->messages, client, server);
    err = vly_tcp_seal_init(&l->seal, &start);
    crypto->wipe(client, sizeof client);
    crypto->wipe(server, sizeof server);
    l->sealed = err == 0;
    if (err != 0)
        tcp_end(l, err, 0, "");
    return l->sealed;
}

static void open_link(struct tcp_link *l)
{
    uint64_t peer_idle_ns = VLY_MS(l->peer.idle_timeout_ms);
    uint64_t timeout_ns = l->transport->timeout_ns;

    tcp_handshake_free(l->handshake);
    l->handshake = NULL;
    l->state = LINK_OPEN;
    l->quiet_since_ns = vly_clock_now_ns();
    l->limit_idle_ns = transport_idle_timeout_ns(timeout_ns);
    if (peer_idle_ns < l->limit_idle_ns)
        l->limit_idle_ns = peer_idle_ns;
    /* A PING must be answered before either end finds the silence too long. */
    l->limit_answer_ns = timeout_ns < l->limit_idle_ns ? timeout_ns : l->limit_idle_ns;
}

static void take_peer_key(struct tcp_link *l)
{
    const uint8_t *key = vly_handshake_peer_key(l->handshake->messages);

    l->has_peer_key = key != NULL;
    if (key != NULL)
        memcpy(l->peer_key, key, VLY_PUBLIC_KEY_BYTES);
}

/* What both have said in clear: it is part of what the messages authenticate. */
static int make_messages(struct tcp_link *l, const uint8_t preface[VLY_TCP_PREFACE_BYTES],
                         struct vly_span suites)
{
    const struct vly_net_security *s = security(l);
    uint8_t prologue[VLY_HANDSHAKE_PROLOGUE_MAX];
    struct vly_wr w = vly_wr_init(prologue, sizeof prologue);

    vly_wr_bytes(&w, "VolleyTCP", 9);
    vly_wr_bytes(&w, preface, VLY_TCP_PREFACE_BYTES);
    vly_wr_bytes8(&w, suites);
    vly_wr_u8(&w, (uint8_t)s->credentials->method);
    assert(!w.failed);
    return vly_handshake_new(&l->handshake->messages, &s->crypto,
                             l->is_server ? VLY_HANDSHAKE_SERVER : VLY_HANDSHAKE_CLIENT,
                             s->credentials, (struct vly_span){prologue, vly_wr_len(&w)});
}

/* Reads the message that was waited for. Its payload has to be the `expected` bytes. */
static int read_message(struct tcp_link *l, struct vly_span message, struct vly_span expected)
{
    uint8_t payload[VLY_HANDSHAKE_MAX];
    size_t len;
    int err = vly_handshake_read(l->handshake->messages, message, payload, &len);

    if (err == 0 && (len != expected.len || (len > 0 && memcmp(payload, expected.data, len) != 0)))
        err = VLY_E_AUTH;
    if (err == 0)
        take_peer_key(l);
    return err;
}

/* ---- the client ---- */

static size_t offer(const struct vly_crypto *crypto, uint8_t suites[VLY_SUITES_SEALED_MAX])
{
    size_t n = 0;

    while (n < VLY_SUITES_SEALED_MAX && crypto->sealed[n] != NULL) {
        suites[n] = crypto->sealed[n]->id;
        n++;
    }
    return n;
}

static const struct vly_suite_ops *suite_of(const struct vly_crypto *crypto, uint8_t id)
{
    for (size_t i = 0; i < VLY_SUITES_SEALED_MAX && crypto->sealed[i] != NULL; i++)
        if (crypto->sealed[i]->id == id)
            return crypto->sealed[i];
    return NULL;
}

/* Preface, offer and message 1. */
static int hello_encode(struct tcp_link *l, struct vly_wr *w)
{
    const struct vly_net_security *s = security(l);
    uint8_t suites[VLY_SUITES_SEALED_MAX] = {0};
    struct vly_span offered = {suites, offer(&s->crypto, suites)};
    size_t first_bytes = message_bytes[s->credentials->method][0];
    int err;

    preface_encode(l, suites[0], 1 + offered.len + 1 + first_bytes,
                   vly_wr_take(w, VLY_TCP_PREFACE_BYTES));
    vly_wr_bytes8(w, offered);
    vly_wr_u8(w, (uint8_t)s->credentials->method);
    err = make_messages(l, w->start, offered);
    if (err == 0)
        err = vly_handshake_write(l->handshake->messages, (struct vly_span){0}, w);
    assert(err != 0 || vly_wr_len(w) == VLY_TCP_PREFACE_BYTES + 1 + offered.len + 1 + first_bytes);
    return err;
}

void tcp_handshake_start(struct tcp_link *l)
{
    uint8_t bytes[VLY_TCP_PREFACE_BYTES + VLY_HANDSHAKE_MAX];
    struct vly_wr w = vly_wr_init(bytes, sizeof bytes);
    int err;

    if (security(l) == NULL) {
        (void)send_preface(l);
        return;
    }
    if (!begin(l, STEP_ANSWER))
        return;
    if ((err = hello_encode(l, &w)) != 0)
        tcp_end(l, err, 0, "");
    else
        (void)tcp_out_clear(l, (struct vly_span){bytes, vly_wr_len(&w)});
}

static void client_opens(struct tcp_link *l)
{
    if (strcmp(l->peer.application, l->transport->application) != 0) {
        tcp_end(l, VLY_E_REFUSED, 0, "it serves something else");
        return;
    }
    open_link(l);
    l->base.events->on_open(l->base.user);
}

/* The sealed answer of a server comes behind its preface; without one it refuses. */
static void client_waits(struct tcp_link *l)
{
    struct tcp_handshake *h = l->handshake;

    h->suite = suite_of(&security(l)->crypto, l->peer.suite);
    h->wanted = l->peer.handshake_bytes;
    if (h->wanted == 0)
        h->step = STEP_REFUSAL;
    else if (h->suite == NULL)
        tcp_end(l, VLY_E_PROTOCOL, 0, "it chose a suite that was not offered");
    if (l->state == LINK_PREFACE)
        l->state = LINK_HANDSHAKE;
}

static void on_server_preface(struct tcp_link *l, int err)
{
    if (err == VLY_E_PROTOCOL)
        tcp_end(l, err, 0, "what answers on this TCP port is not 'volley serve --tcp'");
    else if (err == VLY_E_MALFORMED)
        tcp_end(l, VLY_E_PROTOCOL, 0, "its preface is malformed");
    else if (err != 0)
        tcp_end(l, err, 0, "");
    else if (l->handshake != NULL)
        client_waits(l);
    else if (l->peer.suite != VLY_SUITE_PLAIN)
        tcp_end(l, VLY_E_SUITE, 0, "");
    else
        client_opens(l);
}

/* Message 3, when there is one. Returns 0, VLY_E_AUTH. */
static int send_last(struct tcp_link *l)
{
    uint8_t bytes[2 + VLY_HANDSHAKE_MAX];
    struct vly_wr w = vly_wr_init(bytes, sizeof bytes);
    int err;

    if (vly_handshake_is_done(l->handshake->messages))
        return 0;
    vly_wr_u16(&w, 0);
    err = vly_handshake_write(l->handshake->messages, (struct vly_span){0}, &w);
    if (err != 0)
        return err;
    vly_store_u16(bytes, (uint16_t)(vly_wr_len(&w) - 2));
    (void)tcp_out_clear(l, (struct vly_span){bytes, vly_wr_len(&w)});
    return 0;
}

/* A server that is not believed is sent nothing more: our own key is not shown to it. */
static void on_answer(struct tcp_link *l, struct vly_span message)
{
    struct tcp_handshake *h = l->handshake;
    int err = read_message(l, message, (struct vly_span){h->preface, sizeof h->preface});

    if (err == 0 && l->has_peer_key)
        err = vly_credentials_check(security(l)->credentials, l->peer_key);
    else if (err != 0)
        err = VLY_E_AUTH;
    if (err == 0)
        err = send_last(l);
    if (err != 0) {
        tcp_end(l, err, 0, "");
        return;
    }
    if (l->state != LINK_HANDSHAKE || !seal(l))
        return;
    l->need_ping = !l->has_peer_key; /* the server waits for a block that proves us */
    client_opens(l);
    tcp_wake(l);
}

/* ---- the server ---- */

static size_t count_users(const struct tcp_transport *t)
{
    size_t n = 0;

    for (const struct tcp_link *l = t->links; l != NULL; l = l->next)
        n += l->has_user;
    return n;
}

static bool is_full(const struct tcp_transport *t)
{
    return count_users(t) >= t->spec.max_links || t->state != TCP_TRANSPORT_OPEN;
}

/* It has proven what it is, if it had to. */
static void server_opens(struct tcp_link *l)
{
    struct tcp_transport *t = l->transport;
    int err;

    if (is_full(t)) {
        tcp_close(l, VLY_E_BUSY, false, VLY_CLOSE_BUSY, "");
        tell_turned_away(l, vly_close_code_text(VLY_CLOSE_BUSY));
        return;
    }
    open_link(l);
    err = t->spec.on_accept(t->spec.ctx, &l->base);
    if (err != 0)
        tcp_close(l, err, true, t->spec.reject_code, vly_err_text(err));
    else
        l->has_user = true;
}

static void on_client_preface(struct tcp_link *l, const uint8_t *bytes, int err)
{
    struct tcp_transport *t = l->transport;
    bool is_plain = l->peer.suite == VLY_SUITE_PLAIN;

    if (err == VLY_E_PROTOCOL) { /* a stranger: not a word */
        tcp_end(l, err, 0, "");
    } else if (err != 0) { /* of another version: ours stands in the preface */
        refuse(l, err, VLY_CLOSE_PROTOCOL_VIOLATION, vly_err_text(err));
    } else if (is_plain != (t->security == NULL)) {
        refuse_as(l, VLY_E_SUITE, VLY_CLOSE_SUITE);
    } else if (strcmp(l->peer.application, t->application) != 0) {
        refuse(l, VLY_E_REFUSED, VLY_CLOSE_APPLICATION, "not served here");
    } else if (is_full(t)) {
        refuse_as(l, VLY_E_BUSY, VLY_CLOSE_BUSY);
    } else if (is_plain) {
        if (send_preface(l))
            server_opens(l);
    } else if (l->peer.handshake_bytes == 0) {
        refuse_as(l, VLY_E_PROTOCOL, VLY_CLOSE_PROTOCOL_VIOLATION);
    } else if (begin(l, STEP_OPENING)) {
        memcpy(l->handshake->preface, bytes, VLY_TCP_PREFACE_BYTES);
        l->handshake->wanted = l->peer.handshake_bytes;
        l->state = LINK_HANDSHAKE;
    }
}

/* Preface and message 2. Returns 0, VLY_E_AUTH. */
static int answer(struct tcp_link *l)
{
    struct tcp_handshake *h = l->handshake;
    size_t second_bytes = message_bytes[security(l)->credentials->method][1];
    uint8_t bytes[VLY_TCP_PREFACE_BYTES + VLY_HANDSHAKE_MAX];
    struct vly_wr w = vly_wr_init(bytes, sizeof bytes);
    int err;

    preface_encode(l, h->suite->id, second_bytes, vly_wr_take(&w, VLY_TCP_PREFACE_BYTES));
    err = vly_handshake_write(h->messages, (struct vly_span){bytes, VLY_TCP_PREFACE_BYTES}, &w);
    if (err != 0)
        return err;
    assert(vly_wr_len(&w) == VLY_TCP_PREFACE_BYTES + second_bytes);
    (void)tcp_out_clear(l, (struct vly_span){bytes, vly_wr_len(&w)});
    return 0;
}

static const struct vly_suite_ops *choose_suite(const struct vly_crypto *crypto,
                                                struct vly_span offered)
{
    for (size_t i = 0; i < VLY_SUITES_SEALED_MAX && crypto->sealed[i] != NULL; i++)
        if (memchr(offered.data, crypto->sealed[i]->id, offered.len) != NULL)
            return crypto->sealed[i];
    return NULL;
}

static void on_opening(struct tcp_link *l, struct vly_span opening)
{
    struct tcp_handshake *h = l->handshake;
    struct vly_rd r = vly_rd_init(opening.data, opening.len);
    struct vly_span suites = vly_rd_bytes8(&r, SUITES_MAX);
    uint8_t method = vly_rd_u8(&r);
    struct vly_span message = vly_rd_bytes(&r, vly_rd_left(&r));
    int err;

    if (r.failed || suites.len == 0 || suites.data[0] != l->peer.suite) {
        refuse_as(l, VLY_E_PROTOCOL, VLY_CLOSE_PROTOCOL_VIOLATION);
        return;
    }
    h->suite = choose_suite(&security(l)->crypto, suites);
    if (h->suite == NULL) {
        refuse_as(l, VLY_E_SUITE, VLY_CLOSE_SUITE);
        return;
    }
    if (method != security(l)->credentials->method) {
        refuse_as(l, VLY_E_AUTH, VLY_CLOSE_METHOD);
        return;
    }
    if ((err = make_messages(l, h->preface, suites)) == 0 &&
        (err = read_message(l, message, (struct vly_span){0})) == 0)
        err = answer(l);
    if (err == VLY_E_NOMEM)
        refuse_as(l, err, VLY_CLOSE_NO_MEMORY);
    else if (err != 0)
        refuse_as(l, VLY_E_AUTH, VLY_CLOSE_AUTH);
    if (l->state != LINK_HANDSHAKE)
        return;
    h->step = vly_handshake_is_done(h->messages) ? STEP_PROOF : STEP_LAST;
    h->wanted = 2;
    h->len = 0;
    if (h->step == STEP_PROOF)
        (void)seal(l);
}

static void on_last(struct tcp_link *l, struct vly_span message)
{
    if (read_message(l, message, (struct vly_span){0}) != 0)
        tcp_handshake_on_proof(l, false);
    else if (seal(l))
        server_opens(l);
}

/* ---- both ---- */

void tcp_handshake_on_proof(struct tcp_link *l, bool verified)
{
    if (verified) {
        server_opens(l);
        return;
    }
    tell_turned_away(l, vly_close_code_text(VLY_CLOSE_AUTH));
    tcp_end(l, VLY_E_AUTH, 0, "");
}

void tcp_handshake_on_gone(struct tcp_link *l)
{
    if (l->is_server && l->handshake->step >= STEP_LAST)
        tell_turned_away(l, "it left when it had seen this server's answer");
}

void tcp_handshake_on_preface(struct tcp_link *l, const uint8_t *bytes, int err)
{
    if (l->is_server) {
        on_client_preface(l, bytes, err);
        return;
    }
    if (l->handshake != NULL)
        memcpy(l->handshake->preface, bytes, VLY_TCP_PREFACE_BYTES);
    on_server_preface(l, err);
}

static void on_message(struct tcp_link *l, struct vly_span message)
{
    switch (l->handshake->step) {
    case STEP_OPENING:
        on_opening(l, message);
        break;
    case STEP_ANSWER:
        on_answer(l, message);
        break;
    case STEP_LAST:
        on_last(l, message);
        break;
    case STEP_REFUSAL: /* tcp_take_refusal's */
    case STEP_PROOF:   /* a block, of tcp_take */
        break;
    }
}

/* Message 3 has its length before it. */
static bool knows_length(struct tcp_handshake *h, struct vly_span *data)
{
    size_t len;

    if (h->step != STEP_LAST || h->len > 2 || h->wanted > 2)
        return true;
    if (!tcp_gather(h->kept, &h->len, data, 2))
        return false;
    len = vly_load_u16(h->kept);
    h->wanted = 2 + (len < VLY_HANDSHAKE_MAX ? len : VLY_HANDSHAKE_MAX);
    return true;
}

void tcp_handshake_take(struct tcp_link *l, struct vly_span *data)
{
    struct tcp_handshake *h = l->handshake;
    size_t from = h->step == STEP_LAST ? 2 : 0;

    if (h->step == STEP_REFUSAL)
        tcp_take_refusal(l, data);
    else if (knows_length(h, data) && tcp_gather(h->kept, &h->len, data, h->wanted))
        on_message(l, (struct vly_span){h->kept + from, h->len - from});
}
