/*
 * aead_ipsec - AES-256-GCM and ChaCha20-Poly1305 by libipsec-mb, x86-64 only.
 *
 * Its direct functions: one packet a call, no queue, no state outside of `keys`, so that threads
 * share the manager, which is no more than a table of functions for this processor. All of the key
 * schedule stands in secret memory. The library clears its registers and stack by itself.
 */
#include "crypto/backend.h"

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>

#define AES_BLOCK_BYTES 16u

/* The struct that the library wants aligned to 64 stands first. */
struct gcm_keys {
    struct gcm_key_data schedule;
    struct gcm_context_data scratch;
    uint8_t iv[VLY_IV_BYTES];
};

struct chacha_keys {
    uint8_t key[VLY_KEY_BYTES];
    struct chacha20_poly1305_context_data scratch;
    uint8_t iv[VLY_IV_BYTES];
};

static IMB_MGR *manager; /* NULL: not on this machine; never freed */

static void manager_init(void)
{
    static const uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_AVX;
    IMB_ARCH arch = IMB_ARCH_NONE;
    IMB_MGR *mgr = alloc_mb_mgr(0);

    if (mgr == NULL)
        return;
    init_mb_mgr_auto(mgr, &arch); /* runs the library's self-test */
    if (imb_get_errno(mgr) == 0 && arch != IMB_ARCH_NONE && (mgr->features & needed) == needed)
        manager = mgr;
    else
        free_mb_mgr(mgr);
}

static bool gcm_init(void *keys, const uint8_t key[VLY_KEY_BYTES], const uint8_t iv[VLY_IV_BYTES])
{
    struct gcm_keys *k = keys;

    IMB_AES256_GCM_PRE(manager, key, &k->schedule);
    memcpy(k->iv, iv, VLY_IV_BYTES);
    return true;
}

static bool chacha_init(void *keys, const uint8_t key[VLY_KEY_BYTES],
                        const uint8_t iv[VLY_IV_BYTES])
{
    struct chacha_keys *k = keys;

    memcpy(k->key, key, VLY_KEY_BYTES);
    memcpy(k->iv, iv, VLY_IV_BYTES);
    return true;
}

/* Whoever gave the memory wipes it. */
static void keys_fini(void *keys)
{
    (void)keys;
}

/* The cipher is the copy. An update that ends within a block of AES is the slow case, so the first
 * part is filled up to whole blocks. */
static void gcm_seal_parts(struct gcm_keys *k, const struct vly_aead_job *job,
                           const uint8_t nonce[VLY_IV_BYTES])
{
    size_t fill = (AES_BLOCK_BYTES - job->len % AES_BLOCK_BYTES) % AES_BLOCK_BYTES;
    size_t len;

    if (fill > job->more.len)
        fill = job->more.len;
    len = job->len + fill;
    memcpy(job->out + job->len, job->more.data, fill);
    IMB_AES256_GCM_INIT(manager, &k->schedule, &k->scratch, nonce, job->head, job->head_bytes);
    IMB_AES256_GCM_ENC_UPDATE(manager, &k->schedule, &k->scratch, job->out, job->out, len);
    IMB_AES256_GCM_ENC_UPDATE(manager, &k->schedule, &k->scratch, job->out + len,
                              job->more.data + fill, job->more.len - fill);
    IMB_AES256_GCM_ENC_FINALIZE(manager, &k->schedule, &k->scratch,
                                job->out + len + job->more.len - fill, VLY_TAG_BYTES);
}

static void gcm_seal(void *keys, struct vly_aead_job *jobs, size_t n)
{
    struct gcm_keys *k = keys;
    uint8_t nonce[VLY_IV_BYTES];

    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        vly_nonce(nonce, k->iv, job->number);
        if (job->more.len > 0) {
            gcm_seal_parts(k, job, nonce);
            continue;
        }
        IMB_AES256_GCM_ENC(manager, &k->schedule, &k->scratch, job->out, job->in, job->len, nonce,
                           job->head, job->head_bytes, job->out + job->len, VLY_TAG_BYTES);
    }
}

static void gcm_open(void *keys, struct vly_aead_job *jobs, size_t n)
{
    struct gcm_keys *k = keys;
    uint8_t nonce[VLY_IV_BYTES];
    uint8_t tag[VLY_TAG_BYTES];

    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        vly_nonce(nonce, k->iv, job->number);
        IMB_AES256_GCM_DEC(manager, &k->schedule, &k->scratch, job->out, job->in, job->len, nonce,
                           job->head, job->head_bytes, tag, VLY_TAG_BYTES);
        job->ok = CRYPTO_memcmp(tag, job->in + job->len, VLY_TAG_BYTES) == 0;
    }
}

static void chacha_seal(void *keys, struct vly_aead_job *jobs, size_t n)
{
    struct chacha_keys *k = keys;
    uint8_t nonce[VLY_IV_BYTES];

    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        vly_job_gather(job);
        vly_nonce(nonce, k->iv, job->number);
        IMB_CHACHA20_POLY1305_INIT(manager, k->key, &k->scratch, nonce, job->head, job->head_bytes);
        IMB_CHACHA20_POLY1305_ENC_UPDATE(manager, k->key, &k->scratch, job->out, job->in, job->len);
        IMB_CHACHA20_POLY1305_ENC_FINALIZE(manager, &k->scratch, job->out + job->len,
                                           VLY_TAG_BYTES);
    }
}

static void chacha_open(void *keys, struct vly_aead_job *jobs, size_t n)
{
    struct chacha_keys *k = keys;
    uint8_t nonce[VLY_IV_BYTES];
    uint8_t tag[VLY_TAG_BYTES];

    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        vly_nonce(nonce, k->iv, job->number);
        IMB_CHACHA20_POLY1305_INIT(manager, k->key, &k->scratch, nonce, job->head, job->head_bytes);
        IMB_CHACHA20_POLY1305_DEC_UPDATE(manager, k->key, &k->scratch, job->out, job->in, job->len);
        IMB_CHACHA20_POLY1305_DEC_FINALIZE(manager, &k->scratch, tag, VLY_TAG_BYTES);
        job->ok = CRYPTO_memcmp(tag, job->in + job->len, VLY_TAG_BYTES) == 0;
    }
}

static const struct vly_suite_ops aes_ops = {
    .id = VLY_SUITE_AES_256_GCM,
    .name = "aes-256-gcm",
    .backend = "ipsec-mb",
    .keys_bytes = sizeof(struct gcm_keys),
    .forgery_limit_pkts = VLY_FORGERY_LIMIT_PKTS,
    .init = gcm_init,
    .fini = keys_fini,
    .seal = gcm_seal,
    .open = gcm_open,
};

static const struct vly_suite_ops chacha_ops = {
    .id = VLY_SUITE_CHACHA20,
    .name = "chacha20-poly1305",
    .backend = "ipsec-mb",
    .keys_bytes = sizeof(struct chacha_keys),
    .forgery_limit_pkts = VLY_FORGERY_LIMIT_PKTS,
    .init = chacha_init,
    .fini = keys_fini,
    .seal = chacha_seal,
    .open = chacha_open,
};

const struct vly_suite_ops *vly_ipsec_suite(enum vly_suite id)
{
    static pthread_once_t initialised = PTHREAD_ONCE_INIT;

    pthread_once(&initialised, manager_init);
    if (manager == NULL)
        return NULL;
    return id == VLY_SUITE_AES_256_GCM ? &aes_ops : &chacha_ops;
}
