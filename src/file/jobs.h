/*
 * jobs - calls that block (fsync, rename, pipes), run in a thread by the link, counted so that
 * their owner outlives them.
 *
 * A job's memory stays until its `done` was called; then it may go, also from within `done`.
 */
#ifndef VLY_FILE_JOBS_H
#define VLY_FILE_JOBS_H

#include <volley/transport.h>

struct vly_jobs {
    struct vly_link *link; /* NULL once it is closed: jobs run at once then, in the caller */
    size_t running;
    void (*on_idle)(void *ctx); /* the last running job is done; may free the vly_jobs */
    void *ctx;
};

struct vly_job {
    struct vly_jobs *jobs;
    void (*work)(void *arg); /* in some thread: touches nothing but what its owner leaves alone */
    void (*done)(void *arg); /* in the loop */
    void *arg;
};

/* Fill in `work`, `done` and `arg` first. `done` may be called before this returns. */
void vly_job_start(struct vly_job *job, struct vly_jobs *jobs);

/* Between these the owner is not idle: for a stretch of code that may start jobs and has to outlive
 * them. */
void vly_jobs_hold(struct vly_jobs *jobs);
void vly_jobs_release(struct vly_jobs *jobs); /* may free the owner */

#endif
