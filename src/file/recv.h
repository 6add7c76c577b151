/*
 * recv - content on its way in: stream to sink, checked against the hashes its sender declares.
 *
 * Content, HASHES and END come in any order between them; when stream and END are complete, the
 * sink is finished. A chunk that does not match is told at once; hashes too far ahead of the
 * content to be kept are left to the root at the end.
 */
#ifndef VLY_FILE_RECV_H
#define VLY_FILE_RECV_H

#include "file/msg.h"
#include "file/sink.h"

#define VLY_RECV_EARLY_MAX \
    (UINT64_C(256) << 20)           /* content that outran INFO; the window is smaller */
#define VLY_RECV_HASHES_AHEAD 1024u /* chunks: 1 GiB */

struct vly_recv_events {
    void (*on_ready)(void *ctx);
    void (*on_progress)(void *ctx, uint64_t received_bytes);
    /* Verified and durable, or what went wrong; once. Close it then. */
    void (*on_received)(void *ctx, const struct vly_fault *why);
};

struct vly_recv_hash {
    uint64_t chunk_plus_1; /* 0: none */
    uint8_t hash[VLY_HASH_BYTES];
};

/* Content that came before there was a sink: records of offset, length and bytes. */
struct vly_recv_early {
    uint8_t *data; /* owned */
    size_t len, cap;
};

struct vly_receiver {
    struct vly_link *link; /* borrowed; NULL once closed */
    struct vly_sink *sink; /* owned */
    uint64_t stream;
    const struct vly_recv_events *events;
    void *ctx;
    uint64_t size_bytes; /* announced */
    uint64_t received_bytes;
    uint64_t final_bytes; /* UINT64_MAX until the stream ended */
    bool has_end;
    bool finishing;
    struct vly_sink_end end;
    struct vly_recv_early early;
    size_t checked;              /* chunks below were compared, as far as their hashes came */
    struct vly_recv_hash *ahead; /* owned ring; NULL until needed */
};

void vly_receiver_init(struct vly_receiver *r, struct vly_link *link, uint64_t stream,
                       const struct vly_recv_events *events, void *ctx);
/* The events to open the sink with; their ctx is the receiver. */
extern const struct vly_sink_events vly_receiver_sink_events;
/* Takes the sink for content of `size_bytes` (VLY_SIZE_UNKNOWN: as it comes); what was early goes
 * to it. May call on_received. */
void vly_receiver_set_sink(struct vly_receiver *r, struct vly_sink *sink, uint64_t size_bytes);
/* Each may call on_received. */
void vly_receiver_on_data(struct vly_receiver *r, uint64_t offset, struct vly_span data);
void vly_receiver_on_stream_end(struct vly_receiver *r, uint64_t final_bytes);
void vly_receiver_on_hashes(struct vly_receiver *r, const struct vly_msg *m);
void vly_receiver_on_end(struct vly_receiver *r, const struct vly_msg *m);
/* Drops what is not published. */
void vly_receiver_fini(struct vly_receiver *r);

#endif
