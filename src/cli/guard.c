/*
 * guard - small files that others must not be able to read, or to change.
 */
#include "cli/guard.h"

#include "file/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int vly_guard_fail(const char *path, int err, struct vly_fault *why)
{
    struct vly_fault reason;

    err = vly_fault_last(&reason, err);
    return vly_fault_set(why, err, "'%s': %s", vly_shown(path).text, reason.text);
}

/* ---- reading ---- */

static int check(const char *path, enum vly_guard guard, const struct stat *st,
                 struct vly_fault *why)
{
    unsigned mode = st->st_mode & 0777u;
    struct vly_shown name = vly_shown(path);

    if (!S_ISREG(st->st_mode))
        return vly_fault_set(why, VLY_E_NOT_REGULAR, "'%s' is not a regular file", name.text);
    if (geteuid() != 0 && st->st_uid != geteuid() && st->st_uid != 0)
        return vly_fault_set(why, VLY_E_PERMISSION, "'%s' belongs to another user", name.text);
    if (guard == VLY_GUARD_SECRET && (mode & 077u) != 0)
        return vly_fault_set(why, VLY_E_PERMISSION,
                             "'%s' holds a secret, but others have access to it (mode %04o); "
                             "chmod 600 takes that away",
                             name.text, mode);
    if (guard == VLY_GUARD_TRUSTED && (mode & 022u) != 0)
        return vly_fault_set(why, VLY_E_PERMISSION,
                             "others could change '%s' (mode %04o); chmod go-w takes that away",
                             name.text, mode);
    return 0;
}

int vly_guard_open(const char *path, enum vly_guard guard, int *fd, struct vly_fault *why)
{
    struct stat st;
    int err;

    /* Without O_NONBLOCK a FIFO of that name would hang us. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0 || fstat(*fd, &st) != 0)
        err = vly_guard_fail(path, vly_err_from_errno(errno), why);
    else
        err = check(path, guard, &st, why);
    if (err != 0 && *fd >= 0)
        close(*fd);
    return err;
}

int vly_guard_read(int fd, void *buf, size_t cap, size_t *len)
{
    char more;

    for (*len = 0;;) {
        bool full = *len == cap;
        ssize_t n = read(fd, full ? &more : (char *)buf + *len, full ? 1 : cap - *len);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return vly_err_from_errno(errno);
        if (n > 0 && full)
            return VLY_E_LIMIT;
        *len += n > 0 ? (size_t)n : 0;
    }
}

/* ---- writing ---- */

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return vly_err_from_errno(errno);
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) == 0 ? 0 : vly_err_from_errno(errno);
}

/* Gives the finished file its name. link() fails where there is one of that name. */
static int publish(const char *temp, const struct vly_guard_file *file)
{
    if (file->replace)
        return rename(temp, file->path) == 0 ? 0 : vly_err_from_errno(errno);
    if (link(temp, file->path) != 0)
        return vly_err_from_errno(errno);
    (void)unlink(temp);
    return 0;
}

/* Best effort: the name is there, and only a crash of the machine could take it back. */
static void sync_directory(const char *temp)
{
    char dir[PATH_MAX];
    int fd;

    (void)snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(temp, '/') - temp + 1), temp);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

/* A name beside `path`. */
static int temp_name(char out[PATH_MAX], const char *path)
{
    const char *slash = strrchr(path, '/');
    int dir_len = slash != NULL ? (int)(slash - path + 1) : 0;
    int len = snprintf(out, PATH_MAX, "%s%.*s.volley-key-XXXXXX", slash == NULL ? "./" : "",
                       dir_len, path);

    return len < 0 || len >= PATH_MAX ? VLY_E_LIMIT : 0;
}

int vly_guard_write(const struct vly_guard_file *file, struct vly_fault *why)
{
    char temp[PATH_MAX];
    int err = temp_name(temp, file->path);
    int fd = err == 0 ? mkostemp(temp, O_CLOEXEC) : -1;

    if (err == 0 && fd < 0)
        err = vly_err_from_errno(errno);
    if (err != 0)
        return vly_guard_fail(file->path, err, why);
    err = write_all(fd, file->data, file->len);
    if (err == 0 && fchmod(fd, file->mode) != 0)
        err = vly_err_from_errno(errno);
    if (err == 0)
        err = publish(temp, file);
    if (err != 0)
        err = vly_guard_fail(file->path, err, why);
    close(fd);
    if (err != 0)
        (void)unlink(temp);
    else
        sync_directory(temp);
    return err;
}
