/*
 * stats - medians, bootstrap intervals and a rank test: what a few samples of a row amount to.
 */
#include "bench/matrix/stats.h"

#include "sim/prng.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOW 0.025
#define HIGH 0.975
#define EXACT_MAX 20                           /* values a side */
#define EXACT_SUMS (EXACT_MAX * EXACT_MAX + 1) /* values that U can have */
#define SEED UINT64_C(0x766f6c6c65792d73)      /* any; a constant, so that intervals repeat */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;

    assert(n > 0 && q >= 0 && q <= 1);
    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

static double median_of(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), by_value);
    return bench_quantile(values, n, 0.5);
}

/* Copies what is finite to `out`; returns how many. */
static size_t keep_finite(double *out, struct bench_values values)
{
    size_t n = 0;

    for (size_t i = 0; i < values.n; i++)
        if (isfinite(values.at[i]))
            out[n++] = values.at[i];
    return n;
}

/* The median of n values drawn from `values` with replacement. */
static double resampled(const double *values, size_t n, struct vly_prng *prng)
{
    double drawn[BENCH_VALUES_MAX];

    for (size_t i = 0; i < n; i++)
        drawn[i] = values[vly_prng_below(prng, n)];
    return median_of(drawn, n);
}

static void interval(double resamples[BENCH_RESAMPLES], struct bench_estimate *out)
{
    qsort(resamples, BENCH_RESAMPLES, sizeof(*resamples), by_value);
    out->low = bench_quantile(resamples, BENCH_RESAMPLES, LOW);
    out->high = bench_quantile(resamples, BENCH_RESAMPLES, HIGH);
}

int bench_median(const double *values, size_t n, struct bench_estimate *out)
{
    double kept[BENCH_VALUES_MAX], resamples[BENCH_RESAMPLES];
    struct vly_prng prng;

    *out = (struct bench_estimate){0};
    if (n > BENCH_VALUES_MAX)
        return VLY_E_LIMIT;
    out->n = keep_finite(kept, (struct bench_values){values, n});
    if (out->n == 0)
        return VLY_E_INVALID;
    out->median = median_of(kept, out->n);
    vly_prng_init(&prng, SEED + out->n);
    for (size_t i = 0; i < BENCH_RESAMPLES; i++)
        resamples[i] = resampled(kept, out->n, &prng);
    interval(resamples, out);
    return 0;
}

int bench_paired_ratio(const double *a, const double *b, size_t n, struct bench_estimate *out)
{
    double ratios[BENCH_VALUES_MAX];

    *out = (struct bench_estimate){0};
    if (n > BENCH_VALUES_MAX)
        return VLY_E_LIMIT;
    for (size_t i = 0; i < n; i++)
        ratios[i] = b[i] > 0 ? a[i] / b[i] : (double)NAN;
    return bench_median(ratios, n, out);
}

int bench_median_ratio(struct bench_values a, struct bench_values b, struct bench_estimate *out)
{
    double x[BENCH_VALUES_MAX], y[BENCH_VALUES_MAX], resamples[BENCH_RESAMPLES];
    struct vly_prng prng;
    double divisor;

    *out = (struct bench_estimate){0};
    if (a.n > BENCH_VALUES_MAX || b.n > BENCH_VALUES_MAX)
        return VLY_E_LIMIT;
    a.n = keep_finite(x, a);
    b.n = keep_finite(y, b);
    if (a.n == 0 || b.n == 0)
        return VLY_E_INVALID;
    divisor = median_of(y, b.n);
    if (y[0] <= 0)
        return VLY_E_INVALID;
    out->n = a.n < b.n ? a.n : b.n;
    out->median = median_of(x, a.n) / divisor;
    vly_prng_init(&prng, SEED + a.n + b.n);
    for (size_t i = 0; i < BENCH_RESAMPLES; i++) {
        double above = resampled(x, a.n, &prng);
        resamples[i] = above / resampled(y, b.n, &prng);
    }
    interval(resamples, out);
    return 0;
}

/* ---- Mann-Whitney ---- */

/* How often a value of `a` is above one of `b`; ties count half. */
static double u_statistic(struct bench_values a, struct bench_values b)
{
    double u = 0;

    for (size_t i = 0; i < a.n; i++)
        for (size_t j = 0; j < b.n; j++)
            u += a.at[i] > b.at[j] ? 1 : a.at[i] == b.at[j] ? 0.5 : 0;
    return u;
}

/* The sum of t^3 - t over groups of t equal values. */
static double ties(struct bench_values a, struct bench_values b)
{
    double all[2 * BENCH_VALUES_MAX];
    size_t n = a.n + b.n;
    double sum = 0;

    memcpy(all, a.at, a.n * sizeof(*all));
    memcpy(all + a.n, b.at, b.n * sizeof(*all));
    qsort(all, n, sizeof(*all), by_value);
    for (size_t begin = 0, end; begin < n; begin = end) {
        double t;
        for (end = begin + 1; end < n && all[end] == all[begin]; end++)
            ;
        t = (double)(end - begin);
        sum += t * t * t - t;
    }
    return sum;
}

/* P(U <= u) when all orders of n + m different values are as likely. The number of ways to reach a
 * sum is counted as for a Gaussian binomial: times (1 - x^(n+i)), over (1 - x^i), for i up to m. */
static double exact_tail(size_t n, size_t m, size_t u)
{
    static const size_t sums = EXACT_SUMS;
    double ways[EXACT_SUMS] = {1}, total = 0, tail = 0;

    for (size_t i = 1; i <= m; i++) {
        for (size_t s = sums - 1; s >= n + i; s--)
            ways[s] -= ways[s - n - i];
        for (size_t s = i; s < sums; s++)
            ways[s] += ways[s - i];
    }
    for (size_t s = 0; s <= n * m; s++) {
        total += ways[s];
        tail += s <= u ? ways[s] : 0;
    }
    return tail / total;
}

static double normal_p(double u, double n, double m, double tie_sum)
{
    double all = n + m;
    double variance = n * m / 12 * (all + 1 - tie_sum / (all * (all - 1)));
    double distance = fabs(u - n * m / 2) - 0.5;

    if (variance <= 0 || distance <= 0)
        return 1;
    return erfc(distance / sqrt(variance) / sqrt(2));
}

double bench_mann_whitney_p(struct bench_values a, struct bench_values b)
{
    double x[BENCH_VALUES_MAX], y[BENCH_VALUES_MAX];
    double u, tie_sum, p;

    if (a.n > BENCH_VALUES_MAX || b.n > BENCH_VALUES_MAX)
        return (double)NAN;
    a = (struct bench_values){x, keep_finite(x, a)};
    b = (struct bench_values){y, keep_finite(y, b)};
    if (a.n == 0 || b.n == 0)
        return (double)NAN;
    u = u_statistic(a, b);
    tie_sum = ties(a, b);
    if (tie_sum > 0 || a.n > EXACT_MAX || b.n > EXACT_MAX)
        return normal_p(u, (double)a.n, (double)b.n, tie_sum);
    u = fmin(u, (double)(a.n * b.n) - u);
    p = 2 * exact_tail(a.n, b.n, (size_t)u);
    return p < 1 ? p : 1;
}
