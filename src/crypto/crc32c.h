/*
 * crc32c - CRC-32C (Castagnoli) as in RFC 3720 appendix B.4.
 */
#ifndef VLY_CRYPTO_CRC32C_H
#define VLY_CRYPTO_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of `len` bytes; that of "123456789" is 0xe3069283. */
uint32_t vly_crc32c(const void *data, size_t len);

/* The same by tables alone, as machines without the instructions compute it: for tests. */
uint32_t vly_crc32c_portable(const void *data, size_t len);

#endif
