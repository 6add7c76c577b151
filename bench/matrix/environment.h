/*
 * environment - the machine a comparison was run on: what a reader needs to judge its figures.
 */
#ifndef BENCH_ENVIRONMENT_H
#define BENCH_ENVIRONMENT_H

#include <jansson.h>

/* "environment" of bench/schema/result.schema.json, owned; what cannot be found out is null or "".
 * Asks the installed programs for their versions: some tens of milliseconds. */
json_t *bench_environment_new(void);

#endif
