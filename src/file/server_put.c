/*
 * server_put - PUT and MKDIR: content and directories from the client, SPEC 10.2 and 10.4.
 */
#include "file/server_internal.h"

#include <unistd.h>

void vly_put_on_stream(struct vly_request *q)
{
    struct vly_link *link = q->session->link;

    /* A refusal leaves it in order, which is slower and no less right. */
    (void)link->ops->set_order(link, q->stream, VLY_LINK_ANY_ORDER);
    /* Our direction of an upload's stream carries nothing. */
    (void)link->ops->commit(link, q->stream, 0, true);
}

static void on_ready(void *ctx)
{
    struct vly_request *q = ctx;

    q->state = VLY_REQUEST_CONTENT;
    vly_ctl_send_plain(&q->session->ctl, VLY_MSG_READY, q->id);
}

static void on_progress(void *ctx, uint64_t received_bytes)
{
    vly_request_tell_progress(ctx, received_bytes);
}

static void on_received(void *ctx, const struct vly_fault *why)
{
    struct vly_request *q = ctx;

    if (why != NULL) {
        vly_request_fail(q, why);
        return;
    }
    q->size_bytes = q->receiver.received_bytes;
    vly_ctl_send_plain(&q->session->ctl, VLY_MSG_DONE, q->id);
    vly_request_end(q, NULL);
}

static const struct vly_recv_events put_events = {
    .on_ready = on_ready, .on_progress = on_progress, .on_received = on_received};

/* A parent that is missing is not the file that is missing: says so. */
static int explain_parent(struct vly_fault *why, int err)
{
    if (err == VLY_E_NOT_FOUND)
        return vly_fault_set(why, err, "the directory it should go to does not exist");
    return vly_fault_last(why, err);
}

static int open_sink(struct vly_request *q, const struct vly_msg *m, struct vly_sink **out,
                     struct vly_fault *why)
{
    struct vly_session *s = q->session;
    enum vly_parents parents =
        (m->flags & VLY_PUT_MAKE_PARENTS) != 0 ? VLY_PARENTS_MAKE : VLY_PARENTS_MUST_EXIST;
    struct vly_sink_spec spec = {.events = &vly_receiver_sink_events,
                                 .ctx = &q->receiver,
                                 .jobs = &s->jobs,
                                 .budget = &s->srv->budget,
                                 .replace = (m->flags & VLY_PUT_REPLACE) != 0,
                                 .size_bytes = m->size,
                                 .mode = m->mode,
                                 .mtime_ns = m->mtime_ns};
    int err;

    if (q->path[0] == '\0')
        return vly_fault_plain(why, VLY_E_IS_DIRECTORY);
    err = vly_root_open_parent(s->root, q->path, parents, &spec.dir_fd, &spec.name);
    if (err != 0)
        return explain_parent(why, err);
    return vly_sink_open_file(out, &spec, why);
}

void vly_put_start(struct vly_request *q, const struct vly_msg *m)
{
    struct vly_session *s = q->session;
    struct vly_sink *sink = NULL;
    struct vly_fault why;

    q->state = VLY_REQUEST_WAITING;
    vly_receiver_init(&q->receiver, s->link, q->stream, &put_events, q);
    if (open_sink(q, m, &sink, &why) != 0) {
        vly_request_fail(q, &why);
        return;
    }
    vly_request_tell_begin(q, m->size == VLY_SIZE_UNKNOWN ? UINT64_MAX : m->size);
    vly_receiver_set_sink(&q->receiver, sink, m->size);
    if (vly_session_has_stream(s, q->stream))
        vly_put_on_stream(q);
    if (vly_sink_is_ready(sink))
        on_ready(q);
}

static void on_synced(void *ctx, const struct vly_fault *why)
{
    struct vly_request *q = ctx;

    q->dirsync = NULL;
    if (why != NULL) {
        vly_request_fail(q, why);
        return;
    }
    vly_ctl_send_plain(&q->session->ctl, VLY_MSG_DONE, q->id);
    vly_request_end(q, NULL);
}

void vly_mkdir_start(struct vly_request *q, uint16_t mode)
{
    struct vly_session *s = q->session;
    struct vly_fault why;
    int parent_fd, err;

    q->state = VLY_REQUEST_CONTENT;
    err = q->path[0] != '\0' ? vly_root_mkdir(s->root, q->path, mode, &parent_fd) : VLY_E_DUPLICATE;
    if (err == VLY_E_DUPLICATE) {
        on_synced(q, NULL);
    } else if (err != 0) {
        explain_parent(&why, err);
        vly_request_fail(q, &why);
    } else if (vly_dirsync_start(&q->dirsync, &s->jobs, parent_fd, on_synced, q) != 0) {
        vly_fault_plain(&why, VLY_E_NOMEM);
        vly_request_fail(q, &why);
    }
}
