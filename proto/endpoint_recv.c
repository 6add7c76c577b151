/*
 * endpoint_recv - a datagram in: which connection it is for, or what becomes of it without one.
 * SPEC 2, 3.
 *
 * Each handler returns whether the datagram was of use; those that were not are counted and
 * forgotten.
 */
#include "endpoint_internal.h"

#include "conn_internal.h"
#include "seal.h"

#include <string.h>

static bool same_address(const struct vly_addr *a, const struct vly_addr *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static bool open_plain(const struct vly_endpoint *ep, const struct vly_datagram *d)
{
    size_t len = d->len - VLY_TAG_BYTES;

    return vly_open_one(ep->sh.crypto->plain, NULL, 0, d->data, len, len);
}

static bool is_offered(struct vly_span suites, uint8_t suite)
{
    return memchr(suites.data, suite, suites.len) != NULL;
}

/* The id of the connection this HELLO makes: the same one for the same HELLO from the same address
 * (SPEC 2.2). */
static uint64_t server_cid(const struct vly_endpoint *ep, const struct vly_datagram *d,
                           const struct vly_hello *hello)
{
    uint8_t head[10] = {'c', d->from->len};
    struct vly_wr w = vly_wr_init(head + 2, 8);
    struct vly_span parts[3] = {{head, sizeof(head)}, {d->from->data, d->from->len}, hello->params};
    uint8_t mac[VLY_MAC_BYTES];
    struct vly_rd r = vly_rd_init(mac, sizeof(mac));
    uint64_t cid;

    vly_wr_u64(&w, hello->client_cid);
    ep->sh.crypto->hmac(ep->id_key, parts, 3, mac);
    cid = vly_rd_u64(&r);
    return cid == 0 ? 1 : cid;
}

/* Whether the server takes a HELLO with a good cookie; else answers why not. */
static bool hello_is_acceptable(struct vly_endpoint *ep, const struct vly_datagram *d,
                                const struct vly_hello *hello, struct vly_params *params)
{
    if (!ep->allow_plain || !is_offered(hello->suites, VLY_SUITE_PLAIN)) {
        vly_answer_refuse(ep, d, hello->client_cid, VLY_CLOSE_SUITE);
        return false;
    }
    if (hello->handshake.len > 0 || vly_params_decode(params, hello->params) != 0) {
        vly_answer_refuse(ep, d, hello->client_cid, VLY_CLOSE_PARAMETER);
        return false;
    }
    if (params->application_len != strlen(ep->application) ||
        memcmp(params->application, ep->application, params->application_len) != 0) {
        vly_answer_refuse(ep, d, hello->client_cid, VLY_CLOSE_APPLICATION);
        return false;
    }
    return true;
}

static void accept_hello(struct vly_endpoint *ep, const struct vly_datagram *d,
                         const struct vly_hello *hello, uint64_t now_ns)
{
    uint64_t cid = server_cid(ep, d, hello);
    struct vly_conn *c = vly_conntab_find(&ep->conns, cid);
    struct vly_params params;

    if (c != NULL) {
        if (c->state == VLY_STATE_ACCEPTED || c->state == VLY_STATE_OPEN) {
            c->accept_pending = true; /* the first ACCEPT was lost, perhaps */
            vly_ready_push(&ep->sh, c);
        }
        return;
    }
    if (!hello_is_acceptable(ep, d, hello, &params))
        return;
    if (ep->conns.n >= ep->max_conns ||
        vly_endpoint_add(ep, VLY_SERVER, d->from, cid, now_ns, &c) != 0) {
        vly_answer_refuse(ep, d, hello->client_cid, VLY_CLOSE_BUSY);
        return;
    }
    c->peer_cid = hello->client_cid;
    c->peer_params = params;
    vly_reset_token(ep, cid, c->reset_token);
    vly_conn_apply_params(c, now_ns);
    c->accept_pending = true;
}

/* RULE 1, 2: nothing is kept and nothing larger is sent before the cookie came back. */
static bool on_hello(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_span body = {d->data, d->len - VLY_TAG_BYTES};
    struct vly_span address = {d->from->data, d->from->len};
    struct vly_hello hello;
    int err;

    if (!ep->is_server || d->len < VLY_DATAGRAM_BASE || !open_plain(ep, d))
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

/* The client connection an answer is for; NULL when there is none or it comes from elsewhere. */
static struct vly_conn *client_for(const struct vly_endpoint *ep, const struct vly_datagram *d,
                                   uint64_t cid)
{
    struct vly_conn *c = vly_conntab_find(&ep->conns, cid);

    if (c == NULL || c->role != VLY_CLIENT || !same_address(&c->peer, d->from))
        return NULL;
    return c;
}

static bool is_connecting(const struct vly_conn *c)
{
    return c->state == VLY_STATE_HELLO_SENT || c->state == VLY_STATE_COOKIE_SENT;
}

static bool on_retry(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_retry p;
    struct vly_conn *c;

    if (!open_plain(ep, d) ||
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

    if (!open_plain(ep, d) ||
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

    if (!open_plain(ep, d) ||
        vly_versions_decode(&p, (struct vly_span){d->data, d->len - VLY_TAG_BYTES}) != 0 ||
        (c = client_for(ep, d, p.client_cid)) == NULL || !is_connecting(c))
        return false;
    r = vly_rd_init(p.versions.data, p.versions.len);
    while (vly_rd_left(&r) >= 4) {
        if (vly_rd_u32(&r) == VLY_VERSION_1)
            return false; /* it does speak ours: a mistake or a forgery */
    }
    vly_conn_end(c, VLY_E_VERSION, now_ns);
    return true;
}

static int refuse_error(uint64_t code)
{
    switch (code) {
    case VLY_CLOSE_SUITE:
        return VLY_E_SUITE;
    case VLY_CLOSE_BUSY:
        return VLY_E_BUSY;
    default:
        return VLY_E_REFUSED;
    }
}

static bool on_refuse(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_refuse p;
    struct vly_conn *c;

    if (!open_plain(ep, d) ||
        vly_refuse_decode(&p, (struct vly_span){d->data, d->len - VLY_TAG_BYTES}) != 0 ||
        (c = client_for(ep, d, p.client_cid)) == NULL || !is_connecting(c))
        return false;
    vly_conn_refused(c, refuse_error(p.code), &p, now_ns);
    return true;
}

static bool on_unknown(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    struct vly_unknown p;

    if (!open_plain(ep, d) ||
        vly_unknown_decode(&p, (struct vly_span){d->data, d->len - VLY_TAG_BYTES}) != 0)
        return false;
    /* Only clients have tokens, and those have few connections. */
    for (size_t i = 0; i < ep->conns.cap; i++) {
        struct vly_conn *c = ep->conns.slots[i];

        if (c == NULL || c->role != VLY_CLIENT || c->peer_cid != p.server_cid ||
            !c->has_reset_token || !same_address(&c->peer, d->from) ||
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
    struct vly_conn *c;
    struct vly_packet p;

    if (vly_data_header_decode(&h, (struct vly_span){d->data, len}) != 0)
        return false;
    c = vly_conntab_find(&ep->conns, h.cid);
    if (c == NULL) {
        vly_answer_unknown(ep, d, h.cid, now_ns);
        return false;
    }
    if (!same_address(&c->peer, d->from) || is_connecting(c) || c->state == VLY_STATE_CLOSED)
        return false;
    if (h.key_phase || !vly_open_one(c->suite, NULL, h.pn, d->data, VLY_DATA_HEADER_BYTES, len)) {
        c->stats.dropped_received++;
        return false; /* RULE 9: nothing else has changed */
    }
    p = (struct vly_packet){
        .pn = h.pn,
        .frames = {d->data + VLY_DATA_HEADER_BYTES, len - VLY_DATA_HEADER_BYTES},
        .ecn = d->ecn,
        .bytes = (uint32_t)d->len,
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
        return on_hello(ep, d, now_ns);
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
    default: /* FINISH too: suite plain has none */
        return false;
    }
}
