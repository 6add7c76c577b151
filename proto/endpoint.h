/*
 * endpoint - all connections behind one socket: the five verbs of the engine.
 *
 *     recv(datagram)      a datagram arrived, or a run of them
 *     send(batch)         what is to go out, as equal-sized datagrams to one address
 *     deadline()          when time alone will change something
 *     on_deadline(now)    that time has come
 *     next_event()        what the application should know
 *
 * Contract: after each verb but next_event, drain next_event until it returns false; pointers in
 * events are valid until the next verb. After a recv batch, a deadline or application calls, call
 * send until it returns false, then arm a timer for deadline(). Nothing here blocks, reads a clock,
 * or calls out, but to the allocator, the cipher, randomness and the trace sink.
 */
#ifndef VLY_PROTO_ENDPOINT_H
#define VLY_PROTO_ENDPOINT_H

#include "ackset.h"
#include "conn.h"
#include "handshake.h"
#include "keys.h"
#include "packet.h"

#define VLY_ADDR_MAX 28       /* a sockaddr_in6 fits */
#define VLY_BATCH_BYTES 65507 /* largest UDP payload, also of a segmented send */
#define VLY_BATCH_PKTS 64     /* datagrams in a batch at most */
/* What a connection may send in a row while others wait, for what arrives together is acknowledged
 * together: so many batches, fewer where many wait, so that a round of all of them is no more than
 * VLY_ROUND_BATCHES, or one each; none later than VLY_TURN_NS after the first, so that who fills a
 * slow socket holds nobody else up. */
#define VLY_TURN_BATCHES 8u
#define VLY_ROUND_BATCHES 200u /* at 20 Gbit/s 5 ms, as long as an ACK may be late */
#define VLY_TURN_NS VLY_MS(1)

/* An address is opaque bytes; two are the same when the bytes are. The first of them may be a port
 * (vly_endpoint_config.addr_port_bytes). */
struct vly_addr {
    uint8_t len;
    uint8_t data[VLY_ADDR_MAX];
};

bool vly_addr_equal(const struct vly_addr *a, const struct vly_addr *b);

struct vly_datagram {
    uint8_t *data; /* borrowed during the call; changed by it (opened in place) */
    size_t len;
    const struct vly_addr *from;
    enum vly_ecn ecn;
};

/* Datagrams to one address: `n` of them in `data`, each `segment_bytes` long, the last one maybe
 * shorter; `len` in all. Nothing in `data` that is to be sealed ever stands there in clear. Of a
 * single datagram, the bytes before its tag may stand elsewhere: `apart`, borrowed until the engine
 * is entered again, and their place in `data` holds nothing. */
struct vly_batch {
    uint8_t data[VLY_BATCH_BYTES];
    size_t len;
    size_t segment_bytes;
    unsigned n;
    struct vly_addr to;
    uint64_t cid;    /* the connection's own id, for the calls below; 0: of no connection */
    uint64_t end_pn; /* its packets' numbers are below */
    enum vly_ecn ecn;
    struct vly_span apart; /* empty unless the endpoint was made with takes_apart */
};

/* Copies what stands apart to its place. */
void vly_batch_gather(struct vly_batch *b);

struct vly_endpoint_config {
    struct vly_conn_config conn;     /* of every connection */
    const struct vly_alloc *alloc;   /* borrowed */
    const struct vly_crypto *crypto; /* borrowed */
    /* Plain: that suite alone is offered (client) and accepted (server). Else sealed suites alone
     * are, and `credentials` say how (SPEC 3.1); borrowed, in secret memory. */
    bool allow_plain;
    const struct vly_credentials *credentials;
    struct vly_keylog keylog;
    bool is_server; /* answer HELLO */
    /* Addresses that differ in no more than so many first bytes are ports of one host, SPEC 3.2. 0:
     * each is a host of its own. */
    unsigned addr_port_bytes;
    size_t max_conns;        /* 0: 1024 */
    unsigned max_batch_pkts; /* 0: VLY_BATCH_PKTS; 1: one datagram a batch */
    bool takes_apart;        /* who sends the batches knows of vly_batch.apart */
    struct vly_trace trace;
};

struct vly_endpoint;

/* Makes an endpoint. The application owns *out. Errors: VLY_E_NOMEM, VLY_E_INVALID. */
VLY_MUST_USE int vly_endpoint_new(struct vly_endpoint **out, const struct vly_endpoint_config *cfg,
                                  uint64_t now_ns);
/* Frees it with all its connections, sending nothing. NULL is allowed. */
void vly_endpoint_free(struct vly_endpoint *ep);

/* Begins a connection to `peer`; CONNECTED or CLOSED follows. `*out` is owned by the endpoint. */
VLY_MUST_USE int vly_endpoint_connect(struct vly_endpoint *ep, const struct vly_addr *peer,
                                      uint64_t now_ns, struct vly_conn **out);
/* The application has seen CLOSED and drops the connection; it is freed. */
void vly_endpoint_release(struct vly_endpoint *ep, struct vly_conn *c);

void vly_endpoint_recv(struct vly_endpoint *ep, const struct vly_datagram *d, uint64_t now_ns);
/* The same for `n` datagrams in the order they came, as one verb: their bytes must stay until the
 * events are drained. */
void vly_endpoint_recv_run(struct vly_endpoint *ep, const struct vly_datagram *d, size_t n,
                           uint64_t now_ns);
/* Fills `b`; returns false when there is nothing to send now. */
bool vly_endpoint_send(struct vly_endpoint *ep, struct vly_batch *b, uint64_t now_ns);
/* The host refuses to send datagrams of so many bytes, one of the batch of connection `cid` among
 * them (EMSGSIZE): it is lost, and the connection knows at once that no others get there. */
void vly_endpoint_on_refused(struct vly_endpoint *ep, uint64_t cid, size_t bytes, uint64_t now_ns);
/* Whether all packets of connection `cid` below `end_pn` were acknowledged, or given up some round
 * trips ago, or there is no such connection: nobody should need a batch's memory any more that was
 * left to the kernel to read. Who reads it too late reads packets that were sent later, or mixtures
 * that have no right tag. */
bool vly_endpoint_has_settled(const struct vly_endpoint *ep, uint64_t cid, uint64_t end_pn);
uint64_t vly_endpoint_deadline(const struct vly_endpoint *ep);
void vly_endpoint_on_deadline(struct vly_endpoint *ep, uint64_t now_ns);
bool vly_endpoint_next_event(struct vly_endpoint *ep, struct vly_event *ev);

struct vly_endpoint_stats {
    uint64_t conns; /* now */
    uint64_t conns_made;
    uint64_t datagrams_dropped; /* bad tag, malformed, unknown, wrong address */
    uint64_t retries_sent, unknown_sent, versions_sent, refused_sent;
};
void vly_endpoint_stats(const struct vly_endpoint *ep, struct vly_endpoint_stats *s);

#endif
