/*
 * load - one run of the load generator, at either end: two ways, their clocks and what they sum up
 * to.
 *
 * The receiver of a way decides: it cuts the warm-up off, and when time is up or all bytes are
 * there it counts no further and tells the sender to stop. Either end gives up when it has heard
 * nothing for the request's timeout, when its data stands still that long, or when the control
 * connection ends.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/load/load_request.h"
#include "bench/sample.h"

#include <sys/socket.h>
#include <uv.h>

#define BENCH_PORT_DEFAULT 7712

struct bench_load;

/* A piece of a way's time, as the schema's "interval" has it. */
struct bench_load_interval {
    enum bench_way way;
    int stream; /* -1: all of them */
    uint64_t begin_ns, end_ns, bytes;
    /* of all streams alone; BENCH_UNKNOWN */
    uint64_t cwnd_bytes, smoothed_rtt_ns, in_flight_bytes, retransmits, kernel_drops;
};

/* NULL when out of memory. */
json_t *bench_load_interval_to_json(const struct bench_load_interval *interval);

struct bench_load_client {
    const struct sockaddr_storage *at; /* addresses of the server, tried in turn; n at least 1 */
    size_t n;
    const char *name; /* "HOST:PORT" for messages */
    /* May be NULL. */
    void (*on_interval)(void *user, const struct bench_load_interval *interval);
    void *user;
};

struct bench_load_result {
    struct bench_sample forward, back; /* the caller ends both; back: without error but unknown
                                          unless data went both ways */
    int signum;                        /* the signal that interrupted the client, or 0 */
};

/* Runs the request against a server and fills `out`, which is initialised by this call. A failure
 * stands in out->forward. Ctrl-C ends the run. Runs the loop until it is empty. */
void bench_load_run(uv_loop_t *loop, const struct bench_request *request,
                    const struct bench_load_client *client, struct bench_load_result *out);

/* What a session of the server came to. */
struct bench_load_session {
    bool asked; /* it had a request */
    char peer[80];
    struct bench_request request;
    struct bench_load_result result;
};

/* Serves one client on `fd`, which is taken. The caller ends both samples. */
void bench_load_serve(uv_loop_t *loop, int fd, struct bench_load_session *out);

/* ---- what a flow tells ---- */

/* All data connections stand. */
void bench_load_ready(struct bench_load *load);
void bench_load_arrived(struct bench_load *load, enum bench_way way, unsigned stream,
                        uint64_t bytes);
void bench_load_handed(struct bench_load *load, enum bench_way way, uint64_t bytes);
/* The streams of a way have handed over all they had to. */
void bench_load_all_handed(struct bench_load *load, enum bench_way way);
/* Ends the run; the flow must not touch the connection any more. No-op when the way of `conn` is
 * over: what breaks then does not matter. */
void bench_load_fail(struct bench_load *load, int err, const char *format, ...) VLY_PRINTF(3, 4);
/* Whether that way has ended at this end. */
bool bench_load_is_over(const struct bench_load *load, enum bench_way way);

#endif
