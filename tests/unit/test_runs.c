/*
 * Runs: whatever order and pieces content comes in, it gets to its place in the file; zeros become
 * holes; memory stays within the budget.
 */
#include "file/runs.h"
#include "support/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define KIB (size_t)1024
#define RUN (size_t) VLY_RUN_BYTES

static struct {
    unsigned calls, fail_nth; /* 0: none */
    size_t most;              /* 0: no limit */
} faults;

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset)
{
    if (++faults.calls == faults.fail_nth) {
        errno = ENOSPC;
        return -1;
    }
    if (faults.most != 0 && parts->iov_len > faults.most)
        return syscall(SYS_pwrite64, fd, parts->iov_base, faults.most, offset);
    for (int i = 0, len = 0; faults.most != 0 && i < n; i++) { /* those that fit */
        len += (int)parts[i].iov_len;
        if (len > (int)faults.most)
            n = i;
    }
    return syscall(SYS_pwritev, fd, parts, n, offset, 0);
}

struct fixture {
    struct tmpdir *dir;
    struct vly_budget budget;
    struct vly_runs runs;
    struct vly_runs_target to;
    struct vly_fault why;
    atomic_bool stop;
};

static void begin(struct fixture *f, void **state)
{
    memset(&faults, 0, sizeof faults);
    *f = (struct fixture){.dir = *state, .budget = {.left_bytes = 64 * RUN}};
    vly_runs_init(&f->runs, &f->budget, UINT64_MAX);
    f->to.fd = open(tmpdir_at(f->dir, "f"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(f->to.fd >= 0);
    f->to.stop = &f->stop;
}

static void end(struct fixture *f)
{
    vly_runs_fini(&f->runs);
    assert_int_equal(f->budget.left_bytes, 64 * RUN);
    close(f->to.fd);
}

/* As a thread would, all there is. */
static int write_all(struct fixture *f)
{
    int err = 0;

    vly_runs_close(&f->runs);
    while (err == 0 && vly_runs_take(&f->runs, 3)) {
        err = vly_runs_write_taken(&f->runs, &f->to, &f->why);
        (void)vly_runs_put_back(&f->runs);
    }
    return err;
}

static void add(struct fixture *f, const uint8_t *content, uint64_t offset, size_t len)
{
    while (len > 0) {
        struct vly_span data = {.data = content + offset, .len = len};
        size_t n = vly_runs_add(&f->runs, offset, data);

        if (n == 0)
            assert_int_equal(vly_runs_write_oldest(&f->runs, &f->to, &f->why), 0);
        offset += n;
        len -= n;
    }
}

static uint8_t *content_new(size_t len)
{
    uint8_t *content = malloc(len);
    struct vly_prng p;

    assert_non_null(content);
    vly_prng_init(&p, len);
    vly_prng_fill(&p, content, len);
    return content;
}

static void assert_file(const struct fixture *f, const uint8_t *content, size_t len)
{
    size_t got_len;
    char *got = tmpdir_read(f->dir, "f", &got_len);

    assert_int_equal(got_len, len);
    assert_memory_equal(got, content, len);
    free(got);
}

/* Every third piece late, the others in pairs turned round. */
static void add_turned(struct fixture *f, const uint8_t *content, size_t len, size_t piece)
{
    static const size_t turned[] = {1, 0, 4, 3, 5, 2};
    size_t n = (len + piece - 1) / piece;

    for (size_t i = 0; i < (n + 5) / 6 * 6; i++) {
        size_t k = i / 6 * 6 + turned[i % 6];

        if (k < n)
            add(f, content, k * piece, len - k * piece < piece ? len - k * piece : piece);
    }
}

static void test_runs_in_and_out_of_order(void **state)
{
    static const size_t pieces[] = {1, 1459, 4096, 65000, 300000, 5000000};
    size_t len = 9 * RUN + 77;
    uint8_t *content = content_new(len);

    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct fixture f;
        size_t n = pieces[i] == 1 ? 1000 : len;

        begin(&f, state);
        faults.most = i == 1 || i == 2 ? 3000 : 0;
        add_turned(&f, content, n, pieces[i]);
        assert_int_equal(write_all(&f), 0);
        assert_file(&f, content, n);
        assert_int_equal(f.to.written_bytes, n);
        assert_int_equal(f.to.hole_bytes, 0);
        end(&f);
    }
    free(content);
}

/* In order, a run ends at a multiple of its size in the file and is written with one call, also
 * when neighbours changed places. */
static void test_runs_are_large(void **state)
{
    uint8_t *content = content_new(8 * RUN);
    struct fixture f;

    begin(&f, state);
    for (size_t at = 0; at < 8 * RUN; at += 1024)
        add(&f, content, at, 1024);
    assert_int_equal(f.runs.n_ready, 8);
    assert_int_equal(write_all(&f), 0);
    assert_int_equal(faults.calls, 8);
    for (size_t at = 100; at < 8 * RUN; at += 1024) /* beginning anywhere */
        add(&f, content, at, 8 * RUN - at < 1024 ? 8 * RUN - at : 1024);
    assert_int_equal(f.runs.n_ready, 8);
    assert_int_equal(write_all(&f), 0);
    assert_int_equal(faults.calls, 16);
    for (size_t at = 0; at < RUN; at += 16384) {
        add(&f, content, at + 8192, 8192);
        add(&f, content, at, 8192);
    }
    assert_int_equal(write_all(&f), 0);
    assert_int_equal(faults.calls, 17);
    assert_file(&f, content, 8 * RUN);
    end(&f);
    free(content);
}

static void test_runs_keep_to_the_budget(void **state)
{
    uint8_t *content = content_new(RUN);
    struct vly_span one = {.data = content, .len = 1000};
    struct fixture f;
    unsigned n = 0;

    begin(&f, state);
    f.budget.left_bytes = 6 * RUN; /* one needs 1, a second 2 ... of what is left then */
    for (uint64_t at = 0; vly_runs_add(&f.runs, at, one) == one.len; at += 4096)
        n++;
    assert_int_equal(f.runs.n, 3);
    assert_int_equal(f.budget.left_bytes, 3 * RUN);
    assert_int_equal(n, 3 * VLY_RUN_PIECES);
    assert_int_equal(vly_runs_write_oldest(&f.runs, &f.to, &f.why), 0);
    assert_int_equal(vly_runs_add(&f.runs, 1 << 20, one), one.len);
    f.budget.left_bytes += 58 * RUN;
    for (uint64_t at = 2 << 20; vly_runs_add(&f.runs, at, one) == one.len; at += 4096)
        ;
    assert_int_equal(f.runs.n, VLY_RUNS_MAX);
    end(&f);
    free(content);
}

static void test_runs_know_what_they_hold(void **state)
{
    uint8_t *content = content_new(4 * RUN);
    struct fixture f;

    begin(&f, state);
    assert_true(vly_runs_next_held(&f.runs, 0) == UINT64_MAX);
    add(&f, content, RUN - 100, 100); /* closed by the border */
    assert_true(vly_runs_take(&f.runs, 1));
    add(&f, content, 2 * RUN - 50, 50);
    add(&f, content, 3000, 10);
    assert_int_equal(vly_runs_next_held(&f.runs, 0), 3000);
    assert_int_equal(vly_runs_next_held(&f.runs, 3005), 3005);
    assert_int_equal(vly_runs_next_held(&f.runs, 3010), RUN - 100);
    assert_int_equal(vly_runs_next_held(&f.runs, RUN), 2 * RUN - 50);
    assert_true(vly_runs_next_held(&f.runs, 2 * RUN) == UINT64_MAX);
    assert_int_equal(vly_runs_put_back(&f.runs), 1);
    assert_int_equal(vly_runs_next_held(&f.runs, 3010), 2 * RUN - 50);
    end(&f);
    free(content);
}

/* Where zeros begin and end, whether they become a hole, and that it is one. */
static void test_runs_leave_holes(void **state)
{
    static const struct {
        size_t begin, end, hole_bytes;
    } cases[] = {
        {0, 0, 0},
        {0, 64 << 10, 64 << 10},
        {1, 64 << 10, 0},        /* 15 whole blocks */
        {1, 68 << 10, 64 << 10}, /* 16 */
        {8191, (72 << 10) + 4095, 64 << 10},
        {100 << 10, 2 << 20, (2 << 20) - (100 << 10)}, /* to the end of the file */
        {0, 2 << 20, 2 << 20},
    };
    size_t len = 2 << 20;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0] * 2; i++) {
        size_t k = i / 2;
        uint8_t *content = content_new(len);
        struct fixture f;

        memset(content + cases[k].begin, 0, cases[k].end - cases[k].begin);
        begin(&f, state);
        f.to.reserved = i % 2 && fallocate(f.to.fd, 0, 0, (off_t)len) == 0;
        for (size_t at = 0; at < len; at += 1000)
            add(&f, content, at, len - at < 1000 ? len - at : 1000);
        assert_int_equal(write_all(&f), 0);
        assert_int_equal(f.to.hole_bytes, cases[k].hole_bytes);
        assert_int_equal(ftruncate(f.to.fd, (off_t)len), 0);
        assert_file(&f, content, len);
        assert_int_equal(fsync(f.to.fd), 0);
        assert_in_range(tmpdir_stat(f.dir, "f").st_blocks * 512, 0,
                        len - cases[k].hole_bytes + (32 << 10)); /* and what describes them */
        end(&f);
        free(content);
    }
}

/* Whole blocks of the file, wherever in a block a run begins. */
static void test_runs_holes_are_blocks(void **state)
{
    uint8_t *zeros = calloc(2, RUN);
    struct fixture f;

    begin(&f, state);
    add(&f, zeros, 777, 2 * RUN - 777);
    add(&f, zeros, 0, 777);
    assert_int_equal(write_all(&f), 0);
    assert_int_equal(f.to.hole_bytes, 2 * RUN - VLY_HOLE_ALIGN_BYTES);
    assert_int_equal(f.to.written_bytes, 2 * RUN);
    assert_int_equal(fsync(f.to.fd), 0);
    assert_in_range(tmpdir_stat(f.dir, "f").st_blocks * 512, 0, VLY_HOLE_ALIGN_BYTES);
    end(&f);
    free(zeros);
}

static void test_runs_disk_gets_full(void **state)
{
    uint8_t *content = content_new(4 * RUN);
    struct fixture f;

    begin(&f, state);
    add(&f, content, 0, 4 * RUN);
    faults.fail_nth = 3;
    assert_int_equal(write_all(&f), VLY_E_NO_SPACE);
    assert_int_equal(f.why.err, VLY_E_NO_SPACE);
    assert_int_equal(f.to.written_bytes, 2 * RUN);
    faults.fail_nth = 0;
    f.stop = true;
    assert_int_equal(write_all(&f), VLY_E_CANCELLED);
    end(&f);
    free(content);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TMPDIR(test_runs_in_and_out_of_order), IN_TMPDIR(test_runs_are_large),
        IN_TMPDIR(test_runs_keep_to_the_budget),  IN_TMPDIR(test_runs_know_what_they_hold),
        IN_TMPDIR(test_runs_leave_holes),         IN_TMPDIR(test_runs_holes_are_blocks),
        IN_TMPDIR(test_runs_disk_gets_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
