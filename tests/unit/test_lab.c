/*
 * lab: programs on its sides with their descriptors and errors, and specs that make no lab. What
 * needs namespaces is skipped where there are none; real programs over real links are in
 * integration/test_linkemu.py.
 */
#include "bench/lab/lab.h"
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct bench_lab *make(const struct bench_lab_spec *spec)
{
    struct bench_lab *lab;
    char why[BENCH_WHY_BYTES];
    int err;

    if (spec->kind != BENCH_LAB_LO && !bench_lab_has_namespaces(why)) {
        print_message("  skipped: %s\n", why);
        skip();
    }
    err = bench_lab_open(&lab, spec, why);
    print_message("%s", why);
    if (err == VLY_E_PERMISSION) /* /dev/net/tun */
        skip();
    assert_int_equal(err, 0);
    return lab;
}

/* Runs a shell command on a side; returns its status, and what it printed in `out`. */
static int run(const struct bench_lab *lab, enum bench_side side, const char *command,
               char out[BENCH_WHY_BYTES])
{
    char shell[] = "sh", option[] = "-c", text[BENCH_WHY_BYTES], why[BENCH_WHY_BYTES];
    char *const argv[] = {shell, option, text, NULL};
    int fds[2], status;
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    (void)strncpy(text, command, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid = bench_lab_spawn(lab, side, argv, (int[]){-1, fds[1], -1}, why);
    assert_true(pid > 0);
    (void)close(fds[1]);
    while (len < BENCH_WHY_BYTES - 1 &&
           (n = read(fds[0], out + len, BENCH_WHY_BYTES - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_lab_spawns_here(void **state)
{
    struct bench_lab *lab = make(&(struct bench_lab_spec){.kind = BENCH_LAB_LO});
    struct vly_link_counters counters[2];
    char out[BENCH_WHY_BYTES], nonsense[] = "/nonexistent/program", why[BENCH_WHY_BYTES];
    int status;

    (void)state;
    assert_string_equal(bench_lab_address(lab, BENCH_RIGHT), "127.0.0.1");
    status = run(lab, BENCH_LEFT, "read x; echo \"<$x>\"; echo unseen >&2; exit 3", out);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    assert_string_equal(out, "<>\n");
    assert_int_equal(
        bench_lab_spawn(lab, BENCH_LEFT, (char *[]){nonsense, NULL}, (int[]){-1, -1, -1}, why),
        VLY_E_NOT_FOUND);
    assert_non_null(strstr(why, nonsense));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody left behind */
    assert_int_equal(errno, ECHILD);
    assert_int_equal(bench_lab_counters(lab, counters), VLY_E_STATE);
    bench_lab_close(lab);
    bench_lab_close(NULL);
}

/* Descriptors that are 0 to 2 already, in another order. */
static void test_lab_places_descriptors(void **state)
{
    struct bench_lab *lab = make(&(struct bench_lab_spec){.kind = BENCH_LAB_LO});
    char shell[] = "sh", option[] = "-c", text[] = "echo out; echo err >&2", why[BENCH_WHY_BYTES];
    char *const argv[] = {shell, option, text, NULL};
    int out[2], err[2], saved[2] = {dup(1), dup(2)};
    char byte[2] = "";
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    (void)dup2(err[1], 1);
    (void)dup2(out[1], 2);
    pid = bench_lab_spawn(lab, BENCH_LEFT, argv, (int[]){-1, 2, 1}, why);
    (void)dup2(saved[0], 1);
    (void)dup2(saved[1], 2);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(read(out[0], &byte[0], 1), 1);
    assert_int_equal(read(err[0], &byte[1], 1), 1);
    assert_memory_equal(byte, "oe", 2);
    for (int i = 0; i < 2; i++) {
        (void)close(out[i]);
        (void)close(err[i]);
        (void)close(saved[i]);
    }
    bench_lab_close(lab);
}

static void test_lab_refuses(void **state)
{
    static const struct vly_link_change twice[] = {{VLY_S(2), VLY_LINK_OUTAGE, 1},
                                                   {VLY_S(1), VLY_LINK_OUTAGE, 0}};
    const struct bench_lab_spec wrong[] = {
        {.kind = BENCH_LAB_VETH, .mtu_bytes = 100},
        {.kind = BENCH_LAB_EMULATED, .mtu_bytes = 70000},
        {.kind = BENCH_LAB_EMULATED, .way = {{0}, {.loss = 1.5}}},
        {.kind = BENCH_LAB_EMULATED, .way = {{.queue_bytes = VLY_LINK_QUEUE_MAX + 1}, {0}}},
        {.kind = BENCH_LAB_EMULATED, .changes = {twice, NULL}, .n_changes = {2, 0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct bench_lab *lab;
        char why[BENCH_WHY_BYTES] = "";

        assert_int_equal(bench_lab_open(&lab, &wrong[i], why), VLY_E_INVALID);
        assert_null(lab);
        print_message("  %s\n", why);
        assert_true(strlen(why) > 0);
    }
}

/* Both sides have the one device beside lo, with its MTU, and nothing of ours. */
static void see(const struct bench_lab_spec *spec, const char *mtu)
{
    struct bench_lab *lab = make(spec);
    char out[BENCH_WHY_BYTES];

    assert_string_equal(bench_lab_address(lab, BENCH_LEFT), "10.77.0.1");
    assert_string_equal(bench_lab_address(lab, BENCH_RIGHT), "10.77.0.2");
    for (int side = BENCH_LEFT; side <= BENCH_RIGHT; side++) {
        (void)run(lab, (enum bench_side)side, "grep -cv -e volley0: -e '|' /proc/net/dev", out);
        assert_string_equal(out, "1\n"); /* lo */
        assert_int_equal(
            run(lab, (enum bench_side)side, "ip link show volley0 | grep -o 'mtu [0-9]*'", out), 0);
        assert_string_equal(out, mtu);
    }
    bench_lab_close(lab);
}

static void test_lab_veth(void **state)
{
    (void)state;
    see(&(struct bench_lab_spec){.kind = BENCH_LAB_VETH, .offloads_off = true}, "mtu 1500\n");
}

static void test_lab_emulated(void **state)
{
    (void)state;
    see(&(struct bench_lab_spec){.kind = BENCH_LAB_EMULATED, .mtu_bytes = 9000}, "mtu 9000\n");
}

/* A process of the lab ends at once when it is told so, and so does its child. */
static void test_lab_kill(void **state)
{
    struct bench_lab *lab = make(&(struct bench_lab_spec){.kind = BENCH_LAB_VETH});
    char shell[] = "sh", option[] = "-c", text[] = "(trap '' TERM; echo; exec sleep 1000) & wait";
    char *const argv[] = {shell, option, text, NULL};
    char why[BENCH_WHY_BYTES], byte;
    int fds[2], status;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid = bench_lab_spawn(lab, BENCH_LEFT, argv, (int[]){-1, fds[1], -1}, why);
    (void)close(fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 1);
    bench_lab_kill(lab);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(read(fds[0], &byte, 1), 0); /* the child held the other end */
    (void)close(fds[0]);
    bench_lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lab_spawns_here), cmocka_unit_test(test_lab_places_descriptors),
        cmocka_unit_test(test_lab_refuses),     cmocka_unit_test(test_lab_veth),
        cmocka_unit_test(test_lab_emulated),    cmocka_unit_test(test_lab_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
