/*
 * control - the connection over which the two ends of a run agree: one JSON object a line.
 *
 *   server                              client
 *     hello {version}            ----->
 *                                <-----  request {...}
 *     ready {token, ports}       ----->
 *                                         data connections, each with the token
 *     start                      ----->
 *     ... interval, state        ----->
 *     sent {way}, stop {way}     <---->   everything was handed over; enough has arrived
 *     result {forward, back}     ----->
 *     alive, error {code, message}  at any time, either way
 *
 * A line has at most BENCH_LINE_MAX bytes and is an object with a text "type"; anything else ends
 * the connection with VLY_E_PROTOCOL. Silence is the owner's to judge.
 */
#ifndef BENCH_CONTROL_H
#define BENCH_CONTROL_H

#include "file/fault.h"

#include <jansson.h>
#include <uv.h>

#define BENCH_LINE_MAX 16384u
#define BENCH_CONTROL_OUT_MAX (UINT64_C(256) << 10) /* not read by the peer: the run is lost */

struct bench_control {
    uv_poll_t poll;
    int fd; /* -1 when closed */
    void (*on_message)(void *user, const char *type, const json_t *message);
    /* The peer is gone, or talks nonsense. Nothing follows; the owner still closes. */
    void (*on_lost)(void *user, const struct vly_fault *why);
    void *user;
    uint64_t heard_ns; /* when bytes came last */
    size_t in_len;
    char in[BENCH_LINE_MAX];
    char *out; /* owned */
    size_t out_len;
};

/* One line without its end as a message: *out is a new reference. VLY_E_PROTOCOL with a line in
 * `why`. */
VLY_MUST_USE int bench_message_parse(json_t **out, const char *line, size_t len,
                                     struct vly_fault *why);
/* A new object of that type; NULL when out of memory, which bench_control_send takes. */
json_t *bench_message(const char *type);

/* Owns `fd`, a connected stream socket, from now on. The two callbacks and `user` are set before.
 * VLY_E_IO. */
VLY_MUST_USE int bench_control_open(struct bench_control *c, uv_loop_t *loop, int fd);
/* Takes `message`. What the socket does not take at once is kept. */
void bench_control_send(struct bench_control *c, json_t *message);
/* The peer's address, "192.0.2.1:7712". */
void bench_control_peer(const struct bench_control *c, char *text, size_t cap);
/* Tries to send what is kept, then closes; also from within on_message. The loop must turn once
 * more before `c` goes. Twice is allowed. */
void bench_control_close(struct bench_control *c);

#endif
