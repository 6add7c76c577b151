/*
 * Chunk hashes and roots: against one-shot XXH3 and known answers, whatever the pieces they are fed
 * in.
 */
#include "file/hash.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* SPEC 10.6 word for word, from the whole content at once. */
static void expected_root(const uint8_t *data, size_t len, uint8_t root[VLY_HASH_BYTES])
{
    uint8_t all[8 + 16 * VLY_HASH_BYTES];
    size_t n = 8;
    XXH128_canonical_t c;

    for (unsigned i = 0; i < 8; i++)
        all[i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
    for (size_t at = 0; at < len; at += VLY_CHUNK_BYTES) {
        size_t chunk = len - at < VLY_CHUNK_BYTES ? len - at : VLY_CHUNK_BYTES;

        XXH128_canonicalFromHash(&c, XXH3_128bits(data + at, chunk));
        memcpy(all + n, c.digest, VLY_HASH_BYTES);
        n += VLY_HASH_BYTES;
    }
    XXH128_canonicalFromHash(&c, XXH3_128bits(all, n));
    memcpy(root, c.digest, VLY_HASH_BYTES);
}

static void assert_root(const uint8_t *data, size_t len, size_t piece)
{
    uint8_t want[VLY_HASH_BYTES], got[VLY_HASH_BYTES];
    struct vly_hash h;

    expected_root(data, len, want);
    vly_hash_init(&h);
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;

        assert_int_equal(vly_hash_update(&h, (struct vly_span){.data = data + at, .len = n}), 0);
        assert_int_equal(h.bytes, at + n);
        assert_int_equal(h.n, (at + n) / VLY_CHUNK_BYTES);
    }
    assert_int_equal(vly_hash_end(&h), 0);
    assert_int_equal(h.n, (len + VLY_CHUNK_BYTES - 1) / VLY_CHUNK_BYTES);
    assert_int_equal(vly_hash_root(&h, got), 0);
    assert_memory_equal(got, want, sizeof want);
    vly_hash_fini(&h);
}

static void test_hash_sizes_and_pieces(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   1000,
                                   VLY_CHUNK_BYTES - 1,
                                   VLY_CHUNK_BYTES,
                                   VLY_CHUNK_BYTES + 1,
                                   3 * VLY_CHUNK_BYTES,
                                   3 * VLY_CHUNK_BYTES + 12345};
    static const size_t pieces[] = {1459, 65536, VLY_CHUNK_BYTES, 5 * VLY_CHUNK_BYTES};
    size_t most = sizes[ARRAY_LEN(sizes) - 1];
    uint8_t *data = malloc(most);
    struct vly_prng p;

    (void)state;
    assert_non_null(data);
    vly_prng_init(&p, 1);
    vly_prng_fill(&p, data, most);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (size_t k = 0; k < ARRAY_LEN(pieces); k++)
            assert_root(data, sizes[i], pieces[k]);
    free(data);
}

/* By an implementation of its own, tests/support/peer/xxh3.py: xxh3_128 of eight zero bytes, of
 * "abc", and of 0000000000000003 and that. */
static void test_hash_known_answers(void **state)
{
    uint8_t root[VLY_HASH_BYTES];
    struct vly_hash h;

    (void)state;
    vly_hash_init(&h);
    assert_int_equal(vly_hash_end(&h), 0);
    assert_int_equal(vly_hash_root(&h, root), 0);
    test_assert_hex(root, sizeof root, "2c0a8a99dc147d5445c3b49d035665b2");
    assert_int_equal(
        vly_hash_update(&h, (struct vly_span){.data = (const uint8_t *)"abc", .len = 3}), 0);
    assert_int_equal(vly_hash_end(&h), 0);
    test_assert_hex(h.chunks[0], VLY_HASH_BYTES, "06b05ab6733a618578af5f94892f3950");
    assert_int_equal(vly_hash_root(&h, root), 0);
    test_assert_hex(root, sizeof root, "e99212af3293d8da4b21a51ab3625b62");
    vly_hash_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_sizes_and_pieces),
        cmocka_unit_test(test_hash_known_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
