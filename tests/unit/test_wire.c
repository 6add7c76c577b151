#include "support/support.h"

#include "proto/wire.h"

#include <stdlib.h>
#include <string.h>

/* RFC 9000 appendix A.1 and the limits of each length. */
static const struct {
    uint64_t value;
    const char *hex;
} varints[] = {
    {0, "00"},
    {37, "25"},
    {63, "3f"},
    {64, "40 40"},
    {15293, "7b bd"},
    {16383, "7f ff"},
    {16384, "80 00 40 00"},
    {494878333, "9d 7f 3e 7d"},
    {1073741823, "bf ff ff ff"},
    {1073741824, "c0 00 00 00 40 00 00 00"},
    {UINT64_C(151288809941952652), "c2 19 7c 5e ff 14 e8 8c"},
    {VLY_VARINT_MAX, "ff ff ff ff ff ff ff ff"},
};

static void test_wire_varint_known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(varints); i++) {
        struct test_bytes b = test_hex(varints[i].hex);
        struct vly_rd r = vly_rd_init(b.data, b.len);
        uint8_t buf[8];
        struct vly_wr w = vly_wr_init(buf, sizeof(buf));

        assert_true(vly_rd_varint(&r) == varints[i].value);
        assert_false(r.failed);
        assert_int_equal(vly_rd_left(&r), 0);
        vly_wr_varint(&w, varints[i].value);
        assert_false(w.failed);
        test_assert_hex(buf, vly_wr_len(&w), varints[i].hex);
        assert_int_equal(vly_varint_len(varints[i].value), b.len);
        free(b.data);
    }
}

/* A longer encoding than needed is allowed (SPEC 1). */
static void test_wire_varint_longer_than_needed(void **state)
{
    static const char *const hex[] = {"40 25", "80 00 00 25", "c0 00 00 00 00 00 00 25"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hex); i++) {
        struct test_bytes b = test_hex(hex[i]);
        struct vly_rd r = vly_rd_init(b.data, b.len);

        assert_int_equal(vly_rd_varint(&r), 37);
        assert_false(r.failed);
        free(b.data);
    }
}

/* RULE 14: cut at every byte, read and written. */
static void test_wire_varint_cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(varints); i++) {
        struct test_bytes b = test_hex(varints[i].hex);

        for (size_t len = 0; len < b.len; len++) {
            uint8_t *cut = test_exact_copy(b.data, len);
            uint8_t *out = malloc(len + 1);
            struct vly_rd r = vly_rd_init(cut, len);
            struct vly_wr w = vly_wr_init(out, len);

            assert_int_equal(vly_rd_varint(&r), 0);
            assert_true(r.failed);
            vly_wr_varint(&w, varints[i].value);
            assert_true(w.failed);
            assert_int_equal(vly_wr_len(&w), 0);
            free(cut);
            free(out);
        }
        free(b.data);
    }
}

static void test_wire_integers_are_big_endian(void **state)
{
    uint8_t buf[15];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    struct vly_rd r = vly_rd_init(buf, sizeof(buf));

    (void)state;
    vly_wr_u8(&w, 0x81);
    vly_wr_u16(&w, 0x8283);
    vly_wr_u32(&w, 0x84858687);
    vly_wr_u64(&w, UINT64_C(0x88898a8b8c8d8e8f));
    assert_false(w.failed);
    assert_int_equal(vly_wr_room(&w), 0);
    test_assert_hex(buf, vly_wr_len(&w), "81 8283 84858687 88898a8b8c8d8e8f");
    assert_int_equal(vly_rd_u8(&r), 0x81);
    assert_int_equal(vly_rd_u16(&r), 0x8283);
    assert_int_equal(vly_rd_u32(&r), 0x84858687);
    assert_true(vly_rd_u64(&r) == UINT64_C(0x88898a8b8c8d8e8f));
    assert_false(r.failed);
    assert_int_equal(vly_rd_left(&r), 0);
}

static void test_wire_reader_is_sticky(void **state)
{
    static const uint8_t data[] = {1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0};
    struct vly_rd r = vly_rd_init(data, 3);

    (void)state;
    assert_int_equal(vly_rd_u8(&r), 1);
    assert_int_equal(vly_rd_u32(&r), 0); /* three bytes too far */
    assert_true(r.failed);
    assert_int_equal(vly_rd_u8(&r), 0); /* would have fitted */
    assert_int_equal(vly_rd_u16(&r), 0);
    assert_true(vly_rd_u64(&r) == 0);
    assert_int_equal(vly_rd_varint(&r), 0);
    assert_null(vly_rd_bytes(&r, 0).data);
    assert_null(vly_rd_bytes8(&r, 10).data);
    vly_rd_skip_zeros(&r);
    assert_int_equal(vly_rd_left(&r), 0);
    assert_true(r.failed);
}

static void test_wire_writer_is_sticky(void **state)
{
    uint8_t buf[4] = {0};
    struct vly_wr w = vly_wr_init(buf, 3);

    (void)state;
    vly_wr_u8(&w, 1);
    vly_wr_u32(&w, 0x02030405);
    assert_true(w.failed);
    vly_wr_u8(&w, 9); /* would have fitted */
    vly_wr_u16(&w, 9);
    vly_wr_u64(&w, 9);
    vly_wr_varint(&w, 9);
    vly_wr_zeros(&w, 1);
    vly_wr_bytes(&w, buf, 1);
    assert_true(w.failed);
    assert_int_equal(vly_wr_len(&w), 1);
    assert_int_equal(vly_wr_room(&w), 0);
    test_assert_hex(buf, sizeof(buf), "01 00 00 00");
}

static void test_wire_prefixed_bytes(void **state)
{
    struct vly_span abc = {(const uint8_t *)"abc", 3};
    struct vly_span none = {NULL, 0};
    uint8_t buf[16];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    struct vly_rd r;

    (void)state;
    vly_wr_bytes8(&w, abc);
    vly_wr_bytes16(&w, abc);
    vly_wr_str(&w, abc);
    vly_wr_bytes8(&w, none);
    assert_false(w.failed);
    test_assert_hex(buf, vly_wr_len(&w), "03 616263  0003 616263  03 616263  00");
    r = vly_rd_init(buf, vly_wr_len(&w));
    assert_memory_equal(vly_rd_bytes8(&r, 3).data, "abc", 3);
    assert_memory_equal(vly_rd_bytes16(&r, 3).data, "abc", 3);
    assert_memory_equal(vly_rd_str(&r, 3).data, "abc", 3);
    assert_int_equal(vly_rd_bytes8(&r, 3).len, 0);
    assert_false(r.failed);
    assert_int_equal(vly_rd_left(&r), 0);
}

/* A length above its cap, and one above what is there, both fail. */
static void test_wire_prefixed_bytes_too_long(void **state)
{
    static const struct {
        const char *hex;
        struct vly_span (*read)(struct vly_rd *r, size_t max);
        size_t max;
    } cases[] = {
        {"03 616263", vly_rd_bytes8, 2},
        {"04 616263", vly_rd_bytes8, 10},
        {"", vly_rd_bytes8, 10},
        {"0003 616263", vly_rd_bytes16, 2},
        {"0004 616263", vly_rd_bytes16, 10},
        {"00", vly_rd_bytes16, 10},
        {"03 616263", vly_rd_str, 2},
        {"04 616263", vly_rd_str, 10},
        {"ffffffffffffffff 616263", vly_rd_str, SIZE_MAX},
        {"40", vly_rd_str, 10},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes b = test_hex(cases[i].hex);
        struct vly_rd r = vly_rd_init(b.data, b.len);
        struct vly_span s = cases[i].read(&r, cases[i].max);

        print_message("  %s\n", cases[i].hex);
        assert_true(r.failed);
        assert_null(s.data);
        assert_int_equal(s.len, 0);
        free(b.data);
    }
}

static void test_wire_skip_zeros(void **state)
{
    static const struct {
        const char *hex;
        size_t left;
    } cases[] = {
        {"", 0},        {"01", 1},   {"00", 0},          {"00*7 01", 1},
        {"00*8 01", 1}, {"00*9", 0}, {"00*27 01 00", 2}, {"00*16 00000001000000", 4},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes b = test_hex(cases[i].hex);
        struct vly_rd r = vly_rd_init(b.data, b.len);

        vly_rd_skip_zeros(&r);
        assert_int_equal(vly_rd_left(&r), cases[i].left);
        assert_false(r.failed);
        free(b.data);
    }
}

static void test_wire_reads_nothing_from_null(void **state)
{
    struct vly_rd r = vly_rd_init(NULL, 0);

    (void)state;
    assert_int_equal(vly_rd_bytes(&r, 0).len, 0);
    assert_false(r.failed);
    assert_int_equal(vly_rd_u8(&r), 0);
    assert_true(r.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_varint_known_answers),
        cmocka_unit_test(test_wire_varint_longer_than_needed),
        cmocka_unit_test(test_wire_varint_cut_short),
        cmocka_unit_test(test_wire_integers_are_big_endian),
        cmocka_unit_test(test_wire_reader_is_sticky),
        cmocka_unit_test(test_wire_writer_is_sticky),
        cmocka_unit_test(test_wire_prefixed_bytes),
        cmocka_unit_test(test_wire_prefixed_bytes_too_long),
        cmocka_unit_test(test_wire_skip_zeros),
        cmocka_unit_test(test_wire_reads_nothing_from_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
