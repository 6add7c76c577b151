/*
 * codel: when it drops, how drops come closer, and what it does to a queue that a greedy sender
 * keeps full.
 */
#include "sim/codel.h"
#include "sim/link_model.h"
#include "support/support.h"

#include <math.h>

#define INTERVAL_MS 100.0

/* Shows it a packet a millisecond, all with the same wait, in [from, to); returns the drops. */
static unsigned feed(struct vly_codel *c, uint64_t from_ms, uint64_t to_ms, uint64_t wait_ns)
{
    unsigned drops = 0;

    for (uint64_t t = from_ms; t < to_ms; t++)
        drops += vly_codel_drops(c, VLY_MS(t), wait_ns, false);
    return drops;
}

static void test_codel_waits_an_interval(void **state)
{
    struct vly_codel c;

    (void)state;
    vly_codel_init(&c, 0, 0);
    assert_int_equal(feed(&c, 0, 100, VLY_MS(5)), 0);
    assert_int_equal(feed(&c, 100, 101, VLY_MS(5)), 1);
}

static void test_codel_forgives(void **state)
{
    struct vly_codel c;

    (void)state;
    vly_codel_init(&c, VLY_MS(10), VLY_MS(50));
    assert_int_equal(feed(&c, 0, 1000, VLY_MS(10) - 1), 0);
    /* One packet below the target, or with hardly anything before it, starts the wait again. */
    assert_int_equal(feed(&c, 1000, 1050, VLY_MS(20)), 0);
    assert_false(vly_codel_drops(&c, VLY_MS(1050), VLY_MS(9), false));
    assert_int_equal(feed(&c, 1051, 1101, VLY_MS(20)), 0);
    assert_false(vly_codel_drops(&c, VLY_MS(1101), VLY_MS(20), true));
    assert_int_equal(feed(&c, 1102, 1152, VLY_MS(20)), 0);
    assert_int_equal(feed(&c, 1152, 1153, VLY_MS(20)), 1);
}

/* RFC 8289 5.3: the n-th gap is interval / sqrt(n). A packet comes each millisecond, and the gaps
 * are counted from when drops were due: so each is right to a packet. */
static void test_codel_gaps_shrink(void **state)
{
    struct vly_codel c;
    uint64_t last_ms = 0;
    unsigned drops = 0;

    (void)state;
    vly_codel_init(&c, 0, 0);
    for (uint64_t t = 0; drops < 60; t++) {
        if (!vly_codel_drops(&c, VLY_MS(t), VLY_MS(50), false))
            continue;
        if (drops > 0)
            assert_true(fabs((double)(t - last_ms) - INTERVAL_MS / sqrt(drops)) <= 1);
        drops++;
        last_ms = t;
    }
    assert_in_range(last_ms, 1480, 1500); /* 100 + 100 * the sum of 1 / sqrt(n) to 59: 1496 */
}

/* A spell of dropping that begins soon after one goes on at the rate at which that ended; one that
 * begins much later does not. */
static void test_codel_remembers_its_rate(void **state)
{
    struct vly_codel soon, late;

    (void)state;
    vly_codel_init(&soon, 0, 0);
    assert_in_range(feed(&soon, 0, 1500, VLY_MS(50)), 59, 61);
    assert_int_equal(feed(&soon, 1500, 1501, 0), 0);
    late = soon;
    assert_int_equal(feed(&soon, 1501, 1601, VLY_MS(50)), 0);
    assert_true(feed(&soon, 1601, 1701, VLY_MS(50)) > 7);
    assert_int_equal(feed(&late, 9000, 9100, VLY_MS(50)), 0);
    assert_int_equal(feed(&late, 9100, 9200, VLY_MS(50)), 1);
}

/* ---- in a link ---- */

#define PACKET_BYTES 1250 /* 1 ms at 10 Mbit/s */
#define ACKS_MAX 4096

/* A sender that adds a packet to its window each round trip and halves it for a loss, for 30 s over
 * 10 Mbit/s and 20 ms. Returns the mean wait in ms over the last 20 s; *out_share is the share of
 * the link that was used. */
static double greedy_sender(const struct vly_link_spec *spec, double *out_share)
{
    static uint64_t acks_ns[ACKS_MAX];
    struct vly_link_model l;
    size_t begin = 0, end = 0;
    uint64_t now_ns = 0, cut_ns = 0, wait_sum_bytes = 0, samples = 0;
    double window = 400; /* fills the queue at once */

    assert_int_equal(vly_link_model_init(&l, spec, 1), 0);
    while (now_ns < VLY_S(30)) {
        while ((double)(end - begin) < window) {
            struct vly_link_copy copy[2];

            if (vly_link_model_offer(&l, now_ns, PACKET_BYTES, copy) == 1) {
                assert_true(end - begin < ACKS_MAX);
                acks_ns[end++ % ACKS_MAX] = copy[0].at_ns + VLY_MS(10);
            } else if (now_ns >= cut_ns) {
                window /= 2;
                cut_ns = acks_ns[(end - 1) % ACKS_MAX]; /* once a round trip */
            }
        }
        now_ns = acks_ns[begin++ % ACKS_MAX];
        window += 1 / window;
        if (now_ns > VLY_S(10)) {
            wait_sum_bytes += vly_link_model_backlog_bytes(&l, now_ns);
            samples++;
        }
    }
    *out_share = (double)l.counters.delivered_bytes / (30 * 1.25e6);
    return (double)wait_sum_bytes / (double)samples / 1250;
}

static void test_codel_keeps_the_queue_short(void **state)
{
    struct vly_link_spec spec = {
        .rate_bytes_per_s = 1250000, .delay_ns = VLY_MS(10), .queue_bytes = 500000};
    double share, wait_ms;

    (void)state;
    wait_ms = greedy_sender(&spec, &share);
    print_message("  DropTail: %.1f ms, %.1f %% of the link\n", wait_ms, 100 * share);
    assert_true(wait_ms > 150); /* 400 ms when full, 190 after a loss */
    spec.codel = true;
    wait_ms = greedy_sender(&spec, &share);
    print_message("  CoDel: %.1f ms, %.1f %% of the link\n", wait_ms, 100 * share);
    assert_true(wait_ms > 2 && wait_ms < 10); /* target 5 ms */
    assert_true(share > 0.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codel_waits_an_interval),
        cmocka_unit_test(test_codel_forgives),
        cmocka_unit_test(test_codel_gaps_shrink),
        cmocka_unit_test(test_codel_remembers_its_rate),
        cmocka_unit_test(test_codel_keeps_the_queue_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
