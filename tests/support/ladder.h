/*
 * ladder - the datagrams of a scenario, one line each, for a person who looks for a bug.
 */
#ifndef VLY_TESTS_LADDER_H
#define VLY_TESTS_LADDER_H

#include "sim/world.h"

enum ladder_fate { LADDER_SENT, LADDER_DROPPED, LADDER_ARRIVED };

/* Prints time, way, number and frames of a datagram to standard error. Node 0 stands on the left.
 */
void ladder_print(const struct vly_world_view *v, enum ladder_fate fate);

#endif
