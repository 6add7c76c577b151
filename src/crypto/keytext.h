/*
 * keytext - public keys as people see them: whole, "volley1:" and base64, or as a fingerprint,
 * "SHA256:" and base64 of the hash without padding.
 */
#ifndef VLY_CRYPTO_KEYTEXT_H
#define VLY_CRYPTO_KEYTEXT_H

#include <volley/transport.h>

/* A short text by value: vly_fingerprint(key).s lives to the end of the expression. */
struct vly_key_text {
    char s[56];
};

struct vly_key_text vly_public_key_text(const uint8_t key[VLY_PUBLIC_KEY_BYTES]);
struct vly_key_text vly_fingerprint(const uint8_t key[VLY_PUBLIC_KEY_BYTES]);
/* Reads what vly_public_key_text makes, and nothing else. Returns 0 or VLY_E_MALFORMED. */
VLY_MUST_USE int vly_public_key_parse(const char *text, uint8_t out[VLY_PUBLIC_KEY_BYTES]);

#endif
