/*
 * report_data - a result file (bench/schema/result.schema.json) as structs, checked.
 *
 * Whatever the schema requires is there and of its type once bench_report_load returned 0. What may
 * be null is BENCH_UNKNOWN when it is a count and NAN when it is any other number. Texts are
 * borrowed from the JSON that the report owns; all are UTF-8 without NUL, and otherwise anything.
 */
#ifndef BENCH_REPORT_DATA_H
#define BENCH_REPORT_DATA_H

#include "bench/lab/lab.h"      /* BENCH_WHY_BYTES */
#include "bench/matrix/stats.h" /* struct bench_estimate; NAN: not known */
#include "bench/sample.h"

#define BENCH_REPORT_SCHEMA "volley-bench-result/1"
#define BENCH_REPORT_LINKS_MAX 1000
#define BENCH_REPORT_ROWS_MAX 10000
#define BENCH_LABEL_BYTES 256

/* One direction of an emulated link. */
struct bench_report_way {
    uint64_t rate_bits_per_s, delay_ns, jitter_ns, queue_bytes; /* BENCH_UNKNOWN: not limited */
    bool codel;
    double loss, burst_enter, burst_leave, burst_loss, reorder, duplicate, corrupt; /* shares */
};

struct bench_report_link {
    const char *name, *kind;
    uint64_t mtu_bytes;
    bool offloads;
    bool has_ways; /* both directions are known: an emulated link */
    struct bench_report_way forward, back;
};

struct bench_report_sample {
    uint64_t round, seed;
    uint64_t taken_again; /* BENCH_UNKNOWN in older results */
    struct bench_sample s;
};

struct bench_report_row {
    const char *id, *kind, *protocol, *cc, *io;
    const char *suite, *crypto;           /* as asked for; "" in older results */
    const struct bench_report_link *link; /* borrowed from the report */
    uint64_t bytes, duration_ns, warmup_ns, block_bytes, mss_bytes, rate_bits_per_s, parallel;
    bool reverse, reference;
    struct bench_report_sample *samples; /* owned */
    size_t n_samples;
    uint64_t n_good; /* samples without an error */
    struct bench_estimate goodput_bits_per_s, ratio, cpu_s_per_gb, retransmits, duration_s;
    struct bench_estimate lost_share; /* NAN: its protocol repairs */
    const char *err_code, *err_message;
    char label[BENCH_LABEL_BYTES]; /* what tells it from the others of its link and kind */
    unsigned style; /* the same for the same protocol and congestion control; Volley's is 0 */
};

struct bench_report {
    json_t *root; /* owned; everything borrows from it */
    const char *name, *created, *config, *sentence;
    bool finished;
    uint64_t seed, repeats_min, repeats_max;
    double precision;
    const json_t *environment;
    struct bench_report_link *links; /* owned, as are the rows */
    size_t n_links;
    struct bench_report_row *rows;
    size_t n_rows;
};

/* Returns 0, or an error with what to say behind the file's name in `why`: VLY_E_NOT_FOUND,
 * VLY_E_PERMISSION, VLY_E_IS_DIRECTORY, VLY_E_IO, VLY_E_MALFORMED (not JSON, not a result, or one
 * of another version), VLY_E_LIMIT, VLY_E_NOMEM. */
VLY_MUST_USE int bench_report_load(struct bench_report *out, const char *path,
                                   char why[BENCH_WHY_BYTES]);
/* The same from JSON, which it takes over whatever happens. */
VLY_MUST_USE int bench_report_from_json(struct bench_report *out, json_t *root,
                                        char why[BENCH_WHY_BYTES]);
void bench_report_free(struct bench_report *r);

static inline bool bench_row_failed(const struct bench_report_row *row)
{
    return row->n_good == 0;
}

#endif
