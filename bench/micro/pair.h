/*
 * pair - a client and a server of the engine in this thread, joined by a loop.
 */
#ifndef VLY_BENCH_MICRO_PAIR_H
#define VLY_BENCH_MICRO_PAIR_H

#include "proto/endpoint.h"

struct micro_end {
    struct vly_endpoint *ep;
    struct vly_crypto crypto;
    struct vly_credentials *credentials; /* owned, in secret memory */
    struct vly_addr addr;
    struct vly_conn *conn; /* once it stands, until it is closed */
    uint64_t data_bytes;   /* of streams that came, and were consumed */
};

struct micro_pair {
    struct micro_end client, server;
    uint64_t now_ns; /* stands still unless somebody moves it */
    struct vly_batch batch;
};

/* What cannot go wrong here, as these are the program's own two ends, ends the program. */
void micro_must(bool good);

/* Two endpoints of the method (VLY_METHOD_NONE: plain), which send datagrams of up to
 * `datagram_bytes`. `crypto` is copied. Returns 0 or VLY_E_NOMEM. */
VLY_MUST_USE int micro_pair_new(struct micro_pair **out, const struct vly_crypto *crypto,
                                enum vly_method method, uint32_t datagram_bytes);
void micro_pair_free(struct micro_pair *p); /* NULL is allowed */

/* Opens a connection, at both ends. */
void micro_pair_open(struct micro_pair *p);
/* Takes to the other end what either has to send, until there is nothing. */
void micro_pair_settle(struct micro_pair *p);

/* Hands a batch to `to`, which opens it in place, and takes the events. */
void micro_batch_receive(struct vly_batch *b, const struct micro_end *from, struct micro_end *to,
                         uint64_t now_ns);

#endif
