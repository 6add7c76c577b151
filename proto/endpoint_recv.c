/*
 * endpoint_recv - a datagram in: which connection it is for, or what becomes of it without one.
 * SPEC 2, 3. What a server is asked by HELLO and FINISH is in endpoint_hello.c.
 *
 * Each handler returns whether the datagram was of use; those that were not are counted and
 * forgotten.
 */
#include "endpoint_internal.h"

#include "conn_internal.h"
#include "seal.h"

#include <string.h>

bool vly_endpoint_open_plain(const struct vly_endpoint *ep, const struct vly_datagram *d)
{
    size_t len = d->len - VLY_TAG_BYTES;

    return vly_open_one(ep->sh.crypto->plain, NULL, 0, d->data, len, len);
}

/* The client connection an answer is for; NULL when there is none or it comes from elsewhere. */
static struct vly_conn *client_for(const struct vly_endpoint *ep, const struct vly_datagram *d,
                                   uint64_t cid)
{
    struct vly_conn *c = vly_conntab_find(&ep->conns, cid);

    if (c == NULL || c->role != VLY_CLIENT || !vly_addr_equal(&c->peer, d->from))
        return NULL;
    return c;
}

static bool on_retry(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_retry p;
    struct vly_conn *c;

    if (!vly_endpoint_open_plain(ep, d) ||
        vly_retry_decode(&p, (struct vly_span){d->data, d->len - VLY_TAG_BYTES}) != 0 ||
        (c = client_for(ep, d, p.client_cid)) == NULL)
        return false;
    vly_conn_on_retry(c, &p, now_ns);
    return true;
}

static bool on_accept(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_accept p;
    struct vly_conn *c;

    if (!vly_endpoint_open_plain(ep, d) ||
        vly_accept_decode(&p, (struct vly_span){d->data, d->len - VLY_TAG_BYTES}) != 0 ||
        (c = client_for(ep, d, p.client_cid)) == NULL)
        return false;
    vly_conn_on_accept(c, &p, now_ns);
    return true;
}

static bool on_versions(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_versions p;
    struct vly_conn *c;
    struct vly_rd r;

    if (!vly_endpoint_open_plain(ep, d) ||
        vly_versions_decode(&p, (struct vly_span){d->data, d->len - VLY_TAG_BYTES}) != 0 ||
        (c = client_for(ep, d, p.client_cid)) == NULL || !vly_conn_may(c, VLY_CLIENT_REFUSED))
        return false;
    r = vly_rd_init(p.versions.data, p.versions.len);
    while (vly_rd_left(&r) >= 4) {
        if (vly_rd_u32(&r) == VLY_VERSION_1)
            return false; /* it does speak ours: a mistake or a forgery */
    }
    vly_conn_end(c, VLY_E_VERSION, now_ns);
    return true;
}

static bool on_refuse(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_refuse p;
    struct vly_conn *c;
    int err;

    if (!vly_endpoint_open_plain(ep, d) ||
        vly_refuse_decode(&p, (struct vly_span){d->data, d->len - VLY_TAG_BYTES}) != 0 ||
        (c = client_for(ep, d, p.client_cid)) == NULL || !vly_conn_may(c, VLY_CLIENT_REFUSED))
        return false;
    err = vly_close_code_error(p.code);
    vly_conn_refused(
        c, err == VLY_E_SUITE || err == VLY_E_BUSY || err == VLY_E_AUTH ? err : VLY_E_REFUSED, &p,
        now_ns);
    return true;
}

static bool on_unknown(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_unknown p;

    /* Only clients have tokens, and those have few connections; a server with many must not look
     * through all of them for anybody's packet. */
    if (ep->n_clients == 0 || !vly_endpoint_open_plain(ep, d) ||
        vly_unknown_decode(&p, (struct vly_span){d->data, d->len - VLY_TAG_BYTES}) != 0)
        return false;
    for (size_t i = 0; i < ep->conns.cap; i++) {
        struct vly_conn *c = ep->conns.slots[i];

        if (c == NULL || c->role != VLY_CLIENT || c->peer_cid != p.server_cid ||
            !c->has_reset_token || !vly_addr_equal(&c->peer, d->from) ||
            !vly_equal_secret(c->reset_token, p.token, sizeof(p.token)))
            continue;
        if (c->state == VLY_STATE_CLOSING)
            vly_conn_end(c, c->end.err, now_ns);
        else
            vly_conn_end(c, VLY_E_LOST, now_ns);
        return true;
    }
    return false;
}

static bool on_data(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_data_header h;
    size_t len = d->len - VLY_TAG_BYTES;
    const struct vly_addr *elsewhere;
    struct vly_conn *c;
    struct vly_packet p;

    if (vly_data_header_decode(&h, (struct vly_span){d->data, len}) != 0)
        return false;
    c = vly_conntab_find(&ep->conns, h.cid);
    if (c == NULL) {
        vly_answer_unknown(ep, d, h.cid, now_ns);
        return false;
    }
    if (c->recv_keys == NULL || c->state == VLY_STATE_CLOSED)
        return false;
    elsewhere = vly_addr_equal(&c->peer, d->from) ? NULL : d->from;
    if (elsewhere != NULL && !vly_conn_path_admits(c, elsewhere))
        return false;
    if (!vly_conn_open(c, &h, d->data, len, now_ns)) {
        if (c->state == VLY_STATE_CLOSED)
            vly_ready_push(&ep->sh, c);
        return false;
    }
    p = (struct vly_packet){
        .pn = h.pn,
        .frames = {d->data + VLY_DATA_HEADER_BYTES, len - VLY_DATA_HEADER_BYTES},
        .ecn = d->ecn,
        .bytes = (uint32_t)d->len,
        .elsewhere = elsewhere,
        .now_ns = now_ns,
    };
    vly_conn_on_packet(c, &p);
    ep->last_received = c;
    vly_ready_push(&ep->sh, c);
    return true;
}

bool vly_endpoint_dispatch(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    switch (d->data[0]) {
    case VLY_PACKET_DATA:
    case VLY_PACKET_DATA | VLY_KEY_PHASE_BIT:
        return on_data(ep, d, now_ns);
    case VLY_PACKET_HELLO:
        return vly_endpoint_on_hello(ep, d, now_ns);
    case VLY_PACKET_RETRY:
        return on_retry(ep, d, now_ns);
    case VLY_PACKET_ACCEPT:
        return on_accept(ep, d, now_ns);
    case VLY_PACKET_VERSIONS:
        return on_versions(ep, d, now_ns);
    case VLY_PACKET_UNKNOWN:
        return on_unknown(ep, d, now_ns);
    case VLY_PACKET_REFUSE:
        return on_refuse(ep, d, now_ns);
    case VLY_PACKET_FINISH:
        return vly_endpoint_on_finish(ep, d, now_ns);
    default:
        return false;
    }
}
