/*
 * handshake - whole handshakes as micro cases: both ends of a connection in this thread, from the
 * first HELLO to CLOSE, so one core divided by a figure is how many it can do.
 *
 * In memory the engine alone, its two endpoints joined by a loop; over loopback the transports that
 * programs use, with the kernel between them. Neither may be used by two threads.
 */
#ifndef VLY_BENCH_MICRO_HANDSHAKE_H
#define VLY_BENCH_MICRO_HANDSHAKE_H

#include "bench/micro/pair.h"
#include <volley/transport.h>

struct micro_loopback;

/* Opens a connection and closes it again at both ends. */
void micro_pair_shake(struct micro_pair *p);

/* Two transports with keys of their own. Returns 0, or what vly_transport_open does. */
VLY_MUST_USE int micro_loopback_new(struct micro_loopback **out, enum vly_carrier carrier);
void micro_loopback_free(struct micro_loopback *l); /* NULL is allowed */
void micro_loopback_shake(struct micro_loopback *l);

#endif
