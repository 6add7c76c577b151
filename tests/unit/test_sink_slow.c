/*
 * File sinks on a disk that keeps its writer waiting: threads write, the sender is held up by its
 * credit, and only then the loop.
 *
 * Every call that asks how often this thread had to wait hears of one more time.
 */
#include "support/sink_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static bool disk_is_full, disk_is_fast;
static unsigned writes;

int getrusage(__rusage_who_t who, struct rusage *u)
{
    static long waits;

    (void)who;
    waits += !disk_is_fast;
    *u = (struct rusage){.ru_nvcsw = waits};
    return 0;
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset)
{
    writes++;
    if (!disk_is_full)
        return syscall(SYS_pwritev, fd, parts, n, offset, 0);
    errno = ENOSPC;
    return -1;
}

/* Opens it and lets the first run show how slow the disk is. Returns where content goes on. */
static size_t open_slow(struct sink_fixture *f, void **state, const uint8_t *data, size_t len)
{
    size_t at = 0;

    disk_is_full = disk_is_fast = false;
    sink_begin(f, state, len);
    assert_int_equal(sink_open(f), 0);
    sink_run_jobs(f);
    for (; at < VLY_RUN_BYTES; at += 4096)
        assert_int_equal(sink_write_at(f, data, at, 4096), 0);
    assert_int_equal(f->consumed, at);
    writes = 0;
    return at;
}

static void test_sink_slow_any_order(void **state)
{
    static const size_t sizes[] = {100000, MIB, 9 * MIB + 77};
    static const size_t pieces[] = {1459, 65000};
    static const size_t windows[] = {1, 5, 100000};

    for (size_t i = 0; i < ARRAY_LEN(sizes) * 6; i++) {
        size_t len = sizes[i / 6];
        uint8_t *data = sink_content(len, i);
        struct sink_fixture f;

        sink_begin(&f, state, len);
        assert_int_equal(sink_open(&f), 0);
        sink_write_shuffled(&f, data, len, pieces[i % 2], windows[i / 2 % 3], i);
        sink_finish(&f, data, len);
        assert_int_equal(f.result.err, 0);
        assert_int_equal(f.consumed, len);
        sink_assert_target(&f, data, len);
        sink_end(&f, true);
        assert_int_equal(unlink(tmpdir_at(f.dir, "target")), 0);
        free(data);
    }
}

/* While no thread comes to it nothing is written: credit ends after half the memory, then memory
 * does, and then the loop writes in large pieces. */
static void test_sink_slow_holds_the_sender(void **state)
{
    size_t len = 6 * MIB, at;
    uint8_t *data = sink_content(len, 1);
    struct sink_fixture f;

    at = open_slow(&f, state, data, len);
    for (; f.sink->owed_bytes == 0; at += 1024)
        assert_int_equal(sink_write_at(&f, data, at, 1024), 0);
    assert_int_equal(f.consumed, at - 1024);
    assert_int_equal(at - VLY_RUN_BYTES, VLY_RUNS_MAX / 2 * VLY_RUN_BYTES);
    assert_int_equal(writes, 0);
    for (; at < len; at += 1024)
        assert_int_equal(sink_write_at(&f, data, at, 1024), 0);
    assert_int_equal(f.consumed + f.sink->owed_bytes, len);
    assert_in_range(writes, 1, len / VLY_RUN_BYTES);
    sink_run_jobs(&f);
    assert_int_equal(f.consumed, len);
    sink_finish(&f, data, len);
    assert_int_equal(f.result.err, 0);
    sink_assert_target(&f, data, len);
    sink_end(&f, true);
    free(data);
}

/* Credit that is owed is given whatever becomes of the sink: other streams share it. */
static void test_sink_slow_gives_all_credit(void **state)
{
    size_t len = 4 * MIB, at;
    uint8_t *data = sink_content(len, 1);

    for (unsigned how = 0; how < 3; how++) {
        struct sink_fixture f;
        struct vly_sink_end e = sink_end_of(data, len);

        at = open_slow(&f, state, data, len);
        for (; at < len; at += 1024)
            assert_int_equal(sink_write_at(&f, data, at, 1024), 0);
        assert_true(f.sink->owed_bytes > 0);
        if (how == 0) { /* the disk gets full */
            disk_is_full = true;
            sink_run_jobs(&f);
            assert_int_equal(f.finished, 1);
            assert_int_equal(f.result.err, VLY_E_NO_SPACE);
        } else if (how == 1) {
            vly_sink_finish(f.sink, &e);
        } else {
            vly_sink_close(f.sink);
            f.sink = NULL;
        }
        assert_int_equal(f.consumed, len);
        sink_end(&f, false);
        assert_int_equal(f.finished, how == 0);
    }
    disk_is_full = false;
    free(data);
}

/* A disk that was slow, and is not any more, takes what threads have not come to: the sender may
 * be waiting for that alone. */
static void test_sink_slow_becomes_fast(void **state)
{
    size_t len = 40 * MIB, at;
    uint8_t *data = sink_content(len, 1);
    struct sink_fixture f;

    at = open_slow(&f, state, data, len);
    disk_is_fast = true;
    for (; at < 30 * MIB; at += 65536) {
        assert_int_equal(sink_write_at(&f, data, at, 65536), 0);
        if (f.consumed + 3 * MIB < at)
            fake_step_job(f.pair);
    }
    sink_run_jobs(&f);
    assert_int_equal(f.consumed, at);
    sink_end(&f, false);
    free(data);
}

/* While space is set aside nothing is written, so that holes can be left in it; then everything is.
 */
static void test_sink_waits_for_space(void **state)
{
    size_t len = 2 * MIB; /* what there is memory for */
    struct sink_fixture f;
    uint8_t *zeros;

    disk_is_full = disk_is_fast = false;
    sink_begin(&f, state, len);
    assert_int_equal(sink_open(&f), 0);
    if (vly_sink_is_ready(f.sink)) {
        sink_end(&f, false);
        skip(); /* nothing is set aside where the temporary directory is */
    }
    zeros = calloc(1, len);
    for (size_t at = 0; at < len; at += 65536)
        assert_int_equal(sink_write_at(&f, zeros, at, 65536), 0);
    assert_true(f.sink->owed_bytes > 0);
    sink_run_jobs(&f);
    assert_int_equal(f.consumed, len);
    sink_finish(&f, zeros, len);
    assert_int_equal(f.result.err, 0);
    assert_int_equal(tmpdir_stat(f.dir, "target").st_size, len);
    assert_in_range(tmpdir_stat(f.dir, "target").st_blocks * 512, 0, MIB / 8);
    sink_end(&f, true);
    free(zeros);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TMPDIR(test_sink_slow_any_order),        IN_TMPDIR(test_sink_slow_holds_the_sender),
        IN_TMPDIR(test_sink_slow_gives_all_credit), IN_TMPDIR(test_sink_slow_becomes_fast),
        IN_TMPDIR(test_sink_waits_for_space),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
