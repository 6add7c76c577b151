/*
 * openssl - HMAC-SHA256 by libcrypto, and the system's randomness.
 *
 * Neither can fail towards the engine: what would make a cookie or a connection id guessable ends
 * the process instead.
 * Cost: a microsecond and three allocations an HMAC; handshakes only.
 */
#include "crypto/crypto.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

_Noreturn static void give_up(const char *what)
{
    fprintf(stderr, "volley: %s\n", what);
    abort();
}

static EVP_MAC *hmac_algorithm; /* fetched once, never freed */

static void hmac_fetch(void)
{
    hmac_algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

static bool hmac_compute(EVP_MAC_CTX *ctx, const uint8_t key[32], const struct vly_span *parts,
                         size_t n, uint8_t out[VLY_MAC_BYTES])
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("digest", digest, 0),
        OSSL_PARAM_construct_end(),
    };
    size_t len;

    if (ctx == NULL || EVP_MAC_init(ctx, key, 32, params) != 1)
        return false;
    for (size_t i = 0; i < n; i++)
        if (parts[i].len > 0 && EVP_MAC_update(ctx, parts[i].data, parts[i].len) != 1)
            return false;
    return EVP_MAC_final(ctx, out, &len, VLY_MAC_BYTES) == 1 && len == VLY_MAC_BYTES;
}

static void hmac(const uint8_t key[32], const struct vly_span *parts, size_t n,
                 uint8_t out[VLY_MAC_BYTES])
{
    static pthread_once_t fetched = PTHREAD_ONCE_INIT;
    EVP_MAC_CTX *ctx;

    pthread_once(&fetched, hmac_fetch);
    ctx = hmac_algorithm != NULL ? EVP_MAC_CTX_new(hmac_algorithm) : NULL;
    if (!hmac_compute(ctx, key, parts, n, out))
        give_up("HMAC-SHA256 failed");
    EVP_MAC_CTX_free(ctx);
}

static void system_random(void *ctx, void *buf, size_t len)
{
    uint8_t *p = buf;

    (void)ctx;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno != EINTR)
            give_up("the system gives no random numbers");
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

const struct vly_crypto *vly_crypto_system(void)
{
    static const struct vly_crypto crypto = {
        .plain = &vly_suite_plain,
        .hmac = hmac,
        .random = system_random,
    };

    return &crypto;
}

void vly_crypto_with_random(struct vly_crypto *out, void (*draw)(void *ctx, void *buf, size_t len),
                            void *ctx)
{
    *out = *vly_crypto_system();
    out->random = draw;
    out->random_ctx = ctx;
}
