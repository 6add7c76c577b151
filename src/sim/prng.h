/*
 * prng - the simulator's random numbers: xoshiro256** (Blackman, Vigna), seeded by splitmix64.
 *
 * Every part that draws (a link, a node, a test) has a stream of its own, forked from one seed, so
 * that one more draw in one of them changes nothing in the others. Not for secrets.
 */
#ifndef VLY_SIM_PRNG_H
#define VLY_SIM_PRNG_H

#include <volley/base.h>

struct vly_prng {
    uint64_t s[4];
};

void vly_prng_init(struct vly_prng *p, uint64_t seed);
/* The seed of stream `stream` of `seed`: other pairs give unrelated ones. */
uint64_t vly_prng_fork(uint64_t seed, uint64_t stream);
uint64_t vly_prng_u64(struct vly_prng *p);
/* Uniform in [0, n), without bias; 0 when n is 0. */
uint64_t vly_prng_below(struct vly_prng *p, uint64_t n);
/* Uniform in [0, 1). */
double vly_prng_unit(struct vly_prng *p);
/* True with the given probability. Draws nothing when that is not above 0. */
bool vly_prng_chance(struct vly_prng *p, double probability);
void vly_prng_fill(struct vly_prng *p, void *buf, size_t len);

#endif
