/*
 * cli - what the commands share: exit codes, one-line errors, the network options.
 *
 * An error is one line on standard error, "volley COMMAND: what: where; what to do", and with
 * --json also one object on standard output. Exit codes are part of the interface: volley(1) lists
 * them.
 */
#ifndef VLY_CLI_CLI_H
#define VLY_CLI_CLI_H

#include "cli/opt.h"

#include <volley/transfer.h>

enum vly_exit {
    VLY_EXIT_OK = 0,
    VLY_EXIT_FAILED = 1,
    VLY_EXIT_USAGE = 2,
    VLY_EXIT_NOT_FOUND = 3,
    VLY_EXIT_REFUSED = 4,
    VLY_EXIT_NETWORK = 5,
    VLY_EXIT_INTEGRITY = 6,
    VLY_EXIT_SOURCE_CHANGED = 7,
    VLY_EXIT_NO_SPACE = 8,
    VLY_EXIT_TRUST = 9,    /* the ends do not hold the keys that the other one wants */
    VLY_EXIT_SIGNAL = 128, /* plus the number of the signal that interrupted a transfer */
};

/* How a command speaks. */
struct vly_cli {
    const char *command; /* static */
    bool json;
};

/* The options of keys and ciphers (protection.c); NULL and false: not given. */
struct vly_key_args {
    const char *identity; /* client: --identity; server: --host-key */
    const char *key, *suite, *crypto, *keylog;
    bool accept_new;                    /* client */
    const char *authorized, *anonymous; /* server */
};

/* The options of every command that uses the network; first member of their arguments. */
struct vly_net_args {
    bool plain, udp, tcp, json, quiet, verbose;
    const char *cc, *io, *tcp_cc;
    uint64_t timeout_ns, window_bytes, mss_bytes, rate_bytes_per_s;
    struct vly_key_args keys;
};

extern const struct vly_opt_group vly_net_group, vly_talk_group;
extern const struct vly_opt_group vly_protection_group, vly_client_keys_group,
    vly_server_keys_group;

/* The exit code that stands for `err`; the only place that decides. */
int vly_exit_code(int err);

/* Says that the command was called wrongly. Returns VLY_EXIT_USAGE. */
int vly_cli_usage(const struct vly_cli *cli, const char *format, ...) VLY_PRINTF(2, 3);
/* Says what failed. Returns the exit code of `err`. */
int vly_cli_fail(const struct vly_cli *cli, int err, const char *format, ...) VLY_PRINTF(3, 4);
/* Says something that is no failure. */
void vly_cli_say(const struct vly_cli *cli, const char *format, ...) VLY_PRINTF(2, 3);
/* Says where the time of a sender went: what explains a slow transfer. */
void vly_cli_say_limits(const struct vly_cli *cli, const char *who,
                        const struct vly_transfer_stats *s);

/* Whether --json is among the arguments: needed before they are parsed, for errors in them. */
bool vly_cli_wants_json(int argc, char *const *argv);

/* Refuses what contradicts itself. Returns 0 or an exit code. */
VLY_MUST_USE int vly_net_check(const struct vly_cli *cli, const struct vly_net_args *net);
/* The same for a command whose server does the sending: a rate given here would limit nothing. */
VLY_MUST_USE int vly_net_check_receiver(const struct vly_cli *cli, const struct vly_net_args *net);
void vly_net_fill(struct vly_transport_options *out, const struct vly_net_args *net);

/* ---- the commands; argv[0] is the command's name. They return an exit code. ---- */

int vly_cmd_serve(int argc, char **argv);
int vly_cmd_put(int argc, char **argv);
int vly_cmd_get(int argc, char **argv);
int vly_cmd_ls(int argc, char **argv);
int vly_cmd_keygen(int argc, char **argv);
int vly_cmd_sim(int argc, char **argv);
int vly_cmd_bench(int argc, char **argv);

#endif
