/*
 * tcp_world - two TCP transports on one uv loop over loopback, used through their links; either end
 * may be a bare socket instead, that says what the test wants.
 *
 * Over UDP instead, when the test says so in the options. Plain, unless the test seals it: then the
 * server has a key that the client knows.
 *
 * What a stream carries is a known pattern, checked as it arrives. A watchdog fails the test after
 * a minute.
 */
#ifndef VLY_TESTS_TCP_WORLD_H
#define VLY_TESTS_TCP_WORLD_H

#include "net/tcp_internal.h"
#include "proto/crypto.h"
#include "support.h"

#define TCP_WORLD_STREAMS 8u
#define TCP_WORLD_REJECT 13u

struct tcp_world;

/* One of the two, and what has happened to it. Arrays by stream / 2. */
struct tcp_end {
    struct tcp_world *world;
    struct vly_transport *transport;
    struct vly_security security; /* used unless the world is plain */
    struct vly_link *link;        /* NULL before it exists and after on_closed */
    uint64_t received[TCP_WORLD_STREAMS], sent[TCP_WORLD_STREAMS], to_send[TCP_WORLD_STREAMS];
    bool ended[TCP_WORLD_STREAMS], fin_sent[TCP_WORLD_STREAMS];
    uint64_t reset_code[TCP_WORLD_STREAMS], stop_code[TCP_WORLD_STREAMS]; /* UINT64_MAX: none */
    uint64_t any_stream;  /* its content is not compared; UINT64_MAX: none */
    uint64_t hold_stream; /* its content is not consumed; UINT64_MAX: none */
    bool gives_up;        /* what the peer resets it resets as well */
    bool takes_turns;     /* writes on a stream only when told of that one */
    unsigned streams_opened, writable_opens;
    bool open;
    unsigned closed, transports_closed;
    int err;
    uint64_t code;
    char reason[VLY_REASON_MAX + 1];
    struct vly_link_stats stats; /* in on_closed */
    bool has_peer_key;           /* likewise */
    uint8_t peer_key[VLY_PUBLIC_KEY_BYTES];
};

struct tcp_world {
    uv_loop_t loop;
    uv_timer_t watchdog;
    struct vly_transport_options options;
    size_t max_links;
    int accept_err;
    unsigned turned_away; /* by the server; the latest reason: */
    char turned_away_why[128];
    uint64_t generation_blocks; /* of sealed links; 0: as usual */
    struct tcp_end client, server;
};

/* The keys of a sealed world's ends, and a key that both may be given in place of them. */
extern const uint8_t tcp_client_secret[32], tcp_server_secret[32], tcp_psk[32];
/* Whether new worlds are sealed. */
extern bool tcp_worlds_sealed;
/* Sets it, before a group of tests. */
int tcp_worlds_seal(void **state);

struct tcp_world *tcp_world_new(void);
/* Has the transports to come sealed. */
void tcp_world_seal(struct tcp_world *w);
/* With a pre-shared key at both ends. */
void tcp_world_seal_psk(struct tcp_world *w);
/* X25519 of a secret; static. */
const uint8_t *tcp_public_key(const uint8_t secret[32]);
/* Closes what is open, runs the loop empty, frees. */
void tcp_world_free(struct tcp_world *w);
void tcp_world_serve(struct tcp_world *w);
/* A transport for `e`, connected to the port. */
void tcp_world_connect(struct tcp_world *w, struct tcp_end *e, uint16_t port);
/* Both, and waits until both have their links. */
void tcp_world_open(struct tcp_world *w);
/* Runs the loop until `*flag` is not 0. */
void tcp_world_run_until(struct tcp_world *w, const unsigned *flag);
/* Runs the loop until condition(w). */
void tcp_world_run_while(struct tcp_world *w, bool (*condition)(const struct tcp_world *w));
/* Runs the loop without waiting. */
void tcp_world_turn(struct tcp_world *w, unsigned turns);

/* Opens the client's next stream (UINT64_MAX: not now) and has `bytes` of the pattern written to
 * it, then its end. */
uint64_t tcp_end_send(struct tcp_end *e, uint64_t bytes);
/* Writes what the link takes. */
void tcp_end_pump(struct tcp_end *e);
/* The pattern. */
void tcp_pattern(uint8_t *out, size_t len, uint64_t stream, uint64_t offset);

/* A bare socket: blocking, connected to the server; or listening, with its port. The caller closes.
 */
int tcp_raw_connect(uint16_t port);
int tcp_raw_listen(uint16_t *port);

#endif
