#include "support/synthetic.h"

#include <stdio.h>
#include <string.h>

static bool is_available(void *ctx, const struct bench_row *row, char why[BENCH_WHY_BYTES])
{
    struct synthetic *s = ctx;

    if (s->missing == NULL || strcmp(s->missing, row->protocol) != 0)
        return true;
    snprintf(why, BENCH_WHY_BYTES, "%s is not installed", row->protocol);
    return false;
}

/* How often this very row was run before. */
static unsigned count(const struct synthetic *s, const char *label)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->n; i++)
        n += strncmp(s->calls[i], label, strlen(label)) == 0 && s->calls[i][strlen(label)] == ' ';
    return n;
}

static int run(void *ctx, const struct bench_lab_spec *lab, const struct bench_row *row,
               uint64_t timeout_ns, struct bench_sample *out)
{
    struct synthetic *s = ctx;
    char label[40];
    double rate = 1e9;

    assert_true(timeout_ns > row->duration_ns);
    assert_true(s->n < SYNTHETIC_CALLS_MAX);
    snprintf(label, sizeof label, "%s%s%s", row->protocol, row->cc[0] != '\0' ? "-" : "", row->cc);
    if (s->rate != NULL)
        rate = s->rate(row, count(s, label));
    snprintf(s->calls[s->n++], sizeof s->calls[0], "%.39s %u", label, (unsigned)lab->seed);
    if (s->n == s->stop_at)
        s->stop = true;
    bench_sample_init(out);
    if (s->steal != NULL) {
        out->cpu_all_ns = VLY_S(2);
        out->cpu_steal_ns = (uint64_t)(s->steal(s->n - 1) * 2e9);
    }
    if (rate < 0) {
        (void)bench_sample_fail(out, VLY_E_LOST, "the peer died");
        return 0;
    }
    out->duration_ns = VLY_S(1);
    out->bytes = (uint64_t)(rate / 8);
    out->sent_bytes = out->bytes / 3 * 4;
    out->total_bytes = out->bytes;
    out->cpu_sender_ns = out->bytes / 4;
    out->cpu_receiver_ns = out->bytes / 4;
    out->retransmits = 3;
    out->rss_sender_bytes = UINT64_C(12) << 20;
    out->rss_receiver_bytes = UINT64_C(5) << 19;
    snprintf(out->cc, sizeof out->cc, "%s", row->cc[0] != '\0' ? row->cc : "cubic");
    out->intervals = json_pack("[{s:i, s:i, s:i, s:n}]", "begin_ns", 0, "end_ns", 1000, "bytes", 7,
                               "cwnd_bytes");
    return 0;
}

static void rest(void *ctx, uint64_t time_ns)
{
    struct synthetic *s = ctx;

    s->rested_ns += time_ns;
    if (++s->rests == s->stop_resting_at)
        s->stop = true;
}

const struct bench_runner_ops synthetic_ops = {
    .is_available = is_available, .run = run, .rest = rest};

json_t *synthetic_result(struct synthetic *s, const char *config)
{
    char why[BENCH_WHY_BYTES] = "";
    struct bench_matrix m;
    struct bench_runner r = {.matrix = &m, .ops = &synthetic_ops, .ctx = s, .stop = &s->stop};

    if (bench_matrix_parse(&m, "f", config, why) != 0)
        fail_msg("%s", why);
    r.doc = bench_result_new(&m, json_pack("{s:s, s:s, s:i, s:s}", "kernel", "6.1", "cpu", "a CPU",
                                           "cores", 2, "tcp_congestion_control_default", "cubic"));
    assert_non_null(r.doc);
    if (bench_matrix_run(&r, why) != 0)
        fail_msg("%s", why);
    bench_matrix_fini(&m);
    return r.doc;
}
