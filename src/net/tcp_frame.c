/*
 * tcp_frame - see tcp_frame.h; the layout as in SPEC 13.
 *
 *     preface                              record
 *      0   8  magic "VOLLEY\r\n"            0   1  type
 *      8   1  version = 1                   1   1  flags
 *      9   1  suite                         2   2  zero
 *     10   2  handshake bytes               4   4  length of the body
 *     12   4  max_streams                   8   8  stream
 *     16   4  data_max                     16   n  body
 *     20   4  idle_timeout
 *     24   8  credit
 *     32  32  application, zero-padded
 */
#include "net/tcp_frame.h"

#include "proto/crypto.h"

static const uint8_t magic[8] = {'V', 'O', 'L', 'L', 'E', 'Y', '\r', '\n'};

#define IDLE_MIN_MS 1000u

/* ---- preface ---- */

void vly_tcp_preface_encode(const struct vly_tcp_preface *p, uint8_t out[VLY_TCP_PREFACE_BYTES])
{
    struct vly_wr w = vly_wr_init(out, VLY_TCP_PREFACE_BYTES);
    size_t len = strlen(p->application);

    vly_wr_bytes(&w, magic, sizeof magic);
    vly_wr_u8(&w, VLY_TCP_VERSION);
    vly_wr_u8(&w, p->suite);
    vly_wr_u16(&w, p->handshake_bytes);
    vly_wr_u32(&w, p->max_streams);
    vly_wr_u32(&w, p->data_max_bytes);
    vly_wr_u32(&w, p->idle_timeout_ms);
    vly_wr_u64(&w, p->credit_bytes);
    vly_wr_bytes(&w, p->application, len);
    vly_wr_zeros(&w, VLY_TCP_APPLICATION_MAX - len);
    assert(!w.failed);
}

/* One to 32 bytes, then only zeros. */
static int application_decode(struct vly_tcp_preface *p, const uint8_t *in)
{
    size_t len;

    memcpy(p->application, in, VLY_TCP_APPLICATION_MAX);
    p->application[VLY_TCP_APPLICATION_MAX] = '\0';
    len = strlen(p->application);
    for (size_t i = len; i < VLY_TCP_APPLICATION_MAX; i++)
        if (in[i] != 0)
            return VLY_E_MALFORMED;
    return len > 0 ? 0 : VLY_E_MALFORMED;
}

int vly_tcp_preface_decode(struct vly_tcp_preface *p, struct vly_span in)
{
    struct vly_rd r;

    if (memcmp(in.data, magic, in.len < sizeof magic ? in.len : sizeof magic) != 0)
        return VLY_E_PROTOCOL;
    if (in.len > sizeof magic && in.data[sizeof magic] != VLY_TCP_VERSION)
        return VLY_E_VERSION;
    if (in.len < VLY_TCP_PREFACE_BYTES)
        return VLY_E_AGAIN;
    r = vly_rd_init(in.data + sizeof magic + 1, VLY_TCP_PREFACE_BYTES - sizeof magic - 1);
    p->suite = vly_rd_u8(&r);
    p->handshake_bytes = vly_rd_u16(&r);
    p->max_streams = vly_rd_u32(&r);
    p->data_max_bytes = vly_rd_u32(&r);
    p->idle_timeout_ms = vly_rd_u32(&r);
    p->credit_bytes = vly_rd_u64(&r);
    if (p->handshake_bytes > (p->suite == VLY_SUITE_PLAIN ? 0 : VLY_HANDSHAKE_MAX) ||
        p->max_streams > VLY_TCP_STREAMS_MAX || p->data_max_bytes == 0 ||
        p->data_max_bytes > VLY_TCP_DATA_MAX || p->credit_bytes > VLY_VARINT_MAX ||
        p->idle_timeout_ms < IDLE_MIN_MS || p->idle_timeout_ms > VLY_TCP_IDLE_MAX_MS)
        return VLY_E_MALFORMED;
    return application_decode(p, r.pos);
}

/* ---- records ---- */

struct shape {
    uint8_t flags;
    uint32_t min_bytes, max_bytes;
};

static const struct shape shapes[] = {
#define X(name, type, flags, min, max) [type] = {(flags), (min), (max)},
    VLY_TCP_RECORDS(X)
#undef X
};

void vly_tcp_header_encode(const struct vly_tcp_header *h, uint8_t out[VLY_TCP_HEADER_BYTES])
{
    out[0] = (uint8_t)h->type;
    out[1] = h->flags;
    vly_store_u16(out + 2, 0);
    vly_store_u32(out + 4, h->length);
    vly_store_u64(out + 8, h->stream);
}

int vly_tcp_header_decode(struct vly_tcp_header *h, struct vly_span in)
{
    bool whole_connection;

    if (in.len > 0 && (in.data[0] < VLY_TCP_DATA || in.data[0] > VLY_TCP_CLOSE))
        return VLY_E_MALFORMED;
    if (in.len < VLY_TCP_HEADER_BYTES)
        return VLY_E_AGAIN;
    h->type = (enum vly_tcp_type)in.data[0];
    h->flags = in.data[1];
    h->length = vly_load_u32(in.data + 4);
    h->stream = vly_load_u64(in.data + 8);
    whole_connection = h->type >= VLY_TCP_PING;
    if ((h->flags & ~shapes[h->type].flags) != 0 || vly_load_u16(in.data + 2) != 0 ||
        h->length < shapes[h->type].min_bytes || h->length > shapes[h->type].max_bytes ||
        h->stream > VLY_VARINT_MAX || (whole_connection && h->stream != 0))
        return VLY_E_MALFORMED;
    return 0;
}

size_t vly_tcp_control_encode(const struct vly_tcp_control *c,
                              uint8_t out[VLY_TCP_HEADER_BYTES + VLY_TCP_BODY_MAX])
{
    struct vly_tcp_header h = c->header;
    size_t reason_len = c->reason.len < VLY_REASON_MAX ? c->reason.len : VLY_REASON_MAX;

    if (h.type != VLY_TCP_CLOSE)
        reason_len = 0;
    h.length = shapes[h.type].min_bytes + (uint32_t)reason_len;
    vly_tcp_header_encode(&h, out);
    if (h.length >= 8)
        vly_store_u64(out + VLY_TCP_HEADER_BYTES, c->value);
    if (reason_len > 0)
        memcpy(out + VLY_TCP_HEADER_BYTES + 8, c->reason.data, reason_len);
    return VLY_TCP_HEADER_BYTES + h.length;
}

int vly_tcp_control_decode(struct vly_tcp_control *c, const struct vly_tcp_header *header,
                           struct vly_span body)
{
    *c = (struct vly_tcp_control){.header = *header};
    assert(header->type != VLY_TCP_DATA && body.len == header->length);
    if (body.len >= 8) {
        c->value = vly_load_u64(body.data);
        c->reason = (struct vly_span){.data = body.data + 8, .len = body.len - 8};
    }
    return c->value <= VLY_VARINT_MAX ? 0 : VLY_E_MALFORMED;
}
