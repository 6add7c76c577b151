/*
 * cmd_get - volley get HOST[:PORT]/PATH... [-o WHERE]
 */
#include "cli/client.h"
#include "file/path.h"

#include <stdlib.h>
#include <string.h>

struct get_args {
    struct vly_net_args net; /* first: the tables of the network options rely on it */
    const char *where;
    bool force;
};

static const struct vly_opt get_opts[] = {
    {"output", 'o', VLY_OPT_TEXT, offsetof(struct get_args, where), "WHERE",
     "file name or directory to write to, - for standard output (default: the current directory)",
     0, 0},
    {"force", 'f', VLY_OPT_FLAG, offsetof(struct get_args, force), NULL,
     "replace files that exist already", 0, 0},
};

static const struct vly_opt_set get_set = {
    .command = "get",
    .usage = "HOST[:PORT]/PATH... [-o WHERE] [OPTION...]",
    .about = "Downloads files, and directories with all that is below them. HOST/ is everything.\n"
             "A file is under its name only when it is complete and verified.\n",
    .groups = {{"Options", get_opts, sizeof(get_opts) / sizeof(get_opts[0])}},
};

/* All operands must name one server: they go through one connection. Fills `paths`. */
static int operands_parse(const struct vly_cli *cli, char *const *operands, size_t n,
                          struct vly_addr *server, const char **paths)
{
    for (size_t i = 0; i < n; i++) {
        struct vly_addr addr;
        const char *why;
        if (vly_addr_parse(operands[i], &addr, &why) != 0)
            return vly_cli_usage(cli, "%s: %s", vly_shown(operands[i]).text, why);
        if (!addr.has_path)
            return vly_cli_usage(cli,
                                 "%s: a path is missing, as in HOST/PATH (HOST/ is everything)",
                                 vly_shown(operands[i]).text);
        if (i > 0 && strcmp(addr.name, server->name) != 0)
            return vly_cli_usage(cli, "%s: all files of one call come from one server",
                                 vly_shown(operands[i]).text);
        if (i == 0)
            *server = addr;
        paths[i] = addr.path;
    }
    return 0;
}

static int run(const struct vly_cli *cli, const struct get_args *args, char *const *operands,
               size_t n)
{
    const char **paths = calloc(n, sizeof(*paths));
    struct vly_addr server;
    int code;

    if (paths == NULL)
        return vly_cli_fail(cli, VLY_E_NOMEM, "out of memory");
    code = operands_parse(cli, operands, n, &server, paths);
    if (code == 0)
        code = vly_net_check_receiver(cli, &args->net);
    if (code == 0)
        code = vly_client_run(&(struct vly_client_job){
            .cli = *cli,
            .net = &args->net,
            .server = &server,
            .verb = VLY_GET,
            .paths = paths,
            .n_paths = n,
            .where = args->where,
            .force = args->force,
            .writes_stdout = args->where != NULL && strcmp(args->where, "-") == 0,
        });
    free(paths);
    return code;
}

int vly_cmd_get(int argc, char **argv)
{
    struct vly_opt_set set = get_set;
    struct get_args args = {0};
    struct vly_cli cli = {.command = "get"};
    int code;
    int first;

    set.groups[1] = vly_net_group;
    set.groups[2] = vly_client_keys_group;
    set.groups[3] = vly_protection_group;
    set.groups[4] = vly_talk_group;
    first = vly_opt_parse(&set, argc, argv, &args, &code);
    if (first < 0)
        return code;
    cli.json = args.net.json;
    if (first == argc)
        return vly_cli_usage(&cli, "nothing to get: name HOST/PATH");
    if (args.where != NULL && *args.where == '\0')
        return vly_cli_usage(&cli, "--output needs a name");
    if (args.where != NULL && strcmp(args.where, "-") == 0) {
        cli.json = false; /* standard output is for the content alone, errors included */
        if (args.net.json)
            return vly_cli_usage(&cli, "-o - and --json both want standard output");
        if (argc - first > 1)
            return vly_cli_usage(&cli, "-o - takes one file");
    }
    return run(&cli, &args, argv + first, (size_t)(argc - first));
}
