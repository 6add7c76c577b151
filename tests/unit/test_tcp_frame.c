/*
 * Preface and records over TCP: known answers, every truncation, every bit flip, and values out of
 * their range.
 */
#include "net/tcp_frame.h"
#include "support/support.h"

#include "proto/crypto.h"

#include <stdlib.h>
#include <string.h>

/* ---- preface ---- */

static const struct vly_tcp_preface preface = {.suite = VLY_SUITE_PLAIN,
                                               .max_streams = 256,
                                               .data_max_bytes = 1048576,
                                               .idle_timeout_ms = 30000,
                                               .credit_bytes = 16777216,
                                               .application = "volley-file/1"};

/* Written from SPEC 13.1 by hand. */
static const char preface_hex[] = "56 4f 4c 4c 45 59 0d 0a  01  01  0000  00000100  00100000"
                                  "00007530  0000000001000000"
                                  "766f6c6c65792d66696c652f31 00*19";

static void test_preface_known_answer(void **state)
{
    struct test_bytes expected = test_hex(preface_hex);
    struct vly_tcp_preface back;
    uint8_t out[VLY_TCP_PREFACE_BYTES];

    (void)state;
    vly_tcp_preface_encode(&preface, out);
    test_assert_hex(out, sizeof out, preface_hex);
    assert_int_equal(expected.len, VLY_TCP_PREFACE_BYTES);
    assert_int_equal(vly_tcp_preface_decode(&back, (struct vly_span){expected.data, expected.len}),
                     0);
    assert_int_equal(back.suite, preface.suite);
    assert_int_equal(back.max_streams, preface.max_streams);
    assert_int_equal(back.data_max_bytes, preface.data_max_bytes);
    assert_int_equal(back.idle_timeout_ms, preface.idle_timeout_ms);
    assert_int_equal(back.credit_bytes, preface.credit_bytes);
    assert_string_equal(back.application, preface.application);
    free(expected.data);
}

static void test_preface_truncated(void **state)
{
    struct vly_tcp_preface p;
    uint8_t out[VLY_TCP_PREFACE_BYTES];

    (void)state;
    vly_tcp_preface_encode(&preface, out);
    for (size_t len = 0; len < sizeof out; len++) {
        uint8_t *copy = test_exact_copy(out, len);

        assert_int_equal(vly_tcp_preface_decode(&p, (struct vly_span){copy, len}), VLY_E_AGAIN);
        free(copy);
    }
}

/* What a flipped bit of the byte makes of the preface; 1: another valid one. */
static int expected_of_flip(size_t at)
{
    if (at < 8)
        return VLY_E_PROTOCOL;
    if (at == 8)
        return VLY_E_VERSION;
    if (at == 9) /* another suite */
        return 1;
    if (at < 12 || at > 32 + 13)
        return VLY_E_MALFORMED;
    return 1;
}

/* RULE 14 */
static void test_preface_bit_flips(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < (size_t)VLY_TCP_PREFACE_BYTES * 8; bit++) {
        struct vly_tcp_preface p;
        uint8_t out[VLY_TCP_PREFACE_BYTES];
        int err, expected = expected_of_flip(bit / 8);

        vly_tcp_preface_encode(&preface, out);
        out[bit / 8] ^= (uint8_t)(1u << bit % 8);
        err = vly_tcp_preface_decode(&p, (struct vly_span){out, sizeof out});
        if (expected != 1)
            assert_int_equal(err, expected);
        else
            assert_true(err == 0 || err == VLY_E_MALFORMED);
    }
}

static void test_preface_refused_by_its_first_bytes(void **state)
{
    struct vly_tcp_preface p;

    (void)state;
    assert_int_equal(vly_tcp_preface_decode(&p, (struct vly_span){(const uint8_t *)"G", 1}),
                     VLY_E_PROTOCOL);
    assert_int_equal(
        vly_tcp_preface_decode(&p, (struct vly_span){(const uint8_t *)"VOLLEY\r\n\x02", 9}),
        VLY_E_VERSION);
}

static void test_preface_limits(void **state)
{
    static const struct {
        size_t at, len;
        uint64_t value;
    } bad[] = {
        {12, 4, VLY_TCP_STREAMS_MAX + 1},
        {16, 4, 0},
        {16, 4, VLY_TCP_DATA_MAX + 1},
        {20, 4, VLY_TCP_IDLE_MAX_MS + 1},
        {20, 4, 999},
        {24, 8, VLY_VARINT_MAX + 1},
        {32, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct vly_tcp_preface p;
        uint8_t out[VLY_TCP_PREFACE_BYTES];

        vly_tcp_preface_encode(&preface, out);
        for (size_t n = 0; n < bad[i].len; n++)
            out[bad[i].at + n] = (uint8_t)(bad[i].value >> 8 * (bad[i].len - 1 - n));
        assert_int_equal(vly_tcp_preface_decode(&p, (struct vly_span){out, sizeof out}),
                         VLY_E_MALFORMED);
    }
}

/* ---- records ---- */

/* One of each type but DATA; from SPEC 13.2 by hand. */
static const struct {
    struct vly_tcp_control c;
    const char *hex;
} controls[] = {
    {{.header = {.type = VLY_TCP_RESET, .stream = 4}, .value = 10},
     "02 00 0000 00000008 0000000000000004 000000000000000a"},
    {{.header = {.type = VLY_TCP_STOP, .stream = 6}, .value = 15},
     "03 00 0000 00000008 0000000000000006 000000000000000f"},
    {{.header = {.type = VLY_TCP_CREDIT, .stream = 2}, .value = 16777216},
     "04 00 0000 00000008 0000000000000002 0000000001000000"},
    {{.header = {.type = VLY_TCP_PING}}, "05 00 0000 00000000 0000000000000000"},
    {{.header = {.type = VLY_TCP_PONG}}, "06 00 0000 00000000 0000000000000000"},
    {{.header = {.type = VLY_TCP_CLOSE, .flags = VLY_TCP_APPLICATION},
      .value = 15,
      .reason = {(const uint8_t *)"bye", 3}},
     "07 01 0000 0000000b 0000000000000000 000000000000000f 627965"},
};

static int decode(struct vly_tcp_control *c, const uint8_t *data, size_t len)
{
    struct vly_tcp_header h;
    int err = vly_tcp_header_decode(&h, (struct vly_span){data, len});

    *c = (struct vly_tcp_control){.header = {.type = VLY_TCP_DATA}};
    if (err != 0 || h.type == VLY_TCP_DATA)
        return err;
    if (len < VLY_TCP_HEADER_BYTES + h.length)
        return VLY_E_AGAIN;
    return vly_tcp_control_decode(c, &h, (struct vly_span){data + VLY_TCP_HEADER_BYTES, h.length});
}

static void test_records_known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(controls); i++) {
        struct vly_tcp_control back;
        uint8_t out[VLY_TCP_HEADER_BYTES + VLY_TCP_BODY_MAX];
        size_t len = vly_tcp_control_encode(&controls[i].c, out);

        test_assert_hex(out, len, controls[i].hex);
        assert_int_equal(decode(&back, out, len), 0);
        assert_int_equal(back.header.type, controls[i].c.header.type);
        assert_int_equal(back.header.flags, controls[i].c.header.flags);
        assert_int_equal(back.header.stream, controls[i].c.header.stream);
        assert_int_equal(back.value, controls[i].c.value);
        assert_int_equal(back.reason.len, controls[i].c.reason.len);
    }
}

static void test_records_truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(controls); i++) {
        struct test_bytes whole = test_hex(controls[i].hex);

        for (size_t len = 0; len < whole.len; len++) {
            struct vly_tcp_control c;
            uint8_t *copy = test_exact_copy(whole.data, len);

            assert_int_equal(decode(&c, copy, len), VLY_E_AGAIN);
            free(copy);
        }
        free(whole.data);
    }
}

/* A flip is refused, or gives a record that encodes to the very bytes it was read from. */
static void check_flipped(const uint8_t *data, size_t len)
{
    uint8_t again[VLY_TCP_HEADER_BYTES + VLY_TCP_BODY_MAX];
    struct vly_tcp_control c;
    int err = decode(&c, data, len);

    assert_true(err == 0 || err == VLY_E_MALFORMED || err == VLY_E_AGAIN);
    if (err != 0 || c.header.type == VLY_TCP_DATA)
        return;
    assert_true(vly_tcp_control_encode(&c, again) <= len);
    assert_memory_equal(again, data, VLY_TCP_HEADER_BYTES + c.header.length);
}

/* RULE 14 */
static void test_records_bit_flips(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(controls); i++) {
        struct test_bytes whole = test_hex(controls[i].hex);

        for (size_t bit = 0; bit < whole.len * 8; bit++) {
            uint8_t *copy = test_exact_copy(whole.data, whole.len);

            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            check_flipped(copy, whole.len);
            free(copy);
        }
        free(whole.data);
    }
}

static void test_headers_refused(void **state)
{
    static const char *const bad[] = {
        "00 00 0000 00000000 0000000000000000", /* no type */
        "08 00 0000 00000000 0000000000000000", /* unknown */
        "01 02 0000 00000001 0000000000000000", /* unknown flag */
        "02 01 0000 00000008 0000000000000000", /* a flag it does not have */
        "01 00 0001 00000001 0000000000000000", /* not zero */
        "01 00 0000 00100001 0000000000000000", /* content too long */
        "02 00 0000 00000007 0000000000000000", /* body too short */
        "05 00 0000 00000001 0000000000000000", /* body too long */
        "07 00 0000 00000089 0000000000000000", /* reason too long */
        "05 00 0000 00000000 0000000000000002", /* PING of a stream */
        "01 00 0000 00000001 4000000000000000", /* stream out of range */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct test_bytes b = test_hex(bad[i]);
        struct vly_tcp_header h;

        assert_int_equal(vly_tcp_header_decode(&h, (struct vly_span){b.data, b.len}),
                         VLY_E_MALFORMED);
        free(b.data);
    }
}

static void test_reason_is_cut(void **state)
{
    char reason[VLY_REASON_MAX + 10];
    uint8_t out[VLY_TCP_HEADER_BYTES + VLY_TCP_BODY_MAX];
    struct vly_tcp_control back,
        c = {.header = {.type = VLY_TCP_CLOSE}, .reason = {(const uint8_t *)reason, sizeof reason}};

    (void)state;
    memset(reason, 'x', sizeof reason);
    assert_int_equal(vly_tcp_control_encode(&c, out), sizeof out);
    assert_int_equal(decode(&back, out, sizeof out), 0);
    assert_int_equal(back.reason.len, VLY_REASON_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_preface_known_answer),
        cmocka_unit_test(test_preface_truncated),
        cmocka_unit_test(test_preface_bit_flips),
        cmocka_unit_test(test_preface_refused_by_its_first_bytes),
        cmocka_unit_test(test_preface_limits),
        cmocka_unit_test(test_records_known_answers),
        cmocka_unit_test(test_records_truncated),
        cmocka_unit_test(test_records_bit_flips),
        cmocka_unit_test(test_headers_refused),
        cmocka_unit_test(test_reason_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
