/*
 * report - a result as one HTML page that needs nothing else: no network, no scripts, no files.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/report/chart.h"

#include <stdio.h>

struct bench_report_pictures {
    const struct bench_charts *charts;
    char *const *svg;     /* of each chart, to be inlined; NULL: there are none */
    const char *why_none; /* a sentence, when svg is NULL and charts are not */
};

/* Writes the page. Errors of writing stay in `out` (ferror). */
void bench_report_page(FILE *out, const struct bench_report *r,
                       const struct bench_report_pictures *pictures);

/* ---- its parts ---- */

void bench_report_style(FILE *out); /* the content of <style> */
/* The rows of a link and kind, as a table. */
void bench_report_table(FILE *out, const struct bench_report *r,
                        const struct bench_report_link *link, const char *kind);
/* How everything was measured. */
void bench_report_conditions(FILE *out, const struct bench_report *r);
/* The n-th row's kind when it is the first of its link and kind, else NULL. */
const char *bench_report_group(const struct bench_report *r, size_t nth);

#endif
