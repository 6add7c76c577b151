/*
 * File sinks: the target name holds what it held before, or all of the new content; nothing else is
 * left behind, however it ends.
 */
#include "support/sink_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_sink_any_order_any_size(void **state)
{
    static const size_t sizes[] = {0, 1, 1459, 100000, 256 << 10, 1 << 20, (5 << 20) + 77};
    static const size_t pieces[] = {1459, 20000, 65000};
    static const size_t windows[] = {1, 5, 100000};

    for (size_t i = 0; i < ARRAY_LEN(sizes) * 9; i++) {
        size_t len = sizes[i / 9];
        uint8_t *data = sink_content(len, i);
        struct sink_fixture f;
        struct stat st;

        sink_begin(&f, state, len);
        f.spec.size_bytes = i % 2 == 0 ? len : VLY_SIZE_UNKNOWN;
        f.budget.left_bytes = 4 * MIB;
        assert_int_equal(sink_open(&f), 0);
        sink_write_shuffled(&f, data, len, pieces[i % 3], windows[i / 3 % 3], i);
        assert_false(tmpdir_exists(f.dir, "target"));
        assert_int_equal(tmpdir_count_temps(f.dir), 1);
        sink_finish(&f, data, len);
        assert_int_equal(f.result.err, 0);
        sink_assert_target(&f, data, len);
        st = tmpdir_stat(f.dir, "target");
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(st.st_mtim.tv_sec, 1234567890);
        assert_int_equal(st.st_mtim.tv_nsec, 123456789);
        sink_end(&f, true);
        assert_int_equal(unlink(tmpdir_at(f.dir, "target")), 0);
        free(data);
    }
}

/* Content above a gap is hashed soon after the gap closes, not all at the end. */
static void test_sink_catches_up(void **state)
{
    size_t len = 8 * MIB, at = 0;
    uint8_t *data = sink_content(len, 1);
    struct sink_fixture f;

    sink_begin(&f, state, len);
    assert_int_equal(sink_open(&f), 0);
    for (at = 1000; at < 4 * MIB; at += 1000)
        assert_int_equal(sink_write_at(&f, data, at, 1000), 0);
    assert_int_equal(f.sink->hash.bytes, 0);
    assert_int_equal(sink_write_at(&f, data, 0, 1000), 0);
    for (; at < 6 * MIB; at += 1000) {
        assert_int_equal(sink_write_at(&f, data, at, 1000), 0);
        sink_run_jobs(&f);
    }
    assert_true(f.sink->hash.bytes > 5 * MIB);
    for (; at < len; at += 1000)
        assert_int_equal(sink_write_at(&f, data, at, len - at < 1000 ? len - at : 1000), 0);
    sink_finish(&f, data, len);
    assert_int_equal(f.result.err, 0);
    sink_assert_target(&f, data, len);
    sink_end(&f, true);
    free(data);
}

/* A file that ends with zeros: they come first and are a hole behind the file's end when they are
 * hashed; the file is as long as it should be. */
static void test_sink_ends_with_a_hole(void **state)
{
    for (int reversed = 0; reversed < 2; reversed++) {
        uint8_t *data = sink_content(2 * MIB, 1);
        struct sink_fixture f;

        memset(data + MIB, 0, MIB);
        sink_begin(&f, state, VLY_SIZE_UNKNOWN);
        assert_int_equal(sink_open(&f), 0);
        assert_int_equal(sink_write_at(&f, data, reversed ? MIB : 0, MIB / 2), 0);
        assert_int_equal(sink_write_at(&f, data, reversed ? 0 : MIB / 2, MIB), 0);
        assert_int_equal(sink_write_at(&f, data, 3 * MIB / 2, MIB / 2), 0);
        assert_int_equal(f.sink->hash.bytes, 2 * MIB);
        sink_finish(&f, data, 2 * MIB);
        assert_int_equal(f.result.err, 0);
        sink_assert_target(&f, data, 2 * MIB);
        assert_in_range(tmpdir_stat(f.dir, "target").st_blocks * 512, MIB, MIB + MIB / 8);
        sink_end(&f, true);
        assert_int_equal(unlink(tmpdir_at(f.dir, "target")), 0);
        free(data);
    }
}

static void test_sink_temp_is_private(void **state)
{
    struct sink_fixture f;
    struct stat st;
    char *name;

    sink_begin(&f, state, 1);
    assert_int_equal(sink_open(&f), 0);
    name = tmpdir_only_entry(f.dir);
    st = tmpdir_stat(f.dir, name);
    assert_int_equal(st.st_mode & 07777, 0600);
    free(name);
    sink_end(&f, false);
}

static void test_sink_wrong_hash(void **state)
{
    struct sink_fixture f;

    sink_begin(&f, state, 3);
    assert_int_equal(sink_open(&f), 0);
    assert_int_equal(sink_write_at(&f, (const uint8_t *)"abd", 0, 3), 0);
    sink_finish(&f, (const uint8_t *)"abc", 3);
    assert_int_equal(f.result.err, VLY_E_INTEGRITY);
    sink_end(&f, false);
}

static void test_sink_wrong_size(void **state)
{
    struct sink_fixture f;

    sink_begin(&f, state, 4);
    assert_int_equal(sink_open(&f), 0);
    assert_int_equal(sink_write_at(&f, (const uint8_t *)"abc", 0, 3), 0);
    sink_finish(&f, (const uint8_t *)"abcd", 4);
    assert_int_equal(f.result.err, VLY_E_INTEGRITY);
    sink_end(&f, false);
}

static void test_sink_more_than_announced(void **state)
{
    struct sink_fixture f;

    sink_begin(&f, state, 3);
    assert_int_equal(sink_open(&f), 0);
    assert_int_equal(sink_write_at(&f, (const uint8_t *)"abcd", 0, 4), VLY_E_PROTOCOL);
    assert_int_equal(sink_write_at(&f, (const uint8_t *)"abcd", 3, 1), VLY_E_PROTOCOL);
    assert_int_equal(
        vly_sink_write(f.sink, UINT64_MAX, (struct vly_span){(const uint8_t *)"a", 1}, &f.why),
        VLY_E_PROTOCOL);
    sink_end(&f, false);
}

/* ---- the target ---- */

static void test_sink_target_exists(void **state)
{
    struct sink_fixture f;

    tmpdir_write(*state, "target", "old", 3);
    sink_begin(&f, state, 3);
    assert_int_equal(sink_open(&f), VLY_E_EXISTS);
    assert_null(f.sink);
    tmpdir_assert_content(f.dir, "target", "old");
    sink_end(&f, true);
}

/* A pipe, like a device, is not a file to replace, whatever was asked. */
static void test_sink_target_is_a_pipe(void **state)
{
    for (int replace = 0; replace < 2; replace++) {
        struct sink_fixture f;
        struct stat st;

        sink_begin(&f, state, 3);
        assert_int_equal(mkfifo(tmpdir_at(f.dir, "target"), 0600), 0);
        f.spec.replace = replace != 0;
        assert_int_equal(sink_open(&f), VLY_E_NOT_REGULAR);
        assert_int_equal(lstat(tmpdir_at(f.dir, "target"), &st), 0);
        assert_true(S_ISFIFO(st.st_mode));
        assert_int_equal(unlink(tmpdir_at(f.dir, "target")), 0);
        sink_end(&f, false);
    }
}

static void test_sink_target_replaced_at_the_end(void **state)
{
    struct sink_fixture f;

    tmpdir_write(*state, "target", "old", 3);
    sink_begin(&f, state, 3);
    f.spec.replace = true;
    assert_int_equal(sink_open(&f), 0);
    assert_int_equal(sink_write_at(&f, (const uint8_t *)"new", 0, 3), 0);
    tmpdir_assert_content(f.dir, "target", "old");
    sink_finish(&f, (const uint8_t *)"new", 3);
    assert_int_equal(f.result.err, 0);
    tmpdir_assert_content(f.dir, "target", "new");
    sink_end(&f, true);
}

/* What appears under the name meanwhile: is it kept, and what does the sink say? */
static void test_sink_target_appears(void **state)
{
    static const struct {
        const char *name;
        char kind; /* f file, d directory, l link */
        bool replace;
        int want;
    } cases[] = {
        {"a file", 'f', false, VLY_E_EXISTS},
        {"a file, to be replaced", 'f', true, 0},
        {"a directory", 'd', false, VLY_E_EXISTS},
        {"a directory, to be replaced", 'd', true, VLY_E_IS_DIRECTORY},
        {"a link", 'l', false, VLY_E_EXISTS},
        {"a link, to be replaced, not followed", 'l', true, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sink_fixture f;

        print_message("  %s\n", cases[i].name);
        sink_begin(&f, state, 3);
        f.spec.replace = cases[i].replace;
        assert_int_equal(sink_open(&f), 0);
        assert_int_equal(sink_write_at(&f, (const uint8_t *)"new", 0, 3), 0);
        tmpdir_write(f.dir, "elsewhere", "theirs", 6);
        if (cases[i].kind == 'f')
            tmpdir_write(f.dir, "target", "theirs", 6);
        else if (cases[i].kind == 'd')
            tmpdir_mkdir(f.dir, "target");
        else
            assert_int_equal(symlink("elsewhere", tmpdir_at(f.dir, "target")), 0);
        sink_finish(&f, (const uint8_t *)"new", 3);
        assert_int_equal(f.result.err, cases[i].want);
        tmpdir_assert_content(f.dir, "elsewhere", "theirs");
        if (cases[i].kind != 'd')
            tmpdir_assert_content(f.dir, "target", cases[i].want == 0 ? "new" : "theirs");
        sink_end(&f, true);
        assert_int_equal(remove(tmpdir_at(f.dir, "target")), 0);
    }
}

static void test_sink_target_is_a_directory(void **state)
{
    struct sink_fixture f;

    tmpdir_mkdir(*state, "target");
    sink_begin(&f, state, 3);
    f.spec.replace = true;
    assert_int_equal(sink_open(&f), VLY_E_IS_DIRECTORY);
    sink_end(&f, true);
}

static void test_sink_directory_vanishes(void **state)
{
    struct sink_fixture f;

    tmpdir_mkdir(*state, "d");
    sink_begin(&f, state, 3);
    f.spec.dir_fd = open(tmpdir_at(f.dir, "d"), O_RDONLY | O_DIRECTORY);
    assert_int_equal(vly_sink_open_file(&f.sink, &f.spec, &f.why), 0);
    assert_int_equal(sink_write_at(&f, (const uint8_t *)"new", 0, 3), 0);
    tmpdir_remove_all(f.dir, "d");
    sink_finish(&f, (const uint8_t *)"new", 3);
    assert_int_equal(f.result.err, VLY_E_NOT_FOUND);
    sink_end(&f, false);
}

/* ---- ending early ---- */

static void test_sink_closed_at_each_point(void **state)
{
    uint8_t *data = sink_content(4 * MIB, 1);

    for (unsigned point = 0; point < 5; point++) {
        struct vly_sink_end e = sink_end_of(data, 4 * MIB);
        struct sink_fixture f;

        sink_begin(&f, state, 4 * MIB);
        assert_int_equal(sink_open(&f), 0);
        if (point >= 1) /* 0: while space is set aside */
            sink_run_jobs(&f);
        if (point >= 2)
            assert_int_equal(sink_write_at(&f, data, 0, 2 * MIB), 0);
        if (point >= 3)
            assert_int_equal(sink_write_at(&f, data, 2 * MIB, 2 * MIB), 0);
        if (point >= 4) /* while it is published */
            vly_sink_finish(f.sink, &e);
        sink_end(&f, false);
        assert_int_equal(f.finished, 0);
    }
    free(data);
}

static void test_sink_finish_waits_for_space(void **state)
{
    uint8_t *data = sink_content(2 * MIB, 1);
    struct vly_sink_end e = sink_end_of(data, 2 * MIB);
    struct sink_fixture f;

    sink_begin(&f, state, 2 * MIB);
    assert_int_equal(sink_open(&f), 0);
    assert_int_equal(sink_write_at(&f, data, 0, 2 * MIB), 0);
    vly_sink_finish(f.sink, &e);
    sink_run_jobs(&f);
    assert_int_equal(f.ready, 0);
    assert_int_equal(f.finished, 1);
    assert_int_equal(f.result.err, 0);
    sink_assert_target(&f, data, 2 * MIB);
    sink_end(&f, true);
    free(data);
}

static void test_sink_without_threads(void **state)
{
    uint8_t *data = sink_content(2 * MIB, 1);
    struct sink_fixture f;

    sink_begin(&f, state, 2 * MIB);
    f.jobs.link = NULL;
    assert_int_equal(sink_open(&f), 0);
    assert_true(vly_sink_is_ready(f.sink));
    assert_int_equal(f.ready, 0);
    assert_int_equal(sink_write_at(&f, data, 0, 2 * MIB), 0);
    sink_finish(&f, data, 2 * MIB);
    assert_int_equal(f.result.err, 0);
    sink_end(&f, true);
    free(data);
}

static void test_sink_without_memory_for_runs(void **state)
{
    uint8_t *data = sink_content(2 * MIB, 1);
    struct sink_fixture f;

    sink_begin(&f, state, 2 * MIB);
    f.budget.left_bytes = 0;
    assert_int_equal(sink_open(&f), 0);
    sink_write_shuffled(&f, data, 2 * MIB, 1459, 100, 1);
    sink_finish(&f, data, 2 * MIB);
    assert_int_equal(f.result.err, 0);
    sink_assert_target(&f, data, 2 * MIB);
    assert_int_equal(f.budget.left_bytes, 0);
    f.budget.left_bytes = 4 * MIB;
    sink_end(&f, true);
    free(data);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TMPDIR(test_sink_any_order_any_size),
        IN_TMPDIR(test_sink_catches_up),
        IN_TMPDIR(test_sink_ends_with_a_hole),
        IN_TMPDIR(test_sink_temp_is_private),
        IN_TMPDIR(test_sink_wrong_hash),
        IN_TMPDIR(test_sink_wrong_size),
        IN_TMPDIR(test_sink_more_than_announced),
        IN_TMPDIR(test_sink_target_is_a_pipe),
        IN_TMPDIR(test_sink_target_exists),
        IN_TMPDIR(test_sink_target_replaced_at_the_end),
        IN_TMPDIR(test_sink_target_appears),
        IN_TMPDIR(test_sink_target_is_a_directory),
        IN_TMPDIR(test_sink_directory_vanishes),
        IN_TMPDIR(test_sink_closed_at_each_point),
        IN_TMPDIR(test_sink_finish_waits_for_space),
        IN_TMPDIR(test_sink_without_threads),
        IN_TMPDIR(test_sink_without_memory_for_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
