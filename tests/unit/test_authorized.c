/*
 * authorized_keys, and what it comes to with --anonymous and --writable.
 */
#include "cli/authorized.h"

#include "cli/permits.h"
#include "support/tmpdir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY0 "volley1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY1 "volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

enum { R = VLY_RIGHT_READ, W = VLY_RIGHT_WRITE, RW = VLY_RIGHT_READ | VLY_RIGHT_WRITE };

static int parse(struct vly_authorized *a, const char *text, size_t len, struct vly_fault *why)
{
    struct vly_span span = {(const uint8_t *)text, len};
    struct vly_lines l;
    int err;

    assert_int_equal(vly_lines_copy(&l, "list", span, why), 0);
    err = vly_authorized_parse(a, &l, "/srv", why);
    vly_lines_close(&l);
    return err;
}

static void test_authorized_good_lines(void **state)
{
    static const struct {
        const char *line;
        unsigned rights;
        const char *root;
    } cases[] = {
        {KEY0, RW, NULL},
        {KEY0 " ann@laptop", RW, NULL},
        {KEY0 " rights=read", R, NULL},
        {KEY0 " rights=write", W, NULL},
        {KEY0 " rights=read,write", RW, NULL},
        {KEY0 " rights=write,read", RW, NULL},
        {KEY0 " root=ann", RW, "/srv/ann"},
        {KEY0 " root=/home/ann rights=read", R, "/home/ann"},
        {KEY0 " rights=read root=a=b", R, "/srv/a=b"},
        {"\t" KEY0 "\trights=read  ann rights=write", R, NULL}, /* the rest is a comment */
        {"# a comment\n\n" KEY0 " rights=read\r\n", R, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_authorized a;
        struct vly_fault why;

        print_message("  %s\n", cases[i].line);
        assert_int_equal(parse(&a, cases[i].line, strlen(cases[i].line), &why), 0);
        assert_int_equal(a.n, 1);
        assert_int_equal(a.grants[0].rights, cases[i].rights);
        if (cases[i].root == NULL)
            assert_null(a.grants[0].root);
        else
            assert_string_equal(a.grants[0].root, cases[i].root);
        vly_authorized_free(&a);
    }
}

/* Nothing that is misspelt gives a key more than was meant. */
static void test_authorized_bad_lines(void **state)
{
    static const char *const bad[] = {
        "ann " KEY0,
        "volley1:AAAA",
        KEY0 "x",
        KEY0 " right=read",
        KEY0 " Rights=read",
        KEY0 " rights=",
        KEY0 " rights=none",
        KEY0 " rights=reads",
        KEY0 " rights=read,",
        KEY0 " rights=read,read",
        KEY0 " rights=read rights=write",
        KEY0 " root=",
        KEY0 " root=a root=b",
        KEY0 " =",
        KEY0 " rights=read\x01",
        KEY1 "\x1b[2J",
        "[" KEY0 "]",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[512];
        struct vly_authorized a;
        struct vly_fault why;

        print_message("  case %zu\n", i);
        snprintf(text, sizeof(text), "# first\n" KEY1 " fine\n%s\n", bad[i]);
        assert_int_equal(parse(&a, text, strlen(text), &why), VLY_E_MALFORMED);
        assert_non_null(strstr(why.text, "list:3: "));
        assert_int_equal(a.n, 0);
        assert_null(a.grants);
    }
}

static void test_authorized_same_key_twice(void **state)
{
    static const char text[] = KEY0 " rights=read\n\n" KEY0 " rights=write\n";
    struct vly_authorized a;
    struct vly_fault why;

    (void)state;
    assert_int_equal(parse(&a, text, strlen(text), &why), VLY_E_MALFORMED);
    assert_non_null(strstr(why.text, "list:3: "));
}

/* A list cut at each byte is read up to there, or refused. */
static void test_authorized_truncated(void **state)
{
    static const char text[] = KEY0 " root=a rights=read\n" KEY1 " rights=write\n";

    (void)state;
    for (size_t len = 0; len <= strlen(text); len++) {
        struct vly_authorized a;
        struct vly_fault why;
        int err = parse(&a, text, len, &why);

        assert_true(err == 0 || err == VLY_E_MALFORMED);
        if (err == 0)
            assert_true(a.n <= 2);
        vly_authorized_free(&a);
    }
}

static void test_authorized_many(void **state)
{
    enum { MANY = 1000 };
    size_t cap = MANY * 80, len = 0;
    char *text = malloc(cap);
    struct vly_authorized a;
    struct vly_fault why;

    (void)state;
    assert_non_null(text);
    for (unsigned i = 0; i < MANY; i++) /* two base64 digits and a letter tell them apart */
        len += (size_t)snprintf(text + len, cap - len,
                                "volley1:%c%c%cAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
                                'A' + i % 26, 'A' + i / 26 % 26, 'A' + i / 676);
    assert_int_equal(parse(&a, text, len, &why), 0);
    assert_int_equal(a.n, MANY);
    vly_authorized_free(&a);
    free(text);
}

static void test_authorized_file(void **state)
{
    const struct tmpdir *d = *state;
    struct vly_authorized a;
    struct vly_fault why;

    assert_int_equal(vly_authorized_read(&a, tmpdir_at(d, "list"), "/srv", &why), VLY_E_NOT_FOUND);
    tmpdir_write(d, "list", KEY0 "\n", strlen(KEY0) + 1);
    assert_int_equal(chmod(tmpdir_at(d, "list"), 0644), 0);
    assert_int_equal(vly_authorized_read(&a, tmpdir_at(d, "list"), "/srv", &why), 0);
    assert_int_equal(a.n, 1);
    vly_authorized_free(&a);
    assert_int_equal(chmod(tmpdir_at(d, "list"), 0664), 0);
    assert_int_equal(vly_authorized_read(&a, tmpdir_at(d, "list"), "/srv", &why), VLY_E_PERMISSION);
    assert_non_null(strstr(why.text, "chmod go-w"));
}

/* ---- with the options of a server ---- */

static void test_permits(void **state)
{
    const struct tmpdir *d = *state;
    static const struct {
        const char *list; /* NULL: there is none */
        const char *anonymous, *key;
        bool plain, writable;
        int code;
        const char *text;
    } cases[] = {
        {NULL, NULL, NULL, false, false, 0, "everyone may read"},
        {NULL, NULL, NULL, false, true, 0, "everyone may read and write"},
        {NULL, "read", NULL, false, true, 0, "everyone may read"},
        {NULL, "write", NULL, false, true, 0, "everyone may read and write"},
        {NULL, "none", NULL, false, true, VLY_EXIT_USAGE, NULL},
        {"", NULL, NULL, false, true, VLY_EXIT_USAGE, NULL},
        {"", "read", NULL, false, true, 0, "everyone may read"},
        {KEY0, NULL, NULL, false, true, 0, "1 key may read and write, others nothing"},
        {KEY0, "read", NULL, false, true, 0, "1 key may read and write, others may read"},
        {KEY0, NULL, NULL, false, false, 0,
         "1 key may read, others nothing, nobody uploads without --writable"},
        {KEY0 " rights=read\n" KEY1 " rights=read", NULL, NULL, false, false, 0,
         "2 keys may read, others nothing"},
        {KEY0 " rights=read\n" KEY1 " rights=write", NULL, NULL, false, true, 0,
         "1 key may write, 1 key may read, others nothing"},
        {KEY0, NULL, "file", false, true, 0, "who has the key may read and write"},
        {NULL, NULL, "file", false, false, 0, "who has the key may read"},
        {NULL, NULL, NULL, true, false, 0, "everyone may read"},
        {KEY0, NULL, NULL, true, false, VLY_EXIT_USAGE, NULL}, /* nobody could show a key */
        {KEY0, "read", NULL, true, false, 0, "everyone may read"},
        {"nonsense", NULL, NULL, false, false, VLY_EXIT_FAILED, NULL},
    };
    const struct vly_cli cli = {.command = "test"};

    assert_int_equal(setenv("VOLLEY_HOME", tmpdir_at(d, ""), 1), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_net_args net = {.plain = cases[i].plain,
                                   .keys = {.anonymous = cases[i].anonymous, .key = cases[i].key}};
        struct vly_permits p;
        char text[256];

        print_message("  case %zu\n", i);
        (void)unlink(tmpdir_at(d, "authorized_keys"));
        if (cases[i].list != NULL)
            tmpdir_write(d, "authorized_keys", cases[i].list, strlen(cases[i].list));
        assert_int_equal(vly_permits_open(&p, &cli, &net, "/srv", cases[i].writable),
                         cases[i].code);
        if (cases[i].code != 0)
            continue;
        vly_permits_text(&p, text, sizeof(text));
        assert_string_equal(text, cases[i].text);
        vly_permits_close(&p);
    }
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authorized_good_lines),
        cmocka_unit_test(test_authorized_bad_lines),
        cmocka_unit_test(test_authorized_same_key_twice),
        cmocka_unit_test(test_authorized_truncated),
        cmocka_unit_test(test_authorized_many),
        IN_DIR(test_authorized_file),
        IN_DIR(test_permits),
    };

    return cmocka_run_group_tests_name("authorized", tests, NULL, NULL);
}
