#include "codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool lies_in(struct vly_span part, const struct vly_rd *whole_begin)
{
    return part.data >= whole_begin->pos && part.len <= vly_rd_left(whole_begin) &&
           part.data + part.len <= whole_begin->end;
}

static bool span_equal(struct vly_span a, struct vly_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Fills `ranges`, ascending, from the end of the array; returns how many. */
static size_t collect_ranges(struct vly_range ranges[VLY_ACK_RANGES_MAX], const struct vly_ack *ack)
{
    struct vly_ack_iter it;
    struct vly_range range;
    size_t n = 0;

    vly_ack_iter_init(&it, ack);
    while (vly_ack_next(&it, &range)) {
        assert(n < VLY_ACK_RANGES_MAX && range.begin < range.end);
        assert(n == 0 || range.end < ranges[VLY_ACK_RANGES_MAX - n].begin);
        ranges[VLY_ACK_RANGES_MAX - ++n] = range;
    }
    assert(n == ack->more + 1 && ranges[VLY_ACK_RANGES_MAX - 1].end == ack->largest + 1);
    return n;
}

static void ack_encode(struct vly_wr *w, const struct vly_ack *ack)
{
    struct vly_range ranges[VLY_ACK_RANGES_MAX];
    size_t n = collect_ranges(ranges, ack);
    struct vly_ack_fields fields = {
        .ranges = ranges + VLY_ACK_RANGES_MAX - n,
        .n_ranges = n,
        .delay_us = ack->delay_us,
        .kernel_drops = ack->kernel_drops,
        .has_ecn = ack->has_ecn,
        .ect0 = ack->ect0,
        .ect1 = ack->ect1,
        .ce = ack->ce,
    };

    vly_frame_ack_encode(w, &fields);
}

void codec_frame_encode(struct vly_wr *w, const struct vly_frame *f)
{
    switch ((enum vly_frame_type)f->type) {
    case VLY_FRAME_PADDING:
        vly_wr_zeros(w, 1);
        break;
    case VLY_FRAME_PING:
        vly_frame_ping_encode(w);
        break;
    case VLY_FRAME_ACK:
    case VLY_FRAME_ACK_ECN:
        ack_encode(w, &f->ack);
        break;
    case VLY_FRAME_FLOOR:
        vly_frame_floor_encode(w, f->floor);
        break;
    case VLY_FRAME_STREAM:
    case VLY_FRAME_STREAM_FIN:
        vly_frame_stream_header_encode(w, f->stream.id, f->stream.offset, f->stream.data.len,
                                       f->stream.fin);
        vly_wr_bytes(w, f->stream.data.data, f->stream.data.len);
        break;
    case VLY_FRAME_RESET_STREAM:
        vly_frame_reset_encode(w, f->reset.id, f->reset.code, f->reset.final_bytes);
        break;
    case VLY_FRAME_STOP_SENDING:
        vly_frame_stop_encode(w, f->stop.id, f->stop.code);
        break;
    case VLY_FRAME_MAX_DATA:
        vly_frame_max_data_encode(w, f->max.limit);
        break;
    case VLY_FRAME_MAX_STREAM_DATA:
        vly_frame_max_stream_data_encode(w, f->max.id, f->max.limit);
        break;
    case VLY_FRAME_MAX_STREAMS:
        vly_frame_max_streams_encode(w, f->max.limit);
        break;
    case VLY_FRAME_PATH_CHALLENGE:
    case VLY_FRAME_PATH_RESPONSE:
        vly_frame_path_encode(w, (enum vly_frame_type)f->type, f->path);
        break;
    case VLY_FRAME_CLOSE:
    case VLY_FRAME_CLOSE_APP:
        vly_frame_close_encode(w, (enum vly_frame_type)f->type, f->close.code, f->close.reason);
        break;
    }
}

static bool ack_equal(const struct vly_ack *a, const struct vly_ack *b)
{
    struct vly_range ar[VLY_ACK_RANGES_MAX];
    struct vly_range br[VLY_ACK_RANGES_MAX];
    size_t an = collect_ranges(ar, a);
    size_t bn = collect_ranges(br, b);
    size_t from = VLY_ACK_RANGES_MAX - an;

    return an == bn && memcmp(ar + from, br + from, an * sizeof(ar[0])) == 0 &&
           a->largest == b->largest && a->first == b->first && a->delay_us == b->delay_us &&
           a->kernel_drops == b->kernel_drops && a->has_ecn == b->has_ecn && a->ect0 == b->ect0 &&
           a->ect1 == b->ect1 && a->ce == b->ce;
}

bool codec_frame_equal(const struct vly_frame *a, const struct vly_frame *b)
{
    if (a->type != b->type || a->eliciting != b->eliciting)
        return false;
    switch ((enum vly_frame_type)a->type) {
    case VLY_FRAME_PADDING:
    case VLY_FRAME_PING:
        return true;
    case VLY_FRAME_ACK:
    case VLY_FRAME_ACK_ECN:
        return ack_equal(&a->ack, &b->ack);
    case VLY_FRAME_FLOOR:
        return a->floor == b->floor;
    case VLY_FRAME_STREAM:
    case VLY_FRAME_STREAM_FIN:
        return a->stream.id == b->stream.id && a->stream.offset == b->stream.offset &&
               a->stream.fin == b->stream.fin && span_equal(a->stream.data, b->stream.data);
    case VLY_FRAME_RESET_STREAM:
        return a->reset.id == b->reset.id && a->reset.code == b->reset.code &&
               a->reset.final_bytes == b->reset.final_bytes;
    case VLY_FRAME_STOP_SENDING:
        return a->stop.id == b->stop.id && a->stop.code == b->stop.code;
    case VLY_FRAME_MAX_DATA:
    case VLY_FRAME_MAX_STREAM_DATA:
    case VLY_FRAME_MAX_STREAMS:
        return a->max.id == b->max.id && a->max.limit == b->max.limit;
    case VLY_FRAME_PATH_CHALLENGE:
    case VLY_FRAME_PATH_RESPONSE:
        return memcmp(a->path, b->path, sizeof(a->path)) == 0;
    case VLY_FRAME_CLOSE:
    case VLY_FRAME_CLOSE_APP:
        return a->close.code == b->close.code && span_equal(a->close.reason, b->close.reason);
    }
    return false;
}

static void check_spans(const struct vly_frame *f, const struct vly_rd *before)
{
    if (f->type == VLY_FRAME_STREAM || f->type == VLY_FRAME_STREAM_FIN) {
        assert(lies_in(f->stream.data, before));
        assert(f->stream.offset + f->stream.data.len <= VLY_VARINT_MAX); /* RULE 36 */
    } else if (f->type == VLY_FRAME_CLOSE || f->type == VLY_FRAME_CLOSE_APP) {
        assert(lies_in(f->close.reason, before) && f->close.reason.len <= VLY_REASON_MAX);
    }
}

/* `len`: bytes `f` took; its shortest encoding takes no more. */
static void check_identity(const struct vly_frame *f, size_t len)
{
    uint8_t *buf = malloc(len);
    struct vly_wr w;
    struct vly_rd r;
    struct vly_frame again;
    int err;

    assert(buf != NULL);
    w = vly_wr_init(buf, len);
    codec_frame_encode(&w, f);
    assert(!w.failed);
    r = vly_rd_init(buf, vly_wr_len(&w));
    err = vly_frame_decode(&again, &r);
    assert(err == 0 && vly_rd_left(&r) == 0 && codec_frame_equal(f, &again));
    (void)err;
    free(buf);
}

size_t codec_frames_exercise(struct vly_span in)
{
    struct vly_rd r = vly_rd_init(in.data, in.len);
    struct vly_frame f;
    size_t n = 0;

    while (vly_rd_left(&r) > 0) {
        struct vly_rd before = r;

        if (vly_frame_decode(&f, &r) != 0) {
            assert(r.failed);
            return n;
        }
        assert(r.pos > before.pos);
        check_spans(&f, &before);
        check_identity(&f, (size_t)(r.pos - before.pos));
        n++;
    }
    return n;
}

/* Decodes into `*p`, encodes to `w`. Returns the decoder's answer. */
static int params_again(struct vly_span in)
{
    struct vly_params p;
    struct vly_params again;
    uint8_t buf[256];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    int err = vly_params_decode(&p, in);

    if (err != 0)
        return err;
    vly_params_encode(&w, &p);
    assert(!w.failed);
    err = vly_params_decode(&again, (struct vly_span){buf, vly_wr_len(&w)});
    assert(err == 0 && memcmp(&p, &again, sizeof(p)) == 0);
    return err;
}

static int hello_again(struct vly_wr *w, struct vly_span in)
{
    struct vly_hello p;
    int err = vly_hello_decode(&p, in);

    if (err == 0) {
        (void)params_again(p.params);
        vly_hello_encode(w, &p);
    }
    return err;
}

static int retry_again(struct vly_wr *w, struct vly_span in)
{
    struct vly_retry p;
    int err = vly_retry_decode(&p, in);

    if (err == 0)
        vly_retry_encode(w, &p);
    return err;
}

static int accept_again(struct vly_wr *w, struct vly_span in)
{
    struct vly_accept p;
    int err = vly_accept_decode(&p, in);

    if (err == 0) {
        (void)params_again(p.params);
        vly_accept_encode(w, &p);
    }
    return err;
}

static int finish_again(struct vly_wr *w, struct vly_span in)
{
    struct vly_finish p;
    int err = vly_finish_decode(&p, in);

    if (err == 0)
        vly_finish_encode(w, &p);
    return err;
}

/* The encoder offers version 1 alone: other lists are only decoded. */
static int versions_again(struct vly_wr *w, struct vly_span in)
{
    struct vly_versions p;
    int err = vly_versions_decode(&p, in);

    if (err == 0 && p.versions.len == 4 && vly_load_u32(p.versions.data) == VLY_VERSION_1)
        vly_versions_encode(w, p.client_cid);
    else
        vly_wr_bytes(w, in.data, in.len);
    return err;
}

static int unknown_again(struct vly_wr *w, struct vly_span in)
{
    struct vly_unknown p;
    int err = vly_unknown_decode(&p, in);

    if (err == 0)
        vly_unknown_encode(w, &p);
    return err;
}

static int refuse_again(struct vly_wr *w, struct vly_span in)
{
    struct vly_refuse p;
    int err = vly_refuse_decode(&p, in);

    if (err == 0)
        vly_refuse_encode(w, &p);
    return err;
}

static int data_again(struct vly_wr *w, struct vly_span in)
{
    struct vly_data_header p;
    int err = vly_data_header_decode(&p, in);

    if (err == 0) {
        struct vly_span frames = {in.data + VLY_DATA_HEADER_BYTES, in.len - VLY_DATA_HEADER_BYTES};

        (void)codec_frames_exercise(frames);
        vly_data_header_encode(w, &p);
        vly_wr_bytes(w, frames.data, frames.len);
    }
    return err;
}

static int packet_again(struct vly_wr *w, struct vly_span in)
{
    switch (in.len > 0 ? in.data[0] : 0) {
    case VLY_PACKET_HELLO:
        return hello_again(w, in);
    case VLY_PACKET_RETRY:
        return retry_again(w, in);
    case VLY_PACKET_ACCEPT:
        return accept_again(w, in);
    case VLY_PACKET_FINISH:
        return finish_again(w, in);
    case VLY_PACKET_VERSIONS:
        return versions_again(w, in);
    case VLY_PACKET_UNKNOWN:
        return unknown_again(w, in);
    case VLY_PACKET_REFUSE:
        return refuse_again(w, in);
    case VLY_PACKET_DATA:
    case VLY_PACKET_DATA | VLY_KEY_PHASE_BIT:
        return data_again(w, in);
    default:
        return VLY_E_MALFORMED;
    }
}

/* Everything in a packet but the code of REFUSE and the length of its reason has one encoding. */
static bool same_again(struct vly_span in, struct vly_span out)
{
    if (in.data[0] == VLY_PACKET_REFUSE)
        return out.len <= in.len;
    if (in.data[0] == VLY_PACKET_HELLO && out.len < in.len) /* more padding than needed */
        in.len = out.len;
    return span_equal(in, out);
}

int codec_packet_exercise(struct vly_span in)
{
    size_t cap = in.len + VLY_TAG_BYTES;
    uint8_t *buf = malloc(cap);
    struct vly_wr w;
    int err;

    assert(buf != NULL);
    w = vly_wr_init(buf, cap);
    err = packet_again(&w, in);
    assert(err != 0 || !w.failed);
    assert(err != 0 || same_again(in, (struct vly_span){buf, vly_wr_len(&w)}));
    free(buf);
    return err;
}
