/*
 * load_internal - what load.c, load_half.c, load_messages.c and load_ends.c share.
 */
#ifndef BENCH_LOAD_INTERNAL_H
#define BENCH_LOAD_INTERNAL_H

#include "bench/load/control.h"
#include "bench/load/flow_ops.h"
#include "bench/load/load.h"
#include "bench/usage.h"
#include "cli/signals.h"

#include <volley/transport.h>

#include <sys/resource.h>

#define BENCH_INTERVALS_MAX 100000u /* kept of a run */

/* One way at one end. */
struct bench_half {
    enum bench_way way;
    bool used, sends, over;
    bool warm;            /* the warm-up is over */
    bool counted;         /* sender: its figures stand */
    bool all_handed;      /* receiver of raw UDP: nothing more will be sent */
    uint64_t started_ns;  /* this end was ready */
    uint64_t first_ns;    /* receiver: the first byte arrived; sender: started; 0: not yet */
    uint64_t warm_ns;     /* the warm-up ended, so long after the beginning as asked */
    uint64_t last_ns;     /* receiver of raw UDP: bytes arrived last */
    uint64_t moved_bytes; /* arrived or handed over, in all */
    uint64_t warm_bytes;  /* moved_bytes when the warm-up ended */
    struct bench_flow_state warm_state;
    uint64_t progress_bytes, progress_ns; /* to notice that nothing moves */

    /* the interval under way; at the sender only its time counts */
    uint64_t interval_ns, interval_bytes, interval_drops;
    uint64_t *streams, *interval_streams; /* receiver: bytes of each stream; owned */
    /* client: what the sender said last, and of the sum before */
    struct bench_flow_state state;
    uint64_t retransmits_told;
};

enum bench_load_phase {
    BENCH_LOAD_GREETING, /* client: waits for hello; server: for a request */
    BENCH_LOAD_ASKING,   /* client: waits for ready */
    BENCH_LOAD_JOINING,  /* data connections come about */
    BENCH_LOAD_RUNNING,
    BENCH_LOAD_OVER,  /* at this end */
    BENCH_LOAD_ENDED, /* there is a result */
};

struct bench_load {
    uv_loop_t *loop;
    bool server;
    enum bench_load_phase phase;
    uint64_t phase_ns; /* since when */
    struct bench_request request;
    struct bench_token token;
    uint16_t ports[BENCH_CONNS_MAX];
    uint8_t server_key[VLY_PUBLIC_KEY_BYTES]; /* of the flow, where it has one */
    struct bench_control control;
    const struct bench_load_client *client; /* NULL at the server */
    struct bench_load_session *session;     /* NULL at the client */
    struct vly_signals signals;             /* of the client */
    char peer[300];
    struct sockaddr_storage at; /* client: the server; server: the control connection's own */

    struct bench_flow *flow;
    struct bench_half halves[BENCH_WAYS];
    bool peer_over; /* client: the server's result is there */
    struct bench_load_result *out;

    uv_timer_t timer;
    uint64_t alive_ns; /* when to say next that we live */
    struct rusage usage;
    struct bench_machine_time machine; /* when it began, as is usage */
};

/* ---- load.c ---- */

/* Opens timer and control connection; `fd` is taken. The members above `flow` are set. */
VLY_MUST_USE int bench_load_begin(struct bench_load *load, int fd);
/* Runs the loop until the run has ended, then closes everything and runs it empty. */
void bench_load_finish(struct bench_load *load);
void bench_load_set_phase(struct bench_load *load, enum bench_load_phase phase);
/* Makes the flow and the halves of the request. */
VLY_MUST_USE int bench_load_make_flow(struct bench_load *load, struct vly_fault *why);
/* Both ends stood ready at `now_ns`. */
void bench_load_start(struct bench_load *load, uint64_t now_ns);
/* A half is over: so may be the run. */
void bench_load_half_over(struct bench_load *load);
void bench_load_end(struct bench_load *load);
/* The timer goes off now: something has changed. */
void bench_load_wake(struct bench_load *load);

/* ---- load_half.c ---- */

VLY_MUST_USE int bench_half_init(struct bench_load *load, enum bench_way way);
void bench_half_fini(struct bench_half *h);
/* The run begins, and a sender with it. */
void bench_half_start(struct bench_load *load, struct bench_half *h, uint64_t now_ns);
/* Does what is due; returns when it wants to be called again. */
uint64_t bench_half_tick(struct bench_load *load, struct bench_half *h, uint64_t now_ns);
/* The receiver told us to stop sending. */
void bench_half_stop(struct bench_load *load, struct bench_half *h);
/* Client: the server's interval or state. */
void bench_half_take_interval(struct bench_load *load, const json_t *message);
void bench_half_take_state(struct bench_load *load, const json_t *message);

/* ---- load_messages.c ---- */

void bench_load_on_message(void *user, const char *type, const json_t *message);
void bench_load_on_lost(void *user, const struct vly_fault *why);
void bench_load_tell_way(struct bench_load *load, const char *type, enum bench_way way);
void bench_load_tell_result(struct bench_load *load);
bool bench_way_parse(const json_t *message, enum bench_way *out);
const char *bench_way_name(enum bench_way way);

static inline struct bench_sample *bench_load_sample(struct bench_load *load, enum bench_way way)
{
    return way == BENCH_FORWARD ? &load->out->forward : &load->out->back;
}

#endif
