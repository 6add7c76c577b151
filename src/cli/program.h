/*
 * program - a program made of subcommands: its table, its help, and what it does around them.
 */
#ifndef VLY_CLI_PROGRAM_H
#define VLY_CLI_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

struct vly_command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is its name; returns an exit code (cli.h) */
    const char *help;                  /* a few words */
};

/* All of it is static text. */
struct vly_program {
    const char *name; /* as a person calls it: "volley bench" */
    const char *file; /* of the program itself: "volley-bench" */
    const char *usage, *about, *examples;
    const struct vly_command *commands;
    size_t n_commands;
    /* What runs without a command, or with options alone; NULL: the usage, as an error. */
    int (*run)(int argc, char **argv);
    /* Other processes of the same user, a debugger for one, may not look into its memory. Not for
     * one that makes namespaces: the system demands that it can be looked into. */
    bool holds_keys;
};

/* The whole of main: finds the command, and reports output that could not be written. */
int vly_program_main(const struct vly_program *program, int argc, char **argv);

#endif
