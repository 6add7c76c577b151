/*
 * progress - bars with percentage, rate and time left, on standard error when it is a terminal.
 *
 * Rows are drawn over each other; clear them before any other line is printed. Whoever draws does
 * so at most ten times a second (VLY_PROGRESS_NS).
 */
#ifndef VLY_CLI_PROGRESS_H
#define VLY_CLI_PROGRESS_H

#include <volley/base.h>

#define VLY_PROGRESS_NS VLY_MS(100)

/* The rate at which a count grew lately. All zero: no sample yet. */
#define VLY_METER_SAMPLES 32
struct vly_meter {
    struct {
        uint64_t at_ns, bytes;
    } ring[VLY_METER_SAMPLES];
    size_t n; /* samples ever taken */
};

void vly_meter_add(struct vly_meter *m, uint64_t now_ns, uint64_t bytes);
/* Over the last three seconds or so when a sample is taken each VLY_PROGRESS_NS. */
double vly_meter_bytes_per_s(const struct vly_meter *m);

struct vly_progress_row {
    const char *label;                /* escaped already; borrowed */
    uint64_t done_bytes, total_bytes; /* total_bytes UINT64_MAX: not known */
    double bytes_per_s;
    uint64_t elapsed_ns;
};

struct vly_progress {
    bool on;
    bool colour, utf8;
    size_t rows; /* on the screen now */
};

/* `wanted` false, or no terminal: drawing does nothing. */
void vly_progress_open(struct vly_progress *p, bool wanted);
void vly_progress_draw(struct vly_progress *p, const struct vly_progress_row *rows, size_t n);
/* One row of text, escaped already. Of one too long the end is shown. */
void vly_progress_line(struct vly_progress *p, const char *text);
void vly_progress_clear(struct vly_progress *p);
/* Rows the terminal has room for, at least 1. */
size_t vly_progress_rows_max(void);

#endif
