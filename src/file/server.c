/*
 * server - sessions: from the link's events to requests, and back.
 *
 * Invariant: a request is in the session's list from request_new to vly_request_end; what its
 * callbacks get is never freed before. Cost: finding a stream's request is one compare while one
 * file moves, else linear in VLY_SERVER_REQUESTS_MAX.
 */
#include "file/server_internal.h"

#include "crypto/keytext.h"
#include "file/path.h"
#include "file/stats.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what requests need of the session ---- */

const char *vly_session_client(const struct vly_session *s)
{
    return s->link->ops->peer(s->link);
}

void vly_session_close_if_over(struct vly_session *s)
{
    if (!s->client_done || s->n_requests > 0 || s->closing || s->link == NULL)
        return;
    s->closing = true;
    s->link->ops->close(s->link, 0, "finished");
}

bool vly_session_has_stream(const struct vly_session *s, uint64_t stream)
{
    return stream < s->streams_end;
}

/* ---- messages ---- */

static struct vly_request *find_request(struct vly_session *s, uint64_t id)
{
    for (struct vly_request *q = s->requests; q != NULL; q = q->next)
        if (q->id == id)
            return q;
    return NULL;
}

static struct vly_request *find_stream(struct vly_session *s, uint64_t stream)
{
    if (s->latest != NULL && s->latest->stream == stream)
        return s->latest;
    for (struct vly_request *q = s->requests; q != NULL; q = q->next)
        if (q->stream == stream && stream != VLY_CTL_STREAM)
            return s->latest = q;
    return NULL;
}

/* Ends the connection because the client broke the protocol. */
static int violation(struct vly_session *s, const char *what)
{
    if (!s->closing) {
        s->closing = true;
        s->link->ops->close(s->link, VLY_WIRE_PROTOCOL, what);
    }
    return VLY_E_PROTOCOL;
}

/* Checks what every request has to be like. Returns false when it was answered or the connection is
 * over. */
static bool accept_request(struct vly_session *s, const struct vly_msg *m)
{
    bool has_stream = m->type == VLY_MSG_GET || m->type == VLY_MSG_PUT;

    if (find_request(s, m->request) != NULL)
        return violation(s, "a request number was used twice") == 0;
    if (has_stream &&
        (m->stream % 2 != 0 || m->stream == VLY_CTL_STREAM || find_stream(s, m->stream) != NULL))
        return violation(s, "a request names a stream it cannot have") == 0;
    if (s->n_requests >= VLY_SERVER_REQUESTS_MAX) {
        vly_ctl_send_error(&s->ctl, m->request, VLY_E_LIMIT, "too many requests at once");
        return false;
    }
    return true;
}

/* What would make any request fail, told better than by the system's answer. */
static int check_request(const struct vly_session *s, const struct vly_msg *m,
                         struct vly_fault *why)
{
    bool uploads = m->type == VLY_MSG_PUT || m->type == VLY_MSG_MKDIR;

    if (vly_path_check(m->path) != 0)
        return vly_fault_plain(why, VLY_E_BAD_NAME);
    if (!vly_root_is_alive(s->root))
        return vly_fault_set(why, VLY_E_NOT_FOUND,
                             "the directory that the server was started in is gone");
    if (uploads && !s->srv->writable)
        return vly_fault_set(why, VLY_E_REFUSED,
                             "the server is read-only; it takes uploads when "
                             "it is started with --writable");
    if ((s->rights & (uploads ? VLY_RIGHT_WRITE : VLY_RIGHT_READ)) == 0)
        return vly_fault_set(why, VLY_E_REFUSED, "you may not %s here",
                             uploads ? "upload" : "list or download");
    return 0;
}

static int on_request(struct vly_session *s, const struct vly_msg *m)
{
    struct vly_request *q;
    struct vly_fault why;

    if (!accept_request(s, m))
        return s->closing ? VLY_E_PROTOCOL : 0;
    if ((q = vly_request_new(s, m)) == NULL) {
        vly_ctl_send_error(&s->ctl, m->request, VLY_E_NOMEM, vly_err_text(VLY_E_NOMEM));
        return 0;
    }
    if (check_request(s, m, &why) != 0) {
        vly_request_fail(q, &why);
    } else if (m->type == VLY_MSG_GET) {
        vly_get_start(q);
    } else if (m->type == VLY_MSG_PUT) {
        vly_put_start(q, m);
    } else if (m->type == VLY_MSG_LIST) {
        vly_list_start(q, m->recursive != 0);
    } else {
        vly_mkdir_start(q, m->mode);
    }
    return 0;
}

/* DONE, the client has the file; HASHES and END, of what it uploads. */
static int on_content(struct vly_session *s, struct vly_request *q, const struct vly_msg *m)
{
    if (m->type == VLY_MSG_DONE) {
        if (q->kind != VLY_MSG_GET || q->state != VLY_REQUEST_CONFIRM)
            return violation(s, "DONE is out of place");
        vly_request_end(q, NULL);
        return 0;
    }
    if (q->kind != VLY_MSG_PUT)
        return violation(s, "HASHES or END is out of place");
    if (m->type == VLY_MSG_HASHES)
        vly_receiver_on_hashes(&q->receiver, m);
    else
        vly_receiver_on_end(&q->receiver, m);
    return 0;
}

static int on_start(struct vly_session *s, const struct vly_msg *m)
{
    if (s->started)
        return violation(s, "START is out of place");
    if (m->version != VLY_FILE_VERSION)
        return violation(s, "this server speaks version 1 of the file protocol");
    s->started = true;
    return 0;
}

/* A request of that number may have ended while the message was on its way: then it is ignored. */
static int on_message(void *ctx, const struct vly_msg *m)
{
    struct vly_session *s = ctx;
    struct vly_request *q;

    if (s->closing)
        return VLY_E_PROTOCOL;
    if (!vly_msg_is_from_client(m->type))
        return violation(s, "a message of the server came from the client");
    if (m->type == VLY_MSG_START)
        return on_start(s, m);
    if (!s->started)
        return violation(s, "the first message is not START");
    if (m->type == VLY_MSG_LIST || m->type == VLY_MSG_GET || m->type == VLY_MSG_PUT ||
        m->type == VLY_MSG_MKDIR)
        return on_request(s, m);
    q = find_request(s, m->request);
    if (q == NULL || q->state == VLY_REQUEST_DEAD)
        return 0;
    if (m->type == VLY_MSG_CANCEL || m->type == VLY_MSG_ERROR) {
        vly_request_on_given_up(q, m);
        return 0;
    }
    return on_content(s, q, m);
}

/* ---- the link's events ---- */

static void check_backlog(struct vly_session *s)
{
    if (!s->ctl.overflowed || s->closing)
        return;
    s->closing = true;
    s->link->ops->close(s->link, VLY_WIRE_LIMIT, "answers are not read");
}

static void on_open(void *user)
{
    (void)user; /* a server's links are open when they are given to it */
}

static void on_stream(void *user, uint64_t stream)
{
    struct vly_session *s = user;

    if (s->closing)
        return;
    if (s->streams_end == 0) /* the control stream is there now: the first word on it */
        vly_ctl_send(&s->ctl,
                     &(struct vly_msg){.type = VLY_MSG_START, .version = VLY_FILE_VERSION});
    if (stream >= s->streams_end)
        s->streams_end = stream + 1; /* which opens all lower ones, SPEC 6 */
    for (struct vly_request *q = s->requests, *next; q != NULL; q = next) {
        next = q->next;
        if (!vly_session_has_stream(s, q->stream) || q->kind == VLY_MSG_LIST)
            continue;
        if (q->state == VLY_REQUEST_DEAD) {
            s->link->ops->reset(s->link, q->stream, VLY_WIRE_CANCELLED);
            vly_request_free(q);
        } else if (q->kind == VLY_MSG_GET && q->state == VLY_REQUEST_WAITING) {
            vly_get_start(q); /* which sends, and what fails by it is freed: begin again */
            next = s->requests;
        } else if (q->kind == VLY_MSG_PUT && q->stream == stream) {
            vly_put_on_stream(q);
        }
    }
    vly_session_close_if_over(s);
    check_backlog(s);
}

static void on_control_data(struct vly_session *s, struct vly_span data)
{
    int err = vly_ctl_receive(&s->ctl, data, on_message, s);

    if (err != 0 && !s->closing)
        (void)violation(s, "a message does not decode");
    s->link->ops->consume(s->link, VLY_CTL_STREAM, data.len);
}

static void on_data(void *user, uint64_t stream, uint64_t offset, struct vly_span data)
{
    struct vly_session *s = user;
    struct vly_request *q;

    if (s->closing)
        return;
    if (stream == VLY_CTL_STREAM) {
        on_control_data(s, data);
    } else if ((q = find_stream(s, stream)) == NULL || q->state == VLY_REQUEST_DEAD) {
        s->link->ops->stop(s->link, stream, VLY_WIRE_PROTOCOL);
        s->link->ops->consume(s->link, stream, data.len);
    } else if (q->kind == VLY_MSG_PUT && q->state == VLY_REQUEST_CONTENT) {
        vly_receiver_on_data(&q->receiver, offset, data);
    } else {
        (void)violation(s, "content is out of place");
    }
    check_backlog(s);
}

static void on_end(void *user, uint64_t stream, uint64_t final_bytes)
{
    struct vly_session *s = user;
    struct vly_request *q;

    if (s->closing)
        return;
    if (stream == VLY_CTL_STREAM) {
        s->client_done = true;
        vly_session_close_if_over(s);
        return;
    }
    q = find_stream(s, stream);
    if (q == NULL || q->kind != VLY_MSG_PUT || q->state == VLY_REQUEST_DEAD)
        return; /* the empty direction of a GET */
    if (q->state == VLY_REQUEST_CONTENT)
        vly_receiver_on_stream_end(&q->receiver, final_bytes);
    else
        (void)violation(s, "content is out of place");
}

/* The client gave up a stream; its ERROR says more when it comes first. */
static void on_stream_given_up(struct vly_session *s, uint64_t stream, uint64_t code)
{
    struct vly_request *q = find_stream(s, stream);
    struct vly_fault why;

    if (q == NULL || q->state == VLY_REQUEST_DEAD)
        return;
    vly_fault_set(&why, vly_err_from_wire(code), "the client gave up");
    vly_request_end(q, &why);
}

static void on_reset(void *user, uint64_t stream, uint64_t code)
{
    struct vly_session *s = user;

    if (s->closing)
        return;
    if (stream == VLY_CTL_STREAM) {
        (void)violation(s, "the control stream was reset");
        return;
    }
    s->link->ops->reset(s->link, stream, code); /* nothing more to say on it: let it be over */
    on_stream_given_up(s, stream, code);
}

static void on_stopped(void *user, uint64_t stream, uint64_t code)
{
    struct vly_session *s = user;
    struct vly_request *q;

    if (s->closing)
        return;
    if (stream == VLY_CTL_STREAM)
        (void)violation(s, "the control stream was stopped");
    else if ((q = find_stream(s, stream)) != NULL && q->kind == VLY_MSG_GET)
        on_stream_given_up(s, stream, code);
}

static void on_writable(void *user, uint64_t stream)
{
    struct vly_session *s = user;

    if (s->closing)
        return;
    if (stream == VLY_CTL_STREAM)
        vly_ctl_on_writable(&s->ctl);
    for (struct vly_request *q = s->requests, *next; q != NULL; q = next) {
        next = q->next;
        if (q->kind == VLY_MSG_LIST)
            vly_list_pump(q);
    }
    vly_senders_pump(&s->senders);
    check_backlog(s);
}

/* ---- lifecycle ---- */

static void session_stats(const struct vly_session *s, struct vly_transfer_stats *out)
{
    vly_stats_from_link(out, s->link);
    out->files = s->files;
    out->bytes = s->bytes;
    out->duration_ns = vly_time_since(s->last_done_ns, s->first_request_ns);
}

/* Why the connection ended, in words; false when all is well. */
static bool explain_close(int err, uint64_t code, const char *reason, struct vly_fault *why)
{
    bool by_application = err == 0 || err == VLY_E_CLOSED; /* on this side, or on the other */
    char text[VLY_FAULT_TEXT / 2];

    if (by_application && code == 0)
        return false;
    if (by_application)
        err = vly_err_from_wire(code);
    vly_escape_text(text, sizeof text, vly_span_str(reason));
    vly_fault_set(why, err, "%s", text[0] != '\0' ? text : vly_err_text(err));
    return true;
}

static void end_all_requests(struct vly_session *s, const struct vly_fault *why)
{
    struct vly_fault left;

    vly_fault_set(&left, VLY_E_LOST, "the client left before it was done");
    while (s->requests != NULL)
        vly_request_end(s->requests, why != NULL ? why : &left);
}

static void on_closed(void *user, int err, uint64_t code, const char *reason)
{
    struct vly_session *s = user;
    const struct vly_file_server *srv = s->srv;
    struct vly_transfer_stats stats;
    struct vly_failure failure;
    struct vly_fault why;
    bool failed;

    vly_jobs_hold(&s->jobs);
    s->closing = true;
    failed = explain_close(err, code, reason, &why);
    end_all_requests(s, failed ? &why : NULL);
    session_stats(s, &stats);
    failure = (struct vly_failure){.err = failed ? why.err : 0, .text = why.text};
    if (srv->events != NULL && srv->events->on_disconnect != NULL)
        srv->events->on_disconnect(srv->ctx, vly_session_client(s), &stats,
                                   failed ? &failure : NULL);
    s->link = NULL;
    s->senders.link = NULL;
    s->ctl.link = NULL;
    s->jobs.link = NULL;
    vly_jobs_release(&s->jobs);
}

static const struct vly_link_events session_events = {.on_open = on_open,
                                                      .on_stream = on_stream,
                                                      .on_data = on_data,
                                                      .on_end = on_end,
                                                      .on_reset = on_reset,
                                                      .on_stopped = on_stopped,
                                                      .on_writable = on_writable,
                                                      .on_closed = on_closed};

/* Jobs may be done before the link closes: only after that it is the end. */
static void on_jobs_idle(void *ctx)
{
    struct vly_session *s = ctx;
    struct vly_file_server *srv = s->srv;

    if (s->link != NULL)
        return;
    vly_ctl_fini(&s->ctl);
    free(s);
    if (--srv->sessions == 0 && srv->on_idle != NULL)
        srv->on_idle(srv->idle_ctx);
}

/* Ends the connection of a client that may do nothing here; on_closed tells of it. */
static void turn_away(struct vly_session *s, const uint8_t *key)
{
    char reason[128];

    if (key == NULL)
        (void)snprintf(reason, sizeof reason, "only clients with a known key may come here");
    else
        (void)snprintf(reason, sizeof reason,
                       "this key (%s) is not in the server's authorized_keys",
                       vly_fingerprint(key).s);
    s->closing = true;
    s->link->ops->close(s->link, VLY_WIRE_REFUSED, reason);
}

/* Gives the session its rights and directory, and tells of it. */
static void admit(struct vly_session *s)
{
    const struct vly_file_server *srv = s->srv;
    uint8_t shown[VLY_PUBLIC_KEY_BYTES];
    const uint8_t *key = s->link->ops->peer_key(s->link, shown) ? shown : NULL;
    const struct vly_access_grant *grant = vly_access_find(&srv->access, key);

    s->rights = grant != NULL ? grant->rights : srv->access.others;
    s->root = grant != NULL && grant->root.fd >= 0 ? &grant->root : &srv->root;
    if (srv->events != NULL && srv->events->on_connect != NULL)
        srv->events->on_connect(srv->ctx, vly_session_client(s));
    if (srv->events != NULL && srv->events->on_client_key != NULL)
        srv->events->on_client_key(srv->ctx, vly_session_client(s), key);
    if (s->rights == 0)
        turn_away(s, key);
}

int vly_session_start(struct vly_file_server *srv, struct vly_link *link)
{
    struct vly_session *s = calloc(1, sizeof *s);

    if (s == NULL)
        return VLY_E_NOMEM;
    s->srv = srv;
    s->link = link;
    vly_ctl_init(&s->ctl, link);
    s->jobs = (struct vly_jobs){.link = link, .on_idle = on_jobs_idle, .ctx = s};
    s->senders = (struct vly_senders){.link = link, .ctl = &s->ctl, .events = &vly_get_events};
    link->events = &session_events;
    link->user = s;
    srv->sessions++;
    admit(s);
    return 0;
}

int vly_file_server_init(struct vly_file_server *srv, const char *path, struct vly_fault *why)
{
    int err = vly_root_open(&srv->root, path);

    srv->budget.left_bytes = VLY_SERVER_BUFFER_BYTES;
    srv->sessions = 0;
    return err == 0 ? 0 : vly_fault_last(why, err);
}

void vly_file_server_fini(struct vly_file_server *srv)
{
    assert(srv->sessions == 0);
    vly_root_close(&srv->root);
    vly_access_close(&srv->access);
}
