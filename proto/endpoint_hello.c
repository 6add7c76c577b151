/*
 * endpoint_hello - what a server makes of HELLO and FINISH. SPEC 2.3, 2.6, 3.
 *
 * RULE 1, 2: before the cookie came back nothing is kept, computed or sent but a cookie. After it a
 * HELLO costs a connection in ACCEPTED; of those there are few, and the oldest makes room.
 */
#include "endpoint_internal.h"

#include "conn_internal.h"

#include <string.h>

#define HALF_OPEN_MIN 256u /* a client that opens many at once does not push itself out */

/* The id of the connection this HELLO makes: the same one for the same HELLO from the same address
 * (SPEC 2.2). */
static uint64_t server_cid(const struct vly_endpoint *ep, const struct vly_datagram *d,
                           const struct vly_hello *hello)
{
    uint8_t head[1 + 1 + 4 + 8 + 1 + 2 + 2];
    struct vly_wr w = vly_wr_init(head, sizeof(head));
    struct vly_span parts[] = {
        {head, sizeof(head)}, {d->from->data, d->from->len}, hello->suites, hello->handshake,
        hello->params,
    };
    uint8_t mac[VLY_MAC_BYTES];
    struct vly_rd r = vly_rd_init(mac, sizeof(mac));
    uint64_t cid;

    vly_wr_u8(&w, 'c');
    vly_wr_u8(&w, d->from->len);
    vly_wr_u32(&w, hello->version);
    vly_wr_u64(&w, hello->client_cid);
    vly_wr_u8(&w, (uint8_t)hello->suites.len);
    vly_wr_u16(&w, (uint16_t)hello->handshake.len);
    vly_wr_u16(&w, (uint16_t)hello->params.len);
    ep->sh.crypto->hmac(ep->id_key, parts, sizeof(parts) / sizeof(parts[0]), mac);
    cid = vly_rd_u64(&r);
    return cid == 0 ? 1 : cid;
}

static bool is_full(const struct vly_endpoint *ep)
{
    return ep->conns.n >= ep->max_conns;
}

/* SPEC 3: at most 256 or a quarter of the connections, so that strangers leave room for others; and
 * the server is not full because of them. None of them is known to the application yet. */
static void half_open_make_room(struct vly_endpoint *ep)
{
    size_t most = ep->max_conns / 4 > HALF_OPEN_MIN ? ep->max_conns / 4 : HALF_OPEN_MIN;

    if (ep->sh.half_open_n > 0 && (ep->sh.half_open_n >= most || is_full(ep)))
        vly_endpoint_drop(ep, ep->sh.half_open_head);
}

/* Makes the connection, or says why not. */
static enum vly_close_code make_connection(struct vly_endpoint *ep, const struct vly_datagram *d,
                                           const struct vly_hello *hello, struct vly_offer *offer,
                                           uint64_t now_ns)
{
    uint64_t cid = server_cid(ep, d, hello);
    struct vly_conn *c;
    int err;

    half_open_make_room(ep);
    if (vly_endpoint_add(ep, VLY_SERVER, d->from, cid, now_ns, &c) != 0)
        return VLY_CLOSE_BUSY;
    c->peer_cid = hello->client_cid;
    vly_reset_token(ep, cid, c->reset_token);
    err = vly_conn_accept(c, offer, now_ns);
    if (err == 0)
        return VLY_CLOSE_NO_ERROR;
    vly_endpoint_drop(ep, c);
    return err == VLY_E_AUTH ? VLY_CLOSE_AUTH : VLY_CLOSE_BUSY;
}

static void accept_hello(struct vly_endpoint *ep, const struct vly_datagram *d,
                         const struct vly_hello *hello, uint64_t now_ns)
{
    struct vly_conn *c = vly_conntab_find(&ep->conns, server_cid(ep, d, hello));
    enum vly_close_code code = VLY_CLOSE_BUSY;
    struct vly_offer offer = {.suite = NULL};

    if (c != NULL) {
        if (vly_conn_may(c, VLY_SERVER_REPEATS)) {
            c->accept_pending = true; /* the first ACCEPT was lost, perhaps */
            vly_ready_push(&ep->sh, c);
        }
        return;
    }
    if (!is_full(ep) || ep->sh.half_open_n > 0)
        code = vly_offer_read(&ep->sh, hello, &offer);
    if (code == VLY_CLOSE_NO_ERROR)
        code = make_connection(ep, d, hello, &offer, now_ns);
    vly_handshake_free(offer.handshake);
    if (code == VLY_CLOSE_NO_ERROR)
        return;
    vly_answer_refuse(ep, d, hello->client_cid, code);
    vly_turned_away(&ep->sh, d->from, code);
}

bool vly_endpoint_on_hello(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_span body = {d->data, d->len - VLY_TAG_BYTES};
    struct vly_span address = {d->from->data, d->from->len};
    struct vly_hello hello;
    int err;

    if (!ep->is_server || !vly_endpoint_open_plain(ep, d))
        return false;
    err = vly_hello_decode(&hello, body);
    if (err == VLY_E_VERSION) {
        vly_answer_versions(ep, d, hello.client_cid, now_ns);
        return true;
    }
    if (err != 0 || hello.client_cid == 0)
        return false;
    if (!vly_cookie_is_valid(&ep->cookies, ep->sh.crypto, address, &hello, now_ns))
        vly_answer_retry(ep, d, &hello, now_ns);
    else
        accept_hello(ep, d, &hello, now_ns);
    return true;
}

bool vly_endpoint_on_finish(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_finish p;
    struct vly_conn *c;

    if (!vly_endpoint_open_plain(ep, d) ||
        vly_finish_decode(&p, (struct vly_span){d->data, d->len - VLY_TAG_BYTES}) != 0)
        return false;
    c = vly_conntab_find(&ep->conns, p.server_cid);
    return c != NULL && vly_addr_equal(&c->peer, d->from) &&
           vly_conn_on_finish(c, p.handshake, now_ns);
}
