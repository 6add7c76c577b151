/*
 * flow - credit of one direction.
 *
 * The application's consumption in one measuring round, brought to the length of the smallest round
 * trip, is the bandwidth-delay product without queues; the window doubles until it is twice that,
 * so that it ends between twice and four times. A sender that the window holds back moves a whole
 * window each round trip, so the window doubles; one that waits in a queue gains nothing, for the
 * queue lengthens the round and not min_rtt. It shrinks only when the socket's buffer overflowed,
 * and then a limit that has been announced stands all the same.
 */
#include "flow.h"

#include <assert.h>
#include <string.h>

#include "wire.h"

/* A round is not shorter than this: on paths below a millisecond the round trip is the time the two
 * hosts take to wake up, and a window of twice the wire's share would be the bottleneck itself. */
#define ROUND_MIN_NS VLY_MS(1)

static uint64_t limit_for(const struct vly_flow_recv *f)
{
    uint64_t room = VLY_VARINT_MAX - f->consumed_bytes;

    return f->consumed_bytes + (f->window_bytes < room ? f->window_bytes : room);
}

void vly_flow_recv_init(struct vly_flow_recv *f, uint64_t window_bytes, uint64_t window_max_bytes,
                        uint64_t now_ns)
{
    assert(window_bytes > 0 && window_bytes <= window_max_bytes);
    memset(f, 0, sizeof(*f));
    f->window_bytes = window_bytes;
    f->window_max_bytes = f->window_cap_bytes = window_max_bytes;
    f->limit_bytes = limit_for(f);
    f->round_begin_ns = now_ns;
}

int vly_flow_recv_use(struct vly_flow_recv *f, uint64_t bytes)
{
    if (bytes > f->limit_bytes - f->highest_bytes)
        return VLY_E_LIMIT;
    f->highest_bytes += bytes;
    return 0;
}

void vly_flow_recv_throttle(struct vly_flow_recv *f, uint64_t now_ns)
{
    if (f->throttled_ns != 0 && vly_time_since(now_ns, f->throttled_ns) < VLY_FLOW_THROTTLE_NS)
        return;
    f->throttled_ns = now_ns;
    if (f->window_bytes / 2 >= VLY_FLOW_WINDOW_MIN)
        f->window_bytes /= 2;
    f->window_cap_bytes = f->window_bytes;
}

static void cap_regrow(struct vly_flow_recv *f, uint64_t now_ns)
{
    if (f->window_cap_bytes == f->window_max_bytes ||
        vly_time_since(now_ns, f->throttled_ns) < VLY_FLOW_REGROW_NS)
        return;
    f->throttled_ns = now_ns;
    f->window_cap_bytes += f->window_cap_bytes / 8;
    if (f->window_cap_bytes > f->window_max_bytes)
        f->window_cap_bytes = f->window_max_bytes;
}

static void window_tune(struct vly_flow_recv *f, uint64_t now_ns, uint64_t min_rtt_ns)
{
    uint64_t elapsed_ns = vly_time_since(now_ns, f->round_begin_ns), wanted;
    double per_round_trip;

    if (min_rtt_ns == 0 || min_rtt_ns == VLY_NEVER)
        return;
    if (min_rtt_ns < ROUND_MIN_NS)
        min_rtt_ns = ROUND_MIN_NS;
    if (elapsed_ns < min_rtt_ns)
        return;
    per_round_trip = (double)(f->consumed_bytes - f->round_begin_bytes) * (double)min_rtt_ns /
                     (double)elapsed_ns;
    /* Limits go out in steps of a quarter window, so a window that holds the sender back may
     * measure as little as three quarters of itself: more than half already asks for double. */
    wanted = (uint64_t)(2 * per_round_trip);
    if (wanted > f->window_bytes && wanted < 2 * f->window_bytes)
        wanted = 2 * f->window_bytes;
    /* Consumption lags what is announced by a round trip: a sender that is still growing needs the
     * room of the next one too, or it would double only every second. */
    if (f->last_per_round_trip > 0 && per_round_trip > 1.25 * f->last_per_round_trip)
        wanted *= 2;
    f->last_per_round_trip = per_round_trip;
    cap_regrow(f, now_ns);
    if (wanted > f->window_cap_bytes)
        wanted = f->window_cap_bytes;
    if (wanted > f->window_bytes)
        f->window_bytes = wanted;
    f->round_begin_ns = now_ns;
    f->round_begin_bytes = f->consumed_bytes;
}

bool vly_flow_recv_consume(struct vly_flow_recv *f, uint64_t bytes, uint64_t now_ns,
                           uint64_t min_rtt_ns)
{
    uint64_t limit, step;

    assert(bytes <= f->highest_bytes - f->consumed_bytes);
    f->consumed_bytes += bytes;
    window_tune(f, now_ns, min_rtt_ns);
    /* RULE 33: what is promised is what may still be held, and never more. */
    limit = limit_for(f);
    step = f->window_bytes >> (f->window_bytes == f->window_cap_bytes ? 1 : 2); /* no division */
    if (limit <= f->limit_bytes || limit - f->limit_bytes < step)
        return false;
    f->limit_bytes = limit;
    return true;
}

uint64_t vly_flow_send_room(const struct vly_flow_send *f)
{
    assert(f->used_bytes <= f->limit_bytes);
    return f->limit_bytes - f->used_bytes;
}

bool vly_flow_send_raise(struct vly_flow_send *f, uint64_t limit_bytes)
{
    if (limit_bytes <= f->limit_bytes)
        return false;
    f->limit_bytes = limit_bytes;
    return true;
}
