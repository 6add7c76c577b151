/*
 * micro - nanoseconds of single operations: packets sealed and opened, checksums, curve products,
 * handshakes, the engine and its parts.
 *
 * All cases take turns in slices of a fraction of a millisecond, so that what else the machine does
 * meets them alike; the fastest slice of a case is its figure, the median beside it tells of noise.
 */
#ifndef VLY_BENCH_MICRO_H
#define VLY_BENCH_MICRO_H

#include "bench/micro/engine.h"
#include "bench/micro/handshake.h"
#include "crypto/crypto.h"

#define MICRO_CASES_MAX 96
#define MICRO_ROUNDS_MAX 10000
#define MICRO_HEAD_BYTES 17 /* of a DATA packet */
#define MICRO_PACKET_BYTES 1455
#define MICRO_RECORD_BYTES 64000

struct micro_case {
    const char *what, *backend, *does;
    size_t bytes; /* worked on at once; 0: none to speak of */
    unsigned n;   /* how often `run` does it, 0: once */
    /* `c` is this case. */
    void (*run)(struct micro_case *c);
    const struct vly_suite_ops *suite; /* NULL: not of a suite */
    void *keys;                        /* owned: of `suite` */
    struct vly_aead_job job;           /* what `run` seals or opens */
    uint8_t *packet;                   /* owned: what is opened; NULL when sealing */
    struct micro_pair *pair;           /* owned; NULL: no handshake in memory */
    struct micro_loopback *loopback;   /* owned; NULL: none over loopback */
    struct micro_engine *engine;       /* owned; NULL: not the engine */
    void (*part)(void);                /* NULL: none of those */
    double *slice_ns;                  /* owned: nanoseconds of one operation, each round */
};

/* Owned by the caller: micro_cases_free. Returns how many there are, or VLY_E_NOMEM. */
VLY_MUST_USE int micro_cases_make(struct micro_case cases[MICRO_CASES_MAX], size_t rounds);
void micro_cases_free(struct micro_case *cases, size_t n);

/* Fills the slices of all cases, and sorts them. */
void micro_measure(struct micro_case *cases, size_t n, size_t rounds);

#endif
