/*
 * The tree walk: everything once, directories before their content, links told and not followed.
 */
#include "file/tree.h"
#include "support/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEEN_MAX 512

struct seen {
    size_t n;
    struct {
        char path[VLY_TREE_DEPTH_MAX * 4];
        struct vly_tree_entry e;
    } at[SEEN_MAX];
};

static void walk(const struct tmpdir *d, bool recursive, struct seen *seen)
{
    int fd = open(tmpdir_at(d, ""), O_RDONLY | O_DIRECTORY);
    struct vly_tree_entry e;
    struct vly_tree *t;

    assert_int_equal(vly_tree_open(&t, fd, recursive), 0);
    for (seen->n = 0; vly_tree_next(t, &e); seen->n++) {
        assert_true(seen->n < SEEN_MAX);
        snprintf(seen->at[seen->n].path, sizeof seen->at[0].path, "%s", e.path);
        seen->at[seen->n].e = e;
    }
    assert_false(vly_tree_next(t, &e));
    vly_tree_close(t);
}

/* The index of `path`; fails when it is not there exactly once. */
static size_t at(const struct seen *seen, const char *path)
{
    size_t found = SEEN_MAX;

    for (size_t i = 0; i < seen->n; i++) {
        if (strcmp(seen->at[i].path, path) != 0)
            continue;
        assert_int_equal(found, SEEN_MAX);
        found = i;
    }
    assert_true(found < SEEN_MAX);
    return found;
}

static struct seen seen;

static void test_tree_everything_once(void **state)
{
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = -2, .tv_nsec = 500000000}};

    tmpdir_write(*state, "a", "12345", 5);
    assert_int_equal(chmod(tmpdir_at(*state, "a"), 0640), 0);
    assert_int_equal(utimensat(AT_FDCWD, tmpdir_at(*state, "a"), times, 0), 0);
    tmpdir_mkdir(*state, "d");
    tmpdir_mkdir(*state, "d/empty");
    tmpdir_mkdir(*state, "d/e");
    tmpdir_write(*state, "d/e/f", "1", 1);
    tmpdir_write(*state, "d/.hidden", "", 0);
    assert_int_equal(symlink("a", tmpdir_at(*state, "link")), 0);
    assert_int_equal(symlink("d", tmpdir_at(*state, "dirlink")), 0);
    assert_int_equal(mkfifo(tmpdir_at(*state, "fifo"), 0600), 0);
    tmpdir_write(*state, "d/.volley-abcdefgh.part", "half", 4);

    walk(*state, true, &seen);
    assert_int_equal(seen.n, 9);
    assert_int_equal(seen.at[at(&seen, "a")].e.kind, VLY_KIND_FILE);
    assert_int_equal(seen.at[at(&seen, "a")].e.size_bytes, 5);
    assert_int_equal(seen.at[at(&seen, "a")].e.mode, 0640);
    assert_int_equal(seen.at[at(&seen, "a")].e.mtime_ns, INT64_C(-1500000000));
    assert_int_equal(seen.at[at(&seen, "d/empty")].e.kind, VLY_KIND_DIRECTORY);
    assert_int_equal(seen.at[at(&seen, "fifo")].e.kind, VLY_KIND_OTHER);
    assert_false(seen.at[at(&seen, "fifo")].e.is_link);
    assert_true(seen.at[at(&seen, "link")].e.is_link);
    assert_int_equal(seen.at[at(&seen, "dirlink")].e.kind, VLY_KIND_OTHER);
    assert_true(at(&seen, "d") < at(&seen, "d/e") && at(&seen, "d/e") < at(&seen, "d/e/f"));
    assert_true(at(&seen, "d") < at(&seen, "d/.hidden"));

    walk(*state, false, &seen);
    assert_int_equal(seen.n, 5);
}

static void test_tree_names_that_cannot_be_told(void **state)
{
    tmpdir_write(*state, "bad\nname", "", 0);
    tmpdir_mkdir(*state, "bad\x1b"
                         "dir");
    tmpdir_write(*state, "good", "", 0);
    walk(*state, true, &seen);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.at[at(&seen, "bad\nname")].e.err, VLY_E_BAD_NAME);
    assert_int_equal(seen.at[at(&seen, "bad\x1b"
                                       "dir")]
                         .e.err,
                     VLY_E_BAD_NAME);
    assert_int_equal(seen.at[at(&seen, "good")].e.err, 0);
}

/* A directory that cannot be read is told twice: that it is there, and why it was not entered. */
static void test_tree_unreadable_directory(void **state)
{
    size_t denied = 0;

    if (geteuid() == 0)
        skip(); /* root reads everything */
    tmpdir_mkdir(*state, "closed");
    tmpdir_write(*state, "good", "", 0);
    assert_int_equal(chmod(tmpdir_at(*state, "closed"), 0), 0);
    walk(*state, true, &seen);
    assert_int_equal(seen.n, 3);
    for (size_t i = 0; i < seen.n; i++)
        denied += seen.at[i].e.err == VLY_E_PERMISSION;
    assert_int_equal(denied, 1);
}

/* 64 levels are walked, a 65th is told and not entered. */
static void test_tree_depth(void **state)
{
    char path[400] = "";
    size_t deepest = 0, refused = 0;

    for (unsigned i = 0; i < 70; i++) {
        strcat(path, i > 0 ? "/d" : "d");
        tmpdir_mkdir(*state, path);
    }
    walk(*state, true, &seen);
    for (size_t i = 0; i < seen.n; i++) {
        size_t depth = (strlen(seen.at[i].path) + 1) / 2;

        if (seen.at[i].e.err != 0)
            refused++;
        else
            deepest = depth > deepest ? depth : deepest;
    }
    assert_int_equal(deepest, VLY_TREE_DEPTH_MAX);
    assert_int_equal(refused, 1);
}

/* A link that leads back up does not make it endless, a removed directory does not stop it. */
static void test_tree_changes_meanwhile(void **state)
{
    struct vly_tree_entry e;
    struct vly_tree *t;
    size_t n = 0;
    int fd;

    tmpdir_mkdir(*state, "d");
    assert_int_equal(symlink("..", tmpdir_at(*state, "d/up")), 0);
    for (unsigned i = 0; i < 20; i++) {
        char name[16];

        snprintf(name, sizeof name, "e%u", i);
        tmpdir_mkdir(*state, name);
    }
    fd = open(tmpdir_at(*state, ""), O_RDONLY | O_DIRECTORY);
    assert_int_equal(vly_tree_open(&t, fd, true), 0);
    while (vly_tree_next(t, &e)) {
        assert_int_equal(e.err, 0);
        n++;
        if (e.path[0] == 'e')
            assert_int_equal(rmdir(tmpdir_at(*state, e.path)), 0);
    }
    assert_int_equal(n, 22);
    vly_tree_close(t);
}

static void test_tree_of_no_directory(void **state)
{
    struct vly_tree *t;
    int fd;

    tmpdir_write(*state, "f", "", 0);
    fd = open(tmpdir_at(*state, "f"), O_RDONLY);
    assert_int_equal(vly_tree_open(&t, fd, true), VLY_E_NOT_DIRECTORY);
    assert_null(t);
    assert_int_equal(close(fd), -1);
    assert_int_equal(errno, EBADF);
    vly_tree_close(NULL);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TMPDIR(test_tree_everything_once),      IN_TMPDIR(test_tree_names_that_cannot_be_told),
        IN_TMPDIR(test_tree_unreadable_directory), IN_TMPDIR(test_tree_depth),
        IN_TMPDIR(test_tree_changes_meanwhile),    IN_TMPDIR(test_tree_of_no_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
