/*
 * server_internal - a session and its requests, as server.c (lifecycle, dispatch) and server_get.c,
 * server_put.c, server_list.c (what each request does) share them.
 *
 * A request's life:
 *
 *     GET    WAITING   for its stream to be opened
 *            CONTENT   INFO went out, content goes
 *            CONFIRM   END went out; waits for DONE
 *     PUT    WAITING   for disk space; READY not sent
 *            CONTENT   READY went out, content comes, is verified and published
 *     LIST   CONTENT   entries go as there is room
 *     MKDIR  CONTENT   the directory is made, its parent being synced
 *     any    DEAD      ERROR went out before its stream was opened: waits to reset it
 */
#ifndef VLY_FILE_SERVER_INTERNAL_H
#define VLY_FILE_SERVER_INTERNAL_H

#include "file/dirsync.h"
#include "file/pace.h"
#include "file/recv.h"
#include "file/send.h"
#include "file/server.h"
#include "file/tree.h"

enum vly_request_state {
    VLY_REQUEST_WAITING,
    VLY_REQUEST_CONTENT,
    VLY_REQUEST_CONFIRM,
    VLY_REQUEST_DEAD
};

struct vly_lister;

struct vly_request {
    struct vly_session *session;
    struct vly_request *next;
    enum vly_msg_type kind; /* LIST, GET, PUT, MKDIR */
    enum vly_request_state state;
    uint64_t id;
    uint64_t stream; /* GET, PUT */
    char *path;      /* owned */
    bool told;       /* on_file_begin was called */
    uint64_t size_bytes;
    struct vly_pace pace;
    struct vly_sender sender;     /* GET */
    struct vly_receiver receiver; /* PUT */
    struct vly_lister *lister;    /* LIST; owned */
    struct vly_dirsync *dirsync;  /* MKDIR; freed by itself */
};

struct vly_session {
    struct vly_file_server *srv;
    struct vly_link *link;       /* NULL once closed */
    const struct vly_root *root; /* what it sees */
    unsigned rights;             /* of enum vly_right */
    struct vly_ctl ctl;
    struct vly_jobs jobs;
    struct vly_senders senders;
    struct vly_request *requests; /* owned, newest first */
    struct vly_request *latest;   /* the one looked up last */
    size_t n_requests;
    uint64_t streams_end; /* streams below were opened by the client */
    bool started;         /* its START came */
    bool client_done;     /* it ended the control stream */
    bool closing;
    uint64_t first_request_ns, last_done_ns;
    uint64_t files, bytes; /* verified */
};

/* ---- server_request.c ---- */

/* A request of the session from its message; NULL: out of memory. */
struct vly_request *vly_request_new(struct vly_session *s, const struct vly_msg *m);
/* Frees it without a word. */
void vly_request_free(struct vly_request *q);
/* ERROR or CANCEL: the client gave it up. */
void vly_request_on_given_up(struct vly_request *q, const struct vly_msg *m);
/* Sends ERROR, gives up the stream, ends the request. */
void vly_request_fail(struct vly_request *q, const struct vly_fault *why);
/* Frees the request; tells on_file_end. `why` NULL: done. */
void vly_request_end(struct vly_request *q, const struct vly_fault *why);
void vly_request_tell_begin(struct vly_request *q, uint64_t size_bytes);
void vly_request_tell_progress(struct vly_request *q, uint64_t done_bytes);

/* ---- server.c ---- */

const char *vly_session_client(const struct vly_session *s);
/* Closes the connection when the client has nothing more to ask and nothing is under way. */
void vly_session_close_if_over(struct vly_session *s);
/* Whether the client opened `stream` already; else vly_session_on_stream will. */
bool vly_session_has_stream(const struct vly_session *s, uint64_t stream);

/* ---- one of each kind ---- */

void vly_get_start(struct vly_request *q);
void vly_put_start(struct vly_request *q, const struct vly_msg *m);
void vly_put_on_stream(struct vly_request *q);
void vly_list_start(struct vly_request *q, bool recursive);
/* Sends more entries, if there is room. */
void vly_list_pump(struct vly_request *q);
void vly_lister_close(struct vly_lister *l); /* NULL is allowed */
void vly_mkdir_start(struct vly_request *q, uint16_t mode);

extern const struct vly_sender_events vly_get_events;

#endif
