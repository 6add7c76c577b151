/*
 * put_tree - a local directory on its way to the server: its remote directories made first, then
 * its files as there is room.
 *
 * Invariant: at most one tree is open; its tasks are made one at a time and opened before the next
 * one, so that the walk and its root outlive them.
 */
#include "file/client_internal.h"

#include "file/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 100000u /* entries: so long a walk before the first byte is hardly noticed */

void vly_put_tree_close(struct vly_file_client *c)
{
    struct vly_put_tree *tree = &c->tree;

    if (tree->task == NULL)
        return;
    vly_tree_close(tree->walk);
    vly_root_close(&tree->root);
    free(tree->task);
    *tree = (struct vly_put_tree){.root.fd = -1};
}

void vly_put_tree_begin(struct vly_file_client *c, struct vly_task *t)
{
    struct vly_put_tree *tree = &c->tree;
    struct vly_fault why;
    int err = vly_root_open(&tree->root, t->local);

    if (err != 0) {
        vly_fault_last(&why, err);
        vly_task_fail(c, t, &why);
        return;
    }
    tree->task = t;
    tree->tops_wanted = c->where[0] != '\0' ? 2 : 1; /* `where`, and the directory in it */
}

/* Begins to walk: the remote directory is there. */
static void open_walk(struct vly_file_client *c)
{
    struct vly_put_tree *tree = &c->tree;
    struct vly_fault why;
    int fd;
    int err = vly_root_open_dir(&tree->root, "", &fd);

    if (err == 0)
        err = vly_tree_open(&tree->walk, fd, true);
    if (err == 0)
        return;
    vly_fault_last(&why, err);
    vly_client_record(c, err, "cannot read the directory '%s': %s",
                      vly_shown(tree->task->local).text, why.text);
    vly_put_tree_close(c);
}

void vly_put_tree_on_top(struct vly_file_client *c, bool made)
{
    struct vly_put_tree *tree = &c->tree;

    if (tree->task == NULL)
        return;
    tree->top_asked = false;
    if (!made)
        vly_put_tree_close(c);
    else if (--tree->tops_wanted == 0)
        open_walk(c);
}

static struct vly_task *next_top(struct vly_file_client *c)
{
    struct vly_put_tree *tree = &c->tree;
    bool last = tree->tops_wanted == 1;
    struct vly_task *t;

    if (tree->top_asked)
        return NULL;
    t = vly_task_new(VLY_TASK_MKDIR, last ? tree->task->remote : c->where, "");
    if (t == NULL)
        return NULL;
    tree->top_asked = true;
    t->is_tree_top = true;
    t->mode = last ? tree->task->mode : 0777;
    return t;
}

/* A file is counted before the first byte moves, or now. */
static void count_file(struct vly_file_client *c, struct vly_task *t)
{
    t->counted = true;
    if (c->tree.task->size_bytes > 0) {
        c->tree.task->size_bytes--;
        return;
    }
    c->files++;
    c->total_bytes += t->size_bytes;
}

/* A task from what the walk found; NULL when there is nothing to do. */
static struct vly_task *task_of(struct vly_file_client *c, const struct vly_tree_entry *e)
{
    struct vly_put_tree *tree = &c->tree;
    char *remote = vly_path_join(tree->task->remote, e->path);
    char *local = vly_path_join(tree->task->local, e->path);
    enum vly_task_kind kind = e->kind == VLY_KIND_DIRECTORY ? VLY_TASK_MKDIR : VLY_TASK_PUT;
    struct vly_task *t = NULL;

    if (remote != NULL && local != NULL)
        t = vly_task_new(kind, remote, local);
    free(remote);
    free(local);
    if (t == NULL) {
        vly_client_record(c, VLY_E_NOMEM, "%s", vly_err_text(VLY_E_NOMEM));
        c->stop = true;
        return NULL;
    }
    t->mode = e->mode;
    t->size_bytes = e->size_bytes;
    return t;
}

/* What the walk found, as a task, or told and done with. */
static struct vly_task *take_entry(struct vly_file_client *c, const struct vly_tree_entry *e)
{
    struct vly_fault why;
    struct vly_task *t;
    int err = e->err;

    if (err == 0 && e->kind == VLY_KIND_OTHER) {
        vly_client_notice(c, "left out, %s: %s/%s",
                          e->is_link ? "a symbolic link" : "neither a file nor a directory",
                          vly_shown(c->tree.task->local).text, vly_shown(e->path).text);
        return NULL;
    }
    if (err != 0)
        vly_fault_last(&why, err);
    if ((t = task_of(c, e)) == NULL)
        return NULL;
    if (err == 0 && vly_path_check(vly_span_str(t->remote)) != 0)
        err = vly_fault_plain(&why, VLY_E_BAD_NAME);
    if (e->kind == VLY_KIND_FILE)
        count_file(c, t);
    if (err == 0)
        return t;
    vly_task_fail(c, t, &why);
    return NULL;
}

struct vly_task *vly_put_tree_next(struct vly_file_client *c)
{
    struct vly_tree_entry e;

    if (c->tree.task == NULL)
        return NULL;
    if (c->tree.walk == NULL)
        return next_top(c);
    while (!c->stop && vly_tree_next(c->tree.walk, &e)) {
        struct vly_task *t = take_entry(c, &e);

        if (t != NULL)
            return t;
    }
    vly_put_tree_close(c);
    return NULL;
}

void vly_put_tree_count(struct vly_file_client *c, const char *path)
{
    struct vly_tree_entry e;
    struct vly_root root;
    struct vly_tree *walk = NULL;
    int fd;

    if (vly_root_open(&root, path) != 0)
        return; /* it will be told when its turn comes */
    if (vly_root_open_dir(&root, "", &fd) == 0 && vly_tree_open(&walk, fd, true) != 0)
        walk = NULL;
    for (size_t i = 0; i < COUNT_MAX && walk != NULL && vly_tree_next(walk, &e); i++) {
        if (e.err != 0 || e.kind != VLY_KIND_FILE)
            continue;
        c->files++;
        c->total_bytes += e.size_bytes;
    }
    vly_tree_close(walk);
    vly_root_close(&root);
}
