/*
 * guard - small files that others must not be able to read, or to change: opened, checked, read
 * and written as a whole.
 *
 * What is checked is the open file, so that nobody can swap it in between. Links are followed: the
 * user's own may lead elsewhere, and it is the file behind them that counts.
 */
#ifndef VLY_CLI_GUARD_H
#define VLY_CLI_GUARD_H

#include "file/fault.h"

/* What others must not be able to do with a file. */
enum vly_guard {
    VLY_GUARD_SECRET,  /* neither read nor write it: keys */
    VLY_GUARD_TRUSTED, /* not write it: lists of whom to believe */
};

/* Opens for reading. Errors: VLY_E_NOT_FOUND and what else the system says, VLY_E_NOT_REGULAR,
 * VLY_E_PERMISSION (others may do too much, or it is another user's). The caller owns *fd. */
VLY_MUST_USE int vly_guard_open(const char *path, enum vly_guard guard, int *fd,
                                struct vly_fault *why);
/* Reads what is left of the file, at most `cap` bytes. VLY_E_LIMIT: there is more. */
VLY_MUST_USE int vly_guard_read(int fd, void *buf, size_t cap, size_t *len);

/* A whole new file. */
struct vly_guard_file {
    const char *path;
    const void *data;
    size_t len;
    unsigned mode; /* e.g. 0600 */
    bool replace;  /* an existing file; else VLY_E_EXISTS */
};

/* Writes it: under its name there is nothing, the old file, or all of the new one on stable
 * storage. */
VLY_MUST_USE int vly_guard_write(const struct vly_guard_file *file, struct vly_fault *why);

/* "'PATH': REASON" from errno or `err`. Returns the vly_err it amounts to. */
int vly_guard_fail(const char *path, int err, struct vly_fault *why);

#endif
