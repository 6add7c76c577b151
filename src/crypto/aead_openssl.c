/*
 * aead_openssl - AES-GCM and ChaCha20-Poly1305 by libcrypto.
 *
 * The key schedule stands in libcrypto's own memory, which it wipes but does not lock. It is
 * computed once a key; a packet sets only the nonce, and with it the direction.
 */
#include "crypto/backend.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

struct keys {
    EVP_CIPHER_CTX *ctx; /* owned */
    uint8_t iv[VLY_IV_BYTES];
};

/* Fetched once, never freed. */
static EVP_CIPHER *aes_256_gcm;
static EVP_CIPHER *aes_128_gcm;
static EVP_CIPHER *chacha20;

static void fetch(void)
{
    aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    aes_128_gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    chacha20 = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    if (aes_256_gcm == NULL || aes_128_gcm == NULL || chacha20 == NULL)
        vly_crypto_give_up("libcrypto has no AES-GCM or no ChaCha20-Poly1305");
}

static bool keys_init(struct keys *k, const EVP_CIPHER *cipher, const uint8_t *key,
                      const uint8_t *iv)
{
    memcpy(k->iv, iv, VLY_IV_BYTES);
    k->ctx = EVP_CIPHER_CTX_new();
    if (k->ctx != NULL && EVP_EncryptInit_ex2(k->ctx, cipher, key, NULL, NULL) == 1)
        return true;
    EVP_CIPHER_CTX_free(k->ctx);
    return false;
}

static bool aes_256_init(void *keys, const uint8_t key[VLY_KEY_BYTES],
                         const uint8_t iv[VLY_IV_BYTES])
{
    return keys_init(keys, aes_256_gcm, key, iv);
}

static bool aes_128_init(void *keys, const uint8_t key[VLY_KEY_BYTES],
                         const uint8_t iv[VLY_IV_BYTES])
{
    return keys_init(keys, aes_128_gcm, key, iv);
}

static bool chacha_init(void *keys, const uint8_t key[VLY_KEY_BYTES],
                        const uint8_t iv[VLY_IV_BYTES])
{
    return keys_init(keys, chacha20, key, iv);
}

static void keys_fini(void *keys)
{
    struct keys *k = keys;

    EVP_CIPHER_CTX_free(k->ctx);
    k->ctx = NULL;
}

/* All of the packet but its tag. */
static bool crypt(struct keys *k, const struct vly_aead_job *job, int encrypts)
{
    uint8_t nonce[VLY_IV_BYTES];
    int len;

    assert(job->head_bytes <= INT_MAX && job->len <= INT_MAX && job->more.len <= INT_MAX);
    vly_nonce(nonce, k->iv, job->number);
    return EVP_CipherInit_ex2(k->ctx, NULL, NULL, nonce, encrypts, NULL) == 1 &&
           (job->head_bytes == 0 ||
            EVP_CipherUpdate(k->ctx, NULL, &len, job->head, (int)job->head_bytes) == 1) &&
           (job->len == 0 ||
            EVP_CipherUpdate(k->ctx, job->out, &len, job->in, (int)job->len) == 1) &&
           (job->more.len == 0 || EVP_CipherUpdate(k->ctx, job->out + job->len, &len,
                                                   job->more.data, (int)job->more.len) == 1);
}

static void suite_seal(void *keys, struct vly_aead_job *jobs, size_t n)
{
    struct keys *k = keys;
    uint8_t none[1];
    int len;

    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        if (!crypt(k, job, 1) || EVP_CipherFinal_ex(k->ctx, none, &len) != 1 ||
            EVP_CIPHER_CTX_ctrl(k->ctx, EVP_CTRL_AEAD_GET_TAG, VLY_TAG_BYTES,
                                job->out + job->len + job->more.len) != 1)
            vly_crypto_give_up("sealing a packet failed");
    }
}

static void suite_open(void *keys, struct vly_aead_job *jobs, size_t n)
{
    struct keys *k = keys;
    uint8_t tag[VLY_TAG_BYTES];
    uint8_t none[1];
    int len;

    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        memcpy(tag, job->in + job->len, VLY_TAG_BYTES);
        if (!crypt(k, job, 0) ||
            EVP_CIPHER_CTX_ctrl(k->ctx, EVP_CTRL_AEAD_SET_TAG, VLY_TAG_BYTES, tag) != 1)
            vly_crypto_give_up("opening a packet failed");
        job->ok = EVP_CipherFinal_ex(k->ctx, none, &len) == 1; /* compares in constant time */
    }
}

static const struct vly_suite_ops suites[] = {
    {
        .id = VLY_SUITE_AES_256_GCM,
        .name = "aes-256-gcm",
        .backend = "openssl",
        .keys_bytes = sizeof(struct keys),
        .forgery_limit_pkts = VLY_FORGERY_LIMIT_PKTS,
        .init = aes_256_init,
        .fini = keys_fini,
        .seal = suite_seal,
        .open = suite_open,
    },
    {
        .id = VLY_SUITE_AES_128_GCM,
        .name = "aes-128-gcm",
        .backend = "openssl",
        .keys_bytes = sizeof(struct keys),
        .forgery_limit_pkts = VLY_FORGERY_LIMIT_PKTS,
        .init = aes_128_init,
        .fini = keys_fini,
        .seal = suite_seal,
        .open = suite_open,
    },
    {
        .id = VLY_SUITE_CHACHA20,
        .name = "chacha20-poly1305",
        .backend = "openssl",
        .keys_bytes = sizeof(struct keys),
        .forgery_limit_pkts = VLY_FORGERY_LIMIT_PKTS,
        .init = chacha_init,
        .fini = keys_fini,
        .seal = suite_seal,
        .open = suite_open,
    },
};

const struct vly_suite_ops *vly_openssl_suite(enum vly_suite id)
{
    static pthread_once_t fetched = PTHREAD_ONCE_INIT;

    pthread_once(&fetched, fetch);
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
        if (suites[i].id == id)
            return &suites[i];
    return NULL;
}
