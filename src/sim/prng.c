#include "sim/prng.h"

#include <string.h>

static uint64_t rotate_left(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void vly_prng_init(struct vly_prng *p, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++)
        p->s[i] = splitmix64(&seed);
}

uint64_t vly_prng_fork(uint64_t seed, uint64_t stream)
{
    uint64_t state = splitmix64(&seed) ^ stream;

    return splitmix64(&state);
}

uint64_t vly_prng_u64(struct vly_prng *p)
{
    uint64_t *s = p->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t vly_prng_below(struct vly_prng *p, uint64_t n)
{
    uint64_t rest, x;

    if (n == 0)
        return 0;
    /* The lowest 2^64 mod n values are drawn again: what is left is a multiple of n. */
    rest = (0 - n) % n;
    do
        x = vly_prng_u64(p);
    while (x < rest);
    return x % n;
}

double vly_prng_unit(struct vly_prng *p)
{
    return (double)(vly_prng_u64(p) >> 11) * 0x1.0p-53;
}

bool vly_prng_chance(struct vly_prng *p, double probability)
{
    return probability > 0 && vly_prng_unit(p) < probability;
}

void vly_prng_fill(struct vly_prng *p, void *buf, size_t len)
{
    uint8_t *out = buf;

    while (len > 0) {
        uint64_t x = vly_prng_u64(p);
        size_t n = len < sizeof(x) ? len : sizeof(x);

        memcpy(out, &x, n);
        out += n;
        len -= n;
    }
}
