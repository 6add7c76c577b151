/*
 * home - where a user's keys are: $VOLLEY_HOME, else $XDG_CONFIG_HOME/volley, else
 * ~/.config/volley.
 */
#ifndef VLY_CLI_HOME_H
#define VLY_CLI_HOME_H

#include "file/fault.h"

#include <limits.h>

#define VLY_HOME_IDENTITY "identity"
#define VLY_HOME_HOST_KEY "host_key"
#define VLY_HOME_KNOWN_HOSTS "known_hosts"
#define VLY_HOME_AUTHORIZED "authorized_keys"

struct vly_home_path {
    char s[PATH_MAX];
};

/* The path of `name` there; the directory need not exist. Errors: VLY_E_NOT_FOUND (the environment
 * names no place), VLY_E_LIMIT (too long). */
VLY_MUST_USE int vly_home_path(struct vly_home_path *out, const char *name, struct vly_fault *why);
/* Makes the directory that `path` is in, for its owner alone, and those above it. */
VLY_MUST_USE int vly_home_make_parents(const char *path, struct vly_fault *why);

#endif
