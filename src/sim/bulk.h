/*
 * bulk - an application on two nodes of a world that moves bytes whose content tells their
 * position.
 *
 * The client connects, opens the streams and ends its own direction of them (or sends as much, when
 * asked for both ways); the server sends its share of the bytes on each. Whoever receives compares
 * every byte with what its position asks for and takes none twice; a difference is a failure of the
 * world. When all has arrived and is acknowledged the client closes the connection.
 * Cost: O(1) for an event (O(gaps) out of order), and each byte once written and once compared.
 */
#ifndef VLY_SIM_BULK_H
#define VLY_SIM_BULK_H

#include "sim/world.h"

#define VLY_BULK_STREAMS_MAX 4096
#define VLY_BULK_NO_MEMORY 1       /* the code of its close when the engine has none */
#define VLY_BULK_TICK_NS VLY_MS(1) /* how often a slow application reads and writes */

enum vly_bulk_way { VLY_BULK_TO_CLIENT, VLY_BULK_BOTH_WAYS };

/* Zero means the default in the comment. */
struct vly_bulk_spec {
    uint64_t bytes;             /* each way, shared out over the streams */
    unsigned streams;           /* 1 */
    enum vly_bulk_way way;      /* to the client */
    enum vly_order order;       /* in order */
    uint64_t read_bytes_per_s;  /* of each receiver: at once */
    uint64_t write_bytes_per_s; /* of each sender: as much as there is room for */
    uint64_t first_offset;      /* as in vly_conn_config */
    uint64_t linger_ns;         /* how long the idle connection is kept before it is closed */
    bool expect_answer;         /* the client waits for the server: silence is probed */
};

/* One direction of one stream. */
struct vly_bulk_half {
    uint64_t total_bytes;
    uint64_t written_bytes;
    uint64_t read_bytes;       /* handed on by the engine and compared */
    uint64_t unconsumed_bytes; /* those of them whose credit was not given back yet */
    struct vly_rangeset have;  /* any order only */
    bool is_written, is_acked; /* the end, too */
    bool is_read;
};

struct vly_bulk_stream {
    bool is_open[2];              /* by role: that side knows it */
    struct vly_bulk_half from[2]; /* by the role that sends */
};

struct vly_bulk_side {
    unsigned node;
    struct vly_conn *conn;       /* NULL before and after */
    bool is_closed;              /* then the next two are valid */
    struct vly_event closed;     /* without its pointers */
    struct vly_conn_stats stats; /* at that moment */
    uint64_t data_events;
    uint64_t read_ns, write_ns; /* slow applications: their share up to then is used */
};

struct vly_bulk {
    struct vly_world *world; /* borrowed */
    struct vly_bulk *first;  /* of those with the same server, borrowed like the next one */
    struct vly_bulk *next;
    struct vly_bulk_spec spec;
    struct vly_bulk_stream *streams; /* owned */
    struct vly_bulk_side side[2];    /* by enum vly_role */
    uint64_t left;                   /* halves not yet read, and halves not yet acknowledged */
    uint64_t begin_ns;
    uint64_t connected_ns; /* VLY_NEVER: not yet */
    uint64_t finished_ns;  /* everything was read and acknowledged; VLY_NEVER: not yet */
    bool is_over;          /* both sides are closed; the client, if it never was accepted */
};

/* Takes the two nodes over, connects them, and stops the world when it is over. Returns 0,
 * VLY_E_INVALID, VLY_E_NOMEM, or what vly_endpoint_connect returned; vly_bulk_fini may be called in
 * any case. The world must not run on after that. */
VLY_MUST_USE int vly_bulk_start(struct vly_bulk *f, struct vly_world *w, unsigned client,
                                unsigned server, const struct vly_bulk_spec *spec);
/* The same with the server of `first`, which was started before. The last one over stops the world.
 */
VLY_MUST_USE int vly_bulk_join(struct vly_bulk *f, struct vly_bulk *first, unsigned client,
                               const struct vly_bulk_spec *spec);
void vly_bulk_fini(struct vly_bulk *f);
/* Whether every byte arrived once, at its place, and was acknowledged, and nothing broke a rule. */
bool vly_bulk_is_intact(const struct vly_bulk *f);
/* The figures of one side now, or at its end. */
void vly_bulk_stats(const struct vly_bulk *f, enum vly_role role, struct vly_conn_stats *out);

#endif
