/*
 * client - the asking side of the file protocol, SPEC 10: one get, put or list, on a link.
 *
 * Knows no socket and no loop. Local trouble that can be seen before anything is sent is seen when
 * it is made.
 */
#ifndef VLY_FILE_CLIENT_H
#define VLY_FILE_CLIENT_H

#include "file/fault.h"
#include <volley/transport.h>

#include <volley/transfer.h>

#define VLY_CLIENT_FILES_MAX 64u                   /* under way at once */
#define VLY_CLIENT_ENTRIES_MAX (UINT64_C(1) << 20) /* of a tree, waiting to be got */
#define VLY_CLIENT_BUFFER_BYTES (16u << 20)        /* to gather writes in */
#define VLY_GIVEN_UP_REASON "the client gave up"

struct vly_file_client;

struct vly_file_client_spec {
    const struct vly_client_options
        *opt; /* strings are copied, events borrowed; the struct itself is not kept */
    uint64_t (*now_ns)(void);
    /* The link has closed and all jobs are done: the result is there, and vly_file_client_free may
     * be called, also from within. events->on_done is the owner's to call. */
    void (*on_finished)(void *owner);
    void *owner;
};

/* Makes a client and looks at the local side. On failure *out is NULL. */
VLY_MUST_USE int vly_file_client_new(struct vly_file_client **out,
                                     const struct vly_file_client_spec *spec,
                                     struct vly_fault *why);
/* Only before vly_file_client_attach, or once finished. NULL is allowed. */
void vly_file_client_free(struct vly_file_client *c);
/* Sets the link's events; the work begins when it is open. */
void vly_file_client_attach(struct vly_file_client *c, struct vly_link *link);
/* Drops what is unfinished and closes the link. */
void vly_file_client_cancel(struct vly_file_client *c);
/* What it came to; borrowed until it is freed. `why` err 0: done. */
void vly_file_client_result(const struct vly_file_client *c, struct vly_transfer_stats *stats,
                            struct vly_failure *why);

#endif
