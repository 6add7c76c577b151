/*
 * flow_stream - byte streams over TCP connections, plain or under TLS: the part that both share.
 *
 * A connection is polled; each turn moves up to STREAM_TURN blocks, until the socket is full or
 * empty. The two protocols differ in struct bench_wire alone.
 */
#ifndef BENCH_FLOW_STREAM_H
#define BENCH_FLOW_STREAM_H

#include "bench/load/flow_ops.h"

struct flow_stream;

enum stream_state {
    STREAM_FREE,
    STREAM_CONNECTING, /* client */
    STREAM_SHAKING,    /* TLS */
    STREAM_JOINING,    /* the preamble is on its way */
    STREAM_READY,
};

struct stream_conn {
    struct flow_stream *flow;
    uv_poll_t poll;
    int fd;
    int events; /* polled for */
    enum stream_state state;
    unsigned number; /* of the connection; the server knows it when READY */
    void *wire;      /* of struct bench_wire */
    uint8_t preamble[BENCH_PREAMBLE_BYTES];
    size_t preamble_len;
    uint64_t offset; /* payload moved */
    uint64_t limit;  /* and at most to be sent */
};

/* What carries the bytes. All but `pending` return VLY_E_AGAIN when the socket is to be polled, for
 * *events where that is an argument. */
struct bench_wire {
    int (*open)(struct flow_stream *flow, struct vly_fault *why);
    void (*close)(struct flow_stream *flow);
    /* The connection exists. */
    int (*attach)(struct stream_conn *conn);
    void (*detach)(struct stream_conn *conn);
    int (*shake)(struct stream_conn *conn, int *events);
    /* Bytes moved; 0: the end; VLY_E_LOST with errno. */
    ssize_t (*read)(struct stream_conn *conn, void *data, size_t len);
    ssize_t (*write)(struct stream_conn *conn, const void *data, size_t len);
    /* Whether bytes were read ahead, which no poll would tell of. */
    bool (*pending)(const struct stream_conn *conn);
};

struct flow_stream {
    struct bench_flow base;
    const struct bench_wire *wire;
    void *wire_context;
    int listen_fd; /* -1: none */
    uv_poll_t listen_poll;
    bool listening;
    struct stream_conn
        *conns; /* owned; a slot for each connection, at the server for strangers too */
    size_t n_slots;
    unsigned n_ready;
    unsigned n_sending[BENCH_WAYS]; /* streams that have bytes left to hand over */
    uint8_t *block;                 /* owned: what is received */
    bool started;
};

int flow_stream_open(struct bench_flow *f, struct vly_fault *why, const struct bench_wire *wire);
void flow_stream_start(struct bench_flow *f);
void flow_stream_halt(struct bench_flow *f, enum bench_way way);
void flow_stream_state(const struct bench_flow *f, enum bench_way way,
                       struct bench_flow_state *out);
void flow_stream_close(struct bench_flow *f);
void flow_stream_fini(struct bench_flow *f);

/* flow_tcp.c: a socket with what the request asks for; `sends` chooses the congestion control.
 * Returns the descriptor, or a vly_err. */
int flow_tcp_socket(const struct bench_flow *f, bool sends, struct vly_fault *why);
/* Of one connection. */
void flow_tcp_state(int fd, struct bench_flow_state *out);

#endif
