/*
 * digest - SHA-256, SHA-512 and HMAC-SHA256 by libcrypto.
 *
 * Cost: about a microsecond and a few allocations each; handshakes only.
 */
#include "crypto/backend.h"

#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>

/* Fetched once, never freed. */
static EVP_MAC *hmac_algorithm;
static EVP_MD *sha256_algorithm;
static EVP_MD *sha512_algorithm;

static void fetch(void)
{
    hmac_algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    sha256_algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha512_algorithm = EVP_MD_fetch(NULL, "SHA512", NULL);
    if (hmac_algorithm == NULL || sha256_algorithm == NULL || sha512_algorithm == NULL)
        vly_crypto_give_up("libcrypto has no SHA-2");
}

static void fetch_once(void)
{
    static pthread_once_t fetched = PTHREAD_ONCE_INIT;

    pthread_once(&fetched, fetch);
}

static bool digest_compute(EVP_MD_CTX *ctx, const EVP_MD *algorithm, const struct vly_span *parts,
                           size_t n, uint8_t *out)
{
    if (ctx == NULL || EVP_DigestInit_ex2(ctx, algorithm, NULL) != 1)
        return false;
    for (size_t i = 0; i < n; i++)
        if (parts[i].len > 0 && EVP_DigestUpdate(ctx, parts[i].data, parts[i].len) != 1)
            return false;
    return EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

static void digest(const EVP_MD *algorithm, const struct vly_span *parts, size_t n, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!digest_compute(ctx, algorithm, parts, n, out))
        vly_crypto_give_up("SHA-2 failed");
    EVP_MD_CTX_free(ctx);
}

void vly_digest_sha256(const struct vly_span *parts, size_t n, uint8_t out[32])
{
    fetch_once();
    digest(sha256_algorithm, parts, n, out);
}

void vly_digest_sha512(const struct vly_span *parts, size_t n, uint8_t out[64])
{
    fetch_once();
    digest(sha512_algorithm, parts, n, out);
}

static bool hmac_compute(EVP_MAC_CTX *ctx, const uint8_t key[32], const struct vly_span *parts,
                         size_t n, uint8_t out[VLY_MAC_BYTES])
{
    char name[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("digest", name, 0),
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

void vly_digest_hmac(const uint8_t key[32], const struct vly_span *parts, size_t n,
                     uint8_t out[VLY_MAC_BYTES])
{
    EVP_MAC_CTX *ctx;

    fetch_once();
    ctx = EVP_MAC_CTX_new(hmac_algorithm);
    if (!hmac_compute(ctx, key, parts, n, out))
        vly_crypto_give_up("HMAC-SHA256 failed");
    EVP_MAC_CTX_free(ctx);
}
