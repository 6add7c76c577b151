/*
 * usage: the machine's times and a process's memory from what /proc says, whole, old and broken.
 */
#include "bench/usage.h"
#include "support/support.h"

#include <math.h>

static struct bench_machine_time parsed(const char *line, long ticks_per_s)
{
    struct bench_machine_time t;

    bench_machine_time_parse(line, ticks_per_s, &t);
    return t;
}

/* Guests are counted in user and nice as well: not twice. */
static void test_machine_time_parse(void **state)
{
    struct bench_machine_time t = parsed("cpu  100 2 30 4000 50 6 70 800 9 10\n", 100);

    (void)state;
    assert_int_equal(t.softirq_ns, VLY_MS(700));
    assert_int_equal(t.steal_ns, VLY_S(8));
    assert_int_equal(t.all_ns, VLY_MS(10) * (100 + 2 + 30 + 4000 + 50 + 6 + 70 + 800));
    t = parsed("cpu 1 1 1 1 1 1 1 1", 1000);
    assert_int_equal(t.steal_ns, VLY_MS(1));
    assert_int_equal(t.all_ns, VLY_MS(8));
}

static void expect_unknown(const char *line, long ticks_per_s)
{
    struct bench_machine_time t = parsed(line, ticks_per_s);

    assert_int_equal(t.softirq_ns, BENCH_UNKNOWN);
    assert_int_equal(t.steal_ns, BENCH_UNKNOWN);
    assert_int_equal(t.all_ns, BENCH_UNKNOWN);
}

static void test_machine_time_unknown(void **state)
{
    struct bench_machine_time old = parsed("cpu 1 2 3 4 5 6 7\n", 100);

    (void)state;
    assert_int_equal(old.softirq_ns, VLY_MS(70));
    assert_int_equal(old.steal_ns, BENCH_UNKNOWN);
    assert_int_equal(old.all_ns, BENCH_UNKNOWN);
    expect_unknown("", 100);
    expect_unknown("cpu0 1 2 3 4 5 6 7 8\n", 100);
    expect_unknown("cpu  1 2 3 4 5 6 -7 8\n", 100);
    expect_unknown("cpu  1 2 3 4 5 6\n", 100);
    expect_unknown("cpu  1 2 3 4 5 6 7 8\n", 0);
    expect_unknown("cpu  1 2 3 4 5 6 7 8\n", -1);
}

/* A counter may go back, for one when the machine was moved to another host. */
static void test_machine_time_since(void **state)
{
    struct bench_machine_time none = {BENCH_UNKNOWN, BENCH_UNKNOWN, BENCH_UNKNOWN}, then;
    struct bench_sample s;

    (void)state;
    bench_sample_init(&s);
    assert_true(isnan(bench_sample_steal(&s)));
    bench_machine_time_now(&then);
    assert_int_not_equal(then.all_ns, BENCH_UNKNOWN);
    then.all_ns -= VLY_S(2);
    then.softirq_ns = BENCH_UNKNOWN - 1;
    bench_machine_time_since(&then, &s);
    assert_in_range(s.cpu_all_ns, VLY_S(2), VLY_S(3600));
    assert_int_equal(s.cpu_softirq_ns, 0);
    assert_true(bench_sample_steal(&s) >= 0);
    bench_machine_time_since(&none, &s);
    assert_int_equal(s.cpu_all_ns, BENCH_UNKNOWN);
    assert_int_equal(s.cpu_steal_ns, BENCH_UNKNOWN);
    s.cpu_steal_ns = VLY_MS(30);
    s.cpu_all_ns = VLY_MS(1500);
    assert_true(bench_sample_steal(&s) == 0.02);
}

static void test_peak_rss(void **state)
{
    (void)state;
    assert_int_equal(bench_peak_rss_parse("Name:\ta\nVmPeak:\t 9 kB\nVmHWM:\t    1234 kB\n"),
                     1234 * 1024);
    assert_int_equal(bench_peak_rss_parse("Name:\tkthreadd\n"), BENCH_UNKNOWN);
    assert_int_equal(bench_peak_rss_parse("VmHWM:\t12"), BENCH_UNKNOWN);
    assert_int_equal(bench_peak_rss_parse(""), BENCH_UNKNOWN);
    assert_in_range(bench_peak_rss_bytes(), 1 << 20, UINT64_C(1) << 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine_time_parse),
        cmocka_unit_test(test_machine_time_unknown),
        cmocka_unit_test(test_machine_time_since),
        cmocka_unit_test(test_peak_rss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
