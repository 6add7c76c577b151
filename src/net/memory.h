/*
 * memory - the system's allocator, for the engine's parts.
 */
#ifndef VLY_NET_MEMORY_H
#define VLY_NET_MEMORY_H

#include <volley/base.h>

extern const struct vly_alloc vly_alloc_system;

#endif
