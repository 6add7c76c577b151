/*
 * Sources: a file that is what it was when it was opened gives its content; one that changed gives
 * VLY_E_SOURCE_CHANGED, never a last byte.
 */
#include "file/source.h"
#include "support/fake_link.h"
#include "support/tmpdir.h"

#include "file/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* What is in memory, as reading is told: nothing below `cold_until`, unless it answers `answer`. */
static struct {
    off_t cold_until;
    int answer;
    unsigned asked;
} disk;

ssize_t preadv2(int fd, const struct iovec *parts, int n, off_t offset, int flags)
{
    disk.asked++;
    assert_int_equal(flags, RWF_NOWAIT);
    if (disk.answer != 0 || offset < disk.cold_until) {
        errno = disk.answer != 0 ? disk.answer : EAGAIN;
        return -1;
    }
    return syscall(SYS_preadv, fd, parts, n, offset, 0);
}

static uint64_t dropped_bytes; /* of the page cache, from the file's beginning on */

int posix_fadvise(int fd, off_t at, off_t len, int advice)
{
    (void)fd;
    if (advice != POSIX_FADV_DONTNEED)
        return 0;
    assert_int_equal(at, dropped_bytes);
    dropped_bytes += (uint64_t)len;
    return 0;
}

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

/* ---- what is not in memory ---- */

struct threads {
    struct fake_pair *pair;
    struct vly_jobs jobs;
    unsigned woken;
};

static void wake(void *ctx)
{
    ((struct threads *)ctx)->woken++;
}

static struct vly_source *open_with_threads(struct threads *t, const struct tmpdir *d)
{
    static const struct vly_link_events no_events;
    struct vly_source *s = open_source(d, "f");

    *t = (struct threads){.pair = fake_pair_new(&(struct fake_options){0})};
    t->jobs.link = fake_pair_link(t->pair, FAKE_CLIENT);
    t->jobs.link->events = &no_events;
    vly_source_use_threads(s, &t->jobs, wake, t);
    memset(&disk, 0, sizeof disk);
    return s;
}

static void end_threads(struct threads *t)
{
    while (fake_step_job(t->pair))
        ;
    assert_int_equal(t->jobs.running, 0);
    fake_pair_free(t->pair);
}

/* The loop waits for nothing: each piece is fetched by a thread, and then read even if the system
 * still says that it is not there. */
static void test_source_fetches_what_is_cold(void **state)
{
    static uint8_t out[20000];
    struct threads t;
    struct vly_source *s;
    struct vly_fault why;
    size_t total = 0, len;
    unsigned waits = 0;
    bool last = false;
    char *want;

    tmpdir_fill(*state, "f", 10000, 1);
    s = open_with_threads(&t, *state);
    disk.cold_until = 3500;
    while (!last) {
        int err;

        len = 1000;
        err = vly_source_read(s, out + total, &len, &last, &why);
        if (err == 0) {
            total += len;
            continue;
        }
        assert_int_equal(err, VLY_E_AGAIN);
        assert_int_equal(vly_source_read(s, out, &len, &last, &why), VLY_E_AGAIN);
        assert_int_equal(t.woken, waits++);
        assert_true(fake_step_job(t.pair));
        assert_int_equal(t.woken, waits);
    }
    assert_int_equal(waits, 4);
    want = tmpdir_read(*state, "f", &len);
    assert_int_equal(total, len);
    assert_memory_equal(out, want, len);
    free(want);
    vly_source_close(s);
    end_threads(&t);
}

static void test_source_closed_while_fetched(void **state)
{
    struct threads t;
    struct vly_source *s;
    struct vly_fault why;
    uint8_t byte;
    size_t len = 1;
    bool last;

    tmpdir_fill(*state, "f", 10000, 1);
    s = open_with_threads(&t, *state);
    disk.cold_until = 10000;
    assert_int_equal(vly_source_read(s, &byte, &len, &last, &why), VLY_E_AGAIN);
    vly_source_close(s);
    end_threads(&t);
    assert_int_equal(t.woken, 0);
}

/* Once the disk had to be waited for it reads ahead, and nobody waits as long as it is ahead. */
static void test_source_keeps_ahead(void **state)
{
    static uint8_t out[1 << 20];
    size_t len = sizeof out, total = 0, size = 12 << 20;
    unsigned jobs = 0;
    struct threads t;
    struct vly_source *s;
    struct vly_fault why;
    bool last = false;

    tmpdir_fill(*state, "f", size, 1);
    s = open_with_threads(&t, *state);
    disk.cold_until = 1;
    assert_int_equal(vly_source_read(s, out, &len, &last, &why), VLY_E_AGAIN);
    assert_true(fake_step_job(t.pair));
    for (; !last; total += len) {
        len = sizeof out;
        assert_int_equal(vly_source_read(s, out, &len, &last, &why), 0);
        jobs += fake_step_job(t.pair);
    }
    assert_int_equal(total, size);
    assert_int_equal(jobs, 2); /* of 4 MiB each, for the second and the third */
    assert_int_equal(t.woken, 1);
    vly_source_close(s);
    end_threads(&t);
}

/* File systems that cannot tell are asked once. */
static void test_source_on_a_disk_that_cannot_tell(void **state)
{
    static uint8_t out[20000];
    struct threads t;
    struct vly_source *s;
    size_t total;

    tmpdir_fill(*state, "f", 10000, 1);
    s = open_with_threads(&t, *state);
    disk.answer = EOPNOTSUPP;
    assert_int_equal(read_all(s, 1000, out, &total), 0);
    assert_int_equal(total, 10000);
    assert_int_equal(disk.asked, 1);
    vly_source_close(s);
    end_threads(&t);
}

/* What a carrier is to send from the file is fetched first; reading it then never says AGAIN. */
static void test_source_at_hand(void **state)
{
    static uint8_t out[20000];
    struct threads t;
    struct vly_source *s;
    struct vly_fault why;
    size_t len = 6000;
    bool last;

    tmpdir_fill(*state, "f", 10000, 1);
    s = open_with_threads(&t, *state);
    assert_true(vly_source_is_at_hand(s, 10000));
    disk.cold_until = 7000;
    assert_false(vly_source_is_at_hand(s, 8000));
    assert_false(vly_source_is_at_hand(s, 8000));
    assert_true(fake_step_job(t.pair));
    assert_true(vly_source_is_at_hand(s, 8000));
    assert_int_equal(vly_source_read_waiting(s, out, &len, &last, &why), 0);
    assert_int_equal(len, 6000);
    assert_int_equal(vly_source_read_waiting(s, out, &len, &last, &why), 0);
    assert_true(last);
    vly_source_close(s);
    end_threads(&t);
}

#define MIB (UINT64_C(1) << 20)

/* A file of more than a quarter of memory, as it says, is forgotten 8 to 16 MiB behind its reader.
 */
static void test_source_of_a_large_file_leaves_little_in_memory(void **state)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t quarter = (uint64_t)sysconf(_SC_PHYS_PAGES) / 4 * page;
    const uint64_t sizes[] = {quarter, quarter + page};
    static uint8_t out[MIB];

    tmpdir_write(*state, "f", "", 0);
    assert_int_equal(truncate(tmpdir_at(*state, "f"), 40 * MIB), 0);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        int fd = open(tmpdir_at(*state, "f"), O_RDONLY);
        struct vly_source *s;
        struct vly_fault why;
        struct stat st;
        bool last;

        dropped_bytes = 0;
        assert_int_equal(fstat(fd, &st), 0);
        st.st_size = (off_t)sizes[i];
        assert_int_equal(vly_source_from_file(&s, fd, &st, &why), 0);
        for (uint64_t at = MIB; at <= 40 * MIB; at += MIB) {
            size_t len = sizeof out;

            assert_int_equal(vly_source_read(s, out, &len, &last, &why), 0);
            assert_int_equal(len, sizeof out);
            if (i == 0 || at < 16 * MIB)
                assert_int_equal(dropped_bytes, 0);
            else
                assert_in_range(at - dropped_bytes, 8 * MIB, 16 * MIB);
        }
        vly_source_close(s);
    }
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
        IN_TMPDIR(test_source_gives_the_content),
        IN_TMPDIR(test_source_tells_mode_and_time),
        IN_TMPDIR(test_source_changed_while_read),
        IN_TMPDIR(test_source_empty_grows),
        IN_TMPDIR(test_source_fetches_what_is_cold),
        IN_TMPDIR(test_source_keeps_ahead),
        IN_TMPDIR(test_source_closed_while_fetched),
        IN_TMPDIR(test_source_on_a_disk_that_cannot_tell),
        IN_TMPDIR(test_source_at_hand),
        IN_TMPDIR(test_source_of_a_large_file_leaves_little_in_memory),
        IN_TMPDIR(test_source_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
