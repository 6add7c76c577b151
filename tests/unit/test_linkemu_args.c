/*
 * linkemu_args: lists of outages and rates, the way back; netem: the same link as tc's arguments.
 */
#include "bench/lab/linkemu_args.h"
#include "bench/lab/netem.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

static void assert_changes(const struct bench_linkemu_changes *c,
                           const struct vly_link_change *want, size_t n)
{
    assert_int_equal(c->n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(c->list[i].at_ns, want[i].at_ns);
        assert_int_equal(c->list[i].what, want[i].what);
        assert_int_equal(c->list[i].value, want[i].value);
    }
}

static void test_linkemu_args_outages(void **state)
{
    static const struct vly_link_change want[] = {{VLY_S(2), VLY_LINK_OUTAGE, 1},
                                                  {VLY_MS(2500), VLY_LINK_OUTAGE, 0},
                                                  {0, VLY_LINK_OUTAGE, 1},
                                                  {VLY_S(1), VLY_LINK_OUTAGE, 0}};
    struct bench_linkemu_changes c = {0};

    (void)state;
    assert_int_equal(bench_linkemu_outages_parse("2s+500ms,0+1", &c), 0);
    assert_changes(&c, want, ARRAY_LEN(want));
}

static void test_linkemu_args_rates(void **state)
{
    static const struct vly_link_change want[] = {{VLY_MS(1500), VLY_LINK_RATE, 6250000},
                                                  {VLY_S(3), VLY_LINK_RATE, 1250000}};
    struct bench_linkemu_changes c = {0};

    (void)state;
    assert_int_equal(bench_linkemu_rates_parse("1.5s=50Mbit,3s=10Mbit/s", &c), 0);
    assert_changes(&c, want, ARRAY_LEN(want));
}

static void test_linkemu_args_nonsense(void **state)
{
    static const char *const outages[] = {"",      "2s",       "+",      "2s+",     "+1s",
                                          "2s+0",  "2s+1s,",   ",2s+1s", "2s-1s",   "2s+1s+1s",
                                          "-2+1s", "2s+1s 3s", "x+y",    "2s + 1 s"};
    static const char *const rates[] = {"", "5s", "5s=", "=1Mbit", "5s=fast", "5s=1Mbit,", "5s=10"};
    char text[4096] = "";
    struct bench_linkemu_changes c = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(outages); i++) {
        c.n = 0;
        print_message("  '%s'\n", outages[i]);
        assert_int_equal(bench_linkemu_outages_parse(outages[i], &c), VLY_E_INVALID);
    }
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        c.n = 0;
        print_message("  '%s'\n", rates[i]);
        assert_int_equal(bench_linkemu_rates_parse(rates[i], &c), VLY_E_INVALID);
    }
    memset(text, '1', 100);
    assert_int_equal(bench_linkemu_rates_parse(text, &c), VLY_E_INVALID);
    c.n = 0;
    for (size_t i = 0, len = 0; i < VLY_LINK_CHANGES_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s0=1Mbit", i > 0 ? "," : "");
    assert_int_equal(bench_linkemu_rates_parse(text, &c), 0);
    assert_int_equal(bench_linkemu_rates_parse("0=1Mbit", &c), VLY_E_LIMIT);
}

static void test_linkemu_args_spec(void **state)
{
    static const struct vly_link_change want[] = {{VLY_S(1), VLY_LINK_OUTAGE, 1},
                                                  {VLY_S(2), VLY_LINK_RATE, 1250000},
                                                  {VLY_S(3), VLY_LINK_OUTAGE, 0},
                                                  {VLY_S(3), VLY_LINK_OUTAGE, 1},
                                                  {VLY_S(4), VLY_LINK_OUTAGE, 0}};
    struct bench_linkemu_changes changes[2];
    struct bench_linkemu_args a;
    struct bench_lab_spec s;
    char why[BENCH_WHY_BYTES];

    (void)state;
    bench_linkemu_args_init(&a);
    a.link.bytes_per_s = 1000;
    a.link.delay_ns = 20;
    a.link.queue_bytes = 3000;
    a.link.loss = 0.02;
    a.link.burst_pkts = 4;
    a.link.codel = true;
    a.outages = "3s+1s,1s+2s";
    a.rates = "2s=10Mbit";
    assert_int_equal(bench_linkemu_args_spec(&a, changes, &s, why), 0);
    assert_int_equal(s.kind, BENCH_LAB_EMULATED);
    assert_memory_equal(&s.way[BENCH_LEFT], &s.way[BENCH_RIGHT], sizeof(s.way[0]));
    assert_int_equal(s.way[BENCH_LEFT].queue_bytes, 3000);
    assert_true(s.way[BENCH_LEFT].codel);
    /* A quarter of the bad packets ends a burst; 2 % bad: 1 / 49 of the good ones begin one, times
     * a quarter. */
    assert_true(s.way[BENCH_LEFT].burst_leave == 0.25 && s.way[BENCH_LEFT].loss == 0);
    assert_true(s.way[BENCH_LEFT].burst_enter > 0.0051 && s.way[BENCH_LEFT].burst_enter < 0.00511);
    /* One outage follows another without a gap: the end of the first comes first. */
    assert_changes(&changes[BENCH_LEFT], want, ARRAY_LEN(want));
    assert_changes(&changes[BENCH_RIGHT], want, ARRAY_LEN(want));

    a.back_bytes_per_s = 500;
    a.back_delay_ns = 0;
    a.back_queue_bytes = 0;
    a.back_loss = 0;
    assert_int_equal(bench_linkemu_args_spec(&a, changes, &s, why), 0);
    assert_int_equal(s.way[BENCH_LEFT].rate_bytes_per_s, 1000);
    assert_int_equal(s.way[BENCH_RIGHT].rate_bytes_per_s, 500);
    assert_int_equal(s.way[BENCH_RIGHT].delay_ns, 0);
    assert_int_equal(s.way[BENCH_RIGHT].queue_bytes, 0);
    assert_true(s.way[BENCH_RIGHT].burst_enter == 0 && s.way[BENCH_RIGHT].loss == 0);
    assert_int_equal(s.n_changes[BENCH_RIGHT], 4); /* its rate is its own */

    a.veth = a.netem = true;
    assert_int_equal(bench_linkemu_args_spec(&a, changes, &s, why), VLY_E_INVALID);
    a.netem = false;
    assert_int_equal(bench_linkemu_args_spec(&a, changes, &s, why), 0);
    assert_int_equal(s.kind, BENCH_LAB_VETH);
    a.json = true;
    assert_int_equal(bench_linkemu_args_spec(&a, changes, &s, why), VLY_E_INVALID);
}

/* ---- netem ---- */

static void assert_netem(const struct vly_link_spec *way, const char *want)
{
    struct bench_netem_args args;
    char why[BENCH_WHY_BYTES], line[1024];
    size_t len = 0;

    assert_int_equal(bench_netem_args(&args, way, 1500, why), 0);
    for (char **a = args.argv; *a != NULL; a++)
        len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s", len > 0 ? " " : "", *a);
    assert_string_equal(line, want);
}

static void test_netem_args(void **state)
{
    (void)state;
    assert_netem(&(struct vly_link_spec){0},
                 "tc qdisc replace dev volley0 root netem limit 1000000");
    assert_netem(&(struct vly_link_spec){.delay_ns = VLY_US(20500), .loss = 0.001},
                 "tc qdisc replace dev volley0 root netem limit 1000000 delay 20500.000us "
                 "loss random 0.100000%");
    /* 30,000 bytes of queue and 25,000 on the way: 36.7 packets. */
    assert_netem(&(struct vly_link_spec){.rate_bytes_per_s = 1250000,
                                         .delay_ns = VLY_MS(20),
                                         .jitter_ns = VLY_MS(2),
                                         .queue_bytes = 30000,
                                         .burst_enter = 0.01,
                                         .burst_leave = 0.25,
                                         .burst_loss = 1,
                                         .duplicate = 0.02,
                                         .corrupt = 0.005},
                 "tc qdisc replace dev volley0 root netem limit 37 delay 21000.000us 1000.000us "
                 "loss gemodel 1.000000% 25.000000% 100.000000% 0.000000% duplicate 2.000000% "
                 "corrupt 0.500000% rate 1250000bps");
}

static void test_netem_refuses(void **state)
{
    static const struct vly_link_spec lacking[] = {{.reorder = 0.1},
                                                   {.truncate = 0.1},
                                                   {.ce_mark = 0.1},
                                                   {.mtu_bytes = 1000},
                                                   {.codel = true}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lacking); i++) {
        struct bench_netem_args args;
        char why[BENCH_WHY_BYTES] = "";

        assert_int_equal(bench_netem_args(&args, &lacking[i], 1500, why), VLY_E_INVALID);
        assert_non_null(strstr(why, "netem has no "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linkemu_args_outages),
        cmocka_unit_test(test_linkemu_args_rates),
        cmocka_unit_test(test_linkemu_args_nonsense),
        cmocka_unit_test(test_linkemu_args_spec),
        cmocka_unit_test(test_netem_args),
        cmocka_unit_test(test_netem_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
