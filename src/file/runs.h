/*
 * runs - content on its way to a file: gathered in the loop, written by a thread.
 *
 * A run is a buffer and the pieces of the file that are in it, in the order they came; written are
 * they in the file's order, those that touch with one call. Of content in order a run ends where
 * the offset is a multiple of VLY_RUN_BYTES. Long stretches of zeros become holes.
 *
 * Life of a run: filling -> closed -> free, or taken by a thread in between. Invariant: a byte is
 * in one piece of one run; `taken` and what it leads to belongs to the thread until
 * vly_runs_put_back. Cost: a copy of each byte; a pwritev for each VLY_RUN_BYTES of content in
 * order.
 */
#ifndef VLY_FILE_RUNS_H
#define VLY_FILE_RUNS_H

#include "file/fault.h"

#include <stdatomic.h>

#define VLY_RUN_BYTES (256u << 10)
#define VLY_RUN_PIECES 64u         /* of one run; more are the beginning of the next */
#define VLY_RUNS_MAX 16u           /* of one file: 4 MiB */
#define VLY_HOLE_BYTES (64u << 10) /* shorter stretches of zeros are written */
#define VLY_HOLE_ALIGN_BYTES 4096u

/* Memory that the runs of one owner may take. */
struct vly_budget {
    size_t left_bytes;
};

struct vly_run;

struct vly_runs {
    struct vly_budget *budget;
    size_t run_bytes;                    /* of each run: a small file needs less */
    struct vly_run *filling, *free;      /* owned, like all runs */
    struct vly_run *closed, **closed_at; /* oldest first; where the next is hung in */
    struct vly_run *taken;
    unsigned n;       /* runs there are */
    unsigned n_ready; /* of them closed or taken */
};

/* What is written to, and what came of it. Each thread has one of its own. */
struct vly_runs_target {
    int fd;
    bool reserved;           /* disk space was set aside: holes have to be punched */
    const atomic_bool *stop; /* give up soon */
    uint64_t written_bytes;  /* in all */
    uint64_t hole_bytes;     /* left out of them */
    bool slept;              /* the last call had to wait, so the next may have to as well */
};

/* `size_bytes`: of the file, if known, else anything larger. `budget` is shared. */
void vly_runs_init(struct vly_runs *r, struct vly_budget *budget, uint64_t size_bytes);
/* No thread is at work. What was not written is forgotten. */
void vly_runs_fini(struct vly_runs *r);

/* Copies the beginning of `data`, as much as there is memory for: returns how many bytes. Content
 * is given once. */
size_t vly_runs_add(struct vly_runs *r, uint64_t offset, struct vly_span data);
/* What is being filled is to be written as well. */
void vly_runs_close(struct vly_runs *r);
/* The lowest offset at or above `from` whose byte is in a run; UINT64_MAX: none. */
uint64_t vly_runs_next_held(const struct vly_runs *r, uint64_t from);

/* Takes the oldest closed runs for a thread, at most `most`; false: there are none. After the last
 * ones were put back. */
bool vly_runs_take(struct vly_runs *r, unsigned most);
/* In the thread: writes what was taken. Errors as of vly_fault_errno, and VLY_E_CANCELLED. */
VLY_MUST_USE int vly_runs_write_taken(const struct vly_runs *r, struct vly_runs_target *to,
                                      struct vly_fault *why);
/* In the loop, after it: the memory is for the next. Returns how many they were. */
unsigned vly_runs_put_back(struct vly_runs *r);

/* In the loop: writes the oldest closed run, if any. */
VLY_MUST_USE int vly_runs_write_oldest(struct vly_runs *r, struct vly_runs_target *to,
                                       struct vly_fault *why);
/* The same with content that was not gathered. */
VLY_MUST_USE int vly_runs_write_past(struct vly_runs_target *to, uint64_t offset,
                                     struct vly_span data, struct vly_fault *why);

#endif
