/*
 * aead_ipsec - AES-GCM and ChaCha20-Poly1305 by libipsec-mb, x86-64 only.
 *
 * Its direct functions: one packet a call, no queue, no state outside of `keys`, so that threads
 * share the manager, which is no more than a table of functions for this processor. All of the key
 * schedule stands in secret memory. The library clears its registers and stack by itself.
 */
#include "crypto/backend.h"

#include <intel-ipsec-mb.h>
#include <pthread.h>
#include <string.h>

#define AES_BLOCK_BYTES 16u
#define FIRST_BYTES 64u /* room for a STREAM header and a block; a longer first part is slower */

/* The library's functions for one length of key. */
struct gcm_calls {
    aes_gcm_pre_t pre;
    aes_gcm_enc_dec_t enc, dec;
    aes_gcm_init_t init;
    aes_gcm_enc_dec_update_t enc_update;
    aes_gcm_enc_dec_finalize_t enc_finalize;
};

/* The struct that the library wants aligned to 64 stands first. */
struct gcm_keys {
    struct gcm_key_data schedule;
    struct gcm_context_data scratch;
    const struct gcm_calls *calls;
    uint8_t iv[VLY_IV_BYTES];
    uint8_t first[FIRST_BYTES]; /* of a text in two parts */
};

struct chacha_keys {
    uint8_t key[VLY_KEY_BYTES];
    struct chacha20_poly1305_context_data scratch;
    uint8_t iv[VLY_IV_BYTES];
};

static IMB_MGR *manager; /* NULL: not on this machine; never freed */
static struct gcm_calls gcm_256, gcm_128;

/* What the manager has for this processor. */
static void calls_init(const IMB_MGR *mgr)
{
    gcm_256 = (struct gcm_calls){
        .pre = mgr->gcm256_pre,
        .enc = mgr->gcm256_enc,
        .dec = mgr->gcm256_dec,
        .init = mgr->gcm256_init,
        .enc_update = mgr->gcm256_enc_update,
        .enc_finalize = mgr->gcm256_enc_finalize,
    };
    gcm_128 = (struct gcm_calls){
        .pre = mgr->gcm128_pre,
        .enc = mgr->gcm128_enc,
        .dec = mgr->gcm128_dec,
        .init = mgr->gcm128_init,
        .enc_update = mgr->gcm128_enc_update,
        .enc_finalize = mgr->gcm128_enc_finalize,
    };
}

static void manager_init(void)
{
    static const uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_AVX;
    IMB_ARCH arch = IMB_ARCH_NONE;
    IMB_MGR *mgr = alloc_mb_mgr(0);

    if (mgr == NULL)
        return;
    init_mb_mgr_auto(mgr, &arch); /* runs the library's self-test */
    if (imb_get_errno(mgr) != 0 || arch == IMB_ARCH_NONE || (mgr->features & needed) != needed) {
        free_mb_mgr(mgr);
        return;
    }
    manager = mgr;
    calls_init(mgr);
}

static bool gcm_init(struct gcm_keys *k, const struct gcm_calls *calls, const uint8_t *key,
                     const uint8_t *iv)
{
    k->calls = calls;
    calls->pre(key, &k->schedule);
    memcpy(k->iv, iv, VLY_IV_BYTES);
    return true;
}

static bool gcm_256_init(void *keys, const uint8_t key[VLY_KEY_BYTES],
                         const uint8_t iv[VLY_IV_BYTES])
{
    return gcm_init(keys, &gcm_256, key, iv);
}

static bool gcm_128_init(void *keys, const uint8_t key[VLY_KEY_BYTES],
                         const uint8_t iv[VLY_IV_BYTES])
{
    return gcm_init(keys, &gcm_128, key, iv);
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

/* The cipher is the copy. An update that ends within a block of AES is the slow case, so a short
 * first part is filled up to whole blocks. */
static void gcm_seal_parts(struct gcm_keys *k, const struct vly_aead_job *job,
                           const uint8_t nonce[VLY_IV_BYTES])
{
    const uint8_t *first = job->in;
    size_t fill = (AES_BLOCK_BYTES - job->len % AES_BLOCK_BYTES) % AES_BLOCK_BYTES;
    uint8_t *rest; /* where the second part goes */
    size_t rest_bytes;

    if (job->len + fill > FIRST_BYTES || fill > job->more.len)
        fill = 0;
    if (fill > 0) {
        memcpy(k->first, job->in, job->len);
        memcpy(k->first + job->len, job->more.data, fill);
        first = k->first;
    }
    rest = job->out + job->len + fill;
    rest_bytes = job->more.len - fill;
    k->calls->init(&k->schedule, &k->scratch, nonce, job->head, job->head_bytes);
    k->calls->enc_update(&k->schedule, &k->scratch, job->out, first, job->len + fill);
    k->calls->enc_update(&k->schedule, &k->scratch, rest, job->more.data + fill, rest_bytes);
    k->calls->enc_finalize(&k->schedule, &k->scratch, rest + rest_bytes, VLY_TAG_BYTES);
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
        k->calls->enc(&k->schedule, &k->scratch, job->out, job->in, job->len, nonce, job->head,
                      job->head_bytes, job->out + job->len, VLY_TAG_BYTES);
    }
}

static void gcm_open(void *keys, struct vly_aead_job *jobs, size_t n)
{
    struct gcm_keys *k = keys;
    uint8_t nonce[VLY_IV_BYTES];
    uint8_t tag[VLY_TAG_BYTES];

    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        vly_nonce(nonce, k->iv, job->number);
        k->calls->dec(&k->schedule, &k->scratch, job->out, job->in, job->len, nonce, job->head,
                      job->head_bytes, tag, VLY_TAG_BYTES);
        job->ok = vly_tag_equal(tag, job->in + job->len);
    }
}

static void chacha_seal(void *keys, struct vly_aead_job *jobs, size_t n)
{
    struct chacha_keys *k = keys;
    uint8_t nonce[VLY_IV_BYTES];

    for (struct vly_aead_job *job = jobs; job < jobs + n; job++) {
        uint8_t *rest = job->out + job->len;

        vly_nonce(nonce, k->iv, job->number);
        IMB_CHACHA20_POLY1305_INIT(manager, k->key, &k->scratch, nonce, job->head, job->head_bytes);
        IMB_CHACHA20_POLY1305_ENC_UPDATE(manager, k->key, &k->scratch, job->out, job->in, job->len);
        IMB_CHACHA20_POLY1305_ENC_UPDATE(manager, k->key, &k->scratch, rest, job->more.data,
                                         job->more.len);
        IMB_CHACHA20_POLY1305_ENC_FINALIZE(manager, &k->scratch, rest + job->more.len,
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
        job->ok = vly_tag_equal(tag, job->in + job->len);
    }
}

static const struct vly_suite_ops suites[] = {
    {
        .id = VLY_SUITE_AES_256_GCM,
        .name = "aes-256-gcm",
        .backend = "ipsec-mb",
        .keys_bytes = sizeof(struct gcm_keys),
        .forgery_limit_pkts = VLY_FORGERY_LIMIT_PKTS,
        .init = gcm_256_init,
        .fini = keys_fini,
        .seal = gcm_seal,
        .open = gcm_open,
    },
    {
        .id = VLY_SUITE_AES_128_GCM,
        .name = "aes-128-gcm",
        .backend = "ipsec-mb",
        .keys_bytes = sizeof(struct gcm_keys),
        .forgery_limit_pkts = VLY_FORGERY_LIMIT_PKTS,
        .init = gcm_128_init,
        .fini = keys_fini,
        .seal = gcm_seal,
        .open = gcm_open,
    },
    {
        .id = VLY_SUITE_CHACHA20,
        .name = "chacha20-poly1305",
        .backend = "ipsec-mb",
        .keys_bytes = sizeof(struct chacha_keys),
        .forgery_limit_pkts = VLY_FORGERY_LIMIT_PKTS,
        .init = chacha_init,
        .fini = keys_fini,
        .seal = chacha_seal,
        .open = chacha_open,
    },
};

const struct vly_suite_ops *vly_ipsec_suite(enum vly_suite id)
{
    static pthread_once_t initialised = PTHREAD_ONCE_INIT;

    pthread_once(&initialised, manager_init);
    for (size_t i = 0; manager != NULL && i < sizeof(suites) / sizeof(suites[0]); i++)
        if (suites[i].id == id)
            return &suites[i];
    return NULL;
}
