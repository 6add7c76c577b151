/*
 * table - a result for a person: its rows by link and kind, the conditions, one sentence.
 */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "bench/matrix/result.h"
#include "cli/quantity.h"

#include <stdio.h>

#define BENCH_SENTENCE_BYTES 640

#define BENCH_SAME_WITHIN 0.005 /* what is printed as 1.00 is called the same, however sure */

#define BENCH_ALIKE_WITHIN 1.25 /* an interval that goes further from 1 tells nothing */

/* What a 95 % interval says of a ratio. Unclear: of too few pairs, or so wide that it leaves room
 * for a difference worth the name. */
enum bench_verdict { BENCH_SLOWER, BENCH_SAME, BENCH_FASTER, BENCH_UNCLEAR };
enum bench_verdict bench_verdict(const struct bench_estimate *ratio);

/* A number with two or three significant digits: "14.2". */
struct vly_text bench_number_text(double value);

/* The table: a line for each row that ran or why it did not, and the conditions. */
void bench_table_print(FILE *out, const json_t *doc);
/* One plain sentence about Volley: encrypted against TLS 1.3, or the fastest TCP where that did not
 * run; without encryption against the fastest TCP; from the summaries the table shows. Where
 * there are several links of an emulator it counts them; else it is about memory over veth, or else
 * over whatever comes first. */
void bench_sentence(const json_t *doc, char out[BENCH_SENTENCE_BYTES]);

#endif
