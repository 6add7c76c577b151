/*
 * trace - typed events of a connection, from one list (trace.def).
 *
 * The sink is the engine's only call outwards besides the allocator and the cipher; it must not
 * call back into the engine. No key material or payload ever is in an event.
 */
#ifndef VLY_PROTO_TRACE_H
#define VLY_PROTO_TRACE_H

#include <volley/base.h>

enum vly_trace_type {
#define VLY_TRACE(name, a, b, c) VLY_TRACE_##name,
#include "trace.def"
#undef VLY_TRACE
    VLY_TRACE_TYPES
};

struct vly_trace_event {
    enum vly_trace_type type;
    uint64_t time_ns;
    uint64_t cid; /* the connection's own id */
    uint64_t a, b, c;
};

/* Names of an event and of its three fields; static. */
struct vly_trace_info {
    const char *name;
    const char *field[3];
};
const struct vly_trace_info *vly_trace_info(enum vly_trace_type type);

struct vly_trace {
    void (*on_event)(void *ctx, const struct vly_trace_event *ev); /* NULL: off */
    void *ctx;
};

#endif
