/*
 * client - one get, put or ls from its arguments to its exit code.
 */
#ifndef VLY_CLI_CLIENT_H
#define VLY_CLI_CLIENT_H

#include "cli/addr.h"
#include "cli/cli.h"

/* What a command asks for. Everything is borrowed until vly_client_run returns. */
struct vly_client_job {
    struct vly_cli cli;
    const struct vly_net_args *net;
    const struct vly_addr *server;
    enum vly_client_verb verb;
    const char *const *paths;
    size_t n_paths;
    const char *where;
    bool force, recursive;
    bool reads_stdin;   /* what was read cannot be read again for another address */
    bool writes_stdout; /* the content goes to standard output */
    void (*on_entry)(void *ctx, const struct vly_list_entry *e);
    void *ctx;
};

/* Runs it; returns the exit code. */
int vly_client_run(const struct vly_client_job *job);

#endif
