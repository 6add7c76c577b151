/*
 * list - LIST: for the user, or to learn what a directory to be got consists of, SPEC 10.2.
 */
#include "file/client_internal.h"

#include "file/dirsync.h"
#include "file/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYNCING_MAX 64u /* directories being synced in the thread pool */

int vly_list_prepare(struct vly_file_client *c, const struct vly_client_options *opt,
                     struct vly_fault *why)
{
    struct vly_task *t = vly_task_new(VLY_TASK_LIST, opt->n_paths > 0 ? opt->paths[0] : "", "");

    if (t == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    (void)vly_path_tidy(t->remote);
    if (vly_path_check(vly_span_str(t->remote)) != 0) {
        vly_fault_set(why, VLY_E_BAD_NAME, "'%s' is not a name that a server takes",
                      vly_shown(t->remote).text);
        free(t);
        return VLY_E_BAD_NAME;
    }
    t->named = true;
    vly_client_queue(c, t);
    return 0;
}

static void on_dir_synced(void *ctx, const struct vly_fault *why)
{
    struct vly_file_client *c = ctx;

    c->syncing--;
    if (why != NULL)
        vly_client_record(c, why->err, "cannot sync a new directory: %s", why->text);
    vly_client_step(c);
}

/* Makes the local directory `path`, beneath the root; one that is there is as good. */
static int make_local(struct vly_file_client *c, const char *path, uint16_t mode,
                      struct vly_fault *why)
{
    struct vly_dirsync *sync;
    int parent_fd;
    int err = vly_root_mkdir(&c->root, path, mode, &parent_fd);

    if (err == VLY_E_DUPLICATE)
        return 0;
    if (err != 0)
        return vly_fault_last(why, err);
    if (c->syncing >= SYNCING_MAX) { /* each holds a descriptor */
        int failed = fsync(parent_fd) == 0 ? 0 : errno;

        close(parent_fd);
        return failed == 0 ? 0 : vly_fault_errno(why, failed);
    }
    c->syncing++;
    if (vly_dirsync_start(&sync, &c->jobs, parent_fd, on_dir_synced, c) != 0) {
        c->syncing--;
        return vly_fault_plain(why, VLY_E_NOMEM);
    }
    return 0;
}

/* Makes every directory on the way to where a tree goes. */
static int make_prefix(struct vly_file_client *c, const char *prefix, struct vly_fault *why)
{
    char path[VLY_PATH_MAX_BYTES + 1];
    size_t len = strlen(prefix);
    int err = 0;

    if (len > VLY_PATH_MAX_BYTES)
        return vly_fault_plain(why, VLY_E_BAD_NAME);
    for (size_t at = 0; at < len && err == 0;) {
        at += strcspn(prefix + at, "/");
        memcpy(path, prefix, at);
        path[at] = '\0';
        err = make_local(c, path, 0777, why);
        at++;
    }
    return err;
}

int vly_list_begin(struct vly_file_client *c, struct vly_task *t)
{
    struct vly_fault why;
    struct vly_ask *a;
    int err;

    if (c->verb == VLY_GET && make_prefix(c, t->local, &why) != 0) {
        vly_task_fail(c, t, &why);
        return 0;
    }
    if ((err = vly_ask_new(&a, c, t, false)) != 0)
        return err;
    vly_ctl_send(&c->ctl, &(struct vly_msg){.type = VLY_MSG_LIST,
                                            .request = a->id,
                                            .recursive = c->verb == VLY_GET || c->recursive,
                                            .path = vly_span_str(t->remote)});
    return 0;
}

static void tell_entry(const struct vly_file_client *c, const struct vly_msg *m, const char *path)
{
    struct vly_list_entry e = {.bytes = m->size, .mode = m->mode, .mtime_ns = m->mtime_ns};

    e.kind = m->kind == VLY_KIND_FILE        ? VLY_ENTRY_FILE
             : m->kind == VLY_KIND_DIRECTORY ? VLY_ENTRY_DIRECTORY
                                             : VLY_ENTRY_OTHER;
    e.path = path;
    if (c->events->on_entry != NULL)
        c->events->on_entry(c->ctx, &e);
}

/* Queues a file of a tree to be got. */
static int queue_file(struct vly_file_client *c, const struct vly_msg *m, const char *remote,
                      const char *local)
{
    struct vly_task *t = vly_task_new(VLY_TASK_GET, remote, local);

    if (t == NULL)
        return VLY_E_NOMEM;
    t->size_bytes = m->size;
    t->counted = true;
    t->mode = m->mode;
    c->files++;
    c->total_bytes += m->size;
    vly_client_queue(c, t);
    return 0;
}

/* An entry of a directory that is got: made, queued or left out. */
static int take_entry(struct vly_ask *a, const struct vly_msg *m, const char *path,
                      struct vly_fault *why)
{
    struct vly_file_client *c = a->client;
    char *remote = vly_path_join(a->task->remote, path);
    char *local = vly_path_join(a->task->local, path);
    int err = 0;

    if (remote == NULL || local == NULL)
        err = vly_fault_plain(why, VLY_E_NOMEM);
    else if (m->kind == VLY_KIND_DIRECTORY && ++c->dirs_made <= VLY_CLIENT_ENTRIES_MAX)
        err = make_local(c, local, m->mode, why);
    else if (m->kind == VLY_KIND_OTHER)
        vly_client_notice(c, "left out, neither a file nor a directory: %s",
                          vly_shown(remote).text);
    else if (m->kind == VLY_KIND_DIRECTORY || c->queued >= VLY_CLIENT_ENTRIES_MAX)
        err = vly_fault_set(why, VLY_E_LIMIT,
                            "the directory holds too many files to be got at "
                            "once; get its parts one by one");
    else if (queue_file(c, m, remote, local) != 0)
        err = vly_fault_plain(why, VLY_E_NOMEM);
    free(remote);
    free(local);
    return err;
}

void vly_list_on_entry(struct vly_ask *a, const struct vly_msg *m)
{
    struct vly_file_client *c = a->client;
    char path[VLY_PATH_MAX_BYTES + 1];
    struct vly_fault why;
    int err;

    if (m->path.len == 0 || vly_path_check(m->path) != 0) {
        vly_client_violation(c, "the server listed a name that is not allowed");
        return;
    }
    memcpy(path, m->path.data, m->path.len);
    path[m->path.len] = '\0';
    a->entries++;
    if (c->verb == VLY_LIST) {
        tell_entry(c, m, path);
        return;
    }
    err = take_entry(a, m, path, &why);
    if (err == VLY_E_LIMIT || err == VLY_E_NOMEM)
        vly_ask_fail(a, &why);
    else if (err != 0)
        vly_client_record(c, err, "cannot make the directory '%s': %s", vly_shown(path).text,
                          why.text);
}
