/*
 * server_request - the life of a request: made, told of, failed, given up, ended.
 *
 * Invariant: a request is in its session's list until it is freed; its stream is left so that both
 * directions come to an end.
 */
#include "file/server_internal.h"

#include "file/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- events to the user ---- */

void vly_request_tell_begin(struct vly_request *q, uint64_t size_bytes)
{
    const struct vly_file_server *srv = q->session->srv;

    q->told = true;
    q->size_bytes = size_bytes;
    if (srv->events != NULL && srv->events->on_file_begin != NULL)
        srv->events->on_file_begin(srv->ctx, vly_session_client(q->session), q->kind == VLY_MSG_PUT,
                                   q->path, size_bytes);
}

void vly_request_tell_progress(struct vly_request *q, uint64_t done_bytes)
{
    const struct vly_file_server *srv = q->session->srv;
    struct vly_file_progress p = {.path = q->path,
                                  .file_bytes = q->size_bytes,
                                  .file_done_bytes = done_bytes,
                                  .total_bytes = q->size_bytes,
                                  .total_done_bytes = done_bytes,
                                  .files = 1};

    if (srv->events == NULL || srv->events->on_file_progress == NULL)
        return;
    if (done_bytes == q->size_bytes || vly_pace_is_due(&q->pace, done_bytes, srv->now_ns))
        srv->events->on_file_progress(srv->ctx, vly_session_client(q->session),
                                      q->kind == VLY_MSG_PUT, &p);
}

/* "PATH: reason"; the client is told beside it. */
static void explain(const struct vly_request *q, const struct vly_fault *why, char *text,
                    size_t cap)
{
    snprintf(text, cap, "%s: %s", vly_shown(q->path).text, why->text);
}

static void tell_end(const struct vly_request *q, const struct vly_fault *why)
{
    const struct vly_file_server *srv = q->session->srv;
    char text[VLY_FAULT_TEXT + 512];
    struct vly_failure failure = {.text = text};

    if (srv->events == NULL || srv->events->on_file_end == NULL)
        return;
    if (why != NULL) {
        failure.err = why->err;
        explain(q, why, text, sizeof text);
    }
    srv->events->on_file_end(srv->ctx, vly_session_client(q->session), q->kind == VLY_MSG_PUT,
                             q->path, q->size_bytes, why != NULL ? &failure : NULL);
}

/* ---- life ---- */

struct vly_request *vly_request_new(struct vly_session *s, const struct vly_msg *m)
{
    struct vly_request *q = calloc(1, sizeof *q);

    if (q == NULL || (q->path = malloc(m->path.len + 1)) == NULL) {
        free(q);
        return NULL;
    }
    memcpy(q->path, m->path.data, m->path.len);
    q->path[m->path.len] = '\0';
    q->session = s;
    q->kind = m->type;
    q->id = m->request;
    q->stream = m->stream;
    q->next = s->requests;
    s->requests = q;
    s->n_requests++;
    s->link->ops->expect_answer(s->link,
                                true); /* a client that dies is missed, also while it sends */
    if (s->first_request_ns == 0)
        s->first_request_ns = s->srv->now_ns();
    return q;
}

/* Frees what the request holds, all of it half-built or not. */
static void release(struct vly_request *q)
{
    vly_sender_fini(&q->sender);
    vly_receiver_fini(&q->receiver);
    vly_lister_close(q->lister);
    vly_dirsync_forget(q->dirsync);
    q->lister = NULL;
    q->dirsync = NULL;
}

void vly_request_free(struct vly_request *q)
{
    struct vly_session *s = q->session;
    struct vly_request **link = &s->requests;

    while (*link != q)
        link = &(*link)->next;
    *link = q->next;
    if (s->latest == q)
        s->latest = NULL;
    if (--s->n_requests == 0 && s->link != NULL)
        s->link->ops->expect_answer(s->link, false);
    release(q);
    free(q->path);
    free(q);
}

void vly_request_end(struct vly_request *q, const struct vly_fault *why)
{
    struct vly_session *s = q->session;

    if (q->told) {
        if (why == NULL) {
            s->files++;
            s->bytes += q->size_bytes;
        }
        s->last_done_ns = s->srv->now_ns();
        tell_end(q, why);
    }
    vly_request_free(q);
    vly_session_close_if_over(s);
}

/* Gives up the stream of a request, as far as it exists. Returns false when the client has yet to
 * open it. */
static bool give_up_stream(const struct vly_request *q, int err)
{
    struct vly_link *link = q->session->link;
    uint64_t code = vly_wire_from_err(err);

    if (q->kind ==
        VLY_MSG_PUT) { /* if it is not open, nobody will open it: its client waits for READY */
        if (vly_session_has_stream(q->session, q->stream)) {
            link->ops->stop(link, q->stream, code);
            link->ops->reset(link, q->stream, code);
        }
        return true;
    }
    if (q->kind != VLY_MSG_GET)
        return true;
    if (!vly_session_has_stream(q->session, q->stream))
        return false;
    link->ops->reset(link, q->stream, code);
    return true;
}

void vly_request_fail(struct vly_request *q, const struct vly_fault *why)
{
    struct vly_session *s = q->session;

    if (s->link == NULL) {
        vly_request_end(q, why);
        return;
    }
    vly_ctl_send_error(&s->ctl, q->id, why->err, why->text);
    if (give_up_stream(q, why->err)) {
        vly_request_end(q, why);
        return;
    }
    release(q);
    q->state = VLY_REQUEST_DEAD;
}

/* ERROR or CANCEL: the client gave up. */
void vly_request_on_given_up(struct vly_request *q, const struct vly_msg *m)
{
    char text[VLY_FAULT_TEXT / 2];
    struct vly_fault why;

    if (m->type == VLY_MSG_CANCEL) {
        vly_fault_set(&why, VLY_E_CANCELLED, "the client gave up");
        vly_request_fail(q, &why);
        return;
    }
    vly_fault_set(&why, vly_err_from_wire(m->code), "the client says: %s",
                  vly_escape_text(text, sizeof text, m->text));
    if (give_up_stream(q, why.err)) {
        vly_request_end(q, &why);
        return;
    }
    release(q);
    q->state = VLY_REQUEST_DEAD;
}
