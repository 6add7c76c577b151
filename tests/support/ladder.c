#include "support/ladder.h"

#include "proto/frame.h"

#include <inttypes.h>
#include <stdio.h>

static void print_ack(const struct vly_ack *ack)
{
    struct vly_ack_iter it;
    struct vly_range r;

    vly_ack_iter_init(&it, ack);
    fprintf(stderr, " ACK");
    while (vly_ack_next(&it, &r))
        fprintf(stderr, " %" PRIu64 "-%" PRIu64, r.begin, r.end - 1);
    fprintf(stderr, " (%" PRIu64 " us)", ack->delay_us);
}

static void print_frame(const struct vly_frame *f)
{
    switch ((enum vly_frame_type)f->type) {
    case VLY_FRAME_ACK:
    case VLY_FRAME_ACK_ECN:
        print_ack(&f->ack);
        break;
    case VLY_FRAME_FLOOR:
        fprintf(stderr, " FLOOR %" PRIu64, f->floor);
        break;
    case VLY_FRAME_STREAM:
    case VLY_FRAME_STREAM_FIN:
        fprintf(stderr, " S%" PRIu64 " %" PRIu64 "+%zu%s", f->stream.id, f->stream.offset,
                f->stream.data.len, f->stream.fin ? " FIN" : "");
        break;
    case VLY_FRAME_MAX_DATA:
    case VLY_FRAME_MAX_STREAM_DATA:
    case VLY_FRAME_MAX_STREAMS:
        fprintf(stderr, " %s %" PRIu64, vly_frame_name(f->type), f->max.limit);
        break;
    case VLY_FRAME_CLOSE:
    case VLY_FRAME_CLOSE_APP:
        fprintf(stderr, " %s %" PRIu64, vly_frame_name(f->type), f->close.code);
        break;
    case VLY_FRAME_PADDING:
    case VLY_FRAME_PING:
    case VLY_FRAME_RESET_STREAM:
    case VLY_FRAME_STOP_SENDING:
    case VLY_FRAME_PATH_CHALLENGE:
    case VLY_FRAME_PATH_RESPONSE:
        fprintf(stderr, " %s", vly_frame_name(f->type));
        break;
    }
}

static void print_packet(struct vly_span data)
{
    struct vly_rd r = vly_rd_init(data.data, data.len);
    uint8_t type = vly_rd_u8(&r);
    struct vly_frame f;

    if ((type & ~VLY_KEY_PHASE_BIT) != VLY_PACKET_DATA) {
        fprintf(stderr, " type %02x, %zu bytes", type, data.len);
        return;
    }
    (void)vly_rd_u64(&r);
    fprintf(stderr, " #%" PRIu64, vly_rd_u64(&r));
    if (r.failed || vly_rd_left(&r) < VLY_TAG_BYTES)
        return;
    r.end -= VLY_TAG_BYTES;
    while (vly_rd_left(&r) > 0 && vly_frame_decode(&f, &r) == 0)
        print_frame(&f);
}

void ladder_print(const struct vly_world_view *v, enum ladder_fate fate)
{
    static const char *const arrows[][2] = {[LADDER_SENT] = {"|--  ", "  --|"},
                                            [LADDER_DROPPED] = {"|-X  ", "  X-|"},
                                            [LADDER_ARRIVED] = {"  ->|", "|<-  "}};

    fprintf(stderr, "%14.6f ms %s", (double)v->now_ns / 1e6, arrows[fate][v->from == 1]);
    print_packet(v->data);
    fprintf(stderr, "\n");
}
