/*
 * table - a result for a person: its rows by link and kind, and the conditions.
 *
 * Names and messages come from a file that anybody may have written: they are escaped.
 */
#include "bench/matrix/table.h"

#include "bench/matrix/table_internal.h"
#include "file/path.h"

#include <math.h>
#include <string.h>

#define CELL "%-26s"

struct cell {
    char s[64];
};

struct vly_text bench_number_text(double value)
{
    struct vly_text out;
    int decimals = fabs(value) >= 99.95 ? 0 : fabs(value) >= 9.995 ? 1 : 2;

    (void)snprintf(out.s, sizeof(out.s), "%.*f", decimals, value);
    return out;
}

struct bench_unit bench_group_unit(const json_t *doc, size_t first)
{
    const json_t *head = bench_result_row(doc, first);
    double best = 0;

    for (size_t i = first; i < bench_result_rows(doc); i++) {
        const json_t *row = bench_result_row(doc, i);
        struct bench_estimate goodput;
        if (bench_result_same_group(row, head) &&
            bench_result_estimate(row, "goodput_bits_per_s", &goodput))
            best = fmax(best, goodput.median);
    }
    return best >= 1e9 ? (struct bench_unit){1e9, "Gbit/s"} : (struct bench_unit){1e6, "Mbit/s"};
}

bool bench_is_first_of_group(const json_t *doc, size_t index)
{
    const json_t *row = bench_result_row(doc, index);

    for (size_t i = 0; i < index; i++)
        if (bench_result_same_group(bench_result_row(doc, i), row))
            return false;
    return true;
}

const char *bench_row_cc(const json_t *row)
{
    const char *asked = bench_result_text(row, "cc");
    size_t i;
    json_t *sample;

    if (asked[0] != '\0')
        return asked;
    json_array_foreach(json_object_get(row, "samples"), i,
                       sample) if (bench_result_is_ok(sample)) return bench_result_text(sample,
                                                                                        "cc");
    return "";
}

/* "tcp-cubic"; "tcp (bbr)" where the system chose. */
static struct cell label(const json_t *row)
{
    const char *text = bench_result_text(row, "label"), *cc = bench_row_cc(row);
    struct cell out;

    if (text[0] == '\0')
        text = bench_result_text(row, "protocol");
    if (bench_result_text(row, "cc")[0] == '\0' && cc[0] != '\0')
        (void)snprintf(out.s, sizeof(out.s), "%.40s (%.16s)", vly_shown(text).text,
                       vly_shown(cc).text);
    else
        (void)snprintf(out.s, sizeof(out.s), "%.60s", vly_shown(text).text);
    return out;
}

static struct cell estimate_text(const json_t *row, const char *key, double unit)
{
    struct cell out;
    struct bench_estimate e;

    if (bench_result_estimate(row, key, &e))
        (void)snprintf(out.s, sizeof(out.s), "%.16s [%.16s, %.16s]",
                       bench_number_text(e.median / unit).s, bench_number_text(e.low / unit).s,
                       bench_number_text(e.high / unit).s);
    else
        (void)snprintf(out.s, sizeof(out.s), "-");
    return out;
}

static struct cell median_text(const json_t *row, const char *key, int decimals)
{
    struct cell out = {"-"};
    struct bench_estimate e;

    if (bench_result_estimate(row, key, &e))
        (void)snprintf(out.s, sizeof(out.s), "%.*f", decimals, e.median);
    return out;
}

/* What is not sent again is lost. */
static struct cell repair_text(const json_t *row)
{
    struct cell out;
    struct bench_estimate lost;

    if (!bench_result_estimate(row, "lost_share", &lost))
        return median_text(row, "retransmits", 0);
    (void)snprintf(out.s, sizeof(out.s), "%.1f %% lost", 100 * lost.median);
    return out;
}

/* The most that a side held in any sample, in MiB. */
static struct vly_text mib_text(const json_t *row, const char *key)
{
    double most = NAN;
    size_t i;
    json_t *sample;

    json_array_foreach(json_object_get(row, "samples"), i, sample)
    {
        const json_t *bytes = json_object_get(sample, key);
        if (json_is_integer(bytes) && bench_result_is_ok(sample))
            most = fmax(most, json_number_value(bytes) / (1 << 20));
    }
    return isnan(most) ? (struct vly_text){"-"} : bench_number_text(most);
}

static struct cell memory_text(const json_t *row)
{
    struct cell out;

    (void)snprintf(out.s, sizeof(out.s), "%s %s", mib_text(row, "rss_sender_bytes").s,
                   mib_text(row, "rss_receiver_bytes").s);
    return out;
}

static struct cell ratio_text(const json_t *row)
{
    if (json_is_true(json_object_get(row, "reference")))
        return (struct cell){"1 (reference)"};
    return estimate_text(row, "ratio", 1);
}

static void print_row(FILE *out, const json_t *row, const struct bench_unit *unit)
{
    bool has_figures =
        json_is_object(json_object_get(json_object_get(row, "summary"), "goodput_bits_per_s"));

    if (has_figures)
        (void)fprintf(out, "  %-22s " CELL CELL "%-10s%-12s%s\n", label(row).s,
                      estimate_text(row, "goodput_bits_per_s", unit->bits_per_s).s,
                      ratio_text(row).s, median_text(row, "cpu_s_per_gb", 3).s, memory_text(row).s,
                      repair_text(row).s);
    if (!bench_result_is_ok(row))
        (void)fprintf(out, "  %-22s failed: %s\n", label(row).s,
                      vly_shown(bench_result_message(row)).text);
    else if (!has_figures)
        (void)fprintf(out, "  %-22s not run yet\n", label(row).s);
}

static void print_group(FILE *out, const json_t *doc, size_t first)
{
    const json_t *head = bench_result_row(doc, first);
    const json_t *bytes = json_object_get(head, "bytes");
    const char *kind = bench_result_text(head, "kind");
    struct bench_unit unit = bench_group_unit(doc, first);
    char title[32];

    (void)fprintf(out, "\n%s, %s to %s", vly_shown(bench_result_text(head, "link")).text, kind,
                  kind);
    if (json_is_integer(bytes))
        (void)fprintf(out, ", %s", vly_bytes_text((uint64_t)json_integer_value(bytes)).s);
    (void)snprintf(title, sizeof(title), "%s [95 %%]", unit.name);
    (void)fprintf(out, "\n  %-22s " CELL CELL "%-10s%-12s%s\n", "row", title, "of the fastest TCP",
                  "CPU-s/GB", "peak MiB", "retransmits");
    for (size_t i = first; i < bench_result_rows(doc); i++)
        if (bench_result_same_group(bench_result_row(doc, i), head))
            print_row(out, bench_result_row(doc, i), &unit);
}

/* "lo 65536, veth-1500 1500"; emulated links have the same one nearly always and are left out. */
static void print_mtus(FILE *out, const json_t *doc)
{
    const char *separator = "; MTU ";
    size_t i;
    json_t *link;

    json_array_foreach(json_object_get(doc, "links"), i, link)
    {
        const char *kind = bench_result_text(link, "kind");
        if (strcmp(kind, "lo") != 0 && strcmp(kind, "veth") != 0)
            continue;
        (void)fprintf(out, "%s%s %lld", separator, vly_shown(bench_result_text(link, "name")).text,
                      (long long)json_integer_value(json_object_get(link, "mtu_bytes")));
        separator = ", ";
    }
}

void bench_table_print(FILE *out, const json_t *doc)
{
    const json_t *env = json_object_get(doc, "environment");
    char steal[BENCH_STEAL_BYTES];

    for (size_t i = 0; i < bench_result_rows(doc); i++)
        if (bench_is_first_of_group(doc, i))
            print_group(out, doc, i);
    (void)fprintf(out, "\nLinux %s, %s, %lld cores; TCP default %s",
                  vly_shown(bench_result_text(env, "kernel")).text,
                  vly_shown(bench_result_text(env, "cpu")).text,
                  (long long)json_integer_value(json_object_get(env, "cores")),
                  vly_shown(bench_result_text(env, "tcp_congestion_control_default")).text);
    print_mtus(out, doc);
    (void)fputs("; medians with 95 % bootstrap intervals, rows interleaved\n", out);
    bench_steal_sentence(doc, steal);
    if (steal[0] != '\0')
        (void)fprintf(out, "%s\n", steal);
}
