/*
 * compare - what changed between two results: rows of the same id, and the machine.
 */
#include "bench/matrix/compare.h"

#include "bench/matrix/table.h"
#include "file/path.h"

#include <math.h>
#include <string.h>

static const char *const verdict_names[] = {
    [BENCH_SLOWER] = "slower",
    [BENCH_SAME] = "same",
    [BENCH_FASTER] = "faster",
    [BENCH_UNCLEAR] = "same",
};

static void set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value);
}

static const json_t *find(const json_t *doc, const char *id)
{
    for (size_t i = 0; i < bench_result_rows(doc); i++)
        if (strcmp(bench_result_text(bench_result_row(doc, i), "id"), id) == 0)
            return bench_result_row(doc, i);
    return NULL;
}

/* The ids of `doc` that `other` has not. */
static json_t *only_in(const json_t *doc, const json_t *other)
{
    json_t *ids = json_array();

    for (size_t i = 0; i < bench_result_rows(doc); i++) {
        json_t *id = json_object_get(bench_result_row(doc, i), "id");
        if (find(other, json_string_value(id)) == NULL)
            (void)json_array_append(ids, id);
    }
    return ids;
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *median_of(struct bench_values values)
{
    struct bench_estimate e;

    return bench_median(values.at, values.n, &e) == 0 ? number(e.median) : json_null();
}

static json_t *row_compare(const json_t *a, const json_t *b)
{
    struct bench_series of_a, of_b;
    struct bench_values x, y;
    struct bench_estimate ratio;
    const char *verdict = "unknown";
    json_t *out = json_object();
    double p;

    bench_result_series(a, &of_a);
    bench_result_series(b, &of_b);
    x = (struct bench_values){of_a.goodput_bits_per_s, of_a.n};
    y = (struct bench_values){of_b.goodput_bits_per_s, of_b.n};
    p = bench_mann_whitney_p(x, y);
    (void)json_object_set(out, "id", json_object_get(a, "id"));
    set(out, "a", median_of(x));
    set(out, "b", median_of(y));
    set(out, "samples_a", json_integer((json_int_t)x.n));
    set(out, "samples_b", json_integer((json_int_t)y.n));
    set(out, "p", number(p));
    set(out, "ratio", json_null());
    if (bench_median_ratio(y, x, &ratio) == 0) {
        verdict =
            verdict_names[p < BENCH_P_MAX && ratio.n >= BENCH_COMPARE_LEAST ? bench_verdict(&ratio)
                                                                            : BENCH_SAME];
        set(out, "ratio",
            json_pack("{s:f, s:f, s:f}", "median", ratio.median, "low", ratio.low, "high",
                      ratio.high));
    }
    set(out, "verdict", json_string(verdict));
    return out;
}

/* What must be alike for a change to be the code's doing. */
static json_t *environment_compare(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"kernel",
                                       "machine",
                                       "cpu",
                                       "cores",
                                       "memory_bytes",
                                       "tcp_congestion_controls",
                                       "tcp_congestion_control_default",
                                       "sysctls",
                                       "versions",
                                       "commit"};
    json_t *out = json_array();

    a = json_object_get(a, "environment");
    b = json_object_get(b, "environment");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);
        json_t *difference;
        if (x == y || (x != NULL && y != NULL && json_equal(x, y) == 1))
            continue;
        difference = json_object();
        set(difference, "what", json_string(keys[i]));
        set(difference, "a", x != NULL ? json_incref(x) : json_null());
        set(difference, "b", y != NULL ? json_incref(y) : json_null());
        (void)json_array_append_new(out, difference);
    }
    return out;
}

json_t *bench_compare(const json_t *a, const json_t *b)
{
    static const char *const counts[] = {"faster", "slower", "same", "unknown"};
    json_t *out = json_object(), *rows = json_array();

    set(out, "schema", json_string("volley-bench-compare/1"));
    for (size_t i = 0; i < bench_result_rows(a); i++) {
        const json_t *row = bench_result_row(a, i);
        const json_t *other = find(b, bench_result_text(row, "id"));
        if (other != NULL)
            (void)json_array_append_new(rows, row_compare(row, other));
    }
    set(out, "rows", rows);
    set(out, "only_in_a", only_in(a, b));
    set(out, "only_in_b", only_in(b, a));
    set(out, "environment", environment_compare(a, b));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        set(out, counts[i], json_integer((json_int_t)bench_compare_count(out, counts[i])));
    return out;
}

size_t bench_compare_count(const json_t *comparison, const char *verdict)
{
    size_t i, n = 0;
    json_t *row;

    json_array_foreach(json_object_get(comparison, "rows"), i, row) n +=
        strcmp(bench_result_text(row, "verdict"), verdict) == 0;
    return n;
}

/* ---- for a person ---- */

static struct vly_text rate_text(const json_t *bits_per_s)
{
    struct vly_text none = {"-"};

    return json_is_number(bits_per_s) ? vly_rate_text(json_number_value(bits_per_s) / 8) : none;
}

static void print_row(FILE *out, const json_t *row)
{
    const json_t *ratio = json_object_get(row, "ratio"), *p = json_object_get(row, "p");
    const char *verdict = bench_result_text(row, "verdict");
    char change[64] = "-";

    if (json_is_object(ratio))
        (void)snprintf(change, sizeof(change), "%.16s [%.16s, %.16s]",
                       bench_number_text(json_real_value(json_object_get(ratio, "median"))).s,
                       bench_number_text(json_real_value(json_object_get(ratio, "low"))).s,
                       bench_number_text(json_real_value(json_object_get(ratio, "high"))).s);
    (void)fprintf(out, "%-44s %-14s %-14s %-20s ", vly_shown(bench_result_text(row, "id")).text,
                  rate_text(json_object_get(row, "a")).s, rate_text(json_object_get(row, "b")).s,
                  change);
    if (json_is_number(p))
        (void)fprintf(out, "%-7.3f", json_number_value(p));
    else
        (void)fprintf(out, "%-7s", "-");
    (void)fprintf(out, "%s\n",
                  strcmp(verdict, "same") == 0      ? "no significant change"
                  : strcmp(verdict, "unknown") == 0 ? "cannot be told: no samples"
                                                    : verdict);
}

static void print_ids(FILE *out, const json_t *ids, const char *where)
{
    size_t i;
    json_t *id;

    json_array_foreach(ids, i, id)
    {
        const char *text = json_string_value(id);
        (void)fprintf(out, "only in %s: %s\n", where, vly_shown(text != NULL ? text : "").text);
    }
}

/* A value of the environment in few words; objects only by what differs, which is too long. */
static struct vly_shown value_text(const json_t *value)
{
    struct vly_shown out = {"differs"};

    if (json_is_string(value))
        return vly_shown(json_string_value(value));
    if (json_is_integer(value))
        (void)snprintf(out.text, sizeof(out.text), "%lld", (long long)json_integer_value(value));
    return out;
}

void bench_compare_print(FILE *out, const json_t *comparison)
{
    size_t i;
    json_t *row, *difference;

    (void)fprintf(out, "%-44s %-14s %-14s %-20s %-7s%s\n", "row", "A", "B", "B to A [95 %]", "p",
                  "change");
    json_array_foreach(json_object_get(comparison, "rows"), i, row) print_row(out, row);
    print_ids(out, json_object_get(comparison, "only_in_a"), "A");
    print_ids(out, json_object_get(comparison, "only_in_b"), "B");
    json_array_foreach(json_object_get(comparison, "environment"), i, difference)
    {
        const json_t *a = json_object_get(difference, "a"), *b = json_object_get(difference, "b");
        const char *what = bench_result_text(difference, "what");
        if (json_is_object(a) || json_is_array(a))
            (void)fprintf(out, "not the same: %s\n", what);
        else
            (void)fprintf(out, "not the same: %s: %s, then %s\n", what, value_text(a).text,
                          value_text(b).text);
    }
    (void)fprintf(out, "%zu faster, %zu slower, %zu without significant change\n",
                  bench_compare_count(comparison, "faster"),
                  bench_compare_count(comparison, "slower"),
                  bench_compare_count(comparison, "same"));
}
