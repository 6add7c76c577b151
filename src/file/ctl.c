/*
 * ctl - see ctl.h.
 *
 * Invariant: out.data[pos, len) waits for room. `in` is empty, or holds a message's beginning and
 * nothing after it. Cost: messages are copied once on their way out; on their way in only when they
 * come in parts.
 */
#include "file/ctl.h"

#include "file/fault.h"
#include "file/path.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void vly_ctl_init(struct vly_ctl *c, struct vly_link *link)
{
    *c = (struct vly_ctl){.link = link};
}

void vly_ctl_fini(struct vly_ctl *c)
{
    free(c->out.data);
    free(c->in.data);
    *c = (struct vly_ctl){0};
}

/* Hands the link what it has room for. */
static void flush(struct vly_ctl *c)
{
    const struct vly_link_ops *ops = c->link->ops;

    while (c->out.pos < c->out.len) {
        size_t len = c->out.len - c->out.pos;
        uint8_t *ptr;

        if (ops->reserve(c->link, VLY_CTL_STREAM, &ptr, &len) != 0)
            return;
        memcpy(ptr, c->out.data + c->out.pos, len);
        if (ops->commit(c->link, VLY_CTL_STREAM, len, false) != 0)
            return;
        c->out.pos += len;
    }
    c->out.pos = c->out.len = 0;
    if (c->end_wanted && !c->ended)
        c->ended = ops->commit(c->link, VLY_CTL_STREAM, 0, true) == 0;
}

/* Makes room for a message of any size behind what waits. */
static int make_room(struct vly_ctl *c)
{
    uint8_t *grown;
    size_t cap;

    if (c->out.pos > 0) {
        memmove(c->out.data, c->out.data + c->out.pos, c->out.len - c->out.pos);
        c->out.len -= c->out.pos;
        c->out.pos = 0;
    }
    if (c->out.cap - c->out.len >= VLY_MSG_MAX)
        return 0;
    if (c->out.len + VLY_MSG_MAX > VLY_CTL_BACKLOG_MAX)
        return VLY_E_LIMIT;
    cap = (c->out.len + VLY_MSG_MAX) * 2;
    if ((grown = realloc(c->out.data, cap)) == NULL)
        return VLY_E_NOMEM;
    c->out.data = grown;
    c->out.cap = cap;
    return 0;
}

/* Whether something may be sent, and VLY_MSG_MAX bytes of room for it. */
static bool prepare(struct vly_ctl *c)
{
    if (c->link == NULL || c->overflowed || c->end_wanted)
        return false;
    c->overflowed = c->out.cap - c->out.len < VLY_MSG_MAX && make_room(c) != 0;
    return !c->overflowed;
}

void vly_ctl_send(struct vly_ctl *c, const struct vly_msg *m)
{
    size_t len;

    if (!prepare(c))
        return;
    if (vly_msg_encode(m, c->out.data + c->out.len, c->out.cap - c->out.len, &len) != 0) {
        c->overflowed = true;
        return;
    }
    c->out.len += len;
    flush(c);
}

void vly_ctl_send_encoded(struct vly_ctl *c, struct vly_span messages)
{
    assert(messages.len <= VLY_MSG_MAX);
    if (messages.len == 0 || !prepare(c))
        return;
    memcpy(c->out.data + c->out.len, messages.data, messages.len);
    c->out.len += messages.len;
    flush(c);
}

void vly_ctl_send_plain(struct vly_ctl *c, enum vly_msg_type type, uint64_t request)
{
    vly_ctl_send(c, &(struct vly_msg){.type = type, .request = request});
}

void vly_ctl_send_error(struct vly_ctl *c, uint64_t request, int err, const char *text)
{
    struct vly_msg m = {.type = VLY_MSG_ERROR, .request = request};

    m.code = vly_wire_from_err(err);
    m.text = vly_span_str(text);
    if (m.text.len > VLY_MSG_TEXT_MAX)
        m.text.len = VLY_MSG_TEXT_MAX;
    vly_ctl_send(c, &m);
}

bool vly_ctl_has_room(const struct vly_ctl *c)
{
    return c->link != NULL && c->out.len - c->out.pos < VLY_CTL_ROOM_BYTES;
}

void vly_ctl_end(struct vly_ctl *c)
{
    c->end_wanted = true;
    if (c->link != NULL)
        flush(c);
}

void vly_ctl_on_writable(struct vly_ctl *c)
{
    if (c->link != NULL)
        flush(c);
}

/* Hands on the messages at the front of *data; what is left is the beginning of one. */
static int handle_messages(struct vly_span *data, vly_ctl_handler *handle, void *ctx)
{
    while (data->len > 0) {
        struct vly_msg m;
        size_t used;
        int err = vly_msg_decode(&m, *data, &used);

        if (err == VLY_E_AGAIN)
            return 0;
        if (err != 0 || (err = handle(ctx, &m)) != 0)
            return err;
        data->data += used;
        data->len -= used;
    }
    return 0;
}

/* Keeps `data` behind what is kept already. Returns what did not fit. */
static struct vly_span keep(struct vly_ctl *c, struct vly_span data)
{
    size_t room = VLY_MSG_MAX - c->in.len;
    size_t len = data.len < room ? data.len : room;

    memcpy(c->in.data + c->in.len, data.data, len);
    c->in.len += len;
    return (struct vly_span){.data = data.data + len, .len = data.len - len};
}

int vly_ctl_receive(struct vly_ctl *c, struct vly_span data, vly_ctl_handler *handle, void *ctx)
{
    int err;

    if (c->in.len == 0 && (err = handle_messages(&data, handle, ctx)) != 0)
        return err;
    if (data.len > 0 && c->in.data == NULL && (c->in.data = malloc(VLY_MSG_MAX)) == NULL)
        return VLY_E_NOMEM;
    while (data.len > 0) {
        struct vly_span kept;

        data = keep(c, data);
        kept = (struct vly_span){.data = c->in.data, .len = c->in.len};
        if ((err = handle_messages(&kept, handle, ctx)) != 0)
            return err;
        if (kept.len == VLY_MSG_MAX) /* full, and still no message: cannot be */
            return VLY_E_MALFORMED;
        memmove(c->in.data, kept.data, kept.len);
        c->in.len = kept.len;
    }
    return 0;
}
