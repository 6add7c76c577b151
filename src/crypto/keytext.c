/*
 * keytext - public keys as people see them. Base64 by libsodium, which takes one spelling alone.
 */
#include "crypto/keytext.h"

#include <sodium.h>
#include <string.h>

#define KEY_PREFIX "volley1:"
#define HASH_PREFIX "SHA256:"

static struct vly_key_text text_of(const char *prefix, const uint8_t bytes[32], int variant)
{
    struct vly_key_text out;
    size_t len = strlen(prefix);

    memcpy(out.s, prefix, len + 1);
    sodium_bin2base64(out.s + len, sizeof(out.s) - len, bytes, 32, variant);
    return out;
}

struct vly_key_text vly_public_key_text(const uint8_t key[VLY_PUBLIC_KEY_BYTES])
{
    return text_of(KEY_PREFIX, key, sodium_base64_VARIANT_ORIGINAL);
}

struct vly_key_text vly_fingerprint(const uint8_t key[VLY_PUBLIC_KEY_BYTES])
{
    uint8_t hash[crypto_hash_sha256_BYTES];

    (void)crypto_hash_sha256(hash, key, VLY_PUBLIC_KEY_BYTES);
    return text_of(HASH_PREFIX, hash, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}

int vly_public_key_parse(const char *text, uint8_t out[VLY_PUBLIC_KEY_BYTES])
{
    size_t prefix = strlen(KEY_PREFIX), len;

    if (strncmp(text, KEY_PREFIX, prefix) != 0 ||
        sodium_base642bin(out, VLY_PUBLIC_KEY_BYTES, text + prefix, strlen(text + prefix), NULL,
                          &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return VLY_E_MALFORMED;
    return len == VLY_PUBLIC_KEY_BYTES ? 0 : VLY_E_MALFORMED;
}
