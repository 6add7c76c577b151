/*
 * driver_world - two drivers on one uv loop over loopback, used through their links.
 *
 * The client writes streams of a known pattern, the server checks them. When all are there the
 * client closes; an end whose link has closed closes its driver; the loop then runs empty. A
 * watchdog fails the test after a minute.
 */
#ifndef VLY_TESTS_DRIVER_WORLD_H
#define VLY_TESTS_DRIVER_WORLD_H

#include "net/driver_internal.h"
#include "udp_pair.h"

#define STREAMS_MAX 8
#define REJECT_CODE 13

struct world;

/* One of the two: its driver and its link, and what has happened to them. */
struct end {
    struct world *world;
    struct vly_driver *driver;
    struct vly_link *link;                         /* NULL before it exists and after on_closed */
    uint64_t left[STREAMS_MAX], sent[STREAMS_MAX]; /* bytes to write, by stream / 2 */
    uint64_t received;
    unsigned streams_ended;
    bool open;
    unsigned closed;         /* calls of on_closed */
    unsigned drivers_closed; /* calls of the driver's done */
    int err;
    uint64_t code;
    char reason[VLY_REASON_MAX + 1];
    struct vly_link_stats stats; /* in on_closed */
    struct vly_conn_stats conn_stats;
    char peer[VLY_ADDR_TEXT_MAX];
};

/* Two ends on one loop. Zero in the options means what the driver makes of it; both are `plain`. */
struct world {
    uv_loop_t loop;
    uv_timer_t watchdog;
    struct vly_driver_options client_opt, server_opt;
    struct end client, server;
    int accept_err;                       /* on_accept returns it */
    void (*on_open)(struct world *w);     /* the client's link is open; NULL: nothing */
    unsigned streams;                     /* that the server is to receive */
    void (*on_received)(struct world *w); /* all streams have ended; NULL: the client closes */
};

struct world *world_new(void);
/* Both drivers are closed: asserts that nothing is left on the loop. */
void world_free(struct world *w);
void world_open(struct world *w, struct end *e, int family);
/* Opens both ends and connects them. */
void world_start(struct world *w, int family);
/* Runs the loop until both have their links. */
void world_run_until_open(struct world *w);
/* Runs the loop without ever waiting. */
void world_turn(struct world *w, unsigned turns);
/* Runs the loop until nothing is left, which is until both drivers have closed. */
void world_run(struct world *w);

/* The byte of a stream that the server expects there. */
uint8_t world_byte(uint64_t stream, uint64_t offset);
/* Makes `e` the user of `link`. */
void end_take(struct end *e, struct vly_link *link);
/* Opens the next stream and writes `bytes` to it, as it takes them. */
void end_send(struct end *e, uint64_t bytes);
/* A no-op when it is closed or closing. */
void end_close(struct end *e, const char *reason);

#define BULK_BYTES 3000000u
/* An on_open: two streams of BULK_BYTES and one of a single byte. */
void world_send_three_streams(struct world *w);

#endif
