#include "support/codec.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#define CLIENT_CID UINT64_C(0xc1c2c3c4c5c6c7c8)
#define SERVER_CID UINT64_C(0x5152535455565758)

static struct test_vectors vectors;

static int load_vectors(void **state)
{
    (void)state;
    vectors = test_vectors_load("packets.txt");
    return 0;
}

static int free_vectors(void **state)
{
    (void)state;
    test_vectors_free(&vectors);
    return 0;
}

/* The vector without its tag, which has to be right. */
static struct vly_span vector(const char *name)
{
    struct vly_span s = test_vectors_find(&vectors, name);
    static const uint8_t zeros[VLY_TAG_BYTES - 4];

    assert_true(s.len >= VLY_DATAGRAM_MIN);
    s.len -= VLY_TAG_BYTES;
    assert_true(vly_load_u32(s.data + s.len) == test_crc32c(s.data, s.len));
    assert_memory_equal(s.data + s.len + 4, zeros, sizeof(zeros));
    return s;
}

/* `w` holds exactly the vector. */
static void assert_vector(const struct vly_wr *w, const char *name)
{
    struct vly_span want = vector(name);

    assert_false(w->failed);
    assert_int_equal(vly_wr_len(w), want.len);
    assert_memory_equal(w->start, want.data, want.len);
}

static void test_packet_crc32c_of_the_specification(void **state)
{
    (void)state;
    assert_true(test_crc32c("123456789", 9) == 0xe3069283);
}

static void check_client_params(struct vly_span in)
{
    struct vly_params p;

    assert_int_equal(vly_params_decode(&p, in), 0);
    assert_int_equal(p.max_data_bytes, 16777216);
    assert_int_equal(p.max_stream_data_bytes, 4194304);
    assert_int_equal(p.max_streams, 0);
    assert_int_equal(p.idle_timeout_ms, 30000);
    assert_int_equal(p.max_ack_delay_us, 5000);
    assert_int_equal(p.max_datagram_bytes, 1472);
    assert_false(p.has_reset_token);
    assert_int_equal(p.application_len, 13);
    assert_memory_equal(p.application, "volley-file/1", 13);
}

static void check_hello(const char *name, size_t cookie_len)
{
    uint8_t buf[VLY_DATAGRAM_BASE];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    struct vly_hello h;

    assert_int_equal(vly_hello_decode(&h, vector(name)), 0);
    assert_true(h.version == VLY_VERSION_1);
    assert_true(h.client_cid == CLIENT_CID);
    test_assert_hex(h.suites.data, h.suites.len, "01");
    assert_int_equal(h.cookie.len, cookie_len);
    assert_int_equal(h.handshake.len, 0);
    check_client_params(h.params);
    vly_hello_encode(&w, &h);
    assert_vector(&w, name);
}

static void test_packet_hello(void **state)
{
    (void)state;
    check_hello("hello", 0);
    check_hello("hello_cookie", 41);
}

static void test_packet_retry(void **state)
{
    uint8_t buf[120];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    struct vly_retry p;

    (void)state;
    assert_int_equal(vly_retry_decode(&p, vector("retry")), 0);
    assert_true(p.client_cid == CLIENT_CID);
    test_assert_hex(p.cookie.data, p.cookie.len,
                    "01 0000018bcfe56800 a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf b0b1b2b3b4b5b6b7 "
                    "b8b9babbbcbdbebf");
    vly_retry_encode(&w, &p);
    assert_vector(&w, "retry");
}

static void test_packet_accept(void **state)
{
    uint8_t buf[120];
    uint8_t again[80];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    struct vly_accept p;
    struct vly_params params;

    (void)state;
    assert_int_equal(vly_accept_decode(&p, vector("accept")), 0);
    assert_true(p.client_cid == CLIENT_CID && p.server_cid == SERVER_CID);
    assert_true(p.version == VLY_VERSION_1);
    assert_int_equal(p.suite, VLY_SUITE_PLAIN);
    assert_int_equal(p.handshake.len, 0);
    assert_int_equal(vly_params_decode(&params, p.params), 0);
    assert_int_equal(params.max_streams, 128);
    assert_int_equal(params.max_datagram_bytes, VLY_DATAGRAM_MAX);
    assert_true(params.has_reset_token);
    test_assert_hex(params.reset_token, 16, "707172737475767778797a7b7c7d7e7f");
    assert_int_equal(params.application_len, 0);
    vly_accept_encode(&w, &p);
    assert_vector(&w, "accept");
    w = vly_wr_init(again, sizeof(again));
    vly_params_encode(&w, &params);
    assert_int_equal(vly_wr_len(&w), p.params.len);
    assert_memory_equal(again, p.params.data, p.params.len);
}

static void test_packet_finish(void **state)
{
    uint8_t buf[120];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    struct vly_finish p;

    (void)state;
    assert_int_equal(vly_finish_decode(&p, vector("finish")), 0);
    assert_true(p.server_cid == SERVER_CID);
    test_assert_hex(p.handshake.data, p.handshake.len, "f1f2f3f4");
    vly_finish_encode(&w, &p);
    assert_vector(&w, "finish");
}

static void test_packet_versions(void **state)
{
    uint8_t buf[120];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    struct vly_versions p;

    (void)state;
    assert_int_equal(vly_versions_decode(&p, vector("versions")), 0);
    assert_true(p.client_cid == CLIENT_CID);
    test_assert_hex(p.versions.data, p.versions.len, "564c5901");
    vly_versions_encode(&w, p.client_cid);
    assert_vector(&w, "versions");
}

static void test_packet_unknown(void **state)
{
    uint8_t buf[VLY_UNKNOWN_BYTES];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    struct vly_unknown p;

    (void)state;
    assert_int_equal(vly_unknown_decode(&p, vector("unknown")), 0);
    assert_true(p.server_cid == SERVER_CID);
    test_assert_hex(p.token, sizeof(p.token), "707172737475767778797a7b7c7d7e7f");
    vly_unknown_encode(&w, &p);
    assert_vector(&w, "unknown");
}

static void test_packet_refuse(void **state)
{
    uint8_t buf[200];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    struct vly_refuse p;

    (void)state;
    assert_int_equal(vly_refuse_decode(&p, vector("refuse")), 0);
    assert_true(p.client_cid == CLIENT_CID);
    assert_int_equal(p.code, VLY_CLOSE_BUSY);
    assert_int_equal(p.reason.len, 4);
    assert_memory_equal(p.reason.data, "full", 4);
    vly_refuse_encode(&w, &p);
    assert_vector(&w, "refuse");
}

static void test_packet_data(void **state)
{
    uint8_t buf[VLY_DATA_HEADER_BYTES];
    struct vly_wr w = vly_wr_init(buf, sizeof(buf));
    struct vly_span in = vector("data");
    struct vly_data_header h;
    struct vly_frame f;
    struct vly_rd r;

    (void)state;
    assert_int_equal(vly_data_header_decode(&h, in), 0);
    assert_false(h.key_phase);
    assert_true(h.cid == SERVER_CID && h.pn == 7);
    vly_data_header_encode(&w, &h);
    assert_false(w.failed);
    assert_memory_equal(buf, in.data, VLY_DATA_HEADER_BYTES);
    r = vly_rd_init(in.data + VLY_DATA_HEADER_BYTES, in.len - VLY_DATA_HEADER_BYTES);
    assert_int_equal(vly_frame_decode(&f, &r), 0);
    assert_int_equal(f.type, VLY_FRAME_STREAM);
    assert_memory_equal(f.stream.data.data, "hello", 5);
    assert_int_equal(vly_frame_decode(&f, &r), 0);
    assert_int_equal(f.type, VLY_FRAME_PING);
    assert_int_equal(vly_rd_left(&r), 0);
    h.key_phase = true;
    w = vly_wr_init(buf, sizeof(buf));
    vly_data_header_encode(&w, &h);
    assert_int_equal(buf[0], 0x41);
    assert_int_equal(vly_data_header_decode(&h, (struct vly_span){buf, sizeof(buf)}),
                     VLY_E_MALFORMED); /* no frame */
}

/* Every vector decodes as its first byte says. */
static void test_packet_every_vector_decodes(void **state)
{
    (void)state;
    assert_int_equal(vectors.n, 9);
    for (size_t i = 0; i < vectors.n; i++) {
        struct vly_span in = vector(vectors.v[i].name);

        print_message("  %s\n", vectors.v[i].name);
        assert_int_equal(codec_packet_exercise(in), 0);
    }
}

/* RULE 14: each packet cut at every byte, and with one byte more. A shorter DATA packet may still
 * hold whole frames; a HELLO below its least size never decodes. */
static void test_packet_cut_or_longer(void **state)
{
    (void)state;
    for (size_t i = 0; i < vectors.n; i++) {
        struct vly_span whole = vector(vectors.v[i].name);
        size_t least = whole.data[0] == VLY_PACKET_DATA ? VLY_DATA_HEADER_BYTES + 1 : whole.len;
        uint8_t *longer = malloc(whole.len + 1);

        print_message("  %s\n", vectors.v[i].name);
        for (size_t len = 0; len < least; len++) {
            uint8_t *cut = test_exact_copy(whole.data, len);

            assert_int_equal(codec_packet_exercise((struct vly_span){cut, len}), VLY_E_MALFORMED);
            free(cut);
        }
        memcpy(longer, whole.data, whole.len);
        longer[whole.len] = 1;
        if (whole.data[0] != VLY_PACKET_DATA)
            assert_int_equal(codec_packet_exercise((struct vly_span){longer, whole.len + 1}),
                             VLY_E_MALFORMED);
        free(longer);
    }
}

/* RULE 14: what no encoder writes. */
static void test_packet_malformed(void **state)
{
    static const struct {
        const char *name, *hex;
    } cases[] = {
        {"nothing", ""},
        {"no such type", "08 c1c2c3c4c5c6c7c8 01 aa"},
        {"RETRY, id zero", "02 00*8 01 aa"},
        {"RETRY, no cookie", "02 c1c2c3c4c5c6c7c8 00"},
        {"RETRY, 65 bytes of cookie", "02 c1c2c3c4c5c6c7c8 41 aa*65"},
        {"ACCEPT, client id zero", "03 00*8 5152535455565758 564c5901 01 0000 0000"},
        {"ACCEPT, server id zero", "03 c1c2c3c4c5c6c7c8 00*8 564c5901 01 0000 0000"},
        {"FINISH, id zero", "04 00*8 0001 aa"},
        {"FINISH, no message", "04 5152535455565758 0000"},
        {"VERSIONS, id zero", "05 00*8 04 564c5901"},
        {"VERSIONS, none", "05 c1c2c3c4c5c6c7c8 00"},
        {"VERSIONS, one and a half", "05 c1c2c3c4c5c6c7c8 06 564c5901 0000"},
        {"UNKNOWN, id zero", "06 00*8 aa*16"},
        {"REFUSE, id zero", "07 00*8 00 00"},
        {"REFUSE, 129 bytes of reason", "07 c1c2c3c4c5c6c7c8 00 4081 61*129"},
        {"DATA, id zero", "40 00*8 00*8 01"},
        {"DATA, packet number 2^62", "40 c1c2c3c4c5c6c7c8 40 00*7 01"}, /* RULE 36 */
        {"DATA, no frame", "40 c1c2c3c4c5c6c7c8 00*8"},
        {"HELLO, id zero", "01 564c5901 00*8 0101 00 0000 0000 00*1164"},
        {"HELLO, no suite", "01 564c5901 00*7 01 00 00 0000 0000 00*1165"},
        {"HELLO, nine suites", "01 564c5901 00*7 01 09 01*9 00 0000 0000 00*1156"},
        {"HELLO, 65 bytes of cookie", "01 564c5901 00*7 01 0101 41 aa*65 0000 0000 00*1099"},
        {"HELLO, padding not zero", "01 564c5901 00*7 01 0101 00 0000 0000 00*1163 01"},
        {"HELLO, parameters too long", "01 564c5901 00*7 01 0101 00 0000 048d 00*1164"},
        {"HELLO, 1199 bytes with tag", "01 564c5901 00*7 01 0101 00 0000 0000 00*1163"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes b = test_hex(cases[i].hex);

        print_message("  %s\n", cases[i].name);
        assert_int_equal(codec_packet_exercise((struct vly_span){b.data, b.len}), VLY_E_MALFORMED);
        free(b.data);
    }
}

/* Neighbours of the cases above that are right: the table fails for the reason it names. */
static void test_packet_just_right(void **state)
{
    static const struct {
        const char *name, *hex;
    } cases[] = {
        {"RETRY, 64 bytes of cookie", "02 c1c2c3c4c5c6c7c8 40 aa*64"},
        {"VERSIONS, two", "05 c1c2c3c4c5c6c7c8 08 564c5901 564c5902"},
        {"REFUSE, 128 bytes of reason", "07 c1c2c3c4c5c6c7c8 00 4080 61*128"},
        {"DATA, packet number 2^62 - 1", "40 c1c2c3c4c5c6c7c8 3f ff*7 01"},
        {"HELLO, least", "01 564c5901 00*7 01 0101 00 0000 0000 00*1164"},
        {"HELLO, eight suites", "01 564c5901 00*7 01 08 01*8 00 0000 0000 00*1157"},
        {"HELLO, 64 bytes of cookie", "01 564c5901 00*7 01 0101 40 aa*64 0000 0000 00*1100"},
        {"HELLO, no padding", "01 564c5901 00*7 01 0101 00 0000 048c 00*1164"},
        {"HELLO, larger than need be", "01 564c5901 00*7 01 0101 00 0000 0000 00*1400"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes b = test_hex(cases[i].hex);

        print_message("  %s\n", cases[i].name);
        assert_int_equal(codec_packet_exercise((struct vly_span){b.data, b.len}), 0);
        free(b.data);
    }
}

/* The client id stays where it is in all versions, so that VERSIONS can be addressed. RULE 2: not
 * even to other versions is anything shorter than 1200 bytes answered. */
static void test_packet_hello_of_another_version(void **state)
{
    struct test_bytes b = test_hex("01 564c5902 c1c2c3c4c5c6c7c8 ff*1171");
    struct vly_hello h;

    (void)state;
    assert_int_equal(vly_hello_decode(&h, (struct vly_span){b.data, b.len}), VLY_E_VERSION);
    assert_true(h.version == 0x564c5902);
    assert_true(h.client_cid == CLIENT_CID);
    assert_int_equal(vly_hello_decode(&h, (struct vly_span){b.data, b.len - 1}), VLY_E_MALFORMED);
    free(b.data);
}

/* The room an encoder needs is that of the packet with its tag, to the byte. */
static void test_packet_encode_needs_room_for_the_tag(void **state)
{
    uint8_t buf[2 * VLY_DATAGRAM_BASE];
    struct vly_hello h;
    struct vly_wr w;

    (void)state;
    assert_int_equal(vly_hello_decode(&h, vector("hello")), 0);
    w = vly_wr_init(buf, VLY_DATAGRAM_BASE - 1);
    vly_hello_encode(&w, &h);
    assert_true(w.failed);
    for (size_t cap = 0; cap < 30; cap++) {
        w = vly_wr_init(buf, cap);
        vly_versions_encode(&w, CLIENT_CID);
        assert_true(w.failed);
    }
    w = vly_wr_init(buf, 30);
    vly_versions_encode(&w, CLIENT_CID);
    assert_false(w.failed);
}

static void test_params_defaults(void **state)
{
    struct vly_params p;

    (void)state;
    assert_int_equal(vly_params_decode(&p, (struct vly_span){NULL, 0}), 0);
    assert_int_equal(p.max_data_bytes, 0);
    assert_int_equal(p.max_stream_data_bytes, 0);
    assert_int_equal(p.max_streams, 0);
    assert_int_equal(p.idle_timeout_ms, 30000);
    assert_int_equal(p.max_ack_delay_us, 5000);
    assert_int_equal(p.max_datagram_bytes, 1200);
    assert_false(p.has_reset_token);
    assert_int_equal(p.application_len, 0);
}

/* SPEC 2.10: both sides of each limit. */
static void test_params_limits(void **state)
{
    static const struct {
        const char *name, *hex;
        int want;
    } cases[] = {
        {"max_data 2^62 - 1", "01 08 ff*8", 0},
        {"max_data with a byte too many", "01 02 05 00", VLY_E_MALFORMED},
        {"max_data without a byte", "01 00", VLY_E_MALFORMED},
        {"max_data cut short", "01 04 8000", VLY_E_MALFORMED},
        {"max_data, varint shorter than its value", "01 03 800000", VLY_E_MALFORMED},
        {"max_data in a long encoding", "01 08 c0 00*7", 0},
        {"max_streams 2^60", "03 08 d0 00*7", 0},
        {"max_streams 2^60 + 1", "03 08 d0 00*6 01", VLY_E_MALFORMED},
        {"idle_timeout 999", "04 02 43e7", VLY_E_MALFORMED},
        {"idle_timeout 1000", "04 02 43e8", 0},
        {"idle_timeout 600000", "04 04 800927c0", 0},
        {"idle_timeout 600001", "04 04 800927c1", VLY_E_MALFORMED},
        {"max_ack_delay 0", "05 01 00", 0},
        {"max_ack_delay 1000000", "05 04 800f4240", 0},
        {"max_ack_delay 1000001", "05 04 800f4241", VLY_E_MALFORMED},
        {"max_datagram 1199", "06 02 44af", VLY_E_MALFORMED},
        {"max_datagram 1200", "06 02 44b0", 0},
        {"max_datagram 65507", "06 04 8000ffe3", 0},
        {"max_datagram 65508", "06 04 8000ffe4", VLY_E_MALFORMED},
        {"reset_token of 15", "07 0f aa*15", VLY_E_MALFORMED},
        {"reset_token of 16", "07 10 aa*16", 0},
        {"reset_token of 17", "07 11 aa*17", VLY_E_MALFORMED},
        {"application of 0", "08 00", VLY_E_MALFORMED},
        {"application of 1", "08 01 61", 0},
        {"application of 32", "08 20 61*32", 0},
        {"application of 33", "08 21 61*33", VLY_E_MALFORMED},
        {"unknown ids, repeated", "00 00 00 00 09 01 ff 7fff 00 7fff 00 09 01 fe", 0},
        {"a known id twice", "05 01 00 06 02 44b0 05 01 00", VLY_E_MALFORMED},
        {"a known id twice, once in two bytes", "05 01 00 4005 01 00", VLY_E_MALFORMED},
        {"id without a value", "05", VLY_E_MALFORMED},
        {"id cut short", "40", VLY_E_MALFORMED},
    };
    struct vly_params p;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bytes b = test_hex(cases[i].hex);

        print_message("  %s\n", cases[i].name);
        assert_int_equal(vly_params_decode(&p, (struct vly_span){b.data, b.len}), cases[i].want);
        free(b.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packet_crc32c_of_the_specification),
        cmocka_unit_test(test_packet_hello),
        cmocka_unit_test(test_packet_retry),
        cmocka_unit_test(test_packet_accept),
        cmocka_unit_test(test_packet_finish),
        cmocka_unit_test(test_packet_versions),
        cmocka_unit_test(test_packet_unknown),
        cmocka_unit_test(test_packet_refuse),
        cmocka_unit_test(test_packet_data),
        cmocka_unit_test(test_packet_every_vector_decodes),
        cmocka_unit_test(test_packet_cut_or_longer),
        cmocka_unit_test(test_packet_malformed),
        cmocka_unit_test(test_packet_just_right),
        cmocka_unit_test(test_packet_hello_of_another_version),
        cmocka_unit_test(test_packet_encode_needs_room_for_the_tag),
        cmocka_unit_test(test_params_defaults),
        cmocka_unit_test(test_params_limits),
    };

    return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
