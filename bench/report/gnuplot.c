/*
 * gnuplot - what gnuplot is told, for each kind of chart.
 *
 * Numbers go in data blocks, texts in quoted strings of `set` commands and titles: nothing of a
 * result is ever read as a command. The terminals are told not to look for markup in texts.
 */
#include "bench/report/gnuplot.h"

#include "bench/report/chart_style.h"
#include "bench/report/report_text.h"

#include <math.h>
#include <string.h>

#define WIDTH 560 /* of an SVG, in its own units; about the pixels of a column of the page */
#define HEIGHT 380
#define BARS_HEIGHT 120 /* of the frame of a chart of bars, to which each bar adds */
#define BAR_HEIGHT 34
#define KEY_HEIGHT 20 /* of a line of the legend */
#define KEY_LINE 1.1  /* the same in lines of text */
#define KEY_COLUMNS 2 /* one when a label has more letters than */
#define KEY_FIT 24
#define PNG_WIDTH 1600
#define POINTS_SHOWN 12  /* of a line: more are thinned, so that lines keep apart */
#define LOG_ROOM 1.4     /* at both ends of a logarithmic axis, as a factor */
#define SVG_LETTERS 15.0 /* font sizes: units, */
#define PNG_LETTERS 11.0 /* and points before scaling */
#define SHRINK_LEAST 0.66
#define LETTER_WIDTH 0.62 /* on average, as a share of its size: generous */
#define TITLE_FIT 58      /* letters of the usual size */
#define TITLE_BYTES 86
#define LABEL_BYTES 48
#define BAR_LABEL_FIT 26
#define GRID "#c8c8c8"

/* `twice`: characters that are doubled to stand for themselves. */
static void quote(FILE *out, const char *text, const char *twice)
{
    (void)fputc('\'', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (strchr(twice, c) != NULL)
            (void)fputc(c, out);
        (void)fputc(c < 0x20 || c == 0x7f ? ' ' : c, out);
    }
    (void)fputc('\'', out);
}

void bench_gnuplot_quote(FILE *out, const char *text)
{
    quote(out, text, "'");
}

/* The label of a tic is a format for its number as well. */
static void quote_tic(FILE *out, const char *text)
{
    quote(out, text, "'%");
}

static unsigned characters(const char *text)
{
    unsigned n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static unsigned longest_label(const struct bench_chart *chart)
{
    unsigned longest = 0;

    for (size_t i = 0; i < chart->n_series; i++) {
        unsigned n = characters(bench_text_cut(chart->series[i].label, LABEL_BYTES).s);
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* The size of letters, as a share of the usual one, with which so many of them fit. */
static double shrink(unsigned n, unsigned fit)
{
    return n > fit ? fmax((double)fit / n, SHRINK_LEAST) : 1;
}

/* A title that is too long has smaller letters, and in the end an ellipsis. It stands in the middle
 * of the picture, where gnuplot's own would stand in that of the frame, and run out of it. */
static void set_title(FILE *out, const struct bench_chart *chart, enum bench_picture_format format)
{
    struct bench_text text = bench_text_cut(chart->title, TITLE_BYTES);
    double usual = format == BENCH_SVG ? SVG_LETTERS : PNG_LETTERS;

    (void)fputs("set tmargin 2.6\nset label ", out);
    bench_gnuplot_quote(out, text.s);
    (void)fprintf(out, " at screen 0.5, graph 1 center offset 0,1.2 font ',%.1f'\n",
                  usual * shrink(characters(text.s), TITLE_FIT));
}

static void set_text(FILE *out, const char *what, const char *text)
{
    (void)fprintf(out, "set %s ", what);
    bench_gnuplot_quote(out, text);
    (void)fputc('\n', out);
}

/* gnuplot ends a data block at its name; a number it cannot have is NaN, which leaves a gap. */
static void data(FILE *out, const struct bench_chart *chart)
{
    for (size_t i = 0; i < chart->n_series; i++) {
        const struct bench_chart_series *series = &chart->series[i];
        (void)fprintf(out, "$d%zu << EOD\n", i);
        for (size_t k = 0; k < series->n; k++) {
            const struct bench_chart_point *p = &series->points[k];
            bool has_interval = isfinite(p->low) && isfinite(p->high);
            double value = chart->kind == BENCH_CHART_BARS ? p->x : p->y;
            (void)fprintf(out, "%.9g %.9g %.9g %.9g\n", p->x, p->y, has_interval ? p->low : value,
                          has_interval ? p->high : value);
        }
        (void)fputs("EOD\n", out);
    }
}

static unsigned key_columns(const struct bench_chart *chart)
{
    return longest_label(chart) > KEY_FIT ? 1 : KEY_COLUMNS;
}

static unsigned key_lines(const struct bench_chart *chart)
{
    unsigned columns = key_columns(chart);

    return ((unsigned)chart->n_series + columns - 1) / columns;
}

static unsigned height_of(const struct bench_chart *chart)
{
    if (chart->kind == BENCH_CHART_BARS)
        return BARS_HEIGHT + BAR_HEIGHT * (unsigned)chart->n_series;
    return HEIGHT + KEY_HEIGHT * key_lines(chart);
}

static void terminal(FILE *out, const struct bench_chart *chart, enum bench_picture_format format,
                     const char *file)
{
    unsigned height = height_of(chart);
    double scale = (double)PNG_WIDTH / WIDTH;

    (void)fputs("reset\n", out);
    if (format == BENCH_SVG)
        (void)fprintf(out,
                      "set terminal svg size %u,%u noenhanced font 'DejaVu Sans,%g' linewidth 1\n",
                      WIDTH, height, SVG_LETTERS);
    else
        (void)fprintf(out,
                      "set terminal pngcairo size %u,%.0f noenhanced font 'DejaVu Sans,%g' "
                      "fontscale %.3f linewidth %.3f pointscale %.3f background '#ffffff'\n",
                      PNG_WIDTH, height * scale, PNG_LETTERS, scale, scale, scale);
    (void)fprintf(out, "set output '%s'\n", file);
    (void)fputs(
        "set encoding utf8\nset border 3 lc rgb 'black' lw 1\nset tics nomirror out scale 0.5\n"
        "set bars small\n",
        out);
}

/* ---- bars, lying ---- */

static void bars(FILE *out, const struct bench_chart *chart, enum bench_picture_format format)
{
    double largest = 0, smaller = shrink(longest_label(chart), BAR_LABEL_FIT);

    (void)fprintf(out,
                  "set yrange [%zu.5:-0.5]\nset lmargin at screen %.4f\n"
                  "set ytics scale 0 font ',%.1f' (",
                  chart->n_series - 1,
                  (longest_label(chart) * LETTER_WIDTH * SVG_LETTERS * smaller + SVG_LETTERS) /
                      WIDTH,
                  (format == BENCH_SVG ? SVG_LETTERS : PNG_LETTERS) * smaller);
    for (size_t i = 0; i < chart->n_series; i++) {
        const struct bench_chart_point *p = &chart->series[i].points[0];
        quote_tic(out, bench_text_cut(chart->series[i].label, LABEL_BYTES).s);
        (void)fprintf(out, " %zu%s", i, i + 1 < chart->n_series ? ", " : ")\n");
        largest = fmax(largest, isfinite(p->high) ? fmax(p->high, p->x) : p->x);
    }
    (void)fprintf(out,
                  "set xrange [0:%.9g]\nset grid xtics lt 1 lc rgb '" GRID "' lw 0.5\n"
                  "set border 2\nset bmargin 3.8\nset bars 0.6\nunset key\nset xtics scale 0\n",
                  largest > 0 ? largest * 1.16 : 1);
    for (size_t i = 0; i < chart->n_series; i++) {
        const struct bench_chart_point *p = &chart->series[i].points[0];
        double end = isfinite(p->high) ? fmax(p->high, p->x) : p->x;
        (void)fprintf(out, "set label '%s' at %.9g,%zu left offset character 0.6,0\n",
                      bench_text_number(p->x).s, end, i);
    }
    for (size_t i = 0; i < chart->n_series; i++)
        (void)fprintf(out,
                      "%s $d%zu using (0):(%zu):(0):1:(%zu-0.33):(%zu+0.33) with boxxyerror "
                      "fs solid noborder fc rgb '%s' notitle, \\\n"
                      " $d%zu using 1:(%zu):3:4 with xerrorbars pt 0 ps 0 lw 1.5 lc rgb 'black' "
                      "notitle%s",
                      i == 0 ? "plot" : "", i, i, i, i, bench_style(chart->series[i].style).colour,
                      i, i, i + 1 < chart->n_series ? ", \\\n" : "\n");
}

/* ---- lines and steps ---- */

static void x_tics(FILE *out, const struct bench_chart *chart)
{
    if (chart->n_tics == 0)
        return;
    (void)fputs("set xtics (", out);
    for (size_t i = 0; i < chart->n_tics; i++) {
        quote_tic(out, chart->tics[i].label);
        (void)fprintf(out, " %.9g%s", chart->tics[i].at, i + 1 < chart->n_tics ? ", " : ")\n");
    }
}

static void axes(FILE *out, const struct bench_chart *chart)
{
    (void)fputs("set grid lt 1 lc rgb '" GRID "' lw 0.5\n"
                "set offsets graph 0.03, graph 0.03, graph 0.05, 0\n",
                out);
    (void)fprintf(out,
                  "set bmargin %.2f\nset key at screen 0.54, screen %.4f center bottom horizontal "
                  "Left reverse samplen 3 width 1 maxcols %u\n",
                  4.0 + KEY_LINE * key_lines(chart), 8.0 / height_of(chart), key_columns(chart));
    if (!chart->log_y)
        (void)fputs("set yrange [0:*]\n", out);
    if (chart->kind == BENCH_CHART_STEPS)
        (void)fputs("set yrange [0:1.02]\nset ytics 0.25\n", out);
    set_text(out, "ylabel", chart->y_label);
    x_tics(out, chart);
}

/* A logarithmic axis with some room: autoscaling ends it in the points, or a decade further. */
static void log_range(FILE *out, const struct bench_chart *chart, char axis)
{
    double low = INFINITY, high = 0;

    for (size_t i = 0; i < chart->n_series; i++) {
        for (size_t k = 0; k < chart->series[i].n; k++) {
            const struct bench_chart_point *p = &chart->series[i].points[k];
            double value = axis == 'x' ? p->x : p->y;
            low = value > 0 ? fmin(low, value) : low;
            high = fmax(high, value);
        }
    }
    if (high > 0)
        (void)fprintf(out, "set logscale %c\nset %crange [%.9g:%.9g]\n", axis, axis, low / LOG_ROOM,
                      high * LOG_ROOM);
}

static void curve(FILE *out, const struct bench_chart *chart, size_t i, unsigned n_theory)
{
    const struct bench_chart_series *series = &chart->series[i];
    struct bench_style style =
        series->theory ? bench_style_theory(n_theory) : bench_style(series->style);
    int every = series->n > POINTS_SHOWN ? (int)(series->n / POINTS_SHOWN) : 1;

    if (series->theory)
        (void)fprintf(out, " $d%zu using 1:2 with lines lw 2 dt %s lc rgb '%s' title ", i,
                      style.dash, style.colour);
    else if (chart->kind == BENCH_CHART_STEPS)
        (void)fprintf(out,
                      " $d%zu using 1:2 with steps lw 2 dt %s lc rgb '%s' notitle, "
                      "$d%zu using 1:2 every ::1 with points ps 0.7 pt %u lc rgb '%s' notitle, "
                      "NaN with linespoints lw 2 dt %s ps 0.7 pt %u lc rgb '%s' title ",
                      i, style.dash, style.colour, i, style.point, style.colour, style.dash,
                      style.point, style.colour);
    else
        (void)fprintf(
            out,
            " $d%zu using 1:3:(0):($4>$3?$4-$3:NaN) with vectors heads size graph 0.008,90 "
            "fixed nofilled lw 1 lc rgb '%s' notitle, "
            "$d%zu using 1:2 with linespoints lw 2 dt %s pt %u ps 0.7 pi %d "
            "lc rgb '%s' title ",
            i, style.colour, i, style.dash, style.point, every, style.colour);
    bench_gnuplot_quote(out, bench_text_cut(series->label, LABEL_BYTES).s);
}

static void curves(FILE *out, const struct bench_chart *chart)
{
    unsigned n_theory = 0;

    axes(out, chart);
    if (chart->log_x || chart->log_y) /* those have their room already */
        (void)fprintf(out, "set offsets %s, 0, 0\n",
                      chart->log_x ? "0, 0" : "graph 0.03, graph 0.03");
    if (chart->log_x)
        log_range(out, chart, 'x');
    if (chart->log_y)
        log_range(out, chart, 'y');
    (void)fputs("plot", out);
    for (size_t i = 0; i < chart->n_series; i++) {
        (void)fputs(i == 0 ? "" : ", \\\n", out);
        curve(out, chart, i, n_theory);
        n_theory += chart->series[i].theory;
    }
    (void)fputc('\n', out);
}

void bench_gnuplot_script(FILE *out, const struct bench_chart *chart,
                          enum bench_picture_format format, const char *file)
{
    terminal(out, chart, format, file);
    data(out, chart);
    set_title(out, chart, format);
    set_text(out, "xlabel", chart->x_label);
    if (chart->kind == BENCH_CHART_BARS)
        bars(out, chart, format);
    else
        curves(out, chart);
    (void)fputs("unset output\n", out);
}
