/*
 * Nothing beneath the root leads out of it: links, absolute paths, "..", and directories swapped
 * for links while they are used. Each test runs with openat2 and with the fall-back.
 */
#include "file/beneath.h"
#include "support/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    struct tmpdir *dir;
    struct vly_root root;
};

/* root/ is served; outside/ is not. */
static void open_fixture(struct fixture *f, void **state, bool walk_only)
{
    f->dir = *state;
    assert_int_equal(vly_root_open(&f->root, tmpdir_at(f->dir, "root")), 0);
    f->root.walk_only = walk_only;
}

static int setup(void **state)
{
    struct tmpdir *d;

    (void)tmpdir_setup(state);
    d = *state;
    tmpdir_mkdir(d, "outside");
    tmpdir_write(d, "outside/secret", "secret", 6);
    tmpdir_mkdir(d, "root");
    tmpdir_mkdir(d, "root/sub");
    tmpdir_mkdir(d, "root/sub/deep");
    tmpdir_write(d, "root/file", "top", 3);
    tmpdir_write(d, "root/sub/deep/file", "deep", 4);
    return 0;
}

static void link_to(const struct fixture *f, const char *target, const char *name)
{
    assert_int_equal(symlink(target, tmpdir_at(f->dir, name)), 0);
}

static void assert_opens(const struct fixture *f, const char *path, const char *content)
{
    char buf[16] = {0};
    struct stat st;
    int fd;

    assert_int_equal(vly_root_open_regular(&f->root, path, &fd, &st), 0);
    assert_int_equal(read(fd, buf, sizeof buf - 1), strlen(content));
    assert_string_equal(buf, content);
    close(fd);
}

static void assert_refuses(const struct fixture *f, const char *path, int want)
{
    struct stat st;
    int fd;

    print_message("  %s\n", path);
    assert_int_equal(vly_root_open_regular(&f->root, path, &fd, &st), want);
    assert_int_equal(fd, -1);
}

static void run_regular(void **state, bool walk_only)
{
    struct fixture f;

    open_fixture(&f, state, walk_only);
    assert_opens(&f, "file", "top");
    assert_opens(&f, "sub/deep/file", "deep");
    assert_refuses(&f, "nope", VLY_E_NOT_FOUND);
    assert_refuses(&f, "sub/nope/file", VLY_E_NOT_FOUND);
    assert_refuses(&f, "sub", VLY_E_IS_DIRECTORY);
    assert_refuses(&f, "", VLY_E_IS_DIRECTORY);
    assert_refuses(&f, "file/x", VLY_E_NOT_DIRECTORY);
    assert_int_equal(mkfifo(tmpdir_at(f.dir, "root/fifo"), 0600), 0);
    assert_refuses(&f, "fifo", VLY_E_NOT_REGULAR);
    vly_root_close(&f.root);
}

static void run_escapes(void **state, bool walk_only)
{
    struct fixture f;

    open_fixture(&f, state, walk_only);
    link_to(&f, tmpdir_at(f.dir, "outside/secret"), "root/absolute");
    link_to(&f, "../outside/secret", "root/relative");
    link_to(&f, "../outside", "root/dir");
    link_to(&f, "file", "root/inside");
    link_to(&f, "..", "root/sub/up");
    link_to(&f, "/proc/self/root", "root/magic");
    assert_refuses(&f, "absolute", VLY_E_REFUSED);
    assert_refuses(&f, "relative", VLY_E_REFUSED);
    assert_refuses(&f, "dir/secret", VLY_E_REFUSED);
    assert_refuses(&f, "inside", VLY_E_REFUSED);
    assert_refuses(&f, "sub/up/file", VLY_E_REFUSED);
    assert_refuses(&f, "magic/etc/passwd", VLY_E_REFUSED);
    assert_refuses(&f, "../outside/secret", VLY_E_REFUSED);
    assert_refuses(&f, "..", VLY_E_REFUSED);
    assert_refuses(&f, tmpdir_at(f.dir, "outside/secret"), VLY_E_REFUSED);
    assert_refuses(&f, "/etc/passwd", VLY_E_REFUSED);
    vly_root_close(&f.root);
}

static void run_parents(void **state, bool walk_only)
{
    struct fixture f;
    const char *name;
    int fd;

    open_fixture(&f, state, walk_only);
    link_to(&f, "../outside", "root/dir");
    assert_int_equal(vly_root_open_parent(&f.root, "new", VLY_PARENTS_MUST_EXIST, &fd, &name), 0);
    assert_string_equal(name, "new");
    close(fd);
    assert_int_equal(
        vly_root_open_parent(&f.root, "sub/deep/new", VLY_PARENTS_MUST_EXIST, &fd, &name), 0);
    assert_int_equal(mkdirat(fd, name, 0700), 0);
    assert_true(tmpdir_exists(f.dir, "root/sub/deep/new"));
    close(fd);
    assert_int_equal(vly_root_open_parent(&f.root, "a/b/c", VLY_PARENTS_MUST_EXIST, &fd, &name),
                     VLY_E_NOT_FOUND);
    assert_int_equal(vly_root_open_parent(&f.root, "a/b/c", VLY_PARENTS_MAKE, &fd, &name), 0);
    assert_true(tmpdir_exists(f.dir, "root/a/b"));
    assert_false(tmpdir_exists(f.dir, "root/a/b/c"));
    close(fd);
    assert_int_equal(vly_root_open_parent(&f.root, "dir/x/y", VLY_PARENTS_MAKE, &fd, &name),
                     VLY_E_REFUSED);
    assert_int_equal(vly_root_open_parent(&f.root, "file/x", VLY_PARENTS_MAKE, &fd, &name),
                     VLY_E_NOT_DIRECTORY);
    assert_int_equal(vly_root_open_parent(&f.root, "../up/x", VLY_PARENTS_MAKE, &fd, &name),
                     VLY_E_REFUSED);
    assert_int_equal(vly_root_open_parent(&f.root, "../x", VLY_PARENTS_MAKE, &fd, &name),
                     VLY_E_REFUSED);
    assert_int_equal(tmpdir_count(f.dir, "outside"), 1);
    assert_int_equal(tmpdir_count(f.dir, ""), 2);
    vly_root_close(&f.root);
}

static void run_mkdir(void **state, bool walk_only)
{
    struct fixture f;
    int fd;

    open_fixture(&f, state, walk_only);
    link_to(&f, "../outside", "root/dir");
    assert_int_equal(vly_root_mkdir(&f.root, "sub/new", 0, &fd), 0);
    assert_int_equal(fsync(fd), 0);
    close(fd);
    assert_int_equal(tmpdir_stat(f.dir, "root/sub/new").st_mode & 07777, 0700);
    assert_int_equal(vly_root_mkdir(&f.root, "sub/new", 0777, &fd), VLY_E_DUPLICATE);
    assert_int_equal(vly_root_mkdir(&f.root, "file", 0777, &fd), VLY_E_NOT_DIRECTORY);
    assert_int_equal(vly_root_mkdir(&f.root, "dir", 0777, &fd), VLY_E_NOT_DIRECTORY);
    assert_int_equal(vly_root_mkdir(&f.root, "dir/x", 0777, &fd), VLY_E_REFUSED);
    assert_int_equal(vly_root_mkdir(&f.root, "no/x", 0777, &fd), VLY_E_NOT_FOUND);
    assert_int_equal(tmpdir_count(f.dir, "outside"), 1);
    vly_root_close(&f.root);
}

struct swapper {
    const struct fixture *f;
    atomic_bool stop;
};

/* Puts a link to outside/ in place of root/sub/, and back, as fast as it goes. */
static void *swap(void *arg)
{
    struct swapper *s = arg;
    char sub[256], link[256];

    strcpy(sub, tmpdir_at(s->f->dir, "root/sub"));
    strcpy(link, tmpdir_at(s->f->dir, "root/link"));
    while (!atomic_load(&s->stop))
        (void)renameat2(AT_FDCWD, sub, AT_FDCWD, link, RENAME_EXCHANGE);
    return NULL;
}

/* A directory changes into a link between one look and the next: the secret is never read, nothing
 * is made outside. */
static void run_swap(void **state, bool walk_only)
{
    struct fixture f;
    struct swapper s = {.f = &f};
    pthread_t thread;
    unsigned opened = 0, refused = 0;

    open_fixture(&f, state, walk_only);
    link_to(&f, "../outside", "root/link");
    tmpdir_write(f.dir, "root/sub/secret", "public", 6);
    assert_int_equal(pthread_create(&thread, NULL, swap, &s), 0);
    for (unsigned i = 0; i < 20000 && (i < 2000 || opened == 0 || refused == 0); i++) {
        char buf[7] = {0};
        const char *name;
        struct stat st;
        int fd;

        if (vly_root_open_regular(&f.root, "sub/secret", &fd, &st) == 0) {
            assert_int_equal(read(fd, buf, 6), 6);
            assert_string_equal(buf, "public");
            close(fd);
            opened++;
        } else {
            refused++;
        }
        if (vly_root_open_parent(&f.root, "sub/made/x", VLY_PARENTS_MAKE, &fd, &name) == 0)
            close(fd);
    }
    atomic_store(&s.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    print_message("  %u opened, %u refused\n", opened, refused);
    assert_true(opened > 0);
    assert_int_equal(tmpdir_count(f.dir, "outside"), 1);
    vly_root_close(&f.root);
}

static void test_root_that_vanishes(void **state)
{
    struct fixture f;
    struct stat st;
    int fd;

    open_fixture(&f, state, false);
    assert_true(vly_root_is_alive(&f.root));
    assert_int_equal(rename(tmpdir_at(f.dir, "root"), tmpdir_at(f.dir, "moved")), 0);
    assert_true(vly_root_is_alive(&f.root)); /* held, wherever it went */
    assert_opens(&f, "file", "top");
    assert_int_equal(unlink(tmpdir_at(f.dir, "moved/file")), 0);
    assert_int_equal(unlink(tmpdir_at(f.dir, "moved/sub/deep/file")), 0);
    assert_int_equal(rmdir(tmpdir_at(f.dir, "moved/sub/deep")), 0);
    assert_int_equal(rmdir(tmpdir_at(f.dir, "moved/sub")), 0);
    assert_int_equal(rmdir(tmpdir_at(f.dir, "moved")), 0);
    tmpdir_mkdir(f.dir, "root"); /* another one of that name is not it */
    assert_false(vly_root_is_alive(&f.root));
    assert_int_equal(vly_root_open_regular(&f.root, "file", &fd, &st), VLY_E_NOT_FOUND);
    vly_root_close(&f.root);
}

static void test_root_has_to_be_a_directory(void **state)
{
    struct vly_root r;

    assert_int_equal(vly_root_open(&r, tmpdir_at(*state, "root/file")), VLY_E_NOT_DIRECTORY);
    assert_int_equal(vly_root_open(&r, tmpdir_at(*state, "nope")), VLY_E_NOT_FOUND);
    vly_root_close(&r);
}

/* Both ways for each. */
#define BOTH(name)                                  \
    static void test_##name##_openat2(void **state) \
    {                                               \
        run_##name(state, false);                   \
    }                                               \
    static void test_##name##_walk(void **state)    \
    {                                               \
        run_##name(state, true);                    \
    }

BOTH(regular)
BOTH(escapes)
BOTH(parents)
BOTH(mkdir)
BOTH(swap)

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TMPDIR(test_regular_openat2),    IN_TMPDIR(test_regular_walk),
        IN_TMPDIR(test_escapes_openat2),    IN_TMPDIR(test_escapes_walk),
        IN_TMPDIR(test_parents_openat2),    IN_TMPDIR(test_parents_walk),
        IN_TMPDIR(test_mkdir_openat2),      IN_TMPDIR(test_mkdir_walk),
        IN_TMPDIR(test_swap_openat2),       IN_TMPDIR(test_swap_walk),
        IN_TMPDIR(test_root_that_vanishes), IN_TMPDIR(test_root_has_to_be_a_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
