/*
 * client_internal - a client, its tasks and requests, as client.c (lifecycle, dispatch),
 * client_close.c (how it ended), client_request.c (a request's life) and get.c, put.c, list.c (what
 * each does) share them.
 *
 * A task is something still to be asked for; a request is one that was. At most
 * VLY_CLIENT_FILES_MAX requests are under way; tasks wait in a queue, and those of a local tree are
 * not even made before there is room.
 *
 *     GET    ASKED    waits for INFO
 *            CONTENT  content comes, is verified and published; then DONE is sent
 *     PUT    ASKED    waits for READY
 *            CONTENT  content goes
 *            CONFIRM  END went out; waits for DONE
 *     LIST   ASKED    entries come
 *     MKDIR  ASKED    waits for DONE
 */
#ifndef VLY_FILE_CLIENT_INTERNAL_H
#define VLY_FILE_CLIENT_INTERNAL_H

#include "file/beneath.h"
#include "file/client.h"
#include "file/pace.h"
#include "file/recv.h"
#include "file/send.h"
#include "file/tree.h"

enum vly_task_kind { VLY_TASK_GET, VLY_TASK_LIST, VLY_TASK_PUT, VLY_TASK_TREE, VLY_TASK_MKDIR };

struct vly_task {
    struct vly_task *next;
    enum vly_task_kind kind;
    bool named;       /* the user named it, rather than a tree */
    bool into;        /* PUT: `remote` already is in the directory that the user named */
    bool counted;     /* size_bytes is in the client's total */
    bool is_tree_top; /* MKDIR: the tree waits for it */
    uint64_t size_bytes;
    uint16_t mode;
    const char *local; /* behind `remote` in the same block */
    char remote[];     /* as sent */
};

enum vly_ask_state { VLY_ASKED, VLY_ASK_CONTENT, VLY_ASK_CONFIRM };

struct vly_ask {
    struct vly_file_client *client;
    struct vly_ask *next;
    struct vly_task *task; /* owned */
    enum vly_ask_state state;
    uint64_t id;
    bool has_stream;
    uint64_t stream;
    uint64_t done_bytes; /* in the client's done_bytes */
    uint64_t entries;    /* LIST */
    struct vly_sender sender;
    struct vly_receiver receiver;
};

/* A local directory being put. */
struct vly_put_tree {
    struct vly_task *task; /* owned; NULL: none */
    struct vly_root root;
    struct vly_tree *walk; /* NULL until its remote directories are there */
    unsigned tops_wanted;  /* remote directories still to be made before */
    bool top_asked;
};

struct vly_file_client {
    struct vly_file_client_spec spec; /* .opt is NULL */
    enum vly_client_verb verb;
    const struct vly_client_events *events;
    void *ctx;
    bool force, recursive;
    char *server_name; /* owned */
    char *where;       /* owned; PUT: remote, tidy */
    bool where_is_dir; /* it ended in '/', or has to be one */
    uint64_t timeout_ns;
    bool over_tcp, plain, shared_key;
    /* GET */
    struct vly_root root; /* where files go; fd -1: standard output */
    char *dest_name;      /* owned; NULL: into the root under their own names */
    bool dest_exists;     /* as a file, to be replaced */

    struct vly_link *link; /* NULL before and after */
    struct vly_ctl ctl;
    struct vly_jobs jobs;
    struct vly_senders senders;
    struct vly_budget budget;
    struct vly_task *queue_head, *queue_tail;
    uint64_t queued;
    struct vly_ask *asks; /* owned, newest first */
    struct vly_ask *latest;
    size_t n_asks;
    struct vly_put_tree tree;
    size_t syncing; /* local directories being synced */
    uint64_t dirs_made;
    uint64_t next_id;
    bool open, started; /* the link is; the server's START came */
    bool stepping, again;
    bool stop;    /* begin nothing more */
    bool ending;  /* nothing is left to do; the control stream is ended */
    bool closing; /* we closed the link */
    bool cancelled;
    bool finished;
    uint64_t begin_ns, end_ns;
    uint64_t files, files_done, files_failed;
    uint64_t total_bytes, done_bytes, verified_bytes;
    struct vly_pace pace;
    struct vly_transfer_stats stats;
    struct vly_fault fault; /* the first failure, or what ended it all */
};

/* ---- client.c ---- */

/* Begins what there is room for; ends the work when nothing is left. To be called after whatever
 * may have changed that. */
void vly_client_step(struct vly_file_client *c);
/* Ends the connection: the server broke the protocol. */
void vly_client_violation(struct vly_file_client *c, const char *what);
/* Puts a task at the end of the queue; takes it. */
void vly_client_queue(struct vly_file_client *c, struct vly_task *t);

/* ---- client_close.c ---- */

/* Tells the user which key the server has shown, if it has; `why` NULL: it is believed. */
void vly_client_tell_key(struct vly_file_client *c, const struct vly_failure *why);
/* Records what ended the connection before the work was done, in words. */
void vly_client_record_close(struct vly_file_client *c, int err, uint64_t code, const char *reason);

/* ---- client_request.c ---- */

void vly_client_tell_progress(struct vly_file_client *c, const struct vly_ask *a, bool now);
void vly_client_notice(struct vly_file_client *c, const char *fmt, ...) VLY_PRINTF(2, 3);
/* Records a failure that is about `shown` ("cannot get ..."), printable. */
void vly_client_record(struct vly_file_client *c, int err, const char *fmt, ...) VLY_PRINTF(3, 4);
/* A task; the strings are copied. NULL: out of memory. */
struct vly_task *vly_task_new(enum vly_task_kind kind, const char *remote, const char *local);
/* Makes the request of a task, with a stream if asked; takes the task on success. VLY_E_AGAIN: no
 * stream to be had now. */
VLY_MUST_USE int vly_ask_new(struct vly_ask **out, struct vly_file_client *c, struct vly_task *t,
                             bool with_stream);
/* Frees it without a word. */
void vly_ask_free(struct vly_ask *a);
/* It is done: told, counted, freed. */
void vly_ask_succeed(struct vly_ask *a);
/* It failed for a local reason: the server is told as well. */
void vly_ask_fail(struct vly_ask *a, const struct vly_fault *why);
/* It failed because the server, or the end of the connection, said so. */
void vly_ask_end(struct vly_ask *a, const struct vly_fault *why);
/* A task that failed before it was asked. Takes it. */
void vly_task_fail(struct vly_file_client *c, struct vly_task *t, const struct vly_fault *why);
void vly_ask_tell_progress(struct vly_ask *a, uint64_t done_bytes);
/* The total learns the size of a file. */
void vly_ask_count(struct vly_ask *a, uint64_t size_bytes);

/* ---- get.c ---- */

VLY_MUST_USE int vly_get_prepare(struct vly_file_client *c, const struct vly_client_options *opt,
                                 struct vly_fault *why);
VLY_MUST_USE int vly_get_begin(struct vly_file_client *c, struct vly_task *t);
void vly_get_on_info(struct vly_ask *a, const struct vly_msg *m);
/* The server refused. Returns whether something else is tried instead. */
bool vly_get_on_error(struct vly_ask *a, int err);

/* ---- list.c ---- */

VLY_MUST_USE int vly_list_prepare(struct vly_file_client *c, const struct vly_client_options *opt,
                                  struct vly_fault *why);
VLY_MUST_USE int vly_list_begin(struct vly_file_client *c, struct vly_task *t);
void vly_list_on_entry(struct vly_ask *a, const struct vly_msg *m);

/* ---- put.c ---- */

VLY_MUST_USE int vly_put_prepare(struct vly_file_client *c, const struct vly_client_options *opt,
                                 struct vly_fault *why);
VLY_MUST_USE int vly_put_begin(struct vly_file_client *c, struct vly_task *t);
VLY_MUST_USE int vly_put_begin_mkdir(struct vly_file_client *c, struct vly_task *t);
void vly_put_on_ready(struct vly_ask *a);
bool vly_put_on_error(struct vly_ask *a, int err);
extern const struct vly_sender_events vly_put_events;

/* ---- put_tree.c ---- */

/* Opens a local tree; takes the task. */
void vly_put_tree_begin(struct vly_file_client *c, struct vly_task *t);
/* A remote directory of it was made, or not. */
void vly_put_tree_on_top(struct vly_file_client *c, bool made);
/* The next task of the tree; NULL when there is none now. It closes itself at its end. */
struct vly_task *vly_put_tree_next(struct vly_file_client *c);
void vly_put_tree_close(struct vly_file_client *c);
/* Counts what lies in the local directory, as far as that goes quickly. */
void vly_put_tree_count(struct vly_file_client *c, const char *path);

#endif
