/*
 * fake_link_internal - the state of a fake pair, as fake_link.c (what happens in steps) and
 * fake_link_ops.c (what the users call) share it.
 */
#ifndef VLY_TESTS_FAKE_LINK_INTERNAL_H
#define VLY_TESTS_FAKE_LINK_INTERNAL_H

#include "support/fake_link.h"

#define FAKE_STREAMS_MAX 4096u

/* Written and not delivered. */
struct piece {
    struct piece *next;
    uint64_t offset;
    size_t len;
    uint8_t data[];
};

/* One direction of a stream; `from` writes. */
struct dir {
    struct piece *head, *tail;
    size_t n_pieces;
    uint64_t written, unsent, handed, consumed;
    bool fin, end_told;
    bool reset, reset_told;
    uint64_t reset_code;
    bool stop, stop_told; /* the reader wants no more */
    uint64_t stop_code;
    bool wants_room;
    bool any_order;
};

struct stream {
    bool exists;         /* opened by the client */
    bool touched, known; /* something of it is on its way; on_stream was called (SPEC 6) */
    struct dir dir[2];   /* by writer */
};

struct job {
    struct job *next;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

struct fake_link {
    struct vly_link base;
    struct fake_pair *pair;
    enum fake_side side;
    bool closed; /* had its on_closed */
    bool closing, close_told;
    uint64_t code;
    char reason[129];
    uint8_t scratch[65536];
    size_t reserved;
    uint64_t reserved_stream;
};

struct fake_pair {
    struct fake_options opt;
    struct vly_prng prng;
    struct fake_link link[2];
    struct stream *streams; /* index: id / 2 */
    uint64_t n_streams;
    uint64_t over; /* streams of which both directions ended */
    bool streams_wanted;
    bool open_told;
    int lost_err;
    bool lost;
    bool expecting;
    struct job *jobs;
    uint64_t steps;
};

extern const struct vly_link_ops fake_link_ops;

/* Closed by either side, or lost. */
bool fake_is_down(const struct fake_pair *p);
bool fake_dir_over(const struct dir *d);
/* Streams of which both directions ended. */
uint64_t fake_count_over(const struct fake_pair *p);
void fake_drop_pieces(struct dir *d);
void fake_reset_dir(struct dir *d, uint64_t code);

#endif
