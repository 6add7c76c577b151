/*
 * Storms: every knob of the link, the connection and the application drawn at random from a seed,
 * within what a transfer can be expected to survive. Nothing is known of the time it takes but a
 * bound, and nothing of the packets; the world's rules and the bulk's comparison of every byte are
 * what is asked.
 *
 * VLY_SEED and VLY_SCENARIO_SEEDS choose where to begin and how many storms to run.
 */
#include "support/scenario.h"

#include <inttypes.h>

#define PATIENCE_NS VLY_S(60)

/* With probability `share` a value drawn from 0 to `max`, else 0. */
static double maybe(struct vly_prng *p, double share, double max)
{
    return vly_prng_chance(p, share) ? vly_prng_unit(p) * max : 0;
}

static uint64_t pick(struct vly_prng *p, const uint64_t *values, size_t n)
{
    return values[vly_prng_below(p, n)];
}

static struct vly_link_spec draw_link(struct vly_prng *p, uint32_t datagram_bytes)
{
    static const uint64_t rates[] = {0, 125000, 1250000, 12500000, 125000000, 1250000000};
    static const uint64_t delays_ns[] = {0, VLY_US(25), VLY_MS(1), VLY_MS(20), VLY_MS(150)};
    static const uint64_t queues[] = {0, 0, 20000, 1000000};
    struct vly_link_spec link = {
        .rate_bytes_per_s = pick(p, rates, ARRAY_LEN(rates)),
        .delay_ns = pick(p, delays_ns, ARRAY_LEN(delays_ns)),
        .queue_bytes = pick(p, queues, ARRAY_LEN(queues)),
        .loss = maybe(p, 0.5, 0.2),
        .burst_enter = maybe(p, 0.2, 0.05),
        .burst_leave = 0.2 + vly_prng_unit(p) / 2,
        .burst_loss = vly_prng_unit(p),
        .reorder = maybe(p, 0.4, 0.5),
        .reorder_ns = vly_prng_below(p, VLY_MS(50)),
        .duplicate = maybe(p, 0.3, 0.3),
        .corrupt = maybe(p, 0.3, 0.1),
        .truncate = maybe(p, 0.2, 0.05),
        .ce_mark = maybe(p, 0.2, 0.1),
    };

    link.jitter_ns = vly_prng_below(p, 1 + link.delay_ns / 2);
    if (link.queue_bytes > 0 && link.queue_bytes < 4 * (uint64_t)datagram_bytes)
        link.queue_bytes = 4 * (uint64_t)datagram_bytes;
    return link;
}

static struct vly_conn_config draw_conn(struct vly_prng *p, uint64_t first_offset)
{
    static const uint64_t sizes[] = {1200, 1472, 1472, 9000, 65507};
    static const uint64_t windows[] = {3000, 65536, 1000000, 16000000};
    static const uint64_t first_pns[] = {0, 0, (UINT64_C(1) << 32) - 500,
                                         VLY_VARINT_MAX - 10000000};
    static const char *const names[] = {"cubic", "cubic", "reno", "fixed"};
    uint64_t window = pick(p, windows, ARRAY_LEN(windows));
    uint32_t datagram_bytes = (uint32_t)pick(p, sizes, ARRAY_LEN(sizes));

    return (struct vly_conn_config){
        .cc = vly_cc_find(names[vly_prng_below(p, ARRAY_LEN(names))]),
        .rate_bytes_per_s = 4 * (uint64_t)datagram_bytes + vly_prng_below(p, 20000000),
        .max_datagram_bytes = datagram_bytes,
        .window_bytes = window,
        .window_max_bytes = window << vly_prng_below(p, 5),
        .send_buffer_max_bytes = pick(p, windows, ARRAY_LEN(windows)),
        .max_ack_delay_ns = vly_prng_below(p, VLY_MS(50)),
        .max_streams = 1 + vly_prng_below(p, 100),
        .first_pn = pick(p, first_pns, ARRAY_LEN(first_pns)),
        .first_offset = first_offset,
        .handshake_timeout_ns = PATIENCE_NS,
        .answer_timeout_ns = PATIENCE_NS,
    };
}

static void draw(struct scenario *s, struct vly_prng *p, struct vly_bulk_spec *spec)
{
    static const uint64_t first_offsets[] = {0, 0, (UINT64_C(1) << 32) - 5000,
                                             VLY_VARINT_MAX - 50000000};

    *spec = (struct vly_bulk_spec){
        .bytes = UINT64_C(1) << vly_prng_below(p, 21),
        .streams = 1 + (unsigned)vly_prng_below(p, vly_prng_chance(p, 0.3) ? 200 : 4),
        .way = vly_prng_chance(p, 0.3) ? VLY_BULK_BOTH_WAYS : VLY_BULK_TO_CLIENT,
        .order = vly_prng_chance(p, 0.5) ? VLY_ANY_ORDER : VLY_IN_ORDER,
        .read_bytes_per_s = (uint64_t)maybe(p, 0.1, 2000000) & ~UINT64_C(1),
        .write_bytes_per_s = (uint64_t)maybe(p, 0.1, 2000000) & ~UINT64_C(1),
        .first_offset = pick(p, first_offsets, ARRAY_LEN(first_offsets)),
        .linger_ns = vly_prng_below(p, VLY_MS(100)),
        .expect_answer = vly_prng_chance(p, 0.5),
    };
    s->config[CLIENT].conn = draw_conn(p, spec->first_offset);
    s->config[SERVER].conn = draw_conn(p, spec->first_offset);
    s->config[CLIENT].max_batch_pkts = (unsigned)vly_prng_below(p, 4);
    s->link[TO_CLIENT] = draw_link(p, s->config[SERVER].conn.max_datagram_bytes);
    s->link[TO_SERVER] = draw_link(p, s->config[CLIENT].conn.max_datagram_bytes);
}

/* Outages and steps of rate and delay, in the first seconds. */
static void draw_weather(struct scenario *s, struct vly_prng *p)
{
    uint64_t at_ns = vly_prng_below(p, VLY_S(1));

    for (uint64_t i = vly_prng_below(p, 4); i > 0; i--) {
        enum scenario_way way = vly_prng_chance(p, 0.5) ? TO_CLIENT : TO_SERVER;
        uint64_t until_ns = at_ns + vly_prng_below(p, VLY_S(5));

        scenario_change(s, way, at_ns, VLY_LINK_OUTAGE, 1);
        scenario_change(s, way, until_ns, VLY_LINK_OUTAGE, 0);
        scenario_change(s, way, until_ns, VLY_LINK_RATE, 10000 + vly_prng_below(p, 100000000));
        scenario_change(s, way, until_ns, VLY_LINK_DELAY, vly_prng_below(p, VLY_MS(200)));
        at_ns = until_ns + vly_prng_below(p, VLY_S(1));
    }
}

static void storm(uint64_t seed, bool has_weather)
{
    struct vly_bulk_spec spec;
    struct vly_prng prng;
    struct scenario s;

    vly_prng_init(&prng, seed);
    scenario_init(&s, seed);
    draw(&s, &prng, &spec);
    scenario_transfer(&s, &spec);
    if (has_weather)
        draw_weather(&s, &prng);
    scenario_run(&s, VLY_S(100000));
    scenario_fini(&s);
}

static void test_storms(void **state)
{
    size_t n = 2 * scenario_seeds();

    (void)state;
    for (size_t i = 0; i < n; i++)
        storm(scenario_first_seed() + i, false);
}

/* RULE 25: and whatever the weather was, when it is over the transfer ends. */
static void test_storms_with_weather(void **state)
{
    size_t n = scenario_seeds();

    (void)state;
    for (size_t i = 0; i < n; i++)
        storm(scenario_first_seed() + i, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_storms),
        cmocka_unit_test(test_storms_with_weather),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
