/*
 * pipe_io - standard output as a sink, standard input as a source: pipes, terminals, redirected
 * files.
 *
 * They may block for ever, so a thread reads and writes them, in steps that end when their owner
 * gives up. Content is in order. What went to a pipe cannot be taken back: an error found at the
 * end is told, the bytes are out.
 */
#ifndef VLY_FILE_PIPE_IO_H
#define VLY_FILE_PIPE_IO_H

#include "file/sink.h"
#include "file/source.h"

#define VLY_PIPE_BYTES (256u << 10)
#define VLY_PIPE_HOLD_MAX \
    (UINT64_C(1) << 30) /* waiting to be written; the transport's window is smaller */

/* A sink that writes to `fd`, which stays the caller's. Ready at once. */
VLY_MUST_USE int vly_sink_open_fd(struct vly_sink **out, int fd,
                                  const struct vly_sink_events *events, void *ctx,
                                  struct vly_jobs *jobs);

/* A source that reads `fd`, which stays the caller's. wake(ctx): reading is worth another try. */
VLY_MUST_USE int vly_source_open_fd(struct vly_source **out, int fd, struct vly_jobs *jobs,
                                    void (*wake)(void *ctx), void *ctx);

#endif
