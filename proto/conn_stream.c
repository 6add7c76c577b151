/*
 * conn_stream - the streams of a connection, and what the application does with them: it opens,
 * writes, consumes and gives up.
 *
 * A call of the application changes state and puts the connection on the endpoint's ready list;
 * what is to be sent is found by conn_send.c.
 */
#include "conn_internal.h"
#include "num.h"

#include <string.h>

static int stream_make(struct vly_conn *c, uint64_t id, uint64_t now_ns, struct vly_stream **out)
{
    const struct vly_conn_config *cfg = &c->sh->config;
    int err = vly_streams_add(&c->streams, id, cfg->first_offset, out);

    if (err != 0)
        return err;
    (*out)->send_credit.limit_bytes = c->peer_params.max_stream_data_bytes;
    vly_flow_recv_init(&(*out)->recv_credit, cfg->window_bytes, cfg->window_max_bytes, now_ns);
    return 0;
}

int vly_conn_stream_for_frame(struct vly_conn *c, uint64_t id, uint64_t now_ns,
                              struct vly_stream **out, uint64_t *code)
{
    enum vly_role owner = (id & 1) == 0 ? VLY_CLIENT : VLY_SERVER;

    *out = vly_streams_find(&c->streams, id);
    if (*out != NULL || id < c->next_id[owner])
        return 0;
    if (owner == c->role) {
        *code = VLY_CLOSE_STREAM_STATE;
        return VLY_E_PROTOCOL;
    }
    if (id / 2 >= c->our_max_streams) {
        *code = VLY_CLOSE_STREAM_LIMIT;
        return VLY_E_PROTOCOL;
    }
    while (c->next_id[owner] <= id) { /* SPEC 6: opens all lower ones; bounded by our_max_streams */
        int err = stream_make(c, c->next_id[owner], now_ns, out);

        if (err == 0)
            err = vly_conn_event(c, VLY_EV_STREAM_OPENED, c->next_id[owner], 0);
        if (err != 0)
            return err;
        c->next_id[owner] += 2;
    }
    return 0;
}

void vly_conn_sweep_stream(struct vly_conn *c, struct vly_stream *s)
{
    enum vly_role owner = (s->id & 1) == 0 ? VLY_CLIENT : VLY_SERVER;
    const struct vly_conn_config *cfg = &c->sh->config;

    if (!vly_stream_is_over(s) || s->buffered)
        return;
    if (s->wants_room)
        c->rooms_wanted--;
    vly_streams_unqueue(&c->streams, s);
    vly_streams_remove(&c->streams, s);
    if (owner == c->role)
        return;
    c->peer_streams_over++;
    if (c->peer_streams_over + cfg->max_streams - c->our_max_streams >=
        (cfg->max_streams + 3) / 4) {
        c->our_max_streams = c->peer_streams_over + cfg->max_streams;
        c->need_max_streams = true;
    }
}

/* RULE 33: memory goes with the credit, or a peer could have both. What events point to stays until
 * the next verb. */
void vly_conn_drop_received(struct vly_conn *c, struct vly_stream *s, uint64_t now_ns)
{
    uint64_t bytes = s->recv_credit.highest_bytes - s->handed_bytes;

    if (!s->buffered)
        vly_recvbuf_drop(&s->recv);
    s->handed_bytes += bytes;
    if (bytes > 0 && vly_flow_recv_consume(&c->recv_credit, bytes, now_ns, c->rtt.min_ns))
        c->need_max_data = true;
}

void vly_conn_release_buffers(struct vly_conn *c)
{
    while (c->buffered != NULL) {
        struct vly_stream *s = c->buffered;

        c->buffered = s->buffered_next;
        s->buffered_next = NULL;
        s->buffered = false;
        if (s->recv_state == VLY_RECV_OPEN)
            vly_recvbuf_release(&s->recv);
        else
            vly_recvbuf_drop(&s->recv);
        vly_conn_sweep_stream(c, s);
    }
}

/* ---- opening ---- */

int vly_conn_open_stream(struct vly_conn *c, uint64_t *id)
{
    struct vly_stream *s;
    int err;

    if (c->state != VLY_STATE_OPEN)
        return VLY_E_STATE;
    if (c->next_id[c->role] / 2 >= c->peer_max_streams)
        return VLY_E_AGAIN;
    err = stream_make(c, c->next_id[c->role], c->last_received_ns, &s);
    if (err != 0)
        return err;
    *id = s->id;
    c->next_id[c->role] += 2;
    return 0;
}

int vly_conn_set_order(struct vly_conn *c, uint64_t id, enum vly_order order)
{
    struct vly_stream *s = vly_streams_find(&c->streams, id);

    return s == NULL ? VLY_E_STATE : vly_recvbuf_set_order(&s->recv, order);
}

/* ---- sending ---- */

/* What the application may hand over: so much ahead of what was sent that its pauses do not show,
 * and no more, for what waits is cold when it goes out. What was sent stays until it is
 * acknowledged, within the buffers' cap. RULE 39 */
static size_t stream_room(const struct vly_conn *c, const struct vly_stream *s)
{
    uint64_t max = c->sh->config.send_buffer_max_bytes;
    uint64_t held = vly_sendbuf_held_bytes(&s->send);
    uint64_t room = c->unsent_bytes < VLY_UNSENT_MAX ? VLY_UNSENT_MAX - c->unsent_bytes : 0;

    if (room > max - vly_min_u64(max, c->send_held_bytes))
        room = max - vly_min_u64(max, c->send_held_bytes);
    if (room < VLY_STREAM_ROOM_MIN && held < VLY_STREAM_ROOM_MIN)
        room = VLY_STREAM_ROOM_MIN - held;
    return (size_t)room;
}

/* Room worth an event: not for a few bytes at a time. */
static bool room_is_useful(const struct vly_conn *c, const struct vly_stream *s)
{
    size_t room = stream_room(c, s);

    return room >= VLY_SENDBUF_BLOCK || (room > 0 && vly_sendbuf_held_bytes(&s->send) == 0);
}

int vly_conn_offer_room(struct vly_conn *c)
{
    for (size_t i = 0; c->rooms_wanted > 0 && i < c->streams.cap; i++) {
        struct vly_stream *s = vly_streams_slot(&c->streams, i);

        if (s == NULL || !s->wants_room || !room_is_useful(c, s))
            continue;
        if (vly_conn_event(c, VLY_EV_WRITABLE, s->id, 0) != 0)
            return VLY_E_NOMEM;
        s->wants_room = false;
        c->rooms_wanted--;
    }
    return 0;
}

static struct vly_stream *writable_stream(const struct vly_conn *c, uint64_t id)
{
    struct vly_stream *s;

    if (c->state != VLY_STATE_OPEN)
        return NULL;
    s = vly_streams_find(&c->streams, id);
    return s == NULL || s->send_state != VLY_SEND_OPEN || s->send.fin ? NULL : s;
}

size_t vly_conn_write_room(const struct vly_conn *c, uint64_t id)
{
    const struct vly_stream *s = writable_stream(c, id);

    return s == NULL ? 0 : stream_room(c, s);
}

static int wait_for_room(struct vly_conn *c, struct vly_stream *s)
{
    c->rooms_wanted += s->wants_room ? 0 : 1;
    s->wants_room = true;
    return VLY_E_AGAIN;
}

/* The stream holds `len` bytes more that are to go out. */
static void handed_over(struct vly_conn *c, struct vly_stream *s, size_t len)
{
    c->send_held_bytes += len;
    c->unsent_bytes += len;
    vly_streams_push(&c->streams, s);
    vly_ready_push(c->sh, c);
}

int vly_conn_reserve(struct vly_conn *c, uint64_t id, uint8_t **ptr, size_t *len)
{
    struct vly_stream *s = writable_stream(c, id);
    size_t room;

    if (s == NULL)
        return VLY_E_STATE;
    room = stream_room(c, s);
    if (room == 0)
        return wait_for_room(c, s);
    if (*len > room)
        *len = room;
    return vly_sendbuf_reserve(&s->send, ptr, len);
}

int vly_conn_commit(struct vly_conn *c, uint64_t id, size_t len, bool fin)
{
    struct vly_stream *s = writable_stream(c, id);
    int err;

    if (s == NULL)
        return VLY_E_STATE;
    err = vly_sendbuf_commit(&s->send, len, fin);
    if (err == 0)
        handed_over(c, s, len);
    return err;
}

int vly_conn_lend(struct vly_conn *c, uint64_t id, const uint8_t *data, size_t *len, bool fin)
{
    struct vly_stream *s = writable_stream(c, id);
    size_t wanted = *len, room;
    int err;

    *len = 0;
    if (s == NULL)
        return VLY_E_STATE;
    room = stream_room(c, s);
    if (room == 0 && wanted > 0)
        return wait_for_room(c, s);
    if (room < wanted)
        fin = false;
    else
        room = wanted;
    err = vly_sendbuf_lend(&s->send, (struct vly_span){data, room}, fin);
    if (err != 0)
        return err;
    *len = room;
    handed_over(c, s, room);
    return 0;
}

uint64_t vly_conn_released(const struct vly_conn *c, uint64_t id)
{
    const struct vly_stream *s = vly_streams_find(&c->streams, id);

    if (s == NULL || s->send_state != VLY_SEND_OPEN)
        return UINT64_MAX;
    return s->send.base - c->sh->config.first_offset;
}

int vly_conn_write(struct vly_conn *c, uint64_t id, struct vly_span data, bool fin, size_t *written)
{
    *written = 0;
    do {
        size_t len = data.len - *written;
        uint8_t *ptr = NULL;
        int err = 0;

        if (len > 0) {
            err = vly_conn_reserve(c, id, &ptr, &len);
            if (err == VLY_E_AGAIN)
                return 0;
            if (err != 0)
                return err;
            memcpy(ptr, data.data + *written, len);
        }
        err = vly_conn_commit(c, id, len, fin && *written + len == data.len);
        if (err != 0)
            return err;
        *written += len;
    } while (*written < data.len);
    return 0;
}

/* ---- receiving, and giving up ---- */

void vly_conn_consume(struct vly_conn *c, uint64_t id, uint64_t bytes, uint64_t now_ns)
{
    struct vly_stream *s = vly_streams_find(&c->streams, id);

    if (c->state != VLY_STATE_OPEN)
        return;
    if (vly_flow_recv_consume(&c->recv_credit, bytes, now_ns, c->rtt.min_ns)) {
        c->need_max_data = true;
        vly_ready_push(c->sh, c);
    }
    if (s == NULL || s->recv_state != VLY_RECV_OPEN)
        return;
    if (vly_flow_recv_consume(&s->recv_credit, bytes, now_ns, c->rtt.min_ns) &&
        s->recv.final_bytes == UINT64_MAX) {
        s->need_max = true;
        vly_streams_push(&c->streams, s);
        vly_ready_push(c->sh, c);
    }
}

void vly_conn_reset_stream(struct vly_conn *c, uint64_t id, uint64_t code)
{
    struct vly_stream *s = vly_streams_find(&c->streams, id);

    if (c->state != VLY_STATE_OPEN || s == NULL || s->send_state != VLY_SEND_OPEN)
        return;
    s->send_state = VLY_SEND_RESET;
    s->reset_code = code;
    s->need_reset = true;
    c->send_held_bytes -= vly_sendbuf_held_bytes(&s->send);
    c->unsent_bytes -= s->send.end - s->send.sent_end;
    vly_sendbuf_drop(&s->send);
    vly_streams_push(&c->streams, s);
    vly_ready_push(c->sh, c);
}

void vly_conn_stop_stream(struct vly_conn *c, uint64_t id, uint64_t code)
{
    struct vly_stream *s = vly_streams_find(&c->streams, id);

    if (c->state != VLY_STATE_OPEN || s == NULL || s->recv_state != VLY_RECV_OPEN)
        return;
    s->recv_state = VLY_RECV_STOPPED;
    s->stop_code = code;
    s->need_stop = true;
    vly_conn_drop_received(c, s, c->last_received_ns);
    vly_ready_push(c->sh, c);
    if (s->recv.final_bytes == UINT64_MAX) {
        vly_streams_push(&c->streams, s);
        return;
    }
    /* All that is missing is on its way or will be sent again: the peer, once everything of it is
     * acknowledged, would not answer. */
    s->recv_state = VLY_RECV_DONE;
    s->need_stop = false;
    vly_conn_sweep_stream(c, s);
}
