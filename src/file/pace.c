/*
 * pace - see pace.h.
 *
 * The step between looks at the clock doubles while looks come too often and halves when they come
 * too rarely, so a fast transfer pays nothing and a slow one is told in time.
 */
#include "file/pace.h"

bool vly_pace_is_due(struct vly_pace *p, uint64_t bytes, uint64_t (*now_ns)(void))
{
    uint64_t now, since_look;

    if (bytes < p->next_bytes)
        return false;
    now = now_ns();
    since_look = vly_time_since(now, p->looked_ns);
    if (p->step_bytes == 0)
        p->step_bytes = 1;
    else if (since_look < VLY_PACE_NS / 8)
        p->step_bytes *= 2;
    else if (since_look > VLY_PACE_NS && p->step_bytes > 1)
        p->step_bytes /= 2;
    p->looked_ns = now;
    p->next_bytes = bytes + p->step_bytes;
    if (p->told_ns != 0 && vly_time_since(now, p->told_ns) < VLY_PACE_NS)
        return false;
    p->told_ns = now;
    return true;
}
