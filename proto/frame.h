/*
 * frame - the frames of SPEC 4, encode beside decode.
 *
 * A decoder reads one frame at a time from a sticky reader; spans are borrowed from the packet.
 * An ACK is decoded lazily: its ranges stay encoded and are walked with vly_ack_next, so that work
 * depends on the bytes received and never on how wide a range claims to be (RULE 19).
 * Cost: proportional to the bytes of the frame without stream data; no allocation, no copy.
 */
#ifndef VLY_PROTO_FRAME_H
#define VLY_PROTO_FRAME_H

#include "rangeset.h"
#include "wire.h"

#define VLY_ACK_RANGES_MAX 256

enum vly_frame_type {
#define VLY_FRAME(name, value, eliciting) VLY_FRAME_##name = (value),
#include "frame.def"
#undef VLY_FRAME
};

#define VLY_FRAME_TYPES 0x1e /* all types are below: the size of an array of counters */

/* The name in SPEC 4's table, "?" for a type that is not in it; static. */
const char *vly_frame_name(uint8_t type);

enum vly_close_code {
#define VLY_CLOSE_CODE(name, value, text) VLY_CLOSE_##name = (value),
#include "closecode.def"
#undef VLY_CLOSE_CODE
};

/* For a person; "unknown reason" for a code that is not in SPEC 8; static. */
const char *vly_close_code_text(uint64_t code);

struct vly_ack {
    uint64_t largest;
    uint64_t delay_us;
    uint64_t kernel_drops;
    uint64_t first;      /* packets below `largest` in the first range */
    uint32_t more;       /* further ranges, less than VLY_ACK_RANGES_MAX */
    struct vly_rd pairs; /* their (gap, length) pairs, checked to be valid; borrowed */
    bool has_ecn;
    uint64_t ect0, ect1, ce;
};

struct vly_frame {
    uint8_t type;   /* enum vly_frame_type */
    bool eliciting; /* SPEC 4 */
    union {
        struct vly_ack ack;
        uint64_t floor;
        struct {
            uint64_t id;
            uint64_t offset;
            struct vly_span data;
            bool fin;
        } stream;
        struct {
            uint64_t id, code, final_bytes;
        } reset;
        struct {
            uint64_t id, code;
        } stop;
        struct {
            uint64_t id; /* MAX_STREAM_DATA only */
            uint64_t limit;
        } max; /* MAX_DATA, MAX_STREAM_DATA, MAX_STREAMS */
        uint8_t path[8];
        struct {
            uint64_t code;
            struct vly_span reason;
        } close;
    };
};

/* Decodes the next frame. A run of PADDING counts as one frame. Returns 0 or VLY_E_MALFORMED
 * (unknown type, cut short, out of limits; RULE 14), also when nothing is left to read. The ranges
 * of an ACK are validated as a whole here. */
VLY_MUST_USE int vly_frame_decode(struct vly_frame *f, struct vly_rd *r);

/* Walks the ranges of a decoded ACK from the newest to the oldest. */
struct vly_ack_iter {
    struct vly_rd pairs;  /* borrowed from the packet */
    struct vly_range cur; /* what the next call gives */
    uint32_t left;        /* ranges still to give, `cur` included */
};
void vly_ack_iter_init(struct vly_ack_iter *it, const struct vly_ack *ack);
/* Fills the half-open `out`; returns false when there is no further range. */
bool vly_ack_next(struct vly_ack_iter *it, struct vly_range *out);

/* Encoders. Each writes one frame, or sets w->failed when it does not fit; values above
 * VLY_VARINT_MAX are asserted. PADDING is vly_wr_zeros. */
void vly_frame_ping_encode(struct vly_wr *w);
void vly_frame_floor_encode(struct vly_wr *w, uint64_t floor);
void vly_frame_reset_encode(struct vly_wr *w, uint64_t id, uint64_t code, uint64_t final_bytes);
void vly_frame_stop_encode(struct vly_wr *w, uint64_t id, uint64_t code);
void vly_frame_max_data_encode(struct vly_wr *w, uint64_t limit);
void vly_frame_max_stream_data_encode(struct vly_wr *w, uint64_t id, uint64_t limit);
void vly_frame_max_streams_encode(struct vly_wr *w, uint64_t count);
/* `type`: PATH_CHALLENGE or PATH_RESPONSE. */
void vly_frame_path_encode(struct vly_wr *w, enum vly_frame_type type, const uint8_t data[8]);
/* `type`: CLOSE or CLOSE_APP. A reason of more than VLY_REASON_MAX bytes is cut. */
void vly_frame_close_encode(struct vly_wr *w, enum vly_frame_type type, uint64_t code,
                            struct vly_span reason);
/* The bytes a STREAM frame takes besides its data, for data of `len`. */
size_t vly_frame_stream_overhead(uint64_t id, uint64_t offset, size_t len);
/* Writes the header of a STREAM frame; the caller then writes exactly `len` bytes of data itself.
 * `offset + len` is at most VLY_VARINT_MAX (asserted; RULE 36). */
void vly_frame_stream_header_encode(struct vly_wr *w, uint64_t id, uint64_t offset, size_t len,
                                    bool fin);
/* What an ACK to be sent says. `ranges`: ascending, disjoint and not touching, at least one. */
struct vly_ack_fields {
    const struct vly_range *ranges;
    size_t n_ranges;
    uint64_t delay_us;
    uint64_t kernel_drops;
    bool has_ecn;
    uint64_t ect0, ect1, ce;
};
/* Writes as many of the newest ranges as fit into w's room and VLY_ACK_RANGES_MAX allows (RULE 19);
 * sets w->failed when not even one fits. */
void vly_frame_ack_encode(struct vly_wr *w, const struct vly_ack_fields *a);

#endif
