/*
 * csv - a result as comma-separated values (RFC 4180): a line a sample.
 */
#include "bench/report/csv.h"

#include "bench/report/report_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void bench_csv_field(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        (void)fputs(text, out);
        return;
    }
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            (void)fputc('"', out);
        (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}

/* Every field but the first of a line has a comma before it. */
static void text(FILE *out, const char *value)
{
    (void)fputc(',', out);
    bench_csv_field(out, value);
}

static void count(FILE *out, uint64_t value)
{
    (void)fputc(',', out);
    if (value != BENCH_UNKNOWN)
        (void)fprintf(out, "%" PRIu64, value);
}

static void number(FILE *out, double value)
{
    (void)fputc(',', out);
    if (isfinite(value))
        (void)fprintf(out, "%.12g", value);
}

static void header(FILE *out)
{
    (void)fputs("name,created,commit,id,link,link_kind,mtu_bytes,offloads,link_rate_bits_per_s,"
                "link_rtt_s,link_loss,link_queue_bytes,kind,protocol,cc_asked,io_asked,suite_asked,"
                "crypto_asked,row_bytes,"
                "row_duration_ns,warmup_ns,parallel,reverse,block_bytes,mss_bytes,rate_bits_per_s,"
                "reference,sample,round,seed,taken_again,cc,io,suite,crypto,goodput_bits_per_s,cpu_"
                "s_per_gb",
                out);
#define X(name, text) (void)fputs("," #name, out);
    BENCH_FIGURES(X)
#undef X
    (void)fputs(",error,message\r\n", out);
}

/* The direction that the data takes. */
static const struct bench_report_way *way_of(const struct bench_report_row *row)
{
    return row->reverse ? &row->link->back : &row->link->forward;
}

static void identify(FILE *out, const struct bench_report *r, const struct bench_report_row *row)
{
    const struct bench_report_link *link = row->link;
    const struct bench_report_way *way = way_of(row);
    const char *commit = json_string_value(json_object_get(r->environment, "commit"));

    bench_csv_field(out, r->name);
    text(out, r->created);
    text(out, commit != NULL ? commit : "");
    text(out, row->id);
    text(out, link->name);
    text(out, link->kind);
    count(out, link->mtu_bytes);
    text(out, link->offloads ? "true" : "false");
    count(out, link->has_ways ? way->rate_bits_per_s : BENCH_UNKNOWN);
    number(out, bench_link_rtt_s(link));
    number(out, link->has_ways ? bench_way_loss(way) : NAN);
    count(out, link->has_ways ? way->queue_bytes : BENCH_UNKNOWN);
    text(out, row->kind);
    text(out, row->protocol);
    text(out, row->cc);
    text(out, row->io);
    text(out, row->suite);
    text(out, row->crypto);
    count(out, row->bytes);
    count(out, row->duration_ns);
    count(out, row->warmup_ns);
    count(out, row->parallel);
    text(out, row->reverse ? "true" : "false");
    count(out, row->block_bytes);
    count(out, row->mss_bytes);
    count(out, row->rate_bits_per_s);
    text(out, row->reference ? "true" : "false");
}

static void sample_line(FILE *out, const struct bench_report_row *row, size_t nth)
{
    const struct bench_report_sample *sample = &row->samples[nth];
    const struct bench_sample *s = &sample->s;

    count(out, nth);
    count(out, sample->round);
    count(out, sample->seed);
    count(out, sample->taken_again);
    text(out, s->cc);
    text(out, s->io);
    text(out, s->suite);
    text(out, s->crypto);
    number(out, bench_sample_goodput(s));
    number(out, bench_sample_cpu_per_gb(s));
#define X(name, text) count(out, s->name);
    BENCH_FIGURES(X)
#undef X
    text(out, vly_err_name(s->err));
    text(out, s->error);
    (void)fputs("\r\n", out);
}

/* A line for a row that was never run: no sample, its own error. */
static void empty_line(FILE *out, const struct bench_report_row *row)
{
    /* sample, round, seed, taken_again, cc, io, suite, crypto, goodput; the comma of cpu follows */
    (void)fputs(",,,,,,,,,", out);
    (void)fputc(',', out);
#define X(name, text) (void)fputc(',', out);
    BENCH_FIGURES(X)
#undef X
    text(out, row->err_code);
    text(out, row->err_message);
    (void)fputs("\r\n", out);
}

void bench_csv_write(FILE *out, const struct bench_report *r)
{
    header(out);
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_report_row *row = &r->rows[i];
        for (size_t k = 0; k < row->n_samples; k++) {
            identify(out, r, row);
            sample_line(out, row, k);
        }
        if (row->n_samples > 0)
            continue;
        identify(out, r, row);
        empty_line(out, row);
    }
}
