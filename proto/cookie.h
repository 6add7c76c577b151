/*
 * cookie - proof that a client receives at the address it sends from, without keeping anything.
 * SPEC 3.
 *
 * HMAC-SHA256 over address, time and the HELLO, under one of two keys; a new key every
 * VLY_COOKIE_KEY_NS, a cookie is good for VLY_COOKIE_LIFE_NS. RULE 1, 3, 41.
 */
#ifndef VLY_PROTO_COOKIE_H
#define VLY_PROTO_COOKIE_H

#include "crypto.h"
#include "packet.h"

#define VLY_COOKIE_KEY_NS VLY_S(60)
#define VLY_COOKIE_LIFE_NS VLY_S(60)
#define VLY_COOKIE_BYTES (1 + 8 + VLY_MAC_BYTES)

struct vly_cookie_keys {
    uint8_t key[2][32];
    uint8_t newest; /* number of the newest key; key n is key[n & 1] */
    uint64_t made_ns;
};

void vly_cookie_keys_init(struct vly_cookie_keys *k, const struct vly_crypto *crypto,
                          uint64_t now_ns);
/* Makes the cookie for this HELLO from this address; renews the key when it is due. */
void vly_cookie_make(struct vly_cookie_keys *k, const struct vly_crypto *crypto,
                     struct vly_span address, const struct vly_hello *hello, uint64_t now_ns,
                     uint8_t out[VLY_COOKIE_BYTES]);
/* Whether hello->cookie was made for it, here, not too long ago. Constant time in the secret. */
bool vly_cookie_is_valid(const struct vly_cookie_keys *k, const struct vly_crypto *crypto,
                         struct vly_span address, const struct vly_hello *hello, uint64_t now_ns);
/* Compares in time that does not depend on the content. */
bool vly_equal_secret(const uint8_t *a, const uint8_t *b, size_t len);

#endif
