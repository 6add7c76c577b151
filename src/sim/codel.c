#include "sim/codel.h"

#include <math.h>

#define TARGET_DEFAULT_NS VLY_MS(5)
#define INTERVAL_DEFAULT_NS VLY_MS(100)
#define SPELLS_APART 16 /* intervals: further apart, a spell of dropping starts from nothing */

void vly_codel_init(struct vly_codel *c, uint64_t target_ns, uint64_t interval_ns)
{
    *c = (struct vly_codel){
        .target_ns = target_ns != 0 ? target_ns : TARGET_DEFAULT_NS,
        .interval_ns = interval_ns != 0 ? interval_ns : INTERVAL_DEFAULT_NS,
        .standing_ns = VLY_NEVER,
    };
}

/* RFC 8289 5.6, dodequeue: whether the wait was above the target for a whole interval. */
static bool is_standing(struct vly_codel *c, uint64_t now_ns, uint64_t wait_ns, bool is_short)
{
    if (wait_ns < c->target_ns || is_short) {
        c->standing_ns = VLY_NEVER;
        return false;
    }
    if (c->standing_ns == VLY_NEVER)
        c->standing_ns = vly_time_add(now_ns, c->interval_ns);
    return now_ns >= c->standing_ns;
}

/* RFC 8289 5.3: the drops of a spell come closer by the square root of their number. */
static uint64_t law(const struct vly_codel *c, uint64_t from_ns)
{
    return vly_time_add(from_ns, (uint64_t)((double)c->interval_ns / sqrt((double)c->n_drops)));
}

static void spell_begin(struct vly_codel *c, uint64_t now_ns)
{
    uint64_t before = c->n_drops - c->n_drops_begin;

    c->dropping = true;
    /* Soon after the last spell the rate at which that one ended is about right. */
    c->n_drops = 1;
    if (before > 1 && vly_time_since(now_ns, c->next_drop_ns) < SPELLS_APART * c->interval_ns)
        c->n_drops = before;
    c->n_drops_begin = c->n_drops;
    c->next_drop_ns = law(c, now_ns);
}

bool vly_codel_drops(struct vly_codel *c, uint64_t now_ns, uint64_t wait_ns, bool is_short)
{
    bool standing = is_standing(c, now_ns, wait_ns, is_short);

    if (!standing)
        c->dropping = false;
    if (!standing || (c->dropping && now_ns < c->next_drop_ns))
        return false;
    if (!c->dropping) {
        spell_begin(c, now_ns);
        return true;
    }
    c->n_drops++;
    c->next_drop_ns = law(c, c->next_drop_ns);
    return true;
}
