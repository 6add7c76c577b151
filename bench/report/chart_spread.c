/*
 * chart_spread - how the samples of a row are spread: completion times of rows with a size, goodput
 * of rows with a duration, as cumulative distributions.
 */
#include "bench/report/chart.h"
#include "bench/report/report_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES_LEAST 3   /* fewer make no distribution */
#define LOG_FROM_RATIO 20 /* of the largest and the smallest value */

enum spread { COMPLETION, GOODPUT };

static enum spread spread_of(const struct bench_report_row *row)
{
    return row->bytes != BENCH_UNKNOWN && row->bytes > 0 ? COMPLETION : GOODPUT;
}

/* NAN when the sample has none. */
static double value_of(const struct bench_sample *s, enum spread spread)
{
    if (spread == GOODPUT)
        return bench_sample_goodput(s);
    if (s->err != 0 || s->duration_ns == BENCH_UNKNOWN)
        return NAN;
    return (double)s->duration_ns / 1e9;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void row_steps(struct bench_chart *chart, const struct bench_report_row *row,
                      enum spread spread)
{
    double *values = calloc(row->n_samples + 1, sizeof(*values));
    size_t n = 0;

    chart->failed |= values == NULL;
    for (size_t i = 0; values != NULL && i < row->n_samples; i++) {
        values[n] = value_of(&row->samples[i].s, spread);
        n += isfinite(values[n]) ? 1 : 0;
    }
    if (n >= SAMPLES_LEAST) {
        qsort(values, n, sizeof(*values), compare_doubles);
        bench_chart_point(chart, (struct bench_chart_point){values[0], 0, NAN, NAN});
        for (size_t i = 0; i < n; i++)
            bench_chart_point(chart, (struct bench_chart_point){
                                         values[i], (double)(i + 1) / (double)n, NAN, NAN});
    }
    free(values);
}

/* Seconds stay, or become milliseconds. */
static const char *time_scale(struct bench_chart *chart, double largest_s)
{
    if (largest_s >= 1)
        return "s";
    for (size_t i = 0; i < chart->n_series; i++)
        for (size_t k = 0; k < chart->series[i].n; k++)
            chart->series[i].points[k].x *= 1e3;
    return "ms";
}

static void describe(struct bench_chart *chart, const struct bench_report_link *link,
                     const char *kind, enum spread spread)
{
    double largest, smallest;

    bench_chart_extent(chart, &largest, &smallest);
    chart->log_x = smallest > 0 && largest / smallest >= LOG_FROM_RATIO;
    chart->link = link;
    chart->row_kind = kind;
    (void)snprintf(chart->y_label, sizeof(chart->y_label), "Share of the samples");
    if (spread == COMPLETION) {
        bench_chart_name(chart, "completion-%.40s-%.20s", link->name, kind);
        (void)snprintf(chart->title, sizeof(chart->title), "Completion times, %s, %s",
                       bench_text_cut(link->name, 80).s,
                       bench_text_cut(bench_text_kind(kind), 40).s);
        (void)snprintf(chart->x_label, sizeof(chart->x_label), "Completion time in %s",
                       time_scale(chart, largest));
        (void)snprintf(chart->caption, sizeof(chart->caption),
                       "The share of a row's samples that were complete after the time on the x "
                       "axis. Further left is faster; a steep curve is a predictable one.");
        return;
    }
    bench_chart_name(chart, "spread-%.40s-%.20s", link->name, kind);
    (void)snprintf(chart->title, sizeof(chart->title), "Spread of goodput, %s, %s",
                   bench_text_cut(link->name, 80).s, bench_text_cut(bench_text_kind(kind), 40).s);
    (void)snprintf(chart->x_label, sizeof(chart->x_label), "Goodput in %s",
                   bench_chart_scale(chart).name);
    (void)snprintf(
        chart->caption, sizeof(chart->caption),
        "The share of a row's samples that had at most the goodput on the x axis. Further "
        "right is faster; a steep curve means that all samples agree.");
}

static void spread_chart(struct bench_charts *charts, const struct bench_report *r,
                         const struct bench_report_row *like, enum spread spread)
{
    struct bench_chart *chart = bench_chart_new(BENCH_CHART_STEPS);

    for (size_t i = 0; chart != NULL && i < r->n_rows; i++) {
        const struct bench_report_row *row = &r->rows[i];
        if (row->link != like->link || strcmp(row->kind, like->kind) != 0 ||
            spread_of(row) != spread || bench_row_failed(row))
            continue;
        if (!bench_chart_series(chart, row->label, row->style, false))
            break;
        row_steps(chart, row, spread);
        bench_chart_series_end(chart, SAMPLES_LEAST);
    }
    if (chart != NULL && chart->n_series == 0 && !chart->failed) {
        bench_chart_free(chart);
        return;
    }
    if (chart != NULL)
        describe(chart, like->link, like->kind, spread);
    bench_charts_add(charts, chart);
}

void bench_charts_spread(struct bench_charts *charts, const struct bench_report *r,
                         const struct bench_report_link *link, const char *kind)
{
    bool done[2] = {false, false};

    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_report_row *row = &r->rows[i];
        enum spread spread = spread_of(row);
        if (row->link != link || strcmp(row->kind, kind) != 0 || done[spread])
            continue;
        done[spread] = true;
        spread_chart(charts, r, row, spread);
    }
}
