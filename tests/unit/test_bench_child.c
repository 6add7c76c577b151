/*
 * Programs under a row: what they say is read, and whatever they do, they are gone at the end.
 */
#include "bench/rows/child.h"

#include "net/clock.h"
#include "support/support.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_NS VLY_S(60) /* for what takes a moment: generous, for busy machines */
#define SOON_NS VLY_MS(20)    /* for what must not be waited for */

static volatile bool stop;

struct fixture {
    struct bench_lab *lab;
    struct bench_children set;
    size_t descriptors;
};

static size_t count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

static int setup(void **state)
{
    static struct fixture f;
    char why[BENCH_WHY_BYTES];

    stop = false;
    f.descriptors = count_descriptors();
    assert_int_equal(bench_lab_open(&f.lab, &(struct bench_lab_spec){.kind = BENCH_LAB_LO}, why),
                     0);
    bench_children_init(&f.set, f.lab, vly_clock_now_ns() + DEADLINE_NS, &stop);
    *state = &f;
    return 0;
}

/* Nothing is left: no child, no descriptor. */
static int teardown(void **state)
{
    struct fixture *f = *state;

    bench_children_end(&f->set);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    bench_lab_close(f->lab);
    assert_int_equal(count_descriptors(), f->descriptors);
    return 0;
}

/* Starts a script of the shell. */
static struct bench_child *shell(struct fixture *f, const char *script)
{
    char sh[] = "sh", c[] = "-c", why[BENCH_WHY_BYTES];
    char *text = strdup(script);
    struct bench_child *child = NULL;

    assert_non_null(text);
    assert_int_equal(
        bench_child_start(&f->set, BENCH_LEFT, (char *[]){sh, c, text, NULL}, &child, why), 0);
    free(text);
    return child;
}

static int wait_end(struct fixture *f, struct bench_child *c)
{
    return bench_child_wait(&f->set, c, VLY_NEVER);
}

static void test_lines_and_code(void **state)
{
    struct fixture *f = *state;
    struct bench_child *c = shell(f, "echo one; printf 'two\\nrest'; exit 3");
    char why[BENCH_WHY_BYTES];
    char *line;

    assert_int_equal(bench_child_line(&f->set, c, &line), 0);
    assert_string_equal(line, "one");
    assert_int_equal(bench_child_line(&f->set, c, &line), 0);
    assert_string_equal(line, "two");
    assert_int_equal(bench_child_line(&f->set, c, &line), VLY_E_CLOSED);
    assert_int_equal(wait_end(f, c), 0);
    assert_false(bench_child_succeeded(c));
    assert_in_range(c->cpu_ns, 1, DEADLINE_NS);
    bench_child_tell(c, why);
    assert_string_equal(why, "sh ended with code 3");
}

static void test_last_line_of_stderr_is_kept(void **state)
{
    struct fixture *f = *state;
    struct bench_child *c =
        shell(f, "printf 'first\\nunable\\033 to connect\\r\\n  \\n' >&2; exit 1");
    struct bench_child *part = shell(f, "printf 'no newline' >&2; exit 2");
    char why[BENCH_WHY_BYTES];

    assert_int_equal(wait_end(f, c), 0);
    bench_child_tell(c, why);
    assert_string_equal(why, "sh ended with code 1: unable? to connect");
    assert_int_equal(wait_end(f, part), 0);
    bench_child_tell(part, why);
    assert_string_equal(why, "sh ended with code 2: no newline");
}

/* A line of a megabyte is cut, and both pipes are emptied at once. */
static void test_much_output_does_not_block(void **state)
{
    struct fixture *f = *state;
    struct bench_child *c = shell(f, "head -c 1000000 /dev/zero | tr '\\0' e >&2;"
                                     "head -c 3000000 /dev/zero | tr '\\0' o");

    assert_int_equal(wait_end(f, c), 0);
    assert_true(bench_child_succeeded(c));
    assert_int_equal(c->out_bytes, 3000000);
    assert_int_equal(strspn(c->out, "o"), 3000000);
    assert_int_equal(strlen(c->err), BENCH_CHILD_LINE_BYTES - 1);
}

static void test_output_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct bench_child *c = shell(f, "head -c 20000000 /dev/zero | tr '\\0' o");

    assert_int_equal(wait_end(f, c), 0);
    assert_int_equal(c->out_bytes, BENCH_CHILD_OUTPUT_MAX);
}

static void test_deadlines_end_waiting(void **state)
{
    struct fixture *f = *state;
    struct bench_child *c = shell(f, "exec sleep 600");
    char *line;

    assert_int_equal(bench_child_wait(&f->set, c, vly_clock_now_ns() + SOON_NS), VLY_E_NO_ANSWER);
    f->set.deadline_ns = vly_clock_now_ns() + SOON_NS;
    assert_int_equal(wait_end(f, c), VLY_E_NO_ANSWER);
    assert_int_equal(bench_child_line(&f->set, c, &line), VLY_E_NO_ANSWER);
    bench_child_end(&f->set, c);
    assert_true(WIFSIGNALED(c->status));
    assert_int_equal(WTERMSIG(c->status), SIGTERM);
}

static void on_alarm(int signum)
{
    (void)signum;
    stop = true;
}

static void test_stop_ends_waiting(void **state)
{
    struct fixture *f = *state;
    struct bench_child *c = shell(f, "exec sleep 600");
    const struct itimerval soon = {.it_value.tv_usec = SOON_NS / 1000};

    (void)signal(SIGALRM, on_alarm);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(wait_end(f, c), VLY_E_CANCELLED);
}

static void test_who_ignores_sigterm_is_killed(void **state)
{
    struct fixture *f = *state;
    struct bench_child *c = shell(f, "trap '' TERM; echo ready; exec sleep 600");
    char why[BENCH_WHY_BYTES];
    char *line;

    assert_int_equal(bench_child_line(&f->set, c, &line), 0);
    stop = true; /* shortens the grace */
    bench_child_end(&f->set, c);
    bench_child_tell(c, why);
    assert_string_equal(why, "sh was ended by signal 9");
}

/* Ends the child, which has said the pid of a process that it started: that one ends too. */
static void assert_ends_below(struct fixture *f, struct bench_child *c)
{
    struct pollfd grandchild = {.events = POLLIN};
    char *line;

    assert_int_equal(bench_child_line(&f->set, c, &line), 0);
    grandchild.fd = (int)syscall(SYS_pidfd_open, (pid_t)strtol(line, NULL, 10), 0);
    assert_true(grandchild.fd >= 0);
    assert_true(bench_child_has_children(c));
    bench_child_end(&f->set, c);
    assert_false(bench_child_has_children(c));
    assert_int_equal(poll(&grandchild, 1, 0), 1);
    (void)close(grandchild.fd);
}

/* What a child started dies with it: sshd and rsync start a process for each connection. */
static void test_grandchildren_are_ended(void **state)
{
    assert_ends_below(*state, shell(*state, "sleep 600 & echo $!; wait"));
}

/* One that is started when the child is told to end. */
static void test_late_grandchildren_are_ended(void **state)
{
    struct fixture *f = *state;
    struct bench_child *c =
        shell(f, "trap 'sleep 600 & echo $!' TERM; echo ready; while :; do :; done");
    struct pollfd grandchild = {.events = POLLIN};
    pid_t pid;
    char *line;

    assert_int_equal(bench_child_line(&f->set, c, &line), 0);
    stop = true; /* shortens the grace */
    bench_child_end(&f->set, c);
    pid = (pid_t)strtol(c->out + c->out_read, NULL, 10);
    assert_true(pid > 0);
    grandchild.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (grandchild.fd >= 0) { /* dead, and not waited for yet */
        assert_int_equal(poll(&grandchild, 1, 0), 1);
        (void)close(grandchild.fd);
    }
}

static void test_missing_program(void **state)
{
    struct fixture *f = *state;
    char name[] = "no-such-program-here", why[BENCH_WHY_BYTES] = "";
    struct bench_child *c;
    int err = bench_child_start(&f->set, BENCH_RIGHT, (char *[]){name, NULL}, &c, why);

    assert_int_equal(err, VLY_E_NOT_FOUND);
    assert_non_null(strstr(why, name));
    assert_int_equal(f->set.n, 0);
}

static void test_a_set_is_bounded(void **state)
{
    struct fixture *f = *state;
    char sleep_program[] = "sleep", time[] = "600", why[BENCH_WHY_BYTES];
    char *const argv[] = {sleep_program, time, NULL};
    struct bench_child *c;

    for (int i = 0; i < BENCH_CHILDREN_MAX; i++)
        assert_int_equal(bench_child_start(&f->set, BENCH_LEFT, argv, &c, why), 0);
    assert_int_equal(bench_child_start(&f->set, BENCH_LEFT, argv, &c, why), VLY_E_LIMIT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_lines_and_code),
        T(test_last_line_of_stderr_is_kept),
        T(test_much_output_does_not_block),
        T(test_output_is_bounded),
        T(test_deadlines_end_waiting),
        T(test_stop_ends_waiting),
        T(test_who_ignores_sigterm_is_killed),
        T(test_grandchildren_are_ended),
        T(test_late_grandchildren_are_ended),
        T(test_missing_program),
        T(test_a_set_is_bounded),
    };

    return cmocka_run_group_tests_name("bench_child", tests, NULL, NULL);
}
