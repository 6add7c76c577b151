/*
 * get - GET: files and trees from the server, SPEC 10.3.
 *
 * Every named path is asked for as a file first; a directory's refusal (IS_DIRECTORY) turns it into
 * a listing.
 */
#include "file/client_internal.h"

#include "file/path.h"
#include "file/pipe_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- where to, before anything is asked ---- */

static int open_root(struct vly_file_client *c, const char *path, struct vly_fault *why)
{
    int err = vly_root_open(&c->root, path);

    if (err != 0) {
        vly_fault_last(why, err);
        return vly_fault_set(why, err, "cannot write to '%s': %s", vly_shown(path).text,
                             err == VLY_E_NOT_FOUND ? "there is no such directory; make it first"
                                                    : vly_err_text(err));
    }
    if (faccessat(c->root.fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        err = vly_err_from_errno(errno);
        return vly_fault_set(why, err, "cannot write to '%s': %s", vly_shown(path).text,
                             errno == EROFS ? "the file system is read-only" : vly_err_text(err));
    }
    return 0;
}

/* `path` does not exist, or is a file: its directory becomes the root, its last component the name.
 */
static int take_name(struct vly_file_client *c, const char *path, struct vly_fault *why)
{
    char *dir = strdup(path);
    size_t len = strlen(path);
    char *slash;
    int err;

    if (dir == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    while (len > 1 && dir[len - 1] == '/') {
        dir[--len] = '\0';
        c->where_is_dir = true;
    }
    c->dest_name = strdup(vly_path_base(dir));
    slash = strrchr(dir, '/');
    if (slash != NULL)
        slash[slash == dir ? 1 : 0] = '\0';
    if (c->dest_name == NULL)
        err = vly_fault_plain(why, VLY_E_NOMEM);
    else
        err = open_root(c, slash != NULL ? dir : ".", why);
    free(dir);
    return err;
}

static int resolve_where(struct vly_file_client *c, const char *where, size_t n_paths,
                         struct vly_fault *why)
{
    struct stat st;

    if (strcmp(where, "-") == 0) {
        if (n_paths == 1)
            return 0;
        return vly_fault_set(why, VLY_E_INVALID, "standard output takes one file, not %zu",
                             n_paths);
    }
    if (stat(where, &st) == 0 && S_ISDIR(st.st_mode))
        return open_root(c, where, why);
    if (n_paths > 1)
        return vly_fault_set(why, VLY_E_NOT_DIRECTORY,
                             "'%s' is not a directory, which several files need; make it first",
                             vly_shown(where).text);
    if (lstat(where, &st) == 0) {
        c->dest_exists = true;
        if (!c->force)
            return vly_fault_set(why, VLY_E_EXISTS, "'%s' exists; --force replaces it",
                                 vly_shown(where).text);
    }
    return take_name(c, where, why);
}

/* A file that is in the way is known before anything is asked for. */
static int check_free(const struct vly_file_client *c, const char *remote, const char *where,
                      struct vly_fault *why)
{
    const char *name = vly_path_base(remote);
    struct stat st;

    if (c->root.fd < 0 || c->dest_name != NULL || c->force || name[0] == '\0' ||
        fstatat(c->root.fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode))
        return 0;
    return vly_fault_set(why, VLY_E_EXISTS, "'%s/%s' exists; --force replaces it",
                         vly_shown(where).text, vly_shown(name).text);
}

static int add_path(struct vly_file_client *c, const char *path, const char *where,
                    struct vly_fault *why)
{
    struct vly_task *t = vly_task_new(VLY_TASK_GET, path, "");
    int err;

    if (t == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    (void)vly_path_tidy(t->remote);
    if (vly_path_check(vly_span_str(t->remote)) != 0)
        err = vly_fault_set(why, VLY_E_BAD_NAME, "'%s' is not a name that a server takes",
                            vly_shown(path).text);
    else
        err = check_free(c, t->remote, where, why);
    if (err != 0) {
        free(t);
        return err;
    }
    t->named = true;
    c->files++;
    vly_client_queue(c, t);
    return 0;
}

int vly_get_prepare(struct vly_file_client *c, const struct vly_client_options *opt,
                    struct vly_fault *why)
{
    const char *where = opt->where != NULL && opt->where[0] != '\0' ? opt->where : ".";
    int err = resolve_where(c, where, opt->n_paths, why);

    for (size_t i = 0; i < opt->n_paths && err == 0; i++)
        err = add_path(c, opt->paths[i], where, why);
    return err;
}

/* ---- asking ---- */

static void on_ready(void *ctx)
{
    (void)ctx; /* content comes without being asked to */
}

static void on_progress(void *ctx, uint64_t received_bytes)
{
    vly_ask_tell_progress(ctx, received_bytes);
}

static void on_received(void *ctx, const struct vly_fault *why)
{
    struct vly_ask *a = ctx;
    struct vly_file_client *c = a->client;

    if (why != NULL) {
        vly_ask_fail(a, why);
    } else {
        vly_ctl_send_plain(&c->ctl, VLY_MSG_DONE, a->id);
        vly_ask_succeed(a);
    }
    vly_client_step(c);
}

static const struct vly_recv_events get_events = {
    .on_ready = on_ready, .on_progress = on_progress, .on_received = on_received};

int vly_get_begin(struct vly_file_client *c, struct vly_task *t)
{
    enum vly_link_order order = c->root.fd >= 0 ? VLY_LINK_ANY_ORDER : VLY_LINK_IN_ORDER;
    struct vly_ask *a;
    int err = vly_ask_new(&a, c, t, true);

    if (err != 0)
        return err;
    vly_receiver_init(&a->receiver, c->link, a->stream, &get_events, a);
    (void)c->link->ops->set_order(c->link, a->stream, order); /* in order would do, too */
    (void)c->link->ops->commit(c->link, a->stream, 0, true);
    vly_ctl_send(&c->ctl, &(struct vly_msg){.type = VLY_MSG_GET,
                                            .request = a->id,
                                            .stream = a->stream,
                                            .path = vly_span_str(t->remote)});
    return 0;
}

/* The name beneath the root that the file gets. */
static const char *local_name(const struct vly_file_client *c, const struct vly_task *t)
{
    if (!t->named)
        return t->local;
    return c->dest_name != NULL ? c->dest_name : vly_path_base(t->remote);
}

static int open_sink(struct vly_ask *a, const struct vly_msg *m, struct vly_sink **out,
                     struct vly_fault *why)
{
    struct vly_file_client *c = a->client;
    struct vly_sink_spec spec = {.events = &vly_receiver_sink_events,
                                 .ctx = &a->receiver,
                                 .jobs = &c->jobs,
                                 .budget = &c->budget,
                                 .replace = c->force,
                                 .size_bytes = m->size,
                                 .mode = m->mode,
                                 .mtime_ns = m->mtime_ns};
    int err;

    if (c->root.fd < 0) {
        err =
            vly_sink_open_fd(out, STDOUT_FILENO, &vly_receiver_sink_events, &a->receiver, &c->jobs);
        return err == 0 ? 0 : vly_fault_plain(why, err);
    }
    if (*local_name(c, a->task) == '\0')
        return vly_fault_set(why, VLY_E_PROTOCOL, "the server calls its own directory a file");
    if (a->task->named && c->dest_name != NULL && c->where_is_dir)
        return vly_fault_set(why, VLY_E_NOT_FOUND, "the directory '%s' to put it in does not exist",
                             vly_shown(c->dest_name).text);
    err = vly_root_open_parent(&c->root, local_name(c, a->task), VLY_PARENTS_MUST_EXIST,
                               &spec.dir_fd, &spec.name);
    if (err != 0)
        return vly_fault_last(why, err);
    return vly_sink_open_file(out, &spec, why);
}

void vly_get_on_info(struct vly_ask *a, const struct vly_msg *m)
{
    struct vly_sink *sink = NULL;
    struct vly_fault why;

    if (a->state != VLY_ASKED || m->size == VLY_SIZE_UNKNOWN) {
        vly_client_violation(a->client, "INFO is out of place");
        return;
    }
    a->state = VLY_ASK_CONTENT;
    vly_ask_count(a, m->size);
    if (open_sink(a, m, &sink, &why) != 0) {
        vly_ask_fail(a, &why);
        return;
    }
    vly_client_tell_progress(a->client, a, false);
    vly_receiver_set_sink(&a->receiver, sink, m->size);
}

/* Where the content of a directory goes: its name is kept, beneath `where`. */
static char *tree_prefix(const struct vly_file_client *c, const char *remote)
{
    return vly_path_join(c->dest_name != NULL ? c->dest_name : "", vly_path_base(remote));
}

bool vly_get_on_error(struct vly_ask *a, int err)
{
    struct vly_file_client *c = a->client;
    struct vly_task *list;
    char *prefix;

    if (err != VLY_E_IS_DIRECTORY || !a->task->named || c->root.fd < 0 || c->dest_exists)
        return false;
    if ((prefix = tree_prefix(c, a->task->remote)) == NULL)
        return false;
    list = vly_task_new(VLY_TASK_LIST, a->task->remote, prefix);
    free(prefix);
    if (list == NULL)
        return false;
    list->named = true;
    c->files--; /* it was none */
    c->link->ops->stop(c->link, a->stream, VLY_WIRE_IS_DIRECTORY);
    vly_ask_free(a);
    vly_client_queue(c, list);
    return true;
}
