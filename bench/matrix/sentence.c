/*
 * sentence - a result in one plain sentence, from the same summaries as the table.
 */
#include "bench/matrix/table.h"
#include "bench/matrix/table_internal.h"
#include "file/path.h"

#include <math.h>
#include <string.h>

/* A row of a group and what it is measured against. */
struct finding {
    const json_t *row;     /* the fastest of its protocol, or one that failed; NULL: none */
    const json_t *against; /* NULL: nothing to compare with */
    struct bench_estimate goodput, ratio;
    bool has_goodput, has_ratio;
};

/* What a group says about Volley. */
struct findings {
    size_t first;
    struct finding sealed; /* against TLS where that ran, or else the fastest TCP */
    struct finding plain;  /* against the fastest TCP */
};

enum bench_verdict bench_verdict(const struct bench_estimate *ratio)
{
    if (ratio->n < BENCH_SAMPLES_LEAST)
        return BENCH_UNCLEAR;
    if (fabs(ratio->median - 1) < BENCH_SAME_WITHIN)
        return BENCH_SAME;
    if (ratio->low > 1)
        return BENCH_FASTER;
    if (ratio->high < 1)
        return BENCH_SLOWER;
    return ratio->high <= BENCH_ALIKE_WITHIN && ratio->low >= 1 / BENCH_ALIKE_WITHIN
               ? BENCH_SAME
               : BENCH_UNCLEAR;
}

static bool is_text(const json_t *object, const char *key, const char *text)
{
    return strcmp(bench_result_text(object, key), text) == 0;
}

static const json_t *link_of(const json_t *doc, const json_t *row)
{
    size_t i;
    json_t *link;

    json_array_foreach(json_object_get(doc, "links"), i,
                       link) if (is_text(link, "name", bench_result_text(row, "link"))) return link;
    return NULL;
}

static bool is_emulated(const json_t *doc, const json_t *row)
{
    const json_t *link = link_of(doc, row);

    return is_text(link, "kind", "emulated") || is_text(link, "kind", "netem");
}

static struct finding find(const json_t *doc, size_t first, const char *protocol)
{
    struct finding f = {.row = NULL};
    const json_t *head = bench_result_row(doc, first);

    for (size_t i = first; i < bench_result_rows(doc); i++) {
        const json_t *row = bench_result_row(doc, i);
        struct bench_estimate goodput;
        if (!bench_result_same_group(row, head))
            continue;
        if (json_is_true(json_object_get(row, "reference")))
            f.against = row;
        if (!is_text(row, "protocol", protocol))
            continue;
        if (f.row == NULL)
            f.row = row;
        if (!bench_result_estimate(row, "goodput_bits_per_s", &goodput) ||
            (f.has_goodput && goodput.median <= f.goodput.median))
            continue;
        f.row = row;
        f.goodput = goodput;
        f.has_goodput = true;
    }
    f.has_ratio = f.has_goodput && bench_result_estimate(f.row, "ratio", &f.ratio);
    return f;
}

static void compare_with(struct finding *f, const struct finding *other)
{
    struct bench_series own, theirs;

    if (!f->has_goodput || !other->has_goodput)
        return;
    bench_result_series(f->row, &own);
    bench_result_series(other->row, &theirs);
    f->against = other->row;
    f->has_ratio = bench_result_ratio(&own, &theirs, &f->ratio) == 0;
}

static struct findings find_all(const json_t *doc, size_t first)
{
    struct finding tls = find(doc, first, "tls");
    struct findings all = {.first = first,
                           .sealed = find(doc, first, "volley"),
                           .plain = find(doc, first, "volley-plain")};

    if (!is_emulated(doc, bench_result_row(doc, first))) /* there the fastest TCP is the measure */
        compare_with(&all.sealed, &tls);
    return all;
}

/* What is spoken of first: what people use, if it is there. */
static const struct finding *main_of(const struct findings *all)
{
    return all->sealed.row != NULL ? &all->sealed : &all->plain;
}

/* ---- one group ---- */

/* "the fastest TCP (cubic, 27.1 Gbit/s)" */
static void against_text(const json_t *row, const struct bench_unit *unit, char *out, size_t cap)
{
    const char *who = is_text(row, "protocol", "tcp")   ? "the fastest TCP"
                      : is_text(row, "protocol", "tls") ? "TLS 1.3"
                                                        : "iperf3's TCP";
    const char *cc = bench_row_cc(row);
    struct bench_estimate goodput = {0};

    (void)bench_result_estimate(row, "goodput_bits_per_s", &goodput);
    (void)snprintf(out, cap, "%s (%.16s%s%.16s %s)", who, vly_shown(cc).text,
                   cc[0] != '\0' ? ", " : "",
                   bench_number_text(goodput.median / unit->bits_per_s).s, unit->name);
}

/* "moved 9.1 Gbit/s WHERE and was faster than the fastest TCP (...): 1.2 times its rate" */
static void say_finding(const struct finding *f, const struct bench_unit *unit, const char *where,
                        char *out, size_t cap)
{
    static const char *const verdicts[] = {
        [BENCH_SLOWER] = "was slower than",
        [BENCH_SAME] = "was about as fast as",
        [BENCH_FASTER] = "was faster than",
        [BENCH_UNCLEAR] = "was neither clearly faster nor clearly slower than",
    };
    struct vly_text moved = bench_number_text(f->goodput.median / unit->bits_per_s);
    char against[96];

    if (!f->has_ratio) {
        (void)snprintf(out, cap, "moved %s %s%s; there is no TCP row to compare with", moved.s,
                       unit->name, where);
        return;
    }
    against_text(f->against, unit, against, sizeof(against));
    (void)snprintf(out, cap, "moved %s %s%s and %s %s: %s times its rate", moved.s, unit->name,
                   where, verdicts[bench_verdict(&f->ratio)], against,
                   bench_number_text(f->ratio.median).s);
}

static void say_group(const json_t *doc, const struct findings *all, char out[BENCH_SENTENCE_BYTES])
{
    const struct bench_unit unit = bench_group_unit(doc, all->first);
    const struct finding *f = main_of(all);
    const char *kind = bench_result_text(f->row, "kind");
    const char *suite = bench_result_text(f->row, "suite");
    char where[128], first[256], second[192] = "", how[64] = " without encryption";

    (void)snprintf(where, sizeof(where), " from %s to %s over %.90s", kind, kind,
                   vly_shown(bench_result_text(f->row, "link")).text);
    if (!f->has_goodput) {
        const char *message = bench_result_message(f->row);
        (void)snprintf(out, BENCH_SENTENCE_BYTES, "On this machine Volley did not run%s: %.200s.",
                       where, message[0] != '\0' ? vly_shown(message).text : "no sample was taken");
        return;
    }
    say_finding(f, &unit, where, first, sizeof(first));
    if (f == &all->sealed) /* what was asked for is said */
        (void)snprintf(how, sizeof(how), ", encrypted%s%.24s,", suite[0] != '\0' ? " by " : "",
                       vly_shown(suite).text);
    if (f == &all->sealed && all->plain.has_goodput && all->plain.has_ratio)
        say_finding(&all->plain, &unit, "", second, sizeof(second));
    (void)snprintf(out, BENCH_SENTENCE_BYTES, "On this machine Volley%s %s%s%s.", how, first,
                   second[0] != '\0' ? "; without encryption it " : "", second);
}

/* How much a group deserves to be the one that is spoken of. */
static int rank(const json_t *doc, const json_t *row)
{
    int by_link = is_text(link_of(doc, row), "kind", "veth") ? 2 : !is_emulated(doc, row);

    return 1 + by_link + (is_text(row, "kind", "memory") ? 3 : 0);
}

/* ---- many links ---- */

struct count {
    size_t links, by_verdict[BENCH_UNCLEAR + 1], unknown;
    double ratios[BENCH_VALUES_MAX];
    size_t n_ratios;
};

static void count_add(struct count *c, const struct finding *f)
{
    c->links++;
    if (!f->has_ratio) {
        c->unknown++;
        return;
    }
    c->by_verdict[bench_verdict(&f->ratio)]++;
    if (c->n_ratios < BENCH_VALUES_MAX)
        c->ratios[c->n_ratios++] = f->ratio.median;
}

static void say_count(const struct count *c, const char *who, char out[BENCH_SENTENCE_BYTES])
{
    struct bench_estimate all;
    char unclear[64] = "", rest[96] = "";

    if (c->by_verdict[BENCH_UNCLEAR] > 0)
        (void)snprintf(unclear, sizeof(unclear), ", unclear on %zu", c->by_verdict[BENCH_UNCLEAR]);
    if (c->unknown > 0)
        (void)snprintf(rest, sizeof(rest), ", and there is nothing to compare on %zu", c->unknown);
    if (bench_median(c->ratios, c->n_ratios, &all) != 0)
        (void)snprintf(out, BENCH_SENTENCE_BYTES,
                       "On none of %zu emulated links can %s be compared with TCP.", c->links, who);
    else
        (void)snprintf(out, BENCH_SENTENCE_BYTES,
                       "Of %zu emulated links, %s was faster than the fastest TCP on %zu, about "
                       "as fast on %zu and slower on %zu%s%s: %s times its rate in the median.",
                       c->links, who, c->by_verdict[BENCH_FASTER], c->by_verdict[BENCH_SAME],
                       c->by_verdict[BENCH_SLOWER], unclear, rest, bench_number_text(all.median).s);
}

void bench_sentence(const json_t *doc, char out[BENCH_SENTENCE_BYTES])
{
    struct findings best = {0};
    struct count count = {0};
    int best_rank = 0;

    for (size_t i = 0; i < bench_result_rows(doc); i++) {
        const json_t *row = bench_result_row(doc, i);
        struct findings all;
        if (!bench_is_first_of_group(doc, i))
            continue;
        all = find_all(doc, i);
        if (main_of(&all)->row == NULL)
            continue;
        if (is_emulated(doc, row) && is_text(row, "kind", "memory"))
            count_add(&count, main_of(&all));
        if (rank(doc, row) <= best_rank)
            continue;
        best = all;
        best_rank = rank(doc, row);
    }
    if (count.links > 1)
        say_count(&count, main_of(&best) == &best.sealed ? "Volley" : "Volley without encryption",
                  out);
    else if (best_rank > 0)
        say_group(doc, &best, out);
    else
        (void)snprintf(out, BENCH_SENTENCE_BYTES, "Volley was not among the rows.");
}
