/*
 * curve - X25519 (RFC 7748) and ristretto255 (RFC 9496) by libsodium.
 *
 * It wants neither memory nor key objects. libcrypto computes a public key with each secret it is
 * given, asked for or not, so that a product takes twice as long there.
 */
#include "crypto/backend.h"

#include <pthread.h>
#include <sodium.h>

static void init(void)
{
    if (sodium_init() < 0)
        vly_crypto_give_up("libsodium failed");
}

/* libsodium picks its code for the processor then. */
static void init_once(void)
{
    static pthread_once_t done = PTHREAD_ONCE_INIT;

    pthread_once(&done, init);
}

bool vly_curve_x25519(uint8_t out[32], const uint8_t secret[32], const uint8_t point[32])
{
    init_once();
    return crypto_scalarmult_curve25519(out, secret, point) == 0;
}

void vly_curve_x25519_public(uint8_t out[32], const uint8_t secret[32])
{
    init_once();
    (void)crypto_scalarmult_curve25519_base(out, secret); /* never fails */
}

void vly_group_map(uint8_t out[32], const uint8_t hash[64])
{
    init_once();
    (void)crypto_core_ristretto255_from_hash(out, hash); /* never fails */
}

void vly_group_scalar(uint8_t out[32], const uint8_t uniform[64])
{
    init_once();
    crypto_core_ristretto255_scalar_reduce(out, uniform);
}

bool vly_group_multiply(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32])
{
    init_once();
    return crypto_scalarmult_ristretto255(out, scalar, point) == 0;
}
