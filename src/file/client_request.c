/*
 * client_request - the life of a client's request: made, told of, done, failed.
 *
 * Invariant: an ask is in its client's list until it is freed; each task of a file is told once, by
 * on_file_done.
 */
#include "file/client_internal.h"

#include "file/path.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vly_task *vly_task_new(enum vly_task_kind kind, const char *remote, const char *local)
{
    size_t remote_len = strlen(remote) + 1, local_len = strlen(local) + 1;
    struct vly_task *t = malloc(sizeof *t + remote_len + local_len);

    if (t == NULL)
        return NULL;
    *t = (struct vly_task){.kind = kind, .mode = 0777};
    memcpy(t->remote, remote, remote_len);
    memcpy(t->remote + remote_len, local, local_len);
    t->local = t->remote + remote_len;
    return t;
}

int vly_ask_new(struct vly_ask **out, struct vly_file_client *c, struct vly_task *t,
                bool with_stream)
{
    struct vly_ask *a = calloc(1, sizeof *a);
    int err;

    *out = NULL;
    if (a == NULL)
        return VLY_E_NOMEM;
    if (with_stream && (err = c->link->ops->open_stream(c->link, &a->stream)) != 0) {
        free(a);
        return err == VLY_E_NOMEM ? err : VLY_E_AGAIN;
    }
    a->client = c;
    a->task = t;
    a->has_stream = with_stream;
    a->id = c->next_id++;
    a->next = c->asks;
    c->asks = a;
    c->n_asks++;
    *out = a;
    return 0;
}

void vly_ask_free(struct vly_ask *a)
{
    struct vly_file_client *c = a->client;
    struct vly_ask **link = &c->asks;

    while (*link != a)
        link = &(*link)->next;
    *link = a->next;
    if (c->latest == a)
        c->latest = NULL;
    c->n_asks--;
    vly_sender_fini(&a->sender);
    vly_receiver_fini(&a->receiver);
    free(a->task);
    free(a);
}

void vly_client_notice(struct vly_file_client *c, const char *fmt, ...)
{
    char text[VLY_FAULT_TEXT];
    va_list args;

    if (c->events->on_notice == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    c->events->on_notice(c->ctx, text);
}

void vly_client_record(struct vly_file_client *c, int err, const char *fmt, ...)
{
    va_list args;

    if (c->fault.err != 0)
        return;
    c->fault.err = err;
    va_start(args, fmt);
    vsnprintf(c->fault.text, sizeof c->fault.text, fmt, args);
    va_end(args);
}

/* The name a file goes by for the user: the one of its source. */
static const char *source_name(const struct vly_task *t)
{
    return t->kind == VLY_TASK_PUT || t->kind == VLY_TASK_TREE ? t->local : t->remote;
}

void vly_client_tell_progress(struct vly_file_client *c, const struct vly_ask *a, bool now)
{
    const struct vly_task *t = a->task;
    struct vly_file_progress p = {.path = source_name(t),
                                  .file_bytes = t->counted ? t->size_bytes : UINT64_MAX,
                                  .file_done_bytes = a->done_bytes,
                                  .total_bytes = t->counted ? c->total_bytes : UINT64_MAX,
                                  .total_done_bytes = c->done_bytes,
                                  .files = c->files,
                                  .files_done = c->files_done};

    if (c->events->on_progress == NULL)
        return;
    if (vly_pace_is_due(&c->pace, c->done_bytes, c->spec.now_ns) || now)
        c->events->on_progress(c->ctx, &p);
}

static bool is_file(const struct vly_task *t)
{
    return t->kind == VLY_TASK_GET || t->kind == VLY_TASK_PUT;
}

void vly_ask_count(struct vly_ask *a, uint64_t size_bytes)
{
    struct vly_file_client *c = a->client;
    struct vly_task *t = a->task;

    if (size_bytes == VLY_SIZE_UNKNOWN)
        return;
    if (t->counted)
        c->total_bytes -= t->size_bytes;
    t->counted = true;
    t->size_bytes = size_bytes;
    c->total_bytes += size_bytes;
}

void vly_ask_tell_progress(struct vly_ask *a, uint64_t done_bytes)
{
    struct vly_file_client *c = a->client;

    c->done_bytes += done_bytes - a->done_bytes;
    a->done_bytes = done_bytes;
    vly_client_tell_progress(c, a, false);
}

void vly_ask_succeed(struct vly_ask *a)
{
    struct vly_file_client *c = a->client;

    c->end_ns = c->spec.now_ns();
    if (is_file(a->task)) {
        c->files_done++;
        c->verified_bytes += a->done_bytes;
        vly_client_tell_progress(c, a, c->files_done == c->files);
        if (c->events->on_file_done != NULL)
            c->events->on_file_done(c->ctx, source_name(a->task), a->done_bytes, NULL);
    }
    vly_ask_free(a);
}

/* What the user can do about it; "" when the reason says it all. */
static const char *hint(const struct vly_file_client *c, const struct vly_task *t, int err)
{
    switch (err) {
    case VLY_E_NOT_FOUND:
        return t->kind == VLY_TASK_GET || t->kind == VLY_TASK_LIST
                   ? "; 'volley ls' shows what there is"
                   : "";
    case VLY_E_EXISTS:
        return "; --force replaces it";
    case VLY_E_INTEGRITY:
        return c->root.fd < 0 && c->verb == VLY_GET ? "; do not use what was written"
                                                    : "; nothing was kept, try again";
    case VLY_E_SOURCE_CHANGED:
        return "; nothing was kept, try again when nobody writes to it";
    case VLY_E_NO_SPACE:
        return c->verb == VLY_GET ? "; free some space here" : "; free some space on the server";
    case VLY_E_BAD_NAME:
        return "; names are up to 255 bytes, without '..' and control characters";
    default:
        return "";
    }
}

static const char *verb_text(enum vly_task_kind kind)
{
    switch (kind) {
    case VLY_TASK_GET:
        return "get";
    case VLY_TASK_LIST:
        return "list";
    case VLY_TASK_PUT:
    case VLY_TASK_TREE:
        return "put";
    case VLY_TASK_MKDIR:
        return "make the directory";
    }
    return "do";
}

static void record(struct vly_file_client *c, const struct vly_task *t, const struct vly_fault *why,
                   char text[VLY_FAULT_TEXT])
{
    const char *name = source_name(t);
    bool sends = t->kind == VLY_TASK_PUT || t->kind == VLY_TASK_TREE;
    struct vly_fault f;

    vly_fault_set(&f, why->err, "cannot %s '%s' %s %s%s%s: %s%s", verb_text(t->kind),
                  name[0] != '\0' ? vly_shown(name).text : "/",
                  sends                     ? "to"
                  : t->kind == VLY_TASK_GET ? "from"
                                            : "on",
                  c->server_name, sends && t->remote[0] != '\0' ? "/" : "",
                  sends ? vly_shown(t->remote).text : "", why->text, hint(c, t, why->err));
    memcpy(text, f.text, sizeof f.text);
    vly_client_record(c, why->err, "%s", f.text);
}

static void tell_failure(struct vly_file_client *c, const struct vly_task *t, uint64_t done_bytes,
                         const struct vly_fault *why)
{
    char text[VLY_FAULT_TEXT];
    struct vly_failure failure = {.err = why->err, .text = text};

    c->end_ns = c->spec.now_ns();
    record(c, t, why, text);
    /* Where all the others would fail likewise, they are not tried. */
    if (why->err == VLY_E_NO_SPACE || (why->err == VLY_E_REFUSED && c->verb == VLY_PUT))
        c->stop = true;
    if (!is_file(t))
        return;
    c->files_failed++;
    if (t->counted)
        c->total_bytes -= t->size_bytes;
    if (c->events->on_file_done != NULL)
        c->events->on_file_done(c->ctx, source_name(t), done_bytes, &failure);
}

void vly_task_fail(struct vly_file_client *c, struct vly_task *t, const struct vly_fault *why)
{
    tell_failure(c, t, 0, why);
    free(t);
}

void vly_ask_end(struct vly_ask *a, const struct vly_fault *why)
{
    struct vly_file_client *c = a->client;

    c->done_bytes -= a->done_bytes;
    tell_failure(c, a->task, a->done_bytes, why);
    if (a->task->is_tree_top)
        vly_put_tree_on_top(c, false);
    vly_ask_free(a);
}

void vly_ask_fail(struct vly_ask *a, const struct vly_fault *why)
{
    struct vly_file_client *c = a->client;
    uint64_t code = vly_wire_from_err(why->err);

    if (c->link != NULL) {
        vly_ctl_send_error(&c->ctl, a->id, why->err, why->text);
        if (a->has_stream) {
            c->link->ops->reset(c->link, a->stream, code);
            c->link->ops->stop(c->link, a->stream, code);
        }
    }
    vly_ask_end(a, why);
}
