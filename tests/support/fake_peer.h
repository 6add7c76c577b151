/*
 * fake_peer - one end of a fake link played by the test: it sends what it likes, and keeps what it
 * gets.
 */
#ifndef VLY_TESTS_FAKE_PEER_H
#define VLY_TESTS_FAKE_PEER_H

#include "file/ctl.h"
#include "support/fake_link.h"

#define PEER_LOG_MAX 2048
#define PEER_STREAMS_MAX 512

/* A message that came, with its strings cut to what fits. */
struct peer_msg {
    struct vly_msg m; /* its spans are not valid */
    char text[128];   /* path or text */
};

struct peer_stream {
    uint64_t bytes; /* content that came */
    bool ended, was_reset, was_stopped;
    uint64_t code;
};

struct fake_peer {
    struct fake_pair *pair;
    struct vly_link *link;
    struct vly_ctl ctl;
    size_t n_msgs; /* those beyond PEER_LOG_MAX are not kept */
    struct peer_msg msgs[PEER_LOG_MAX];
    struct peer_stream streams[PEER_STREAMS_MAX]; /* index: id / 2 */
    bool reads_control; /* gives credit for what comes on stream 0; true at first */
    bool open, closed;
    int err;
    uint64_t code; /* of the close */
    char reason[129];
};

void peer_begin(struct fake_peer *p, struct fake_pair *pair, enum fake_side side);
/* Runs until the control stream is there: for a client its on_open, for a server on_stream(0). */
void peer_wait_open(struct fake_peer *p);
void peer_end(struct fake_peer *p);
void peer_send(struct fake_peer *p, const struct vly_msg *m);
/* Bytes as they are, in hex. */
void peer_send_hex(struct fake_peer *p, const char *hex);
/* Client: the next stream, with our direction ended if asked. */
uint64_t peer_open_stream(struct fake_peer *p, bool end);
void peer_content(struct fake_peer *p, uint64_t stream, const void *data, size_t len, bool fin);
/* The first message of that type for that request (any type: 0); NULL when none came. */
const struct peer_msg *peer_find(const struct fake_peer *p, enum vly_msg_type type,
                                 uint64_t request);
/* Fails unless an ERROR of that code came for that request. */
void peer_assert_error(const struct fake_peer *p, uint64_t request, unsigned code);

#endif
