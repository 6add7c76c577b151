#include "sim/world.h"

#include "crypto/crypto.h"
#include "sim/checks.h"
#include "sim/heap.h"
#include "sim/packet_pool.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define LINKS_MAX (VLY_WORLD_NODES_MAX * VLY_WORLD_NODES_MAX)
#define TRACE_HEAD_BYTES 128
#define HOSTS 16u
#define STREAM_NODE 1000u /* PRNG streams of the seed: nodes, then links */
#define STREAM_LINK 2000u

struct node {
    struct vly_endpoint *ep; /* owned */
    struct vly_world_app app;
    struct vly_prng prng;
    struct vly_crypto crypto;
    struct vly_checks checks;
    struct vly_conn *conn[VLY_WORLD_NODES_MAX]; /* by peer: the newest; NULL when it is over */
    struct vly_conn_stats before[VLY_WORLD_NODES_MAX];
    unsigned number;      /* of its address */
    uint64_t deadline_ns; /* of the endpoint, after its last send */
    bool touched;         /* has to send before time goes on */
};

struct call {
    void (*call)(void *ctx, uint64_t now_ns);
    void *ctx;
};

struct vly_world {
    uint64_t seed, now_ns;
    struct node *node[VLY_WORLD_NODES_MAX]; /* owned */
    unsigned nodes;
    uint8_t owner[VLY_CHECKS_PEERS_MAX]; /* node of an address; VLY_WORLD_NODES_MAX: none */
    struct vly_link_model
        *link[VLY_WORLD_NODES_MAX][VLY_WORLD_NODES_MAX]; /* [from][to]: of `links` */
    struct vly_link_model *links[LINKS_MAX];             /* owned */
    unsigned links_n;
    struct vly_heap arrivals; /* of struct vly_pool_packet */
    struct vly_heap calls;    /* of struct call, owned */
    struct vly_packet_pool pool;
    struct vly_world_hooks hooks;
    struct vly_alloc alloc;
    uint64_t memory_bytes, memory_max_bytes;
    uint64_t trace_hash, datagrams;
    bool stopped;
    char failure[VLY_WORLD_FAILURE_MAX];
    struct vly_batch batch;
};

static void *count_resize(void *ctx, void *ptr, size_t old_size, size_t size)
{
    struct vly_world *w = ctx;
    void *new;

    if (size == 0) {
        free(ptr);
        w->memory_bytes -= ptr != NULL ? old_size : 0;
        return NULL;
    }
    new = realloc(ptr, size);
    if (new == NULL)
        return NULL;
    w->memory_bytes += size - (ptr != NULL ? old_size : 0);
    if (w->memory_bytes > w->memory_max_bytes)
        w->memory_max_bytes = w->memory_bytes;
    return new;
}

static void draw(void *ctx, void *buf, size_t len)
{
    vly_prng_fill(ctx, buf, len);
}

struct vly_world *vly_world_new(uint64_t seed)
{
    struct vly_world *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->seed = seed;
    w->alloc = (struct vly_alloc){count_resize, w};
    memset(w->owner, VLY_WORLD_NODES_MAX, sizeof(w->owner));
    vly_heap_init(&w->arrivals);
    vly_heap_init(&w->calls);
    vly_pool_init(&w->pool, VLY_WORLD_PACKETS_MAX_BYTES);
    return w;
}

void vly_world_free(struct vly_world *w)
{
    void *item;

    if (w == NULL)
        return;
    for (unsigned i = 0; i < w->nodes; i++) {
        vly_endpoint_free(w->node[i]->ep);
        free(w->node[i]);
    }
    for (unsigned i = 0; i < w->links_n; i++)
        free(w->links[i]);
    assert(w->memory_bytes == 0); /* the endpoints have given all back */
    while ((item = vly_heap_pop(&w->arrivals)) != NULL)
        vly_pool_put(&w->pool, item);
    while ((item = vly_heap_pop(&w->calls)) != NULL)
        free(item);
    vly_heap_fini(&w->arrivals);
    vly_heap_fini(&w->calls);
    vly_pool_fini(&w->pool);
    free(w);
}

int vly_world_add_node(struct vly_world *w, const struct vly_endpoint_config *cfg)
{
    struct vly_endpoint_config ep = *cfg;
    struct node *n;
    int err;

    if (w->nodes == VLY_WORLD_NODES_MAX)
        return VLY_E_LIMIT;
    n = calloc(1, sizeof(*n));
    if (n == NULL)
        return VLY_E_NOMEM;
    vly_prng_init(&n->prng, vly_prng_fork(w->seed, STREAM_NODE + w->nodes));
    vly_crypto_with_random(&n->crypto, draw, &n->prng);
    n->deadline_ns = VLY_NEVER;
    vly_checks_init(&n->checks, ep.is_server);
    ep.crypto = &n->crypto;
    ep.addr_port_bytes = 1;
    if (ep.alloc == NULL)
        ep.alloc = &w->alloc;
    err = vly_endpoint_new(&n->ep, &ep, w->now_ns);
    if (err != 0) {
        free(n);
        return err;
    }
    n->number = w->nodes;
    w->owner[n->number] = (uint8_t)w->nodes;
    w->node[w->nodes++] = n;
    return 0;
}

void vly_world_set_app(struct vly_world *w, unsigned node, const struct vly_world_app *app)
{
    assert(node < w->nodes);
    w->node[node]->app = *app;
}

int vly_world_add_link(struct vly_world *w, unsigned from, unsigned to,
                       const struct vly_link_spec *spec)
{
    uint64_t stream = STREAM_LINK + from * VLY_WORLD_NODES_MAX + to;
    struct vly_link_model *l;
    int err;

    assert(from < w->nodes && to < w->nodes);
    if (w->link[from][to] != NULL)
        return VLY_E_STATE;
    l = malloc(sizeof(*l));
    if (l == NULL)
        return VLY_E_NOMEM;
    err = vly_link_model_init(l, spec, vly_prng_fork(w->seed, stream));
    if (err != 0) {
        free(l);
        return err;
    }
    w->link[from][to] = w->links[w->links_n++] = l;
    return 0;
}

int vly_world_share_link(struct vly_world *w, unsigned from, unsigned to, unsigned other)
{
    assert(from < w->nodes && to < w->nodes && other < w->nodes);
    if (w->link[from][to] != NULL)
        return VLY_E_STATE;
    if (w->link[from][other] == NULL)
        return VLY_E_INVALID;
    w->link[from][to] = w->link[from][other];
    return 0;
}

struct vly_link_model *vly_world_link(struct vly_world *w, unsigned from, unsigned to)
{
    assert(from < VLY_WORLD_NODES_MAX && to < VLY_WORLD_NODES_MAX);
    return w->link[from][to];
}

struct vly_addr vly_world_addr(unsigned number)
{
    assert(number < VLY_CHECKS_PEERS_MAX);
    return (struct vly_addr){4, {(uint8_t)(number / HOSTS), 's', 'i', (uint8_t)(number % HOSTS)}};
}

unsigned vly_world_number_of(struct vly_span addr)
{
    assert(addr.len == 4);
    return addr.data[0] * HOSTS + addr.data[3];
}

void vly_world_move(struct vly_world *w, unsigned node, unsigned number)
{
    assert(node < w->nodes && number < VLY_CHECKS_PEERS_MAX);
    assert(w->owner[number] == node || w->owner[number] == VLY_WORLD_NODES_MAX);
    w->owner[number] = (uint8_t)node;
    w->node[node]->number = number;
}

unsigned vly_world_node_of(const struct vly_world *w, struct vly_span addr)
{
    return w->owner[vly_world_number_of(addr)];
}

struct vly_endpoint *vly_world_endpoint(struct vly_world *w, unsigned node)
{
    assert(node < w->nodes);
    return w->node[node]->ep;
}

struct vly_crypto *vly_world_crypto(struct vly_world *w, unsigned node)
{
    assert(node < w->nodes);
    return &w->node[node]->crypto;
}

const struct vly_alloc *vly_world_alloc(const struct vly_world *w)
{
    return &w->alloc;
}

void vly_world_set_hooks(struct vly_world *w, const struct vly_world_hooks *hooks)
{
    w->hooks = *hooks;
}

uint64_t vly_world_now_ns(const struct vly_world *w)
{
    return w->now_ns;
}

uint64_t vly_world_trace_hash(const struct vly_world *w)
{
    return w->trace_hash;
}

uint64_t vly_world_datagrams(const struct vly_world *w)
{
    return w->datagrams;
}

uint64_t vly_world_memory_bytes(const struct vly_world *w)
{
    return w->memory_bytes;
}

uint64_t vly_world_memory_max_bytes(const struct vly_world *w)
{
    return w->memory_max_bytes;
}

const char *vly_world_failure(const struct vly_world *w)
{
    return w->failure[0] != '\0' ? w->failure : NULL;
}

void vly_world_fail(struct vly_world *w, const char *format, ...)
{
    va_list args;
    int n;

    if (w->failure[0] != '\0')
        return;
    n = snprintf(w->failure, sizeof(w->failure), "seed %" PRIu64 ", %.9f s: ", w->seed,
                 (double)w->now_ns / 1e9);
    va_start(args, format);
    vsnprintf(w->failure + n, sizeof(w->failure) - (size_t)n, format, args);
    va_end(args);
}

static void expect(struct vly_world *w, unsigned node, const char *broken)
{
    if (broken != NULL)
        vly_world_fail(w, "node %u: %s", node, broken);
}

int vly_world_connect(struct vly_world *w, unsigned from, unsigned to, struct vly_conn **out)
{
    struct node *n = w->node[from];
    struct vly_addr peer = vly_world_addr(to);
    int err = vly_endpoint_connect(n->ep, &peer, w->now_ns, out);

    if (err == 0) {
        n->conn[to] = *out;
        n->touched = true;
    }
    return err;
}

void vly_world_touch(struct vly_world *w, unsigned node)
{
    w->node[node]->touched = true;
}

int vly_world_at(struct vly_world *w, uint64_t at_ns, void (*call)(void *ctx, uint64_t now_ns),
                 void *ctx)
{
    struct call *c = malloc(sizeof(*c));
    int err;

    assert(at_ns >= w->now_ns);
    if (c == NULL)
        return VLY_E_NOMEM;
    *c = (struct call){call, ctx};
    err = vly_heap_push(&w->calls, at_ns, c);
    if (err != 0)
        free(c);
    return err;
}

int vly_world_inject(struct vly_world *w, const struct vly_world_view *view)
{
    struct vly_pool_packet *p = vly_pool_get(&w->pool, view->data.len);
    int err;

    assert(view->now_ns >= w->now_ns && w->owner[view->to] < w->nodes);
    if (p == NULL)
        return VLY_E_NOMEM;
    p->ecn = (uint8_t)view->ecn;
    p->from = (uint16_t)view->from;
    p->to = (uint16_t)view->to;
    p->len = (uint32_t)view->data.len;
    memcpy(p->data, view->data.data, view->data.len);
    err = vly_heap_push(&w->arrivals, view->now_ns, p);
    if (err != 0)
        vly_pool_put(&w->pool, p);
    return err;
}

/* Mixes in a datagram with its time and way, so that two runs with equal hashes sent the same. Of a
 * long one the middle counts through the tag alone, which is a checksum of all of it. */
static void trace(struct vly_world *w, const struct vly_world_view *v)
{
    const uint8_t *data = v->data.data;
    size_t len = v->data.len;
    size_t head = len <= TRACE_HEAD_BYTES + VLY_TAG_BYTES ? len : TRACE_HEAD_BYTES;
    size_t tail = head < len ? VLY_TAG_BYTES : 0;
    const uint64_t step[] = {w->trace_hash,
                             v->now_ns,
                             v->from,
                             v->to,
                             v->ecn,
                             len,
                             XXH3_64bits(data, head),
                             XXH3_64bits(data + len - tail, tail)};

    w->trace_hash = XXH3_64bits(step, sizeof(step));
    w->datagrams++;
}

/* The link a datagram takes; NULL: there is none. */
static struct vly_link_model *link_of(const struct vly_world *w, const struct vly_world_view *v)
{
    unsigned from = w->owner[v->from], to = w->owner[v->to];

    return to < w->nodes ? w->link[from][to] : NULL;
}

static void put_on_link(struct vly_world *w, struct vly_link_model *l,
                        const struct vly_world_view *v)
{
    struct vly_link_copy copy[2];
    unsigned copies = vly_link_model_offer(l, v->now_ns, v->data.len, copy);

    for (unsigned i = 0; i < copies; i++) {
        struct vly_pool_packet *p = vly_pool_get(&w->pool, v->data.len);
        bool ce = copy[i].ce_mark && v->ecn != VLY_ECN_NONE;

        if (p == NULL) {
            vly_world_fail(w, "out of memory for packets under way");
            return;
        }
        p->ecn = (uint8_t)(ce ? VLY_ECN_CE : v->ecn);
        p->from = (uint16_t)v->from;
        p->to = (uint16_t)v->to;
        p->len = (uint32_t)copy[i].len;
        memcpy(p->data, v->data.data, copy[i].len);
        vly_link_model_damage(&copy[i], p->data);
        if (vly_heap_push(&w->arrivals, copy[i].at_ns, p) != 0) {
            vly_pool_put(&w->pool, p);
            vly_world_fail(w, "too many packets under way");
            return;
        }
    }
}

static void send_datagram(struct vly_world *w, unsigned node, const struct vly_world_view *v)
{
    enum vly_world_verdict verdict = VLY_WORLD_PASS;
    struct vly_link_model *l = link_of(w, v);

    trace(w, v);
    expect(w, node, vly_checks_on_sent(&w->node[node]->checks, v->to, v->data));
    if (w->hooks.on_sent != NULL)
        verdict = w->hooks.on_sent(w->hooks.ctx, v);
    if (verdict == VLY_WORLD_PASS && l != NULL)
        put_on_link(w, l, v);
}

static void send_batch(struct vly_world *w, unsigned node)
{
    const struct vly_batch *b = &w->batch;
    struct vly_world_view v = {w->now_ns,
                               w->node[node]->number,
                               vly_world_number_of((struct vly_span){b->to.data, b->to.len}),
                               b->ecn,
                               {NULL, 0}};

    for (unsigned i = 0; i < b->n; i++) {
        size_t at = i * b->segment_bytes;

        assert(at < b->len);
        v.data.data = b->data + at;
        v.data.len = b->len - at < b->segment_bytes ? b->len - at : b->segment_bytes;
        send_datagram(w, node, &v);
    }
}

static void on_event(struct vly_world *w, unsigned node, const struct vly_event *ev)
{
    struct node *n = w->node[node];
    unsigned peer;

    if (ev->conn == NULL) /* somebody was turned away */
        return;
    peer = vly_world_node_of(w, vly_conn_peer(ev->conn));
    if (ev->type == VLY_EV_ACCEPTED || ev->type == VLY_EV_MOVED)
        vly_checks_on_validated(&n->checks, vly_world_number_of(vly_conn_peer(ev->conn)));
    if (ev->type == VLY_EV_ACCEPTED && peer < w->nodes)
        n->conn[peer] = ev->conn;
    if (n->app.on_event != NULL)
        n->app.on_event(n->app.ctx, ev);
    if (ev->type == VLY_EV_CLOSED) {
        if (peer < w->nodes && n->conn[peer] == ev->conn)
            n->conn[peer] = NULL;
        vly_endpoint_release(n->ep, ev->conn);
    }
}

static void drain_events(struct vly_world *w, unsigned node)
{
    struct vly_event ev;

    while (vly_endpoint_next_event(w->node[node]->ep, &ev))
        on_event(w, node, &ev);
}

static void note_in_flight(struct node *n)
{
    for (unsigned i = 0; i < VLY_WORLD_NODES_MAX; i++)
        if (n->conn[i] != NULL)
            vly_conn_stats(n->conn[i], &n->before[i]);
}

static void check_in_flight(struct vly_world *w, unsigned node)
{
    struct node *n = w->node[node];
    struct vly_conn_stats after;

    for (unsigned i = 0; i < VLY_WORLD_NODES_MAX; i++)
        if (n->conn[i] != NULL) {
            vly_conn_stats(n->conn[i], &after);
            expect(w, node, vly_checks_in_flight(&n->before[i], &after));
            n->before[i] = after;
        }
}

/* Lets the node send all it may, as the contract of endpoint.h asks after anything happened. */
static void pump(struct vly_world *w, unsigned node)
{
    struct node *n = w->node[node];
    bool more;

    n->touched = false;
    note_in_flight(n);
    do {
        more = vly_endpoint_send(n->ep, &w->batch, w->now_ns);
        if (more) {
            send_batch(w, node);
            check_in_flight(w, node);
        }
        drain_events(w, node);
    } while (more && w->failure[0] == '\0');
    n->deadline_ns = vly_endpoint_deadline(n->ep);
}

static void arrive(struct vly_world *w, struct vly_pool_packet *p)
{
    struct vly_addr from = vly_world_addr(p->from);
    struct vly_datagram d = {p->data, p->len, &from, (enum vly_ecn)p->ecn};
    struct vly_world_view v = {w->now_ns, p->from, p->to, d.ecn, {p->data, p->len}};
    unsigned node = w->owner[p->to];
    struct node *n = w->node[node];

    if (n->number != p->to) { /* it has moved meanwhile */
        vly_pool_put(&w->pool, p);
        return;
    }
    if (w->hooks.on_arrived != NULL)
        w->hooks.on_arrived(w->hooks.ctx, &v);
    vly_checks_on_received(&n->checks, p->from, p->len);
    vly_endpoint_recv(n->ep, &d, w->now_ns);
    drain_events(w, node);
    n->touched = true;
    vly_pool_put(&w->pool, p);
}

static void run_calls(struct vly_world *w)
{
    while (vly_heap_next_ns(&w->calls) <= w->now_ns) {
        struct call *c = vly_heap_pop(&w->calls);

        c->call(c->ctx, w->now_ns);
        free(c);
    }
}

static void run_deadline(struct vly_world *w, unsigned node)
{
    struct node *n = w->node[node];

    if (n->deadline_ns > w->now_ns)
        return;
    expect(w, node, vly_checks_on_deadline(&n->checks, w->now_ns));
    vly_endpoint_on_deadline(n->ep, w->now_ns);
    drain_events(w, node);
    n->touched = true;
}

/* Everything that is due at now_ns. */
static void step(struct vly_world *w)
{
    run_calls(w);
    while (vly_heap_next_ns(&w->arrivals) <= w->now_ns)
        arrive(w, vly_heap_pop(&w->arrivals));
    for (unsigned i = 0; i < w->nodes; i++)
        run_deadline(w, i);
    for (unsigned i = 0; i < w->nodes; i++)
        if (w->node[i]->touched)
            pump(w, i);
}

static uint64_t min_ns(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

static uint64_t next_ns(const struct vly_world *w)
{
    uint64_t t_ns = min_ns(vly_heap_next_ns(&w->arrivals), vly_heap_next_ns(&w->calls));

    for (unsigned i = 0; i < w->nodes; i++) {
        const struct node *n = w->node[i];

        if (n->touched)
            return w->now_ns;
        t_ns = min_ns(t_ns, n->deadline_ns);
    }
    return t_ns > w->now_ns ? t_ns : w->now_ns;
}

void vly_world_run(struct vly_world *w, uint64_t until_ns)
{
    w->stopped = false;
    while (!w->stopped && w->failure[0] == '\0') {
        uint64_t t_ns = next_ns(w);

        if (t_ns == VLY_NEVER)
            return;
        if (t_ns > until_ns) {
            w->now_ns = until_ns;
            return;
        }
        w->now_ns = t_ns;
        step(w);
    }
}

void vly_world_stop(struct vly_world *w)
{
    w->stopped = true;
}
