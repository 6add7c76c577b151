/*
 * protection - the options of keys and ciphers, and what they come to: secrets read into locked
 * memory, the key log opened.
 */
#ifndef VLY_CLI_PROTECTION_H
#define VLY_CLI_PROTECTION_H

#include "cli/cli.h"
#include "cli/home.h"

/* Everything is borrowed from the arguments of the command. Must stay where it is while it is open.
 */
struct vly_protection {
    struct vly_security security; /* for vly_transport_options, unless plain */
    bool plain;
    uint8_t *secret, *psk; /* owned, locked memory; NULL: none */
    bool made;             /* server: this is the first use of its key */
    struct vly_home_path key_path;
    uint8_t public_key[VLY_PUBLIC_KEY_BYTES]; /* of `secret` */
    int keylog;                               /* file, -1: none */
};

enum vly_end { VLY_END_CLIENT, VLY_END_SERVER };

/* Reads what the options name. Says what is wrong and returns an exit code, or 0. */
VLY_MUST_USE int vly_protection_open(struct vly_protection *p, const struct vly_cli *cli,
                                     const struct vly_net_args *net, enum vly_end end);
/* Wipes the secrets: transports hold copies of their own. Once is enough, twice is allowed. */
void vly_protection_wipe(struct vly_protection *p);
void vly_protection_close(struct vly_protection *p);

#endif
