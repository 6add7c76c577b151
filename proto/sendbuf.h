/*
 * sendbuf - bytes of one direction of a stream from the moment the application hands them over
 * until they are acknowledged.
 *
 * They stand in segments: blocks of VLY_SENDBUF_BLOCK bytes that the application fills in place, or
 * memory that it lends. `pending` holds what has to go out (first time or again), `acked` what was
 * acknowledged above `base`.
 * Invariant: base <= every pending offset < end; acked and pending are disjoint; segments follow
 * each other without a gap up to `end`; those wholly below `base` are gone. Cost: O(1) in order;
 * O(log n) per lost or acknowledged range elsewhere. Memory: the bytes held, rounded up to whole
 * blocks at both ends, and one spare block; how much is held is the caller's to bound
 * (vly_sendbuf_held_bytes, RULE 39).
 */
#ifndef VLY_PROTO_SENDBUF_H
#define VLY_PROTO_SENDBUF_H

#include "rangeset.h"

#define VLY_SENDBUF_BLOCK 65536u
#define VLY_SENDBUF_RANGES_MAX 65536u
#define VLY_SENDBUF_SEGMENTS_MAX 65536u

struct vly_segment {
    uint64_t begin; /* offset of its first byte */
    size_t len;
    uint8_t *block;      /* owned, VLY_SENDBUF_BLOCK bytes; NULL: lent */
    const uint8_t *data; /* the block, or what was lent */
};

struct vly_sendbuf {
    const struct vly_alloc *alloc; /* borrowed */
    struct vly_segment *segments;  /* owned ring */
    size_t segments_cap, segments_head, segments_n;
    size_t cursor; /* which of them was read last: the next read is likely there or behind it */
    uint8_t *spare;
    uint64_t base;    /* everything below is acknowledged */
    uint64_t end;     /* one past the last byte written */
    bool fin;         /* no more will be written: the final size is `end` */
    bool fin_pending; /* the end has to be (re)sent */
    bool fin_acked;
    struct vly_rangeset pending;
    struct vly_rangeset acked;
    uint64_t sent_end; /* highest offset ever taken: above it data is new */
};

/* `base`: offset of the first byte (0 but in tests). Allocates nothing. */
void vly_sendbuf_init(struct vly_sendbuf *b, const struct vly_alloc *alloc, uint64_t base);
void vly_sendbuf_fini(struct vly_sendbuf *b);
/* Contiguous room for the next bytes: `*ptr` with at least one and at most *len (in: wanted, out:
 * given) bytes, to be filled and then committed. Borrowed until the next call on `b`. Errors:
 * VLY_E_NOMEM; VLY_E_STATE after fin; VLY_E_LIMIT at offset 2^62 - 1. */
VLY_MUST_USE int vly_sendbuf_reserve(struct vly_sendbuf *b, uint8_t **ptr, size_t *len);
/* `len` bytes of the reserved room are filled (at most what was reserved); `fin`: they are the
 * last. Returns 0, VLY_E_NOMEM or VLY_E_LIMIT (of the range set). */
VLY_MUST_USE int vly_sendbuf_commit(struct vly_sendbuf *b, size_t len, bool fin);
/* `data` is the next, and stays where it is until it is acknowledged (`base` has passed it) or
 * dropped. Errors: VLY_E_NOMEM; VLY_E_STATE after fin; VLY_E_LIMIT at offset 2^62 - 1, or when it
 * is scattered over too many segments. Nothing has changed then. */
VLY_MUST_USE int vly_sendbuf_lend(struct vly_sendbuf *b, struct vly_span data, bool fin);
/* Bytes held: end - base. */
uint64_t vly_sendbuf_held_bytes(const struct vly_sendbuf *b);
/* Whether anything (data or the end) waits to be sent. */
bool vly_sendbuf_has_pending(const struct vly_sendbuf *b);
/* The next piece to send, oldest first: offset, up to `max_len` bytes (0 allowed when only the end
 * is pending) that never start above `max_end` nor reach beyond it (flow control; data below
 * sent_end is always allowed), and whether it carries the end. Returns false when there is nothing
 * that may go. Does not change anything: vly_sendbuf_take follows with the same values. */
struct vly_send_piece {
    uint64_t offset;
    size_t len;
    bool fin;
};
bool vly_sendbuf_peek(const struct vly_sendbuf *b, uint64_t max_end, size_t max_len,
                      struct vly_send_piece *out);
/* Takes the piece just peeked at off `pending`. Returned is the part of it in its last segment,
 * most often all, where it stands until it is acknowledged or dropped; what is before is copied to
 * `dst`. */
struct vly_span vly_sendbuf_take(struct vly_sendbuf *b, const struct vly_send_piece *piece,
                                 uint8_t *dst);
/* For whoever takes many pieces in a row: the same without taking [offset, offset + len) off, which
 * vly_sendbuf_sent does for all up to `end`. */
struct vly_span vly_sendbuf_read(struct vly_sendbuf *b, uint64_t offset, size_t len, uint8_t *dst);
void vly_sendbuf_sent(struct vly_sendbuf *b, uint64_t end);
/* The piece was acknowledged. Returns 0 or the range set's error (then nothing changed). */
VLY_MUST_USE int vly_sendbuf_on_acked(struct vly_sendbuf *b, const struct vly_send_piece *piece);
/* The piece was lost: what of it is not acknowledged is pending again. */
VLY_MUST_USE int vly_sendbuf_on_lost(struct vly_sendbuf *b, const struct vly_send_piece *piece);
/* Frees all content: the direction was reset. `sent_end`, its final size, stays. As if what was
 * sent had been acknowledged: what later becomes of its pieces changes nothing. */
void vly_sendbuf_drop(struct vly_sendbuf *b);
/* All bytes and the end were acknowledged. */
bool vly_sendbuf_is_done(const struct vly_sendbuf *b);
void vly_sendbuf_check(const struct vly_sendbuf *b);

#endif
