/*
 * steal: when a run is made again, how a matrix does it, and the sentence about it; with a runner
 * that measures nothing.
 */
#include "bench/matrix/matrix_run.h"
#include "support/synthetic.h"

#include <string.h>

#define ONE "seed 5\nrepeats 3..3\ntime 1s\nlink lo\nmemory volley\n"

static struct bench_sample sample_of(uint64_t steal_ns, uint64_t all_ns)
{
    struct bench_sample s;

    bench_sample_init(&s);
    s.cpu_steal_ns = steal_ns;
    s.cpu_all_ns = all_ns;
    return s;
}

static void test_steal_again(void **state)
{
    static const struct {
        double most;
        unsigned retries, times;
        uint64_t steal_ns, all_ns;
        bool again;
    } cases[] = {
        {0.02, 5, 0, 21, 1000, true},
        {0.02, 5, 0, 20, 1000, false}, /* that much is allowed */
        {0.02, 5, 0, 0, 1000, false},
        {0.02, 5, 4, 21, 1000, true},
        {0.02, 5, 5, 1000, 1000, false}, /* enough */
        {0.02, 0, 0, 1000, 1000, false},
        {0, 5, 0, 1000, 1000, false}, /* no rule */
        {0.02, 5, 0, BENCH_UNKNOWN, 1000, false},
        {0.02, 5, 0, 1000, BENCH_UNKNOWN, false},
        {0.02, 5, 0, 1000, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench_steal_rule rule = {cases[i].most, cases[i].retries};
        struct bench_sample s = sample_of(cases[i].steal_ns, cases[i].all_ns);
        if (bench_steal_again(&rule, &s, cases[i].times) != cases[i].again)
            fail_msg("case %zu", i);
    }
}

/* Only time counts: a run that failed is as good a reason, and a fast one no excuse. */
static void test_steal_looks_at_no_result(void **state)
{
    struct bench_steal_rule rule = {0.02, 5};
    struct bench_sample s = sample_of(50, 1000);

    (void)state;
    s.bytes = UINT64_C(1) << 50;
    s.duration_ns = 1;
    assert_true(bench_steal_again(&rule, &s, 0));
    (void)bench_sample_fail(&s, VLY_E_LOST, "gone");
    assert_true(bench_steal_again(&rule, &s, 0));
}

static json_int_t taken_again(const json_t *doc, size_t sample)
{
    const json_t *samples = json_object_get(bench_result_row(doc, 0), "samples");

    return json_integer_value(json_object_get(json_array_get(samples, sample), "taken_again"));
}

static void expect_sentence(const json_t *doc, const char *sentence)
{
    char text[BENCH_STEAL_BYTES];

    bench_steal_sentence(doc, text);
    assert_string_equal(text, sentence);
}

/* The second and the third run are disturbed. */
static double twice(unsigned nth)
{
    return nth == 1 || nth == 2 ? 0.25 : 0.005;
}

/* Made again in its place: same round, same seed, one sample. */
static void test_run_takes_a_disturbed_run_again(void **state)
{
    struct synthetic s = {.steal = twice};
    json_t *doc = synthetic_result(&s, "max-steal 2%\n" ONE);

    (void)state;
    assert_int_equal(s.n, 5);
    assert_string_equal(s.calls[0], "volley 5");
    for (unsigned i = 1; i <= 3; i++)
        assert_string_equal(s.calls[i], "volley 6");
    assert_string_equal(s.calls[4], "volley 7");
    assert_int_equal(s.rested_ns, 2 * VLY_S(2));
    assert_int_equal(taken_again(doc, 0), 0);
    assert_int_equal(taken_again(doc, 1), 2);
    assert_int_equal(taken_again(doc, 2), 0);
    expect_sentence(doc, "The host took 0.5 % of the processor time during the runs, at most 0.5 % "
                         "during one of them; 2 runs were taken again since it took over 2 %.");
    json_decref(doc);
}

static double always(unsigned nth)
{
    (void)nth;
    return 0.25;
}

/* Then it stands as it is, and the result says so. */
static void test_run_stands_when_it_was_taken_often(void **state)
{
    struct synthetic s = {.steal = always};
    json_t *doc = synthetic_result(&s, "max-steal 2%\nsteal-retries 1\n" ONE);

    (void)state;
    assert_int_equal(s.n, 6);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(taken_again(doc, i), 1);
    assert_int_equal(json_integer_value(json_object_get(doc, "steal_retries")), 1);
    expect_sentence(doc, "The host took 25.0 % of the processor time during the runs, at most 25.0 "
                         "% during one of them; 3 runs were taken again since it took over 2 %, 3 "
                         "stand though it did each time.");
    json_decref(doc);
}

static void test_run_without_a_rule(void **state)
{
    struct synthetic s = {.steal = always}, silent = {0};
    json_t *doc = synthetic_result(&s, ONE);

    (void)state;
    assert_int_equal(s.n, 3);
    assert_true(json_is_null(json_object_get(doc, "max_steal")));
    expect_sentence(doc, "The host took 25.0 % of the processor time during the runs, at most 25.0 "
                         "% during one of them.");
    json_decref(doc);
    doc = synthetic_result(&silent, "max-steal 2%\n" ONE);
    assert_int_equal(silent.n, 3);
    expect_sentence(doc, "");
    json_decref(doc);
}

/* Ctrl-C while it waits: no further run, and no sample of the one that was disturbed. */
static void test_run_is_stopped_while_it_rests(void **state)
{
    struct synthetic s = {.steal = always, .stop_resting_at = 2};
    struct bench_matrix m;
    struct bench_runner r = {.matrix = &m, .ops = &synthetic_ops, .ctx = &s, .stop = &s.stop};
    char why[BENCH_WHY_BYTES] = "";

    (void)state;
    assert_int_equal(bench_matrix_parse(&m, "f", "max-steal 2%\n" ONE, why), 0);
    r.doc = bench_result_new(&m, json_object());
    assert_int_equal(bench_matrix_run(&r, why), VLY_E_CANCELLED);
    assert_int_equal(s.n, 2);
    assert_int_equal(json_array_size(json_object_get(bench_result_row(r.doc, 0), "samples")), 0);
    json_decref(r.doc);
    bench_matrix_fini(&m);
}

/* A file may say anything: the sentence keeps its length, and what cannot be is left out. */
static void test_sentence_of_nonsense(void **state)
{
    json_t *doc = json_loads(
        "{\"max_steal\":1e300,\"rows\":[7,{\"samples\":[{\"cpu_steal_ns\":9,\"cpu_all_ns\":1},"
        "{\"cpu_steal_ns\":-1,\"cpu_all_ns\":1,\"taken_again\":9223372036854775807},{},"
        "{\"cpu_steal_ns\":1,\"cpu_all_ns\":1e300,\"taken_again\":1},"
        "{\"cpu_steal_ns\":null,\"cpu_all_ns\":8,\"taken_again\":-3}]}]}",
        0, NULL);

    (void)state;
    assert_non_null(doc);
    expect_sentence(doc, "The host took 0.0 % of the processor time during the runs, at most 0.0 % "
                         "during one of them; 1 run was taken again since it took over 100 %.");
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steal_again),
        cmocka_unit_test(test_steal_looks_at_no_result),
        cmocka_unit_test(test_run_takes_a_disturbed_run_again),
        cmocka_unit_test(test_run_stands_when_it_was_taken_often),
        cmocka_unit_test(test_run_without_a_rule),
        cmocka_unit_test(test_run_is_stopped_while_it_rests),
        cmocka_unit_test(test_sentence_of_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
