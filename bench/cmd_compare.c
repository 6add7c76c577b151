/*
 * cmd_compare - volley bench compare A.json B.json: which rows changed.
 */
#include "bench/bench.h"
#include "bench/matrix/compare.h"

#include <stdio.h>

struct compare_args {
    bool json, fail_if_slower;
};

#define ARG(member) offsetof(struct compare_args, member)

static const struct vly_opt compare_opts[] = {
    {"fail-if-slower", 0, VLY_OPT_FLAG, ARG(fail_if_slower), NULL,
     "end with code 1 when a row of B is significantly slower", 0, 0},
    {"json", 0, VLY_OPT_FLAG, ARG(json), NULL, "print the comparison as one JSON object", 0, 0},
};

static const struct vly_opt_set compare_set = {
    .command = "bench compare",
    .usage = "A.json B.json [OPTION...]",
    .about =
        "Compares the rows that two results have in common: the ratio of their medians with a\n"
        "95 % interval, and a rank test. A row changed when p is below 0.05 and the interval\n"
        "leaves out 1; that takes at least four samples on each side.\n",
    .groups = {{"Options", compare_opts, sizeof(compare_opts) / sizeof(compare_opts[0])}},
};

/* Returns 0 or an exit code. */
static int load(const struct vly_cli *cli, const char *path, json_t **out)
{
    char why[BENCH_WHY_BYTES] = "";
    int err = bench_result_load(out, path, why);

    if (err == 0)
        return 0;
    return vly_cli_fail(cli, err == VLY_E_VERSION ? VLY_E_FAILED : err, "%s", why);
}

static int compare(const struct vly_cli *cli, const struct compare_args *args, const json_t *a,
                   const json_t *b)
{
    json_t *comparison = bench_compare(a, b);
    bool slower = args->fail_if_slower && bench_compare_count(comparison, "slower") > 0;

    if (comparison == NULL)
        return vly_cli_fail(cli, VLY_E_NOMEM, "%s", vly_err_text(VLY_E_NOMEM));
    if (args->json)
        bench_result_print(comparison);
    else
        bench_compare_print(stdout, comparison);
    json_decref(comparison);
    return slower ? VLY_EXIT_FAILED : VLY_EXIT_OK;
}

int bench_cmd_compare(int argc, char **argv)
{
    struct compare_args args = {.json = false};
    struct vly_cli cli = {.command = "bench compare"};
    json_t *a = NULL, *b = NULL;
    int code, first = vly_opt_parse(&compare_set, argc, argv, &args, &code);

    if (first < 0)
        return code;
    cli.json = args.json;
    if (argc - first != 2)
        return vly_cli_usage(&cli, "takes two results");
    code = load(&cli, argv[first], &a);
    if (code == 0)
        code = load(&cli, argv[first + 1], &b);
    if (code == 0)
        code = compare(&cli, &args, a, b);
    json_decref(a);
    json_decref(b);
    return code;
}
