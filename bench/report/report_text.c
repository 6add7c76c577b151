/*
 * report_text - the short texts of a report: what rows and links are called, and figures.
 */
#include "bench/report/report_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define UNKNOWN_TEXT "–"

/* Adds to what stands in `out`; cuts what does not fit. */
static void append(char *out, size_t cap, const char *format, ...) VLY_PRINTF(3, 4);
static void append(char *out, size_t cap, const char *format, ...)
{
    size_t len = strlen(out);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(out + len, cap - len, format, args);
    va_end(args);
}

struct bench_text bench_text_cut(const char *text, size_t max_bytes)
{
    struct bench_text out = {""};
    size_t len = strlen(text);

    if (len <= max_bytes) {
        memcpy(out.s, text, len);
        return out;
    }
    for (len = max_bytes; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
        len--;
    memcpy(out.s, text, len);
    memcpy(out.s + len, "…", sizeof("…"));
    return out;
}

/* ---- figures ---- */

struct bench_rate_unit bench_rate_unit(double bits_per_s)
{
    static const struct bench_rate_unit units[] = {
        {"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}, {"bit/s", 1}};
    size_t i = 0;

    while (i + 1 < sizeof(units) / sizeof(units[0]) && !(bits_per_s >= units[i].bits_per_s))
        i++;
    return units[i];
}

/* How many decimals give three significant digits. */
static int decimals_of(double value)
{
    double size = fabs(value);

    if (size >= 99.95 || size == 0)
        return 0;
    if (size >= 9.995)
        return 1;
    return size >= 0.9995 ? 2 : 3;
}

static struct bench_text fixed(double value, int decimals)
{
    struct bench_text out = {UNKNOWN_TEXT};

    if (isfinite(value) && fabs(value) < 1e15)
        (void)snprintf(out.s, sizeof(out.s), "%.*f", decimals, value);
    else if (isfinite(value))
        (void)snprintf(out.s, sizeof(out.s), "%.3g", value);
    return out;
}

static struct bench_text range(const struct bench_estimate *e, double unit, int decimals)
{
    struct bench_text out = {""};

    if (isfinite(e->low) && isfinite(e->high) && e->low < e->high)
        (void)snprintf(out.s, sizeof(out.s), "%.60s – %.60s", fixed(e->low / unit, decimals).s,
                       fixed(e->high / unit, decimals).s);
    return out;
}

struct bench_text bench_text_number(double value)
{
    return fixed(value, decimals_of(value));
}

struct bench_text bench_text_range(const struct bench_estimate *e)
{
    return range(e, 1, decimals_of(e->median));
}

struct bench_text bench_text_whole(double value)
{
    return fixed(value, value == floor(value) ? 0 : 1);
}

struct bench_text bench_text_whole_range(const struct bench_estimate *e)
{
    return range(e, 1, 0);
}

struct bench_text bench_text_rate(double bits_per_s)
{
    struct bench_rate_unit unit = bench_rate_unit(bits_per_s);
    struct bench_text out = bench_text_number(bits_per_s / unit.bits_per_s);

    if (isfinite(bits_per_s))
        append(out.s, sizeof(out.s), " %s", unit.name);
    return out;
}

struct bench_text bench_text_nominal_rate(uint64_t bits_per_s)
{
    struct bench_rate_unit unit = bench_rate_unit((double)bits_per_s);
    struct bench_text out = {UNKNOWN_TEXT};

    if (bits_per_s != BENCH_UNKNOWN)
        (void)snprintf(out.s, sizeof(out.s), "%.4g %s", (double)bits_per_s / unit.bits_per_s,
                       unit.name);
    return out;
}

struct bench_text bench_text_rate_range(const struct bench_estimate *e)
{
    double unit = bench_rate_unit(e->median).bits_per_s;

    return range(e, unit, decimals_of(e->median / unit)); /* as the median beside it is shown */
}

struct bench_text bench_text_percent(double share)
{
    struct bench_text out = {UNKNOWN_TEXT};

    if (isfinite(share))
        (void)snprintf(out.s, sizeof(out.s), "%.4g %%", 100 * share);
    return out;
}

struct bench_text bench_text_count(uint64_t value)
{
    struct bench_text out = {UNKNOWN_TEXT};

    if (value != BENCH_UNKNOWN)
        (void)snprintf(out.s, sizeof(out.s), "%" PRIu64, value);
    return out;
}

/* A value with its unit, without decimals that say nothing: "64 KiB", "1.5 GiB". */
static struct bench_text with_unit(double value, const char *unit)
{
    struct bench_text out;

    (void)snprintf(out.s, sizeof(out.s), "%.4g %s", value, unit);
    return out;
}

struct bench_text bench_text_bytes(uint64_t bytes)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t i = 0;

    if (bytes == BENCH_UNKNOWN)
        return (struct bench_text){UNKNOWN_TEXT};
    for (; value >= 1024 && i + 1 < sizeof(names) / sizeof(names[0]); i++)
        value /= 1024;
    return with_unit(value, names[i]);
}

struct bench_text bench_text_duration(uint64_t duration_ns)
{
    double ns = (double)duration_ns;

    if (duration_ns == BENCH_UNKNOWN)
        return (struct bench_text){UNKNOWN_TEXT};
    if (duration_ns == 0)
        return (struct bench_text){"0"};
    if (duration_ns < VLY_MS(1))
        return with_unit(ns / 1e3, "µs");
    return duration_ns < VLY_S(1) ? with_unit(ns / 1e6, "ms") : with_unit(ns / 1e9, "s");
}

/* ---- links ---- */

double bench_way_loss(const struct bench_report_way *way)
{
    double turns = way->burst_enter + way->burst_leave;
    double in_burst = turns > 0 ? way->burst_enter / turns * way->burst_loss : 0;

    return 1 - (1 - way->loss) * (1 - in_burst);
}

uint64_t bench_link_rtt_ns(const struct bench_report_link *link)
{
    uint64_t forward_ns = link->forward.delay_ns, back_ns = link->back.delay_ns;

    if (!link->has_ways)
        return BENCH_UNKNOWN;
    return (forward_ns == BENCH_UNKNOWN ? 0 : forward_ns) +
           (back_ns == BENCH_UNKNOWN ? 0 : back_ns); /* each is at most INT64_MAX */
}

double bench_link_rtt_s(const struct bench_report_link *link)
{
    return link->has_ways ? (double)bench_link_rtt_ns(link) / 1e9 : NAN;
}

struct bench_text bench_text_link(const struct bench_report_link *link)
{
    struct bench_text out = {""};
    const struct bench_report_way *way = &link->forward;

    if (strcmp(link->kind, "lo") == 0)
        append(out.s, sizeof(out.s), "loopback");
    else if (strcmp(link->kind, "veth") == 0)
        append(out.s, sizeof(out.s), "two network namespaces joined by veth");
    else if (strcmp(link->kind, "netem") == 0)
        append(out.s, sizeof(out.s), "emulated by netem");
    else
        append(out.s, sizeof(out.s), "%s", bench_text_cut(link->kind, 60).s);
    if (link->has_ways) {
        double loss = bench_way_loss(way), back_loss = bench_way_loss(&link->back);
        if (way->rate_bits_per_s != BENCH_UNKNOWN && way->rate_bits_per_s != 0)
            append(out.s, sizeof(out.s), ", %.20s",
                   bench_text_nominal_rate(way->rate_bits_per_s).s);
        append(out.s, sizeof(out.s), ", %.20s round trip",
               bench_text_duration(bench_link_rtt_ns(link)).s);
        append(out.s, sizeof(out.s), ", %.20s loss", bench_text_percent(loss).s);
        if (loss != back_loss)
            append(out.s, sizeof(out.s), " (%.20s back)", bench_text_percent(back_loss).s);
    }
    append(out.s, sizeof(out.s), ", MTU %" PRIu64, link->mtu_bytes);
    if (strcmp(link->kind, "veth") == 0)
        append(out.s, sizeof(out.s), ", offloads %s", link->offloads ? "on" : "off");
    return out;
}

const char *bench_text_kind(const char *kind)
{
    if (strcmp(kind, "memory") == 0)
        return "memory to memory";
    return strcmp(kind, "file") == 0 ? "file to file" : kind;
}

/* ---- rows ---- */

static bool is_tcp(const struct bench_report_row *row)
{
    return strcmp(row->protocol, "tcp") == 0 || strcmp(row->protocol, "tls") == 0 ||
           strcmp(row->protocol, "volley-tcp") == 0 || strcmp(row->protocol, "iperf3-tcp") == 0;
}

/* Whether a row of the same kind moves another amount. */
static bool sizes_differ(const struct bench_report *r, const struct bench_report_row *row)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (strcmp(r->rows[i].kind, row->kind) == 0 &&
            (r->rows[i].bytes != row->bytes || r->rows[i].duration_ns != row->duration_ns))
            return true;
    return false;
}

/* Whether a row of the same kind writes blocks of another size. */
static bool blocks_differ(const struct bench_report *r, const struct bench_report_row *row)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (strcmp(r->rows[i].kind, row->kind) == 0 && r->rows[i].block_bytes != row->block_bytes)
            return true;
    return false;
}

/* The congestion control that the samples tell of; "" when none does. */
static const char *cc_used(const struct bench_report_row *row)
{
    for (size_t i = 0; i < row->n_samples; i++)
        if (row->samples[i].s.err == 0)
            return row->samples[i].s.cc;
    return "";
}

static void label_row(const struct bench_report *r, struct bench_report_row *row)
{
    const char *used = cc_used(row); /* at most 15 bytes: a sample's */
    char *out = row->label;
    size_t cap = sizeof(row->label);

    append(out, cap, "%s", bench_text_cut(row->protocol, 30).s);
    if (row->cc[0] != '\0')
        append(out, cap, " %s", bench_text_cut(row->cc, 30).s);
    else if (is_tcp(row) && used[0] != '\0')
        append(out, cap, " default (%s)", used);
    else if (is_tcp(row))
        append(out, cap, " default");
    if (row->io[0] != '\0')
        append(out, cap, ", %s", bench_text_cut(row->io, 20).s);
    if (row->suite[0] != '\0')
        append(out, cap, ", %s", bench_text_cut(row->suite, 20).s);
    if (row->crypto[0] != '\0')
        append(out, cap, ", %s", bench_text_cut(row->crypto, 20).s);
    if (row->parallel > 1)
        append(out, cap, ", %" PRIu64 " at once", row->parallel);
    if (row->reverse)
        append(out, cap, ", reverse");
    if (row->mss_bytes != BENCH_UNKNOWN && row->mss_bytes != 0)
        append(out, cap, ", MSS %" PRIu64, row->mss_bytes);
    if (row->block_bytes != BENCH_UNKNOWN && blocks_differ(r, row))
        append(out, cap, ", %.12s blocks", bench_text_bytes(row->block_bytes).s);
    if (row->rate_bits_per_s != BENCH_UNKNOWN && row->rate_bits_per_s != 0)
        append(out, cap, ", at %.16s", bench_text_nominal_rate(row->rate_bits_per_s).s);
    if (!sizes_differ(r, row))
        return;
    if (row->bytes != BENCH_UNKNOWN && row->bytes != 0)
        append(out, cap, ", %.12s", bench_text_bytes(row->bytes).s);
    else if (row->duration_ns != BENCH_UNKNOWN)
        append(out, cap, ", %.12s", bench_text_duration(row->duration_ns).s);
}

/* Style 0 is Volley's with its default controller; the others are given as they come. */
static void style_rows(struct bench_report *r)
{
    unsigned next = 1;

    for (size_t i = 0; i < r->n_rows; i++) {
        struct bench_report_row *row = &r->rows[i];
        size_t k;
        row->style = 0;
        if (strcmp(row->protocol, "volley") == 0 && row->cc[0] == '\0' && row->suite[0] == '\0' &&
            row->crypto[0] == '\0')
            continue;
        for (k = 0; k < i; k++)
            if (strcmp(r->rows[k].protocol, row->protocol) == 0 &&
                strcmp(r->rows[k].cc, row->cc) == 0 && strcmp(r->rows[k].suite, row->suite) == 0 &&
                strcmp(r->rows[k].crypto, row->crypto) == 0)
                break;
        row->style = k < i ? r->rows[k].style : next++;
    }
}

void bench_report_label(struct bench_report *r)
{
    for (size_t i = 0; i < r->n_rows; i++)
        label_row(r, &r->rows[i]);
    style_rows(r);
}
