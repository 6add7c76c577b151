/*
 * num - the smaller and the larger of two.
 */
#ifndef VLY_PROTO_NUM_H
#define VLY_PROTO_NUM_H

#include <stdint.h>

static inline uint64_t vly_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t vly_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
