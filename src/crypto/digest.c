/*
 * digest - SHA-256, SHA-512 and HMAC-SHA256 by libcrypto.
 *
 * A thread keeps one context of SHA-256: making one, or an EVP_MAC, costs more than hashing a
 * HELLO. Invariant: between calls that context stands at its beginning, so nothing of what it
 * hashed remains in it. Cost: an HMAC of 200 bytes about a microsecond, without allocation.
 */
#include "crypto/backend.h"

#include <openssl/evp.h>
#include <pthread.h>

#define BLOCK_BYTES 64u /* of SHA-256 */

/* Made once, never freed. */
static EVP_MD *sha256_algorithm;
static EVP_MD *sha512_algorithm;
static pthread_key_t context_key; /* the thread's EVP_MD_CTX */

static void context_free(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void make(void)
{
    sha256_algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha512_algorithm = EVP_MD_fetch(NULL, "SHA512", NULL);
    if (sha256_algorithm == NULL || sha512_algorithm == NULL ||
        pthread_key_create(&context_key, context_free) != 0)
        vly_crypto_give_up("libcrypto has no SHA-2");
}

static void make_once(void)
{
    static pthread_once_t made = PTHREAD_ONCE_INIT;

    pthread_once(&made, make);
}

static void must(bool ok)
{
    if (!ok)
        vly_crypto_give_up("SHA-2 failed");
}

/* This thread's SHA-256, at its beginning. */
static EVP_MD_CTX *context(void)
{
    EVP_MD_CTX *ctx;

    make_once();
    ctx = pthread_getspecific(context_key);
    if (ctx != NULL)
        return ctx;
    ctx = EVP_MD_CTX_new();
    must(ctx != NULL && EVP_DigestInit_ex2(ctx, sha256_algorithm, NULL) == 1 &&
         pthread_setspecific(context_key, ctx) == 0);
    return ctx;
}

static void add(EVP_MD_CTX *ctx, const struct vly_span *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        must(parts[i].len == 0 || EVP_DigestUpdate(ctx, parts[i].data, parts[i].len) == 1);
}

/* Ends a hash and goes back to the beginning. */
static void finish(EVP_MD_CTX *ctx, uint8_t out[32])
{
    must(EVP_DigestFinal_ex(ctx, out, NULL) == 1 && EVP_DigestInit_ex2(ctx, NULL, NULL) == 1);
}

void vly_digest_sha256(const struct vly_span *parts, size_t n, uint8_t out[32])
{
    EVP_MD_CTX *ctx = context();

    add(ctx, parts, n);
    finish(ctx, out);
}

void vly_digest_sha512(const struct vly_span *parts, size_t n, uint8_t out[64])
{
    EVP_MD_CTX *ctx;

    make_once();
    ctx = EVP_MD_CTX_new();
    must(ctx != NULL && EVP_DigestInit_ex2(ctx, sha512_algorithm, NULL) == 1);
    add(ctx, parts, n);
    must(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
    EVP_MD_CTX_free(ctx);
}

/* A block of the key, each byte with `pad` XORed into it. */
static void add_key(EVP_MD_CTX *ctx, const uint8_t key[32], uint8_t pad)
{
    uint8_t block[BLOCK_BYTES];

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (i < 32 ? key[i] : 0) ^ pad;
    must(EVP_DigestUpdate(ctx, block, sizeof(block)) == 1);
    vly_secret_wipe(block, sizeof(block));
}

/* RFC 2104. `out` may be one of the parts: it is written last. */
void vly_digest_hmac(const uint8_t key[32], const struct vly_span *parts, size_t n,
                     uint8_t out[VLY_MAC_BYTES])
{
    EVP_MD_CTX *ctx = context();
    uint8_t inner[32];

    add_key(ctx, key, 0x36);
    add(ctx, parts, n);
    finish(ctx, inner);
    add_key(ctx, key, 0x5c);
    must(EVP_DigestUpdate(ctx, inner, sizeof(inner)) == 1);
    finish(ctx, out);
    vly_secret_wipe(inner, sizeof(inner));
}
