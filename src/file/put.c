/*
 * put - PUT: files to the server, SPEC 10.4. Trees: put_tree.c.
 *
 * A single file goes under the name that was given, and when the server says that this is a
 * directory, into it.
 */
#include "file/client_internal.h"

#include "file/path.h"
#include "file/pipe_io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what, before anything is asked ---- */

/* The name that the local `path` has, in memory of its own; NULL when it has none, or out of
 * memory. */
static char *own_name(const char *path)
{
    char *real = NULL, *name;
    const char *base = vly_path_base(path);

    if (base[0] == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0) {
        if ((real = realpath(path[0] != '\0' ? path : "/", NULL)) == NULL)
            return NULL;
        base = vly_path_base(real);
    }
    name = base[0] != '\0' ? strdup(base) : NULL;
    free(real);
    return name;
}

/* Takes the slashes off the end, but for "/" itself. */
static char *without_slashes(const char *path)
{
    char *copy = strdup(path);
    size_t len = strlen(path);

    while (copy != NULL && len > 1 && copy[len - 1] == '/')
        copy[--len] = '\0';
    return copy;
}

static int cannot_put(struct vly_fault *why, const char *path, int err, const char *reason)
{
    return vly_fault_set(why, err, "cannot put '%s': %s", vly_shown(path).text, reason);
}

/* Queues one named path. `name` is what it is called on the server, unless `where` is its name. */
static int queue_named(struct vly_file_client *c, const char *path, const char *name,
                       const struct stat *st, size_t n_paths, struct vly_fault *why)
{
    bool is_dir = S_ISDIR(st->st_mode);
    bool into = is_dir || c->where_is_dir || n_paths > 1;
    char *remote = into ? vly_path_join(c->where, name) : strdup(c->where);
    struct vly_task *t = NULL;

    if (remote != NULL)
        t = vly_task_new(is_dir ? VLY_TASK_TREE : VLY_TASK_PUT, remote, path);
    free(remote);
    if (t == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    t->named = true;
    t->into = into;
    t->mode = (uint16_t)(st->st_mode & 0777);
    if (is_dir) {
        uint64_t before = c->files;

        vly_put_tree_count(c, path);
        t->size_bytes = c->files - before;
    } else {
        t->size_bytes = (uint64_t)st->st_size;
        t->counted = S_ISREG(st->st_mode);
        c->total_bytes += t->size_bytes;
        c->files++;
    }
    vly_client_queue(c, t);
    return 0;
}

/* Looks at a local path that the user named; links are followed, as the user can see them. */
static int look_at(const char *path, struct stat *st, struct vly_fault *why)
{
    struct vly_fault reason;

    if (stat(path, st) != 0) {
        vly_fault_errno(&reason, errno);
        return cannot_put(why, path, reason.err, reason.text);
    }
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        return cannot_put(why, path, VLY_E_NOT_REGULAR, vly_err_text(VLY_E_NOT_REGULAR));
    if (faccessat(AT_FDCWD, path, S_ISDIR(st->st_mode) ? R_OK | X_OK : R_OK, AT_EACCESS) != 0) {
        vly_fault_errno(&reason, errno);
        return cannot_put(why, path, reason.err, reason.text);
    }
    return 0;
}

static int add_path(struct vly_file_client *c, const char *path, size_t n_paths,
                    struct vly_fault *why)
{
    char *name = own_name(path);
    struct stat st;
    int err;

    if ((err = look_at(path, &st, why)) != 0) {
        free(name);
        return err;
    }
    if (name == NULL || vly_name_check(vly_span_str(name)) != 0)
        err = cannot_put(why, path, VLY_E_BAD_NAME, "it has no name that a server would take");
    else
        err = queue_named(c, path, name, &st, n_paths, why);
    free(name);
    return err;
}

static int add_stdin(struct vly_file_client *c, size_t n_paths, struct vly_fault *why)
{
    static const struct stat nothing;

    if (n_paths > 1)
        return vly_fault_set(why, VLY_E_INVALID, "standard input goes alone, not with %zu others",
                             n_paths - 1);
    if (c->where_is_dir)
        return vly_fault_set(why, VLY_E_INVALID,
                             "standard input has no name; give it one, such as HOST/NAME");
    return queue_named(c, "-", "-", &nothing, n_paths, why);
}

int vly_put_prepare(struct vly_file_client *c, const struct vly_client_options *opt,
                    struct vly_fault *why)
{
    int err = 0;

    c->where = strdup(opt->where != NULL ? opt->where : "");
    if (c->where == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    c->where_is_dir = vly_path_tidy(c->where) || c->where[0] == '\0';
    if (vly_path_check(vly_span_str(c->where)) != 0)
        return vly_fault_set(why, VLY_E_BAD_NAME, "'%s' is not a name that a server takes",
                             vly_shown(c->where).text);
    for (size_t i = 0; i < opt->n_paths && err == 0; i++) {
        char *path = without_slashes(opt->paths[i]);

        if (path == NULL)
            return vly_fault_plain(why, VLY_E_NOMEM);
        if (strcmp(path, "-") == 0)
            err = add_stdin(c, opt->n_paths, why);
        else
            err = add_path(c, path, opt->n_paths, why);
        free(path);
    }
    return err;
}

/* ---- asking ---- */

static void wake(void *ctx)
{
    struct vly_file_client *c = ctx;

    vly_senders_pump(&c->senders);
}

/* Opens a file that the user named, wherever that leads. */
static int open_named(const char *path, int *fd, struct stat *st, struct vly_fault *why)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0)
        return vly_fault_errno(why, errno);
    if (fstat(*fd, st) == 0 && S_ISREG(st->st_mode))
        return 0;
    close(*fd);
    return vly_fault_plain(why, VLY_E_NOT_REGULAR);
}

static int open_source(struct vly_file_client *c, const struct vly_task *t, struct vly_source **out,
                       struct vly_fault *why)
{
    struct stat st;
    int fd, err;

    if (t->named && strcmp(t->local, "-") == 0) {
        err = vly_source_open_fd(out, STDIN_FILENO, &c->jobs, wake, c);
        return err == 0 ? 0 : vly_fault_plain(why, err);
    }
    if (t->named) {
        err = open_named(t->local, &fd, &st, why);
    } else {
        const char *below = t->local + strlen(c->tree.task->local) + 1;

        err = vly_root_open_regular(&c->tree.root, below, &fd, &st);
        if (err != 0)
            vly_fault_last(why, err);
    }
    if (err != 0 || (err = vly_source_from_file(out, fd, &st, why)) != 0)
        return err;
    vly_source_use_threads(*out, &c->jobs, wake, c);
    return 0;
}

int vly_put_begin(struct vly_file_client *c, struct vly_task *t)
{
    struct vly_msg m = {.type = VLY_MSG_PUT, .path = vly_span_str(t->remote)};
    struct vly_source *source;
    struct vly_fault why;
    struct vly_ask *a;
    int err;

    if (open_source(c, t, &source, &why) != 0) {
        vly_task_fail(c, t, &why);
        return 0;
    }
    if ((err = vly_ask_new(&a, c, t, true)) != 0) {
        vly_source_close(source);
        return err;
    }
    vly_sender_init(&a->sender, source, a->id, a->stream, a);
    vly_ask_count(a, source->size_bytes);
    m.request = a->id;
    m.stream = a->stream;
    m.flags = (uint8_t)((c->force ? VLY_PUT_REPLACE : 0) | (t->named ? 0 : VLY_PUT_MAKE_PARENTS));
    m.size = source->size_bytes;
    m.mode = source->mode;
    m.mtime_ns = source->mtime_ns;
    vly_ctl_send(&c->ctl, &m);
    return 0;
}

int vly_put_begin_mkdir(struct vly_file_client *c, struct vly_task *t)
{
    struct vly_ask *a;
    int err = vly_ask_new(&a, c, t, false);

    if (err != 0)
        return err;
    vly_ctl_send(&c->ctl, &(struct vly_msg){.type = VLY_MSG_MKDIR,
                                            .request = a->id,
                                            .mode = t->mode,
                                            .path = vly_span_str(t->remote)});
    return 0;
}

void vly_put_on_ready(struct vly_ask *a)
{
    if (a->state != VLY_ASKED || a->sender.source == NULL) { /* NULL: its stream was stopped */
        vly_client_violation(a->client, "READY is out of place");
        return;
    }
    a->state = VLY_ASK_CONTENT;
    vly_client_tell_progress(a->client, a, false);
    vly_sender_start(&a->client->senders, &a->sender);
}

static void on_progress(void *ctx, uint64_t sent_bytes)
{
    vly_ask_tell_progress(ctx, sent_bytes);
}

static void on_sent(void *ctx, const struct vly_fault *why)
{
    struct vly_ask *a = ctx;
    struct vly_file_client *c = a->client;

    if (why != NULL) {
        vly_ask_fail(a, why);
        vly_client_step(c);
        return;
    }
    a->state = VLY_ASK_CONFIRM;
    vly_ask_tell_progress(a, a->sender.sent_bytes);
    vly_sender_fini(&a->sender);
}

const struct vly_sender_events vly_put_events = {.on_progress = on_progress, .on_sent = on_sent};

bool vly_put_on_error(struct vly_ask *a, int err)
{
    struct vly_file_client *c = a->client;
    struct vly_task *again = NULL;
    char *name, *remote = NULL;

    if (err != VLY_E_IS_DIRECTORY || !a->task->named || a->task->into ||
        strcmp(a->task->local, "-") == 0)
        return false;
    if ((name = own_name(a->task->local)) != NULL &&
        (remote = vly_path_join(a->task->remote, name)) != NULL)
        again = vly_task_new(VLY_TASK_PUT, remote, a->task->local);
    free(name);
    free(remote);
    if (again == NULL)
        return false;
    again->named = again->into = true;
    again->counted = a->task->counted;
    again->size_bytes = a->task->size_bytes;
    c->link->ops->reset(c->link, a->stream, VLY_WIRE_IS_DIRECTORY);
    vly_ask_free(a);
    vly_client_queue(c, again);
    return true;
}
