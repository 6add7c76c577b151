/*
 * source - where content comes from: a regular file, or a pipe (pipe_io.h).
 *
 * A source is read in order, straight into the memory it will be sent from. What of a file is not
 * in memory is fetched by a thread, as far as the file system can tell. A file is looked at
 * again at its end: when size, times or identity changed since it was opened, its content is
 * nobody's, VLY_E_SOURCE_CHANGED.
 */
#ifndef VLY_FILE_SOURCE_H
#define VLY_FILE_SOURCE_H

#include "file/fault.h"
#include "file/jobs.h"

#include <sys/stat.h>

struct vly_source;

struct vly_source_ops {
    int (*read)(struct vly_source *s, uint8_t *dst, size_t *len, bool *last, struct vly_fault *why);
    void (*close)(struct vly_source *s);
};

struct vly_source {
    const struct vly_source_ops *ops;
    uint64_t size_bytes; /* VLY_SIZE_UNKNOWN (msg.h) for a pipe */
    int file_fd;         /* of a regular file, which may be sent from there; -1: a pipe */
    uint16_t mode;
    int64_t mtime_ns;
};

/* Takes the descriptor `fd` of a regular file (also on failure) whose fstat was `st`. The caller
 * owns *out. Returns VLY_E_NOMEM, VLY_E_LIMIT (VLY_FILE_BYTES_MAX). */
VLY_MUST_USE int vly_source_from_file(struct vly_source **out, int fd, const struct stat *st,
                                      struct vly_fault *why);

/* Reads the next bytes: *len in: room (at least 1), out: read. *last: they are the last ones, and
 * the source did not change; then *len may be 0, else it is not. VLY_E_AGAIN: nothing at present,
 * the source wakes its user. Other errors are final. */
VLY_MUST_USE int vly_source_read(struct vly_source *s, uint8_t *dst, size_t *len, bool *last,
                                 struct vly_fault *why);
/* From now on a file that has to be fetched is fetched by a thread: meanwhile reading returns
 * VLY_E_AGAIN, and wake(ctx) says when another try is worth it. Other sources do as they do. */
void vly_source_use_threads(struct vly_source *s, struct vly_jobs *jobs, void (*wake)(void *ctx),
                            void *ctx);
/* Whether the next `len` bytes can be read at once, as far as known; else they are on their way. */
bool vly_source_is_at_hand(struct vly_source *s, size_t len);
/* Reads of a file, and waits for what is not in memory after all: VLY_E_AGAIN does not come. Not
 * while bytes are on their way. */
VLY_MUST_USE int vly_source_read_waiting(struct vly_source *s, uint8_t *dst, size_t *len,
                                         bool *last, struct vly_fault *why);
/* Frees it; NULL is allowed. */
void vly_source_close(struct vly_source *s);

#endif
