/*
 * cmd_matrix - volley bench matrix FILE [-o RESULT.json]: runs a matrix file, or the rest of it.
 */
#include "bench/bench.h"
#include "bench/matrix/environment.h"
#include "bench/matrix/session.h"
#include "file/path.h"

#include <stdio.h>
#include <string.h>

struct matrix_args {
    const char *output, *repeats;
    double precision, max_steal; /* below 0: the file's */
    bool force, list, json, quiet;
};

#define ARG(member) offsetof(struct matrix_args, member)

static const struct vly_opt matrix_opts[] = {
    {"output", 'o', VLY_OPT_TEXT, ARG(output), "FILE",
     "the result; an unfinished one of the same matrix is continued (default: NAME.json)", 0, 0},
    {"force", 'f', VLY_OPT_FLAG, ARG(force), NULL, "start anew, whatever the result file holds", 0,
     0},
    {"precision", 0, VLY_OPT_SHARE, ARG(precision), "SHARE",
     "repeat until the intervals of all ratios are this narrow, e.g. 2% (default: the file's)", 0,
     0},
    {"max-steal", 0, VLY_OPT_SHARE, ARG(max_steal), "SHARE",
     "take a run again of which the machine's host took more, e.g. 2%; 0%: none (default: the "
     "file's)",
     0, 0},
    {"repeats", 0, VLY_OPT_TEXT, ARG(repeats), "MIN..MAX",
     "rounds of each row, at least and at most (default: the file's)", 0, 0},
    {"list", 0, VLY_OPT_FLAG, ARG(list), NULL, "print the names of all rows and run nothing", 0, 0},
};

static const struct vly_opt talk_opts[] = {
    {"json", 0, VLY_OPT_FLAG, ARG(json), NULL,
     "print the result on standard output in place of the table", 0, 0},
    {"quiet", 'q', VLY_OPT_FLAG, ARG(quiet), NULL, "print neither progress nor table", 0, 0},
};

static const struct vly_opt_set matrix_set = {
    .command = "bench matrix",
    .usage = "FILE [OPTION...]",
    .about =
        "Runs the rows of a matrix file over its links, interleaved and repeated, into one JSON\n"
        "file, which is kept up to date: an interrupted matrix is continued by running it again.\n",
    .groups = {{"Options", matrix_opts, sizeof(matrix_opts) / sizeof(matrix_opts[0])},
               {"Output", talk_opts, sizeof(talk_opts) / sizeof(talk_opts[0])}},
};

/* Whether what is measured here and now may stand beside what is there. */
static bool goes_with(const json_t *doc)
{
    json_t *environment = bench_environment_new();
    bool same = bench_result_is_from(doc, environment);

    json_decref(environment);
    return same;
}

/* A result that goes on, or a new one. Returns 0 or an exit code. */
static int doc_open(const struct vly_cli *cli, const struct matrix_args *args,
                    const struct bench_matrix *m, json_t **out)
{
    char why[BENCH_WHY_BYTES] = "";
    int err = VLY_E_NOT_FOUND;

    *out = NULL;
    if (!args->force)
        err = bench_result_load(out, args->output, why);
    if (err == VLY_E_NOT_FOUND) {
        *out = bench_result_new(m, bench_environment_new());
        return *out != NULL ? 0 : vly_cli_fail(cli, VLY_E_NOMEM, "%s", vly_err_text(VLY_E_NOMEM));
    }
    if (err != 0)
        return vly_cli_fail(cli, VLY_E_EXISTS, "%s; name another file, or --force to replace it",
                            why);
    if (!bench_result_is_of(*out, m))
        return vly_cli_fail(cli, VLY_E_EXISTS,
                            "%s is the result of another matrix; name another file with -o, or "
                            "--force to start anew",
                            vly_shown(args->output).text);
    if (!bench_result_is_finished(*out) && !goes_with(*out))
        return vly_cli_fail(cli, VLY_E_EXISTS,
                            "%s was begun by another build, kernel or machine; name another file "
                            "with -o, or --force to start anew",
                            vly_shown(args->output).text);
    return 0;
}

static int matrix_run(const struct vly_cli *cli, const struct matrix_args *args, const char *file,
                      const struct bench_matrix *m)
{
    char again[512];
    struct bench_session session = {.matrix = m,
                                    .path = args->output,
                                    .again = again,
                                    .json = args->json,
                                    .quiet = args->quiet};
    int code = doc_open(cli, args, m, &session.doc);

    (void)snprintf(again, sizeof(again), "volley bench matrix %.200s -o %.200s",
                   vly_shown(file).text, vly_shown(args->output).text);
    if (code == 0 && bench_result_is_finished(session.doc)) {
        vly_cli_say(cli, "%s is finished already; --force starts anew",
                    vly_shown(args->output).text);
        bench_session_show(&session);
    } else if (code == 0) {
        code = bench_session_run(cli, &session);
    }
    json_decref(session.doc);
    return code;
}

/* What the command line says goes before the file. Returns 0 or an exit code. */
static int matrix_adjust(const struct vly_cli *cli, const struct matrix_args *args,
                         struct bench_matrix *m)
{
    if (args->precision >= 0)
        m->precision = args->precision;
    if (args->max_steal >= 0)
        m->steal.most = args->max_steal;
    if (args->repeats != NULL &&
        bench_rounds_parse(args->repeats, &m->rounds_min, &m->rounds_max) != 0)
        return vly_cli_usage(cli, "--repeats takes MIN..MAX, 1 to %d, not '%s'", BENCH_ROUNDS_MAX,
                             vly_shown(args->repeats).text);
    return 0;
}

int bench_cmd_matrix(int argc, char **argv)
{
    struct matrix_args args = {.precision = -1, .max_steal = -1};
    struct vly_cli cli = {.command = "bench matrix"};
    struct bench_matrix m;
    char why[BENCH_WHY_BYTES] = "", output[sizeof(m.name) + 8];
    int code, err, first = vly_opt_parse(&matrix_set, argc, argv, &args, &code);

    if (first < 0)
        return code;
    cli.json = args.json;
    if (argc - first != 1)
        return vly_cli_usage(&cli, "takes one matrix file");
    err = bench_matrix_load(&m, argv[first], why);
    if (args.output == NULL) {
        (void)snprintf(output, sizeof(output), "%s.json", m.name);
        args.output = output;
    }
    code = err != 0 ? vly_cli_fail(&cli, err, "%s", why) : matrix_adjust(&cli, &args, &m);
    for (size_t i = 0; args.list && code == 0 && i < m.n_rows; i++)
        (void)puts(m.rows[i].id);
    if (code == 0 && !args.list)
        code = matrix_run(&cli, &args, argv[first], &m);
    bench_matrix_fini(&m);
    return code;
}
