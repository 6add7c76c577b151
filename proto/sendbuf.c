/*
 * sendbuf - the sending half of a stream.
 *
 * Offsets map to blocks by division; the blocks form a ring that moves up with `base`. In order
 * `pending` is one range and `acked` is empty, so that commit, take and on_acked each cost one
 * compare and one store beside the copy. A call that fails leaves the buffer as it was, so that an
 * acknowledged byte is never both remembered and sent again (RULE 18).
 */
#include "sendbuf.h"

#include <assert.h>
#include <string.h>

#include "num.h"
#include "wire.h"

#define FIRST_BLOCKS_CAP 4u

static void *alloc_resize(const struct vly_sendbuf *b, void *ptr, size_t old_size, size_t size)
{
    return b->alloc->resize(b->alloc->ctx, ptr, old_size, size);
}

/* The i-th block of the ring. */
static uint8_t **block_slot(const struct vly_sendbuf *b, size_t i)
{
    return &b->blocks[(b->blocks_head + i) & (b->blocks_cap - 1)];
}

static uint64_t blocks_end(const struct vly_sendbuf *b)
{
    return b->blocks_base + (uint64_t)b->blocks_n * VLY_SENDBUF_BLOCK;
}

/* Where the byte of `offset` is stored; `*room` is how many follow it in the same block, with it.
 */
static uint8_t *byte_at(const struct vly_sendbuf *b, uint64_t offset, size_t *room)
{
    uint64_t distance = offset - b->blocks_base;
    size_t in_block = (size_t)(distance % VLY_SENDBUF_BLOCK);

    *room = VLY_SENDBUF_BLOCK - in_block;
    return *block_slot(b, (size_t)(distance / VLY_SENDBUF_BLOCK)) + in_block;
}

void vly_sendbuf_init(struct vly_sendbuf *b, const struct vly_alloc *alloc, uint64_t base)
{
    assert(base <= VLY_VARINT_MAX);
    memset(b, 0, sizeof(*b));
    b->alloc = alloc;
    b->blocks_base = base - base % VLY_SENDBUF_BLOCK;
    b->base = base;
    b->end = base;
    b->sent_end = base;
    vly_rangeset_init(&b->pending, alloc, VLY_SENDBUF_RANGES_MAX);
    vly_rangeset_init(&b->acked, alloc, VLY_SENDBUF_RANGES_MAX);
}

static void memory_free(struct vly_sendbuf *b)
{
    for (size_t i = 0; i < b->blocks_n; i++)
        alloc_resize(b, *block_slot(b, i), VLY_SENDBUF_BLOCK, 0);
    if (b->spare != NULL)
        alloc_resize(b, b->spare, VLY_SENDBUF_BLOCK, 0);
    if (b->blocks != NULL)
        alloc_resize(b, b->blocks, b->blocks_cap * sizeof(*b->blocks), 0);
    vly_rangeset_fini(&b->pending);
    vly_rangeset_fini(&b->acked);
}

void vly_sendbuf_fini(struct vly_sendbuf *b)
{
    memory_free(b);
    memset(b, 0, sizeof(*b));
}

void vly_sendbuf_drop(struct vly_sendbuf *b)
{
    const struct vly_alloc *alloc = b->alloc;
    uint64_t sent_end = b->sent_end;

    memory_free(b);
    vly_sendbuf_init(b, alloc, sent_end);
    b->fin = true;
    b->fin_acked = true;
}

static int ring_grow(struct vly_sendbuf *b)
{
    size_t cap = b->blocks_cap == 0 ? FIRST_BLOCKS_CAP : b->blocks_cap * 2;
    uint8_t **blocks = alloc_resize(b, NULL, 0, cap * sizeof(*blocks));

    if (blocks == NULL)
        return VLY_E_NOMEM;
    for (size_t i = 0; i < b->blocks_n; i++)
        blocks[i] = *block_slot(b, i);
    if (b->blocks != NULL)
        alloc_resize(b, b->blocks, b->blocks_cap * sizeof(*blocks), 0);
    b->blocks = blocks;
    b->blocks_cap = cap;
    b->blocks_head = 0;
    return 0;
}

static int block_append(struct vly_sendbuf *b)
{
    uint8_t *block = b->spare;

    if (b->blocks_n == b->blocks_cap && ring_grow(b) != 0)
        return VLY_E_NOMEM;
    if (block == NULL)
        block = alloc_resize(b, NULL, 0, VLY_SENDBUF_BLOCK);
    if (block == NULL)
        return VLY_E_NOMEM;
    b->spare = NULL;
    b->blocks_n++;
    *block_slot(b, b->blocks_n - 1) = block;
    return 0;
}

/* RULE 39: memory follows what is held. One block stays for the next append. */
static void blocks_release(struct vly_sendbuf *b)
{
    while (b->blocks_n > 0 && b->blocks_base + VLY_SENDBUF_BLOCK <= b->base) {
        uint8_t *block = *block_slot(b, 0);

        if (b->spare == NULL)
            b->spare = block;
        else
            alloc_resize(b, block, VLY_SENDBUF_BLOCK, 0);
        b->blocks_head = (b->blocks_head + 1) & (b->blocks_cap - 1);
        b->blocks_n--;
        b->blocks_base += VLY_SENDBUF_BLOCK;
    }
}

int vly_sendbuf_reserve(struct vly_sendbuf *b, uint8_t **ptr, size_t *len)
{
    size_t room;

    assert(*len > 0);
    if (b->fin)
        return VLY_E_STATE;
    /* RULE 36: no byte stands at or above 2^62 - 1, which is the largest final size. */
    if (b->end == VLY_VARINT_MAX)
        return VLY_E_LIMIT;
    if (b->end >= blocks_end(b) && block_append(b) != 0)
        return VLY_E_NOMEM;
    *ptr = byte_at(b, b->end, &room);
    *len = (size_t)vly_min_u64(vly_min_u64(*len, room), VLY_VARINT_MAX - b->end);
    return 0;
}

int vly_sendbuf_commit(struct vly_sendbuf *b, size_t len, bool fin)
{
    int err;

    assert(!b->fin);
    assert(len <= blocks_end(b) - vly_min_u64(b->end, blocks_end(b)));
    err = vly_rangeset_add(&b->pending, b->end, b->end + len);
    if (err != 0)
        return err;
    b->end += len;
    b->fin = fin;
    b->fin_pending = fin;
    return 0;
}

uint64_t vly_sendbuf_held_bytes(const struct vly_sendbuf *b)
{
    return b->end - b->base;
}

bool vly_sendbuf_has_pending(const struct vly_sendbuf *b)
{
    return b->pending.n > 0 || b->fin_pending;
}

bool vly_sendbuf_peek(const struct vly_sendbuf *b, uint64_t max_end, size_t max_len,
                      struct vly_send_piece *out)
{
    uint64_t allowed_end = vly_max_u64(max_end, b->sent_end);
    const struct vly_range *first = b->pending.r;

    if (b->pending.n == 0) {
        *out = (struct vly_send_piece){.offset = b->end, .len = 0, .fin = true};
        return b->fin_pending;
    }
    if (max_len == 0 || first->begin >= allowed_end)
        return false;
    out->offset = first->begin;
    out->len = (size_t)vly_min_u64(vly_min_u64(first->end, allowed_end) - first->begin, max_len);
    out->fin = b->fin_pending && out->offset + out->len == b->end;
    return true;
}

struct vly_span vly_sendbuf_lend(const struct vly_sendbuf *b, uint64_t offset, size_t len,
                                 uint8_t *dst)
{
    struct vly_span last = {0};

    while (len > 0) {
        size_t room;
        const uint8_t *src = byte_at(b, offset, &room);

        if (last.len > 0)
            memcpy(dst, last.data, last.len);
        dst += last.len;
        last = (struct vly_span){src, room < len ? room : len};
        offset += last.len;
        len -= last.len;
    }
    return last;
}

void vly_sendbuf_sent(struct vly_sendbuf *b, uint64_t end)
{
    vly_rangeset_trim(&b->pending, end);
    b->sent_end = vly_max_u64(b->sent_end, end);
}

struct vly_span vly_sendbuf_take(struct vly_sendbuf *b, const struct vly_send_piece *piece,
                                 uint8_t *dst)
{
    uint64_t end = piece->offset + piece->len;

    assert(piece->offset >= b->base && end <= b->end);
    assert(!piece->fin || (b->fin && end == b->end));
    if (piece->len > 0) {
        /* It is the oldest, as peek gave it. */
        assert(b->pending.n > 0 && b->pending.r[0].begin == piece->offset);
        assert(b->pending.r[0].end >= end);
        vly_sendbuf_sent(b, end);
    }
    if (piece->fin)
        b->fin_pending = false;
    return vly_sendbuf_lend(b, piece->offset, piece->len, dst);
}

/* Acknowledged up to `base` and, with what was acknowledged ahead of it, perhaps beyond. */
static void base_advance(struct vly_sendbuf *b, uint64_t base)
{
    if (b->acked.n > 0) {
        vly_rangeset_trim(&b->acked, base);
        if (b->acked.n > 0 && b->acked.r[0].begin == base) {
            base = b->acked.r[0].end;
            vly_rangeset_trim(&b->acked, base);
        }
    }
    b->base = base;
    if (b->pending.n > 0 && b->pending.r[0].begin < base)
        vly_rangeset_trim(&b->pending, base);
    blocks_release(b);
}

/* Makes sure that removing [begin, end) from `pending` cannot fail: cutting a piece out of a range
 * takes room for one range more, which a passing range beyond all others gets and leaves behind. */
static int pending_make_room(struct vly_sendbuf *b, uint64_t begin, uint64_t end)
{
    size_t i = vly_rangeset_find(&b->pending, begin);
    uint64_t beyond = b->end + 1;
    int err;

    if (i == b->pending.n || b->pending.r[i].begin >= begin || b->pending.r[i].end <= end)
        return 0;
    err = vly_rangeset_add(&b->pending, beyond, beyond + 1);
    return err != 0 ? err : vly_rangeset_remove(&b->pending, beyond, beyond + 1);
}

/* [begin, end) above `base` was acknowledged. It is still pending when it was declared lost. */
static int acked_ahead(struct vly_sendbuf *b, uint64_t begin, uint64_t end)
{
    int err = pending_make_room(b, begin, end);

    if (err == 0)
        err = vly_rangeset_add(&b->acked, begin, end);
    if (err != 0)
        return err;
    err = vly_rangeset_remove(&b->pending, begin, end);
    assert(err == 0);
    return err;
}

int vly_sendbuf_on_acked(struct vly_sendbuf *b, const struct vly_send_piece *piece)
{
    uint64_t end = piece->offset + piece->len;

    assert(end <= b->sent_end && (!piece->fin || b->fin));
    if (end > b->base) {
        if (piece->offset <= b->base) {
            base_advance(b, end);
        } else {
            int err = acked_ahead(b, piece->offset, end);

            if (err != 0)
                return err;
        }
    }
    if (piece->fin) {
        b->fin_acked = true;
        b->fin_pending = false;
    }
    return 0;
}

int vly_sendbuf_on_lost(struct vly_sendbuf *b, const struct vly_send_piece *piece)
{
    uint64_t begin = vly_max_u64(piece->offset, b->base);
    uint64_t end = piece->offset + piece->len;
    struct vly_range gap;

    assert(end <= b->sent_end && (!piece->fin || b->fin));
    while (begin < end && vly_rangeset_next_gap(&b->acked, begin, end, &gap)) {
        int err = vly_rangeset_add(&b->pending, gap.begin, gap.end);

        if (err != 0)
            return err;
        begin = gap.end;
    }
    if (piece->fin && !b->fin_acked)
        b->fin_pending = true;
    return 0;
}

bool vly_sendbuf_is_done(const struct vly_sendbuf *b)
{
    return b->fin && b->fin_acked && b->base == b->end;
}

void vly_sendbuf_check(const struct vly_sendbuf *b)
{
#ifdef VLY_CHECKS
    vly_rangeset_check(&b->pending);
    vly_rangeset_check(&b->acked);
    assert(b->base <= b->sent_end && b->sent_end <= b->end && b->end <= VLY_VARINT_MAX);
    assert(b->blocks_base % VLY_SENDBUF_BLOCK == 0 && b->blocks_base <= b->base);
    assert(b->base - b->blocks_base < VLY_SENDBUF_BLOCK);
    assert(b->blocks_n <= b->blocks_cap && (b->blocks_n == 0 || b->end <= blocks_end(b)));
    assert(b->end == b->base || b->blocks_n > 0);
    assert(b->fin || (!b->fin_pending && !b->fin_acked));
    assert(!b->fin_pending || !b->fin_acked);
    for (size_t i = 0; i < b->pending.n; i++) {
        struct vly_range gap;
        const struct vly_range *r = &b->pending.r[i];

        assert(r->begin >= b->base && r->end <= b->end);
        assert(vly_rangeset_next_gap(&b->acked, r->begin, r->end, &gap));
        assert(gap.begin == r->begin && gap.end == r->end);
    }
    for (size_t i = 0; i < b->acked.n; i++)
        assert(b->acked.r[i].begin > b->base && b->acked.r[i].end <= b->sent_end);
#else
    (void)b;
#endif
}
