/*
 * report_table - the table of a group: every row of a link and kind, the losing and the failed too.
 */
#include "bench/report/chart_style.h"
#include "bench/report/html.h"
#include "bench/report/report.h"
#include "bench/report/report_text.h"

#include <math.h>
#include <string.h>

#define COLUMNS 7

const char *bench_report_group(const struct bench_report *r, size_t nth)
{
    const struct bench_report_row *row = &r->rows[nth];

    for (size_t i = 0; i < nth; i++)
        if (r->rows[i].link == row->link && strcmp(r->rows[i].kind, row->kind) == 0)
            return NULL;
    return row->kind;
}

/* A figure with its interval below it. */
static void cell(FILE *out, const char *value, const char *range)
{
    bench_html(out, "<td>%s", value);
    if (range[0] != '\0')
        bench_html(out, "<span class=\"range\">%s</span>", range);
    bench_html(out, "</td>");
}

static void head_cell(FILE *out, const struct bench_report_row *row)
{
    bench_html(out, "<th scope=\"row\"><span class=\"key c%u\" aria-hidden=\"true\"></span>%s</th>",
               bench_style_colour(row->style), row->label);
}

/* The first of a row's errors, when some of its samples failed. */
static const struct bench_sample *first_failure(const struct bench_report_row *row)
{
    for (size_t i = 0; i < row->n_samples; i++)
        if (row->samples[i].s.err != 0)
            return &row->samples[i].s;
    return NULL;
}

static void error_line(FILE *out, const struct bench_report_row *row)
{
    const struct bench_sample *failure = first_failure(row);
    const char *message = row->err_message, *code = row->err_code;

    if (failure != NULL && message[0] == '\0') {
        message = failure->error;
        code = vly_err_name(failure->err);
    }
    bench_html(out, "<tr class=\"failed\">");
    head_cell(out, row);
    bench_html(out, "<td class=\"words\" colspan=\"%u\"><strong>%s</strong> %s %s</td></tr>\n",
               COLUMNS - 1U,
               row->n_samples == 0 ? "Not run:" : "Failed:", strcmp(code, "OK") == 0 ? "" : code,
               message);
}

/* A line below a row of which some samples failed. */
static void partial_line(FILE *out, const struct bench_report_row *row)
{
    const struct bench_sample *failure = first_failure(row);

    if (failure == NULL)
        return;
    bench_html(
        out,
        "<tr class=\"failed\"><td class=\"words\" colspan=\"%u\"><strong>%u of %u samples of "
        "%s failed:</strong> %s %s</td></tr>\n",
        COLUMNS + 0U, (unsigned)(row->n_samples - row->n_good), (unsigned)row->n_samples,
        row->label, vly_err_name(failure->err), failure->error);
}

/* What is not sent again is lost. */
static void repair_cell(FILE *out, const struct bench_report_row *row)
{
    char lost[32];

    if (isnan(row->lost_share.median)) {
        cell(out, bench_text_whole(row->retransmits.median).s,
             bench_text_whole_range(&row->retransmits).s);
        return;
    }
    (void)snprintf(lost, sizeof(lost), "%.1f %%", 100 * row->lost_share.median);
    cell(out, lost, "lost");
}

/* MiB, NAN when it is not known. */
static double mib(uint64_t bytes)
{
    return bytes == BENCH_UNKNOWN ? NAN : (double)bytes / (1 << 20);
}

/* The most that either side held in any of the samples. */
static void memory_cell(FILE *out, const struct bench_report_row *row)
{
    double sender = NAN, receiver = NAN;
    char both[64];

    for (size_t i = 0; i < row->n_samples; i++) {
        const struct bench_sample *s = &row->samples[i].s;
        if (s->err != 0)
            continue;
        sender = fmax(sender, mib(s->rss_sender_bytes)); /* of a NAN and a number, the number */
        receiver = fmax(receiver, mib(s->rss_receiver_bytes));
    }
    (void)snprintf(both, sizeof(both), "%.24s, %.24s", bench_text_number(sender).s,
                   bench_text_number(receiver).s);
    cell(out, isnan(sender) && isnan(receiver) ? bench_text_number(NAN).s : both, "");
}

static void row_line(FILE *out, const struct bench_report_row *row)
{
    char samples[64];

    bench_html(out, row->reference ? "<tr class=\"reference\">" : "<tr>");
    head_cell(out, row);
    cell(out, bench_text_rate(row->goodput_bits_per_s.median).s,
         bench_text_rate_range(&row->goodput_bits_per_s).s);
    if (row->reference)
        cell(out, "1", "reference");
    else
        cell(out, bench_text_number(row->ratio.median).s, bench_text_range(&row->ratio).s);
    cell(out, bench_text_number(row->cpu_s_per_gb.median).s,
         bench_text_range(&row->cpu_s_per_gb).s);
    memory_cell(out, row);
    repair_cell(out, row);
    (void)snprintf(samples, sizeof(samples), "%llu", (unsigned long long)row->n_good);
    cell(out, samples, "");
    bench_html(out, "</tr>\n");
    partial_line(out, row);
}

void bench_report_table(FILE *out, const struct bench_report *r,
                        const struct bench_report_link *link, const char *kind)
{
    bench_html(out,
               "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table: %s, %s\">"
               "<table>\n"
               "<thead><tr><th scope=\"col\">Row</th><th scope=\"col\">Goodput</th>"
               "<th scope=\"col\">Ratio to the fastest TCP</th><th scope=\"col\">CPU-s per GB</th>"
               "<th scope=\"col\">MiB of sender, receiver</th>"
               "<th scope=\"col\">Sent again</th><th scope=\"col\">Samples</th></tr></thead>\n"
               "<tbody>\n",
               link->name, bench_text_kind(kind));
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_report_row *row = &r->rows[i];
        if (row->link != link || strcmp(row->kind, kind) != 0)
            continue;
        if (bench_row_failed(row))
            error_line(out, row);
        else
            row_line(out, row);
    }
    bench_html(out, "</tbody></table></div>\n");
}
