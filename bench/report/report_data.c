/*
 * report_data - a result file as structs, checked.
 *
 * A reader is sticky: after the first thing that is wrong it reads nothing more, and keeps the line
 * that says where it was. So everything is read in a row and checked once.
 */
#include "bench/report/report_data.h"

#include "bench/report/report_text.h"
#include "file/path.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    int err;
    char *why;      /* of BENCH_WHY_BYTES */
    char where[64]; /* "rows[3].samples[0]." */
};

static void reader_fail(struct reader *r, int err, const char *key, const char *what)
{
    if (r->err != 0)
        return;
    r->err = err;
    (void)snprintf(r->why, BENCH_WHY_BYTES, "%s%s %s", r->where, key, what);
}

/* The member, NULL and an error when it is not there; `o` NULL is an earlier error. */
static const json_t *member(struct reader *r, const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);

    if (value == NULL && o != NULL)
        reader_fail(r, VLY_E_MALFORMED, key, "is missing");
    return value;
}

static const char *text(struct reader *r, const json_t *o, const char *key)
{
    const json_t *value = member(r, o, key);
    const char *content = json_string_value(value);

    if (value != NULL && content == NULL)
        reader_fail(r, VLY_E_MALFORMED, key, "is not a text");
    return content != NULL ? content : "";
}

static bool boolean(struct reader *r, const json_t *o, const char *key)
{
    const json_t *value = member(r, o, key);

    if (value != NULL && !json_is_boolean(value))
        reader_fail(r, VLY_E_MALFORMED, key, "is neither true nor false");
    return json_is_true(value);
}

static const json_t *array(struct reader *r, const json_t *o, const char *key)
{
    const json_t *value = member(r, o, key);

    if (value != NULL && !json_is_array(value))
        reader_fail(r, VLY_E_MALFORMED, key, "is not an array");
    return json_is_array(value) ? value : NULL;
}

static const json_t *object(struct reader *r, const json_t *o, const char *key)
{
    const json_t *value = member(r, o, key);

    if (value != NULL && !json_is_object(value))
        reader_fail(r, VLY_E_MALFORMED, key, "is not an object");
    return json_is_object(value) ? value : NULL;
}

/* A whole number or null. */
static uint64_t count(struct reader *r, const json_t *o, const char *key)
{
    const json_t *value = member(r, o, key);

    if (json_is_integer(value) && json_integer_value(value) >= 0)
        return (uint64_t)json_integer_value(value);
    if (value != NULL && !json_is_null(value))
        reader_fail(r, VLY_E_MALFORMED, key, "is not a whole number from 0");
    return BENCH_UNKNOWN;
}

static uint64_t known_count(struct reader *r, const json_t *o, const char *key)
{
    uint64_t value = count(r, o, key);

    if (value == BENCH_UNKNOWN && o != NULL)
        reader_fail(r, VLY_E_MALFORMED, key, "is null");
    return value;
}

static double number_or_null(struct reader *r, const json_t *o, const char *key)
{
    const json_t *value = member(r, o, key);

    if (json_is_number(value))
        return json_number_value(value);
    if (value != NULL && !json_is_null(value))
        reader_fail(r, VLY_E_MALFORMED, key, "is not a number");
    return NAN;
}

/* A share that need not be there. */
static double share(struct reader *r, const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);

    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_number(value) || json_number_value(value) < 0 || json_number_value(value) > 1) {
        reader_fail(r, VLY_E_MALFORMED, key, "is not a share from 0 to 1");
        return 0;
    }
    return json_number_value(value);
}

static struct bench_estimate estimate(struct reader *r, const json_t *o, const char *key)
{
    const json_t *value = member(r, o, key);
    struct bench_estimate e = {.median = NAN, .low = NAN, .high = NAN};

    if (value == NULL || json_is_null(value))
        return e;
    if (!json_is_object(value)) {
        reader_fail(r, VLY_E_MALFORMED, key, "is neither an object nor null");
        return e;
    }
    e.median = number_or_null(r, value, "median");
    e.low = number_or_null(r, value, "low");
    e.high = number_or_null(r, value, "high");
    return e;
}

/* ---- links ---- */

static struct bench_report_way way(struct reader *r, const json_t *o)
{
    struct bench_report_way w = {
        .rate_bits_per_s = count(r, o, "rate_bits_per_s"),
        .delay_ns = count(r, o, "delay_ns"),
        .jitter_ns = count(r, o, "jitter_ns"),
        .queue_bytes = count(r, o, "queue_bytes"),
        .codel = json_is_true(json_object_get(o, "codel")),
        .burst_enter = share(r, o, "burst_enter"),
        .burst_leave = share(r, o, "burst_leave"),
        .burst_loss = share(r, o, "burst_loss"),
        .reorder = share(r, o, "reorder"),
        .duplicate = share(r, o, "duplicate"),
        .corrupt = share(r, o, "corrupt"),
    };

    (void)member(r, o, "loss");
    w.loss = share(r, o, "loss");
    return w;
}

static void link_read(struct reader *r, const json_t *o, struct bench_report_link *out)
{
    const json_t *forward = member(r, o, "forward"), *back = member(r, o, "back");

    out->name = text(r, o, "name");
    out->kind = text(r, o, "kind");
    out->mtu_bytes = known_count(r, o, "mtu_bytes");
    out->offloads = boolean(r, o, "offloads");
    out->has_ways = json_is_object(forward) && json_is_object(back);
    if (!out->has_ways && (!json_is_null(forward) || !json_is_null(back)))
        reader_fail(r, VLY_E_MALFORMED, "forward",
                    "and back are neither two objects nor two nulls");
    if (!out->has_ways)
        return;
    out->forward = way(r, forward);
    out->back = way(r, back);
}

static const struct bench_report_link *
link_find(struct reader *r, const struct bench_report *report, const char *name)
{
    for (size_t i = 0; i < report->n_links; i++) {
        assert(report->links[i].name != NULL); /* link_read left none out */
        if (strcmp(report->links[i].name, name) == 0)
            return &report->links[i];
    }
    reader_fail(r, VLY_E_MALFORMED, "link", "is none of the links");
    return NULL;
}

/* ---- rows ---- */

static void intervals_check(struct reader *r, const json_t *list)
{
    for (size_t i = 0; r->err == 0 && i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        (void)known_count(r, o, "begin_ns");
        (void)known_count(r, o, "end_ns");
        (void)known_count(r, o, "bytes");
    }
}

/* Whether older results do not have that figure. */
static bool is_later(const char *figure)
{
    static const char *const later[] = {"cpu_steal_ns", "cpu_all_ns", "rss_sender_bytes",
                                        "rss_receiver_bytes", "datagram_bytes"};

    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
        if (strcmp(later[i], figure) == 0)
            return true;
    return false;
}

static void sample_read(struct reader *r, const json_t *o, struct bench_report_sample *out)
{
    bench_sample_init(&out->s);
    if (r->err != 0)
        return;
    out->round = known_count(r, o, "round");
    out->seed = known_count(r, o, "seed");
    out->taken_again = BENCH_UNKNOWN;
    if (json_object_get(o, "taken_again") != NULL)
        out->taken_again = known_count(r, o, "taken_again");
#define X(name, text)                                          \
    if (!is_later(#name) || json_object_get(o, #name) != NULL) \
        (void)count(r, o, #name);
    BENCH_FIGURES(X)
#undef X
    if (r->err == 0) {
        int err = bench_sample_from_json(&out->s, o);
        if (err != 0)
            reader_fail(r, err, "error, cc, io or intervals", "is not as the schema has it");
    }
    intervals_check(r, json_object_get(o, "intervals"));
}

static void samples_read(struct reader *r, const json_t *list, size_t nth,
                         struct bench_report_row *out)
{
    size_t n = json_array_size(list);

    if (n == 0 || r->err != 0)
        return;
    out->samples = calloc(n, sizeof(*out->samples));
    if (out->samples == NULL) {
        reader_fail(r, VLY_E_NOMEM, "samples", "do not fit into memory");
        return;
    }
    for (; out->n_samples < n; out->n_samples++) {
        struct bench_report_sample *sample = &out->samples[out->n_samples];
        (void)snprintf(r->where, sizeof(r->where), "rows[%zu].samples[%zu].", nth, out->n_samples);
        sample_read(r, json_array_get(list, out->n_samples), sample);
        out->n_good += r->err == 0 && sample->s.err == 0;
    }
}

static void summary_read(struct reader *r, const json_t *o, struct bench_report_row *out)
{
    out->goodput_bits_per_s = estimate(r, o, "goodput_bits_per_s");
    out->ratio = estimate(r, o, "ratio");
    out->cpu_s_per_gb = estimate(r, o, "cpu_s_per_gb");
    out->retransmits = estimate(r, o, "retransmits");
    out->duration_s = estimate(r, o, "duration_s");
    out->lost_share.median = NAN; /* older results have none */
    if (json_object_get(o, "lost_share") != NULL)
        out->lost_share = estimate(r, o, "lost_share");
}

/* A text that older results do not have. */
static const char *later_text(const json_t *o, const char *key)
{
    const char *value = json_string_value(json_object_get(o, key));

    return value != NULL ? value : "";
}

static void row_read(struct reader *r, const json_t *o, size_t nth,
                     const struct bench_report *report, struct bench_report_row *out)
{
    const json_t *error = object(r, o, "error");

    out->id = text(r, o, "id");
    out->kind = text(r, o, "kind");
    out->protocol = text(r, o, "protocol");
    out->cc = text(r, o, "cc");
    out->io = text(r, o, "io");
    out->suite = later_text(o, "suite");
    out->crypto = later_text(o, "crypto");
    out->bytes = count(r, o, "bytes");
    out->duration_ns = count(r, o, "duration_ns");
    out->warmup_ns = count(r, o, "warmup_ns");
    out->parallel = known_count(r, o, "parallel");
    out->reverse = boolean(r, o, "reverse");
    out->block_bytes = count(r, o, "block_bytes");
    out->mss_bytes = count(r, o, "mss_bytes");
    out->rate_bits_per_s = count(r, o, "rate_bits_per_s");
    out->reference = boolean(r, o, "reference");
    out->err_code = text(r, error, "code");
    out->err_message = text(r, error, "message");
    out->link = link_find(r, report, text(r, o, "link"));
    summary_read(r, object(r, o, "summary"), out);
    samples_read(r, array(r, o, "samples"), nth, out);
}

/* ---- the whole ---- */

static void links_read(struct reader *r, struct bench_report *out)
{
    const json_t *list = array(r, out->root, "links");
    size_t n = json_array_size(list);

    if (n > BENCH_REPORT_LINKS_MAX)
        reader_fail(r, VLY_E_LIMIT, "links", "are too many");
    if (r->err != 0 || n == 0)
        return;
    out->links = calloc(n, sizeof(*out->links));
    if (out->links == NULL)
        reader_fail(r, VLY_E_NOMEM, "links", "do not fit into memory");
    for (; r->err == 0 && out->n_links < n; out->n_links++) {
        (void)snprintf(r->where, sizeof(r->where), "links[%zu].", out->n_links);
        link_read(r, json_array_get(list, out->n_links), &out->links[out->n_links]);
    }
    r->where[0] = '\0';
}

static void rows_read(struct reader *r, struct bench_report *out)
{
    const json_t *list = array(r, out->root, "rows");
    size_t n = json_array_size(list);

    if (n > BENCH_REPORT_ROWS_MAX)
        reader_fail(r, VLY_E_LIMIT, "rows", "are too many");
    if (r->err != 0 || n == 0)
        return;
    out->rows = calloc(n, sizeof(*out->rows));
    if (out->rows == NULL)
        reader_fail(r, VLY_E_NOMEM, "rows", "do not fit into memory");
    for (; r->err == 0 && out->n_rows < n; out->n_rows++) {
        (void)snprintf(r->where, sizeof(r->where), "rows[%zu].", out->n_rows);
        row_read(r, json_array_get(list, out->n_rows), out->n_rows, out, &out->rows[out->n_rows]);
    }
    r->where[0] = '\0';
}

/* What the page says about the machine; further members are shown when they are there. */
static void environment_check(struct reader *r, const json_t *o)
{
    static const char *const texts[] = {"kernel", "machine", "cpu",
                                        "tcp_congestion_control_default", "commit"};

    (void)snprintf(r->where, sizeof(r->where), "environment.");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        (void)text(r, o, texts[i]);
    (void)known_count(r, o, "cores");
    (void)count(r, o, "memory_bytes");
    (void)array(r, o, "tcp_congestion_controls");
    (void)object(r, o, "sysctls");
    (void)object(r, o, "offloads");
    (void)object(r, o, "versions");
    r->where[0] = '\0';
}

static int schema_check(const json_t *root, char why[BENCH_WHY_BYTES])
{
    const char *schema = json_string_value(json_object_get(root, "schema"));
    struct vly_shown shown;

    if (schema == NULL) {
        (void)snprintf(why, BENCH_WHY_BYTES,
                       "is not a result of volley bench: it has no text \"schema\"");
        return VLY_E_MALFORMED;
    }
    if (strcmp(schema, BENCH_REPORT_SCHEMA) == 0)
        return 0;
    shown = vly_shown(schema);
    (void)snprintf(why, BENCH_WHY_BYTES, "has the schema '%.60s', and this program reads %s",
                   shown.text, BENCH_REPORT_SCHEMA);
    return VLY_E_MALFORMED;
}

int bench_report_from_json(struct bench_report *out, json_t *root, char why[BENCH_WHY_BYTES])
{
    struct reader r = {.why = why};
    const json_t *repeats;

    *out = (struct bench_report){.root = root};
    r.err = schema_check(root, why);
    if (r.err != 0)
        goto fail;
    out->name = text(&r, root, "name");
    out->created = text(&r, root, "created");
    out->config = text(&r, root, "config");
    out->sentence = text(&r, root, "sentence");
    out->finished = boolean(&r, root, "finished");
    out->seed = known_count(&r, root, "seed");
    out->precision = number_or_null(&r, root, "precision");
    repeats = object(&r, root, "repeats");
    out->repeats_min = known_count(&r, repeats, "min");
    out->repeats_max = known_count(&r, repeats, "max");
    out->environment = object(&r, root, "environment");
    environment_check(&r, out->environment);
    links_read(&r, out);
    rows_read(&r, out);
    if (r.err != 0)
        goto fail;
    bench_report_label(out);
    return 0;

fail:
    bench_report_free(out);
    return r.err;
}

/* The error of an errno; why it is no JSON stands in `e` when it is 0. */
static int load_refuse(int saved_errno, const json_error_t *e, char why[BENCH_WHY_BYTES])
{
    if (saved_errno == 0) {
        (void)snprintf(why, BENCH_WHY_BYTES, "is not JSON: line %d: %.100s", e->line,
                       vly_shown(e->text).text);
        return VLY_E_MALFORMED;
    }
    (void)snprintf(why, BENCH_WHY_BYTES, "cannot be read: %s", strerror(saved_errno));
    if (saved_errno == ENOENT || saved_errno == ENOTDIR)
        return VLY_E_NOT_FOUND;
    if (saved_errno == EACCES)
        return VLY_E_PERMISSION;
    return saved_errno == EISDIR ? VLY_E_IS_DIRECTORY : VLY_E_IO;
}

int bench_report_load(struct bench_report *out, const char *path, char why[BENCH_WHY_BYTES])
{
    json_error_t e = {.line = 0};
    json_t *root = NULL;
    FILE *file = fopen(path, "re");
    int saved_errno = errno;

    *out = (struct bench_report){.root = NULL};
    if (file != NULL) {
        errno = 0;
        root = json_loadf(file, JSON_REJECT_DUPLICATES, &e);
        saved_errno = ferror(file) ? errno : 0;
        (void)fclose(file);
    }
    if (root == NULL)
        return load_refuse(saved_errno, &e, why);
    return bench_report_from_json(out, root, why);
}

void bench_report_free(struct bench_report *r)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        for (size_t k = 0; k < r->rows[i].n_samples; k++)
            bench_sample_fini(&r->rows[i].samples[k].s);
        free(r->rows[i].samples);
    }
    free(r->rows);
    free(r->links);
    json_decref(r->root);
    *r = (struct bench_report){.root = NULL};
}
