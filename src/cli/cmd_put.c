/*
 * cmd_put - volley put PATH... HOST[:PORT][/DIR]
 */
#include "cli/client.h"
#include "file/path.h"

#include <string.h>

struct put_args {
    struct vly_net_args net; /* first: the tables of the network options rely on it */
    bool force;
};

static const struct vly_opt put_opts[] = {
    {"force", 'f', VLY_OPT_FLAG, offsetof(struct put_args, force), NULL,
     "replace files that exist already", 0, 0},
};

static const struct vly_opt_set put_set = {
    .command = "put",
    .usage = "PATH... HOST[:PORT][/DIR] [OPTION...]",
    .about =
        "Uploads files, and directories with all that is below them, to a server that accepts\n"
        "them. PATH - is standard input; HOST/NAME then names the file.\n",
    .groups = {{"Options", put_opts, sizeof(put_opts) / sizeof(put_opts[0])}},
};

static bool is_stdin(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* Standard input has no name of its own, and one remote name is good for one file only. */
static int stdin_check(const struct vly_cli *cli, char *const *paths, size_t n,
                       const struct vly_addr *server)
{
    size_t len = strlen(server->path);

    for (size_t i = 0; i < n; i++) {
        if (!is_stdin(paths[i]))
            continue;
        if (n > 1)
            return vly_cli_usage(cli, "standard input (-) goes alone");
        if (len == 0 || server->path[len - 1] == '/')
            return vly_cli_usage(cli,
                                 "standard input has no name: name the file, as in HOST/file.tar");
    }
    return 0;
}

int vly_cmd_put(int argc, char **argv)
{
    struct vly_opt_set set = put_set;
    struct put_args args = {0};
    struct vly_cli cli = {.command = "put"};
    struct vly_addr server;
    const char *why;
    int code, first;
    size_t n;

    set.groups[1] = vly_net_group;
    set.groups[2] = vly_client_keys_group;
    set.groups[3] = vly_protection_group;
    set.groups[4] = vly_talk_group;
    first = vly_opt_parse(&set, argc, argv, &args, &code);
    if (first < 0)
        return code;
    cli.json = args.net.json;
    if (argc - first < 2)
        return vly_cli_usage(&cli, "needs what to put and where: PATH... HOST[:PORT][/DIR]");
    n = (size_t)(argc - first - 1);
    if (vly_addr_parse(argv[argc - 1], &server, &why) != 0)
        return vly_cli_usage(&cli, "%s: %s", vly_shown(argv[argc - 1]).text, why);
    code = stdin_check(&cli, argv + first, n, &server);
    if (code == 0)
        code = vly_net_check(&cli, &args.net);
    if (code != 0)
        return code;
    return vly_client_run(&(struct vly_client_job){
        .cli = cli,
        .net = &args.net,
        .server = &server,
        .verb = VLY_PUT,
        .paths = (const char *const *)(argv + first),
        .n_paths = n,
        .where = server.path,
        .force = args.force,
        .reads_stdin = is_stdin(argv[first]),
    });
}
