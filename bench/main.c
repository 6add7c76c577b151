/*
 * main - volley-bench: the table of its commands. Without one it compares on this machine.
 */
#include "bench/bench.h"
#include "file/path.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"local", bench_cmd_local, "compare TCP, raw UDP and Volley on this machine (the default)"},
    {"serve", bench_cmd_serve, "be the other end of runs, for many clients at once"},
    {"run", bench_cmd_run, "measure one protocol against a server"},
    {"matrix", bench_cmd_matrix, "run the scenarios of a file, interleaved, into one JSON file"},
    {"report", bench_cmd_report, "make a web page, CSV and pictures of a result"},
    {"compare", bench_cmd_compare, "tell which rows differ between two results"},
    {"linkemu", bench_cmd_linkemu, "run two programs with an emulated link between them"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void usage(FILE *out)
{
    (void)fprintf(out, "usage: volley bench [COMMAND] [ARGUMENT...]\n\n"
                       "Measures Volley against plain TCP on the same path.\n\n"
                       "Commands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        (void)fprintf(out, "  %-9s%s\n", commands[i].name, commands[i].help);
    (void)fprintf(out,
                  "\nvolley bench COMMAND --help tells more; volley bench help --commands lists "
                  "them.\n"
                  "\nExample, on one machine and on another:\n"
                  "  volley bench serve\n"
                  "  volley bench run 192.0.2.1 --volley -t 10\n");
}

static int help(int argc, char **argv)
{
    char help_flag[] = "--help";
    const struct command *command;

    if (argc < 2) {
        usage(stdout);
        return VLY_EXIT_OK;
    }
    if (strcmp(argv[1], "--commands") == 0) {
        for (size_t i = 0; i < N_COMMANDS; i++)
            (void)puts(commands[i].name);
        return VLY_EXIT_OK;
    }
    command = command_find(argv[1]);
    if (command != NULL)
        return command->run(2, (char *[]){argv[1], help_flag, NULL});
    (void)fprintf(stderr, "volley bench: there is no command '%s'; see volley bench help\n",
                  vly_shown(argv[1]).text);
    return VLY_EXIT_USAGE;
}

static int dispatch(int argc, char **argv)
{
    const struct command *command;

    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return help(1, argv);
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        (void)puts("volley-bench " VLY_VERSION " (" VLY_GIT ")");
        return VLY_EXIT_OK;
    }
    if (argc >= 2 && strcmp(argv[1], "help") == 0)
        return help(argc - 1, argv + 1);
    if (argc < 2 || argv[1][0] == '-')
        return bench_cmd_local(argc, argv);
    command = command_find(argv[1]);
    return command != NULL ? command->run(argc - 1, argv + 1) : help(2, argv);
}

int main(int argc, char **argv)
{
    int code;

    (void)setlocale(LC_CTYPE, "");
    (void)signal(SIGPIPE, SIG_IGN);
    code = dispatch(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && code == VLY_EXIT_OK) {
        (void)fprintf(stderr, "volley bench: writing to standard output failed\n");
        code = VLY_EXIT_FAILED;
    }
    return code;
}
