/*
 * load_request - what a client of the load generator asks for, as JSON and within its limits.
 *
 * The forward way is the one that counts: from the client to the server, reversed from the server
 * to the client. With `bidir` data goes back at the same time.
 */
#ifndef BENCH_LOAD_REQUEST_H
#define BENCH_LOAD_REQUEST_H

#include "file/fault.h"

#include <jansson.h>

#define BENCH_LOAD_VERSION 2
#define BENCH_PARALLEL_MAX 128u
#define BENCH_BLOCK_MAX (UINT64_C(16) << 20)
#define BENCH_DATAGRAM_MAX 65507u
#define BENCH_ACK_EVERY_MAX 128u
#define BENCH_TCP_MSS_MAX 32767u /* what TCP_MAXSEG takes */
#define BENCH_TOKEN_BYTES 16u
#define BENCH_TOKEN_TEXT (2 * BENCH_TOKEN_BYTES + 1)

enum bench_protocol {
    BENCH_TCP,
    BENCH_TLS,
    BENCH_UDP_RAW,
    BENCH_VOLLEY,
    BENCH_VOLLEY_PLAIN, /* without encryption: what that costs */
    BENCH_VOLLEY_TCP,   /* the same links sealed over TCP: what the transport is worth */
};

enum bench_way { BENCH_FORWARD, BENCH_BACK };
#define BENCH_WAYS 2u

/* X(name, least, most): all are uint64_t. */
#define BENCH_REQUEST_NUMBERS(X)                                      \
    X(duration_ns, 0, VLY_S(86400)) /* 0: until `bytes` have moved */ \
    X(bytes, 0, UINT64_C(1) << 50)                                    \
    X(warmup_ns, 0, VLY_S(3600))                                      \
    X(interval_ns, 0, VLY_S(3600)) /* 0: no intervals */              \
    X(timeout_ns, VLY_MS(100), VLY_S(3600))                           \
    X(parallel, 1, BENCH_PARALLEL_MAX)                                \
    X(block_bytes, 1, BENCH_BLOCK_MAX)                                \
    X(window_bytes, 0, UINT64_C(1) << 34)                             \
    X(rate_bytes_per_s, 0, UINT64_C(1) << 40) /* of all streams */    \
    X(mss_bytes, 0, BENCH_DATAGRAM_MAX)                               \
    X(ack_every_pkts, 0, BENCH_ACK_EVERY_MAX) /* Volley over UDP, both ends; 0: by itself */

#define BENCH_REQUEST_FLAGS(X)                                    \
    X(reverse)                                                    \
    X(bidir)                                                      \
    X(verify)  /* compare every byte, not eight of each 16 KiB */ \
    X(no_spin) /* plain Volley: both ends sleep at once when nothing comes */

struct bench_request {
    enum bench_protocol protocol;
#define X(name, least, most) uint64_t name;
    BENCH_REQUEST_NUMBERS(X)
#undef X
#define X(name) bool name;
    BENCH_REQUEST_FLAGS(X)
#undef X
    char cc[16], io[16];        /* "": the default */
    char suite[24], crypto[16]; /* of sealed Volley; "": auto */
};

/* "tcp", "tls", "udp-raw", "volley", "volley-plain", "volley-tcp"; static. */
const char *bench_protocol_name(enum bench_protocol protocol);
/* Whether it is our protocol, and whether that is encrypted. */
bool bench_protocol_is_volley(enum bench_protocol protocol);
bool bench_protocol_is_sealed(enum bench_protocol protocol);
bool bench_protocol_parse(const char *name, enum bench_protocol *out);

/* 10 s of volley over one connection by blocks of 128 KiB. */
void bench_request_init(struct bench_request *r);
/* Whether it is possible at all: the limits, and what contradicts itself. VLY_E_INVALID. */
VLY_MUST_USE int bench_request_check(const struct bench_request *r, struct vly_fault *why);
/* NULL when out of memory. */
json_t *bench_request_to_json(const struct bench_request *r);
/* Every member must be there; VLY_E_MALFORMED, and VLY_E_INVALID from the check. */
VLY_MUST_USE int bench_request_from_json(struct bench_request *out, const json_t *object,
                                         struct vly_fault *why);

/* Data connections of the run; the first `parallel` go forward. */
unsigned bench_request_conns(const struct bench_request *r);
/* Whether this end is the sender of a way. */
bool bench_request_sends(const struct bench_request *r, bool server, enum bench_way way);
/* Bytes of one stream of a way; UINT64_MAX when time decides. */
uint64_t bench_request_share(const struct bench_request *r, unsigned stream);

/* What a data connection shows first, so that strangers cannot join a run. */
struct bench_token {
    uint8_t bytes[BENCH_TOKEN_BYTES];
};

void bench_token_text(const struct bench_token *token, char text[BENCH_TOKEN_TEXT]);
VLY_MUST_USE int bench_token_parse(struct bench_token *out, const char *text);
/* In a time that tells nothing of where they differ. */
bool bench_token_equal(const uint8_t *a, const struct bench_token *b);

/*   bytes  preamble of a data connection
 *      16  token
 *       2  number of the connection, most significant byte first
 */
#define BENCH_PREAMBLE_BYTES 18u

void bench_preamble_write(uint8_t out[BENCH_PREAMBLE_BYTES], const struct bench_token *token,
                          unsigned conn);
/* Returns false for a stranger, or a connection there is none of. */
bool bench_preamble_read(const uint8_t in[BENCH_PREAMBLE_BYTES], const struct bench_token *token,
                         unsigned conns, unsigned *out_conn);

#endif
