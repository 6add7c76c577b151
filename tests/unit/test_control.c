/*
 * The load generator's control connection over a socket pair: lines in any pieces, lines that are
 * too long, and bytes that are no messages.
 */
#include "bench/load/control.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct world {
    uv_loop_t loop;
    struct bench_control control;
    int peer; /* the other end */
    char types[256];
    int lost; /* the error, 0: none */
    char lost_text[VLY_FAULT_TEXT];
    bool close_on_message;
};

static void on_message(void *user, const char *type, const json_t *message)
{
    struct world *w = user;

    assert_non_null(json_object_get(message, "type"));
    (void)strncat(w->types, type, sizeof(w->types) - strlen(w->types) - 1);
    (void)strncat(w->types, " ", sizeof(w->types) - strlen(w->types) - 1);
    if (w->close_on_message)
        bench_control_close(&w->control);
}

static void on_lost(void *user, const struct vly_fault *why)
{
    struct world *w = user;

    assert_int_equal(w->lost, 0); /* once */
    w->lost = why->err;
    memcpy(w->lost_text, why->text, sizeof(w->lost_text));
}

static int setup(void **state)
{
    struct world *w = test_calloc(1, sizeof(*w));
    int fds[2];

    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    w->peer = fds[1];
    w->control.on_message = on_message;
    w->control.on_lost = on_lost;
    w->control.user = w;
    assert_int_equal(bench_control_open(&w->control, &w->loop, fds[0]), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    bench_control_close(&w->control);
    if (w->peer >= 0)
        close(w->peer);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    test_free(w);
    return 0;
}

static void say(struct world *w, const char *text, size_t len)
{
    assert_int_equal(write(w->peer, text, len), (ssize_t)len);
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
}

static void test_control_lines_in_pieces(void **state)
{
    static const char text[] = "{\"type\":\"one\"}\n{\"type\":\"two\",\"n\":[1,2]}\n";
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(text) - 1; i++)
        say(w, text + i, 1);
    say(w, text, sizeof(text) - 1);
    assert_string_equal(w->types, "one two one two ");
    assert_int_equal(w->lost, 0);
}

static void test_control_nonsense_is_told(void **state)
{
    static const char *const lines[] = {
        "\n",
        "GET / HTTP/1.1\r\n",
        "{\"type\":\"hello\"\n",
        "[\"type\"]\n",
        "{\"type\":7}\n",
        "{\"no\":\"type\"}\n",
        "{\"type\":\"a\",\"type\":\"b\"}\n",
        "{\"type\":\"\xff\xfe\"}\n",
        "\"type\"\n",
        "null\n",
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct world *w;

        assert_int_equal(setup(state), 0);
        w = *state;
        say(w, lines[i], strlen(lines[i]));
        assert_string_equal(w->types, "");
        assert_int_equal(w->lost, VLY_E_PROTOCOL);
        assert_true(strlen(w->lost_text) > 0);
        assert_int_equal(teardown(state), 0);
    }
}

/* Every part of a message without its end: it waits, and the end of the connection is the end. */
static void test_control_truncations(void **state)
{
    static const char text[] = "{\"type\":\"one\",\"n\":1}\n";

    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct world *w;

        assert_int_equal(setup(state), 0);
        w = *state;
        say(w, text, len);
        assert_int_equal(w->lost, 0);
        close(w->peer);
        w->peer = -1;
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
        assert_string_equal(w->types, "");
        assert_int_equal(w->lost, VLY_E_CLOSED);
        assert_int_equal(teardown(state), 0);
    }
}

static void test_control_long_line(void **state)
{
    struct world *w = *state;
    char spaces[1024];

    memset(spaces, ' ', sizeof(spaces));
    for (size_t i = 0; i + 1 < BENCH_LINE_MAX / sizeof(spaces); i++)
        say(w, spaces, sizeof(spaces));
    assert_int_equal(w->lost, 0);
    say(w, spaces, sizeof(spaces));
    assert_int_equal(w->lost, VLY_E_PROTOCOL);
}

/* What the peer does not read is kept up to a limit; then the connection is given up. */
static void test_control_peer_reads_nothing(void **state)
{
    struct world *w = *state;
    char text[4096];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (unsigned i = 0; i < 4096 && w->lost == 0; i++) {
        json_t *message = bench_message("big");

        (void)json_object_set_new(message, "text", json_string(text));
        bench_control_send(&w->control, message);
        assert_true(w->control.out_len <= BENCH_CONTROL_OUT_MAX);
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    assert_int_not_equal(w->lost, 0);
}

static void test_control_round_trip(void **state)
{
    struct world *w = *state;
    char line[128] = "";
    struct vly_fault why;
    json_t *message;
    ssize_t n;

    bench_control_send(&w->control, bench_message("alive"));
    n = read(w->peer, line, sizeof(line));
    assert_true(n > 1 && line[n - 1] == '\n');
    assert_int_equal(bench_message_parse(&message, line, (size_t)n - 1, &why), 0);
    assert_string_equal(json_string_value(json_object_get(message, "type")), "alive");
    json_decref(message);
}

/* A handler may close: the lines behind are not handed on. */
static void test_control_closed_by_handler(void **state)
{
    static const char text[] = "{\"type\":\"one\"}\n{\"type\":\"two\"}\n";
    struct world *w = *state;

    w->close_on_message = true;
    say(w, text, sizeof(text) - 1);
    assert_string_equal(w->types, "one ");
    assert_int_equal(w->lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_control_lines_in_pieces, setup, teardown),
        cmocka_unit_test(test_control_nonsense_is_told),
        cmocka_unit_test(test_control_truncations),
        cmocka_unit_test_setup_teardown(test_control_long_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_control_peer_reads_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_control_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_control_closed_by_handler, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
