/*
 * beneath - a directory held open, and everything below it: no path leads out, no symbolic link is
 * followed.
 *
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS); where the kernel has
 * none, one component after the other with O_NOFOLLOW. Paths are relative to the root, components
 * joined by '/'; "" is the root itself. Cost: one or two system calls an open, with the fall-back
 * two for each component.
 *
 * Functions return 0 or a vly_err and leave errno as the system set it.
 */
#ifndef VLY_FILE_BENEATH_H
#define VLY_FILE_BENEATH_H

#include <volley/base.h>

#include <sys/stat.h>
#include <sys/types.h>

struct vly_root {
    int fd;         /* owned; -1: closed */
    bool walk_only; /* do not use openat2 */
};

/* Opens the directory `path`, as the user named it: links in it are followed. */
VLY_MUST_USE int vly_root_open(struct vly_root *r, const char *path);
void vly_root_close(struct vly_root *r);
/* Whether the directory still is one, rather than removed. */
bool vly_root_is_alive(const struct vly_root *r);

/* What `path` is, by its lstat. */
VLY_MUST_USE int vly_root_stat(const struct vly_root *r, const char *path, struct stat *st);
/* Opens a regular file for reading; VLY_E_IS_DIRECTORY, VLY_E_NOT_REGULAR for anything else, which
 * is not opened at all: a FIFO would wake its writer. The caller owns *fd. */
VLY_MUST_USE int vly_root_open_regular(const struct vly_root *r, const char *path, int *fd,
                                       struct stat *st);
/* Opens a directory for reading. The caller owns *fd. */
VLY_MUST_USE int vly_root_open_dir(const struct vly_root *r, const char *path, int *fd);

enum vly_parents { VLY_PARENTS_MUST_EXIST, VLY_PARENTS_MAKE };
/* Opens the directory that `path` (not empty) is in, made if asked; *name is its last component,
 * inside `path`. The caller owns *fd. */
VLY_MUST_USE int vly_root_open_parent(const struct vly_root *r, const char *path,
                                      enum vly_parents parents, int *fd, const char **name);
/* Makes a directory with `mode` (and u+rwx, or nothing could be put into it). VLY_E_DUPLICATE when
 * it is one already, VLY_E_NOT_DIRECTORY when it is something else. On success *parent_fd (owned)
 * is there to be synced. */
VLY_MUST_USE int vly_root_mkdir(const struct vly_root *r, const char *path, mode_t mode,
                                int *parent_fd);

#endif
