/*
 * recvbuf - the receiving half of a stream.
 *
 * An insert settles everything at once and leaves two things to walk: the fresh parts of the frame,
 * which were not there before, and the distance from `next` to the frontier. In order, bytes below
 * the frontier come from the frame where they are fresh and from blocks where they are not; each
 * byte is copied at most once. The first copy of a byte is the one handed on (RULE 35).
 * Who asks for any order while data waits for gaps gets that from its blocks: all ranges of `have`
 * are walked, before the next insert changes them.
 */
#include "recvbuf.h"

#include <assert.h>
#include <string.h>

#include "num.h"
#include "wire.h"

#define FIRST_BLOCKS_CAP 4u

static void *alloc_resize(const struct vly_recvbuf *b, void *ptr, size_t old_size, size_t size)
{
    return b->alloc->resize(b->alloc->ctx, ptr, old_size, size);
}

static uint64_t block_floor(uint64_t offset)
{
    return offset - offset % VLY_RECVBUF_BLOCK;
}

static uint8_t **block_slot(const struct vly_recvbuf *b, uint64_t offset)
{
    return &b->blocks[(offset / VLY_RECVBUF_BLOCK) & (b->blocks_cap - 1)];
}

void vly_recvbuf_init(struct vly_recvbuf *b, const struct vly_alloc *alloc, uint64_t base)
{
    memset(b, 0, sizeof(*b));
    b->alloc = alloc;
    b->order = VLY_IN_ORDER;
    b->base = base;
    b->frontier = base;
    b->highest = base;
    b->next = base;
    b->blocks_base = block_floor(base);
    b->final_bytes = UINT64_MAX;
    /* RULE 34: each range kept stands behind one gap. */
    vly_rangeset_init(&b->have, alloc, VLY_RECVBUF_GAPS_MAX);
    vly_rangeset_init(&b->fresh_more, alloc, VLY_RECVBUF_GAPS_MAX + 1);
}

void vly_recvbuf_drop(struct vly_recvbuf *b)
{
    for (size_t i = 0; i < b->blocks_cap; i++)
        if (b->blocks[i] != NULL)
            alloc_resize(b, b->blocks[i], VLY_RECVBUF_BLOCK, 0);
    if (b->blocks != NULL)
        alloc_resize(b, b->blocks, b->blocks_cap * sizeof(*b->blocks), 0);
    b->blocks = NULL;
    b->blocks_cap = b->blocks_n = 0;
    vly_rangeset_fini(&b->have);
    b->kept_n = 0;
    vly_rangeset_fini(&b->fresh_more);
    b->fresh = (struct vly_range){0};
    b->next = b->frontier;
}

void vly_recvbuf_fini(struct vly_recvbuf *b)
{
    vly_recvbuf_drop(b);
    memset(b, 0, sizeof(*b));
}

int vly_recvbuf_set_order(struct vly_recvbuf *b, enum vly_order order)
{
    if (order == b->order)
        return 0;
    if (order == VLY_IN_ORDER && b->have.n > 0)
        return VLY_E_STATE;
    b->order = order;
    b->kept_n = b->have.n;
    b->next = b->frontier;
    return 0;
}

/* The first byte that stands in a block and waits to be handed on; UINT64_MAX: none. */
static uint64_t first_waiting(const struct vly_recvbuf *b)
{
    size_t n = b->order == VLY_IN_ORDER ? b->have.n : b->kept_n;

    return n == 0 ? UINT64_MAX : vly_max_u64(b->next, b->have.r[b->have.n - n].begin);
}

void vly_recvbuf_release(struct vly_recvbuf *b)
{
    uint64_t keep = block_floor(first_waiting(b));

    for (uint64_t at = b->blocks_base; b->blocks_n > 0 && at < keep; at += VLY_RECVBUF_BLOCK) {
        uint8_t **slot = block_slot(b, at);

        if (*slot == NULL)
            continue;
        alloc_resize(b, *slot, VLY_RECVBUF_BLOCK, 0);
        *slot = NULL;
        b->blocks_n--;
    }
    b->blocks_base = block_floor(b->frontier);
}

/* Makes the ring long enough for a byte at `end - 1`. */
static int ring_cover(struct vly_recvbuf *b, uint64_t end)
{
    size_t old_cap = b->blocks_cap, cap = old_cap == 0 ? FIRST_BLOCKS_CAP : old_cap;
    uint8_t **old = b->blocks, **blocks;
    uint64_t need;

    if (b->blocks_n == 0)
        b->blocks_base = block_floor(b->frontier);
    need = (end - 1 - b->blocks_base) / VLY_RECVBUF_BLOCK + 1;
    while (cap < need)
        cap *= 2;
    if (cap == old_cap)
        return 0;
    blocks = alloc_resize(b, NULL, 0, cap * sizeof(*blocks));
    if (blocks == NULL)
        return VLY_E_NOMEM;
    memset(blocks, 0, cap * sizeof(*blocks));
    for (size_t i = 0; i < old_cap; i++) {
        uint64_t number = b->blocks_base / VLY_RECVBUF_BLOCK + i;

        blocks[number & (cap - 1)] = old[number & (old_cap - 1)];
    }
    if (old != NULL)
        alloc_resize(b, old, old_cap * sizeof(*old), 0);
    b->blocks = blocks;
    b->blocks_cap = cap;
    return 0;
}

/* Makes sure that there are blocks under [begin, end). What was made stays when a later one fails:
 * the data is sent again, and finds it. */
static int blocks_make(struct vly_recvbuf *b, uint64_t begin, uint64_t end)
{
    if (ring_cover(b, end) != 0)
        return VLY_E_NOMEM;
    for (uint64_t at = block_floor(begin); at < end; at += VLY_RECVBUF_BLOCK) {
        uint8_t **slot = block_slot(b, at);

        if (*slot != NULL)
            continue;
        *slot = alloc_resize(b, NULL, 0, VLY_RECVBUF_BLOCK);
        if (*slot == NULL)
            return VLY_E_NOMEM;
        b->blocks_n++;
    }
    return 0;
}

static void blocks_write(struct vly_recvbuf *b, uint64_t offset, const uint8_t *src, uint64_t len)
{
    while (len > 0) {
        size_t in_block = (size_t)(offset % VLY_RECVBUF_BLOCK);
        size_t n = (size_t)vly_min_u64(len, VLY_RECVBUF_BLOCK - in_block);

        memcpy(*block_slot(b, offset) + in_block, src, n);
        offset += n;
        src += n;
        len -= n;
    }
}

/* RULE 35: the final size never changes, and no data lies beyond it. */
static int final_check(const struct vly_recvbuf *b, uint64_t end, bool fin)
{
    if (b->final_bytes != UINT64_MAX && (fin ? end != b->final_bytes : end > b->final_bytes))
        return VLY_E_PROTOCOL;
    return fin && end < b->highest ? VLY_E_PROTOCOL : 0;
}

/* Finds the parts of [begin, end) that are not there yet. */
static int fresh_find(struct vly_recvbuf *b, uint64_t begin, uint64_t end)
{
    struct vly_range gap;

    if (b->have.n == 0 || end <= b->have.r[0].begin) {
        b->fresh = (struct vly_range){begin, end};
        return 0;
    }
    while (begin < end && vly_rangeset_next_gap(&b->have, begin, end, &gap)) {
        int err = vly_rangeset_add(&b->fresh_more, gap.begin, gap.end);

        if (err != 0)
            return err;
        begin = gap.end;
    }
    if (b->fresh_more.n > 0)
        b->fresh = b->fresh_more.r[0];
    return 0;
}

static void fresh_step(struct vly_recvbuf *b)
{
    b->fresh_i++;
    if (b->fresh_i < b->fresh_more.n)
        b->fresh = b->fresh_more.r[b->fresh_i];
    else
        b->fresh = (struct vly_range){0};
}

static void fresh_clear(struct vly_recvbuf *b)
{
    b->fresh = (struct vly_range){0};
    b->fresh_i = 0;
    if (b->fresh_more.n > 0)
        vly_rangeset_clear(&b->fresh_more);
}

/* All below `end` is there now, and what was kept behind it. */
static void frontier_advance(struct vly_recvbuf *b, uint64_t end)
{
    if (b->have.n > 0) {
        vly_rangeset_trim(&b->have, end);
        if (b->have.n > 0 && b->have.r[0].begin == end) {
            end = b->have.r[0].end;
            vly_rangeset_trim(&b->have, end);
        }
    }
    b->frontier = end;
}

/* Takes [begin, end), which starts above the frontier. In order its data is kept. The blocks come
 * first, because after them nothing can fail but the set, which then is unchanged. */
static int insert_ahead(struct vly_recvbuf *b, uint64_t begin, uint64_t end)
{
    int err = b->order == VLY_IN_ORDER ? blocks_make(b, begin, end) : 0;

    if (err == 0)
        err = vly_rangeset_add(&b->have, begin, end);
    if (err != 0 || b->order == VLY_ANY_ORDER)
        return err;
    for (; b->fresh.begin < b->fresh.end; fresh_step(b))
        blocks_write(b, b->fresh.begin, b->frame + (b->fresh.begin - b->frame_offset),
                     b->fresh.end - b->fresh.begin);
    return 0;
}

int vly_recvbuf_insert(struct vly_recvbuf *b, uint64_t offset, struct vly_span data, bool fin)
{
    uint64_t begin = vly_max_u64(offset, b->frontier), end = offset + data.len;
    int err = final_check(b, end, fin);

    assert(offset <= VLY_VARINT_MAX && data.len <= VLY_VARINT_MAX - offset); /* RULE 36 */
    assert(b->kept_n == 0);
    fresh_clear(b);
    b->next = b->frontier;
    b->frame = data.data;
    b->frame_offset = offset;
    if (err == 0 && begin < end)
        err = fresh_find(b, begin, end);
    if (err == 0 && begin > b->frontier && b->fresh.begin < b->fresh.end)
        err = insert_ahead(b, begin, end);
    if (err != 0) {
        fresh_clear(b);
        return err;
    }
    if (begin == b->frontier && begin < end)
        frontier_advance(b, end);
    b->highest = vly_max_u64(b->highest, end);
    if (fin)
        b->final_bytes = end;
    return 0;
}

void vly_recvbuf_append(struct vly_recvbuf *b, size_t len)
{
    assert(b->have.n == 0 && vly_recvbuf_is_next(b, b->frontier));
    fresh_clear(b);
    b->frontier += len;
    b->highest = b->next = b->frontier;
}

static struct vly_recv_piece frame_piece(const struct vly_recvbuf *b, uint64_t begin, uint64_t end)
{
    return (struct vly_recv_piece){begin,
                                   {b->frame + (begin - b->frame_offset), (size_t)(end - begin)}};
}

static struct vly_recv_piece block_piece(const struct vly_recvbuf *b, uint64_t begin, uint64_t end)
{
    size_t in_block = (size_t)(begin % VLY_RECVBUF_BLOCK);
    size_t len = (size_t)vly_min_u64(end - begin, VLY_RECVBUF_BLOCK - in_block);

    return (struct vly_recv_piece){begin, {*block_slot(b, begin) + in_block, len}};
}

/* The next of what waited when any order was asked for. */
static struct vly_recv_piece kept_piece(struct vly_recvbuf *b)
{
    uint64_t end = b->have.r[b->have.n - b->kept_n].end;
    struct vly_recv_piece piece = block_piece(b, first_waiting(b), end);

    b->next = piece.offset + piece.data.len;
    if (b->next == end)
        b->kept_n--;
    return piece;
}

bool vly_recvbuf_next(struct vly_recvbuf *b, struct vly_recv_piece *out)
{
    bool has_fresh = b->fresh.begin < b->fresh.end;

    if (b->kept_n > 0) {
        *out = kept_piece(b);
        return true;
    }
    if (b->order == VLY_IN_ORDER && b->next == b->frontier)
        return false;
    if (has_fresh && (b->order == VLY_ANY_ORDER || b->fresh.begin == b->next)) {
        *out = frame_piece(b, b->fresh.begin, b->fresh.end);
        b->next = b->fresh.end;
        fresh_step(b);
        return true;
    }
    if (b->order == VLY_ANY_ORDER)
        return false;
    *out = block_piece(b, b->next, has_fresh ? b->fresh.begin : b->frontier);
    b->next += out->data.len;
    return true;
}

int vly_recvbuf_set_final(struct vly_recvbuf *b, uint64_t final_bytes)
{
    int err = final_check(b, final_bytes, true);

    if (err == 0)
        b->final_bytes = final_bytes;
    return err;
}

int vly_recvbuf_discard(struct vly_recvbuf *b, uint64_t end, bool fin)
{
    int err = final_check(b, end, fin);

    if (err != 0)
        return err;
    b->highest = vly_max_u64(b->highest, end);
    if (fin)
        b->final_bytes = end;
    return 0;
}

bool vly_recvbuf_is_complete(const struct vly_recvbuf *b)
{
    return b->frontier == b->final_bytes;
}

uint64_t vly_recvbuf_new_bytes(const struct vly_recvbuf *b, uint64_t end)
{
    return end > b->highest ? end - b->highest : 0;
}

size_t vly_recvbuf_held_bytes(const struct vly_recvbuf *b)
{
    return b->blocks_n * VLY_RECVBUF_BLOCK;
}

void vly_recvbuf_check(const struct vly_recvbuf *b)
{
#ifdef VLY_CHECKS
    size_t blocks_n = 0;

    vly_rangeset_check(&b->have);
    vly_rangeset_check(&b->fresh_more);
    assert(b->base <= b->frontier && b->frontier <= b->highest && b->highest <= b->final_bytes);
    assert(b->blocks_base % VLY_RECVBUF_BLOCK == 0 && b->blocks_base <= b->frontier);
    for (size_t i = 0; i < b->blocks_cap; i++)
        blocks_n += b->blocks[i] != NULL;
    assert(blocks_n == b->blocks_n);
    assert(b->kept_n <= (b->order == VLY_IN_ORDER ? 0 : b->have.n));
    for (size_t i = 0; i < b->have.n; i++) {
        const struct vly_range *r = &b->have.r[i];

        assert(r->begin > b->frontier && r->end <= b->highest);
        for (uint64_t at = vly_max_u64(r->begin, first_waiting(b)); at < r->end;
             at = block_floor(at) + VLY_RECVBUF_BLOCK)
            assert(*block_slot(b, at) != NULL);
    }
#else
    (void)b;
#endif
}
