/*
 * frame - encoders and decoders of the frames of SPEC 4.
 *
 * STREAM and ACK, nearly all of what a transfer exchanges, stand first in the decoder. Everything
 * a peer may have written is checked here once: after vly_frame_decode gave 0, ranges and offsets
 * can be used without another look (RULE 14, RULE 36).
 */
#include "frame.h"

const char *vly_frame_name(uint8_t type)
{
    switch (type) {
#define VLY_FRAME(name, value, eliciting) \
    case (value):                         \
        return #name;
#include "frame.def"
#undef VLY_FRAME
    default:
        return "?";
    }
}

const char *vly_close_code_text(uint64_t code)
{
    switch (code) {
#define VLY_CLOSE_CODE(name, value, text) \
    case (value):                         \
        return text;
#include "closecode.def"
#undef VLY_CLOSE_CODE
    default:
        return "unknown reason";
    }
}

static bool is_eliciting(uint8_t type)
{
    switch (type) {
#define VLY_FRAME(name, value, eliciting) \
    case (value):                         \
        return (eliciting);
#include "frame.def"
#undef VLY_FRAME
    default:
        return false;
    }
}

/* Reads one (gap, length) pair and moves `range` down to the range it describes. Returns false
 * when that would reach below zero or the bytes end. No sum here exceeds 2^62 + 1. */
static bool next_range_down(struct vly_range *range, struct vly_rd *pairs)
{
    uint64_t gap = vly_rd_varint(pairs);
    uint64_t length = vly_rd_varint(pairs);
    uint64_t largest;

    if (pairs->failed || range->begin < gap + 2)
        return false;
    largest = range->begin - gap - 2;
    if (largest < length)
        return false;
    *range = (struct vly_range){.begin = largest - length, .end = largest + 1};
    return true;
}

static struct vly_range first_range(const struct vly_ack *a)
{
    return (struct vly_range){.begin = a->largest - a->first, .end = a->largest + 1};
}

/* SPEC 4.1 */
static void ack_decode(struct vly_ack *a, struct vly_rd *r, bool has_ecn)
{
    struct vly_range range;
    uint64_t more;

    a->largest = vly_rd_varint(r);
    a->delay_us = vly_rd_varint(r);
    a->kernel_drops = vly_rd_varint(r);
    more = vly_rd_varint(r);
    a->first = vly_rd_varint(r);
    if (more >= VLY_ACK_RANGES_MAX || a->first > a->largest) { /* RULE 19 */
        vly_rd_fail(r);
        return;
    }
    a->more = (uint32_t)more;
    a->pairs = *r;
    range = first_range(a);
    for (uint32_t i = 0; i < a->more; i++)
        if (!next_range_down(&range, r)) {
            vly_rd_fail(r);
            return;
        }
    a->pairs.end = r->pos;
    a->has_ecn = has_ecn;
    a->ect0 = has_ecn ? vly_rd_varint(r) : 0;
    a->ect1 = has_ecn ? vly_rd_varint(r) : 0;
    a->ce = has_ecn ? vly_rd_varint(r) : 0;
}

/* SPEC 4.2 */
static void stream_decode(struct vly_frame *f, struct vly_rd *r)
{
    uint64_t len;

    f->stream.id = vly_rd_varint(r);
    f->stream.offset = vly_rd_varint(r);
    len = vly_rd_varint(r);
    f->stream.data = vly_rd_bytes(r, len);
    f->stream.fin = f->type == VLY_FRAME_STREAM_FIN;
    if (len > VLY_VARINT_MAX - f->stream.offset) /* RULE 36 */
        vly_rd_fail(r);
}

static void path_decode(struct vly_frame *f, struct vly_rd *r)
{
    struct vly_span data = vly_rd_bytes(r, sizeof(f->path));

    if (!r->failed)
        memcpy(f->path, data.data, sizeof(f->path));
}

static void limit_decode(struct vly_frame *f, struct vly_rd *r)
{
    f->max.id = f->type == VLY_FRAME_MAX_STREAM_DATA ? vly_rd_varint(r) : 0;
    f->max.limit = vly_rd_varint(r);
}

/* All frames but STREAM, ACK and PADDING; an unknown type fails. */
static void control_decode(struct vly_frame *f, struct vly_rd *r)
{
    switch (f->type) {
    case VLY_FRAME_PING:
        break;
    case VLY_FRAME_FLOOR:
        f->floor = vly_rd_varint(r);
        break;
    case VLY_FRAME_RESET_STREAM:
        f->reset.id = vly_rd_varint(r);
        f->reset.code = vly_rd_varint(r);
        f->reset.final_bytes = vly_rd_varint(r);
        break;
    case VLY_FRAME_STOP_SENDING:
        f->stop.id = vly_rd_varint(r);
        f->stop.code = vly_rd_varint(r);
        break;
    case VLY_FRAME_MAX_DATA:
    case VLY_FRAME_MAX_STREAM_DATA:
    case VLY_FRAME_MAX_STREAMS:
        limit_decode(f, r);
        break;
    case VLY_FRAME_PATH_CHALLENGE:
    case VLY_FRAME_PATH_RESPONSE:
        path_decode(f, r);
        break;
    case VLY_FRAME_CLOSE:
    case VLY_FRAME_CLOSE_APP:
        f->close.code = vly_rd_varint(r);
        f->close.reason = vly_rd_str(r, VLY_REASON_MAX);
        break;
    default:
        vly_rd_fail(r);
    }
}

int vly_frame_decode(struct vly_frame *f, struct vly_rd *r)
{
    if (vly_rd_left(r) == 0)
        return VLY_E_MALFORMED;
    f->type = vly_rd_u8(r);
    if ((f->type & 0xfe) == VLY_FRAME_STREAM) {
        f->eliciting = true;
        stream_decode(f, r);
    } else if ((f->type & 0xfe) == VLY_FRAME_ACK) {
        f->eliciting = false;
        ack_decode(&f->ack, r, f->type == VLY_FRAME_ACK_ECN);
    } else if (f->type == VLY_FRAME_PADDING) {
        f->eliciting = false;
        vly_rd_skip_zeros(r);
    } else {
        f->eliciting = is_eliciting(f->type);
        control_decode(f, r);
    }
    return r->failed ? VLY_E_MALFORMED : 0;
}

void vly_ack_iter_init(struct vly_ack_iter *it, const struct vly_ack *ack)
{
    it->pairs = ack->pairs;
    it->cur = first_range(ack);
    it->left = ack->more + 1;
}

bool vly_ack_next(struct vly_ack_iter *it, struct vly_range *out)
{
    if (it->left == 0)
        return false;
    *out = it->cur;
    if (--it->left > 0) {
        bool valid = next_range_down(&it->cur, &it->pairs);

        assert(valid); /* vly_frame_decode has walked them */
        (void)valid;
    }
    return true;
}

void vly_frame_ping_encode(struct vly_wr *w)
{
    vly_wr_u8(w, VLY_FRAME_PING);
}

void vly_frame_floor_encode(struct vly_wr *w, uint64_t floor)
{
    vly_wr_u8(w, VLY_FRAME_FLOOR);
    vly_wr_varint(w, floor);
}

void vly_frame_reset_encode(struct vly_wr *w, uint64_t id, uint64_t code, uint64_t final_bytes)
{
    vly_wr_u8(w, VLY_FRAME_RESET_STREAM);
    vly_wr_varint(w, id);
    vly_wr_varint(w, code);
    vly_wr_varint(w, final_bytes);
}

void vly_frame_stop_encode(struct vly_wr *w, uint64_t id, uint64_t code)
{
    vly_wr_u8(w, VLY_FRAME_STOP_SENDING);
    vly_wr_varint(w, id);
    vly_wr_varint(w, code);
}

void vly_frame_max_data_encode(struct vly_wr *w, uint64_t limit)
{
    vly_wr_u8(w, VLY_FRAME_MAX_DATA);
    vly_wr_varint(w, limit);
}

void vly_frame_max_stream_data_encode(struct vly_wr *w, uint64_t id, uint64_t limit)
{
    vly_wr_u8(w, VLY_FRAME_MAX_STREAM_DATA);
    vly_wr_varint(w, id);
    vly_wr_varint(w, limit);
}

void vly_frame_max_streams_encode(struct vly_wr *w, uint64_t count)
{
    vly_wr_u8(w, VLY_FRAME_MAX_STREAMS);
    vly_wr_varint(w, count);
}

void vly_frame_path_encode(struct vly_wr *w, enum vly_frame_type type, const uint8_t data[8])
{
    assert(type == VLY_FRAME_PATH_CHALLENGE || type == VLY_FRAME_PATH_RESPONSE);
    vly_wr_u8(w, (uint8_t)type);
    vly_wr_bytes(w, data, 8);
}

/* The first VLY_REASON_MAX bytes, without the beginning of a UTF-8 character that does not fit. */
static struct vly_span cut_text(struct vly_span text)
{
    text.len = VLY_REASON_MAX;
    while (text.len > 0 && (text.data[text.len] & 0xc0) == 0x80)
        text.len--;
    return text;
}

void vly_frame_close_encode(struct vly_wr *w, enum vly_frame_type type, uint64_t code,
                            struct vly_span reason)
{
    assert(type == VLY_FRAME_CLOSE || type == VLY_FRAME_CLOSE_APP);
    if (reason.len > VLY_REASON_MAX)
        reason = cut_text(reason);
    vly_wr_u8(w, (uint8_t)type);
    vly_wr_varint(w, code);
    vly_wr_str(w, reason);
}

size_t vly_frame_stream_overhead(uint64_t id, uint64_t offset, size_t len)
{
    return 1 + vly_varint_len(id) + vly_varint_len(offset) + vly_varint_len(len);
}

void vly_frame_stream_header_encode(struct vly_wr *w, uint64_t id, uint64_t offset, size_t len,
                                    bool fin)
{
    assert(offset <= VLY_VARINT_MAX && len <= VLY_VARINT_MAX - offset); /* RULE 36 */
    vly_wr_u8(w, fin ? VLY_FRAME_STREAM_FIN : VLY_FRAME_STREAM);
    vly_wr_varint(w, id);
    vly_wr_varint(w, offset);
    vly_wr_varint(w, len);
}

/* The (gap, length) pair that describes `range` below `above`. */
static uint64_t gap_of(const struct vly_range *range, const struct vly_range *above)
{
    return above->begin - range->end - 1;
}

static uint64_t length_of(const struct vly_range *range)
{
    return range->end - range->begin - 1;
}

static size_t ecn_len(const struct vly_ack_fields *a)
{
    if (!a->has_ecn)
        return 0;
    return vly_varint_len(a->ect0) + vly_varint_len(a->ect1) + vly_varint_len(a->ce);
}

/* How many ranges below the newest one fit into `room` bytes that also take what is fixed. */
static size_t ranges_that_fit(const struct vly_ack_fields *a, size_t room)
{
    const struct vly_range *newest = &a->ranges[a->n_ranges - 1];
    size_t len = 1 + vly_varint_len(newest->end - 1) + vly_varint_len(a->delay_us) +
                 vly_varint_len(a->kernel_drops) + vly_varint_len(length_of(newest)) + ecn_len(a);
    size_t more = 0;

    while (more + 1 < a->n_ranges && more + 1 < VLY_ACK_RANGES_MAX) {
        const struct vly_range *range = newest - more - 1;

        len += vly_varint_len(gap_of(range, range + 1)) + vly_varint_len(length_of(range));
        if (len + vly_varint_len(more + 1) > room)
            break;
        more++;
    }
    return more;
}

void vly_frame_ack_encode(struct vly_wr *w, const struct vly_ack_fields *a)
{
    const struct vly_range *range;
    size_t more;

    assert(a->n_ranges > 0);
    range = &a->ranges[a->n_ranges - 1];
    more = ranges_that_fit(a, vly_wr_room(w));
    vly_wr_u8(w, a->has_ecn ? VLY_FRAME_ACK_ECN : VLY_FRAME_ACK);
    vly_wr_varint(w, range->end - 1);
    vly_wr_varint(w, a->delay_us);
    vly_wr_varint(w, a->kernel_drops);
    vly_wr_varint(w, more);
    vly_wr_varint(w, length_of(range));
    for (size_t i = 0; i < more; i++) {
        range--;
        vly_wr_varint(w, gap_of(range, range + 1));
        vly_wr_varint(w, length_of(range));
    }
    if (a->has_ecn) {
        vly_wr_varint(w, a->ect0);
        vly_wr_varint(w, a->ect1);
        vly_wr_varint(w, a->ce);
    }
}
