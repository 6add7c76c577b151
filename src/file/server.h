/*
 * server - the serving side of the file protocol, SPEC 10: one session for each connection, on a
 * link.
 *
 * Knows no socket and no loop. Sessions free themselves when their link has closed and their jobs
 * are done.
 */
#ifndef VLY_FILE_SERVER_H
#define VLY_FILE_SERVER_H

#include "file/access.h"
#include "file/beneath.h"
#include "file/sink.h"
#include <volley/transport.h>

#include <volley/transfer.h>

#define VLY_SERVER_REQUESTS_MAX 128u        /* under way in a session */
#define VLY_SERVER_BUFFER_BYTES (32u << 20) /* to gather writes in, all sessions */
#define VLY_STOPPED_REASON "the server was stopped"

/* What all sessions share. */
struct vly_file_server {
    struct vly_root root;     /* owned */
    struct vly_access access; /* owned */
    bool writable;
    const struct vly_server_events *events; /* borrowed; NULL: none */
    void *ctx;
    uint64_t (*now_ns)(void);
    struct vly_budget budget;
    size_t sessions;
    void (*on_idle)(void *idle_ctx); /* the last session is gone; may be NULL */
    void *idle_ctx;
};

/* Opens `path` to be served. The rest of *srv is the caller's to fill in. */
VLY_MUST_USE int vly_file_server_init(struct vly_file_server *srv, const char *path,
                                      struct vly_fault *why);
/* Only when there are no sessions. */
void vly_file_server_fini(struct vly_file_server *srv);

/* Takes a connection: sets the link's events. */
VLY_MUST_USE int vly_session_start(struct vly_file_server *srv, struct vly_link *link);

#endif
