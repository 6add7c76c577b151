/*
 * report_text - the short texts of a report: what rows and links are called, and figures.
 */
#ifndef BENCH_REPORT_TEXT_H
#define BENCH_REPORT_TEXT_H

#include "bench/report/report_data.h"

struct bench_text {
    char s[256];
};

/* Gives every row its label and style. A label names what differs from the plain run of a protocol;
 * the size stands in it when the report has several of the row's kind. */
void bench_report_label(struct bench_report *r);

/* "emulated, 10 Mbit/s, 20 ms round trip, 1 % loss, MTU 1500" */
struct bench_text bench_text_link(const struct bench_report_link *link);
/* "memory to memory", "file to file" */
const char *bench_text_kind(const char *kind);

/* The beginning of `text`, at most `max_bytes` (below 250) and whole characters, "…" behind it when
 * something is missing. */
struct bench_text bench_text_cut(const char *text, size_t max_bytes);

/* "–" stands for what is not known. */
struct bench_text bench_text_rate(double bits_per_s); /* "9.41 Gbit/s" */
struct bench_text
bench_text_nominal_rate(uint64_t bits_per_s); /* one that was asked for: "10 Mbit/s" */
/* "9.38 – 9.44", in the unit that `median` is shown with */
struct bench_text bench_text_rate_range(const struct bench_estimate *e);
struct bench_text bench_text_number(double value);                  /* three digits: "1.32" */
struct bench_text bench_text_range(const struct bench_estimate *e); /* "1.30 – 1.35" */
struct bench_text bench_text_whole(double value);                   /* of a count: "23", "11.5" */
struct bench_text bench_text_whole_range(const struct bench_estimate *e);
struct bench_text bench_text_percent(double share);          /* "0.01 %" */
struct bench_text bench_text_count(uint64_t value);          /* "131072" */
struct bench_text bench_text_bytes(uint64_t bytes);          /* "128 KiB" */
struct bench_text bench_text_duration(uint64_t duration_ns); /* "20 ms" */

/* A rate's unit: "Mbit/s", and how many bits per second it is. */
struct bench_rate_unit {
    const char *name;
    double bits_per_s;
};
struct bench_rate_unit bench_rate_unit(double bits_per_s);

/* The average share of packets that a direction loses, bursts included. */
double bench_way_loss(const struct bench_report_way *way);
/* Of the path: both delays, without queues. BENCH_UNKNOWN, NAN: not an emulated link. */
uint64_t bench_link_rtt_ns(const struct bench_report_link *link);
double bench_link_rtt_s(const struct bench_report_link *link);

#endif
