/*
 * server_list - LIST: what lies in a directory, SPEC 10.2.
 *
 * A thread walks and encodes a batch of ENTRY messages, the loop sends it, and the next one is
 * begun only when the control stream has room: a client that does not read stops the walk. What
 * could not be told (unreadable directories, names that are not allowed) is counted, and the
 * listing ends with ERROR instead of DONE.
 */
#include "file/server_internal.h"

#include "file/path.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_BYTES (32u << 10)
#define ENTRY_BYTES_MAX (VLY_PATH_MAX_BYTES + 64u)

struct vly_lister {
    struct vly_request *request; /* NULL once closed; the loop's */
    uint64_t id;                 /* of the request; the thread's */
    struct vly_tree *tree;       /* owned */
    struct vly_job job;
    bool running;
    bool ended;
    uint64_t left_out;
    struct vly_fault first; /* of those left out */
    size_t len;
    uint8_t batch[BATCH_BYTES];
};

static void lister_free(struct vly_lister *l)
{
    vly_tree_close(l->tree);
    free(l);
}

void vly_lister_close(struct vly_lister *l)
{
    if (l == NULL)
        return;
    l->request = NULL;
    if (!l->running)
        lister_free(l);
}

static void leave_out(struct vly_lister *l, const struct vly_tree_entry *e)
{
    struct vly_fault reason;

    if (l->left_out++ > 0)
        return;
    vly_fault_last(&reason, e->err);
    vly_fault_set(&l->first, e->err, "%s: %s", vly_shown(e->path).text, reason.text);
}

static void encode_entry(struct vly_lister *l, const struct vly_tree_entry *e)
{
    struct vly_msg m = {.type = VLY_MSG_ENTRY, .request = l->id};
    size_t len;
    int err;

    m.kind = (uint8_t)e->kind;
    m.size = e->size_bytes;
    m.mode = e->mode;
    m.mtime_ns = e->mtime_ns;
    m.path = vly_span_str(e->path);
    err = vly_msg_encode(&m, l->batch + l->len, BATCH_BYTES - l->len, &len);
    assert(err == 0); /* ENTRY_BYTES_MAX was there */
    l->len += len;
}

/* In a thread; the request may go meanwhile. */
static void list_work(void *arg)
{
    struct vly_lister *l = arg;
    struct vly_tree_entry e;

    l->len = 0;
    while (BATCH_BYTES - l->len >= ENTRY_BYTES_MAX) {
        if (!vly_tree_next(l->tree, &e)) {
            l->ended = true;
            return;
        }
        if (e.err != 0)
            leave_out(l, &e);
        else
            encode_entry(l, &e);
    }
}

static void finish_list(struct vly_request *q)
{
    const struct vly_lister *l = q->lister;
    struct vly_fault why;

    if (l->left_out == 0) {
        vly_ctl_send_plain(&q->session->ctl, VLY_MSG_DONE, q->id);
        vly_request_end(q, NULL);
        return;
    }
    vly_fault_set(&why, l->first.err, "%llu could not be listed: %s%s",
                  (unsigned long long)l->left_out, l->first.text, l->left_out > 1 ? ", ..." : "");
    vly_request_fail(q, &why);
}

static void list_done(void *arg)
{
    struct vly_lister *l = arg;
    struct vly_request *q = l->request;

    l->running = false;
    if (q == NULL) {
        lister_free(l);
        return;
    }
    vly_ctl_send_encoded(&q->session->ctl, (struct vly_span){.data = l->batch, .len = l->len});
    if (l->ended)
        finish_list(q);
    else
        vly_list_pump(q);
}

void vly_list_pump(struct vly_request *q)
{
    struct vly_lister *l = q->lister;

    if (l == NULL || l->running || !vly_ctl_has_room(&q->session->ctl))
        return;
    l->running = true;
    l->job = (struct vly_job){.work = list_work, .done = list_done, .arg = l};
    vly_job_start(&l->job, &q->session->jobs);
}

/* A listed file gives one ENTRY with its own name. */
static void list_file(struct vly_request *q, const struct stat *st)
{
    struct vly_msg m = {.type = VLY_MSG_ENTRY, .request = q->id};

    m.kind = S_ISREG(st->st_mode) ? VLY_KIND_FILE : VLY_KIND_OTHER;
    m.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    m.mode = (uint16_t)(st->st_mode & 0777);
    m.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    m.path = vly_span_str(vly_path_base(q->path));
    vly_ctl_send(&q->session->ctl, &m);
    vly_ctl_send_plain(&q->session->ctl, VLY_MSG_DONE, q->id);
    vly_request_end(q, NULL);
}

static int open_lister(struct vly_request *q, bool recursive)
{
    struct vly_lister *l = malloc(sizeof *l);
    int fd, err = vly_root_open_dir(q->session->root, q->path, &fd);

    if (err != 0 || l == NULL) {
        if (err == 0)
            close(fd);
        free(l);
        return err != 0 ? err : VLY_E_NOMEM;
    }
    memset(l, 0, offsetof(struct vly_lister, batch));
    l->request = q;
    l->id = q->id;
    if ((err = vly_tree_open(&l->tree, fd, recursive)) != 0) {
        free(l);
        return err;
    }
    q->lister = l;
    return 0;
}

void vly_list_start(struct vly_request *q, bool recursive)
{
    struct vly_session *s = q->session;
    struct vly_fault why;
    struct stat st;
    int err = vly_root_stat(s->root, q->path, &st);

    q->state = VLY_REQUEST_CONTENT;
    if (err == 0 && !S_ISDIR(st.st_mode)) {
        list_file(q, &st);
        return;
    }
    if (err == 0 && (err = open_lister(q, recursive)) == 0) {
        vly_list_pump(q);
        return;
    }
    vly_fault_last(&why, err);
    vly_request_fail(q, &why);
}
