/*
 * driver_internal - what driver.c and udp_link.c share.
 */
#ifndef VLY_NET_DRIVER_INTERNAL_H
#define VLY_NET_DRIVER_INTERNAL_H

#include "net/addr.h"
#include "net/batches.h"
#include "net/driver.h"
#include "net/offload.h"
#include "net/spin.h"

struct udp_link {
    struct vly_link base;  /* first: a link is its udp_link */
    struct vly_conn *conn; /* owned by the endpoint */
    struct vly_driver *driver;
    struct udp_link *prev, *next; /* of the driver's links */
    struct vly_addr peer;
    char peer_text[VLY_ADDR_TEXT_MAX];
};

enum driver_state {
    DRIVER_OPEN,
    DRIVER_CLOSING, /* connections and offloaded work are still to end */
    DRIVER_GONE,    /* only handles are still to be closed */
};

struct vly_driver {
    struct vly_driver_options opt;
    uv_loop_t *loop;
    struct vly_udp *udp;
    struct vly_endpoint *ep;

    uv_poll_t socket_poll;
    int socket_events; /* what socket_poll waits for */
    int timer_fd;      /* -1 while half-built */
    uv_poll_t timer_poll;
    uint64_t armed_ns;  /* when the timer fires */
    bool timer_fired;   /* and has not been set since */
    uv_idle_t wake;     /* active: pump in this turn of the loop, without waiting */
    uv_timer_t limit;   /* of closing */
    unsigned n_handles; /* initialised and not closed */

    bool pumping;
    uint64_t now_ns; /* while pumping */
    uint64_t kernel_drops;
    size_t piece_datagrams; /* received since ACKs were last sent for it, see take_in_pieces */
    struct vly_spin spin;
    struct udp_link *links;
    struct vly_offloads offloads;

    enum driver_state state;
    uint64_t close_code;
    char close_reason[VLY_REASON_MAX + 1];
    void (*on_done)(void *ctx);
    void *done_ctx;

    bool batch_kept; /* the socket was full: the batch is to be sent from batch_sent.done on */
    struct vly_udp_progress batch_sent;
    struct vly_batches batches;
    bool lends; /* them to the kernel, see note_peer in driver.c */
    struct vly_addr only_peer;
};

/* One clock read a pump, one each for calls from outside. */
uint64_t driver_now_ns(const struct vly_driver *d);
/* How datagrams to that peer go out now. */
enum vly_io driver_io_to(const struct vly_driver *d, const struct vly_addr *to);
/* The engine was given something to send: pumps soon, never at once. */
void driver_wake(struct vly_driver *d);
/* Frees the driver if it is closing and nothing holds it any more. */
void driver_finish(struct vly_driver *d);

/* Returns NULL when out of memory. `conn` is attached later for connections we begin. */
struct udp_link *udp_link_new(struct vly_driver *d, const struct vly_addr *peer);
void udp_link_attach(struct udp_link *l, struct vly_conn *conn);
/* Detaches and frees; tells nobody. */
void udp_link_free(struct udp_link *l);
/* Hands an event to the link's user. CLOSED frees the link. */
void udp_link_emit(struct udp_link *l, const struct vly_event *ev);
/* The last event, and the end of the link. */
void udp_link_close(struct udp_link *l, int err, uint64_t code, const char *reason);

#endif
