/*
 * engine - the way of a batch through the engine, as micro cases: the application fills the send
 * buffer, a batch goes out, comes in, is acknowledged, and the ACK comes back. No socket, and time
 * that only this file moves; randomness is the same in each run, so the work is, to the
 * instruction.
 *
 * Each step is a function of its own, never inlined, for callgrind to tell them apart
 * (tests/integration/test_instructions.py).
 */
#ifndef VLY_BENCH_MICRO_ENGINE_H
#define VLY_BENCH_MICRO_ENGINE_H

#include "proto/crypto.h"

#define MICRO_SMALL_BYTES 1472 /* 44 of these datagrams make the largest batch */
#define MICRO_LARGE_BYTES 65507

struct micro_engine;

/* A connection with datagrams of MICRO_SMALL_BYTES or MICRO_LARGE_BYTES that has settled down.
 * `suite`: "none" (no protection, so that the engine's own work alone is left), "plain", or one of
 * vly_crypto_choose. Returns 0, VLY_E_NOMEM or what that function does. */
VLY_MUST_USE int micro_engine_new(struct micro_engine **out, const char *suite,
                                  uint32_t datagram_bytes);
void micro_engine_free(struct micro_engine *e); /* NULL is allowed */

/* Moves one full batch. What settling down took is not done by this function. */
void micro_engine_run(struct micro_engine *e);
/* Datagrams with content that micro_engine_run has moved so far. */
uint64_t micro_engine_packets(const struct micro_engine *e);

/* The steps of micro_engine_run, in this order. */
void micro_engine_write(struct micro_engine *e);
void micro_engine_send(struct micro_engine *e);
void micro_engine_receive(struct micro_engine *e);
void micro_engine_acknowledge(struct micro_engine *e);
void micro_engine_settle(struct micro_engine *e);

#endif
