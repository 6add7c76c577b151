/*
 * support - what the tests share: allocators, seeds, hex, known-answer vectors.
 *
 * Everything here fails the running cmocka test when it cannot do its work, so no call needs a
 * check. Random numbers are the simulator's (sim/prng.h), seeded by test_seed.
 */
#ifndef VLY_TESTS_SUPPORT_H
#define VLY_TESTS_SUPPORT_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/prng.h"
#include <volley/base.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Plain malloc. Asserts that every block is resized under the size it has. */
extern const struct vly_alloc test_alloc;

/* Counts what is allocated, and fails once. `alloc.ctx` points to the struct: do not move it. */
struct test_counting_alloc {
    struct vly_alloc alloc;
    uint64_t fail_at; /* the n-th request for memory gives NULL, from 1; 0: none */
    uint64_t requests;
    size_t live_blocks;
    size_t live_bytes;
};
void test_counting_alloc_init(struct test_counting_alloc *a, uint64_t fail_at);

/* The seed of a property: VLY_SEED (decimal or 0x...) or else 1, so that `./dev test` says the same
 * of the same code; `./dev seeds` tries others. Printed. */
uint64_t test_seed(void);
/* A number of 0 to 62 bits, each width as likely: all lengths of varint, and their limits. */
uint64_t test_random_varint(struct vly_prng *p);

/* A copy that ends where its allocation ends, so that a sanitizer sees an over-read. Owned. */
uint8_t *test_exact_copy(const void *data, size_t len);

/* Bytes in hex; blanks between are skipped; "00*1127" is one byte, repeated. */
struct test_bytes {
    uint8_t *data; /* owned, of exactly `len` bytes */
    size_t len;
};
struct test_bytes test_hex(const char *hex);
/* Fails with both in hex when `data` is not what `hex` says. */
void test_assert_hex(const void *data, size_t len, const char *hex);

/* Known answers, tests/vectors/FILE: a line "# what it is", then a line "name: hex". */
struct test_vector {
    char *name;
    struct test_bytes bytes;
};
struct test_vectors {
    struct test_vector *v;
    size_t n;
};
/* Owned by the caller: test_vectors_free. */
struct test_vectors test_vectors_load(const char *file);
void test_vectors_free(struct test_vectors *vectors);
struct vly_span test_vectors_find(const struct test_vectors *vectors, const char *name);

/* CRC32C bit by bit (RFC 3720 B.4): slow, and plainly right. */
uint32_t test_crc32c(const void *data, size_t len);

#endif
