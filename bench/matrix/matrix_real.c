/*
 * matrix_real - the runner that measures: every run of a row in a lab of its own.
 */
#include "bench/matrix/matrix_real.h"

#include "net/clock.h"

#include <poll.h>

#define REST_STEP_MS 50

static bool is_available(void *ctx, const struct bench_row *row, char why[BENCH_WHY_BYTES])
{
    (void)ctx;
    return bench_row_is_available(row, why);
}

static int run(void *ctx, const struct bench_lab_spec *spec, const struct bench_row *row,
               uint64_t timeout_ns, struct bench_sample *out)
{
    const volatile bool *const *stop = ctx;
    char why[BENCH_WHY_BYTES] = "";
    struct bench_lab *lab;
    int err = bench_lab_open(&lab, spec, why);

    if (err != 0) {
        bench_sample_init(out);
        (void)bench_sample_fail(out, err, "%s", why);
        return 0;
    }
    err = bench_row_run(lab, row, timeout_ns, *stop, out);
    bench_lab_close(lab);
    return err;
}

/* In steps: a signal that comes between a look and the wait ends none. */
static void rest(void *ctx, uint64_t time_ns)
{
    const volatile bool *const *stop = ctx;
    uint64_t until_ns = vly_time_add(vly_clock_now_ns(), time_ns);

    while (!**stop && vly_clock_now_ns() < until_ns)
        (void)poll(NULL, 0, REST_STEP_MS);
}

const struct bench_runner_ops bench_runner_real = {
    .is_available = is_available, .run = run, .rest = rest};
