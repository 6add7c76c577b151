/*
 * progress - bars with percentage, rate and time left, on standard error when it is a terminal.
 *
 * A frame is put together in memory and written at once, so that it does not flicker. No row is as
 * wide as the terminal: it must not wrap, or the next frame would start a line too low.
 */
#include "cli/progress.h"

#include "cli/quantity.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define FRAME_BYTES 32768
#define BAR_COLUMNS_MIN 10
#define BAR_COLUMNS_MAX 60
#define LABEL_COLUMNS_MIN 10
#define LABEL_COLUMNS_MAX 40

/* ---- rate ---- */

void vly_meter_add(struct vly_meter *m, uint64_t now_ns, uint64_t bytes)
{
    m->ring[m->n % VLY_METER_SAMPLES].at_ns = now_ns;
    m->ring[m->n % VLY_METER_SAMPLES].bytes = bytes;
    m->n++;
}

double vly_meter_bytes_per_s(const struct vly_meter *m)
{
    size_t kept = m->n < VLY_METER_SAMPLES ? m->n : VLY_METER_SAMPLES;
    size_t newest, oldest;
    uint64_t span_ns;

    if (kept < 2)
        return 0;
    newest = (m->n - 1) % VLY_METER_SAMPLES;
    oldest = (m->n - kept) % VLY_METER_SAMPLES;
    span_ns = vly_time_since(m->ring[newest].at_ns, m->ring[oldest].at_ns);
    if (span_ns == 0 || m->ring[newest].bytes < m->ring[oldest].bytes)
        return 0;
    return (double)(m->ring[newest].bytes - m->ring[oldest].bytes) * 1e9 / (double)span_ns;
}

/* ---- the terminal ---- */

static struct winsize terminal_size(void)
{
    struct winsize size = {0};

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        size = (struct winsize){.ws_col = 80, .ws_row = 24};
    return size;
}

/* How wide a row may be. Right of it there is room for the cursor and for the ^C that the terminal
 * shows: wrapped, that would move the rows up and out of reach of what erases them. */
static size_t terminal_columns(void)
{
    size_t columns = terminal_size().ws_col;

    return columns > 6 ? columns - 3 : 3; /* as put_label needs */
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0';
}

void vly_progress_open(struct vly_progress *p, bool wanted)
{
    const char *term = getenv("TERM");

    *p = (struct vly_progress){0};
    p->on = wanted && isatty(STDERR_FILENO) == 1 && term != NULL && strcmp(term, "dumb") != 0;
    p->colour = !is_set("NO_COLOR");
    p->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

size_t vly_progress_rows_max(void)
{
    size_t rows = terminal_size().ws_row;

    return rows > 2 ? rows - 1 : 1;
}

/* ---- a frame ---- */

struct frame {
    char bytes[FRAME_BYTES];
    size_t len;
};

static void put(struct frame *f, const char *format, ...) VLY_PRINTF(2, 3);
static void put(struct frame *f, const char *format, ...)
{
    size_t room = sizeof(f->bytes) - f->len;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(f->bytes + f->len, room, format, args);
    va_end(args);
    if (n > 0)
        f->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* Reads one character; bytes that the locale does not know count one column each. */
static size_t char_columns(const char *p, size_t *out_bytes)
{
    mbstate_t state = {0};
    wchar_t c;
    size_t n = mbrtowc(&c, p, MB_CUR_MAX, &state);
    int columns;

    *out_bytes = n == 0 || n > MB_CUR_MAX ? 1 : n;
    if (n == 0 || n > MB_CUR_MAX)
        return 1;
    columns = wcwidth(c);
    return columns < 0 ? 1 : (size_t)columns;
}

static size_t text_columns(const char *text)
{
    size_t columns = 0, bytes;

    for (; *text != '\0'; text += bytes)
        columns += char_columns(text, &bytes);
    return columns;
}

/* The label in exactly `width` columns. Of one too long the end is kept: it tells files apart. */
static void put_label(struct frame *f, const char *label, size_t width)
{
    size_t have = text_columns(label), bytes;
    bool cut = have > width;

    if (cut) {
        for (; have + 3 > width; label += bytes)
            have -= char_columns(label, &bytes);
        have += 3;
    }
    put(f, "%s%s%*s", cut ? "..." : "", label, (int)(width - have), "");
}

static void put_bar(struct frame *f, const struct vly_progress *p, double share, size_t width)
{
    const char *full = p->utf8 ? "\u2588" : "#", *empty = p->utf8 ? "\u2591" : ".";
    size_t filled = (size_t)(share * (double)width);

    put(f, "  %s", p->colour ? "\033[32m" : "");
    for (size_t i = 0; i < width; i++)
        put(f, "%s", i < filled ? full : empty);
    put(f, "%s", p->colour ? "\033[0m" : "");
}

/* Percentage, bytes, rate and time: what stands right of the bar. */
static void numbers(char *out, size_t cap, const struct vly_progress_row *row, double share)
{
    double left_s =
        row->bytes_per_s > 0 ? (double)(row->total_bytes - row->done_bytes) / row->bytes_per_s : 0;
    struct vly_text bytes = vly_bytes_text(row->done_bytes);
    struct vly_text rate = vly_rate_text(row->bytes_per_s);

    if (share < 0)
        (void)snprintf(out, cap, "  %9s  %11s  %8s", bytes.s, rate.s,
                       vly_clock_text(row->elapsed_ns).s);
    else if (row->bytes_per_s > 0 && left_s < 360000)
        (void)snprintf(out, cap, " %3.0f %%  %9s  %11s  ETA %7s", share * 100, bytes.s, rate.s,
                       vly_clock_text((uint64_t)(left_s * 1e9)).s);
    else
        (void)snprintf(out, cap, " %3.0f %%  %9s  %11s  ETA    -:--", share * 100, bytes.s, rate.s);
}

/* Shares `columns` out between label and bar. */
static void put_left(struct frame *f, const struct vly_progress *p, const char *label, double share,
                     size_t columns)
{
    size_t half = columns / 2;
    size_t bar;

    if (share < 0 || columns < LABEL_COLUMNS_MIN + 2 + BAR_COLUMNS_MIN) {
        put_label(f, label, columns > LABEL_COLUMNS_MAX ? LABEL_COLUMNS_MAX : columns);
        return;
    }
    half = half < LABEL_COLUMNS_MIN ? LABEL_COLUMNS_MIN : half;
    half = half > LABEL_COLUMNS_MAX ? LABEL_COLUMNS_MAX : half;
    bar = columns - half - 2;
    put_label(f, label, half);
    put_bar(f, p, share, bar > BAR_COLUMNS_MAX ? BAR_COLUMNS_MAX : bar);
}

static double row_share(const struct vly_progress_row *row)
{
    if (row->total_bytes == UINT64_MAX || row->done_bytes > row->total_bytes)
        return -1;
    return row->total_bytes == 0 ? 1 : (double)row->done_bytes / (double)row->total_bytes;
}

static void put_row(struct frame *f, const struct vly_progress *p,
                    const struct vly_progress_row *row, size_t columns)
{
    double share = row_share(row);
    char right[128];

    numbers(right, sizeof(right), row, share);
    if (columns < strlen(right) + LABEL_COLUMNS_MIN) { /* a narrow terminal */
        if (share < 0)
            (void)snprintf(right, sizeof(right), " %s", vly_bytes_text(row->done_bytes).s);
        else
            (void)snprintf(right, sizeof(right), " %3.0f %%", share * 100);
    }
    if (columns < strlen(right) + 4)
        return;
    put_left(f, p, row->label, share, columns - strlen(right));
    put(f, "%s", right);
}

/* Back to the first row drawn, and everything below erased. */
static void put_erase(struct frame *f, const struct vly_progress *p)
{
    put(f, "\r");
    if (p->rows > 1)
        put(f, "\033[%zuA", p->rows - 1);
    put(f, "\033[J");
}

static void frame_write(const struct frame *f)
{
    (void)fwrite(f->bytes, 1, f->len, stderr);
    (void)fflush(stderr);
}

void vly_progress_draw(struct vly_progress *p, const struct vly_progress_row *rows, size_t n)
{
    static struct frame f;
    size_t columns = terminal_columns();

    if (!p->on)
        return;
    f.len = 0;
    put_erase(&f, p);
    for (size_t i = 0; i < n; i++) {
        put(&f, "%s", i > 0 ? "\n" : "");
        put_row(&f, p, &rows[i], columns);
    }
    p->rows = n;
    frame_write(&f);
}

void vly_progress_line(struct vly_progress *p, const char *text)
{
    static struct frame f;
    size_t columns = terminal_columns(), wanted = text_columns(text);

    if (!p->on)
        return;
    f.len = 0;
    put_erase(&f, p);
    put_label(&f, text, wanted < columns ? wanted : columns);
    p->rows = 1;
    frame_write(&f);
}

void vly_progress_clear(struct vly_progress *p)
{
    static struct frame f;

    if (!p->on || p->rows == 0)
        return;
    f.len = 0;
    put_erase(&f, p);
    p->rows = 0;
    frame_write(&f);
}
