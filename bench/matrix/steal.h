/*
 * steal - what becomes of a run whose time the machine's host gave to others.
 *
 * A virtual machine gets less processor time than it has processors, at times half of it for
 * minutes: what is measured then is the neighbours. Such a run is thrown away and made again. The
 * rule looks at nothing but the stolen time, so that it favours no row.
 */
#ifndef BENCH_STEAL_H
#define BENCH_STEAL_H

#include "bench/sample.h"

#define BENCH_STEAL_RETRIES 5 /* unless the matrix says otherwise */
#define BENCH_STEAL_RETRIES_MAX 100
#define BENCH_STEAL_BYTES 256

struct bench_steal_rule {
    double most;      /* share of all processors' time that may be stolen; 0: any */
    unsigned retries; /* so often at most a run is made again; then it stands as it is */
};

/* Whether a run is to be made again that was made again `times` times already. A run of which the
 * system does not say what was stolen stands. */
bool bench_steal_again(const struct bench_steal_rule *rule, const struct bench_sample *s,
                       unsigned times);
/* What was stolen during the runs of a result and what became of that, in a sentence; "" when
 * nothing is known. */
void bench_steal_sentence(const json_t *doc, char out[BENCH_STEAL_BYTES]);

#endif
