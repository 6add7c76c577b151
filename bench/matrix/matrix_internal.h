/*
 * matrix_internal - between the parts of the matrix parser: words of a line, and what they set.
 */
#ifndef BENCH_MATRIX_INTERNAL_H
#define BENCH_MATRIX_INTERNAL_H

#include "bench/matrix/matrix.h"

#define BENCH_KEYS_MAX 16    /* on a line */
#define BENCH_CHOICES_MAX 32 /* of a key: "1,2,3" */
#define BENCH_TAG_BYTES 96

/* What the keys of a "link" or a row line set, before it is made whole. */
struct bench_matrix_draft {
    struct bench_lab_spec lab;
    uint64_t rtt_ns, burst_pkts, jitter_ns, queue_bytes, reorder_ns;
    double loss, back_loss;
    uint64_t rate_bytes_per_s, back_rate_bytes_per_s;
    double reorder, duplicate, corrupt;
    bool codel;
    struct bench_row row; /* of what is not said: warmup_ns UINT64_MAX, else 0 */
};

/* What rows have that do not say otherwise. */
struct bench_matrix_defaults {
    uint64_t time_ns, warmup_ns, interval_ns, size_bytes;
};

/* One word of a link or row line that has a '='. */
struct bench_matrix_key {
    const char *name;
    const char *expected; /* "a rate such as 100Mbit" */
    const char *tag;      /* before its value in the name: "", "q"; NULL: not in the name */
    bool (*set)(struct bench_matrix_draft *d, const char *value);
};

/* The keys that may follow "link emulated", "memory" and so on; ends with a NULL name. */
const struct bench_matrix_key *bench_matrix_link_keys(enum bench_lab_kind kind);
const struct bench_matrix_key *bench_matrix_row_keys(enum bench_kind kind);

/* Turns what a link's keys said into the lab's two ways. Returns NULL or what is wrong. */
const char *bench_matrix_link_finish(struct bench_matrix_draft *d);
/* The same for a row. Returns NULL or what is wrong. */
const char *bench_matrix_row_finish(struct bench_matrix_draft *d,
                                    const struct bench_matrix_defaults *defaults);
/* Whether the protocol can move this kind; NULL or what is wrong. */
const char *bench_matrix_protocol_check(const char *protocol, enum bench_kind kind);

#endif
