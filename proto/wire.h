/*
 * wire - bounded reader and writer of bytes, SPEC 1.
 *
 * Both are sticky: after the first step out of bounds `failed` stays set, reads give 0 and writes
 * do nothing, so a codec reads or writes all its fields and checks once.
 * Invariant: start <= pos <= end, none of them NULL; a failed reader or writer has no room left
 * (pos == end), which is why the single steps need not look at `failed`.
 * Cost: the fixed-width and varint steps are inline; one compare and one load or store each.
 */
#ifndef VLY_PROTO_WIRE_H
#define VLY_PROTO_WIRE_H

#include <assert.h>
#include <string.h>
#include <volley/base.h>

#define VLY_VARINT_MAX ((UINT64_C(1) << 62) - 1)
#define VLY_REASON_MAX 128 /* bytes of text in CLOSE and REFUSE */

struct vly_rd {
    const uint8_t *pos;
    const uint8_t *end;
    bool failed;
};

struct vly_wr {
    uint8_t *start;
    uint8_t *pos;
    uint8_t *end;
    bool failed;
};

/* `data` may be NULL when `len` is 0. Borrowed as long as the reader and what it gave are used. */
struct vly_rd vly_rd_init(const void *data, size_t len);
/* Length-prefixed bytes: bytes8, bytes16 and str of SPEC 1. Fails when longer than `max`. */
struct vly_span vly_rd_bytes8(struct vly_rd *r, size_t max);
struct vly_span vly_rd_bytes16(struct vly_rd *r, size_t max);
struct vly_span vly_rd_str(struct vly_rd *r, size_t max);
/* Steps over the zero bytes that stand next, if any. Never fails. */
void vly_rd_skip_zeros(struct vly_rd *r);

/* Writes to buf[0, cap), borrowed as long as the writer is used. A codec that may fail half-way
 * and wants to go on keeps a copy of *w from before and puts it back. */
struct vly_wr vly_wr_init(void *buf, size_t cap);
void vly_wr_bytes(struct vly_wr *w, const void *data, size_t len);
/* The length must fit its prefix (asserted). */
void vly_wr_bytes8(struct vly_wr *w, struct vly_span s);
void vly_wr_bytes16(struct vly_wr *w, struct vly_span s);
void vly_wr_str(struct vly_wr *w, struct vly_span s);
/* `len` zero bytes: padding, also PADDING frames. */
void vly_wr_zeros(struct vly_wr *w, size_t len);

/* Loads and stores of big-endian integers; compilers make one (swapped) access of each. */
static inline uint16_t vly_load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t vly_load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline uint64_t vly_load_u64(const uint8_t *p)
{
    return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
           (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
           (uint64_t)p[6] << 8 | (uint64_t)p[7];
}

static inline void vly_store_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void vly_store_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void vly_store_u64(uint8_t *p, uint64_t v)
{
    vly_store_u32(p, (uint32_t)(v >> 32));
    vly_store_u32(p + 4, (uint32_t)v);
}

/* Bytes that are left to read; 0 after a failure. */
static inline size_t vly_rd_left(const struct vly_rd *r)
{
    return (size_t)(r->end - r->pos);
}

/* For a decoder that finds a value it cannot go on with. */
static inline void vly_rd_fail(struct vly_rd *r)
{
    r->failed = true;
    r->pos = r->end;
}

/* Steps over `n` bytes: where they are, or NULL when there are fewer. */
static inline const uint8_t *vly_rd_take(struct vly_rd *r, size_t n)
{
    const uint8_t *p = r->pos;

    if (vly_rd_left(r) < n) {
        vly_rd_fail(r);
        return NULL;
    }
    r->pos = p + n;
    return p;
}

static inline uint8_t vly_rd_u8(struct vly_rd *r)
{
    const uint8_t *p = vly_rd_take(r, 1);

    return p != NULL ? *p : 0;
}

static inline uint16_t vly_rd_u16(struct vly_rd *r)
{
    const uint8_t *p = vly_rd_take(r, 2);

    return p != NULL ? vly_load_u16(p) : 0;
}

static inline uint32_t vly_rd_u32(struct vly_rd *r)
{
    const uint8_t *p = vly_rd_take(r, 4);

    return p != NULL ? vly_load_u32(p) : 0;
}

static inline uint64_t vly_rd_u64(struct vly_rd *r)
{
    const uint8_t *p = vly_rd_take(r, 8);

    return p != NULL ? vly_load_u64(p) : 0;
}

static inline uint64_t vly_rd_varint(struct vly_rd *r)
{
    if (vly_rd_left(r) == 0) {
        vly_rd_fail(r);
        return 0;
    }
    switch (*r->pos >> 6) {
    case 0:
        return *r->pos++;
    case 1:
        return vly_rd_u16(r) & 0x3fff;
    case 2:
        return vly_rd_u32(r) & 0x3fffffff;
    default:
        return vly_rd_u64(r) & VLY_VARINT_MAX;
    }
}

/* The next `len` bytes, borrowed from the input; {NULL, 0} on failure. */
static inline struct vly_span vly_rd_bytes(struct vly_rd *r, uint64_t len)
{
    struct vly_span s = {r->pos, (size_t)len};

    if (r->failed || vly_rd_left(r) < len) {
        vly_rd_fail(r);
        return (struct vly_span){NULL, 0};
    }
    r->pos += s.len;
    return s;
}

/* Bytes written. */
static inline size_t vly_wr_len(const struct vly_wr *w)
{
    return (size_t)(w->pos - w->start);
}

/* Bytes that still fit; 0 after a failure. */
static inline size_t vly_wr_room(const struct vly_wr *w)
{
    return (size_t)(w->end - w->pos);
}

/* For an encoder that sees it will not have room. */
static inline void vly_wr_fail(struct vly_wr *w)
{
    w->failed = true;
    w->end = w->pos;
}

/* Steps over `n` bytes to be filled in: where they are, or NULL when they do not fit. */
static inline uint8_t *vly_wr_take(struct vly_wr *w, size_t n)
{
    uint8_t *p = w->pos;

    if (vly_wr_room(w) < n) {
        vly_wr_fail(w);
        return NULL;
    }
    w->pos = p + n;
    return p;
}

static inline void vly_wr_u8(struct vly_wr *w, uint8_t v)
{
    uint8_t *p = vly_wr_take(w, 1);

    if (p != NULL)
        *p = v;
}

static inline void vly_wr_u16(struct vly_wr *w, uint16_t v)
{
    uint8_t *p = vly_wr_take(w, 2);

    if (p != NULL)
        vly_store_u16(p, v);
}

static inline void vly_wr_u32(struct vly_wr *w, uint32_t v)
{
    uint8_t *p = vly_wr_take(w, 4);

    if (p != NULL)
        vly_store_u32(p, v);
}

static inline void vly_wr_u64(struct vly_wr *w, uint64_t v)
{
    uint8_t *p = vly_wr_take(w, 8);

    if (p != NULL)
        vly_store_u64(p, v);
}

/* Bytes the shortest varint encoding of `v` takes: 1, 2, 4 or 8. */
static inline size_t vly_varint_len(uint64_t v)
{
    if (v < 1u << 6)
        return 1;
    if (v < 1u << 14)
        return 2;
    return v < 1u << 30 ? 4 : 8;
}

/* Shortest encoding; `v` is at most VLY_VARINT_MAX (asserted). */
static inline void vly_wr_varint(struct vly_wr *w, uint64_t v)
{
    assert(v <= VLY_VARINT_MAX);
    if (v < 1u << 6)
        vly_wr_u8(w, (uint8_t)v);
    else if (v < 1u << 14)
        vly_wr_u16(w, (uint16_t)(v | 0x4000));
    else if (v < 1u << 30)
        vly_wr_u32(w, (uint32_t)v | 0x80000000u);
    else
        vly_wr_u64(w, v | UINT64_C(3) << 62);
}

#endif
