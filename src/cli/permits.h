/*
 * permits - who may do what on a server, from authorized_keys, --anonymous and --writable.
 */
#ifndef VLY_CLI_PERMITS_H
#define VLY_CLI_PERMITS_H

#include "cli/authorized.h"
#include "cli/cli.h"

struct vly_permits {
    struct vly_authorized authorized;
    bool listed; /* there is a list */
    unsigned others;
    bool writable;
    bool shared_key; /* whoever is let in holds the key of --key */
};

/* Reads the list. `root`: what is served. Says what is wrong and returns an exit code, or 0. */
VLY_MUST_USE int vly_permits_open(struct vly_permits *p, const struct vly_cli *cli,
                                  const struct vly_net_args *net, const char *root, bool writable);
/* The options borrow from `p`. */
void vly_permits_fill(const struct vly_permits *p, struct vly_server_options *opt);
/* "2 keys may read and write, others may read". */
void vly_permits_text(const struct vly_permits *p, char *out, size_t cap);
void vly_permits_close(struct vly_permits *p);

#endif
