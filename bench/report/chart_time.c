/*
 * chart_time - goodput in the course of a run: a line a row, each point the median over its
 * samples.
 */
#include "bench/report/chart.h"
#include "bench/report/report_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define INTERVALS_MAX 4000 /* of a sample; later ones are not drawn */

struct interval {
    double begin_s, end_s, bits_per_s;
};

/* The nth interval of a sample; false when it has none, or only the rest of one, whose rate would
 * be chance. */
static bool interval_at(const struct bench_sample *s, size_t nth, struct interval *out)
{
    const json_t *o = json_array_get(s->intervals, nth);
    const json_t *first = json_array_get(s->intervals, 0);
    double begin_ns = json_number_value(json_object_get(o, "begin_ns"));
    double end_ns = json_number_value(json_object_get(o, "end_ns"));
    double usual_ns = json_number_value(json_object_get(first, "end_ns")) -
                      json_number_value(json_object_get(first, "begin_ns"));
    double length_ns = end_ns - begin_ns;

    if (o == NULL || s->err != 0 || length_ns <= 0 || length_ns < usual_ns / 2)
        return false;
    out->begin_s = begin_ns / 1e9;
    out->end_s = end_ns / 1e9;
    out->bits_per_s = 8e9 * json_number_value(json_object_get(o, "bytes")) / length_ns;
    return true;
}

static void row_line(struct bench_chart *chart, const struct bench_report_row *row)
{
    double *rates = calloc(row->n_samples + 1, sizeof(*rates));

    chart->failed |= rates == NULL;
    for (size_t nth = 0; rates != NULL && nth < INTERVALS_MAX; nth++) {
        struct interval at = {0}, last = {0};
        size_t n = 0;
        for (size_t i = 0; i < row->n_samples; i++) {
            if (!interval_at(&row->samples[i].s, nth, &at))
                continue;
            last = at;
            rates[n++] = at.bits_per_s;
        }
        if (n == 0)
            break;
        bench_chart_point(chart,
                          (struct bench_chart_point){(last.begin_s + last.end_s) / 2,
                                                     bench_chart_median(rates, n), NAN, NAN});
    }
    free(rates);
}

static void describe(struct bench_chart *chart, const struct bench_report_link *link,
                     const char *kind, uint64_t warmup_ns)
{
    const char *unit = bench_chart_scale(chart).name;

    chart->link = link;
    chart->row_kind = kind;
    bench_chart_name(chart, "time-%.40s-%.20s", link->name, kind);
    (void)snprintf(chart->title, sizeof(chart->title), "Goodput over time, %s, %s",
                   bench_text_cut(link->name, 80).s, bench_text_cut(bench_text_kind(kind), 40).s);
    (void)snprintf(chart->x_label, sizeof(chart->x_label), "Time in s");
    (void)snprintf(chart->y_label, sizeof(chart->y_label), "Goodput in %s", unit);
    (void)snprintf(chart->caption, sizeof(chart->caption),
                   "Goodput in each interval of a run, the median over the samples of a row. A "
                   "steady line is a steady transfer.%s%.20s%s",
                   warmup_ns > 0 ? " The first " : "",
                   warmup_ns > 0 ? bench_text_duration(warmup_ns).s : "",
                   warmup_ns > 0 ? " are warm-up and left out of all other figures." : "");
}

void bench_charts_time(struct bench_charts *charts, const struct bench_report *r,
                       const struct bench_report_link *link, const char *kind)
{
    struct bench_chart *chart = bench_chart_new(BENCH_CHART_LINES);
    uint64_t warmup_ns = 0;

    if (chart == NULL) {
        bench_charts_add(charts, NULL);
        return;
    }
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_report_row *row = &r->rows[i];
        if (row->link != link || strcmp(row->kind, kind) != 0 || bench_row_failed(row))
            continue;
        if (!bench_chart_series(chart, row->label, row->style, false))
            break;
        row_line(chart, row);
        bench_chart_series_end(chart, 2);
        if (row->warmup_ns != BENCH_UNKNOWN && row->warmup_ns > warmup_ns)
            warmup_ns = row->warmup_ns;
    }
    if (chart->n_series == 0 && !chart->failed) {
        bench_chart_free(chart);
        return;
    }
    describe(chart, link, kind, warmup_ns);
    bench_charts_add(charts, chart);
}
