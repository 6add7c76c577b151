/*
 * sink_publish - file sinks, the threads' part: what blocks on the disk.
 *
 * While it runs the loop only writes content (reserving) or nothing at all (publishing). Order of
 * publishing: data, fsync, verify, rename, fsync of the directory. An error of fsync is final: the
 * kernel may have dropped the pages.
 */
#include "file/sink_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BACK_BYTES (256u << 10)

void vly_sink_reserve_work(void *arg)
{
    struct vly_file_sink *s = arg;
    int result;

    do
        result = fallocate(s->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)s->size_bytes);
    while (result != 0 && errno == EINTR && !atomic_load(&s->given_up));
    /* A file system that cannot tell in advance will tell when it is written to. */
    if (result != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        vly_fault_errno(&s->fault, errno);
}

int vly_sink_catch_up(struct vly_file_sink *s, uint64_t budget_bytes, uint8_t *buf, size_t cap,
                      struct vly_fault *why)
{
    struct vly_hash *hash = &s->base.hash;

    while (budget_bytes > 0 && s->late.n > 0 && s->late.r[0].begin <= hash->bytes) {
        uint64_t left = s->late.r[0].end - hash->bytes;
        size_t wanted = left < cap ? (size_t)left : cap;
        ssize_t n = pread(s->fd, buf, wanted, (off_t)hash->bytes);
        int err;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return vly_fault_errno(why, n < 0 ? errno : EIO);
        err = vly_hash_update(hash, (struct vly_span){.data = buf, .len = (size_t)n});
        if (err != 0)
            return vly_fault_plain(why, err);
        vly_rangeset_trim(&s->late, hash->bytes);
        budget_bytes -= (uint64_t)n < budget_bytes ? (uint64_t)n : budget_bytes;
    }
    return 0;
}

/* Hashes all that was not hashed on arrival. */
static int read_back(struct vly_file_sink *s)
{
    uint8_t *buf;
    int err;

    if (s->late.n == 0)
        return 0;
    if ((buf = malloc(READ_BACK_BYTES)) == NULL)
        return vly_fault_plain(&s->fault, VLY_E_NOMEM);
    err = vly_sink_catch_up(s, UINT64_MAX, buf, READ_BACK_BYTES, &s->fault);
    free(buf);
    return err;
}

/* Permissions and time: before fsync, which makes them durable as well. */
static int set_metadata(struct vly_file_sink *s)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    int64_t second = 1000000000;

    if (s->mtime_ns != 0) {
        times[1].tv_sec = s->mtime_ns / second;
        times[1].tv_nsec = s->mtime_ns % second;
        if (times[1].tv_nsec < 0) { /* before 1970 */
            times[1].tv_nsec += second;
            times[1].tv_sec--;
        }
    }
    /* A time the file system cannot hold, or permissions it has none of, are no reason to lose the
     * file. */
    if (fchmod(s->fd, s->mode & 0777) != 0 && errno == EIO)
        return vly_fault_errno(&s->fault, errno);
    if (futimens(s->fd, times) != 0 && errno == EIO)
        return vly_fault_errno(&s->fault, errno);
    return 0;
}

static int verify(struct vly_file_sink *s)
{
    uint8_t root[VLY_HASH_BYTES];
    int err;

    if (s->base.hash.bytes != s->end.size_bytes)
        return vly_fault_set(&s->fault, VLY_E_INTEGRITY, "%llu bytes arrived, %llu were announced",
                             (unsigned long long)s->base.hash.bytes,
                             (unsigned long long)s->end.size_bytes);
    if ((err = vly_hash_end(&s->base.hash)) != 0 || (err = vly_hash_root(&s->base.hash, root)) != 0)
        return vly_fault_plain(&s->fault, err);
    if (memcmp(root, s->end.root, sizeof root) != 0)
        return vly_fault_plain(&s->fault, VLY_E_INTEGRITY);
    return 0;
}

/* Gives the file its name. File systems without RENAME_NOREPLACE have link, which refuses as well.
 */
static int rename_temp(const struct vly_file_sink *s)
{
    unsigned flags = s->replace ? 0 : RENAME_NOREPLACE;

    if (renameat2(s->dir_fd, s->temp, s->dir_fd, s->name, flags) == 0)
        return 0;
    if (s->replace || (errno != EINVAL && errno != ENOSYS))
        return -1;
    if (linkat(s->dir_fd, s->temp, s->dir_fd, s->name, 0) != 0)
        return -1;
    (void)unlinkat(s->dir_fd, s->temp, 0);
    return 0;
}

static int publish(struct vly_file_sink *s)
{
    int err;

    if ((err = read_back(s)) != 0 || (err = set_metadata(s)) != 0)
        return err;
    if (fsync(s->fd) != 0)
        return vly_fault_errno(&s->fault, errno);
    if ((err = verify(s)) != 0)
        return err;
    if (atomic_load(&s->given_up))
        return vly_fault_plain(&s->fault, VLY_E_CANCELLED);
    if (rename_temp(s) != 0)
        return vly_fault_errno(&s->fault, errno);
    s->temp[0] = '\0';
    return fsync(s->dir_fd) == 0 ? 0 : vly_fault_errno(&s->fault, errno);
}

void vly_sink_publish_work(void *arg)
{
    struct vly_file_sink *s = arg;

    if (publish(s) != 0 && s->temp[0] != '\0') {
        (void)unlinkat(s->dir_fd, s->temp, 0);
        s->temp[0] = '\0';
    }
    close(s->fd);
    s->fd = -1;
}
