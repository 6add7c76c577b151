/*
 * cmd_local - volley bench: compares TCP, TLS, raw UDP and Volley on this machine in under two
 * minutes.
 *
 * It is a matrix like any other; only its text is made here.
 */
#include "bench/bench.h"
#include "bench/matrix/environment.h"
#include "bench/matrix/session.h"
#include "file/path.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 1024
#define TIMEOUT_NS VLY_S(4)        /* more than a run from memory is to take, */
#define SLOW_NS_PER_BYTE 10u       /* and what a file takes */
#define TIMEOUT_MAX_NS VLY_S(3600) /* of a matrix */

struct local_args {
    uint64_t run_ns, file_bytes;
    double max_steal; /* 0: any */
    const char *links, *output;
    bool quick, no_files, json, quiet;
};

#define ARG(member) offsetof(struct local_args, member)

static const struct vly_opt local_opts[] = {
    {"seconds", 0, VLY_OPT_DURATION, ARG(run_ns), "TIME",
     "how long each run from memory measures (default: 0.7s, with --quick 0.3s)", VLY_MS(10),
     VLY_S(600)},
    {"size", 0, VLY_OPT_SIZE, ARG(file_bytes), "SIZE",
     "size of the file that is moved (default: 256MiB, with --quick 32MiB)", 1, UINT64_C(1) << 40},
    {"links", 0, VLY_OPT_CHOICE, ARG(links), "lo|veth|lo,veth",
     "which links to compare over (default: lo,veth; veth where namespaces can be made)", 0, 0},
    {"max-steal", 0, VLY_OPT_SHARE, ARG(max_steal), "SHARE",
     "take a run again of which the machine's host took more, e.g. 2%; takes longer (default: none "
     "is)",
     0, 0},
    {"no-files", 0, VLY_OPT_FLAG, ARG(no_files), NULL, "compare from memory to memory alone", 0, 0},
    {"quick", 0, VLY_OPT_FLAG, ARG(quick), NULL, "two short rounds: seconds, rough figures", 0, 0},
};

static const struct vly_opt talk_opts[] = {
    {"output", 'o', VLY_OPT_TEXT, ARG(output), "FILE", "write the result to a JSON file as well", 0,
     0},
    {"json", 0, VLY_OPT_FLAG, ARG(json), NULL,
     "print the result as JSON on standard output in place of the table", 0, 0},
    {"quiet", 'q', VLY_OPT_FLAG, ARG(quiet), NULL, "print neither progress nor table", 0, 0},
};

static const struct vly_opt_set local_set = {
    .command = "bench local",
    .usage = "[OPTION...]",
    .about =
        "Compares TCP, TLS 1.3, raw UDP (without reliability: the ceiling) and Volley, encrypted\n"
        "and plain, on this machine, from memory to memory and from file to file, over loopback\n"
        "and over a pair of virtual Ethernet devices. Takes less than two minutes. volley bench\n"
        "alone does the same.\n",
    .groups = {{"Options", local_opts, sizeof(local_opts) / sizeof(local_opts[0])},
               {"Output", talk_opts, sizeof(talk_opts) / sizeof(talk_opts[0])}},
};

static bool has_word(const char *list, const char *word)
{
    return list == NULL || strstr(list, word) != NULL;
}

/* The default controller has no second row when it is cubic anyway. */
static bool default_is_cubic(const json_t *environment)
{
    return strcmp(bench_result_text(environment, "tcp_congestion_control_default"), "cubic") == 0;
}

/* A run that hangs costs its timeout, and each group tries a row twice: all that has to fit into
 * the two minutes. */
static uint64_t timeout_ns(uint64_t file_bytes)
{
    uint64_t ns = TIMEOUT_NS + file_bytes * SLOW_NS_PER_BYTE;

    return ns < TIMEOUT_MAX_NS ? ns : TIMEOUT_MAX_NS;
}

static void config_make(const struct local_args *args, const json_t *environment, bool veth,
                        char out[TEXT_BYTES])
{
    uint64_t run_ns = args->run_ns != 0 ? args->run_ns : VLY_MS(args->quick ? 300 : 700);
    uint64_t bytes = args->file_bytes != 0 ? args->file_bytes : (args->quick ? 32u : 256u) << 20;
    const char *cc = default_is_cubic(environment) ? "cc=cubic" : "cc=default,cubic";

    (void)snprintf(out, TEXT_BYTES,
                   "name local\nrepeats %s\nprecision 0%%\nmax-steal %.9f%%\ntime %lluns\nwarmup "
                   "%lluns\nsize %llu\n"
                   "timeout %lluns\n%s%smemory tcp %s\nmemory tls\nmemory udp-raw\nmemory volley\n"
                   "memory volley-plain\n",
                   args->quick ? "2..2" : "5..5", 100 * args->max_steal, (unsigned long long)run_ns,
                   (unsigned long long)(run_ns / 5), (unsigned long long)bytes,
                   (unsigned long long)timeout_ns(bytes),
                   has_word(args->links, "lo") ? "link lo\n" : "",
                   veth ? "link veth mtu=1500\n" : "", cc);
    if (!args->no_files)
        (void)snprintf(out + strlen(out), TEXT_BYTES - strlen(out),
                       "file tcp %s\nfile volley\nfile volley-plain\n", cc);
}

static int local_run(const struct vly_cli *cli, const struct local_args *args, bool veth)
{
    json_t *environment = bench_environment_new();
    struct bench_session session = {
        .path = args->output, .json = args->json, .quiet = args->quiet, .again = "volley bench"};
    char text[TEXT_BYTES], why[BENCH_WHY_BYTES] = "";
    struct bench_matrix m;
    int code, err;

    config_make(args, environment, veth, text);
    err = bench_matrix_parse(&m, "built-in matrix", text, why);
    if (err == 0) {
        session.matrix = &m;
        session.doc = bench_result_new(&m, environment);
        err = session.doc == NULL ? VLY_E_NOMEM : 0;
    } else {
        json_decref(environment);
    }
    code = err != 0 ? vly_cli_fail(cli, err, "%s", why[0] != '\0' ? why : vly_err_text(err))
                    : bench_session_run(cli, &session);
    json_decref(session.doc);
    bench_matrix_fini(&m);
    return code;
}

int bench_cmd_local(int argc, char **argv)
{
    struct local_args args = {.run_ns = 0};
    struct vly_cli cli = {.command = "bench local"};
    char why[BENCH_WHY_BYTES] = "";
    bool veth;
    int code, first = vly_opt_parse(&local_set, argc, argv, &args, &code);

    if (first < 0)
        return code;
    cli.json = args.json;
    if (first < argc)
        return vly_cli_usage(&cli, "takes no operands, but there is '%s'",
                             vly_shown(argv[first]).text);
    veth = has_word(args.links, "veth");
    if (veth && !bench_lab_has_namespaces(why)) {
        if (!has_word(args.links, "lo"))
            return vly_cli_fail(&cli, VLY_E_PERMISSION, "no veth: %s", why);
        vly_cli_say(&cli, "no veth: %s", why);
        veth = false;
    }
    return local_run(&cli, &args, veth);
}
