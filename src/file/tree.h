/*
 * tree - what lies in a directory, or in all below it: an entry at a time, a directory before its
 * content.
 *
 * Symbolic links are told (as "anything else") and never followed. Order is the directory's own.
 * Temporary files of transfers under way are left out. Cost: one fstatat an entry, one open
 * directory a level; memory does not grow with the number of entries.
 */
#ifndef VLY_FILE_TREE_H
#define VLY_FILE_TREE_H

#include "file/msg.h"

#define VLY_TREE_DEPTH_MAX 64u

struct vly_tree;

struct vly_tree_entry {
    enum vly_msg_kind kind;
    bool is_link;        /* kind OTHER: a symbolic link */
    uint64_t size_bytes; /* of a file */
    uint16_t mode;
    int64_t mtime_ns;
    const char *path; /* below the start; borrowed until the next call */
    int err; /* not 0: why it could not be looked at, or its content cannot be told; errno says more
              */
};

/* Starts in the directory `dir_fd`, which it takes, also on failure. The caller owns *out. */
VLY_MUST_USE int vly_tree_open(struct vly_tree **out, int dir_fd, bool recursive);
/* The next entry; false at the end. */
bool vly_tree_next(struct vly_tree *t, struct vly_tree_entry *out);
void vly_tree_close(struct vly_tree *t); /* NULL is allowed */

#endif
