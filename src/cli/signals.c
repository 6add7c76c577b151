/*
 * signals - Ctrl-C, SIGTERM and SIGHUP as one callback on a loop.
 */
#include "cli/signals.h"

#include "cli/cli.h"

#include <signal.h>
#include <unistd.h>

static void on_uv_signal(uv_signal_t *handle, int signum)
{
    struct vly_signals *s = handle->data;

    /* Who presses Ctrl-C twice does not want to wait for a polite end. A terminal that goes away
     * does not press anything, but the kernel and its shell each send a SIGHUP. */
    if (s->first != 0) {
        if (signum != SIGHUP)
            _exit(VLY_EXIT_SIGNAL + signum);
        return;
    }
    s->first = signum;
    s->on_signal(s->ctx, signum);
}

void vly_signals_open(struct vly_signals *s, uv_loop_t *loop,
                      void (*on_signal)(void *ctx, int signum), void *ctx)
{
    static const int signums[VLY_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

    *s = (struct vly_signals){.on_signal = on_signal, .ctx = ctx};
    for (size_t i = 0; i < VLY_SIGNALS; i++) {
        (void)uv_signal_init(loop, &s->handles[i]);
        s->handles[i].data = s;
        (void)uv_signal_start(&s->handles[i], on_uv_signal, signums[i]);
        uv_unref((uv_handle_t *)&s->handles[i]);
    }
}

void vly_signals_close(struct vly_signals *s)
{
    for (size_t i = 0; i < VLY_SIGNALS; i++)
        uv_close((uv_handle_t *)&s->handles[i], NULL);
}
