/*
 * gnuplot - pictures of charts, drawn by the program gnuplot (Debian: gnuplot-nox).
 *
 * Scripts are made from charts alone; every text in them is a quoted string without markup, so that
 * a name from a result can be anything. The program runs in a directory of its own that is gone
 * afterwards, without the user's settings.
 */
#ifndef BENCH_GNUPLOT_H
#define BENCH_GNUPLOT_H

#include "bench/report/chart.h"

#include <stdio.h>

#define BENCH_PICTURE_FILE_BYTES 32

enum bench_picture_format {
    BENCH_SVG, /* for a page: no background, to be mended by bench_svg_inline */
    BENCH_PNG, /* for a paper: on white, 1600 pixels wide */
};

struct bench_picture {
    char *data; /* owned, with a NUL behind */
    size_t len;
};

/* Writes `text` as a string of gnuplot: in single quotes, quotes in it doubled, ends of lines and
 * other control characters as blanks. */
void bench_gnuplot_quote(FILE *out, const char *text);
/* Writes what draws the chart into `file`, a name without quotes. */
void bench_gnuplot_script(FILE *out, const struct bench_chart *chart,
                          enum bench_picture_format format, const char *file);

/* Draws every chart; *out is an array of charts->n pictures, for bench_pictures_free. Returns 0, or
 * an error with a line in `why`: VLY_E_NOT_FOUND (gnuplot is not installed), VLY_E_FAILED (it did
 * not do it), VLY_E_IO, VLY_E_NOMEM. */
VLY_MUST_USE int bench_gnuplot_draw(struct bench_picture **out, const struct bench_charts *charts,
                                    enum bench_picture_format format, char why[BENCH_WHY_BYTES]);
/* NULL is allowed. */
void bench_pictures_free(struct bench_picture *pictures, size_t n);

/* gnuplot's SVG document as an element of a page: ids begin with "chart-NTH-", black is
 * currentColor, other colours are "#rrggbb", it has no size of its own, and is called `title` to
 * those who do not see it. Owned by the caller; NULL: out of memory, or it is no SVG. */
char *bench_svg_inline(const char *svg, unsigned nth, const char *title);

#endif
