#include "noise.h"

#include <assert.h>

#include "hkdf.h"
#include "seal.h"

/* One token of a message pattern; zero ends the message. */
enum token { END, E, S, EE, ES, SE, PSK };

#define MESSAGES_MAX 3
#define TOKENS_MAX 5

/* Noise sections 7.5 and 9.4. The initiator writes the first message, then they take turns. */
static const struct pattern {
    char name[32]; /* exactly what h starts from: at most 32 bytes, filled up with zeros */
    uint8_t messages;
    uint8_t tokens[MESSAGES_MAX][TOKENS_MAX];
} patterns[] = {
    [VLY_NOISE_XX] = {"Noise_XX_25519_AESGCM_SHA256", 3, {{E}, {E, EE, S, ES}, {S, SE}}},
    [VLY_NOISE_NNPSK0] = {"Noise_NNpsk0_25519_AESGCM_SHA256", 2, {{PSK, E}, {E, EE}}},
};

static void mix_hash(struct vly_noise *n, const uint8_t *data, size_t len)
{
    n->crypto->sha256((const struct vly_span[]){{n->h, sizeof(n->h)}, {data, len}}, 2, n->h);
}

/* HKDF of Noise section 4.3: `count` outputs of 32 bytes. */
static void derive(const struct vly_noise *n, const uint8_t *ikm, size_t ikm_len, uint8_t *out,
                   size_t count)
{
    uint8_t prk[32];

    vly_hkdf_extract(n->crypto, (struct vly_span){n->ck, sizeof(n->ck)},
                     (struct vly_span){ikm, ikm_len}, prk);
    vly_hkdf_expand(n->crypto, prk, (struct vly_span){NULL, 0}, out, count * 32);
    n->crypto->wipe(prk, sizeof(prk));
}

static void set_key(struct vly_noise *n, const uint8_t key[32])
{
    memcpy(n->k, key, sizeof(n->k));
    n->n = 0;
    n->has_key = true;
}

static void mix_key(struct vly_noise *n, const uint8_t ikm[32])
{
    uint8_t out[2 * 32];

    derive(n, ikm, 32, out, 2);
    memcpy(n->ck, out, sizeof(n->ck));
    set_key(n, out + 32);
    n->crypto->wipe(out, sizeof(out));
}

static void mix_psk(struct vly_noise *n)
{
    uint8_t out[3 * 32];

    derive(n, n->psk, sizeof(n->psk), out, 3);
    memcpy(n->ck, out, sizeof(n->ck));
    mix_hash(n, out + 32, 32);
    set_key(n, out + 64);
    n->crypto->wipe(out, sizeof(out));
}

static int mix_dh(struct vly_noise *n, const uint8_t secret[32], const uint8_t point[32])
{
    uint8_t shared[32];
    bool ok = n->crypto->x25519(shared, secret, point);

    if (ok)
        mix_key(n, shared);
    n->crypto->wipe(shared, sizeof(shared));
    return ok ? 0 : VLY_E_AUTH;
}

/* RULE 10: `k` serves for a few messages with `n` counting up from 0; the nonce is 4 zero bytes and
 * `n`, which is what an IV of zeros gives. */
static int run_cipher(struct vly_noise *n, bool seal, struct vly_aead_job *job)
{
    static const uint8_t no_iv[VLY_IV_BYTES];
    const struct vly_suite_ops *suite = n->crypto->noise;
    void *keys = n->crypto->secret_new(suite->keys_bytes);
    int err = VLY_E_NOMEM;

    if (keys != NULL && suite->init(keys, n->k, no_iv)) {
        err = 0;
        job->number = n->n++;
        job->head = n->h;
        job->head_bytes = sizeof(n->h);
        if (seal)
            suite->seal(keys, job, 1);
        else
            suite->open(keys, job, 1);
        suite->fini(keys);
    }
    n->crypto->secret_free(keys, suite->keys_bytes);
    return err;
}

/* EncryptAndHash, appended to `w`; without a key what it appends is clear. */
static int write_sealed(struct vly_noise *n, const uint8_t *text, size_t len, struct vly_wr *w)
{
    size_t out_len = len + (n->has_key ? VLY_TAG_BYTES : 0);
    struct vly_aead_job job = {.in = text, .len = len, .out = vly_wr_take(w, out_len)};
    int err = 0;

    if (job.out == NULL)
        return VLY_E_LIMIT;
    if (n->has_key)
        err = run_cipher(n, true, &job);
    else if (len > 0)
        memcpy(job.out, text, len);
    if (err == 0)
        mix_hash(n, job.out, out_len);
    return err;
}

/* DecryptAndHash of a text of `len` bytes. */
static int read_sealed(struct vly_noise *n, struct vly_rd *r, uint8_t *out, size_t len)
{
    size_t in_len = len + (n->has_key ? VLY_TAG_BYTES : 0);
    struct vly_aead_job job = {.in = vly_rd_take(r, in_len), .len = len, .out = out};
    int err = 0;

    if (job.in == NULL)
        return VLY_E_MALFORMED;
    if (n->has_key)
        err = run_cipher(n, false, &job);
    else if (len > 0)
        memcpy(out, job.in, len);
    if (err == 0 && n->has_key && !job.ok)
        err = VLY_E_AUTH;
    if (err == 0)
        mix_hash(n, job.in, in_len);
    return err;
}

/* With a pre-shared key the ephemeral keys are mixed in at once: they randomise what follows. */
static void mix_ephemeral(struct vly_noise *n, const uint8_t e[32])
{
    mix_hash(n, e, 32);
    if (n->pattern == VLY_NOISE_NNPSK0)
        mix_key(n, e);
}

static int write_e(struct vly_noise *n, struct vly_wr *w)
{
    if (!n->fixed_ephemeral)
        n->crypto->random(n->crypto->random_ctx, n->e, sizeof(n->e));
    n->crypto->x25519_public(n->e_public, n->e);
    vly_wr_bytes(w, n->e_public, sizeof(n->e_public));
    mix_ephemeral(n, n->e_public);
    return w->failed ? VLY_E_LIMIT : 0;
}

static int read_e(struct vly_noise *n, struct vly_rd *r)
{
    const uint8_t *e = vly_rd_take(r, sizeof(n->re));

    if (e == NULL)
        return VLY_E_MALFORMED;
    memcpy(n->re, e, sizeof(n->re));
    mix_ephemeral(n, n->re);
    return 0;
}

/* The tokens that do the same whether written or read. The first letter is the initiator's key. */
static int mix_token(struct vly_noise *n, uint8_t token)
{
    switch (token) {
    case EE:
        return mix_dh(n, n->e, n->re);
    case ES:
        return n->initiator ? mix_dh(n, n->e, n->rs) : mix_dh(n, n->s, n->re);
    case SE:
        return n->initiator ? mix_dh(n, n->s, n->re) : mix_dh(n, n->e, n->rs);
    default:
        assert(token == PSK);
        mix_psk(n);
        return 0;
    }
}

static bool is_our_turn(const struct vly_noise *n)
{
    return !vly_noise_is_done(n) && (n->next % 2 == 0) == n->initiator;
}

void vly_noise_init(struct vly_noise *n, const struct vly_crypto *crypto,
                    const struct vly_noise_start *start)
{
    memset(n, 0, sizeof(*n));
    n->crypto = crypto;
    n->pattern = start->pattern;
    n->initiator = start->initiator;
    memcpy(n->h, patterns[n->pattern].name, sizeof(n->h));
    memcpy(n->ck, n->h, sizeof(n->ck));
    mix_hash(n, start->prologue.data, start->prologue.len);
    if (start->secret != NULL) {
        memcpy(n->s, start->secret, sizeof(n->s));
        crypto->x25519_public(n->s_public, n->s);
    }
    if (start->psk != NULL)
        memcpy(n->psk, start->psk, sizeof(n->psk));
    if (start->ephemeral != NULL) {
        memcpy(n->e, start->ephemeral, sizeof(n->e));
        n->fixed_ephemeral = true;
    }
}

int vly_noise_write(struct vly_noise *n, struct vly_span payload, struct vly_wr *w)
{
    int err = 0;

    if (!is_our_turn(n))
        return VLY_E_STATE;
    for (const uint8_t *t = patterns[n->pattern].tokens[n->next]; err == 0 && *t != END; t++) {
        if (*t == E)
            err = write_e(n, w);
        else if (*t == S)
            err = write_sealed(n, n->s_public, sizeof(n->s_public), w);
        else
            err = mix_token(n, *t);
    }
    if (err == 0)
        err = write_sealed(n, payload.data, payload.len, w);
    if (err == 0)
        n->next++;
    return err;
}

int vly_noise_read(struct vly_noise *n, struct vly_span message, uint8_t *payload,
                   size_t *payload_len)
{
    struct vly_rd r = vly_rd_init(message.data, message.len);
    size_t tag;
    int err = 0;

    if (is_our_turn(n) || vly_noise_is_done(n))
        return VLY_E_STATE;
    for (const uint8_t *t = patterns[n->pattern].tokens[n->next]; err == 0 && *t != END; t++) {
        if (*t == E)
            err = read_e(n, &r);
        else if (*t == S)
            err = read_sealed(n, &r, n->rs, sizeof(n->rs));
        else
            err = mix_token(n, *t);
    }
    if (err != 0)
        return err;
    tag = n->has_key ? VLY_TAG_BYTES : 0;
    if (vly_rd_left(&r) < tag)
        return VLY_E_MALFORMED;
    *payload_len = vly_rd_left(&r) - tag;
    err = read_sealed(n, &r, payload, *payload_len);
    if (err == 0)
        n->next++;
    return err;
}

bool vly_noise_is_done(const struct vly_noise *n)
{
    return n->next == patterns[n->pattern].messages;
}

void vly_noise_split(const struct vly_noise *n, uint8_t from_initiator[32],
                     uint8_t from_responder[32])
{
    uint8_t out[2 * 32];

    assert(vly_noise_is_done(n));
    derive(n, NULL, 0, out, 2);
    memcpy(from_initiator, out, 32);
    memcpy(from_responder, out + 32, 32);
    n->crypto->wipe(out, sizeof(out));
}
