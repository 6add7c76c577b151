/*
 * matrix - a matrix file: which rows are to be run over which links, how often, how long.
 *
 * Line based, '#' begins a comment, keys take one value or several with commas between (then the
 * line stands for all combinations). Every row is run over every link. volley-bench(1) has all
 * words; bench/matrices/course.conf is an example. What stands here is bounded, checked and has
 * readable, unique names: nothing is found out in the middle of a night's run.
 */
#ifndef BENCH_MATRIX_H
#define BENCH_MATRIX_H

#include "bench/matrix/steal.h"
#include "bench/rows/row.h"

#define BENCH_LINKS_MAX 256
#define BENCH_ROWS_MAX 2048                /* of all links together */
#define BENCH_ROUNDS_MAX 200               /* of a row */
#define BENCH_TEXT_MAX (256u * 1024u)      /* bytes of a matrix file */
#define BENCH_SEED_MAX (UINT64_C(1) << 53) /* a JavaScript number still holds it */

struct bench_matrix_link {
    char name[96]; /* "veth-1500", "10Mbit-20ms-1%" */
    struct bench_lab_spec lab;
};

struct bench_matrix_row {
    char id[200];         /* "10Mbit-20ms-1%/memory/tcp-cubic" */
    char label[96];       /* its end: "tcp-cubic" */
    size_t link;          /* index */
    size_t group;         /* rows that are compared: same link, kind and size */
    struct bench_row row; /* its directory is the matrix's */
};

struct bench_matrix {
    char name[64];
    uint64_t seed;
    unsigned rounds_min, rounds_max;
    double precision; /* half of a ratio's interval, as a share; 0: rounds_max in any case */
    struct bench_steal_rule steal;   /* which runs are made again */
    uint64_t timeout_ns;             /* for a run, beside the time it is to take */
    char *directory;                 /* of files, owned; NULL: tmpfs */
    struct bench_matrix_link *links; /* owned */
    size_t n_links;
    struct bench_matrix_row *rows; /* owned; those of a group stand together */
    size_t n_rows, n_groups;
    char *text; /* owned: what it was made of */
};

/* `file` is the name that errors begin with: "FILE:LINE: ...". Returns 0, VLY_E_INVALID with a line
 * in `why`, VLY_E_NOMEM. Also a matrix that failed is ended by bench_matrix_fini. */
VLY_MUST_USE int bench_matrix_parse(struct bench_matrix *out, const char *file, const char *text,
                                    char why[BENCH_WHY_BYTES]);
/* The same from a file; VLY_E_NOT_FOUND, VLY_E_IO, VLY_E_LIMIT (too long) as well. */
VLY_MUST_USE int bench_matrix_load(struct bench_matrix *out, const char *path,
                                   char why[BENCH_WHY_BYTES]);
void bench_matrix_fini(struct bench_matrix *m);

/* "3..9", or "3" for both; VLY_E_INVALID unless 1 <= min <= max <= BENCH_ROUNDS_MAX. */
VLY_MUST_USE int bench_rounds_parse(const char *text, unsigned *out_min, unsigned *out_max);

/* The lab of a round: every row of a round meets the same luck. */
uint64_t bench_matrix_seed(const struct bench_matrix *m, unsigned round);
/* At most so long may a run of it take. */
uint64_t bench_matrix_timeout_ns(const struct bench_matrix *m, const struct bench_row *row);

#endif
