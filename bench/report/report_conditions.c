/*
 * report_conditions - how everything was measured: rows, links, machine, and the file that asked.
 */
#include "bench/matrix/steal.h"
#include "bench/report/html.h"
#include "bench/report/report.h"
#include "bench/report/report_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_SHOWN 32

static void th(FILE *out, const char *const *names)
{
    bench_html(out, "<thead><tr>");
    for (; *names != NULL; names++)
        bench_html(out, "<th scope=\"col\">%s</th>", *names);
    bench_html(out, "</tr></thead>\n<tbody>\n");
}

static void table_begin(FILE *out, const char *what, const char *const *names)
{
    bench_html(out,
               "<details><summary>%s</summary><div class=\"scroll wide\" tabindex=\"0\" "
               "role=\"region\" aria-label=\"Table: %s\"><table>\n",
               what, what);
    th(out, names);
}

static void table_end(FILE *out)
{
    bench_html(out, "</tbody></table></div></details>\n");
}

static void td(FILE *out, const char *text)
{
    bench_html(out, "<td>%s</td>", text);
}

/* ---- rows ---- */

/* "asked, was": what was in use is in the samples. */
static void asked(FILE *out, const char *asked_for, const char *used)
{
    if (used[0] == '\0' || strcmp(asked_for, used) == 0)
        bench_html(out, "<td>%s</td>", asked_for[0] == '\0' ? "default" : asked_for);
    else
        bench_html(out, "<td>%s (%s)</td>", asked_for[0] == '\0' ? "default" : asked_for, used);
}

static void seeds(FILE *out, const struct bench_report_row *row)
{
    bench_html(out, "<td class=\"words\">");
    for (size_t i = 0; i < row->n_samples && i < SEEDS_SHOWN; i++)
        (void)fprintf(out, "%s%" PRIu64, i == 0 ? "" : ", ", row->samples[i].seed);
    bench_html(out, row->n_samples > SEEDS_SHOWN ? ", ...</td>" : "</td>");
}

/* "0.4 %": the mean share; "again" where runs were thrown away for it. */
static void stolen(FILE *out, const struct bench_report_row *row)
{
    double stolen_ns = 0, all_ns = 0;
    uint64_t again = 0;

    for (size_t i = 0; i < row->n_samples; i++) {
        const struct bench_report_sample *sample = &row->samples[i];
        if (sample->taken_again != BENCH_UNKNOWN)
            again += sample->taken_again;
        if (isnan(bench_sample_steal(&sample->s)))
            continue;
        stolen_ns += (double)sample->s.cpu_steal_ns;
        all_ns += (double)sample->s.cpu_all_ns;
    }
    bench_html(out, "<td>%s",
               bench_text_percent(all_ns > 0 ? round(1000 * stolen_ns / all_ns) / 1000 : NAN).s);
    if (again > 0)
        bench_html(out, ", %s again", bench_text_count(again).s);
    bench_html(out, "</td>");
}

static const struct bench_sample *first_good(const struct bench_report_row *row)
{
    for (size_t i = 0; i < row->n_samples; i++)
        if (row->samples[i].s.err == 0)
            return &row->samples[i].s;
    return NULL;
}

static void row_line(FILE *out, const struct bench_report_row *row)
{
    const struct bench_sample *s = first_good(row);

    bench_html(out, "<tr><th scope=\"row\">%s</th>", row->id);
    td(out, row->link->name);
    td(out, bench_text_kind(row->kind));
    td(out, row->protocol);
    asked(out, row->cc, s != NULL ? s->cc : "");
    asked(out, row->io, s != NULL ? s->io : "");
    td(out, bench_text_bytes(row->bytes).s);
    td(out, bench_text_duration(row->duration_ns).s);
    td(out, bench_text_duration(row->warmup_ns).s);
    td(out, bench_text_count(row->parallel).s);
    td(out, row->reverse ? "right to left" : "left to right");
    td(out, bench_text_bytes(row->block_bytes).s);
    td(out, row->mss_bytes == BENCH_UNKNOWN ? "default" : bench_text_count(row->mss_bytes).s);
    td(out, row->rate_bits_per_s == BENCH_UNKNOWN
                ? "none"
                : bench_text_nominal_rate(row->rate_bits_per_s).s);
    stolen(out, row);
    seeds(out, row);
    bench_html(out, "</tr>\n");
}

static void rows(FILE *out, const struct bench_report *r)
{
    static const char *const names[] = {"Row",
                                        "Link",
                                        "Kind",
                                        "Protocol",
                                        "Congestion control",
                                        "I/O",
                                        "Bytes",
                                        "Time",
                                        "Warm-up",
                                        "Conns",
                                        "Direction",
                                        "Block",
                                        "MSS",
                                        "Rate limit",
                                        "Stolen by the host",
                                        "Seeds of the link",
                                        NULL};

    table_begin(out, "Rows: what was run", names);
    for (size_t i = 0; i < r->n_rows; i++)
        row_line(out, &r->rows[i]);
    table_end(out);
}

/* ---- links ---- */

static void way_line(FILE *out, const struct bench_report_link *link, const char *direction,
                     const struct bench_report_way *way)
{
    bench_html(out, "<tr><th scope=\"row\">%s</th>", link->name);
    td(out, link->kind);
    td(out, bench_text_count(link->mtu_bytes).s);
    td(out, link->offloads ? "on" : "off");
    td(out, direction);
    if (way == NULL) {
        bench_html(out, "<td class=\"words\" colspan=\"9\">as the kernel does it</td></tr>\n");
        return;
    }
    td(out, way->rate_bits_per_s == BENCH_UNKNOWN
                ? "no limit"
                : bench_text_nominal_rate(way->rate_bits_per_s).s);
    td(out, bench_text_duration(way->delay_ns).s);
    td(out, bench_text_duration(way->jitter_ns).s);
    td(out, bench_text_bytes(way->queue_bytes).s);
    td(out, way->codel ? "CoDel" : "DropTail");
    td(out, bench_text_percent(way->loss).s);
    if (way->burst_loss > 0)
        bench_html(out, "<td>enter %s, leave %s, loss %s</td>",
                   bench_text_percent(way->burst_enter).s, bench_text_percent(way->burst_leave).s,
                   bench_text_percent(way->burst_loss).s);
    else
        td(out, "none");
    td(out, bench_text_percent(way->reorder).s);
    bench_html(out, "<td>%s, %s</td></tr>\n", bench_text_percent(way->duplicate).s,
               bench_text_percent(way->corrupt).s);
}

static void links(FILE *out, const struct bench_report *r)
{
    static const char *const names[] = {"Link",      "Kind",
                                        "MTU",       "Offloads",
                                        "Direction", "Rate",
                                        "Delay",     "Jitter",
                                        "Queue",     "Drops by",
                                        "Loss",      "Bursts",
                                        "Reordered", "Duplicated, corrupted",
                                        NULL};

    table_begin(out, "Links: what it was run over", names);
    for (size_t i = 0; i < r->n_links; i++) {
        const struct bench_report_link *link = &r->links[i];
        if (!link->has_ways) {
            way_line(out, link, "both", NULL);
            continue;
        }
        way_line(out, link, "left to right", &link->forward);
        way_line(out, link, "right to left", &link->back);
    }
    table_end(out);
}

/* ---- the machine ---- */

/* A JSON value as a person reads it. */
static void value_text(FILE *out, const json_t *value)
{
    char *dump;

    if (json_is_string(value)) {
        bench_html(out, "%s", json_string_value(value));
        return;
    }
    dump = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_REAL_PRECISION(6));
    bench_html(out, "%s", dump != NULL ? dump : "");
    free(dump);
}

/* All members, also those that the schema does not name. */
static void object_table(FILE *out, const char *what, const json_t *object)
{
    static const char *const names[] = {"Name", "Value", NULL};
    const char *key;
    json_t *value;

    if (json_object_size(object) == 0)
        return;
    table_begin(out, what, names);
    json_object_foreach((json_t *)object, key, value)
    {
        bench_html(out, "<tr><th scope=\"row\">%s</th><td class=\"words\">", key);
        value_text(out, value);
        bench_html(out, "</td></tr>\n");
    }
    table_end(out);
}

/* What has no table of its own. */
static void machine(FILE *out, const json_t *environment)
{
    json_t *rest = json_copy((json_t *)environment);

    (void)json_object_del(rest, "sysctls");
    (void)json_object_del(rest, "offloads");
    (void)json_object_del(rest, "versions");
    object_table(out, "Machine", rest);
    json_decref(rest);
}

void bench_report_conditions(FILE *out, const struct bench_report *r)
{
    char steal[BENCH_STEAL_BYTES];

    bench_html(out, "<section aria-labelledby=\"conditions\">\n"
                    "<h2 id=\"conditions\">Conditions</h2>\n");
    bench_steal_sentence(r->root, steal);
    if (steal[0] != '\0')
        bench_html(out, "<p>%s</p>\n", steal);
    rows(out, r);
    links(out, r);
    machine(out, r->environment);
    object_table(out, "Versions", json_object_get(r->environment, "versions"));
    object_table(out, "Offloads", json_object_get(r->environment, "offloads"));
    object_table(out, "Sysctls", json_object_get(r->environment, "sysctls"));
    bench_html(out, "<details><summary>Plan</summary>\n<p>Seed %s; %s to %s samples a row",
               bench_text_count(r->seed).s, bench_text_count(r->repeats_min).s,
               bench_text_count(r->repeats_max).s);
    if (r->precision > 0)
        bench_html(out, ", until half of a ratio's interval is within %s",
                   bench_text_percent(r->precision).s);
    bench_html(out, ".</p>\n");
    if (r->config[0] != '\0')
        bench_html(out, "<pre tabindex=\"0\">%s</pre>\n", r->config);
    bench_html(out, "</details>\n</section>\n");
}
