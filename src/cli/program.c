#include "cli/program.h"

#include "cli/cli.h"
#include "file/path.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef VLY_VERSION
#define VLY_VERSION "unknown"
#endif
#ifndef VLY_GIT
#define VLY_GIT "unknown"
#endif

static const struct vly_command *command_find(const struct vly_program *p, const char *name)
{
    for (size_t i = 0; i < p->n_commands; i++)
        if (strcmp(p->commands[i].name, name) == 0)
            return &p->commands[i];
    return NULL;
}

static void usage(const struct vly_program *p, FILE *out)
{
    (void)fprintf(out, "usage: %s %s\n\n%s\n\nCommands:\n", p->name, p->usage, p->about);
    for (size_t i = 0; i < p->n_commands; i++)
        (void)fprintf(out, "  %-9s%s\n", p->commands[i].name, p->commands[i].help);
    (void)fprintf(out,
                  "\n%s help COMMAND or %s COMMAND --help tells more;\n"
                  "%s --version, which one this is.\n"
                  "\nExample, on one machine and on another:\n%s",
                  p->name, p->name, p->name, p->examples);
}

static int unknown_command(const struct vly_program *p, const char *name)
{
    (void)fprintf(stderr, "%s: there is no command '%s'; see %s help\n", p->name,
                  vly_shown(name).text, p->name);
    return VLY_EXIT_USAGE;
}

/* help [COMMAND | --commands] */
static int help(const struct vly_program *p, int argc, char **argv)
{
    char help_flag[] = "--help";
    const struct vly_command *command;

    if (argc < 2) {
        usage(p, stdout);
        return VLY_EXIT_OK;
    }
    if (strcmp(argv[1], "--commands") == 0) {
        for (size_t i = 0; i < p->n_commands; i++)
            (void)puts(p->commands[i].name);
        return VLY_EXIT_OK;
    }
    command = command_find(p, argv[1]);
    if (command == NULL)
        return unknown_command(p, argv[1]);
    return command->run(2, (char *[]){argv[1], help_flag, NULL});
}

static int run_bare(const struct vly_program *p, int argc, char **argv)
{
    if (p->run != NULL)
        return p->run(argc, argv);
    usage(p, stderr);
    return VLY_EXIT_USAGE;
}

static int dispatch(const struct vly_program *p, int argc, char **argv)
{
    const struct vly_command *command;

    if (argc < 2)
        return run_bare(p, argc, argv);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(p, 1, argv);
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("%s " VLY_VERSION " (" VLY_GIT ")\n", p->file);
        return VLY_EXIT_OK;
    }
    if (strcmp(argv[1], "help") == 0)
        return help(p, argc - 1, argv + 1);
    command = command_find(p, argv[1]);
    if (command != NULL)
        return command->run(argc - 1, argv + 1);
    if (p->run != NULL && argv[1][0] == '-')
        return p->run(argc, argv);
    return unknown_command(p, argv[1]);
}

/* A core dump would hold keys, and so does what a debugger reads. VOLLEY_CORE=1 is for those who
 * look for a bug. */
static void hide_memory(const struct vly_program *p)
{
    const char *allowed = getenv("VOLLEY_CORE");
    struct rlimit limit;

    if (allowed != NULL && strcmp(allowed, "1") == 0)
        return;
    if (getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = 0;
        (void)setrlimit(RLIMIT_CORE, &limit);
    }
    if (p->holds_keys)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int vly_program_main(const struct vly_program *p, int argc, char **argv)
{
    int code;

    (void)setlocale(LC_CTYPE, "");
    hide_memory(p);
    /* A reader that goes away is an error to report, and a transfer to end properly. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is then an error like a full disk */
    code = dispatch(p, argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && code == VLY_EXIT_OK) {
        (void)fprintf(stderr, "%s: writing to standard output failed\n", p->name);
        code = VLY_EXIT_FAILED;
    }
    return code;
}
