/*
 * Transfers that do not end well: whatever happens, and after whichever event, the target name
 * holds what it held before or all of the new content, no temporary file is left, and both sides
 * say why.
 */
#include "support/file_world.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- an end after each event ---- */

enum ending { CANCEL, STOP_SERVER, LOSE, N_ENDINGS };

static void make_it_end(struct file_world *w, enum ending ending)
{
    struct vly_link *server = fake_pair_link(w->pair, FAKE_SERVER);

    if (ending == CANCEL)
        vly_file_client_cancel(w->client);
    else if (ending == LOSE)
        fake_lose(w->pair, VLY_E_LOST);
    else if (!fake_is_closed(w->pair, FAKE_SERVER))
        server->ops->close(server, VLY_WIRE_CANCELLED, VLY_STOPPED_REASON);
}

static void assert_said_why(const struct file_world *w, enum ending ending)
{
    static const struct {
        int client_err;
        const char *client_text, *server_text;
    } want[N_ENDINGS] = {
        [CANCEL] = {VLY_E_CANCELLED, "given up", "the client gave up"},
        [STOP_SERVER] = {VLY_E_CLOSED, "the server was stopped", "the server was stopped"},
        [LOSE] = {VLY_E_LOST, "was lost", "lost"},
    };

    assert_int_equal(w->err, want[ending].client_err);
    assert_non_null(strstr(w->text, want[ending].client_text));
    if (w->server_err != 0)
        assert_non_null(strstr(w->server_text, want[ending].server_text));
}

/* Lets `steps` events happen, then ends it. Returns whether it was over before. */
static bool run_until(struct file_world *w, enum vly_client_verb verb, uint64_t steps,
                      enum ending ending)
{
    const char *source = verb == VLY_GET ? "f" : "out/f", *where = verb == VLY_GET ? "out/g" : "g";
    bool over = false;

    assert_int_equal(fw_start(w, verb, source, where), 0);
    for (uint64_t i = 0; i < steps && !over; i++)
        over = !fake_step(w->pair);
    if (!over && !w->finished)
        make_it_end(w, ending);
    fw_run(w);
    fw_stop(w);
    return over;
}

static void assert_target(const struct file_world *w, const char *target, const char *source,
                          bool had_old)
{
    if (w->err == 0 || (tmpdir_exists(w->dir, target) && !had_old))
        tmpdir_assert_same(w->dir, target, source);
    else if (had_old) { /* the old one, or, when publishing won the race, the new one */
        struct stat st = tmpdir_stat(w->dir, target);

        if (st.st_size == 3)
            tmpdir_assert_content(w->dir, target, "old");
        else
            tmpdir_assert_same(w->dir, target, source);
    }
}

static void end_after_each_event(void **state, enum vly_client_verb verb, size_t size, bool force)
{
    const char *source = verb == VLY_GET ? "root/f" : "out/f";
    const char *target = verb == VLY_GET ? "out/g" : "root/g";
    unsigned complete = 0, dropped = 0;

    tmpdir_fill(*state, source, size, 1);
    for (enum ending ending = 0; ending < N_ENDINGS; ending++) {
        bool over = false;

        for (uint64_t steps = 0; !over; steps++) {
            struct file_world w;

            fw_begin(&w, state);
            w.fake.seed = steps;
            w.force = force;
            if (force)
                tmpdir_write(w.dir, target, "old", 3);
            over = run_until(&w, verb, steps, ending);
            assert_target(&w, target, source, force);
            if (w.err != 0)
                assert_said_why(&w, ending);
            complete += w.err == 0;
            dropped += w.err != 0;
            if (tmpdir_exists(w.dir, target))
                tmpdir_remove_all(w.dir, target);
            fw_end(&w);
        }
    }
    print_message("  %u complete, %u dropped\n", complete, dropped);
    assert_true(complete > 0 && dropped > 0);
}

static void test_end_after_each_event_get(void **state)
{
    end_after_each_event(state, VLY_GET, 20000, false);
}

static void test_end_after_each_event_get_force(void **state)
{
    end_after_each_event(state, VLY_GET, 5000, true);
}

static void test_end_after_each_event_put(void **state)
{
    end_after_each_event(state, VLY_PUT, 20000, false);
}

static void test_end_after_each_event_put_force(void **state)
{
    end_after_each_event(state, VLY_PUT, 5000, true);
}

/* With space to be set aside first, and more than one chunk. */
static void test_end_now_and_then_large(void **state)
{
    tmpdir_fill(*state, "root/f", 3 << 20, 1);
    tmpdir_fill(*state, "out/f", 3 << 20, 1);
    for (unsigned i = 0; i < 60; i++) {
        enum vly_client_verb verb = i % 2 == 0 ? VLY_GET : VLY_PUT;
        const char *target = verb == VLY_GET ? "out/g" : "root/g";
        struct file_world w;

        fw_begin(&w, state);
        w.fake = (struct fake_options){.seed = i, .piece_bytes = 60000};
        run_until(&w, verb, i * 2, (enum ending)(i % N_ENDINGS));
        assert_target(&w, target, "root/f", false);
        if (tmpdir_exists(w.dir, target))
            tmpdir_remove_all(w.dir, target);
        fw_end(&w);
    }
}

/* ---- sources that change ---- */

static void wait_a_tick(void)
{
    struct timespec begin, now;

    clock_gettime(CLOCK_REALTIME_COARSE, &begin);
    do
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while (now.tv_sec == begin.tv_sec && now.tv_nsec == begin.tv_nsec);
}

static void change(const char *path, unsigned how)
{
    int fd;

    if (how == 0) {
        assert_int_equal(truncate(path, 100000), 0);
    } else {
        fd = open(path, O_WRONLY | (how == 1 ? O_APPEND : 0));
        wait_a_tick();
        assert_int_equal(write(fd, "changed", 7), 7);
        close(fd);
    }
}

/* Shrinks, grows, is edited: both sides say so, and nothing appears. */
static void test_source_changes_under_way(void **state)
{
    for (unsigned i = 0; i < 6; i++) {
        enum vly_client_verb verb = i < 3 ? VLY_GET : VLY_PUT;
        const char *source = verb == VLY_GET ? "root/f" : "out/f";
        struct file_world w;

        fw_begin(&w, state);
        w.fake = (struct fake_options){.seed = i, .room_bytes = 5000};
        tmpdir_fill(w.dir, source, 300000, i);
        assert_int_equal(
            fw_start(&w, verb, verb == VLY_GET ? "f" : "out/f", verb == VLY_GET ? "out/g" : "g"),
            0);
        while (w.begins == 0)
            assert_true(fake_step(w.pair));
        for (unsigned k = 0; k < 20; k++)
            assert_true(fake_step(w.pair));
        change(tmpdir_at(w.dir, source), i % 3);
        fw_run(&w);
        fw_stop(&w);
        assert_int_equal(w.err, VLY_E_SOURCE_CHANGED);
        assert_int_equal(w.server_err, VLY_E_SOURCE_CHANGED);
        assert_int_equal(w.ends_failed, 1);
        assert_false(tmpdir_exists(w.dir, "out/g"));
        assert_false(tmpdir_exists(w.dir, "root/g"));
        tmpdir_remove_all(w.dir, source);
        fw_end(&w);
    }
}

/* ---- refusals ---- */

static void test_read_only_server(void **state)
{
    static const char *const paths[] = {"out/a", "out/b", "out/c"};
    struct file_world w;

    tmpdir_write(*state, "out/a", "a", 1);
    tmpdir_write(*state, "out/b", "b", 1);
    tmpdir_mkdir(*state, "out/c");
    fw_begin(&w, state);
    w.writable = false;
    assert_int_equal(fw_transfer(&w, VLY_PUT, "out/a", ""), VLY_E_REFUSED);
    assert_non_null(strstr(w.text, "--writable"));
    assert_int_equal(fw_transfer(&w, VLY_PUT, "out/c", ""), VLY_E_REFUSED);
    assert_int_equal(fw_start_many(&w, VLY_PUT, paths, 3, ""), 0);
    fw_run(&w);
    fw_stop(&w);
    assert_int_equal(w.err, VLY_E_REFUSED);
    assert_int_equal(tmpdir_count(w.dir, "root"), 0);
    assert_int_equal(w.begins, 0);
    fw_end(&w);
}

static void test_get_refusals(void **state)
{
    static const struct {
        const char *path, *where;
        int want;
    } cases[] = {
        {"no", "out", VLY_E_NOT_FOUND},       {"d/no", "out", VLY_E_NOT_FOUND},
        {"link", "out", VLY_E_REFUSED},       {"linkdir/secret", "out", VLY_E_REFUSED},
        {"fifo", "out", VLY_E_NOT_REGULAR},   {"../out/x", "out", VLY_E_BAD_NAME},
        {"a/../../x", "out", VLY_E_BAD_NAME}, {"a\nb", "out", VLY_E_BAD_NAME},
        {"f/x", "out", VLY_E_NOT_DIRECTORY},  {"d", "-", VLY_E_IS_DIRECTORY},
        {"d", "out/file", VLY_E_EXISTS},
    };

    tmpdir_write(*state, "root/f", "f", 1);
    tmpdir_mkdir(*state, "root/d");
    tmpdir_write(*state, "out/file", "old", 3);
    assert_int_equal(symlink("f", tmpdir_at(*state, "root/link")), 0);
    assert_int_equal(symlink("../out", tmpdir_at(*state, "root/linkdir")), 0);
    assert_int_equal(mkfifo(tmpdir_at(*state, "root/fifo"), 0600), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct file_world w;

        print_message("  %s\n", cases[i].path);
        fw_begin(&w, state);
        assert_int_equal(fw_transfer(&w, VLY_GET, cases[i].path, cases[i].where), cases[i].want);
        assert_int_equal(tmpdir_count(w.dir, "out"), 1);
        assert_int_equal(w.begins, 0);
        fw_end(&w);
    }
}

static void test_put_refusals(void **state)
{
    static const struct {
        const char *path, *where;
        int want;
    } cases[] = {
        {"out/no", "", VLY_E_NOT_FOUND},        {"out/fifo", "", VLY_E_NOT_REGULAR},
        {"out/bad\nname", "", VLY_E_BAD_NAME},  {"-", "", VLY_E_INVALID},
        {"-", "dir/", VLY_E_INVALID},           {"out/d", "no/in", VLY_E_NOT_FOUND},
        {"out/d", "file", VLY_E_NOT_DIRECTORY},
    };

    tmpdir_mkdir(*state, "out/d");
    tmpdir_write(*state, "out/d/f", "f", 1);
    tmpdir_write(*state, "out/bad\nname", "f", 1);
    tmpdir_write(*state, "root/file", "old", 3);
    assert_int_equal(mkfifo(tmpdir_at(*state, "out/fifo"), 0600), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct file_world w;

        print_message("  %s to %s\n", cases[i].path, cases[i].where);
        fw_begin(&w, state);
        assert_int_equal(fw_transfer(&w, VLY_PUT, cases[i].path, cases[i].where), cases[i].want);
        assert_int_equal(tmpdir_count(w.dir, "root"), 1);
        fw_end(&w);
    }
}

/* A file with a name that no server takes does not keep the others from going. */
static void test_put_tree_with_a_bad_name(void **state)
{
    struct file_world w;

    tmpdir_mkdir(*state, "out/d");
    tmpdir_write(*state, "out/d/good", "f", 1);
    tmpdir_write(*state, "out/d/bad\nname", "f", 1);
    fw_begin(&w, state);
    assert_int_equal(fw_transfer(&w, VLY_PUT, "out/d", ""), VLY_E_BAD_NAME);
    tmpdir_assert_content(w.dir, "root/d/good", "f");
    assert_int_equal(tmpdir_count(w.dir, "root/d"), 1);
    assert_int_equal(w.files_ok, 1);
    fw_end(&w);
}

static void test_target_appears_under_way(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        const char *target = i == 0 ? "out/g" : "root/g";
        struct file_world w;

        tmpdir_fill(*state, "root/f", 50000, 1);
        tmpdir_fill(*state, "out/f", 50000, 1);
        fw_begin(&w, state);
        assert_int_equal(
            i == 0 ? fw_start(&w, VLY_GET, "f", "out/g") : fw_start(&w, VLY_PUT, "out/f", "g"), 0);
        while (w.begins == 0)
            assert_true(fake_step(w.pair));
        tmpdir_write(w.dir, target, "theirs", 6);
        fw_run(&w);
        fw_stop(&w);
        assert_int_equal(w.err, VLY_E_EXISTS);
        assert_int_equal(w.server_err, VLY_E_EXISTS);
        tmpdir_assert_content(w.dir, target, "theirs");
        fw_end(&w);
    }
}

static void test_served_root_vanishes(void **state)
{
    struct file_world w;

    tmpdir_write(*state, "out/f", "f", 1);
    fw_begin(&w, state);
    assert_int_equal(rmdir(tmpdir_at(w.dir, "root")), 0);
    assert_int_equal(fw_transfer(&w, VLY_GET, "f", "out/g"), VLY_E_NOT_FOUND);
    assert_non_null(strstr(w.text, "is gone"));
    assert_int_equal(fw_transfer(&w, VLY_PUT, "out/f", ""), VLY_E_NOT_FOUND);
    assert_non_null(strstr(w.text, "is gone"));
    assert_int_equal(fw_transfer(&w, VLY_LIST, "", NULL), VLY_E_NOT_FOUND);
    fw_end(&w);
}

/* No space in the middle, on either side: told at both, and nothing is left. */
static void test_no_space(void **state)
{
    struct rlimit limit;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    tmpdir_fill(*state, "root/f", 300000, 1);
    tmpdir_fill(*state, "out/f", 300000, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct file_world w;

        fw_begin(&w, state);
        assert_int_equal(
            i == 0 ? fw_start(&w, VLY_GET, "f", "out/g") : fw_start(&w, VLY_PUT, "out/f", "g"), 0);
        limit.rlim_cur = 100000;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        fw_run(&w);
        limit.rlim_cur = limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        fw_stop(&w);
        assert_int_equal(w.err, VLY_E_NO_SPACE);
        assert_int_equal(w.server_err, VLY_E_NO_SPACE);
        assert_false(tmpdir_exists(w.dir, "out/g") || tmpdir_exists(w.dir, "root/g"));
        fw_end(&w);
    }
}

/* Cancelled before anything happened, and when it is too late. */
static void test_cancel_early_and_late(void **state)
{
    struct file_world w;

    tmpdir_write(*state, "root/f", "f", 1);
    fw_begin(&w, state);
    assert_int_equal(fw_start(&w, VLY_GET, "f", "out"), 0);
    vly_file_client_cancel(w.client);
    vly_file_client_cancel(w.client);
    fw_run(&w);
    assert_int_equal(w.err, VLY_E_CANCELLED);
    vly_file_client_cancel(w.client);
    fw_stop(&w);
    assert_false(tmpdir_exists(w.dir, "out/f"));
    fw_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_end_after_each_event_get),
        IN_WORLD(test_end_after_each_event_get_force),
        IN_WORLD(test_end_after_each_event_put),
        IN_WORLD(test_end_after_each_event_put_force),
        IN_WORLD(test_end_now_and_then_large),
        IN_WORLD(test_source_changes_under_way),
        IN_WORLD(test_read_only_server),
        IN_WORLD(test_get_refusals),
        IN_WORLD(test_put_refusals),
        IN_WORLD(test_put_tree_with_a_bad_name),
        IN_WORLD(test_target_appears_under_way),
        IN_WORLD(test_served_root_vanishes),
        IN_WORLD(test_no_space),
        IN_WORLD(test_cancel_early_and_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
