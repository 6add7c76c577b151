/*
 * hash - XXH3-128 by chunks, and their root.
 */
#include "file/hash.h"

#include <stdlib.h>
#include <string.h>
#ifdef VLY_HAVE_XXH_DISPATCH
#include <xxh_x86dispatch.h> /* XXH3_128bits_update for this processor: AVX2, AVX-512 */
#else
#include <xxhash.h>
#endif

void vly_hash_init(struct vly_hash *h)
{
    *h = (struct vly_hash){0};
}

void vly_hash_fini(struct vly_hash *h)
{
    XXH3_freeState(h->state);
    free(h->chunks);
    *h = (struct vly_hash){0};
}

/* Makes room for one more chunk's hash. */
static int make_room(struct vly_hash *h)
{
    size_t cap = h->cap > 0 ? h->cap * 2 : 1; /* most files are small */
    uint8_t(*chunks)[VLY_HASH_BYTES];

    if (h->n < h->cap)
        return 0;
    if (h->n >= VLY_HASH_CHUNKS_MAX)
        return VLY_E_LIMIT;
    chunks = realloc(h->chunks, cap * sizeof *chunks);
    if (chunks == NULL)
        return VLY_E_NOMEM;
    h->chunks = chunks;
    h->cap = cap;
    return 0;
}

static void store(struct vly_hash *h, XXH128_hash_t value)
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, value);
    memcpy(h->chunks[h->n++], canonical.digest, VLY_HASH_BYTES);
}

/* Takes bytes that lie in one chunk; `in_chunk` of it are hashed already. */
static int update_chunk(struct vly_hash *h, uint64_t in_chunk, struct vly_span data)
{
    bool completes = in_chunk + data.len == VLY_CHUNK_BYTES;
    int err;

    if ((err = make_room(h)) != 0)
        return err;
    if (h->state == NULL && (h->state = XXH3_createState()) == NULL)
        return VLY_E_NOMEM;
    if (in_chunk == 0)
        XXH3_128bits_reset(h->state);
    XXH3_128bits_update(h->state, data.data, data.len);
    h->bytes += data.len;
    if (completes)
        store(h, XXH3_128bits_digest(h->state));
    return 0;
}

int vly_hash_update(struct vly_hash *h, struct vly_span data)
{
    while (data.len > 0) {
        uint64_t in_chunk = h->bytes % VLY_CHUNK_BYTES;
        uint64_t left = VLY_CHUNK_BYTES - in_chunk;
        struct vly_span part = {.data = data.data,
                                .len = data.len < left ? data.len : (size_t)left};
        int err = update_chunk(h, in_chunk, part);

        if (err != 0)
            return err;
        data.data += part.len;
        data.len -= part.len;
    }
    return 0;
}

int vly_hash_end(struct vly_hash *h)
{
    int err;

    if (h->bytes % VLY_CHUNK_BYTES == 0)
        return 0;
    if ((err = make_room(h)) != 0)
        return err;
    store(h, XXH3_128bits_digest(h->state));
    return 0;
}

int vly_hash_root(const struct vly_hash *h, uint8_t root[VLY_HASH_BYTES])
{
    XXH3_state_t *state = XXH3_createState();
    XXH128_canonical_t canonical;
    uint8_t size[8];

    if (state == NULL)
        return VLY_E_NOMEM;
    for (unsigned i = 0; i < 8; i++)
        size[i] = (uint8_t)(h->bytes >> (56 - 8 * i));
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, size, sizeof size);
    if (h->n > 0)
        XXH3_128bits_update(state, h->chunks, h->n * VLY_HASH_BYTES);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(root, canonical.digest, VLY_HASH_BYTES);
    XXH3_freeState(state);
    return 0;
}
