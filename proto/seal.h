/*
 * seal - one packet sealed or opened where it stands, for those who have no batch.
 */
#ifndef VLY_PROTO_SEAL_H
#define VLY_PROTO_SEAL_H

#include "crypto.h"

/* `pkt[0, header)` stays clear, `pkt[header, len)` is sealed, the tag goes to
 * `pkt[len, len + VLY_TAG_BYTES)`. */
static inline void vly_seal_one(const struct vly_suite_ops *suite, void *keys, uint64_t number,
                                uint8_t *pkt, size_t header, size_t len)
{
    struct vly_aead_job job = {.number = number,
                               .head = pkt,
                               .head_bytes = header,
                               .in = pkt + header,
                               .len = len - header,
                               .out = pkt + header};

    suite->seal(keys, &job, 1);
}

/* The reverse; `len` does not count the tag. Returns whether the tag verified. */
static inline bool vly_open_one(const struct vly_suite_ops *suite, void *keys, uint64_t number,
                                uint8_t *pkt, size_t header, size_t len)
{
    struct vly_aead_job job = {.number = number,
                               .head = pkt,
                               .head_bytes = header,
                               .in = pkt + header,
                               .len = len - header,
                               .out = pkt + header};

    suite->open(keys, &job, 1);
    return job.ok;
}

#endif
