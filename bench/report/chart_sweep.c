/*
 * chart_sweep - goodput over loss and over round-trip time, with what theory says.
 *
 * A sweep is a class of links that are equal but for one thing. Each row label of a kind makes a
 * line across them. On a logarithmic axis a loss of 0 stands left of the others, marked as 0.
 */
#include "bench/report/chart.h"
#include "bench/report/report_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define THEORY_POINTS 60
#define LOG_X_FROM_RATIO 10  /* of the largest and the smallest x above 0 */
#define LOG_Y_FROM_RATIO 20  /* of the goodputs */
#define ZERO_STEP 3          /* how far left of the smallest loss 0 stands, as a factor */
#define CLASSIC_WINDOW 65535 /* bytes: what a TCP header can say without scaling, RFC 7323 */
#define TCP_HEADERS_BYTES 52 /* IPv4, TCP, time stamps */

enum sweep { OVER_LOSS, OVER_RTT };

/* ---- classes of links ---- */

static bool same_way(const struct bench_report_way *a, const struct bench_report_way *b,
                     enum sweep sweep)
{
    bool same = a->rate_bits_per_s == b->rate_bits_per_s && a->jitter_ns == b->jitter_ns &&
                a->codel == b->codel && a->reorder == b->reorder && a->duplicate == b->duplicate &&
                a->corrupt == b->corrupt;

    /* A queue is made for its round-trip time: it may grow with it. */
    if (sweep == OVER_LOSS)
        return same && a->delay_ns == b->delay_ns && a->queue_bytes == b->queue_bytes;
    return same && a->loss == b->loss && a->burst_enter == b->burst_enter &&
           a->burst_leave == b->burst_leave && a->burst_loss == b->burst_loss;
}

static bool same_class(const struct bench_report_link *a, const struct bench_report_link *b,
                       enum sweep sweep)
{
    return a->has_ways && b->has_ways && strcmp(a->kind, b->kind) == 0 &&
           a->mtu_bytes == b->mtu_bytes && a->offloads == b->offloads &&
           same_way(&a->forward, &b->forward, sweep) && same_way(&a->back, &b->back, sweep);
}

/* The way the data of a row takes. */
static const struct bench_report_way *way_of(const struct bench_report_row *row)
{
    return row->reverse ? &row->link->back : &row->link->forward;
}

static double x_of(const struct bench_report_row *row, enum sweep sweep)
{
    return sweep == OVER_LOSS ? bench_way_loss(way_of(row)) : bench_link_rtt_s(row->link);
}

/* ---- lines ---- */

static int compare_points(const void *a, const void *b)
{
    const struct bench_chart_point *p = a, *q = b;

    return (p->x > q->x) - (p->x < q->x);
}

static bool has_series(const struct bench_chart *chart, const char *label)
{
    for (size_t i = 0; i < chart->n_series; i++)
        if (strcmp(chart->series[i].label, label) == 0)
            return true;
    return false;
}

/* All rows that are called like `like`, over the links of its class. */
static void label_line(struct bench_chart *chart, const struct bench_report *r,
                       const struct bench_report_row *like, enum sweep sweep)
{
    struct bench_chart_series *series;

    if (has_series(chart, like->label) ||
        !bench_chart_series(chart, like->label, like->style, false))
        return;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_report_row *row = &r->rows[i];
        const struct bench_estimate *e = &row->goodput_bits_per_s;
        if (strcmp(row->kind, like->kind) != 0 || strcmp(row->label, like->label) != 0 ||
            !same_class(row->link, like->link, sweep) || bench_row_failed(row) ||
            !isfinite(e->median) || !isfinite(x_of(row, sweep)))
            continue;
        bench_chart_point(chart,
                          (struct bench_chart_point){x_of(row, sweep), e->median, e->low, e->high});
    }
    series = &chart->series[chart->n_series - 1];
    if (series->n > 1)
        qsort(series->points, series->n, sizeof(*series->points), compare_points);
    if (series->n > 1 && series->points[0].x == series->points[series->n - 1].x)
        series->n = 1; /* nothing varies */
    bench_chart_series_end(chart, 2);
}

/* ---- the x axis ---- */

static void x_extent(const struct bench_chart *chart, double *largest, double *smallest)
{
    *largest = 0;
    *smallest = 0;
    for (size_t i = 0; i < chart->n_series; i++) {
        for (size_t k = 0; k < chart->series[i].n; k++) {
            double x = chart->series[i].points[k].x;
            if (x > *largest)
                *largest = x;
            if (x > 0 && (*smallest == 0 || x < *smallest))
                *smallest = x;
        }
    }
}

/* A mark at each x that was measured; none at all when they are too many. */
static void tics(struct bench_chart *chart, enum sweep sweep)
{
    for (size_t i = 0; i < chart->n_series; i++) {
        for (size_t k = 0; k < chart->series[i].n; k++) {
            double x = chart->series[i].points[k].x;
            char label[24];
            size_t t = 0;
            (void)snprintf(label, sizeof(label), sweep == OVER_LOSS ? "%.4g %%" : "%.4g",
                           sweep == OVER_LOSS ? 100 * x : 1e3 * x);
            while (t < chart->n_tics && chart->tics[t].at != x)
                t++;
            if (t < chart->n_tics)
                continue;
            if (t == BENCH_CHART_TICS_MAX) {
                chart->n_tics = 0;
                return;
            }
            chart->tics[t].at = x;
            (void)snprintf(chart->tics[t].label, sizeof(chart->tics[t].label), "%s", label);
            chart->n_tics++;
        }
    }
}

/* Moves what stands at 0 to where a logarithmic axis can show it; all x by `factor`. */
static void x_move(struct bench_chart *chart, double zero_at, double factor)
{
    for (size_t i = 0; i < chart->n_series; i++) {
        for (size_t k = 0; k < chart->series[i].n; k++) {
            double *x = &chart->series[i].points[k].x;
            *x = factor * (*x == 0 ? zero_at : *x);
        }
    }
    for (size_t t = 0; t < chart->n_tics; t++)
        chart->tics[t].at = factor * (chart->tics[t].at == 0 ? zero_at : chart->tics[t].at);
}

/* ---- theory ---- */

struct theory {
    const char *label;
    double cap_bits_per_s;   /* of the link; INFINITY: none */
    double from_x, to_x;     /* to draw it between */
    double mss_bytes, rtt_s; /* Mathis */
    double window_bytes;     /* W/RTT; 0: Mathis */
};

static double theory_at(const struct theory *t, double x)
{
    if (t->window_bytes > 0)
        return bench_window_bits_per_s(t->window_bytes, x);
    return bench_mathis_bits_per_s(t->mss_bytes, t->rtt_s, x);
}

/* Left out when the link's rate is below it everywhere, and when it is far above all measured. */
static bool theory_line(struct bench_chart *chart, const struct theory *t, unsigned nth)
{
    double largest, smallest, lowest = theory_at(t, t->to_x);

    bench_chart_extent(chart, &largest, &smallest);
    if (!(t->from_x > 0) || !(t->to_x > t->from_x) || !(lowest > 0) ||
        lowest >= t->cap_bits_per_s || lowest > 2 * largest ||
        !bench_chart_series(chart, t->label, nth, true))
        return false;
    for (int i = 0; i <= THEORY_POINTS; i++) {
        double x = t->from_x * pow(t->to_x / t->from_x, (double)i / THEORY_POINTS);
        double y = fmin(theory_at(t, x), t->cap_bits_per_s);
        bench_chart_point(chart, (struct bench_chart_point){x, y, NAN, NAN});
    }
    return true;
}

static double cap_of(const struct bench_report_row *row)
{
    uint64_t rate = way_of(row)->rate_bits_per_s;

    return rate == 0 || rate == BENCH_UNKNOWN ? INFINITY : (double)rate;
}

/* The third number of "4096 131072 6291456"; 0 when it is not there. */
static double rmem_max_bytes(const struct bench_report *r)
{
    const json_t *sysctls = json_object_get(r->environment, "sysctls");
    const char *text = json_string_value(json_object_get(sysctls, "net.ipv4.tcp_rmem"));
    char *end;

    for (int i = 0; text != NULL && i < 2; i++) {
        (void)strtoull(text, &end, 10);
        text = end != text ? end : NULL;
    }
    return text != NULL ? (double)strtoull(text, NULL, 10) : 0;
}

static void append(struct bench_chart *chart, const char *text)
{
    size_t len = strlen(chart->caption);

    (void)snprintf(chart->caption + len, sizeof(chart->caption) - len, "%s", text);
}

static void mathis(struct bench_chart *chart, const struct bench_report_row *like, double from_x,
                   double to_x)
{
    bool known = like->mss_bytes != BENCH_UNKNOWN && like->mss_bytes > 0;
    char text[384];
    struct theory t = {
        .label = "theory, Reno",
        .cap_bits_per_s = cap_of(like),
        .from_x = from_x,
        .to_x = to_x,
        .mss_bytes =
            known ? (double)like->mss_bytes : (double)like->link->mtu_bytes - TCP_HEADERS_BYTES,
        .rtt_s = bench_link_rtt_s(like->link),
    };

    if (!(t.rtt_s > 0) || !(t.mss_bytes > 0) || !theory_line(chart, &t, 0))
        return;
    (void)snprintf(
        text, sizeof(text),
        " The grey line is what one Reno connection can reach, MSS/RTT * sqrt(3/2) / "
        "sqrt(p) (Mathis et al. 1997), for MSS %.0f bytes, RTT %.20s without queues, and "
        "at most the rate of the link.",
        t.mss_bytes, bench_text_duration(bench_link_rtt_ns(like->link)).s);
    append(chart, text);
}

static void windows(struct bench_chart *chart, const struct bench_report *r,
                    const struct bench_report_row *like, double from_x, double to_x)
{
    const double bytes[] = {CLASSIC_WINDOW, rmem_max_bytes(r)};
    const char *const names[] = {"64 KiB window", "tcp_rmem maximum"};
    bool any = false;

    for (unsigned i = 0; i < 2; i++) {
        struct theory t = {.label = names[i],
                           .cap_bits_per_s = cap_of(like),
                           .from_x = from_x,
                           .to_x = to_x,
                           .window_bytes = bytes[i]};
        char text[192];
        if (bytes[i] == 0 || !theory_line(chart, &t, i))
            continue;
        (void)snprintf(text, sizeof(text), "%s W = %.20s (%s)",
                       any ? " and"
                           : " Grey: a window each round trip, W/RTT, at most the rate of "
                             "the link, for",
                       bench_text_bytes((uint64_t)bytes[i]).s,
                       i == 0 ? "TCP without window scaling"
                              : "the receive buffer's default maximum");
        append(chart, text);
        any = true;
    }
    append(chart, any ? "." : "");
}

/* ---- charts ---- */

/* What the links of the class have in common. */
static struct bench_text common_text(const struct bench_report_row *like, enum sweep sweep)
{
    uint64_t rate = way_of(like)->rate_bits_per_s;
    struct bench_text out;

    (void)snprintf(out.s, sizeof(out.s), "%.20s, %.20s %s",
                   rate == 0 || rate == BENCH_UNKNOWN ? "no rate limit"
                                                      : bench_text_nominal_rate(rate).s,
                   sweep == OVER_LOSS ? bench_text_duration(bench_link_rtt_ns(like->link)).s
                                      : bench_text_percent(bench_way_loss(way_of(like))).s,
                   sweep == OVER_LOSS ? "round trip" : "loss");
    return out;
}

static void describe(struct bench_chart *chart, const struct bench_report_row *like,
                     enum sweep sweep)
{
    struct bench_text common = common_text(like, sweep);

    chart->row_kind = like->kind;
    bench_chart_name(chart, "%s-%.60s-%.20s", sweep == OVER_LOSS ? "loss" : "rtt", common.s,
                     like->kind);
    (void)snprintf(chart->title, sizeof(chart->title), "Goodput over %s, %.100s",
                   sweep == OVER_LOSS ? "loss" : "round-trip time", common.s);
    (void)snprintf(chart->x_label, sizeof(chart->x_label), "%s",
                   sweep == OVER_LOSS ? "Packets lost on the way" : "Round-trip time in ms");
    (void)snprintf(
        chart->caption, sizeof(chart->caption),
        "Median goodput with its 95 %% interval, %s, over the %s of the link. A flat line "
        "does not mind %s.",
        bench_text_cut(bench_text_kind(like->kind), 40).s,
        sweep == OVER_LOSS ? "loss" : "round-trip time", sweep == OVER_LOSS ? "loss" : "distance");
}

static void axes(struct bench_chart *chart, const struct bench_report *r,
                 const struct bench_report_row *like, enum sweep sweep)
{
    double to_x, from_x, largest, smallest, zero_at = 0;

    x_extent(chart, &to_x, &from_x);
    bench_chart_extent(chart, &largest, &smallest);
    chart->log_x = from_x > 0 && to_x / from_x >= LOG_X_FROM_RATIO;
    chart->log_y = smallest > 0 && largest / smallest >= LOG_Y_FROM_RATIO;
    tics(chart, sweep);
    if (chart->log_x)
        zero_at = from_x / ZERO_STEP;
    if (sweep == OVER_LOSS)
        mathis(chart, like, chart->log_x ? from_x : to_x / 1000, to_x);
    else
        windows(chart, r, like, from_x, to_x);
    x_move(chart, zero_at, sweep == OVER_LOSS ? 100 : 1e3); /* percent, milliseconds */
    (void)snprintf(chart->y_label, sizeof(chart->y_label), "Goodput in %s",
                   bench_chart_scale(chart).name);
}

static void sweep_chart(struct bench_charts *charts, const struct bench_report *r,
                        const struct bench_report_row *like, enum sweep sweep)
{
    struct bench_chart *chart = bench_chart_new(BENCH_CHART_LINES);

    for (size_t i = 0; chart != NULL && i < r->n_rows; i++)
        if (strcmp(r->rows[i].kind, like->kind) == 0 &&
            same_class(r->rows[i].link, like->link, sweep))
            label_line(chart, r, &r->rows[i], sweep);
    if (chart != NULL && chart->n_series == 0 && !chart->failed) {
        bench_chart_free(chart);
        return;
    }
    if (chart != NULL) {
        describe(chart, like, sweep);
        axes(chart, r, like, sweep);
    }
    bench_charts_add(charts, chart);
}

/* Whether no row before it has its kind and a link of its class. */
static bool is_first(const struct bench_report *r, size_t nth, enum sweep sweep)
{
    for (size_t i = 0; i < nth; i++)
        if (strcmp(r->rows[i].kind, r->rows[nth].kind) == 0 &&
            same_class(r->rows[i].link, r->rows[nth].link, sweep))
            return false;
    return r->rows[nth].link->has_ways;
}

void bench_charts_sweeps(struct bench_charts *charts, const struct bench_report *r)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (is_first(r, i, OVER_LOSS))
            sweep_chart(charts, r, &r->rows[i], OVER_LOSS);
    for (size_t i = 0; i < r->n_rows; i++)
        if (is_first(r, i, OVER_RTT))
            sweep_chart(charts, r, &r->rows[i], OVER_RTT);
}
