/*
 * link - what the file protocol needs of a transport: one connection that carries many byte
 * streams.
 *
 * File code sees only this table; src/net/udp_link.c implements it over the engine, a TCP
 * implementation can stand beside it. So UDP and TCP runs execute the same file code.
 *
 * Calls may be made from within events, except that a link is never freed under its caller: after
 * on_closed it is gone when the handler returns.
 */
#ifndef VLY_FILE_LINK_H
#define VLY_FILE_LINK_H

#include <volley/base.h>

struct vly_link;

/* How a stream's data is handed on: in order, or at any offset as it arrives (the transport may
 * still keep order). */
enum vly_link_order { VLY_LINK_IN_ORDER, VLY_LINK_ANY_ORDER };

struct vly_link_stats {
    uint64_t packets_sent, packets_received, retransmits, lost_packets, spurious_losses;
    uint64_t bytes_sent, bytes_received;
    uint64_t smoothed_rtt_ns, min_rtt_ns, cwnd_bytes;
    uint64_t kernel_drops_local, kernel_drops_peer;
    uint64_t limited_cwnd_ns, limited_flow_ns, limited_pacing_ns, limited_app_ns;
    const char *io; /* send strategy in use: "gso"; static */
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

struct vly_link_ops {
    int (*open_stream)(struct vly_link *l, uint64_t *stream); /* VLY_E_AGAIN: no more at present */
    /* VLY_E_STATE: bytes have arrived already, their order stays. A stream of the peer's may have
     * brought some with its opening. */
    int (*set_order)(struct vly_link *l, uint64_t stream, enum vly_link_order order);
    /* Room to be filled in place: *len in: wanted, out: given. VLY_E_AGAIN: wait for on_writable.
     */
    int (*reserve)(struct vly_link *l, uint64_t stream, uint8_t **ptr, size_t *len);
    int (*commit)(struct vly_link *l, uint64_t stream, size_t len, bool fin);
    void (*consume)(struct vly_link *l, uint64_t stream, uint64_t bytes);
    void (*reset)(struct vly_link *l, uint64_t stream, uint64_t code);
    void (*stop)(struct vly_link *l, uint64_t stream, uint64_t code);
    void (*expect_answer)(struct vly_link *l, bool expecting);
    void (*close)(struct vly_link *l, uint64_t code, const char *reason); /* on_closed follows */
    void (*stats)(const struct vly_link *l, struct vly_link_stats *out);
    /* The peer's address as text, e.g. "192.0.2.1:7711"; borrowed for the link's life. */
    const char *(*peer)(const struct vly_link *l);
    /* Runs work(arg) in a thread, then done(arg) in the loop, also when the link has closed
     * meanwhile: for fsync and other calls that block. */
    int (*offload)(struct vly_link *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);
};

struct vly_link {
    const struct vly_link_ops *ops;
    const struct vly_link_events *events; /* set by the user of the link */
    void *user;
};

#endif
