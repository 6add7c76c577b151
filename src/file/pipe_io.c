/*
 * pipe_io - see pipe_io.h.
 *
 * Two buffers a sink: one being written by a thread, one being filled. One a source: being read
 * into, or drained. What a thread works on, the loop leaves alone. Cost: a poll and a write for
 * each 4 KiB of a pipe (more could block), one write for a file.
 */
#include "file/pipe_io.h"

#include "file/msg.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLL_MS 50           /* how soon a thread notices that its owner gave up */
#define PIPE_STEP_BYTES 4096 /* PIPE_BUF: a pipe that polls writable takes it without blocking */

/* Waits until `fd` can be read or written. Returns false when `stop` was set first. */
static bool wait_for(int fd, short events, const atomic_bool *stop)
{
    struct pollfd p = {.fd = fd, .events = events};

    while (!atomic_load(stop)) {
        if (poll(&p, 1, POLL_MS) != 0) /* an error shows in the read or write that follows */
            return true;
    }
    return false;
}

static bool is_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* ---- sink ---- */

struct buffer {
    uint8_t *data; /* owned */
    size_t len, cap;
};

struct fd_sink {
    struct vly_sink base;
    struct vly_jobs *jobs;
    struct vly_job job;
    int fd;
    bool to_file;
    bool running, closed, finish_wanted;
    bool writing_now; /* no failure is told from within write but by its result */
    atomic_bool stop;
    struct buffer filling, writing;
    struct vly_sink_end end;
    struct vly_fault fault; /* of the job */
};

static void fd_sink_free(struct fd_sink *s)
{
    free(s->filling.data);
    free(s->writing.data);
    vly_hash_fini(&s->base.hash);
    free(s);
}

static int append(struct buffer *b, struct vly_span data)
{
    if (data.len > b->cap - b->len) {
        size_t cap = b->cap > 0 ? b->cap : VLY_PIPE_BYTES;
        uint8_t *grown;

        if (data.len > VLY_PIPE_HOLD_MAX - b->len)
            return VLY_E_LIMIT;
        while (cap - b->len < data.len)
            cap *= 2;
        if ((grown = realloc(b->data, cap)) == NULL)
            return VLY_E_NOMEM;
        b->data = grown;
        b->cap = cap;
    }
    memcpy(b->data + b->len, data.data, data.len);
    b->len += data.len;
    return 0;
}

/* In a thread: writes out the buffer; syncs a file at the end. */
static void fd_sink_work(void *arg)
{
    struct fd_sink *s = arg;
    size_t done = 0;

    while (done < s->writing.len) {
        size_t step = s->writing.len - done;
        ssize_t n;

        if (!s->to_file && step > PIPE_STEP_BYTES)
            step = PIPE_STEP_BYTES;
        if (!wait_for(s->fd, POLLOUT, &s->stop)) {
            vly_fault_plain(&s->fault, VLY_E_CANCELLED);
            return;
        }
        n = write(s->fd, s->writing.data + done, step);
        if (n < 0 && errno == EPIPE) {
            vly_fault_set(&s->fault, VLY_E_IO, "its reader went away");
            return;
        }
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            vly_fault_errno(&s->fault, errno);
            return;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    if (s->writing.len == 0 && s->to_file && fsync(s->fd) != 0 && errno != EINVAL &&
        errno != EROFS && errno != ENOTSUP) /* those cannot be synced at all */
        vly_fault_errno(&s->fault, errno);
}

static void fd_sink_next(struct fd_sink *s);

static void fd_sink_done(void *arg)
{
    struct fd_sink *s = arg;
    size_t written = s->writing.len;

    s->running = false;
    if (s->closed) {
        fd_sink_free(s);
    } else if (s->fault.err != 0 && s->writing_now) {
        return;
    } else if (s->fault.err != 0 || (s->finish_wanted && written == 0)) {
        s->base.events->on_finished(s->base.ctx, s->fault.err != 0 ? &s->fault : NULL);
    } else {
        s->writing.len = 0;
        fd_sink_next(s); /* before the event, which may close the sink */
        s->base.events->on_consumed(s->base.ctx, written);
    }
}

/* Starts the thread, if there is anything to write, or the end to be reached. */
static void fd_sink_next(struct fd_sink *s)
{
    struct buffer swap = s->writing;

    if (s->running || (s->filling.len == 0 && !s->finish_wanted))
        return;
    s->writing = s->filling;
    s->filling = swap;
    s->running = true;
    s->job = (struct vly_job){.work = fd_sink_work, .done = fd_sink_done, .arg = s};
    vly_job_start(&s->job, s->jobs);
}

static int fd_sink_write(struct vly_sink *sink, uint64_t offset, struct vly_span data,
                         struct vly_fault *why)
{
    struct fd_sink *s = (struct fd_sink *)sink;
    int err;

    assert(offset == s->base.hash.bytes && !s->finish_wanted);
    if ((err = vly_hash_update(&s->base.hash, data)) != 0 || (err = append(&s->filling, data)) != 0)
        return vly_fault_plain(why, err);
    s->writing_now = true; /* without threads it is done at once */
    fd_sink_next(s);
    s->writing_now = false;
    return s->running || s->fault.err == 0 ? 0
                                           : vly_fault_set(why, s->fault.err, "%s", s->fault.text);
}

static int fd_sink_verify(struct fd_sink *s, struct vly_fault *why)
{
    uint8_t root[VLY_HASH_BYTES];
    int err;

    if (s->base.hash.bytes != s->end.size_bytes)
        return vly_fault_plain(why, VLY_E_INTEGRITY);
    if ((err = vly_hash_end(&s->base.hash)) != 0 || (err = vly_hash_root(&s->base.hash, root)) != 0)
        return vly_fault_plain(why, err);
    if (memcmp(root, s->end.root, sizeof root) != 0)
        return vly_fault_plain(why, VLY_E_INTEGRITY);
    return 0;
}

static void fd_sink_finish(struct vly_sink *sink, const struct vly_sink_end *end)
{
    struct fd_sink *s = (struct fd_sink *)sink;
    struct vly_fault why;

    s->end = *end;
    if (fd_sink_verify(s, &why) != 0) {
        s->base.events->on_finished(s->base.ctx, &why);
        return;
    }
    s->finish_wanted = true;
    fd_sink_next(s);
}

static void fd_sink_close(struct vly_sink *sink)
{
    struct fd_sink *s = (struct fd_sink *)sink;

    s->closed = true;
    atomic_store(&s->stop, true);
    if (!s->running)
        fd_sink_free(s);
}

static const struct vly_sink_ops fd_sink_ops = {
    .write = fd_sink_write, .finish = fd_sink_finish, .close = fd_sink_close, .any_order = false};

int vly_sink_open_fd(struct vly_sink **out, int fd, const struct vly_sink_events *events, void *ctx,
                     struct vly_jobs *jobs)
{
    struct fd_sink *s = calloc(1, sizeof *s);

    *out = NULL;
    if (s == NULL)
        return VLY_E_NOMEM;
    s->base = (struct vly_sink){.ops = &fd_sink_ops, .events = events, .ctx = ctx};
    vly_hash_init(&s->base.hash);
    s->jobs = jobs;
    s->fd = fd;
    s->to_file = is_file(fd);
    *out = &s->base;
    return 0;
}

/* ---- source ---- */

struct fd_source {
    struct vly_source base;
    struct vly_jobs *jobs;
    struct vly_job job;
    int fd;
    bool running, closed, ended;
    atomic_bool stop;
    void (*wake)(void *ctx);
    void *ctx;
    uint8_t *data; /* owned, VLY_PIPE_BYTES */
    size_t len, pos;
    struct vly_fault fault; /* of the job */
};

static void fd_source_free(struct fd_source *s)
{
    free(s->data);
    free(s);
}

/* In a thread: waits for the first bytes, then takes what else is there. */
static void fd_source_work(void *arg)
{
    struct fd_source *s = arg;
    struct pollfd more = {.fd = s->fd, .events = POLLIN};

    do {
        ssize_t n;

        if (s->len == 0 && !wait_for(s->fd, POLLIN, &s->stop))
            return;
        n = read(s->fd, s->data + s->len, VLY_PIPE_BYTES - s->len);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            vly_fault_errno(&s->fault, errno);
        if (n <= 0) {
            s->ended = true;
            return;
        }
        s->len += (size_t)n;
    } while (s->len == 0 || (s->len < VLY_PIPE_BYTES && poll(&more, 1, 0) > 0));
}

static void fd_source_done(void *arg)
{
    struct fd_source *s = arg;

    s->running = false;
    if (s->closed)
        fd_source_free(s);
    else
        s->wake(s->ctx);
}

static int fd_source_read(struct vly_source *source, uint8_t *dst, size_t *len, bool *last,
                          struct vly_fault *why)
{
    struct fd_source *s = (struct fd_source *)source;
    size_t left;

    if (s->running) /* the buffer is the thread's */
        return VLY_E_AGAIN;
    left = s->len - s->pos;
    if (left == 0 && s->fault.err != 0)
        return vly_fault_set(why, s->fault.err, "%s", s->fault.text);
    if (left == 0 && !s->ended) {
        s->len = s->pos = 0;
        s->running = true;
        s->job = (struct vly_job){.work = fd_source_work, .done = fd_source_done, .arg = s};
        vly_job_start(&s->job, s->jobs);
        return VLY_E_AGAIN;
    }
    *len = *len < left ? *len : left;
    memcpy(dst, s->data + s->pos, *len);
    s->pos += *len;
    *last = s->pos == s->len && s->ended && s->fault.err == 0;
    return 0;
}

static void fd_source_close(struct vly_source *source)
{
    struct fd_source *s = (struct fd_source *)source;

    s->closed = true;
    atomic_store(&s->stop, true);
    if (!s->running)
        fd_source_free(s);
}

static const struct vly_source_ops fd_source_ops = {.read = fd_source_read,
                                                    .close = fd_source_close};

int vly_source_open_fd(struct vly_source **out, int fd, struct vly_jobs *jobs,
                       void (*wake)(void *ctx), void *ctx)
{
    struct fd_source *s = calloc(1, sizeof *s);

    *out = NULL;
    if (s == NULL || (s->data = malloc(VLY_PIPE_BYTES)) == NULL) {
        free(s);
        return VLY_E_NOMEM;
    }
    s->base = (struct vly_source){
        .ops = &fd_source_ops, .size_bytes = VLY_SIZE_UNKNOWN, .file_fd = -1, .mode = 0666};
    s->jobs = jobs;
    s->fd = fd;
    s->wake = wake;
    s->ctx = ctx;
    *out = &s->base;
    return 0;
}
