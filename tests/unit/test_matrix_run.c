/*
 * matrix_run and result: the order of runs, when rounds end, rows that fail or are not there,
 * interruption and continuation; all with a runner that measures nothing.
 */
#include "bench/matrix/environment.h"
#include "bench/matrix/matrix_run.h"
#include "support/synthetic.h"
#include "support/tmpdir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREE "seed 5\nrepeats 2..4\ntime 1s\nlink lo\nmemory tcp cc=cubic,bbr\nmemory volley\n"

static void expect_calls(const struct synthetic *s, const char *want)
{
    char all[SYNTHETIC_CALLS_MAX * 48] = "";
    size_t len = 0;

    for (unsigned i = 0; i < s->n; i++)
        len +=
            (size_t)snprintf(all + len, sizeof all - len, "%s%s", i > 0 ? ", " : "", s->calls[i]);
    assert_string_equal(all, want);
}

static json_t *row_of(const json_t *doc, const char *id)
{
    for (size_t i = 0; i < bench_result_rows(doc); i++)
        if (strcmp(bench_result_text(bench_result_row(doc, i), "id"), id) == 0)
            return bench_result_row(doc, i);
    fail_msg("no row %s", id);
    return NULL;
}

static size_t samples_of(const json_t *doc, const char *id)
{
    return json_array_size(json_object_get(row_of(doc, id), "samples"));
}

static struct bench_estimate estimate(const json_t *doc, const char *id, const char *key)
{
    struct bench_estimate e;

    if (!bench_result_estimate(row_of(doc, id), key, &e))
        fail_msg("%s has no %s", id, key);
    return e;
}

/* Even rounds forwards, odd ones backwards; all rows of a round have its seed. */
static void test_run_interleaves(void **state)
{
    struct synthetic s = {0};
    json_t *doc = synthetic_result(&s, THREE);

    (void)state;
    expect_calls(&s, "tcp-cubic 5, tcp-bbr 5, volley 5, volley 6, tcp-bbr 6, tcp-cubic 6, "
                     "tcp-cubic 7, tcp-bbr 7, volley 7");
    assert_true(bench_result_is_finished(doc));
    assert_string_equal(bench_result_text(doc, "config"), THREE);
    json_decref(doc);
}

/* Each group comes to its end before the next begins. */
static void test_run_groups(void **state)
{
    struct synthetic s = {0};
    json_t *doc = synthetic_result(&s, "repeats 1..1\ntime 1s\nlink lo\nlink emulated rtt=1ms\n"
                                       "memory tcp\nmemory tls\nmemory volley size=1MB\n");

    (void)state;
    /* the row with a size is warmed up; 1 is its round's seed in both */
    expect_calls(&s, "tcp 1, tls 1, volley 1, volley 1, tcp 1, tls 1, volley 1, volley 1");
    assert_int_equal(samples_of(doc, "lo/memory/volley-1MB"), 1);
    json_decref(doc);
}

static double wild_volley(const struct bench_row *row, unsigned nth)
{
    static const double rates[] = {1e9, 3e9, 2e9, 5e9};

    return row->protocol[0] == 'v' ? rates[nth % 4] : 1e9;
}

static double volley_hangs(const struct bench_row *row, unsigned nth)
{
    (void)nth;
    return row->protocol[0] == 'v' ? -1 : 1e9;
}

/* A warm-up that fails is one of the two tries: a row that hangs costs no third timeout. */
static void test_run_counts_a_warm_up_that_fails(void **state)
{
    struct synthetic s = {.rate = volley_hangs};
    json_t *doc = synthetic_result(&s, "repeats 2..2\nsize 1MB\nlink lo\nfile tcp\nfile volley\n");

    (void)state;
    expect_calls(&s, "tcp 1, volley 1, tcp 1, volley 2, tcp 2");
    assert_int_equal(samples_of(doc, "lo/file/volley"), 2);
    assert_int_equal(samples_of(doc, "lo/file/tcp"), 2);
    json_decref(doc);
}

/* The first two differ by a factor of three: on to the most. */
static void test_run_repeats_until_precise(void **state)
{
    struct synthetic s = {.rate = wild_volley};
    json_t *doc = synthetic_result(&s, THREE);
    struct bench_estimate e = estimate(doc, "lo/memory/volley", "ratio");

    (void)state;
    assert_int_equal(s.n, 12);
    assert_int_equal(samples_of(doc, "lo/memory/volley"), 4);
    assert_true(e.median == 2.5 && e.low == 1 && e.high == 5);
    json_decref(doc);
}

/* Two that are alike may be so by chance, and one always is: three at least. */
static void test_run_is_not_precise_by_chance(void **state)
{
    struct synthetic s = {0};
    json_t *doc = synthetic_result(&s, "repeats 1..9\ntime 1s\nlink lo\nmemory tcp\n");

    (void)state;
    assert_int_equal(s.n, 3);
    json_decref(doc);
}

/* Without TCP there is no ratio: the row's own rate counts. */
static void test_run_precision_without_reference(void **state)
{
    struct synthetic s = {.rate = wild_volley}, calm = {0};
    json_t *doc = synthetic_result(&s, "repeats 2..4\ntime 1s\nlink lo\nmemory volley\n");

    (void)state;
    assert_int_equal(s.n, 4);
    assert_true(json_is_null(
        json_object_get(json_object_get(bench_result_row(doc, 0), "summary"), "ratio")));
    json_decref(doc);
    json_decref(synthetic_result(&calm, "repeats 2..4\ntime 1s\nlink lo\nmemory volley\n"));
    assert_int_equal(calm.n, 3);
}

/* 5 Gbit/s of iperf3, 4 of cubic, 3 of bbr, 2 of the others. */
static double by_name(const struct bench_row *row, unsigned nth)
{
    (void)nth;
    if (strcmp(row->protocol, "iperf3-tcp") == 0)
        return 5e9;
    return strcmp(row->cc, "cubic") == 0 ? 4e9 : strcmp(row->cc, "bbr") == 0 ? 3e9 : 2e9;
}

static void test_run_reference_is_the_fastest_plain_tcp(void **state)
{
    struct synthetic s = {.rate = by_name};
    json_t *doc = synthetic_result(&s, "repeats 2..2\ntime 1s\nlink lo\nmemory iperf3-tcp\n"
                                       "memory tcp cc=bbr,cubic\nmemory volley\nmemory udp-raw\n"
                                       "memory iperf3-tcp parallel=2\n");

    (void)state;
    for (size_t i = 0; i < bench_result_rows(doc); i++)
        assert_int_equal(json_is_true(json_object_get(bench_result_row(doc, i), "reference")),
                         i == 2);
    assert_true(estimate(doc, "lo/memory/volley", "ratio").median == 0.5);
    assert_true(estimate(doc, "lo/memory/iperf3-tcp", "ratio").median == 1.25);
    assert_true(estimate(doc, "lo/memory/tcp-cubic", "ratio").median == 1);
    assert_true(estimate(doc, "lo/memory/tcp-cubic", "goodput_bits_per_s").median == 4e9);
    assert_true(estimate(doc, "lo/memory/tcp-cubic", "cpu_s_per_gb").median == 0.5);
    assert_true(estimate(doc, "lo/memory/tcp-cubic", "retransmits").median == 3);
    assert_true(estimate(doc, "lo/memory/tcp-cubic", "duration_s").median == 1);
    json_decref(doc);
}

/* bbr is the fastest once, and fails from then on. */
static double lucky_bbr(const struct bench_row *row, unsigned nth)
{
    if (strcmp(row->cc, "bbr") == 0)
        return nth == 0 ? 9e9 : -1;
    return by_name(row, nth);
}

static void test_run_reference_is_none_that_was_given_up(void **state)
{
    struct synthetic s = {.rate = lucky_bbr};
    json_t *doc = synthetic_result(&s, "repeats 4..4\ntime 1s\nlink lo\n"
                                       "memory tcp cc=bbr,cubic\nmemory volley\n");

    (void)state;
    assert_true(json_is_true(json_object_get(row_of(doc, "lo/memory/tcp-cubic"), "reference")));
    assert_int_equal(estimate(doc, "lo/memory/volley", "ratio").n, 4);
    json_decref(doc);
}

static void test_run_iperf3_where_there_is_no_plain_tcp(void **state)
{
    struct synthetic s = {.rate = by_name, .missing = "tcp"};
    json_t *doc = synthetic_result(&s, "repeats 2..2\ntime 1s\nlink lo\nmemory iperf3-tcp\n"
                                       "memory tcp cc=cubic\nmemory volley\n");

    (void)state;
    assert_true(estimate(doc, "lo/memory/volley", "ratio").median == 0.4);
    assert_string_equal(bench_result_message(row_of(doc, "lo/memory/tcp-cubic")),
                        "tcp is not installed");
    assert_int_equal(samples_of(doc, "lo/memory/tcp-cubic"), 0);
    json_decref(doc);
}

static double volley_fails(const struct bench_row *row, unsigned nth)
{
    (void)nth;
    return row->protocol[0] == 'v' ? -1 : 1e9;
}

/* Twice in a row is enough; the others go on and the row says what it was. */
static void test_run_gives_a_failing_row_up(void **state)
{
    struct synthetic s = {.rate = volley_fails};
    json_t *doc =
        synthetic_result(&s, "repeats 4..4\ntime 1s\nlink lo\nmemory tcp\nmemory volley\n");
    const json_t *row = row_of(doc, "lo/memory/volley");

    (void)state;
    expect_calls(&s, "tcp 1, volley 1, volley 2, tcp 2, tcp 3, tcp 4");
    assert_string_equal(bench_result_text(json_object_get(row, "error"), "code"), "LOST");
    assert_string_equal(bench_result_message(row), "the peer died");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(row, "summary"), "samples")), 0);
    assert_true(bench_result_is_ok(row_of(doc, "lo/memory/tcp")));
    assert_true(bench_result_is_finished(doc));
    json_decref(doc);
}

static double volley_fails_at_times(const struct bench_row *row, unsigned nth)
{
    return row->protocol[0] == 'v' && nth % 2 == 0 ? -1 : 1e9;
}

/* Now and then: its good samples count, paired with those of their own rounds. */
static void test_run_keeps_a_row_that_fails_at_times(void **state)
{
    struct synthetic s = {.rate = volley_fails_at_times};
    json_t *doc =
        synthetic_result(&s, "repeats 4..4\ntime 1s\nlink lo\nmemory tcp\nmemory volley\n");

    (void)state;
    assert_int_equal(samples_of(doc, "lo/memory/volley"), 4);
    assert_int_equal(estimate(doc, "lo/memory/volley", "ratio").n, 2);
    assert_true(bench_result_is_ok(row_of(doc, "lo/memory/volley")));
    json_decref(doc);
}

/* Stopped in the middle of a run: that one does not count. The next call goes on there, and what
 * was measured stays as it was; also when it went through a file. */
static void test_run_continues(void **state)
{
    struct tmpdir *d = *state;
    char path[256], why[BENCH_WHY_BYTES] = "";
    struct synthetic s = {.rate = wild_volley, .stop_at = 5};
    struct bench_matrix m;
    struct bench_runner r = {
        .matrix = &m, .ops = &synthetic_ops, .ctx = &s, .stop = &s.stop, .path = path};
    json_t *before;

    snprintf(path, sizeof path, "%s", tmpdir_at(d, "r.json"));
    assert_int_equal(bench_matrix_parse(&m, "f", THREE, why), 0);
    r.doc = bench_result_new(&m, json_object());
    assert_int_equal(bench_matrix_run(&r, why), VLY_E_CANCELLED);
    assert_false(bench_result_is_finished(r.doc));
    assert_string_equal(bench_result_text(r.doc, "sentence"), "");
    json_decref(r.doc);

    assert_int_equal(bench_result_load(&r.doc, path, why), 0);
    assert_int_equal(tmpdir_count(d, ""), 1);
    assert_true(bench_result_is_of(r.doc, &m));
    assert_int_equal(samples_of(r.doc, "lo/memory/tcp-cubic"), 1);
    assert_int_equal(samples_of(r.doc, "lo/memory/volley"), 2);
    before = json_deep_copy(json_object_get(row_of(r.doc, "lo/memory/volley"), "samples"));
    s.stop = false;
    s.n = 0;
    s.stop_at = 0;
    assert_int_equal(bench_matrix_run(&r, why), 0);
    assert_int_equal(strncmp(s.calls[0], "tcp-bbr 6", 9), 0);
    assert_int_equal(strncmp(s.calls[1], "tcp-cubic 6", 11), 0);
    assert_true(bench_result_is_finished(r.doc));
    for (size_t i = 0; i < 2; i++)
        assert_true(json_equal(
            json_array_get(before, i),
            json_array_get(json_object_get(row_of(r.doc, "lo/memory/volley"), "samples"), i)));
    json_decref(before);
    json_decref(r.doc);
    bench_matrix_fini(&m);
}

static void test_result_is_of_its_matrix(void **state)
{
    struct synthetic s = {0};
    json_t *doc = synthetic_result(&s, THREE);
    struct bench_matrix same, other;
    char why[BENCH_WHY_BYTES];

    (void)state;
    assert_int_equal(bench_matrix_parse(&same, "f", THREE, why), 0);
    assert_int_equal(bench_matrix_parse(&other, "f", THREE "memory tls\n", why), 0);
    assert_true(bench_result_is_of(doc, &same));
    assert_false(bench_result_is_of(doc, &other));
    bench_matrix_fini(&same);
    bench_matrix_fini(&other);
    json_decref(doc);
}

static void expect_load(const struct tmpdir *d, const char *text, int err, const char *says)
{
    char why[BENCH_WHY_BYTES] = "";
    json_t *doc;

    tmpdir_write(d, "x", text, strlen(text));
    assert_int_equal(bench_result_load(&doc, tmpdir_at(d, "x"), why), err);
    assert_null(doc);
    if (strstr(why, says) == NULL)
        fail_msg("%s", why);
}

#define HEAD \
    "{\"schema\":\"volley-bench-result/1\",\"config\":\"\",\"environment\":{},\"links\":[],"

static void test_result_load_refuses(void **state)
{
    struct tmpdir *d = *state;
    char why[BENCH_WHY_BYTES] = "";
    json_t *doc;

    assert_int_equal(bench_result_load(&doc, tmpdir_at(d, "none"), why), VLY_E_NOT_FOUND);
    expect_load(d, "", VLY_E_MALFORMED, "no JSON");
    expect_load(d, "{\"a\":NaN}", VLY_E_MALFORMED, "line 1");
    expect_load(d, "[]", VLY_E_MALFORMED, "no result");
    expect_load(d, "{\"schema\":\"volley-bench-result/2\"}", VLY_E_VERSION,
                "volley-bench-result/1");
    expect_load(d, "{\"schema\":\"volley-bench-result/1\"}", VLY_E_MALFORMED, "no result");
    expect_load(d, HEAD "\"rows\":{}}", VLY_E_MALFORMED, "no result");
    expect_load(d, HEAD "\"rows\":[7]}", VLY_E_MALFORMED, "no result");
    expect_load(d,
                HEAD
                "\"rows\":[{\"id\":\"a\",\"link\":\"l\",\"kind\":\"memory\",\"protocol\":\"tcp\","
                "\"cc\":\"\",\"summary\":{},\"error\":{},\"samples\":[{}]}]}",
                VLY_E_MALFORMED, "no result");
}

static void test_result_save_fails(void **state)
{
    struct tmpdir *d = *state;
    struct synthetic s = {0};
    json_t *doc = synthetic_result(&s, THREE);
    char why[BENCH_WHY_BYTES] = "";

    assert_int_equal(bench_result_save(doc, tmpdir_at(d, "no/r.json"), why), VLY_E_IO);
    assert_non_null(strstr(why, "r.json"));
    /* by links, so that code that replaces devices replaces a link of ours */
    assert_int_equal(symlink("/dev/full", tmpdir_at(d, "full")), 0);
    assert_int_equal(symlink("/dev/null", tmpdir_at(d, "null")), 0);
    assert_int_equal(bench_result_save(doc, tmpdir_at(d, "full"), why), VLY_E_NO_SPACE);
    assert_int_equal(bench_result_save(doc, tmpdir_at(d, "null"), why), 0);
    assert_true(S_ISLNK(tmpdir_stat(d, "null").st_mode));
    tmpdir_mkdir(d, "dir");
    assert_int_equal(bench_result_save(doc, tmpdir_at(d, "dir"), why), VLY_E_IO);
    assert_int_equal(tmpdir_count(d, ""), 3);
    json_decref(doc);
}

/* With VLY_RESULT_OUT=FILE: the test of the schema takes it from there. */
static void test_result_for_the_schema(void **state)
{
    const char *path = getenv("VLY_RESULT_OUT");
    struct synthetic s = {.rate = volley_fails_at_times, .missing = "scp"};
    char why[BENCH_WHY_BYTES] = "";
    json_t *doc = synthetic_result(
        &s, "seed 9007199254740000\nrepeats 3..4\nprecision 1%\nmax-steal 2%\ntime 1s\nwarmup "
            "1s\ninterval 100ms\n"
            "size 1MB\nlink lo\nlink veth offloads=off\nlink emulated rate=1Mbit,1Gbit rtt=20ms "
            "loss=1% "
            "burst=3 reorder=1%\nlink netem rtt=1ms\nmemory tcp parallel=2 reverse=on mss=1448 "
            "rate=1Gbit "
            "block=16KiB\nmemory volley io=gso\nfile tcp\nfile scp\nfile volley\n");

    (void)state;
    assert_int_equal(bench_result_rows(doc), 25);
    assert_int_equal(json_object_set_new(doc, "environment", bench_environment_new()), 0);
    if (path != NULL)
        assert_int_equal(bench_result_save(doc, path, why), 0);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_interleaves),
        cmocka_unit_test(test_run_groups),
        cmocka_unit_test(test_run_repeats_until_precise),
        cmocka_unit_test(test_run_counts_a_warm_up_that_fails),
        cmocka_unit_test(test_run_is_not_precise_by_chance),
        cmocka_unit_test(test_run_precision_without_reference),
        cmocka_unit_test(test_run_reference_is_the_fastest_plain_tcp),
        cmocka_unit_test(test_run_reference_is_none_that_was_given_up),
        cmocka_unit_test(test_run_iperf3_where_there_is_no_plain_tcp),
        cmocka_unit_test(test_run_gives_a_failing_row_up),
        cmocka_unit_test(test_run_keeps_a_row_that_fails_at_times),
        cmocka_unit_test_setup_teardown(test_run_continues, tmpdir_setup, tmpdir_teardown),
        cmocka_unit_test(test_result_is_of_its_matrix),
        cmocka_unit_test_setup_teardown(test_result_load_refuses, tmpdir_setup, tmpdir_teardown),
        cmocka_unit_test_setup_teardown(test_result_save_fails, tmpdir_setup, tmpdir_teardown),
        cmocka_unit_test(test_result_for_the_schema),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
