/*
 * transfer - serving a directory and moving files to and from one, on a uv loop.
 *
 * Everything runs in the loop's thread (waiting for the disk excepted); callbacks come from the
 * loop. Option structs start with `size` = sizeof the struct as the caller knows it; zero in any
 * other field means its default. Strings in options are copied; strings in callbacks are borrowed
 * during the call and may hold any bytes of a peer: escape them before printing.
 */
#ifndef VOLLEY_TRANSFER_H
#define VOLLEY_TRANSFER_H

#include <volley/transport.h>

#define VLY_PORT_DEFAULT 7711

/* What a finished transfer or connection amounted to. */
struct vly_transfer_stats {
    uint64_t files, bytes; /* content, verified */
    uint64_t duration_ns;  /* from the first request to the last DONE */
    uint64_t packets_sent, packets_received, retransmits, lost_packets, spurious_losses;
    uint64_t wire_bytes_sent, wire_bytes_received;
    uint64_t smoothed_rtt_ns, min_rtt_ns, cwnd_bytes;
    uint64_t kernel_drops_local, kernel_drops_peer;
    uint64_t limited_cwnd_ns, limited_flow_ns, limited_pacing_ns, limited_app_ns;
    uint64_t path_changes; /* UDP, of a server: so often did the client's address change */
    uint64_t datagram_bytes, datagram_received_bytes; /* as in vly_link_stats */
    const char *transport, *io;                       /* static */
    const char *suite, *crypto;                       /* static; as in vly_link_stats */
    char cc[VLY_CC_NAME_MAX];                         /* congestion control in use */
    uint64_t frames_sent[VLY_LINK_FRAME_TYPES];       /* UDP: by type, SPEC 4 */
    uint64_t frames_received[VLY_LINK_FRAME_TYPES];
};

/* An error for a person: `text` is one line saying what, where and what to do, ready to print (peer
 * bytes escaped). */
struct vly_failure {
    int err; /* enum vly_err */
    const char *text;
};

struct vly_file_progress {
    const char *path;                       /* the file this is about, as requested */
    uint64_t file_bytes, file_done_bytes;   /* file_bytes UINT64_MAX: unknown */
    uint64_t total_bytes, total_done_bytes; /* of all files of the request, as far as known */
    uint64_t files, files_done;
};

/* ---- serving ---- */

struct vly_server;

struct vly_server_events {
    /* All optional (NULL). `client` is "ADDRESS:PORT". */
    void (*on_connect)(void *ctx, const char *client);
    /* `key`: NULL when the client shows none. Follows on_connect. */
    void (*on_client_key)(void *ctx, const char *client, const uint8_t *key);
    /* Somebody was turned away before there was a connection: it is plain and we are not, or the
     * reverse, or holds another kind of key. */
    void (*on_turned_away)(void *ctx, const char *client, const char *why);
    void (*on_disconnect)(void *ctx, const char *client, const struct vly_transfer_stats *s,
                          const struct vly_failure *why /* NULL: clean */);
    void (*on_file_begin)(void *ctx, const char *client, bool upload, const char *path,
                          uint64_t bytes);
    void (*on_file_progress)(void *ctx, const char *client, bool upload,
                             const struct vly_file_progress *p);
    void (*on_file_end)(void *ctx, const char *client, bool upload, const char *path,
                        uint64_t bytes,
                        const struct vly_failure *why /* NULL: verified and durable */);
};

/* What clients may do. */
enum vly_right { VLY_RIGHT_READ = 1, VLY_RIGHT_WRITE = 2 };

/* What the holder of a key may do, and where. */
struct vly_grant {
    uint8_t key[VLY_PUBLIC_KEY_BYTES];
    unsigned rights;  /* of enum vly_right, or-ed */
    const char *root; /* directory it sees; NULL: the server's. Copied */
};

struct vly_server_options {
    size_t size;
    struct vly_transport_options transport;
    const char *root;               /* directory to serve */
    const struct sockaddr *listen;  /* address and port; port 0 picks one */
    bool both_carriers;             /* UDP and TCP, whatever `transport` says */
    bool writable;                  /* accept uploads, from whoever may write */
    const struct vly_grant *grants; /* copied */
    size_t n_grants;
    /* Of everyone else: what those without a grant may do (also over plain and a pre-shared key,
     * where nobody shows a key of his own); 0: they are turned away. */
    unsigned others;
    size_t max_clients;                     /* 0: 1024; of each carrier */
    const struct vly_server_events *events; /* borrowed until the server is closed */
    void *ctx;
};

/* Starts serving. On failure *out is NULL and `why` (may be NULL; its text is valid until the next
 * call of this function) says why. */
VLY_MUST_USE int vly_server_open(struct vly_server **out, struct uv_loop_s *loop,
                                 const struct vly_server_options *opt, struct vly_failure *why);
/* The address it listens on, e.g. "127.0.0.1", and port. Borrowed for the server's life. */
const char *vly_server_address(const struct vly_server *s);
uint16_t vly_server_port(const struct vly_server *s);
/* Tells every client that the server stops, drops unfinished files, frees the server; then `done`
 * (may be NULL). Within a second. */
void vly_server_close(struct vly_server *s, void (*done)(void *ctx), void *ctx);

/* ---- getting, putting, listing ---- */

struct vly_client;

enum vly_client_verb { VLY_GET, VLY_PUT, VLY_LIST };

struct vly_list_entry {
    enum { VLY_ENTRY_FILE = 1, VLY_ENTRY_DIRECTORY = 2, VLY_ENTRY_OTHER = 3 } kind;
    uint64_t bytes;
    uint16_t mode;
    int64_t mtime_ns;
    const char *path; /* relative to the listed directory */
};

struct vly_client_events {
    /* All optional but on_done. */
    void (*on_progress)(void *ctx, const struct vly_file_progress *p);
    void (*on_entry)(void *ctx, const struct vly_list_entry *e); /* LIST */
    void (*on_file_done)(void *ctx, const char *path, uint64_t bytes,
                         const struct vly_failure *why);
    /* The server has shown its key; why: NULL, or as on_done will say (HOST_UNKNOWN, HOST_CHANGED).
     */
    void (*on_server_key)(void *ctx, const uint8_t key[VLY_PUBLIC_KEY_BYTES],
                          const struct vly_failure *why);
    /* A line the user should know of (a symbolic link left out, ...). */
    void (*on_notice)(void *ctx, const char *text);
    /* The last callback: everything is verified and durable (why NULL), or why not. Files that were
     * completed stay. The client is freed after it returns. */
    void (*on_done)(void *ctx, const struct vly_transfer_stats *s, const struct vly_failure *why);
};

struct vly_client_options {
    size_t size;
    struct vly_transport_options transport;
    enum vly_client_verb verb;
    const struct sockaddr *server;
    const char *server_name; /* for messages, as the user wrote it */
    /* GET: remote paths, files or directories (taken with all below). PUT: local paths, "-" for
     * standard input. LIST: one remote path. */
    const char *const *paths;
    size_t n_paths;
    /* GET: local file name, directory, or "-" for standard output; NULL: the current directory.
     * PUT: remote directory or, with one file, possibly its new name; NULL or "": the root. */
    const char *where;
    bool force;                             /* replace existing files */
    bool recursive;                         /* LIST */
    const struct vly_client_events *events; /* borrowed until on_done */
    void *ctx;
};

/* Starts. Local trouble that is seen at once (no such file to put, target exists) is reported by
 * the return value and `why` (text valid until the next call of this function); everything later by
 * on_done. */
VLY_MUST_USE int vly_client_start(struct vly_client **out, struct uv_loop_s *loop,
                                  const struct vly_client_options *opt, struct vly_failure *why);
/* Gives up: unfinished files are dropped, the server is told, on_done follows (VLY_E_CANCELLED)
 * within a second. */
void vly_client_cancel(struct vly_client *c);

#endif
