/*
 * session - a matrix run as a command: signals, progress, the table at the end, the exit code.
 */
#include "bench/matrix/session.h"

#include "bench/matrix/interrupt.h"
#include "bench/matrix/matrix_real.h"
#include "bench/matrix/table.h"
#include "file/path.h"

static bool has_figures(const json_t *doc)
{
    struct bench_estimate e;

    for (size_t i = 0; i < bench_result_rows(doc); i++)
        if (bench_result_estimate(bench_result_row(doc, i), "goodput_bits_per_s", &e))
            return true;
    return false;
}

void bench_session_show(const struct bench_session *s)
{
    if (s->json)
        bench_result_print(s->doc);
    if (s->json || s->quiet)
        return;
    bench_table_print(stdout, s->doc);
    (void)printf("%s\n", vly_escape_text((char[1024]){""}, 1024,
                                         vly_span_str(bench_result_text(s->doc, "sentence"))));
}

static int interrupted(const struct vly_cli *cli, const struct bench_session *s)
{
    int code = bench_interrupt_exit_code();

    if (s->path == NULL)
        vly_cli_say(cli, "interrupted");
    else
        vly_cli_say(cli, "interrupted; what was measured is in %s; to continue: %s",
                    vly_shown(s->path).text, s->again);
    return code != 0 ? code : VLY_EXIT_FAILED;
}

int bench_session_run(const struct vly_cli *cli, const struct bench_session *s)
{
    const volatile bool *stop = bench_interrupt_open();
    struct vly_progress line;
    const struct bench_runner runner = {
        .matrix = s->matrix,
        .doc = s->doc,
        .ops = &bench_runner_real,
        .ctx = &stop,
        .stop = stop,
        .path = s->path,
        .progress = s->quiet ? NULL : stderr,
        .line = &line,
    };
    char why[BENCH_WHY_BYTES] = "";
    int err;

    vly_progress_open(&line, !s->quiet);
    err = bench_matrix_run(&runner, why);
    vly_progress_clear(&line);
    bench_row_cleanup();
    if (err == VLY_E_CANCELLED)
        return interrupted(cli, s);
    if (err != 0)
        return vly_cli_fail(cli, err, "the result cannot be written: %s", why);
    bench_session_show(s);
    if (s->path != NULL && !s->quiet)
        vly_cli_say(cli, "the result is in %s", vly_shown(s->path).text);
    return has_figures(s->doc)
               ? VLY_EXIT_OK
               : vly_cli_fail(cli, VLY_E_FAILED, "no row could be run: %s",
                              vly_shown(bench_result_message(bench_result_row(s->doc, 0))).text);
}
