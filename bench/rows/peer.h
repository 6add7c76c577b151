/*
 * peer - how each protocol of a row is run: a server in the right side, a client in the left.
 *
 * One table describes them all (peer.c), one file a family builds their arguments and reads what
 * they say. Building arguments and reading results touches nothing but its arguments.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "bench/rows/child.h"
#include "bench/rows/row.h"
#include "bench/rows/workdir.h"

#define BENCH_ARGV_MAX 64
#define BENCH_ARGV_TEXT_BYTES 8192

/* The arguments of a program. */
struct bench_argv {
    char *at[BENCH_ARGV_MAX + 1]; /* ends with a NULL; into `text` */
    size_t n;
    char text[BENCH_ARGV_TEXT_BYTES];
    size_t text_bytes;
};

/* A run of a row. */
struct bench_job {
    const struct bench_row *row;
    const struct bench_peer *peer;
    const struct bench_workdir *dir; /* of file rows */
    const char *host;                /* the address of the right side */
    uint16_t port;                   /* of the server */
    const char *user;                /* who logs in: scp */
    struct bench_children set;
    struct bench_child *server, *client;
};

enum bench_peer_can {
    BENCH_CAN_CC_TCP = 1 << 0, /* any congestion control of the kernel */
    BENCH_CAN_CC_VOLLEY = 1 << 1,
    BENCH_CAN_RATE = 1 << 2,
    BENCH_CAN_MSS = 1 << 3,
    BENCH_CAN_IO = 1 << 4,
    BENCH_CAN_PARALLEL = 1 << 5,
    BENCH_CAN_CRYPTO = 1 << 6, /* suite and who computes it */
    BENCH_CAN_ACKS = 1 << 7,   /* how often to acknowledge */
};

struct bench_need {
    const char *program;
    const char *package; /* of Debian; NULL: ours */
};

struct bench_peer {
    const char *protocol;
    enum bench_kind kind;
    struct bench_need needs[3]; /* ends with a NULL; the first runs in the left side */
    unsigned can;               /* of bench_peer_can */
    bool tells_port;            /* its first line is {"event":"listening","port":N}; others listen
                                 * on the port they are given */
    bool ends_itself;           /* the server, after the client; others are ended */
    bool end_is_arrival; /* of the client; or else of the server too when it is the receiver */
    bool by_time;        /* it cannot move a number of bytes */
    const char *io;      /* of a sample; NULL: the result says */
    /* Whether it works for this user; NULL: for everybody. */
    bool (*usable)(char why[BENCH_WHY_BYTES]);
    /* Makes what the row needs; NULL: nothing. */
    int (*prepare)(struct bench_job *job, char why[BENCH_WHY_BYTES]);
    void (*finish)(struct bench_job *job); /* undoes it; NULL: nothing */
    void (*server)(const struct bench_job *job, struct bench_argv *argv);
    void (*client)(const struct bench_job *job, struct bench_argv *argv);
    /* Fills the sample from what client and server said. Returns 0 or fails the sample. NULL:
     * nothing to read. */
    int (*result)(const struct bench_job *job, struct bench_sample *out);
    /* Why a child ended in failure; false when it says nothing that its last line and code do not
     * say. NULL: never. */
    bool (*reason)(const struct bench_child *c, int *err, char why[BENCH_WHY_BYTES]);
};

extern const struct bench_peer bench_peers_volley[], bench_peers_iperf3[], bench_peers_scp[],
    bench_peers_rsync[], bench_peers_socat[]; /* each ends with a NULL as protocol */

/* NULL: there is none. */
const struct bench_peer *bench_peer_find(const char *protocol, enum bench_kind kind);
/* Whether it can do what the row asks for. `why` says what it cannot. */
bool bench_peer_suits(const struct bench_peer *peer, const struct bench_row *row,
                      char why[BENCH_WHY_BYTES]);

/* The path of a program: VOLLEY_BIN and VOLLEY_BENCH_BIN name ours, which stand beside this one
 * otherwise; others are looked for in PATH and where administrators' programs are. False: not
 * there. */
bool bench_program_find(const char *program, char *out, size_t cap);

void bench_argv_init(struct bench_argv *argv);
/* One more argument. All that a row can ask for has room. */
void bench_argv_add(struct bench_argv *argv, const char *format, ...) VLY_PRINTF(2, 3);

#endif
