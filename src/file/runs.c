/*
 * runs - see runs.h.
 */
#include "file/runs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

struct piece {
    uint64_t offset;  /* in the file */
    uint32_t at, len; /* in the run */
};

struct vly_run {
    struct vly_run *next;
    uint32_t len, n_pieces;
    struct piece pieces[VLY_RUN_PIECES];
    uint8_t data[];
};

/* ---- gathering ---- */

void vly_runs_init(struct vly_runs *r, struct vly_budget *budget, uint64_t size_bytes)
{
    *r = (struct vly_runs){.budget = budget};
    r->run_bytes = size_bytes < VLY_RUN_BYTES ? (size_t)size_bytes : VLY_RUN_BYTES;
    r->closed_at = &r->closed;
}

static void free_all(struct vly_runs *r, struct vly_run *run)
{
    while (run != NULL) {
        struct vly_run *next = run->next;

        free(run);
        r->budget->left_bytes += r->run_bytes;
        run = next;
    }
}

void vly_runs_fini(struct vly_runs *r)
{
    free_all(r, r->filling);
    free_all(r, r->closed);
    free_all(r, r->taken);
    free_all(r, r->free);
    vly_runs_init(r, r->budget, r->run_bytes);
}

/* The more runs there are, the more memory has to be left: many files share it. */
static struct vly_run *run_new(struct vly_runs *r)
{
    struct vly_run *run;

    if (r->run_bytes == 0 || r->n == VLY_RUNS_MAX ||
        (r->n + 1) * r->run_bytes > r->budget->left_bytes ||
        (run = malloc(sizeof *run + r->run_bytes)) == NULL)
        return NULL;
    r->budget->left_bytes -= r->run_bytes;
    r->n++;
    return run;
}

static bool begin_run(struct vly_runs *r)
{
    struct vly_run *run = r->free;

    if (run != NULL)
        r->free = run->next;
    else if ((run = run_new(r)) == NULL)
        return false;
    run->next = NULL;
    run->len = run->n_pieces = 0;
    r->filling = run;
    return true;
}

/* By offset; most often they are. */
static void sort(struct vly_run *run)
{
    for (uint32_t i = 1; i < run->n_pieces; i++) {
        struct piece p = run->pieces[i];
        uint32_t k = i;

        for (; k > 0 && run->pieces[k - 1].offset > p.offset; k--)
            run->pieces[k] = run->pieces[k - 1];
        run->pieces[k] = p;
    }
}

void vly_runs_close(struct vly_runs *r)
{
    if (r->filling == NULL)
        return;
    sort(r->filling); /* here, because a thread only reads it */
    *r->closed_at = r->filling;
    r->closed_at = &r->filling->next;
    r->filling = NULL;
    r->n_ready++;
}

/* How much of `len` bytes at `offset` the run takes: up to its end or the file's next multiple of
 * VLY_RUN_BYTES. */
static size_t room_for(const struct vly_runs *r, uint64_t offset, size_t len)
{
    size_t room = r->run_bytes - r->filling->len;
    size_t to_border = VLY_RUN_BYTES - (size_t)(offset % VLY_RUN_BYTES);

    if (len > room)
        len = room;
    return len < to_border ? len : to_border;
}

size_t vly_runs_add(struct vly_runs *r, uint64_t offset, struct vly_span data)
{
    struct vly_run *run;
    struct piece *last;
    size_t len;

    if (r->filling == NULL && !begin_run(r))
        return 0;
    run = r->filling;
    len = room_for(r, offset, data.len);
    last = run->n_pieces > 0 ? &run->pieces[run->n_pieces - 1] : NULL;
    if (last == NULL || last->offset + last->len != offset) {
        last = &run->pieces[run->n_pieces++];
        *last = (struct piece){.offset = offset, .at = run->len};
    }
    memcpy(run->data + run->len, data.data, len);
    last->len += (uint32_t)len;
    run->len += (uint32_t)len;
    if (run->len == r->run_bytes || run->n_pieces == VLY_RUN_PIECES ||
        (run->n_pieces == 1 && (offset + len) % VLY_RUN_BYTES == 0))
        vly_runs_close(r);
    return len;
}

static uint64_t next_held(const struct vly_run *run, uint64_t from, uint64_t lowest)
{
    for (; run != NULL; run = run->next) {
        for (uint32_t i = 0; i < run->n_pieces; i++) {
            const struct piece *p = &run->pieces[i];
            uint64_t begin = p->offset > from ? p->offset : from;

            if (p->offset + p->len > from && begin < lowest)
                lowest = begin;
        }
    }
    return lowest;
}

uint64_t vly_runs_next_held(const struct vly_runs *r, uint64_t from)
{
    uint64_t lowest = next_held(r->filling, from, UINT64_MAX);

    lowest = next_held(r->closed, from, lowest);
    return next_held(r->taken, from, lowest);
}

/* ---- writing ---- */

/* The oldest closed run, not in any list. */
static struct vly_run *pop(struct vly_runs *r)
{
    struct vly_run *run = r->closed;

    if (run == NULL)
        return NULL;
    r->closed = run->next;
    if (r->closed == NULL)
        r->closed_at = &r->closed;
    run->next = NULL;
    return run;
}

static void put_back(struct vly_runs *r, struct vly_run *run)
{
    run->next = r->free;
    r->free = run;
    r->n_ready--;
}

bool vly_runs_take(struct vly_runs *r, unsigned most)
{
    struct vly_run **at = &r->taken;

    assert(r->taken == NULL);
    for (; most > 0 && (*at = pop(r)) != NULL; most--)
        at = &(*at)->next;
    return r->taken != NULL;
}

unsigned vly_runs_put_back(struct vly_runs *r)
{
    unsigned n = 0;

    for (; r->taken != NULL; n++) {
        struct vly_run *run = r->taken;

        r->taken = run->next;
        put_back(r, run);
    }
    return n;
}

/* Pieces that touch in the file, to be written with one call. */
struct batch {
    struct vly_runs_target *to;
    struct iovec parts[VLY_RUN_PIECES];
    int n;
    uint64_t offset, len;
};

/* Drops `written` bytes off the beginning. */
static void advance(struct batch *b, size_t written)
{
    int i = 0;

    b->offset += written;
    b->len -= written;
    for (; i < b->n && written >= b->parts[i].iov_len; i++)
        written -= b->parts[i].iov_len;
    b->n -= i;
    memmove(b->parts, b->parts + i, (size_t)b->n * sizeof b->parts[0]);
    if (b->n > 0) {
        b->parts[0].iov_base = (uint8_t *)b->parts[0].iov_base + written;
        b->parts[0].iov_len -= written;
    }
}

static int flush(struct batch *b, struct vly_fault *why)
{
    while (b->len > 0) {
        ssize_t n = pwritev(b->to->fd, b->parts, b->n, (off_t)b->offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return vly_fault_errno(why, n < 0 ? errno : ENOSPC);
        b->to->written_bytes += (uint64_t)n;
        advance(b, (size_t)n);
    }
    b->n = 0;
    return 0;
}

static int put(struct batch *b, uint64_t offset, struct vly_span data, struct vly_fault *why)
{
    int err;

    if (data.len == 0)
        return 0;
    if ((b->n == VLY_RUN_PIECES || b->offset + b->len != offset) && (err = flush(b, why)) != 0)
        return err;
    if (b->n == 0)
        b->offset = offset;
    b->parts[b->n++] = (struct iovec){.iov_base = (void *)data.data, .iov_len = data.len};
    b->len += data.len;
    return 0;
}

/* Leaves a hole. The bytes of a new file that were never written read as zeros; where space was set
 * aside it is given back, and where that does not work it stays: they are zeros all the same. */
static void leave_out(struct batch *b, uint64_t offset, size_t len)
{
    if (b->to->reserved)
        (void)fallocate(b->to->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                        (off_t)len);
    b->to->written_bytes += len;
    b->to->hole_bytes += len;
}

/* A block of the file whose bytes are all zero: the first differs from that in most that are not.
 */
static bool is_zero(const uint8_t *block)
{
    return block[0] == 0 && memcmp(block, block + 1, VLY_HOLE_ALIGN_BYTES - 1) == 0;
}

/* Finds the first stretch of whole zero blocks that is long enough, from `from` on. Returns its
 * length; 0: there is none. */
static size_t find_hole(uint64_t offset, struct vly_span data, size_t from, size_t *begin)
{
    size_t at = from + (size_t)(-(offset + from) % VLY_HOLE_ALIGN_BYTES);
    size_t zeros = 0;

    for (; at + VLY_HOLE_ALIGN_BYTES <= data.len; at += VLY_HOLE_ALIGN_BYTES) {
        if (is_zero(data.data + at)) {
            zeros += VLY_HOLE_ALIGN_BYTES;
            continue;
        }
        if (zeros >= VLY_HOLE_BYTES)
            break;
        zeros = 0;
    }
    *begin = at - zeros;
    return zeros >= VLY_HOLE_BYTES ? zeros : 0;
}

static int put_around_holes(struct batch *b, uint64_t offset, struct vly_span data,
                            struct vly_fault *why)
{
    size_t done = 0, begin, len;
    int err;

    while (data.len - done >= VLY_HOLE_BYTES && (len = find_hole(offset, data, done, &begin)) > 0) {
        struct vly_span before = {.data = data.data + done, .len = begin - done};

        if ((err = put(b, offset + done, before, why)) != 0)
            return err;
        leave_out(b, offset + begin, len);
        done = begin + len;
    }
    return put(b, offset + done,
               (struct vly_span){.data = data.data + done, .len = data.len - done}, why);
}

static int write_run(const struct vly_run *run, struct vly_runs_target *to, struct vly_fault *why)
{
    struct batch b = {.to = to};
    int err = 0;

    for (uint32_t i = 0; i < run->n_pieces && err == 0; i++) {
        const struct piece *p = &run->pieces[i];

        err = put_around_holes(&b, p->offset,
                               (struct vly_span){.data = run->data + p->at, .len = p->len}, why);
    }
    return err == 0 ? flush(&b, why) : err;
}

/* How often this thread had to wait for something; being preempted does not count. */
static long sleeps(void)
{
    struct rusage u;

    return getrusage(RUSAGE_THREAD, &u) == 0 ? u.ru_nvcsw : 0;
}

int vly_runs_write_taken(const struct vly_runs *r, struct vly_runs_target *to,
                         struct vly_fault *why)
{
    long before = sleeps();

    for (const struct vly_run *run = r->taken; run != NULL; run = run->next) {
        int err =
            atomic_load(to->stop) ? vly_fault_plain(why, VLY_E_CANCELLED) : write_run(run, to, why);

        if (err != 0)
            return err;
    }
    to->slept = sleeps() != before;
    return 0;
}

int vly_runs_write_oldest(struct vly_runs *r, struct vly_runs_target *to, struct vly_fault *why)
{
    struct vly_run *run = pop(r);
    long before = sleeps();
    int err;

    if (run == NULL)
        return 0;
    err = write_run(run, to, why);
    to->slept = sleeps() != before;
    put_back(r, run);
    return err;
}

int vly_runs_write_past(struct vly_runs_target *to, uint64_t offset, struct vly_span data,
                        struct vly_fault *why)
{
    struct batch b = {.to = to};
    long before = sleeps();
    int err = put_around_holes(&b, offset, data, why);

    if (err == 0)
        err = flush(&b, why);
    to->slept = sleeps() != before;
    return err;
}
