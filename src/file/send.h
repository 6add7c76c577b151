/*
 * send - content on its way out: source to stream, with its hashes; and several of them taking fair
 * turns.
 *
 * A sender reads as much as the link has room for, straight into that room, and hashes it there.
 * HASHES go out as chunks are complete, END when the stream ended.
 */
#ifndef VLY_FILE_SEND_H
#define VLY_FILE_SEND_H

#include "file/ctl.h"
#include "file/hash.h"
#include "file/source.h"

struct vly_senders;

struct vly_sender {
    struct vly_senders *set; /* NULL when it is not running */
    struct vly_sender *next, *prev;
    struct vly_source *source; /* owned */
    struct vly_hash hash;
    uint64_t request, stream;
    uint64_t sent_bytes;
    size_t hashes_sent;
    void *ctx;
};

struct vly_sender_events {
    void (*on_progress)(void *ctx, uint64_t sent_bytes);
    /* END went out, or what stopped it; the sender is not running any more. */
    void (*on_sent)(void *ctx, const struct vly_fault *why);
};

/* The senders of one connection. */
struct vly_senders {
    struct vly_link *link; /* NULL once closed */
    struct vly_ctl *ctl;
    const struct vly_sender_events *events;
    struct vly_sender *turn; /* ring; whose turn it is */
    bool pumping, again;
};

/* Makes a sender of `source`, which it takes. `ctx` goes to the events. */
void vly_sender_init(struct vly_sender *s, struct vly_source *source, uint64_t request,
                     uint64_t stream, void *ctx);
/* Stops it, if it runs, and frees what it holds. */
void vly_sender_fini(struct vly_sender *s);
void vly_sender_start(struct vly_senders *set, struct vly_sender *s);
/* Sends until the link has no more room, in turns. */
void vly_senders_pump(struct vly_senders *set);

#endif
