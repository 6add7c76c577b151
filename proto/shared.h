/*
 * shared - what the connections of one endpoint have in common: configuration, the event queue, the
 * list of connections with something to do, and the queue of answers that belong to no connection.
 *
 * Invariant: a connection whose state changed in a way that may let it send, or that moves its
 * deadline, is in `ready`.
 */
#ifndef VLY_PROTO_SHARED_H
#define VLY_PROTO_SHARED_H

#include "endpoint.h"

/* Answers without a connection, and the last CLOSE of a dead one: fixed slots; when all are taken
 * an answer is dropped, as the network might have dropped it. */
#define VLY_REPLY_BYTES 256
#define VLY_REPLIES_MAX 64u

struct vly_reply {
    struct vly_addr to;
    size_t len;
    uint8_t data[VLY_REPLY_BYTES];
};

struct vly_replies {
    struct vly_reply slot[VLY_REPLIES_MAX];
    unsigned head, n;
};

/* The next free slot, to be filled and then counted with n++; NULL when full. */
struct vly_reply *vly_replies_free_slot(struct vly_replies *r);

/* Events in order. Grows; emptied after each verb, so the events of one run of datagrams bound it.
 */
struct vly_queued_event {
    enum vly_event_type type;
    struct vly_conn *conn;
    uint64_t stream;
    uint64_t offset; /* or the code */
    struct vly_span data;
};

struct vly_events {
    struct vly_queued_event *ring; /* owned */
    size_t cap, head, n;
};

struct vly_shared {
    const struct vly_alloc *alloc;   /* borrowed */
    const struct vly_crypto *crypto; /* borrowed */
    struct vly_conn_config config;   /* defaults filled in */
    unsigned max_batch_pkts;
    bool takes_apart;
    const struct vly_credentials *credentials; /* borrowed; NULL: suite plain */
    struct vly_keylog keylog;
    /* Method code: ACCEPTs sent, and whether one of them led to a connection. */
    unsigned code_tries;
    bool code_used;
    struct vly_addr turned_away; /* of the TURNED_AWAY event in the queue */
    bool turned_away_queued;
    struct vly_conn *half_open_head, *half_open_tail; /* in ACCEPTED, oldest first */
    size_t half_open_n;
    unsigned addr_port_bytes;
    struct vly_trace trace;
    struct vly_events events;
    struct vly_replies replies;
    struct vly_aead_job jobs[VLY_BATCH_PKTS]; /* packets built and not sealed yet, conn_seal.c */
    unsigned jobs_n;
    uint8_t clear[VLY_BATCH_BYTES]; /* where packets are built, each as far in as in its batch */
    struct vly_conn *ready_head, *ready_tail;
    size_t ready_n;                             /* so many are in that list */
    struct vly_conn *closed_head, *closed_tail; /* CLOSED still to be told */
};

/* Queues an event. Returns 0 or VLY_E_NOMEM. */
VLY_MUST_USE int vly_events_push(struct vly_shared *sh, const struct vly_queued_event *ev);
bool vly_events_pop(struct vly_shared *sh, struct vly_queued_event *out);
/* Takes the connection's events out of the queue: it is being freed. */
void vly_events_forget(struct vly_shared *sh, const struct vly_conn *c);

/* Tells the application that a client was turned away; one at a time, the rest are dropped. */
void vly_turned_away(struct vly_shared *sh, const struct vly_addr *client,
                     enum vly_close_code code);
/* Method code: whether it is dead for further clients. SPEC 3.1 */
bool vly_code_is_dead(const struct vly_shared *sh);

/* A server's connections in ACCEPTED. */
void vly_half_open_add(struct vly_shared *sh, struct vly_conn *c);
void vly_half_open_remove(struct vly_shared *sh, struct vly_conn *c);

/* Intrusive list of connections with something to do. */
void vly_ready_push(struct vly_shared *sh, struct vly_conn *c);
/* At the head of the line. One that is in it stays where it is. */
void vly_ready_push_first(struct vly_shared *sh, struct vly_conn *c);
struct vly_conn *vly_ready_pop(struct vly_shared *sh);
/* Wherever it is in the line, if at all. O(n). */
void vly_ready_remove(struct vly_shared *sh, struct vly_conn *c);

#endif
