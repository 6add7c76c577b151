#include "support/codec.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

static struct test_vectors vectors;

static int load_vectors(void **state)
{
    (void)state;
    vectors = test_vectors_load("frames.txt");
    return 0;
}

static int free_vectors(void **state)
{
    (void)state;
    test_vectors_free(&vectors);
    return 0;
}

/* Decodes the vector, which is one frame. Spans in the result point into the vector. */
static struct vly_frame decoded(const char *name)
{
    struct vly_span in = test_vectors_find(&vectors, name);
    struct vly_rd r = vly_rd_init(in.data, in.len);
    struct vly_frame f;

    print_message("  %s\n", name);
    assert_int_equal(vly_frame_decode(&f, &r), 0);
    assert_int_equal(vly_rd_left(&r), 0);
    return f;
}

/* The encoders write the vector again. */
static void assert_encodes_to(const struct vly_frame *f, const char *name)
{
    struct vly_span want = test_vectors_find(&vectors, name);
    uint8_t buf[64];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));

    codec_frame_encode(&w, f);
    assert_false(w.failed);
    assert_int_equal(vly_wr_len(&w), want.len);
    assert_memory_equal(buf, want.data, want.len);
}

static void test_frame_every_vector_is_encoded_again(void **state)
{
    (void)state;
    assert_int_equal(vectors.n, 18);
    for (size_t i = 0; i < vectors.n; i++) {
        struct vly_frame f = decoded(vectors.v[i].name);

        assert_encodes_to(&f, vectors.v[i].name);
    }
}

static void test_frame_table(void **state)
{
    static const struct {
        uint8_t type;
        const char *name;
        bool eliciting;
    } table[] = {
#define VLY_FRAME(name, value, eliciting) {(value), #name, (eliciting)},
#include "proto/frame.def"
#undef VLY_FRAME
    };
    bool seen[256] = {false};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        assert_string_equal(vly_frame_name(table[i].type), table[i].name);
        seen[table[i].type] = true;
    }
    for (unsigned type = 0; type < 256; type++)
        if (!seen[type])
            assert_string_equal(vly_frame_name((uint8_t)type), "?");
    for (size_t i = 0; i < vectors.n; i++) {
        struct vly_frame f = decoded(vectors.v[i].name);

        for (size_t k = 0; k < ARRAY_LEN(table); k++)
            if (table[k].type == f.type)
                assert_int_equal(f.eliciting, table[k].eliciting);
    }
}

static void test_frame_close_code_texts(void **state)
{
    (void)state;
    assert_string_equal(vly_close_code_text(VLY_CLOSE_NO_ERROR), "finished");
    assert_string_equal(vly_close_code_text(VLY_CLOSE_TIMEOUT), "no answer in time");
    assert_string_equal(vly_close_code_text(VLY_CLOSE_ACCESS + 1), "unknown reason");
    assert_string_equal(vly_close_code_text(UINT64_C(1) << 32), "unknown reason");
}

static void test_frame_stream_fields(void **state)
{
    struct vly_frame f = decoded("stream");

    (void)state;
    assert_int_equal(f.stream.id, 4);
    assert_int_equal(f.stream.offset, 1048576);
    assert_int_equal(f.stream.data.len, 6);
    assert_memory_equal(f.stream.data.data, "volley", 6);
    assert_false(f.stream.fin);
    f = decoded("stream_fin");
    assert_int_equal(f.stream.offset, 1048582);
    assert_memory_equal(f.stream.data.data, "!", 1);
    assert_true(f.stream.fin);
    f = decoded("stream_last");
    assert_true(f.stream.offset == VLY_VARINT_MAX);
    assert_int_equal(f.stream.data.len, 0);
    assert_true(f.stream.fin);
}

static void test_frame_control_fields(void **state)
{
    struct vly_frame f = decoded("floor");

    (void)state;
    assert_int_equal(f.floor, 20000);
    f = decoded("reset_stream");
    assert_int_equal(f.reset.id, 8);
    assert_int_equal(f.reset.code, 15);
    assert_int_equal(f.reset.final_bytes, 123456);
    f = decoded("stop_sending");
    assert_int_equal(f.stop.id, 8);
    assert_int_equal(f.stop.code, 15);
    f = decoded("max_data");
    assert_true(f.max.limit == UINT64_C(4294967296));
    f = decoded("max_stream_data");
    assert_int_equal(f.max.id, 4);
    assert_int_equal(f.max.limit, 16777216);
    f = decoded("max_streams");
    assert_int_equal(f.max.limit, 100);
    f = decoded("path_challenge");
    test_assert_hex(f.path, 8, "d0d1d2d3d4d5d6d7");
    f = decoded("path_response");
    assert_int_equal(f.type, VLY_FRAME_PATH_RESPONSE);
    f = decoded("close");
    assert_int_equal(f.close.code, VLY_CLOSE_FLOW_CONTROL);
    assert_int_equal(f.close.reason.len, 0);
    f = decoded("close_app");
    assert_int_equal(f.close.code, 15);
    assert_memory_equal(f.close.reason.data, "stopped", 7);
}

static void assert_ranges(const struct vly_ack *ack, const struct vly_range *want, size_t n)
{
    struct vly_ack_iter it;
    struct vly_range range;

    vly_ack_iter_init(&it, ack);
    for (size_t i = 0; i < n; i++) {
        assert_true(vly_ack_next(&it, &range));
        assert_true(range.begin == want[i].begin && range.end == want[i].end);
    }
    assert_false(vly_ack_next(&it, &range));
    assert_false(vly_ack_next(&it, &range));
}

static void test_frame_ack_fields(void **state)
{
    struct vly_frame f = decoded("ack");

    (void)state;
    assert_int_equal(f.ack.largest, 1000);
    assert_int_equal(f.ack.delay_us, 250);
    assert_int_equal(f.ack.kernel_drops, 0);
    assert_false(f.ack.has_ecn);
    assert_ranges(&f.ack, (struct vly_range[]){{0, 1001}}, 1);
    f = decoded("ack_gaps");
    assert_int_equal(f.ack.delay_us, 1500);
    assert_int_equal(f.ack.kernel_drops, 3);
    assert_ranges(&f.ack, (struct vly_range[]){{95, 100}, {80, 91}, {70, 71}}, 3);
    f = decoded("ack_ecn");
    assert_true(f.ack.has_ecn);
    assert_int_equal(f.ack.ect0, 15000);
    assert_int_equal(f.ack.ect1, 0);
    assert_int_equal(f.ack.ce, 42);
    assert_ranges(&f.ack, (struct vly_range[]){{19990, 20001}}, 1);
}

/* Decodes `hex` as one frame; returns the decoder's answer and checks that a failure sticks. */
static int decode_hex(const char *hex)
{
    struct test_bytes b = test_hex(hex);
    struct vly_rd r = vly_rd_init(b.data, b.len);
    struct vly_frame f;
    int err = vly_frame_decode(&f, &r);

    if (err == 0)
        assert_int_equal(codec_frames_exercise((struct vly_span){b.data, b.len}), 1);
    else
        assert_int_equal(vly_rd_left(&r), 0);
    free(b.data);
    return err;
}

/* RULE 14, RULE 19, RULE 36: both sides of every limit. */
static void test_frame_limits(void **state)
{
    static const struct {
        const char *name, *hex;
        int want;
    } cases[] = {
        {"nothing", "", VLY_E_MALFORMED},
        {"a run of PADDING", "00*1000", 0},
        {"ACK first below zero", "02 05 00 00 00 06", VLY_E_MALFORMED},
        {"ACK first down to zero", "02 05 00 00 00 05", 0},
        {"ACK gap below zero", "02 05 00 00 01 02 02 00", VLY_E_MALFORMED}, /* 3 - 2 - 2 */
        {"ACK gap down to zero", "02 05 00 00 01 02 01 00", 0},
        {"ACK length below zero", "02 05 00 00 01 02 00 02", VLY_E_MALFORMED},
        {"ACK length down to zero", "02 05 00 00 01 02 00 01", 0},
        {"ACK gap 2^62 - 1", "02 ff*8 00 00 01 00 ff*8 00", VLY_E_MALFORMED},
        {"ACK of 2^62 packets", "02 ff*8 00 00 00 ff*8", 0},
        {"ACK of two wide ranges", "02 ff*8 00 00 01 00 00 ff*7 fd", 0},
        {"ACK of two ranges too wide", "02 ff*8 00 00 01 00 00 ff*7 fe", VLY_E_MALFORMED},
        {"ACK with 255 further ranges", "02 4fff 00 00 40ff 00 00*510", 0},
        {"ACK with 256 further ranges", "02 4fff 00 00 4100 00 00*512", VLY_E_MALFORMED},
        {"ACK with 2^62 - 1 further ranges", "02 ff*8 00 00 ff*8 00 00*8", VLY_E_MALFORMED},
        {"ACK_ECN without its counts", "03 05 00 00 00 05 00 00", VLY_E_MALFORMED},
        {"STREAM to the last offset", "08 00 ff*7 fe 01 61", 0},
        {"STREAM beyond the last offset", "08 00 ff*8 01 61", VLY_E_MALFORMED},
        {"STREAM longer than the packet", "08 00 00 02 61", VLY_E_MALFORMED},
        {"STREAM of length 2^62 - 1", "08 00 00 ff*8 61", VLY_E_MALFORMED},
        {"reason of 128 bytes", "1c 00 4080 61*128", 0},
        {"reason of 129 bytes", "1c 00 4081 61*129", VLY_E_MALFORMED},
        {"path data cut short", "18 00*7", VLY_E_MALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  %s\n", cases[i].name);
        assert_int_equal(decode_hex(cases[i].hex), cases[i].want);
    }
}

/* RULE 14: every type that is not in SPEC 4. */
static void test_frame_unknown_types(void **state)
{
    size_t unknown = 0;

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        uint8_t data[64] = {(uint8_t)type};
        struct vly_rd r = vly_rd_init(data, sizeof(data));
        struct vly_frame f;
        bool known = strcmp(vly_frame_name((uint8_t)type), "?") != 0;

        assert_int_equal(vly_frame_decode(&f, &r), known ? 0 : VLY_E_MALFORMED);
        unknown += !known;
    }
    assert_int_equal(unknown, 256 - 16);
}

/* RULE 14: each frame cut at every byte. */
static void test_frame_cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < vectors.n; i++) {
        for (size_t len = 0; len < vectors.v[i].bytes.len; len++) {
            uint8_t *cut = test_exact_copy(vectors.v[i].bytes.data, len);
            struct vly_rd r = vly_rd_init(cut, len);
            struct vly_frame f;

            assert_int_equal(vly_frame_decode(&f, &r), VLY_E_MALFORMED);
            free(cut);
        }
    }
}

/* Each frame into every room: fails below its size, fits at it. */
static void test_frame_encode_to_small_room(void **state)
{
    (void)state;
    for (size_t i = 0; i < vectors.n; i++) {
        struct vly_frame f = decoded(vectors.v[i].name);
        size_t len = vectors.v[i].bytes.len;

        for (size_t cap = 0; cap <= len; cap++) {
            uint8_t *buf = malloc(cap + 1);
            struct vly_wr w = vly_wr_init(buf, cap);

            /* An ACK with gaps fits into less by leaving out its oldest ranges. */
            codec_frame_encode(&w, &f);
            if (strcmp(vectors.v[i].name, "ack_gaps") != 0 || cap < 8)
                assert_int_equal(w.failed, cap < len);
            assert_true(vly_wr_len(&w) <= cap);
            free(buf);
        }
    }
}

static void test_frame_stream_overhead(void **state)
{
    static const uint64_t values[] = {0, 63, 64, 16383, 16384, 1073741823, 1073741824};
    uint8_t buf[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        for (size_t k = 0; k < ARRAY_LEN(values); k++) {
            struct vly_wr w = vly_wr_init(buf, sizeof(buf));
            size_t len = (size_t)values[ARRAY_LEN(values) - 1 - k];

            vly_frame_stream_header_encode(&w, values[i], values[k], len, false);
            assert_int_equal(vly_frame_stream_overhead(values[i], values[k], len), vly_wr_len(&w));
        }
}

static void test_frame_close_reason_is_cut_between_characters(void **state)
{
    static const struct {
        const char *name, *reason; /* in the notation of test_hex */
        size_t want_len;
    } cases[] = {
        {"128 ASCII letters stay", "61*128", 128},
        {"129 are cut", "61*129", 128},
        {"a two-byte character across the limit goes", "61*127 c3a9 61", 127},
        {"one just before it stays", "61*126 c3a9 61", 128},
        {"a four-byte character across the limit goes", "61*125 f09f9880 61", 125},
        {"continuation bytes without a beginning", "80*200", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes b = test_hex(cases[i].reason);
        uint8_t buf[160];
        struct vly_wr w = vly_wr_init(buf, sizeof(buf));
        struct vly_rd r;
        struct vly_frame f;

        print_message("  %s\n", cases[i].name);
        vly_frame_close_encode(&w, VLY_FRAME_CLOSE, 0, (struct vly_span){b.data, b.len});
        r = vly_rd_init(buf, vly_wr_len(&w));
        assert_int_equal(vly_frame_decode(&f, &r), 0);
        assert_int_equal(f.close.reason.len, cases[i].want_len);
        assert_memory_equal(f.close.reason.data, b.data, cases[i].want_len);
        free(b.data);
    }
}

/* Writes an ACK of `n` single numbers, 0 2 4 ..., into `cap` bytes; returns how many ranges it
 * then names, 0 when it does not fit at all. */
static size_t ranges_in_room(size_t n, size_t cap, bool has_ecn)
{
    struct vly_range ranges[300];
    struct vly_ack_fields fields = {.ranges = ranges, .n_ranges = n, .has_ecn = has_ecn};
    uint8_t *buf = malloc(cap);
    struct vly_wr w = vly_wr_init(buf, cap);
    struct vly_rd r;
    struct vly_frame f;

    for (size_t i = 0; i < n; i++)
        ranges[i] = (struct vly_range){2 * i, 2 * i + 1};
    vly_frame_ack_encode(&w, &fields);
    if (w.failed) {
        free(buf);
        return 0;
    }
    r = vly_rd_init(buf, vly_wr_len(&w));
    assert_int_equal(vly_frame_decode(&f, &r), 0);
    assert_int_equal(f.ack.largest, 2 * n - 2); /* the newest stay */
    free(buf);
    return f.ack.more + 1;
}

/* RULE 19: the newest ranges that fit, at most 256. A fixed part of 6 bytes (9 with ECN), one more
 * when the largest number or the count needs two, and 2 bytes a range. */
static void test_frame_ack_takes_the_newest_that_fit(void **state)
{
    static const struct {
        size_t n, cap;
        bool has_ecn;
        size_t want;
    } cases[] = {
        {1, 5, false, 0},          {1, 6, false, 1},       {3, 7, false, 1},
        {3, 8, false, 2},          {3, 9, false, 2},       {3, 10, false, 3},
        {3, 8, true, 0},           {3, 9, true, 1},        {3, 11, true, 2},
        {300, 7 + 126, false, 64}, /* 63 further ranges: the count is still one byte */
        {300, 7 + 128, false, 64}, /* with 64 it would take two */
        {300, 8 + 128, false, 65}, {300, 517, false, 255}, {300, 518, false, 256},
        {300, 2000, false, 256},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  %zu ranges into %zu bytes\n", cases[i].n, cases[i].cap);
        assert_int_equal(ranges_in_room(cases[i].n, cases[i].cap, cases[i].has_ecn), cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_every_vector_is_encoded_again),
        cmocka_unit_test(test_frame_table),
        cmocka_unit_test(test_frame_close_code_texts),
        cmocka_unit_test(test_frame_stream_fields),
        cmocka_unit_test(test_frame_control_fields),
        cmocka_unit_test(test_frame_ack_fields),
        cmocka_unit_test(test_frame_limits),
        cmocka_unit_test(test_frame_unknown_types),
        cmocka_unit_test(test_frame_cut_short),
        cmocka_unit_test(test_frame_encode_to_small_room),
        cmocka_unit_test(test_frame_stream_overhead),
        cmocka_unit_test(test_frame_close_reason_is_cut_between_characters),
        cmocka_unit_test(test_frame_ack_takes_the_newest_that_fit),
    };

    return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
