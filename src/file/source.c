/*
 * source - regular files: pread into the send buffer, fstat before and after.
 *
 * Invariant: `offset` bytes were handed on, at most size_bytes. What is in memory is read by the
 * loop; when the system says that it would have to wait (RWF_NOWAIT), a thread does.
 * Cost: one pread a call, two fstat a file.
 */
#include "file/source.h"

#include "file/cache.h"
#include "file/hash.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define READAHEAD_FROM_BYTES (1u << 20)
#define FETCH_BYTES (4u << 20)            /* asked of the disk at a time */
#define READAHEAD_MOST_BYTES (128u << 10) /* the system may read no more of one request */
#define DROP_BYTES (UINT64_C(8) << 20)

struct file_source {
    struct vly_source base;
    int fd;
    uint64_t offset;
    struct stat before;
    bool large;             /* for the page cache */
    uint64_t dropped_bytes; /* the page cache need not hold what lies below */
    struct vly_jobs *jobs;  /* NULL: no thread is to be had, or the file system cannot tell */
    void (*wake)(void *ctx);
    void *ctx;
    struct vly_job job;
    bool running;  /* the job is */
    bool waiting;  /* for the job; nothing is read until it is done */
    uint64_t from; /* of the job: where the disk has to read ahead */
    uint64_t at;   /* of the job: `wanted` bytes there have to be in memory at its end */
    size_t wanted;
    bool fetched;         /* and they were */
    uint64_t ahead_bytes; /* the disk was told of what lies below; 0: it did not have to */
    bool closed;          /* freed when the job is done */
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

/* ---- fetching ---- */

static void file_source_free(struct file_source *s)
{
    close(s->fd);
    free(s);
}

/* In a thread: has the disk read ahead, and waits for the first and the last byte that are wanted.
 * An error shows when the loop reads. */
static void fetch_work(void *arg)
{
    struct file_source *s = arg;
    uint8_t byte;

    for (uint64_t done = 0; done < FETCH_BYTES; done += READAHEAD_MOST_BYTES)
        (void)readahead(s->fd, (off_t)(s->from + done), READAHEAD_MOST_BYTES);
    if (s->wanted > 0 && pread(s->fd, &byte, 1, (off_t)s->at) == 1)
        (void)!pread(s->fd, &byte, 1, (off_t)(s->at + s->wanted - 1));
}

static void fetch_done(void *arg)
{
    struct file_source *s = arg;
    bool wake = s->waiting;

    s->running = s->waiting = false;
    s->fetched = s->wanted > 0;
    if (s->closed)
        file_source_free(s);
    else if (wake)
        s->wake(s->ctx);
}

/* Has a thread read from `from` on, and wait for `wanted` bytes of what is next. */
static void fetch(struct file_source *s, uint64_t from, size_t wanted)
{
    s->running = true;
    s->at = s->offset;
    s->wanted = wanted;
    s->from = from;
    s->ahead_bytes = from + FETCH_BYTES;
    s->job = (struct vly_job){.work = fetch_work, .done = fetch_done, .arg = s};
    vly_job_start(&s->job, s->jobs);
}

/* Waits for the next `wanted` bytes. */
static void wait_for(struct file_source *s, size_t wanted)
{
    s->waiting = true;
    if (!s->running)
        fetch(s, s->offset, wanted);
}

/* A disk that had to be waited for is kept busy. */
static void keep_ahead(struct file_source *s)
{
    if (s->ahead_bytes > 0 && !s->running && s->ahead_bytes < s->base.size_bytes &&
        s->offset + FETCH_BYTES / 2 > s->ahead_bytes)
        fetch(s, s->ahead_bytes, 0);
}

/* Reads at `at` what is in memory; -1 with EAGAIN when it is not. Bytes that were fetched just now
 * are read in any case: they may be gone again. */
static ssize_t read_now(struct file_source *s, uint8_t *dst, size_t len, uint64_t at)
{
    struct iovec part = {.iov_base = dst, .iov_len = len};

    if (s->jobs != NULL && !s->fetched) {
        ssize_t n = preadv2(s->fd, &part, 1, (off_t)at, RWF_NOWAIT);

        if (n >= 0 || errno == EAGAIN)
            return n;
        if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)
            s->jobs = NULL;
    }
    return pread(s->fd, dst, len, (off_t)at);
}

/* ---- reading ---- */

/* Of a file that is too large for the page cache nothing stays there. */
static void drop_cache(struct file_source *s)
{
    if (s->offset < s->dropped_bytes + 2 * DROP_BYTES || !s->large)
        return;
    (void)posix_fadvise(s->fd, (off_t)s->dropped_bytes, DROP_BYTES, POSIX_FADV_DONTNEED);
    s->dropped_bytes += DROP_BYTES;
}

/* The next `len` bytes, or fewer. Returns VLY_E_AGAIN when they are being fetched. */
static int read_some(struct file_source *s, uint8_t *dst, size_t *len, struct vly_fault *why)
{
    ssize_t n;

    if (s->waiting)
        return VLY_E_AGAIN;
    do
        n = read_now(s, dst, *len, s->offset);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN && s->jobs != NULL) {
        wait_for(s, *len);
        return VLY_E_AGAIN;
    }
    if (n < 0)
        return vly_fault_errno(why, errno);
    if (n == 0)
        return changed(why, "shrank");
    s->fetched = false;
    s->offset += (uint64_t)n;
    *len = (size_t)n;
    keep_ahead(s);
    drop_cache(s);
    return 0;
}

static int read_file(struct vly_source *source, uint8_t *dst, size_t *len, bool *last,
                     struct vly_fault *why)
{
    struct file_source *s = (struct file_source *)source;
    uint64_t left = s->base.size_bytes - s->offset;
    int err;

    if (*len > left)
        *len = (size_t)left;
    if (*len > 0 && (err = read_some(s, dst, len, why)) != 0)
        return err;
    *last = s->offset == s->base.size_bytes;
    return *last ? check_unchanged(s, why) : 0;
}

static void close_file(struct vly_source *source)
{
    struct file_source *s = (struct file_source *)source;

    s->closed = true;
    if (!s->running) /* else fetch_done goes on */
        file_source_free(s);
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
    s->large = vly_is_large(size_bytes);
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

void vly_source_use_threads(struct vly_source *source, struct vly_jobs *jobs,
                            void (*wake)(void *ctx), void *ctx)
{
    struct file_source *s = (struct file_source *)source;

    if (source->ops != &file_ops)
        return;
    s->jobs = jobs;
    s->wake = wake;
    s->ctx = ctx;
}

bool vly_source_is_at_hand(struct vly_source *source, size_t len)
{
    struct file_source *s = (struct file_source *)source;
    uint8_t byte;

    if (source->ops != &file_ops)
        return true;
    if (s->waiting)
        return false;
    /* What follows the first byte was read ahead with it. */
    if (s->fetched || read_now(s, &byte, 1, s->offset) >= 0 || errno != EAGAIN)
        return true;
    wait_for(s, len);
    return false;
}

int vly_source_read_waiting(struct vly_source *source, uint8_t *dst, size_t *len, bool *last,
                            struct vly_fault *why)
{
    struct file_source *s = (struct file_source *)source;

    assert(source->ops == &file_ops && !s->waiting);
    s->fetched = true;
    return vly_source_read(source, dst, len, last, why);
}

void vly_source_close(struct vly_source *s)
{
    if (s != NULL)
        s->ops->close(s);
}
