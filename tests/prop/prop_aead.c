/*
 * The backends against each other: what one seals the other opens, byte for byte the same, at every
 * length, alignment and batch, in place or not, in one part or two, and nothing outside of `out` is
 * touched.
 */
#include "support/suites.h"

#include <stdlib.h>
#include <string.h>

#define LEN_MAX 3000
#define HEAD_MAX 40
#define GUARD 64 /* bytes around a buffer */
#define GUARD_BYTE 0xc5
#define BATCH_MAX 17

/* A buffer at any alignment, with guards around its bytes. */
struct guarded {
    uint8_t *block, *data;
    size_t len;
};

struct world {
    struct vly_prng prng;
    const struct vly_suite_ops *suite[2]; /* seals, opens */
    void *keys[2];
};

static struct guarded guarded_new(size_t len, size_t misalign)
{
    struct guarded g = {.block = malloc(len + 2 * GUARD + misalign), .len = len};

    assert_non_null(g.block);
    memset(g.block, GUARD_BYTE, len + 2 * GUARD + misalign);
    g.data = g.block + GUARD + misalign;
    return g;
}

static void guarded_check(const struct guarded *g)
{
    for (const uint8_t *p = g->block; p < g->data; p++)
        assert_int_equal(*p, GUARD_BYTE);
    for (size_t i = 0; i < GUARD; i++)
        assert_int_equal(g->data[g->len + i], GUARD_BYTE);
}

static void guarded_free(struct guarded *g)
{
    guarded_check(g);
    free(g->block);
}

static void world_init(struct world *w, const struct vly_suite_ops *seals,
                       const struct vly_suite_ops *opens, uint64_t seed)
{
    uint8_t key[VLY_KEY_BYTES];
    uint8_t iv[VLY_IV_BYTES];

    vly_prng_init(&w->prng, seed);
    vly_prng_fill(&w->prng, key, sizeof(key));
    vly_prng_fill(&w->prng, iv, sizeof(iv));
    w->suite[0] = seals;
    w->suite[1] = opens;
    w->keys[0] = test_keys_new(seals, key, iv);
    w->keys[1] = test_keys_new(opens, key, iv);
}

static void world_fini(struct world *w)
{
    test_keys_free(w->suite[0], w->keys[0]);
    test_keys_free(w->suite[1], w->keys[1]);
}

static void swap_sides(struct world *w)
{
    const struct vly_suite_ops *suite = w->suite[0];
    void *keys = w->keys[0];

    w->suite[0] = w->suite[1];
    w->keys[0] = w->keys[1];
    w->suite[1] = suite;
    w->keys[1] = keys;
}

/* Seals `text`, in two parts, with one backend, opens it with the other; from one buffer to
 * another, or `in_place`. */
static void round_trip(struct world *w, size_t len, size_t misalign, bool in_place)
{
    struct guarded text = guarded_new(len, misalign);
    struct guarded head = guarded_new((size_t)vly_prng_below(&w->prng, HEAD_MAX), misalign / 2);
    struct guarded sealed = guarded_new(len + VLY_TAG_BYTES, (misalign * 7 + 3) % 64);
    struct guarded opened = guarded_new(len, (misalign * 5 + 1) % 64);
    struct vly_aead_job job = {.number = vly_prng_u64(&w->prng),
                               .head = head.data,
                               .head_bytes = head.len,
                               .in = in_place ? sealed.data : text.data,
                               .len = (size_t)vly_prng_below(&w->prng, len + 1),
                               .out = sealed.data};

    vly_prng_fill(&w->prng, text.data, len);
    vly_prng_fill(&w->prng, head.data, head.len);
    memcpy(sealed.data, text.data, in_place ? job.len : 0);
    job.more = (struct vly_span){text.data + job.len, len - job.len};
    w->suite[0]->seal(w->keys[0], &job, 1);
    guarded_check(&sealed);
    assert_true(len < 16 || memcmp(sealed.data, text.data, len) != 0);

    job.in = sealed.data;
    job.len = len;
    job.more = (struct vly_span){0};
    job.out = in_place ? sealed.data : opened.data;
    w->suite[1]->open(w->keys[1], &job, 1);
    assert_true(job.ok);
    assert_memory_equal(job.out, text.data, len);
    guarded_free(&text);
    guarded_free(&head);
    guarded_free(&sealed);
    guarded_free(&opened);
}

static void every_length(struct world *w)
{
    for (size_t len = 0; len <= LEN_MAX; len++) {
        size_t misalign = (size_t)vly_prng_below(&w->prng, 64);

        round_trip(w, len, misalign, len % 2 == 0);
        swap_sides(w);
        round_trip(w, len, misalign, len % 2 != 0);
    }
    for (size_t len = 8900; len <= 65507; len += 1 + len / 4)
        round_trip(w, len, len % 64, len % 2 == 0);
}

/* A packet flipped at `bit` of head, text and tag in a row. */
static bool opens_when_flipped(struct world *w, struct vly_aead_job job, uint8_t *pkt, size_t bit)
{
    pkt[bit / 8] ^= (uint8_t)(1u << bit % 8);
    w->suite[1]->open(w->keys[1], &job, 1);
    pkt[bit / 8] ^= (uint8_t)(1u << bit % 8);
    return job.ok;
}

static void every_flipped_bit(struct world *w)
{
    static const size_t lens[] = {0, 1, 15, 16, 17, 63, 64, 130, 255, 300};
    enum { HEAD = 17 };

    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        uint8_t pkt[HEAD + 300 + VLY_TAG_BYTES];
        uint8_t opened[300];
        struct vly_aead_job job = {.number = 7,
                                   .head = pkt,
                                   .head_bytes = HEAD,
                                   .in = pkt + HEAD,
                                   .len = lens[i],
                                   .out = pkt + HEAD};

        vly_prng_fill(&w->prng, pkt, sizeof(pkt));
        w->suite[0]->seal(w->keys[0], &job, 1);
        job.out = opened;
        for (size_t bit = 0; bit < 8 * (HEAD + lens[i] + VLY_TAG_BYTES); bit++)
            assert_false(opens_when_flipped(w, job, pkt, bit));
        job.number = 8;
        w->suite[1]->open(w->keys[1], &job, 1);
        assert_false(job.ok);
        job.number = 7;
        w->suite[1]->open(w->keys[1], &job, 1);
        assert_true(job.ok);
    }
}

/* A batch of different lengths, some of them forged, gives what one at a time gives. */
static void batches(struct world *w)
{
    struct vly_aead_job jobs[BATCH_MAX];
    static uint8_t pkts[BATCH_MAX][1500];
    static uint8_t one[1500];

    for (unsigned round = 0; round < 50; round++) {
        size_t n = 1 + (size_t)vly_prng_below(&w->prng, BATCH_MAX);
        uint64_t forged = vly_prng_u64(&w->prng) & vly_prng_u64(&w->prng);

        for (size_t i = 0; i < n; i++) {
            vly_prng_fill(&w->prng, pkts[i], sizeof(pkts[i]));
            jobs[i] = (struct vly_aead_job){.number = round * 100 + i,
                                            .head = pkts[i],
                                            .head_bytes = 17,
                                            .in = pkts[i] + 17,
                                            .len = (size_t)vly_prng_below(&w->prng, 1400),
                                            .out = pkts[i] + 17};
        }
        memcpy(one, pkts[n - 1], sizeof(one));
        w->suite[0]->seal(w->keys[0], jobs, n);
        vly_seal_one(w->suite[1], w->keys[1], jobs[n - 1].number, one, 17, 17 + jobs[n - 1].len);
        assert_memory_equal(one, pkts[n - 1], sizeof(one));
        for (size_t i = 0; i < n; i++)
            pkts[i][17 + jobs[i].len] ^= (uint8_t)(forged >> i & 1);
        w->suite[1]->open(w->keys[1], jobs, n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(jobs[i].ok, (forged >> i & 1) == 0);
    }
}

struct pair_of_backends {
    enum vly_backend seals, opens;
    enum vly_suite id;
};

static void prop_backends_agree(void **state)
{
    const struct pair_of_backends *pair = *state;
    struct world w;

    world_init(&w, test_suite_or_skip(pair->seals, pair->id),
               test_suite_or_skip(pair->opens, pair->id), test_seed());
    every_length(&w);
    every_flipped_bit(&w);
    batches(&w);
    swap_sides(&w);
    every_flipped_bit(&w);
    batches(&w);
    world_fini(&w);
}

int main(void)
{
    static struct pair_of_backends pairs[] = {
        {VLY_BACKEND_OPENSSL, VLY_BACKEND_OPENSSL, VLY_SUITE_AES_256_GCM},
        {VLY_BACKEND_OPENSSL, VLY_BACKEND_OPENSSL, VLY_SUITE_CHACHA20},
        {VLY_BACKEND_OPENSSL, VLY_BACKEND_IPSEC_MB, VLY_SUITE_AES_256_GCM},
        {VLY_BACKEND_OPENSSL, VLY_BACKEND_IPSEC_MB, VLY_SUITE_CHACHA20},
        {VLY_BACKEND_OPENSSL, VLY_BACKEND_IPSEC_MB, VLY_SUITE_AES_128_GCM},
    };
    const struct CMUnitTest tests[] = {
        {"openssl with itself, aes-256-gcm", prop_backends_agree, NULL, NULL, &pairs[0]},
        {"openssl with itself, chacha20-poly1305", prop_backends_agree, NULL, NULL, &pairs[1]},
        {"openssl and ipsec-mb, aes-256-gcm", prop_backends_agree, NULL, NULL, &pairs[2]},
        {"openssl and ipsec-mb, chacha20-poly1305", prop_backends_agree, NULL, NULL, &pairs[3]},
        {"openssl and ipsec-mb, aes-128-gcm", prop_backends_agree, NULL, NULL, &pairs[4]},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
