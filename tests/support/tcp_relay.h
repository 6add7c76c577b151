/*
 * tcp_relay - somebody between a client and a server over TCP, who may keep, change and cut what
 * they say.
 *
 * It works when it is stepped, in the test's thread, and never blocks.
 */
#ifndef VLY_TESTS_TCP_RELAY_H
#define VLY_TESTS_TCP_RELAY_H

#include "tcp_world.h"

#define TCP_RELAY_KEPT_MAX 4096u

enum relay_way { RELAY_TO_SERVER, RELAY_TO_CLIENT };

struct tcp_relay_way {
    uint64_t flip_bit; /* this bit of all that passes is changed; UINT64_MAX: none */
    uint64_t cut_at;   /* after so many bytes the direction ends; UINT64_MAX: never */
    uint64_t passed_bytes;
    uint8_t kept[TCP_RELAY_KEPT_MAX]; /* the first bytes of it, as they were sent */
    size_t kept_len;
    uint8_t waiting[65536]; /* to be written */
    size_t pos, len;
    bool over;
};

struct tcp_relay {
    int listener, fd[2]; /* of the client, of the server; -1: not connected yet, or over */
    uint16_t port, server_port;
    struct tcp_relay_way way[2];
};

/* Listens, for one client that is connected to `server_port`. */
struct tcp_relay *tcp_relay_new(uint16_t server_port);
void tcp_relay_free(struct tcp_relay *r);
/* Passes on what there is. */
void tcp_relay_step(struct tcp_relay *r);
/* Steps and turns the loop while condition(w). */
void tcp_relay_run_while(struct tcp_relay *r, struct tcp_world *w,
                         bool (*condition)(const struct tcp_world *w));

#endif
