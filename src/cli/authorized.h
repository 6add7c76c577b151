/*
 * authorized - authorized_keys: who may do what on a server, and where.
 *
 *     volley1:BASE64 [root=DIR] [rights=read|write|read,write] [comment]
 *
 * Without rights a key may do both. The comment begins with a word that holds no '='.
 */
#ifndef VLY_CLI_AUTHORIZED_H
#define VLY_CLI_AUTHORIZED_H

#include "cli/lines.h"

#include <volley/transfer.h>

struct vly_authorized {
    struct vly_grant *grants; /* owned, with their roots */
    size_t n;
};

/* `base`: what a relative root is below. On failure nothing is kept. Errors: as vly_lines_open, and
 * VLY_E_MALFORMED with FILE:LINE. */
VLY_MUST_USE int vly_authorized_read(struct vly_authorized *a, const char *path, const char *base,
                                     struct vly_fault *why);
/* The same from lines that are open. */
VLY_MUST_USE int vly_authorized_parse(struct vly_authorized *a, struct vly_lines *l,
                                      const char *base, struct vly_fault *why);
void vly_authorized_free(struct vly_authorized *a);

#endif
