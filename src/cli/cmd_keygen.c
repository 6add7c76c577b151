/*
 * cmd_keygen - volley keygen: makes a key, or shows one.
 */
#include "cli/cli.h"
#include "cli/guard.h"
#include "cli/home.h"
#include "cli/keyfile.h"
#include "cli/lines.h"
#include "crypto/keytext.h"
#include "file/path.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct keygen_args {
    const char *output, *show;
    bool psk, force;
};

#define ARG(member) offsetof(struct keygen_args, member)

static const struct vly_opt keygen_opts[] = {
    {"output", 'o', VLY_OPT_TEXT, ARG(output), "FILE",
     "where the key goes (default: identity in the directory of keys)", 0, 0},
    {"psk", 0, VLY_OPT_FLAG, ARG(psk), NULL,
     "make a pre-shared key, for both ends alike; needs --output", 0, 0},
    {"show", 's', VLY_OPT_TEXT, ARG(show), "FILE",
     "make nothing: print public key and fingerprint of the key in FILE", 0, 0},
    {"force", 'f', VLY_OPT_FLAG, ARG(force), NULL, "replace a key that exists already", 0, 0},
};

static const struct vly_opt_set keygen_set = {
    .command = "keygen",
    .usage = "[-o FILE] [--psk] [-f] | --show FILE",
    .about =
        "Makes the key that names you to servers, and prints its public half, which goes into\n"
        "a server's authorized_keys; or a key to be copied to both ends.\n",
    .groups = {{"Options", keygen_opts, sizeof(keygen_opts) / sizeof(keygen_opts[0])}},
};

static void print_public(const uint8_t key[VLY_PUBLIC_KEY_BYTES])
{
    printf("public key   %s\nfingerprint  %s\n", vly_public_key_text(key).s,
           vly_fingerprint(key).s);
}

static int public_of_secret(const char *path, uint8_t out[VLY_PUBLIC_KEY_BYTES],
                            struct vly_fault *why)
{
    uint8_t *secret;
    int err = vly_keyfile_read(path, VLY_KEYFILE_SECRET, &secret, why);

    if (err == 0)
        vly_keyfile_public(secret, out);
    vly_keyfile_key_free(secret);
    return err;
}

/* The first line of a public key's file. */
static int public_of_public(const char *path, uint8_t out[VLY_PUBLIC_KEY_BYTES],
                            struct vly_fault *why)
{
    struct vly_lines l;
    char *line, *word;
    int err = vly_lines_open(&l, path, why);

    if (err != 0)
        return err;
    err = vly_lines_next(&l, &line, why);
    word = err == 0 ? vly_line_word(&line) : NULL;
    if (err == VLY_E_NOT_FOUND || (err == 0 && vly_public_key_parse(word, out) != 0))
        err = vly_fault_set(why, VLY_E_MALFORMED, "'%s' is not a public key", vly_shown(path).text);
    vly_lines_close(&l);
    return err;
}

static int show(const struct vly_cli *cli, const char *path)
{
    size_t len = strlen(path);
    uint8_t key[VLY_PUBLIC_KEY_BYTES];
    struct vly_fault why;
    int err = len > 4 && strcmp(path + len - 4, ".pub") == 0 ? public_of_public(path, key, &why)
                                                             : public_of_secret(path, key, &why);

    if (err != 0)
        return vly_cli_fail(cli, err, "%s", why.text);
    print_public(key);
    return VLY_EXIT_OK;
}

/* Beside the secret: the line for a server's authorized_keys. */
static int write_public(const char *path, const uint8_t key[VLY_PUBLIC_KEY_BYTES], bool replace,
                        struct vly_fault *why)
{
    char line[128];
    int len = snprintf(line, sizeof(line), "%s\n", vly_public_key_text(key).s);
    struct vly_guard_file file = {
        .path = path, .data = line, .len = (size_t)len, .mode = 0644, .replace = replace};

    return vly_guard_write(&file, why);
}

static int fail(const struct vly_cli *cli, const struct vly_fault *why)
{
    return vly_cli_fail(cli, why->err, "%s%s", why->text,
                        why->err == VLY_E_EXISTS ? "; --force replaces a key" : "");
}

static int make_identity(const struct vly_cli *cli, const char *path, bool replace)
{
    uint8_t key[VLY_PUBLIC_KEY_BYTES];
    struct vly_home_path public_path;
    struct vly_fault why;
    int len = snprintf(public_path.s, sizeof(public_path.s), "%s.pub", path);

    if (len < 0 || (size_t)len >= sizeof(public_path.s))
        return vly_cli_usage(cli, "the name is too long");
    if (!replace && access(public_path.s, F_OK) == 0) { /* else half of it would be made */
        vly_fault_set(&why, VLY_E_EXISTS, "'%s' exists", vly_shown(public_path.s).text);
        return fail(cli, &why);
    }
    if (vly_keyfile_make(path, VLY_KEYFILE_SECRET, replace, &why) != 0 ||
        public_of_secret(path, key, &why) != 0 ||
        write_public(public_path.s, key, replace, &why) != 0)
        return fail(cli, &why);
    vly_cli_say(cli, "wrote %s, which stays with you, and %s", vly_shown(path).text,
                vly_shown(public_path.s).text);
    print_public(key);
    return VLY_EXIT_OK;
}

static int make_shared(const struct vly_cli *cli, const char *path, bool replace)
{
    struct vly_fault why;

    if (vly_keyfile_make(path, VLY_KEYFILE_SHARED, replace, &why) != 0)
        return fail(cli, &why);
    vly_cli_say(cli,
                "wrote %s; copy it to the other end by a safe way and name it there with --key",
                vly_shown(path).text);
    return VLY_EXIT_OK;
}

int vly_cmd_keygen(int argc, char **argv)
{
    struct keygen_args args = {0};
    struct vly_cli cli = {.command = "keygen"};
    struct vly_home_path path;
    struct vly_fault why;
    int code, first = vly_opt_parse(&keygen_set, argc, argv, &args, &code);

    if (first < 0)
        return code;
    if (first < argc)
        return vly_cli_usage(&cli, "takes no operands, but there is '%s'",
                             vly_shown(argv[first]).text);
    if (args.show != NULL && (args.output != NULL || args.psk || args.force))
        return vly_cli_usage(&cli, "--show makes nothing and goes alone");
    if ((args.output != NULL && *args.output == '\0') || (args.show != NULL && *args.show == '\0'))
        return vly_cli_usage(&cli, "the file needs a name");
    if (args.show != NULL)
        return show(&cli, args.show);
    if (args.psk && args.output == NULL)
        return vly_cli_usage(&cli, "--psk needs --output: a name for the key's file");
    if (args.psk)
        return make_shared(&cli, args.output, args.force);
    if (args.output != NULL)
        return make_identity(&cli, args.output, args.force);
    if (vly_home_path(&path, VLY_HOME_IDENTITY, &why) != 0)
        return fail(&cli, &why);
    return make_identity(&cli, path.s, args.force);
}
