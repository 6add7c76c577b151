/*
 * opt - the options of a command, as tables: they feed getopt_long and the help text alike.
 */
#ifndef VLY_CLI_OPT_H
#define VLY_CLI_OPT_H

#include <volley/base.h>

/* What an option's field holds. */
enum vly_opt_kind {
    VLY_OPT_FLAG,     /* bool */
    VLY_OPT_TEXT,     /* const char *, borrowed from argv */
    VLY_OPT_CHOICE,   /* const char *, one of the words of `arg`: "cubic|reno|fixed" */
    VLY_OPT_CHOICES,  /* const char *, one or more of them with commas between */
    VLY_OPT_NUMBER,   /* uint64_t, as are the three below */
    VLY_OPT_SIZE,     /* bytes */
    VLY_OPT_RATE,     /* bytes per second */
    VLY_OPT_DURATION, /* nanoseconds */
    VLY_OPT_SHARE,    /* double in [0, 1] */
};

struct vly_opt {
    const char *name; /* of --name */
    char letter;      /* of -x, 0 when there is none */
    enum vly_opt_kind kind;
    size_t offset;     /* of the field in the command's arguments */
    const char *arg;   /* what the help calls the value; NULL for a flag */
    const char *help;  /* one sentence without a full stop */
    uint64_t min, max; /* of the four uint64_t kinds; max 0: no bound */
};

struct vly_opt_group {
    const char *title;
    const struct vly_opt *opts; /* shared, static */
    size_t n;
};

#define VLY_OPT_GROUPS_MAX 5
#define VLY_OPTS_MAX 40 /* of all groups of a command */

/* A command as its user sees it. --help is added by itself. */
struct vly_opt_set {
    const char *command;
    const char *usage; /* operands and options, after the command's name */
    const char *about; /* a few lines, ends with a newline */
    struct vly_opt_group groups[VLY_OPT_GROUPS_MAX]; /* ends with a title of NULL when not full */
};

/* Parses into `args`, whose fields already hold their defaults; options may stand behind operands,
 * which argv is reordered for. Returns the index of the first operand; or -1 when the command is
 * over, with its exit code in *out_exit: the help was printed, or one line about a mistake. */
VLY_MUST_USE int vly_opt_parse(const struct vly_opt_set *set, int argc, char **argv, void *args,
                               int *out_exit);
void vly_opt_help(const struct vly_opt_set *set);

#endif
