/*
 * dirsync - makes the entries of a directory durable, in a thread.
 */
#ifndef VLY_FILE_DIRSYNC_H
#define VLY_FILE_DIRSYNC_H

#include "file/fault.h"
#include "file/jobs.h"

struct vly_dirsync;

/* Takes the directory `dir_fd`. done(ctx, why) follows, unless it is forgotten, maybe before this
 * returns; *out is set before that. Returns VLY_E_NOMEM. */
VLY_MUST_USE int vly_dirsync_start(struct vly_dirsync **out, struct vly_jobs *jobs, int dir_fd,
                                   void (*done)(void *ctx, const struct vly_fault *why), void *ctx);
/* `done` is not called any more. NULL is allowed. */
void vly_dirsync_forget(struct vly_dirsync *d);

#endif
