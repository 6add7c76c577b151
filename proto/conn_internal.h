/*
 * conn_internal - the state of a connection, seen by conn*.c and endpoint.c alone.
 *
 * conn.c lifecycle, timers, calls of the application but those on streams; conn_stream.c streams,
 * and those calls; conn_state.c, conn_hello.c (client) and conn_accept.c (server) set-up;
 * conn_recv.c packets in, conn_recv_run.c many alike at once; conn_ack.c acknowledgement and loss;
 * conn_send.c packets out, conn_send_run.c many alike at once; conn_seal.c their protection;
 * conn_path.c a new address of the client; conn_pmtud.c how long datagrams are; conn_close.c the
 * end.
 */
#ifndef VLY_PROTO_CONN_INTERNAL_H
#define VLY_PROTO_CONN_INTERNAL_H

#include "ackset.h"
#include "ecn.h"
#include "loss.h"
#include "pacer.h"
#include "packet.h"
#include "pmtud.h"
#include "prr.h"
#include "shared.h"
#include "stream.h"

/* SPEC 3 and 7. */
enum vly_conn_state {
    VLY_STATE_HELLO_SENT,  /* client: no cookie yet */
    VLY_STATE_COOKIE_SENT, /* client: HELLO with a cookie is out */
    VLY_STATE_ACCEPTED,    /* server: the client has not shown yet that it has our ACCEPT */
    VLY_STATE_OPEN,
    VLY_STATE_CLOSING, /* ours: CLOSE is repeated until the peer confirms */
    VLY_STATE_CLOSED,
};

/* What moves a connection while it is set up: the rows of SPEC 3's table. */
enum vly_transition {
#define VLY_TRANSITION(name, next, end, state, other) VLY_##name,
#include "handshake_states.def"
#undef VLY_TRANSITION
};

/* RULE 4: no back-off, see SPEC 3. */
#define VLY_HELLO_TIMER_NS VLY_MS(250)
#define VLY_CLOSE_LINGER_NS VLY_MS(500)
#define VLY_KEEPALIVE_NS VLY_S(15) /* RULE 8 */
#define VLY_SKIP_MIN_PKTS 512u     /* SPEC 5.5 */
#define VLY_FLOOR_EVERY_PKTS 128u
#define VLY_UNSENT_MAX (512u << 10) /* bytes buffered ahead of what was sent, all streams */
#define VLY_STREAM_ROOM_MIN \
    16384u /* what a stream may buffer though others fill the connection's share */

/* An address that may be the client's new one, SPEC 3.2. RULE 37: one, whatever arrives. */
struct vly_path {
    struct vly_addr addr; /* len 0: there is none */
    uint8_t challenge[8];
    uint64_t since_ns, heard_ns;         /* its first packet, its last that was the newest */
    uint64_t challenge_due_ns;           /* PATH_CHALLENGE goes (again) */
    uint64_t received_bytes, sent_bytes; /* from and to it */
    bool failed;                         /* a candidate did not answer since the last change */
    unsigned contenders;                 /* drawn from, the candidate among them */
};

/* Why sending stopped: the time until it goes on is put down to it. */
enum vly_blocked { VLY_BLOCKED_APP, VLY_BLOCKED_CWND, VLY_BLOCKED_FLOW, VLY_BLOCKED_PACING };

struct vly_conn {
    struct vly_shared *sh; /* the endpoint's; outlives the connection */
    void *user;
    enum vly_role role;
    enum vly_conn_state state;
    bool
        told; /* the application knows of it (CONNECTED pending, ACCEPTED told): owes it a CLOSED */
    struct vly_addr peer;
    uint64_t cid;      /* ours: in packets to us */
    uint64_t peer_cid; /* theirs: in packets to them */

    /* Set-up. */
    uint64_t start_ns;
    uint64_t hello_due_ns; /* client: when HELLO or FINISH goes out (again) */
    /* The flight whose answer gives the first round-trip sample: when it went out, and how often.
     */
    uint64_t flight_sent_ns;
    unsigned flights;
    uint8_t cookie_len;
    uint8_t cookie[VLY_COOKIE_MAX];
    bool accept_pending; /* server: answer the HELLO */
    bool has_reset_token;
    uint8_t reset_token[VLY_RESET_TOKEN_BYTES]; /* client: the server's; server: ours */
    struct vly_params peer_params;

    /* Keys. */
    const struct vly_suite_ops *suite; /* of DATA packets; before ACCEPT the first one offered */
    struct vly_handshake *handshake;   /* NULL: plain, or over */
    uint8_t *message; /* owned: our last handshake message, with the method in HELLO; or NULL */
    size_t message_len;
    unsigned unproved;               /* client: ACCEPTs that did not verify */
    bool finished;                   /* server: FINISH has verified */
    struct vly_send_keys *send_keys; /* NULL before the handshake's end */
    struct vly_recv_keys *recv_keys;
    bool has_peer_key;
    uint8_t peer_key[VLY_KEY_BYTES];

    /* Receiving. */
    struct vly_ackset ackset;
    uint64_t kernel_drops;
    uint64_t last_received_ns;
    bool path_response_pending;
    uint8_t path_response[8];
    struct vly_path path; /* server */

    /* Sending. */
    struct vly_sentlog log;
    struct vly_rtt rtt;
    struct vly_loss loss;
    struct vly_rate rate;
    struct vly_cc cc;
    struct vly_prr prr;
    struct vly_pacer pacer;
    struct vly_ecn_path ecn;
    uint32_t datagram_bytes; /* largest to send: what the path carries, or less */
    struct vly_pmtud pmtud;
    unsigned probes; /* probe packets still to send (PTO) */
    bool ping_pending;
    uint64_t skip_at_pn; /* the next number to leave out */
    uint64_t floor_pn;   /* number of the packet that last carried FLOOR */
    uint64_t floor_sent;
    uint64_t round_delivered; /* delivered_bytes that ends the current round trip */
    uint64_t cwnd_limited_ns; /* last time the window was what stopped us */
    uint64_t delivery_bytes_per_s;

    /* Streams. */
    struct vly_streams streams;
    uint64_t next_id[2];        /* by role: the next id that side opens */
    uint64_t peer_max_streams;  /* how many we may have opened in all */
    uint64_t our_max_streams;   /* how many they may */
    uint64_t peer_streams_over; /* of theirs, finished */
    struct vly_flow_send send_credit;
    bool flow_blocked; /* credit has held data back and none has come since */
    struct vly_flow_recv recv_credit;
    bool need_max_data, need_max_streams;
    uint64_t send_held_bytes;    /* in all send buffers */
    uint64_t unsent_bytes;       /* of those: never sent yet */
    unsigned rooms_wanted;       /* streams with wants_room */
    struct vly_stream *buffered; /* streams that handed on from their blocks, by buffered_next */

    /* Timers and liveness. */
    bool expecting;
    bool data_heard;            /* of an unfinished stream, since silence was probed last */
    uint64_t unanswered_ns;     /* oldest counted packet since the peer was last heard; VLY_NEVER */
    uint64_t last_keepalive_ns; /* VLY_NEVER: none yet */
    uint64_t pacing_due_ns;     /* pacing lets us go on then; VLY_NEVER */
    enum vly_blocked blocked;
    uint64_t blocked_since_ns;
    uint64_t deadline_ns; /* as known to the endpoint's heap */
    size_t heap_index;

    /* The end. */
    struct {
        bool by_app; /* the code is the application's */
        uint64_t code;
        int err;
        char reason[VLY_REASON_MAX + 1];
    } end;
    bool close_pending; /* CLOSE goes out with the next send */
    unsigned close_sent;
    uint64_t close_due_ns;   /* repeat */
    uint64_t close_until_ns; /* give up waiting for the peer's */

    struct vly_conn_stats stats; /* counters; gauges are filled when asked for */

    bool is_ready;
    struct vly_conn *ready_next;
    unsigned turn_batches;  /* sent in a row since it was at the head of the line */
    uint64_t turn_since_ns; /* the first of them */
    bool holds_events;      /* in the endpoint's list `received` */
    struct vly_conn *received_next;
    struct vly_conn *closed_next;
    bool is_half_open; /* in the list of those in ACCEPTED */
    struct vly_conn *half_open_next, *half_open_prev;
};

/* conn.c */
VLY_MUST_USE int vly_conn_new(struct vly_conn **out, struct vly_shared *sh, enum vly_role role,
                              const struct vly_addr *peer, uint64_t now_ns);
void vly_conn_free(struct vly_conn *c);
/* When time alone changes something. */
uint64_t vly_conn_deadline(const struct vly_conn *c);
void vly_conn_on_deadline(struct vly_conn *c, uint64_t now_ns);
void vly_conn_trace(const struct vly_conn *c, enum vly_trace_type type, uint64_t now_ns,
                    const uint64_t abc[3]);
/* Queues an event about a stream. Returns 0 or VLY_E_NOMEM. */
VLY_MUST_USE int vly_conn_event(struct vly_conn *c, enum vly_event_type type, uint64_t stream,
                                uint64_t offset);
/* Limits of the peer are known: windows, datagram size, stream credit. */
void vly_conn_apply_params(struct vly_conn *c, uint64_t now_ns);
void vly_conn_our_params(const struct vly_conn *c, struct vly_params *out);

/* conn_stream.c */
/* The peer's or our stream `id`, made (with all lower ones of the peer) when it is the peer's and
 * new. Returns 0 with *out NULL when it is over. Errors: the close code in *code with
 * VLY_E_PROTOCOL; VLY_E_NOMEM. */
VLY_MUST_USE int vly_conn_stream_for_frame(struct vly_conn *c, uint64_t id, uint64_t now_ns,
                                           struct vly_stream **out, uint64_t *code);
/* Removes the stream if both its directions are over. */
void vly_conn_sweep_stream(struct vly_conn *c, struct vly_stream *s);
/* Tells streams that waited for room. */
VLY_MUST_USE int vly_conn_offer_room(struct vly_conn *c);
/* What arrived on the stream will never be handed on: frees it and gives the connection's credit
 * for it back. */
void vly_conn_drop_received(struct vly_conn *c, struct vly_stream *s, uint64_t now_ns);
/* Frees what the events of the last datagram pointed to. */
void vly_conn_release_buffers(struct vly_conn *c);

/* conn_state.c */
/* Whether the row applies to the connection as it is. */
bool vly_conn_may(const struct vly_conn *c, enum vly_transition t);
/* Goes where the row leads; it must apply (asserted). */
void vly_conn_take(struct vly_conn *c, enum vly_transition t, uint64_t now_ns);
void vly_conn_set_state(struct vly_conn *c, enum vly_conn_state state, uint64_t now_ns);

/* conn_hello.c */
/* Client: makes message 1. Returns 0 or VLY_E_NOMEM. */
VLY_MUST_USE int vly_conn_begin_handshake(struct vly_conn *c);
/* A handshake packet went out: HELLO with a cookie, or ACCEPT. */
void vly_conn_flight_sent(struct vly_conn *c, uint64_t now_ns);
/* Its answer came: a round-trip sample, if it is clear which one was answered. */
void vly_conn_flight_answered(struct vly_conn *c, uint64_t now_ns);
/* Encodes the client's HELLO with the cookie it has, its FINISH. */
void vly_conn_write_hello(const struct vly_conn *c, struct vly_wr *w);
void vly_conn_write_finish(const struct vly_conn *c, struct vly_wr *w);
void vly_conn_on_retry(struct vly_conn *c, const struct vly_retry *p, uint64_t now_ns);
void vly_conn_on_accept(struct vly_conn *c, const struct vly_accept *p, uint64_t now_ns);
/* Our transport parameters in `buf`; they fit into VLY_HANDSHAKE_PAYLOAD_MAX bytes. */
struct vly_span vly_conn_encode_params(const struct vly_conn *c, uint8_t *buf, size_t cap);
/* Keeps a copy of our message, to be sent again. Returns 0 or VLY_E_NOMEM. */
VLY_MUST_USE int vly_conn_keep_message(struct vly_conn *c, const uint8_t *message, size_t len);
void vly_conn_drop_message(struct vly_conn *c);
/* What both ends have said in clear, SPEC 3.1. Returns its length. RULE 5 */
size_t vly_handshake_prologue(const struct vly_hello *hello, uint8_t method,
                              uint8_t out[VLY_HANDSHAKE_PROLOGUE_MAX]);

/* conn_accept.c */
/* What a HELLO offers, as far as the server takes it. */
struct vly_offer {
    const struct vly_suite_ops *suite;
    struct vly_handshake *handshake; /* owned; NULL: plain, or not taken */
    struct vly_params params;        /* the defaults when they come later */
};
/* Returns NO_ERROR, or why the HELLO is refused; `out` has to be freed in any case. */
enum vly_close_code vly_offer_read(const struct vly_shared *sh, const struct vly_hello *hello,
                                   struct vly_offer *out);
/* The new connection takes the offer over: its ACCEPT goes out. Returns 0, VLY_E_NOMEM, VLY_E_AUTH.
 */
VLY_MUST_USE int vly_conn_accept(struct vly_conn *c, struct vly_offer *offer, uint64_t now_ns);
void vly_conn_write_accept(const struct vly_conn *c, struct vly_wr *w);
/* Returns whether it was of use. */
bool vly_conn_on_finish(struct vly_conn *c, struct vly_span message, uint64_t now_ns);
/* The client has our ACCEPT: now the application hears of it. Returns 0 or VLY_E_NOMEM. */
VLY_MUST_USE int vly_conn_confirm(struct vly_conn *c, enum vly_transition how, uint64_t now_ns);

/* conn_recv.c: an opened DATA packet from the connection's peer. */
struct vly_packet {
    uint64_t pn;
    struct vly_span frames;
    enum vly_ecn ecn;
    uint32_t bytes;                   /* of the datagram */
    const struct vly_addr *elsewhere; /* where it came from; NULL: from the peer's address */
    uint64_t now_ns;
};
void vly_conn_on_packet(struct vly_conn *c, const struct vly_packet *p);

/* conn_recv_run.c: `n` packets that were opened by vly_conn_open_run, in the order they came; those
 * that did not verify, or come after the connection's end, are passed over. `like` tells what they
 * have in common. Returns how many were not. */
size_t vly_conn_recv_run(struct vly_conn *c, const struct vly_packet *like,
                         const struct vly_aead_job *jobs, size_t n);

/* conn_ack.c. Errors: a close code in *code with VLY_E_PROTOCOL, or VLY_E_NOMEM. */
VLY_MUST_USE int vly_conn_on_ack(struct vly_conn *c, const struct vly_ack *ack, uint64_t now_ns,
                                 uint64_t *code);
/* Declares what is lost by now; run on ACKs and on the loss timer. `acked_bytes`: newly
 * acknowledged by the ACK at hand. */
VLY_MUST_USE int vly_conn_detect_loss(struct vly_conn *c, uint64_t acked_bytes, uint64_t now_ns);

/* Gives up what is in flight: it goes out again. Returns 0 or VLY_E_NOMEM. */
VLY_MUST_USE int vly_conn_lose_in_flight(struct vly_conn *c, uint64_t now_ns);

/* conn_path.c */
/* Whether DATA from another address than the peer's may be opened. */
bool vly_conn_path_admits(const struct vly_conn *c, const struct vly_addr *from);
/* Such a packet verified; to be called before its number is recorded. */
void vly_conn_path_heard(struct vly_conn *c, const struct vly_packet *packet);
/* Returns 0 or VLY_E_NOMEM. */
VLY_MUST_USE int vly_conn_path_on_response(struct vly_conn *c, const uint8_t data[8],
                                           uint64_t now_ns);
/* When a challenge goes out; VLY_NEVER. */
uint64_t vly_conn_path_deadline_ns(const struct vly_conn *c);
/* When a client that waits for more asks, in case the server looks for it where it is no more;
 * VLY_NEVER. */
uint64_t vly_conn_path_quiet_ns(const struct vly_conn *c);
/* Makes `b` the challenge that is due; false when none is. */
bool vly_conn_path_send(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns);

/* conn_pmtud.c */
/* A path of which nothing is known: datagrams are as long as at first. */
void vly_conn_pmtud_start(struct vly_conn *c);
/* The window has changed: datagrams may be longer, or have to be shorter. */
void vly_conn_pmtud_fit(struct vly_conn *c);
/* Makes `b` the probe that is due; false when none is. */
bool vly_conn_pmtud_send(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns);
/* Packet `pn`, a probe, was acknowledged. */
void vly_conn_pmtud_acked(struct vly_conn *c, uint64_t pn, uint64_t now_ns);
/* Its time is over. */
void vly_conn_pmtud_lost(struct vly_conn *c, uint64_t now_ns);
/* Long datagrams seem not to pass any more. */
void vly_conn_pmtud_fall_back(struct vly_conn *c, uint64_t now_ns);
/* This host does not send datagrams of so many bytes to the peer. */
void vly_conn_pmtud_refused(struct vly_conn *c, size_t bytes, uint64_t now_ns);

/* conn_send.c: appends datagrams to `b` (empty at first); false when nothing was. */
bool vly_conn_send(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns);

/* What conn_send_run.c needs too: how many bytes the window lets go (RULE 26), at which rate (0:
 * any), up to where credit lets new data of a stream go, and the first number that should carry
 * FLOOR. */
uint64_t vly_conn_window_room(const struct vly_conn *c);
uint64_t vly_conn_pacing_rate(const struct vly_conn *c);
uint64_t vly_conn_stream_max_end(const struct vly_conn *c, const struct vly_stream *s);
uint64_t vly_conn_floor_due_pn(const struct vly_conn *c);
/* Counted packets of so many bytes together were recorded. */
void vly_conn_counted_sent(struct vly_conn *c, uint32_t bytes, uint64_t now_ns);

/* conn_send_run.c: appends packets of one stream's data to the bytes of `b`, as many as can go at
 * once, each `datagram_bytes` long; the caller counts them in `b`. Returns how many; 0: the next
 * packet is of another kind. */
unsigned vly_conn_send_run(struct vly_conn *c, struct vly_batch *b, uint64_t now_ns);

/* conn_seal.c */
/* The handshake is over, or there is none: makes the keys of both directions and frees it. Returns
 * 0 or VLY_E_NOMEM. */
VLY_MUST_USE int vly_conn_make_keys(struct vly_conn *c);
/* Keeps the other end's public key, if the handshake has shown it. */
bool vly_conn_note_peer_key(struct vly_conn *c);
/* To be called before packet h->pn is built: its key phase. Returns what vly_send_keys_for does. */
VLY_MUST_USE int vly_conn_begin_packet(struct vly_conn *c, struct vly_data_header *h);
/* Where the DATA packet is built that is to stand at `at` of a batch: `bytes` with its tag. */
struct vly_wr vly_conn_clear(struct vly_conn *c, size_t at, size_t bytes);
/* A DATA packet that ends at `w`, header and all, is complete: counts it and leaves room for its
 * tag. vly_conn_seal writes it to `out`, which may be where it stands; until then its last
 * `lent.len` bytes stay unwritten: they are taken from `lent`, which must not change before. */
void vly_conn_seal_later(struct vly_conn *c, uint64_t pn, struct vly_wr *w, struct vly_span lent,
                         uint8_t *out);
/* Seals all of those, in one call. */
void vly_conn_seal(struct vly_conn *c);
/* The same for a batch that is about to go, of which the engine's user may take a part from where
 * it stands. */
void vly_conn_seal_batch(struct vly_conn *c, struct vly_batch *b);
/* Opens packets of the present keys in one call; sets each one's `ok`. The forgeries among them
 * leave nothing but their count (RULE 9); too many of them end the connection. */
void vly_conn_open_run(struct vly_conn *c, struct vly_aead_job *jobs, size_t n, uint64_t now_ns);
/* Opens a packet of `len` bytes without its tag, where it stands. False: a forgery, of which
 * nothing but its count remains (RULE 9), or the connection has ended for it. */
bool vly_conn_open(struct vly_conn *c, const struct vly_data_header *h, uint8_t *pkt, size_t len,
                   uint64_t now_ns);

/* conn_close.c */
/* What a close code of the other end means to us: an enum vly_err. */
int vly_close_code_error(uint64_t code);
/* Ends the connection from our side for cause: sends one CLOSE, tells the application. */
void vly_conn_fail(struct vly_conn *c, int err, uint64_t code, uint64_t now_ns);
/* A client that has proved to receive, and keys to tell it by: CLOSE, again when it is lost. */
void vly_conn_turn_away(struct vly_conn *c, uint64_t code, uint64_t now_ns);
/* The server refused the HELLO. */
void vly_conn_refused(struct vly_conn *c, int err, const struct vly_refuse *p, uint64_t now_ns);
/* The connection is over: nothing more is sent. */
void vly_conn_end(struct vly_conn *c, int err, uint64_t now_ns);
void vly_conn_on_close_frame(struct vly_conn *c, bool by_app, uint64_t code, struct vly_span reason,
                             uint64_t now_ns);
/* Writes the CLOSE frame of a closing connection. */
void vly_conn_write_close(struct vly_conn *c, struct vly_wr *w);
void vly_conn_closing_timer(struct vly_conn *c, uint64_t now_ns);

#endif
