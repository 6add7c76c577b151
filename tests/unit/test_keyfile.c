/*
 * Key files: what is written is read, by its owner alone, and nothing that is there is lost.
 */
#include "cli/keyfile.h"

#include "cli/guard.h"
#include "cli/home.h"
#include "cli/keylog.h"
#include "crypto/crypto.h"
#include "support/tmpdir.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define GOOD "volley secret key 1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static void write_secret(const struct tmpdir *d, const char *name, const char *text)
{
    tmpdir_write(d, name, text, strlen(text));
    assert_int_equal(chmod(tmpdir_at(d, name), 0600), 0);
}

static int read_key(const struct tmpdir *d, const char *name, uint8_t out[VLY_SECRET_BYTES])
{
    struct vly_fault why = {.text = ""};
    uint8_t *key;
    int err = vly_keyfile_read(tmpdir_at(d, name), VLY_KEYFILE_SECRET, &key, &why);

    if (err == 0)
        memcpy(out, key, VLY_SECRET_BYTES);
    else
        assert_true(why.err == err && strstr(why.text, name) != NULL && key == NULL);
    vly_keyfile_key_free(key);
    return err;
}

static void test_keyfile_reads_what_it_makes(void **state)
{
    const struct tmpdir *d = *state;
    uint8_t a[VLY_SECRET_BYTES], b[VLY_SECRET_BYTES];
    struct vly_fault why;
    uint8_t *shared;

    assert_int_equal(vly_keyfile_make(tmpdir_at(d, "deep/er/key"), VLY_KEYFILE_SECRET, false, &why),
                     0);
    assert_int_equal(tmpdir_stat(d, "deep/er/key").st_mode & 0777, 0600);
    assert_int_equal(tmpdir_stat(d, "deep").st_mode & 0777, 0700);
    assert_int_equal(tmpdir_stat(d, "deep/er").st_mode & 0777, 0700);
    assert_int_equal(tmpdir_count(d, "deep/er"), 1);
    assert_int_equal(read_key(d, "deep/er/key", a), 0);
    assert_int_equal(vly_keyfile_make(tmpdir_at(d, "other"), VLY_KEYFILE_SECRET, false, &why), 0);
    assert_int_equal(read_key(d, "other", b), 0);
    assert_memory_not_equal(a, b, sizeof(a));
    /* The two kinds are not taken for each other. */
    assert_int_equal(vly_keyfile_read(tmpdir_at(d, "other"), VLY_KEYFILE_SHARED, &shared, &why),
                     VLY_E_MALFORMED);
    assert_non_null(strstr(why.text, "--psk"));
}

static void test_keyfile_is_never_overwritten_unasked(void **state)
{
    const struct tmpdir *d = *state;
    uint8_t before[VLY_SECRET_BYTES], after[VLY_SECRET_BYTES];
    struct vly_fault why;

    write_secret(d, "key", GOOD "\n");
    assert_int_equal(read_key(d, "key", before), 0);
    assert_int_equal(vly_keyfile_make(tmpdir_at(d, "key"), VLY_KEYFILE_SECRET, false, &why),
                     VLY_E_EXISTS);
    assert_int_equal(read_key(d, "key", after), 0);
    assert_memory_equal(before, after, sizeof(before));
    assert_int_equal(vly_keyfile_make(tmpdir_at(d, "key"), VLY_KEYFILE_SECRET, true, &why), 0);
    assert_int_equal(read_key(d, "key", after), 0);
    assert_memory_not_equal(before, after, sizeof(before));
    assert_int_equal(tmpdir_count(d, ""), 1);
}

static void test_keyfile_spellings(void **state)
{
    const struct tmpdir *d = *state;
    static const struct {
        const char *text;
        int err;
    } cases[] = {
        {GOOD, 0},
        {GOOD "\n", 0},
        {GOOD "\r\n", 0},
        {GOOD "\n\n", VLY_E_MALFORMED},
        {GOOD " ", VLY_E_MALFORMED},
        {"\n" GOOD, VLY_E_MALFORMED},
        {"volley secret key 2\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", VLY_E_MALFORMED},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", VLY_E_MALFORMED},
        {"volley secret key 1\n", VLY_E_MALFORMED},
        {"volley secret key 1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", VLY_E_MALFORMED},
        {"volley secret key 1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", VLY_E_MALFORMED},
        {"volley secret key 1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", VLY_E_MALFORMED},
        {"", VLY_E_MALFORMED},
    };
    uint8_t key[VLY_SECRET_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  case %zu\n", i);
        write_secret(d, "key", cases[i].text);
        assert_int_equal(read_key(d, "key", key), cases[i].err);
    }
    assert_int_equal(key[31], 31);
}

/* Cut anywhere, or with a byte too many up to more than is ever read, it is no key. */
static void test_keyfile_truncated_and_too_long(void **state)
{
    const struct tmpdir *d = *state;
    char text[600];
    uint8_t key[VLY_SECRET_BYTES];

    memset(text, 'A', sizeof(text));
    memcpy(text, GOOD, strlen(GOOD));
    for (size_t len = 0; len < sizeof(text); len += len < 70 ? 1 : 37) {
        tmpdir_write(d, "key", text, len);
        assert_int_equal(chmod(tmpdir_at(d, "key"), 0600), 0);
        assert_int_equal(read_key(d, "key", key), len == strlen(GOOD) ? 0 : VLY_E_MALFORMED);
    }
}

static void test_keyfile_that_others_have_access_to(void **state)
{
    const struct tmpdir *d = *state;
    uint8_t key[VLY_SECRET_BYTES];
    struct vly_fault why;
    uint8_t *none;

    write_secret(d, "key", GOOD);
    for (unsigned mode = 0; mode <= 0777; mode++) {
        if ((mode & 0400) == 0)
            continue; /* root reads it nevertheless */
        assert_int_equal(chmod(tmpdir_at(d, "key"), mode), 0);
        assert_int_equal(read_key(d, "key", key), (mode & 077) == 0 ? 0 : VLY_E_PERMISSION);
    }
    assert_int_equal(vly_keyfile_read(tmpdir_at(d, "key"), VLY_KEYFILE_SECRET, &none, &why),
                     VLY_E_PERMISSION);
    assert_non_null(strstr(why.text, "chmod 600"));
}

static void test_keyfile_of_another_kind(void **state)
{
    const struct tmpdir *d = *state;
    uint8_t key[VLY_SECRET_BYTES];

    tmpdir_mkdir(d, "dir");
    assert_int_equal(mkfifo(tmpdir_at(d, "fifo"), 0600), 0); /* which would keep us waiting */
    assert_int_equal(read_key(d, "dir", key), VLY_E_NOT_REGULAR);
    assert_int_equal(read_key(d, "fifo", key), VLY_E_NOT_REGULAR);
    assert_int_equal(read_key(d, "nothing", key), VLY_E_NOT_FOUND);
}

/* A link is followed, and the file behind it is what counts. */
static void test_keyfile_behind_a_link(void **state)
{
    const struct tmpdir *d = *state;
    uint8_t key[VLY_SECRET_BYTES];
    struct vly_fault why;

    write_secret(d, "key", GOOD);
    assert_int_equal(symlink("key", tmpdir_at(d, "link")), 0);
    assert_int_equal(read_key(d, "link", key), 0);
    assert_int_equal(chmod(tmpdir_at(d, "key"), 0644), 0);
    assert_int_equal(read_key(d, "link", key), VLY_E_PERMISSION);
    /* Writing never goes through one. */
    assert_int_equal(symlink("elsewhere", tmpdir_at(d, "dangling")), 0);
    assert_int_equal(vly_keyfile_make(tmpdir_at(d, "dangling"), VLY_KEYFILE_SECRET, false, &why),
                     VLY_E_EXISTS);
    assert_int_equal(vly_keyfile_make(tmpdir_at(d, "link"), VLY_KEYFILE_SECRET, true, &why), 0);
    assert_false(tmpdir_exists(d, "elsewhere"));
    tmpdir_assert_content(d, "key", GOOD);
}

/* Servers that start for the first time at once agree on one key. */
static void test_keyfile_made_by_many_at_once(void **state)
{
    const struct tmpdir *d = *state;
    enum { MANY = 8 };
    pid_t children[MANY];
    struct vly_fault why;
    uint8_t *key;
    bool made;
    int pipes[2], go;

    assert_int_equal(pipe(pipes), 0);
    for (unsigned i = 0; i < MANY; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            close(pipes[1]);
            (void)!read(pipes[0], &go, 1); /* until the parent closes its end */
            if (vly_keyfile_read_or_make(tmpdir_at(d, "key"), &key, &made, &why) != 0)
                _exit(255);
            _exit(key[0] & 0x7f);
        }
    }
    close(pipes[0]);
    close(pipes[1]);
    for (unsigned i = 0; i < MANY; i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        children[i] = WEXITSTATUS(status);
    }
    assert_int_equal(vly_keyfile_read_or_make(tmpdir_at(d, "key"), &key, &made, &why), 0);
    assert_false(made);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(children[i], key[0] & 0x7f);
    assert_int_equal(tmpdir_count(d, ""), 1);
    vly_keyfile_key_free(key);
}

/* RFC 7748, 6.1: Alice's keys. */
static void test_keyfile_public_key(void **state)
{
    const struct tmpdir *d = *state;
    uint8_t secret[VLY_SECRET_BYTES], public_key[VLY_PUBLIC_KEY_BYTES];

    write_secret(d, "key", "volley secret key 1\ndwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n");
    assert_int_equal(read_key(d, "key", secret), 0);
    vly_keyfile_public(secret, public_key);
    test_assert_hex(public_key, sizeof(public_key),
                    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
}

static void test_home_follows_the_environment(void **state)
{
    static const struct {
        const char *volley_home, *xdg, *home, *path; /* path NULL: none */
    } cases[] = {
        {"/k", "/x", "/h", "/k/identity"},
        {"here", "/x", "/h", "here/identity"}, /* named for this: also relative */
        {"", "/x", "/h", "/x/volley/identity"},
        {NULL, "/x", "/h", "/x/volley/identity"},
        {NULL, "x", "/h", "/h/.config/volley/identity"}, /* by its own standard: ignored */
        {NULL, "", "/h", "/h/.config/volley/identity"},
        {NULL, NULL, "/h", "/h/.config/volley/identity"},
        {NULL, NULL, "h", NULL},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const names[] = {"VOLLEY_HOME", "XDG_CONFIG_HOME", "HOME"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const values[] = {cases[i].volley_home, cases[i].xdg, cases[i].home};
        struct vly_home_path path;
        struct vly_fault why;

        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            assert_int_equal(
                values[k] != NULL ? setenv(names[k], values[k], 1) : unsetenv(names[k]), 0);
        if (cases[i].path == NULL) {
            assert_int_equal(vly_home_path(&path, "identity", &why), VLY_E_NOT_FOUND);
            assert_non_null(strstr(why.text, "VOLLEY_HOME"));
        } else {
            assert_int_equal(vly_home_path(&path, "identity", &why), 0);
            assert_string_equal(path.s, cases[i].path);
        }
    }
}

static void test_keylog_is_its_owners_alone(void **state)
{
    const struct tmpdir *d = *state;
    struct vly_fault why;
    int fd;

    for (unsigned i = 0; i < 2; i++) { /* the second time it is appended to */
        assert_int_equal(vly_keylog_open(tmpdir_at(d, "log"), &fd, &why), 0);
        vly_keylog_write(&fd, "a line");
        close(fd);
    }
    tmpdir_assert_content(d, "log", "a line\na line\n");
    assert_int_equal(tmpdir_stat(d, "log").st_mode & 0777, 0600);
    assert_int_equal(chmod(tmpdir_at(d, "log"), 0640), 0);
    assert_int_equal(vly_keylog_open(tmpdir_at(d, "log"), &fd, &why), VLY_E_PERMISSION);
    assert_int_equal(symlink("planted", tmpdir_at(d, "link")), 0);
    assert_int_equal(vly_keylog_open(tmpdir_at(d, "link"), &fd, &why), VLY_E_REFUSED);
    assert_false(tmpdir_exists(d, "planted"));
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_keyfile_reads_what_it_makes),
        IN_DIR(test_keyfile_is_never_overwritten_unasked),
        IN_DIR(test_keyfile_spellings),
        IN_DIR(test_keyfile_truncated_and_too_long),
        IN_DIR(test_keyfile_that_others_have_access_to),
        IN_DIR(test_keyfile_of_another_kind),
        IN_DIR(test_keyfile_behind_a_link),
        IN_DIR(test_keyfile_made_by_many_at_once),
        IN_DIR(test_keyfile_public_key),
        IN_DIR(test_keylog_is_its_owners_alone),
        cmocka_unit_test(test_home_follows_the_environment),
    };

    return cmocka_run_group_tests_name("keyfile", tests, NULL, NULL);
}
