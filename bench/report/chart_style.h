/*
 * chart_style - how a series looks, the same in every chart.
 *
 * Colours keep apart for colour-blind readers (Okabe and Ito 2008, and two of Tol's); dashes and
 * points differ as well, for print in grey.
 */
#ifndef BENCH_CHART_STYLE_H
#define BENCH_CHART_STYLE_H

#define BENCH_COLOURS 8u

struct bench_style {
    const char *colour;      /* on light paper, "#rrggbb" in small letters */
    const char *dark_colour; /* of the same kind, legible on dark */
    const char *dash;        /* gnuplot's dashtype */
    unsigned point;          /* gnuplot's pointtype */
};

/* Which of the colours a style has: beyond them they come again, with other dashes and points, but
 * for the first. */
unsigned bench_style_colour(unsigned style);
struct bench_style bench_style(unsigned style);
/* Of the n-th theory curve: all in one grey. */
struct bench_style bench_style_theory(unsigned nth);

#endif
