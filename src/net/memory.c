#include "net/memory.h"

#include <stdlib.h>

static void *resize(void *ctx, void *ptr, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    if (size > 0)
        return realloc(ptr, size);
    free(ptr);
    return NULL;
}

const struct vly_alloc vly_alloc_system = {.resize = resize};
