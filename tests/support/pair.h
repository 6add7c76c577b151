/*
 * pair - two endpoints by hand, in virtual time: each datagram can be looked at, dropped, changed,
 * or delivered again. Where a link with a rate or loss is wanted, there is scenario.h.
 *
 *     struct pair *p = pair_new(NULL, NULL);
 *
 *     pair_connect(p);
 *     pair_write(p, PAIR_CLIENT, pair_open(p, PAIR_CLIENT), 1000, true);
 *     pair_settle(p);
 *     assert_string_equal(p->side[PAIR_SERVER].log, "Aode");
 *     pair_free(p);
 *
 * A datagram takes 1 ms. Stream data is a pattern (pair_byte), checked as it arrives. The endpoints
 * are held to their contract: no memory left behind, no deadline in the past.
 */
#ifndef VLY_TESTS_PAIR_H
#define VLY_TESTS_PAIR_H

#include "proto/endpoint.h"
#include "support/sealed.h"
#include "support/support.h"

#define PAIR_START_NS VLY_S(1000)
#define PAIR_DELAY_NS VLY_MS(1)
#define PAIR_STREAMS_MAX 1024u
#define PAIR_LOG_MAX 512u

enum pair_who { PAIR_CLIENT, PAIR_SERVER };

struct pair_datagram {
    struct vly_addr to;
    enum vly_ecn ecn;
    size_t len;
    uint8_t *data; /* owned */
};

/* test_counting_alloc that also knows the peak. */
struct pair_alloc {
    struct vly_alloc alloc; /* to be handed on */
    struct test_counting_alloc counting;
    size_t max_bytes;
};

/* What the application of a side has seen of a stream. */
struct pair_stream {
    uint64_t bytes; /* of DATA */
    uint64_t unconsumed_bytes;
    uint64_t final_bytes; /* of STREAM_END */
};

struct pair_side {
    struct vly_endpoint *ep;
    struct vly_addr addr;
    struct pair_alloc alloc;
    struct vly_prng prng;
    struct vly_crypto crypto;
    struct pair_datagram *out; /* sent and not delivered yet */
    size_t out_n, out_cap;
    size_t apart_n;        /* datagrams of which a part stood elsewhere */
    struct vly_conn *conn; /* the last one made; NULL after CLOSED */
    bool holds_credit;     /* set by the test: DATA is not consumed */
    bool any_content;      /* set by the test: DATA is not the pattern */
    enum vly_order order;  /* set by the test: of streams that the peer opens */
    /* A letter an event; DATA in a row counts as one: C connected, A accepted, o opened, d data,
     * e end, r reset, s stopped, k acked, w writable, m moved, X closed, t turned away. */
    char log[PAIR_LOG_MAX];
    struct vly_event last[VLY_EV_TURNED_AWAY + 1]; /* by type; `data` is not to be used */
    uint64_t events[VLY_EV_TURNED_AWAY + 1];
    /* Of all events in order, but for the content of DATA and for CLOSED, which is told when there
     * is nothing else to tell of any connection. */
    uint64_t digest;
    struct pair_stream stream[PAIR_STREAMS_MAX]; /* by id; the last one stands for all above */
};

/* What a scripted peer (raw.h) of a sealed connection holds. */
struct pair_secrets {
    struct vly_handshake *handshake;
    struct vly_send_keys *send;
    struct vly_recv_keys *recv;
};

#define PAIR_BLANK 0xaa

struct pair {
    uint64_t now_ns;
    struct pair_side side[2];
    struct vly_batch batch;
    bool blank_batches;    /* `batch` holds PAIR_BLANK alone before it is filled */
    size_t secrets_before; /* blocks for secrets */
    struct pair_secrets *scripted;
    size_t scripted_n;
};

/* What an endpoint of this side is made with, where nothing else is said: plain, or as
 * sealed_method says. */
struct vly_endpoint_config pair_config(enum pair_who who);
/* The same, sealed by this method; NONE: plain. */
struct vly_endpoint_config pair_sealed(enum pair_who who, enum vly_method method);
/* Endpoints of their own allocators and random numbers; NULL: pair_config. Owned: pair_free. */
struct pair *pair_new(const struct vly_endpoint_config *client,
                      const struct vly_endpoint_config *server);
/* Freed with the pair; valid until the next call. */
struct pair_secrets *pair_new_secrets(struct pair *p);
/* Asserts that the endpoints gave all their memory back. */
void pair_free(struct pair *p);

/* Makes the client begin a connection. Nothing is sent yet. */
void pair_begin(struct pair *p);
/* A connection that is open on both sides, nothing under way. */
void pair_connect(struct pair *p);
/* pair_new and pair_connect; the settings of the connection at each side, NULL: defaults. */
struct pair *pair_connected(const struct vly_conn_config *client,
                            const struct vly_conn_config *server);

/* Collects all that the side may send now. Returns how many datagrams are under way from it. */
size_t pair_flush(struct pair *p, enum pair_who from);
/* Hands one datagram to a side as if it came from `from`; drains events. The bytes are copied. */
void pair_give(struct pair *p, enum pair_who to, const struct vly_addr *from, enum vly_ecn ecn,
               struct vly_span data);
/* Delivers, or drops, what is under way from the side. What goes elsewhere than to the other side
 * is dropped. */
void pair_deliver(struct pair *p, enum pair_who from);
/* The same with one call, as if all had arrived at once. */
void pair_deliver_run(struct pair *p, enum pair_who from);
void pair_drop(struct pair *p, enum pair_who from);
/* Drops the n-th of the datagrams under way from the side, from 0. */
void pair_drop_nth(struct pair *p, enum pair_who from, size_t nth);
/* Goes on while datagrams are under way; deadlines are not served. */
void pair_settle(struct pair *p);
/* Goes on for that long, deadlines served. */
void pair_run(struct pair *p, uint64_t for_ns);
/* Serves the deadline of one side if it is due. */
void pair_serve_deadline(struct pair *p, enum pair_who who);
/* Time passes and nothing happens. */
void pair_wait(struct pair *p, uint64_t for_ns);

/* The application. Each fails the test when it cannot be done wholly. */
uint8_t pair_byte(uint64_t stream, uint64_t offset);
uint64_t pair_open(struct pair *p, enum pair_who who);
/* Writes the next `len` bytes of the pattern, from `offset` on, as far as there is room. */
size_t pair_write_some(struct pair *p, enum pair_who who, uint64_t stream, uint64_t offset,
                       size_t len, bool fin);
/* The first `len` bytes of the stream, all of them. */
void pair_write(struct pair *p, enum pair_who who, uint64_t stream, size_t len, bool fin);
/* Consumes what the application holds of the stream. */
void pair_consume(struct pair *p, enum pair_who who, uint64_t stream);
/* Releases the connection after CLOSED. */
void pair_release(struct pair *p, enum pair_who who);
struct vly_conn_stats pair_stats(const struct pair *p, enum pair_who who);
struct vly_endpoint_stats pair_endpoint_stats(const struct pair *p, enum pair_who who);

#endif
