/*
 * Names from a peer: which ones may reach the file system, and how any of them may be printed.
 */
#include "file/path.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#define SPAN(s) ((struct vly_span){.data = (const uint8_t *)(s), .len = sizeof(s) - 1})

static void test_path_allowed(void **state)
{
    static const char *const good[] = {"",    "a",        "a/b/c", ".hidden", "..a", "a..", "...",
                                       "a b", "\xc3\xa4", "\x80",  "a\\b",    "~",   "-rf", "*"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        print_message("  %s\n", good[i]);
        assert_int_equal(vly_path_check(vly_span_str(good[i])), 0);
    }
}

static void test_path_refused(void **state)
{
    const struct {
        const char *name;
        struct vly_span path;
    } bad[] = {
        {"absolute", SPAN("/etc/passwd")},
        {"a slash alone", SPAN("/")},
        {"a slash at the end", SPAN("a/")},
        {"an empty component", SPAN("a//b")},
        {"dot", SPAN(".")},
        {"dot in the middle", SPAN("a/./b")},
        {"dot dot", SPAN("..")},
        {"dot dot first", SPAN("../a")},
        {"dot dot in the middle", SPAN("a/../b")},
        {"dot dot last", SPAN("a/..")},
        {"NUL", SPAN("a\0b")},
        {"NUL alone", SPAN("\0")},
        {"newline", SPAN("a\nb")},
        {"escape", SPAN("\x1b[2J")},
        {"tab", SPAN("a\tb")},
        {"delete", SPAN("a\x7f")},
        {"dot dot NUL", SPAN("..\0")},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        print_message("  %s\n", bad[i].name);
        assert_int_equal(vly_path_check(bad[i].path), VLY_E_BAD_NAME);
    }
}

static void test_path_every_control_character(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t name[] = {'a', (uint8_t)c, 'b'};
        bool refused = c < 0x20 || c == 0x7f;

        assert_int_equal(vly_path_check((struct vly_span){.data = name, .len = sizeof name}),
                         refused ? VLY_E_BAD_NAME : 0);
    }
}

static void test_path_limits(void **state)
{
    uint8_t text[VLY_PATH_MAX_BYTES + 2];
    struct vly_span s = {.data = text};

    (void)state;
    memset(text, 'a', sizeof text);
    s.len = 255;
    assert_int_equal(vly_path_check(s), 0);
    s.len = 256;
    assert_int_equal(vly_path_check(s), VLY_E_BAD_NAME);
    s.len = 300;
    assert_int_equal(vly_path_check(s), VLY_E_BAD_NAME);

    for (size_t i = 1; i < sizeof text; i += 2)
        text[i] = '/';
    s.len = 2 * 64 - 1;
    assert_int_equal(vly_path_check(s), 0);
    s.len = 2 * 65 - 1;
    assert_int_equal(vly_path_check(s), VLY_E_BAD_NAME);

    memset(text, 'a', sizeof text); /* 16 components of 255 and one of 0, 1 or 2 */
    for (size_t i = 255; i < sizeof text; i += 256)
        text[i] = '/';
    s.len = VLY_PATH_MAX_BYTES - 1;
    assert_int_equal(vly_path_check(s), 0);
    text[VLY_PATH_MAX_BYTES - 256] = 'b';
    s.len = VLY_PATH_MAX_BYTES + 1;
    assert_int_equal(vly_path_check(s), VLY_E_BAD_NAME);
}

static void test_path_name_is_one_component(void **state)
{
    (void)state;
    assert_int_equal(vly_name_check(SPAN("a")), 0);
    assert_int_equal(vly_name_check(SPAN("")), VLY_E_BAD_NAME);
    assert_int_equal(vly_name_check(SPAN("a/b")), VLY_E_BAD_NAME);
    assert_int_equal(vly_name_check(SPAN("..")), VLY_E_BAD_NAME);
}

static void test_path_tidy(void **state)
{
    static const struct {
        const char *in, *out;
        bool directory;
    } cases[] = {
        {"", "", false},         {"a", "a", false},           {"/a", "a", false},
        {"a/", "a", true},       {"//a//b//", "a/b", true},   {"./a/./b", "a/b", false},
        {".", "", true},         {"a/.", "a", true},          {"/", "", true},
        {"../a", "../a", false}, {"a/../b", "a/../b", false}, {".a/..b", ".a/..b", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char path[32];

        print_message("  \"%s\"\n", cases[i].in);
        memcpy(path, cases[i].in, strlen(cases[i].in) + 1);
        assert_int_equal(vly_path_tidy(path), cases[i].directory);
        assert_string_equal(path, cases[i].out);
    }
}

static void test_path_join_and_base(void **state)
{
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"", "b", "b"}, {"a", "", "a"}, {"", "", ""}, {"a/b", "c/d", "a/b/c/d"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *joined = vly_path_join(cases[i][0], cases[i][1]);

        assert_string_equal(joined, cases[i][2]);
        free(joined);
    }
    assert_string_equal(vly_path_base("a/b/c"), "c");
    assert_string_equal(vly_path_base("c"), "c");
    assert_string_equal(vly_path_base("a/"), "");
}

static void test_path_temp_names(void **state)
{
    (void)state;
    assert_true(vly_is_temp_name(".volley-abcdefgh.part"));
    assert_false(vly_is_temp_name(".volley-abcdefg.part"));
    assert_false(vly_is_temp_name(".volley-abcdefgh.par_"));
    assert_false(vly_is_temp_name("xvolley-abcdefgh.part"));
    assert_false(vly_is_temp_name(""));
}

static void test_escape_what_a_terminal_would_obey(void **state)
{
    static const struct {
        const char *name, *in, *out;
    } cases[] = {
        {"plain", "report 2024.txt", "report 2024.txt"},
        {"umlauts and Chinese", "\xc3\xa4\xe4\xb8\xad", "\xc3\xa4\xe4\xb8\xad"},
        {"four bytes", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"backslash", "a\\x1b", "a\\\\x1b"},
        {"escape sequence", "\x1b[31m", "\\x1b[31m"},
        {"newline", "a\nb", "a\\x0ab"},
        {"delete", "\x7f", "\\x7f"},
        {"C1 control (CSI) in UTF-8",
         "\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"},
        {"right-to-left override",
         "a\xe2\x80\xae"
         "txt.exe",
         "a\\xe2\\x80\\xaetxt.exe"},
        {"left-to-right isolate", "\xe2\x81\xa6", "\\xe2\\x81\\xa6"},
        {"Arabic letter mark", "\xd8\x9c", "\\xd8\\x9c"},
        {"zero width space",
         "a\xe2\x80\x8b"
         "b",
         "a\\xe2\\x80\\x8bb"},
        {"byte order mark", "\xef\xbb\xbf", "\\xef\\xbb\\xbf"},
        {"line separator", "\xe2\x80\xa8", "\\xe2\\x80\\xa8"},
        {"tag characters", "\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81"},
        {"a byte alone", "\x80", "\\x80"},
        {"cut short", "\xe4\xb8", "\\xe4\\xb8"},
        {"overlong slash", "\xc0\xaf", "\\xc0\\xaf"},
        {"overlong, three bytes", "\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
        {"surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"above U+10FFFF", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[128];

        print_message("  %s\n", cases[i].name);
        assert_string_equal(vly_escape(out, sizeof out, vly_span_str(cases[i].in)), cases[i].out);
        assert_string_equal(vly_shown(cases[i].in).text, cases[i].out);
    }
}

/* What a peer says may hold names that it escaped already. */
static void test_escape_text_keeps_backslashes(void **state)
{
    char out[64];

    (void)state;
    assert_string_equal(vly_escape_text(out, sizeof out, vly_span_str("a\\x0ab")), "a\\x0ab");
    assert_string_equal(vly_escape_text(out, sizeof out, vly_span_str("\x1b[2J")), "\\x1b[2J");
}

/* Whatever the bytes and the room: it ends inside, and holds nothing but printable characters. */
static void test_escape_any_bytes_any_room(void **state)
{
    struct vly_prng p;
    uint64_t seed = test_seed();

    (void)state;
    vly_prng_init(&p, seed);
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t in[64];
        size_t len = (size_t)(vly_prng_u64(&p) % sizeof in);
        size_t cap = 16 + (size_t)(vly_prng_u64(&p) % 200);
        char *out = malloc(cap);

        for (size_t i = 0; i < len; i++)
            in[i] = (uint8_t)vly_prng_u64(&p);
        vly_escape(out, cap, (struct vly_span){.data = in, .len = len});
        assert_in_range(strlen(out), 0, cap - 1);
        for (const char *c = out; *c != '\0'; c++)
            assert_true((uint8_t)*c >= 0x20 && *c != 0x7f);
        free(out);
    }
}

static void test_escape_cuts_in_the_middle(void **state)
{
    char out[20];

    (void)state;
    vly_escape(out, sizeof out, vly_span_str("abcdefghijklmnopqrstuvwxyz.txt"));
    assert_string_equal(out, "abcdefgh...wxyz.txt");
    vly_escape(out, sizeof out, vly_span_str("nineteen characters"));
    assert_string_equal(out, "nineteen characters");
    vly_escape(out, sizeof out, vly_span_str("\x01\x02\x03\x04\x05\x06"));
    assert_string_equal(out, "\\x01\\x02...\\x05\\x06");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_allowed),
        cmocka_unit_test(test_path_refused),
        cmocka_unit_test(test_path_every_control_character),
        cmocka_unit_test(test_path_limits),
        cmocka_unit_test(test_path_name_is_one_component),
        cmocka_unit_test(test_path_tidy),
        cmocka_unit_test(test_path_join_and_base),
        cmocka_unit_test(test_path_temp_names),
        cmocka_unit_test(test_escape_what_a_terminal_would_obey),
        cmocka_unit_test(test_escape_text_keeps_backslashes),
        cmocka_unit_test(test_escape_any_bytes_any_room),
        cmocka_unit_test(test_escape_cuts_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
