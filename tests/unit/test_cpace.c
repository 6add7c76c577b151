#include "crypto/crypto.h"
#include "proto/cpace.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

static struct test_vectors vectors;

static int load_vectors(void **state)
{
    (void)state;
    vectors = test_vectors_load("cpace.txt");
    return 0;
}

static int free_vectors(void **state)
{
    (void)state;
    test_vectors_free(&vectors);
    return 0;
}

/* Vector `name` of a run, which is 'a' or 'b'. */
static struct vly_span answer(char run, const char *name)
{
    char full[64];

    snprintf(full, sizeof(full), "%c_%s", run, name);
    return test_vectors_find(&vectors, full);
}

static void assert_span(const uint8_t *data, struct vly_span want)
{
    assert_memory_equal(data, want.data, want.len);
}

/* A SHA-512 that keeps what it was given. */
static struct {
    uint8_t text[1024];
    size_t len;
} hashed;

static void sha512_spy(const struct vly_span *parts, size_t n, uint8_t out[64])
{
    hashed.len = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(hashed.len + parts[i].len <= sizeof(hashed.text));
        if (parts[i].len > 0)
            memcpy(hashed.text + hashed.len, parts[i].data, parts[i].len);
        hashed.len += parts[i].len;
    }
    vly_crypto_system()->sha512(parts, n, out);
}

static struct vly_cpace_start start_of(char run, const uint8_t *scalar)
{
    return (struct vly_cpace_start){
        .code = answer(run, "code"),
        .channel = answer(run, "channel"),
        .session = answer(run, "session"),
        .scalar = scalar,
    };
}

static void check_generator(char run)
{
    struct vly_crypto crypto = *vly_crypto_system();
    struct vly_cpace_start start = start_of(run, NULL);
    struct vly_span want = answer(run, "generator_string");
    uint8_t out[32];

    crypto.sha512 = sha512_spy;
    vly_cpace_generator(&crypto, &start, out);
    assert_int_equal(hashed.len, want.len);
    assert_span(hashed.text, want);
    assert_span(out, answer(run, "generator"));
}

/* Both ends of a run come to K and from it to the key; without associated data to another one. */
static void check_run(char run)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    struct vly_cpace_start a_start = start_of(run, answer(run, "scalar_a").data);
    struct vly_cpace_start b_start = start_of(run, answer(run, "scalar_b").data);
    struct vly_cpace_run full = {
        .session = a_start.session,
        .point = answer(run, "point").data,
        .share = {answer(run, "share_a").data, answer(run, "share_b").data},
        .data = {answer(run, "data_a"), answer(run, "data_b")},
    };
    uint8_t isk[VLY_CPACE_KEY_BYTES];
    struct vly_cpace a, b;

    vly_cpace_init(&a, crypto, &a_start);
    vly_cpace_init(&b, crypto, &b_start);
    assert_span(a.share, answer(run, "share_a"));
    assert_span(b.share, answer(run, "share_b"));
    vly_cpace_isk(crypto, &full, isk);
    assert_span(isk, answer(run, "isk"));
    assert_int_equal(vly_cpace_key(&a, a_start.session, true, b.share, isk), 0);
    assert_span(isk, answer(run, "isk_bare"));
    assert_int_equal(vly_cpace_key(&b, b_start.session, false, a.share, isk), 0);
    assert_span(isk, answer(run, "isk_bare"));
}

static void test_cpace_known_answers(void **state)
{
    (void)state;
    check_generator('a');
    check_generator('b');
    check_run('a');
    check_run('b');
}

/* A string of 128 bytes and more has a length of two bytes; a code that fills the hash's first
 * block has no padding behind it. */
static void test_cpace_generator_string_long(void **state)
{
    struct vly_crypto crypto = *vly_crypto_system();
    uint8_t code[200], channel[300], out[32];
    struct vly_cpace_start start = {{code, 0}, {channel, 128}, {code, 16}, NULL};

    (void)state;
    crypto.sha512 = sha512_spy;
    memset(code, 'c', sizeof(code));
    memset(channel, 'h', sizeof(channel));
    for (start.code.len = 0; start.code.len < 120; start.code.len++) {
        size_t used = 18 + 1 + start.code.len; /* of the first 128 bytes, one a length */
        size_t padding = used < 127 ? 127 - used : 0;

        vly_cpace_generator(&crypto, &start, out);
        assert_int_equal(hashed.len, used + 1 + padding + 2 + 128 + 17);
        assert_int_equal(hashed.text[used], padding);
        assert_memory_equal(hashed.text + used + 1 + padding, "\x80\x01h", 3);
    }
    start.code.len = 200;
    start.channel.len = 300;
    vly_cpace_generator(&crypto, &start, out);
    assert_memory_equal(hashed.text + 18,
                        "\xc8\x01"
                        "c",
                        3);
    assert_memory_equal(hashed.text + 18 + 2 + 200, "\0\xac\x02h", 4);
}

static void test_cpace_products(void **state)
{
    struct vly_cpace c = {.crypto = vly_crypto_system()};
    uint8_t isk[VLY_CPACE_KEY_BYTES], product[32];
    struct vly_span session = answer('a', "session");
    static const char *const invalid[] = {"multiply_invalid_1", "multiply_invalid_2"};

    (void)state;
    memcpy(c.scalar, test_vectors_find(&vectors, "multiply_scalar").data, 32);
    assert_true(c.crypto->group_multiply(product, c.scalar,
                                         test_vectors_find(&vectors, "multiply_point").data));
    assert_span(product, test_vectors_find(&vectors, "multiply_product"));
    for (size_t i = 0; i < ARRAY_LEN(invalid); i++)
        for (int initiator = 0; initiator < 2; initiator++)
            assert_int_equal(vly_cpace_key(&c, session, initiator != 0,
                                           test_vectors_find(&vectors, invalid[i]).data, isk),
                             VLY_E_AUTH);
}

/* What two ends must have in common: the code, the channel, the session and who began. */
static void test_cpace_keys_differ(void **state)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    uint8_t isk[2][VLY_CPACE_KEY_BYTES];
    struct vly_span other = {(const uint8_t *)"other", 5};
    struct vly_cpace a, b;

    (void)state;
    for (int changed = -1; changed < 4; changed++) {
        struct vly_cpace_start a_start = start_of('a', NULL), b_start = a_start;

        if (changed == 0)
            b_start.code = other;
        if (changed == 1)
            b_start.channel = other;
        if (changed == 2)
            b_start.session = other;
        vly_cpace_init(&a, crypto, &a_start);
        vly_cpace_init(&b, crypto, &b_start);
        assert_int_equal(vly_cpace_key(&a, a_start.session, true, b.share, isk[0]), 0);
        assert_int_equal(vly_cpace_key(&b, a_start.session, changed == 3, a.share, isk[1]), 0);
        assert_int_equal(memcmp(isk[0], isk[1], sizeof(isk[0])) == 0, changed < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpace_known_answers),
        cmocka_unit_test(test_cpace_generator_string_long),
        cmocka_unit_test(test_cpace_products),
        cmocka_unit_test(test_cpace_keys_differ),
    };

    return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
