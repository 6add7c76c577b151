/*
 * checks - rules of the protocol that can be seen at a node from outside, checked at each step.
 *
 * Each function returns NULL, or a static text naming the rule that was broken.
 * Cost: O(1) for a datagram of a node with few connections.
 */
#ifndef VLY_SIM_CHECKS_H
#define VLY_SIM_CHECKS_H

#include "proto/endpoint.h"

#define VLY_CHECKS_PEERS_MAX 256 /* addresses: the world's numbers fit */
#define VLY_CHECKS_CIDS_MAX 1024 /* packet numbers of further connections are not checked */
#define VLY_CHECKS_STUCK_MAX 16  /* deadlines served in a row at one time */

struct vly_checks_peer {
    uint64_t received_bytes, sent_bytes;
    bool validated;
};

struct vly_checks_cid {
    uint64_t cid;
    uint64_t next_pn; /* smallest that may follow */
};

struct vly_checks {
    bool is_server;
    struct vly_checks_peer peer[VLY_CHECKS_PEERS_MAX];
    struct vly_checks_cid cid[VLY_CHECKS_CIDS_MAX]; /* of those this node sends to */
    size_t cid_n, cid_last;
    uint64_t deadline_ns; /* the last one served */
    unsigned stuck;       /* how often in a row at that time */
};

void vly_checks_init(struct vly_checks *c, bool is_server);
void vly_checks_on_received(struct vly_checks *c, unsigned peer, size_t len);
/* The server has accepted a connection of this address. */
void vly_checks_on_validated(struct vly_checks *c, unsigned peer);
/* RULE 2 and RULE 10: what an unvalidated address is sent; packet numbers rise. */
const char *vly_checks_on_sent(struct vly_checks *c, unsigned peer, struct vly_span data);
/* RULE 26: `before` and `after` a send call that gave something. */
const char *vly_checks_in_flight(const struct vly_conn_stats *before,
                                 const struct vly_conn_stats *after);
/* The node's deadline is served at `now_ns`: one that stays due is a busy loop. */
const char *vly_checks_on_deadline(struct vly_checks *c, uint64_t now_ns);

#endif
