/*
 * plain - the suite without secrecy: a CRC-32C behind the packet (SPEC 2.1).
 *
 * It finds damage, not malice. The header is covered too, so a packet number that was hit on the
 * way is not believed. ISA-L computes the sum with whatever the processor has for it.
 */
#include "crypto/backend.h"

#include <isa-l/crc.h>
#include <string.h>

/* More of what `crc` is the sum of. The library wants no more than an int's worth, reads only, and
 * leaves the final XOR to us. */
static uint32_t go_on(uint32_t crc, const void *data, size_t len)
{
    return crc32_iscsi((unsigned char *)data, (int)len, crc);
}

uint32_t vly_crc32c(const void *data, size_t len)
{
    return ~go_on(UINT32_MAX, data, len);
}

/* The sum of head and text, as it stands in the tag. A packet's text follows its head: one call. */
static uint32_t sum_of(const struct vly_aead_job *job, const uint8_t *text)
{
    uint32_t crc;

    if (job->head + job->head_bytes == text) {
        crc = go_on(UINT32_MAX, job->head, job->head_bytes + job->len);
    } else {
        crc = go_on(UINT32_MAX, job->head, job->head_bytes);
        crc = go_on(crc, text, job->len);
    }
    if (job->more.len > 0)
        crc = go_on(crc, job->more.data, job->more.len);
    return htobe32(~crc);
}

static void plain_seal(void *keys, struct vly_aead_job *jobs, size_t n)
{
    uint32_t sum;
    uint8_t *tag;

    (void)keys;
    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        if (job->out != job->in)
            memcpy(job->out, job->in, job->len);
        if (!job->apart && job->more.len > 0)
            memcpy(job->out + job->len, job->more.data, job->more.len);
        sum = sum_of(job, job->in);
        tag = job->out + job->len + job->more.len;
        memcpy(tag, &sum, sizeof(sum));
        memset(tag + sizeof(sum), 0, VLY_TAG_BYTES - sizeof(sum));
    }
}

static void plain_open(void *keys, struct vly_aead_job *jobs, size_t n)
{
    static const uint8_t zeros[VLY_TAG_BYTES - sizeof(uint32_t)];
    uint32_t sum;

    (void)keys;
    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        memcpy(&sum, job->in + job->len, sizeof(sum));
        job->ok = sum == sum_of(job, job->in) &&
                  memcmp(job->in + job->len + sizeof(sum), zeros, sizeof(zeros)) == 0;
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
