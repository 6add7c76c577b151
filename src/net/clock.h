/*
 * clock - the monotonic clock of the drivers.
 */
#ifndef VLY_NET_CLOCK_H
#define VLY_NET_CLOCK_H

#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC: about 60 ns a read, so once a batch. */
uint64_t vly_clock_now_ns(void);

#endif
