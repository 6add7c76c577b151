/*
 * raw - a scripted peer of one endpoint of a pair: it writes its packets itself, frame by frame,
 * and reads what comes back. For what no endpoint would do.
 *
 * Where the pair is sealed it holds keys of its own, and what it does is done by a client or server
 * with valid keys.
 *
 *     raw_accept(&r, p, NULL);                   the client's connection, with us as its server
 *     vly_frame_ping_encode(raw_packet(&r));
 *     raw_send(&r);                              arrives at once
 *     raw_take(&r);                              what the endpoint has to say, into r.seen
 *     assert_int_equal(r.seen.frames[VLY_FRAME_ACK], 1);
 */
#ifndef VLY_TESTS_RAW_H
#define VLY_TESTS_RAW_H

#include "proto/ackset.h"
#include "support/pair.h"

#define RAW_SKIPPED_MAX 64u
#define RAW_RTT_NS VLY_MS(10) /* what the set-up takes each way and back */

struct raw_seen {
    uint64_t packets;     /* of type DATA */
    uint64_t frames[256]; /* by type */
    uint64_t handshake[256];
    uint64_t stream_bytes;
    uint64_t max_data, max_streams, max_stream_data; /* the largest */
    uint64_t largest_pn;
    uint64_t last_sent_bytes; /* of all datagrams of the last raw_take */
    struct vly_ack ack;       /* the last; its ranges are not to be walked */
    uint8_t path[8];          /* of the last PATH_RESPONSE */
    uint64_t close_code;
    char reason[VLY_REASON_MAX + 1];
    struct vly_refuse refuse; /* its reason is not to be used */
};

struct raw {
    struct pair *p;
    enum pair_who host; /* the side that is real */
    struct vly_addr addr;
    uint64_t cid;      /* ours */
    uint64_t host_cid; /* theirs */
    uint64_t next_pn;
    uint64_t expected_pn; /* the next of theirs */
    uint64_t skipped[RAW_SKIPPED_MAX];
    size_t skipped_n;
    struct vly_params host_params;
    /* Sealed: which of p->scripted is ours, our message, what the other end's HELLO said. */
    enum vly_method method;
    size_t secrets;
    uint8_t message[1 + VLY_HANDSHAKE_MAX];
    size_t message_len;
    uint8_t finish[VLY_HANDSHAKE_MAX];
    size_t finish_len;
    uint8_t suite;
    uint32_t version; /* what our ACCEPT says under its seal; it says version 1 in clear */
    struct vly_ackset received;
    struct raw_seen seen;
    uint8_t cookie[VLY_COOKIE_MAX];
    size_t cookie_len;
    struct vly_wr w;
    uint8_t buf[VLY_DATAGRAM_MAX];
};

/* What the scripted side announces where nothing else is said: plenty of everything. */
struct vly_params raw_params(void);

/* Opens a connection to the server of `p` from `addr` (NULL: the client's); `params` NULL:
 * raw_params. */
void raw_connect(struct raw *r, struct pair *p, const struct vly_addr *addr,
                 const struct vly_params *params);
/* The client of `p` connects, and is accepted; its side[PAIR_CLIENT].conn is open. */
void raw_accept(struct raw *r, struct pair *p, const struct vly_params *params);

/* The steps of raw_connect, for those who want to stumble on the way. */
void raw_init(struct raw *r, struct pair *p, enum pair_who host, const struct vly_addr *addr);
/* Sends HELLO with the cookie there is. `version` 0: version 1. */
void raw_hello(struct raw *r, const struct vly_params *params, uint32_t version);
/* Answers the first HELLO of the client by a cookie, and takes the second. */
void raw_retry(struct raw *r);
/* Answers that. */
void raw_send_accept(struct raw *r, const struct vly_params *params, uint8_t suite);

/* Sends FINISH, if the method has one; then the keys are known. Again: the same bytes. */
void raw_finish(struct raw *r, const struct vly_params *params);

/* The packet in the making; frames are written to it. */
struct vly_wr *raw_packet(struct raw *r);
/* Seals it with the next number and hands it to the endpoint. */
void raw_send(struct raw *r);
/* With this number; the next one follows it. */
void raw_send_pn(struct raw *r, uint64_t pn);
void raw_send_ecn(struct raw *r, enum vly_ecn ecn);
/* Seals without sending; the bytes are in `buf`, for as long as nothing else is written. */
struct vly_span raw_seal(struct raw *r, uint64_t pn);
/* Anything, from our address. */
void raw_give(struct raw *r, struct vly_span datagram);

/* Frames that encoders of the engine would refuse to write can be put together by hand. */
void raw_stream(struct raw *r, uint64_t id, uint64_t offset, size_t len, bool fin);
/* [begin, end) of the numbers the endpoint sent. */
void raw_ack(struct raw *r, uint64_t begin, uint64_t end);
/* All that was received, as an honest peer would; no-op when nothing was. */
void raw_ack_all(struct raw *r);

/* Reads all that the endpoint has sent. Returns the number of datagrams. */
size_t raw_take(struct raw *r);
/* Time passes; the endpoint serves its deadlines, and what it sends is read. Returns the number of
 * datagrams. */
size_t raw_run(struct raw *r, uint64_t for_ns);

#endif
