/*
 * conn_seal - a connection's keys, and its packets protected and opened with them. SPEC 2.12.
 *
 * The packets of a batch are built in clear, in vly_shared.clear, and sealed with one call, so that
 * a backend can work on many at once. What waits to be sealed stands in `vly_shared.jobs`, only
 * while a connection sends. Invariant: a batch never holds clear text that is to be sealed: the
 * kernel may still be reading what its memory held before (vly_endpoint_has_settled).
 */
#include "conn_internal.h"

#include <assert.h>
#include <string.h>

#define APART_MIN_BYTES 8192u /* less is copied: three parts cost the kernel more than one */
#define KEEP_OLD_PTOS 3u      /* for how long packets under the old keys are read after an update */

int vly_conn_make_keys(struct vly_conn *c)
{
    const struct vly_conn_config *cfg = &c->sh->config;
    const struct vly_crypto *crypto = c->sh->crypto;
    uint8_t secret[2][VLY_KEY_BYTES]; /* by the role that sends */
    bool sealed = c->handshake != NULL;
    struct vly_keys_start start = {.crypto = crypto,
                                   .suite = c->suite,
                                   .update_pkts = cfg->key_update_pkts,
                                   .forgery_limit_pkts = cfg->forgery_limit_pkts,
                                   .keylog = c->sh->keylog};
    int err;

    if (sealed)
        vly_handshake_secrets(c->handshake, secret[VLY_CLIENT], secret[VLY_SERVER]);
    start.secret = sealed ? secret[c->role] : NULL;
    start.cid = c->peer_cid;
    err = vly_send_keys_new(&c->send_keys, &start);
    start.secret = sealed ? secret[1 - c->role] : NULL;
    start.cid = c->cid;
    if (err == 0)
        err = vly_recv_keys_new(&c->recv_keys, &start);
    crypto->wipe(secret, sizeof(secret));
    if (err == 0)
        c->send_keys->first_pn = cfg->first_pn;
    vly_handshake_free(c->handshake);
    c->handshake = NULL;
    return err;
}

bool vly_conn_note_peer_key(struct vly_conn *c)
{
    const uint8_t *key = vly_handshake_peer_key(c->handshake);

    c->has_peer_key = key != NULL;
    if (key != NULL)
        memcpy(c->peer_key, key, sizeof(c->peer_key));
    return c->has_peer_key;
}

/* ---- sealing ---- */

int vly_conn_begin_packet(struct vly_conn *c, struct vly_data_header *h)
{
    if (vly_send_keys_is_due(c->send_keys, h->pn))
        vly_conn_seal(c); /* what was built belongs to the present keys */
    return vly_send_keys_for(c->send_keys, h->pn, &h->key_phase);
}

struct vly_wr vly_conn_clear(struct vly_conn *c, size_t at, size_t bytes)
{
    assert(at + bytes <= sizeof(c->sh->clear));
    return vly_wr_init(c->sh->clear + at, bytes - VLY_TAG_BYTES);
}

void vly_conn_seal_later(struct vly_conn *c, uint64_t pn, struct vly_wr *w, struct vly_span lent,
                         uint8_t *out)
{
    struct vly_shared *sh = c->sh;
    size_t len = vly_wr_len(w);

    assert(sh->jobs_n < VLY_BATCH_PKTS);
    sh->jobs[sh->jobs_n++] = (struct vly_aead_job){.number = pn,
                                                   .head = w->start,
                                                   .head_bytes = VLY_DATA_HEADER_BYTES,
                                                   .in = w->start + VLY_DATA_HEADER_BYTES,
                                                   .len = len - VLY_DATA_HEADER_BYTES - lent.len,
                                                   .out = out + VLY_DATA_HEADER_BYTES,
                                                   .more = lent};
    w->pos += VLY_TAG_BYTES;
    c->stats.packets_sent++;
    c->stats.bytes_sent += len + VLY_TAG_BYTES;
}

void vly_conn_seal(struct vly_conn *c)
{
    struct vly_shared *sh = c->sh;

    /* Not at once: what was written piece by piece a moment ago is slow to read as a whole. */
    for (struct vly_aead_job *job = sh->jobs; job < sh->jobs + sh->jobs_n; job++)
        memmove(job->out - VLY_DATA_HEADER_BYTES, job->head, VLY_DATA_HEADER_BYTES);
    if (sh->jobs_n > 0)
        vly_send_keys_seal(c->send_keys, sh->jobs, sh->jobs_n);
    sh->jobs_n = 0;
}

/* What a single datagram has lent need not be copied at all where no cipher does it. */
void vly_conn_seal_batch(struct vly_conn *c, struct vly_batch *b)
{
    struct vly_aead_job *job = &c->sh->jobs[0];

    if (c->sh->takes_apart && c->suite == c->sh->crypto->plain && b->n == 1 && c->sh->jobs_n == 1 &&
        job->more.len >= APART_MIN_BYTES) {
        job->apart = true;
        b->apart = job->more;
    }
    vly_conn_seal(c);
}

/* ---- opening ---- */

static uint64_t keep_old_ns(const struct vly_conn *c)
{
    uint64_t max_delay_ns = c->peer_params.max_ack_delay_us * VLY_US(1);

    return KEEP_OLD_PTOS * vly_loss_pto_ns(&c->loss, &c->rtt, max_delay_ns);
}

void vly_conn_open_run(struct vly_conn *c, struct vly_aead_job *jobs, size_t n, uint64_t now_ns)
{
    int err = vly_recv_keys_open_run(c->recv_keys, jobs, n, now_ns);

    for (size_t i = 0; i < n; i++)
        c->stats.dropped_received += !jobs[i].ok;
    if (err == VLY_E_LIMIT) /* RULE 13 */
        vly_conn_fail(c, VLY_E_LIMIT, VLY_CLOSE_AEAD_LIMIT, now_ns);
}

bool vly_conn_open(struct vly_conn *c, const struct vly_data_header *h, uint8_t *pkt, size_t len,
                   uint64_t now_ns)
{
    struct vly_aead_job job = {.number = h->pn,
                               .head = pkt,
                               .head_bytes = VLY_DATA_HEADER_BYTES,
                               .in = pkt + VLY_DATA_HEADER_BYTES,
                               .len = len - VLY_DATA_HEADER_BYTES,
                               .out = pkt + VLY_DATA_HEADER_BYTES};

    switch (vly_recv_keys_open(c->recv_keys, &job, h->key_phase, now_ns, keep_old_ns(c))) {
    case 0:
        return true;
    case VLY_E_LIMIT: /* RULE 13 */
        vly_conn_fail(c, VLY_E_LIMIT, VLY_CLOSE_AEAD_LIMIT, now_ns);
        break;
    case VLY_E_PROTOCOL: /* RULE 12 */
        vly_conn_fail(c, VLY_E_PROTOCOL, VLY_CLOSE_KEY_UPDATE, now_ns);
        break;
    case VLY_E_NOMEM:
        vly_conn_fail(c, VLY_E_NOMEM, VLY_CLOSE_NO_MEMORY, now_ns);
        break;
    default: /* RULE 9: a forgery, and nothing else has changed */
        break;
    }
    c->stats.dropped_received++;
    return false;
}
