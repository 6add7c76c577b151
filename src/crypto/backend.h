/*
 * backend - the parts that system.c and choose.c make a struct vly_crypto of; private to this
 * folder.
 */
#ifndef VLY_CRYPTO_BACKEND_H
#define VLY_CRYPTO_BACKEND_H

#include "crypto/crypto.h"

#include <endian.h>
#include <string.h>

/* Ends the process: for what cannot fail towards the engine. */
_Noreturn void vly_crypto_give_up(const char *what);

/* digest.c: the ops of struct vly_crypto of the same names, as are the others below. */
void vly_digest_sha256(const struct vly_span *parts, size_t n, uint8_t out[32]);
void vly_digest_sha512(const struct vly_span *parts, size_t n, uint8_t out[64]);
void vly_digest_hmac(const uint8_t key[32], const struct vly_span *parts, size_t n,
                     uint8_t out[VLY_MAC_BYTES]);

/* curve.c */
VLY_MUST_USE bool vly_curve_x25519(uint8_t out[32], const uint8_t secret[32],
                                   const uint8_t point[32]);
void vly_curve_x25519_public(uint8_t out[32], const uint8_t secret[32]);
void vly_group_map(uint8_t out[32], const uint8_t hash[64]);
void vly_group_scalar(uint8_t out[32], const uint8_t uniform[64]);
VLY_MUST_USE bool vly_group_multiply(uint8_t out[32], const uint8_t scalar[32],
                                     const uint8_t point[32]);

/* secret.c */
void *vly_secret_new(size_t len);
void vly_secret_free(void *p, size_t len);
void vly_secret_wipe(void *p, size_t len);

/* aead_openssl.c: NULL for no sealed suite. */
const struct vly_suite_ops *vly_openssl_suite(enum vly_suite id);

/* aead_ipsec.c: NULL where the processor lacks what it needs, or the library was not built in. */
#ifdef VLY_HAVE_IPSEC_MB
const struct vly_suite_ops *vly_ipsec_suite(enum vly_suite id);
#else
static inline const struct vly_suite_ops *vly_ipsec_suite(enum vly_suite id)
{
    (void)id;
    return NULL;
}
#endif

/* The nonce of packet `number`: the IV, with the number XORed into its last 8 bytes. */
static inline void vly_nonce(uint8_t nonce[VLY_IV_BYTES], const uint8_t iv[VLY_IV_BYTES],
                             uint64_t number)
{
    uint64_t last;

    memcpy(&last, iv + 4, sizeof(last));
    last ^= htobe64(number);
    memcpy(nonce, iv, 4);
    memcpy(nonce + 4, &last, sizeof(last));
}

/* In constant time, and without a call. */
static inline bool vly_tag_equal(const uint8_t a[VLY_TAG_BYTES], const uint8_t b[VLY_TAG_BYTES])
{
    uint64_t x[2], y[2];

    memcpy(x, a, sizeof(x));
    memcpy(y, b, sizeof(y));
    return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

#endif
