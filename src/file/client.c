/*
 * client - from the link's events to requests, and to the end of the work.
 *
 * Ladder of a connection's end: when nothing is left to do the client ends the control stream, the
 * server closes, and only then the client is finished: so its last DONE has arrived.
 *
 * Invariant: on_closed is the only place where what callbacks may refer to is freed all at once.
 */
#include "file/client_internal.h"

#include "file/path.h"
#include "file/stats.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- tasks ---- */

void vly_client_queue(struct vly_file_client *c, struct vly_task *t)
{
    t->next = NULL;
    if (c->queue_tail != NULL)
        c->queue_tail->next = t;
    else
        c->queue_head = t;
    c->queue_tail = t;
    c->queued++;
}

static struct vly_task *dequeue(struct vly_file_client *c)
{
    struct vly_task *t = c->queue_head;

    if (t == NULL)
        return NULL;
    c->queue_head = t->next;
    if (c->queue_head == NULL)
        c->queue_tail = NULL;
    c->queued--;
    return t;
}

static void put_back(struct vly_file_client *c, struct vly_task *t)
{
    t->next = c->queue_head;
    c->queue_head = t;
    if (c->queue_tail == NULL)
        c->queue_tail = t;
    c->queued++;
}

/* A tree that is open comes before the next one, and after everything else. */
static struct vly_task *next_task(struct vly_file_client *c)
{
    if (c->tree.task != NULL && (c->queue_head == NULL || c->queue_head->kind == VLY_TASK_TREE)) {
        struct vly_task *t = vly_put_tree_next(c);

        if (t != NULL || c->tree.task != NULL)
            return t;
    }
    return dequeue(c);
}

static int begin(struct vly_file_client *c, struct vly_task *t)
{
    switch (t->kind) {
    case VLY_TASK_GET:
        return vly_get_begin(c, t);
    case VLY_TASK_LIST:
        return vly_list_begin(c, t);
    case VLY_TASK_PUT:
        return vly_put_begin(c, t);
    case VLY_TASK_MKDIR:
        return vly_put_begin_mkdir(c, t);
    case VLY_TASK_TREE:
        vly_put_tree_begin(c, t);
        break;
    }
    return 0;
}

static void drop_queue(struct vly_file_client *c)
{
    struct vly_task *t;

    while ((t = dequeue(c)) != NULL)
        free(t);
    vly_put_tree_close(c);
}

static void begin_tasks(struct vly_file_client *c)
{
    struct vly_fault why;
    struct vly_task *t;

    if (c->stop)
        drop_queue(c);
    while (c->n_asks < VLY_CLIENT_FILES_MAX && (t = next_task(c)) != NULL) {
        int err = begin(c, t);

        if (err == VLY_E_AGAIN) {
            put_back(c, t); /* on_writable says when there are streams again */
            return;
        }
        if (err != 0) {
            vly_fault_plain(&why, err);
            vly_task_fail(c, t, &why);
        }
        if (c->stop)
            drop_queue(c);
    }
}

static bool is_idle(const struct vly_file_client *c)
{
    return c->n_asks == 0 && c->queue_head == NULL && c->tree.task == NULL && c->syncing == 0;
}

void vly_client_step(struct vly_file_client *c)
{
    c->again = true;
    if (c->stepping || !c->open || c->closing || c->ending)
        return;
    c->stepping = true;
    while (c->again && !c->closing) {
        c->again = false;
        begin_tasks(c);
    }
    c->stepping = false;
    if (is_idle(c) && !c->closing) {
        c->ending = true;
        vly_ctl_end(&c->ctl);
    }
}

/* ---- messages ---- */

static void close_link(struct vly_file_client *c, uint64_t code, const char *reason)
{
    if (c->closing || c->link == NULL)
        return;
    c->closing = true;
    c->link->ops->close(c->link, code, reason);
}

void vly_client_violation(struct vly_file_client *c, const char *what)
{
    vly_client_record(c, VLY_E_PROTOCOL, "%s broke the protocol: %s", c->server_name, what);
    close_link(c, VLY_WIRE_PROTOCOL, what);
}

static struct vly_ask *find_ask(struct vly_file_client *c, uint64_t id)
{
    for (struct vly_ask *a = c->asks; a != NULL; a = a->next)
        if (a->id == id)
            return a;
    return NULL;
}

static struct vly_ask *find_stream(struct vly_file_client *c, uint64_t stream)
{
    if (c->latest != NULL && c->latest->stream == stream)
        return c->latest;
    for (struct vly_ask *a = c->asks; a != NULL; a = a->next)
        if (a->has_stream && a->stream == stream)
            return c->latest = a;
    return NULL;
}

/* The server gave up a request. */
static void refuse(struct vly_ask *a, int err, const char *text)
{
    struct vly_file_client *c = a->client;
    bool other = a->task->kind == VLY_TASK_GET   ? vly_get_on_error(a, err)
                 : a->task->kind == VLY_TASK_PUT ? vly_put_on_error(a, err)
                                                 : false;
    struct vly_fault why;

    if (other)
        return;
    vly_fault_set(&why, err, "%s", text[0] != '\0' ? text : vly_err_text(err));
    if (a->has_stream) {
        c->link->ops->reset(c->link, a->stream, vly_wire_from_err(err));
        c->link->ops->stop(c->link, a->stream, vly_wire_from_err(err));
    }
    vly_ask_end(a, &why);
}

static void on_done(struct vly_ask *a)
{
    struct vly_file_client *c = a->client;
    bool is_top = a->task->is_tree_top;

    if (a->task->kind == VLY_TASK_GET ||
        (a->task->kind == VLY_TASK_PUT && a->state != VLY_ASK_CONFIRM)) {
        vly_client_violation(c, "DONE is out of place");
        return;
    }
    vly_ask_succeed(a);
    if (is_top)
        vly_put_tree_on_top(c, true);
}

/* A message about a request; whether it is one that such a request gets. */
static bool on_answer(struct vly_ask *a, const struct vly_msg *m)
{
    enum vly_task_kind kind = a->task->kind;

    if (m->type == VLY_MSG_ERROR) {
        char text[VLY_FAULT_TEXT / 2];

        refuse(a, vly_err_from_wire(m->code), vly_escape_text(text, sizeof text, m->text));
        return true;
    }
    if (m->type == VLY_MSG_DONE) {
        on_done(a);
        return true;
    }
    if (m->type == VLY_MSG_ENTRY && kind == VLY_TASK_LIST)
        vly_list_on_entry(a, m);
    else if (m->type == VLY_MSG_INFO && kind == VLY_TASK_GET)
        vly_get_on_info(a, m);
    else if (m->type == VLY_MSG_READY && kind == VLY_TASK_PUT)
        vly_put_on_ready(a);
    else if (m->type == VLY_MSG_HASHES && kind == VLY_TASK_GET && a->state == VLY_ASK_CONTENT)
        vly_receiver_on_hashes(&a->receiver, m);
    else if (m->type == VLY_MSG_END && kind == VLY_TASK_GET && a->state == VLY_ASK_CONTENT)
        vly_receiver_on_end(&a->receiver, m);
    else
        return false;
    return true;
}

static int on_start(struct vly_file_client *c, const struct vly_msg *m)
{
    if (c->started) {
        vly_client_violation(c, "START is out of place");
    } else if (m->version != VLY_FILE_VERSION) {
        vly_client_record(c, VLY_E_VERSION, "%s speaks version %llu of the file protocol, not 1",
                          c->server_name, (unsigned long long)m->version);
        close_link(c, VLY_WIRE_PROTOCOL, "this client speaks version 1 of the file protocol");
    }
    c->started = true;
    return c->closing ? VLY_E_PROTOCOL : 0;
}

/* A request that ended may still get messages that were on their way: they are ignored. */
static int on_message(void *ctx, const struct vly_msg *m)
{
    struct vly_file_client *c = ctx;
    struct vly_ask *a;

    if (c->closing)
        return VLY_E_PROTOCOL;
    if (m->type == VLY_MSG_START)
        return on_start(c, m);
    a = find_ask(c, m->request);
    if (!c->started)
        vly_client_violation(c, "the first message is not START");
    else if (!vly_msg_is_from_server(m->type))
        vly_client_violation(c, "a message of a client came from the server");
    else if (m->request >= c->next_id)
        vly_client_violation(c, "an answer to no request");
    else if (a != NULL && !on_answer(a, m))
        vly_client_violation(c, "an answer of the wrong kind");
    return c->closing ? VLY_E_PROTOCOL : 0;
}

/* ---- the link's events ---- */

static void check_backlog(struct vly_file_client *c)
{
    if (!c->ctl.overflowed || c->closing)
        return;
    vly_client_record(c, VLY_E_LIMIT, "%s does not read what it is sent", c->server_name);
    close_link(c, VLY_WIRE_LIMIT, "requests are not read");
}

static void after_event(struct vly_file_client *c)
{
    if (c->closing)
        return;
    vly_client_step(c);
    check_backlog(c);
}

static void on_open(void *user)
{
    struct vly_file_client *c = user;
    uint64_t stream;

    if (c->closing)
        return;
    if (c->link->ops->open_stream(c->link, &stream) != 0 || stream != VLY_CTL_STREAM) {
        vly_client_record(c, VLY_E_FAILED, "%s allows no streams", c->server_name);
        close_link(c, VLY_WIRE_PROTOCOL, "no control stream");
        return;
    }
    c->open = true;
    vly_client_tell_key(c, NULL);
    c->begin_ns = c->end_ns = c->spec.now_ns();
    c->link->ops->expect_answer(c->link, true);
    vly_ctl_send(&c->ctl, &(struct vly_msg){.type = VLY_MSG_START, .version = VLY_FILE_VERSION});
    after_event(c);
}

static void on_stream(void *user, uint64_t stream)
{
    (void)stream;
    vly_client_violation(user, "the server opened a stream");
}

static void on_data(void *user, uint64_t stream, uint64_t offset, struct vly_span data)
{
    struct vly_file_client *c = user;
    struct vly_ask *a;

    if (c->closing)
        return;
    if (stream == VLY_CTL_STREAM) {
        if (vly_ctl_receive(&c->ctl, data, on_message, c) != 0)
            vly_client_violation(c, "a message does not decode");
        c->link->ops->consume(c->link, stream, data.len);
    } else if ((a = find_stream(c, stream)) == NULL) {
        c->link->ops->consume(c->link, stream, data.len);
    } else if (a->task->kind == VLY_TASK_GET) {
        vly_receiver_on_data(&a->receiver, offset, data);
    } else {
        vly_client_violation(c, "content on the stream of an upload");
    }
    after_event(c);
}

static void on_end(void *user, uint64_t stream, uint64_t final_bytes)
{
    struct vly_file_client *c = user;
    struct vly_ask *a;

    if (c->closing)
        return;
    if (stream == VLY_CTL_STREAM && c->ending)
        close_link(c, 0, "finished");
    else if (stream == VLY_CTL_STREAM)
        vly_client_violation(c, "the server ended the control stream");
    else if ((a = find_stream(c, stream)) != NULL && a->task->kind == VLY_TASK_GET)
        vly_receiver_on_stream_end(&a->receiver, final_bytes);
    after_event(c);
}

/* The server gave up a stream. Its ERROR follows (SPEC 10.3) and says why; until then nothing more
 * is sent. */
static void on_given_up(void *user, uint64_t stream, uint64_t code)
{
    struct vly_file_client *c = user;
    struct vly_ask *a;

    (void)code;
    if (c->closing)
        return;
    if (stream == VLY_CTL_STREAM)
        vly_client_violation(c, "the server gave up the control stream");
    else if ((a = find_stream(c, stream)) != NULL)
        vly_sender_fini(&a->sender);
    after_event(c);
}

static void on_writable(void *user, uint64_t stream)
{
    struct vly_file_client *c = user;

    if (c->closing)
        return;
    if (stream == VLY_CTL_STREAM)
        vly_ctl_on_writable(&c->ctl);
    vly_senders_pump(&c->senders);
    after_event(c);
}

/* ---- the end ---- */

static void end_all_asks(struct vly_file_client *c)
{
    struct vly_fault why;

    vly_fault_set(&why, c->fault.err, "not finished");
    while (c->asks != NULL)
        vly_ask_end(c->asks, &why);
}

static void on_closed(void *user, int err, uint64_t code, const char *reason)
{
    struct vly_file_client *c = user;

    vly_jobs_hold(&c->jobs);
    c->closing = true;
    if (!c->ending)
        vly_client_record_close(c, err, code, reason);
    drop_queue(c);
    end_all_asks(c);
    vly_stats_from_link(&c->stats, c->link);
    c->stats.files = c->files_done;
    c->stats.bytes = c->verified_bytes;
    c->stats.duration_ns = vly_time_since(c->end_ns, c->begin_ns);
    c->link = NULL;
    c->ctl.link = NULL;
    c->senders.link = NULL;
    c->jobs.link = NULL;
    vly_jobs_release(&c->jobs);
}

static const struct vly_link_events client_events = {.on_open = on_open,
                                                     .on_stream = on_stream,
                                                     .on_data = on_data,
                                                     .on_end = on_end,
                                                     .on_reset = on_given_up,
                                                     .on_stopped = on_given_up,
                                                     .on_writable = on_writable,
                                                     .on_closed = on_closed};

/* Jobs may be done before the link closes: only after that it is the end. */
static void on_jobs_idle(void *ctx)
{
    struct vly_file_client *c = ctx;

    if (c->link != NULL || !c->closing || c->finished)
        return;
    c->finished = true;
    c->spec.on_finished(c->spec.owner);
}

void vly_file_client_attach(struct vly_file_client *c, struct vly_link *link)
{
    c->link = link;
    c->jobs.link = link;
    c->senders.link = link;
    vly_ctl_init(&c->ctl, link);
    link->events = &client_events;
    link->user = c;
}

void vly_file_client_cancel(struct vly_file_client *c)
{
    if (c->finished || c->ending)
        return;
    c->cancelled = true;
    close_link(c, VLY_WIRE_CANCELLED, VLY_GIVEN_UP_REASON);
}

void vly_file_client_result(const struct vly_file_client *c, struct vly_transfer_stats *stats,
                            struct vly_failure *why)
{
    *stats = c->stats;
    *why = (struct vly_failure){.err = c->fault.err, .text = c->fault.text};
}

/* ---- making ---- */

static int prepare(struct vly_file_client *c, const struct vly_client_options *opt,
                   struct vly_fault *why)
{
    if (opt->n_paths == 0 && opt->verb != VLY_LIST)
        return vly_fault_set(why, VLY_E_INVALID, "nothing to transfer");
    switch (opt->verb) {
    case VLY_GET:
        return vly_get_prepare(c, opt, why);
    case VLY_PUT:
        return vly_put_prepare(c, opt, why);
    case VLY_LIST:
        return vly_list_prepare(c, opt, why);
    }
    return vly_fault_plain(why, VLY_E_INVALID);
}

int vly_file_client_new(struct vly_file_client **out, const struct vly_file_client_spec *spec,
                        struct vly_fault *why)
{
    const struct vly_client_options *opt = spec->opt;
    struct vly_file_client *c = calloc(1, sizeof *c);
    int err;

    *out = NULL;
    if (c == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    c->spec = *spec;
    c->spec.opt = NULL;
    c->verb = opt->verb;
    c->events = opt->events;
    c->ctx = opt->ctx;
    c->force = opt->force;
    c->recursive = opt->recursive;
    c->over_tcp = opt->transport.carrier == VLY_CARRIER_TCP;
    c->plain = opt->transport.plain;
    c->shared_key = opt->transport.security != NULL && opt->transport.security->psk != NULL;
    c->timeout_ns = opt->transport.timeout_ns != 0 ? opt->transport.timeout_ns : VLY_S(10);
    c->root.fd = c->tree.root.fd = -1;
    c->budget.left_bytes = VLY_CLIENT_BUFFER_BYTES;
    c->jobs = (struct vly_jobs){.on_idle = on_jobs_idle, .ctx = c};
    c->senders = (struct vly_senders){.ctl = &c->ctl, .events = &vly_put_events};
    c->server_name = strdup(opt->server_name != NULL ? vly_shown(opt->server_name).text : "server");
    if (c->server_name == NULL)
        err = vly_fault_plain(why, VLY_E_NOMEM);
    else
        err = prepare(c, opt, why);
    if (err != 0) {
        vly_file_client_free(c);
        return err;
    }
    *out = c;
    return 0;
}

void vly_file_client_free(struct vly_file_client *c)
{
    if (c == NULL)
        return;
    assert(c->link == NULL && c->jobs.running == 0);
    drop_queue(c);
    vly_ctl_fini(&c->ctl);
    vly_root_close(&c->root);
    free(c->server_name);
    free(c->where);
    free(c->dest_name);
    free(c);
}
