/*
 * transport - what carries files: a transport (UDP with the engine of proto/, or TCP) opened on a
 * uv loop, and links, the connections on it. A link carries many byte streams.
 *
 * The file protocol sees a connection only as struct vly_link_ops, so UDP and TCP runs execute the
 * same file code. Everything runs in the loop's thread.
 *
 * Calls on a link may be made from within events, except that a link is never freed under its
 * caller: after on_closed it is gone when the handler returns.
 */
#ifndef VOLLEY_TRANSPORT_H
#define VOLLEY_TRANSPORT_H

#include <volley/base.h>

struct uv_loop_s;
struct sockaddr;

/* ---- links ---- */

struct vly_link;

#define VLY_LINK_FRAME_TYPES 0x1e /* SPEC 4: all types are below */
#define VLY_CC_NAME_MAX 16        /* with NUL: as long as the kernel's names are */
#define VLY_PUBLIC_KEY_BYTES 32

/* How a stream's data is handed on: in order, or at any offset as it arrives (the transport may
 * still keep order). */
enum vly_link_order { VLY_LINK_IN_ORDER, VLY_LINK_ANY_ORDER };

struct vly_link_stats {
    uint64_t packets_sent, packets_received, retransmits, lost_packets, spurious_losses;
    uint64_t bytes_sent, bytes_received;
    uint64_t smoothed_rtt_ns, min_rtt_ns, cwnd_bytes;
    uint64_t kernel_drops_local, kernel_drops_peer;
    uint64_t limited_cwnd_ns, limited_flow_ns, limited_pacing_ns, limited_app_ns;
    const char *transport;      /* "udp", "tcp"; static */
    const char *io;             /* how batches are sent: "gso", "tcp", "sendfile"; static */
    char cc[VLY_CC_NAME_MAX];   /* congestion control in use */
    const char *suite, *crypto; /* "aes-256-gcm" by "ipsec-mb"; "plain"; ""; static */
    uint64_t key_updates, forgeries;
    /* UDP: frames by type */
    uint64_t frames_sent[VLY_LINK_FRAME_TYPES], frames_received[VLY_LINK_FRAME_TYPES];
    uint64_t path_changes; /* server: so often has the client's address changed */
    /* UDP: datagrams may be so long on the way to the peer, as far as is known; the longest that
     * came from it. TCP: a segment. */
    uint64_t datagram_bytes, datagram_received_bytes;
};

/* What a link tells its user; all required. `user` is what vly_link.user holds. */
struct vly_link_events {
    /* client: the connection exists */
    void (*on_open)(void *user);
    /* the peer opened a stream */
    void (*on_stream)(void *user, uint64_t stream);
    /* bytes arrived; `data` is borrowed during the call. Credit is returned with ops->consume */
    void (*on_data)(void *user, uint64_t stream, uint64_t offset, struct vly_span data);
    /* all bytes of the stream up to `final_bytes` have been handed on */
    void (*on_end)(void *user, uint64_t stream, uint64_t final_bytes);
    /* the peer gave up its direction (on_reset) or wants no more of ours (on_stopped) */
    void (*on_reset)(void *user, uint64_t stream, uint64_t code);
    void (*on_stopped)(void *user, uint64_t stream, uint64_t code);
    /* there is room again on a stream that had none; UINT64_MAX: one may open more streams */
    void (*on_writable)(void *user, uint64_t stream);
    /* the last event. err 0: closed cleanly by either side; `code` and `reason` (never NULL; escape
     * it) as the peer gave them */
    void (*on_closed)(void *user, int err, uint64_t code, const char *reason);
};

/* Where in a file. */
struct vly_file_range {
    int fd;
    uint64_t offset;
};

struct vly_link_ops {
    int (*open_stream)(struct vly_link *l, uint64_t *stream); /* VLY_E_AGAIN: no more at present */
    /* Any order may be asked for at any time: what has come ahead of a gap by then follows with the
     * stream's next data. In order (as it is at first) only while there is no gap. VLY_E_STATE: it
     * stays as it was, or there is no such stream. */
    int (*set_order)(struct vly_link *l, uint64_t stream, enum vly_link_order order);
    /* Room to be filled in place: *len in: wanted, out: given. VLY_E_AGAIN: wait for on_writable.
     */
    int (*reserve)(struct vly_link *l, uint64_t stream, uint8_t **ptr, size_t *len);
    int (*commit)(struct vly_link *l, uint64_t stream, size_t len, bool fin);
    /* NULL where there is no such thing. As reserve and commit, from the caller's own memory: *len
     * in: offered, out: taken. It stays as it is until `released` has passed it: so many bytes of
     * the stream need not be read any more; UINT64_MAX after its end. Nor are any after on_closed.
     */
    int (*lend)(struct vly_link *l, uint64_t stream, const uint8_t *data, size_t *len, bool fin);
    uint64_t (*released)(const struct vly_link *l, uint64_t stream);
    /* NULL where there is no such thing. Sends `len` bytes (at least 1) of the regular file `fd`,
     * which stays the caller's, from `offset` on without copying them: *len in: wanted, out: taken.
     * VLY_E_AGAIN: wait for on_writable. `fin` counts when all was taken. The program ignores
     * SIGPIPE, which the system has no other way to keep from such a call. */
    int (*send_file)(struct vly_link *l, uint64_t stream, const struct vly_file_range *range,
                     size_t *len, bool fin);
    void (*consume)(struct vly_link *l, uint64_t stream, uint64_t bytes);
    void (*reset)(struct vly_link *l, uint64_t stream, uint64_t code);
    void (*stop)(struct vly_link *l, uint64_t stream, uint64_t code);
    void (*expect_answer)(struct vly_link *l, bool expecting);
    void (*close)(struct vly_link *l, uint64_t code, const char *reason); /* on_closed follows */
    void (*stats)(const struct vly_link *l, struct vly_link_stats *out);
    /* The peer's address as text, e.g. "192.0.2.1:7711". Borrowed for the link's life, in which the
     * text changes when the peer's address does. */
    const char *(*peer)(const struct vly_link *l);
    /* The other end's public key, 32 bytes; false when it has shown none (plain, a pre-shared key,
     * before its message). Also valid in on_closed. */
    bool (*peer_key)(const struct vly_link *l, uint8_t out[VLY_PUBLIC_KEY_BYTES]);
    /* Runs work(arg) in a thread, then done(arg) in the loop, also when the link has closed
     * meanwhile: for fsync and other calls that block. */
    int (*offload)(struct vly_link *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);
};

struct vly_link {
    const struct vly_link_ops *ops;
    const struct vly_link_events *events; /* set by the user of the link */
    void *user;
};

/* ---- transports ---- */

enum vly_carrier { VLY_CARRIER_UDP, VLY_CARRIER_TCP };

/* How connections are encrypted and who the ends are, SPEC 3.1. What the pointers name is copied
 * into locked memory when the transport is opened. */
struct vly_security {
    size_t size;
    const uint8_t *secret_key; /* our X25519 secret, 32 bytes; NULL: one made for this run, which
                                  no server can know; a server has one */
    const uint8_t *psk;        /* 32 bytes that both ends hold: then no other key counts */
    const uint8_t *server_key; /* client: the server's public key; NULL: not known */
    bool accept_new;           /* client: believe a server whose key is not known */
    /* Names of ciphers, best first with commas between; no other one is offered or taken, and the
     * server's order counts. "auto" (NULL) stands for "aes-256-gcm,chacha20-poly1305";
     * "aes-128-gcm", faster and with half the key, is in use only where both ends name it. */
    const char *suite;
    const char *crypto; /* who computes it: "auto" (NULL), "ipsec-mb", "openssl" */
    /* Told of every key, one line of the key log without its newline; NULL: nobody. It opens all
     * that was ever sent under them. */
    void (*on_key)(void *ctx, const char *line);
    void *ctx;
};

/* How bytes are moved; the tunables of the command line. */
struct vly_transport_options {
    size_t size;
    bool plain;                          /* no encryption; must be asked for at both ends */
    const struct vly_security *security; /* not with plain; NULL: the defaults in it. Borrowed
                                            during the call that opens the transport */
    const char *cc;                      /* UDP: "cubic" (default), "reno", "fixed" */
    const char *io;              /* UDP: "auto" (default), "splice", "gso", "mmsg" or "basic" */
    bool no_spin;                /* UDP, plain: never wait awake for what is next */
    uint32_t ack_every_pkts;     /* UDP: an ACK each so many packets at least, 1 to 128,
                                    which measures what ACKs cost; 0: as SPEC 5.1 */
    uint64_t rate_bytes_per_s;   /* UDP: upper bound; 0: none */
    uint32_t max_datagram_bytes; /* UDP: --mss, 1200 to 65507; 0: what the path carries */
    uint64_t window_bytes; /* --window: largest receive window and send buffer; 0: automatic */
    uint64_t timeout_ns;   /* no answer for so long is an error; 0: 10 s */
    enum vly_carrier carrier;
    const char *tcp_cc; /* TCP: the kernel's congestion control; NULL: the system's default */
};

struct vly_transport;

struct vly_transport_spec {
    size_t size;
    struct vly_transport_options options;
    const char *application;     /* as SPEC 2.10; both ends must say the same */
    const struct sockaddr *bind; /* server: address and port, 0 picks one; client: any address of
                                    the family, port 0 */
    bool is_server;
    size_t max_links; /* server; 0: 1024 */
    /* Server: a connection came in. Set link->events and link->user before returning 0; returning
     * a vly_err closes it with `reject_code` and the error's text, and the link is gone. */
    int (*on_accept)(void *ctx, struct vly_link *link);
    /* Server: somebody was turned away before there was a connection; `why` for a person. May be
     * NULL. */
    void (*on_turned_away)(void *ctx, const char *client, const char *why);
    void *ctx;
    uint64_t reject_code; /* an application code, not 0: that would be a clean close */
};

/* Opens a transport. `application` and `ctx` are borrowed for its life. On failure *out is NULL.
 * Errors: VLY_E_NOMEM, VLY_E_INVALID (an option's value), VLY_E_EXISTS (the port is taken),
 * VLY_E_UNREACHABLE (no such address here), VLY_E_PERMISSION, VLY_E_IO. */
VLY_MUST_USE int vly_transport_open(struct vly_transport **out, struct uv_loop_s *loop,
                                    const struct vly_transport_spec *spec);
/* Begins a connection. The link is usable at once for setting events and user; on_open or on_closed
 * follows from the loop. Errors: VLY_E_UNREACHABLE and VLY_E_PERMISSION (the system knows no way
 * there), VLY_E_INVALID (address family), VLY_E_STATE (it is closing), VLY_E_NOMEM, VLY_E_IO. */
VLY_MUST_USE int vly_transport_connect(struct vly_transport *t, const struct sockaddr *peer,
                                       struct vly_link **out);
/* The local address, e.g. "127.0.0.1", and port. Borrowed for the transport's life. */
const char *vly_transport_address(const struct vly_transport *t);
uint16_t vly_transport_port(const struct vly_transport *t);
/* Closes all connections with `code` and `reason`, waits for them (less than a second) and for what
 * was offloaded, frees the transport and calls `done` (may be NULL). Every link has had its
 * on_closed by then. Once only. */
void vly_transport_close(struct vly_transport *t, uint64_t code, const char *reason,
                         void (*done)(void *ctx), void *ctx);

#endif
