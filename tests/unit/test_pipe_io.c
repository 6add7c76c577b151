/*
 * Standard output and input: content in order, back-pressure, readers and writers that go away,
 * owners that give up.
 */
#include "file/pipe_io.h"
#include "support/sink_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ends {
    int read, write;
};

static struct ends open_pipe(void)
{
    int fds[2];

    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(fds), 0);
    return (struct ends){.read = fds[0], .write = fds[1]};
}

/* A fixture whose sink writes to `fd`. */
static void begin_on_fd(struct sink_fixture *f, void **state, int fd)
{
    sink_begin(f, state, 0);
    assert_int_equal(vly_sink_open_fd(&f->sink, fd, f->spec.events, f, &f->jobs), 0);
    assert_true(vly_sink_is_ready(f->sink));
}

static void test_pipe_sink_in_order(void **state)
{
    size_t len = 30000; /* a pipe holds more */
    uint8_t *data = sink_content(len, 1), got[40000];
    struct ends p = open_pipe();
    struct sink_fixture f;

    begin_on_fd(&f, state, p.write);
    for (size_t at = 0; at < len; at += 1000)
        assert_int_equal(sink_write_at(&f, data, at, 1000), 0);
    assert_int_equal(f.consumed, 0); /* no credit before it is written */
    sink_run_jobs(&f);
    assert_int_equal(f.consumed, len);
    sink_finish(&f, data, len);
    assert_int_equal(f.result.err, 0);
    assert_int_equal(read(p.read, got, sizeof got), len);
    assert_memory_equal(got, data, len);
    sink_end(&f, false);
    assert_int_equal(close(p.write), 0); /* it stays ours */
    close(p.read);
    free(data);
}

static void test_pipe_sink_empty(void **state)
{
    struct ends p = open_pipe();
    struct sink_fixture f;

    begin_on_fd(&f, state, p.write);
    sink_finish(&f, (const uint8_t *)"", 0);
    assert_int_equal(f.result.err, 0);
    sink_end(&f, false);
    close(p.write);
    close(p.read);
}

static void test_pipe_sink_wrong_hash(void **state)
{
    struct ends p = open_pipe();
    struct sink_fixture f;

    begin_on_fd(&f, state, p.write);
    assert_int_equal(sink_write_at(&f, (const uint8_t *)"abd", 0, 3), 0);
    sink_finish(&f, (const uint8_t *)"abc", 3);
    assert_int_equal(f.result.err, VLY_E_INTEGRITY);
    sink_end(&f, false);
    close(p.write);
    close(p.read);
}

static void test_pipe_sink_reader_goes_away(void **state)
{
    struct ends p = open_pipe();
    struct sink_fixture f;

    begin_on_fd(&f, state, p.write);
    close(p.read);
    assert_int_equal(sink_write_at(&f, (const uint8_t *)"abc", 0, 3), 0);
    sink_run_jobs(&f);
    assert_int_equal(f.finished, 1);
    assert_int_equal(f.result.err, VLY_E_IO);
    assert_non_null(strstr(f.result.text, "reader"));
    sink_end(&f, false);
    close(p.write);
}

/* Without threads the failure is the result of write. */
static void test_pipe_sink_reader_goes_away_without_threads(void **state)
{
    struct ends p = open_pipe();
    struct sink_fixture f;

    begin_on_fd(&f, state, p.write);
    f.jobs.link = NULL;
    close(p.read);
    assert_int_equal(sink_write_at(&f, (const uint8_t *)"abc", 0, 3), VLY_E_IO);
    assert_int_equal(f.finished, 0);
    sink_end(&f, false);
    close(p.write);
}

/* A full pipe does not hold up an owner that gave up. */
static void test_pipe_sink_closed_while_blocked(void **state)
{
    size_t len = 1 << 20;
    uint8_t *data = sink_content(len, 1);
    struct ends p = open_pipe();
    struct sink_fixture f;

    begin_on_fd(&f, state, p.write);
    assert_int_equal(sink_write_at(&f, data, 0, len), 0);
    sink_end(&f, false); /* closes first, then lets the thread run: it must not block */
    assert_int_equal(f.finished, 0);
    close(p.write);
    close(p.read);
    free(data);
}

static void test_pipe_sink_redirected_to_a_file(void **state)
{
    size_t len = 1 << 20;
    uint8_t *data = sink_content(len, 1);
    struct sink_fixture f;
    int fd = open(tmpdir_at(*state, "target"), O_WRONLY | O_CREAT, 0600);

    begin_on_fd(&f, state, fd);
    assert_int_equal(sink_write_at(&f, data, 0, len), 0);
    sink_run_jobs(&f);
    sink_finish(&f, data, len);
    assert_int_equal(f.result.err, 0);
    sink_assert_target(&f, data, len);
    sink_end(&f, true);
    close(fd);
    free(data);
}

/* ---- source ---- */

struct woken {
    unsigned n;
};

static void wake(void *ctx)
{
    ((struct woken *)ctx)->n++;
}

static void test_pipe_source_until_its_end(void **state)
{
    struct ends p = open_pipe();
    struct vly_source *s;
    struct sink_fixture f;
    struct woken woken = {0};
    struct vly_fault why;
    uint8_t buf[16];
    size_t len = sizeof buf;
    bool last;

    sink_begin(&f, state, 0);
    assert_int_equal(vly_source_open_fd(&s, p.read, &f.jobs, wake, &woken), 0);
    assert_int_equal(s->size_bytes, VLY_SIZE_UNKNOWN);
    assert_int_equal(write(p.write, "hello world", 11), 11);
    assert_int_equal(vly_source_read(s, buf, &len, &last, &why), VLY_E_AGAIN);
    assert_int_equal(vly_source_read(s, buf, &len, &last, &why), VLY_E_AGAIN);
    sink_run_jobs(&f);
    assert_int_equal(woken.n, 1);
    len = 4;
    assert_int_equal(vly_source_read(s, buf, &len, &last, &why), 0);
    assert_true(len == 4 && !last && memcmp(buf, "hell", 4) == 0);
    len = sizeof buf;
    assert_int_equal(vly_source_read(s, buf, &len, &last, &why), 0);
    assert_true(len == 7 && !last && memcmp(buf, "o world", 7) == 0);
    len = sizeof buf;
    assert_int_equal(vly_source_read(s, buf, &len, &last, &why), VLY_E_AGAIN);
    close(p.write);
    sink_run_jobs(&f);
    assert_int_equal(vly_source_read(s, buf, &len, &last, &why), 0);
    assert_true(len == 0 && last);
    vly_source_close(s);
    sink_end(&f, false);
    close(p.read);
}

static void test_pipe_source_fails(void **state)
{
    int fd = open(tmpdir_at(*state, ""), O_RDONLY | O_DIRECTORY); /* reading it is EISDIR */
    struct vly_source *s;
    struct sink_fixture f;
    struct woken woken = {0};
    struct vly_fault why;
    uint8_t buf[16];
    size_t len = sizeof buf;
    bool last;

    sink_begin(&f, state, 0);
    assert_int_equal(vly_source_open_fd(&s, fd, &f.jobs, wake, &woken), 0);
    assert_int_equal(vly_source_read(s, buf, &len, &last, &why), VLY_E_AGAIN);
    sink_run_jobs(&f);
    assert_int_equal(vly_source_read(s, buf, &len, &last, &why), VLY_E_IS_DIRECTORY);
    assert_false(last);
    vly_source_close(s);
    sink_end(&f, false);
    close(fd);
}

/* Nobody writes, and the owner gives up: the thread comes back. */
static void test_pipe_source_closed_while_waiting(void **state)
{
    struct ends p = open_pipe();
    struct vly_source *s;
    struct sink_fixture f;
    struct woken woken = {0};
    struct vly_fault why;
    uint8_t buf[16];
    size_t len = sizeof buf;
    bool last;

    sink_begin(&f, state, 0);
    assert_int_equal(vly_source_open_fd(&s, p.read, &f.jobs, wake, &woken), 0);
    assert_int_equal(vly_source_read(s, buf, &len, &last, &why), VLY_E_AGAIN);
    vly_source_close(s);
    sink_end(&f, false);
    assert_int_equal(woken.n, 0);
    close(p.read);
    close(p.write);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TMPDIR(test_pipe_sink_in_order),
        IN_TMPDIR(test_pipe_sink_empty),
        IN_TMPDIR(test_pipe_sink_wrong_hash),
        IN_TMPDIR(test_pipe_sink_reader_goes_away),
        IN_TMPDIR(test_pipe_sink_reader_goes_away_without_threads),
        IN_TMPDIR(test_pipe_sink_closed_while_blocked),
        IN_TMPDIR(test_pipe_sink_redirected_to_a_file),
        IN_TMPDIR(test_pipe_source_until_its_end),
        IN_TMPDIR(test_pipe_source_fails),
        IN_TMPDIR(test_pipe_source_closed_while_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
