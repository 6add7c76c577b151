/*
 * serve_view - what a server shows of its clients: lines, JSON events, bars on a terminal.
 */
#ifndef VLY_CLI_SERVE_VIEW_H
#define VLY_CLI_SERVE_VIEW_H

#include "cli/cli.h"
#include "cli/progress.h"

#include <uv.h>

/* A file under way, kept only for the bars. */
struct vly_moving;

struct vly_serve_view {
    struct vly_cli cli;
    bool quiet, verbose;
    bool plain, shared_key; /* how the server was started */
    struct vly_progress progress;
    struct vly_meter meter;
    uv_timer_t timer;           /* draws; active only when there are bars */
    struct vly_moving *movings; /* owned list, newest first */
    size_t n_movings, n_clients;
    uint64_t opened_ns;
    uint64_t moved_bytes; /* of all files that ended */
};

void vly_serve_view_open(struct vly_serve_view *v, uv_loop_t *loop, const struct vly_cli *cli,
                         const struct vly_net_args *net);
/* The server stops because of `signum`. */
void vly_serve_view_stopping(struct vly_serve_view *v, int signum);
/* `v` must outlive one more turn of the loop. */
void vly_serve_view_close(struct vly_serve_view *v);

/* For vly_server_options; their ctx is the view. */
extern const struct vly_server_events vly_serve_view_events;

#endif
