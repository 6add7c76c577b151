/*
 * recvbuf - reassembly of one direction of a stream.
 *
 * Two orders. ANY: every new piece is handed on at once, where it belongs is known by its offset;
 * only a range set is kept. IN_ORDER: pieces ahead of the frontier are copied into blocks until the
 * gap before them closes, or ANY is asked for.
 * Invariant: `have` is disjoint ranges above the frontier only; the frontier is the end of the
 * contiguous prefix received.
 * Cost: in-order piece O(1), no copy; others O(log n + moved ranges). Gaps at most
 * VLY_RECVBUF_GAPS_MAX (RULE 34); memory of IN_ORDER at most the promised window plus one block.
 */
#ifndef VLY_PROTO_RECVBUF_H
#define VLY_PROTO_RECVBUF_H

#include "rangeset.h"

#define VLY_RECVBUF_BLOCK 16384u
#define VLY_RECVBUF_GAPS_MAX 4096u

enum vly_order { VLY_IN_ORDER, VLY_ANY_ORDER };

struct vly_recvbuf {
    const struct vly_alloc *alloc; /* borrowed */
    enum vly_order order;
    uint64_t frontier;    /* all below was received */
    uint64_t highest;     /* one past the highest offset received */
    uint64_t final_bytes; /* UINT64_MAX until known */
    struct vly_rangeset have;
    size_t kept_n; /* ANY: so many of `have`, the last, still stand in blocks to be handed on */
    /* Ring of owned blocks; the one of offset o is blocks[o / BLOCK % blocks_cap], NULL
     * where nothing was buffered. It reaches from blocks_base over blocks_cap blocks. */
    uint8_t **blocks;
    size_t blocks_cap, blocks_n; /* slots, a power of two; blocks there are */
    uint64_t blocks_base;        /* multiple of BLOCK */
    uint64_t base;               /* offset of the stream's first byte */
    /* The deliveries of the last insert: its parts that were not there before. */
    struct vly_range fresh;         /* the next of them to be handed on; empty: none is left */
    struct vly_rangeset fresh_more; /* all of them, when there are several */
    size_t fresh_i;                 /* which of those `fresh` is */
    uint64_t next;                  /* IN_ORDER, and of what is kept: all below is handed on */
    uint64_t frame_offset;
    const uint8_t *frame; /* its data, borrowed */
};

void vly_recvbuf_init(struct vly_recvbuf *b, const struct vly_alloc *alloc, uint64_t base);
void vly_recvbuf_fini(struct vly_recvbuf *b);
/* ANY at any time: what waits for a gap to close can be got by vly_recvbuf_next, and has to be
 * before the next insert. IN_ORDER only while there is no gap. Returns 0 or VLY_E_STATE. */
VLY_MUST_USE int vly_recvbuf_set_order(struct vly_recvbuf *b, enum vly_order order);

/* Takes a STREAM frame's data. Parts received before are ignored (RULE 35). `offset + len` is at
 * most VLY_VARINT_MAX. Returns 0, VLY_E_PROTOCOL when the final size is contradicted (FINAL_SIZE),
 * VLY_E_LIMIT when it would open too many gaps (drop the packet unacknowledged), VLY_E_NOMEM. On
 * failure nothing of it was taken.
 * On success the pieces to hand to the application are got by vly_recvbuf_next until it returns
 * false, before the next insert and while `data` is still there: the buffer borrows it. */
VLY_MUST_USE int vly_recvbuf_insert(struct vly_recvbuf *b, uint64_t offset, struct vly_span data,
                                    bool fin);
/* Whether data at `offset` is the next, and nothing else is waited for or known to come. */
static inline bool vly_recvbuf_is_next(const struct vly_recvbuf *b, uint64_t offset)
{
    return offset == b->frontier && offset == b->highest && b->final_bytes == UINT64_MAX;
}
/* Takes `len` bytes that are the next; they are handed on at once. */
void vly_recvbuf_append(struct vly_recvbuf *b, size_t len);
/* A part of the stream to hand to the application. */
struct vly_recv_piece {
    uint64_t offset;
    struct vly_span data; /* into the frame, or into a block: borrowed until vly_recvbuf_release */
};
bool vly_recvbuf_next(struct vly_recvbuf *b, struct vly_recv_piece *out);
/* Frees the blocks in which nothing waits to be handed on: what pieces of earlier inserts
 * pointed to is gone. To be called once what was handed on has been used. */
void vly_recvbuf_release(struct vly_recvbuf *b);
/* Sets the final size without data (RESET_STREAM). Returns 0 or VLY_E_PROTOCOL. */
VLY_MUST_USE int vly_recvbuf_set_final(struct vly_recvbuf *b, uint64_t final_bytes);
/* Frees all content, and what pieces pointed to: nobody wants it any more. The sizes stay. */
void vly_recvbuf_drop(struct vly_recvbuf *b);
/* As insert, after a drop: of a frame that reaches up to `end` only the sizes are noted. Returns 0
 * or VLY_E_PROTOCOL. */
VLY_MUST_USE int vly_recvbuf_discard(struct vly_recvbuf *b, uint64_t end, bool fin);
/* All bytes up to a known final size were received. */
bool vly_recvbuf_is_complete(const struct vly_recvbuf *b);
/* Bytes by which `highest` would rise with data up to `end`: what flow control has to account. */
uint64_t vly_recvbuf_new_bytes(const struct vly_recvbuf *b, uint64_t end);
/* Bytes of memory held in blocks. */
size_t vly_recvbuf_held_bytes(const struct vly_recvbuf *b);
void vly_recvbuf_check(const struct vly_recvbuf *b);

#endif
