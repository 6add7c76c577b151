/*
 * conn_pmtud - path MTU discovery in a connection (SPEC 5.7): when there is occasion for a probe,
 * what it is, and how long datagrams are in the end.
 *
 * A probe is a packet of its own, PING and PADDING. It is not in flight: whatever becomes of it,
 * the window, the retransmission timer and the loss of other packets are not concerned (RFC 8899
 * 3). What it takes of the path is limited in another way: one at a time, one a round trip, paid to
 * the pacer. Deviation: RFC 8899 5.1.4 would begin at the base size; we begin at what nearly all
 * paths carry and fall back, since a fall costs three timeouts once and a search one round trip
 * each time.
 */
#include "conn_internal.h"
#include "num.h"

#include <string.h>

#define SENT_MIN_BYTES 65536u    /* short exchanges are over before a search would pay */
#define WINDOW_DATAGRAMS 4u      /* at least so many in a window, or ACKs would come too rarely */
#define RATE_DATAGRAMS 100u      /* and in a second of the highest rate allowed */
#define SHORT_ENOUGH_BYTES 1472u /* none of this makes datagrams shorter than so */

/* The path may be short and the host at its end too busy to answer so soon. */
#define ANSWER_MIN_NS VLY_MS(50)

/* What an MTU_PROBE trace event tells. */
enum probe_step { PROBE_SENT, PROBE_ACKED, PROBE_LOST, PROBE_REFUSED };

static void trace_probe(const struct vly_conn *c, enum probe_step step, uint64_t now_ns)
{
    uint64_t abc[3] = {step, c->pmtud.probe_bytes, c->pmtud.probe_pn};

    vly_conn_trace(c, VLY_TRACE_MTU_PROBE, now_ns, abc);
}

/* The probe under way is none any more: its entry in the log need not be kept. */
static void release_entry(struct vly_conn *c)
{
    struct vly_sent *s = vly_sentlog_at(&c->log, c->pmtud.probe_pn);

    if (c->pmtud.probing && s != NULL && s->state == VLY_SENT_PROBE)
        s->state = VLY_SENT_UNCOUNTED;
}

void vly_conn_pmtud_fit(struct vly_conn *c)
{
    uint64_t most = c->pmtud.size_bytes, rate = c->sh->config.rate_bytes_per_s;

    if (c->pmtud.state == VLY_PMTUD_OFF)
        return;
    most = vly_min_u64(most, c->cc.cwnd_bytes / WINDOW_DATAGRAMS);
    if (rate != 0)
        most = vly_min_u64(most, rate / RATE_DATAGRAMS);
    most = vly_max_u64(most, vly_min_u64(c->pmtud.size_bytes, SHORT_ENOUGH_BYTES));
    if (most == c->datagram_bytes)
        return;
    c->datagram_bytes = (uint32_t)most;
    vly_cc_set_datagram(&c->cc, c->datagram_bytes);
    vly_pmtud_set_used(&c->pmtud, c->datagram_bytes);
}

void vly_conn_pmtud_start(struct vly_conn *c)
{
    const struct vly_conn_config *cfg = &c->sh->config;
    uint64_t peer_max_bytes = c->peer_params.max_datagram_bytes;
    uint64_t start_bytes = vly_min_u64(cfg->max_datagram_bytes, peer_max_bytes);

    release_entry(c);
    c->datagram_bytes = (uint32_t)start_bytes;
    vly_pmtud_init(&c->pmtud, c->datagram_bytes,
                   (uint32_t)vly_min_u64(cfg->search_max_bytes, peer_max_bytes));
}

/* The size has changed from `before`. */
static void changed(struct vly_conn *c, uint32_t before, uint64_t now_ns)
{
    uint64_t abc[3] = {c->pmtud.size_bytes, before, c->pmtud.max_bytes};

    vly_conn_trace(c, VLY_TRACE_MTU_CHANGED, now_ns, abc);
    vly_conn_pmtud_fit(c);
}

/* Numbers, memory and keys are there for a packet: its header. */
static bool begin_packet(struct vly_conn *c, struct vly_data_header *h)
{
    *h = (struct vly_data_header){.cid = c->peer_cid, .pn = c->log.next};
    return c->log.next <= VLY_VARINT_MAX && vly_sentlog_reserve(&c->log, 0) == 0 &&
           !vly_send_keys_is_last(c->send_keys, h->pn) && vly_conn_begin_packet(c, h) == 0;
}

bool vly_conn_pmtud_send(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns)
{
    uint64_t wait_ns = vly_rtt_pto_ns(&c->rtt, c->peer_params.max_ack_delay_us * VLY_US(1));
    struct vly_data_header header;
    struct vly_wr w;
    uint32_t bytes;
    size_t room;

    if (!vly_pmtud_is_due(&c->pmtud, now_ns) || c->stats.stream_bytes_sent < SENT_MIN_BYTES ||
        !c->rtt.has_sample || c->loss.pto_count > 0)
        return false;
    bytes = vly_pmtud_next_bytes(&c->pmtud, now_ns);
    if (bytes == 0 || !begin_packet(c, &header))
        return false;
    (void)vly_sentlog_append(&c->log, VLY_SENT_PROBE, now_ns, bytes);
    w = vly_conn_clear(c, 0, bytes);
    vly_data_header_encode(&w, &header);
    vly_frame_ping_encode(&w);
    room = vly_wr_room(&w);
    memset(w.pos, VLY_FRAME_PADDING, room);
    w.pos += room;
    c->stats.frames_sent[VLY_FRAME_PING]++;
    c->stats.frames_sent[VLY_FRAME_PADDING] += room; /* one byte each */
    vly_conn_seal_later(c, header.pn, &w, (struct vly_span){0}, b->data);
    vly_conn_seal(c);
    b->n = 1;
    b->len = b->segment_bytes = vly_wr_len(&w);
    vly_pacer_on_sent(&c->pacer, bytes);
    wait_ns = vly_max_u64(wait_ns, ANSWER_MIN_NS);
    vly_pmtud_on_sent(&c->pmtud, header.pn, vly_time_add(now_ns, wait_ns));
    c->stats.mtu_probes_sent++;
    trace_probe(c, PROBE_SENT, now_ns);
    return true;
}

void vly_conn_pmtud_acked(struct vly_conn *c, uint64_t pn, uint64_t now_ns)
{
    uint32_t before = c->pmtud.size_bytes;

    if (!c->pmtud.probing || pn != c->pmtud.probe_pn)
        return;
    trace_probe(c, PROBE_ACKED, now_ns);
    vly_pmtud_on_acked(&c->pmtud, now_ns);
    changed(c, before, now_ns);
}

void vly_conn_pmtud_lost(struct vly_conn *c, uint64_t now_ns)
{
    trace_probe(c, PROBE_LOST, now_ns);
    release_entry(c);
    vly_pmtud_on_lost(&c->pmtud, now_ns);
}

void vly_conn_pmtud_fall_back(struct vly_conn *c, uint64_t now_ns)
{
    uint32_t before = c->pmtud.size_bytes;

    release_entry(c);
    if (!vly_pmtud_fall_back(&c->pmtud, c->log.next, now_ns))
        return;
    c->stats.mtu_fall_backs++;
    changed(c, before, now_ns);
}

void vly_conn_pmtud_refused(struct vly_conn *c, size_t bytes, uint64_t now_ns)
{
    if (c->state != VLY_STATE_OPEN || c->pmtud.state == VLY_PMTUD_OFF || bytes > VLY_DATAGRAM_MAX)
        return;
    trace_probe(c, PROBE_REFUSED, now_ns);
    if (bytes <= c->pmtud.probe_bytes)
        release_entry(c);
    vly_pmtud_on_refused(&c->pmtud, (uint32_t)bytes, now_ns);
    if (bytes <= c->pmtud.size_bytes)
        vly_conn_pmtud_fall_back(c, now_ns);
}
