/*
 * dirsync - see dirsync.h.
 */
#include "file/dirsync.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct vly_dirsync {
    struct vly_job job;
    int fd; /* owned */
    int errno_value;
    void (*done)(void *ctx, const struct vly_fault *why);
    void *ctx;
};

static void sync_work(void *arg)
{
    struct vly_dirsync *d = arg;

    d->errno_value = fsync(d->fd) == 0 ? 0 : errno;
    close(d->fd);
}

static void sync_done(void *arg)
{
    struct vly_dirsync *d = arg;
    struct vly_fault why;

    if (d->errno_value != 0)
        vly_fault_errno(&why, d->errno_value);
    if (d->done != NULL)
        d->done(d->ctx, d->errno_value != 0 ? &why : NULL);
    free(d);
}

int vly_dirsync_start(struct vly_dirsync **out, struct vly_jobs *jobs, int dir_fd,
                      void (*done)(void *ctx, const struct vly_fault *why), void *ctx)
{
    struct vly_dirsync *d = malloc(sizeof *d);

    *out = d;
    if (d == NULL) {
        close(dir_fd);
        return VLY_E_NOMEM;
    }
    *d = (struct vly_dirsync){.fd = dir_fd, .done = done, .ctx = ctx};
    d->job = (struct vly_job){.work = sync_work, .done = sync_done, .arg = d};
    vly_job_start(&d->job, jobs);
    return 0;
}

void vly_dirsync_forget(struct vly_dirsync *d)
{
    if (d != NULL)
        d->done = NULL;
}
