/*
 * conn - one connection, as the application sees it: streams, credit, closing, statistics.
 *
 * Connections are made, driven and freed by an endpoint (endpoint.h), whose five verbs move packets
 * and time. The functions here change state only; what they cause to be sent goes out with the
 * endpoint's next send.
 */
#ifndef VLY_PROTO_CONN_H
#define VLY_PROTO_CONN_H

#include "cc.h"
#include "crypto.h"
#include "frame.h"
#include "recvbuf.h"
#include "trace.h"

struct vly_conn;

/* How connections of an endpoint behave. Zero means the default in the comment. */
struct vly_conn_config {
    const struct vly_cc_ops *cc; /* CUBIC */
    uint64_t rate_bytes_per_s;   /* upper bound of the pacing rate; the rate of `fixed`; 0: none */
    uint32_t max_datagram_bytes; /* largest to send at first: 1472 */
    uint32_t announced_datagram_bytes; /* 65507 */
    /* The path is searched for longer datagrams, up to so many bytes, and shorter ones are used
     * where it needs them (SPEC 5.7); 0: neither. */
    uint32_t search_max_bytes;
    uint64_t window_bytes;          /* first receive window of a stream and the connection: 1 MiB */
    uint64_t window_max_bytes;      /* to which it may grow by itself: 64 MiB */
    uint64_t send_buffer_max_bytes; /* unacknowledged data kept, all streams: 64 MiB */
    uint64_t max_streams;           /* streams of the peer open at a time: 256 */
    uint64_t idle_timeout_ns;       /* 30 s */
    uint64_t handshake_timeout_ns;  /* 10 s */
    uint64_t answer_timeout_ns;     /* unanswered packets for so long: LOST; 10 s */
    uint64_t max_ack_delay_ns;      /* 5 ms */
    uint32_t ack_every_pkts;        /* at most so many wait for an ACK (SPEC 5.1), 1 to 128: 128 */
    const char *application;        /* "volley-file/1"; at most 32 bytes, borrowed */
    uint64_t first_pn;              /* tests only: first packet number */
    uint64_t key_update_pkts;       /* tests only: VLY_KEY_UPDATE_PKTS */
    uint64_t forgery_limit_pkts;    /* tests only: the suite's */
    uint64_t
        first_offset; /* tests only, both ends alike: offset of the first byte of each stream */
};

enum vly_role { VLY_CLIENT, VLY_SERVER };

struct vly_conn_stats {
    uint64_t packets_sent, packets_received;
    uint64_t bytes_sent, bytes_received; /* whole datagrams */
    uint64_t stream_bytes_sent;          /* first transmissions */
    uint64_t stream_bytes_received;      /* without duplicates */
    uint64_t retransmits;                /* packets that carried stream data sent before */
    uint64_t retransmitted_bytes;
    uint64_t lost_packets, spurious_losses;
    uint64_t pto_count, probes_sent;
    uint64_t acks_sent, acks_received;
    uint64_t duplicates_received, dropped_received; /* dropped: bad tag, stale, malformed */
    uint64_t kernel_drops_local, kernel_drops_peer; /* of the receiving sockets, SPEC 4.1 */
    uint64_t congestion_events, undos, persistent_congestions;
    uint64_t ecn_ce;
    uint64_t smoothed_rtt_ns, min_rtt_ns, latest_rtt_ns; /* 0: no sample */
    uint64_t cwnd_bytes, ssthresh_bytes, in_flight_bytes, in_flight_max_bytes;
    uint64_t pacing_bytes_per_s, delivery_bytes_per_s;
    uint64_t recv_window_bytes;
    uint64_t handshake_ns;
    uint64_t key_updates_sent, key_updates_received, forgeries;
    uint64_t frames_sent[VLY_FRAME_TYPES], frames_received[VLY_FRAME_TYPES]; /* by type */
    uint64_t path_changes;                    /* server: the client's address changed, SPEC 3.2 */
    uint64_t datagram_received_bytes;         /* the longest that came */
    uint64_t datagram_bytes;                  /* the path carries, as far as is known (SPEC 5.7) */
    uint64_t mtu_probes_sent, mtu_fall_backs; /* to find that out; to the base size */
    /* Time the sender spent unable to send, by cause. */
    uint64_t limited_cwnd_ns, limited_flow_ns, limited_pacing_ns, limited_app_ns;
};

#define VLY_STREAM_NONE UINT64_MAX

enum vly_event_type {
    VLY_EV_CONNECTED,      /* client: the server accepted */
    VLY_EV_ACCEPTED,       /* server: a new connection, confirmed */
    VLY_EV_STREAM_OPENED,  /* by the peer: before its first DATA */
    VLY_EV_DATA,           /* offset, data; see vly_conn_set_order */
    VLY_EV_STREAM_END,     /* all bytes up to the final size (`offset`) have been handed on */
    VLY_EV_STREAM_RESET,   /* the peer ended its direction: code */
    VLY_EV_STREAM_STOPPED, /* the peer wants no more of ours: code; our direction is reset already
                            */
    VLY_EV_STREAM_ACKED,   /* everything we sent on the stream, with its end, was acknowledged */
    /* vly_conn_write_room has become useful again; stream VLY_STREAM_NONE: more streams may be
       opened */
    VLY_EV_WRITABLE,
    VLY_EV_MOVED,  /* server: the client has another address now, vly_conn_peer (SPEC 3.2) */
    VLY_EV_CLOSED, /* the last event of a connection: err, code, reason */
    /* server: a client that receives where it says was refused; conn NULL, `data` its address,
       `code` an enum vly_close_code */
    VLY_EV_TURNED_AWAY,
};

struct vly_event {
    enum vly_event_type type;
    struct vly_conn *conn;
    uint64_t stream;
    uint64_t offset;
    struct vly_span data; /* borrowed until the next call of any verb of the endpoint */
    int err;              /* CLOSED: 0 after a clean close, else enum vly_err */
    bool app_code;        /* CLOSED: `code` is the application's, else enum vly_close_code */
    uint64_t code;
    char reason[128 + 1]; /* CLOSED: printable or not, from the peer: escape it. NUL-terminated */
};

/* What the application has attached; NULL at first. */
void vly_conn_set_user(struct vly_conn *c, void *user);
void *vly_conn_user(const struct vly_conn *c);
enum vly_role vly_conn_role(const struct vly_conn *c);
/* The peer's address as given with its packets; borrowed for the connection's life. A client's may
 * change: VLY_EV_MOVED. */
struct vly_span vly_conn_peer(const struct vly_conn *c);
/* The other end's public key, 32 bytes, borrowed for the connection's life; NULL when it has shown
 * none (plain, another method than keys, before its message). */
const uint8_t *vly_conn_peer_key(const struct vly_conn *c);
/* What protects DATA packets; never NULL. */
const struct vly_suite_ops *vly_conn_suite(const struct vly_conn *c);

/* Opens the next stream of this side. Returns 0, VLY_E_AGAIN when the peer allows no more now,
 * VLY_E_STATE, VLY_E_NOMEM. */
VLY_MUST_USE int vly_conn_open_stream(struct vly_conn *c, uint64_t *id);
/* How arriving data is handed on: in order (default), or as it comes. The latter may be asked for
 * at any time: what waits for a gap to close by then, as it may from a stream's very opening on, is
 * handed on with the stream's next data. In order again only while there is no gap, else
 * VLY_E_STATE; as for a stream that is not there. */
VLY_MUST_USE int vly_conn_set_order(struct vly_conn *c, uint64_t id, enum vly_order order);

/* Bytes the stream would take now. At 0, WRITABLE follows once reserve or write has met that too.
 */
size_t vly_conn_write_room(const struct vly_conn *c, uint64_t id);
/* Room inside the send buffer to be filled in place: *len in: wanted, out: given (at least 1).
 * VLY_E_AGAIN when there is none now, VLY_E_STATE when the stream cannot be written, VLY_E_NOMEM.
 * Borrowed until the next call on `c` or its endpoint. */
VLY_MUST_USE int vly_conn_reserve(struct vly_conn *c, uint64_t id, uint8_t **ptr, size_t *len);
/* The first `len` bytes of the reserved room are filled; `fin`: the stream ends with them (len may
 * be 0). */
VLY_MUST_USE int vly_conn_commit(struct vly_conn *c, uint64_t id, size_t len, bool fin);
/* Sends from the application's own memory: *len in: offered, out: taken; `fin` counts when all was
 * taken. It stays as it is until vly_conn_released has passed it, or until CLOSED. Errors as
 * reserve. */
VLY_MUST_USE int vly_conn_lend(struct vly_conn *c, uint64_t id, const uint8_t *data, size_t *len,
                               bool fin);
/* So many bytes of the stream are acknowledged from its beginning on: they are not read any more.
 * UINT64_MAX: none is any more, our direction is over or was reset. */
uint64_t vly_conn_released(const struct vly_conn *c, uint64_t id);
/* Copies as much of `data` as there is room for; *written may be less than len. `fin` applies when
 * all was taken. Returns 0 (also with *written 0), VLY_E_STATE, VLY_E_NOMEM. */
VLY_MUST_USE int vly_conn_write(struct vly_conn *c, uint64_t id, struct vly_span data, bool fin,
                                size_t *written);
/* Gives back credit for `bytes` of DATA that were handed on. */
void vly_conn_consume(struct vly_conn *c, uint64_t id, uint64_t bytes, uint64_t now_ns);
/* Ends our direction without its remaining data; a no-op when it is ended already. */
void vly_conn_reset_stream(struct vly_conn *c, uint64_t id, uint64_t code);
/* Asks the peer to end its direction; arriving data is dropped from now on. */
void vly_conn_stop_stream(struct vly_conn *c, uint64_t id, uint64_t code);
/* While true the application waits for the peer: silence is then probed (SPEC 7, RULE 8). */
void vly_conn_expect_answer(struct vly_conn *c, bool expecting);
/* Sends PING with the next packet. */
void vly_conn_ping(struct vly_conn *c);
/* Ends the connection with an application code. CLOSED follows when the peer has confirmed or after
 * 500 ms. `reason` is cut to VLY_REASON_MAX bytes. */
void vly_conn_close(struct vly_conn *c, uint64_t now_ns, uint64_t code, const char *reason);
/* `s` is filled wholly. */
void vly_conn_stats(const struct vly_conn *c, struct vly_conn_stats *s);
/* The local socket's drop counter (SO_RXQ_OVFL), for ACK frames. */
void vly_conn_set_kernel_drops(struct vly_conn *c, uint64_t drops, uint64_t now_ns);

#endif
