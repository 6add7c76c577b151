/*
 * stats: against values that were computed by hand, by counting all cases, or by Python's module
 * statistics; never by the code itself.
 */
#include "bench/matrix/stats.h"
#include "support/support.h"

#include <math.h>

#define V(...)                                            \
    ((struct bench_values){(const double[]){__VA_ARGS__}, \
                           ARRAY_LEN(((const double[]){__VA_ARGS__}))})

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-9 * fmax(1, fabs(want))))
        fail_msg("%.12g, not %.12g", got, want);
}

static struct bench_estimate median(struct bench_values v)
{
    struct bench_estimate e;

    assert_int_equal(bench_median(v.at, v.n, &e), 0);
    return e;
}

static void expect(struct bench_estimate e, double low, double mid, double high, size_t n)
{
    near(e.low, low);
    near(e.median, mid);
    near(e.high, high);
    assert_int_equal(e.n, n);
}

/* statistics.quantiles(x, n=10, method='inclusive') of nine values. */
static void test_stats_quantiles(void **state)
{
    static const double x[] = {0.50, 1.30, 1.55, 1.62, 1.68, 1.83, 1.88, 2.48, 3.06};
    static const double deciles[] = {1.14, 1.45, 1.578, 1.632, 1.68, 1.8, 1.86, 2.12, 2.596};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(deciles); i++)
        near(bench_quantile(x, ARRAY_LEN(x), (double)(i + 1) / 10), deciles[i]);
    near(bench_quantile(x, ARRAY_LEN(x), 0), 0.5);
    near(bench_quantile(x, ARRAY_LEN(x), 1), 3.06);
    near(bench_quantile(x, 1, 0.3), 0.5);
}

/* The resampled medians can be counted for few values. Of 2: the smaller, the mean, the larger with
 * 1/4, 1/2, 1/4. Of 3: the smallest in 7 of 27 cases, the largest likewise. Of 5: the smallest in
 * 5.8 % (at least three of five draws). Of 7: the smallest in 1.0 %, the second or it in 11 %. All
 * compared with 2.5 %. */
static void test_stats_median_and_interval(void **state)
{
    (void)state;
    expect(median(V(7)), 7, 7, 7, 1);
    expect(median(V(9, 5)), 5, 7, 9, 2);
    expect(median(V(40, 10, 20)), 10, 20, 40, 3);
    expect(median(V(4, 1, 2, 3)), 1, 2.5, 4, 4);
    expect(median(V(50, 20, 40, 10, 30)), 10, 30, 50, 5);
    expect(median(V(7, 6, 5, 4, 3, 2, 1)), 2, 4, 6, 7);
    expect(median(V(3, 3, 3, 3)), 3, 3, 3, 4);
}

/* The interval of a normal sample's median: about 1.96 * 1.2533 / sqrt(n) each way. */
static void test_stats_interval_of_many(void **state)
{
    double x[200];
    struct bench_estimate e;
    struct vly_prng prng;
    double want = 1.96 * 1.2533 / sqrt(ARRAY_LEN(x));

    (void)state;
    vly_prng_init(&prng, 1);
    for (size_t i = 0; i < ARRAY_LEN(x); i++) {
        double u = 1 - vly_prng_unit(&prng), angle = 6.283185307179586 * vly_prng_unit(&prng);
        x[i] = 100 + sqrt(-2 * log(u)) * cos(angle);
    }
    assert_int_equal(bench_median(x, ARRAY_LEN(x), &e), 0);
    assert_true(e.low < e.median && e.median < e.high);
    assert_true(e.high - e.low > want && e.high - e.low < 4 * want);
    assert_true(fabs(e.median - 100) < 3 * want);
}

static void test_stats_repeats_itself(void **state)
{
    struct bench_estimate a = median(V(1, 5, 2, 8, 3, 9, 4, 7)),
                          b = median(V(1, 5, 2, 8, 3, 9, 4, 7));

    (void)state;
    assert_memory_equal(&a, &b, sizeof(a));
}

static void test_stats_leaves_out_what_is_no_number(void **state)
{
    struct bench_estimate e;

    (void)state;
    expect(median(V(NAN, 40, INFINITY, 10, 20, -INFINITY)), 10, 20, 40, 3);
    assert_int_equal(bench_median(V(NAN, NAN).at, 2, &e), VLY_E_INVALID);
    assert_int_equal(bench_median(NULL, 0, &e), VLY_E_INVALID);
    assert_int_equal(bench_median_ratio(V(1, 2), V(NAN), &e), VLY_E_INVALID);
    assert_int_equal(bench_median_ratio(V(1, 2), V(0, 2), &e), VLY_E_INVALID);
    assert_true(isnan(bench_mann_whitney_p(V(NAN), V(1))));
}

static void test_stats_bounds(void **state)
{
    double x[BENCH_VALUES_MAX + 1] = {0};
    struct bench_values many = {x, ARRAY_LEN(x)};
    struct bench_estimate e;

    (void)state;
    assert_int_equal(bench_median(x, many.n, &e), VLY_E_LIMIT);
    assert_int_equal(bench_paired_ratio(x, x, many.n, &e), VLY_E_LIMIT);
    assert_int_equal(bench_median_ratio(many, V(1), &e), VLY_E_LIMIT);
    assert_true(isnan(bench_mann_whitney_p(many, V(1))));
    assert_int_equal(bench_median(x, BENCH_VALUES_MAX, &e), 0);
}

/* Each pair has its own speed, and a's share of it is 2, 3 or 4: the pairing takes the speed out.
 */
static void test_stats_paired_ratio(void **state)
{
    const double a[] = {20, 300, 4000, 7, NAN}, b[] = {10, 100, 1000, 0, 5};
    struct bench_estimate e;

    (void)state;
    assert_int_equal(bench_paired_ratio(a, b, ARRAY_LEN(a), &e), 0);
    expect(e, 2, 3, 4, 3);
}

static void test_stats_ratio_of_independent_samples(void **state)
{
    struct bench_estimate e;

    (void)state;
    assert_int_equal(bench_median_ratio(V(6, 6, 6), V(4, 4), &e), 0);
    expect(e, 1.5, 1.5, 1.5, 2);
    /* smallest over largest comes with 7/27 * 7/27 = 6.7 %, more than 2.5 % */
    assert_int_equal(bench_median_ratio(V(10, 20, 40), V(5, 4, 8), &e), 0);
    expect(e, 10.0 / 8, 4, 10, 3);
}

/* All orders counted one by one: U = 0 of 3 and 3 is 1 of 20 on each side; and so on. */
static void test_stats_mann_whitney_exact(void **state)
{
    (void)state;
    near(bench_mann_whitney_p(V(1, 2, 3), V(4, 5, 6)), 0.1);
    near(bench_mann_whitney_p(V(4, 5, 6), V(1, 2, 3)), 0.1);
    near(bench_mann_whitney_p(V(6, 7, 8, 9, 10), V(1, 2, 3, 4, 5)), 0.007936507936507936);
    /* ranks of a: 1, 3, 4, 5, 6 -> U = 4 */
    near(bench_mann_whitney_p(V(1, 3, 4, 5, 6), V(2, 7, 8, 9, 10)), 0.09523809523809523);
    /* ranks of a: 1, 2, 5, 7 -> U = 5 */
    near(bench_mann_whitney_p(V(1, 2, 5, 7), V(3, 4, 6, 8, 9, 10)), 0.17142857142857143);
    near(bench_mann_whitney_p(V(1), V(2)), 1);
}

/* By Python: statistics.NormalDist().cdf with the variance corrected for ties. */
static void test_stats_mann_whitney_normal(void **state)
{
    double a[21], b[21];

    (void)state;
    near(bench_mann_whitney_p(V(1, 2, 2, 3, 4), V(2, 3, 3, 5, 5, 6)), 0.11304997885632284);
    near(bench_mann_whitney_p(V(5, 5, 5), V(5, 5)), 1);
    for (size_t i = 0; i < ARRAY_LEN(a); i++) {
        a[i] = (double)i;
        b[i] = (double)i + 7.5;
    }
    near(bench_mann_whitney_p((struct bench_values){a, 21}, (struct bench_values){b, 21}),
         0.0011741330904420089);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_quantiles),
        cmocka_unit_test(test_stats_median_and_interval),
        cmocka_unit_test(test_stats_interval_of_many),
        cmocka_unit_test(test_stats_repeats_itself),
        cmocka_unit_test(test_stats_leaves_out_what_is_no_number),
        cmocka_unit_test(test_stats_bounds),
        cmocka_unit_test(test_stats_paired_ratio),
        cmocka_unit_test(test_stats_ratio_of_independent_samples),
        cmocka_unit_test(test_stats_mann_whitney_exact),
        cmocka_unit_test(test_stats_mann_whitney_normal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
