/*
 * The load generator's request, token and preamble: identity through JSON, limits, and what a
 * stranger or a newer peer may send.
 */
#include "bench/load/flow_ops.h"
#include "bench/load/load_request.h"
#include "support/support.h"

#include <string.h>

static struct bench_request some_request(void)
{
    struct bench_request r;

    bench_request_init(&r);
    r.protocol = BENCH_TCP;
    r.duration_ns = 0;
    r.bytes = 1000;
    r.interval_ns = VLY_MS(100);
    r.timeout_ns = VLY_S(3);
    r.parallel = 3;
    r.block_bytes = 4096;
    r.window_bytes = 1 << 20;
    r.rate_bytes_per_s = 12500000;
    r.mss_bytes = 1448;
    r.bidir = true;
    r.verify = true;
    memcpy(r.cc, "reno", 5);
    return r;
}

static void test_load_request_json_identity(void **state)
{
    struct bench_request in = some_request();
    struct bench_request out;
    struct vly_fault why;
    json_t *object = bench_request_to_json(&in);

    (void)state;
    assert_non_null(object);
    assert_int_equal(bench_request_from_json(&out, object, &why), 0);
    assert_int_equal(out.protocol, in.protocol);
#define X(name, least, most) assert_int_equal(out.name, in.name);
    BENCH_REQUEST_NUMBERS(X)
#undef X
#define X(name) assert_int_equal(out.name, in.name);
    BENCH_REQUEST_FLAGS(X)
#undef X
    assert_string_equal(out.cc, in.cc);
    assert_string_equal(out.io, in.io);
    assert_string_equal(out.suite, in.suite);
    assert_string_equal(out.crypto, in.crypto);
    json_decref(object);
}

/* Without any one of its members, or with it of another kind, a request is refused. */
static void test_load_request_json_needs_every_member(void **state)
{
    struct bench_request in = some_request();
    json_t *whole = bench_request_to_json(&in);
    const char *key;
    json_t *value;

    (void)state;
    json_object_foreach(whole, key, value)
    {
        struct bench_request out;
        struct vly_fault why;
        json_t *object = json_copy(whole);

        assert_int_equal(json_object_del(object, key), 0);
        assert_int_equal(bench_request_from_json(&out, object, &why), VLY_E_MALFORMED);
        assert_int_equal(json_object_set_new(object, key, json_array()), 0);
        assert_int_equal(bench_request_from_json(&out, object, &why), VLY_E_MALFORMED);
        json_decref(object);
    }
    json_decref(whole);
}

static void test_load_request_json_nonsense(void **state)
{
    static const struct {
        const char *key, *json;
        int err;
    } cases[] = {
        {"protocol", "\"sctp\"", VLY_E_MALFORMED},
        {"bytes", "-1", VLY_E_MALFORMED},
        {"bytes", "1.5", VLY_E_MALFORMED},
        {"parallel", "0", VLY_E_INVALID},
        {"parallel", "129", VLY_E_INVALID},
        {"parallel", "9223372036854775807", VLY_E_INVALID},
        {"block_bytes", "0", VLY_E_INVALID},
        {"block_bytes", "16777217", VLY_E_INVALID},
        {"timeout_ns", "0", VLY_E_INVALID},
        {"mss_bytes", "87", VLY_E_INVALID},
        {"mss_bytes", "32768", VLY_E_INVALID},
        {"ack_every_pkts", "129", VLY_E_INVALID},
        {"ack_every_pkts", "2", VLY_E_INVALID}, /* of TCP */
        {"reverse", "1", VLY_E_MALFORMED},
        {"cc", "\"a name longer than any\"", VLY_E_MALFORMED},
        {"cc", "null", VLY_E_MALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench_request in = some_request();
        struct bench_request out;
        struct vly_fault why;
        json_t *object = bench_request_to_json(&in);

        (void)json_object_set_new(object, cases[i].key,
                                  json_loads(cases[i].json, JSON_DECODE_ANY, NULL));
        assert_int_equal(bench_request_from_json(&out, object, &why), cases[i].err);
        assert_true(strlen(why.text) > 0);
        json_decref(object);
    }
    {
        struct bench_request out;
        struct vly_fault why;

        assert_int_equal(bench_request_from_json(&out, NULL, &why), VLY_E_MALFORMED);
    }
}

static int checked(struct bench_request r)
{
    struct vly_fault why;

    return bench_request_check(&r, &why);
}

static void test_load_request_contradictions(void **state)
{
    struct bench_request r = some_request();
    struct vly_fault why;

    (void)state;
    assert_int_equal(checked(r), 0);
    r.duration_ns = VLY_S(1); /* and bytes */
    assert_int_equal(checked(r), VLY_E_INVALID);
    r.bytes = 0;
    assert_int_equal(checked(r), 0);
    r.duration_ns = 0; /* neither */
    assert_int_equal(checked(r), VLY_E_INVALID);
    r = some_request();
    r.warmup_ns = VLY_S(1); /* with bytes */
    assert_int_equal(checked(r), VLY_E_INVALID);
    r = some_request();
    r.bytes = 2; /* for three streams */
    assert_int_equal(checked(r), VLY_E_INVALID);
    r = some_request();
    r.reverse = true; /* and bidir */
    assert_int_equal(checked(r), VLY_E_INVALID);
    r = some_request();
    memcpy(r.io, "gso", 4); /* TCP moves no datagrams */
    assert_int_equal(checked(r), VLY_E_INVALID);
    r.protocol = BENCH_VOLLEY;
    assert_int_equal(checked(r), 0);
    memcpy(r.io, "avian", 6);
    assert_int_equal(checked(r), VLY_E_INVALID);
    r.io[0] = '\0';
    memcpy(r.cc, "nonsense", 9);
    assert_int_equal(bench_request_check(&r, &why), VLY_E_INVALID);
    assert_non_null(strstr(why.text, "cubic reno fixed"));
    memcpy(r.cc, "fixed", 6);
    assert_int_equal(checked(r), 0);
    r.rate_bytes_per_s = 0;
    assert_int_equal(checked(r), VLY_E_INVALID);
    r.protocol = BENCH_UDP_RAW; /* with cc */
    assert_int_equal(checked(r), VLY_E_INVALID);
    r.cc[0] = '\0'; /* with verify */
    assert_int_equal(checked(r), VLY_E_INVALID);
    r.verify = false;
    assert_int_equal(checked(r), 0);
}

/* Only where the ACKs are ours; and the number arrives at the other end. */
static void test_load_request_ack_every(void **state)
{
    static const bool takes[] = {
        [BENCH_VOLLEY] = true, [BENCH_VOLLEY_PLAIN] = true, [BENCH_VOLLEY_TCP] = false};

    (void)state;
    for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
        struct bench_request r, out;
        struct vly_fault why;
        json_t *object;

        bench_request_init(&r);
        r.protocol = (enum bench_protocol)i;
        r.ack_every_pkts = BENCH_ACK_EVERY_MAX;
        object = bench_request_to_json(&r);
        assert_int_equal(bench_request_from_json(&out, object, &why), takes[i] ? 0 : VLY_E_INVALID);
        if (takes[i])
            assert_int_equal(out.ack_every_pkts, BENCH_ACK_EVERY_MAX);
        json_decref(object);
    }
}

static int checked_protection(enum bench_protocol protocol, const char *suite, const char *crypto)
{
    struct bench_request r = some_request();

    r.protocol = protocol;
    r.mss_bytes = r.rate_bytes_per_s = 0;
    r.cc[0] = '\0';
    (void)snprintf(r.suite, sizeof(r.suite), "%s", suite);
    (void)snprintf(r.crypto, sizeof(r.crypto), "%s", crypto);
    r.bidir = false;
    return checked(r);
}

/* What is not encrypted by us has no choice; names are checked where they are used. */
static void test_load_request_protection(void **state)
{
    (void)state;
    assert_int_equal(checked_protection(BENCH_VOLLEY, "", ""), 0);
    assert_int_equal(checked_protection(BENCH_VOLLEY, "aes-256-gcm", "openssl"), 0);
    assert_int_equal(checked_protection(BENCH_VOLLEY_TCP, "chacha20-poly1305", ""), 0);
    assert_int_equal(checked_protection(BENCH_VOLLEY, "rot13", ""), VLY_E_INVALID);
    assert_int_equal(checked_protection(BENCH_VOLLEY, "", "abacus"), VLY_E_INVALID);
    assert_int_equal(checked_protection(BENCH_VOLLEY_PLAIN, "aes-256-gcm", ""), VLY_E_INVALID);
    assert_int_equal(checked_protection(BENCH_TLS, "", "openssl"), VLY_E_INVALID);
    assert_int_equal(checked_protection(BENCH_TCP, "", "openssl"), VLY_E_INVALID);
}

/* The streams' shares add up to what was asked for, whatever is left over. */
static void test_load_request_shares(void **state)
{
    struct bench_request r = some_request();

    (void)state;
    for (uint64_t bytes = 3; bytes < 20; bytes++) {
        uint64_t sum = 0;

        r.bytes = bytes;
        for (unsigned i = 0; i < r.parallel; i++)
            sum += bench_request_share(&r, i);
        assert_int_equal(sum, bytes);
    }
    r.bytes = 0;
    assert_true(bench_request_share(&r, 1) == UINT64_MAX);
}

static void test_load_request_who_sends(void **state)
{
    struct bench_request r = some_request();

    (void)state;
    for (int reverse = 0; reverse < 2; reverse++) {
        r.reverse = reverse != 0;
        assert_int_equal(bench_request_sends(&r, false, BENCH_FORWARD), !r.reverse);
        assert_int_equal(bench_request_sends(&r, true, BENCH_FORWARD), r.reverse);
        assert_int_equal(bench_request_sends(&r, false, BENCH_BACK), r.reverse);
        assert_int_equal(bench_request_sends(&r, true, BENCH_BACK), !r.reverse);
    }
    assert_int_equal(bench_request_conns(&r), 6);
}

/* ---- token and preamble ---- */

static struct bench_token some_token(void)
{
    struct bench_token token;

    for (unsigned i = 0; i < BENCH_TOKEN_BYTES; i++)
        token.bytes[i] = (uint8_t)(0xf0 + 17 * i);
    return token;
}

static void test_load_token_text(void **state)
{
    struct bench_token token = some_token();
    struct bench_token back;
    char text[BENCH_TOKEN_TEXT];

    (void)state;
    bench_token_text(&token, text);
    assert_int_equal(strlen(text), 32);
    assert_int_equal(bench_token_parse(&back, text), 0);
    assert_memory_equal(back.bytes, token.bytes, sizeof(token.bytes));
    for (size_t len = 0; len < 32; len++) {
        char cut[BENCH_TOKEN_TEXT];

        memcpy(cut, text, len);
        cut[len] = '\0';
        assert_int_equal(bench_token_parse(&back, cut), VLY_E_MALFORMED);
    }
    for (size_t i = 0; i < 32; i++) {
        char bad[BENCH_TOKEN_TEXT];

        memcpy(bad, text, sizeof(bad));
        bad[i] = 'g';
        assert_int_equal(bench_token_parse(&back, bad), VLY_E_MALFORMED);
    }
}

static void test_load_preamble_strangers(void **state)
{
    struct bench_token token = some_token();
    uint8_t preamble[BENCH_PREAMBLE_BYTES];
    unsigned conn = 99;

    (void)state;
    bench_preamble_write(preamble, &token, 255);
    assert_true(bench_preamble_read(preamble, &token, 256, &conn));
    assert_int_equal(conn, 255);
    assert_false(bench_preamble_read(preamble, &token, 255, &conn)); /* there is none of it */
    for (size_t bit = 0; bit < 8 * BENCH_TOKEN_BYTES; bit++) {
        preamble[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(bench_preamble_read(preamble, &token, 256, &conn));
        preamble[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* ---- what is sent ---- */

enum { HOT_BYTES = 24, STREAM_BYTES = 3 * 16384 };

/* What a stream carries at `offset`. */
static uint8_t hot_byte(uint64_t offset)
{
    return (uint8_t)(offset % HOT_BYTES + 1);
}

/* Whether all of a stream is taken for what was sent, in pieces of `piece` bytes. */
static bool hot_takes(const struct bench_hot *hot, const uint8_t *stream, size_t piece, bool all)
{
    for (size_t at = 0; at < STREAM_BYTES; at += piece) {
        size_t left = STREAM_BYTES - at;

        if (!bench_hot_check(
                hot, at, (struct vly_span){.data = stream + at, .len = left < piece ? left : piece},
                all))
            return false;
    }
    return true;
}

/* A wrong byte is noticed where it is one of eight at each 16 KiB and those are in one piece, with
 * `all` everywhere; so is a stream that has shifted. */
static void test_load_hot_check(void **state)
{
    static const size_t pieces[] = {STREAM_BYTES, 20000, 16384, 1455, 100};
    static const struct {
        size_t at;
        bool noticed;
    } wrong[] = {{0, true},      {7, true},         {8, false},
                 {16383, false}, {16384, true},     {16391, true},
                 {16392, false}, {2 * 16384, true}, {STREAM_BYTES - 1, false}};
    static uint8_t stream[STREAM_BYTES + 1];
    uint8_t bytes[HOT_BYTES + 8];
    struct bench_hot hot = {.bytes = bytes, .block_bytes = HOT_BYTES};

    (void)state;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = hot_byte(i);
    for (unsigned i = 0; i < sizeof(stream); i++)
        stream[i] = hot_byte(i);
    for (unsigned k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++) {
        assert_true(hot_takes(&hot, stream, pieces[k], false));
        assert_true(hot_takes(&hot, stream, pieces[k], true));
        assert_false(hot_takes(&hot, stream + 1, pieces[k], false));
        for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            stream[wrong[i].at] ^= 1;
            assert_int_equal(hot_takes(&hot, stream, pieces[k], false), !wrong[i].noticed);
            assert_false(hot_takes(&hot, stream, pieces[k], true));
            stream[wrong[i].at] ^= 1;
        }
    }
    assert_true(hot_takes(&hot, stream, 7, false)); /* none holds eight: nothing to compare */
    stream[0] ^= 1;
    assert_true(hot_takes(&hot, stream, 7, false));
    assert_false(hot_takes(&hot, stream, 7, true));
    hot.block_bytes = 4; /* shorter than what is compared: all of it is */
    for (unsigned i = 0; i < sizeof(stream); i++)
        stream[i] = hot_byte(i % 4);
    assert_true(hot_takes(&hot, stream, 1455, false));
    stream[100] ^= 1;
    assert_false(hot_takes(&hot, stream, 1455, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_request_json_identity),
        cmocka_unit_test(test_load_request_json_needs_every_member),
        cmocka_unit_test(test_load_request_json_nonsense),
        cmocka_unit_test(test_load_request_contradictions),
        cmocka_unit_test(test_load_request_ack_every),
        cmocka_unit_test(test_load_request_protection),
        cmocka_unit_test(test_load_request_shares),
        cmocka_unit_test(test_load_request_who_sends),
        cmocka_unit_test(test_load_token_text),
        cmocka_unit_test(test_load_preamble_strangers),
        cmocka_unit_test(test_load_hot_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
