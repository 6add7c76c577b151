/*
 * offload - see offload.h.
 */
#include "net/offload.h"

#include <stdlib.h>

/* Knows the transport, which waits for it, and not the link, which does not. */
struct offloaded {
    uv_work_t request;
    struct vly_offloads *all;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void offloaded_work(uv_work_t *request)
{
    struct offloaded *o = request->data;

    o->work(o->arg);
}

static void offloaded_done(uv_work_t *request, int status)
{
    struct offloaded *o = request->data;
    struct vly_offloads *all = o->all;

    (void)status;
    o->done(o->arg);
    free(o);
    all->running--;
    all->on_less(all->owner);
}

int vly_offload(struct vly_offloads *all, void (*work)(void *arg), void (*done)(void *arg),
                void *arg)
{
    struct offloaded *o = malloc(sizeof(*o));

    if (o == NULL)
        return VLY_E_NOMEM;
    *o = (struct offloaded){.all = all, .work = work, .done = done, .arg = arg};
    o->request.data = o;
    if (uv_queue_work(all->loop, &o->request, offloaded_work, offloaded_done) != 0) {
        free(o);
        return VLY_E_FAILED;
    }
    all->running++;
    return 0;
}
