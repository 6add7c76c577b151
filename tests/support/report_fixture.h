/*
 * report_fixture - small results of volley bench, for tests of what reads them.
 */
#ifndef VLY_TESTS_REPORT_FIXTURE_H
#define VLY_TESTS_REPORT_FIXTURE_H

#include "support/support.h"

#include "bench/report/report_data.h"

/* A valid document without links and rows. Owned by the caller until report_fixture_load. */
json_t *report_fixture_new(void);
/* Adds an emulated link; its queue is always the same. */
void report_fixture_link(json_t *doc, const char *name, uint64_t rate_bits_per_s, uint64_t rtt_ns,
                         double loss);
/* Adds a row of kind "memory" that ran for a second, without samples; its goodput is known. */
json_t *report_fixture_row(json_t *doc, const char *link, const char *protocol, const char *cc,
                           double goodput_bits_per_s);
/* Adds a good sample of 1 s. */
void report_fixture_sample(json_t *row, uint64_t bytes);
/* Adds an interval to a row's last sample. */
void report_fixture_interval(json_t *row, uint64_t begin_ns, uint64_t end_ns, uint64_t bytes);
/* Takes `doc` over; fails the test when it is not valid. The caller frees the report. */
struct bench_report report_fixture_load(json_t *doc);

#endif
