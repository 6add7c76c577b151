/*
 * endpoint - demultiplexing, accepting, answers without state, deadlines of all connections.
 *
 * Connections are found by their own 64-bit id, which is random or a keyed hash: the table can use
 * its bits as they are. A heap orders connections by deadline. A server keeps nothing for a client
 * that has not echoed its cookie (RULE 1).
 */
#include "endpoint.h"

#include "conn_internal.h"
#include "cookie.h"

#include <assert.h>
#include <string.h>

#define TABLE_MIN 16u
#define ANSWERS_PER_S 100u /* UNKNOWN and VERSIONS, in all (RULE 7) */

struct vly_endpoint {
    struct vly_shared sh;
    bool allow_plain, is_server;
    size_t max_conns;
    struct vly_cookie_keys cookies;
    uint8_t id_key[32]; /* server: ids and reset tokens are derived with it */
    char application[VLY_APPLICATION_MAX + 1];
    struct vly_conn **slots; /* by cid; open addressing */
    size_t cap, n;
    struct vly_conn **heap; /* by deadline; as large as the table */
    size_t heap_n;
    struct vly_conn *last_received; /* holds what its events point to */
    uint64_t answers_since_ns;
    unsigned answers;
    struct vly_endpoint_stats stats;
};

/* ---- table ---- */

static struct vly_conn *conn_find(const struct vly_endpoint *ep, uint64_t cid)
{
    if (ep->cap == 0)
        return NULL;
    for (size_t i = cid & (ep->cap - 1); ep->slots[i] != NULL; i = (i + 1) & (ep->cap - 1)) {
        if (ep->slots[i]->cid == cid)
            return ep->slots[i];
    }
    return NULL;
}

static void table_put(struct vly_endpoint *ep, struct vly_conn *c)
{
    size_t i = c->cid & (ep->cap - 1);

    while (ep->slots[i] != NULL)
        i = (i + 1) & (ep->cap - 1);
    ep->slots[i] = c;
}

static void *pointers_new(const struct vly_alloc *alloc, size_t n)
{
    void *p = alloc->resize(alloc->ctx, NULL, 0, n * sizeof(void *));

    if (p != NULL)
        memset(p, 0, n * sizeof(void *));
    return p;
}

static void pointers_free(const struct vly_alloc *alloc, void *p, size_t n)
{
    if (p != NULL)
        alloc->resize(alloc->ctx, p, n * sizeof(void *), 0);
}

/* Table and heap grow together, so that adding to the heap cannot fail. */
static int table_grow(struct vly_endpoint *ep)
{
    const struct vly_alloc *alloc = ep->sh.alloc;
    size_t old_cap = ep->cap;
    size_t cap = old_cap == 0 ? TABLE_MIN : old_cap * 2;
    struct vly_conn **old = ep->slots;
    struct vly_conn **slots = pointers_new(alloc, cap);
    struct vly_conn **heap = pointers_new(alloc, cap);

    if (slots == NULL || heap == NULL) {
        pointers_free(alloc, (void *)slots, cap);
        pointers_free(alloc, (void *)heap, cap);
        return VLY_E_NOMEM;
    }
    for (size_t i = 0; i < ep->heap_n; i++)
        heap[i] = ep->heap[i];
    ep->slots = slots;
    ep->cap = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i] != NULL)
            table_put(ep, old[i]);
    }
    pointers_free(alloc, (void *)old, old_cap);
    pointers_free(alloc, (void *)ep->heap, old_cap);
    ep->heap = heap;
    return 0;
}

static void table_remove(struct vly_endpoint *ep, const struct vly_conn *c)
{
    size_t mask = ep->cap - 1;
    size_t i = c->cid & mask;

    while (ep->slots[i] != c)
        i = (i + 1) & mask;
    for (size_t j = (i + 1) & mask; ep->slots[j] != NULL; j = (j + 1) & mask) {
        size_t home = ep->slots[j]->cid & mask;

        if (((j - home) & mask) >= ((j - i) & mask)) {
            ep->slots[i] = ep->slots[j];
            i = j;
        }
    }
    ep->slots[i] = NULL;
    ep->n--;
}

/* ---- deadlines ---- */

static void heap_set(struct vly_endpoint *ep, size_t i, struct vly_conn *c)
{
    ep->heap[i] = c;
    c->heap_index = i;
}

static void heap_up(struct vly_endpoint *ep, size_t i, struct vly_conn *c)
{
    while (i > 0 && ep->heap[(i - 1) / 2]->deadline_ns > c->deadline_ns) {
        heap_set(ep, i, ep->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_set(ep, i, c);
}

static void heap_down(struct vly_endpoint *ep, size_t i, struct vly_conn *c)
{
    for (size_t child = 2 * i + 1; child < ep->heap_n; child = 2 * i + 1) {
        if (child + 1 < ep->heap_n &&
            ep->heap[child + 1]->deadline_ns < ep->heap[child]->deadline_ns)
            child++;
        if (ep->heap[child]->deadline_ns >= c->deadline_ns)
            break;
        heap_set(ep, i, ep->heap[child]);
        i = child;
    }
    heap_set(ep, i, c);
}

static void heap_remove(struct vly_endpoint *ep, struct vly_conn *c)
{
    size_t i = c->heap_index;
    struct vly_conn *last;

    if (i == SIZE_MAX)
        return;
    last = ep->heap[--ep->heap_n];
    c->heap_index = SIZE_MAX;
    if (last == c)
        return;
    heap_up(ep, i, last);
    heap_down(ep, last->heap_index, last);
}

/* Puts the connection where its deadline belongs. */
static void deadline_update(struct vly_endpoint *ep, struct vly_conn *c)
{
    uint64_t deadline_ns = vly_conn_deadline(c);

    if (deadline_ns == c->deadline_ns && c->heap_index != SIZE_MAX)
        return;
    heap_remove(ep, c);
    c->deadline_ns = deadline_ns;
    if (deadline_ns != VLY_NEVER)
        heap_up(ep, ep->heap_n++, c);
}

/* ---- making and freeing ---- */

static void config_defaults(struct vly_conn_config *c)
{
    if (c->cc == NULL)
        c->cc = &vly_cc_cubic_ops;
    if (c->max_datagram_bytes == 0)
        c->max_datagram_bytes = 1472;
    if (c->announced_datagram_bytes == 0)
        c->announced_datagram_bytes = VLY_DATAGRAM_MAX;
    if (c->window_bytes == 0)
        c->window_bytes = 1u << 20;
    if (c->window_max_bytes == 0)
        c->window_max_bytes = 64u << 20;
    if (c->window_max_bytes < c->window_bytes)
        c->window_max_bytes = c->window_bytes;
    if (c->send_buffer_max_bytes == 0)
        c->send_buffer_max_bytes = 64u << 20;
    if (c->max_streams == 0)
        c->max_streams = 256;
    if (c->idle_timeout_ns == 0)
        c->idle_timeout_ns = VLY_S(30);
    if (c->handshake_timeout_ns == 0)
        c->handshake_timeout_ns = VLY_S(10);
    if (c->answer_timeout_ns == 0)
        c->answer_timeout_ns = VLY_S(10);
    if (c->max_ack_delay_ns == 0)
        c->max_ack_delay_ns = VLY_MS(5);
    if (c->application == NULL)
        c->application = "volley-file/1";
}

static bool config_is_valid(const struct vly_endpoint_config *cfg)
{
    const struct vly_conn_config *c = &cfg->conn;

    return cfg->alloc != NULL && cfg->crypto != NULL &&
           (c->max_datagram_bytes == 0 || (c->max_datagram_bytes >= VLY_DATAGRAM_BASE &&
                                           c->max_datagram_bytes <= VLY_DATAGRAM_MAX)) &&
           (c->application == NULL ||
            (c->application[0] != '\0' && strlen(c->application) <= VLY_APPLICATION_MAX)) &&
           cfg->max_batch_pkts <= VLY_BATCH_PKTS;
}

int vly_endpoint_new(struct vly_endpoint **out, const struct vly_endpoint_config *cfg,
                     uint64_t now_ns)
{
    struct vly_endpoint *ep;

    *out = NULL;
    if (!config_is_valid(cfg))
        return VLY_E_INVALID;
    ep = cfg->alloc->resize(cfg->alloc->ctx, NULL, 0, sizeof(*ep));
    if (ep == NULL)
        return VLY_E_NOMEM;
    memset(ep, 0, sizeof(*ep));
    ep->sh.alloc = cfg->alloc;
    ep->sh.crypto = cfg->crypto;
    ep->sh.config = cfg->conn;
    config_defaults(&ep->sh.config);
    strcpy(ep->application, ep->sh.config.application); /* length checked above */
    ep->sh.config.application = ep->application;
    ep->sh.max_batch_pkts = cfg->max_batch_pkts == 0 ? VLY_BATCH_PKTS : cfg->max_batch_pkts;
    ep->sh.trace = cfg->trace;
    ep->allow_plain = cfg->allow_plain;
    ep->is_server = cfg->is_server;
    ep->max_conns = cfg->max_conns == 0 ? 1024 : cfg->max_conns;
    vly_cookie_keys_init(&ep->cookies, cfg->crypto, now_ns);
    cfg->crypto->random(cfg->crypto->random_ctx, ep->id_key, sizeof(ep->id_key));
    ep->answers_since_ns = now_ns;
    *out = ep;
    return 0;
}

static void ready_remove(struct vly_shared *sh, struct vly_conn *c)
{
    struct vly_conn *prev = NULL;

    if (!c->is_ready)
        return;
    for (struct vly_conn *at = sh->ready_head; at != c; at = at->ready_next)
        prev = at;
    if (prev != NULL)
        prev->ready_next = c->ready_next;
    else
        sh->ready_head = c->ready_next;
    if (sh->ready_tail == c)
        sh->ready_tail = prev;
}

static void conn_drop(struct vly_endpoint *ep, struct vly_conn *c)
{
    ready_remove(&ep->sh, c);
    vly_events_forget(&ep->sh, c);
    heap_remove(ep, c);
    table_remove(ep, c);
    if (ep->last_received == c)
        ep->last_received = NULL;
    vly_conn_free(c);
}

void vly_endpoint_free(struct vly_endpoint *ep)
{
    const struct vly_alloc *alloc;

    if (ep == NULL)
        return;
    alloc = ep->sh.alloc;
    for (size_t i = 0; i < ep->cap; i++) {
        if (ep->slots[i] != NULL)
            vly_conn_free(ep->slots[i]);
    }
    pointers_free(alloc, (void *)ep->slots, ep->cap);
    pointers_free(alloc, (void *)ep->heap, ep->cap);
    if (ep->sh.events.ring != NULL)
        alloc->resize(alloc->ctx, ep->sh.events.ring,
                      ep->sh.events.cap * sizeof(*ep->sh.events.ring), 0);
    alloc->resize(alloc->ctx, ep, sizeof(*ep), 0);
}

/* Makes a connection known by `cid`. */
static int conn_add(struct vly_endpoint *ep, enum vly_role role, const struct vly_addr *peer,
                    uint64_t cid, uint64_t now_ns, struct vly_conn **out)
{
    int err;

    *out = NULL;
    if ((ep->n + 1) * 4 > ep->cap * 3 && table_grow(ep) != 0)
        return VLY_E_NOMEM;
    err = vly_conn_new(out, &ep->sh, role, peer, now_ns);
    if (err != 0)
        return err;
    (*out)->cid = cid;
    table_put(ep, *out);
    ep->n++;
    ep->stats.conns_made++;
    vly_ready_push(&ep->sh, *out);
    return 0;
}

int vly_endpoint_connect(struct vly_endpoint *ep, const struct vly_addr *peer, uint64_t now_ns,
                         struct vly_conn **out)
{
    const struct vly_crypto *crypto = ep->sh.crypto;
    uint64_t cid;
    int err;

    *out = NULL;
    if (!ep->allow_plain)
        return VLY_E_SUITE; /* there is no other suite yet */
    if (ep->n >= ep->max_conns)
        return VLY_E_LIMIT;
    do {
        crypto->random(crypto->random_ctx, &cid, sizeof(cid));
    } while (cid == 0 || conn_find(ep, cid) != NULL);
    err = conn_add(ep, VLY_CLIENT, peer, cid, now_ns, out);
    if (err == 0)
        (*out)->told = true;
    return err;
}

void vly_endpoint_release(struct vly_endpoint *ep, struct vly_conn *c)
{
    assert(c->state == VLY_STATE_CLOSED);
    conn_drop(ep, c);
}

/* ---- answers without a connection ---- */

static bool same_address(const struct vly_addr *a, const struct vly_addr *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

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
    ep->sh.crypto->plain->seal(NULL, 0, reply->data, len, len);
    reply->len = len + VLY_TAG_BYTES;
    ep->sh.replies.n++;
}

static void answer_versions(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t cid,
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

static void answer_refuse(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t cid,
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

static void answer_retry(struct vly_endpoint *ep, const struct vly_datagram *d,
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

/* The token by which a client believes UNKNOWN: a keyed hash of the id. */
static void reset_token(const struct vly_endpoint *ep, uint64_t cid,
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

static void answer_unknown(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t cid,
                           uint64_t now_ns)
{
    struct vly_unknown unknown = {.server_cid = cid};
    struct vly_wr w;
    struct vly_reply *reply;

    if (!ep->is_server || d->len <= VLY_UNKNOWN_BYTES || !answer_allowed(ep, now_ns) ||
        (reply = reply_begin(ep, d->from, &w)) == NULL)
        return;
    reset_token(ep, cid, unknown.token);
    vly_unknown_encode(&w, &unknown);
    reply_finish(ep, reply, &w);
    ep->stats.unknown_sent++;
}

/* ---- datagrams in ---- */

static bool open_plain(const struct vly_endpoint *ep, const struct vly_datagram *d)
{
    size_t len = d->len - VLY_TAG_BYTES;

    return ep->sh.crypto->plain->open(NULL, 0, d->data, len, len);
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
        answer_refuse(ep, d, hello->client_cid, VLY_CLOSE_SUITE);
        return false;
    }
    if (vly_params_decode(params, hello->params) != 0) {
        answer_refuse(ep, d, hello->client_cid, VLY_CLOSE_PARAMETER);
        return false;
    }
    if (params->application_len != strlen(ep->application) ||
        memcmp(params->application, ep->application, params->application_len) != 0) {
        answer_refuse(ep, d, hello->client_cid, VLY_CLOSE_APPLICATION);
        return false;
    }
    return true;
}

static void accept_hello(struct vly_endpoint *ep, const struct vly_datagram *d,
                         const struct vly_hello *hello, uint64_t now_ns)
{
    uint64_t cid = server_cid(ep, d, hello);
    struct vly_conn *c = conn_find(ep, cid);
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
    if (ep->n >= ep->max_conns || conn_add(ep, VLY_SERVER, d->from, cid, now_ns, &c) != 0) {
        answer_refuse(ep, d, hello->client_cid, VLY_CLOSE_BUSY);
        return;
    }
    c->peer_cid = hello->client_cid;
    c->peer_params = params;
    reset_token(ep, cid, c->reset_token);
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
        answer_versions(ep, d, hello.client_cid, now_ns);
        return true;
    }
    if (err != 0 || hello.client_cid == 0)
        return false;
    if (!vly_cookie_is_valid(&ep->cookies, ep->sh.crypto, address, &hello, now_ns))
        answer_retry(ep, d, &hello, now_ns);
    else
        accept_hello(ep, d, &hello, now_ns);
    return true;
}

/* The client connection an answer is for; NULL when there is none or it comes from elsewhere. */
static struct vly_conn *client_for(const struct vly_endpoint *ep, const struct vly_datagram *d,
                                   uint64_t cid)
{
    struct vly_conn *c = conn_find(ep, cid);

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
    for (size_t i = 0; i < ep->cap; i++) {
        struct vly_conn *c = ep->slots[i];

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
    c = conn_find(ep, h.cid);
    if (c == NULL) {
        answer_unknown(ep, d, h.cid, now_ns);
        return false;
    }
    if (!same_address(&c->peer, d->from) || is_connecting(c) || c->state == VLY_STATE_CLOSED)
        return false;
    if (h.key_phase || !c->suite->open(NULL, h.pn, d->data, VLY_DATA_HEADER_BYTES, len)) {
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

/* What the events of the last verb pointed to is given back. */
static void verb_begin(struct vly_endpoint *ep)
{
    if (ep->last_received != NULL)
        vly_conn_release_buffers(ep->last_received);
    ep->last_received = NULL;
}

void vly_endpoint_recv(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns)
{
    bool used = false;

    verb_begin(ep);
    if (d->len < VLY_DATAGRAM_MIN || d->len > VLY_DATAGRAM_MAX) {
        ep->stats.datagrams_dropped++;
        return;
    }
    switch (d->data[0]) {
    case VLY_PACKET_DATA:
    case VLY_PACKET_DATA | VLY_KEY_PHASE_BIT:
        used = on_data(ep, d, now_ns);
        break;
    case VLY_PACKET_HELLO:
        used = on_hello(ep, d, now_ns);
        break;
    case VLY_PACKET_RETRY:
        used = on_retry(ep, d, now_ns);
        break;
    case VLY_PACKET_ACCEPT:
        used = on_accept(ep, d, now_ns);
        break;
    case VLY_PACKET_VERSIONS:
        used = on_versions(ep, d, now_ns);
        break;
    case VLY_PACKET_UNKNOWN:
        used = on_unknown(ep, d, now_ns);
        break;
    case VLY_PACKET_REFUSE:
        used = on_refuse(ep, d, now_ns);
        break;
    default: /* FINISH too: suite plain has none */
        break;
    }
    if (!used)
        ep->stats.datagrams_dropped++;
}

/* ---- the other verbs ---- */

static bool send_reply(struct vly_endpoint *ep, struct vly_batch *b)
{
    struct vly_replies *r = &ep->sh.replies;
    const struct vly_reply *reply = &r->slot[r->head];

    if (r->n == 0)
        return false;
    memcpy(b->data, reply->data, reply->len);
    b->len = b->segment_bytes = reply->len;
    b->n = 1;
    b->to = reply->to;
    b->ecn = VLY_ECN_NONE;
    r->head = (r->head + 1) % VLY_REPLIES_MAX;
    r->n--;
    return true;
}

bool vly_endpoint_send(struct vly_endpoint *ep, struct vly_batch *b, uint64_t now_ns)
{
    struct vly_conn *c;

    verb_begin(ep);
    b->len = b->segment_bytes = 0;
    b->n = 0;
    if (send_reply(ep, b))
        return true;
    while ((c = vly_ready_pop(&ep->sh)) != NULL) {
        if (vly_conn_send(c, b, now_ns)) {
            vly_ready_push(&ep->sh, c); /* at the end of the line: others first */
            return true;
        }
        deadline_update(ep, c);
    }
    return false;
}

uint64_t vly_endpoint_deadline(const struct vly_endpoint *ep)
{
    return ep->heap_n == 0 ? VLY_NEVER : ep->heap[0]->deadline_ns;
}

void vly_endpoint_on_deadline(struct vly_endpoint *ep, uint64_t now_ns)
{
    verb_begin(ep);
    while (ep->heap_n > 0 && ep->heap[0]->deadline_ns <= now_ns) {
        struct vly_conn *c = ep->heap[0];

        /* Off the heap until it has sent what it has to: then its deadline is known again. */
        heap_remove(ep, c);
        c->deadline_ns = VLY_NEVER;
        vly_conn_on_deadline(c, now_ns);
        vly_ready_push(&ep->sh, c);
    }
}

static void event_fill(struct vly_event *out, const struct vly_queued_event *ev)
{
    memset(out, 0, offsetof(struct vly_event, reason) + 1);
    out->type = ev->type;
    out->conn = ev->conn;
    out->stream = ev->stream;
    out->offset = ev->offset;
    out->data = ev->data;
    if (ev->type == VLY_EV_STREAM_RESET || ev->type == VLY_EV_STREAM_STOPPED)
        out->code = ev->offset;
}

/* The next connection that is over. One the application never heard of is freed quietly. */
static bool closed_next(struct vly_endpoint *ep, struct vly_event *out)
{
    struct vly_conn *c;

    while ((c = ep->sh.closed_head) != NULL) {
        ep->sh.closed_head = c->closed_next;
        if (ep->sh.closed_head == NULL)
            ep->sh.closed_tail = NULL;
        if (!c->told) {
            conn_drop(ep, c);
            continue;
        }
        memset(out, 0, sizeof(*out));
        out->type = VLY_EV_CLOSED;
        out->conn = c;
        out->err = c->end.err;
        out->app_code = c->end.by_app;
        out->code = c->end.code;
        memcpy(out->reason, c->end.reason, sizeof(out->reason));
        return true;
    }
    return false;
}

bool vly_endpoint_next_event(struct vly_endpoint *ep, struct vly_event *ev)
{
    struct vly_queued_event queued;

    if (vly_events_pop(&ep->sh, &queued)) {
        event_fill(ev, &queued);
        return true;
    }
    return closed_next(ep, ev);
}

void vly_endpoint_stats(const struct vly_endpoint *ep, struct vly_endpoint_stats *s)
{
    *s = ep->stats;
    s->conns = ep->n;
}
