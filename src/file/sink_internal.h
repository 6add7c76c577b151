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

enum vly_sink_task { VLY_SINK_IDLE, VLY_SINK_RESERVING, VLY_SINK_WRITING, VLY_SINK_PUBLISHING };

struct vly_file_sink {
    struct vly_sink base;
    struct vly_jobs *jobs;
    struct vly_job job;
    enum vly_sink_task busy;
    int dir_fd, fd;                 /* owned */
    char temp[VLY_TEMP_NAME_BYTES]; /* empty when there is none on the disk */
    char *name;                     /* owned */
    bool replace;
    bool opening;   /* no events yet */
    bool storing;   /* likewise: write tells its failure itself */
    bool in_memory; /* the file system: there is no disk to push to */
    bool ready;
    bool finish_wanted;
    bool closed;          /* by its user: freed when the job is done */
    atomic_bool given_up; /* closed: write no more, do not rename */
    uint64_t size_bytes;
    uint16_t mode;
    int64_t mtime_ns;
    struct vly_rangeset late; /* written, above the hashed prefix */
    struct vly_runs runs;
    unsigned by_thread;            /* so many runs are for threads: writing had to wait */
    struct vly_runs_target here;   /* what the loop writes */
    struct vly_runs_target target; /* what threads write */
    uint64_t hashed_bytes;         /* when the job began: what lies below is not read again */
    uint64_t written_bytes;        /* likewise, by the loop and by threads */
    uint64_t pushed_bytes;         /* of those, what the disk was told of */
    uint64_t dropped_bytes;        /* a thread's: the page cache need not hold what lies below */
    struct vly_sink_end end;
    struct vly_fault fault; /* of the job */
};

/* Sets disk space aside; in a thread. */
void vly_sink_reserve_work(void *arg);
#define VLY_SINK_PUSH_BYTES (8u << 20) /* so much is written before the disk is told to begin */

/* Writes what was taken of the runs and has the disk begin; in a thread. */
void vly_sink_write_work(void *arg);
/* Writes the rest, reads back, syncs, verifies, renames; in a thread. Removes the temporary file
 * when that fails. */
void vly_sink_publish_work(void *arg);

/* Hashes what lies right behind the hashed prefix and was written, at most `budget_bytes`. */
VLY_MUST_USE int vly_sink_catch_up(struct vly_file_sink *s, uint64_t budget_bytes,
                                   struct vly_fault *why);

#endif
