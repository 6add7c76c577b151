/*
 * cache - see cache.h.
 */
#include "file/cache.h"

#include <unistd.h>

#define LARGE_PART_OF_MEMORY 4

bool vly_is_large(uint64_t bytes)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);

    return pages > 0 && page_bytes > 0 &&
           bytes / (uint64_t)page_bytes > (uint64_t)pages / LARGE_PART_OF_MEMORY;
}
