#include "crypto/crypto.h"
#include "proto/noise.h"
#include "proto/seal.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

static struct test_vectors vectors;

static int load_vectors(void **state)
{
    (void)state;
    vectors = test_vectors_load("noise.txt");
    return 0;
}

static int free_vectors(void **state)
{
    (void)state;
    test_vectors_free(&vectors);
    return 0;
}

static struct vly_span answer(const char *pattern, const char *name)
{
    char full[64];

    snprintf(full, sizeof(full), "%s_%s", pattern, name);
    return test_vectors_find(&vectors, full);
}

static struct vly_span answer_nth(const char *pattern, unsigned nth, const char *name)
{
    char full[64];

    snprintf(full, sizeof(full), "%s_%u_%s", pattern, nth, name);
    return test_vectors_find(&vectors, full);
}

/* Index 0 is the initiator. */
struct two {
    struct vly_noise end[2];
};

static void two_start(struct two *t, enum vly_noise_pattern pattern, const char *name)
{
    const bool xx = pattern == VLY_NOISE_XX;

    for (int i = 0; i < 2; i++) {
        struct vly_noise_start start = {
            .pattern = pattern,
            .initiator = i == 0,
            .prologue = answer(name, "prologue"),
            .secret = xx ? answer(name, i == 0 ? "init_static" : "resp_static").data : NULL,
            .psk = xx ? NULL : answer(name, "psk").data,
            .ephemeral = answer(name, i == 0 ? "init_ephemeral" : "resp_ephemeral").data,
        };

        vly_noise_init(&t->end[i], vly_crypto_system(), &start);
    }
}

/* Message `nth` is made as it should be, and read. */
static void two_step(struct two *t, const char *name, unsigned nth)
{
    struct vly_span payload = answer_nth(name, nth, "payload");
    struct vly_span want = answer_nth(name, nth, "message");
    uint8_t message[512], got[512];
    struct vly_wr w = vly_wr_init(message, sizeof(message));
    size_t got_len;

    assert_int_equal(vly_noise_write(&t->end[nth % 2], payload, &w), 0);
    assert_int_equal(vly_wr_len(&w), want.len);
    assert_memory_equal(message, want.data, want.len);
    assert_int_equal(vly_noise_read(&t->end[1 - nth % 2], want, got, &got_len), 0);
    assert_int_equal(got_len, payload.len);
    assert_memory_equal(got, payload.data, payload.len);
}

/* What is sent behind the handshake: sealed without associated data, counted from 0 each way. */
static void check_transport(const char *name, unsigned nth, const uint8_t key[32], uint64_t number)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    const struct vly_suite_ops *suite = crypto->noise;
    struct vly_span payload = answer_nth(name, nth, "payload");
    struct vly_span want = answer_nth(name, nth, "message");
    static const uint8_t no_iv[VLY_IV_BYTES];
    void *keys = crypto->secret_new(suite->keys_bytes);
    uint8_t message[512];

    assert_true(suite->init(keys, key, no_iv));
    memcpy(message, payload.data, payload.len);
    vly_seal_one(suite, keys, number, message, 0, payload.len);
    assert_int_equal(payload.len + VLY_TAG_BYTES, want.len);
    assert_memory_equal(message, want.data, want.len);
    suite->fini(keys);
    crypto->secret_free(keys, suite->keys_bytes);
}

static void check_pattern(enum vly_noise_pattern pattern, const char *name, unsigned messages)
{
    uint8_t key[2][32], same[2][32];
    struct vly_span hash = answer(name, "hash");
    struct two t;

    two_start(&t, pattern, name);
    for (unsigned i = 0; i < messages; i++) {
        assert_false(vly_noise_is_done(&t.end[0]));
        assert_false(vly_noise_is_done(&t.end[1]));
        two_step(&t, name, i);
    }
    for (int i = 0; i < 2; i++) {
        assert_true(vly_noise_is_done(&t.end[i]));
        assert_memory_equal(t.end[i].h, hash.data, hash.len);
    }
    vly_noise_split(&t.end[0], key[0], key[1]);
    vly_noise_split(&t.end[1], same[0], same[1]);
    assert_memory_equal(key, same, sizeof(key));
    for (unsigned i = messages; i < 6; i++)
        check_transport(name, i, key[i % 2], (i - messages) / 2);
}

static void test_noise_known_answers_xx(void **state)
{
    (void)state;
    check_pattern(VLY_NOISE_XX, "xx", 3);
}

static void test_noise_known_answers_nnpsk0(void **state)
{
    (void)state;
    check_pattern(VLY_NOISE_NNPSK0, "nnpsk0", 2);
}

/* Each end learns the other one's static key, and only from the message that holds it. */
static void test_noise_static_keys_arrive(void **state)
{
    static const uint8_t nothing[32];
    struct two t;

    (void)state;
    two_start(&t, VLY_NOISE_XX, "xx");
    two_step(&t, "xx", 0);
    assert_memory_equal(t.end[0].rs, nothing, 32);
    two_step(&t, "xx", 1);
    assert_memory_equal(t.end[0].rs, t.end[1].s_public, 32);
    assert_memory_equal(t.end[1].rs, nothing, 32);
    two_step(&t, "xx", 2);
    assert_memory_equal(t.end[1].rs, t.end[0].s_public, 32);
}

static void test_noise_messages_have_their_turn(void **state)
{
    struct vly_span first = answer("xx", "0_message");
    uint8_t buf[512];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    size_t len;
    struct two t;

    (void)state;
    two_start(&t, VLY_NOISE_XX, "xx");
    assert_int_equal(vly_noise_write(&t.end[1], (struct vly_span){NULL, 0}, &w), VLY_E_STATE);
    assert_int_equal(vly_noise_read(&t.end[0], first, buf, &len), VLY_E_STATE);
    for (unsigned i = 0; i < 3; i++)
        two_step(&t, "xx", i);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vly_noise_write(&t.end[i], (struct vly_span){NULL, 0}, &w), VLY_E_STATE);
        assert_int_equal(vly_noise_read(&t.end[i], first, buf, &len), VLY_E_STATE);
    }
    assert_int_equal(vly_wr_len(&w), 0);
}

/* Every message needs all its room. */
static void test_noise_messages_need_room(void **state)
{
    struct two t, before;

    (void)state;
    two_start(&t, VLY_NOISE_XX, "xx");
    for (unsigned i = 0; i < 3; i++) {
        struct vly_span payload = answer_nth("xx", i, "payload");
        size_t len = answer_nth("xx", i, "message").len;
        uint8_t buf[512];

        before = t;
        for (size_t room = 0; room < len; room++) {
            struct vly_wr w = vly_wr_init(buf, room);

            assert_int_equal(vly_noise_write(&t.end[i % 2], payload, &w), VLY_E_LIMIT);
            t = before;
        }
        two_step(&t, "xx", i);
    }
}

/* RULE 10: keys that a handshake draws are never those of another one. */
static void test_noise_ephemeral_keys_are_drawn(void **state)
{
    static const uint8_t psk[32] = {1};
    struct vly_noise_start start = {.pattern = VLY_NOISE_NNPSK0, .initiator = true, .psk = psk};
    uint8_t buf[2][64];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct vly_wr w = vly_wr_init(buf[i], sizeof(buf[i]));
        struct vly_noise n;

        vly_noise_init(&n, vly_crypto_system(), &start);
        assert_int_equal(vly_noise_write(&n, (struct vly_span){NULL, 0}, &w), 0);
        assert_int_equal(vly_wr_len(&w), 48);
    }
    assert_memory_not_equal(buf[0], buf[1], 32);
    assert_memory_not_equal(buf[0] + 32, buf[1] + 32, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise_known_answers_xx),
        cmocka_unit_test(test_noise_known_answers_nnpsk0),
        cmocka_unit_test(test_noise_static_keys_arrive),
        cmocka_unit_test(test_noise_messages_have_their_turn),
        cmocka_unit_test(test_noise_messages_need_room),
        cmocka_unit_test(test_noise_ephemeral_keys_are_drawn),
    };

    return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
