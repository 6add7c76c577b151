/*
 * jobs - see jobs.h.
 */
#include "file/jobs.h"

static void run_work(void *arg)
{
    struct vly_job *job = arg;

    job->work(job->arg);
}

void vly_jobs_hold(struct vly_jobs *jobs)
{
    jobs->running++;
}

void vly_jobs_release(struct vly_jobs *jobs)
{
    if (--jobs->running == 0 && jobs->on_idle != NULL)
        jobs->on_idle(jobs->ctx);
}

static void run_done(void *arg)
{
    struct vly_job *job = arg;
    struct vly_jobs *jobs = job->jobs;

    /* Counted down after `done`: what it closes must not find its owner idle and free it. */
    job->done(job->arg);
    vly_jobs_release(jobs);
}

void vly_job_start(struct vly_job *job, struct vly_jobs *jobs)
{
    job->jobs = jobs;
    vly_jobs_hold(jobs);
    if (jobs->link != NULL && jobs->link->ops->offload(jobs->link, run_work, run_done, job) == 0)
        return;
    run_work(job); /* no thread to be had: better late than never */
    run_done(job);
}
