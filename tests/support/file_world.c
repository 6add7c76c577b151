#include "support/file_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fw_setup(void **state)
{
    (void)tmpdir_setup(state);
    tmpdir_mkdir(*state, "root");
    tmpdir_mkdir(*state, "out");
    return 0;
}

/* ---- what the client is told ---- */

static void keep(char *to, const char *text)
{
    snprintf(to, VLY_FAULT_TEXT, "%s", text);
}

static void on_progress(void *ctx, const struct vly_file_progress *p)
{
    struct file_world *w = ctx;

    assert_non_null(p->path);
    w->progress++;
    w->last = *p;
    w->last.path = NULL;
}

static void on_entry(void *ctx, const struct vly_list_entry *e)
{
    struct file_world *w = ctx;

    assert_true(w->n_names < WORLD_NAMES_MAX);
    snprintf(w->names[w->n_names++], sizeof w->names[0], "%c %.60s", "?fdo"[e->kind], e -> path);
}

static void on_file_done(void *ctx, const char *path, uint64_t bytes, const struct vly_failure *why)
{
    struct file_world *w = ctx;

    (void)bytes;
    assert_non_null(path);
    if (why == NULL)
        w->files_ok++;
    else
        w->files_failed++;
}

static void on_notice(void *ctx, const char *text)
{
    struct file_world *w = ctx;

    w->notices++;
    keep(w->notice, text);
}

static void on_done(void *ctx, const struct vly_transfer_stats *s, const struct vly_failure *why)
{
    (void)ctx;
    (void)s;
    (void)why;
}

static const struct vly_client_events client_events = {.on_progress = on_progress,
                                                       .on_entry = on_entry,
                                                       .on_file_done = on_file_done,
                                                       .on_notice = on_notice,
                                                       .on_done = on_done};

static void on_finished(void *owner)
{
    struct file_world *w = owner;
    struct vly_failure why;

    assert_false(w->finished);
    w->finished = true;
    vly_file_client_result(w->client, &w->stats, &why);
    w->err = why.err;
    keep(w->text, why.err != 0 ? why.text : "");
}

/* ---- what the server's user is told ---- */

static void on_connect(void *ctx, const char *client)
{
    struct file_world *w = ctx;

    assert_string_equal(client, "192.0.2.2:50000");
    w->connects++;
}

static void on_disconnect(void *ctx, const char *client, const struct vly_transfer_stats *s,
                          const struct vly_failure *why)
{
    struct file_world *w = ctx;

    assert_non_null(client);
    assert_non_null(s);
    w->disconnects++;
    if (why == NULL)
        return;
    w->server_err = why->err;
    keep(w->server_text, why->text);
}

static void on_file_begin(void *ctx, const char *client, bool upload, const char *path,
                          uint64_t bytes)
{
    struct file_world *w = ctx;

    (void)client;
    (void)upload;
    (void)path;
    (void)bytes;
    w->begins++;
}

static void on_file_end(void *ctx, const char *client, bool upload, const char *path,
                        uint64_t bytes, const struct vly_failure *why)
{
    struct file_world *w = ctx;

    (void)client;
    (void)upload;
    (void)path;
    (void)bytes;
    if (why == NULL) {
        w->ends_ok++;
        return;
    }
    w->ends_failed++;
    w->server_err = why->err;
    keep(w->server_text, why->text);
}

static const struct vly_server_events server_events = {.on_connect = on_connect,
                                                       .on_disconnect = on_disconnect,
                                                       .on_file_begin = on_file_begin,
                                                       .on_file_end = on_file_end};

/* ---- life ---- */

/* A clock that runs on by itself: each look takes 10 ms. */
static uint64_t now_ns(void)
{
    static uint64_t now = VLY_S(1);

    return now += VLY_MS(10);
}

void fw_begin(struct file_world *w, void **state)
{
    struct vly_fault why;

    *w = (struct file_world){.dir = *state, .writable = true};
    assert_int_equal(vly_file_server_init(&w->server, tmpdir_at(w->dir, "root"), &why), 0);
    w->server.events = &server_events;
    w->server.ctx = w;
    w->server.now_ns = now_ns;
    w->server.access.others = VLY_RIGHT_READ | VLY_RIGHT_WRITE;
}

int fw_start_many(struct file_world *w, enum vly_client_verb verb, const char *const *paths,
                  size_t n, const char *where)
{
    char full[8][600], full_where[600];
    const char *full_paths[8];
    bool stays = where == NULL || verb != VLY_GET || strcmp(where, "-") == 0;
    struct vly_client_options opt = {.size = sizeof opt,
                                     .verb = verb,
                                     .server_name = "host",
                                     .paths = full_paths,
                                     .n_paths = n,
                                     .where = stays ? where : full_where,
                                     .force = w->force,
                                     .recursive = w->recursive,
                                     .events = &client_events,
                                     .ctx = w};
    struct vly_file_client_spec spec = {
        .opt = &opt, .now_ns = now_ns, .on_finished = on_finished, .owner = w};
    struct vly_fault why;
    int err;

    assert_true(n <= ARRAY_LEN(full));
    for (size_t i = 0; i < n; i++) {
        bool local = verb == VLY_PUT && strcmp(paths[i], "-") != 0;

        snprintf(full[i], sizeof full[i], "%s", local ? tmpdir_at(w->dir, paths[i]) : paths[i]);
        full_paths[i] = full[i];
    }
    if (!stays)
        snprintf(full_where, sizeof full_where, "%s", tmpdir_at(w->dir, where));
    if ((err = vly_file_client_new(&w->client, &spec, &why)) != 0) {
        assert_int_equal(why.err, err);
        keep(w->text, why.text);
        return err;
    }
    w->finished = false;
    w->server.writable = w->writable;
    w->pair = fake_pair_new(&w->fake);
    vly_file_client_attach(w->client, fake_pair_link(w->pair, FAKE_CLIENT));
    if (!w->no_server)
        assert_int_equal(vly_session_start(&w->server, fake_pair_link(w->pair, FAKE_SERVER)), 0);
    return 0;
}

int fw_start(struct file_world *w, enum vly_client_verb verb, const char *path, const char *where)
{
    return fw_start_many(w, verb, &path, 1, where);
}

void fw_run(struct file_world *w)
{
    fake_run(w->pair);
    assert_true(w->finished);
    assert_int_equal(w->server.sessions, 0);
    assert_int_equal(w->disconnects, w->connects);
    assert_int_equal(w->begins, w->ends_ok + w->ends_failed);
    assert_int_equal(w->server.budget.left_bytes, VLY_SERVER_BUFFER_BYTES);
    assert_int_equal(tmpdir_count_temps(w->dir), 0);
    if (w->err != 0) {
        assert_true(strlen(w->text) > 10);
        assert_null(strchr(w->text, '\n'));
    }
}

void fw_stop(struct file_world *w)
{
    vly_file_client_free(w->client);
    fake_pair_free(w->pair);
    w->client = NULL;
    w->pair = NULL;
}

int fw_transfer(struct file_world *w, enum vly_client_verb verb, const char *path,
                const char *where)
{
    int err = fw_start(w, verb, path, where);

    if (err != 0)
        return err;
    fw_run(w);
    assert_int_equal(fake_unconsumed(w->pair, FAKE_CLIENT), 0);
    assert_int_equal(fake_unconsumed(w->pair, FAKE_SERVER), 0);
    fw_stop(w);
    return w->err;
}

void fw_end(struct file_world *w)
{
    vly_file_server_fini(&w->server);
}

bool fw_listed(const struct file_world *w, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n_names; i++)
        n += strcmp(w->names[i], name) == 0;
    assert_true(n <= 1);
    return n == 1;
}
