/*
 * server_get - GET: a file goes to the client, SPEC 10.3.
 */
#include "file/server_internal.h"

#include <assert.h>

static void send_info(struct vly_request *q, const struct vly_source *source)
{
    vly_ctl_send(&q->session->ctl, &(struct vly_msg){.type = VLY_MSG_INFO,
                                                     .request = q->id,
                                                     .size = source->size_bytes,
                                                     .mode = source->mode,
                                                     .mtime_ns = source->mtime_ns});
}

static void wake(void *ctx)
{
    vly_senders_pump(&((struct vly_session *)ctx)->senders);
}

static int open_source(const struct vly_request *q, struct vly_source **out, struct vly_fault *why)
{
    struct vly_session *s = q->session;
    struct stat st;
    int fd, err;

    if ((err = vly_root_open_regular(s->root, q->path, &fd, &st)) != 0)
        return vly_fault_last(why, err);
    if ((err = vly_source_from_file(out, fd, &st, why)) != 0)
        return err;
    vly_source_use_threads(*out, &s->jobs, wake, s);
    return 0;
}

void vly_get_start(struct vly_request *q)
{
    struct vly_source *source = NULL;
    struct vly_fault why;

    q->state = VLY_REQUEST_WAITING;
    if (!vly_session_has_stream(q->session, q->stream))
        return; /* an answer on it would be a stream the client did not open */
    if (open_source(q, &source, &why) != 0) {
        vly_request_fail(q, &why);
        return;
    }
    assert(source != NULL);
    q->state = VLY_REQUEST_CONTENT;
    send_info(q, source);
    vly_request_tell_begin(q, source->size_bytes);
    vly_sender_init(&q->sender, source, q->id, q->stream, q);
    vly_sender_start(&q->session->senders, &q->sender);
}

static void on_progress(void *ctx, uint64_t sent_bytes)
{
    vly_request_tell_progress(ctx, sent_bytes);
}

static void on_sent(void *ctx, const struct vly_fault *why)
{
    struct vly_request *q = ctx;

    if (why != NULL) {
        vly_request_fail(q, why);
        return;
    }
    /* The descriptor is worth more than the request, which waits for the client's disk. */
    vly_sender_fini(&q->sender);
    q->state = VLY_REQUEST_CONFIRM;
}

const struct vly_sender_events vly_get_events = {.on_progress = on_progress, .on_sent = on_sent};
