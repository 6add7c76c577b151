/*
 * conn_seal - packets protected and opened with a connection's keys.
 *
 * A batch is built in clear and sealed with one call, so that a backend can work on many packets at
 * once. What waits to be sealed stands in `vly_shared.jobs`, only while a connection sends.
 */
#include "conn_internal.h"

#include <assert.h>

void vly_conn_seal_later(struct vly_conn *c, uint64_t pn, struct vly_wr *w)
{
    struct vly_shared *sh = c->sh;
    size_t len = vly_wr_len(w);
    uint8_t *text = w->start + VLY_DATA_HEADER_BYTES;

    assert(sh->jobs_n < VLY_BATCH_PKTS);
    sh->jobs[sh->jobs_n++] = (struct vly_aead_job){.number = pn,
                                                   .head = w->start,
                                                   .head_bytes = VLY_DATA_HEADER_BYTES,
                                                   .in = text,
                                                   .len = len - VLY_DATA_HEADER_BYTES,
                                                   .out = text};
    w->pos += VLY_TAG_BYTES;
    c->stats.packets_sent++;
    c->stats.bytes_sent += len + VLY_TAG_BYTES;
}

void vly_conn_seal(struct vly_conn *c)
{
    struct vly_shared *sh = c->sh;

    if (sh->jobs_n > 0)
        c->suite->seal(NULL, sh->jobs, sh->jobs_n);
    sh->jobs_n = 0;
}
