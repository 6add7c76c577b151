/*
 * beneath - see beneath.h.
 *
 * Invariant: no system call here gets a path of more than one component, but openat2 with
 * RESOLVE_BENEATH.
 */
#include "file/beneath.h"

#include "file/fault.h"
#include "file/path.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What every open adds. O_PATH takes no other flags. */
static int with_safe_flags(int flags)
{
    flags |= O_NOFOLLOW | O_CLOEXEC;
    return (flags & O_PATH) != 0 ? flags : flags | O_NOCTTY | O_NONBLOCK;
}

int vly_root_open(struct vly_root *r, const char *path)
{
    r->walk_only = false;
    r->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return r->fd >= 0 ? 0 : vly_err_from_errno(errno);
}

void vly_root_close(struct vly_root *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

bool vly_root_is_alive(const struct vly_root *r)
{
    struct stat st;

    return fstat(r->fd, &st) == 0 && st.st_nlink > 0;
}

/* Closes without touching errno. */
static void close_quietly(int fd)
{
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
}

/* Opens one component of the directory `dir`; a link is ELOOP whatever the flags make of it. */
static int open_component(int dir, const char *name, int flags)
{
    struct stat st;
    int fd;

    if (strcmp(name, "..") == 0) {
        errno = EXDEV;
        return -1;
    }
    fd = openat(dir, name, with_safe_flags(flags));
    if (fd < 0 && errno == ENOTDIR && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        errno = S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR;
    return fd;
}

/* Makes a directory that will still be there after a crash: files below it are reported as durable.
 */
static int make_durable(int dir, const char *name)
{
    int fd, err;

    if (mkdirat(dir, name, 0777) != 0)
        return errno == EEXIST ? 0 : -1;
    fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err = fd < 0 ? -1 : fsync(fd);
    close_quietly(fd);
    return err;
}

/* Opens the directory `name` of `dir`, which it closes; makes it first when asked. */
static int step_into(int dir, const char *name, enum vly_parents parents)
{
    int fd = open_component(dir, name, O_PATH | O_DIRECTORY);

    if (fd < 0 && errno == ENOENT && parents == VLY_PARENTS_MAKE && make_durable(dir, name) == 0)
        fd = open_component(dir, name, O_PATH | O_DIRECTORY);
    close_quietly(dir);
    return fd;
}

/* Copies the component that `path` begins with to `name`; returns what follows its slashes, NULL
 * when it is too long. */
static const char *next_component(const char *path, char name[VLY_NAME_MAX_BYTES + 1])
{
    size_t len = strcspn(path, "/");

    if (len > VLY_NAME_MAX_BYTES) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    memcpy(name, path, len);
    name[len] = '\0';
    path += len;
    return path + strspn(path, "/");
}

/* Opens `path` component by component. Returns a descriptor, or -1 and errno. */
static int open_by_walk(const struct vly_root *r, const char *path, int flags,
                        enum vly_parents parents)
{
    char name[VLY_NAME_MAX_BYTES + 1];
    int dir = openat(r->fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd;

    if (path[0] == '/') {
        errno = EXDEV;
        close_quietly(dir);
        return -1;
    }
    while (dir >= 0) {
        path = next_component(path, name);
        if (path == NULL || path[0] == '\0')
            break;
        dir = step_into(dir, name, parents);
    }
    if (dir < 0 || path == NULL) {
        close_quietly(dir);
        return -1;
    }
    if (parents == VLY_PARENTS_MAKE) {
        if ((dir = step_into(dir, name, parents)) < 0)
            return -1;
        name[0] = '\0';
    }
    fd = open_component(dir, name[0] != '\0' ? name : ".", flags);
    close_quietly(dir);
    return fd;
}

static long openat2_beneath(const struct vly_root *r, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)with_safe_flags(flags),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = -1;

    for (unsigned tries = 0; tries < 8; tries++) {
        fd = syscall(SYS_openat2, r->fd, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN) /* EAGAIN: something was renamed meanwhile */
            break;
    }
    return fd;
}

/* Whether `path` itself is a link, where a directory was wanted. Leaves errno alone. */
static bool is_link(const struct vly_root *r, const char *path)
{
    int saved = errno;
    long fd = openat2_beneath(r, path, O_PATH);
    struct stat st;
    bool result = fd >= 0 && fstat((int)fd, &st) == 0 && S_ISLNK(st.st_mode);

    close_quietly((int)fd);
    errno = saved;
    return result;
}

/* Opens `path` beneath the root. Returns a descriptor, or -1 and errno. */
static int open_beneath(const struct vly_root *r, const char *path, int flags)
{
    long fd = -1;

    if (path[0] == '\0')
        path = ".";
    if (!r->walk_only)
        fd = openat2_beneath(r, path, flags);
    /* Old kernels have no openat2, and seccomp filters answer EPERM. */
    if (r->walk_only || (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EAGAIN)))
        return open_by_walk(r, path, flags, VLY_PARENTS_MUST_EXIST);
    if (fd < 0 && errno == ENOTDIR && is_link(r, path))
        errno = ELOOP;
    return (int)fd;
}

int vly_root_stat(const struct vly_root *r, const char *path, struct stat *st)
{
    int fd = open_beneath(r, path, O_PATH);
    int result;

    if (fd < 0)
        return vly_err_from_errno(errno);
    result = fstat(fd, st);
    close_quietly(fd);
    return result == 0 ? 0 : vly_err_from_errno(errno);
}

static int check_regular(const struct stat *st)
{
    if (S_ISREG(st->st_mode))
        return 0;
    errno = S_ISDIR(st->st_mode) ? EISDIR : S_ISLNK(st->st_mode) ? ELOOP : 0;
    return errno != 0 ? vly_err_from_errno(errno) : VLY_E_NOT_REGULAR;
}

int vly_root_open_regular(const struct vly_root *r, const char *path, int *fd, struct stat *st)
{
    int err = vly_root_stat(r, path, st);

    *fd = -1;
    if (err != 0 || (err = check_regular(st)) != 0)
        return err;
    *fd = open_beneath(r, path, O_RDONLY);
    if (*fd < 0)
        return vly_err_from_errno(errno);
    /* It may have been replaced since. */
    err = fstat(*fd, st) == 0 ? check_regular(st) : vly_err_from_errno(errno);
    if (err != 0) {
        close_quietly(*fd);
        *fd = -1;
    }
    return err;
}

int vly_root_open_dir(const struct vly_root *r, const char *path, int *fd)
{
    *fd = open_beneath(r, path, O_RDONLY | O_DIRECTORY);
    return *fd >= 0 ? 0 : vly_err_from_errno(errno);
}

int vly_root_open_parent(const struct vly_root *r, const char *path, enum vly_parents parents,
                         int *fd, const char **name)
{
    char dir[VLY_PATH_MAX_BYTES + 1];
    size_t len;

    *fd = -1;
    *name = vly_path_base(path);
    len = (size_t)(*name - path);
    assert(**name != '\0');
    if (len > VLY_PATH_MAX_BYTES)
        return VLY_E_BAD_NAME;
    memcpy(dir, path, len);
    dir[len > 0 ? len - 1 : 0] = '\0';
    *fd = open_beneath(r, dir, O_RDONLY | O_DIRECTORY);
    if (*fd < 0 && errno == ENOENT && parents == VLY_PARENTS_MAKE)
        *fd = open_by_walk(r, dir, O_RDONLY | O_DIRECTORY, VLY_PARENTS_MAKE);
    return *fd >= 0 ? 0 : vly_err_from_errno(errno);
}

int vly_root_mkdir(const struct vly_root *r, const char *path, mode_t mode, int *parent_fd)
{
    const char *name;
    struct stat st;
    int err = vly_root_open_parent(r, path, VLY_PARENTS_MUST_EXIST, parent_fd, &name);

    if (err != 0)
        return err;
    if (mkdirat(*parent_fd, name, (mode & 0777) | S_IRWXU) == 0)
        return 0;
    err = vly_err_from_errno(errno);
    if (err == VLY_E_EXISTS && fstatat(*parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        err = S_ISDIR(st.st_mode) ? VLY_E_DUPLICATE : VLY_E_NOT_DIRECTORY;
    close_quietly(*parent_fd);
    *parent_fd = -1;
    return err;
}
