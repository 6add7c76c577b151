/*
 * result - the document of a comparison, bench/schema/result.schema.json, from its beginning to its
 * file.
 *
 * The JSON value is the only representation: runner, table, comparison and report all work on it,
 * so that a figure on the screen is the figure in the file. The functions that build it run out of
 * memory by leaving something out, which the save then refuses.
 */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include "bench/matrix/matrix.h"
#include "bench/matrix/stats.h"

#define BENCH_RESULT_SCHEMA "volley-bench-result/1"
#define BENCH_FAILURES_MAX 2 /* in a row; then a row is not tried again */

/* A document without samples. `environment` is taken over. NULL: out of memory. */
json_t *bench_result_new(const struct bench_matrix *m, json_t *environment);
/* Reads one and checks what this program relies on. Returns 0, VLY_E_NOT_FOUND, VLY_E_IO,
 * VLY_E_MALFORMED (no result), VLY_E_VERSION (of another schema), with a line in `why`. */
VLY_MUST_USE int bench_result_load(json_t **out, const char *path, char why[BENCH_WHY_BYTES]);
/* The file holds the old document or the new one, never half of one: written beside it as
 * PATH.part, then renamed. Returns 0, VLY_E_NO_SPACE, VLY_E_IO, VLY_E_NOMEM with a line in `why`.
 */
VLY_MUST_USE int bench_result_save(const json_t *doc, const char *path, char why[BENCH_WHY_BYTES]);
/* Prints it to standard output, likewise. */
void bench_result_print(const json_t *doc);
/* Whether samples of `doc` may stand beside new ones of `m`: same text, same rows. */
bool bench_result_is_of(const json_t *doc, const struct bench_matrix *m);
/* Whether they were taken by the same build, on the same machine and kernel. */
bool bench_result_is_from(const json_t *doc, const json_t *environment);
bool bench_result_is_finished(const json_t *doc);

/* A member of the array "rows"; borrowed, NULL when there is none. */
json_t *bench_result_row(const json_t *doc, size_t index);
size_t bench_result_rows(const json_t *doc);
/* Texts of a row; "" when missing. Borrowed from the document. */
const char *bench_result_text(const json_t *object, const char *key);
/* The error of a row or sample. */
bool bench_result_is_ok(const json_t *object);
const char *bench_result_message(const json_t *object);
/* Same link, kind and size: rows that are compared. */
bool bench_result_same_group(const json_t *row, const json_t *other);

/* Which run a sample is of. */
struct bench_result_run {
    unsigned round;
    uint64_t seed;
    unsigned taken_again; /* runs that were made in its place and thrown away */
};
/* Appends what was measured in a round. */
void bench_result_add(json_t *row, const struct bench_result_run *run,
                      const struct bench_sample *s);
/* Marks a row as one that cannot run. */
void bench_result_refuse(json_t *row, int err, const char *why);
bool bench_result_has_round(const json_t *row, unsigned round);
/* Failed samples at the end of a row. */
unsigned bench_result_failures(const json_t *row);
/* Reference, summaries and errors of the rows from `first` on that are in its group. */
void bench_result_summarize(json_t *doc, size_t first);
void bench_result_finish(json_t *doc, const char *sentence);

/* The good samples of a row, by figure; NAN where one is not known. */
struct bench_series {
    size_t n;
    json_int_t round[BENCH_ROUNDS_MAX];
    double goodput_bits_per_s[BENCH_ROUNDS_MAX], cpu_s_per_gb[BENCH_ROUNDS_MAX];
    double retransmits[BENCH_ROUNDS_MAX], duration_s[BENCH_ROUNDS_MAX];
    double lost_share[BENCH_ROUNDS_MAX]; /* of what was sent; of protocols that repair nothing */
};
void bench_result_series(const json_t *row, struct bench_series *out);
/* The ratio of their goodputs, from pairs of the same round. Errors as bench_paired_ratio. */
VLY_MUST_USE int bench_result_ratio(const struct bench_series *own,
                                    const struct bench_series *reference,
                                    struct bench_estimate *out);
/* An estimate of a row's summary, "ratio"; false when it is null. */
bool bench_result_estimate(const json_t *row, const char *key, struct bench_estimate *out);

#endif
