/*
 * parts - see parts.h. What they work on is static: there is one of each, and one thread.
 */
#include "bench/micro/parts.h"

#include "bench/micro/pair.h"
#include "net/memory.h"
#include "proto/frame.h"
#include "proto/packet.h"
#include "proto/sentlog.h"

#define STREAM_FRAME_BYTES 1439 /* in a datagram of 1472 bytes */
#define HOLES 100

static uint8_t packet[1472];
static volatile uint64_t sink; /* what is computed is used */

/* ---- codec ---- */

static size_t write_stream_packet(uint64_t pn)
{
    struct vly_wr w = vly_wr_init(packet, sizeof(packet));
    uint64_t offset = pn * STREAM_FRAME_BYTES;

    vly_data_header_encode(&w, &(struct vly_data_header){.cid = 0x1122334455667788, .pn = pn});
    vly_frame_stream_header_encode(&w, 4, offset, 1400, false);
    return vly_wr_len(&w);
}

static void encode_packets(void)
{
    for (uint64_t pn = 0; pn < MICRO_PARTS_AT_ONCE; pn++)
        sink = write_stream_packet((1 << 20) + pn);
}

static void decode_packets(void)
{
    size_t len = write_stream_packet(1 << 20) + 1400;

    for (unsigned i = 0; i < MICRO_PARTS_AT_ONCE; i++) {
        struct vly_span in = {packet, len};
        struct vly_data_header header;
        struct vly_frame frame;
        struct vly_rd r;

        micro_must(vly_data_header_decode(&header, in) == 0);
        r = vly_rd_init(packet + VLY_DATA_HEADER_BYTES, len - VLY_DATA_HEADER_BYTES);
        micro_must(vly_frame_decode(&frame, &r) == 0);
        sink = header.pn + frame.stream.offset;
    }
}

static size_t write_ack(size_t n_ranges)
{
    static struct vly_range ranges[HOLES + 1];
    struct vly_wr w = vly_wr_init(packet, sizeof(packet));

    for (size_t i = 0; i < n_ranges; i++)
        ranges[i] = (struct vly_range){(1 << 20) + 50 * i, (1 << 20) + 50 * i + 44};
    vly_frame_ack_encode(
        &w, &(struct vly_ack_fields){.ranges = ranges, .n_ranges = n_ranges, .delay_us = 20});
    return vly_wr_len(&w);
}

static void read_acks(size_t n_ranges)
{
    size_t len = write_ack(n_ranges);

    for (unsigned i = 0; i < MICRO_PARTS_AT_ONCE; i++) {
        struct vly_rd r = vly_rd_init(packet, len);
        struct vly_ack_iter it;
        struct vly_range range;
        struct vly_frame frame;

        micro_must(vly_frame_decode(&frame, &r) == 0);
        vly_ack_iter_init(&it, &frame.ack);
        while (vly_ack_next(&it, &range))
            sink = range.begin;
    }
}

static void encode_ack(void)
{
    for (unsigned i = 0; i < MICRO_PARTS_AT_ONCE; i++)
        sink = write_ack(1);
}

static void encode_holes(void)
{
    for (unsigned i = 0; i < MICRO_PARTS_AT_ONCE; i++)
        sink = write_ack(HOLES + 1);
}

static void decode_ack(void)
{
    read_acks(1);
}

static void decode_holes(void)
{
    read_acks(HOLES + 1);
}

/* ---- sets of ranges ---- */

static void add_in_order(void)
{
    static struct vly_rangeset set;
    static uint64_t next;

    if (set.alloc == NULL)
        vly_rangeset_init(&set, &vly_alloc_system, HOLES + 2);
    for (unsigned i = 0; i < MICRO_PARTS_AT_ONCE; i++, next++)
        micro_must(vly_rangeset_add(&set, next, next + 1) == 0);
}

/* One more hole at the top for each that falls out at the bottom. */
static void add_with_holes(void)
{
    static struct vly_rangeset set;
    static uint64_t next = 2 * HOLES;

    if (set.alloc == NULL) {
        vly_rangeset_init(&set, &vly_alloc_system, HOLES + 2);
        for (uint64_t v = 0; v < next; v += 2)
            micro_must(vly_rangeset_add(&set, v, v + 1) == 0);
    }
    for (unsigned i = 0; i < MICRO_PARTS_AT_ONCE; i++, next += 2) {
        micro_must(vly_rangeset_add(&set, next, next + 1) == 0);
        vly_rangeset_trim(&set, next - 2 * HOLES);
    }
}

/* ---- the ring of what was sent ---- */

static void record_and_settle(void)
{
    static struct vly_sentlog log;
    static uint64_t now_ns;
    uint64_t first;

    if (log.alloc == NULL)
        vly_sentlog_init(&log, &vly_alloc_system, 1);
    first = log.next;
    now_ns += VLY_US(50);
    for (unsigned i = 0; i < MICRO_PARTS_AT_ONCE; i++) {
        struct vly_sent_item item = {
            .kind = VLY_ITEM_STREAM, .offset = STREAM_FRAME_BYTES * i, .len = STREAM_FRAME_BYTES};
        struct vly_sent *s;

        micro_must(vly_sentlog_reserve(&log, 1) == 0);
        s = vly_sentlog_append(&log, VLY_SENT_IN_FLIGHT, now_ns, sizeof(packet));
        vly_sentlog_add_item(&log, s, &item);
    }
    for (uint64_t pn = first; pn < log.next; pn++)
        vly_sentlog_settle(&log, vly_sentlog_at(&log, pn), VLY_SENT_ACKED);
    vly_sentlog_mark_acked(&log, first, log.next);
    vly_sentlog_trim(&log, now_ns);
}

const struct micro_part micro_parts[] = {
    {"DATA with STREAM", "encode", encode_packets},
    {"DATA with STREAM", "decode", decode_packets},
    {"ACK, one range", "encode", encode_ack},
    {"ACK, one range", "decode", decode_ack},
    {"ACK, 101 ranges", "encode", encode_holes},
    {"ACK, 101 ranges", "decode", decode_holes},
    {"rangeset", "in order", add_in_order},
    {"rangeset", "100 holes", add_with_holes},
    {"sent packet", "and settled", record_and_settle},
};

const size_t micro_parts_n = sizeof(micro_parts) / sizeof(micro_parts[0]);
