/*
 * quantity - sizes, rates, durations and shares as people write and read them.
 */
#ifndef VLY_CLI_QUANTITY_H
#define VLY_CLI_QUANTITY_H

#include <volley/base.h>

/* Each parser takes the whole of `text` or fails with VLY_E_INVALID (nonsense, negative, missing
 * unit) or VLY_E_LIMIT (does not fit). Decimals ("1.5GiB") are welcome everywhere. */

/* "4096", "64KiB", "10MB"; K M G T alone are powers of 1024. */
VLY_MUST_USE int vly_size_parse(const char *text, uint64_t *out_bytes);
/* "100Mbit", "1.5Gbit", "10MB", "4MiB", each also with "/s". A unit is needed. */
VLY_MUST_USE int vly_rate_parse(const char *text, uint64_t *out_bytes_per_s);
/* "10s", "50ms", "200us", "1min", "1h"; a bare number is seconds. */
VLY_MUST_USE int vly_duration_parse(const char *text, uint64_t *out_ns);
/* "1%" or "0.01"; a bare number is below 1, so that nobody writes 1 and means 1 %. */
VLY_MUST_USE int vly_share_parse(const char *text, double *out);
/* Decimal digits only. */
VLY_MUST_USE int vly_number_parse(const char *text, uint64_t *out);

/* A short text by value: vly_bytes_text(n).s lives to the end of the expression. */
struct vly_text {
    char s[32];
};

struct vly_text vly_bytes_text(uint64_t bytes);          /* "64.0 MiB" */
struct vly_text vly_rate_text(double bytes_per_s);       /* "940 Mbit/s" */
struct vly_text vly_duration_text(uint64_t duration_ns); /* "2.31 s" */
struct vly_text vly_clock_text(uint64_t duration_ns);    /* "0:05", "1:02:03" */

#endif
