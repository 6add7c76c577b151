/*
 * conn_accept - the server's half of setting up, SPEC 3: what a HELLO offers, ACCEPT, FINISH.
 */
#include "conn_internal.h"

#include <assert.h>
#include <string.h>

/* ---- HELLO ---- */

static const struct vly_suite_ops *pick_suite(const struct vly_shared *sh, struct vly_span suites)
{
    if (sh->credentials == NULL)
        return memchr(suites.data, VLY_SUITE_PLAIN, suites.len) != NULL ? sh->crypto->plain : NULL;
    for (size_t i = 0; i < VLY_SUITES_SEALED_MAX && sh->crypto->sealed[i] != NULL; i++) {
        if (memchr(suites.data, sh->crypto->sealed[i]->id, suites.len) != NULL)
            return sh->crypto->sealed[i];
    }
    return NULL;
}

/* Parameters of a client, and whether we serve what it asks for. */
static enum vly_close_code check_params(const struct vly_shared *sh, struct vly_span encoded,
                                        struct vly_params *out)
{
    const char *application = sh->config.application;

    if (vly_params_decode(out, encoded) != 0)
        return VLY_CLOSE_PARAMETER;
    if (out->application_len != strlen(application) ||
        memcmp(out->application, application, out->application_len) != 0)
        return VLY_CLOSE_APPLICATION;
    return VLY_CLOSE_NO_ERROR;
}

/* Reads method and message 1. */
static enum vly_close_code read_offer(const struct vly_shared *sh, const struct vly_hello *hello,
                                      struct vly_offer *out)
{
    const struct vly_credentials *ours = sh->credentials;
    struct vly_span message = {hello->handshake.data + 1, hello->handshake.len - 1};
    uint8_t prologue[VLY_HANDSHAKE_PROLOGUE_MAX], payload[VLY_HANDSHAKE_MAX];
    size_t len = vly_handshake_prologue(hello, (uint8_t)ours->method, prologue);
    bool has_params;
    int err;

    if (message.len > sizeof(payload))
        return VLY_CLOSE_AUTH;
    err = vly_handshake_new(&out->handshake, sh->crypto, VLY_HANDSHAKE_SERVER, ours,
                            (struct vly_span){prologue, len});
    if (err != 0)
        return VLY_CLOSE_BUSY;
    has_params = vly_handshake_has_payload(out->handshake);
    err = vly_handshake_read(out->handshake, message, payload, &len);
    if (err != 0)
        return err == VLY_E_NOMEM ? VLY_CLOSE_BUSY : VLY_CLOSE_AUTH;
    return has_params ? check_params(sh, (struct vly_span){payload, len}, &out->params)
                      : VLY_CLOSE_NO_ERROR;
}

enum vly_close_code vly_offer_read(const struct vly_shared *sh, const struct vly_hello *hello,
                                   struct vly_offer *out)
{
    *out = (struct vly_offer){.suite = pick_suite(sh, hello->suites)};
    vly_params_init(&out->params);
    if (out->suite == NULL)
        return VLY_CLOSE_SUITE;
    if (sh->credentials == NULL)
        return hello->handshake.len > 0 ? VLY_CLOSE_PARAMETER
                                        : check_params(sh, hello->params, &out->params);
    if (hello->handshake.len == 0 || hello->handshake.data[0] != (uint8_t)sh->credentials->method)
        return VLY_CLOSE_METHOD;
    if (hello->params.len > 0)
        return VLY_CLOSE_PARAMETER;
    if (sh->credentials->method == VLY_METHOD_CODE && vly_code_is_dead(sh))
        return VLY_CLOSE_AUTH;
    return read_offer(sh, hello, out);
}

/* ---- ACCEPT ---- */

/* Message 2, with payload S. */
static int write_answer(struct vly_conn *c)
{
    uint8_t payload[VLY_HANDSHAKE_PAYLOAD_MAX], message[VLY_HANDSHAKE_MAX];
    struct vly_wr pw = vly_wr_init(payload, sizeof(payload));
    struct vly_wr w = vly_wr_init(message, sizeof(message));
    struct vly_params ours;
    int err;

    vly_wr_u32(&pw, VLY_VERSION_1);
    vly_wr_u8(&pw, c->suite->id);
    vly_wr_u64(&pw, c->cid);
    vly_conn_our_params(c, &ours);
    vly_params_encode(&pw, &ours);
    assert(!pw.failed);
    err = vly_handshake_write(c->handshake, (struct vly_span){payload, vly_wr_len(&pw)}, &w);
    return err != 0 ? err : vly_conn_keep_message(c, message, vly_wr_len(&w));
}

int vly_conn_accept(struct vly_conn *c, struct vly_offer *offer, uint64_t now_ns)
{
    int err = 0;

    c->suite = offer->suite;
    c->handshake = offer->handshake;
    offer->handshake = NULL;
    c->peer_params = offer->params;
    if (c->handshake != NULL)
        err = write_answer(c);
    if (err == 0 && (c->handshake == NULL || vly_handshake_is_done(c->handshake)))
        err = vly_conn_make_keys(c);
    if (err != 0)
        return err;
    if (c->send_keys != NULL) /* else the parameters come with FINISH */
        vly_conn_apply_params(c, now_ns);
    if (c->handshake != NULL && c->sh->credentials->method == VLY_METHOD_CODE)
        c->sh->code_tries++;
    vly_half_open_add(c->sh, c);
    c->accept_pending = true;
    return 0;
}

void vly_conn_write_accept(const struct vly_conn *c, struct vly_wr *w)
{
    uint8_t params[VLY_HANDSHAKE_PAYLOAD_MAX];
    struct vly_accept accept = {
        .client_cid = c->peer_cid,
        .server_cid = c->cid,
        .version = VLY_VERSION_1,
        .suite = c->suite->id,
        .handshake = {c->message, c->message_len},
    };

    if (c->message == NULL)
        accept.params = vly_conn_encode_params(c, params, sizeof(params));
    vly_accept_encode(w, &accept);
}

/* ---- confirmed ---- */

int vly_conn_confirm(struct vly_conn *c, enum vly_transition how, uint64_t now_ns)
{
    vly_conn_take(c, how, now_ns);
    c->stats.handshake_ns = now_ns - c->start_ns;
    if (vly_conn_event(c, VLY_EV_ACCEPTED, 0, 0) != 0)
        return VLY_E_NOMEM;
    c->told = true;
    return 0;
}

/* Payload C and the keys. */
static enum vly_close_code finish(struct vly_conn *c, struct vly_span payload)
{
    enum vly_close_code code = check_params(c->sh, payload, &c->peer_params);

    (void)vly_conn_note_peer_key(c);
    if (vly_conn_make_keys(c) != 0)
        return VLY_CLOSE_NO_MEMORY;
    if (code == VLY_CLOSE_NO_ERROR && c->sh->code_used)
        code = VLY_CLOSE_AUTH; /* another client was faster */
    return code;
}

/* Its client proved to receive here, and is turned away all the same. */
static void turn_away(struct vly_conn *c, enum vly_close_code code, uint64_t now_ns)
{
    vly_turned_away(c->sh, &c->peer, code);
    if (code == VLY_CLOSE_NO_MEMORY)
        vly_conn_fail(c, VLY_E_NOMEM, code, now_ns);
    else
        vly_conn_turn_away(c, code, now_ns);
}

bool vly_conn_on_finish(struct vly_conn *c, struct vly_span message, uint64_t now_ns)
{
    uint8_t payload[VLY_HANDSHAKE_MAX];
    enum vly_close_code code;
    size_t len;

    if (vly_conn_may(c, VLY_SERVER_HEARD) && c->finished && c->stats.acks_received == 0) {
        vly_conn_ping(c);
        return true;
    }
    if (!vly_conn_may(c, VLY_SERVER_FINISHED) || c->handshake == NULL ||
        message.len > sizeof(payload) ||
        vly_handshake_read(c->handshake, message, payload, &len) != 0)
        return false;
    c->finished = true;
    c->last_received_ns = now_ns;
    code = finish(c, (struct vly_span){payload, len});
    if (code != VLY_CLOSE_NO_ERROR) {
        turn_away(c, code, now_ns);
        return true;
    }
    c->sh->code_used = c->sh->credentials->method == VLY_METHOD_CODE;
    vly_conn_apply_params(c, now_ns);
    c->ping_pending = true; /* so that the client knows */
    vly_ready_push(c->sh, c);
    if (vly_conn_confirm(c, VLY_SERVER_FINISHED, now_ns) != 0)
        vly_conn_fail(c, VLY_E_NOMEM, VLY_CLOSE_NO_MEMORY, now_ns);
    return true;
}
