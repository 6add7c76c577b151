/*
 * plain - the suite without secrecy: a CRC-32C behind the packet (SPEC 2.1).
 *
 * It finds damage, not malice. The header is covered too, so a packet number that was hit on the
 * way is not believed. ISA-L computes the sum with whatever the processor has for it.
 */
#include "crypto/backend.h"

#include <isa-l/crc.h>
#include <string.h>

uint32_t vly_crc32c(const void *data, size_t len)
{
    /* The library wants no more than an int's worth, reads only, and leaves the final XOR to us. */
    return ~crc32_iscsi((unsigned char *)data, (int)len, UINT32_MAX);
}

static void tag_of(const struct vly_aead_job *job, const uint8_t *text, uint8_t tag[VLY_TAG_BYTES])
{
    uint32_t crc = crc32_iscsi((unsigned char *)job->head, (int)job->head_bytes, UINT32_MAX);

    crc = ~crc32_iscsi((unsigned char *)text, (int)job->len, crc);
    memset(tag, 0, VLY_TAG_BYTES);
    for (unsigned i = 0; i < 4; i++)
        tag[i] = (uint8_t)(crc >> (24 - 8 * i));
}

static void plain_seal(void *keys, struct vly_aead_job *jobs, size_t n)
{
    (void)keys;
    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        if (job->out != job->in)
            memcpy(job->out, job->in, job->len);
        vly_job_gather(job);
        tag_of(job, job->out, job->out + job->len);
    }
}

static void plain_open(void *keys, struct vly_aead_job *jobs, size_t n)
{
    uint8_t tag[VLY_TAG_BYTES];

    (void)keys;
    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        tag_of(job, job->in, tag);
        job->ok = memcmp(tag, job->in + job->len, VLY_TAG_BYTES) == 0;
        if (job->ok && job->out != job->in)
            memcpy(job->out, job->in, job->len);
    }
}

const struct vly_suite_ops vly_suite_plain = {
    .id = VLY_SUITE_PLAIN,
    .name = "plain",
    .backend = "isa-l",
    .seal = plain_seal,
    .open = plain_open,
};
