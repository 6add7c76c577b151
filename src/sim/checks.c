#include "sim/checks.h"

#include <assert.h>

#define AMPLIFICATION 3

void vly_checks_init(struct vly_checks *c, bool is_server)
{
    *c = (struct vly_checks){.is_server = is_server, .deadline_ns = VLY_NEVER};
}

void vly_checks_on_received(struct vly_checks *c, unsigned peer, size_t len)
{
    assert(peer < VLY_CHECKS_PEERS_MAX);
    c->peer[peer].received_bytes += len;
}

void vly_checks_on_validated(struct vly_checks *c, unsigned peer)
{
    assert(peer < VLY_CHECKS_PEERS_MAX);
    c->peer[peer].validated = true;
}

static struct vly_checks_cid *find_cid(struct vly_checks *c, uint64_t cid)
{
    size_t i = c->cid_last;

    if (i < c->cid_n && c->cid[i].cid == cid)
        return &c->cid[i];
    for (i = 0; i < c->cid_n && c->cid[i].cid != cid;)
        i++;
    if (i == VLY_CHECKS_CIDS_MAX)
        return NULL;
    if (i == c->cid_n)
        c->cid[c->cid_n++] = (struct vly_checks_cid){.cid = cid};
    c->cid_last = i;
    return &c->cid[i];
}

/* The clear header (SPEC 2.9) is enough: a number that is above all before it was not used yet. */
static const char *check_number(struct vly_checks *c, struct vly_span data)
{
    struct vly_rd r = vly_rd_init(data.data, data.len);
    struct vly_data_header h;
    struct vly_checks_cid *known;

    if ((vly_rd_u8(&r) & ~VLY_KEY_PHASE_BIT) != VLY_PACKET_DATA)
        return NULL;
    h.cid = vly_rd_u64(&r);
    h.pn = vly_rd_u64(&r);
    if (r.failed || h.pn > VLY_VARINT_MAX)
        return "RULE 10: a DATA packet without a valid number was sent";
    known = find_cid(c, h.cid);
    if (known == NULL)
        return NULL;
    if (h.pn < known->next_pn)
        return "RULE 10: a packet number was used twice";
    known->next_pn = h.pn + 1;
    return NULL;
}

const char *vly_checks_on_sent(struct vly_checks *c, unsigned peer, struct vly_span data)
{
    struct vly_checks_peer *p = &c->peer[peer];

    assert(peer < VLY_CHECKS_PEERS_MAX);
    p->sent_bytes += data.len;
    if (c->is_server && !p->validated && p->sent_bytes > AMPLIFICATION * p->received_bytes)
        return "RULE 2: an unvalidated address was sent more than three times what it sent";
    return check_number(c, data);
}

const char *vly_checks_in_flight(const struct vly_conn_stats *before,
                                 const struct vly_conn_stats *after)
{
    /* A reduction may leave more in flight than the window; only adding to it then is wrong. */
    if (after->in_flight_bytes <= after->cwnd_bytes ||
        after->in_flight_bytes <= before->in_flight_bytes ||
        after->probes_sent > before->probes_sent)
        return NULL;
    return "RULE 26: more in flight than the congestion window";
}

const char *vly_checks_on_deadline(struct vly_checks *c, uint64_t now_ns)
{
    c->stuck = c->deadline_ns == now_ns ? c->stuck + 1 : 0;
    c->deadline_ns = now_ns;
    return c->stuck > VLY_CHECKS_STUCK_MAX ? "the deadline stays due: a busy loop" : NULL;
}
