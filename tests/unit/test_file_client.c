/*
 * A client whose server does what it likes: names that lead elsewhere, sizes and hashes that lie,
 * answers to nothing, text for the terminal. The client ends with an error that says so, and writes
 * nothing it was not asked to.
 */
#include "support/fake_peer.h"
#include "support/file_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    struct file_world w; /* its client alone */
    struct fake_peer *peer;
};

static const uint8_t abc_root[16] = {0xe9, 0x92, 0x12, 0xaf, 0x32, 0x93, 0xd8, 0xda,
                                     0x4b, 0x21, 0xa5, 0x1a, 0xb3, 0x62, 0x5b, 0x62};

/* A client that asked; START was sent to it. Request and stream of the first file: 0 and 2. */
static void begin(struct fixture *f, void **state, enum vly_client_verb verb, uint64_t seed)
{
    fw_begin(&f->w, state);
    f->w.no_server = true;
    f->w.fake.seed = seed;
    assert_int_equal(
        fw_start(&f->w, verb, verb == VLY_PUT ? "out/f" : "f", verb == VLY_PUT ? "g" : "out/g"), 0);
    f->peer = malloc(sizeof *f->peer);
    assert_non_null(f->peer);
    peer_begin(f->peer, f->w.pair, FAKE_SERVER);
    peer_wait_open(f->peer);
    fake_run(f->w.pair);
    peer_send_hex(f->peer, "01 01 01");
}

/* Runs to the end; the server closes when the client has nothing more to ask. */
static void end(struct fixture *f, int want)
{
    fake_run(f->w.pair);
    if (!f->peer->closed) {
        f->peer->link->ops->close(f->peer->link, 0, "");
        fake_run(f->w.pair);
    }
    assert_true(f->w.finished);
    assert_int_equal(f->w.err, want);
    assert_int_equal(tmpdir_count_temps(f->w.dir), 0);
    for (const char *c = f->w.text; *c != '\0'; c++)
        assert_true((uint8_t)*c >= 0x20 && *c != 0x7f);
    peer_end(f->peer);
    free(f->peer);
    fw_stop(&f->w);
    fw_end(&f->w);
}

static void send_info(struct fixture *f, uint64_t size)
{
    peer_send(f->peer, &(struct vly_msg){.type = VLY_MSG_INFO, .request = 0, .size = size});
}

static void send_end(struct fixture *f, uint64_t size, const uint8_t root[16])
{
    struct vly_msg m = {.type = VLY_MSG_END, .request = 0, .size = size};

    memcpy(m.root, root, 16);
    peer_send(f->peer, &m);
}

static void send_error(struct fixture *f, uint64_t code, const char *text)
{
    peer_send(f->peer,
              &(struct vly_msg){.type = VLY_MSG_ERROR,
                                .request = 0,
                                .code = code,
                                .text = {.data = (const uint8_t *)text, .len = strlen(text)}});
}

/* ---- messages ---- */

static void test_client_closes_on_violations(void **state)
{
    static const struct {
        const char *what;
        enum vly_client_verb verb;
        const char *hex;
    } cases[] = {
        {"START twice", VLY_GET, "01 01 01"},
        {"an unknown message", VLY_GET, "7e 00"},
        {"a body too long", VLY_GET, "20 80010001"},
        {"a body that does not decode", VLY_GET, "21 01 00"},
        {"a client's message", VLY_GET, "11 04 00 02 01 78"},
        {"an answer to no request", VLY_GET, "32 01 01"},
        {"an answer to a request far away", VLY_GET, "32 08 ffffffffffffffff"},
        {"READY for a GET", VLY_GET, "22 01 00"},
        {"DONE for a GET", VLY_GET, "32 01 00"},
        {"ENTRY for a GET", VLY_GET, "20 0f 00 01 00 0000 0000000000000000 01 78"},
        {"END before INFO", VLY_GET, "31 12 00 00 00*16"},
        {"HASHES before INFO", VLY_GET, "30 13 00 00 01 00*16"},
        {"INFO twice", VLY_GET,
         "21 0c 00 07 0000 0000000000000000 21 0c 00 07 0000 0000000000000000"},
        {"INFO without a size", VLY_GET, "21 13 00 ffffffffffffffff 0000 0000000000000000"},
        {"INFO for a PUT", VLY_PUT, "21 0c 00 07 0000 0000000000000000"},
        {"DONE for a PUT that is not sent", VLY_PUT, "32 01 00"},
        {"END for a PUT", VLY_PUT, "31 12 00 00 00*16"},
        {"READY twice", VLY_PUT, "22 01 00 22 01 00"},
        {"INFO for a LIST", VLY_LIST, "21 0c 00 07 0000 0000000000000000"},
        {"END for a LIST", VLY_LIST, "31 12 00 00 00*16"},
    };

    tmpdir_fill(*state, "out/f", 300000, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;

        print_message("  %s\n", cases[i].what);
        begin(&f, state, cases[i].verb, i);
        peer_send_hex(f.peer, cases[i].hex);
        fake_run(f.w.pair);
        assert_true(f.peer->closed);
        assert_int_equal(f.peer->code, VLY_WIRE_PROTOCOL);
        end(&f, VLY_E_PROTOCOL);
    }
}

static void test_client_first_message(void **state)
{
    static const struct {
        const char *hex;
        int want;
    } cases[] = {{"32 01 00", VLY_E_PROTOCOL}, {"01 01 02", VLY_E_VERSION}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;

        fw_begin(&f.w, state);
        f.w.no_server = true;
        assert_int_equal(fw_start(&f.w, VLY_GET, "f", "out"), 0);
        f.peer = malloc(sizeof *f.peer);
        peer_begin(f.peer, f.w.pair, FAKE_SERVER);
        peer_wait_open(f.peer);
        peer_send_hex(f.peer, cases[i].hex);
        end(&f, cases[i].want);
    }
}

static void test_client_stream_violations(void **state)
{
    for (unsigned how = 0; how < 4; how++) {
        struct fixture f;

        tmpdir_fill(*state, "out/f", 3, 1);
        begin(&f, state, VLY_PUT, how);
        if (how == 0) { /* content on the stream of an upload */
            peer_send_hex(f.peer, "22 01 00");
            fake_run(f.w.pair);
            peer_content(f.peer, 2, "abc", 3, true);
        } else if (how == 1) {
            f.peer->link->ops->reset(f.peer->link, 0, 1);
        } else if (how == 2) {
            f.peer->link->ops->stop(f.peer->link, 0, 1);
        } else { /* the control stream ends before the work does */
            assert_int_equal(f.peer->link->ops->commit(f.peer->link, 0, 0, true), 0);
        }
        end(&f, VLY_E_PROTOCOL);
    }
}

/* Its stream is stopped, and READY comes all the same. */
static void test_client_ready_after_stop(void **state)
{
    struct fixture f;

    tmpdir_fill(*state, "out/f", 3, 1);
    begin(&f, state, VLY_PUT, 0);
    peer_send_hex(f.peer, "22 01 00");
    fake_run(f.w.pair);
    end(&f, VLY_E_CLOSED); /* READY, then nothing: not done */

    begin(&f, state, VLY_PUT, 0);
    fake_make_known(f.w.pair, 2);
    fake_run(f.w.pair);
    f.peer->link->ops->stop(f.peer->link, 2, VLY_WIRE_IO);
    fake_run(f.w.pair);
    peer_send_hex(f.peer, "22 01 00");
    end(&f, VLY_E_PROTOCOL);
}

/* The directories of a tree are made first, one in the other; its files do not rely on that. */
static void test_client_put_tree_requests(void **state)
{
    struct fixture f;

    tmpdir_mkdir(*state, "out/f");
    tmpdir_write(*state, "out/f/file", "abc", 3);
    begin(&f, state, VLY_PUT, 0); /* to "g", as "g/f" */
    assert_string_equal(peer_find(f.peer, VLY_MSG_MKDIR, 0)->text, "g");
    assert_null(peer_find(f.peer, 0, 1));
    peer_send_hex(f.peer, "32 01 00");
    fake_run(f.w.pair);
    assert_string_equal(peer_find(f.peer, VLY_MSG_MKDIR, 1)->text, "g/f");
    assert_null(peer_find(f.peer, 0, 2));
    peer_send_hex(f.peer, "32 01 01");
    fake_run(f.w.pair);
    assert_string_equal(peer_find(f.peer, VLY_MSG_PUT, 2)->text, "g/f/file");
    assert_int_equal(peer_find(f.peer, VLY_MSG_PUT, 2)->m.flags, VLY_PUT_MAKE_PARENTS);
    assert_int_equal(peer_find(f.peer, VLY_MSG_PUT, 2)->m.size, 3);
    end(&f, VLY_E_CLOSED);
}

/* ---- content ---- */

static void test_client_get_lies(void **state)
{
    static const uint8_t wrong[16] = {1};
    static const struct {
        const char *what;
        uint64_t info_size, end_size;
        const char *content;
        bool wrong_root;
        int want;
        unsigned told; /* the code the server is told; 0: DONE */
    } cases[] = {
        {"all is right", 3, 3, "abc", false, 0, 0},
        {"wrong root", 3, 3, "abc", true, VLY_E_INTEGRITY, VLY_WIRE_INTEGRITY},
        {"wrong content", 3, 3, "xyz", false, VLY_E_INTEGRITY, VLY_WIRE_INTEGRITY},
        {"more than announced", 3, 3, "abcd", false, VLY_E_PROTOCOL, VLY_WIRE_PROTOCOL},
        {"less than announced", 4, 3, "abc", false, VLY_E_PROTOCOL, VLY_WIRE_PROTOCOL},
        {"END of another size", 3, 4, "abc", false, VLY_E_PROTOCOL, VLY_WIRE_PROTOCOL},
        {"larger than the disk", UINT64_C(1) << 43, 3, "abc", false, VLY_E_NO_SPACE,
         VLY_WIRE_NO_SPACE},
        {"larger than anything", UINT64_C(1) << 61, 3, "abc", false, VLY_E_LIMIT, VLY_WIRE_LIMIT},
    };

    for (uint64_t i = 0; i < 10 * ARRAY_LEN(cases); i++) {
        size_t k = i % ARRAY_LEN(cases);
        const struct peer_msg *done;
        struct fixture f;

        if (i < ARRAY_LEN(cases))
            print_message("  %s\n", cases[k].what);
        begin(&f, state, VLY_GET, i);
        send_info(&f, cases[k].info_size);
        peer_content(f.peer, 2, cases[k].content, strlen(cases[k].content), true);
        send_end(&f, cases[k].end_size, cases[k].wrong_root ? wrong : abc_root);
        fake_run(f.w.pair);
        done = peer_find(f.peer, VLY_MSG_DONE, 0);
        assert_int_equal(done != NULL, cases[k].told == 0);
        if (cases[k].told != 0)
            peer_assert_error(f.peer, 0, cases[k].told);
        assert_true(f.peer->streams[0].ended); /* nothing more to ask */
        assert_int_equal(tmpdir_exists(f.w.dir, "out/g"), cases[k].want == 0);
        if (cases[k].want == 0)
            tmpdir_remove_all(f.w.dir, "out/g");
        end(&f, cases[k].want);
    }
}

/* "HOST/" asks for everything; a server that calls its own directory a file is not believed. */
static void test_client_root_is_no_file(void **state)
{
    struct fixture f;

    fw_begin(&f.w, state);
    f.w.no_server = true;
    assert_int_equal(fw_start(&f.w, VLY_GET, "", "out"), 0);
    f.peer = malloc(sizeof *f.peer);
    assert_non_null(f.peer);
    peer_begin(f.peer, f.w.pair, FAKE_SERVER);
    peer_wait_open(f.peer);
    fake_run(f.w.pair);
    peer_send_hex(f.peer, "01 01 01");
    send_info(&f, 3);
    end(&f, VLY_E_PROTOCOL);
}

/* All content before INFO, then nothing, an error, or the rest. */
static void test_client_content_before_info(void **state)
{
    for (unsigned how = 0; how < 3; how++) {
        struct fixture f;

        begin(&f, state, VLY_GET, how);
        peer_content(f.peer, 2, "abc", 3, true);
        fake_run(f.w.pair);
        assert_int_equal(f.w.progress, 0);
        if (how == 1)
            send_error(&f, VLY_WIRE_IO, "reading failed");
        if (how == 2) {
            send_info(&f, 3);
            send_end(&f, 3, abc_root);
        }
        fake_run(f.w.pair);
        assert_int_equal(tmpdir_exists(f.w.dir, "out/g"), how == 2);
        if (how != 0)
            assert_int_equal(fake_unconsumed(f.w.pair, FAKE_CLIENT), 0);
        end(&f, how == 0 ? VLY_E_CLOSED : how == 1 ? VLY_E_IO : 0);
    }
}

static void test_client_get_fails_part_way(void **state)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct fixture f;

        begin(&f, state, VLY_GET, seed);
        send_info(&f, 100);
        peer_content(f.peer, 2, "abc", 3, false);
        f.peer->link->ops->reset(f.peer->link, 2, VLY_WIRE_SOURCE_CHANGED);
        send_error(&f, VLY_WIRE_SOURCE_CHANGED, "the file shrank while it was read");
        fake_run(f.w.pair);
        assert_int_equal(fake_open_streams(f.w.pair), 0);
        end(&f, VLY_E_SOURCE_CHANGED);
        assert_non_null(strstr(f.w.text, "shrank")); /* though the reset may have come first */
    }
}

/* ---- text ---- */

static void test_client_escapes_what_the_server_says(void **state)
{
    static const char *const texts[] = {"\x1b]0;owned\x07\x1b[2J", "line\nbreak\r\x7f",
                                        "\xe2\x80\xaegpj.exe", "\xff\xfe", ""};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct fixture f;

        begin(&f, state, VLY_GET, i);
        send_error(&f, VLY_WIRE_PERMISSION, texts[i]);
        fake_run(f.w.pair);
        end(&f, VLY_E_PERMISSION);
        assert_null(strstr(f.w.text, "\xe2\x80\xae"));

        begin(&f, state, VLY_GET, i);
        f.peer->link->ops->close(f.peer->link, VLY_WIRE_LIMIT, texts[i]);
        end(&f, VLY_E_LIMIT);
        assert_null(strstr(f.w.text, "\xe2\x80\xae"));
    }
}

static void test_client_unknown_error_code(void **state)
{
    struct fixture f;

    begin(&f, state, VLY_GET, 0);
    send_error(&f, 4711, "something new");
    end(&f, VLY_E_FAILED);
    assert_non_null(strstr(f.w.text, "something new"));
}

static void test_client_nobody_answers(void **state)
{
    static const struct {
        int err;
        const char *text;
    } cases[] = {{VLY_E_NO_ANSWER, "no answer from host within 10.0 s"},
                 {VLY_E_LOST, "was lost"},
                 {VLY_E_SUITE, "--plain"},
                 {VLY_E_SUITE, "--suite"},
                 {VLY_E_BUSY, "host"},
                 {VLY_E_VERSION, "another version"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct file_world w;

        fw_begin(&w, state);
        assert_int_equal(fw_start(&w, VLY_GET, "f", "out"), 0);
        fake_lose(w.pair, cases[i].err);
        fw_run(&w);
        fw_stop(&w);
        assert_int_equal(w.err, cases[i].err);
        assert_non_null(strstr(w.text, cases[i].text));
        fw_end(&w);
    }
}

/* ---- listings ---- */

/* A directory is asked for; the server lists one entry of that name and kind. */
static void list_one(struct fixture *f, void **state, struct vly_span path, uint8_t kind)
{
    begin(f, state, VLY_GET, 1);
    send_error(f, VLY_WIRE_IS_DIRECTORY, "");
    fake_run(f->w.pair);
    assert_non_null(peer_find(f->peer, VLY_MSG_LIST, 1));
    peer_send(f->peer, &(struct vly_msg){.type = VLY_MSG_ENTRY,
                                         .request = 1,
                                         .kind = kind,
                                         .size = 3,
                                         .mode = 0777,
                                         .path = path});
    fake_run(f->w.pair);
}

#define STR(s)                                             \
    {                                                      \
        .data = (const uint8_t *)(s), .len = sizeof(s) - 1 \
    }

static void test_client_listed_names_that_lead_elsewhere(void **state)
{
    static const struct vly_span names[] = {
        STR("../x"),      STR(".."),       STR("/tmp/volley-escape"),
        STR("a/../../x"), STR(""),         STR("a//b"),
        STR("a/"),        STR("."),        STR("a\0b"),
        STR("a\nb"),      STR("\x1b[31m"), STR("..\0"),
        STR("/"),         STR("../../x"),
    };

    for (size_t i = 0; i < 2 * ARRAY_LEN(names); i++) {
        struct fixture f;

        list_one(&f, state, names[i / 2], i % 2 == 0 ? VLY_KIND_FILE : VLY_KIND_DIRECTORY);
        assert_true(f.peer->closed);
        assert_int_equal(f.peer->code, VLY_WIRE_PROTOCOL);
        assert_int_equal(tmpdir_count(f.w.dir, ""), 2);
        assert_false(tmpdir_exists(f.w.dir, "x"));
        tmpdir_remove_all(f.w.dir, "out/g");
        assert_int_equal(tmpdir_count(f.w.dir, "out"), 0);
        end(&f, VLY_E_PROTOCOL);
    }
}

/* A link that lies where the tree goes is not followed, whatever is listed below it. */
static void test_client_listed_names_below_a_link(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        struct fixture f;

        tmpdir_mkdir(*state, "elsewhere");
        tmpdir_mkdir(*state, "out/g");
        tmpdir_mkdir(*state, "out/g/f");
        assert_int_equal(symlink("../../../elsewhere", tmpdir_at(*state, "out/g/f/link")), 0);
        fw_begin(&f.w, state);
        f.w.no_server = true;
        assert_int_equal(fw_start(&f.w, VLY_GET, "f", "out/g"), 0);
        f.peer = malloc(sizeof *f.peer);
        peer_begin(f.peer, f.w.pair, FAKE_SERVER);
        peer_wait_open(f.peer);
        peer_send_hex(f.peer, "01 01 01");
        send_error(&f, VLY_WIRE_IS_DIRECTORY, "");
        fake_run(f.w.pair);
        peer_send(f.peer, &(struct vly_msg){.type = VLY_MSG_ENTRY,
                                            .request = 1,
                                            .kind = i == 0 ? VLY_KIND_DIRECTORY : VLY_KIND_FILE,
                                            .size = 3,
                                            .mode = 0777,
                                            .path = STR("link/x")});
        peer_send_hex(f.peer, "32 01 01");
        fake_run(f.w.pair);
        if (i == 1) { /* the file is asked for, and cannot be put there */
            peer_send_hex(f.peer, "21 0c 02 03 0000 0000000000000000");
            fake_run(f.w.pair);
            peer_assert_error(f.peer, 2, VLY_WIRE_REFUSED);
        }
        assert_int_equal(tmpdir_count(f.w.dir, "elsewhere"), 0);
        tmpdir_remove_all(f.w.dir, "out/g");
        tmpdir_remove_all(f.w.dir, "elsewhere");
        end(&f, VLY_E_REFUSED);
    }
}

/* Random messages, well-formed and not: no crash, no leak, and in out/ at most what was asked for.
 */
static void test_client_random_messages(void **state)
{
    uint64_t seed = test_seed();
    struct vly_prng p;

    vly_prng_init(&p, seed);
    tmpdir_fill(*state, "out/f", 5000, 1);
    for (unsigned round = 0; round < 300; round++) {
        static const uint8_t types[] = {0x20, 0x21, 0x22, 0x30, 0x31, 0x32, 0x33};
        static uint8_t hashes[16];
        struct fixture f;

        begin(&f, state, (enum vly_client_verb)(round % 3), vly_prng_u64(&p));
        for (unsigned i = 0; i < 20 && !f.peer->closed; i++) {
            struct vly_msg m = {.type = types[vly_prng_below(&p, ARRAY_LEN(types))],
                                .request = vly_prng_below(&p, 2),
                                .kind = (uint8_t)(1 + vly_prng_below(&p, 3)),
                                .size = vly_prng_below(&p, 5),
                                .code = vly_prng_below(&p, 20),
                                .count = 1,
                                .hashes = {.data = hashes, .len = 16},
                                .path = STR("name")};
            uint64_t steps = vly_prng_below(&p, 20);

            peer_send(f.peer, &m);
            while (steps-- > 0 && fake_step(f.w.pair))
                ;
            if (!f.peer->closed && round % 3 == VLY_GET && vly_prng_below(&p, 2) == 0 &&
                !f.peer->streams[1].was_stopped)
                peer_content(f.peer, 2, "xyz", (size_t)vly_prng_below(&p, 4), false);
        }
        fake_run(f.w.pair);
        if (!f.peer->closed)
            f.peer->link->ops->close(f.peer->link, 0, "");
        fake_run(f.w.pair);
        assert_int_equal(tmpdir_count(*state, ""), 2);
        if (tmpdir_exists(*state, "out/g"))
            tmpdir_remove_all(*state, "out/g");
        assert_int_equal(tmpdir_count(*state, "out"), 1);
        end(&f, f.w.err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_client_closes_on_violations),
        IN_WORLD(test_client_first_message),
        IN_WORLD(test_client_stream_violations),
        IN_WORLD(test_client_ready_after_stop),
        IN_WORLD(test_client_put_tree_requests),
        IN_WORLD(test_client_get_lies),
        IN_WORLD(test_client_root_is_no_file),
        IN_WORLD(test_client_content_before_info),
        IN_WORLD(test_client_get_fails_part_way),
        IN_WORLD(test_client_escapes_what_the_server_says),
        IN_WORLD(test_client_unknown_error_code),
        IN_WORLD(test_client_nobody_answers),
        IN_WORLD(test_client_listed_names_that_lead_elsewhere),
        IN_WORLD(test_client_listed_names_below_a_link),
        IN_WORLD(test_client_random_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
