/*
 * serve_view - what a server shows of its clients: lines, JSON events, bars on a terminal.
 *
 * Files under way are found by walking a list: it is short, and kept only while bars are drawn.
 */
#include "cli/serve_view.h"

#include "cli/json_out.h"
#include "cli/quantity.h"
#include "crypto/keytext.h"
#include "file/path.h"
#include "proto/frame.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BARS_MAX 8
#define CLIENT_BYTES 64

struct vly_moving {
    struct vly_moving *next; /* owned */
    char client[CLIENT_BYTES];
    char *path; /* owned */
    bool upload;
    uint64_t done_bytes, total_bytes;
    struct vly_meter meter;
    uint64_t begun_ns;
};

/* ---- files under way ---- */

/* The place in the list that points to the file; to NULL when it is not there. */
static struct vly_moving **moving_find(struct vly_serve_view *v, const char *client, bool upload,
                                       const char *path)
{
    struct vly_moving **at = &v->movings;

    while (*at != NULL && ((*at)->upload != upload || strcmp((*at)->path, path) != 0 ||
                           strncmp((*at)->client, client, CLIENT_BYTES - 1) != 0))
        at = &(*at)->next;
    return at;
}

static void moving_add(struct vly_serve_view *v, const char *client, bool upload, const char *path,
                       uint64_t bytes)
{
    struct vly_moving *m = calloc(1, sizeof(*m));

    if (m == NULL || (m->path = strdup(path)) == NULL) {
        free(m); /* no bar, that is all */
        return;
    }
    (void)snprintf(m->client, sizeof(m->client), "%s", client);
    m->upload = upload;
    m->total_bytes = bytes;
    m->begun_ns = uv_hrtime();
    m->next = v->movings;
    v->movings = m;
    v->n_movings++;
}

static void moving_remove(struct vly_serve_view *v, struct vly_moving **at)
{
    struct vly_moving *m = *at;

    if (m == NULL)
        return;
    *at = m->next;
    v->n_movings--;
    free(m->path);
    free(m);
}

/* ---- bars ---- */

/* A bar for each of the newest files, and a last row for everything. */
static void on_timer(uv_timer_t *timer)
{
    struct vly_serve_view *v = timer->data;
    struct vly_progress_row rows[BARS_MAX + 1];
    char labels[BARS_MAX + 1][CLIENT_BYTES + 1100];
    size_t room = vly_progress_rows_max() - 1, n = 0;
    uint64_t now_ns = uv_hrtime(), sum_bytes = v->moved_bytes;

    for (struct vly_moving *m = v->movings; m != NULL; m = m->next) {
        sum_bytes += m->done_bytes;
        vly_meter_add(&m->meter, now_ns, m->done_bytes);
        if (n >= BARS_MAX || n >= room)
            continue;
        (void)snprintf(labels[n], sizeof(labels[n]), "%s %s %s", vly_shown(m->path).text,
                       m->upload ? "<-" : "->", m->client);
        rows[n] = (struct vly_progress_row){labels[n], m->done_bytes, m->total_bytes,
                                            vly_meter_bytes_per_s(&m->meter),
                                            vly_time_since(now_ns, m->begun_ns)};
        n++;
    }
    vly_meter_add(&v->meter, now_ns, sum_bytes);
    if (v->n_movings == 0) {
        vly_progress_clear(&v->progress);
        return;
    }
    (void)snprintf(labels[n], sizeof(labels[n]), "%zu files, %zu clients", v->n_movings,
                   v->n_clients);
    rows[n] = (struct vly_progress_row){labels[n], sum_bytes, UINT64_MAX,
                                        vly_meter_bytes_per_s(&v->meter),
                                        vly_time_since(now_ns, v->opened_ns)};
    vly_progress_draw(&v->progress, rows, v->n_movings > 1 ? n + 1 : n);
}

/* ---- events ---- */

static const char *direction(bool upload)
{
    return upload ? "upload" : "download";
}

static json_t *file_event(const char *name, const char *client, bool upload, const char *path)
{
    json_t *event = vly_json_event(name);

    vly_json_text(event, "client", client);
    vly_json_text(event, "direction", direction(upload));
    vly_json_text(event, "path", path);
    return event;
}

static void on_connect(void *ctx, const char *client)
{
    struct vly_serve_view *v = ctx;

    v->n_clients++;
    if (v->cli.json) {
        json_t *event = vly_json_event("connect");
        vly_json_text(event, "client", client);
        vly_json_emit(event);
    }
    if (v->verbose && !v->quiet) {
        vly_progress_clear(&v->progress);
        vly_cli_say(&v->cli, "%s connected", client);
    }
}

static void on_client_key(void *ctx, const char *client, const uint8_t *key)
{
    struct vly_serve_view *v = ctx;

    if (key == NULL)
        return;
    if (v->cli.json) {
        json_t *event = vly_json_event("client_key");
        vly_json_text(event, "client", client);
        vly_json_text(event, "fingerprint", vly_fingerprint(key).s);
        vly_json_text(event, "key", vly_public_key_text(key).s);
        vly_json_emit(event);
    }
    if (v->verbose && !v->quiet) {
        vly_progress_clear(&v->progress);
        vly_cli_say(&v->cli, "%s has the key %s", client, vly_fingerprint(key).s);
    }
}

/* What a close code means here, where it is known how this end was started. */
static const char *explain(const struct vly_serve_view *v, const char *why)
{
    if (strcmp(why, vly_close_code_text(VLY_CLOSE_SUITE)) == 0)
        return v->plain ? "it encrypts, but this server was started with --plain"
                        : "it uses --plain, or no cipher that --suite allows here";
    if (strcmp(why, vly_close_code_text(VLY_CLOSE_METHOD)) == 0)
        return v->shared_key ? "it does not use --key as this server does"
                             : "it uses --key, but this server was started without";
    return why;
}

static void on_turned_away(void *ctx, const char *client, const char *code_text)
{
    struct vly_serve_view *v = ctx;
    const char *why = explain(v, code_text);

    if (v->cli.json) {
        json_t *event = vly_json_event("turned_away");
        vly_json_text(event, "client", client);
        vly_json_text(event, "message", why);
        vly_json_emit(event);
    }
    if (!v->quiet) {
        vly_progress_clear(&v->progress);
        vly_cli_say(&v->cli, "%s was turned away: %s", client, why);
    }
}

static void on_disconnect(void *ctx, const char *client, const struct vly_transfer_stats *s,
                          const struct vly_failure *why)
{
    struct vly_serve_view *v = ctx;

    v->n_clients -= v->n_clients > 0;
    if (v->cli.json) {
        json_t *event = vly_json_event("disconnect");
        vly_json_text(event, "client", client);
        vly_json_failure(event, why);
        vly_json_stats(event, s);
        vly_json_emit(event);
    }
    if (v->quiet || (why == NULL && !v->verbose))
        return;
    vly_progress_clear(&v->progress);
    if (why != NULL)
        vly_cli_say(&v->cli, "%s is gone: %s", client, why->text);
    else
        vly_cli_say(&v->cli,
                    "%s left: %s in %s, %" PRIu64 " packets sent, %" PRIu64 " retransmitted",
                    client, vly_bytes_text(s->bytes).s, vly_duration_text(s->duration_ns).s,
                    s->packets_sent, s->retransmits);
    if (v->verbose && s->bytes > 0)
        vly_cli_say_limits(&v->cli, "sending to it", s);
}

static void on_file_begin(void *ctx, const char *client, bool upload, const char *path,
                          uint64_t bytes)
{
    struct vly_serve_view *v = ctx;

    if (v->cli.json) {
        json_t *event = file_event("begin", client, upload, path);
        vly_json_count(event, "bytes", bytes);
        vly_json_emit(event);
    }
    if (v->progress.on)
        moving_add(v, client, upload, path, bytes);
}

static void on_file_progress(void *ctx, const char *client, bool upload,
                             const struct vly_file_progress *p)
{
    struct vly_serve_view *v = ctx;
    struct vly_moving *m = v->progress.on ? *moving_find(v, client, upload, p->path) : NULL;

    if (m == NULL)
        return;
    m->done_bytes = p->file_done_bytes;
    m->total_bytes = p->file_bytes;
}

static void on_file_end(void *ctx, const char *client, bool upload, const char *path,
                        uint64_t bytes, const struct vly_failure *why)
{
    struct vly_serve_view *v = ctx;

    if (v->progress.on)
        moving_remove(v, moving_find(v, client, upload, path));
    v->moved_bytes += bytes;
    if (v->cli.json) {
        json_t *event = file_event("end", client, upload, path);
        vly_json_count(event, "bytes", bytes);
        vly_json_failure(event, why);
        vly_json_emit(event);
    }
    if (v->quiet)
        return;
    vly_progress_clear(&v->progress);
    if (why == NULL)
        vly_cli_say(&v->cli, "%s %s %s: %s, verified", client, upload ? "put" : "got",
                    vly_shown(path).text, vly_bytes_text(bytes).s);
    else
        vly_cli_say(&v->cli, "%s %s failed: %s", client, direction(upload), why->text);
}

const struct vly_server_events vly_serve_view_events = {
    .on_connect = on_connect,
    .on_client_key = on_client_key,
    .on_turned_away = on_turned_away,
    .on_disconnect = on_disconnect,
    .on_file_begin = on_file_begin,
    .on_file_progress = on_file_progress,
    .on_file_end = on_file_end,
};

/* ---- life ---- */

void vly_serve_view_open(struct vly_serve_view *v, uv_loop_t *loop, const struct vly_cli *cli,
                         const struct vly_net_args *net)
{
    *v = (struct vly_serve_view){.cli = *cli,
                                 .quiet = net->quiet,
                                 .verbose = net->verbose,
                                 .plain = net->plain,
                                 .shared_key = net->keys.key != NULL};
    /* Nothing is drawn through the JSON lines that the terminal shows. */
    vly_progress_open(&v->progress, !net->quiet && !(net->json && isatty(STDOUT_FILENO) == 1));
    v->opened_ns = uv_hrtime();
    (void)uv_timer_init(loop, &v->timer);
    v->timer.data = v;
    if (v->progress.on)
        (void)uv_timer_start(&v->timer, on_timer, VLY_PROGRESS_NS / VLY_MS(1),
                             VLY_PROGRESS_NS / VLY_MS(1));
}

void vly_serve_view_stopping(struct vly_serve_view *v, int signum)
{
    vly_progress_clear(&v->progress);
    if (!v->quiet)
        vly_cli_say(&v->cli, "%s: ending every transfer",
                    signum == SIGINT ? "interrupted" : "told to stop");
}

void vly_serve_view_close(struct vly_serve_view *v)
{
    vly_progress_clear(&v->progress);
    while (v->movings != NULL)
        moving_remove(v, &v->movings);
    uv_close((uv_handle_t *)&v->timer, NULL);
}
