/*
 * sendbuf - the sending half of a stream.
 *
 * Segments form a ring that moves up with `base`; a reader looks where the last one read, then
 * behind it, then by bisection. In order `pending` is one range and `acked` is empty, so that
 * commit, take and on_acked each cost one compare and one store beside the copy. A call that fails
 * leaves the buffer as it was, so that an acknowledged byte is never both remembered and sent again
 * (RULE 18).
 */
#include "sendbuf.h"

#include <assert.h>
#include <string.h>

#include "num.h"
#include "wire.h"

#define FIRST_SEGMENTS_CAP 4u

static void *alloc_resize(const struct vly_sendbuf *b, void *ptr, size_t old_size, size_t size)
{
    return b->alloc->resize(b->alloc->ctx, ptr, old_size, size);
}

/* The i-th segment. */
static struct vly_segment *segment(const struct vly_sendbuf *b, size_t i)
{
    return &b->segments[(b->segments_head + i) & (b->segments_cap - 1)];
}

static struct vly_segment *last_segment(const struct vly_sendbuf *b)
{
    return b->segments_n > 0 ? segment(b, b->segments_n - 1) : NULL;
}

static bool holds(const struct vly_segment *s, uint64_t offset)
{
    return offset - s->begin < s->len; /* below `begin` the difference is huge */
}

/* The segment of the byte at `offset`, which is held. */
static const struct vly_segment *find_segment(struct vly_sendbuf *b, uint64_t offset)
{
    size_t low = 0, high = b->segments_n;

    for (size_t i = b->cursor; i < high && i < b->cursor + 2; i++)
        if (holds(segment(b, i), offset)) {
            b->cursor = i;
            return segment(b, i);
        }
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;

        if (segment(b, mid)->begin <= offset)
            low = mid;
        else
            high = mid;
    }
    b->cursor = low;
    assert(holds(segment(b, low), offset));
    return segment(b, low);
}

void vly_sendbuf_init(struct vly_sendbuf *b, const struct vly_alloc *alloc, uint64_t base)
{
    assert(base <= VLY_VARINT_MAX);
    memset(b, 0, sizeof(*b));
    b->alloc = alloc;
    b->base = base;
    b->end = base;
    b->sent_end = base;
    vly_rangeset_init(&b->pending, alloc, VLY_SENDBUF_RANGES_MAX);
    vly_rangeset_init(&b->acked, alloc, VLY_SENDBUF_RANGES_MAX);
}

static void block_free(const struct vly_sendbuf *b, uint8_t *block)
{
    if (block != NULL)
        alloc_resize(b, block, VLY_SENDBUF_BLOCK, 0);
}

static void memory_free(struct vly_sendbuf *b)
{
    for (size_t i = 0; i < b->segments_n; i++)
        block_free(b, segment(b, i)->block);
    block_free(b, b->spare);
    if (b->segments != NULL)
        alloc_resize(b, b->segments, b->segments_cap * sizeof(*b->segments), 0);
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
    size_t cap = b->segments_cap == 0 ? FIRST_SEGMENTS_CAP : b->segments_cap * 2;
    struct vly_segment *ring;

    if (cap > VLY_SENDBUF_SEGMENTS_MAX)
        return VLY_E_LIMIT;
    ring = alloc_resize(b, NULL, 0, cap * sizeof(*ring));
    if (ring == NULL)
        return VLY_E_NOMEM;
    for (size_t i = 0; i < b->segments_n; i++)
        ring[i] = *segment(b, i);
    if (b->segments != NULL)
        alloc_resize(b, b->segments, b->segments_cap * sizeof(*ring), 0);
    b->segments = ring;
    b->segments_cap = cap;
    b->segments_head = 0;
    return 0;
}

/* Makes sure that one more segment can be added. */
static int ring_reserve(struct vly_sendbuf *b)
{
    return b->segments_n < b->segments_cap ? 0 : ring_grow(b);
}

/* Adds an empty segment at the end, for which there is room in the ring. */
static struct vly_segment *segment_add(struct vly_sendbuf *b, uint64_t begin, uint8_t *block,
                                       const uint8_t *data)
{
    struct vly_segment *s = segment(b, b->segments_n++);

    *s = (struct vly_segment){.begin = begin, .block = block, .data = data};
    return s;
}

/* A block that was given back; one stays for the next time. */
static void block_release(struct vly_sendbuf *b, uint8_t *block)
{
    if (b->spare == NULL)
        b->spare = block;
    else
        block_free(b, block);
}

static int block_add(struct vly_sendbuf *b)
{
    uint8_t *block = b->spare;
    int err = ring_reserve(b);

    if (err != 0)
        return err;
    if (block == NULL)
        block = alloc_resize(b, NULL, 0, VLY_SENDBUF_BLOCK);
    if (block == NULL)
        return VLY_E_NOMEM;
    b->spare = NULL;
    segment_add(b, b->end, block, block);
    return 0;
}

/* RULE 39: memory follows what is held. A block that is not full stays for what comes next. */
static void segments_release(struct vly_sendbuf *b)
{
    while (b->segments_n > 0) {
        struct vly_segment *s = segment(b, 0);

        if (s->begin + s->len > b->base ||
            (b->segments_n == 1 && s->block != NULL && s->len < VLY_SENDBUF_BLOCK))
            break;
        block_release(b, s->block);
        b->segments_head = (b->segments_head + 1) & (b->segments_cap - 1);
        b->segments_n--;
        if (b->cursor > 0)
            b->cursor--;
    }
}

int vly_sendbuf_reserve(struct vly_sendbuf *b, uint8_t **ptr, size_t *len)
{
    struct vly_segment *last = last_segment(b);
    int err;

    assert(*len > 0);
    if (b->fin)
        return VLY_E_STATE;
    /* RULE 36: no byte stands at or above 2^62 - 1, which is the largest final size. */
    if (b->end == VLY_VARINT_MAX)
        return VLY_E_LIMIT;
    if (last == NULL || last->block == NULL || last->len == VLY_SENDBUF_BLOCK) {
        err = block_add(b);
        if (err != 0)
            return err;
        last = last_segment(b);
    }
    *ptr = last->block + last->len;
    *len = (size_t)vly_min_u64(vly_min_u64(*len, VLY_SENDBUF_BLOCK - last->len),
                               VLY_VARINT_MAX - b->end);
    return 0;
}

/* `len` bytes more are there, and perhaps the end. */
static int written(struct vly_sendbuf *b, size_t len, bool fin)
{
    int err = vly_rangeset_add(&b->pending, b->end, b->end + len);

    if (err != 0)
        return err;
    b->end += len;
    b->fin = fin;
    b->fin_pending = fin;
    return 0;
}

int vly_sendbuf_commit(struct vly_sendbuf *b, size_t len, bool fin)
{
    struct vly_segment *last = last_segment(b);
    int err;

    assert(!b->fin);
    assert(len == 0 ||
           (last != NULL && last->block != NULL && len <= VLY_SENDBUF_BLOCK - last->len));
    err = written(b, len, fin);
    if (err == 0 && len > 0)
        last->len += len;
    return err;
}

int vly_sendbuf_lend(struct vly_sendbuf *b, struct vly_span data, bool fin)
{
    uint64_t begin = b->end;
    struct vly_segment *last;
    int err;

    if (b->fin)
        return VLY_E_STATE;
    if (data.len > VLY_VARINT_MAX - b->end) /* RULE 36 */
        return VLY_E_LIMIT;
    err = ring_reserve(b);
    if (err == 0)
        err = written(b, data.len, fin);
    if (err != 0 || data.len == 0)
        return err;
    last = last_segment(b);
    if (last != NULL && last->len == 0) { /* reserved, and nothing came */
        block_release(b, last->block);
        b->segments_n--;
        last = last_segment(b);
    }
    if (last == NULL || last->block != NULL || last->data + last->len != data.data)
        last = segment_add(b, begin, NULL, data.data);
    last->len += data.len;
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

struct vly_span vly_sendbuf_read(struct vly_sendbuf *b, uint64_t offset, size_t len, uint8_t *dst)
{
    struct vly_span last = {0};

    while (len > 0) {
        const struct vly_segment *s = find_segment(b, offset);
        size_t from = (size_t)(offset - s->begin);
        size_t room = s->len - from;

        if (last.len > 0)
            memcpy(dst, last.data, last.len);
        dst += last.len;
        last = (struct vly_span){s->data + from, room < len ? room : len};
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
    return vly_sendbuf_read(b, piece->offset, piece->len, dst);
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
    segments_release(b);
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
    assert(b->segments_n <= b->segments_cap);
    for (size_t i = 0; i < b->segments_n; i++) {
        const struct vly_segment *s = segment(b, i);
        uint64_t next = i + 1 < b->segments_n ? segment(b, i + 1)->begin : b->end;

        assert(s->begin + s->len == next && (i > 0 || s->begin <= b->base));
        assert(i == 0 || s->begin > b->base || b->end == b->base);
    }
    assert(b->end == b->base || b->segments_n > 0);
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
