/*
 * The blocks of a sealed connection over TCP: all lengths, cut anywhere, changed anywhere, out of
 * their place, and the generations of their keys. Everything for each suite that this machine has.
 */
#include "crypto/crypto.h"
#include "net/tcp_seal.h"
#include "proto/wire.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 330000u
#define LOGGED_MAX 64u

struct logged {
    uint64_t generation;
    uint8_t key[VLY_KEY_BYTES], iv[VLY_IV_BYTES];
};

/* What one end seals and the other one opens. */
struct pair {
    struct vly_crypto crypto;
    struct vly_tcp_seal a, b;
    uint8_t text[TEXT_MAX], wire[VLY_TCP_SEALED_BYTES(TEXT_MAX)], got[TEXT_MAX];
    size_t wire_len, got_len;
    struct logged logged[LOGGED_MAX]; /* of what `a` sends */
    size_t n_logged;
};

static void on_key(void *ctx, uint64_t cid, const struct vly_suite_ops *suite, uint64_t generation,
                   const uint8_t key[VLY_KEY_BYTES], const uint8_t iv[VLY_IV_BYTES])
{
    struct pair *p = ctx;
    struct logged *l = &p->logged[p->n_logged++];

    assert_int_equal(cid, 0);
    assert_ptr_equal(suite, p->crypto.sealed[0]);
    assert_true(p->n_logged <= LOGGED_MAX);
    l->generation = generation;
    memcpy(l->key, key, sizeof l->key);
    memcpy(l->iv, iv, sizeof l->iv);
}

static struct pair *pair_new(const struct vly_crypto *crypto, uint64_t generation_blocks)
{
    static const uint8_t secret[2][VLY_KEY_BYTES] = {{1, 2, 3}, {4, 5, 6}};
    struct pair *p = calloc(1, sizeof *p);
    struct vly_tcp_seal_start start = {.suite = crypto->sealed[0],
                                       .send_secret = secret[1],
                                       .recv_secret = secret[0],
                                       .generation_blocks = generation_blocks};
    struct vly_prng prng;

    assert_non_null(p);
    p->crypto = *crypto;
    start.crypto = &p->crypto;
    assert_int_equal(vly_tcp_seal_init(&p->b, &start), 0);
    start.send_secret = secret[0];
    start.recv_secret = secret[1];
    start.keylog = (struct vly_keylog){on_key, p};
    assert_int_equal(vly_tcp_seal_init(&p->a, &start), 0);
    assert_int_equal(p->n_logged, 2);
    p->n_logged = 1; /* the other one is for what it receives */
    vly_prng_init(&prng, 1);
    vly_prng_fill(&prng, p->text, sizeof p->text);
    return p;
}

static void pair_free(struct pair *p)
{
    vly_tcp_seal_fini(&p->a);
    vly_tcp_seal_fini(&p->b);
    free(p);
}

static void pair_seal(struct pair *p, size_t len)
{
    struct vly_span text = {p->text, len};

    p->wire_len = VLY_TCP_SEALED_BYTES(len);
    memset(p->wire + p->wire_len, 0x5a, sizeof p->wire - p->wire_len);
    assert_int_equal(vly_tcp_seal_text(&p->a, text, p->wire), 0);
    p->got_len = 0;
}

/* `s` is given bytes of the wire; what it opens is gathered. */
static int feed(struct pair *p, struct vly_tcp_seal *s, size_t begin, size_t end)
{
    struct vly_tcp_bytes in = {p->wire + begin, end - begin};

    while (in.len > 0) {
        struct vly_span text;
        int err = vly_tcp_seal_open(s, &in, &text);

        if (err != 0) {
            assert_int_equal(text.len, 0);
            return err;
        }
        assert_true(p->got_len + text.len <= sizeof p->got);
        if (text.len > 0)
            memcpy(p->got + p->got_len, text.data, text.len);
        p->got_len += text.len;
    }
    return 0;
}

static void assert_got(const struct pair *p, size_t len)
{
    assert_int_equal(p->got_len, len);
    assert_memory_equal(p->got, p->text, len);
}

/* Runs `test` once for each suite and backend there is. */
static void each_suite(void (*test)(const struct vly_crypto *crypto))
{
    static const char *const suites[] = {"aes-256-gcm", "chacha20-poly1305", "aes-128-gcm"};
    static const enum vly_backend backends[] = {VLY_BACKEND_OPENSSL, VLY_BACKEND_IPSEC_MB};

    for (unsigned i = 0; i < 6; i++) {
        struct vly_crypto crypto = *vly_crypto_system();

        if (vly_crypto_choose(&crypto, backends[i / 3], suites[i % 3]) != 0)
            continue;
        assert_string_equal(crypto.sealed[0]->name, suites[i % 3]);
        print_message("  %s by %s\n", crypto.sealed[0]->name, crypto.sealed[0]->backend);
        test(&crypto);
    }
}

/* ---- what is genuine ---- */

static void check_lengths(const struct vly_crypto *crypto)
{
    static const size_t around[] = {65536, 131072, 327680};
    struct pair *p = pair_new(crypto, 0);

    for (size_t len = 1; len < 300; len++) {
        pair_seal(p, len);
        if (len >= 8)
            assert_memory_not_equal(p->wire + VLY_TCP_BLOCK_HEAD_BYTES, p->text, len);
        assert_int_equal(vly_load_u32(p->wire), len);
        assert_int_equal(feed(p, &p->b, 0, p->wire_len), 0);
        assert_got(p, len);
    }
    for (size_t i = 0; i < 3 * ARRAY_LEN(around); i++) {
        size_t len = around[i / 3] + i % 3 - 1;

        pair_seal(p, len);
        assert_int_equal(p->wire[p->wire_len], 0x5a); /* it keeps to its room */
        assert_int_equal(feed(p, &p->b, 0, p->wire_len), 0);
        assert_got(p, len);
    }
    assert_null(p->b.kept); /* nothing was cut, nothing kept */
    pair_free(p);
}

static void test_tcp_seal_all_lengths(void **state)
{
    (void)state;
    each_suite(check_lengths);
}

static void check_cuts(const struct vly_crypto *crypto)
{
    struct pair *p = pair_new(crypto, 0);
    struct vly_prng prng;

    for (size_t cut = 0; cut <= VLY_TCP_SEALED_BYTES(100); cut++) {
        pair_seal(p, 100);
        assert_int_equal(feed(p, &p->b, 0, cut), 0);
        assert_int_equal(p->got_len, cut == p->wire_len ? 100 : 0);
        assert_int_equal(feed(p, &p->b, cut, p->wire_len), 0);
        assert_got(p, 100);
    }
    pair_seal(p, 3000);
    for (size_t at = 0; at < p->wire_len; at++)
        assert_int_equal(feed(p, &p->b, at, at + 1), 0);
    assert_got(p, 3000);
    vly_prng_init(&prng, test_seed());
    for (unsigned round = 0; round < 20; round++) {
        size_t len = TEXT_MAX - (size_t)vly_prng_below(&prng, 70000);

        pair_seal(p, len);
        for (size_t at = 0, end; at < p->wire_len; at = end) {
            end = at + 1 + (size_t)vly_prng_below(&prng, 100000);
            if (end > p->wire_len)
                end = p->wire_len;
            assert_int_equal(feed(p, &p->b, at, end), 0);
        }
        assert_got(p, len);
    }
    pair_free(p);
}

static void test_tcp_seal_cut_anywhere(void **state)
{
    (void)state;
    each_suite(check_cuts);
}

/* ---- what is not ---- */

/* RULE 9. A bit anywhere in the second of three blocks: the first one is handed on, and nothing of
 * the others; with a longer length the block never ends. */
static void check_flips(const struct vly_crypto *crypto)
{
    const size_t block = VLY_TCP_SEALED_BYTES(40);

    for (size_t bit = 0; bit < 8 * block; bit++) {
        struct pair *p = pair_new(crypto, 0);
        size_t len = 0;
        int err;

        for (unsigned i = 0; i < 3; i++) {
            struct vly_span text = {p->text + len, 40};

            assert_int_equal(vly_tcp_seal_text(&p->a, text, p->wire + i * block), 0);
            len += text.len;
        }
        p->wire[block + bit / 8] ^= (uint8_t)(1u << bit % 8);
        err = feed(p, &p->b, 0, 3 * block);
        assert_got(p, 40);
        assert_true(err == VLY_E_AUTH || (bit < 32 && (err == VLY_E_MALFORMED || err == 0)));
        assert_int_equal(p->b.opened_blocks, 1);
        pair_free(p);
    }
}

static void test_tcp_seal_changed_anywhere(void **state)
{
    (void)state;
    each_suite(check_flips);
}

/* Blocks left out, twice, exchanged, and our own sent back. */
static void check_places(const struct vly_crypto *crypto)
{
    static const unsigned orders[][2] = {{1, 0}, {0, 0}, {0, 2}};
    const size_t block = VLY_TCP_SEALED_BYTES(40);
    struct pair *p;

    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        const unsigned *order = orders[i];
        int err;

        p = pair_new(crypto, 0);
        for (unsigned k = 0; k < 3; k++)
            assert_int_equal(
                vly_tcp_seal_text(&p->a, (struct vly_span){p->text, 40}, p->wire + k * block), 0);
        memcpy(p->wire + 3 * block, p->wire, block);
        err = feed(p, &p->b, order[0] * block, (order[0] + 1) * block);
        assert_int_equal(err, order[0] == 0 ? 0 : VLY_E_AUTH);
        memcpy(p->wire, p->wire + 3 * block, block); /* it was opened in place */
        if (err == 0)
            assert_int_equal(feed(p, &p->b, order[1] * block, (order[1] + 1) * block), VLY_E_AUTH);
        pair_free(p);
    }
    p = pair_new(crypto, 0);
    pair_seal(p, 40);
    assert_int_equal(feed(p, &p->a, 0, p->wire_len), VLY_E_AUTH);
    pair_free(p);
}

static void test_tcp_seal_out_of_place(void **state)
{
    (void)state;
    each_suite(check_places);
}

static void test_tcp_seal_lengths_that_cannot_be(void **state)
{
    static const uint32_t lengths[] = {0, VLY_TCP_BLOCK_TEXT_MAX + 1, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(lengths); i++) {
        struct pair *p = pair_new(vly_crypto_system(), 0);

        vly_store_u32(p->wire, lengths[i / 2]);
        if (i % 2 == 1)
            assert_int_equal(feed(p, &p->b, 0, 3), 0);
        assert_int_equal(feed(p, &p->b, i % 2 == 1 ? 3 : 0, 4), VLY_E_MALFORMED);
        pair_free(p);
    }
}

/* ---- generations ---- */

/* RULE 10, RULE 12. Each block is what SPEC 13.5 says it is: under the keys of its generation,
 * which are other ones each time, with its number for a nonce. */
static void check_generations(const struct vly_crypto *crypto)
{
    const struct vly_suite_ops *suite = crypto->sealed[0];
    struct pair *p = pair_new(crypto, 3);
    uint64_t sent = 0;
    void *keys = crypto->secret_new(suite->keys_bytes);

    for (unsigned round = 0; round < 12; round++) {
        size_t len = 1 + round * (size_t)29000;

        pair_seal(p, len);
        for (size_t at = 0, whole; at < p->wire_len; at += whole, sent++) {
            const struct logged *l = &p->logged[sent / 3];
            struct vly_aead_job job = {.number = sent, .head = p->wire + at, .head_bytes = 4};

            job.in = p->wire + at + 4;
            job.len = vly_load_u32(p->wire + at);
            job.out = p->got;
            whole = job.len + VLY_TCP_BLOCK_EXTRA_BYTES;
            assert_int_equal(l->generation, sent / 3);
            assert_true(sent < 3 || memcmp(l->key, l[-1].key, sizeof l->key) != 0);
            assert_true(suite->init(keys, l->key, l->iv));
            suite->open(keys, &job, 1);
            assert_true(job.ok);
            suite->fini(keys);
        }
        assert_int_equal(feed(p, &p->b, 0, p->wire_len), 0);
        assert_got(p, len);
    }
    assert_true(sent > 30);
    assert_int_equal(p->n_logged, 1 + (sent - 1) / 3);
    assert_int_equal(p->a.send->generation, p->n_logged - 1);
    assert_int_equal(p->b.recv->generation, p->n_logged - 1);
    crypto->secret_free(keys, suite->keys_bytes);
    pair_free(p);
}

static void test_tcp_seal_generations(void **state)
{
    (void)state;
    each_suite(check_generations);
}

/* An end that changes its keys at another block is not understood. */
static void test_tcp_seal_other_generation(void **state)
{
    struct pair *p = pair_new(vly_crypto_system(), 3);

    (void)state;
    p->b.generation_blocks = 4;
    for (unsigned i = 0; i < 3; i++) {
        pair_seal(p, 10);
        assert_int_equal(feed(p, &p->b, 0, p->wire_len), 0);
    }
    pair_seal(p, 10);
    assert_int_equal(feed(p, &p->b, 0, p->wire_len), VLY_E_AUTH);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp_seal_all_lengths),
        cmocka_unit_test(test_tcp_seal_cut_anywhere),
        cmocka_unit_test(test_tcp_seal_changed_anywhere),
        cmocka_unit_test(test_tcp_seal_out_of_place),
        cmocka_unit_test(test_tcp_seal_lengths_that_cannot_be),
        cmocka_unit_test(test_tcp_seal_generations),
        cmocka_unit_test(test_tcp_seal_other_generation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
