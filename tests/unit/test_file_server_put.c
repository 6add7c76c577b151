/*
 * A server whose client lies about what it uploads: nothing is published that does not match what
 * was announced.
 */
#include "support/server_fixture.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t abc_root[16] = {0xe9, 0x92, 0x12, 0xaf, 0x32, 0x93, 0xd8, 0xda,
                                     0x4b, 0x21, 0xa5, 0x1a, 0xb3, 0x62, 0x5b, 0x62};

static struct vly_msg end_msg(uint64_t request, uint64_t size, const uint8_t root[16])
{
    struct vly_msg m = {.type = VLY_MSG_END, .request = request, .size = size};

    memcpy(m.root, root, 16);
    return m;
}

/* One upload of "abc", with something about it that may be wrong. */
static void test_server_put_lies(void **state)
{
    static const uint8_t wrong[16] = {1};
    static const struct {
        const char *what;
        uint64_t put_size, end_size;
        const char *content;
        bool wrong_root, wrong_hash;
        unsigned want; /* code of ERROR; 0: DONE */
    } cases[] = {
        {"all is right", 3, 3, "abc", false, false, 0},
        {"size not known before", VLY_SIZE_UNKNOWN, 3, "abc", false, false, 0},
        {"wrong root", 3, 3, "abc", true, false, VLY_WIRE_INTEGRITY},
        {"wrong content", 3, 3, "abd", false, false, VLY_WIRE_INTEGRITY},
        {"more content than announced", 3, 3, "abcd", false, false, VLY_WIRE_PROTOCOL},
        {"less content than announced", 4, 4, "abc", false, false, VLY_WIRE_PROTOCOL},
        {"END of another size", 3, 2, "abc", false, false, VLY_WIRE_PROTOCOL},
        {"PUT of another size", 5, 3, "abc", false, false, VLY_WIRE_PROTOCOL},
        {"larger than the disk", UINT64_C(1) << 43, 3, NULL, false, false, VLY_WIRE_NO_SPACE},
        {"larger than anything", VLY_SIZE_UNKNOWN - 1, 3, NULL, false, false, VLY_WIRE_LIMIT},
    };

    for (uint64_t i = 0; i < 10 * ARRAY_LEN(cases); i++) {
        size_t k = i % ARRAY_LEN(cases);
        struct server_fixture f;
        struct vly_msg m;
        uint64_t stream;

        if (i < ARRAY_LEN(cases))
            print_message("  %s\n", cases[k].what);
        server_begin_seeded(&f, state, i);
        stream = peer_open_stream(f.peer, false);
        m = put_msg(1, stream, cases[k].put_size, "f");
        peer_send(f.peer, &m);
        fake_run(f.pair);
        if (cases[k].content != NULL) {
            assert_non_null(peer_find(f.peer, VLY_MSG_READY, 1));
            peer_content(f.peer, stream, cases[k].content, strlen(cases[k].content), true);
            m = end_msg(1, cases[k].end_size, cases[k].wrong_root ? wrong : abc_root);
            peer_send(f.peer, &m);
            fake_run(f.pair);
        }
        assert_false(f.peer->closed);
        if (cases[k].want != 0)
            peer_assert_error(f.peer, 1, cases[k].want);
        else
            assert_non_null(peer_find(f.peer, VLY_MSG_DONE, 1));
        assert_int_equal(tmpdir_exists(f.w.dir, "root/f"), cases[k].want == 0);
        if (cases[k].want == 0)
            tmpdir_remove_all(f.w.dir, "root/f");
        server_end(&f);
    }
}

/* The hash of a chunk that does not match is told at once, whether it came before or after the
 * chunk. */
static void test_server_put_wrong_chunk_hash(void **state)
{
    static uint8_t content[2 << 20];

    for (unsigned before = 0; before < 2; before++) {
        struct server_fixture f;
        struct vly_msg m;
        uint64_t stream;

        server_begin(&f, state);
        stream = peer_open_stream(f.peer, false);
        m = put_msg(1, stream, sizeof content, "f");
        peer_send(f.peer, &m);
        fake_run(f.pair);
        if (before) { /* and one so far ahead that it must not take its place */
            peer_send_hex(f.peer, "30 13 01 00 01 11*16");
            peer_send_hex(f.peer, "30 14 01 4400 01 22*16");
        }
        fake_run(f.pair);
        peer_content(f.peer, stream, content, sizeof content - 1, false);
        if (!before)
            peer_send_hex(f.peer, "30 13 01 00 01 11*16");
        fake_run(f.pair);
        peer_assert_error(f.peer, 1, VLY_WIRE_INTEGRITY);
        assert_true(f.peer->streams[1].was_stopped);
        assert_false(tmpdir_exists(f.w.dir, "root/f"));
        server_end(&f);
    }
}

/* Hashes for chunks that never come, as many as a connection carries: kept up to a bound, then left
 * to the root. */
static void test_server_put_hashes_without_end(void **state)
{
    static uint8_t hashes[VLY_MSG_HASHES_MAX * 16];
    struct server_fixture f;
    struct vly_msg m;
    uint64_t stream;

    server_begin(&f, state);
    stream = peer_open_stream(f.peer, false);
    m = put_msg(1, stream, 3, "f");
    peer_send(f.peer, &m);
    fake_run(f.pair);
    for (uint64_t i = 0; i < 50; i++) {
        m = (struct vly_msg){.type = VLY_MSG_HASHES,
                             .request = 1,
                             .first = i % 2 == 0 ? i * VLY_MSG_HASHES_MAX + 1
                                                 : VLY_SIZE_UNKNOWN - VLY_MSG_HASHES_MAX,
                             .count = VLY_MSG_HASHES_MAX,
                             .hashes = {.data = hashes, .len = sizeof hashes}};
        peer_send(f.peer, &m);
        fake_run(f.pair);
    }
    peer_content(f.peer, stream, "abc", 3, true);
    m = end_msg(1, 3, abc_root);
    peer_send(f.peer, &m);
    fake_run(f.pair);
    assert_non_null(peer_find(f.peer, VLY_MSG_DONE, 1));
    server_end(&f);
}

static void test_server_put_content_out_of_place(void **state)
{
    for (unsigned how = 0; how < 3; how++) {
        struct server_fixture f;
        struct vly_msg m;
        uint64_t stream;

        server_begin(&f, state);
        stream = peer_open_stream(f.peer, false);
        m = how == 0 ? put_msg(1, stream, 3 << 20, "f") : get_msg(1, stream, "f");
        tmpdir_fill(f.w.dir, "root/f", 3, 1);
        if (how == 0)
            tmpdir_remove_all(f.w.dir, "root/f");
        if (how < 2) {
            peer_send(f.peer, &m);
            while (peer_find(f.peer, VLY_MSG_INFO, 1) == NULL && f.w.begins == 0 && how == 0)
                assert_true(fake_step(f.pair));
        }
        peer_content(f.peer, stream, "abc", 3, false);
        fake_run(f.pair);
        if (how == 0) { /* before READY, unless that was as fast */
            assert_true(f.peer->closed || peer_find(f.peer, VLY_MSG_READY, 1) != NULL);
        } else if (how == 1) { /* on the stream of a GET */
            assert_true(f.peer->closed);
            assert_int_equal(f.peer->code, VLY_WIRE_PROTOCOL);
        } else { /* on a stream of no request */
            assert_false(f.peer->closed);
            assert_true(f.peer->streams[stream / 2].was_stopped);
        }
        server_end(&f);
    }
}

static void test_server_put_given_up(void **state)
{
    for (unsigned how = 0; how < 3; how++) {
        struct server_fixture f;
        struct vly_msg m;
        uint64_t stream;

        server_begin(&f, state);
        stream = peer_open_stream(f.peer, false);
        m = put_msg(1, stream, 100, "f");
        peer_send(f.peer, &m);
        fake_run(f.pair);
        peer_content(f.peer, stream, "abc", 3, false);
        fake_run(f.pair);
        assert_int_equal(tmpdir_count_temps(f.w.dir), 1);
        if (how == 0)
            f.peer->link->ops->reset(f.peer->link, stream, VLY_WIRE_SOURCE_CHANGED);
        else if (how == 1)
            peer_send_hex(f.peer, "33 05 01 0a 02 6e6f");
        else
            peer_send_hex(f.peer, "14 01 01");
        fake_run(f.pair);
        assert_int_equal(tmpdir_count_temps(f.w.dir), 0);
        assert_int_equal(f.w.server_err, how < 2 ? VLY_E_SOURCE_CHANGED : VLY_E_CANCELLED);
        server_end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_server_put_lies),
        IN_WORLD(test_server_put_wrong_chunk_hash),
        IN_WORLD(test_server_put_hashes_without_end),
        IN_WORLD(test_server_put_content_out_of_place),
        IN_WORLD(test_server_put_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
