/*
 * stats - medians, bootstrap intervals and a rank test: what a few samples of a row amount to.
 *
 * Values that are not finite are left out everywhere. The bootstrap draws from a generator seeded
 * by the number of values alone: the same samples give the same interval. Cost: BENCH_RESAMPLES
 * sorts of n values.
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <volley/base.h>

#define BENCH_VALUES_MAX 256 /* of one call; more are VLY_E_LIMIT */
#define BENCH_RESAMPLES 2000
#define BENCH_SAMPLES_LEAST 3 /* fewer have an interval in name alone: nothing follows from it */

struct bench_estimate {
    double median, low, high; /* low, high: a 95 % interval by the percentile bootstrap */
    size_t n;                 /* values that counted; see BENCH_SAMPLES_LEAST */
};

/* Linear between the two nearest ranks (R's type 7, Python's "inclusive"). `sorted` rises, n is at
 * least 1, q in [0, 1]. */
double bench_quantile(const double *sorted, size_t n, double q);

/* All return 0, VLY_E_INVALID when no value is left, or VLY_E_LIMIT. */

VLY_MUST_USE int bench_median(const double *values, size_t n, struct bench_estimate *out);
/* The median of a[i] / b[i]; pairs are resampled together. A pair with b[i] <= 0 is left out. */
VLY_MUST_USE int bench_paired_ratio(const double *a, const double *b, size_t n,
                                    struct bench_estimate *out);

struct bench_values {
    const double *at; /* borrowed */
    size_t n;
};
/* median(a) / median(b) of independent samples; out->n is the smaller of the two numbers. */
VLY_MUST_USE int bench_median_ratio(struct bench_values a, struct bench_values b,
                                    struct bench_estimate *out);
/* Two-sided p of the rank test of Mann, Whitney and Wilcoxon: exact without ties up to 20 values a
 * side, else by the normal approximation with corrections for ties and continuity. NAN when either
 * has no value or more than BENCH_VALUES_MAX. */
double bench_mann_whitney_p(struct bench_values a, struct bench_values b);

#endif
