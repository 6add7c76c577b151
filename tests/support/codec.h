/*
 * codec - puts whatever decodes to the test: for properties and fuzzers alike.
 *
 * What a decoder accepts must lie within its input, must be walkable, and must come out equal when
 * it is encoded and decoded again. A contradiction aborts (assert), which a fuzzer reports as well
 * as a test does.
 */
#ifndef VLY_TESTS_CODEC_H
#define VLY_TESTS_CODEC_H

#include "proto/frame.h"
#include "proto/packet.h"

/* Writes `f` as its encoder does; PADDING as one byte. */
void codec_frame_encode(struct vly_wr *w, const struct vly_frame *f);
/* Equal in all fields, down to the ranges and the bytes that are pointed to. */
bool codec_frame_equal(const struct vly_frame *a, const struct vly_frame *b);
/* Decodes the frames of `in` until one is malformed; returns how many were not. */
size_t codec_frames_exercise(struct vly_span in);
/* Decodes the packet `in` (without its tag) as what its first byte says it is. */
int codec_packet_exercise(struct vly_span in);

#endif
