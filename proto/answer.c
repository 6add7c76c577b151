/*
 * answer - what a server sends to those it has no connection with: cookies, versions, refusals,
 * UNKNOWN.
 *
 * Nothing is kept for any of them (RULE 1), each is smaller than what asked for it (RULE 2), and
 * nothing here answers an answer (RULE 7).
 */
#include "endpoint_internal.h"
#include "seal.h"

#include <assert.h>
#include <string.h>

#define ANSWERS_PER_S 100u /* UNKNOWN and VERSIONS, in all (RULE 7) */

/* RULE 7: so many a second in all, and never an answer to an answer. */
static bool answer_allowed(struct vly_endpoint *ep, uint64_t now_ns)
{
    if (vly_time_since(now_ns, ep->answers_since_ns) >= VLY_S(1)) {
        ep->answers_since_ns = now_ns;
        ep->answers = 0;
    }
    return ep->answers++ < ANSWERS_PER_S;
}

/* Begins an answer to `to`; NULL when no slot is free. */
static struct vly_reply *reply_begin(struct vly_endpoint *ep, const struct vly_addr *to,
                                     struct vly_wr *w)
{
    struct vly_reply *reply = vly_replies_free_slot(&ep->sh.replies);

    if (reply == NULL)
        return NULL;
    reply->to = *to;
    *w = vly_wr_init(reply->data, sizeof(reply->data) - VLY_TAG_BYTES);
    return reply;
}

static void reply_finish(struct vly_endpoint *ep, struct vly_reply *reply, const struct vly_wr *w)
{
    size_t len = vly_wr_len(w);

    assert(!w->failed);
    vly_seal_one(ep->sh.crypto->plain, NULL, 0, reply->data, len, len);
    reply->len = len + VLY_TAG_BYTES;
    ep->sh.replies.n++;
}

void vly_answer_versions(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t cid,
                         uint64_t now_ns)
{
    struct vly_wr w;
    struct vly_reply *reply;

    if (!answer_allowed(ep, now_ns) || (reply = reply_begin(ep, d->from, &w)) == NULL)
        return;
    vly_versions_encode(&w, cid);
    reply_finish(ep, reply, &w);
    ep->stats.versions_sent++;
}

void vly_answer_refuse(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t cid,
                       enum vly_close_code code)
{
    const char *text = vly_close_code_text(code);
    struct vly_refuse refuse = {
        .client_cid = cid, .code = code, .reason = {(const uint8_t *)text, strlen(text)}};
    struct vly_wr w;
    struct vly_reply *reply = reply_begin(ep, d->from, &w);

    if (reply == NULL)
        return;
    vly_refuse_encode(&w, &refuse);
    reply_finish(ep, reply, &w);
    ep->stats.refused_sent++;
}

void vly_answer_retry(struct vly_endpoint *ep, const struct vly_datagram *d,
                      const struct vly_hello *hello, uint64_t now_ns)
{
    struct vly_span address = {d->from->data, d->from->len};
    uint8_t cookie[VLY_COOKIE_BYTES];
    struct vly_retry retry = {.client_cid = hello->client_cid, .cookie = {cookie, sizeof(cookie)}};
    struct vly_wr w;
    struct vly_reply *reply = reply_begin(ep, d->from, &w);

    if (reply == NULL)
        return;
    vly_cookie_make(&ep->cookies, ep->sh.crypto, address, hello, now_ns, cookie);
    vly_retry_encode(&w, &retry);
    reply_finish(ep, reply, &w);
    ep->stats.retries_sent++;
}

void vly_reset_token(const struct vly_endpoint *ep, uint64_t cid,
                     uint8_t out[VLY_RESET_TOKEN_BYTES])
{
    uint8_t buf[9] = {'t'};
    struct vly_wr w = vly_wr_init(buf + 1, 8);
    struct vly_span part = {buf, sizeof(buf)};
    uint8_t mac[VLY_MAC_BYTES];

    vly_wr_u64(&w, cid);
    ep->sh.crypto->hmac(ep->id_key, &part, 1, mac);
    memcpy(out, mac, VLY_RESET_TOKEN_BYTES);
}

void vly_answer_unknown(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t cid,
                        uint64_t now_ns)
{
    struct vly_unknown unknown = {.server_cid = cid};
    struct vly_wr w;
    struct vly_reply *reply;

    if (!ep->is_server || d->len <= VLY_UNKNOWN_BYTES || !answer_allowed(ep, now_ns) ||
        (reply = reply_begin(ep, d->from, &w)) == NULL)
        return;
    vly_reset_token(ep, cid, unknown.token);
    vly_unknown_encode(&w, &unknown);
    reply_finish(ep, reply, &w);
    ep->stats.unknown_sent++;
}
