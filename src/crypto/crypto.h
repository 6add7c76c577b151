/*
 * crypto - the backends of proto/crypto.h: the suite plain, HMAC-SHA256 and the system's
 * randomness.
 */
#ifndef VLY_CRYPTO_CRYPTO_H
#define VLY_CRYPTO_CRYPTO_H

#include "proto/crypto.h"

/* CRC-32C, SPEC 2.1. Takes no keys (NULL). */
extern const struct vly_suite_ops vly_suite_plain;

/* CRC-32C (RFC 3720 B.4) of at most INT_MAX bytes; that of "123456789" is 0xe3069283. */
uint32_t vly_crc32c(const void *data, size_t len);

/* All of it with system randomness; aborts when the kernel has none to give. Static, shared. */
const struct vly_crypto *vly_crypto_system(void);

/* HMAC-SHA256 by libcrypto, for those who bring their own randomness (the simulator). Aborts when
 * libcrypto fails. */
void vly_crypto_hmac(const uint8_t key[32], const struct vly_span *parts, size_t n,
                     uint8_t out[VLY_MAC_BYTES]);

#endif
