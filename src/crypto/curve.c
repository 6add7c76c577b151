/*
 * curve - X25519 (RFC 7748) by libcrypto.
 *
 * A point of small order gives the all-zero product, which libcrypto reports as a failure of
 * EVP_PKEY_derive; nothing else can fail there but memory.
 */
#include "crypto/backend.h"

#include <openssl/err.h>
#include <openssl/evp.h>

static EVP_PKEY *secret_key(const uint8_t secret[32])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, 32);

    if (key == NULL)
        vly_crypto_give_up("X25519 failed");
    return key;
}

bool vly_curve_x25519(uint8_t out[32], const uint8_t secret[32], const uint8_t point[32])
{
    EVP_PKEY *own = secret_key(secret);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point, 32);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    size_t len = 32;
    bool ok;

    if (peer == NULL || ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
        EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) != 1)
        vly_crypto_give_up("X25519 failed");
    ERR_set_mark();
    ok = EVP_PKEY_derive(ctx, out, &len) == 1 && len == 32;
    ERR_pop_to_mark(); /* a peer must not fill the queue of errors */
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    return ok;
}

void vly_curve_x25519_public(uint8_t out[32], const uint8_t secret[32])
{
    EVP_PKEY *own = secret_key(secret);
    size_t len = 32;

    if (EVP_PKEY_get_raw_public_key(own, out, &len) != 1 || len != 32)
        vly_crypto_give_up("X25519 failed");
    EVP_PKEY_free(own);
}
