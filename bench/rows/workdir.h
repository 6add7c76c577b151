/*
 * workdir - the files of file rows: a private directory with the source and room for its copy.
 *
 *     DIRECTORY/volley-bench-XXXXXX/   0700
 *         source/data                  random bytes, made once for many runs
 *         target/data                  the copy, removed after each run
 *
 * The whole of it is removed by bench_workdir_close and when the process exits, however it was
 * left; only a SIGKILL leaves it behind.
 */
#ifndef BENCH_WORKDIR_H
#define BENCH_WORKDIR_H

#include "bench/lab/lab.h"

#define BENCH_WORKDIR_PATH_BYTES 512
#define BENCH_WORKDIR_FILE "data"

struct bench_workdir {
    char directory[BENCH_WORKDIR_PATH_BYTES]; /* where it stands; "" when closed */
    char path[BENCH_WORKDIR_PATH_BYTES];
    char source[BENCH_WORKDIR_PATH_BYTES]; /* the files */
    char target[BENCH_WORKDIR_PATH_BYTES];
    uint64_t bytes;       /* of the source */
    uint64_t source_hash; /* XXH3 */
};

/* Returns a directory with a source of `bytes`: the one there is when it is that already, or else a
 * new one. `directory` NULL is /dev/shm, or TMPDIR, or /tmp, the first that can be written. The
 * source is in the page cache afterwards. *out is static. VLY_E_NO_SPACE when not both files fit,
 * VLY_E_IO, VLY_E_CANCELLED; `why` says what and what to do. */
VLY_MUST_USE int bench_workdir_open(struct bench_workdir **out, const char *directory,
                                    uint64_t bytes, const volatile bool *stop,
                                    char why[BENCH_WHY_BYTES]);
/* Compares size and content of the copy with the source's. VLY_E_INTEGRITY, VLY_E_IO,
 * VLY_E_CANCELLED; `why` says what differs. */
VLY_MUST_USE int bench_workdir_verify(const struct bench_workdir *d, const volatile bool *stop,
                                      char why[BENCH_WHY_BYTES]);
/* Removes the copy and all else in target/. */
void bench_workdir_clear(const struct bench_workdir *d);
/* Removes the directory, if there is one. */
void bench_workdir_close(void);

#endif
