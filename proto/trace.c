#include "trace.h"

static const struct vly_trace_info infos[VLY_TRACE_TYPES] = {
#define VLY_TRACE(name, a, b, c) [VLY_TRACE_##name] = {#name, {a, b, c}},
#include "trace.def"
#undef VLY_TRACE
};

const struct vly_trace_info *vly_trace_info(enum vly_trace_type type)
{
    return &infos[type];
}
