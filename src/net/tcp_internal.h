/*
 * tcp_internal - a TCP connection as tcp_link.c (calls and streams), tcp_handshake.c (how it
 * begins), tcp_in.c (records in), tcp_out.c (records out) and tcp_transport.c (loop, timers,
 * listening) share it.
 *
 *     CONNECTING --connected--> PREFACE --the peer's preface, plain--> OPEN --close()--> CLOSING
 *     PREFACE --the peer's preface, sealed--> HANDSHAKE --the peer holds its key--> OPEN
 *     any state but CLOSING --CLOSE, failure, silence--> OVER        CLOSING --end, 500 ms--> OVER
 *
 * Flow control is by credit for each stream, as over UDP: an end that does not consume one stream
 * still reads the others, above all the control stream, so nothing waits for what waits for it; the
 * socket itself is always read. What an end holds for a peer is bounded: credit times streams for
 * what its user keeps, one shared read buffer, and OUT_BYTES of records on their way out; of a
 * sealed link also those records once more as blocks, and one block that came in part. A stranger
 * can make it hold a struct tcp_handshake with its keys and the first page of that buffer. The
 * credit is larger than the kernel's own buffers, so it never is what limits a stream that is
 * consumed.
 *
 * Invariant: events are emitted from tcp_pump and tcp_tick alone; calls only change state, write,
 * and wake. A link is freed by tcp_finish, at the end of either. On a sealed transport nothing but
 * the handshake and a server's refusal is ever sent or believed in clear: `sealed` is set before
 * OPEN and never taken back.
 */
#ifndef VLY_NET_TCP_INTERNAL_H
#define VLY_NET_TCP_INTERNAL_H

#include "net/addr.h"
#include "net/offload.h"
#include "net/security.h"
#include "net/tcp_frame.h"
#include "net/tcp_seal.h"
#include "net/tcp_socket.h"
#include "net/transport_internal.h"

#define TCP_STREAMS_MAX 256u           /* of the peer, open at a time */
#define TCP_CONTENT_BYTES (256u << 10) /* of one record that we make */
#define TCP_OUT_BYTES (TCP_CONTENT_BYTES + (64u << 10))
#define TCP_WIRE_BYTES VLY_TCP_SEALED_BYTES(TCP_OUT_BYTES)
#define TCP_IN_BYTES (256u << 10)

enum tcp_link_state {
    LINK_CONNECTING,
    LINK_PREFACE,
    LINK_HANDSHAKE,
    LINK_OPEN,
    LINK_CLOSING,
    LINK_OVER
};

struct tcp_stream {
    struct tcp_stream *next;         /* of the link's streams */
    struct tcp_stream *next_control; /* of those with something to tell */
    uint64_t id;
    uint64_t sent_bytes, send_limit_bytes;
    uint64_t received_bytes, consumed_bytes, recv_limit_bytes;
    uint64_t reset_code, stop_code;
    bool send_over, recv_over; /* ended or reset; what tells the peer may still wait to go out */
    bool stopped;              /* by us: what arrives is dropped */
    bool over;                 /* both directions are */
    bool need_fin, need_reset, need_stop, need_credit;
    bool queued; /* in the control queue */
    bool wants_room;
};

/* Records on their way: the bytes [pos, len), then `file_left` bytes of a file, never of a sealed
 * link. There records are made in `text`, and `data` holds blocks. */
struct tcp_out {
    uint8_t *data; /* owned, TCP_WIRE_BYTES; NULL until something is sent */
    size_t pos, len;
    uint8_t *text; /* owned, TCP_OUT_BYTES; NULL until the link is sealed */
    size_t text_len;
    int file_fd; /* owned while file_left > 0 */
    uint64_t file_offset;
    size_t file_left;
    bool blocked; /* the socket is full */
};

struct tcp_handshake; /* tcp_handshake.c */

struct tcp_link {
    struct vly_link base; /* first: a link is its tcp_link */
    struct tcp_transport *transport;
    struct tcp_link *prev, *next; /* of the transport's links */
    enum tcp_link_state state;
    bool is_server;
    bool has_user; /* it knows of the link: events may be emitted */
    int fd;        /* -1 once closed */
    uv_poll_t poll;
    int poll_events;
    bool pumping, dirty;
    int broken; /* errno of a write: what the peer said before is still to be read */

    struct tcp_stream *streams; /* owned */
    struct tcp_stream *latest;  /* the one looked up last */
    struct tcp_stream *control_head, *control_tail;
    uint64_t next_id[2];       /* of the client's, the server's streams */
    uint32_t n_open[2];        /* not over, or the peer does not know yet */
    bool any_over;             /* streams to be freed */
    bool streams_wanted;       /* open_stream met VLY_E_AGAIN */
    bool need_ping, need_pong; /* to be sent */
    bool need_close;

    struct tcp_out out;
    uint64_t turn_bytes; /* taken in this pump */
    bool used_sendfile;

    struct tcp_handshake *handshake; /* owned; NULL in plain, and from OPEN on */
    bool sealed;                     /* `seal` is in use: for all that follows */
    struct vly_tcp_seal seal;
    bool has_peer_key;
    uint8_t peer_key[VLY_PUBLIC_KEY_BYTES];

    struct vly_tcp_preface peer; /* valid from OPEN on */
    struct {
        struct vly_tcp_header header;
        uint32_t data_left; /* content of the DATA record under way */
        uint8_t kept[VLY_TCP_HEADER_BYTES + VLY_TCP_BODY_MAX]; /* the beginning of a record */
        size_t kept_len;
    } in;

    bool expecting, pinged;
    uint64_t deadline_ns;     /* of the handshake, or of closing */
    uint64_t quiet_since_ns;  /* the peer was last heard of */
    uint64_t limit_answer_ns; /* silence that is borne after a ping */
    uint64_t limit_idle_ns;   /* without one */

    /* How it ended, for on_closed; and what goes into our CLOSE. */
    int end_err;
    bool end_is_application;
    uint64_t end_code;
    char end_reason[VLY_REASON_MAX + 1];
    struct vly_addr peer_addr;
    char peer_text[VLY_ADDR_TEXT_MAX];
};

struct tcp_transport {
    struct vly_transport base; /* first */
    struct vly_transport_spec spec;
    struct vly_tcp_options socket_opt;
    struct vly_net_security *security; /* owned; NULL: plain */
    uint64_t timeout_ns, credit_bytes;
    uint64_t generation_blocks; /* tests only: of the links to come */
    char application[VLY_TCP_APPLICATION_MAX + 1];
    char cc[VLY_CC_NAME_MAX];
    uv_loop_t *loop;
    int listener; /* -1: none */
    uv_poll_t listen_poll;
    uv_timer_t tick;
    uv_idle_t wake;
    bool listen_polled, accept_paused;
    unsigned n_handles; /* initialised and not closed */
    struct tcp_link *links;
    size_t n_links;
    struct vly_offloads offloads;
    uint8_t *in; /* owned, TCP_IN_BYTES: what is read, by one link at a time */
    enum { TCP_TRANSPORT_OPEN, TCP_TRANSPORT_CLOSING, TCP_TRANSPORT_GONE } state;
    void (*on_done)(void *ctx);
    void *done_ctx;
};

static inline struct tcp_link *tcp_of(struct vly_link *l)
{
    return (struct tcp_link *)l;
}

/* ---- tcp_link.c ---- */

extern const struct vly_link_ops tcp_link_ops;
extern const struct vly_link_ops tcp_sealed_link_ops; /* without send_file */

/* NULL when it is not open. */
struct tcp_stream *tcp_stream_find(struct tcp_link *l, uint64_t id);
/* Opens the next stream of an owner (0 client, 1 server). NULL: out of memory. */
struct tcp_stream *tcp_stream_add(struct tcp_link *l, unsigned owner);
/* To be called when a direction is over. */
void tcp_stream_check_over(struct tcp_link *l, struct tcp_stream *s);
/* Frees the streams that are over and told; all of them. */
void tcp_streams_sweep(struct tcp_link *l);
void tcp_streams_free(struct tcp_link *l);
/* What its need_... flags say is to be sent; it is on its way. */
void tcp_stream_tell(struct tcp_link *l, struct tcp_stream *s);
void tcp_stream_told(struct tcp_link *l, struct tcp_stream *s);
/* Whether the user asked for a stream in vain and would get one now. */
bool tcp_may_open(const struct tcp_link *l);
/* Our direction ends without the rest; a no-op when it is over. */
void tcp_stream_reset(struct tcp_link *l, struct tcp_stream *s, uint64_t code);
/* Tells the peer, then waits for its end: OVER. No-op from CLOSING on. `err` is for our user. */
void tcp_close(struct tcp_link *l, int err, bool is_application, uint64_t code, const char *reason);
/* It has ended, there is nothing to tell the peer. */
void tcp_end(struct tcp_link *l, int err, uint64_t code, const char *reason);
/* The connection failed with that errno. */
void tcp_fail(struct tcp_link *l, int errno_value);

/* ---- tcp_in.c ---- */

/* Reads what has arrived, within a turn's share. */
void tcp_read(struct tcp_link *l);
/* Bytes of the peer, changed by it (opened in place); what is left when the link is over or closing
 * is dropped. */
void tcp_take(struct tcp_link *l, struct vly_tcp_bytes in);
/* Bytes in clear where a CLOSE alone is believed. */
void tcp_take_refusal(struct tcp_link *l, struct vly_span *data);
/* Keeps bytes until there are `wanted`. Returns whether there are. */
bool tcp_gather(uint8_t *kept, size_t *kept_len, struct vly_span *data, size_t wanted);

/* ---- tcp_out.c ---- */

/* Whether content may be taken now; else the user is to wait for room. */
bool tcp_out_is_ready(struct tcp_link *l);
/* Room for the content of a record, at least 1; NULL when out of memory. */
uint8_t *tcp_out_room(struct tcp_link *l, size_t *len);
/* A record of `len` bytes that are in that room, or follow from a file. */
void tcp_out_commit(struct tcp_link *l, const struct vly_tcp_header *h, size_t in_room);
/* Prefaces and messages of the handshake, in clear, before any record. Returns false when out of
 * memory: the link is over then. */
bool tcp_out_clear(struct tcp_link *l, struct vly_span bytes);
/* Writes what there is until the socket is full. */
void tcp_flush(struct tcp_link *l);
void tcp_out_free(struct tcp_link *l);

/* ---- tcp_handshake.c ---- */

/* The client says the first word. */
void tcp_handshake_start(struct tcp_link *l);
/* The peer's preface is there as `bytes`, decoded if `err` is 0. */
void tcp_handshake_on_preface(struct tcp_link *l, const uint8_t *bytes, int err);
/* Bytes of the peer in HANDSHAKE. */
void tcp_handshake_take(struct tcp_link *l, struct vly_span *data);
/* The first block of a client in HANDSHAKE verified, or did not. */
void tcp_handshake_on_proof(struct tcp_link *l, bool verified);
/* The peer goes, in HANDSHAKE. */
void tcp_handshake_on_gone(struct tcp_link *l);
/* NULL is allowed. */
void tcp_handshake_free(struct tcp_handshake *h);

/* ---- tcp_transport.c ---- */

/* There is something to send or to tell: pumps soon, never at once. */
void tcp_wake(struct tcp_link *l);

#endif
