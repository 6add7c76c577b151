/*
 * Codecs under random values, random bytes and damage.
 *
 * Each input lies in an allocation of exactly its size, so that a sanitizer sees an over-read.
 * What is accepted is put to the test by support/codec.h: in bounds, walkable, equal when encoded
 * and decoded again. RULE 14: anything else is an error, never a crash. RULE 36: no offset beyond
 * 2^62 - 1 gets through.
 */
#include "support/codec.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#define RANDOM_FRAMES 20000
#define RANDOM_INPUTS 20000
#define FRAME_MAX 4096

static const uint8_t frame_types[] = {
#define VLY_FRAME(name, value, eliciting) (value),
#include "proto/frame.def"
#undef VLY_FRAME
};

/* Runs `exercise` over a copy of exactly `len` bytes. */
static void exercise_exactly(const uint8_t *data, size_t len)
{
    uint8_t *copy = test_exact_copy(data, len);

    (void)codec_frames_exercise((struct vly_span){copy, len});
    (void)codec_packet_exercise((struct vly_span){copy, len});
    free(copy);
}

/* The ranges of `ack` are `want`, which ascends. */
static void assert_ranges(const struct vly_ack *ack, const struct vly_range *want, size_t n)
{
    struct vly_ack_iter it;
    struct vly_range range;

    vly_ack_iter_init(&it, ack);
    while (n-- > 0) {
        assert_true(vly_ack_next(&it, &range));
        assert_true(range.begin == want[n].begin && range.end == want[n].end);
    }
    assert_false(vly_ack_next(&it, &range));
}

/* Writes an ACK of random ranges and compares what is decoded with them. */
static void random_ack(struct vly_wr *w, struct vly_prng *p, bool has_ecn)
{
    struct vly_range ranges[VLY_ACK_RANGES_MAX];
    struct vly_ack_fields a = {.has_ecn = has_ecn, .delay_us = test_random_varint(p)};
    uint64_t next = test_random_varint(p) >> 1;
    struct vly_frame f;
    struct vly_rd r;

    a.ranges = ranges;
    a.n_ranges = 1 + (size_t)vly_prng_below(p, vly_prng_chance(p, 0.1) ? VLY_ACK_RANGES_MAX : 4);
    for (size_t i = 0; i < a.n_ranges; i++) {
        ranges[i].begin = next;
        ranges[i].end = next + 1 + (test_random_varint(p) >> 12);
        next = ranges[i].end + 1 + (test_random_varint(p) >> 12);
    }
    a.kernel_drops = test_random_varint(p);
    if (has_ecn) {
        a.ect0 = test_random_varint(p);
        a.ect1 = test_random_varint(p);
        a.ce = test_random_varint(p);
    }
    vly_frame_ack_encode(w, &a);
    r = vly_rd_init(w->start, vly_wr_len(w));
    assert_int_equal(vly_frame_decode(&f, &r), 0);
    assert_ranges(&f.ack, ranges, a.n_ranges);
    assert_true(f.ack.delay_us == a.delay_us && f.ack.kernel_drops == a.kernel_drops);
    assert_true(f.ack.ect0 == a.ect0 && f.ack.ect1 == a.ect1 && f.ack.ce == a.ce);
}

/* A frame of random values, spans into `bytes`. */
static struct vly_frame random_frame(struct vly_prng *p, uint8_t bytes[1500])
{
    struct vly_frame f;
    uint64_t words[3] = {test_random_varint(p), test_random_varint(p), test_random_varint(p)};

    memset(&f, 0, sizeof(f));
    f.type = frame_types[vly_prng_below(p, ARRAY_LEN(frame_types))];
    if ((f.type & 0xfe) == VLY_FRAME_STREAM) {
        f.stream.data = (struct vly_span){bytes, (size_t)vly_prng_below(p, 1500)};
        f.stream.id = words[0];
        f.stream.offset = words[1] - (words[1] < f.stream.data.len ? words[1] : f.stream.data.len);
        f.stream.fin = f.type == VLY_FRAME_STREAM_FIN;
    } else if ((f.type & 0xfe) == VLY_FRAME_CLOSE) {
        f.close.code = words[0];
        f.close.reason = (struct vly_span){bytes, (size_t)vly_prng_below(p, VLY_REASON_MAX + 1)};
    } else if ((f.type & 0xfe) == VLY_FRAME_PATH_CHALLENGE) {
        memcpy(f.path, bytes, sizeof(f.path));
    } else if (f.type == VLY_FRAME_MAX_DATA || f.type == VLY_FRAME_MAX_STREAMS) {
        f.max.limit = words[0];
    } else if ((f.type & 0xfe) != VLY_FRAME_ACK) {
        f.reset.id = words[0];
        f.reset.code = words[1];
        f.reset.final_bytes = words[2];
    }
    return f;
}

/* Encodes a random frame; returns its length in `buf`. */
static size_t random_frame_bytes(struct vly_prng *p, uint8_t buf[FRAME_MAX])
{
    static uint8_t bytes[1500];
    struct vly_wr w = vly_wr_init(buf, FRAME_MAX);
    struct vly_frame f;
    struct vly_frame got;
    struct vly_rd r;

    vly_prng_fill(p, bytes, sizeof(bytes));
    f = random_frame(p, bytes);
    if ((f.type & 0xfe) == VLY_FRAME_ACK)
        random_ack(&w, p, f.type == VLY_FRAME_ACK_ECN);
    else
        codec_frame_encode(&w, &f);
    assert_false(w.failed);
    r = vly_rd_init(buf, vly_wr_len(&w));
    assert_int_equal(vly_frame_decode(&got, &r), 0);
    assert_int_equal(vly_rd_left(&r), 0);
    if ((f.type & 0xfe) != VLY_FRAME_ACK) {
        f.eliciting = got.eliciting;
        assert_true(codec_frame_equal(&f, &got));
    }
    return vly_wr_len(&w);
}

static void test_codec_random_frames_come_back_equal(void **state)
{
    uint64_t seed = test_seed();
    uint8_t buf[FRAME_MAX];

    (void)state;
    for (uint64_t i = 0; i < RANDOM_FRAMES; i++) {
        struct vly_prng p;
        size_t len;

        vly_prng_init(&p, vly_prng_fork(seed, i));
        len = random_frame_bytes(&p, buf);
        exercise_exactly(buf, len);
    }
}

static struct vly_span random_bytes(struct vly_prng *p, uint8_t *buf, size_t lowest, size_t highest)
{
    struct vly_span s = {buf, lowest + (size_t)vly_prng_below(p, highest - lowest + 1)};

    vly_prng_fill(p, buf, s.len);
    return s;
}

static struct vly_params random_params(struct vly_prng *p)
{
    struct vly_params params;

    vly_params_init(&params);
    params.max_data_bytes = test_random_varint(p);
    params.max_stream_data_bytes = test_random_varint(p);
    params.max_streams = test_random_varint(p) >> 2;
    params.idle_timeout_ms = 1000 + vly_prng_below(p, 599001);
    params.max_ack_delay_us = vly_prng_below(p, 1000001);
    params.max_datagram_bytes = 1200 + vly_prng_below(p, 64308);
    params.has_reset_token = vly_prng_chance(p, 0.5);
    if (params.has_reset_token)
        vly_prng_fill(p, params.reset_token, sizeof(params.reset_token));
    params.application_len = (uint8_t)vly_prng_below(p, VLY_APPLICATION_MAX + 1);
    vly_prng_fill(p, params.application, params.application_len);
    return params;
}

/* HELLO or ACCEPT with random fields, checked field by field where the bytes do not tell. */
static void random_opening(struct vly_prng *p, struct vly_wr *w)
{
    uint8_t buf[4][512];
    struct vly_params params = random_params(p);
    struct vly_wr pw = vly_wr_init(buf[0], sizeof(buf[0]));
    struct vly_params got;
    struct vly_span encoded;

    vly_params_encode(&pw, &params);
    encoded = (struct vly_span){buf[0], vly_wr_len(&pw)};
    assert_int_equal(vly_params_decode(&got, encoded), 0);
    assert_memory_equal(&got, &params, sizeof(got));
    if (vly_prng_chance(p, 0.5)) {
        struct vly_hello h = {VLY_VERSION_1,
                              vly_prng_u64(p) | 1,
                              random_bytes(p, buf[1], 1, VLY_SUITES_MAX),
                              random_bytes(p, buf[2], 0, VLY_COOKIE_MAX),
                              random_bytes(p, buf[3], 0, 512),
                              encoded};

        vly_hello_encode(w, &h);
    } else {
        struct vly_accept a = {vly_prng_u64(p) | 1,
                               vly_prng_u64(p) | 1,
                               (uint32_t)vly_prng_u64(p),
                               (uint8_t)vly_prng_u64(p),
                               random_bytes(p, buf[3], 0, 512),
                               encoded};

        vly_accept_encode(w, &a);
    }
}

static void random_answer(struct vly_prng *p, struct vly_wr *w)
{
    uint8_t buf[VLY_REASON_MAX];
    uint64_t cid = vly_prng_u64(p) | 1;
    struct vly_unknown unknown = {.server_cid = cid};

    switch (vly_prng_below(p, 5)) {
    case 0:
        vly_retry_encode(w, &(struct vly_retry){cid, random_bytes(p, buf, 1, VLY_COOKIE_MAX)});
        break;
    case 1:
        vly_versions_encode(w, cid);
        break;
    case 2:
        vly_finish_encode(w, &(struct vly_finish){cid, random_bytes(p, buf, 1, sizeof(buf))});
        break;
    case 3:
        vly_prng_fill(p, unknown.token, sizeof(unknown.token));
        vly_unknown_encode(w, &unknown);
        break;
    default:
        vly_refuse_encode(w, &(struct vly_refuse){cid, test_random_varint(p),
                                                  random_bytes(p, buf, 0, VLY_REASON_MAX)});
    }
}

static void random_data(struct vly_prng *p, struct vly_wr *w)
{
    uint8_t frame[FRAME_MAX];
    uint64_t frames = 1 + vly_prng_below(p, 4);
    struct vly_data_header h = {vly_prng_chance(p, 0.5), vly_prng_u64(p) | 1,
                                test_random_varint(p)};

    vly_data_header_encode(w, &h);
    for (uint64_t i = 0; i < frames; i++)
        vly_wr_bytes(w, frame, random_frame_bytes(p, frame));
}

/* Encodes a random packet; returns its length in `buf`. */
static size_t random_packet_bytes(struct vly_prng *p, uint8_t *buf, size_t cap)
{
    struct vly_wr w = vly_wr_init(buf, cap);

    switch (vly_prng_below(p, 3)) {
    case 0:
        random_opening(p, &w);
        break;
    case 1:
        random_answer(p, &w);
        break;
    default:
        random_data(p, &w);
    }
    assert_false(w.failed);
    return vly_wr_len(&w);
}

static void test_codec_random_packets_come_back_equal(void **state)
{
    static uint8_t buf[5 * FRAME_MAX];
    uint64_t seed = test_seed();

    (void)state;
    for (uint64_t i = 0; i < RANDOM_INPUTS / 10; i++) {
        struct vly_prng p;
        size_t len;

        vly_prng_init(&p, vly_prng_fork(seed, i));
        len = random_packet_bytes(&p, buf, sizeof(buf));
        assert_int_equal(codec_packet_exercise((struct vly_span){buf, len}), 0);
    }
}

/* Bytes that mean nothing, yet often begin like something. */
static void test_codec_random_bytes_never_crash(void **state)
{
    uint64_t seed = test_seed();
    uint8_t buf[1300];

    (void)state;
    for (uint64_t i = 0; i < RANDOM_INPUTS; i++) {
        struct vly_prng p;
        size_t len;

        vly_prng_init(&p, vly_prng_fork(seed, i));
        len = (size_t)vly_prng_below(&p, vly_prng_chance(&p, 0.1) ? sizeof(buf) : 60);
        vly_prng_fill(&p, buf, sizeof(buf));
        if (vly_prng_chance(&p, 0.5))
            buf[0] = frame_types[vly_prng_below(&p, ARRAY_LEN(frame_types))];
        if (vly_prng_chance(&p, 0.3)) /* small numbers get further */
            for (size_t k = 1; k < sizeof(buf); k++)
                buf[k] &= 0x0f;
        exercise_exactly(buf, len);
    }
}

/* All truncations and all single-bit flips of `data`. */
static void damage(const uint8_t *data, size_t len)
{
    uint8_t *copy = test_exact_copy(data, len);

    for (size_t cut = 0; cut < len; cut++)
        exercise_exactly(data, cut);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)codec_frames_exercise((struct vly_span){copy, len});
        (void)codec_packet_exercise((struct vly_span){copy, len});
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(copy);
}

static void test_codec_damaged_vectors(void **state)
{
    static const char *const files[] = {"packets.txt", "frames.txt"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct test_vectors vectors = test_vectors_load(files[i]);
        size_t tag = i == 0 ? VLY_TAG_BYTES : 0;

        for (size_t k = 0; k < vectors.n; k++)
            damage(vectors.v[k].bytes.data, vectors.v[k].bytes.len - tag);
        test_vectors_free(&vectors);
    }
}

static void test_codec_damaged_random_frames_and_packets(void **state)
{
    static uint8_t buf[5 * FRAME_MAX];
    uint64_t seed = test_seed();

    (void)state;
    for (uint64_t i = 0; i < 60; i++) {
        struct vly_prng p;
        size_t len;

        vly_prng_init(&p, vly_prng_fork(seed, i));
        len = i % 2 == 0 ? random_frame_bytes(&p, buf) : random_packet_bytes(&p, buf, sizeof(buf));
        damage(buf, len < 1500 ? len : 1500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec_random_frames_come_back_equal),
        cmocka_unit_test(test_codec_random_packets_come_back_equal),
        cmocka_unit_test(test_codec_random_bytes_never_crash),
        cmocka_unit_test(test_codec_damaged_vectors),
        cmocka_unit_test(test_codec_damaged_random_frames_and_packets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
