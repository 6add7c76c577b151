/*
 * Each protocol of the comparison, run once for real between two sides, with a little data. A
 * program that is not installed is skipped, and said so. Nothing may be left behind, whatever
 * happens.
 */
#include "bench/rows/peer.h"
#include "bench/rows/row.h"

#include "support/support.h"
#include "support/tmpdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE_BYTES (UINT64_C(8) << 20)
#define TIMEOUT_NS VLY_S(60) /* for what takes a moment: generous, for busy machines */

static volatile bool stop;

static void on_alarm(int signum)
{
    (void)signum;
    stop = true;
}

/* ---- what must be the same before and after ---- */

struct leftovers {
    size_t descriptors;
    char children[256]; /* pids: of this process */
};

static size_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

static struct leftovers look(void)
{
    struct leftovers l = {.descriptors = count_entries("/proc/self/fd")};
    FILE *f = fopen("/proc/thread-self/children", "r");

    if (f == NULL)
        fail_msg("the kernel does not list the children of a process");
    else {
        l.children[fread(l.children, 1, sizeof(l.children) - 1, f)] = '\0';
        (void)fclose(f);
    }
    return l;
}

static void assert_nothing_left(const struct leftovers *before)
{
    struct leftovers after = look();

    assert_int_equal(after.descriptors, before->descriptors);
    assert_string_equal(after.children, before->children);
}

/* ---- the rows ---- */

/* A copy of an environment variable, "" when it is not set; owned by the caller. */
static char *variable(const char *name)
{
    const char *value = getenv(name);
    char *copy = strdup(value != NULL ? value : "");

    assert_non_null(copy);
    return copy;
}

struct fixture {
    struct tmpdir *dir; /* stands in for tmpfs */
    struct bench_lab *lab;
    char *volley; /* VOLLEY_BIN as it was */
};

static int open_lab(void **state, enum bench_lab_kind kind)
{
    static struct fixture f;
    char why[BENCH_WHY_BYTES];
    void *dir;

    stop = false;
    assert_int_equal(tmpdir_setup(&dir), 0);
    f.dir = dir;
    f.volley = variable("VOLLEY_BIN");
    assert_int_equal(bench_lab_open(&f.lab, &(struct bench_lab_spec){.kind = kind}, why), 0);
    *state = &f;
    return 0;
}

static int lab_setup(void **state)
{
    return open_lab(state, BENCH_LAB_LO);
}

static int lab_teardown(void **state)
{
    struct fixture *f = *state;
    void *dir = f->dir;

    (void)setenv("VOLLEY_BIN", f->volley, 1);
    free(f->volley);
    bench_row_cleanup();
    bench_lab_close(f->lab);
    (void)tmpdir_teardown(&dir);
    return 0;
}

static struct bench_row row_of(const char *protocol, enum bench_kind kind)
{
    struct bench_row row = {.kind = kind, .bytes = SIZE_BYTES, .parallel = 1};

    (void)snprintf(row.protocol, sizeof(row.protocol), "%s", protocol);
    return row;
}

/* Runs it; false: it cannot be run here. The sample is the caller's to end. */
static bool run_row(const struct fixture *f, struct bench_row *row, struct bench_sample *s)
{
    struct leftovers before = look();
    char why[BENCH_WHY_BYTES];

    row->directory = f->dir->path;
    if (!bench_row_is_available(row, why)) {
        print_message("SKIPPED %s: %s\n", row->protocol, why);
        return false;
    }
    assert_int_equal(bench_row_run(f->lab, row, TIMEOUT_NS, &stop, s), 0);
    if (s->err != 0)
        print_message("%s: %s\n", row->protocol, s->error);
    assert_nothing_left(&before);
    return true;
}

static void assert_complete(const struct bench_sample *s)
{
    assert_int_equal(s->err, 0);
    assert_string_equal(s->error, "");
    assert_in_range(s->duration_ns, 1, TIMEOUT_NS);
    assert_in_range(s->cpu_sender_ns, 1, TIMEOUT_NS);
    assert_in_range(s->cpu_receiver_ns, 1, TIMEOUT_NS);
    assert_int_not_equal(s->cpu_softirq_ns, BENCH_UNKNOWN);
    assert_in_range(s->cpu_all_ns, VLY_MS(10), BENCH_UNKNOWN - 1);
    assert_in_range(s->cpu_steal_ns, 0, s->cpu_all_ns);
    assert_in_range(s->rss_sender_bytes, 1 << 20, UINT64_C(1) << 32);
    assert_in_range(s->rss_receiver_bytes, 1 << 20, UINT64_C(1) << 32);
    assert_true(s->io[0] != '\0');
}

static void files_go(const struct fixture *f, const char *protocol, bool reverse)
{
    struct bench_row row = row_of(protocol, BENCH_FILE);
    struct bench_sample s;

    row.reverse = reverse;
    if (!run_row(f, &row, &s))
        return;
    assert_complete(&s);
    assert_int_equal(s.bytes, SIZE_BYTES);
    assert_int_equal(s.total_bytes, SIZE_BYTES);
    assert_true(s.cc[0] != '\0');
    if (strcmp(protocol, "volley") == 0) { /* of the sender, whichever end that is */
        assert_in_range(s.packets_sent, SIZE_BYTES / 65507, SIZE_BYTES);
        assert_int_not_equal(s.retransmits, BENCH_UNKNOWN);
        assert_int_equal(s.kernel_drops < SIZE_BYTES, true);
    }
    bench_sample_fini(&s);
}

static void test_files(void **state)
{
    static const char *const protocols[] = {"tcp", "volley", "scp", "rsync", "socat"};
    const struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
        for (int reverse = 0; reverse < 2; reverse++) {
            print_message("%s%s\n", protocols[i], reverse == 1 ? ", reversed" : "");
            files_go(f, protocols[i], reverse == 1);
        }
    assert_int_equal(tmpdir_count(f->dir, ""), 1); /* the source is kept for the next run */
    bench_row_cleanup();
    assert_int_equal(tmpdir_count(f->dir, ""), 0);
}

static void assert_memory(const struct fixture *f, struct bench_row *row)
{
    struct bench_sample s;

    if (!run_row(f, row, &s))
        return;
    assert_complete(&s);
    assert_in_range(s.bytes, 1, UINT64_MAX - 1);
    if (row->warmup_ns == 0) {
        assert_int_equal(s.total_bytes, s.bytes);
        assert_in_range(s.sent_bytes, s.bytes, UINT64_MAX - 1);
    } else /* what was on the way when the warm-up ended was sent before it, and arrived after */
        assert_in_range(s.total_bytes, s.bytes + 1, UINT64_MAX - 1);
    assert_int_equal(json_array_size(s.intervals) > 0, row->interval_ns != 0);
    bench_sample_fini(&s);
}

/* The reliable ones move all of it. */
static void memory_goes(const struct fixture *f, const char *protocol, bool reliable)
{
    struct bench_row row = row_of(protocol, BENCH_MEMORY);
    struct bench_sample s;

    if (reliable && run_row(f, &row, &s)) {
        assert_int_equal(s.bytes, SIZE_BYTES);
        assert_true(s.cc[0] != '\0');
        bench_sample_fini(&s);
    }
    if (!reliable)
        assert_memory(f, &row);
    row.bytes = 0;
    row.reverse = true;
    row.parallel = 2;
    row.duration_ns = VLY_MS(200);
    row.warmup_ns = VLY_MS(100);
    row.interval_ns = VLY_MS(100);
    assert_memory(f, &row);
}

static void test_memory(void **state)
{
    memory_goes(*state, "tcp", true);
    memory_goes(*state, "tls", true);
    memory_goes(*state, "volley", true);
    memory_goes(*state, "udp-raw", false);
}

static void test_iperf3(void **state)
{
    struct bench_row tcp = row_of("iperf3-tcp", BENCH_MEMORY);
    struct bench_row udp = row_of("iperf3-udp", BENCH_MEMORY);

    tcp.parallel = 2;
    assert_memory(*state, &tcp);
    tcp.reverse = true;
    assert_memory(*state, &tcp);
    udp.bytes = 0;
    udp.duration_ns = VLY_MS(700);
    udp.warmup_ns = VLY_MS(300);
    udp.interval_ns = VLY_MS(300);
    assert_memory(*state, &udp);
    udp.reverse = true;
    udp.warmup_ns = 0;
    assert_memory(*state, &udp);
}

/* The same between two namespaces, where each server has its own ports. */
static void test_namespaces(void **state)
{
    static const char *const protocols[] = {"tcp", "socat", "scp", "rsync"};
    size_t n =
        ARRAY_LEN(protocols) - (geteuid() != 0); /* sshd cannot switch users in one of ours */
    struct bench_row row = row_of("iperf3-tcp", BENCH_MEMORY);
    char why[BENCH_WHY_BYTES];

    if (!bench_lab_has_namespaces(why)) {
        print_message("SKIPPED: %s\n", why);
        return;
    }
    assert_int_equal(open_lab(state, BENCH_LAB_VETH), 0);
    assert_memory(*state, &row);
    for (size_t i = 0; i < n; i++)
        files_go(*state, protocols[i], false);
    (void)lab_teardown(state);
}

/* An iperf3 that finds its port taken the first time that it serves. */
static void test_a_taken_port_is_no_failure(void **state)
{
    const struct fixture *f = *state;
    struct bench_row row = row_of("iperf3-tcp", BENCH_MEMORY);
    char *path = variable("PATH");
    char text[1024], real[512], why[BENCH_WHY_BYTES];

    if (!bench_row_is_available(&row, why)) {
        print_message("SKIPPED: %s\n", why);
        free(path);
        return;
    }
    assert_true(bench_program_find("iperf3", real, sizeof(real)));
    (void)snprintf(text, sizeof(text),
                   "#!/bin/sh\nif [ $1 = -s ] && mkdir %s 2>/dev/null; then\n"
                   "echo '{\"error\":\"unable to start listener for connections: Address already "
                   "in use\"}'; exit 1; fi\nexec %s \"$@\"\n",
                   tmpdir_at(f->dir, "served"), real);
    tmpdir_write(f->dir, "iperf3", text, strlen(text));
    assert_int_equal(chmod(tmpdir_at(f->dir, "iperf3"), 0700), 0);
    (void)snprintf(text, sizeof(text), "%s:%s", f->dir->path, path);
    assert_int_equal(setenv("PATH", text, 1), 0);
    assert_memory(f, &row);
    assert_true(tmpdir_exists(f->dir, "served"));
    assert_int_equal(setenv("PATH", path, 1), 0);
    free(path);
}

/* ---- what goes wrong ----
 *
 * A script in the place of volley: "serve" runs until it is ended, "put" does what the test says.
 * $2 is the served directory and the source. */

static void script(const struct fixture *f, const char *serve, const char *put)
{
    char text[1024];

    (void)snprintf(
        text, sizeof(text), "#!/bin/sh\nif [ $1 = serve ]; then\n%s\nelse\n%s\nfi\n",
        serve != NULL ? serve : "echo '{\"event\":\"listening\",\"port\":7}'\nexec sleep 600", put);
    tmpdir_write(f->dir, "volley", text, strlen(text));
    assert_int_equal(chmod(tmpdir_at(f->dir, "volley"), 0700), 0);
    assert_int_equal(setenv("VOLLEY_BIN", tmpdir_at(f->dir, "volley"), 1), 0);
}

/* The row fails with that error, and these words are in its line. */
static void assert_fails(const struct fixture *f, int err, const char *words)
{
    struct bench_row row = row_of("volley", BENCH_FILE);
    struct bench_sample s = {.err = 0};

    assert_true(run_row(f, &row, &s));
    assert_int_equal(s.err, err);
    if (strstr(s.error, words) == NULL)
        fail_msg("'%s' is not in: %s", words, s.error);
    bench_sample_fini(&s);
}

static void test_failures_are_told(void **state)
{
    static const char done[] = "echo '{\"event\":\"done\"}'";
    const struct fixture *f = *state;
    char copy[256];

    script(f, "echo 'volley serve: no such port' >&2; exit 2", "true");
    assert_fails(f, VLY_E_FAILED, "volley ended with code 2: volley serve: no such port");
    script(f, "echo hello; exec sleep 600", "true");
    assert_fails(f, VLY_E_MALFORMED, "volley does not say its port, but: hello");
    script(f, NULL, "echo 'out of luck' >&2; exit 1");
    assert_fails(f, VLY_E_FAILED, "volley ended with code 1: out of luck");
    script(f, NULL,
           "echo '{\"event\":\"error\",\"code\":\"NO_SPACE\",\"message\":\"full\"}'; exit 8");
    assert_fails(f, VLY_E_NO_SPACE, "volley: full");
    script(f, NULL, "true");
    assert_fails(f, VLY_E_MALFORMED, "volley: it printed no result");
    script(f, NULL, done);
    assert_fails(f, VLY_E_IO, "the copy cannot be read");
    (void)snprintf(copy, sizeof(copy), "head -c 100 $2 >${2%%/source/data}/target/data\n%s", done);
    script(f, NULL, copy);
    assert_fails(f, VLY_E_INTEGRITY, "the copy has the wrong size: 100 B of 8.00 MiB");
    (void)snprintf(copy, sizeof(copy),
                   "{ head -c %u $2; printf x; } >${2%%/source/data}/target/data\n%s",
                   (unsigned)SIZE_BYTES - 1, done);
    script(f, NULL, copy);
    assert_fails(f, VLY_E_INTEGRITY, "the copy differs");
}

static void test_timeout_and_stop(void **state)
{
    const struct fixture *f = *state;
    struct bench_row row = row_of("volley", BENCH_FILE);
    const struct itimerval soon = {.it_value.tv_usec = 50000};
    struct leftovers before;
    struct bench_sample s;

    row.directory = f->dir->path;
    script(f, NULL, "exec sleep 600");
    before = look();
    assert_int_equal(bench_row_run(f->lab, &row, VLY_MS(200), &stop, &s), 0);
    assert_int_equal(s.err, VLY_E_NO_ANSWER);
    assert_string_equal(s.error, "volley did not end within 200 ms");
    bench_sample_fini(&s);
    assert_nothing_left(&before);

    (void)signal(SIGALRM, on_alarm);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(bench_row_run(f->lab, &row, TIMEOUT_NS, &stop, &s), VLY_E_CANCELLED);
    bench_sample_fini(&s);
    assert_nothing_left(&before);
}

static void test_no_room_for_files(void **state)
{
    const struct fixture *f = *state;
    struct bench_row row = row_of("socat", BENCH_FILE);
    char nowhere[] = "/nonexistent/directory";
    struct bench_sample s;

    row.bytes = UINT64_MAX / 3;
    if (!run_row(f, &row, &s))
        return;
    assert_int_equal(s.err, VLY_E_NO_SPACE);
    assert_non_null(strstr(s.error, "choose another directory or size"));
    row.bytes = 1;
    row.directory = nowhere;
    assert_int_equal(bench_row_run(f->lab, &row, TIMEOUT_NS, &stop, &s), 0);
    assert_int_equal(s.err, VLY_E_IO);
    assert_non_null(strstr(s.error, nowhere));
    assert_int_equal(tmpdir_count(f->dir, ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_memory, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_iperf3, lab_setup, lab_teardown),
        cmocka_unit_test(test_namespaces),
        cmocka_unit_test_setup_teardown(test_a_taken_port_is_no_failure, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_failures_are_told, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_timeout_and_stop, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_no_room_for_files, lab_setup, lab_teardown),
    };

    return cmocka_run_group_tests_name("bench_rows", tests, NULL, NULL);
}
