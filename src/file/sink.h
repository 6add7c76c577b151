/*
 * sink - where received content goes: a file beside its target name, or a pipe (pipe_io.h).
 *
 * A file's content goes to a temporary one, ".volley-XXXXXXXX.part" in the target's directory, at
 * any offset in any order, gathered and written by a thread (runs.h); what arrives at the frontier
 * is hashed while hot, the rest is read back. A disk that is too slow holds up the sender first,
 * and the loop only when memory is used up. vly_sink_finish syncs, verifies and renames it. So the
 * target name holds what it held before, or all of the verified new content.
 *
 * Life: open, write ..., then finish (once) or not, then close. Whatever is not published when it
 * is closed is removed.
 */
#ifndef VLY_FILE_SINK_H
#define VLY_FILE_SINK_H

#include "file/fault.h"
#include "file/hash.h"
#include "file/jobs.h"
#include "file/runs.h"

/* The content as its sender declares it at the end. */
struct vly_sink_end {
    uint64_t size_bytes;
    uint8_t root[VLY_HASH_BYTES];
};

struct vly_sink_events {
    /* What vly_sink_is_ready waited for is done. */
    void (*on_ready)(void *ctx);
    /* `bytes` of those given to write may be followed by as many. Also called from within write,
     * finish and close; each byte once, unless write failed for it. */
    void (*on_consumed)(void *ctx, uint64_t bytes);
    /* The end of finish, or a failure that came before it. `why` NULL: verified and durable. Also
     * called from within finish. Once. */
    void (*on_finished)(void *ctx, const struct vly_fault *why);
};

struct vly_sink;

struct vly_sink_ops {
    int (*write)(struct vly_sink *s, uint64_t offset, struct vly_span data, struct vly_fault *why);
    void (*finish)(struct vly_sink *s, const struct vly_sink_end *end);
    void (*close)(struct vly_sink *s);
    bool any_order;
};

struct vly_sink {
    const struct vly_sink_ops *ops;
    const struct vly_sink_events *events; /* NULL once closed */
    void *ctx;
    struct vly_hash
        hash; /* of the contiguous prefix; not to be touched between finish and on_finished */
    uint64_t owed_bytes; /* taken, but not told by on_consumed yet: the disk is slower */
};

struct vly_sink_spec {
    const struct vly_sink_events *events;
    void *ctx;
    struct vly_jobs *jobs;
    struct vly_budget *budget; /* of sinks of one owner; those that get nothing write at once */
    int dir_fd;                /* directory of the target; taken, also on failure */
    const char *name;          /* target, one component of that directory */
    bool replace;              /* an existing target may be replaced */
    uint64_t size_bytes;       /* VLY_SIZE_UNKNOWN (msg.h): not known yet */
    uint16_t mode;
    int64_t mtime_ns; /* 0: leave it */
};

/* Opens a file sink. Checks first that the target may be had and the size fits the disk. Errors:
 * VLY_E_EXISTS, VLY_E_IS_DIRECTORY, VLY_E_NO_SPACE, VLY_E_PERMISSION, VLY_E_LIMIT, VLY_E_NOMEM,
 * VLY_E_IO; nothing remains then. */
VLY_MUST_USE int vly_sink_open_file(struct vly_sink **out, const struct vly_sink_spec *spec,
                                    struct vly_fault *why);

/* Whether disk space was set aside already; else on_ready follows. Writing is allowed all the same.
 */
bool vly_sink_is_ready(const struct vly_sink *s);
/* Content at `offset`; each byte once. Errors are final: close the sink. */
VLY_MUST_USE int vly_sink_write(struct vly_sink *s, uint64_t offset, struct vly_span data,
                                struct vly_fault *why);
/* All content was written: on_finished follows. */
void vly_sink_finish(struct vly_sink *s, const struct vly_sink_end *end);
/* No more events; what is not published is removed. The memory goes when the last job is done. NULL
 * is allowed. */
void vly_sink_close(struct vly_sink *s);

#endif
