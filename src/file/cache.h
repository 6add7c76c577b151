/*
 * cache - files that the page cache is too small for: whoever moves one lets go of what lies
 * behind.
 */
#ifndef VLY_FILE_CACHE_H
#define VLY_FILE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a file of so many bytes would take more than a quarter of this machine's memory. */
bool vly_is_large(uint64_t bytes);

#endif
