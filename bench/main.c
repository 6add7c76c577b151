/*
 * main - volley-bench: the table of its commands. Without one it compares on this machine.
 */
#include "bench/bench.h"
#include "cli/program.h"

static const struct vly_command commands[] = {
    {"local", bench_cmd_local, "compare TCP, raw UDP and Volley on this machine (the default)"},
    {"serve", bench_cmd_serve, "be the other end of runs, for many clients at once"},
    {"run", bench_cmd_run, "measure one protocol against a server"},
    {"matrix", bench_cmd_matrix, "run the scenarios of a file, interleaved, into one JSON file"},
    {"report", bench_cmd_report, "make a web page, CSV and pictures of a result"},
    {"compare", bench_cmd_compare, "tell which rows differ between two results"},
    {"linkemu", bench_cmd_linkemu, "run two programs with an emulated link between them"},
};

static const struct vly_program volley_bench = {
    .name = "volley bench",
    .file = "volley-bench",
    .usage = "[COMMAND] [ARGUMENT...]",
    .about = "Measures Volley against plain TCP on the same path.",
    .examples = "  volley bench serve\n"
                "  volley bench run 192.0.2.1 --volley -t 10\n",
    .commands = commands,
    .n_commands = sizeof(commands) / sizeof(commands[0]),
    .run = bench_cmd_local,
};

int main(int argc, char **argv)
{
    return vly_program_main(&volley_bench, argc, argv);
}
