/*
 * flow_ops - what moves the payload of a run, behind one table: tcp, tls, raw UDP, volley.
 *
 * A flow is made of data connections, numbered from 0; those below `parallel` carry the forward
 * way, the others the way back. The client makes them, each shows the token first; bench_load_ready
 * is called when all of them stand. Everything runs in the loop's thread; a flow reports by the
 * bench_load_... calls of load.h.
 */
#ifndef BENCH_FLOW_OPS_H
#define BENCH_FLOW_OPS_H

#include "bench/load/load_request.h"

#include <netinet/in.h>
#include <uv.h>

#define BENCH_CONNS_MAX (BENCH_WAYS * BENCH_PARALLEL_MAX)
/* Connections that have not shown the token yet and may be strangers; more are turned away. */
#define BENCH_STRANGERS_MAX 16u

struct bench_load;
struct bench_flow_ops;

/* What the sending (kernel_drops: the receiving) end knows of one way; UINT64_MAX: unknown. */
struct bench_flow_state {
    uint64_t cwnd_bytes, smoothed_rtt_ns, in_flight_bytes; /* of all its streams; RTT: their mean */
    uint64_t retransmits, packets_sent, kernel_drops;      /* since the beginning */
    uint64_t datagram_bytes;
    char cc[16], io[16], suite[24], crypto[16];
};

/* The block that is sent again and again. Byte i of a stream is byte i % block_bytes of it. */
struct bench_hot {
    uint8_t *bytes; /* owned; its first eight follow the last one once more */
    uint64_t block_bytes;
};

struct bench_flow_setup {
    struct bench_load *load; /* is told */
    uv_loop_t *loop;
    const struct bench_request *request; /* these three are borrowed for the flow's life */
    const struct bench_token *token;
    uint16_t *ports;     /* BENCH_CONNS_MAX of them: where the server listens; it fills them in */
    uint8_t *server_key; /* 32 bytes: the server's public key, where it has one; it fills it in */
    bool server;
    struct sockaddr_storage at; /* server: to listen at, its port is ignored; client: the server */
};

struct bench_flow {
    const struct bench_flow_ops *ops;
    struct bench_flow_setup setup;
    struct bench_hot hot;
    unsigned n_conns;
    uint64_t opened_ns;
    uint64_t connect_ns; /* client: what the first connection took; 0: none stands yet */
};

struct bench_flow_ops {
    size_t size;      /* of the flow that begins with struct bench_flow */
    unsigned n_ports; /* 0: one for each connection */
    /* Server: listens and fills in the ports. Client: begins to connect. `f` is zeroed behind its
     * base. After an error close and free are called all the same. */
    int (*open)(struct bench_flow *f, struct vly_fault *why);
    void (*start)(struct bench_flow *f);                    /* payload may go out now */
    void (*halt)(struct bench_flow *f, enum bench_way way); /* and no more on this way */
    void (*state)(const struct bench_flow *f, enum bench_way way, struct bench_flow_state *out);
    void (*close)(struct bench_flow *f); /* all handles; the loop runs empty before free */
    void (*fini)(struct bench_flow *f);
};

extern const struct bench_flow_ops bench_flow_tcp, bench_flow_tls, bench_flow_udp_raw,
    bench_flow_volley;

/* Makes the flow of the request's protocol. After an error *out is still to be closed and freed,
 * unless it is NULL. */
VLY_MUST_USE int bench_flow_open(struct bench_flow **out, const struct bench_flow_setup *setup,
                                 struct vly_fault *why);
/* NULL is allowed; bench_flow_close was called and the loop ran empty. */
void bench_flow_free(struct bench_flow *f);

/* ---- for the flows ---- */

static inline enum bench_way bench_flow_way(const struct bench_flow *f, unsigned conn)
{
    return conn < f->setup.request->parallel ? BENCH_FORWARD : BENCH_BACK;
}

static inline unsigned bench_flow_stream(const struct bench_flow *f, unsigned conn)
{
    return conn % (unsigned)f->setup.request->parallel;
}

static inline bool bench_flow_sends(const struct bench_flow *f, unsigned conn)
{
    return bench_request_sends(f->setup.request, f->setup.server, bench_flow_way(f, conn));
}

/* Where in the block `offset` of a stream is. Most blocks spare every packet a division. */
static inline uint64_t bench_hot_index(const struct bench_hot *hot, uint64_t offset)
{
    uint64_t n = hot->block_bytes;

    return (n & (n - 1)) == 0 ? offset & (n - 1) : offset % n;
}

/* The piece of the block that follows `offset` bytes of a stream. */
static inline const uint8_t *bench_hot_at(const struct bench_hot *hot, uint64_t offset,
                                          uint64_t limit, size_t *out_len)
{
    uint64_t at = bench_hot_index(hot, offset);
    uint64_t len = hot->block_bytes - at;

    *out_len = (size_t)(len < limit - offset ? len : limit - offset);
    return hot->bytes + at;
}

/* Whether bytes that arrived at `offset` of a stream are those that were sent: the first eight of
 * each 16 KiB of the stream that do not lie in two pieces, or all. */
bool bench_hot_check(const struct bench_hot *hot, uint64_t offset, struct vly_span data, bool all);

/* `sa` with another port. */
socklen_t bench_sockaddr_port(struct sockaddr_storage *sa, uint16_t port);
uint16_t bench_sockaddr_port_of(const struct sockaddr_storage *sa);

#endif
