/*
 * stream - the streams of one connection: a table by id, and the queue of those with something to
 * send.
 *
 * Invariant: a stream is in the send queue when it has pending data or control frames to send.
 * Cost: look-up O(1); the table holds what is open only, ids of finished streams are known by being
 * below the next one (SPEC 6).
 */
#ifndef VLY_PROTO_STREAM_H
#define VLY_PROTO_STREAM_H

#include "flow.h"
#include "recvbuf.h"
#include "sendbuf.h"

enum vly_stream_send { VLY_SEND_OPEN, VLY_SEND_RESET, VLY_SEND_DONE };
enum vly_stream_recv { VLY_RECV_OPEN, VLY_RECV_STOPPED, VLY_RECV_DONE };

struct vly_stream {
    uint64_t id;
    enum vly_stream_send send_state;
    enum vly_stream_recv recv_state;
    struct vly_sendbuf send;
    struct vly_recvbuf recv;
    struct vly_flow_send send_credit; /* relative to the first offset, like recv_credit */
    struct vly_flow_recv recv_credit;
    uint64_t reset_code, stop_code;
    /* Control frames to (re)send. */
    bool need_reset, need_stop, need_max;
    bool reset_acked;
    bool wants_room; /* the application met VLY_E_AGAIN: tell it when there is room */
    bool end_told;   /* STREAM_END or STREAM_RESET was queued */
    bool acked_told; /* STREAM_ACKED was queued */
    bool buffered;   /* handed on from blocks: released at the next verb, till then not removed */
    struct vly_stream *buffered_next;
    uint64_t handed_bytes; /* handed on to the application, which returns their credit, or returned
                              by us */
    bool queued;
    struct vly_stream *queue_next; /* send queue */
};

struct vly_streams {
    const struct vly_alloc *alloc; /* borrowed */
    struct vly_stream **slots;     /* owned table of owned streams; open addressing */
    size_t cap, n;
    struct vly_stream *queue_head, *queue_tail;
};

void vly_streams_init(struct vly_streams *t, const struct vly_alloc *alloc);
void vly_streams_fini(struct vly_streams *t);
/* NULL when the id is not open. */
struct vly_stream *vly_streams_find(const struct vly_streams *t, uint64_t id);
/* Adds a stream whose first byte has offset `base`. Errors: VLY_E_NOMEM. */
VLY_MUST_USE int vly_streams_add(struct vly_streams *t, uint64_t id, uint64_t base,
                                 struct vly_stream **out);
/* Removes and frees it; it must not be queued. */
void vly_streams_remove(struct vly_streams *t, struct vly_stream *s);
/* The i-th slot's stream or NULL, i < cap: to visit all. */
struct vly_stream *vly_streams_slot(const struct vly_streams *t, size_t i);

/* Send queue: round robin. Pushing a queued stream is a no-op. */
void vly_streams_push(struct vly_streams *t, struct vly_stream *s);
struct vly_stream *vly_streams_pop(struct vly_streams *t);
void vly_streams_unqueue(struct vly_streams *t, struct vly_stream *s);

/* Whether the stream has frames to send besides data. */
bool vly_stream_has_control(const struct vly_stream *s);
/* Both directions are over: it can be removed. */
bool vly_stream_is_over(const struct vly_stream *s);

#endif
