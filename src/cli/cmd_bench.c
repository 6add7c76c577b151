/*
 * cmd_bench - volley bench: hands over to volley-bench, which stands beside volley or in PATH.
 */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "volley-bench"

/* The program beside this one. Returns false when it does not fit. */
static bool sibling(char path[PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - sizeof(PROGRAM));
    char *slash;

    if (len <= 0)
        return false;
    path[len] = '\0';
    slash = strrchr(path, '/');
    if (slash == NULL)
        return false;
    memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
    return true;
}

int vly_cmd_bench(int argc, char **argv)
{
    const struct vly_cli cli = {.command = "bench", .json = vly_cli_wants_json(argc, argv)};
    char path[PATH_MAX], program[] = PROGRAM;

    argv[0] = program;
    if (sibling(path))
        (void)execv(path, argv);
    (void)execvp(PROGRAM, argv);
    return vly_cli_fail(&cli, VLY_E_NOT_FOUND,
                        "cannot run " PROGRAM ": %s; it belongs beside volley or in PATH",
                        strerror(errno));
}
