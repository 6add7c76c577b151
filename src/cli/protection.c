/*
 * protection - the options of keys and ciphers, and what they come to.
 */
#include "cli/protection.h"

#include "cli/keyfile.h"
#include "cli/keylog.h"
#include "file/path.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEYS(member) offsetof(struct vly_net_args, keys.member)

static const struct vly_opt shared_opts[] = {
    {"plain", 0, VLY_OPT_FLAG, offsetof(struct vly_net_args, plain), NULL,
     "go without encryption: everyone on the way can read and change all; needed at both ends", 0,
     0},
    {"key", 0, VLY_OPT_TEXT, KEYS(key), "FILE",
     "both ends hold the key in FILE, and prove it instead of showing keys of their own", 0, 0},
    {"suite", 0, VLY_OPT_CHOICES, KEYS(suite), "auto|aes-256-gcm|chacha20-poly1305|aes-128-gcm",
     "cipher, or several with commas between, best first; no other one is used (default: auto, the "
     "best that both ends have; aes-128-gcm is not among them, both ends have to name it)",
     0, 0},
    {"crypto", 0, VLY_OPT_CHOICE, KEYS(crypto), "auto|openssl|ipsec-mb",
     "library that computes it (default: auto, the fastest here)", 0, 0},
    {"keylog", 0, VLY_OPT_TEXT, KEYS(keylog), "FILE",
     "append the keys of each connection to FILE: whoever has it can read all that was sent", 0, 0},
};

static const struct vly_opt client_opts[] = {
    {"identity", 'i', VLY_OPT_TEXT, KEYS(identity), "FILE",
     "show the server this key (default: identity in the directory of keys, if it exists)", 0, 0},
    {"accept-new", 0, VLY_OPT_FLAG, KEYS(accept_new), NULL,
     "believe a server that is not known yet, and remember its key", 0, 0},
};

static const struct vly_opt server_opts[] = {
    {"host-key", 0, VLY_OPT_TEXT, KEYS(identity), "FILE",
     "the server's key, made when there is none (default: host_key in the directory of keys)", 0,
     0},
    {"authorized-keys", 0, VLY_OPT_TEXT, KEYS(authorized), "FILE",
     "keys of clients and what they may do (default: that file in the directory of keys, if it "
     "exists)",
     0, 0},
    {"anonymous", 0, VLY_OPT_CHOICE, KEYS(anonymous), "none|read|write",
     "what clients with no authorized key may do; write is read as well (default: write without "
     "authorized keys, else none)",
     0, 0},
};

const struct vly_opt_group vly_protection_group = {"Encryption", shared_opts,
                                                   sizeof(shared_opts) / sizeof(shared_opts[0])};
const struct vly_opt_group vly_client_keys_group = {"Keys", client_opts,
                                                    sizeof(client_opts) / sizeof(client_opts[0])};
const struct vly_opt_group vly_server_keys_group = {"Keys", server_opts,
                                                    sizeof(server_opts) / sizeof(server_opts[0])};

/* The name of an option that --plain makes meaningless; NULL when there is none. */
static const char *idle_with_plain(const struct vly_key_args *args)
{
    return args->identity != NULL     ? "a key of one's own"
           : args->key != NULL        ? "--key"
           : args->accept_new         ? "--accept-new"
           : args->authorized != NULL ? "--authorized-keys"
           : args->suite != NULL      ? "--suite"
           : args->crypto != NULL     ? "--crypto"
           : args->keylog != NULL     ? "--keylog"
                                      : NULL;
}

/* What contradicts itself. */
static int check(const struct vly_cli *cli, const struct vly_net_args *net)
{
    const struct vly_key_args *args = &net->keys;
    const char *idle = net->plain ? idle_with_plain(args) : NULL;

    if (idle != NULL)
        return vly_cli_usage(cli, "--plain does without encryption, so %s means nothing", idle);
    if (args->key != NULL && args->identity != NULL)
        return vly_cli_usage(cli, "with --key nobody shows a key of his own");
    if (args->key != NULL && args->accept_new)
        return vly_cli_usage(cli, "with --key the server proves itself: no need for --accept-new");
    if (args->key != NULL && (args->authorized != NULL || args->anonymous != NULL))
        return vly_cli_usage(cli,
                             "with --key whoever holds the key may do all that is served; %s "
                             "needs keys of clients",
                             args->authorized != NULL ? "--authorized-keys" : "--anonymous");
    return 0;
}

/* Fills key_path. */
static int find_key(struct vly_protection *p, const char *file, enum vly_end end,
                    struct vly_fault *why)
{
    const char *name = end == VLY_END_SERVER ? VLY_HOME_HOST_KEY : VLY_HOME_IDENTITY;
    int len;

    if (file == NULL)
        return vly_home_path(&p->key_path, name, why);
    len = snprintf(p->key_path.s, sizeof(p->key_path.s), "%s", file);
    return len >= 0 && (size_t)len < sizeof(p->key_path.s)
               ? 0
               : vly_fault_set(why, VLY_E_LIMIT, "the name of the key's file is too long");
}

/* A server always has a key; a client may do without, unless it names one. */
static int read_own_key(struct vly_protection *p, const char *file, enum vly_end end,
                        struct vly_fault *why)
{
    int err = find_key(p, file, end, why);

    if (err == 0 && end == VLY_END_SERVER)
        err = vly_keyfile_read_or_make(p->key_path.s, &p->secret, &p->made, why);
    else if (err == 0)
        err = vly_keyfile_read(p->key_path.s, VLY_KEYFILE_SECRET, &p->secret, why);
    if (err == VLY_E_NOT_FOUND && end == VLY_END_CLIENT && file == NULL)
        return 0;
    if (err == 0)
        vly_keyfile_public(p->secret, p->public_key);
    return err;
}

/* What to do about a key that cannot be read, where the error alone does not say it. */
static const char *advice(const struct vly_key_args *args, enum vly_end end, int err)
{
    if (args->key != NULL)
        return err == VLY_E_NOT_FOUND ? "; 'volley keygen --psk' makes one" : "";
    if (end == VLY_END_SERVER && args->identity == NULL && err != VLY_E_MALFORMED)
        return "; --host-key names another place for the server's key";
    return end == VLY_END_CLIENT && err == VLY_E_NOT_FOUND ? "; 'volley keygen' makes one" : "";
}

static int open_all(struct vly_protection *p, const struct vly_key_args *args, enum vly_end end,
                    struct vly_fault *why)
{
    int err = args->key != NULL ? vly_keyfile_read(args->key, VLY_KEYFILE_SHARED, &p->psk, why)
                                : read_own_key(p, args->identity, end, why);
    struct vly_fault reason;

    if (err != 0) {
        reason = *why;
        return vly_fault_set(why, err, "%s%s", reason.text, advice(args, end, err));
    }
    return args->keylog != NULL ? vly_keylog_open(args->keylog, &p->keylog, why) : 0;
}

int vly_protection_open(struct vly_protection *p, const struct vly_cli *cli,
                        const struct vly_net_args *net, enum vly_end end)
{
    const struct vly_key_args *args = &net->keys;
    int code = check(cli, net);
    struct vly_fault why;

    *p = (struct vly_protection){.plain = net->plain, .keylog = -1};
    if (code != 0 || net->plain)
        return code;
    if (open_all(p, args, end, &why) != 0) {
        vly_protection_close(p);
        return vly_cli_fail(cli, why.err, "%s", why.text);
    }
    p->security = (struct vly_security){
        .size = sizeof(p->security),
        .secret_key = p->secret,
        .psk = p->psk,
        .suite = args->suite,
        .crypto = args->crypto,
        .on_key = p->keylog >= 0 ? vly_keylog_write : NULL,
        .ctx = &p->keylog,
    };
    if (p->keylog >= 0)
        vly_cli_say(cli,
                    "warning: the keys of this session go to '%s'; whoever reads that file "
                    "can read everything that is sent",
                    vly_shown(args->keylog).text);
    return 0;
}

void vly_protection_wipe(struct vly_protection *p)
{
    vly_keyfile_key_free(p->secret);
    vly_keyfile_key_free(p->psk);
    p->secret = p->psk = NULL;
    p->security.secret_key = p->security.psk = NULL;
}

void vly_protection_close(struct vly_protection *p)
{
    vly_protection_wipe(p);
    if (p->keylog >= 0)
        close(p->keylog);
    p->keylog = -1;
}
