/*
 * A server whose client does what it likes: hostile names, messages out of order, twice, too many.
 * The server answers or closes; it reaches nothing outside its root and holds no more than it says.
 * Uploads: test_file_server_put.c.
 */
#include "support/server_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STR(s)                                             \
    {                                                      \
        .data = (const uint8_t *)(s), .len = sizeof(s) - 1 \
    }

/* ---- names ---- */

static void test_server_hostile_names(void **state)
{
    static char long_name[301], deep[65 * 2];
    const struct {
        const char *what;
        struct vly_span path;
    } names[] = {
        {"up", STR("../out/x")},
        {"up and down", STR("a/../../out/x")},
        {"absolute", STR("/tmp/x")},
        {"NUL", STR("a\0b")},
        {"NUL behind up", STR("..\0")},
        {"newline", STR("a\nb")},
        {"escape", STR("\x1b]0;x\x07")},
        {"empty component", STR("a//b")},
        {"slash at the end", STR("a/")},
        {"dot", STR("./a")},
        {"300 bytes", {.data = (uint8_t *)long_name, .len = 300}},
        {"65 components", {.data = (uint8_t *)deep, .len = sizeof deep - 1}},
    };

    memset(long_name, 'x', 300);
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = i % 2 == 0 ? 'd' : '/';
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct vly_msg m = {.mode = 0755, .path = names[i].path};
        struct server_fixture f;

        print_message("  %s\n", names[i].what);
        server_begin(&f, state);
        m.type = VLY_MSG_GET;
        m.request = 1;
        m.stream = peer_open_stream(f.peer, true);
        peer_send(f.peer, &m);
        m.type = VLY_MSG_PUT;
        m.request = 2;
        m.flags = VLY_PUT_MAKE_PARENTS | VLY_PUT_REPLACE;
        m.stream = peer_open_stream(f.peer, false);
        peer_send(f.peer, &m);
        m.type = VLY_MSG_MKDIR;
        m.request = 3;
        peer_send(f.peer, &m);
        m.type = VLY_MSG_LIST;
        m.request = 4;
        peer_send(f.peer, &m);
        fake_run(f.pair);
        for (uint64_t request = 1; request <= 4; request++)
            peer_assert_error(f.peer, request, VLY_WIRE_BAD_NAME);
        assert_int_equal(tmpdir_count(f.w.dir, "root"), 0);
        assert_int_equal(tmpdir_count(f.w.dir, "out"), 0);
        assert_int_equal(tmpdir_count(f.w.dir, ""), 2);
        server_end(&f);
    }
}

/* Links in the root lead nowhere, for reading and for writing. */
static void test_server_links(void **state)
{
    static const char *const paths[] = {"link", "dir/secret", "dir/new", "dir/a/b"};
    struct server_fixture f;

    tmpdir_write(*state, "out/secret", "secret", 6);
    assert_int_equal(symlink("../out/secret", tmpdir_at(*state, "root/link")), 0);
    assert_int_equal(symlink("../out", tmpdir_at(*state, "root/dir")), 0);
    server_begin(&f, state);
    for (uint64_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct vly_msg get = get_msg(2 * i, peer_open_stream(f.peer, true), paths[i]);
        struct vly_msg put = put_msg(2 * i + 1, peer_open_stream(f.peer, false), 3, paths[i]);

        put.flags = VLY_PUT_MAKE_PARENTS;
        peer_send(f.peer, &get);
        peer_send(f.peer, &put);
    }
    fake_run(f.pair);
    for (uint64_t i = 0; i < ARRAY_LEN(paths); i++) {
        peer_assert_error(f.peer, 2 * i, VLY_WIRE_REFUSED);
        peer_assert_error(f.peer, 2 * i + 1, i == 0 ? VLY_WIRE_EXISTS : VLY_WIRE_REFUSED);
    }
    assert_int_equal(tmpdir_count(f.w.dir, "out"), 1);
    server_end(&f);
}

/* ---- messages out of place ---- */

static void test_server_closes_on_violations(void **state)
{
    static const struct {
        const char *what, *hex;
    } cases[] = {
        {"START twice", "01 01 01"},
        {"an unknown message", "7e 00"},
        {"a body too long", "11 80010001"},
        {"a body that does not decode", "11 01 01"},
        {"a server's message: INFO", "21 0c 01 07 0000 0000000000000000"},
        {"a server's message: READY", "22 01 01"},
        {"GET on the control stream", "11 04 01 00 01 78"},
        {"GET on a stream of the server", "11 04 01 01 01 78"},
        {"a request number twice", "10 03 01 01 00 10 03 01 01 00"},
        {"a stream twice", "11 04 01 04 01 78 11 04 02 04 01 78"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct server_fixture f;

        print_message("  %s\n", cases[i].what);
        server_begin(&f, state);
        peer_send_hex(f.peer, cases[i].hex);
        server_assert_closes(&f);
    }
}

static void test_server_wants_start_first(void **state)
{
    static const char *const firsts[] = {"10 03 01 00 00", "01 01 02", "01 01 00", "32 01 01"};

    for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
        struct server_fixture f;

        fw_begin(&f.w, state);
        f.pair = fake_pair_new(&(struct fake_options){0});
        f.peer = malloc(sizeof *f.peer);
        peer_begin(f.peer, f.pair, FAKE_CLIENT);
        assert_int_equal(vly_session_start(&f.w.server, fake_pair_link(f.pair, FAKE_SERVER)), 0);
        peer_wait_open(f.peer);
        peer_send_hex(f.peer, firsts[i]);
        server_assert_closes(&f);
    }
}

/* About requests that do not exist, or not any more: nothing happens. */
static void test_server_ignores_unknown_requests(void **state)
{
    struct server_fixture f;

    server_begin(&f, state);
    peer_send_hex(f.peer, "14 01 3f");       /* CANCEL */
    peer_send_hex(f.peer, "32 01 3f");       /* DONE */
    peer_send_hex(f.peer, "33 03 3f 0f 00"); /* ERROR */
    peer_send_hex(f.peer, "31 12 3f 02 00*16");
    peer_send_hex(f.peer, "30 13 3f 00 01 00*16");
    peer_send_hex(f.peer, "10 03 01 00 00"); /* LIST, so that something comes back */
    fake_run(f.pair);
    assert_false(f.peer->closed);
    assert_non_null(peer_find(f.peer, VLY_MSG_DONE, 1));
    server_end(&f);
}

static void test_server_control_stream_given_up(void **state)
{
    for (unsigned how = 0; how < 2; how++) {
        struct server_fixture f;

        server_begin(&f, state);
        fake_run(f.pair);
        if (how == 0)
            f.peer->link->ops->reset(f.peer->link, 0, 1);
        else
            f.peer->link->ops->stop(f.peer->link, 0, 1);
        server_assert_closes(&f);
    }
}

/* ---- downloads ---- */

static void test_server_get_confirmed_or_not(void **state)
{
    static const struct {
        const char *what, *answer;
        int want;
    } cases[] = {
        {"DONE", "32 01 01", 0},
        {"ERROR", "33 05 01 09 02 6e6f", VLY_E_NO_SPACE},
        {"ERROR of an unknown code", "33 06 01 4200 02 6e6f", VLY_E_FAILED},
        {"CANCEL", "14 01 01", VLY_E_CANCELLED},
        {"nothing", "", VLY_E_LOST},
    };

    tmpdir_fill(*state, "root/f", 10000, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct server_fixture f;
        struct vly_msg get;

        print_message("  %s\n", cases[i].what);
        server_begin(&f, state);
        get = get_msg(1, peer_open_stream(f.peer, true), "f");
        peer_send(f.peer, &get);
        fake_run(f.pair);
        assert_int_equal(f.peer->streams[1].bytes, 10000);
        assert_true(f.peer->streams[1].ended);
        assert_int_equal(peer_find(f.peer, VLY_MSG_INFO, 1)->m.size, 10000);
        assert_int_equal(peer_find(f.peer, VLY_MSG_HASHES, 1)->m.count, 1);
        assert_int_equal(peer_find(f.peer, VLY_MSG_END, 1)->m.size, 10000);
        assert_int_equal(f.w.ends_ok, 0); /* not before the client said so */
        peer_send_hex(f.peer, cases[i].answer);
        fake_run(f.pair);
        f.peer->link->ops->close(f.peer->link, 0, "");
        fake_run(f.pair);
        assert_int_equal(f.w.ends_ok, cases[i].want == 0);
        assert_int_equal(f.w.server_err, cases[i].want);
        server_end(&f);
    }
}

/* Files that go at the same time take turns: none waits for another one's end. */
static void test_server_get_takes_turns(void **state)
{
    static const uint64_t size = 3000000, n = 4;
    bool ended = false;
    uint64_t least = size;
    struct server_fixture f;

    tmpdir_fill(*state, "root/f", size, 1);
    server_begin(&f, state);
    for (uint64_t i = 0; i < n; i++) {
        struct vly_msg get = get_msg(i, peer_open_stream(f.peer, true), "f");

        peer_send(f.peer, &get);
    }
    while (!ended) {
        assert_true(fake_step(f.pair));
        for (uint64_t i = 1; i <= n; i++)
            ended |= f.peer->streams[i].ended;
    }
    for (uint64_t i = 1; i <= n; i++)
        if (f.peer->streams[i].bytes < least)
            least = f.peer->streams[i].bytes;
    assert_in_range(least, size / 5, size); /* the link itself favours some */
    server_end(&f);
}

/* DONE for content that has not gone out, and HASHES for what the client does not send. */
static void test_server_get_answers_too_early(void **state)
{
    static const char *const hex[] = {"32 01 01", "30 13 01 00 01 00*16", "31 12 01 02 00*16"};

    tmpdir_fill(*state, "root/f", 10000000, 1);
    for (size_t i = 0; i < ARRAY_LEN(hex); i++) {
        struct server_fixture f;
        struct vly_msg get;

        server_begin(&f, state);
        get = get_msg(1, peer_open_stream(f.peer, true), "f");
        peer_send(f.peer, &get);
        while (f.w.begins == 0)
            assert_true(fake_step(f.pair));
        peer_send_hex(f.peer, hex[i]);
        server_assert_closes(&f);
    }
}

/* The answer to a GET whose stream is not open yet waits for it; giving it up before leaves
 * nothing. */
static void test_server_get_before_its_stream(void **state)
{
    struct server_fixture f;
    struct vly_msg get = get_msg(1, 2, "f");

    tmpdir_write(*state, "root/f", "f", 1);
    server_begin(&f, state);
    peer_send(f.peer, &get);
    fake_run(f.pair);
    assert_null(peer_find(f.peer, 0, 1));
    assert_int_equal(peer_open_stream(f.peer, true), 2);
    fake_run(f.pair);
    assert_non_null(peer_find(f.peer, VLY_MSG_END, 1));
    peer_send_hex(f.peer, "32 01 01");

    get = get_msg(2, 4, "no/such/file");
    peer_send(f.peer, &get);
    get = get_msg(3, 6, "f");
    peer_send(f.peer, &get);
    peer_send_hex(f.peer, "14 01 03");
    fake_run(f.pair);
    peer_assert_error(f.peer, 3, VLY_WIRE_CANCELLED);
    (void)peer_open_stream(f.peer, true);
    (void)peer_open_stream(f.peer, true);
    fake_run(f.pair);
    peer_assert_error(f.peer, 2, VLY_WIRE_NOT_FOUND);
    assert_true(f.peer->streams[2].was_reset && f.peer->streams[3].was_reset);
    assert_int_equal(fake_open_streams(f.pair), 0);
    server_end(&f);
}

static void test_server_get_stream_given_up(void **state)
{
    struct server_fixture f;
    struct vly_msg get;

    tmpdir_fill(*state, "root/f", 10000000, 1);
    server_begin(&f, state);
    get = get_msg(1, peer_open_stream(f.peer, true), "f");
    peer_send(f.peer, &get);
    while (f.peer->streams[1].bytes == 0)
        assert_true(fake_step(f.pair));
    f.peer->link->ops->stop(f.peer->link, 2, VLY_WIRE_NO_SPACE);
    fake_run(f.pair);
    assert_int_equal(f.w.server_err, VLY_E_NO_SPACE);
    assert_int_equal(f.w.ends_failed, 1);
    assert_int_equal(fake_open_streams(f.pair), 0);
    server_end(&f);
}

/* ---- floods ---- */

static void test_server_too_many_requests(void **state)
{
    struct server_fixture f;
    uint64_t n = VLY_SERVER_REQUESTS_MAX + 50, refused = 0;

    server_begin(&f, state);
    for (uint64_t i = 0; i < n; i++) {
        struct vly_msg m = get_msg(i, 2 * i + 2, "f"); /* streams that are never opened */

        peer_send(f.peer, &m);
    }
    fake_run(f.pair);
    for (uint64_t i = 0; i < n; i++)
        refused += peer_find(f.peer, VLY_MSG_ERROR, i) != NULL;
    assert_int_equal(refused, 50);
    peer_assert_error(f.peer, n - 1, VLY_WIRE_LIMIT);
    assert_false(f.peer->closed);
    server_end(&f);
}

/* Requests whose answers are not read: the server gives up at its bound instead of keeping them. */
static void test_server_answers_not_read(void **state)
{
    struct server_fixture f;

    server_begin(&f, state);
    fake_run(f.pair);
    f.peer->reads_control = false;
    for (unsigned i = 0; i < 400000 && !f.peer->closed; i++) {
        peer_send_hex(f.peer, "10 0b 01 00 08 6e6f2f73756368 21"); /* LIST no/such! */
        if (i % 100 == 0)
            while (fake_step(f.pair))
                ;
    }
    fake_run(f.pair);
    assert_true(f.peer->closed);
    assert_int_equal(f.peer->code, VLY_WIRE_LIMIT);
    server_end(&f);
}

/* A listing nobody reads stops, and its directories are closed with the connection. */
static void test_server_listing_not_read(void **state)
{
    struct server_fixture f;
    char name[64];
    uint64_t steps;

    for (unsigned i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "root/a-rather-long-name-%u", i);
        tmpdir_write(*state, name, "", 0);
    }
    server_begin(&f, state);
    fake_run(f.pair);
    f.peer->reads_control = false;
    for (unsigned i = 0; i < 60; i++) /* all of it would be more than the backlog may be */
        peer_send(f.peer, &(struct vly_msg){.type = VLY_MSG_LIST, .request = i, .recursive = 1});
    steps = fake_steps(f.pair);
    fake_run(f.pair);
    assert_true(fake_steps(f.pair) - steps < 5000);
    assert_false(f.peer->closed);
    server_end(&f);
}

/* Random messages, well-formed and not: no crash, no leak, nothing outside the root. */
static void test_server_random_messages(void **state)
{
    uint64_t seed = test_seed();
    struct vly_prng p;

    vly_prng_init(&p, seed);
    tmpdir_fill(*state, "root/a", 5000, 1);
    for (unsigned round = 0; round < 300; round++) {
        static const char *const names[] = {"", "a", "b", "d", "d/e", "..", "a/b"};
        struct server_fixture f;

        server_begin_seeded(&f, state, vly_prng_u64(&p));
        for (unsigned i = 0; i < 3; i++)
            (void)peer_open_stream(f.peer, vly_prng_below(&p, 2) == 0);
        for (unsigned i = 0; i < 30 && !f.peer->closed; i++) {
            static const uint8_t types[] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x30, 0x31, 0x32, 0x33};
            static uint8_t hashes[16];
            struct vly_msg m = {.type = types[vly_prng_below(&p, ARRAY_LEN(types))],
                                .request = vly_prng_below(&p, 6),
                                .stream = 2 + 2 * vly_prng_below(&p, 3),
                                .recursive = 1,
                                .flags = (uint8_t)vly_prng_below(&p, 4),
                                .size = vly_prng_below(&p, 10),
                                .code = vly_prng_below(&p, 20),
                                .first = vly_prng_below(&p, 3),
                                .count = 1,
                                .hashes = {.data = hashes, .len = 16}};
            const char *name = names[vly_prng_below(&p, ARRAY_LEN(names))];
            uint64_t steps = vly_prng_below(&p, 20);

            m.path = (struct vly_span){.data = (const uint8_t *)name, .len = strlen(name)};
            if (vly_prng_below(&p, 100) == 0)
                peer_send_hex(f.peer, "11 05 00");
            peer_send(f.peer, &m);
            while (steps-- > 0 && fake_step(f.pair))
                ;
            if (!f.peer->closed && vly_prng_below(&p, 4) == 0)
                peer_content(f.peer, 2 + 2 * vly_prng_below(&p, 3), "xyz", vly_prng_below(&p, 4),
                             false);
        }
        server_end(&f);
        assert_int_equal(tmpdir_count(*state, "out"), 0);
        assert_int_equal(tmpdir_count(*state, ""), 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_server_hostile_names),
        IN_WORLD(test_server_links),
        IN_WORLD(test_server_closes_on_violations),
        IN_WORLD(test_server_wants_start_first),
        IN_WORLD(test_server_ignores_unknown_requests),
        IN_WORLD(test_server_control_stream_given_up),
        IN_WORLD(test_server_get_confirmed_or_not),
        IN_WORLD(test_server_get_takes_turns),
        IN_WORLD(test_server_get_answers_too_early),
        IN_WORLD(test_server_get_before_its_stream),
        IN_WORLD(test_server_get_stream_given_up),
        IN_WORLD(test_server_too_many_requests),
        IN_WORLD(test_server_answers_not_read),
        IN_WORLD(test_server_listing_not_read),
        IN_WORLD(test_server_random_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
