/*
 * pace - progress reports ten times a second at most, without reading the clock for every packet.
 */
#ifndef VLY_FILE_PACE_H
#define VLY_FILE_PACE_H

#include <volley/base.h>

#define VLY_PACE_NS VLY_MS(100)

struct vly_pace {
    uint64_t next_bytes; /* the clock is not worth reading before */
    uint64_t step_bytes;
    uint64_t looked_ns, told_ns;
};

/* Whether `bytes` done are to be told now. */
bool vly_pace_is_due(struct vly_pace *p, uint64_t bytes, uint64_t (*now_ns)(void));

#endif
