/*
 * keylog - the file of --keylog: each line opens everything that was sent under one key.
 */
#ifndef VLY_CLI_KEYLOG_H
#define VLY_CLI_KEYLOG_H

#include "file/fault.h"

/* Opens for appending; made with mode 0600, and an existing one must be closed to others. The
 * caller owns *fd. */
VLY_MUST_USE int vly_keylog_open(const char *path, int *fd, struct vly_fault *why);
/* For vly_security.on_key; ctx: an int, the file. */
void vly_keylog_write(void *ctx, const char *line);

#endif
