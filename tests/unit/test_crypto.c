#include "crypto/crypto.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

/* RFC 3720 B.4, and the check value of SPEC 2.1. */
static void test_crc32c_vectors(void **state)
{
    static const struct {
        const char *name, *hex;
        uint32_t crc;
    } cases[] = {
        {"check value", "313233343536373839", 0xe3069283},
        {"nothing", "", 0},
        {"32 zeros", "00*32", 0x8a9136aa},
        {"32 ones", "ff*32", 0x62a8ab43},
        {"ascending", "000102030405060708090a0b0c0d0e0f 101112131415161718191a1b1c1d1e1f",
         0x46dd794e},
        {"descending", "1f1e1d1c1b1a19181716151413121110 0f0e0d0c0b0a09080706050403020100",
         0x113fdb5c},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes in = test_hex(cases[i].hex);

        print_message("  %s\n", cases[i].name);
        assert_int_equal(vly_crc32c(in.data, in.len), cases[i].crc);
        free(in.data);
    }
}

/* Every short length, at every alignment a vector unit could mind; then long ones up to the largest
 * datagram. */
static void test_crc32c_is_the_same_at_any_length(void **state)
{
    enum { SHORT = 600, LONG = 65507 };
    struct vly_prng prng;
    uint8_t *data = malloc(LONG);

    (void)state;
    assert_non_null(data);
    vly_prng_init(&prng, test_seed());
    for (size_t i = 0; i < LONG; i++)
        data[i] = (uint8_t)vly_prng_u64(&prng);
    for (size_t len = 0; len <= SHORT; len++) {
        uint8_t *exact = test_exact_copy(data + len % 16, len);

        assert_int_equal(vly_crc32c(exact, len), test_crc32c(exact, len));
        assert_int_equal(vly_crc32c(data + len % 16, len), test_crc32c(exact, len));
        free(exact);
    }
    for (size_t len = 8700; len < LONG; len += 1 + len / 40)
        assert_int_equal(vly_crc32c(data, len), test_crc32c(data, len));
    free(data);
}

static void test_plain_tag_stands_big_endian_before_zeros(void **state)
{
    uint8_t pkt[9 + VLY_TAG_BYTES];

    (void)state;
    memcpy(pkt, "123456789", 9);
    memset(pkt + 9, 0xaa, VLY_TAG_BYTES);
    vly_seal_one(&vly_suite_plain, NULL, 7, pkt, 4, 9);
    test_assert_hex(pkt, sizeof(pkt), "313233343536373839 e3069283 00*12");
    assert_true(vly_open_one(&vly_suite_plain, NULL, 7, pkt, 4, 9));
}

/* The same tag wherever the head, the text and the packet lie. */
static void test_plain_in_pieces(void **state)
{
    static const uint8_t head[] = {'1', '2', '3', '4'}, text[] = {0, '5', '6', '7', '8', '9'};
    uint8_t out[5 + VLY_TAG_BYTES], opened[5];
    struct vly_aead_job job = {
        .head = head, .head_bytes = sizeof(head), .in = text + 1, .len = 5, .out = out};

    (void)state;
    vly_suite_plain.seal(NULL, &job, 1);
    test_assert_hex(out, sizeof(out), "3536373839 e3069283 00*12");
    job.in = out;
    job.out = opened;
    vly_suite_plain.open(NULL, &job, 1);
    assert_true(job.ok);
    assert_memory_equal(opened, text + 1, sizeof(opened));
}

/* The second part stays where it is: the tag is that of both, and stands where it always does. */
static void test_plain_leaves_a_part_where_it_is(void **state)
{
    static const uint8_t text[] = {'3', '4', '5', '6', '7', '8', '9'};

    (void)state;
    for (size_t cut = 0; cut <= sizeof(text); cut++) {
        uint8_t pkt[9 + VLY_TAG_BYTES] = "12..........";
        struct vly_aead_job job = {.head = pkt,
                                   .head_bytes = 2,
                                   .in = pkt + 2,
                                   .len = cut,
                                   .out = pkt + 2,
                                   .more = {text + cut, sizeof(text) - cut},
                                   .apart = true};

        memcpy(pkt + 2, text, cut);
        vly_suite_plain.seal(NULL, &job, 1);
        assert_memory_equal(pkt + 2 + cut, ".......", sizeof(text) - cut);
        memcpy(pkt + 2 + cut, text + cut, sizeof(text) - cut);
        test_assert_hex(pkt, sizeof(pkt), "313233343536373839 e3069283 00*12");
    }
}

/* The text in two parts, wherever it is cut. */
static void test_plain_seals_two_parts(void **state)
{
    static const uint8_t text[] = "56789";
    uint8_t pkt[9 + VLY_TAG_BYTES];

    (void)state;
    for (size_t cut = 0; cut <= 5; cut++) {
        bool in_place = cut % 2 == 0;
        struct vly_aead_job job = {.head = pkt,
                                   .head_bytes = 4,
                                   .in = in_place ? pkt + 4 : text,
                                   .len = cut,
                                   .out = pkt + 4,
                                   .more = {text + cut, 5 - cut}};

        memset(pkt, 0xaa, sizeof(pkt));
        memcpy(pkt, "1234", 4);
        if (in_place)
            memcpy(pkt + 4, text, cut);
        vly_suite_plain.seal(NULL, &job, 1);
        test_assert_hex(pkt, sizeof(pkt), "313233343536373839 e3069283 00*12");
    }
}

static void test_plain_sees_any_flipped_bit(void **state)
{
    enum { LEN = 300 };
    uint8_t pkt[LEN + VLY_TAG_BYTES];

    (void)state;
    for (size_t i = 0; i < LEN; i++)
        pkt[i] = (uint8_t)(i * 7);
    vly_seal_one(&vly_suite_plain, NULL, 0, pkt, 17, LEN);
    for (size_t bit = 0; bit < 8 * sizeof(pkt); bit++) {
        pkt[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(vly_open_one(&vly_suite_plain, NULL, 0, pkt, 17, LEN));
        pkt[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(vly_open_one(&vly_suite_plain, NULL, 0, pkt, 17, LEN));
}

/* RFC 4231 4.2 to 4.5, whose keys are shorter than 32 bytes: HMAC extends a key by zeros anyway. */
static void test_hmac_vectors(void **state)
{
    static const struct {
        const char *name, *key, *data, *mac;
    } cases[] = {
        {"test case 1", "0b*20 00*12", "4869205468657265",
         "b0344c61d8db38535ca8afceaf0bf12b 881dc200c9833da726e9376c2e32cff7"},
        {"test case 2", "4a656665 00*28",
         "7768617420646f2079612077616e7420 666f72206e6f7468696e673f",
         "5bdcc146bf60754e6a042426089575c7 5a003f089d2739839dec58b964ec3843"},
        {"test case 3", "aa*20 00*12", "dd*50",
         "773ea91e36800e46854db8ebd09181a7 2959098b3ef8c122d9635514ced565fe"},
        {"test case 4", "0102030405060708090a0b0c0d0e0f10 111213141516171819 00*7", "cd*50",
         "82558a389a443c0ea4cc819899f2083a 85f0faa3e578f8077a2e3ff46729665b"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes key = test_hex(cases[i].key);
        struct test_bytes data = test_hex(cases[i].data);

        print_message("  %s\n", cases[i].name);
        assert_int_equal(key.len, 32);
        for (size_t cut = 0; cut <= data.len; cut++) {
            struct vly_span parts[] = {
                {data.data, cut}, {NULL, 0}, {data.data + cut, data.len - cut}};
            uint8_t mac[VLY_MAC_BYTES];

            vly_crypto_system()->hmac(key.data, parts, ARRAY_LEN(parts), mac);
            test_assert_hex(mac, sizeof(mac), cases[i].mac);
        }
        free(key.data);
        free(data.data);
    }
}

/* Not that it is random, only that all of it is written and no two draws are alike. */
static void test_system_randomness_fills_the_buffer(void **state)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    uint8_t seen[64] = {0};
    uint8_t last[64] = {0};

    (void)state;
    for (int i = 0; i < 16; i++) {
        uint8_t draw[66] = {0};

        crypto->random(crypto->random_ctx, draw + 1, 64);
        assert_int_equal(draw[0], 0);
        assert_int_equal(draw[65], 0);
        assert_memory_not_equal(draw + 1, last, 64);
        memcpy(last, draw + 1, 64);
        for (size_t k = 0; k < 64; k++)
            seen[k] |= draw[1 + k];
    }
    for (size_t k = 0; k < 64; k++)
        assert_int_not_equal(seen[k], 0); /* wrong once in 2^122 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_vectors),
        cmocka_unit_test(test_crc32c_is_the_same_at_any_length),
        cmocka_unit_test(test_plain_tag_stands_big_endian_before_zeros),
        cmocka_unit_test(test_plain_in_pieces),
        cmocka_unit_test(test_plain_seals_two_parts),
        cmocka_unit_test(test_plain_leaves_a_part_where_it_is),
        cmocka_unit_test(test_plain_sees_any_flipped_bit),
        cmocka_unit_test(test_hmac_vectors),
        cmocka_unit_test(test_system_randomness_fills_the_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
