/*
 * hash - chunk hashes and root hash of a file's content, fed in order, SPEC 10.6.
 *
 * Invariant: n whole chunks of VLY_CHUNK_BYTES are hashed; `bytes` - n * VLY_CHUNK_BYTES bytes are
 * in `state`. Cost: XXH3-128 of each byte, 16 bytes of memory for each MiB.
 */
#ifndef VLY_FILE_HASH_H
#define VLY_FILE_HASH_H

#include <volley/base.h>

#define VLY_CHUNK_BYTES (UINT64_C(1) << 20)
#define VLY_HASH_BYTES 16u
#define VLY_HASH_CHUNKS_MAX (UINT64_C(1) << 24) /* 16 TiB: 256 MiB of hashes */
#define VLY_FILE_BYTES_MAX (VLY_HASH_CHUNKS_MAX * VLY_CHUNK_BYTES)

struct XXH3_state_s;

struct vly_hash {
    struct XXH3_state_s *state;        /* owned; NULL until a chunk comes in parts */
    uint8_t (*chunks)[VLY_HASH_BYTES]; /* owned: canonical hashes of the chunks that are complete */
    size_t n, cap;
    uint64_t bytes; /* hashed so far */
};

void vly_hash_init(struct vly_hash *h);
void vly_hash_fini(struct vly_hash *h);
/* The next bytes of the content. Returns VLY_E_NOMEM, VLY_E_LIMIT above VLY_FILE_BYTES_MAX. */
VLY_MUST_USE int vly_hash_update(struct vly_hash *h, struct vly_span data);
/* The content is complete: hashes its last, shorter chunk. Nothing may follow but vly_hash_root. */
VLY_MUST_USE int vly_hash_end(struct vly_hash *h);
/* The root over the size and all chunk hashes, after vly_hash_end. */
VLY_MUST_USE int vly_hash_root(const struct vly_hash *h, uint8_t root[VLY_HASH_BYTES]);

#endif
