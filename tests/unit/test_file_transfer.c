/*
 * Client and server of the file protocol, joined by a fake link that delivers in any order: what
 * arrives, and under which name.
 */
#include "support/file_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEEDS 10

static void test_get_sizes(void **state)
{
    static const size_t sizes[] = {0, 1, 1200, 70000, 1 << 20, (2 << 20) + 12345};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct file_world w;

            fw_begin(&w, state);
            w.fake.seed = seed;
            tmpdir_fill(w.dir, "root/f", sizes[i], seed);
            assert_int_equal(chmod(tmpdir_at(w.dir, "root/f"), 0751), 0);
            assert_int_equal(fw_transfer(&w, VLY_GET, "f", "out"), 0);
            tmpdir_assert_same(w.dir, "root/f", "out/f");
            assert_int_equal(tmpdir_stat(w.dir, "out/f").st_mode & 07777, 0751);
            assert_int_equal(tmpdir_stat(w.dir, "out/f").st_mtim.tv_nsec,
                             tmpdir_stat(w.dir, "root/f").st_mtim.tv_nsec);
            assert_int_equal(w.files_ok, 1);
            assert_int_equal(w.ends_ok, 1);
            assert_int_equal(w.stats.files, 1);
            assert_int_equal(w.stats.bytes, sizes[i]);
            assert_int_equal(w.last.total_bytes, sizes[i]);
            assert_int_equal(w.last.total_done_bytes, sizes[i]);
            assert_int_equal(w.last.files_done, 1);
            assert_int_equal(unlink(tmpdir_at(w.dir, "out/f")), 0);
            fw_end(&w);
        }
}

static void test_put_sizes(void **state)
{
    static const size_t sizes[] = {0, 1, 1200, 70000, 1 << 20, (2 << 20) + 12345};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct file_world w;

            fw_begin(&w, state);
            w.fake.seed = seed;
            tmpdir_fill(w.dir, "out/f", sizes[i], seed);
            assert_int_equal(chmod(tmpdir_at(w.dir, "out/f"), 0604), 0);
            assert_int_equal(fw_transfer(&w, VLY_PUT, "out/f", NULL), 0);
            tmpdir_assert_same(w.dir, "root/f", "out/f");
            assert_int_equal(tmpdir_stat(w.dir, "root/f").st_mode & 07777, 0604);
            assert_int_equal(w.stats.bytes, sizes[i]);
            assert_int_equal(w.last.total_done_bytes, sizes[i]);
            assert_int_equal(w.ends_ok, 1);
            assert_int_equal(unlink(tmpdir_at(w.dir, "root/f")), 0);
            fw_end(&w);
        }
}

/* Narrow in every way at once. */
static void test_transfer_narrow_link(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct file_world w;

        fw_begin(&w, state);
        w.fake = (struct fake_options){.seed = seed,
                                       .piece_bytes = 7,
                                       .room_bytes = 100,
                                       .window_bytes = 50,
                                       .max_streams = 2,
                                       .no_threads = seed % 2 == 0};
        tmpdir_fill(w.dir, "root/f", 20000, seed);
        assert_int_equal(fw_transfer(&w, VLY_GET, "f", "out/g"), 0);
        tmpdir_assert_same(w.dir, "root/f", "out/g");
        assert_int_equal(fw_transfer(&w, VLY_PUT, "out/g", "h"), 0);
        tmpdir_assert_same(w.dir, "root/h", "out/g");
        tmpdir_remove_all(w.dir, "root/f");
        tmpdir_remove_all(w.dir, "root/h");
        tmpdir_remove_all(w.dir, "out/g");
        fw_end(&w);
    }
}

/* ---- trees ---- */

#define TREE_FILES 200

/* root/tree or out/tree: files in directories of ten, an empty directory, a link, a FIFO, an empty
 * file. */
static void make_tree(const struct tmpdir *d, const char *top)
{
    char path[64];

    tmpdir_mkdir(d, top);
    for (unsigned i = 0; i < TREE_FILES; i++) {
        if (i % 10 == 0) {
            snprintf(path, sizeof path, "%s/d%u", top, i / 10);
            tmpdir_mkdir(d, path);
        }
        snprintf(path, sizeof path, "%s/d%u/f%u", top, i / 10, i);
        tmpdir_fill(d, path, i * 37, i);
    }
    snprintf(path, sizeof path, "%s/empty", top);
    tmpdir_mkdir(d, path);
    snprintf(path, sizeof path, "%s/d0/link", top);
    assert_int_equal(symlink("f1", tmpdir_at(d, path)), 0);
    snprintf(path, sizeof path, "%s/fifo", top);
    assert_int_equal(mkfifo(tmpdir_at(d, path), 0600), 0);
}

static void assert_same_tree(const struct tmpdir *d, const char *a, const char *b)
{
    char pa[64], pb[64];

    for (unsigned i = 0; i < TREE_FILES; i++) {
        snprintf(pa, sizeof pa, "%s/d%u/f%u", a, i / 10, i);
        snprintf(pb, sizeof pb, "%s/d%u/f%u", b, i / 10, i);
        tmpdir_assert_same(d, pa, pb);
    }
    snprintf(pb, sizeof pb, "%s/empty", b);
    assert_true(S_ISDIR(tmpdir_stat(d, pb).st_mode));
    assert_int_equal(tmpdir_count(d, b), TREE_FILES / 10 + 1); /* and no link, no FIFO */
    snprintf(pb, sizeof pb, "%s/d0", b);
    assert_int_equal(tmpdir_count(d, pb), 10);
}

static void test_get_tree(void **state)
{
    make_tree(*state, "root/tree");
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct file_world w;

        fw_begin(&w, state);
        w.fake.seed = seed;
        w.fake.max_streams = seed % 2 == 0 ? 256 : 5;
        assert_int_equal(fw_transfer(&w, VLY_GET, "tree", "out"), 0);
        assert_same_tree(w.dir, "root/tree", "out/tree");
        assert_int_equal(w.files_ok, TREE_FILES);
        assert_int_equal(w.stats.files, TREE_FILES);
        assert_int_equal(w.last.files, TREE_FILES);
        assert_int_equal(w.last.files_done, TREE_FILES);
        assert_int_equal(w.last.total_bytes, w.last.total_done_bytes);
        assert_int_equal(w.notices, 2);
        tmpdir_remove_all(w.dir, "out/tree");
        fw_end(&w);
    }
}

static void test_put_tree(void **state)
{
    make_tree(*state, "out/tree");
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct file_world w;

        fw_begin(&w, state);
        w.fake.seed = seed;
        w.fake.max_streams = seed % 2 == 0 ? 256 : 5;
        assert_int_equal(fw_transfer(&w, VLY_PUT, "out/tree", seed % 3 == 0 ? "" : "in"), 0);
        assert_same_tree(w.dir, "out/tree", seed % 3 == 0 ? "root/tree" : "root/in/tree");
        assert_int_equal(w.stats.files, TREE_FILES);
        assert_int_equal(w.last.files, TREE_FILES);
        assert_int_equal(w.last.total_bytes, w.last.total_done_bytes);
        assert_int_equal(w.notices, 2);
        tmpdir_remove_all(w.dir, seed % 3 == 0 ? "root/tree" : "root/in");
        fw_end(&w);
    }
}

/* The whole served directory: it has no name that could be kept. */
static void test_get_root(void **state)
{
    struct file_world w;

    tmpdir_write(*state, "root/a", "a", 1);
    tmpdir_mkdir(*state, "root/d");
    fw_begin(&w, state);
    assert_int_equal(fw_transfer(&w, VLY_GET, "", "out"), 0);
    tmpdir_assert_content(w.dir, "out/a", "a");
    assert_int_equal(fw_transfer(&w, VLY_GET, "/", "out/new"), 0);
    tmpdir_assert_content(w.dir, "out/new/a", "a");
    assert_true(tmpdir_exists(w.dir, "out/new/d"));
    fw_end(&w);
}

/* A tree goes into what is there already; files that are there stay, and are told. */
static void test_get_tree_into_existing(void **state)
{
    struct file_world w;

    tmpdir_mkdir(*state, "root/t");
    tmpdir_write(*state, "root/t/a", "new", 3);
    tmpdir_write(*state, "root/t/b", "new", 3);
    tmpdir_mkdir(*state, "out/t");
    tmpdir_write(*state, "out/t/a", "old", 3);
    fw_begin(&w, state);
    assert_int_equal(fw_transfer(&w, VLY_GET, "t", "out"), VLY_E_EXISTS);
    tmpdir_assert_content(w.dir, "out/t/a", "old");
    tmpdir_assert_content(w.dir, "out/t/b", "new");
    assert_int_equal(w.files_ok, 1);
    assert_int_equal(w.files_failed, 1);
    w.force = true;
    assert_int_equal(fw_transfer(&w, VLY_GET, "t", "out"), 0);
    tmpdir_assert_content(w.dir, "out/t/a", "new");
    fw_end(&w);
}

/* ---- the name it gets ---- */

static void test_get_where(void **state)
{
    static const struct {
        const char *name, *where;
        int want;
        const char *result; /* of root/f; NULL: nothing anywhere */
    } cases[] = {
        {"a directory", "out", 0, "out/f"},
        {"a directory, with a slash", "out/", 0, "out/f"},
        {"a new name", "out/g", 0, "out/g"},
        {"a new name, as a directory", "out/g/", VLY_E_NOT_FOUND, NULL},
        {"in a directory that is not there", "out/no/g", VLY_E_NOT_FOUND, NULL},
        {"in a file", "out/file/g", VLY_E_NOT_DIRECTORY, NULL},
        {"a file that is there", "out/file", VLY_E_EXISTS, NULL},
        {"a link that leads nowhere", "out/link", VLY_E_EXISTS, NULL},
    };

    tmpdir_write(*state, "root/f", "content", 7);
    tmpdir_write(*state, "out/file", "old", 3);
    assert_int_equal(symlink("nowhere", tmpdir_at(*state, "out/link")), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct file_world w;

        print_message("  %s\n", cases[i].name);
        fw_begin(&w, state);
        assert_int_equal(fw_transfer(&w, VLY_GET, "f", cases[i].where), cases[i].want);
        if (cases[i].result != NULL) {
            tmpdir_assert_content(w.dir, cases[i].result, "content");
            tmpdir_remove_all(w.dir, cases[i].result);
        }
        assert_int_equal(tmpdir_count(w.dir, "out"), 2);
        tmpdir_assert_content(w.dir, "out/file", "old");
        fw_end(&w);
    }
}

static void test_put_where(void **state)
{
    static const struct {
        const char *name, *where;
        int want;
        const char *result;
    } cases[] = {
        {"the root", "", 0, "root/f"},
        {"a directory", "dir", 0, "root/dir/f"},
        {"a directory, with a slash", "dir/", 0, "root/dir/f"},
        {"a new name", "g", 0, "root/g"},
        {"a new name in a directory", "/dir/g", 0, "root/dir/g"},
        {"a new name, as a directory", "g/", VLY_E_NOT_FOUND, NULL},
        {"in a directory that is not there", "no/g", VLY_E_NOT_FOUND, NULL},
        {"in a file", "file/g", VLY_E_NOT_DIRECTORY, NULL},
        {"a file that is there", "file", VLY_E_EXISTS, NULL},
        {"out of the root", "../g", VLY_E_BAD_NAME, NULL},
        {"through a link", "link/g", VLY_E_REFUSED, NULL},
    };

    tmpdir_write(*state, "out/f", "content", 7);
    tmpdir_mkdir(*state, "root/dir");
    tmpdir_write(*state, "root/file", "old", 3);
    assert_int_equal(symlink("../out", tmpdir_at(*state, "root/link")), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct file_world w;

        print_message("  %s\n", cases[i].name);
        fw_begin(&w, state);
        assert_int_equal(fw_transfer(&w, VLY_PUT, "out/f", cases[i].where), cases[i].want);
        if (cases[i].result != NULL) {
            tmpdir_assert_content(w.dir, cases[i].result, "content");
            tmpdir_remove_all(w.dir, cases[i].result);
        }
        assert_int_equal(tmpdir_count(w.dir, "root"), 3);
        assert_int_equal(tmpdir_count(w.dir, "root/dir"), 0);
        assert_int_equal(tmpdir_count(w.dir, "out"), 1);
        tmpdir_assert_content(w.dir, "root/file", "old");
        fw_end(&w);
    }
}

static void test_force_replaces(void **state)
{
    struct file_world w;

    tmpdir_write(*state, "root/f", "theirs", 6);
    tmpdir_write(*state, "out/f", "ours", 4);
    fw_begin(&w, state);
    w.force = true;
    assert_int_equal(fw_transfer(&w, VLY_GET, "f", "out"), 0);
    tmpdir_assert_content(w.dir, "out/f", "theirs");
    tmpdir_write(w.dir, "out/f", "ours", 4);
    assert_int_equal(fw_transfer(&w, VLY_PUT, "out/f", ""), 0);
    tmpdir_assert_content(w.dir, "root/f", "ours");
    tmpdir_mkdir(w.dir, "root/d");
    tmpdir_mkdir(w.dir, "root/d/f");
    assert_int_equal(fw_transfer(&w, VLY_PUT, "out/f", "d"), VLY_E_IS_DIRECTORY);
    fw_end(&w);
}

static void test_several_paths(void **state)
{
    static const char *const get[] = {"a", "d", "b"}, *const put[] = {"out/a", "out/d", "out/b"};
    struct file_world w;

    tmpdir_write(*state, "root/a", "a", 1);
    tmpdir_write(*state, "root/b", "b", 1);
    tmpdir_mkdir(*state, "root/d");
    tmpdir_write(*state, "root/d/c", "c", 1);
    tmpdir_mkdir(*state, "root/in");
    fw_begin(&w, state);
    assert_int_equal(fw_start_many(&w, VLY_GET, get, 3, "out/no"), VLY_E_NOT_DIRECTORY);
    assert_int_equal(fw_start_many(&w, VLY_GET, get, 3, "-"), VLY_E_INVALID);
    assert_int_equal(fw_start_many(&w, VLY_GET, get, 3, "out"), 0);
    fw_run(&w);
    fw_stop(&w);
    assert_int_equal(w.err, 0);
    tmpdir_assert_content(w.dir, "out/d/c", "c");
    assert_int_equal(w.files_ok, 3);
    assert_int_equal(fw_start_many(&w, VLY_PUT, put, 3, "in"), 0);
    fw_run(&w);
    fw_stop(&w);
    assert_int_equal(w.err, 0);
    tmpdir_assert_content(w.dir, "root/in/a", "a");
    tmpdir_assert_content(w.dir, "root/in/d/c", "c");
    fw_end(&w);
}

/* ---- standard input and output ---- */

/* Puts `fd` in place of the standard one; returns what was there. */
static int replace_fd(int standard, int fd)
{
    int saved = dup(standard);

    fflush(stdout);
    assert_true(saved >= 0 && dup2(fd, standard) == standard);
    close(fd);
    return saved;
}

static void put_back_fd(int standard, int saved)
{
    assert_int_equal(dup2(saved, standard), standard);
    close(saved);
}

static void test_put_standard_input(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct file_world w;
        int fds[2], saved, err;

        fw_begin(&w, state);
        w.fake.seed = seed;
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], "through a pipe", 14), 14);
        close(fds[1]);
        saved = replace_fd(STDIN_FILENO, fds[0]);
        err = fw_transfer(&w, VLY_PUT, "-", "piped");
        put_back_fd(STDIN_FILENO, saved);
        assert_int_equal(err, 0);
        tmpdir_assert_content(w.dir, "root/piped", "through a pipe");
        assert_int_equal(w.stats.bytes, 14);
        tmpdir_remove_all(w.dir, "root/piped");
        fw_end(&w);
    }
}

static void test_get_standard_output(void **state)
{
    tmpdir_fill(*state, "root/f", 20000, 1); /* a pipe holds it, in whatever pieces */
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct file_world w;
        char got[60000];
        int fds[2], saved, err;
        size_t len;
        char *want;

        fw_begin(&w, state);
        w.fake.seed = seed;
        assert_int_equal(pipe(fds), 0);
        saved = replace_fd(STDOUT_FILENO, fds[1]);
        err = fw_transfer(&w, VLY_GET, "f", "-");
        put_back_fd(STDOUT_FILENO, saved);
        assert_int_equal(err, 0);
        want = tmpdir_read(w.dir, "root/f", &len);
        assert_int_equal(read(fds[0], got, sizeof got), len);
        assert_memory_equal(got, want, len);
        free(want);
        close(fds[0]);
        fw_end(&w);
    }
}

/* ---- listing ---- */

static void test_list(void **state)
{
    struct file_world w;

    tmpdir_mkdir(*state, "root/d");
    tmpdir_mkdir(*state, "root/d/e");
    tmpdir_write(*state, "root/d/f", "123", 3);
    tmpdir_write(*state, "root/g", "", 0);
    assert_int_equal(symlink("g", tmpdir_at(*state, "root/l")), 0);

    fw_begin(&w, state);
    assert_int_equal(fw_transfer(&w, VLY_LIST, "", NULL), 0);
    assert_int_equal(w.n_names, 3);
    assert_true(fw_listed(&w, "d d") && fw_listed(&w, "f g") && fw_listed(&w, "o l"));

    w.n_names = 0;
    w.recursive = true;
    assert_int_equal(fw_transfer(&w, VLY_LIST, "/", NULL), 0);
    assert_int_equal(w.n_names, 5);
    assert_true(fw_listed(&w, "d d/e") && fw_listed(&w, "f d/f"));

    w.n_names = 0;
    assert_int_equal(fw_transfer(&w, VLY_LIST, "d/f", NULL), 0);
    assert_int_equal(w.n_names, 1);
    assert_true(fw_listed(&w, "f f"));
    assert_int_equal(fw_transfer(&w, VLY_LIST, "no", NULL), VLY_E_NOT_FOUND);
    assert_int_equal(fw_transfer(&w, VLY_LIST, "../x", NULL), VLY_E_BAD_NAME);
    fw_end(&w);
}

/* More entries than the control stream takes at once: the walk waits for the reader. */
static void test_list_long(void **state)
{
    struct file_world w;
    char name[32];

    for (unsigned i = 0; i < 350; i++) {
        snprintf(name, sizeof name, "root/file-%u", i);
        tmpdir_write(*state, name, "", 0);
    }
    fw_begin(&w, state);
    w.fake.room_bytes = 300;
    w.fake.window_bytes = 200;
    w.fake.piece_bytes = 100;
    assert_int_equal(fw_transfer(&w, VLY_LIST, "", NULL), 0);
    assert_int_equal(w.n_names, 350);
    fw_end(&w);
}

/* A name that the protocol cannot carry is told in the end; all others come first. */
static void test_list_with_a_name_that_cannot_be_told(void **state)
{
    struct file_world w;

    tmpdir_write(*state, "root/bad\nname", "", 0);
    tmpdir_write(*state, "root/good", "", 0);
    fw_begin(&w, state);
    assert_int_equal(fw_transfer(&w, VLY_LIST, "", NULL), VLY_E_BAD_NAME);
    assert_true(fw_listed(&w, "f good"));
    assert_non_null(strstr(w.text, "bad\\x0aname"));
    assert_int_equal(fw_transfer(&w, VLY_GET, "", "out"), VLY_E_BAD_NAME);
    assert_true(tmpdir_exists(w.dir, "out/good"));
    fw_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_get_sizes),
        IN_WORLD(test_put_sizes),
        IN_WORLD(test_transfer_narrow_link),
        IN_WORLD(test_get_tree),
        IN_WORLD(test_put_tree),
        IN_WORLD(test_get_root),
        IN_WORLD(test_get_tree_into_existing),
        IN_WORLD(test_get_where),
        IN_WORLD(test_put_where),
        IN_WORLD(test_force_replaces),
        IN_WORLD(test_several_paths),
        IN_WORLD(test_put_standard_input),
        IN_WORLD(test_get_standard_output),
        IN_WORLD(test_list),
        IN_WORLD(test_list_long),
        IN_WORLD(test_list_with_a_name_that_cannot_be_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
