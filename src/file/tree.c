/*
 * tree - see tree.h.
 *
 * Invariant: levels[0 .. depth) are open directories, each one in the one before it; path is the
 * names of all but the first.
 */
#include "file/tree.h"

#include "file/fault.h"
#include "file/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct level {
    DIR *dir;        /* owned */
    size_t path_len; /* of the directory's own path */
};

struct vly_tree {
    bool recursive;
    bool descend; /* the last entry was a directory: go into it first */
    size_t depth;
    struct level levels[VLY_TREE_DEPTH_MAX];
    char path[VLY_PATH_MAX_BYTES + 1];
};

int vly_tree_open(struct vly_tree **out, int dir_fd, bool recursive)
{
    struct vly_tree *t = malloc(sizeof *t);
    DIR *dir = fdopendir(dir_fd);

    *out = NULL;
    if (t == NULL || dir == NULL) {
        if (dir != NULL)
            closedir(dir);
        else
            close(dir_fd);
        free(t);
        return t == NULL ? VLY_E_NOMEM : vly_err_from_errno(errno);
    }
    t->recursive = recursive;
    t->descend = false;
    t->depth = 1;
    t->levels[0] = (struct level){.dir = dir, .path_len = 0};
    t->path[0] = '\0';
    *out = t;
    return 0;
}

void vly_tree_close(struct vly_tree *t)
{
    if (t == NULL)
        return;
    while (t->depth > 0)
        closedir(t->levels[--t->depth].dir);
    free(t);
}

/* Appends `name` to the path of the directory. Returns false when that is too long. */
static bool set_path(struct vly_tree *t, const char *name)
{
    size_t at = t->levels[t->depth - 1].path_len;
    size_t len = strlen(name), slash = at > 0 ? 1 : 0;

    if (at + slash + len > VLY_PATH_MAX_BYTES) {
        memcpy(t->path + at, "", 1);
        return false;
    }
    if (slash > 0)
        t->path[at] = '/';
    memcpy(t->path + at + slash, name, len + 1);
    return true;
}

/* Goes into the directory that t->path names. Returns 0 or a vly_err; then the walk goes on behind
 * it. */
static int push_level(struct vly_tree *t)
{
    struct level *top = &t->levels[t->depth - 1];
    const char *name = vly_path_base(t->path);
    int fd;
    DIR *dir;

    if (t->depth == VLY_TREE_DEPTH_MAX) {
        errno = ENAMETOOLONG;
        return VLY_E_BAD_NAME;
    }
    fd = openat(dirfd(top->dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return vly_err_from_errno(errno);
    if ((dir = fdopendir(fd)) == NULL) {
        close(fd);
        return VLY_E_NOMEM;
    }
    t->levels[t->depth++] = (struct level){.dir = dir, .path_len = strlen(t->path)};
    return 0;
}

static void describe(struct vly_tree_entry *e, const struct stat *st)
{
    e->kind = S_ISREG(st->st_mode)   ? VLY_KIND_FILE
              : S_ISDIR(st->st_mode) ? VLY_KIND_DIRECTORY
                                     : VLY_KIND_OTHER;
    e->is_link = S_ISLNK(st->st_mode);
    e->size_bytes = e->kind == VLY_KIND_FILE ? (uint64_t)st->st_size : 0;
    e->mode = (uint16_t)(st->st_mode & 0777);
    e->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* Looks at `name` in the top directory. Returns false when there is nothing to tell of it. */
static bool look_at(struct vly_tree *t, const char *name, struct vly_tree_entry *e)
{
    struct stat st;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || vly_is_temp_name(name))
        return false;
    *e = (struct vly_tree_entry){.kind = VLY_KIND_OTHER, .path = t->path};
    if (!set_path(t, name) || vly_name_check(vly_span_str(name)) != 0) {
        errno = EILSEQ;
        e->err = VLY_E_BAD_NAME;
        return true;
    }
    if (fstatat(dirfd(t->levels[t->depth - 1].dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return false; /* removed since */
        e->err = vly_err_from_errno(errno);
        return true;
    }
    describe(e, &st);
    t->descend = t->recursive && e->kind == VLY_KIND_DIRECTORY;
    return true;
}

/* Goes into the directory told last. Returns false when that failed and has to be told: *e says so.
 */
static bool enter(struct vly_tree *t, struct vly_tree_entry *e)
{
    int err;

    t->descend = false;
    err = push_level(t);
    if (err == 0 || err == VLY_E_NOT_FOUND) /* removed since */
        return true;
    *e = (struct vly_tree_entry){.kind = VLY_KIND_DIRECTORY, .path = t->path, .err = err};
    return false;
}

/* Leaves the directory on top, which is read to its end or failed with `read_errno`. Returns
 * whether that has to be told: *e says so. */
static bool leave(struct vly_tree *t, int read_errno, struct vly_tree_entry *e)
{
    struct level *top = &t->levels[--t->depth];

    closedir(top->dir);
    t->path[top->path_len] = '\0';
    if (read_errno == 0 || read_errno == ENOENT)
        return false;
    errno = read_errno;
    *e = (struct vly_tree_entry){
        .kind = VLY_KIND_DIRECTORY, .path = t->path, .err = vly_err_from_errno(read_errno)};
    return true;
}

bool vly_tree_next(struct vly_tree *t, struct vly_tree_entry *out)
{
    if (t->descend && !enter(t, out))
        return true;
    while (t->depth > 0) {
        struct dirent *entry;

        errno = 0;
        entry = readdir(t->levels[t->depth - 1].dir);
        if (entry != NULL ? look_at(t, entry->d_name, out) : leave(t, errno, out))
            return true;
    }
    return false;
}
