/*
 * The messages of the file protocol: known answers, every truncation, every bit flip, and values
 * out of their range.
 */
#include "file/msg.h"
#include "support/support.h"

#include "proto/wire.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t some_hashes[32] = {1, 2, 3, [31] = 32};

#define SPAN(s)                                            \
    {                                                      \
        .data = (const uint8_t *)(s), .len = sizeof(s) - 1 \
    }

/* One of each type; `hex` written from SPEC 10.1 by hand. */
static const struct {
    const char *name;
    struct vly_msg m;
    const char *hex;
} cases[] = {
    {"START", {.type = VLY_MSG_START, .version = 1}, "01 01 01"},
    {"LIST",
     {.type = VLY_MSG_LIST, .request = 2, .recursive = 1, .path = SPAN("a/b")},
     "10 06 02 01 03 612f62"},
    {"GET",
     {.type = VLY_MSG_GET, .request = 5, .stream = 64, .path = SPAN("x")},
     "11 05 05 4040 01 78"},
    {"PUT",
     {.type = VLY_MSG_PUT,
      .request = 1,
      .stream = 4,
      .flags = 3,
      .size = 16384,
      .mode = 0644,
      .mtime_ns = 256,
      .path = SPAN("x")},
     "12 13 01 04 03 80004000 01a4 0000000000000100 01 78"},
    {"MKDIR",
     {.type = VLY_MSG_MKDIR, .request = 9, .mode = 0755, .path = SPAN("d")},
     "13 05 09 01ed 01 64"},
    {"CANCEL", {.type = VLY_MSG_CANCEL, .request = 63}, "14 01 3f"},
    {"ENTRY",
     {.type = VLY_MSG_ENTRY,
      .request = 1,
      .kind = 2,
      .size = 0,
      .mode = 0777,
      .mtime_ns = -1,
      .path = SPAN("")},
     "20 0e 01 02 00 01ff ffffffffffffffff 00"},
    {"INFO",
     {.type = VLY_MSG_INFO, .request = 1, .size = 7, .mode = 0, .mtime_ns = 0},
     "21 0c 01 07 0000 0000000000000000"},
    {"READY", {.type = VLY_MSG_READY, .request = 1}, "22 01 01"},
    {"HASHES",
     {.type = VLY_MSG_HASHES,
      .request = 1,
      .first = 3,
      .count = 2,
      .hashes = {.data = some_hashes, .len = sizeof some_hashes}},
     "30 23 01 03 02 010203 00*28 20"},
    {"END",
     {.type = VLY_MSG_END, .request = 1, .size = 2, .root = {0xaa, [15] = 0xbb}},
     "31 12 01 02 aa 00*14 bb"},
    {"DONE", {.type = VLY_MSG_DONE, .request = 1}, "32 01 01"},
    {"ERROR",
     {.type = VLY_MSG_ERROR, .request = 1, .code = 3, .text = SPAN("no")},
     "33 05 01 03 02 6e6f"},
};

static void assert_span_equal(struct vly_span a, struct vly_span b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0)
        assert_memory_equal(a.data, b.data, a.len);
}

static void assert_msg_equal(const struct vly_msg *a, const struct vly_msg *b)
{
    struct vly_msg flat_a = *a, flat_b = *b;

    assert_span_equal(a->path, b->path);
    assert_span_equal(a->hashes, b->hashes);
    assert_span_equal(a->text, b->text);
    flat_a.path = flat_a.hashes = flat_a.text = (struct vly_span){0};
    flat_b.path = flat_b.hashes = flat_b.text = (struct vly_span){0};
    assert_int_equal(flat_a.type, flat_b.type);
    assert_int_equal(flat_a.version, flat_b.version);
    assert_int_equal(flat_a.request, flat_b.request);
    assert_int_equal(flat_a.stream, flat_b.stream);
    assert_int_equal(flat_a.recursive, flat_b.recursive);
    assert_int_equal(flat_a.flags, flat_b.flags);
    assert_int_equal(flat_a.kind, flat_b.kind);
    assert_int_equal(flat_a.size, flat_b.size);
    assert_int_equal(flat_a.mode, flat_b.mode);
    assert_int_equal(flat_a.mtime_ns, flat_b.mtime_ns);
    assert_int_equal(flat_a.first, flat_b.first);
    assert_int_equal(flat_a.count, flat_b.count);
    assert_int_equal(flat_a.code, flat_b.code);
    assert_memory_equal(flat_a.root, flat_b.root, sizeof flat_a.root);
}

static void test_msg_known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t buf[VLY_MSG_MAX];
        struct vly_msg m;
        size_t len, used;

        print_message("  %s\n", cases[i].name);
        assert_string_equal(vly_msg_name(cases[i].m.type), cases[i].name);
        assert_int_equal(vly_msg_encode(&cases[i].m, buf, sizeof buf, &len), 0);
        test_assert_hex(buf, len, cases[i].hex);
        assert_int_equal(vly_msg_decode(&m, (struct vly_span){.data = buf, .len = len}, &used), 0);
        assert_int_equal(used, len);
        assert_msg_equal(&m, &cases[i].m);
    }
}

/* The beginning of a message is not yet one, and is not read beyond. */
static void test_msg_truncated_waits(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes whole = test_hex(cases[i].hex);

        for (size_t len = 0; len < whole.len; len++) {
            uint8_t *part = test_exact_copy(whole.data, len);
            struct vly_msg m;
            size_t used;

            assert_int_equal(vly_msg_decode(&m, (struct vly_span){.data = part, .len = len}, &used),
                             VLY_E_AGAIN);
            free(part);
        }
        free(whole.data);
    }
}

/* A body cut short while its length says so, or one byte too long, is malformed. */
static void test_msg_body_has_its_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes whole = test_hex(cases[i].hex);
        uint8_t changed[256] = {0};
        struct vly_msg m;
        size_t used;

        memcpy(changed, whole.data, whole.len);
        for (uint8_t body = 0; body < whole.data[1]; body++) {
            changed[1] = body;
            assert_int_equal(
                vly_msg_decode(&m, (struct vly_span){.data = changed, .len = body + 2u}, &used),
                VLY_E_MALFORMED);
        }
        changed[1] = (uint8_t)(whole.data[1] + 1);
        assert_int_equal(
            vly_msg_decode(&m, (struct vly_span){.data = changed, .len = whole.len + 1}, &used),
            VLY_E_MALFORMED);
        free(whole.data);
    }
}

/* Each single bit: decoded or refused, never over-read; what decodes encodes to something that
 * decodes to the same. */
static void test_msg_bit_flips(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes whole = test_hex(cases[i].hex);

        for (size_t bit = 0; bit < whole.len * 8; bit++) {
            uint8_t *flipped = test_exact_copy(whole.data, whole.len), buf[VLY_MSG_MAX];
            struct vly_msg m, again;
            size_t used, len;

            flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (vly_msg_decode(&m, (struct vly_span){.data = flipped, .len = whole.len}, &used) ==
                0) {
                assert_in_range(used, 1, whole.len);
                assert_int_equal(vly_msg_encode(&m, buf, sizeof buf, &len), 0);
                assert_int_equal(
                    vly_msg_decode(&again, (struct vly_span){.data = buf, .len = len}, &used), 0);
                assert_msg_equal(&m, &again);
            }
            free(flipped);
        }
        free(whole.data);
    }
}

static void test_msg_values_out_of_range(void **state)
{
    static const struct {
        const char *name, *hex;
        int want;
    } bad[] = {
        {"type 0", "00 00", VLY_E_MALFORMED},
        {"unknown type", "7f 00", VLY_E_MALFORMED},
        {"LIST neither flat nor recursive", "10 03 01 02 00", VLY_E_MALFORMED},
        {"PUT with an unknown flag", "12 0f 01 04 04 00 0000 0000000000000000 00", VLY_E_MALFORMED},
        {"ENTRY of kind 0", "20 0e 01 00 00 01ff ffffffffffffffff 00", VLY_E_MALFORMED},
        {"ENTRY of kind 4", "20 0e 01 04 00 01ff ffffffffffffffff 00", VLY_E_MALFORMED},
        {"HASHES of none", "30 03 01 00 00", VLY_E_MALFORMED},
        {"HASHES of 1025", "30 04 01 00 4401", VLY_E_MALFORMED},
        {"HASHES of 2^62 - 1", "30 0a 01 00 ffffffffffffffff", VLY_E_MALFORMED},
        {"a body of 65537", "30 80010001", VLY_E_LIMIT},
        {"a body of 2^62 - 1", "30 ffffffffffffffff", VLY_E_LIMIT},
        {"a path that says it is longer than the body", "11 04 01 04 ffff", VLY_E_MALFORMED},
        {"mode bits beyond the nine are dropped", "13 05 09 ffff 01 64", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct test_bytes in = test_hex(bad[i].hex);
        struct vly_msg m;
        size_t used;

        print_message("  %s\n", bad[i].name);
        assert_int_equal(
            vly_msg_decode(&m, (struct vly_span){.data = in.data, .len = in.len}, &used),
            bad[i].want);
        if (bad[i].want == 0)
            assert_int_equal(m.mode, 0777);
        free(in.data);
    }
}

static void test_msg_largest(void **state)
{
    static uint8_t hashes[VLY_MSG_HASHES_MAX * 16], path[VLY_MSG_BODY_MAX];
    struct vly_msg m = {.type = VLY_MSG_HASHES,
                        .request = VLY_VARINT_MAX,
                        .first = VLY_VARINT_MAX,
                        .count = VLY_MSG_HASHES_MAX,
                        .hashes = {.data = hashes, .len = sizeof hashes}};
    struct vly_msg too_long = {.type = VLY_MSG_GET, .path = {.data = path, .len = sizeof path}};
    uint8_t *buf = malloc(VLY_MSG_MAX);
    size_t len;

    (void)state;
    assert_non_null(buf);
    assert_int_equal(vly_msg_encode(&m, buf, VLY_MSG_MAX, &len), 0);
    assert_int_equal(vly_msg_encode(&m, buf, 1000, &len), VLY_E_LIMIT);
    assert_int_equal(vly_msg_encode(&m, buf, 4, &len), VLY_E_LIMIT);
    assert_int_equal(vly_msg_encode(&too_long, buf, VLY_MSG_MAX, &len), VLY_E_LIMIT);
    free(buf);
}

static void test_msg_senders(void **state)
{
    (void)state;
    assert_true(vly_msg_is_from_client(VLY_MSG_GET) && !vly_msg_is_from_server(VLY_MSG_GET));
    assert_true(!vly_msg_is_from_client(VLY_MSG_INFO) && vly_msg_is_from_server(VLY_MSG_INFO));
    assert_true(vly_msg_is_from_client(VLY_MSG_END) && vly_msg_is_from_server(VLY_MSG_END));
    assert_string_equal(vly_msg_name((enum vly_msg_type)0), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_msg_known_answers),
        cmocka_unit_test(test_msg_truncated_waits),
        cmocka_unit_test(test_msg_body_has_its_length),
        cmocka_unit_test(test_msg_bit_flips),
        cmocka_unit_test(test_msg_values_out_of_range),
        cmocka_unit_test(test_msg_largest),
        cmocka_unit_test(test_msg_senders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
