/*
 * What a report is written with: escaping for HTML, CSV and gnuplot, short texts, SVG made to fit.
 */
#include "support/report_fixture.h"

#include "bench/report/csv.h"
#include "bench/report/gnuplot.h"
#include "bench/report/html.h"
#include "bench/report/report_text.h"

#include <stdlib.h>
#include <string.h>

typedef void write_text(FILE *out, const char *text);

static void assert_writes(write_text *write, const char *text, const char *expected)
{
    char *got = NULL;
    size_t len;
    FILE *out = open_memstream(&got, &len);

    assert_non_null(out);
    write(out, text);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(got, expected);
    free(got);
}

static void html_format(FILE *out, const char *text)
{
    bench_html(out, "<a href=\"%s\">%u %%</a>", text, 7U);
}

static void test_html_escapes(void **state)
{
    (void)state;
    assert_writes(bench_html_text, "plain \xc3\xa9", "plain \xc3\xa9");
    assert_writes(bench_html_text, "<b a=\"1\" c='2'>&amp;",
                  "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
    assert_writes(bench_html_text, "a\tb\nc\x01\x1b\x7f",
                  "a\tb\nc\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_writes(html_format, "\"><script>%s", "<a href=\"&quot;&gt;&lt;script&gt;%s\">7 %</a>");
}

static void test_csv_quotes(void **state)
{
    (void)state;
    assert_writes(bench_csv_field, "", "");
    assert_writes(bench_csv_field, "plain text; 'so'", "plain text; 'so'");
    assert_writes(bench_csv_field, "a,b", "\"a,b\"");
    assert_writes(bench_csv_field, "say \"no\"", "\"say \"\"no\"\"\"");
    assert_writes(bench_csv_field, "two\r\nlines", "\"two\r\nlines\"");
}

/* In single quotes gnuplot knows one special character, and reads line by line. */
static void test_gnuplot_quotes(void **state)
{
    (void)state;
    assert_writes(bench_gnuplot_quote, "tcp cubic", "'tcp cubic'");
    assert_writes(bench_gnuplot_quote, "'; system('id'); '", "'''; system(''id''); '''");
    assert_writes(bench_gnuplot_quote, "a\nEOD\n!id\r\t\x1b", "'a EOD !id   '");
    assert_writes(bench_gnuplot_quote, "`id` \\n \"x\" @a %d", "'`id` \\n \"x\" @a %d'");
}

/* Neither a title nor a label can leave its string: every line begins with a command of ours. */
static void test_gnuplot_script_holds(void **state)
{
    struct bench_chart *chart = bench_chart_new(BENCH_CHART_LINES);
    char *script = NULL;
    size_t len;
    FILE *out = open_memstream(&script, &len);

    (void)state;
    assert_non_null(chart);
    assert_true(bench_chart_series(chart, "a'\nsystem('id')\n'%s", 3, false));
    bench_chart_point(chart, (struct bench_chart_point){1, 2, 1, 3});
    bench_chart_point(chart, (struct bench_chart_point){2, 3, 2, 4});
    (void)snprintf(chart->title, sizeof(chart->title), "t'\nsystem('id')\n");
    chart->n_tics = 1;
    (void)snprintf(chart->tics[0].label, sizeof(chart->tics[0].label), "1 %%\n'");
    bench_gnuplot_script(out, chart, BENCH_SVG, "picture-0");
    assert_int_equal(fclose(out), 0);
    assert_null(strstr(script, "\nsystem"));
    assert_non_null(strstr(script, "'t'' system(''id'') '"));
    assert_non_null(strstr(script, "'1 %% '''")); /* a tic's label is a format: % is doubled */
    assert_non_null(strstr(script, "noenhanced"));
    free(script);
    bench_chart_free(chart);
}

/* What gnuplot 5.4 writes, in small. */
static const char svg[] =
    "<?xml version=\"1.0\"?>\n<svg \n width=\"560\" height=\"360\"\n viewBox=\"0 0 560 360\"\n"
    " xmlns=\"http://www.w3.org/2000/svg\"\n>\n<title>Gnuplot</title>\n<g id=\"gnuplot_canvas\">\n"
    "<defs>\n\t<circle id='gpPt5' r='1'/>\n\t<filter id='box'><feFlood/></filter>\n</defs>\n"
    "<g fill=\"none\" color=\"white\" stroke=\"black\">\n</g>\n"
    "<g fill=\"none\" color=\"black\" stroke=\"currentColor\">\n"
    "\t<path stroke='rgb(  0, 114, 178)' d='M1,2 L3,4'/>"
    "<use xlink:href='#gpPt5' color='rgb(213,  94,   0)'/>\n"
    "\t<text>a &lt;b> &amp; c</text>\n</g>\n</g>\n</svg>\n";

static void test_svg_inline(void **state)
{
    char *text = bench_svg_inline(svg, 3, "A \"title\" <x>");

    (void)state;
    assert_non_null(text);
    assert_string_equal(
        text, "<svg class=\"chart\" role=\"img\" aria-label=\"A &quot;title&quot; &lt;x&gt;\""
              " viewBox='0 0 560 360'>\n<title>A &quot;title&quot; &lt;x&gt;</title>\n"
              "<g id='chart-3-gnuplot_canvas'><defs><circle id='chart-3-gpPt5' r='1'/></defs>"
              "<g fill='none' stroke='currentColor'><path stroke='#0072b2' d='M1,2 L3,4'/>"
              "<use href='#chart-3-gpPt5' color='#d55e00'/><text>a &lt;b> &amp; c</text></g></g>"
              "</svg>\n");
    free(text);
}

/* Whatever is cut off somewhere is refused, or made nothing worse of. */
static void test_svg_inline_of_a_part(void **state)
{
    (void)state;
    assert_null(bench_svg_inline("", 0, ""));
    assert_null(bench_svg_inline("<svg", 0, ""));
    for (size_t begin = 0; begin < sizeof(svg) - 1; begin++)
        free(bench_svg_inline(svg + begin, 0, ""));
    for (size_t end = 0; end < sizeof(svg) - 8; end++) {
        char *part = (char *)test_exact_copy(svg, end + 1);
        part[end] = '\0';
        assert_null(bench_svg_inline(part, 0, ""));
        free(part);
    }
}

static void test_texts(void **state)
{
    const struct bench_estimate e = {.median = 9.406e9, .low = 9.38e9, .high = 9.444e9};

    (void)state;
    assert_string_equal(bench_text_rate(e.median).s, "9.41 Gbit/s");
    assert_string_equal(bench_text_rate_range(&e).s, "9.38 – 9.44");
    assert_string_equal(bench_text_nominal_rate(10000000).s, "10 Mbit/s");
    assert_string_equal(bench_text_percent(0.0001).s, "0.01 %");
    assert_string_equal(bench_text_bytes(131072).s, "128 KiB");
    assert_string_equal(bench_text_bytes(BENCH_UNKNOWN).s, "–");
    assert_string_equal(bench_text_duration(VLY_MS(20)).s, "20 ms");
    assert_string_equal(bench_text_whole(23).s, "23");
    assert_string_equal(bench_text_whole(11.5).s, "11.5");
    assert_string_equal(bench_text_number(-1.0 / 0.0).s, "–");
    /* a letter of two bytes is never cut in the middle */
    assert_string_equal(bench_text_cut("a\xc3\xa9"
                                       "b",
                                       2)
                            .s,
                        "a…");
    assert_string_equal(bench_text_cut("abc", 3).s, "abc");
}

/* A label says what tells a row from the plain one; the same protocol and control look the same. */
static void test_labels(void **state)
{
    json_t *doc = report_fixture_new(), *row;
    struct bench_report r;

    (void)state;
    report_fixture_link(doc, "a", 1000000, VLY_MS(2), 0);
    (void)report_fixture_row(doc, "a", "tcp", "", 1);
    (void)report_fixture_row(doc, "a", "tcp", "bbr", 1);
    row = report_fixture_row(doc, "a", "volley", "", 1);
    assert_int_equal(json_object_set_new(row, "parallel", json_integer(4)), 0);
    assert_int_equal(json_object_set_new(row, "reverse", json_true()), 0);
    assert_int_equal(json_object_set_new(row, "io", json_string("gso")), 0);
    assert_int_equal(json_object_set_new(row, "mss_bytes", json_integer(1448)), 0);
    row = report_fixture_row(doc, "a", "tcp", "bbr", 1);
    assert_int_equal(json_object_set_new(row, "rate_bits_per_s", json_integer(5000000)), 0);
    r = report_fixture_load(doc);
    assert_string_equal(r.rows[0].label, "tcp default");
    assert_string_equal(r.rows[1].label, "tcp bbr");
    assert_string_equal(r.rows[2].label, "volley, gso, 4 at once, reverse, MSS 1448");
    assert_string_equal(r.rows[3].label, "tcp bbr, at 5 Mbit/s");
    assert_int_equal(r.rows[2].style, 0);
    assert_int_equal(r.rows[0].style, 1);
    assert_int_equal(r.rows[1].style, r.rows[3].style);
    assert_string_equal(bench_text_link(r.rows[0].link).s,
                        "emulated, 1 Mbit/s, 2 ms round trip, 0 % loss, MTU 1500");
    bench_report_free(&r);
}

/* Each member that is left out is named. */
static void test_load_names_what_is_missing(void **state)
{
    static const char *const keys[] = {"name",    "created", "finished", "seed", "precision",
                                       "repeats", "config",  "links",    "rows", "sentence"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        json_t *doc = report_fixture_new();
        struct bench_report r;
        char why[BENCH_WHY_BYTES], expected[64];
        assert_int_equal(json_object_del(doc, keys[i]), 0);
        (void)snprintf(expected, sizeof(expected), "%s is missing", keys[i]);
        assert_int_equal(bench_report_from_json(&r, doc, why), VLY_E_MALFORMED);
        assert_string_equal(why, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_html_escapes),
        cmocka_unit_test(test_csv_quotes),
        cmocka_unit_test(test_gnuplot_quotes),
        cmocka_unit_test(test_gnuplot_script_holds),
        cmocka_unit_test(test_svg_inline),
        cmocka_unit_test(test_svg_inline_of_a_part),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_load_names_what_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
