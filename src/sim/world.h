/*
 * world - endpoints joined by simulated links, in virtual time, from one seed.
 *
 * Nodes are numbered; a node's address is its number, until it moves to another. At each step time
 * jumps to the next arrival or deadline, the endpoints concerned get their verbs in the order that
 * endpoint.h demands, and what they send enters the links. The same seed and calls give the same
 * datagrams at the same times: the trace hash covers every one of them. At each step the rules that
 * can be seen from outside are checked (checks.h); the first breach stops the world. Cost: O(log
 * packets under way + nodes) for a datagram. Packets under way take at most
 * VLY_WORLD_PACKETS_MAX_BYTES, from free lists.
 */
#ifndef VLY_SIM_WORLD_H
#define VLY_SIM_WORLD_H

#include "proto/endpoint.h"
#include "sim/link_model.h"

#define VLY_WORLD_NODES_MAX 16
#define VLY_WORLD_PACKETS_MAX_BYTES (UINT64_C(2) << 30)
#define VLY_WORLD_FAILURE_MAX 200

struct vly_world;

/* What runs on a node. The hook may use the node's connections; after CLOSED the world releases the
 * one concerned. */
struct vly_world_app {
    void *ctx;                                               /* shared: the caller's */
    void (*on_event)(void *ctx, const struct vly_event *ev); /* NULL: events are dropped */
};

/* A datagram as somebody on the way sees it. */
struct vly_world_view {
    uint64_t now_ns;
    unsigned from, to; /* numbers of addresses; an injected datagram claims `from` */
    enum vly_ecn ecn;
    struct vly_span data; /* borrowed during the call */
};

enum vly_world_verdict { VLY_WORLD_PASS, VLY_WORLD_DROP };

/* Both may look; on_sent, called before the link, may also drop. Either may be NULL. */
struct vly_world_hooks {
    void *ctx; /* shared: the caller's */
    enum vly_world_verdict (*on_sent)(void *ctx, const struct vly_world_view *v);
    void (*on_arrived)(void *ctx, const struct vly_world_view *v);
};

/* Returns NULL when out of memory. The caller owns it. */
struct vly_world *vly_world_new(uint64_t seed);
/* Frees it with its nodes. NULL is allowed. */
void vly_world_free(struct vly_world *w);

/* Adds a node with the number of nodes before it; `cfg` is copied, its `crypto` set by the world,
 * its `alloc` too when NULL. Returns 0, VLY_E_LIMIT, or what vly_endpoint_new returned. */
VLY_MUST_USE int vly_world_add_node(struct vly_world *w, const struct vly_endpoint_config *cfg);
void vly_world_set_app(struct vly_world *w, unsigned node, const struct vly_world_app *app);
/* Joins two nodes in one direction, once. Without a link nothing gets there. Errors: VLY_E_INVALID,
 * VLY_E_STATE when there is one already, VLY_E_NOMEM. */
VLY_MUST_USE int vly_world_add_link(struct vly_world *w, unsigned from, unsigned to,
                                    const struct vly_link_spec *spec);
/* Lets what goes from `from` to `to` use the link that leads to `other`, as one bottleneck. Errors
 * as before. */
VLY_MUST_USE int vly_world_share_link(struct vly_world *w, unsigned from, unsigned to,
                                      unsigned other);
/* The link, for announcing changes and reading counters; NULL when there is none. Borrowed. */
struct vly_link_model *vly_world_link(struct vly_world *w, unsigned from, unsigned to);
/* Addresses are numbers below 256: the lowest four bits are the host, the rest is the port. */
struct vly_addr vly_world_addr(unsigned number);
unsigned vly_world_number_of(struct vly_span addr);
/* The node has another address from now on, as behind a NAT: it knows nothing of it, and what is
 * sent to the old one is lost. No other node may have had `number`. */
void vly_world_move(struct vly_world *w, unsigned node, unsigned number);
/* The node that has or had this address; VLY_WORLD_NODES_MAX when there is none. */
unsigned vly_world_node_of(const struct vly_world *w, struct vly_span addr);
/* Borrowed. Whoever calls its verbs or its connections from outside a hook calls vly_world_touch.
 */
struct vly_endpoint *vly_world_endpoint(struct vly_world *w, unsigned node);
/* What the node's endpoint was given: a test may put in memory that fails. Borrowed. */
struct vly_crypto *vly_world_crypto(struct vly_world *w, unsigned node);
void vly_world_set_hooks(struct vly_world *w, const struct vly_world_hooks *hooks);

/* The world's allocator; borrowed. */
const struct vly_alloc *vly_world_alloc(const struct vly_world *w);

/* vly_endpoint_connect from one node to another. */
VLY_MUST_USE int vly_world_connect(struct vly_world *w, unsigned from, unsigned to,
                                   struct vly_conn **out);
/* The application did something to the node: it is to send at the next step. */
void vly_world_touch(struct vly_world *w, unsigned node);
/* Has `call` called at `at_ns` (now or later). Errors: VLY_E_NOMEM, VLY_E_LIMIT. */
VLY_MUST_USE int vly_world_at(struct vly_world *w, uint64_t at_ns,
                              void (*call)(void *ctx, uint64_t now_ns), void *ctx);
/* Makes a datagram arrive at the node view->to at view->now_ns (now or later), past links and
 * hooks, as if it came from the address view->from. The bytes are copied. Errors: VLY_E_NOMEM,
 * VLY_E_LIMIT. */
VLY_MUST_USE int vly_world_inject(struct vly_world *w, const struct vly_world_view *view);

uint64_t vly_world_now_ns(const struct vly_world *w);
uint64_t vly_world_trace_hash(const struct vly_world *w);
uint64_t vly_world_datagrams(const struct vly_world *w);
/* Bytes that the nodes without an allocator of their own hold now, and held at most. */
uint64_t vly_world_memory_bytes(const struct vly_world *w);
uint64_t vly_world_memory_max_bytes(const struct vly_world *w);
/* What went wrong first, with its time; NULL when nothing did. Borrowed. */
const char *vly_world_failure(const struct vly_world *w);
/* Records a failure (the first one stays) and ends the run. */
void vly_world_fail(struct vly_world *w, const char *format, ...) VLY_PRINTF(2, 3);

/* Goes on until `until_ns`, a failure, a vly_world_stop or until nothing is to come any more. In
 * the first case time stands at `until_ns` afterwards. */
void vly_world_run(struct vly_world *w, uint64_t until_ns);
/* Ends vly_world_run after the present step. */
void vly_world_stop(struct vly_world *w);

#endif
