#include "sim/pattern.h"

#include <string.h>

#define STEP UINT64_C(0x9e3779b97f4a7c15) /* odd: multiples of it differ */
#define WORD_BYTES 8
#define CHUNK_BYTES 2048 /* stays in the innermost cache */

/* The eight bytes at 8 * i are those of mix(start + i * STEP): one addition takes us to the next.
 */
static uint64_t mix(uint64_t x)
{
    return x ^ x >> 32;
}

static uint64_t start_of(uint64_t stream, uint64_t offset)
{
    return (offset / WORD_BYTES + (stream << 56 | stream >> 8)) * STEP;
}

static uint8_t byte_at(uint64_t stream, uint64_t offset)
{
    uint64_t word = mix(start_of(stream, offset));

    return (uint8_t)(word >> offset % WORD_BYTES * 8);
}

/* Bytes up to the next multiple of 8, at most `len`. */
static size_t head_of(uint64_t offset, size_t len)
{
    size_t head = (size_t)(-offset % WORD_BYTES);

    return head < len ? head : len;
}

static uint64_t little_endian(uint64_t word)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

/* Whole words from `x` on; `len` is a multiple of theirs. */
static void fill_words(uint64_t x, uint8_t *buf, size_t len)
{
    for (size_t at = 0; at < len; at += WORD_BYTES, x += STEP) {
        uint64_t word = little_endian(mix(x));

        memcpy(buf + at, &word, WORD_BYTES);
    }
}

void vly_pattern_fill(uint64_t stream, uint64_t offset, uint8_t *buf, size_t len)
{
    size_t head = head_of(offset, len);
    size_t words = (len - head) / WORD_BYTES * WORD_BYTES;

    for (size_t i = 0; i < head; i++)
        buf[i] = byte_at(stream, offset + i);
    fill_words(start_of(stream, offset + head), buf + head, words);
    for (size_t i = head + words; i < len; i++)
        buf[i] = byte_at(stream, offset + i);
}

bool vly_pattern_matches(uint64_t stream, uint64_t offset, const uint8_t *data, size_t len)
{
    uint8_t want[CHUNK_BYTES];

    for (size_t at = 0; at < len; at += CHUNK_BYTES) {
        size_t n = len - at < CHUNK_BYTES ? len - at : CHUNK_BYTES;

        vly_pattern_fill(stream, offset + at, want, n);
        if (memcmp(want, data + at, n) != 0)
            return false;
    }
    return true;
}
