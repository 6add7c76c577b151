/*
 * cookie: what it is good for, for how long, and under which key.
 */
#include "proto/cookie.h"

#include <string.h>

#include "crypto/crypto.h"
#include "support/support.h"

static void draw(void *ctx, void *buf, size_t len)
{
    vly_prng_fill(ctx, buf, len);
}

struct bench {
    struct vly_prng prng;
    struct vly_crypto crypto;
    struct vly_cookie_keys keys;
    struct vly_hello hello;
    struct vly_span address;
    uint8_t cookie[VLY_COOKIE_BYTES];
};

static const uint8_t address[] = {192, 0, 2, 1, 0x1e, 0x1f};
static const uint8_t suites[] = {1, 2};
static const uint8_t params[] = {1, 2, 3, 4, 5};

static void bench_init(struct bench *b, uint64_t seed)
{
    *b = (struct bench){0};
    vly_prng_init(&b->prng, seed);
    vly_crypto_with_random(&b->crypto, draw, &b->prng);
    vly_cookie_keys_init(&b->keys, &b->crypto, VLY_S(1000));
    b->hello = (struct vly_hello){.version = VLY_VERSION_1,
                                  .client_cid = 77,
                                  .suites = {suites, sizeof(suites)},
                                  .params = {params, sizeof(params)}};
    b->address = (struct vly_span){address, sizeof(address)};
}

static void make(struct bench *b, uint64_t now_ns)
{
    vly_cookie_make(&b->keys, &b->crypto, b->address, &b->hello, now_ns, b->cookie);
    b->hello.cookie = (struct vly_span){b->cookie, sizeof(b->cookie)};
}

static bool is_valid(const struct bench *b, uint64_t now_ns)
{
    return vly_cookie_is_valid(&b->keys, &b->crypto, b->address, &b->hello, now_ns);
}

/* RULE 3: each thing that it is bound to, changed by one bit or one byte. */
static void test_cookie_binds(void **state)
{
    static const uint8_t other_address[] = {192, 0, 2, 1, 0x1e, 0x1e};
    static const uint8_t other_bytes[] = {1, 2, 3, 4, 6};
    struct bench b;

    (void)state;
    bench_init(&b, 1);
    make(&b, VLY_S(1000));
    assert_true(is_valid(&b, VLY_S(1000)));
    assert_int_equal(b.cookie[0], b.keys.newest);

#define CHANGED(field, value)                          \
    do {                                               \
        struct bench changed = b;                      \
        changed.hello.cookie.data = changed.cookie;    \
        changed.field = value;                         \
        assert_false(is_valid(&changed, VLY_S(1000))); \
    } while (0)
    CHANGED(address, ((struct vly_span){other_address, sizeof(other_address)}));
    CHANGED(address, ((struct vly_span){address, sizeof(address) - 1}));
    CHANGED(hello.version, VLY_VERSION_1 + 1);
    CHANGED(hello.client_cid, 78);
    CHANGED(hello.suites, ((struct vly_span){suites, 1}));
    CHANGED(hello.suites, ((struct vly_span){other_bytes + 1, 2}));
    CHANGED(hello.handshake, ((struct vly_span){params, 1}));
    CHANGED(hello.params, ((struct vly_span){params, 4}));
    CHANGED(hello.params, ((struct vly_span){other_bytes, sizeof(other_bytes)}));
    CHANGED(hello.cookie.len, VLY_COOKIE_BYTES - 1);
    CHANGED(hello.cookie.len, 0);
#undef CHANGED
    for (size_t bit = 0; bit < 8 * sizeof(b.cookie); bit++) {
        b.cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(is_valid(&b, VLY_S(1000)));
        b.cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(is_valid(&b, VLY_S(1000)));
}

/* What stands at the end of one field cannot be moved to the beginning of the next. */
static void test_cookie_fields_have_their_lengths(void **state)
{
    static const uint8_t bytes[] = {1, 2, 3, 4};
    struct bench b;

    (void)state;
    bench_init(&b, 1);
    b.hello.suites = (struct vly_span){bytes, 2};
    b.hello.handshake = (struct vly_span){bytes + 2, 1};
    b.hello.params = (struct vly_span){bytes + 3, 1};
    make(&b, VLY_S(1000));
    assert_true(is_valid(&b, VLY_S(1000)));
    b.hello.suites.len = 1;
    b.hello.handshake = (struct vly_span){bytes + 1, 2};
    assert_false(is_valid(&b, VLY_S(1000)));
}

static void test_cookie_lives_a_minute(void **state)
{
    static const struct {
        uint64_t age_ms;
        bool valid;
    } cases[] = {
        {0, true}, {59999, true}, {60000, true}, {60001, false}, {UINT64_C(1) << 40, false}};
    struct bench b;

    (void)state;
    bench_init(&b, 1);
    make(&b, VLY_S(1030));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(is_valid(&b, VLY_S(1030) + VLY_MS(cases[i].age_ms)), cases[i].valid);
    assert_false(is_valid(&b, VLY_S(1029))); /* made in the future */
}

/* RULE 3: a new key each minute; the one before it is still good, the one before that is gone. */
static void test_cookie_keys_rotate(void **state)
{
    struct bench b, old;

    (void)state;
    bench_init(&b, 1);
    make(&b, VLY_S(1059));
    old = b;
    old.hello.cookie.data = old.cookie;
    make(&b, VLY_S(1060));
    assert_int_equal(b.cookie[0], (uint8_t)(old.cookie[0] + 1));
    assert_true(is_valid(&b, VLY_S(1060)));
    old.keys = b.keys;
    assert_true(is_valid(&old, VLY_S(1060)));
    make(&b, VLY_S(1119));
    assert_int_equal(b.cookie[0], (uint8_t)(old.cookie[0] + 1));
    make(&b, VLY_S(1120));
    assert_int_equal(b.cookie[0], (uint8_t)(old.cookie[0] + 2));
    old.keys = b.keys;
    assert_false(is_valid(&old, VLY_S(1060))); /* even were time to stand still */
    /* Through all numbers of a byte. */
    for (uint64_t i = 2; i < 300; i++) {
        make(&b, VLY_S(1000 + 60 * i));
        assert_true(is_valid(&b, VLY_S(1000 + 60 * i)));
    }
}

/* RULE 41: each key is another, though two have room. */
static void test_cookie_keys_do_not_come_again(void **state)
{
    uint8_t seen[5][32];
    struct bench b;

    (void)state;
    bench_init(&b, 1);
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        make(&b, VLY_S(1000 + 60 * i));
        memcpy(seen[i], b.keys.key[b.keys.newest & 1], 32);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(seen[i], seen[k], 32);
    }
}

/* RULE 41: keys come from randomness: another server's cookies are worth nothing here, nor are
 * those of the key number that was never used. */
static void test_cookie_cannot_be_guessed(void **state)
{
    struct bench b, other;
    struct vly_cookie_keys no_keys = {0};

    (void)state;
    bench_init(&b, 1);
    bench_init(&other, 2);
    make(&other, VLY_S(1000));
    b.hello.cookie = (struct vly_span){other.cookie, VLY_COOKIE_BYTES};
    assert_false(is_valid(&b, VLY_S(1000)));
    assert_memory_not_equal(b.keys.key[0], no_keys.key[0], 32);
    assert_memory_not_equal(b.keys.key[1], no_keys.key[1], 32);
    assert_memory_not_equal(b.keys.key[0], b.keys.key[1], 32);
    assert_memory_not_equal(b.keys.key[0], other.keys.key[0], 32);
}

/* RULE 41: a byte that differs counts wherever it stands. That the time does not depend on it is
 * plain from the code, which has no branch in its loop. */
static void test_cookie_equal_secret(void **state)
{
    uint8_t a[VLY_MAC_BYTES], b[VLY_MAC_BYTES];

    (void)state;
    memset(a, 0x5a, sizeof(a));
    memcpy(b, a, sizeof(b));
    assert_true(vly_equal_secret(a, b, sizeof(a)));
    for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(vly_equal_secret(a, b, sizeof(a)));
        assert_true(vly_equal_secret(a, b, bit / 8));
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(vly_equal_secret(a, b, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cookie_binds),
        cmocka_unit_test(test_cookie_fields_have_their_lengths),
        cmocka_unit_test(test_cookie_lives_a_minute),
        cmocka_unit_test(test_cookie_keys_rotate),
        cmocka_unit_test(test_cookie_keys_do_not_come_again),
        cmocka_unit_test(test_cookie_cannot_be_guessed),
        cmocka_unit_test(test_cookie_equal_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
