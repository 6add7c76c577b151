/*
 * crc32c - CRC-32C by the widest means the processor has.
 *
 * Numbers are polynomials, reflected: the highest bit is the coefficient of x^0. A state is the
 * remainder of what was read so far, times x^32.
 * Cost on a 2.5 GHz server core: 1.4 GB/s by tables; about 20 GB/s with SSE 4.2 and PCLMULQDQ, from
 * keeping both execution units busy at once (see crc_block).
 */
#include "crypto/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define POLYNOMIAL UINT32_C(0x82f63b78) /* 0x1edc6f41 reflected */

static uint32_t table[8][256]; /* table[k][b]: the remainder of byte b followed by k zero bytes */

/* a * b mod the polynomial */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
        if ((a & bit) != 0)
            product ^= b;
        b = (b >> 1) ^ ((b & 1) != 0 ? POLYNOMIAL : 0);
    }
    return product;
}

/* x^n mod the polynomial */
static uint32_t power(unsigned n)
{
    uint32_t result = UINT32_C(1) << 31;
    uint32_t square = UINT32_C(1) << 30;

    for (; n != 0; n >>= 1) {
        if ((n & 1) != 0)
            result = multiply(result, square);
        square = multiply(square, square);
    }
    return result;
}

static void table_init(void)
{
    const uint32_t x8 = power(8);

    for (uint32_t b = 0; b < 256; b++)
        table[0][b] = multiply(b, x8);
    for (unsigned k = 1; k < 8; k++)
        for (unsigned b = 0; b < 256; b++)
            table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xff];
}

static uint64_t load_le64(const uint8_t *p)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static uint32_t crc_portable(uint32_t crc, const uint8_t *p, size_t len)
{
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t v = load_le64(p) ^ crc;

        crc = 0;
        for (unsigned k = 0; k < 8; k++)
            crc ^= table[7 - k][(v >> (8 * k)) & 0xff];
    }
    for (; len > 0; p++, len--)
        crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xff];
    return crc;
}

#if defined(__x86_64__)

#define LANE_BYTES 24u /* of each of three lanes, in a step */
#define FOLD_BYTES 64u /* of the folded part, in a step */
#define STEP_BYTES (3 * LANE_BYTES + FOLD_BYTES)
#define STEPS_MAX 64u
#define TARGET __attribute__((target("sse4.2,pclmul")))

static bool has_x86;
/* Moves lane i over all that stands behind it in a block of n steps. */
static uint32_t lane_shift[STEPS_MAX + 1][3];
static uint32_t fold_by_64[2], fold_by_16[2];

/* Multiplying by the value of this for n, then reducing, multiplies by x^n: the reduction brings
 * x^32 and the reflected product another x. */
static uint32_t shift_factor(unsigned n_bits)
{
    return power(n_bits - 33);
}

static void x86_init(void)
{
    has_x86 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
    for (unsigned i = 0; i < 3; i++) {
        unsigned step_bits = 8 * ((2 - i) * LANE_BYTES + FOLD_BYTES);
        uint32_t step = power(step_bits);

        lane_shift[0][i] = shift_factor(8 * FOLD_BYTES);
        for (unsigned n = 1; n <= STEPS_MAX; n++)
            lane_shift[n][i] = multiply(lane_shift[n - 1][i], step);
    }
    fold_by_64[0] = shift_factor(512 + 64);
    fold_by_64[1] = shift_factor(512);
    fold_by_16[0] = shift_factor(128 + 64);
    fold_by_16[1] = shift_factor(128);
}

TARGET static __m128i load128(const uint8_t *p)
{
    return _mm_loadu_si128((const void *)p);
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

TARGET static __m128i fold(__m128i x, __m128i factors, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(x, factors, 0x00);
    __m128i high = _mm_clmulepi64_si128(x, factors, 0x11);

    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

TARGET static __m128i factors_of(const uint32_t f[2])
{
    return _mm_set_epi64x((int64_t)f[1], (int64_t)f[0]);
}

TARGET static uint64_t shifted(uint64_t crc, uint32_t factor)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc), _mm_cvtsi32_si128((int)factor), 0);

    return (uint64_t)_mm_cvtsi128_si64(product);
}

/*
 * A block of n steps, laid out as
 *     lane 0 (24 n) | lane 1 (24 n) | lane 2 (24 n) | folded part (64 n + 64)
 * The crc32 instruction has a latency of three cycles, hence three lanes; carry-less multiplication
 * uses another port, so the folded part runs beside them. The ends are joined by shifts.
 */
TARGET static uint32_t crc_block(uint32_t crc, const uint8_t *p, size_t n)
{
    const uint8_t *v = p + 3 * LANE_BYTES * n;
    const __m128i by_64 = factors_of(fold_by_64);
    const __m128i by_16 = factors_of(fold_by_16);
    __m128i x0 = load128(v);
    __m128i x1 = load128(v + 16);
    __m128i x2 = load128(v + 32);
    __m128i x3 = load128(v + 48);
    uint64_t c0 = crc;
    uint64_t c1 = 0;
    uint64_t c2 = 0;
    uint64_t joined;

    for (size_t i = 0; i < n; i++, p += LANE_BYTES) {
        v += FOLD_BYTES;
        x0 = fold(x0, by_64, load128(v));
        x1 = fold(x1, by_64, load128(v + 16));
        x2 = fold(x2, by_64, load128(v + 32));
        x3 = fold(x3, by_64, load128(v + 48));
        for (unsigned k = 0; k < LANE_BYTES; k += 8) {
            c0 = _mm_crc32_u64(c0, load64(p + k));
            c1 = _mm_crc32_u64(c1, load64(p + LANE_BYTES * n + k));
            c2 = _mm_crc32_u64(c2, load64(p + 2 * LANE_BYTES * n + k));
        }
    }
    x0 = fold(fold(fold(x0, by_16, x1), by_16, x2), by_16, x3);
    joined = shifted(c0, lane_shift[n][0]) ^ shifted(c1, lane_shift[n][1]) ^
             shifted(c2, lane_shift[n][2]);
    c0 = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(x0));
    return (uint32_t)_mm_crc32_u64(c0, (uint64_t)_mm_extract_epi64(x0, 1) ^ joined);
}

TARGET static uint32_t crc_x86(uint32_t crc, const uint8_t *p, size_t len)
{
    while (len >= FOLD_BYTES + STEP_BYTES) {
        size_t n = (len - FOLD_BYTES) / STEP_BYTES;
        size_t bytes;

        n = n < STEPS_MAX ? n : STEPS_MAX;
        bytes = n * STEP_BYTES + FOLD_BYTES;
        crc = crc_block(crc, p, n);
        p += bytes;
        len -= bytes;
    }
    for (; len >= 8; p += 8, len -= 8)
        crc = (uint32_t)_mm_crc32_u64(crc, load64(p));
    for (; len > 0; p++, len--)
        crc = _mm_crc32_u8(crc, *p);
    return crc;
}

#endif

/* Before main, so that no call has to look whether the tables are there. */
__attribute__((constructor)) static void init(void)
{
    table_init();
#if defined(__x86_64__)
    x86_init();
#endif
}

uint32_t vly_crc32c(const void *data, size_t len)
{
#if defined(__x86_64__)
    if (has_x86)
        return ~crc_x86(~UINT32_C(0), data, len);
#endif
    return vly_crc32c_portable(data, len);
}

uint32_t vly_crc32c_portable(const void *data, size_t len)
{
    return ~crc_portable(~UINT32_C(0), data, len);
}
