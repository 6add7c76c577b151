/*
 * Sources: a file that is what it was when it was opened gives its content; one that changed gives
 * VLY_E_SOURCE_CHANGED, never a last byte.
 */
#include "file/source.h"
#include "support/tmpdir.h"

#include "file/hash.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct vly_source *open_source(const struct tmpdir *d, const char *path)
{
    int fd = open(tmpdir_at(d, path), O_RDONLY);
    struct vly_source *s;
    struct vly_fault why;
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(vly_source_from_file(&s, fd, &st, &why), 0);
    return s;
}

/* Reads to the end in steps of `step`; *total bytes. Returns the error that stopped it. */
static int read_all(struct vly_source *s, size_t step, uint8_t *out, size_t *total)
{
    struct vly_fault why;
    bool last = false;

    for (*total = 0; !last;) {
        size_t len = step;
        int err = vly_source_read(s, out + *total, &len, &last, &why);

        if (err != 0) {
            assert_false(last && err == 0);
            return err;
        }
        assert_true(last || len > 0);
        *total += len;
    }
    return 0;
}

static void test_source_gives_the_content(void **state)
{
    static const size_t sizes[] = {0, 1, 4096, 100000};
    static uint8_t out[200000];

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct vly_source *s;
        size_t total, len;
        char *want;

        tmpdir_fill(*state, "f", sizes[i], i);
        s = open_source(*state, "f");
        assert_int_equal(s->size_bytes, sizes[i]);
        assert_int_equal(read_all(s, 4096, out, &total), 0);
        want = tmpdir_read(*state, "f", &len);
        assert_int_equal(total, len);
        assert_memory_equal(out, want, len);
        free(want);
        vly_source_close(s);
    }
}

static void test_source_tells_mode_and_time(void **state)
{
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1234567890, .tv_nsec = 123456789}};
    struct vly_source *s;

    tmpdir_write(*state, "f", "x", 1);
    assert_int_equal(chmod(tmpdir_at(*state, "f"), 04751), 0);
    assert_int_equal(utimensat(AT_FDCWD, tmpdir_at(*state, "f"), times, 0), 0);
    s = open_source(*state, "f");
    assert_int_equal(s->mode, 0751);
    assert_int_equal(s->mtime_ns, INT64_C(1234567890123456789));
    vly_source_close(s);
}

/* ---- what happens to it meanwhile ---- */

static void shrink(const char *path)
{
    assert_int_equal(truncate(path, 5000), 0);
}

static void shrink_to_nothing(const char *path)
{
    assert_int_equal(truncate(path, 0), 0);
}

static void grow(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND);

    assert_int_equal(write(fd, "more", 4), 4);
    close(fd);
}

/* Files are stamped by a coarse clock: an edit shows once that has moved on. */
static void wait_a_tick(void)
{
    struct timespec begin, now;

    clock_gettime(CLOCK_REALTIME_COARSE, &begin);
    do
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while (now.tv_sec == begin.tv_sec && now.tv_nsec == begin.tv_nsec);
}

static void edit(const char *path)
{
    int fd = open(path, O_WRONLY);

    wait_a_tick();
    assert_int_equal(pwrite(fd, "edited", 6, 9000), 6);
    close(fd);
}

static void edit_and_hide_it(const char *path)
{
    struct timespec times[2];
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    edit(path);
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void remove_name(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void change_mode(const char *path)
{
    wait_a_tick();
    assert_int_equal(chmod(path, 0600), 0);
}

static void leave_alone(const char *path)
{
    (void)path;
}

static void test_source_changed_while_read(void **state)
{
    static const struct {
        const char *name;
        void (*act)(const char *path);
        int want;
    } cases[] = {
        {"left alone", leave_alone, 0},
        {"shrinks", shrink, VLY_E_SOURCE_CHANGED},
        {"shrinks to nothing", shrink_to_nothing, VLY_E_SOURCE_CHANGED},
        {"grows", grow, VLY_E_SOURCE_CHANGED},
        {"edited", edit, VLY_E_SOURCE_CHANGED},
        {"edited, its time set back", edit_and_hide_it, VLY_E_SOURCE_CHANGED},
        {"removed: the content is the same", remove_name, 0},
        {"its permissions change: likewise", change_mode, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static uint8_t out[20000];
        struct vly_source *s;
        struct vly_fault why;
        size_t len = 1000, total;
        bool last;

        print_message("  %s\n", cases[i].name);
        tmpdir_fill(*state, "f", 10000, i);
        s = open_source(*state, "f");
        assert_int_equal(vly_source_read(s, out, &len, &last, &why), 0);
        cases[i].act(tmpdir_at(*state, "f"));
        assert_int_equal(read_all(s, 1000, out, &total), cases[i].want);
        vly_source_close(s);
    }
}

/* Also when nothing was read of it. */
static void test_source_empty_grows(void **state)
{
    uint8_t buf[10];
    struct vly_source *s;
    struct vly_fault why;
    size_t len = sizeof buf;
    bool last;

    tmpdir_write(*state, "f", "", 0);
    s = open_source(*state, "f");
    grow(tmpdir_at(*state, "f"));
    assert_int_equal(vly_source_read(s, buf, &len, &last, &why), VLY_E_SOURCE_CHANGED);
    assert_non_null(strstr(why.text, "grew"));
    vly_source_close(s);
}

static void test_source_too_large(void **state)
{
    int fd;
    struct vly_source *s;
    struct vly_fault why;
    struct stat st;

    tmpdir_write(*state, "f", "", 0);
    fd = open(tmpdir_at(*state, "f"), O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    st.st_size = (off_t)(VLY_FILE_BYTES_MAX + 1);
    assert_int_equal(vly_source_from_file(&s, fd, &st, &why), VLY_E_LIMIT);
    assert_null(s);
    assert_int_equal(close(fd), -1); /* it was taken */
    vly_source_close(NULL);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TMPDIR(test_source_gives_the_content),  IN_TMPDIR(test_source_tells_mode_and_time),
        IN_TMPDIR(test_source_changed_while_read), IN_TMPDIR(test_source_empty_grows),
        IN_TMPDIR(test_source_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
