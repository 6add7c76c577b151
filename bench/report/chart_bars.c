/*
 * chart_bars - the rows of a link and kind side by side: goodput with its interval.
 */
#include "bench/report/chart.h"
#include "bench/report/report_text.h"

#include <math.h>
#include <string.h>

static void caption(struct bench_chart *chart, const char *left_out)
{
    (void)snprintf(chart->caption, sizeof(chart->caption),
                   "Goodput of each row: a bar is the median of its samples, the whisker its 95 %% "
                   "interval. Longer is faster; where whiskers overlap, the difference may be "
                   "chance.%s",
                   left_out);
}

void bench_charts_bars(struct bench_charts *charts, const struct bench_report *r,
                       const struct bench_report_link *link, const char *kind)
{
    struct bench_chart *chart = bench_chart_new(BENCH_CHART_BARS);
    const char *left_out = "";

    if (chart == NULL) {
        bench_charts_add(charts, NULL);
        return;
    }
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_report_row *row = &r->rows[i];
        const struct bench_estimate *e = &row->goodput_bits_per_s;
        if (row->link != link || strcmp(row->kind, kind) != 0)
            continue;
        if (bench_row_failed(row) || !isfinite(e->median)) {
            left_out = " Failed rows are in the table alone.";
            continue;
        }
        if (!bench_chart_series(chart, row->label, row->style, false)) {
            left_out = " Further rows are in the table alone.";
            break;
        }
        bench_chart_point(chart, (struct bench_chart_point){e->median, 0, e->low, e->high});
        bench_chart_series_end(chart, 1);
    }
    if (chart->n_series < 2 && !chart->failed) {
        bench_chart_free(chart);
        return;
    }
    chart->link = link;
    chart->row_kind = kind;
    bench_chart_name(chart, "goodput-%.40s-%.20s", link->name, kind);
    (void)snprintf(chart->title, sizeof(chart->title), "Goodput, %s, %s",
                   bench_text_cut(link->name, 80).s, bench_text_cut(bench_text_kind(kind), 40).s);
    (void)snprintf(chart->x_label, sizeof(chart->x_label), "Goodput in %s",
                   bench_chart_scale(chart).name);
    caption(chart, left_out);
    bench_charts_add(charts, chart);
}
