/*
 * ctl - the control stream: messages in, messages out.
 *
 * Incoming bytes are handed on as whole messages; outgoing ones wait here while the link has no
 * room. What waits is bounded: a peer that does not read its answers is given up at
 * VLY_CTL_BACKLOG_MAX, and whoever makes many messages (LIST) asks vly_ctl_has_room first.
 */
#ifndef VLY_FILE_CTL_H
#define VLY_FILE_CTL_H

#include "file/msg.h"
#include <volley/transport.h>

#define VLY_CTL_STREAM 0u
#define VLY_CTL_ROOM_BYTES (64u << 10)
#define VLY_CTL_BACKLOG_MAX (4u << 20)

struct vly_ctl {
    struct vly_link *link; /* borrowed; NULL: what is sent is dropped */
    struct {
        uint8_t *data; /* owned */
        size_t pos, len, cap;
    } out;
    struct {
        uint8_t *data; /* owned, VLY_MSG_MAX once needed */
        size_t len;
    } in; /* the beginning of a message */
    bool overflowed;
    bool end_wanted, ended; /* our direction */
};

void vly_ctl_init(struct vly_ctl *c, struct vly_link *link);
void vly_ctl_fini(struct vly_ctl *c);

/* Sends `m`, or keeps it until there is room. When that fails (out of memory, backlog),
 * `overflowed` is set and the connection is to be closed. */
void vly_ctl_send(struct vly_ctl *c, const struct vly_msg *m);
/* The same for whole messages that are encoded already, VLY_MSG_MAX bytes at most. */
void vly_ctl_send_encoded(struct vly_ctl *c, struct vly_span messages);
/* Messages without further fields, and ERROR with its text. */
void vly_ctl_send_plain(struct vly_ctl *c, enum vly_msg_type type, uint64_t request);
void vly_ctl_send_error(struct vly_ctl *c, uint64_t request, int err, const char *text);
/* Whether another few KiB of messages would not pile up. */
bool vly_ctl_has_room(const struct vly_ctl *c);
/* Ends our direction behind what was sent. */
void vly_ctl_end(struct vly_ctl *c);
/* The link has room again. */
void vly_ctl_on_writable(struct vly_ctl *c);

/* Calls handle(ctx, m) for each message that is complete with `data`; a result other than 0 ends it
 * and is returned. Errors of its own: VLY_E_MALFORMED, VLY_E_LIMIT, VLY_E_NOMEM. */
typedef int vly_ctl_handler(void *ctx, const struct vly_msg *m);
VLY_MUST_USE int vly_ctl_receive(struct vly_ctl *c, struct vly_span data, vly_ctl_handler *handle,
                                 void *ctx);

#endif
