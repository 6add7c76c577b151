/*
 * sink - file sinks, the loop's part: gathering, hashing what is hot.
 *
 * Invariant: every byte taken is below hash.bytes, or in `late`; what is in `runs` is not in the
 * file yet. One job at a time: setting space aside, writing runs, publishing. Cost: a copy and a
 * hash of each byte in order; the rest is a thread's, as long as it keeps up.
 */
#include "file/sink_internal.h"

#include "file/msg.h"
#include "file/path.h"
#include "net/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LATE_RANGES_MAX 8192u /* the transport keeps 4096 gaps */
#define WRITE_AT_ONCE_BYTES                                                                        \
    (16u << 10)                          /* above it copying costs more than the system call saved \
                                          */
#define TAKE_RUNS 4u                     /* by a thread at a time */
#define BY_THREAD_RUNS 64u               /* 16 MiB, until the loop tries again */
#define CATCH_UP_BYTES (1u << 20)        /* read back after each job: faster than runs come in */
#define OWE_FROM_RUNS (VLY_RUNS_MAX / 2) /* with so many to be written, credit waits for them */
#define RESERVE_FROM_BYTES (1u << 20)
#define TEMP_TRIES 100
#define TMPFS_TYPE 0x01021994 /* TMPFS_MAGIC */

/* Checks that `name` may be made, or replaced; the rename at the end decides. */
static int check_target(const struct vly_file_sink *s, struct vly_fault *why)
{
    struct stat st;

    if (fstatat(s->dir_fd, s->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : vly_fault_errno(why, errno);
    if (S_ISDIR(st.st_mode))
        return vly_fault_plain(why, VLY_E_IS_DIRECTORY);
    /* A device or a pipe is never replaced by a file; a link is, and what it points to is left. */
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return vly_fault_plain(why, VLY_E_NOT_REGULAR);
    return s->replace ? 0 : vly_fault_plain(why, VLY_E_EXISTS);
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

/* Refuses at once what cannot fit. */
static int check_space(const struct vly_file_sink *s, struct vly_fault *why)
{
    struct statvfs fs;
    uint64_t blocks, free_bytes;

    if (s->size_bytes == VLY_SIZE_UNKNOWN || fstatvfs(s->dir_fd, &fs) != 0 || fs.f_blocks == 0)
        return 0;
    blocks = geteuid() == 0 ? fs.f_bfree : fs.f_bavail;
    if (__builtin_mul_overflow(blocks, (uint64_t)fs.f_frsize, &free_bytes) ||
        s->size_bytes <= free_bytes)
        return 0;
    return vly_fault_set(why, VLY_E_NO_SPACE, "no space left: %.1f MiB needed, %.1f MiB free",
                         mib(s->size_bytes), mib(free_bytes));
}

/* Makes a name that nobody has. */
static int random_temp_name(char name[VLY_TEMP_NAME_BYTES])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    uint8_t random[8];
    char text[sizeof random + 1] = {0};

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return VLY_E_IO;
    for (size_t i = 0; i < sizeof random; i++)
        text[i] = letters[random[i] % 32];
    snprintf(name, VLY_TEMP_NAME_BYTES, ".volley-%s.part", text);
    assert(vly_is_temp_name(name));
    return 0;
}

static int make_temp(struct vly_file_sink *s, struct vly_fault *why)
{
    for (unsigned i = 0; i < TEMP_TRIES; i++) {
        char name[VLY_TEMP_NAME_BYTES];

        if (random_temp_name(name) != 0)
            return vly_fault_errno(why, errno);
        s->fd = openat(s->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (s->fd >= 0) {
            memcpy(s->temp, name, sizeof name);
            return 0;
        }
        if (errno != EEXIST)
            break;
    }
    return vly_fault_errno(why, errno);
}

/* Whether setting space aside is worth it. On tmpfs it takes as long as the writing and locks it
 * out. */
static bool wants_reserve(const struct vly_file_sink *s)
{
    return s->size_bytes != VLY_SIZE_UNKNOWN && s->size_bytes >= RESERVE_FROM_BYTES &&
           !s->in_memory;
}

static bool is_in_memory(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_TYPE;
}

static void release_memory(struct vly_file_sink *s)
{
    vly_runs_fini(&s->runs);
    vly_rangeset_fini(&s->late);
    vly_hash_fini(&s->base.hash);
    free(s->name);
    free(s);
}

/* Frees the sink and removes its temporary file, if any. Half-built sinks are allowed. */
static void destroy(struct vly_file_sink *s)
{
    if (s->temp[0] != '\0')
        (void)unlinkat(s->dir_fd, s->temp, 0);
    if (s->fd >= 0)
        close(s->fd);
    close(s->dir_fd);
    release_memory(s);
}

static void job_done(void *arg);

static void start_job(struct vly_file_sink *s, enum vly_sink_task task, void (*work)(void *))
{
    s->busy = task;
    s->fault.err = 0;
    s->hashed_bytes = s->base.hash.bytes;
    s->written_bytes = s->here.written_bytes + s->target.written_bytes;
    s->job = (struct vly_job){.work = work, .done = job_done, .arg = s};
    vly_job_start(&s->job, s->jobs);
}

static void destroy_work(void *arg)
{
    struct vly_file_sink *s = arg;

    (void)unlinkat(s->dir_fd, s->temp, 0);
    close(s->fd);
    s->fd = -1;
    s->temp[0] = '\0';
}

/* Destroys a closed sink that no thread works on. */
static void let_go(struct vly_file_sink *s)
{
    if (s->temp[0] != '\0' && (s->base.hash.bytes > RESERVE_FROM_BYTES || s->late.n > 0))
        start_job(s, VLY_SINK_IDLE, destroy_work); /* freeing gigabytes takes a while */
    else
        destroy(s);
}

/* Whether the disk does not know yet of much that was written. */
static bool push_is_due(const struct vly_file_sink *s)
{
    return !s->in_memory &&
           s->here.written_bytes + s->target.written_bytes >= s->pushed_bytes + VLY_SINK_PUSH_BYTES;
}

/* What is gathered waits for threads. */
static bool is_for_threads(const struct vly_file_sink *s)
{
    return s->by_thread > 0 || s->busy == VLY_SINK_RESERVING;
}

/* What is closed waits for no content, which may wait for its credit: threads write all of it. */
static void let_none_wait(struct vly_file_sink *s)
{
    if (s->by_thread == 0 && s->runs.closed != NULL)
        s->by_thread = 1;
}

/* Gives a thread what there is for it; without threads it is done when this returns. */
static void start_writing(struct vly_file_sink *s)
{
    if (s->busy == VLY_SINK_IDLE &&
        ((s->by_thread > 0 && vly_runs_take(&s->runs, TAKE_RUNS)) || push_is_due(s)))
        start_job(s, VLY_SINK_WRITING, vly_sink_write_work);
}

/* No content follows: what is left of it is written by the same job. */
static void start_publishing(struct vly_file_sink *s)
{
    (void)vly_runs_take(&s->runs, VLY_RUNS_MAX);
    start_job(s, VLY_SINK_PUBLISHING, vly_sink_publish_work);
}

static void give_credit(struct vly_sink *s, uint64_t bytes)
{
    if (bytes > 0)
        s->events->on_consumed(s->ctx, bytes);
}

static void give_what_is_owed(struct vly_sink *s)
{
    uint64_t bytes = s->owed_bytes;

    s->owed_bytes = 0;
    give_credit(s, bytes);
}

/* A job failed, before the end: nothing more is written. */
static void fail(struct vly_file_sink *s)
{
    if (s->storing)
        return;
    give_what_is_owed(&s->base);
    s->base.events->on_finished(s->base.ctx, &s->fault);
}

static void on_reserved(struct vly_file_sink *s)
{
    s->ready = s->fault.err == 0;
    s->here.reserved = s->target.reserved;
    if (s->opening)
        return;
    if (s->fault.err != 0) {
        fail(s);
        return;
    }
    if (s->finish_wanted) {
        start_publishing(s);
        return;
    }
    let_none_wait(s);
    start_writing(s);
    s->base.events->on_ready(s->base.ctx);
}

static void on_written(struct vly_file_sink *s)
{
    unsigned n = vly_runs_put_back(&s->runs);

    if (s->target.slept)
        s->by_thread = BY_THREAD_RUNS;
    else
        s->by_thread -= n < s->by_thread ? n : s->by_thread;
    let_none_wait(s);
    if (s->fault.err != 0 ||
        (!s->finish_wanted && vly_sink_catch_up(s, CATCH_UP_BYTES, &s->fault) != 0)) {
        fail(s);
        return;
    }
    if (s->finish_wanted) {
        start_publishing(s);
        return;
    }
    start_writing(s);
    if (s->runs.n_ready < OWE_FROM_RUNS)
        give_what_is_owed(&s->base);
}

static void job_done(void *arg)
{
    struct vly_file_sink *s = arg;
    enum vly_sink_task task = s->busy;

    s->busy = VLY_SINK_IDLE;
    if (s->closed)
        let_go(s);
    else if (task == VLY_SINK_PUBLISHING)
        s->base.events->on_finished(s->base.ctx, s->fault.err != 0 ? &s->fault : NULL);
    else if (task == VLY_SINK_WRITING)
        on_written(s);
    else
        on_reserved(s);
}

/* After a write in the loop: a disk that keeps it waiting is for threads from now on. */
static void note_wait(struct vly_file_sink *s)
{
    if (s->here.slept)
        s->by_thread = BY_THREAD_RUNS;
}

/* Writes what is gathered, and `rest` at `offset`, for which there was no memory or no need of it.
 */
static int write_here(struct vly_file_sink *s, uint64_t offset, struct vly_span rest,
                      struct vly_fault *why)
{
    int err = 0;

    if (s->runs.closed == NULL && rest.len == 0)
        return 0;
    while (s->runs.closed != NULL && !is_for_threads(s) && err == 0) {
        err = vly_runs_write_oldest(&s->runs, &s->here, why);
        note_wait(s);
    }
    if (err == 0 && rest.len > 0) {
        err = vly_runs_write_past(&s->here, offset, rest, why);
        note_wait(s);
    }
    return err == 0 && s->late.n > 0 ? vly_sink_catch_up(s, CATCH_UP_BYTES, why) : err;
}

/* Gathers as much as there is memory for. Returns what is left of `data`. */
static struct vly_span gather(struct vly_file_sink *s, uint64_t offset, struct vly_span data)
{
    size_t taken = 1;

    while (data.len > 0 && taken > 0) {
        taken = vly_runs_add(&s->runs, offset, data);
        data.data += taken;
        data.len -= taken;
        offset += taken;
    }
    return data;
}

/* Part of a hole, maybe, of which there is more to come. */
static bool is_zero(struct vly_span data)
{
    return data.data[0] == 0 && memcmp(data.data, data.data + 1, data.len - 1) == 0;
}

/* Puts the bytes into the file or into runs on their way there. */
static int store(struct vly_file_sink *s, uint64_t offset, struct vly_span data,
                 struct vly_fault *why)
{
    struct vly_span rest = data;
    int err;

    if (is_for_threads(s) || data.len < WRITE_AT_ONCE_BYTES || is_zero(data))
        rest = gather(s, offset, data);
    if (rest.len > 0 && s->runs.closed != NULL && is_for_threads(s)) {
        /* The threads do not keep up: that costs less than writing small pieces. */
        if ((err = vly_runs_write_oldest(&s->runs, &s->here, why)) != 0)
            return err;
        offset += data.len - rest.len;
        data = rest;
        rest = gather(s, offset, data);
    }
    if ((err = write_here(s, offset + data.len - rest.len, rest, why)) != 0)
        return err;
    s->storing = true;
    start_writing(s);
    s->storing = false;
    if (s->busy == VLY_SINK_IDLE && s->fault.err != 0)
        return vly_fault_set(why, s->fault.err, "%s", s->fault.text);
    return 0;
}

/* Hashes the bytes if they are next, else notes them for later. */
static int account(struct vly_file_sink *s, uint64_t offset, struct vly_span data,
                   struct vly_fault *why)
{
    int err;

    if (offset == s->base.hash.bytes)
        err = vly_hash_update(&s->base.hash, data);
    else
        err = vly_rangeset_add(&s->late, offset, offset + data.len);
    return err == 0 ? 0 : vly_fault_plain(why, err);
}

static int write_file(struct vly_sink *sink, uint64_t offset, struct vly_span data,
                      struct vly_fault *why)
{
    struct vly_file_sink *s = (struct vly_file_sink *)sink;
    uint64_t most = s->size_bytes != VLY_SIZE_UNKNOWN ? s->size_bytes : VLY_FILE_BYTES_MAX;
    int err;

    assert(s->busy != VLY_SINK_PUBLISHING && !s->finish_wanted);
    assert(offset >= s->base.hash.bytes);
    if (offset > most || data.len > most - offset)
        return vly_fault_set(why, VLY_E_PROTOCOL, "more content arrived than was announced");
    if ((err = store(s, offset, data, why)) != 0 || (err = account(s, offset, data, why)) != 0)
        return err;
    if (s->runs.n_ready < OWE_FROM_RUNS)
        give_credit(sink, data.len);
    else
        sink->owed_bytes += data.len;
    return 0;
}

static void finish_file(struct vly_sink *sink, const struct vly_sink_end *end)
{
    struct vly_file_sink *s = (struct vly_file_sink *)sink;

    assert(!s->finish_wanted);
    s->end = *end;
    s->finish_wanted = true;
    give_what_is_owed(sink);
    vly_runs_close(&s->runs);
    if (s->busy == VLY_SINK_IDLE)
        start_publishing(s);
}

static void close_file(struct vly_sink *sink)
{
    struct vly_file_sink *s = (struct vly_file_sink *)sink;

    s->closed = true;
    atomic_store(&s->given_up, true);
    if (s->busy == VLY_SINK_IDLE) /* else job_done goes on */
        let_go(s);
}

static const struct vly_sink_ops file_ops = {
    .write = write_file, .finish = finish_file, .close = close_file, .any_order = true};

static struct vly_file_sink *file_sink_new(const struct vly_sink_spec *spec)
{
    struct vly_file_sink *s = calloc(1, sizeof *s);

    if (s == NULL || (s->name = strdup(spec->name)) == NULL) {
        free(s);
        return NULL;
    }
    s->base = (struct vly_sink){.ops = &file_ops, .events = spec->events, .ctx = spec->ctx};
    vly_hash_init(&s->base.hash);
    vly_rangeset_init(&s->late, &vly_alloc_system, LATE_RANGES_MAX);
    s->jobs = spec->jobs;
    vly_runs_init(&s->runs, spec->budget, spec->size_bytes);
    s->here.stop = s->target.stop = &s->given_up;
    s->dir_fd = spec->dir_fd;
    s->fd = -1;
    s->replace = spec->replace;
    s->size_bytes = spec->size_bytes;
    s->mode = spec->mode;
    s->mtime_ns = spec->mtime_ns;
    return s;
}

int vly_sink_open_file(struct vly_sink **out, const struct vly_sink_spec *spec,
                       struct vly_fault *why)
{
    struct vly_file_sink *s = file_sink_new(spec);
    int err;

    *out = NULL;
    if (s == NULL) {
        close(spec->dir_fd);
        return vly_fault_plain(why, VLY_E_NOMEM);
    }
    if (s->size_bytes != VLY_SIZE_UNKNOWN && s->size_bytes > VLY_FILE_BYTES_MAX)
        err = vly_fault_set(why, VLY_E_LIMIT, "the file is larger than 16 TiB");
    else if ((err = check_target(s, why)) == 0 && (err = check_space(s, why)) == 0)
        err = make_temp(s, why);
    if (err != 0) {
        destroy(s);
        return err;
    }
    s->here.fd = s->target.fd = s->fd;
    s->in_memory = is_in_memory(s->fd);
    s->ready = !wants_reserve(s);
    if (!s->ready) {
        s->opening = true; /* without threads it is done at once */
        start_job(s, VLY_SINK_RESERVING, vly_sink_reserve_work);
        s->opening = false;
    }
    if (s->busy == VLY_SINK_IDLE && !s->ready) {
        err = vly_fault_set(why, s->fault.err, "%s", s->fault.text);
        destroy(s);
        return err;
    }
    *out = &s->base;
    return 0;
}

bool vly_sink_is_ready(const struct vly_sink *s)
{
    return s->ops != &file_ops || ((const struct vly_file_sink *)s)->ready;
}

int vly_sink_write(struct vly_sink *s, uint64_t offset, struct vly_span data, struct vly_fault *why)
{
    return data.len > 0 ? s->ops->write(s, offset, data, why) : 0;
}

void vly_sink_finish(struct vly_sink *s, const struct vly_sink_end *end)
{
    s->ops->finish(s, end);
}

void vly_sink_close(struct vly_sink *s)
{
    uint64_t owed;

    if (s == NULL)
        return;
    owed = s->owed_bytes;
    s->owed_bytes = 0;
    if (owed > 0)
        s->events->on_consumed(s->ctx, owed);
    s->events = NULL;
    s->ops->close(s);
}
