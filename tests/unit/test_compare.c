/*
 * compare: what is called faster, slower or the same; rows and machines that differ.
 */
#include "bench/matrix/compare.h"
#include "support/synthetic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS \
    "repeats 5..5\nprecision 0%\ntime 1s\nlink lo\nmemory tcp cc=cubic,bbr,reno\nmemory volley\n"

/* Five rates each, none twice: cubic 10.0 to 10.4, bbr 20.., reno 30.., Volley 40... */
static double before(const struct bench_row *row, unsigned nth)
{
    double base = row->cc[0] == 'c' ? 10 : row->cc[0] == 'b' ? 20 : row->cc[0] == 'r' ? 30 : 40;

    return (base + 0.1 * nth) * 1e9;
}

/* cubic is twice as fast, bbr half as fast, reno about the same, Volley fails. */
static double after(const struct bench_row *row, unsigned nth)
{
    if (row->protocol[0] == 'v')
        return -1;
    return before(row, nth) * (row->cc[0] == 'c'   ? 2
                               : row->cc[0] == 'b' ? 0.5
                                                   : 1.003 - 0.001 * nth);
}

static json_t *comparison(const char *config_a, const char *config_b)
{
    struct synthetic a = {.rate = before}, b = {.rate = after};
    json_t *doc_a = synthetic_result(&a, config_a), *doc_b = synthetic_result(&b, config_b), *out;

    json_object_set_new(json_object_get(doc_b, "environment"), "kernel", json_string("6.2\x1b[2J"));
    out = bench_compare(doc_a, doc_b);
    assert_non_null(out);
    json_decref(doc_a);
    json_decref(doc_b);
    return out;
}

static const json_t *at(const json_t *c, size_t i)
{
    return json_array_get(json_object_get(c, "rows"), i);
}

static double real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void test_compare_verdicts(void **state)
{
    json_t *c = comparison(ROWS, ROWS);

    (void)state;
    assert_string_equal(bench_result_text(at(c, 0), "verdict"), "faster");
    assert_string_equal(bench_result_text(at(c, 1), "verdict"), "slower");
    assert_string_equal(bench_result_text(at(c, 2), "verdict"), "same");
    assert_string_equal(bench_result_text(at(c, 3), "verdict"), "unknown");
    assert_true(real(at(c, 0), "a") == 10.2e9 && real(at(c, 0), "b") == 20.4e9);
    assert_true(real(json_object_get(at(c, 0), "ratio"), "median") == 2);
    assert_true(real(at(c, 0), "p") < 0.008 && real(at(c, 0), "p") > 0.0079); /* 2 of 252 orders */
    assert_true(json_is_null(json_object_get(at(c, 3), "b")));
    assert_true(json_is_null(json_object_get(at(c, 3), "ratio")));
    assert_true(json_is_null(json_object_get(at(c, 3), "p")));
    assert_int_equal(bench_compare_count(c, "slower"), 1);
    assert_true(real(c, "faster") == 1 && real(c, "unknown") == 1);
    json_decref(c);
}

/* Twice as fast, but three samples on each side: p is 0.1 at best. */
static void test_compare_few_samples_prove_nothing(void **state)
{
    const char few[] = "repeats 3..3\ntime 1s\nlink lo\nmemory tcp cc=cubic\n";
    json_t *c = comparison(few, few);

    (void)state;
    assert_string_equal(bench_result_text(at(c, 0), "verdict"), "same");
    assert_true(real(at(c, 0), "p") > 0.0999);
    json_decref(c);
}

/* 2 of 45 orders of two and eight samples are as far apart: p is below 0.05, of two samples. */
static void test_compare_two_samples_beside_many_prove_nothing(void **state)
{
    json_t *c = comparison("repeats 2..2\ntime 1s\nlink lo\nmemory tcp cc=cubic\n",
                           "repeats 8..8\ntime 1s\nlink lo\nmemory tcp cc=cubic\n");

    (void)state;
    assert_true(real(at(c, 0), "p") < BENCH_P_MAX);
    assert_string_equal(bench_result_text(at(c, 0), "verdict"), "same");
    json_decref(c);
}

static void test_compare_other_rows(void **state)
{
    json_t *c = comparison("repeats 1..1\ntime 1s\nlink lo\nmemory tcp\nmemory tls\n",
                           "repeats 1..1\ntime 1s\nlink lo\nmemory udp-raw\nmemory tcp\n");
    const json_t *a = json_object_get(c, "only_in_a"), *b = json_object_get(c, "only_in_b");

    (void)state;
    assert_int_equal(json_array_size(json_object_get(c, "rows")), 1);
    assert_int_equal(json_array_size(a), 1);
    assert_string_equal(json_string_value(json_array_get(a, 0)), "lo/memory/tls");
    assert_int_equal(json_array_size(b), 1);
    assert_string_equal(json_string_value(json_array_get(b, 0)), "lo/memory/udp-raw");
    json_decref(c);
}

static void test_compare_print(void **state)
{
    static const char *const says[] = {"lo/memory/tcp-cubic",
                                       "10.2 Gbit/s",
                                       "20.4 Gbit/s",
                                       "2.00 [",
                                       "0.008  faster",
                                       "0.008  slower",
                                       "no significant change",
                                       "no samples",
                                       "not the same: kernel: 6.1, then 6.2\\x1b[2J",
                                       "1 faster, 1 slower, 1 without significant change"};
    json_t *c = comparison(ROWS, ROWS);
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    assert_non_null(f);
    bench_compare_print(f, c);
    fclose(f);
    for (size_t i = 0; i < ARRAY_LEN(says); i++)
        if (strstr(text, says[i]) == NULL)
            fail_msg("no '%s' in: %s", says[i], text);
    assert_null(strchr(text, '\x1b'));
    assert_null(strstr(text, "cpu"));
    free(text);
    json_decref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare_verdicts),
        cmocka_unit_test(test_compare_few_samples_prove_nothing),
        cmocka_unit_test(test_compare_two_samples_beside_many_prove_nothing),
        cmocka_unit_test(test_compare_other_rows),
        cmocka_unit_test(test_compare_print),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
