/*
 * home - where a user's keys are.
 */
#include "cli/home.h"

#include "file/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A variable of the environment that names a place; NULL when it does not. Relative ones would mean
 * another place in each directory. */
static const char *place(const char *variable)
{
    const char *value = getenv(variable);

    return value != NULL && value[0] == '/' ? value : NULL;
}

int vly_home_path(struct vly_home_path *out, const char *name, struct vly_fault *why)
{
    const char *base = getenv("VOLLEY_HOME"), *below = "";
    int len;

    if (base == NULL || *base == '\0') {
        below = "/volley";
        base = place("XDG_CONFIG_HOME");
    }
    if (base == NULL) {
        below = "/.config/volley";
        base = place("HOME");
    }
    if (base == NULL)
        return vly_fault_set(why, VLY_E_NOT_FOUND,
                             "no place for keys: set VOLLEY_HOME to a directory of yours");
    len = snprintf(out->s, sizeof(out->s), "%s%s/%s", base, below, name);
    if (len < 0 || (size_t)len >= sizeof(out->s))
        return vly_fault_set(why, VLY_E_LIMIT, "the name of the directory for keys is too long");
    return 0;
}

int vly_home_make_parents(const char *path, struct vly_fault *why)
{
    struct vly_home_path dir;
    int len = snprintf(dir.s, sizeof(dir.s), "%s", path);

    if (len < 0 || (size_t)len >= sizeof(dir.s))
        return vly_fault_plain(why, VLY_E_LIMIT);
    for (char *slash = strchr(dir.s + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(dir.s, 0700) != 0 && errno != EEXIST) {
            struct vly_fault reason;
            vly_fault_errno(&reason, errno);
            return vly_fault_set(why, reason.err, "cannot make the directory '%s': %s",
                                 vly_shown(dir.s).text, reason.text);
        }
        *slash = '/';
    }
    return 0;
}
