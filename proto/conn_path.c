/*
 * conn_path - the client's address may change, SPEC 3.2.
 *
 *     DATA from elsewhere, the newest ---> candidate ---> PATH_CHALLENGE to it, every 250 ms
 *     PATH_RESPONSE ---> the candidate is the peer's address
 *     3 s without one, or its place is wanted and it is silent ---> no candidate
 *
 * Whoever copies genuine packets can make himself the candidate, no more: the challenge is sealed
 * and he cannot answer it, and until it is answered nothing else changes. One that races every
 * packet of the client would keep the place for ever; after each failure the next candidate is
 * therefore drawn by lot. Challenges are not in flight: they are repeated by their own timer, and
 * their loss says nothing of the present path. Cost: one compare of addresses a packet.
 */
#include "conn_internal.h"
#include "cookie.h"

#include <string.h>

#define CHALLENGE_EVERY_NS VLY_MS(250)
#define CANDIDATE_SILENT_NS VLY_MS(250) /* then another may take its place */
#define QUIET_NS VLY_MS(250)            /* of the server: then a waiting client shows itself */
#define CANDIDATE_LIFE_NS VLY_S(3)
#define AMPLIFICATION 3u /* RULE 2, RULE 6 */
#define CHALLENGE_BYTES (VLY_DATA_HEADER_BYTES + 9 + VLY_TAG_BYTES)
#define DRAW_NS VLY_MS(20)            /* for so long those who came are drawn from */
#define CANDIDATE_DOUBTED_NS VLY_S(1) /* after a failure: then another may, too */

/* What a PATH trace event tells. */
enum path_step { PATH_CANDIDATE, PATH_CHALLENGED, PATH_MOVED, PATH_GIVEN_UP };

static bool has_candidate(const struct vly_path *p)
{
    return p->addr.len > 0;
}

static bool same_host(const struct vly_conn *c, const struct vly_addr *addr)
{
    size_t port = c->sh->addr_port_bytes;

    return addr->len == c->peer.len && addr->len >= port &&
           memcmp(addr->data + port, c->peer.data + port, addr->len - port) == 0;
}

bool vly_conn_path_admits(const struct vly_conn *c, const struct vly_addr *from)
{
    if (c->role != VLY_SERVER)
        return false; /* a client never follows the server */
    return c->suite->id != VLY_SUITE_PLAIN || same_host(c, from);
}

static void trace_path(const struct vly_conn *c, enum path_step step, uint64_t now_ns)
{
    uint64_t abc[3] = {step, !same_host(c, &c->path.addr), now_ns - c->path.since_ns};

    vly_conn_trace(c, VLY_TRACE_PATH, now_ns, abc);
}

static uint64_t random_u64(const struct vly_conn *c)
{
    uint64_t r;

    c->sh->crypto->random(c->sh->crypto->random_ctx, &r, sizeof(r));
    return r;
}

static void give_up(struct vly_conn *c, uint64_t now_ns)
{
    trace_path(c, PATH_GIVEN_UP, now_ns);
    c->path.addr.len = 0;
    c->path.failed = true;
}

/* Only what the client sent last says where it is now. After a failure a copy that came first must
 * not make the original worthless. */
static bool is_newest(const struct vly_conn *c, uint64_t pn)
{
    const struct vly_ackset *set = &c->ackset;

    if (set->n == 0 || pn >= set->r[set->n - 1].end)
        return true;
    return c->path.failed && pn == set->r[set->n - 1].end - 1;
}

static void begin(struct vly_conn *c, const struct vly_addr *from, uint64_t now_ns)
{
    struct vly_path *p = &c->path;

    p->addr = *from;
    p->since_ns = p->heard_ns = now_ns;
    p->challenge_due_ns = now_ns + (p->failed ? DRAW_NS : 0);
    p->contenders = 1;
    p->received_bytes = p->sent_bytes = 0;
    c->sh->crypto->random(c->sh->crypto->random_ctx, p->challenge, sizeof(p->challenge));
    trace_path(c, PATH_CANDIDATE, now_ns);
}

/* After a failure whoever comes before the challenge has the same chance. */
static void draw(struct vly_conn *c, const struct vly_addr *from)
{
    struct vly_path *p = &c->path;

    if (random_u64(c) % ++p->contenders != 0)
        return;
    p->addr = *from;
    p->received_bytes = 0;
}

static bool is_drawing(const struct vly_path *p, uint64_t now_ns)
{
    return p->failed && p->sent_bytes == 0 && now_ns < p->since_ns + DRAW_NS;
}

/* Another address wants the candidate's place. */
static bool may_replace(const struct vly_path *p, uint64_t now_ns)
{
    return now_ns - p->heard_ns >= CANDIDATE_SILENT_NS ||
           (p->failed && now_ns - p->since_ns >= CANDIDATE_DOUBTED_NS);
}

void vly_conn_path_heard(struct vly_conn *c, const struct vly_packet *packet)
{
    struct vly_path *p = &c->path;
    uint64_t now_ns = packet->now_ns;
    bool newest = is_newest(c, packet->pn);

    if (c->state != VLY_STATE_OPEN)
        return;
    if (has_candidate(p) && now_ns - p->since_ns >= CANDIDATE_LIFE_NS)
        give_up(c, now_ns);
    if (has_candidate(p) && newest && !vly_addr_equal(&p->addr, packet->elsewhere)) {
        if (is_drawing(p, now_ns))
            draw(c, packet->elsewhere);
        else if (may_replace(p, now_ns))
            give_up(c, now_ns);
    }
    if (!has_candidate(p) && newest)
        begin(c, packet->elsewhere, now_ns);
    if (!vly_addr_equal(&p->addr, packet->elsewhere))
        return;
    p->received_bytes += packet->bytes;
    if (newest)
        p->heard_ns = now_ns;
}

uint64_t vly_conn_path_deadline_ns(const struct vly_conn *c)
{
    const struct vly_path *p = &c->path;

    if (!has_candidate(p) || p->challenge_due_ns - p->since_ns >= CANDIDATE_LIFE_NS ||
        p->sent_bytes + CHALLENGE_BYTES > AMPLIFICATION * p->received_bytes)
        return VLY_NEVER;
    return p->challenge_due_ns;
}

/* Whoever only receives says nothing when nothing comes, and so could not be found again. */
uint64_t vly_conn_path_quiet_ns(const struct vly_conn *c)
{
    uint64_t pto_ns = vly_rtt_pto_ns(&c->rtt, c->peer_params.max_ack_delay_us * VLY_US(1));

    if (c->role != VLY_CLIENT || !c->expecting || !c->data_heard || c->log.in_flight_pkts > 0)
        return VLY_NEVER;
    return vly_time_add(c->last_received_ns, pto_ns > QUIET_NS ? pto_ns : QUIET_NS);
}

bool vly_conn_path_send(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns)
{
    struct vly_path *p = &c->path;
    struct vly_data_header header = {.cid = c->peer_cid, .pn = c->log.next};
    struct vly_wr w = vly_conn_clear(c, 0, CHALLENGE_BYTES);

    if (vly_conn_path_deadline_ns(c) > now_ns)
        return false;
    p->challenge_due_ns = now_ns + CHALLENGE_EVERY_NS; /* also when there is no number to be had */
    if (now_ns - p->since_ns >= CANDIDATE_LIFE_NS || vly_sentlog_reserve(&c->log, 0) != 0 ||
        vly_send_keys_is_last(c->send_keys, header.pn) || vly_conn_begin_packet(c, &header) != 0)
        return false;
    (void)vly_sentlog_append(&c->log, VLY_SENT_UNCOUNTED, now_ns, 0);
    vly_data_header_encode(&w, &header);
    vly_frame_path_encode(&w, VLY_FRAME_PATH_CHALLENGE, p->challenge);
    c->stats.frames_sent[VLY_FRAME_PATH_CHALLENGE]++;
    vly_conn_seal_later(c, header.pn, &w, (struct vly_span){0}, b->data);
    vly_conn_seal(c);
    p->sent_bytes += vly_wr_len(&w);
    b->to = p->addr;
    b->n = 1;
    b->len = b->segment_bytes = vly_wr_len(&w);
    trace_path(c, PATH_CHALLENGED, now_ns);
    return true;
}

/* Another network, perhaps: nothing that was learnt of the old one holds. */
static void start_anew(struct vly_conn *c, uint64_t now_ns)
{
    const struct vly_conn_config *cfg = &c->sh->config;

    vly_rtt_init(&c->rtt);
    vly_conn_pmtud_start(c);
    vly_cc_init(&c->cc, cfg->cc, c->datagram_bytes, cfg->rate_bytes_per_s, now_ns);
    vly_conn_pmtud_fit(c);
    vly_pacer_init(&c->pacer, now_ns);
    c->delivery_bytes_per_s = 0;
    c->ecn.off = false;
}

/* What is in flight went to where the client no longer is. That is no congestion. */
static int move(struct vly_conn *c, uint64_t now_ns)
{
    bool new_host = !same_host(c, &c->path.addr);
    int err;

    trace_path(c, PATH_MOVED, now_ns);
    c->stats.path_changes++;
    c->peer = c->path.addr;
    c->path = (struct vly_path){0};
    vly_loss_on_path_change(&c->loss, now_ns);
    vly_prr_end(&c->prr);
    c->probes = 0;
    err = vly_conn_lose_in_flight(c, now_ns);
    if (err != 0)
        return err;
    if (new_host)
        start_anew(c, now_ns);
    vly_ackset_ask(&c->ackset); /* what was acknowledged meanwhile got lost */
    return vly_conn_event(c, VLY_EV_MOVED, 0, 0);
}

/* RULE 41: nobody guesses it, nor learns of it by time. From where it comes is no matter: that the
 * client has it proves that it receives at the candidate. */
int vly_conn_path_on_response(struct vly_conn *c, const uint8_t data[8], uint64_t now_ns)
{
    const struct vly_path *p = &c->path;

    if (!has_candidate(p) || now_ns - p->since_ns >= CANDIDATE_LIFE_NS ||
        !vly_equal_secret(p->challenge, data, sizeof(p->challenge)))
        return 0;
    return move(c, now_ns);
}
