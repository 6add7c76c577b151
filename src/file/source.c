/*
 * source - regular files: pread into the send buffer, fstat before and after.
 *
 * Invariant: `offset` bytes were handed on, at most size_bytes.
 * Cost: one pread a call, two fstat a file.
 */
#include "file/source.h"

#include "file/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define READAHEAD_FROM_BYTES (1u << 20)

struct file_source {
    struct vly_source base;
    int fd;
    uint64_t offset;
    struct stat before;
};

static int64_t time_ns(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int changed(struct vly_fault *why, const char *how)
{
    return vly_fault_set(why, VLY_E_SOURCE_CHANGED, "the file %s while it was read", how);
}

/* Compares the file with what it was when it was opened. ctime covers what mtime can be set back
 * over. */
static int check_unchanged(const struct file_source *s, struct vly_fault *why)
{
    struct stat now;

    if (fstat(s->fd, &now) != 0)
        return vly_fault_errno(why, errno);
    if (now.st_size < s->before.st_size)
        return changed(why, "shrank");
    if (now.st_size > s->before.st_size)
        return changed(why, "grew");
    if (time_ns(now.st_mtim) != time_ns(s->before.st_mtim))
        return changed(why, "was edited");
    /* Unlinking and chmod move the ctime as well, but leave the content alone. */
    if (time_ns(now.st_ctim) != time_ns(s->before.st_ctim) && now.st_nlink == s->before.st_nlink &&
        now.st_nlink > 0 && now.st_mode == s->before.st_mode)
        return changed(why, "was touched");
    return 0;
}

static int read_file(struct vly_source *source, uint8_t *dst, size_t *len, bool *last,
                     struct vly_fault *why)
{
    struct file_source *s = (struct file_source *)source;
    uint64_t left = s->base.size_bytes - s->offset;
    size_t wanted = *len < left ? *len : (size_t)left;
    ssize_t n = 0;

    if (wanted > 0) {
        do
            n = pread(s->fd, dst, wanted, (off_t)s->offset);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            return vly_fault_errno(why, errno);
        if (n == 0)
            return changed(why, "shrank");
    }
    s->offset += (uint64_t)n;
    *len = (size_t)n;
    *last = s->offset == s->base.size_bytes;
    return *last ? check_unchanged(s, why) : 0;
}

static void close_file(struct vly_source *source)
{
    struct file_source *s = (struct file_source *)source;

    close(s->fd);
    free(s);
}

static const struct vly_source_ops file_ops = {.read = read_file, .close = close_file};

int vly_source_from_file(struct vly_source **out, int fd, const struct stat *st,
                         struct vly_fault *why)
{
    struct file_source *s = calloc(1, sizeof *s);
    uint64_t size_bytes = (uint64_t)st->st_size;

    *out = NULL;
    if (s == NULL || size_bytes > VLY_FILE_BYTES_MAX) {
        close(fd);
        free(s);
        return vly_fault_plain(why, s == NULL ? VLY_E_NOMEM : VLY_E_LIMIT);
    }
    s->base.ops = &file_ops;
    s->base.size_bytes = size_bytes;
    s->base.mode = (uint16_t)(st->st_mode & 0777);
    s->base.mtime_ns = time_ns(st->st_mtim);
    s->fd = s->base.file_fd = fd;
    s->before = *st;
    if (size_bytes >= READAHEAD_FROM_BYTES)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    *out = &s->base;
    return 0;
}

int vly_source_read(struct vly_source *s, uint8_t *dst, size_t *len, bool *last,
                    struct vly_fault *why)
{
    *last = false;
    return s->ops->read(s, dst, len, last, why);
}

void vly_source_close(struct vly_source *s)
{
    if (s != NULL)
        s->ops->close(s);
}
