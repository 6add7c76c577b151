/*
 * chart - the charts of a report: how they are built, and in which order they come.
 *
 * Building is sticky: running out of memory is noted in the chart, and asked for once at the end.
 */
#include "bench/report/chart.h"

#include "bench/report/report.h"
#include "bench/report/report_text.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct bench_chart *bench_chart_new(enum bench_chart_kind kind)
{
    struct bench_chart *chart = calloc(1, sizeof(*chart));

    if (chart != NULL)
        chart->kind = kind;
    return chart;
}

void bench_chart_free(struct bench_chart *chart)
{
    if (chart == NULL)
        return;
    for (size_t i = 0; i < chart->n_series; i++)
        free(chart->series[i].points);
    free(chart);
}

bool bench_chart_series(struct bench_chart *chart, const char *label, unsigned style, bool theory)
{
    struct bench_chart_series *series;

    if (chart->n_series == BENCH_CHART_SERIES_MAX)
        return false;
    series = &chart->series[chart->n_series++];
    *series = (struct bench_chart_series){.style = style, .theory = theory};
    (void)snprintf(series->label, sizeof(series->label), "%s", label);
    return true;
}

void bench_chart_point(struct bench_chart *chart, struct bench_chart_point point)
{
    struct bench_chart_series *series = &chart->series[chart->n_series - 1];

    if ((series->n & (series->n - 1)) == 0) { /* full: the room is the next power of two */
        size_t room = series->n == 0 ? 1 : 2 * series->n;
        struct bench_chart_point *points = realloc(series->points, room * sizeof(*points));
        if (points == NULL) {
            chart->failed = true;
            return;
        }
        series->points = points;
    }
    series->points[series->n++] = point;
}

void bench_chart_series_end(struct bench_chart *chart, size_t least)
{
    struct bench_chart_series *series = &chart->series[chart->n_series - 1];

    if (series->n >= least || chart->failed)
        return;
    free(series->points);
    chart->n_series--;
}

void bench_chart_name(struct bench_chart *chart, const char *format, ...)
{
    char *to = chart->name;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(chart->name, sizeof(chart->name), format, args);
    va_end(args);
    for (char *from = chart->name; *from != '\0'; from++) {
        if (isalnum((unsigned char)*from))
            *to++ = *from;
        else if (to > chart->name && to[-1] != '-')
            *to++ = '-';
    }
    *to = '\0';
}

/* Names become files: none may come twice. */
static void name_make_unique(const struct bench_charts *charts, struct bench_chart *chart)
{
    size_t len = strlen(chart->name);

    if (len > sizeof(chart->name) - 8)
        len = sizeof(chart->name) - 8;
    for (size_t i = 0, copy = 2; i < charts->n; i++) {
        if (strcmp(charts->at[i]->name, chart->name) != 0)
            continue;
        (void)snprintf(chart->name + len, sizeof(chart->name) - len, "-%zu", copy++);
        i = (size_t)-1; /* look at all of them again */
    }
}

void bench_charts_add(struct bench_charts *charts, struct bench_chart *chart)
{
    if (chart == NULL || chart->failed) {
        charts->failed = true;
        bench_chart_free(chart);
        return;
    }
    if (charts->n == BENCH_CHARTS_MAX) {
        bench_chart_free(chart);
        return;
    }
    name_make_unique(charts, chart);
    charts->at[charts->n++] = chart;
}

/* ---- figures ---- */

void bench_chart_extent(const struct bench_chart *chart, double *largest, double *smallest)
{
    *largest = 0;
    *smallest = 0;
    for (size_t i = 0; i < chart->n_series; i++) {
        for (size_t k = 0; k < chart->series[i].n && !chart->series[i].theory; k++) {
            const struct bench_chart_point *p = &chart->series[i].points[k];
            double value = chart->kind == BENCH_CHART_LINES ? p->y : p->x;
            if (!isfinite(value))
                continue;
            if (value > *largest)
                *largest = value;
            if (value > 0 && (*smallest == 0 || value < *smallest))
                *smallest = value;
        }
    }
}

struct bench_rate_unit bench_chart_scale(struct bench_chart *chart)
{
    double largest, smallest;
    struct bench_rate_unit unit;

    bench_chart_extent(chart, &largest, &smallest);
    unit = bench_rate_unit(largest);
    for (size_t i = 0; i < chart->n_series; i++) {
        for (size_t k = 0; k < chart->series[i].n; k++) {
            struct bench_chart_point *p = &chart->series[i].points[k];
            double *value = chart->kind == BENCH_CHART_LINES ? &p->y : &p->x;
            *value /= unit.bits_per_s;
            p->low /= unit.bits_per_s;
            p->high /= unit.bits_per_s;
        }
    }
    return unit;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_chart_median(double *values, size_t n)
{
    if (n == 0)
        return NAN;
    qsort(values, n, sizeof(*values), compare_doubles);
    return bench_quantile(values, n, 0.5);
}

double bench_mathis_bits_per_s(double mss_bytes, double rtt_s, double loss)
{
    return 8 * mss_bytes / rtt_s * sqrt(1.5) / sqrt(loss);
}

double bench_window_bits_per_s(double window_bytes, double rtt_s)
{
    return 8 * window_bytes / rtt_s;
}

/* ---- all of them ---- */

int bench_charts_select(struct bench_charts *out, const struct bench_report *r)
{
    *out = (struct bench_charts){.at = calloc(BENCH_CHARTS_MAX, sizeof(struct bench_chart *))};
    if (out->at == NULL)
        return VLY_E_NOMEM;
    bench_charts_sweeps(out, r);
    for (size_t i = 0; i < r->n_rows; i++) {
        const char *kind = bench_report_group(r, i);
        if (kind == NULL)
            continue;
        bench_charts_bars(out, r, r->rows[i].link, kind);
        bench_charts_time(out, r, r->rows[i].link, kind);
        bench_charts_spread(out, r, r->rows[i].link, kind);
    }
    return out->failed ? VLY_E_NOMEM : 0;
}

void bench_charts_free(struct bench_charts *charts)
{
    for (size_t i = 0; i < charts->n; i++)
        bench_chart_free(charts->at[i]);
    free(charts->at);
    *charts = (struct bench_charts){.at = NULL};
}
