/*
 * main - the table of subcommands, and what volley does without one.
 */
#include "cli/cli.h"
#include "file/path.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#ifndef VLY_VERSION
#define VLY_VERSION "unknown"
#endif
#ifndef VLY_GIT
#define VLY_GIT "unknown"
#endif

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"serve", vly_cmd_serve, "serve a directory until interrupted"},
    {"put", vly_cmd_put, "upload files and directories"},
    {"get", vly_cmd_get, "download files and directories"},
    {"ls", vly_cmd_ls, "list what a server has"},
    {"sim", vly_cmd_sim, "run the protocol over a simulated link, in virtual time"},
    {"bench", vly_cmd_bench, "measure Volley against plain TCP on the same path"},
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
    (void)fprintf(out, "usage: volley COMMAND [ARGUMENT...]\n\n"
                       "Moves files between two machines over UDP, reliably.\n\n"
                       "Commands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        (void)fprintf(out, "  %-8s%s\n", commands[i].name, commands[i].help);
    (void)fprintf(out,
                  "\nvolley help COMMAND or volley COMMAND --help tells more; --version, which "
                  "volley this is.\n"
                  "\nExample, on one machine and on another:\n"
                  "  volley serve /srv/data --plain\n"
                  "  volley get 192.0.2.1/big.iso --plain\n");
}

static int unknown_command(const char *name)
{
    (void)fprintf(stderr, "volley: there is no command '%s'; see volley help\n",
                  vly_shown(name).text);
    return VLY_EXIT_USAGE;
}

/* volley help [COMMAND | --commands] */
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
    if (command == NULL)
        return unknown_command(argv[1]);
    return command->run(2, (char *[]){argv[1], help_flag, NULL});
}

static int dispatch(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2) {
        usage(stderr);
        return VLY_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(1, argv);
    if (strcmp(argv[1], "--version") == 0) {
        (void)puts("volley " VLY_VERSION " (" VLY_GIT ")");
        return VLY_EXIT_OK;
    }
    if (strcmp(argv[1], "help") == 0)
        return help(argc - 1, argv + 1);
    command = command_find(argv[1]);
    return command != NULL ? command->run(argc - 1, argv + 1) : unknown_command(argv[1]);
}

int main(int argc, char **argv)
{
    int code;

    (void)setlocale(LC_CTYPE, "");
    /* A reader that goes away is an error to report, and a transfer to end properly. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is then an error like a full disk */
    code = dispatch(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && code == VLY_EXIT_OK) {
        (void)fprintf(stderr, "volley: writing to standard output failed\n");
        code = VLY_EXIT_FAILED;
    }
    return code;
}
