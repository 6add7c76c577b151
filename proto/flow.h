/*
 * flow - credit-based flow control of one direction of a stream or connection, SPEC 6.
 *
 * Receiver side: the window grows to twice the bandwidth-delay product at least, measured by how
 * much the application consumes in a round trip, between an initial and a largest window; limits
 * only rise. Sender side: a limit and what has been used of it.
 */
#ifndef VLY_PROTO_FLOW_H
#define VLY_PROTO_FLOW_H

#include <volley/base.h>

struct vly_flow_recv {
    uint64_t window_bytes; /* current size */
    uint64_t window_max_bytes;
    uint64_t window_cap_bytes; /* at most window_max_bytes: what it may grow to for the present */
    uint64_t throttled_ns;     /* when the cap changed last */
    uint64_t limit_bytes;      /* what the peer has been told (or is about to be) */
    uint64_t highest_bytes;    /* highest offset received, or their sum for a connection */
    uint64_t consumed_bytes;   /* given back by the application */
    uint64_t round_begin_ns;   /* auto-tuning: this measuring round */
    uint64_t round_begin_bytes;
    double last_per_round_trip; /* bytes consumed in the round before, per round trip */
};

void vly_flow_recv_init(struct vly_flow_recv *f, uint64_t window_bytes, uint64_t window_max_bytes,
                        uint64_t now_ns);
/* `bytes` more are used. Returns 0, or VLY_E_LIMIT when that oversteps the limit (nothing is
 * changed then). */
VLY_MUST_USE int vly_flow_recv_use(struct vly_flow_recv *f, uint64_t bytes);
/* The application is done with `bytes` (of those used). Grows the window when a round trip's
 * (min_rtt_ns; 0 or VLY_NEVER: unknown) consumption asks for it. Returns true when a new limit
 * should be announced: at least a quarter of the window may be added, or half of it when it is at
 * its largest; then limit_bytes already is the new one. */
bool vly_flow_recv_consume(struct vly_flow_recv *f, uint64_t bytes, uint64_t now_ns,
                           uint64_t min_rtt_ns);

/* Datagrams were dropped here, in the socket's buffer: the peers together were promised more than
 * it holds. Halves the window, to no less than VLY_FLOW_WINDOW_MIN, at most once in
 * VLY_FLOW_THROTTLE_NS; what has been announced stands. It may grow again by an eighth each
 * VLY_FLOW_REGROW_NS. */
#define VLY_FLOW_WINDOW_MIN (UINT64_C(128) << 10)
#define VLY_FLOW_THROTTLE_NS VLY_MS(1)
#define VLY_FLOW_REGROW_NS VLY_MS(100)
void vly_flow_recv_throttle(struct vly_flow_recv *f, uint64_t now_ns);

struct vly_flow_send {
    uint64_t limit_bytes;
    uint64_t used_bytes;
};

uint64_t vly_flow_send_room(const struct vly_flow_send *f);
/* Raises the limit; a lower one is ignored. Returns whether it rose. */
bool vly_flow_send_raise(struct vly_flow_send *f, uint64_t limit_bytes);

#endif
