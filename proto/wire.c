/*
 * wire - the steps of the reader and writer that are too long or too rare to be inline.
 *
 * Invariants and cost: wire.h.
 */
#include "wire.h"

struct vly_rd vly_rd_init(const void *data, size_t len)
{
    static const uint8_t nothing[1];
    const uint8_t *p = data;

    assert(data != NULL || len == 0);
    if (p == NULL)
        p = nothing; /* so that pos + 0 and end - pos are defined */
    return (struct vly_rd){.pos = p, .end = p + len, .failed = false};
}

static struct vly_span bytes_up_to(struct vly_rd *r, uint64_t len, size_t max)
{
    if (len > max)
        vly_rd_fail(r);
    return vly_rd_bytes(r, len);
}

struct vly_span vly_rd_bytes8(struct vly_rd *r, size_t max)
{
    uint8_t len = vly_rd_u8(r);

    return bytes_up_to(r, len, max);
}

struct vly_span vly_rd_bytes16(struct vly_rd *r, size_t max)
{
    uint16_t len = vly_rd_u16(r);

    return bytes_up_to(r, len, max);
}

struct vly_span vly_rd_str(struct vly_rd *r, size_t max)
{
    uint64_t len = vly_rd_varint(r);

    return bytes_up_to(r, len, max);
}

void vly_rd_skip_zeros(struct vly_rd *r)
{
    while (vly_rd_left(r) >= 8 && vly_load_u64(r->pos) == 0)
        r->pos += 8;
    while (vly_rd_left(r) > 0 && *r->pos == 0)
        r->pos++;
}

struct vly_wr vly_wr_init(void *buf, size_t cap)
{
    uint8_t *p = buf;

    assert(buf != NULL);
    return (struct vly_wr){.start = p, .pos = p, .end = p + cap, .failed = false};
}

void vly_wr_bytes(struct vly_wr *w, const void *data, size_t len)
{
    uint8_t *p = vly_wr_take(w, len);

    assert(data != NULL || len == 0);
    if (p != NULL && len > 0)
        memcpy(p, data, len);
}

void vly_wr_bytes8(struct vly_wr *w, struct vly_span s)
{
    assert(s.len <= UINT8_MAX);
    vly_wr_u8(w, (uint8_t)s.len);
    vly_wr_bytes(w, s.data, s.len);
}

void vly_wr_bytes16(struct vly_wr *w, struct vly_span s)
{
    assert(s.len <= UINT16_MAX);
    vly_wr_u16(w, (uint16_t)s.len);
    vly_wr_bytes(w, s.data, s.len);
}

void vly_wr_str(struct vly_wr *w, struct vly_span s)
{
    vly_wr_varint(w, s.len);
    vly_wr_bytes(w, s.data, s.len);
}

void vly_wr_zeros(struct vly_wr *w, size_t len)
{
    uint8_t *p = vly_wr_take(w, len);

    if (p != NULL)
        memset(p, 0, len);
}
