/*
 * matrix_run - runs a matrix into a result, group after group, round after round.
 */
#include "bench/matrix/matrix_run.h"

#include "bench/matrix/table.h"
#include "cli/quantity.h"
#include "file/path.h"
#include "net/clock.h"

#include <inttypes.h>
#include <string.h>

#define PROGRESS_BYTES 1024
#define STEAL_REST_NS VLY_S(2) /* before a disturbed run is made again */

/* The rows [begin, end) of the matrix and the document. */
struct group {
    size_t begin, end;
};

struct progress {
    uint64_t started_ns;
    unsigned done, most; /* runs, those that earlier invocations made left out */
};

struct run {
    const struct bench_runner *r;
    struct progress progress;
    bool is_out[BENCH_ROWS_MAX]; /* not to be tried (again) */
    char *why;
};

static struct group group_at(const struct bench_matrix *m, size_t begin)
{
    struct group g = {begin, begin};

    while (g.end < m->n_rows && m->rows[g.end].group == m->rows[begin].group)
        g.end++;
    return g;
}

/* ---- how long it takes ---- */

static unsigned runs_missing(const struct run *run, struct group g, unsigned rounds)
{
    unsigned n = 0;

    for (size_t i = g.begin; i < g.end; i++)
        for (unsigned round = 0; round < rounds && !run->is_out[i]; round++)
            n += !bench_result_has_round(bench_result_row(run->r->doc, i), round);
    return n;
}

/* Sets how many runs there are at most, from group `from` on. */
static void progress_count(struct run *run, size_t from)
{
    const struct bench_matrix *m = run->r->matrix;

    run->progress.most = run->progress.done;
    for (struct group g = {from, from}; g.begin < m->n_rows; g.begin = g.end) {
        g = group_at(m, g.begin);
        run->progress.most += runs_missing(run, g, m->rounds_max);
    }
}

/* A terminal's line is written over by the next run; what failed stays. */
static void progress_show(const struct bench_runner *r, const char *text, bool stays)
{
    if (r->line->on && !stays) {
        vly_progress_line(r->line, text);
        return;
    }
    vly_progress_clear(r->line);
    (void)fprintf(r->progress, "%s\n", text);
    (void)fflush(r->progress);
}

/* A run that does not count. */
static void progress_again(const struct run *run, size_t index, const struct bench_sample *s)
{
    const struct progress *p = &run->progress;
    char text[PROGRESS_BYTES];

    if (run->r->progress == NULL)
        return;
    (void)snprintf(text, sizeof(text), "[%u/%u] %s: the host took %.1f %% of it; taken again",
                   p->done, p->most, run->r->matrix->rows[index].id, 100 * bench_sample_steal(s));
    progress_show(run->r, text, false);
}

static void progress_print(struct run *run, size_t index, const char *round,
                           const struct bench_sample *s)
{
    struct progress *p = &run->progress;
    const char *id = run->r->matrix->rows[index].id;
    double goodput = bench_sample_goodput(s);
    char text[PROGRESS_BYTES], left[48] = "";
    uint64_t left_ns;

    if (run->r->progress == NULL)
        return;
    left_ns =
        p->done == 0 ? 0 : (vly_clock_now_ns() - p->started_ns) / p->done * (p->most - p->done);
    if (p->done > 0 && p->most > p->done)
        (void)snprintf(left, sizeof(left), "; at most %s left", vly_clock_text(left_ns).s);
    if (s->err != 0)
        (void)snprintf(text, sizeof(text), "[%u/%u] %s %s: failed: %s%s", p->done, p->most, id,
                       round, vly_shown(s->error).text, left);
    else
        (void)snprintf(text, sizeof(text), "[%u/%u] %s %s: %s%s", p->done, p->most, id, round,
                       vly_rate_text(goodput > 0 ? goodput / 8 : 0).s, left);
    progress_show(run->r, text, s->err != 0);
}

/* ---- one run ---- */

static int run_once(const struct run *run, size_t index, uint64_t seed, struct bench_sample *s)
{
    const struct bench_matrix *m = run->r->matrix;
    const struct bench_matrix_row *row = &m->rows[index];
    struct bench_lab_spec lab = m->links[row->link].lab;
    int err;

    lab.seed = seed;
    bench_sample_init(s);
    err = run->r->ops->run(run->r->ctx, &lab, &row->row, bench_matrix_timeout_ns(m, &row->row), s);
    /* Ctrl-C on a terminal reaches the row's own processes as well: what they say then is not
     * theirs. */
    if (*run->r->stop)
        return VLY_E_CANCELLED;
    if (err != 0 && s->err == 0)
        (void)bench_sample_fail(s, err, "%s", vly_err_text(err));
    return 0;
}

static int save(const struct run *run)
{
    return run->r->path != NULL ? bench_result_save(run->r->doc, run->r->path, run->why) : 0;
}

/* A run that counts, and how many it took beside. */
struct taken {
    struct bench_sample s;
    unsigned again;
};

/* As run_once, until the host has left one alone or it is enough. */
static int run_undisturbed(const struct run *run, size_t index, uint64_t seed, struct taken *t)
{
    const struct bench_runner *r = run->r;
    int err = run_once(run, index, seed, &t->s);

    for (t->again = 0; err == 0 && bench_steal_again(&r->matrix->steal, &t->s, t->again);
         t->again++) {
        progress_again(run, index, &t->s);
        r->ops->rest(r->ctx, STEAL_REST_NS);
        if (*r->stop)
            return VLY_E_CANCELLED;
        bench_sample_fini(&t->s);
        err = run_once(run, index, seed, &t->s);
    }
    return err;
}

/* Keeps a sample, and what follows from it. */
static int note(struct run *run, struct group g, size_t index, unsigned round,
                const struct taken *t)
{
    json_t *row = bench_result_row(run->r->doc, index);
    char round_text[24];
    int err;

    bench_result_add(row,
                     &(struct bench_result_run){.round = round,
                                                .seed = bench_matrix_seed(run->r->matrix, round),
                                                .taken_again = t->again},
                     &t->s);
    run->is_out[index] = bench_result_failures(row) >= BENCH_FAILURES_MAX;
    bench_result_summarize(run->r->doc, g.begin);
    err = save(run);
    run->progress.done++;
    if (run->is_out[index])
        progress_count(run, g.begin);
    (void)snprintf(round_text, sizeof(round_text), "round %u", round + 1);
    progress_print(run, index, round_text, &t->s);
    return err;
}

static int measure(struct run *run, struct group g, size_t index, unsigned round)
{
    struct taken t;
    int err = run_undisturbed(run, index, bench_matrix_seed(run->r->matrix, round), &t);

    if (err == 0)
        err = note(run, g, index, round, &t);
    bench_sample_fini(&t.s);
    return err;
}

/* ---- a group ---- */

/* Rows that move a size and leave no time out at the beginning run once for nothing before `round`:
 * page caches, the CPU's clock. One that fails has failed in that round. */
static int warm_up(struct run *run, struct group g, unsigned round)
{
    for (size_t i = g.begin; i < g.end; i++) {
        struct taken t = {.again = 0};
        int err;
        if (run->is_out[i] || run->r->matrix->rows[i].row.bytes == 0 ||
            bench_result_has_round(bench_result_row(run->r->doc, i), round))
            continue;
        err = run_once(run, i, bench_matrix_seed(run->r->matrix, round), &t.s);
        if (err == 0 && t.s.err != 0)
            err = note(run, g, i, round, &t);
        else if (err == 0)
            progress_print(run, i, "warm-up", &t.s);
        bench_sample_fini(&t.s);
        if (err != 0)
            return err;
    }
    return 0;
}

static bool is_precise(const json_t *row, double precision)
{
    struct bench_estimate e;

    /* Without a reference, the row's own rate has to be known that well. */
    if (!bench_result_estimate(row, "ratio", &e) &&
        !bench_result_estimate(row, "goodput_bits_per_s", &e))
        return false;
    return e.n >= BENCH_SAMPLES_LEAST && e.median > 0 &&
           (e.high - e.low) / 2 <= precision * e.median;
}

static bool group_is_done(const struct run *run, struct group g, unsigned rounds)
{
    const struct bench_matrix *m = run->r->matrix;

    if (rounds < m->rounds_min)
        return false;
    if (rounds >= m->rounds_max)
        return true;
    for (size_t i = g.begin; i < g.end; i++)
        if (!run->is_out[i] && !is_precise(bench_result_row(run->r->doc, i), m->precision))
            return false;
    return true;
}

static int run_round(struct run *run, struct group g, unsigned round)
{
    size_t n = g.end - g.begin;

    for (size_t k = 0; k < n; k++) {
        size_t index = round % 2 == 0 ? g.begin + k : g.end - 1 - k;
        int err;
        if (run->is_out[index] ||
            bench_result_has_round(bench_result_row(run->r->doc, index), round))
            continue;
        err = measure(run, g, index, round);
        if (err != 0)
            return err;
    }
    return 0;
}

static int run_group(struct run *run, struct group g)
{
    unsigned round = 0;
    bool is_warm = false;

    bench_result_summarize(run->r->doc, g.begin);
    for (; !group_is_done(run, g, round); round++) {
        int err = 0;
        if (runs_missing(run, g, round + 1) == 0)
            continue;
        if (!is_warm)
            err = warm_up(run, g, round);
        is_warm = true;
        if (err == 0)
            err = run_round(run, g, round);
        if (err != 0)
            return err;
    }
    return 0;
}

/* Rows that cannot run here are asked for each time: what was missing may be installed by now. */
static void find_available(struct run *run)
{
    for (size_t i = 0; i < run->r->matrix->n_rows; i++) {
        json_t *row = bench_result_row(run->r->doc, i);
        char why[BENCH_WHY_BYTES] = "";
        if (!run->r->ops->is_available(run->r->ctx, &run->r->matrix->rows[i].row, why)) {
            bench_result_refuse(row, VLY_E_NOT_FOUND, why);
            run->is_out[i] = true;
        } else {
            bench_result_refuse(row, 0, "");
            run->is_out[i] = bench_result_failures(row) >= BENCH_FAILURES_MAX;
        }
    }
}

int bench_matrix_run(const struct bench_runner *r, char why[BENCH_WHY_BYTES])
{
    struct run run = {.r = r, .why = why, .progress = {.started_ns = vly_clock_now_ns()}};
    char sentence[BENCH_SENTENCE_BYTES];
    int err;

    find_available(&run);
    for (struct group g = {0, 0}; g.begin < r->matrix->n_rows; g.begin = g.end) {
        g = group_at(r->matrix, g.begin);
        progress_count(&run, g.begin);
        err = *r->stop ? VLY_E_CANCELLED : run_group(&run, g);
        if (err == VLY_E_CANCELLED && save(&run) != 0)
            return VLY_E_IO;
        if (err != 0)
            return err;
    }
    bench_sentence(r->doc, sentence);
    bench_result_finish(r->doc, sentence);
    return save(&run);
}
