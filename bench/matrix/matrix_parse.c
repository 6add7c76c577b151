/*
 * matrix_parse - a matrix file line by line: settings, links, rows.
 *
 * A line of links or rows is kept as its keys with all their values, and counted through like an
 * odometer: the last key turns fastest.
 */
#include "bench/matrix/matrix_internal.h"
#include "cli/quantity.h"
#include "file/path.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEMPLATES_MAX 128 /* rows before they are multiplied by links */
#define WORDS_MAX (BENCH_KEYS_MAX + 2)
#define BLANKS " \t\r"

/* A row that will be run over every link. */
struct row_template {
    char label[BENCH_TAG_BYTES];
    struct bench_row row;
};

struct parser {
    struct bench_matrix *m;
    const char *file;
    unsigned line;
    char *why;
    struct bench_matrix_defaults defaults;
    uint32_t seen; /* settings, one bit each */
    size_t n_templates;
    struct row_template templates[TEMPLATES_MAX];
};

static int refuse(const struct parser *p, const char *format, ...) VLY_PRINTF(2, 3);

static int refuse(const struct parser *p, const char *format, ...)
{
    char text[BENCH_WHY_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)snprintf(p->why, BENCH_WHY_BYTES, "%.100s:%u: %.140s", vly_shown(p->file).text, p->line,
                   text);
    return VLY_E_INVALID;
}

/* A word of the file, shown in an error. */
static struct vly_shown shown(const char *text)
{
    struct vly_shown out = vly_shown(text);

    if (strlen(out.text) > 40)
        memcpy(out.text + 37, "...", 4);
    return out;
}

/* ---- settings ---- */

int bench_rounds_parse(const char *text, unsigned *out_min, unsigned *out_max)
{
    const char *dots = strstr(text, "..");
    size_t len = dots != NULL ? (size_t)(dots - text) : strlen(text);
    char first[16];
    uint64_t min, max;

    if (len >= sizeof(first))
        return VLY_E_INVALID;
    memcpy(first, text, len);
    first[len] = '\0';
    if (vly_number_parse(first, &min) != 0 ||
        vly_number_parse(dots != NULL ? dots + 2 : first, &max) != 0 || min < 1 || min > max ||
        max > BENCH_ROUNDS_MAX)
        return VLY_E_INVALID;
    *out_min = (unsigned)min;
    *out_max = (unsigned)max;
    return 0;
}

static bool set_name(struct parser *p, const char *value)
{
    size_t len = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    return value[len] == '\0' && len < sizeof(p->m->name) && value[0] != '.' &&
           snprintf(p->m->name, sizeof(p->m->name), "%s", value) > 0;
}

static bool set_seed(struct parser *p, const char *value)
{
    return vly_number_parse(value, &p->m->seed) == 0 && p->m->seed <= BENCH_SEED_MAX;
}

static bool set_repeats(struct parser *p, const char *value)
{
    return bench_rounds_parse(value, &p->m->rounds_min, &p->m->rounds_max) == 0;
}

static bool set_precision(struct parser *p, const char *value)
{
    return vly_share_parse(value, &p->m->precision) == 0;
}

static bool set_max_steal(struct parser *p, const char *value)
{
    return vly_share_parse(value, &p->m->steal.most) == 0;
}

static bool set_steal_retries(struct parser *p, const char *value)
{
    uint64_t n;

    if (vly_number_parse(value, &n) != 0 || n > BENCH_STEAL_RETRIES_MAX)
        return false;
    p->m->steal.retries = (unsigned)n;
    return true;
}

static bool positive_time(const char *value, uint64_t *out_ns)
{
    return vly_duration_parse(value, out_ns) == 0 && *out_ns > 0 && *out_ns <= VLY_S(3600);
}

static bool set_time(struct parser *p, const char *value)
{
    return positive_time(value, &p->defaults.time_ns);
}

static bool set_warmup(struct parser *p, const char *value)
{
    return vly_duration_parse(value, &p->defaults.warmup_ns) == 0 &&
           p->defaults.warmup_ns <= VLY_S(3600);
}

static bool set_interval(struct parser *p, const char *value)
{
    return positive_time(value, &p->defaults.interval_ns) && p->defaults.interval_ns >= VLY_MS(10);
}

static bool set_timeout(struct parser *p, const char *value)
{
    return positive_time(value, &p->m->timeout_ns);
}

static bool set_size(struct parser *p, const char *value)
{
    return vly_size_parse(value, &p->defaults.size_bytes) == 0 && p->defaults.size_bytes > 0 &&
           p->defaults.size_bytes <= INT64_MAX;
}

static bool set_directory(struct parser *p, const char *value)
{
    p->m->directory = strdup(value);
    return p->m->directory != NULL && value[0] == '/';
}

static const struct setting {
    const char *name, *expected;
    bool (*set)(struct parser *p, const char *value);
} settings[] = {
    {"name", "letters, digits, dots, dashes", set_name},
    {"seed", "a whole number", set_seed},
    {"repeats", "MIN..MAX, 1 to 200", set_repeats},
    {"precision", "a share such as 2%", set_precision},
    {"max-steal", "a share such as 2%", set_max_steal},
    {"steal-retries", "a number, 0 to 100", set_steal_retries},
    {"time", "a time such as 5s, at most 1h", set_time},
    {"warmup", "a time such as 1s, at most 1h", set_warmup},
    {"interval", "a time such as 500ms, 10ms to 1h", set_interval},
    {"timeout", "a time such as 60s, at most 1h", set_timeout},
    {"size", "a size such as 64MiB", set_size},
    {"directory", "a path that begins with /", set_directory},
};

static const struct setting *setting_find(const char *name)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

static int setting_line(struct parser *p, const struct setting *s, char **words, size_t n)
{
    uint32_t bit = UINT32_C(1) << (s - settings);

    if (p->m->n_links > 0 || p->n_templates > 0)
        return refuse(p, "'%s' belongs above the first link and row", s->name);
    if ((p->seen & bit) != 0)
        return refuse(p, "'%s' stands there twice", s->name);
    if (n != 2 || !s->set(p, words[1]))
        return refuse(p, "%s takes %s, not '%s'", s->name, s->expected,
                      n > 1 ? shown(words[n == 2 ? 1 : 2]).text : "");
    p->seen |= bit;
    return 0;
}

/* ---- lines with keys ---- */

struct dimension {
    const struct bench_matrix_key *key;
    const char *values[BENCH_CHOICES_MAX];
    size_t n, at;
};

struct product {
    struct dimension d[BENCH_KEYS_MAX];
    size_t n;
};

static int dimension_fill(const struct parser *p, struct dimension *d, char *values)
{
    char *rest = values;

    for (char *value; (value = strsep(&rest, ",")) != NULL;) {
        if (d->n == BENCH_CHOICES_MAX)
            return refuse(p, "%s= has more than %d values", d->key->name, BENCH_CHOICES_MAX);
        d->values[d->n++] = value;
    }
    return 0;
}

/* Takes "key=a,b" words apart, in place. */
static int product_fill(const struct parser *p, struct product *product,
                        const struct bench_matrix_key *keys, char **words, size_t n)
{
    *product = (struct product){.n = 0};
    for (size_t i = 0; i < n; i++) {
        char *value = strchr(words[i], '=');
        const struct bench_matrix_key *key = keys;
        struct dimension *d = &product->d[product->n];
        int err;
        if (value == NULL)
            return refuse(p, "expected KEY=VALUE, not '%s'", shown(words[i]).text);
        *value++ = '\0';
        while (key->name != NULL && strcmp(key->name, words[i]) != 0)
            key++;
        if (key->name == NULL)
            return refuse(p, "'%s=' does not belong here", shown(words[i]).text);
        for (size_t k = 0; k < product->n; k++)
            if (product->d[k].key == key)
                return refuse(p, "'%s=' stands there twice", key->name);
        d->key = key;
        err = dimension_fill(p, d, value);
        if (err != 0)
            return err;
        product->n++;
    }
    return 0;
}

/* The next combination; false after the last one. */
static bool product_turn(struct product *product)
{
    for (size_t i = product->n; i-- > 0;) {
        if (++product->d[i].at < product->d[i].n)
            return true;
        product->d[i].at = 0;
    }
    return false;
}

/* Sets the keys of one combination, and appends what they add to a name. */
static int product_apply(const struct parser *p, const struct product *product,
                         struct bench_matrix_draft *draft, char name[BENCH_TAG_BYTES])
{
    for (size_t i = 0; i < product->n; i++) {
        const struct dimension *d = &product->d[i];
        const char *value = d->values[d->at], *prefix = "";
        size_t len = strlen(name);
        int added;
        if (!d->key->set(draft, value))
            return refuse(p, "%s= takes %s, not '%s'", d->key->name, d->key->expected,
                          shown(value).text);
        if (d->key->tag == NULL)
            continue;
        if (strcmp(value, "on") == 0 || strcmp(value, "off") == 0) {
            prefix = value[1] == 'n' ? "" : "no";
            value = "";
        }
        added = snprintf(name + len, BENCH_TAG_BYTES - len, "%s%s%s%s", len > 0 ? "-" : "", prefix,
                         d->key->tag, value);
        if (added < 0 || (size_t)added >= BENCH_TAG_BYTES - len)
            return refuse(p, "the name '%s...' becomes too long", name);
    }
    return 0;
}

/* ---- links ---- */

static int link_add(struct parser *p, const struct product *product,
                    const struct bench_lab_spec *base)
{
    struct bench_matrix_draft draft = {.lab = *base};
    struct bench_matrix_link *link = &p->m->links[p->m->n_links];
    char tags[BENCH_TAG_BYTES] = "", first[32] = "";
    const char *wrong;
    int err, len;

    if (p->m->n_links == BENCH_LINKS_MAX)
        return refuse(p, "there are more than %d links", BENCH_LINKS_MAX);
    err = product_apply(p, product, &draft, tags);
    if (err != 0)
        return err;
    wrong = bench_matrix_link_finish(&draft);
    if (wrong != NULL)
        return refuse(p, "%s", wrong);
    if (base->kind == BENCH_LAB_LO)
        (void)snprintf(first, sizeof(first), "lo");
    else if (base->kind == BENCH_LAB_VETH)
        (void)snprintf(first, sizeof(first), "veth-%u", draft.lab.mtu_bytes);
    else if (base->netem)
        (void)snprintf(first, sizeof(first), "netem");
    *link = (struct bench_matrix_link){.lab = draft.lab};
    len = snprintf(link->name, sizeof(link->name), "%s%s%s", first,
                   first[0] != '\0' && tags[0] != '\0' ? "-" : "", tags);
    if (len < 0 || (size_t)len >= sizeof(link->name))
        return refuse(p, "the name '%s...' becomes too long", link->name);
    for (size_t i = 0; i < p->m->n_links; i++)
        if (strcmp(p->m->links[i].name, link->name) == 0)
            return refuse(p, "the link %s stands there twice", link->name);
    p->m->n_links++;
    return 0;
}

static int link_line(struct parser *p, char **words, size_t n)
{
    static const struct link_word {
        const char *name;
        struct bench_lab_spec lab;
    } kinds[] = {
        {"lo", {.kind = BENCH_LAB_LO}},
        {"veth", {.kind = BENCH_LAB_VETH, .mtu_bytes = 1500}},
        {"emulated", {.kind = BENCH_LAB_EMULATED}},
        {"netem", {.kind = BENCH_LAB_EMULATED, .netem = true}},
    };
    struct product product;
    size_t k = 0;
    int err;

    while (k < sizeof(kinds) / sizeof(kinds[0]) && (n < 2 || strcmp(words[1], kinds[k].name) != 0))
        k++;
    if (k == sizeof(kinds) / sizeof(kinds[0]))
        return refuse(p, "link takes lo, veth, emulated or netem, not '%s'",
                      n > 1 ? shown(words[1]).text : "");
    err = product_fill(p, &product, bench_matrix_link_keys(kinds[k].lab.kind), words + 2, n - 2);
    if (err != 0)
        return err;
    do
        err = link_add(p, &product, &kinds[k].lab);
    while (err == 0 && product_turn(&product));
    return err;
}

/* ---- rows ---- */

static int row_add(struct parser *p, const struct product *product, const char *protocol,
                   enum bench_kind kind)
{
    struct bench_matrix_draft draft = {
        .row = {.kind = kind, .parallel = 1, .warmup_ns = UINT64_MAX}};
    struct row_template *t = &p->templates[p->n_templates];
    const char *wrong;
    int err;

    if (p->n_templates == TEMPLATES_MAX)
        return refuse(p, "there are more than %d rows for a link", TEMPLATES_MAX);
    *t = (struct row_template){.row.kind = kind};
    (void)snprintf(draft.row.protocol, sizeof(draft.row.protocol), "%s", protocol);
    (void)snprintf(t->label, sizeof(t->label), "%s", protocol);
    err = product_apply(p, product, &draft, t->label);
    if (err != 0)
        return err;
    wrong = bench_matrix_row_finish(&draft, &p->defaults);
    if (wrong != NULL)
        return refuse(p, "%s", wrong);
    for (size_t i = 0; i < p->n_templates; i++)
        if (p->templates[i].row.kind == kind && strcmp(p->templates[i].label, t->label) == 0)
            return refuse(p, "the row %s stands there twice", t->label);
    t->row = draft.row;
    p->n_templates++;
    return 0;
}

static int row_line(struct parser *p, enum bench_kind kind, char **words, size_t n)
{
    const char *protocol = n > 1 ? words[1] : "";
    const char *wrong = bench_matrix_protocol_check(protocol, kind);
    struct product product;
    int err;

    if (wrong != NULL)
        return refuse(p, "%s: '%s' %s", words[0], shown(protocol).text, wrong);
    err = product_fill(p, &product, bench_matrix_row_keys(kind), words + 2, n - 2);
    if (err != 0)
        return err;
    do
        err = row_add(p, &product, protocol, kind);
    while (err == 0 && product_turn(&product));
    return err;
}

/* ---- the whole ---- */

static int line_parse(struct parser *p, char *line)
{
    char *words[WORDS_MAX], *rest = line;
    const struct setting *setting;
    size_t n = 0;

    line[strcspn(line, "#")] = '\0';
    for (char *word; (word = strsep(&rest, BLANKS)) != NULL;) {
        if (*word == '\0')
            continue;
        if (n == WORDS_MAX)
            return refuse(p, "there are more than %d words", WORDS_MAX);
        words[n++] = word;
    }
    if (n == 0)
        return 0;
    if (strcmp(words[0], "link") == 0)
        return link_line(p, words, n);
    if (strcmp(words[0], "memory") == 0)
        return row_line(p, BENCH_MEMORY, words, n);
    if (strcmp(words[0], "file") == 0)
        return row_line(p, BENCH_FILE, words, n);
    setting = setting_find(words[0]);
    if (setting == NULL)
        return refuse(p, "expected a setting, link, memory or file, not '%s'",
                      shown(words[0]).text);
    return setting_line(p, setting, words, n);
}

static int lines_parse(struct parser *p, char *text)
{
    char *rest = text;

    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        int err;
        p->line++;
        err = line_parse(p, line);
        if (err != 0)
            return err;
    }
    if (p->m->n_links == 0)
        return refuse(p, "there is no link; add a line such as 'link lo'");
    if (p->n_templates == 0)
        return refuse(p, "there is no row; add a line such as 'memory tcp'");
    if (p->m->n_links * p->n_templates > BENCH_ROWS_MAX)
        return refuse(p, "%zu links and %zu rows make more than %d rows", p->m->n_links,
                      p->n_templates, BENCH_ROWS_MAX);
    return 0;
}

static bool same_group(const struct bench_row *a, const struct bench_row *b)
{
    return a->kind == b->kind && a->bytes == b->bytes;
}

/* All rows over all links, those of a group together, in the order of the file. */
static void multiply(struct parser *p, size_t link)
{
    struct bench_matrix *m = p->m;
    bool done[TEMPLATES_MAX] = {false};

    for (size_t first = 0; first < p->n_templates; first++) {
        if (done[first])
            continue;
        for (size_t t = first; t < p->n_templates; t++) {
            const struct row_template *from = &p->templates[t];
            struct bench_matrix_row *row = &m->rows[m->n_rows];
            if (done[t] || !same_group(&from->row, &p->templates[first].row))
                continue;
            done[t] = true;
            m->n_rows++;
            *row = (struct bench_matrix_row){.link = link, .group = m->n_groups, .row = from->row};
            row->row.directory = m->directory;
            (void)snprintf(row->label, sizeof(row->label), "%s", from->label);
            (void)snprintf(row->id, sizeof(row->id), "%s/%s/%s", m->links[link].name,
                           from->row.kind == BENCH_MEMORY ? "memory" : "file", from->label);
        }
        m->n_groups++;
    }
}

static int parse(struct parser *p, const char *text)
{
    char *copy = strdup(text);
    int err;

    p->m->text = strdup(text);
    p->m->links = calloc(BENCH_LINKS_MAX, sizeof(*p->m->links));
    if (copy == NULL || p->m->text == NULL || p->m->links == NULL) {
        free(copy);
        return VLY_E_NOMEM;
    }
    err = lines_parse(p, copy);
    free(copy);
    if (err != 0)
        return err;
    assert(p->m->n_links > 0 && p->n_templates > 0); /* lines_parse saw to it */
    p->m->rows = calloc(p->m->n_links * p->n_templates, sizeof(*p->m->rows));
    if (p->m->rows == NULL)
        return VLY_E_NOMEM;
    for (size_t i = 0; i < p->m->n_links; i++)
        multiply(p, i);
    return 0;
}

int bench_matrix_parse(struct bench_matrix *out, const char *file, const char *text,
                       char why[BENCH_WHY_BYTES])
{
    struct parser *p = calloc(1, sizeof(*p));
    json_t *as_json = json_string(text); /* it will stand in the result */
    int err = VLY_E_NOMEM;

    *out = (struct bench_matrix){.name = "matrix",
                                 .seed = 1,
                                 .rounds_min = 3,
                                 .rounds_max = 9,
                                 .precision = 0.02,
                                 .steal = {.retries = BENCH_STEAL_RETRIES},
                                 .timeout_ns = VLY_S(60)};
    if (p != NULL) {
        p->m = out;
        p->file = file;
        p->why = why;
        err = as_json != NULL ? parse(p, text) : refuse(p, "the file is not UTF-8 text");
    }
    json_decref(as_json);
    if (err == VLY_E_NOMEM)
        (void)snprintf(why, BENCH_WHY_BYTES, "%s", vly_err_text(err));
    free(p);
    return err;
}
