/*
 * sink_internal - a file sink as sink.c (the loop's part) and sink_publish.c (the threads' part)
 * share it.
 *
 * While `busy` a thread owns the fields it works on (see sink_publish.c); the loop leaves them
 * alone.
 */
#ifndef VLY_FILE_SINK_INTERNAL_H
#define VLY_FILE_SINK_INTERNAL_H

#include "file/sink.h"
#include "proto/rangeset.h"

#include <stdatomic.h>

#define VLY_TEMP_NAME_BYTES sizeof ".volley-XXXXXXXX.part"

enum vly_sink_task { VLY_SINK_IDLE, VLY_SINK_RESERVING, VLY_SINK_PUBLISHING };

struct vly_file_sink {
    struct vly_sink base;
    struct vly_jobs *jobs;
    struct vly_job job;
    enum vly_sink_task busy;
    int dir_fd, fd;                 /* owned */
    char temp[VLY_TEMP_NAME_BYTES]; /* empty when there is none on the disk */
    char *name;                     /* owned */
    bool replace;
    bool opening; /* no events yet */
    bool ready;
    bool finish_wanted;
    bool closed;          /* by its user: freed when the job is done */
    atomic_bool given_up; /* closed while publishing: do not rename any more */
    uint64_t size_bytes;
    uint16_t mode;
    int64_t mtime_ns;
    struct vly_rangeset late; /* written, above the hashed prefix */
    struct vly_budget *budget;
    uint8_t *run; /* owned; run_len bytes to be written at run_offset */
    size_t run_cap, run_len;
    uint64_t run_offset;
    struct vly_sink_end end;
    struct vly_fault fault; /* of the job */
};

/* Sets disk space aside; in a thread. */
void vly_sink_reserve_work(void *arg);
/* Reads back, syncs, verifies, renames; in a thread. Removes the temporary file when that fails. */
void vly_sink_publish_work(void *arg);

/* Hashes what lies right behind the hashed prefix, at most `budget_bytes`, read back through `buf`.
 */
VLY_MUST_USE int vly_sink_catch_up(struct vly_file_sink *s, uint64_t budget_bytes, uint8_t *buf,
                                   size_t cap, struct vly_fault *why);

#endif
