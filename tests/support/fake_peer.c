#include "support/fake_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int on_message(void *ctx, const struct vly_msg *m)
{
    struct fake_peer *p = ctx;
    struct vly_span text = m->path.len > 0 ? m->path : m->text;
    struct peer_msg *kept;

    if (p->n_msgs == PEER_LOG_MAX)
        return 0;
    kept = &p->msgs[p->n_msgs++];
    kept->m = *m;
    snprintf(kept->text, sizeof kept->text, "%.*s", (int)text.len, (const char *)text.data);
    return 0;
}

static void on_open(void *user)
{
    struct fake_peer *p = user;
    uint64_t stream;

    assert_int_equal(p->link->ops->open_stream(p->link, &stream), 0);
    p->open = true;
}

static void on_stream(void *user, uint64_t stream)
{
    struct fake_peer *p = user;

    p->open |= stream == 0;
}

static struct peer_stream *stream_of(struct fake_peer *p, uint64_t stream)
{
    assert_true(stream / 2 < PEER_STREAMS_MAX);
    return &p->streams[stream / 2];
}

static void on_data(void *user, uint64_t stream, uint64_t offset, struct vly_span data)
{
    struct fake_peer *p = user;

    (void)offset;
    if (stream == 0)
        assert_int_equal(vly_ctl_receive(&p->ctl, data, on_message, p), 0);
    stream_of(p, stream)->bytes += data.len;
    if (stream != 0 || p->reads_control)
        p->link->ops->consume(p->link, stream, data.len);
}

static void on_end(void *user, uint64_t stream, uint64_t final_bytes)
{
    struct peer_stream *s = stream_of(user, stream);

    assert_int_equal(s->bytes, final_bytes);
    s->ended = true;
}

static void on_reset(void *user, uint64_t stream, uint64_t code)
{
    stream_of(user, stream)->was_reset = true;
    stream_of(user, stream)->code = code;
}

static void on_stopped(void *user, uint64_t stream, uint64_t code)
{
    stream_of(user, stream)->was_stopped = true;
    stream_of(user, stream)->code = code;
}

static void on_writable(void *user, uint64_t stream)
{
    struct fake_peer *p = user;

    if (stream == 0)
        vly_ctl_on_writable(&p->ctl);
}

static void on_closed(void *user, int err, uint64_t code, const char *reason)
{
    struct fake_peer *p = user;

    p->closed = true;
    p->err = err;
    p->code = code;
    snprintf(p->reason, sizeof p->reason, "%s", reason);
    p->ctl.link = NULL;
}

static const struct vly_link_events events = {.on_open = on_open,
                                              .on_stream = on_stream,
                                              .on_data = on_data,
                                              .on_end = on_end,
                                              .on_reset = on_reset,
                                              .on_stopped = on_stopped,
                                              .on_writable = on_writable,
                                              .on_closed = on_closed};

void peer_begin(struct fake_peer *p, struct fake_pair *pair, enum fake_side side)
{
    memset(p, 0, sizeof *p);
    p->pair = pair;
    p->link = fake_pair_link(pair, side);
    p->reads_control = true;
    p->link->events = &events;
    p->link->user = p;
    vly_ctl_init(&p->ctl, p->link);
}

void peer_wait_open(struct fake_peer *p)
{
    while (!p->open)
        assert_true(fake_step(p->pair));
}

void peer_end(struct fake_peer *p)
{
    vly_ctl_fini(&p->ctl);
}

void peer_send(struct fake_peer *p, const struct vly_msg *m)
{
    vly_ctl_send(&p->ctl, m);
    assert_false(p->ctl.overflowed);
}

void peer_send_hex(struct fake_peer *p, const char *hex)
{
    struct test_bytes bytes = test_hex(hex);

    vly_ctl_send_encoded(&p->ctl, (struct vly_span){.data = bytes.data, .len = bytes.len});
    free(bytes.data);
}

uint64_t peer_open_stream(struct fake_peer *p, bool end)
{
    uint64_t stream;

    assert_int_equal(p->link->ops->open_stream(p->link, &stream), 0);
    if (end)
        assert_int_equal(p->link->ops->commit(p->link, stream, 0, true), 0);
    return stream;
}

void peer_content(struct fake_peer *p, uint64_t stream, const void *data, size_t len, bool fin)
{
    for (size_t done = 0; done < len;) {
        size_t n = len - done;
        uint8_t *ptr;

        if (p->link->ops->reserve(p->link, stream, &ptr, &n) != 0) {
            if (!fake_step(p->pair) || p->closed)
                return; /* the other side takes no more */
            continue;
        }
        memcpy(ptr, (const uint8_t *)data + done, n);
        done += n;
        assert_int_equal(p->link->ops->commit(p->link, stream, n, fin && done == len), 0);
    }
    if (len == 0 && fin)
        assert_int_equal(p->link->ops->commit(p->link, stream, 0, true), 0);
}

const struct peer_msg *peer_find(const struct fake_peer *p, enum vly_msg_type type,
                                 uint64_t request)
{
    for (size_t i = 0; i < p->n_msgs; i++)
        if ((type == 0 || p->msgs[i].m.type == type) && p->msgs[i].m.type != VLY_MSG_START &&
            p->msgs[i].m.request == request)
            return &p->msgs[i];
    return NULL;
}

void peer_assert_error(const struct fake_peer *p, uint64_t request, unsigned code)
{
    const struct peer_msg *e = peer_find(p, VLY_MSG_ERROR, request);

    assert_non_null(e);
    assert_int_equal(e->m.code, code);
    assert_true(strlen(e->text) > 3);
}
