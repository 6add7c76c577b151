/*
 * permits - who may do what on a server.
 */
#include "cli/permits.h"

#include "cli/home.h"
#include "file/path.h"

#include <stdio.h>
#include <string.h>

#define RIGHTS_BOTH ((unsigned)VLY_RIGHT_READ | (unsigned)VLY_RIGHT_WRITE)

static unsigned anonymous_rights(const char *word)
{
    return strcmp(word, "none") == 0   ? 0
           : strcmp(word, "read") == 0 ? (unsigned)VLY_RIGHT_READ
                                       : RIGHTS_BOTH;
}

/* The list that was named, or the one in the directory of keys if there is one. */
static int read_list(struct vly_permits *p, const char *named, const char *root,
                     struct vly_home_path *file, struct vly_fault *why)
{
    int err;

    if (named != NULL)
        (void)snprintf(file->s, sizeof(file->s), "%s", named);
    else if ((err = vly_home_path(file, VLY_HOME_AUTHORIZED, why)) != 0)
        return err == VLY_E_NOT_FOUND ? 0 : err;
    err = vly_authorized_read(&p->authorized, file->s, root, why);
    p->listed = err == 0;
    return err == VLY_E_NOT_FOUND && named == NULL ? 0 : err;
}

int vly_permits_open(struct vly_permits *p, const struct vly_cli *cli,
                     const struct vly_net_args *net, const char *root, bool writable)
{
    const struct vly_key_args *args = &net->keys;
    struct vly_home_path file;
    struct vly_fault why;

    *p = (struct vly_permits){
        .others = RIGHTS_BOTH, .writable = writable, .shared_key = args->key != NULL};
    if (!p->shared_key && read_list(p, args->authorized, root, &file, &why) != 0)
        return vly_cli_fail(cli, why.err, "%s", why.text);
    if (p->listed)
        p->others = 0;
    if (net->plain)
        vly_authorized_free(&p->authorized);
    if (args->anonymous != NULL)
        p->others = anonymous_rights(args->anonymous);
    if (p->others != 0 || p->authorized.n > 0)
        return 0;
    vly_permits_close(p);
    if (net->plain)
        return vly_cli_usage(cli, "with --plain nobody shows a key, so nobody may do anything; "
                                  "--anonymous says what everyone may do");
    return vly_cli_usage(cli, "nobody may do anything: %s",
                         p->listed ? "the list of authorized keys is empty"
                                   : "there are no authorized keys, and --anonymous is none");
}

void vly_permits_fill(const struct vly_permits *p, struct vly_server_options *opt)
{
    opt->grants = p->authorized.grants;
    opt->n_grants = p->authorized.n;
    opt->others = p->others;
    opt->writable = p->writable;
}

static const char *rights_text(unsigned rights)
{
    static const char *const texts[] = {"nothing", "may read", "may write", "may read and write"};

    return texts[rights & RIGHTS_BOTH];
}

void vly_permits_text(const struct vly_permits *p, char *out, size_t cap)
{
    unsigned mask = p->writable ? RIGHTS_BOTH : (unsigned)VLY_RIGHT_READ;
    bool idle_write = p->listed && !p->writable && (p->others & VLY_RIGHT_WRITE) != 0;
    size_t counts[RIGHTS_BOTH + 1] = {0}, len = 0;

    for (size_t i = 0; i < p->authorized.n; i++) {
        counts[p->authorized.grants[i].rights & mask]++;
        idle_write |= !p->writable && (p->authorized.grants[i].rights & VLY_RIGHT_WRITE) != 0;
    }
    out[0] = '\0';
    for (unsigned rights = RIGHTS_BOTH + 1; rights-- > 0;)
        if (counts[rights] > 0 && len < cap)
            len += (size_t)snprintf(out + len, cap - len, "%zu key%s %s, ", counts[rights],
                                    counts[rights] == 1 ? "" : "s", rights_text(rights));
    if (len < cap)
        (void)snprintf(out + len, cap - len, "%s %s%s",
                       p->shared_key         ? "who has the key"
                       : p->authorized.n > 0 ? "others"
                                             : "everyone",
                       rights_text(p->others & mask),
                       idle_write ? ", nobody uploads without --writable" : "");
}

void vly_permits_close(struct vly_permits *p)
{
    vly_authorized_free(&p->authorized);
}
