/* The messages of SPEC 3.1, as whoever stands between the two ends may treat them. */
#include "support/secrets.h"
#include "support/shake.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum vly_method all_methods[] = {VLY_METHOD_KEYS, VLY_METHOD_PSK, VLY_METHOD_CODE};

#define FOR_EACH_METHOD(m) \
    for (const enum vly_method *m = all_methods; m < all_methods + ARRAY_LEN(all_methods); m++)

static struct vly_span bytes(const struct shake_message *m)
{
    return (struct vly_span){m->data, m->len};
}

/* A handshake of which the messages before `nth` have been read, and `nth` has been made. */
static void reach(struct shake *s, enum vly_method method, unsigned nth, struct shake_message *out)
{
    shake_init(s, method, 1);
    shake_start(s);
    for (unsigned i = 0; i < nth; i++)
        assert_int_equal(shake_step(s, i), 0);
    assert_int_equal(shake_write(s, nth, out), 0);
}

/* Nothing vouches for the first message of these; what it starts leads nowhere. */
static bool is_unsigned(enum vly_method method, unsigned nth)
{
    return nth == 0 && method != VLY_METHOD_PSK;
}

static void test_handshake_gives_both_the_same_secrets(void **state)
{
    (void)state;
    FOR_EACH_METHOD(method)
    {
        for (uint64_t seed = 1; seed <= 10; seed++) {
            struct shake s;

            shake_init(&s, *method, seed);
            shake_start(&s);
            assert_int_equal(shake_finish(&s, 0), 0);
            shake_fini(&s);
        }
    }
}

/* Randomness that is given: all of it is used up, in this order. */
static void draw_given(void *ctx, void *buf, size_t len)
{
    struct vly_span *given = ctx;

    assert_true(len <= given->len);
    memcpy(buf, given->data, len);
    given->data += len;
    given->len -= len;
}

static struct vly_span answer(const struct test_vectors *v, const char *method, const char *name)
{
    char full[64];

    snprintf(full, sizeof(full), "%s_%s", method, name);
    return test_vectors_find(v, full);
}

/* The method's handshake, byte for byte, from known randomness to the secrets. */
static void check_known_answers(const struct test_vectors *v, enum vly_method method,
                                const char *name)
{
    struct vly_span draws = answer(v, name, "draws"), prologue = answer(v, name, "prologue");
    struct vly_span want = answer(v, name, "secrets");
    uint8_t secrets[2][32];
    struct shake s;

    shake_init(&s, method, 1);
    s.crypto.random = draw_given;
    s.crypto.random_ctx = &draws;
    memcpy(s.credentials[0].secret, test_vectors_find(v, "client_secret").data, VLY_KEY_BYTES);
    memcpy(s.credentials[1].secret, test_vectors_find(v, "server_secret").data, VLY_KEY_BYTES);
    for (int end = 0; end < 2; end++) {
        memcpy(s.credentials[end].psk, test_vectors_find(v, "psk").data, VLY_KEY_BYTES);
        s.prologue_len[end] = prologue.len;
        memcpy(s.prologue[end], prologue.data, prologue.len);
    }
    shake_start(&s);
    for (unsigned nth = 0; nth < shake_messages(method); nth++) {
        const char *const names[] = {"0", "1", "2"};
        struct vly_span message = answer(v, name, names[nth]);
        struct shake_message m;

        assert_int_equal(shake_write(&s, nth, &m), 0);
        assert_int_equal(m.len, message.len);
        assert_memory_equal(m.data, message.data, message.len);
        assert_int_equal(shake_read(&s, nth, bytes(&m)), 0);
    }
    assert_int_equal(draws.len, 0);
    for (int end = 0; end < 2; end++) {
        vly_handshake_secrets(s.end[end], secrets[0], secrets[1]);
        assert_memory_equal(secrets, want.data, want.len);
    }
    shake_fini(&s);
}

static void test_handshake_known_answers(void **state)
{
    struct test_vectors v = test_vectors_load("handshake.txt");

    (void)state;
    check_known_answers(&v, VLY_METHOD_KEYS, "keys");
    check_known_answers(&v, VLY_METHOD_PSK, "psk");
    check_known_answers(&v, VLY_METHOD_CODE, "code");
    test_vectors_free(&v);
}

/* Two handshakes have nothing in common, though all that was agreed on before is the same. */
static void test_handshake_secrets_are_fresh(void **state)
{
    uint8_t secrets[2][2][32];

    (void)state;
    FOR_EACH_METHOD(method)
    {
        for (uint64_t i = 0; i < 2; i++) {
            struct shake s;

            shake_init(&s, *method, 1);
            shake_start(&s);
            vly_prng_init(&s.prng, 100 + i);
            assert_int_equal(shake_finish(&s, 0), 0);
            vly_handshake_secrets(s.end[0], secrets[i][0], secrets[i][1]);
            shake_fini(&s);
        }
        assert_memory_not_equal(secrets[0][0], secrets[1][0], 32);
        assert_memory_not_equal(secrets[0][1], secrets[1][1], 32);
    }
}

/* Every row of the table of SPEC 3.1: turns, payloads and sizes. */
static void test_handshake_table(void **state)
{
    static const struct {
        enum vly_method method;
        bool payload[3];
        size_t len[3]; /* without the payload */
    } rows[] = {
        {VLY_METHOD_KEYS, {false, true, true}, {32, 32 + 48 + 16, 48 + 16}},
        {VLY_METHOD_PSK, {true, true, false}, {32 + 16, 32 + 16, 0}},
        {VLY_METHOD_CODE, {false, true, true}, {16 + 32, 32 + 32 + 16, 32 + 16}},
    };

    (void)state;
    for (size_t row = 0; row < ARRAY_LEN(rows); row++) {
        enum vly_method method = rows[row].method;
        struct shake s;

        shake_init(&s, method, 1);
        shake_start(&s);
        for (unsigned nth = 0; nth < shake_messages(method); nth++) {
            struct shake_message m;

            for (int end = 0; end < 2; end++) {
                assert_false(vly_handshake_is_done(s.end[end]));
                assert_int_equal(vly_handshake_is_our_turn(s.end[end]), end == (int)(nth % 2));
                assert_int_equal(vly_handshake_has_payload(s.end[end]), rows[row].payload[nth]);
            }
            assert_int_equal(shake_write(&s, nth, &m), 0);
            assert_int_equal(m.len, rows[row].len[nth] + shake_payload(method, nth).len);
            assert_int_equal(shake_read(&s, nth, bytes(&m)), 0);
        }
        for (int end = 0; end < 2; end++) {
            assert_true(vly_handshake_is_done(s.end[end]));
            assert_false(vly_handshake_is_our_turn(s.end[end]));
            assert_false(vly_handshake_has_payload(s.end[end]));
        }
        shake_fini(&s);
    }
}

static void check_wrong_turn(struct shake *s, unsigned nth, const struct shake_message *m)
{
    uint8_t buf[VLY_HANDSHAKE_MAX];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    bool done = nth == shake_messages(s->credentials[0].method);
    size_t len;

    for (int end = 0; end < 2; end++) {
        bool writes = !done && end == (int)shake_writer(nth);

        if (!writes)
            assert_int_equal(vly_handshake_write(s->end[end], (struct vly_span){NULL, 0}, &w),
                             VLY_E_STATE);
        if (writes || done)
            assert_int_equal(vly_handshake_read(s->end[end], bytes(m), buf, &len), VLY_E_STATE);
    }
    assert_int_equal(vly_wr_len(&w), 0);
}

static void test_handshake_messages_have_their_turn(void **state)
{
    (void)state;
    FOR_EACH_METHOD(method)
    {
        struct shake_message m = {.len = 0};
        struct shake s;

        shake_init(&s, *method, 1);
        shake_start(&s);
        for (unsigned nth = 0; nth < shake_messages(*method); nth++) {
            check_wrong_turn(&s, nth, &m);
            assert_int_equal(shake_write(&s, nth, &m), 0);
            assert_int_equal(shake_read(&s, nth, bytes(&m)), 0);
        }
        check_wrong_turn(&s, shake_messages(*method), &m);
        shake_fini(&s);
    }
}

/* A first message that nothing vouches for was changed: what the server makes of it, if anything,
 * the client does not take. */
static void check_leads_nowhere(enum vly_method method, struct vly_span changed)
{
    struct shake_message m;
    struct shake s;

    reach(&s, method, 0, &m);
    if (shake_read(&s, 0, changed) == 0 && shake_write(&s, 1, &m) == 0)
        assert_int_equal(shake_read(&s, 1, bytes(&m)), VLY_E_AUTH);
    shake_fini(&s);
}

/* RULE 9, RULE 15: whatever bit of whatever message is turned over is refused, and the true message
 * that comes later still counts. */
static void test_handshake_bit_flips_are_refused(void **state)
{
    (void)state;
    FOR_EACH_METHOD(method)
    {
        for (unsigned nth = 0; nth < shake_messages(*method); nth++) {
            struct shake_message m;
            struct shake s;

            reach(&s, *method, nth, &m);
            for (size_t bit = 0; bit < 8 * m.len; bit++) {
                m.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
                if (is_unsigned(*method, nth))
                    check_leads_nowhere(*method, bytes(&m));
                else
                    assert_int_equal(shake_read(&s, nth, bytes(&m)), VLY_E_AUTH);
                m.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
            assert_int_equal(shake_read(&s, nth, bytes(&m)), 0);
            assert_int_equal(shake_finish(&s, nth + 1), 0);
            shake_fini(&s);
        }
    }
}

/* All truncations, and a byte more. */
static void test_handshake_other_lengths_are_refused(void **state)
{
    (void)state;
    FOR_EACH_METHOD(method)
    {
        for (unsigned nth = 0; nth < shake_messages(*method); nth++) {
            struct shake_message m;
            struct shake s;

            reach(&s, *method, nth, &m);
            for (size_t len = 0; len < m.len; len++) {
                uint8_t *cut = test_exact_copy(m.data, len);

                assert_int_not_equal(shake_read(&s, nth, (struct vly_span){cut, len}), 0);
                free(cut);
            }
            m.data[m.len++] = 0;
            assert_int_not_equal(shake_read(&s, nth, bytes(&m)), 0);
            m.len--;
            assert_int_equal(shake_read(&s, nth, bytes(&m)), 0);
            assert_int_equal(shake_finish(&s, nth + 1), 0);
            shake_fini(&s);
        }
    }
}

/* Whoever gets its own message back, or an older one of the other end again, does not take it. */
static void test_handshake_reflected_messages_are_refused(void **state)
{
    (void)state;
    FOR_EACH_METHOD(method)
    {
        struct shake_message m[3];
        struct shake s;

        shake_init(&s, *method, 1);
        shake_start(&s);
        for (unsigned nth = 0; nth < shake_messages(*method); nth++) {
            assert_int_equal(shake_write(&s, nth, &m[nth]), 0);
            for (unsigned i = 0; i < nth; i++)
                assert_int_not_equal(shake_read(&s, nth, bytes(&m[i])), 0);
            assert_int_equal(shake_read(&s, nth, bytes(&m[nth])), 0);
        }
        shake_fini(&s);
    }
}

/* The first message whose reader sees that the two ends do not agree; it stays so. */
static void check_disagreement(struct shake *s, unsigned refused)
{
    struct shake_message m;

    shake_start(s);
    for (unsigned nth = 0; nth < refused; nth++)
        assert_int_equal(shake_step(s, nth), 0);
    assert_int_equal(shake_write(s, refused, &m), 0);
    assert_int_equal(shake_read(s, refused, bytes(&m)), VLY_E_AUTH);
    assert_int_equal(shake_read(s, refused, bytes(&m)), VLY_E_AUTH);
    assert_false(vly_handshake_is_done(s->end[0]));
    assert_false(vly_handshake_is_done(s->end[1]));
    shake_fini(s);
}

/* RULE 5: version, client id, suites and method stand in the prologue: whoever changes what the
 * server sees of them ends the attempt. Here each bit of a prologue, and its length. */
static void test_handshake_prologue_is_in_the_transcript(void **state)
{
    (void)state;
    FOR_EACH_METHOD(method)
    {
        const unsigned refused = *method == VLY_METHOD_PSK ? 0 : 1;
        struct shake s;

        for (size_t bit = 0; bit < 8 * 31; bit++) {
            shake_init(&s, *method, 1);
            s.prologue[1][bit / 8] ^= (uint8_t)(1 << bit % 8);
            check_disagreement(&s, refused);
        }
        shake_init(&s, *method, 1);
        s.prologue_len[1]--;
        check_disagreement(&s, refused);
        shake_init(&s, *method, 1);
        s.prologue_len[1]++;
        check_disagreement(&s, refused);
    }
}

static void test_handshake_other_psk_or_code(void **state)
{
    struct shake s;

    (void)state;
    shake_init(&s, VLY_METHOD_PSK, 1);
    s.credentials[0].psk[31] ^= 1;
    check_disagreement(&s, 0);
    shake_init(&s, VLY_METHOD_CODE, 1);
    s.credentials[0].code[0] ^= 1;
    check_disagreement(&s, 1);
    shake_init(&s, VLY_METHOD_CODE, 1);
    s.credentials[0].code_len--;
    check_disagreement(&s, 1);
}

/* Keys: each end learns who the other one is, not before the message that proves it. */
static void test_handshake_peer_key(void **state)
{
    (void)state;
    FOR_EACH_METHOD(method)
    {
        const bool keys = *method == VLY_METHOD_KEYS;
        uint8_t public_key[2][32];
        struct shake s;

        shake_init(&s, *method, 1);
        shake_start(&s);
        for (int end = 0; end < 2; end++)
            s.crypto.x25519_public(public_key[end], s.credentials[end].secret);
        for (unsigned nth = 0; nth < shake_messages(*method); nth++) {
            assert_null(vly_handshake_peer_key(s.end[1]));
            assert_int_equal(vly_handshake_peer_key(s.end[0]) != NULL, keys && nth >= 2);
            assert_int_equal(shake_step(&s, nth), 0);
        }
        for (int end = 0; end < 2; end++) {
            const uint8_t *key = vly_handshake_peer_key(s.end[end]);

            assert_int_equal(key != NULL, keys);
            if (keys)
                assert_memory_equal(key, public_key[1 - end], 32);
        }
        shake_fini(&s);
    }
}

static void test_handshake_credentials_check(void **state)
{
    struct vly_credentials c = {.method = VLY_METHOD_KEYS};
    uint8_t key[VLY_KEY_BYTES] = {1, 2, 3};

    (void)state;
    assert_int_equal(vly_credentials_check(&c, key), VLY_E_HOST_UNKNOWN);
    c.accept_new = true;
    assert_int_equal(vly_credentials_check(&c, key), 0);
    c.has_pin = true; /* a known key is not new, whatever is accepted */
    assert_int_equal(vly_credentials_check(&c, key), VLY_E_HOST_CHANGED);
    memcpy(c.pin, key, sizeof(key));
    assert_int_equal(vly_credentials_check(&c, key), 0);
    key[VLY_KEY_BYTES - 1] ^= 0x80;
    assert_int_equal(vly_credentials_check(&c, key), VLY_E_HOST_CHANGED);
}

/* RFC 7748's points of low order, also as what they are equal to modulo 2^255 - 19: with them the
 * shared secret is zero whatever the other end's key. */
static const char *const low_order[] = {
    "00*32",
    "01 00*31",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ec ff*30 7f",
    "ed ff*30 7f",
    "ee ff*30 7f",
};

/* The next public key that is made is this one. */
static uint8_t forced_public[32];

static void give_forced_public(uint8_t out[32], const uint8_t secret[32])
{
    (void)secret;
    memcpy(out, forced_public, 32);
}

static void check_low_order(enum vly_method method)
{
    struct shake_message m;
    struct shake s;

    shake_init(&s, method, 1);
    shake_start(&s);
    s.crypto.x25519_public = give_forced_public;
    assert_int_equal(shake_step(&s, 0), 0);
    s.crypto.x25519_public = vly_crypto_system()->x25519_public;
    assert_int_equal(shake_write(&s, 1, &m), VLY_E_AUTH);
    assert_int_equal(shake_write(&s, 1, &m), VLY_E_AUTH); /* the handshake is as it was */
    shake_fini(&s);
}

/* An end that sends such a key, though it knows the pre-shared one, gets no further. */
static void test_handshake_low_order_keys_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(low_order); i++) {
        struct test_bytes point = test_hex(low_order[i]);
        struct shake_message m;
        struct shake s;

        memcpy(forced_public, point.data, sizeof(forced_public));
        check_low_order(VLY_METHOD_KEYS);
        check_low_order(VLY_METHOD_PSK);
        /* The server's ephemeral key, put into its message by a stranger. */
        reach(&s, VLY_METHOD_KEYS, 1, &m);
        memcpy(m.data, point.data, point.len);
        assert_int_equal(shake_read(&s, 1, bytes(&m)), VLY_E_AUTH);
        shake_fini(&s);
        free(point.data);
    }
}

/* A share that is no element of the group, or the neutral one: refused by either end. */
static void test_handshake_invalid_shares_are_refused(void **state)
{
    struct test_vectors v = test_vectors_load("cpace.txt");
    static const char *const names[] = {"multiply_invalid_1", "multiply_invalid_2"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (unsigned nth = 0; nth < 2; nth++) {
            struct shake_message m, genuine;
            struct shake s;

            reach(&s, VLY_METHOD_CODE, nth, &genuine);
            m = genuine;
            memcpy(m.data + (nth == 0 ? 16 : 0), test_vectors_find(&v, names[i]).data, 32);
            assert_int_equal(shake_read(&s, nth, bytes(&m)), VLY_E_AUTH);
            assert_int_equal(shake_read(&s, nth, bytes(&genuine)), 0);
            assert_int_equal(shake_finish(&s, nth + 1), 0);
            shake_fini(&s);
        }
    }
    test_vectors_free(&v);
}

/* A message that does not fit leaves nothing behind, and can be made later. */
static void test_handshake_messages_need_room(void **state)
{
    static const uint8_t payload[VLY_HANDSHAKE_PAYLOAD_MAX + 1];

    (void)state;
    FOR_EACH_METHOD(method)
    {
        for (unsigned nth = 0; nth < shake_messages(*method); nth++) {
            struct shake_message m;
            struct shake s;
            size_t len;

            reach(&s, *method, nth, &m);
            len = m.len;
            shake_fini(&s);
            shake_init(&s, *method, 1);
            shake_start(&s);
            for (unsigned i = 0; i < nth; i++)
                assert_int_equal(shake_step(&s, i), 0);
            for (size_t room = 0; room < len; room++) {
                struct vly_wr w = vly_wr_init(m.data, room);

                assert_int_equal(
                    vly_handshake_write(s.end[shake_writer(nth)], shake_payload(*method, nth), &w),
                    VLY_E_LIMIT);
                assert_int_equal(vly_wr_len(&w), 0);
                assert_int_equal(vly_wr_room(&w), room);
            }
            if (vly_handshake_has_payload(s.end[0])) {
                struct vly_wr w = vly_wr_init(m.data, sizeof(m.data));

                assert_int_equal(vly_handshake_write(s.end[shake_writer(nth)],
                                                     (struct vly_span){payload, sizeof(payload)},
                                                     &w),
                                 VLY_E_LIMIT);
            }
            assert_int_equal(shake_finish(&s, nth), 0);
            shake_fini(&s);
        }
    }
}

/* The longest payload makes a message that VLY_HANDSHAKE_MAX has room for. */
static void test_handshake_longest_payload_fits(void **state)
{
    static const uint8_t payload[VLY_HANDSHAKE_PAYLOAD_MAX];

    (void)state;
    FOR_EACH_METHOD(method)
    {
        struct shake s;

        shake_init(&s, *method, 1);
        shake_start(&s);
        for (unsigned nth = 0; nth < shake_messages(*method); nth++) {
            struct vly_handshake *from = s.end[nth % 2], *to = s.end[1 - nth % 2];
            size_t len = vly_handshake_has_payload(from) ? sizeof(payload) : 0, got_len;
            uint8_t message[VLY_HANDSHAKE_MAX], got[VLY_HANDSHAKE_MAX];
            struct vly_wr w = vly_wr_init(message, sizeof(message));

            assert_int_equal(vly_handshake_write(from, (struct vly_span){payload, len}, &w), 0);
            assert_int_equal(
                vly_handshake_read(to, (struct vly_span){message, vly_wr_len(&w)}, got, &got_len),
                0);
            assert_int_equal(got_len, len);
        }
        shake_fini(&s);
    }
}

/* A clone is the handshake as it was, and outlives it: it reads the same message once more. */
static void test_handshake_clone(void **state)
{
    (void)state;
    FOR_EACH_METHOD(method)
    {
        for (unsigned nth = 0; nth < shake_messages(*method); nth++) {
            struct vly_handshake **reader, *clone;
            struct shake_message m;
            struct shake s;

            reach(&s, *method, nth, &m);
            reader = &s.end[1 - shake_writer(nth)];
            test_secrets_count(&s.crypto, 1);
            assert_int_equal(vly_handshake_clone(&clone, *reader), VLY_E_NOMEM);
            assert_null(clone);
            s.crypto.secret_new = vly_crypto_system()->secret_new;
            s.crypto.secret_free = vly_crypto_system()->secret_free;
            assert_int_equal(vly_handshake_clone(&clone, *reader), 0);
            assert_int_equal(shake_read(&s, nth, bytes(&m)), 0);
            vly_handshake_free(*reader);
            *reader = clone;
            assert_int_equal(shake_read(&s, nth, bytes(&m)), 0);
            assert_int_equal(shake_finish(&s, nth + 1), 0);
            shake_fini(&s);
        }
    }
    vly_handshake_free(NULL);
}

/* Goes through a handshake; what fails for want of memory is tried again. Returns how often. */
static unsigned run_out_of_memory(struct shake *s, enum vly_method method)
{
    unsigned failures = 0;

    for (int end = 0; end < 2; end++) {
        struct vly_span prologue = {s->prologue[end], s->prologue_len[end]};

        s->end[end] = (struct vly_handshake *)s; /* to be overwritten */
        while (vly_handshake_new(&s->end[end], &s->crypto, (enum vly_handshake_end)end,
                                 &s->credentials[end], prologue) == VLY_E_NOMEM) {
            assert_null(s->end[end]);
            failures++;
        }
    }
    for (unsigned nth = 0; nth < shake_messages(method); nth++) {
        struct shake_message m;
        int err;

        for (; (err = shake_write(s, nth, &m)) == VLY_E_NOMEM; failures++)
            ;
        assert_int_equal(err, 0);
        for (; (err = shake_read(s, nth, bytes(&m))) == VLY_E_NOMEM; failures++)
            ;
        assert_int_equal(err, 0);
    }
    return failures;
}

/* RULE 40: each request for secret memory fails once; nothing is lost but the one call, and
 * everything is given back. */
static void test_handshake_out_of_memory(void **state)
{
    (void)state;
    FOR_EACH_METHOD(method)
    {
        bool failed = true;

        for (uint64_t at = 1; failed; at++) {
            struct shake s;

            shake_init(&s, *method, 1);
            test_secrets_count(&s.crypto, at);
            failed = run_out_of_memory(&s, *method) > 0;
            assert_int_equal(failed, at <= test_secrets.requests);
            assert_true(failed || at > 2);
            shake_fini(&s);
            assert_int_equal(test_secrets.live, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_known_answers),
        cmocka_unit_test(test_handshake_gives_both_the_same_secrets),
        cmocka_unit_test(test_handshake_secrets_are_fresh),
        cmocka_unit_test(test_handshake_table),
        cmocka_unit_test(test_handshake_messages_have_their_turn),
        cmocka_unit_test(test_handshake_bit_flips_are_refused),
        cmocka_unit_test(test_handshake_other_lengths_are_refused),
        cmocka_unit_test(test_handshake_reflected_messages_are_refused),
        cmocka_unit_test(test_handshake_prologue_is_in_the_transcript),
        cmocka_unit_test(test_handshake_other_psk_or_code),
        cmocka_unit_test(test_handshake_peer_key),
        cmocka_unit_test(test_handshake_credentials_check),
        cmocka_unit_test(test_handshake_low_order_keys_are_refused),
        cmocka_unit_test(test_handshake_invalid_shares_are_refused),
        cmocka_unit_test(test_handshake_messages_need_room),
        cmocka_unit_test(test_handshake_longest_payload_fits),
        cmocka_unit_test(test_handshake_clone),
        cmocka_unit_test(test_handshake_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
