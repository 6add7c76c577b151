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

/* Of DATA, without a look at the rest. */
static uint64_t packet_number(const struct vly_datagram *d)
{
    return vly_load_u64(d->data + VLY_DATA_HEADER_BYTES - sizeof(uint64_t));
}

/* Whether `d` is of the same kind as `first`, for the same connection and from the same place. */
static bool goes_with(const struct vly_datagram *d, const struct vly_datagram *first)
{
    return d->len > VLY_DATA_HEADER_BYTES + VLY_TAG_BYTES && d->len <= VLY_DATAGRAM_MAX &&
           d->ecn == first->ecn && memcmp(d->data, first->data, 1 + sizeof(uint64_t)) == 0 &&
           packet_number(d) <= VLY_VARINT_MAX && /* RULE 36 */
           (d->from == first->from || vly_addr_equal(d->from, first->from));
}

/* How many of the datagrams, the first one included, can be opened together. */
static size_t run_length(const struct vly_datagram *d, size_t n)
{
    size_t i = 1;

    while (i < n && i < VLY_BATCH_PKTS && goes_with(&d[i], d))
        i++;
    return i;
}

/* Packets of the present keys, opened together. Returns how many were of use. */
static size_t open_run(struct vly_conn *c, const struct vly_datagram *d, size_t n,
                       const struct vly_packet *like)
{
    struct vly_aead_job jobs[VLY_BATCH_PKTS];

    for (size_t i = 0; i < n; i++) {
        uint8_t *text = d[i].data + VLY_DATA_HEADER_BYTES;

        jobs[i] = (struct vly_aead_job){
            .number = packet_number(&d[i]),
            .head = d[i].data,
            .head_bytes = VLY_DATA_HEADER_BYTES,
            .in = text,
            .len = d[i].len - VLY_DATA_HEADER_BYTES - VLY_TAG_BYTES,
            .out = text,
        };
    }
    vly_conn_open_run(c, jobs, n, like->now_ns);
    return vly_conn_recv_run(c, like, jobs, n);
}

/* One packet, perhaps of other keys than the present ones. */
static bool open_one(struct vly_conn *c, const struct vly_datagram *d,
                     const struct vly_data_header *h, struct vly_packet *p)
{
    size_t len = d->len - VLY_TAG_BYTES;

    if (!vly_conn_open(c, h, d->data, len, p->now_ns))
        return false;
    p->pn = h->pn;
    p->frames = (struct vly_span){d->data + VLY_DATA_HEADER_BYTES, len - VLY_DATA_HEADER_BYTES};
    p->bytes = (uint32_t)d->len;
    vly_conn_on_packet(c, p);
    return true;
}

/* Takes as many of the datagrams as belong together; returns how many, and in *used how many of
 * those were of use. */
static size_t on_data(struct vly_endpoint *ep, const struct vly_datagram *d, size_t n,
                      uint64_t now_ns, size_t *used)
{
    struct vly_packet p = {.ecn = d->ecn, .now_ns = now_ns};
    struct vly_data_header h;
    struct vly_conn *c;

    *used = 0;
    if (vly_data_header_decode(&h, (struct vly_span){d->data, d->len - VLY_TAG_BYTES}) != 0)
        return 1;
    c = vly_conntab_find(&ep->conns, h.cid);
    if (c == NULL) {
        vly_answer_unknown(ep, d, h.cid, now_ns);
        return 1;
    }
    if (c->recv_keys == NULL || c->state == VLY_STATE_CLOSED)
        return 1;
    p.elsewhere = vly_addr_equal(&c->peer, d->from) ? NULL : d->from;
    if (p.elsewhere != NULL && !vly_conn_path_admits(c, p.elsewhere))
        return 1;
    /* Where one packet may change what holds for the next, each is looked at by itself. */
    n = p.elsewhere == NULL && vly_recv_keys_is_present(c->recv_keys, h.key_phase)
            ? run_length(d, n)
            : 1;
    if (n > 1)
        *used = open_run(c, d, n, &p);
    else
        *used = open_one(c, d, &h, &p);
    if (*used > 0)
        vly_endpoint_holds_events(ep, c);
    if (*used > 0 || c->state == VLY_STATE_CLOSED)
        vly_ready_push(&ep->sh, c);
    return n;
}

/* Any other packet; false when nobody could use it. */
static bool on_other(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    switch (d->data[0]) {
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

size_t vly_endpoint_dispatch(struct vly_endpoint *ep, const struct vly_datagram *d, size_t n,
                             uint64_t now_ns)
{
    size_t taken = 1, used;

    if (d->len < VLY_DATAGRAM_MIN || d->len > VLY_DATAGRAM_MAX)
        used = 0;
    else if ((d->data[0] & ~VLY_KEY_PHASE_BIT) == VLY_PACKET_DATA)
        taken = on_data(ep, d, n, now_ns, &used);
    else
        used = on_other(ep, d, now_ns);
    ep->stats.datagrams_dropped += taken - used;
    return taken;
}
