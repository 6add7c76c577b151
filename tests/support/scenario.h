/*
 * scenario - a client and a server on a simulated link, and what happens to them, in a few lines.
 *
 *     struct scenario s;
 *
 *     scenario_init(&s, 1);
 *     scenario_link(&s, &(struct vly_link_spec){.delay_ns = VLY_MS(20)});
 *     scenario_drop(&s, TO_CLIENT, PKT_STREAM, 3);
 *     scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 100000});
 *     scenario_run(&s, VLY_S(2));
 *     assert_int_equal(s.sender.retransmits, 1);
 *     scenario_fini(&s);
 *
 * The server sends, the client receives (and both, when the bulk says so). What breaks a rule that
 * world.h checks, or loses a byte, fails the running test with seed and virtual time. With
 * VLY_LADDER in the environment every datagram is printed.
 */
#ifndef VLY_TESTS_SCENARIO_H
#define VLY_TESTS_SCENARIO_H

#include "sim/bulk.h"
#include "support/sealed.h"
#include "support/support.h"

#define SCENARIO_DROPS_MAX 64
#define SCENARIO_SEEDS_MAX 1000
#define SCENARIO_MBIT 125000u /* bytes a second */

enum scenario_node { CLIENT, SERVER }; /* nodes of the world */
enum scenario_way { TO_CLIENT, TO_SERVER };

/* What a datagram is, of a connection whose frames can be read (plain, or scenario_seal). */
enum scenario_packet {
    PKT_ANY,
    PKT_HANDSHAKE, /* not numbered: HELLO, RETRY, ACCEPT ... */
    PKT_STREAM,    /* with a STREAM frame that holds data */
    PKT_ACK,       /* numbered, nothing in it that has to be acknowledged */
    PKT_KINDS
};

struct scenario_drop {
    enum scenario_way way;
    enum scenario_packet kind;
    uint64_t nth;     /* from 1 */
    uint64_t hold_ns; /* 0: lost; else it comes so much later, past the link */
};

struct scenario {
    uint64_t seed;
    /* To be set after scenario_init, before scenario_transfer. */
    struct vly_endpoint_config config[2]; /* by enum scenario_node */
    struct vly_link_spec link[2];         /* by enum scenario_way */
    struct vly_world_hooks hooks;         /* of the test; see every datagram before a drop */
    struct scenario_drop drops[SCENARIO_DROPS_MAX];
    size_t drops_n;
    bool shows_ladder;
    struct sealed_keys *keys; /* owned; of scenario_seal */
    /* While it runs. */
    struct vly_world *world; /* owned */
    struct vly_bulk bulk;
    uint64_t sent[2][PKT_KINDS]; /* datagrams so far, by way; counted where there are drops */
    /* After scenario_run: of the server and the client; from connect to the last acknowledgement,
     * VLY_NEVER when that did not come. */
    struct vly_conn_stats sender, receiver;
    uint64_t elapsed_ns;
};

/* Seals the connection by this method; NONE leaves it plain. To be called before scenario_build. */
void scenario_seal(struct scenario *s, enum vly_method method);
/* A link of no delay, no loss and infinite rate; an engine of defaults, plain unless the
 * environment says otherwise (sealed_method). */
void scenario_init(struct scenario *s, uint64_t seed);
/* Frees the world. The scenario may be initialised again. */
void scenario_fini(struct scenario *s);
/* Both ways alike. */
void scenario_link(struct scenario *s, const struct vly_link_spec *spec);
/* The connection settings of both ends. */
void scenario_conn(struct scenario *s, const struct vly_conn_config *conn);
/* The nth datagram of a kind is lost before it gets to the link. */
void scenario_drop(struct scenario *s, enum scenario_way way, enum scenario_packet kind,
                   uint64_t nth);
/* It is held up on the way instead: it arrives `hold_ns` after it was sent. */
void scenario_hold(struct scenario *s, enum scenario_way way, enum scenario_packet kind,
                   uint64_t nth, uint64_t hold_ns);
/* Makes the world without an application in it. */
void scenario_build(struct scenario *s);
/* scenario_build, if that was not done, and a bulk application, which connects. */
void scenario_transfer(struct scenario *s, const struct vly_bulk_spec *spec);
/* Announces changes of the running world's link. */
void scenario_change(struct scenario *s, enum scenario_way way, uint64_t at_ns,
                     enum vly_link_quantity what, uint64_t value);
void scenario_outage(struct scenario *s, uint64_t begin_ns, uint64_t end_ns);
/* Runs until `until_ns` or the end; fails the test when that is not an intact transfer. */
void scenario_run(struct scenario *s, uint64_t until_ns);
/* The same for a transfer that may end otherwise: only broken rules fail. */
void scenario_run_any(struct scenario *s, uint64_t until_ns);
/* scenario_run_any for another `ns`; whether there is something left to come: use it to look in on
 * a transfer from time to time. */
bool scenario_continue(struct scenario *s, uint64_t ns);
/* Whether all arrived and was acknowledged. */
bool scenario_is_intact(const struct scenario *s);
const struct vly_link_counters *scenario_counters(const struct scenario *s, enum scenario_way way);
enum scenario_packet scenario_packet_kind(const struct scenario *s, struct vly_span datagram);
/* The frames of a DATA packet, in clear; `buf` has room for its length. */
struct vly_span scenario_frames(const struct scenario *s, struct vly_span datagram, uint8_t *buf);

/* How many seeds a statistical test takes: VLY_SCENARIO_SEEDS, or 100 in an optimised build and 30
 * in others, which run a tenth as fast. The first is VLY_SEED or 1. */
size_t scenario_seeds(void);
uint64_t scenario_first_seed(void);
/* An amount of work: `optimised`, or `slow` in builds without optimisation. */
uint64_t scenario_scaled(uint64_t optimised, uint64_t slow);
/* Values of one figure, one for each seed. */
struct scenario_sample {
    size_t n;
    uint64_t value[SCENARIO_SEEDS_MAX];
};
void scenario_sample_add(struct scenario_sample *sample, uint64_t value);
/* The value that a share `q` of the sample does not exceed. Sorts. */
uint64_t scenario_quantile(struct scenario_sample *sample, double q);

#endif
