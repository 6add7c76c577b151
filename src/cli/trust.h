/*
 * trust - which server a client believes: what known_hosts says, --accept-new, and what the user
 * answers when asked.
 */
#ifndef VLY_CLI_TRUST_H
#define VLY_CLI_TRUST_H

#include "cli/cli.h"
#include "cli/home.h"
#include "cli/known_hosts.h"

struct vly_trust {
    const struct vly_cli *cli; /* borrowed */
    bool quiet;
    bool applies; /* false: plain, or a pre-shared key */
    bool accept_new;
    bool pinned;
    struct vly_known_host known; /* when pinned; line 0: the user has just said so */
    struct vly_host_name name;
    struct vly_home_path file;
    bool shown;                        /* the server has shown a key */
    uint8_t key[VLY_PUBLIC_KEY_BYTES]; /* that one */
};

/* Looks the server up. Says what is wrong and returns an exit code, or 0. */
VLY_MUST_USE int vly_trust_open(struct vly_trust *t, const struct vly_cli *cli,
                                const struct vly_net_args *net, const struct vly_addr *server);
/* Puts into `security` whom to believe; it borrows from `t`. */
void vly_trust_fill(const struct vly_trust *t, struct vly_security *security);
/* For vly_client_events.on_server_key: remembers a new server that is believed. */
void vly_trust_on_key(struct vly_trust *t, const uint8_t key[VLY_PUBLIC_KEY_BYTES],
                      const struct vly_failure *why);
/* The transfer failed with HOST_UNKNOWN or HOST_CHANGED. Asks the user where there is one, and else
 * says what is to be done. Returns an exit code; 0: believed now, try again. */
VLY_MUST_USE int vly_trust_fail(struct vly_trust *t, int err);

#endif
