/*
 * endpoint_internal - the state of an endpoint, seen by endpoint*.c and answer.c alone.
 */
#ifndef VLY_PROTO_ENDPOINT_INTERNAL_H
#define VLY_PROTO_ENDPOINT_INTERNAL_H

#include "conntab.h"
#include "cookie.h"
#include "shared.h"

struct vly_endpoint {
    struct vly_shared sh;
    bool is_server;
    size_t max_conns;
    size_t n_clients; /* connections that we began */
    char application[VLY_APPLICATION_MAX + 1];
    struct vly_conntab conns;
    struct vly_cookie_keys cookies;
    uint8_t id_key[32];        /* server: ids and reset tokens are derived with it */
    struct vly_conn *received; /* those that hold what events point to, by received_next */
    uint64_t answers_since_ns;
    unsigned answers;
    struct vly_endpoint_stats stats;
};

/* endpoint.c: makes a connection known by `cid`. */
VLY_MUST_USE int vly_endpoint_add(struct vly_endpoint *ep, enum vly_role role,
                                  const struct vly_addr *peer, uint64_t cid, uint64_t now_ns,
                                  struct vly_conn **out);
/* Forgets and frees it: one that the application does not know, or has released. */
void vly_endpoint_drop(struct vly_endpoint *ep, struct vly_conn *c);

/* The connection took a packet: what its events point to is given back at the next verb. */
void vly_endpoint_holds_events(struct vly_endpoint *ep, struct vly_conn *c);

/* endpoint_recv.c: hands the first of `n` datagrams to whom it concerns, with those behind it that
 * belong together. Returns how many, at least one; counts those that nobody could use. */
size_t vly_endpoint_dispatch(struct vly_endpoint *ep, const struct vly_datagram *d, size_t n,
                             uint64_t now_ns);

/* Whether a handshake packet arrived undamaged. */
bool vly_endpoint_open_plain(const struct vly_endpoint *ep, const struct vly_datagram *d);
/* endpoint_hello.c: likewise. RULE 1, 2 */
bool vly_endpoint_on_hello(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns);
bool vly_endpoint_on_finish(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns);

/* answer.c: answers to a datagram without a connection; dropped when no slot is free or, for
 * UNKNOWN and VERSIONS, after too many in a second. `cid`: the id the datagram named. */
void vly_answer_versions(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t cid,
                         uint64_t now_ns);
void vly_answer_refuse(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t cid,
                       enum vly_close_code code);
void vly_answer_retry(struct vly_endpoint *ep, const struct vly_datagram *d,
                      const struct vly_hello *hello, uint64_t now_ns);
void vly_answer_unknown(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t cid,
                        uint64_t now_ns);
/* The token by which a client believes UNKNOWN: a keyed hash of the id. */
void vly_reset_token(const struct vly_endpoint *ep, uint64_t cid,
                     uint8_t out[VLY_RESET_TOKEN_BYTES]);

#endif
