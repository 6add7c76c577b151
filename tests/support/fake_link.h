/*
 * fake_link - two links joined in memory, for tests of whatever runs on struct vly_link.
 *
 * What is written waits in pieces until fake_step moves one of them, one event a step, in an order
 * that a seed decides: streams overtake each other, and pieces of one stream when its reader asked
 * for any order. Credit, room and the number of streams are bounded as a transport would. Offloaded
 * work runs in a step of its own, in the test's thread.
 *
 * Side 0 is the client. Fails the running test when its user breaks the contract of link.h.
 */
#ifndef VLY_TESTS_FAKE_LINK_H
#define VLY_TESTS_FAKE_LINK_H

#include "support/support.h"
#include <volley/transport.h>

enum fake_side { FAKE_CLIENT, FAKE_SERVER };

struct fake_options {
    uint64_t seed;
    size_t piece_bytes;    /* 0: 1200 */
    size_t room_bytes;     /* unsent, of one stream; 0: 64 KiB */
    size_t window_bytes;   /* handed on and not consumed, of one stream; 0: 256 KiB */
    uint64_t max_streams;  /* of the client open at once; 0: 256 */
    bool no_threads;       /* offload fails */
    const uint8_t *key[2]; /* what each side has shown, 32 bytes, borrowed; NULL: nothing */
};

struct fake_pair;

struct fake_pair *fake_pair_new(const struct fake_options *opt);
void fake_pair_free(struct fake_pair *p);
struct vly_link *fake_pair_link(struct fake_pair *p, enum fake_side side);
/* One event, or one job; false when nothing is left to happen. */
bool fake_step(struct fake_pair *p);
/* One offloaded job alone; false when there is none. */
bool fake_step_job(struct fake_pair *p);
/* Steps until nothing is left, or `limit` steps were made (fails then). */
void fake_run(struct fake_pair *p);
/* The connection is lost: both sides get on_closed(err). */
void fake_lose(struct fake_pair *p, int err);
/* Events delivered so far. */
uint64_t fake_steps(const struct fake_pair *p);
/* Whether that side has had its on_closed. */
bool fake_is_closed(const struct fake_pair *p, enum fake_side side);
/* Bytes handed on to `side` and never consumed, all streams that were not stopped or reset. */
uint64_t fake_unconsumed(const struct fake_pair *p, enum fake_side side);
/* Streams the client opened of which a direction has not come to its end. */
size_t fake_open_streams(const struct fake_pair *p);
bool fake_expects_answer(const struct fake_pair *p);
/* Lets a server that knows no better use a stream on which nothing has come yet. */
void fake_make_known(struct fake_pair *p, uint64_t stream);

#endif
