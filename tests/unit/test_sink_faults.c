/*
 * File sinks on disks that are full or failing: a clear error, and nothing left under either name.
 *
 * System calls that are to fail are defined here in front of the C library's.
 */
#include "support/sink_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    int fallocate_errno, fsync_errno, rename_errno, pread_errno; /* 0: none */
    unsigned fsync_nth;                                          /* the one that fails, from 1 */
    size_t pwrite_most;   /* writes at most so much at a time; 0: no limit */
    unsigned interrupted; /* so many calls are interrupted first */
} faults;

static bool fails(int errno_value)
{
    if (faults.interrupted > 0) {
        faults.interrupted--;
        errno = EINTR;
        return true;
    }
    errno = errno_value;
    return errno_value != 0;
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    return fails(faults.fallocate_errno) ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int fsync(int fd)
{
    if (faults.fsync_errno != 0 && --faults.fsync_nth == 0)
        return fails(faults.fsync_errno) ? -1 : 0;
    return (int)syscall(SYS_fsync, fd);
}

int renameat2(int old_dir, const char *from, int new_dir, const char *to, unsigned flags)
{
    return faults.rename_errno != 0 && fails(faults.rename_errno)
               ? -1
               : (int)syscall(SYS_renameat2, old_dir, from, new_dir, to, flags);
}

ssize_t pread(int fd, void *buf, size_t n, off_t offset)
{
    return fails(faults.pread_errno) ? -1 : syscall(SYS_pread64, fd, buf, n, offset);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    if (fails(0))
        return -1;
    if (faults.pwrite_most != 0 && n > faults.pwrite_most)
        n = faults.pwrite_most;
    return syscall(SYS_pwrite64, fd, buf, n, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset)
{
    if (fails(0))
        return -1;
    if (faults.pwrite_most != 0 && parts->iov_len > faults.pwrite_most)
        return syscall(SYS_pwrite64, fd, parts->iov_base, faults.pwrite_most, offset);
    return syscall(SYS_pwritev, fd, parts, n, offset, 0);
}

/* ---- tests ---- */

/* Writes until an error comes, from writing or from the thread that writes. Returns it. */
static int write_until_error(struct sink_fixture *f, const uint8_t *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len && f->finished == 0; at += piece) {
        int err = sink_write_at(f, data, at, piece);

        if (err != 0)
            return err;
        sink_run_jobs(f);
    }
    return f->result.err;
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_sink_file_size_limit(void **state)
{
    uint8_t *data = sink_content(MIB, 1);
    struct sink_fixture f;
    int err;

    (void)signal(SIGXFSZ, SIG_IGN);
    sink_begin(&f, state, VLY_SIZE_UNKNOWN);
    assert_int_equal(sink_open(&f), 0);
    limit_file_size(500000);
    err = write_until_error(&f, data, MIB, 65536);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(err, VLY_E_NO_SPACE);
    sink_end(&f, false);
    free(data);
}

/* A file in a temporary directory is set space aside for, unless that lies in memory. */
static bool open_reserving(struct sink_fixture *f, void **state)
{
    sink_begin(f, state, 2 * MIB);
    assert_int_equal(sink_open(f), 0);
    return !vly_sink_is_ready(f->sink);
}

static void test_sink_no_space_to_set_aside(void **state)
{
    static const struct {
        int errno_value, want;
    } cases[] = {{ENOSPC, VLY_E_NO_SPACE},
                 {EDQUOT, VLY_E_NO_SPACE},
                 {EFBIG, VLY_E_NO_SPACE},
                 {EOPNOTSUPP, 0},
                 {ENOSYS, 0}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sink_fixture f;
        bool reserves = open_reserving(&f, state);

        faults.fallocate_errno = cases[i].errno_value;
        faults.interrupted = 3;
        sink_run_jobs(&f);
        if (reserves) {
            assert_int_equal(f.finished, cases[i].want != 0);
            assert_int_equal(f.ready, cases[i].want == 0);
            assert_int_equal(f.result.err, cases[i].want);
        }
        memset(&faults, 0, sizeof faults);
        sink_end(&f, false);
    }
}

/* Without threads the refusal is the result of opening. */
static void test_sink_no_space_to_set_aside_without_threads(void **state)
{
    struct sink_fixture f;
    bool reserves = open_reserving(&f, state);

    sink_end(&f, false);
    if (!reserves)
        skip();
    sink_begin(&f, state, 2 * MIB);
    f.jobs.link = NULL;
    faults.fallocate_errno = ENOSPC;
    assert_int_equal(sink_open(&f), VLY_E_NO_SPACE);
    assert_null(f.sink);
    sink_end(&f, false);
}

static void test_sink_short_and_interrupted_calls(void **state)
{
    uint8_t *data = sink_content(MIB, 1);
    struct sink_fixture f;

    sink_begin(&f, state, MIB);
    assert_int_equal(sink_open(&f), 0);
    faults.pwrite_most = 777;
    faults.interrupted = 5;
    sink_write_shuffled(&f, data, MIB, 1459, 1000, 1);
    faults.interrupted = 2;
    sink_finish(&f, data, MIB);
    assert_int_equal(f.result.err, 0);
    sink_assert_target(&f, data, MIB);
    sink_end(&f, true);
    free(data);
}

/* An error of fsync is final: the file's (1st) leaves the old name alone, the directory's (2nd)
 * comes when the new one is there. */
static void test_sink_fsync_fails(void **state)
{
    for (unsigned nth = 1; nth <= 2; nth++) {
        struct sink_fixture f;

        sink_begin(&f, state, 3);
        assert_int_equal(sink_open(&f), 0);
        assert_int_equal(sink_write_at(&f, (const uint8_t *)"new", 0, 3), 0);
        faults.fsync_errno = EIO;
        faults.fsync_nth = nth;
        sink_finish(&f, (const uint8_t *)"new", 3);
        assert_int_equal(f.result.err, VLY_E_IO);
        memset(&faults, 0, sizeof faults);
        sink_end(&f, nth == 2);
    }
}

static void test_sink_reading_back_fails(void **state)
{
    struct sink_fixture f;

    sink_begin(&f, state, 3);
    assert_int_equal(sink_open(&f), 0);
    assert_int_equal(sink_write_at(&f, (const uint8_t *)"new", 1, 2), 0);
    assert_int_equal(sink_write_at(&f, (const uint8_t *)"new", 0, 1), 0);
    faults.pread_errno = EIO;
    sink_finish(&f, (const uint8_t *)"nne", 3);
    assert_int_equal(f.result.err, VLY_E_IO);
    sink_end(&f, false);
}

/* A file system without RENAME_NOREPLACE: the name is taken by a link, which refuses as well. */
static void test_sink_without_noreplace(void **state)
{
    for (unsigned appears = 0; appears < 2; appears++) {
        struct sink_fixture f;

        sink_begin(&f, state, 3);
        assert_int_equal(sink_open(&f), 0);
        assert_int_equal(sink_write_at(&f, (const uint8_t *)"new", 0, 3), 0);
        if (appears)
            tmpdir_write(f.dir, "target", "theirs", 6);
        faults.rename_errno = EINVAL;
        sink_finish(&f, (const uint8_t *)"new", 3);
        assert_int_equal(f.result.err, appears ? VLY_E_EXISTS : 0);
        tmpdir_assert_content(f.dir, "target", appears ? "theirs" : "new");
        memset(&faults, 0, sizeof faults);
        sink_end(&f, true);
        assert_int_equal(remove(tmpdir_at(f.dir, "target")), 0);
    }
}

static void test_sink_larger_than_the_disk(void **state)
{
    struct sink_fixture f;

    sink_begin(&f, state, (size_t)VLY_FILE_BYTES_MAX);
    assert_int_equal(sink_open(&f), VLY_E_NO_SPACE);
    assert_non_null(strstr(f.why.text, "needed"));
    sink_end(&f, false);
    sink_begin(&f, state, (size_t)VLY_FILE_BYTES_MAX + 1);
    assert_int_equal(sink_open(&f), VLY_E_LIMIT);
    sink_end(&f, false);
}

static void test_sink_full_file_system(void **state)
{
    uint8_t *data = sink_content(MIB, 1);
    struct sink_fixture f;

    if (mount("none", tmpdir_at(*state, ""), "tmpfs", 0, "size=512k") != 0) {
        free(data);
        skip(); /* needs root */
    }
    sink_begin(&f, state, MIB);
    assert_int_equal(sink_open(&f), VLY_E_NO_SPACE);
    f.spec.size_bytes = VLY_SIZE_UNKNOWN;
    assert_int_equal(sink_open(&f), 0);
    assert_int_equal(write_until_error(&f, data, MIB, 1024), VLY_E_NO_SPACE);
    sink_end(&f, false);
    assert_int_equal(umount(tmpdir_at(*state, "")), 0);
    free(data);
}

static void test_sink_directory_not_writable(void **state)
{
    struct sink_fixture f;

    if (geteuid() == 0)
        skip(); /* root may write anywhere */
    assert_int_equal(chmod(tmpdir_at(*state, ""), 0500), 0);
    sink_begin(&f, state, 3);
    assert_int_equal(sink_open(&f), VLY_E_PERMISSION);
    sink_end(&f, false);
}

static int setup(void **state)
{
    memset(&faults, 0, sizeof faults);
    return tmpdir_setup(state);
}

/* Faults must not outlive the case they are for. */
static int teardown(void **state)
{
    memset(&faults, 0, sizeof faults);
    return tmpdir_teardown(state);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TMPDIR(test_sink_file_size_limit),
        IN_TMPDIR(test_sink_no_space_to_set_aside),
        IN_TMPDIR(test_sink_no_space_to_set_aside_without_threads),
        IN_TMPDIR(test_sink_short_and_interrupted_calls),
        IN_TMPDIR(test_sink_fsync_fails),
        IN_TMPDIR(test_sink_reading_back_fails),
        IN_TMPDIR(test_sink_without_noreplace),
        IN_TMPDIR(test_sink_larger_than_the_disk),
        IN_TMPDIR(test_sink_full_file_system),
        IN_TMPDIR(test_sink_directory_not_writable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
