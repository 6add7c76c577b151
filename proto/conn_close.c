/*
 * conn_close - the end of a connection. SPEC 7.
 *
 * Ending needs no memory: the CLOSE of a failed connection goes into a fixed reply slot, and CLOSED
 * is told from an intrusive list, so that running out of memory can be reported too (RULE 40).
 */
#include "conn_internal.h"

#include <string.h>

static void closed_push(struct vly_shared *sh, struct vly_conn *c)
{
    c->closed_next = NULL;
    if (sh->closed_tail != NULL)
        sh->closed_tail->closed_next = c;
    else
        sh->closed_head = c;
    sh->closed_tail = c;
}

void vly_conn_end(struct vly_conn *c, int err, uint64_t now_ns)
{
    if (c->state == VLY_STATE_CLOSED)
        return;
    c->end.err = err;
    vly_conn_set_state(c, VLY_STATE_CLOSED, now_ns);
    c->close_pending = c->accept_pending = false;
    closed_push(c->sh, c);
    vly_ready_push(c->sh, c); /* so that the endpoint takes its deadline off */
}

void vly_conn_write_close(struct vly_conn *c, struct vly_wr *w)
{
    enum vly_frame_type type = c->end.by_app ? VLY_FRAME_CLOSE_APP : VLY_FRAME_CLOSE;
    struct vly_span reason = {(const uint8_t *)c->end.reason, strlen(c->end.reason)};

    vly_frame_close_encode(w, type, c->end.code, reason);
    c->stats.frames_sent[type]++;
}

int vly_close_code_error(uint64_t code)
{
    switch (code) {
    case VLY_CLOSE_NO_ERROR:
        return VLY_E_CLOSED;
    case VLY_CLOSE_TIMEOUT:
        return VLY_E_LOST;
    case VLY_CLOSE_SUITE:
        return VLY_E_SUITE;
    case VLY_CLOSE_BUSY:
        return VLY_E_BUSY;
    case VLY_CLOSE_METHOD:
    case VLY_CLOSE_AUTH:
        return VLY_E_AUTH;
    case VLY_CLOSE_APPLICATION:
    case VLY_CLOSE_ACCESS:
        return VLY_E_REFUSED;
    default:
        return VLY_E_PROTOCOL;
    }
}

/* One CLOSE without the send path, into a reply slot. When none is free the peer finds out by its
 * timers. */
static void close_reply(struct vly_conn *c, uint64_t now_ns)
{
    struct vly_reply *reply = vly_replies_free_slot(&c->sh->replies);
    struct vly_wr w;
    struct vly_data_header header = {.cid = c->peer_cid, .pn = c->log.next};

    if (reply == NULL || vly_sentlog_reserve(&c->log, 0) != 0)
        return;
    if (vly_conn_begin_packet(c, &header) != 0)
        return;
    (void)vly_sentlog_append(&c->log, VLY_SENT_UNCOUNTED, now_ns, 0);
    w = vly_wr_init(reply->data, sizeof(reply->data) - VLY_TAG_BYTES);
    vly_data_header_encode(&w, &header);
    vly_conn_write_close(c, &w);
    vly_conn_seal_later(c, header.pn, &w, (struct vly_span){0}, reply->data);
    vly_conn_seal(c);
    reply->to = c->peer;
    reply->len = vly_wr_len(&w);
    c->sh->replies.n++;
}

/* Keeps what fits, whole UTF-8 characters; a NUL inside must not end the string early. */
static void reason_set(struct vly_conn *c, const void *reason, size_t len)
{
    if (len > VLY_REASON_MAX) {
        len = VLY_REASON_MAX;
        while (len > 0 && (((const uint8_t *)reason)[len] & 0xc0) == 0x80)
            len--;
    }
    if (len > 0)
        memcpy(c->end.reason, reason, len);
    for (size_t i = 0; i < len; i++) {
        if (c->end.reason[i] == '\0')
            c->end.reason[i] = '?';
    }
    c->end.reason[len] = '\0';
}

/* The end is for this code, which needs no other words. */
static void set_code(struct vly_conn *c, uint64_t code)
{
    const char *text = vly_close_code_text(code);

    c->end.by_app = false;
    c->end.code = code;
    reason_set(c, text, strlen(text));
}

void vly_conn_fail(struct vly_conn *c, int err, uint64_t code, uint64_t now_ns)
{
    set_code(c, code);
    if ((c->state == VLY_STATE_OPEN || c->state == VLY_STATE_ACCEPTED) && c->send_keys != NULL)
        close_reply(c, now_ns);
    vly_conn_end(c, err, now_ns);
}

void vly_conn_on_close_frame(struct vly_conn *c, bool by_app, uint64_t code, struct vly_span reason,
                             uint64_t now_ns)
{
    int err = by_app ? VLY_E_CLOSED : vly_close_code_error(code);

    c->end.by_app = false;
    c->end.code = VLY_CLOSE_NO_ERROR;
    c->end.reason[0] = '\0';
    close_reply(c, now_ns);
    c->end.by_app = by_app;
    c->end.code = code;
    reason_set(c, reason.data, reason.len);
    vly_conn_end(c, err, now_ns);
}

void vly_conn_refused(struct vly_conn *c, int err, const struct vly_refuse *p, uint64_t now_ns)
{
    c->end.code = p->code;
    reason_set(c, p->reason.data, p->reason.len);
    vly_conn_end(c, err, now_ns);
}

static void closing_begin(struct vly_conn *c, int err, uint64_t now_ns)
{
    c->end.err = err;
    vly_conn_set_state(c, VLY_STATE_CLOSING, now_ns);
    c->close_pending = true;
    c->close_sent = 0;
    c->close_due_ns = VLY_NEVER;
    c->close_until_ns = now_ns + VLY_CLOSE_LINGER_NS;
    vly_ready_push(c->sh, c);
}

void vly_conn_turn_away(struct vly_conn *c, uint64_t code, uint64_t now_ns)
{
    set_code(c, code);
    closing_begin(c, vly_close_code_error(code), now_ns);
}

void vly_conn_close(struct vly_conn *c, uint64_t now_ns, uint64_t code, const char *reason)
{
    if (c->state == VLY_STATE_CLOSING || c->state == VLY_STATE_CLOSED)
        return;
    c->end.by_app = true;
    c->end.code = code;
    reason_set(c, reason, strlen(reason));
    if (c->state != VLY_STATE_OPEN) { /* the peer knows of nothing yet, or learns it by UNKNOWN */
        vly_conn_end(c, 0, now_ns);
        return;
    }
    closing_begin(c, 0, now_ns);
}

void vly_conn_closing_timer(struct vly_conn *c, uint64_t now_ns)
{
    if (c->close_until_ns <= now_ns) {
        vly_conn_end(c, c->end.err, now_ns);
        return;
    }
    if (c->close_due_ns <= now_ns) {
        c->close_pending = true;
        c->close_due_ns = VLY_NEVER;
    }
}
