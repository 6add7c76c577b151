/*
 * pattern - bytes that depend on their stream and offset, to see that each one arrived at its
 * place.
 *
 * No two aligned groups of eight bytes of a stream are equal, so that data from any other place
 * does not match. Cost: a tenth of a nanosecond for a byte.
 */
#ifndef VLY_SIM_PATTERN_H
#define VLY_SIM_PATTERN_H

#include <volley/base.h>

void vly_pattern_fill(uint64_t stream, uint64_t offset, uint8_t *buf, size_t len);
bool vly_pattern_matches(uint64_t stream, uint64_t offset, const uint8_t *data, size_t len);

#endif
