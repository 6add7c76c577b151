/*
 * File sinks of files that the page cache is too small for: what is on the disk for good is let go
 * of while content comes in.
 *
 * The disk of these tests takes whatever it is given, of any length, and keeps nothing.
 */
#include "support/sink_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define STEP_BYTES (MIB / 4)
#define CONTENT_BYTES (120 * MIB)
#define KEPT_BYTES (64 * MIB) /* of what is hashed, the last stays at hand */
#define PUSH_BYTES (8 * MIB)
#define EXT4_TYPE 0xef53
#define TMPFS_TYPE 0x01021994

static struct {
    long type;
    int wait_error;              /* of waiting for the disk; 0: none */
    off_t waited_at, waited_end; /* what was waited for last */
    unsigned pushes;             /* the disk was told to begin */
    uint64_t dropped_bytes;      /* from the file's beginning on */
} disk;

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset)
{
    ssize_t len = 0;

    (void)fd;
    (void)offset;
    for (int i = 0; i < n; i++)
        len += (ssize_t)parts[i].iov_len;
    return len;
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    (void)fd;
    (void)mode;
    (void)offset;
    (void)len;
    return 0;
}

int fstatfs(int fd, struct statfs *fs)
{
    (void)fd;
    *fs = (struct statfs){.f_type = disk.type};
    return 0;
}

int fstatvfs(int fd, struct statvfs *fs)
{
    (void)fd;
    *fs = (struct statvfs){.f_blocks = 0}; /* it cannot tell how much fits */
    return 0;
}

int sync_file_range(int fd, off_t at, off_t len, unsigned flags)
{
    (void)fd;
    if ((flags & SYNC_FILE_RANGE_WAIT_AFTER) == 0) {
        disk.pushes++;
        return 0;
    }
    disk.waited_at = at;
    disk.waited_end = at + len;
    errno = disk.wait_error;
    return disk.wait_error == 0 ? 0 : -1;
}

/* What is not on the disk yet would stay, so it has been waited for. */
int posix_fadvise(int fd, off_t at, off_t len, int advice)
{
    (void)fd;
    if (advice != POSIX_FADV_DONTNEED)
        return 0;
    assert_int_equal(at, disk.dropped_bytes);
    assert_int_equal(at, disk.waited_at);
    assert_int_equal(at + len, disk.waited_end);
    disk.dropped_bytes += (uint64_t)len;
    return 0;
}

static uint64_t quarter_of_memory(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) / 4 * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void begin(struct sink_fixture *f, void **state, uint64_t size, long type, int wait_error)
{
    memset(&disk, 0, sizeof disk);
    disk.type = type;
    disk.wait_error = wait_error;
    sink_begin(f, state, size);
    assert_int_equal(sink_open(f), 0);
    sink_run_jobs(f);
}

/* Content until the sink fails or all has come but for a step at `gap`, threads done after each. */
static void write_most(struct sink_fixture *f, const uint8_t *step, uint64_t gap)
{
    for (uint64_t at = 0; at < CONTENT_BYTES && f->finished == 0; at += STEP_BYTES) {
        if (at == gap)
            continue;
        assert_int_equal(vly_sink_write(f->sink, at, (struct vly_span){step, STEP_BYTES}, &f->why),
                         0);
        sink_run_jobs(f);
        assert_true(disk.dropped_bytes == 0 ||
                    disk.dropped_bytes + KEPT_BYTES <= f->sink->hash.bytes);
    }
}

static void test_sink_large_files_leave_little_in_memory(void **state)
{
    const uint64_t quarter = quarter_of_memory();
    const uint64_t large = quarter + (uint64_t)sysconf(_SC_PAGESIZE);
    const struct {
        const char *name;
        uint64_t size, gap;
        long type;
        int wait_error;
        bool drops;
    } cases[] = {
        {"more than a quarter of memory", large, UINT64_MAX, EXT4_TYPE, 0, true},
        {"a quarter of memory", quarter, UINT64_MAX, EXT4_TYPE, 0, false},
        {"on a file system in memory", large, UINT64_MAX, TMPFS_TYPE, 0, false},
        {"what lies behind a gap is not hashed yet", large, MIB, EXT4_TYPE, 0, false},
        {"a file system that cannot wait", large, UINT64_MAX, EXT4_TYPE, EINVAL, true},
    };
    uint8_t *step = sink_content(STEP_BYTES, 1);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sink_fixture f;

        print_message("  %s\n", cases[i].name);
        begin(&f, state, cases[i].size, cases[i].type, cases[i].wait_error);
        write_most(&f, step, cases[i].gap);
        assert_int_equal(f.finished, 0);
        if (cases[i].drops)
            assert_in_range(disk.dropped_bytes, CONTENT_BYTES - KEPT_BYTES - 2 * PUSH_BYTES,
                            CONTENT_BYTES - KEPT_BYTES);
        else
            assert_int_equal(disk.dropped_bytes, 0);
        assert_int_equal(disk.pushes > 0, cases[i].type != TMPFS_TYPE);
        sink_end(&f, false);
    }
    free(step);
}

/* An error that waiting tells is not told by fsync any more. */
static void test_sink_large_tells_what_waiting_was_told(void **state)
{
    uint8_t *step = sink_content(STEP_BYTES, 1);
    struct sink_fixture f;

    begin(&f, state, 2 * quarter_of_memory(), EXT4_TYPE, EIO);
    write_most(&f, step, UINT64_MAX);
    assert_int_equal(f.finished, 1);
    assert_int_equal(f.result.err, VLY_E_IO);
    assert_int_equal(disk.dropped_bytes, 0);
    sink_end(&f, false);
    free(step);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TMPDIR(test_sink_large_files_leave_little_in_memory),
        IN_TMPDIR(test_sink_large_tells_what_waiting_was_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
