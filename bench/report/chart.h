/*
 * chart - what a report draws: which charts a result has, and the points in them.
 *
 * Pure: nothing is drawn here. bench/report/gnuplot.h makes pictures of charts,
 * bench/report/report.h puts them on a page. Whatever would show nothing (one bar, a line of one
 * point) is left out.
 */
#ifndef BENCH_CHART_H
#define BENCH_CHART_H

#include "bench/report/report_data.h"

#define BENCH_CHARTS_MAX 400
#define BENCH_CHART_SERIES_MAX 24
#define BENCH_CHART_TICS_MAX 8

enum bench_chart_kind {
    BENCH_CHART_BARS,  /* a bar a series, lying; its only point's x is its length */
    BENCH_CHART_LINES, /* points joined by lines */
    BENCH_CHART_STEPS, /* a distribution: y is the share of samples that are at most x */
};

struct bench_chart_point {
    double x, y;
    double low, high; /* of the interval (in x for bars, else in y); NAN: none */
};

struct bench_chart_series {
    char label[BENCH_LABEL_BYTES];
    unsigned style;                   /* of the row; counted apart for theory */
    bool theory;                      /* a computed curve, no measurement */
    struct bench_chart_point *points; /* owned */
    size_t n;
};

struct bench_chart_tic {
    double at;
    char label[24];
};

struct bench_chart {
    enum bench_chart_kind kind;
    char name[96]; /* of its file, without ending: letters, digits, '-' */
    char title[640], caption[768], x_label[64], y_label[64];
    bool log_x, log_y;
    struct bench_chart_tic tics[BENCH_CHART_TICS_MAX]; /* of x; none: chosen by who draws */
    size_t n_tics;
    const struct bench_report_link *link; /* it belongs to; NULL: to all of them */
    const char *row_kind;                 /* likewise */
    struct bench_chart_series series[BENCH_CHART_SERIES_MAX];
    size_t n_series;
    bool failed; /* out of memory */
};

struct bench_charts {
    struct bench_chart **at; /* owned */
    size_t n;
    bool failed;
};

/* All charts of a report, in the order of the page. VLY_E_NOMEM. */
VLY_MUST_USE int bench_charts_select(struct bench_charts *out, const struct bench_report *r);
void bench_charts_free(struct bench_charts *charts);

/* ---- for the modules that select: chart_bars, chart_time, chart_sweep, chart_spread ---- */

/* A new chart, NULL when out of memory; give it to bench_charts_add or bench_chart_free. */
struct bench_chart *bench_chart_new(enum bench_chart_kind kind);
void bench_chart_free(struct bench_chart *chart);
/* Appends a series, to which bench_chart_point adds. Returns false when the chart has no room. */
bool bench_chart_series(struct bench_chart *chart, const char *label, unsigned style, bool theory);
void bench_chart_point(struct bench_chart *chart, struct bench_chart_point point);
/* Takes the last series away again when it has fewer than `least` points. */
void bench_chart_series_end(struct bench_chart *chart, size_t least);
/* Makes a name of `title`-like parts: what is neither letter nor digit becomes '-'. */
void bench_chart_name(struct bench_chart *chart, const char *format, ...) VLY_PRINTF(2, 3);
/* Takes the chart over; `chart` NULL is out of memory. */
void bench_charts_add(struct bench_charts *charts, struct bench_chart *chart);
/* The largest finite y (bars: x), and the smallest above 0, of what was measured; 0: none. */
void bench_chart_extent(const struct bench_chart *chart, double *largest, double *smallest);
/* Divides all rates by the unit of the largest, which it returns. */
struct bench_rate_unit bench_chart_scale(struct bench_chart *chart);

/* Of a group: the rows of one link and kind. */
void bench_charts_bars(struct bench_charts *charts, const struct bench_report *r,
                       const struct bench_report_link *link, const char *kind);
void bench_charts_time(struct bench_charts *charts, const struct bench_report *r,
                       const struct bench_report_link *link, const char *kind);
void bench_charts_spread(struct bench_charts *charts, const struct bench_report *r,
                         const struct bench_report_link *link, const char *kind);
/* Goodput over loss and over round-trip time, for links that differ in nothing else. */
void bench_charts_sweeps(struct bench_charts *charts, const struct bench_report *r);

/* The median of `n` values, which it sorts; NAN for none. */
double bench_chart_median(double *values, size_t n);
/* Mathis, Semke, Mahdavi and Ott 1997: MSS / RTT * sqrt(3/2) / sqrt(p), in bits per second. */
double bench_mathis_bits_per_s(double mss_bytes, double rtt_s, double loss);
/* A window each round trip, in bits per second. */
double bench_window_bits_per_s(double window_bytes, double rtt_s);

#endif
