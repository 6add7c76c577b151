/*
 * Which charts a result has, and what is in them.
 */
#include "support/report_fixture.h"

#include "bench/report/chart.h"
#include "bench/report/report_text.h"

#include <math.h>
#include <string.h>

static struct bench_charts select_charts(const struct bench_report *report)
{
    struct bench_charts charts;

    assert_int_equal(bench_charts_select(&charts, report), 0);
    return charts;
}

/* The only chart whose name begins so; NULL: none. */
static const struct bench_chart *find(const struct bench_charts *charts, const char *name)
{
    const struct bench_chart *found = NULL;

    for (size_t i = 0; i < charts->n; i++) {
        if (strncmp(charts->at[i]->name, name, strlen(name)) != 0)
            continue;
        assert_null(found);
        found = charts->at[i];
    }
    return found;
}

static void assert_near(double value, double expected)
{
    assert_true(fabs(value - expected) <= 1e-6 * fabs(expected) + 1e-12);
}

/* Known values of the curves. */
static void test_chart_theory(void **state)
{
    (void)state;
    /* 1460 bytes, 100 ms, 1 %: 116800 bit/s * 1.224745 * 10 */
    assert_near(bench_mathis_bits_per_s(1460, 0.1, 0.01), 116800 * 1.2247448713915890 * 10);
    /* a hundred times the loss is a tenth of the goodput, twice the distance half of it */
    assert_near(
        bench_mathis_bits_per_s(1460, 0.1, 0.0001) / bench_mathis_bits_per_s(1460, 0.1, 0.01), 10);
    assert_near(bench_mathis_bits_per_s(1460, 0.2, 0.01) / bench_mathis_bits_per_s(1460, 0.1, 0.01),
                0.5);
    assert_near(bench_window_bits_per_s(65535, 0.1), 5242800);
}

static void test_chart_median(void **state)
{
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2};

    (void)state;
    assert_near(bench_chart_median(odd, 3), 2);
    assert_near(bench_chart_median(even, 4), 2.5);
    assert_true(isnan(bench_chart_median(odd, 0)));
}

/* Bursts count: a share of 1/11 in the bad state, which loses half. */
static void test_chart_loss_of_bursts(void **state)
{
    const struct bench_report_way plain = {.loss = 0.02};
    const struct bench_report_way bursts = {
        .burst_enter = 0.01, .burst_leave = 0.1, .burst_loss = 0.5};

    (void)state;
    assert_near(bench_way_loss(&plain), 0.02);
    assert_near(bench_way_loss(&bursts), 0.5 / 11);
}

/* One row is no comparison, and nothing without a figure is drawn. */
static void test_chart_bars(void **state)
{
    json_t *doc = report_fixture_new();
    struct bench_report report;
    struct bench_charts charts;
    const struct bench_chart *bars;

    (void)state;
    report_fixture_link(doc, "a", 10000000, VLY_MS(20), 0);
    report_fixture_link(doc, "b", 10000000, VLY_MS(20), 0);
    report_fixture_sample(report_fixture_row(doc, "a", "tcp", "cubic", 8e6), 1000000);
    report_fixture_sample(report_fixture_row(doc, "a", "volley", "", 9e6), 1125000);
    (void)report_fixture_row(doc, "a", "iperf3-tcp", "", 7e6); /* failed: it has no sample */
    report_fixture_sample(report_fixture_row(doc, "b", "volley", "", 9e6), 1125000);
    report = report_fixture_load(doc);
    charts = select_charts(&report);
    assert_int_equal(charts.n, 1);
    bars = find(&charts, "goodput-a-memory");
    assert_non_null(bars);
    assert_int_equal(bars->n_series, 2);
    assert_string_equal(bars->series[0].label, "tcp cubic");
    assert_string_equal(bars->x_label, "Goodput in Mbit/s");
    assert_near(bars->series[1].points[0].x, 9);
    assert_near(bars->series[1].points[0].low, 8.1);
    assert_near(bars->series[1].points[0].high, 9.9);
    assert_int_equal(bars->series[1].style, 0); /* Volley's, wherever it stands */
    assert_non_null(strstr(bars->caption, "Failed rows"));
    bench_charts_free(&charts);
    bench_report_free(&report);
}

/* The median over samples; the rest of an interval at the end does not count. */
static void test_chart_time(void **state)
{
    json_t *doc = report_fixture_new(), *row;
    struct bench_report report;
    struct bench_charts charts;
    const struct bench_chart *time;

    (void)state;
    report_fixture_link(doc, "a", 10000000, VLY_MS(20), 0);
    row = report_fixture_row(doc, "a", "tcp", "cubic", 8e6);
    for (uint64_t i = 1; i <= 3; i++) {
        report_fixture_sample(row, 1000000);
        report_fixture_interval(row, 0, VLY_S(1), i * 125000);
        report_fixture_interval(row, VLY_S(1), VLY_S(2), i * 250000);
        report_fixture_interval(row, VLY_S(2), VLY_S(2) + VLY_MS(3), 125000);
    }
    report = report_fixture_load(doc);
    charts = select_charts(&report);
    time = find(&charts, "time-a-memory");
    assert_non_null(time);
    assert_int_equal(time->n_series, 1);
    assert_int_equal(time->series[0].n, 2);
    assert_near(time->series[0].points[0].x, 0.5);
    assert_near(time->series[0].points[0].y, 2); /* Mbit/s */
    assert_near(time->series[0].points[1].y, 4);
    bench_charts_free(&charts);
    bench_report_free(&report);
}

/* A distribution rises from 0 to 1 in steps of 1/n; two samples make none. */
static void test_chart_spread(void **state)
{
    json_t *doc = report_fixture_new(), *row, *two;
    struct bench_report report;
    struct bench_charts charts;
    const struct bench_chart *spread;

    (void)state;
    report_fixture_link(doc, "a", 10000000, VLY_MS(20), 0);
    row = report_fixture_row(doc, "a", "tcp", "cubic", 8e6);
    two = report_fixture_row(doc, "a", "tcp", "bbr", 8e6);
    for (uint64_t i = 0; i < 4; i++)
        report_fixture_sample(row, 125000 * (4 - i));
    for (uint64_t i = 0; i < 2; i++)
        report_fixture_sample(two, 125000);
    report = report_fixture_load(doc);
    charts = select_charts(&report);
    assert_null(find(&charts, "completion"));
    spread = find(&charts, "spread-a-memory");
    assert_non_null(spread);
    assert_int_equal(spread->n_series, 1);
    assert_int_equal(spread->series[0].n, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_near(spread->series[0].points[i].x, i == 0 ? 1 : (double)i); /* Mbit/s, sorted */
        assert_near(spread->series[0].points[i].y, 0.25 * (double)i);
    }
    bench_charts_free(&charts);
    bench_report_free(&report);
}

static struct bench_report sweep_report(double least_loss)
{
    static const struct {
        const char *link;
        double loss, goodput_bits_per_s;
    } at[] = {{"none", 0, 95e6}, {"some", 1, 6e6}, {"much", 10, 2e6}};
    json_t *doc = report_fixture_new();

    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        report_fixture_link(doc, at[i].link, 100000000, VLY_MS(20), least_loss * at[i].loss);
        report_fixture_sample(
            report_fixture_row(doc, at[i].link, "tcp", "cubic", at[i].goodput_bits_per_s), 1);
    }
    /* links that differ in more than loss are no part of it */
    report_fixture_link(doc, "slow", 10000000, VLY_MS(20), 0.05);
    report_fixture_sample(report_fixture_row(doc, "slow", "tcp", "cubic", 1e6), 1);
    report_fixture_link(doc, "far", 100000000, VLY_MS(40), 0.05);
    report_fixture_sample(report_fixture_row(doc, "far", "tcp", "cubic", 1e6), 1);
    return report_fixture_load(doc);
}

/* Loss from 0.1 to 1 %: logarithmic, with a place for 0, and the theory below the link's rate. */
static void test_chart_over_loss(void **state)
{
    struct bench_report report = sweep_report(0.001);
    struct bench_charts charts = select_charts(&report);
    const struct bench_chart *chart = find(&charts, "loss-100-Mbit-s-20-ms");
    const struct bench_chart_series *theory;

    (void)state;
    assert_non_null(chart);
    assert_null(chart->link);
    assert_true(chart->log_x);
    assert_true(chart->log_y);
    assert_int_equal(chart->n_series, 2);
    assert_int_equal(chart->series[0].n, 3);
    assert_near(chart->series[0].points[0].x, 0.1 / 3); /* percent; where 0 stands */
    assert_near(chart->series[0].points[2].x, 1);
    assert_near(chart->series[0].points[0].y, 95);
    assert_int_equal(chart->n_tics, 3);
    assert_string_equal(chart->tics[0].label, "0 %");
    assert_string_equal(chart->tics[1].label, "0.1 %");
    theory = &chart->series[1];
    assert_true(theory->theory);
    assert_near(theory->points[0].x, 0.1);
    assert_near(theory->points[theory->n - 1].x, 1);
    assert_near(theory->points[theory->n - 1].y, bench_mathis_bits_per_s(1448, 0.02, 0.01) / 1e6);
    assert_null(find(&charts, "rtt"));
    bench_charts_free(&charts);
    bench_report_free(&report);
}

/* Loss from 0.001 %: theory allows 224 Mbit/s there, and the link 100. */
static void test_chart_theory_is_capped(void **state)
{
    struct bench_report report = sweep_report(0.00001);
    struct bench_charts charts = select_charts(&report);
    const struct bench_chart *chart = find(&charts, "loss-100-Mbit-s-20-ms");

    (void)state;
    assert_non_null(chart);
    assert_int_equal(chart->n_series, 2);
    assert_near(chart->series[1].points[0].y, 100);
    assert_true(chart->series[1].points[chart->series[1].n - 1].y < 80);
    bench_charts_free(&charts);
    bench_report_free(&report);
}

/* Loss to 0.002 %: theory allows 158 Mbit/s even there, more than the link, so it is not drawn. */
static void test_chart_theory_above_rate(void **state)
{
    struct bench_report report = sweep_report(0.000002);
    struct bench_charts charts = select_charts(&report);
    const struct bench_chart *chart = find(&charts, "loss-100-Mbit-s-20-ms");

    (void)state;
    assert_non_null(chart);
    assert_int_equal(chart->n_series, 1);
    bench_charts_free(&charts);
    bench_report_free(&report);
}

/* Over distance, with the window that limits it; the receive buffer's maximum would not. */
static void test_chart_over_rtt(void **state)
{
    json_t *doc = report_fixture_new();
    struct bench_report report;
    struct bench_charts charts;
    const struct bench_chart *chart;

    (void)state;
    report_fixture_link(doc, "near", 100000000, VLY_MS(20), 0);
    report_fixture_link(doc, "far", 100000000, VLY_MS(100), 0);
    report_fixture_sample(report_fixture_row(doc, "near", "volley", "", 90e6), 1);
    report_fixture_sample(report_fixture_row(doc, "far", "volley", "", 80e6), 1);
    report = report_fixture_load(doc);
    charts = select_charts(&report);
    assert_int_equal(charts.n, 1);
    chart = find(&charts, "rtt-100-Mbit-s-0-loss");
    assert_non_null(chart);
    assert_false(chart->log_x);
    assert_int_equal(chart->n_series, 2);
    assert_near(chart->series[0].points[1].x, 100); /* milliseconds */
    assert_string_equal(chart->series[1].label, "64 KiB window");
    assert_near(chart->series[1].points[chart->series[1].n - 1].y, 5.2428);
    bench_charts_free(&charts);
    bench_report_free(&report);
}

/* Names become files: letters, digits and '-', none twice. */
static void test_chart_names(void **state)
{
    json_t *doc = report_fixture_new();
    struct bench_report report;
    struct bench_charts charts;

    (void)state;
    report_fixture_link(doc, "../../a b", 10000000, VLY_MS(20), 0);
    report_fixture_link(doc, "a/b", 10000000, VLY_MS(20), 0);
    for (int i = 0; i < 4; i++)
        report_fixture_sample(report_fixture_row(doc, i < 2 ? "../../a b" : "a/b", "tcp",
                                                 i % 2 == 0 ? "cubic" : "bbr", 1e6),
                              1);
    report = report_fixture_load(doc);
    charts = select_charts(&report);
    assert_int_equal(charts.n, 2);
    assert_string_equal(charts.at[0]->name, "goodput-a-b-memory");
    assert_string_equal(charts.at[1]->name, "goodput-a-b-memory-2");
    bench_charts_free(&charts);
    bench_report_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chart_theory),
        cmocka_unit_test(test_chart_median),
        cmocka_unit_test(test_chart_loss_of_bursts),
        cmocka_unit_test(test_chart_bars),
        cmocka_unit_test(test_chart_time),
        cmocka_unit_test(test_chart_spread),
        cmocka_unit_test(test_chart_over_loss),
        cmocka_unit_test(test_chart_theory_is_capped),
        cmocka_unit_test(test_chart_theory_above_rate),
        cmocka_unit_test(test_chart_over_rtt),
        cmocka_unit_test(test_chart_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
