/*
 * access - what a client may do and which directory it sees, by the key it has shown.
 */
#include "file/access.h"

#include "crypto/keytext.h"
#include "file/path.h"

#include <stdlib.h>
#include <string.h>

static int grant_open(struct vly_access_grant *g, const struct vly_grant *from,
                      struct vly_fault *why)
{
    struct vly_fault reason;
    int err;

    memcpy(g->key, from->key, sizeof(g->key));
    g->rights = from->rights;
    g->root.fd = -1;
    if (from->root == NULL || (err = vly_root_open(&g->root, from->root)) == 0)
        return 0;
    g->root.fd = -1;
    vly_fault_last(&reason, err);
    return vly_fault_set(why, err, "cannot serve '%s' to %s: %s", vly_shown(from->root).text,
                         vly_fingerprint(from->key).s, reason.text);
}

int vly_access_open(struct vly_access *a, const struct vly_server_options *opt,
                    struct vly_fault *why)
{
    *a = (struct vly_access){.others = opt->others};
    if (opt->others == 0 && opt->n_grants == 0)
        return vly_fault_set(why, VLY_E_INVALID, "nobody may do anything on this server");
    if (opt->n_grants == 0)
        return 0;
    a->grants = calloc(opt->n_grants, sizeof(*a->grants));
    if (a->grants == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    for (; a->n < opt->n_grants; a->n++) {
        int err = grant_open(&a->grants[a->n], &opt->grants[a->n], why);
        if (err != 0) {
            vly_access_close(a);
            return err;
        }
    }
    return 0;
}

void vly_access_close(struct vly_access *a)
{
    for (size_t i = 0; i < a->n; i++)
        vly_root_close(&a->grants[i].root);
    free(a->grants);
    *a = (struct vly_access){0};
}

const struct vly_access_grant *vly_access_find(const struct vly_access *a, const uint8_t *key)
{
    for (size_t i = 0; key != NULL && i < a->n; i++)
        if (memcmp(a->grants[i].key, key, sizeof(a->grants[i].key)) == 0)
            return &a->grants[i];
    return NULL;
}
