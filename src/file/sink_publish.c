/*
 * sink_publish - file sinks, the threads' part: what blocks on the disk.
 *
 * While it runs the loop gathers content, and writes what finds no memory, but does nothing at all
 * while it is published. Order of
 * publishing: data, fsync, verify, rename, fsync of the directory. An error of fsync is final: the
 * kernel may have dropped the pages.
 */
#include "file/sink_internal.h"

#include "file/cache.h"
#include "file/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BACK_BYTES (64u << 10)
#define DROP_BEHIND_BYTES (64u << 20) /* of what is hashed, the last may be asked for again */

void vly_sink_reserve_work(void *arg)
{
    struct vly_file_sink *s = arg;
    int result;

    do
        result = fallocate(s->fd, 0, 0, (off_t)s->size_bytes);
    while (result != 0 && errno == EINTR && !atomic_load(&s->given_up));
    s->target.reserved = result == 0;
    /* A file system that cannot tell in advance will tell when it is written to. */
    if (result != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        vly_fault_errno(&s->fault, errno);
}

/* Reads what was written at `offset`. Behind the file's end there was nothing but zeros to write.
 */
static ssize_t read_written(const struct vly_file_sink *s, uint64_t offset, uint8_t *buf,
                            size_t len)
{
    ssize_t n;

    do
        n = pread(s->fd, buf, len, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n != 0)
        return n;
    memset(buf, 0, len);
    return (ssize_t)len;
}

int vly_sink_catch_up(struct vly_file_sink *s, uint64_t budget_bytes, struct vly_fault *why)
{
    static _Thread_local uint8_t buf[READ_BACK_BYTES];
    struct vly_hash *hash = &s->base.hash;
    uint64_t held = s->late.n > 0 ? vly_runs_next_held(&s->runs, hash->bytes) : 0;

    while (budget_bytes > 0 && s->late.n > 0 && s->late.r[0].begin <= hash->bytes) {
        uint64_t end = s->late.r[0].end < held ? s->late.r[0].end : held;
        uint64_t left = end - hash->bytes;
        ssize_t n;
        int err;

        if (left == 0)
            return 0;
        n = read_written(s, hash->bytes, buf, left < sizeof buf ? (size_t)left : sizeof buf);
        if (n < 0)
            return vly_fault_errno(why, errno);
        err = vly_hash_update(hash, (struct vly_span){.data = buf, .len = (size_t)n});
        if (err != 0)
            return vly_fault_plain(why, err);
        vly_rangeset_trim(&s->late, hash->bytes);
        budget_bytes -= (uint64_t)n < budget_bytes ? (uint64_t)n : budget_bytes;
    }
    return 0;
}

static bool is_large(const struct vly_file_sink *s)
{
    return vly_is_large(s->size_bytes != VLY_SIZE_UNKNOWN ? s->size_bytes : s->written_bytes);
}

/* Waits until what was hashed long ago is on the disk and lets the page cache forget it. */
static int drop_cache(struct vly_file_sink *s)
{
    uint64_t end = s->hashed_bytes;
    off_t at = (off_t)s->dropped_bytes, len;

    if (end < s->dropped_bytes + DROP_BEHIND_BYTES + VLY_SINK_PUSH_BYTES)
        return 0;
    len = (off_t)((end - DROP_BEHIND_BYTES - s->dropped_bytes) / VLY_SINK_PUSH_BYTES *
                  VLY_SINK_PUSH_BYTES);
    /* An error that this call tells is not told by fsync any more. */
    if (sync_file_range(s->fd, at, len,
                        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                            SYNC_FILE_RANGE_WAIT_AFTER) != 0 &&
        errno != EINTR && errno != EINVAL && errno != ENOSYS && errno != ESPIPE)
        return vly_fault_errno(&s->fault, errno);
    (void)posix_fadvise(s->fd, at, len, POSIX_FADV_DONTNEED);
    s->dropped_bytes += (uint64_t)len;
    return 0;
}

/* Keeps the disk busy while content comes in, so that little is left for fsync. */
static int push_out(struct vly_file_sink *s)
{
    if (s->in_memory || s->written_bytes < s->pushed_bytes + VLY_SINK_PUSH_BYTES)
        return 0;
    s->pushed_bytes = s->written_bytes;
    (void)sync_file_range(s->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return is_large(s) ? drop_cache(s) : 0;
}

void vly_sink_write_work(void *arg)
{
    struct vly_file_sink *s = arg;
    int err = vly_runs_write_taken(&s->runs, &s->target, &s->fault);

    if (err == 0)
        err = push_out(s);
    (void)err; /* the fault says it */
}

/* Writes what is left, and makes the file as long as its content: it may end with a hole. */
static int write_rest(struct vly_file_sink *s)
{
    uint64_t end = s->late.n > 0 ? s->late.r[s->late.n - 1].end : s->base.hash.bytes;
    int err = vly_runs_write_taken(&s->runs, &s->target, &s->fault);

    if (err != 0)
        return err;
    (void)vly_runs_put_back(&s->runs);
    if (s->target.hole_bytes + s->here.hole_bytes > 0 && ftruncate(s->fd, (off_t)end) != 0)
        return vly_fault_errno(&s->fault, errno);
    return 0;
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

    if ((err = write_rest(s)) != 0 || (err = vly_sink_catch_up(s, UINT64_MAX, &s->fault)) != 0 ||
        (err = set_metadata(s)) != 0)
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
