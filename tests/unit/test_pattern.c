/*
 * pattern: the same bytes however they are cut, and other bytes everywhere else.
 */
#include "sim/pattern.h"
#include "support/support.h"

#include <string.h>

static void test_pattern_is_the_same_however_cut(void **state)
{
    static const uint64_t offsets[] = {0, 3, (UINT64_C(1) << 32) - 100, (UINT64_C(1) << 62) - 300};
    uint8_t whole[256], piece[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
        vly_pattern_fill(4, offsets[i], whole, sizeof(whole));
        for (size_t begin = 0; begin < 40; begin++)
            for (size_t len = 0; len < 40; len++) {
                vly_pattern_fill(4, offsets[i] + begin, piece, len);
                assert_memory_equal(piece, whole + begin, len);
                assert_true(vly_pattern_matches(4, offsets[i] + begin, whole + begin, len));
            }
    }
}

static void test_pattern_sees_every_flipped_bit(void **state)
{
    uint8_t data[100];

    (void)state;
    vly_pattern_fill(6, 1005, data, sizeof(data));
    for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(vly_pattern_matches(6, 1005, data, sizeof(data)));
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(vly_pattern_matches(6, 1005, data, sizeof(data)));
}

/* Data of another place or stream does not match, at distances that mistakes are made of. */
static void test_pattern_tells_places_apart(void **state)
{
    static const uint64_t distances[] = {
        1, 2, 8, 255, 256, 1431, 1472, 2048, 65536, 1u << 20, UINT64_C(1) << 32};
    uint8_t data[64];

    (void)state;
    for (uint64_t offset = 0; offset < 5000; offset += 7) {
        vly_pattern_fill(2, offset, data, sizeof(data));
        for (size_t i = 0; i < ARRAY_LEN(distances); i++)
            assert_false(vly_pattern_matches(2, offset + distances[i], data, sizeof(data)));
        assert_false(vly_pattern_matches(3, offset, data, sizeof(data)));
        assert_false(vly_pattern_matches(4, offset, data, sizeof(data)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern_is_the_same_however_cut),
        cmocka_unit_test(test_pattern_sees_every_flipped_bit),
        cmocka_unit_test(test_pattern_tells_places_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
