/*
 * access - what a client may do and which directory it sees, by the key it has shown.
 *
 * Cost: a connection compares its key with each grant.
 */
#ifndef VLY_FILE_ACCESS_H
#define VLY_FILE_ACCESS_H

#include "file/beneath.h"
#include "file/fault.h"

#include <volley/transfer.h>

struct vly_access_grant {
    uint8_t key[VLY_PUBLIC_KEY_BYTES];
    unsigned rights;      /* of enum vly_right */
    struct vly_root root; /* owned; fd -1: the server's */
};

struct vly_access {
    struct vly_access_grant *grants; /* owned */
    size_t n;
    unsigned others; /* rights of everyone else */
};

/* Copies the grants and opens their directories. On failure `a` is closed. */
VLY_MUST_USE int vly_access_open(struct vly_access *a, const struct vly_server_options *opt,
                                 struct vly_fault *why);
void vly_access_close(struct vly_access *a);
/* The grant of `key`; NULL: it is one of the others. `key` NULL: none was shown. */
const struct vly_access_grant *vly_access_find(const struct vly_access *a, const uint8_t *key);

#endif
