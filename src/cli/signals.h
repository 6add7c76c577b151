/*
 * signals - Ctrl-C, SIGTERM and SIGHUP as one callback on a loop.
 */
#ifndef VLY_CLI_SIGNALS_H
#define VLY_CLI_SIGNALS_H

#include <volley/base.h>

#include <uv.h>

#define VLY_SIGNALS 3

struct vly_signals {
    uv_signal_t handles[VLY_SIGNALS];
    void (*on_signal)(void *ctx, int signum);
    void *ctx;
    int first; /* the signal that came first, 0 when none has */
};

/* `on_signal` is called for the first signal; a second one, but for SIGHUP, ends the process at
 * once. The handles do not keep the loop alive. */
void vly_signals_open(struct vly_signals *s, uv_loop_t *loop,
                      void (*on_signal)(void *ctx, int signum), void *ctx);
/* Gives the signals back; `s` must outlive one more turn of the loop. */
void vly_signals_close(struct vly_signals *s);

#endif
