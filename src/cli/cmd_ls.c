/*
 * cmd_ls - volley ls HOST[:PORT][/DIR] [-r]
 */
#include "cli/client.h"
#include "cli/json_out.h"
#include "file/path.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct ls_args {
    struct vly_net_args net; /* first: the tables of the network options rely on it */
    bool recursive;
};

static const struct vly_opt ls_opts[] = {
    {"recursive", 'r', VLY_OPT_FLAG, offsetof(struct ls_args, recursive), NULL,
     "list what is below as well", 0, 0},
};

static const struct vly_opt_set ls_set = {
    .command = "ls",
    .usage = "HOST[:PORT][/DIR] [OPTION...]",
    .about = "Lists a served directory, or a file: mode, size in bytes, time of change, name.\n",
    .groups = {{"Options", ls_opts, sizeof(ls_opts) / sizeof(ls_opts[0])}},
};

static const char *kind_name(int kind)
{
    return kind == VLY_ENTRY_FILE ? "file" : kind == VLY_ENTRY_DIRECTORY ? "directory" : "other";
}

static void entry_json(const struct vly_list_entry *e)
{
    json_t *event = vly_json_event("entry");

    vly_json_text(event, "path", e->path);
    vly_json_text(event, "kind", kind_name((int)e->kind));
    vly_json_count(event, "bytes", e->bytes);
    vly_json_count(event, "mode", e->mode & 0777u);
    (void)json_object_set_new(event, "mtime_ns", json_integer((json_int_t)e->mtime_ns));
    vly_json_emit(event);
}

/* "rwxr-x---" */
static void mode_text(uint16_t mode, char out[10])
{
    static const char letters[] = "rwxrwxrwx";

    for (unsigned i = 0; i < 9; i++)
        out[i] = ((unsigned)mode >> (8 - i) & 1u) != 0 ? letters[i] : '-';
    out[9] = '\0';
}

static void entry_print(const struct vly_list_entry *e)
{
    bool is_directory = e->kind == VLY_ENTRY_DIRECTORY;
    time_t when = (time_t)(e->mtime_ns / (int64_t)VLY_S(1));
    struct tm tm;
    char date[32] = "-";
    char size[24] = "-";
    char mode[10];
    static char name[4 * VLY_PATH_MAX_BYTES + 16]; /* in full: it may be copied from here */

    if (localtime_r(&when, &tm) != NULL)
        (void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm);
    if (e->kind == VLY_ENTRY_FILE)
        (void)snprintf(size, sizeof(size), "%" PRIu64, e->bytes);
    mode_text(e->mode, mode);
    printf("%c%s  %14s  %16s  %s%s\n",
           is_directory                ? 'd'
           : e->kind == VLY_ENTRY_FILE ? '-'
                                       : '?',
           mode, size, date, vly_escape(name, sizeof(name), vly_span_str(e->path)),
           is_directory ? "/" : "");
}

static void on_entry(void *ctx, const struct vly_list_entry *e)
{
    const struct ls_args *args = ctx;

    if (args->net.json)
        entry_json(e);
    else
        entry_print(e);
}

int vly_cmd_ls(int argc, char **argv)
{
    struct vly_opt_set set = ls_set;
    struct ls_args args = {0};
    struct vly_cli cli = {.command = "ls"};
    struct vly_addr server;
    const char *why;
    int code, first;

    set.groups[1] = vly_net_group;
    set.groups[2] = vly_client_keys_group;
    set.groups[3] = vly_protection_group;
    set.groups[4] = vly_talk_group;
    first = vly_opt_parse(&set, argc, argv, &args, &code);
    if (first < 0)
        return code;
    cli.json = args.net.json;
    if (argc - first != 1)
        return vly_cli_usage(&cli, "needs one operand: HOST[:PORT][/DIR]");
    if (vly_addr_parse(argv[first], &server, &why) != 0)
        return vly_cli_usage(&cli, "%s: %s", vly_shown(argv[first]).text, why);
    code = vly_net_check_receiver(&cli, &args.net);
    if (code != 0)
        return code;
    return vly_client_run(&(struct vly_client_job){
        .cli = cli,
        .net = &args.net,
        .server = &server,
        .verb = VLY_LIST,
        .paths = &server.path,
        .n_paths = 1,
        .recursive = args.recursive,
        .on_entry = on_entry,
        .ctx = &args,
    });
}
