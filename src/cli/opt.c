/*
 * opt - the options of a command, as tables: they feed getopt_long and the help text alike.
 *
 * The value getopt_long returns for an option is its place in the command's list, so that long-only
 * options need no letters made up for them.
 */
#include "cli/opt.h"

#include "cli/cli.h"
#include "cli/quantity.h"
#include "file/path.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define VALUE_BASE 256 /* above every letter */
#define HELP_COLUMN 28
#define HELP_WIDTH 90

static const struct vly_opt help_opt = {
    .name = "help", .letter = 'h', .kind = VLY_OPT_FLAG, .help = "print this text"};

/* All options of a set in one row, --help last. */
struct opt_list {
    const struct vly_opt *at[VLY_OPTS_MAX];
    size_t n;
};

static void list_fill(struct opt_list *list, const struct vly_opt_set *set)
{
    list->n = 0;
    for (size_t g = 0; g < VLY_OPT_GROUPS_MAX && set->groups[g].title != NULL; g++) {
        for (size_t i = 0; i < set->groups[g].n; i++) {
            assert(list->n + 1 < VLY_OPTS_MAX);
            list->at[list->n++] = &set->groups[g].opts[i];
        }
    }
    list->at[list->n++] = &help_opt;
}

/* ---- help ---- */

/* Prints `text` wrapped, its first line continuing at column `at`, the others at HELP_COLUMN. */
static void wrap(const char *text, int at)
{
    while (*text != '\0') {
        int len = (int)strcspn(text, " ");
        if (at + 1 + len > HELP_WIDTH) {
            printf("\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        }
        at += printf(at == HELP_COLUMN ? "%.*s" : " %.*s", len, text);
        text += len;
        text += strspn(text, " ");
    }
    (void)putchar('\n');
}

static void help_line(const struct vly_opt *opt)
{
    int at = opt->letter != 0 ? printf("  -%c, --%s", opt->letter, opt->name)
                              : printf("      --%s", opt->name);

    if (opt->arg != NULL)
        at += printf(" %s", opt->arg);
    if (at + 2 > HELP_COLUMN) {
        (void)putchar('\n');
        at = 0;
    }
    printf("%*s", HELP_COLUMN - at, "");
    wrap(opt->help, HELP_COLUMN);
}

void vly_opt_help(const struct vly_opt_set *set)
{
    printf("usage: volley %s %s\n\n%s", set->command, set->usage, set->about);
    for (size_t g = 0; g < VLY_OPT_GROUPS_MAX && set->groups[g].title != NULL; g++) {
        printf("\n%s:\n", set->groups[g].title);
        for (size_t i = 0; i < set->groups[g].n; i++)
            help_line(&set->groups[g].opts[i]);
        if (g == 0)
            help_line(&help_opt);
    }
}

/* ---- parsing ---- */

/* Whether the `len` bytes at `word` are one of those in "a|b|c". */
static bool choice_has(const char *choices, const char *word, size_t len)
{
    for (const char *p = choices; *p != '\0';) {
        size_t n = strcspn(p, "|");
        if (n == len && memcmp(p, word, n) == 0)
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}

/* The same for each in "a,c". */
static bool choice_has_all(const char *choices, const char *words)
{
    size_t len = strcspn(words, ",");

    while (choice_has(choices, words, len)) {
        if (words[len] == '\0')
            return true;
        words += len + 1;
        len = strcspn(words, ",");
    }
    return false;
}

static int integer_set(const struct vly_opt *opt, const char *text, uint64_t *out)
{
    uint64_t value = 0;
    int err = VLY_E_INVALID;

    if (opt->kind == VLY_OPT_NUMBER)
        err = vly_number_parse(text, &value);
    else if (opt->kind == VLY_OPT_SIZE)
        err = vly_size_parse(text, &value);
    else if (opt->kind == VLY_OPT_RATE)
        err = vly_rate_parse(text, &value);
    else if (opt->kind == VLY_OPT_DURATION)
        err = vly_duration_parse(text, &value);
    if (err == 0 && (value < opt->min || (opt->max != 0 && value > opt->max)))
        err = VLY_E_LIMIT;
    if (err == 0)
        *out = value;
    return err;
}

static int value_set(const struct vly_opt *opt, const char *text, void *args)
{
    void *field = (char *)args + opt->offset;

    switch (opt->kind) {
    case VLY_OPT_FLAG:
        *(bool *)field = true;
        return 0;
    case VLY_OPT_TEXT:
        *(const char **)field = text;
        return 0;
    case VLY_OPT_CHOICE:
        *(const char **)field = text;
        return choice_has(opt->arg, text, strlen(text)) ? 0 : VLY_E_INVALID;
    case VLY_OPT_CHOICES:
        *(const char **)field = text;
        return choice_has_all(opt->arg, text) ? 0 : VLY_E_INVALID;
    case VLY_OPT_NUMBER:
    case VLY_OPT_SIZE:
    case VLY_OPT_RATE:
    case VLY_OPT_DURATION:
        return integer_set(opt, text, field);
    case VLY_OPT_SHARE:
        return vly_share_parse(text, field);
    }
    return VLY_E_INVALID;
}

/* What the value should have looked like. */
static const char *expected(const struct vly_opt *opt)
{
    switch (opt->kind) {
    case VLY_OPT_FLAG:
    case VLY_OPT_TEXT:
        break;
    case VLY_OPT_CHOICE:
    case VLY_OPT_CHOICES:
        return opt->arg;
    case VLY_OPT_NUMBER:
        return "a whole number";
    case VLY_OPT_SIZE:
        return "a size such as 64MiB";
    case VLY_OPT_RATE:
        return "a rate such as 100Mbit or 10MB";
    case VLY_OPT_DURATION:
        return "a time such as 10s or 50ms";
    case VLY_OPT_SHARE:
        return "a share such as 1% or 0.01";
    }
    return "a value";
}

static struct vly_text bound_text(const struct vly_opt *opt, uint64_t value)
{
    struct vly_text out;

    if (opt->kind == VLY_OPT_SIZE)
        return vly_bytes_text(value);
    if (opt->kind == VLY_OPT_RATE)
        return vly_rate_text((double)value);
    if (opt->kind == VLY_OPT_DURATION)
        return vly_duration_text(value);
    (void)snprintf(out.s, sizeof(out.s), "%llu", (unsigned long long)value);
    return out;
}

static int value_refuse(const struct vly_cli *cli, const struct vly_opt *opt, const char *text,
                        int err)
{
    if (err == VLY_E_LIMIT && opt->max != 0)
        return vly_cli_usage(cli, "--%s %s is out of bounds: %s to %s", opt->name,
                             vly_shown(text).text, bound_text(opt, opt->min).s,
                             bound_text(opt, opt->max).s);
    if (err == VLY_E_LIMIT)
        return vly_cli_usage(cli, "--%s %s is out of bounds", opt->name, vly_shown(text).text);
    return vly_cli_usage(cli, "--%s takes %s, not '%s'", opt->name, expected(opt),
                         vly_shown(text).text);
}

/* getopt_long found something wrong with the argument before `optind`. */
static int option_refuse(const struct vly_cli *cli, int got, const char *word)
{
    struct vly_shown text = vly_shown(word != NULL ? word : "");
    const char letter[] = {(char)optopt, '\0'};

    text.text[strcspn(text.text, "=")] = '\0';
    if (got == ':')
        return vly_cli_usage(cli, "%s needs a value", text.text);
    if (optopt >= VALUE_BASE)
        return vly_cli_usage(cli, "%s takes no value", text.text);
    if (word != NULL && strncmp(word, "--", 2) == 0)
        return vly_cli_usage(cli, "there is no option %s, or more than one begins so", text.text);
    return vly_cli_usage(cli, "there is no option -%s", vly_shown(letter).text);
}

struct tables {
    struct option longs[VLY_OPTS_MAX + 1];
    char shorts[2 * VLY_OPTS_MAX + 2];
};

static void tables_fill(struct tables *t, const struct opt_list *list)
{
    char *s = t->shorts;

    memset(t, 0, sizeof(*t));
    *s++ = ':'; /* a missing value is reported as such */
    for (size_t i = 0; i < list->n; i++) {
        const struct vly_opt *opt = list->at[i];
        t->longs[i] = (struct option){
            .name = opt->name, .has_arg = opt->arg != NULL, .val = VALUE_BASE + (int)i};
        if (opt->letter == 0)
            continue;
        *s++ = opt->letter;
        if (opt->arg != NULL)
            *s++ = ':';
    }
}

/* The option that getopt_long's result stands for; NULL when it is an error. */
static const struct vly_opt *list_find(const struct opt_list *list, int got)
{
    if (got >= VALUE_BASE)
        return list->at[got - VALUE_BASE];
    for (size_t i = 0; i < list->n; i++)
        if (list->at[i]->letter != 0 && list->at[i]->letter == got)
            return list->at[i];
    return NULL;
}

int vly_opt_parse(const struct vly_opt_set *set, int argc, char **argv, void *args, int *out_exit)
{
    struct vly_cli cli = {.command = set->command, .json = vly_cli_wants_json(argc, argv)};
    struct opt_list list;
    struct tables tables;
    int got;

    list_fill(&list, set);
    tables_fill(&tables, &list);
    opterr = 0;
    optind = 1;
    while ((got = getopt_long(argc, argv, tables.shorts, tables.longs, NULL)) != -1) {
        const struct vly_opt *opt = list_find(&list, got);
        int err;
        if (opt == NULL) {
            *out_exit = option_refuse(&cli, got, argv[optind - 1]);
            return -1;
        }
        if (opt == &help_opt) {
            vly_opt_help(set);
            *out_exit = VLY_EXIT_OK;
            return -1;
        }
        err = value_set(opt, optarg, args);
        if (err != 0) {
            *out_exit = value_refuse(&cli, opt, optarg, err);
            return -1;
        }
    }
    return optind;
}
