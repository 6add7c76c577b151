/*
 * csv - a result as comma-separated values (RFC 4180): a line a sample.
 */
#ifndef BENCH_CSV_H
#define BENCH_CSV_H

#include "bench/report/report_data.h"

#include <stdio.h>

/* Writes a field, in quotes when it holds a comma, a quote or an end of line. */
void bench_csv_field(FILE *out, const char *text);
/* Writes the header and a line for every sample: all that identifies it, then all figures under the
 * names of the schema, empty when not known. A row without samples has a line with its error. */
void bench_csv_write(FILE *out, const struct bench_report *r);

#endif
