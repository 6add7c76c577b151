/*
 * known_hosts - the servers a user believes: "HOST[:PORT] volley1:BASE64", one a line, the host as
 * it was typed but in lower case, the port unless it is the default one.
 *
 * Of several lines for one server the first counts.
 */
#ifndef VLY_CLI_KNOWN_HOSTS_H
#define VLY_CLI_KNOWN_HOSTS_H

#include "cli/addr.h"
#include "cli/lines.h"

#include <volley/transport.h>

struct vly_host_name {
    char s[VLY_HOST_BYTES + 8];
};

/* How the file calls a server. */
struct vly_host_name vly_known_hosts_name(const struct vly_addr *server);

struct vly_known_host {
    uint8_t key[VLY_PUBLIC_KEY_BYTES];
    unsigned line;
};

/* Returns 0; VLY_E_NOT_FOUND: not known, or no file; VLY_E_MALFORMED and what else the file is
 * refused for. */
VLY_MUST_USE int vly_known_hosts_find(const char *path, const char *name,
                                      struct vly_known_host *out, struct vly_fault *why);
/* The same in lines that are open; VLY_E_NOT_FOUND says that all of them are good. */
VLY_MUST_USE int vly_known_hosts_find_in(struct vly_lines *l, const char *name,
                                         struct vly_known_host *out, struct vly_fault *why);
/* Adds a server at the end, atomically; makes the file, mode 0600, and its directory. Nothing
 * happens when it is there already with this key. VLY_E_HOST_CHANGED: it is there with another one.
 */
VLY_MUST_USE int vly_known_hosts_add(const char *path, const char *name,
                                     const uint8_t key[VLY_PUBLIC_KEY_BYTES],
                                     struct vly_fault *why);

#endif
