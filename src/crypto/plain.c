/*
 * plain - the suite without secrecy: a CRC-32C behind the packet (SPEC 2.1).
 *
 * It finds damage, not malice. The header is covered too, so a packet number that was hit on the
 * way is not believed. ISA-L computes the sum with whatever the processor has for it.
 */
#include "crypto/crypto.h"

#include <isa-l/crc.h>
#include <string.h>

uint32_t vly_crc32c(const void *data, size_t len)
{
    /* The library wants no more than an int's worth, reads only, and leaves the final XOR to us. */
    return ~crc32_iscsi((unsigned char *)data, (int)len, UINT32_MAX);
}

static void tag_of(const uint8_t *pkt, size_t len, uint8_t tag[VLY_TAG_BYTES])
{
    uint32_t crc = vly_crc32c(pkt, len);

    memset(tag, 0, VLY_TAG_BYTES);
    for (unsigned i = 0; i < 4; i++)
        tag[i] = (uint8_t)(crc >> (24 - 8 * i));
}

static void plain_seal(const void *keys, uint64_t pn, uint8_t *pkt, size_t header, size_t len)
{
    (void)keys;
    (void)pn;
    (void)header;
    tag_of(pkt, len, pkt + len);
}

static bool plain_open(const void *keys, uint64_t pn, uint8_t *pkt, size_t header, size_t len)
{
    uint8_t tag[VLY_TAG_BYTES];

    (void)keys;
    (void)pn;
    (void)header;
    tag_of(pkt, len, tag);
    return memcmp(tag, pkt + len, VLY_TAG_BYTES) == 0;
}

const struct vly_suite_ops vly_suite_plain = {
    .id = VLY_SUITE_PLAIN,
    .name = "plain",
    .seal = plain_seal,
    .open = plain_open,
};
