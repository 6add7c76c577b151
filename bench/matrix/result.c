/*
 * result - the document of a comparison: what it is made of, and what is read from it.
 */
#include "bench/matrix/result.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- building ---- */

static void set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value);
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_t *value = json_string(text);

    set(object, key, value != NULL ? value : json_string("(no text)"));
}

static json_t *integer(uint64_t value)
{
    return value > INT64_MAX ? json_null() : json_integer((json_int_t)value);
}

/* Where 0 means that there is none. */
static json_t *integer_or_null(uint64_t value)
{
    return value == 0 ? json_null() : integer(value);
}

static json_t *error_new(int err, const char *message)
{
    json_t *error = json_object();

    set_text(error, "code", vly_err_name(err));
    set_text(error, "message", message);
    return error;
}

static json_t *way_new(const struct bench_lab_spec *lab, enum bench_side from)
{
    const struct vly_link_spec *spec = &lab->way[from];
    struct vly_link_model model;
    json_t *way;

    if (lab->kind != BENCH_LAB_EMULATED)
        return json_null();
    way = json_object();
    set(way, "rate_bits_per_s",
        spec->rate_bytes_per_s == 0 ? json_null() : integer(8 * spec->rate_bytes_per_s));
    set(way, "delay_ns", integer(spec->delay_ns));
    set(way, "jitter_ns", integer(spec->jitter_ns));
    set(way, "queue_bytes",
        vly_link_model_init(&model, spec, 0) == 0 ? integer(model.spec.queue_bytes) : json_null());
    set(way, "codel", json_boolean(lab->codel[from].on));
    set(way, "loss", json_real(spec->loss));
    set(way, "burst_enter", json_real(spec->burst_enter));
    set(way, "burst_leave", json_real(spec->burst_leave));
    set(way, "burst_loss", json_real(spec->burst_loss));
    set(way, "reorder", json_real(spec->reorder));
    set(way, "reorder_ns", integer(spec->reorder_ns));
    set(way, "duplicate", json_real(spec->duplicate));
    set(way, "corrupt", json_real(spec->corrupt));
    return way;
}

static const char *kind_name(const struct bench_lab_spec *lab)
{
    switch (lab->kind) {
    case BENCH_LAB_LO:
        return "lo";
    case BENCH_LAB_VETH:
        return "veth";
    case BENCH_LAB_EMULATED:
        return lab->netem ? "netem" : "emulated";
    }
    return "";
}

static json_t *link_new(const struct bench_matrix_link *link)
{
    const struct bench_lab_spec *lab = &link->lab;
    uint32_t mtu_bytes = lab->mtu_bytes;
    json_t *o = json_object();

    if (mtu_bytes == 0)
        mtu_bytes = lab->kind == BENCH_LAB_LO ? 65536 : 1500;
    set_text(o, "name", link->name);
    set_text(o, "kind", kind_name(lab));
    set(o, "mtu_bytes", json_integer(mtu_bytes));
    set(o, "offloads", json_boolean(lab->kind != BENCH_LAB_EMULATED && !lab->offloads_off));
    set(o, "forward", way_new(lab, BENCH_LEFT));
    set(o, "back", way_new(lab, BENCH_RIGHT));
    return o;
}

static json_t *summary_new(void)
{
    json_t *summary = json_object();

    set(summary, "samples", json_integer(0));
    set(summary, "goodput_bits_per_s", json_null());
    set(summary, "ratio", json_null());
    set(summary, "cpu_s_per_gb", json_null());
    set(summary, "retransmits", json_null());
    set(summary, "duration_s", json_null());
    set(summary, "lost_share", json_null());
    return summary;
}

static json_t *row_new(const struct bench_matrix *m, const struct bench_matrix_row *from)
{
    const struct bench_row *row = &from->row;
    json_t *o = json_object();

    set_text(o, "id", from->id);
    set_text(o, "link", m->links[from->link].name);
    set_text(o, "kind", row->kind == BENCH_MEMORY ? "memory" : "file");
    set_text(o, "label", from->label);
    set_text(o, "protocol", row->protocol);
    set_text(o, "cc", row->cc);
    set_text(o, "io", row->io);
    set_text(o, "suite", row->suite);
    set_text(o, "crypto", row->crypto);
    set(o, "bytes", integer_or_null(row->bytes));
    set(o, "duration_ns", integer_or_null(row->duration_ns));
    set(o, "warmup_ns", row->kind == BENCH_MEMORY ? integer(row->warmup_ns) : json_null());
    set(o, "parallel", json_integer(row->parallel));
    set(o, "reverse", json_boolean(row->reverse));
    set(o, "block_bytes", integer_or_null(row->block_bytes));
    set(o, "mss_bytes", integer_or_null(row->mss_bytes));
    set(o, "rate_bits_per_s",
        row->rate_bytes_per_s == 0 ? json_null() : integer(8 * row->rate_bytes_per_s));
    set(o, "reference", json_false());
    set(o, "samples", json_array());
    set(o, "summary", summary_new());
    set(o, "error", error_new(0, ""));
    return o;
}

json_t *bench_result_new(const struct bench_matrix *m, json_t *environment)
{
    json_t *doc = json_object(), *links = json_array(), *rows = json_array();
    time_t now = time(NULL);
    struct tm utc;
    char created[32] = "";

    (void)strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    for (size_t i = 0; i < m->n_links; i++)
        (void)json_array_append_new(links, link_new(&m->links[i]));
    for (size_t i = 0; i < m->n_rows; i++)
        (void)json_array_append_new(rows, row_new(m, &m->rows[i]));
    set_text(doc, "schema", BENCH_RESULT_SCHEMA);
    set_text(doc, "name", m->name);
    set_text(doc, "created", created);
    set(doc, "finished", json_false());
    set(doc, "seed", integer(m->seed));
    set(doc, "precision", m->precision > 0 ? json_real(m->precision) : json_null());
    set(doc, "repeats", json_pack("{s:i, s:i}", "min", m->rounds_min, "max", m->rounds_max));
    set(doc, "max_steal", m->steal.most > 0 ? json_real(m->steal.most) : json_null());
    set(doc, "steal_retries", json_integer(m->steal.retries));
    set_text(doc, "config", m->text);
    set_text(doc, "sentence", "");
    set(doc, "environment", environment);
    set(doc, "links", links);
    set(doc, "rows", rows);
    if (json_array_size(links) == m->n_links && json_array_size(rows) == m->n_rows)
        return doc;
    json_decref(doc);
    return NULL;
}

/* ---- reading ---- */

const char *bench_result_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

json_t *bench_result_row(const json_t *doc, size_t index)
{
    return json_array_get(json_object_get(doc, "rows"), index);
}

size_t bench_result_rows(const json_t *doc)
{
    return json_array_size(json_object_get(doc, "rows"));
}

bool bench_result_is_finished(const json_t *doc)
{
    return json_is_true(json_object_get(doc, "finished"));
}

bool bench_result_is_ok(const json_t *object)
{
    return strcmp(bench_result_text(json_object_get(object, "error"), "code"), "OK") == 0;
}

const char *bench_result_message(const json_t *object)
{
    return bench_result_text(json_object_get(object, "error"), "message");
}

bool bench_result_same_group(const json_t *row, const json_t *other)
{
    return strcmp(bench_result_text(row, "link"), bench_result_text(other, "link")) == 0 &&
           strcmp(bench_result_text(row, "kind"), bench_result_text(other, "kind")) == 0 &&
           json_equal(json_object_get(row, "bytes"), json_object_get(other, "bytes")) == 1;
}

bool bench_result_is_of(const json_t *doc, const struct bench_matrix *m)
{
    if (strcmp(bench_result_text(doc, "config"), m->text) != 0 ||
        bench_result_rows(doc) != m->n_rows)
        return false;
    for (size_t i = 0; i < m->n_rows; i++)
        if (strcmp(bench_result_text(bench_result_row(doc, i), "id"), m->rows[i].id) != 0)
            return false;
    return true;
}

bool bench_result_is_from(const json_t *doc, const json_t *environment)
{
    static const char *const keys[] = {"kernel", "machine", "cpu",
                                       "cores",  "commit",  "tcp_congestion_control_default"};
    const json_t *then = json_object_get(doc, "environment");

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (json_equal(json_object_get(then, keys[i]), json_object_get(environment, keys[i])) != 1)
            return false;
    return true;
}

bool bench_result_has_round(const json_t *row, unsigned round)
{
    size_t i;
    json_t *sample;

    json_array_foreach(json_object_get(row, "samples"), i,
                       sample) if (json_integer_value(json_object_get(sample, "round")) ==
                                   (json_int_t)round) return true;
    return false;
}

unsigned bench_result_failures(const json_t *row)
{
    const json_t *samples = json_object_get(row, "samples");
    unsigned n = 0;

    for (size_t i = json_array_size(samples); i-- > 0; n++)
        if (bench_result_is_ok(json_array_get(samples, i)))
            break;
    return n;
}

static double figure(const json_t *sample, const char *key)
{
    const json_t *value = json_object_get(sample, key);

    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* What was handed over and had not arrived when time was up, of a protocol that sends nothing
 * again. */
static double lost_share(const json_t *row, const json_t *sample)
{
    const char *protocol = bench_result_text(row, "protocol");
    double share = 1 - figure(sample, "bytes") / figure(sample, "sent_bytes");

    if (strcmp(protocol, "udp-raw") != 0 && strcmp(protocol, "iperf3-udp") != 0)
        return (double)NAN;
    return share < 0 ? 0 : share; /* the receiver's time may begin with what was on the way */
}

void bench_result_series(const json_t *row, struct bench_series *out)
{
    size_t i;
    json_t *sample;

    out->n = 0;
    json_array_foreach(json_object_get(row, "samples"), i, sample)
    {
        if (!bench_result_is_ok(sample) || out->n == BENCH_ROUNDS_MAX)
            continue;
        out->round[out->n] = json_integer_value(json_object_get(sample, "round"));
        out->goodput_bits_per_s[out->n] = figure(sample, "goodput_bits_per_s");
        out->cpu_s_per_gb[out->n] =
            (figure(sample, "cpu_sender_ns") + figure(sample, "cpu_receiver_ns")) /
            figure(sample, "total_bytes");
        out->retransmits[out->n] = figure(sample, "retransmits");
        out->duration_s[out->n] = figure(sample, "duration_ns") / 1e9;
        out->lost_share[out->n] = lost_share(row, sample);
        out->n++;
    }
}

bool bench_result_estimate(const json_t *row, const char *key, struct bench_estimate *out)
{
    const json_t *summary = json_object_get(row, "summary");
    const json_t *estimate = json_object_get(summary, key);

    if (!json_is_object(estimate))
        return false;
    *out = (struct bench_estimate){
        .median = json_number_value(json_object_get(estimate, "median")),
        .low = json_number_value(json_object_get(estimate, "low")),
        .high = json_number_value(json_object_get(estimate, "high")),
        .n = (size_t)json_integer_value(json_object_get(estimate, "n")),
    };
    return true;
}

/* ---- what samples amount to ---- */

void bench_result_add(json_t *row, const struct bench_result_run *run, const struct bench_sample *s)
{
    json_t *sample = bench_sample_to_json(s);

    set(sample, "round", json_integer((json_int_t)run->round));
    set(sample, "seed", integer(run->seed));
    set(sample, "taken_again", json_integer((json_int_t)run->taken_again));
    (void)json_array_append_new(json_object_get(row, "samples"), sample);
}

void bench_result_refuse(json_t *row, int err, const char *why)
{
    set(row, "error", error_new(err, why));
}

static json_t *estimate_new(int err, const struct bench_estimate *e)
{
    json_t *o;

    if (err != 0)
        return json_null();
    o = json_object();
    set(o, "median", json_real(e->median));
    set(o, "low", json_real(e->low));
    set(o, "high", json_real(e->high));
    set(o, "n", integer(e->n));
    return o;
}

static void set_median(json_t *summary, const char *key, const double *values, size_t n)
{
    struct bench_estimate e;
    int err = bench_median(values, n, &e);

    set(summary, key, estimate_new(err, &e));
}

int bench_result_ratio(const struct bench_series *own, const struct bench_series *reference,
                       struct bench_estimate *out)
{
    double a[BENCH_ROUNDS_MAX], b[BENCH_ROUNDS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < own->n; i++)
        for (size_t k = 0; k < reference->n; k++) {
            if (own->round[i] != reference->round[k])
                continue;
            a[n] = own->goodput_bits_per_s[i];
            b[n++] = reference->goodput_bits_per_s[k];
            break;
        }
    return bench_paired_ratio(a, b, n, out);
}

static void set_ratio(json_t *summary, const struct bench_series *own,
                      const struct bench_series *reference)
{
    struct bench_estimate e;
    int err = bench_result_ratio(own, reference, &e);

    set(summary, "ratio", estimate_new(err, &e));
}

/* The error of a row that has run: its last one, when nothing came of it or it was given up. */
static void set_error(json_t *row, size_t good)
{
    const json_t *samples = json_object_get(row, "samples");
    size_t n = json_array_size(samples);
    const json_t *last = json_array_get(samples, n - 1);

    if (n == 0)
        return;
    if (good > 0 && bench_result_failures(row) < BENCH_FAILURES_MAX)
        set(row, "error", error_new(0, ""));
    else
        (void)json_object_set(row, "error", json_object_get(last, "error"));
}

static double summarize_alone(json_t *row)
{
    struct bench_series series;
    struct bench_estimate goodput = {0};
    json_t *summary = summary_new();

    bench_result_series(row, &series);
    set(summary, "samples", json_integer((json_int_t)series.n));
    set_median(summary, "goodput_bits_per_s", series.goodput_bits_per_s, series.n);
    set_median(summary, "cpu_s_per_gb", series.cpu_s_per_gb, series.n);
    set_median(summary, "retransmits", series.retransmits, series.n);
    set_median(summary, "duration_s", series.duration_s, series.n);
    set_median(summary, "lost_share", series.lost_share, series.n);
    set(row, "summary", summary);
    set(row, "reference", json_false());
    set_error(row, series.n);
    (void)bench_result_estimate(row, "goodput_bits_per_s", &goodput);
    return goodput.median;
}

/* Plain TCP goes before iperf3's, whatever their speed; of either, a row that runs before one that
 * was given up after a lucky start. */
static int rank_as_reference(const json_t *row)
{
    const char *protocol = bench_result_text(row, "protocol");
    bool ok = bench_result_is_ok(row);

    if (strcmp(protocol, "tcp") == 0)
        return 3 + ok;
    return strcmp(protocol, "iperf3-tcp") == 0 ? 1 + ok : 0;
}

void bench_result_summarize(json_t *doc, size_t first)
{
    json_t *head = bench_result_row(doc, first), *reference = NULL;
    struct bench_series base, own;
    double best = 0;
    int rank = 0;

    for (size_t i = first; i < bench_result_rows(doc); i++) {
        json_t *row = bench_result_row(doc, i);
        double median;
        int own_rank;
        if (!bench_result_same_group(row, head))
            continue;
        median = summarize_alone(row);
        own_rank = rank_as_reference(row);
        if (own_rank < rank || median <= 0 || own_rank == 0 || (own_rank == rank && median <= best))
            continue;
        reference = row;
        best = median;
        rank = own_rank;
    }
    if (reference == NULL)
        return;
    set(reference, "reference", json_true());
    bench_result_series(reference, &base);
    for (size_t i = first; i < bench_result_rows(doc); i++) {
        json_t *row = bench_result_row(doc, i);
        if (!bench_result_same_group(row, head))
            continue;
        bench_result_series(row, &own);
        set_ratio(json_object_get(row, "summary"), &own, &base);
    }
}

void bench_result_finish(json_t *doc, const char *sentence)
{
    set_text(doc, "sentence", sentence);
    set(doc, "finished", json_true());
}
