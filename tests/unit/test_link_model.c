/*
 * link_model: rates and delays to the nanosecond, drops where they belong, random knobs within
 * statistical bounds, the same seed the same link.
 */
#include "sim/link_model.h"
#include "support/support.h"

#include <math.h>
#include <string.h>

#define N 100000 /* packets of a statistical test */

static struct vly_link_model make(const struct vly_link_spec *spec, uint64_t seed)
{
    struct vly_link_model l;

    assert_int_equal(vly_link_model_init(&l, spec, seed), 0);
    return l;
}

/* Offers one packet that has to come out once; returns when. */
static uint64_t pass(struct vly_link_model *l, uint64_t now_ns, size_t len)
{
    struct vly_link_copy out[2];

    assert_int_equal(vly_link_model_offer(l, now_ns, len, out), 1);
    assert_int_equal(out[0].len, len);
    assert_int_equal(out[0].damage_bit, VLY_LINK_UNDAMAGED);
    return out[0].at_ns;
}

/* Asserts that `hits` of `n` fit `probability`: within 5 standard deviations. */
static void assert_share(uint64_t hits, double n, double probability)
{
    double deviation = sqrt(n * probability * (1 - probability));

    assert_true(fabs((double)hits - n * probability) <= 5 * deviation);
}

static void test_link_without_limits(void **state)
{
    struct vly_link_model l = make(&(struct vly_link_spec){0}, 1);

    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(pass(&l, i / 10, 65507), i / 10);
    assert_int_equal(vly_link_model_backlog_bytes(&l, 10), 0);
}

/* 10 Gbit/s and 1472 bytes are 1177.6 ns: five packets take exactly 5,888 ns, a million 1.1776 s.
 */
static void test_link_rate_is_exact(void **state)
{
    struct vly_link_model l = make(&(struct vly_link_spec){.rate_bytes_per_s = 1250000000,
                                                           .delay_ns = VLY_MS(50),
                                                           .queue_bytes = UINT64_C(1) << 31},
                                   1);
    uint64_t last_ns = 0;

    (void)state;
    for (int i = 0; i < 5; i++)
        last_ns = pass(&l, 0, 1472);
    assert_int_equal(last_ns, VLY_MS(50) + 5888);
    assert_int_equal(vly_link_model_backlog_bytes(&l, 0), 5 * 1472);
    /* Offered bit by bit at odd times, but never late: no rounding adds up. */
    for (uint64_t i = 5; i < 1000000; i++)
        last_ns = pass(&l, i * 1171, 1472);
    assert_int_equal(last_ns, VLY_MS(50) + 1177600000);
}

static void test_link_idles(void **state)
{
    struct vly_link_model l =
        make(&(struct vly_link_spec){.rate_bytes_per_s = 1000000, .delay_ns = VLY_MS(1)}, 1);

    (void)state;
    assert_int_equal(pass(&l, 0, 1000), VLY_MS(2));
    assert_int_equal(pass(&l, VLY_US(500), 1000), VLY_MS(3)); /* waits for the first */
    assert_int_equal(vly_link_model_backlog_bytes(&l, VLY_US(1500)), 500);
    assert_int_equal(pass(&l, VLY_MS(10), 1000), VLY_MS(12)); /* the link had become idle */
}

static void test_link_queue_drops_the_tail(void **state)
{
    struct vly_link_model l =
        make(&(struct vly_link_spec){.rate_bytes_per_s = 1000000, .queue_bytes = 3000}, 1);
    struct vly_link_copy out[2];

    (void)state;
    for (int i = 0; i < 3; i++)
        (void)pass(&l, 0, 1000);
    assert_int_equal(vly_link_model_offer(&l, 0, 1, out), 0);
    assert_int_equal(pass(&l, VLY_US(1), 1), VLY_MS(3) + VLY_US(1)); /* one byte has gone out */
    assert_int_equal(vly_link_model_offer(&l, VLY_US(1), 1, out), 0);
    assert_int_equal(l.counters.queue_dropped_pkts, 2);
    assert_int_equal(l.counters.queue_max_bytes, 3000);
    assert_int_equal(vly_link_model_drops(&l), 2);
    assert_int_equal(pass(&l, VLY_S(1), 9000), VLY_S(1) + VLY_MS(9)); /* idle: whatever its size */
}

static void test_link_queue_defaults(void **state)
{
    static const struct {
        const char *name;
        uint64_t rate_bytes_per_s, delay_ns, want;
    } cases[] = {
        {"one bandwidth-delay product", 1250000000, VLY_MS(25), 62500000},
        {"at least 64 KiB", 1250000, VLY_MS(1), 65536},
        {"no rate, no queue to limit", 0, VLY_MS(1), VLY_LINK_QUEUE_MAX},
        {"at most what can be counted", UINT64_C(1) << 50, VLY_S(2), VLY_LINK_QUEUE_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_link_model l =
            make(&(struct vly_link_spec){.rate_bytes_per_s = cases[i].rate_bytes_per_s,
                                         .delay_ns = cases[i].delay_ns},
                 1);

        print_message("  %s\n", cases[i].name);
        assert_int_equal(l.spec.queue_bytes, cases[i].want);
    }
}

static void test_link_refuses_nonsense(void **state)
{
    struct vly_link_model l;

    (void)state;
    assert_int_equal(vly_link_model_init(&l, &(struct vly_link_spec){.loss = 1.5}, 1),
                     VLY_E_INVALID);
    assert_int_equal(vly_link_model_init(&l, &(struct vly_link_spec){.corrupt = -0.1}, 1),
                     VLY_E_INVALID);
    assert_int_equal(vly_link_model_init(&l, &(struct vly_link_spec){.reorder = (double)NAN}, 1),
                     VLY_E_INVALID);
    assert_int_equal(
        vly_link_model_init(&l, &(struct vly_link_spec){.queue_bytes = VLY_LINK_QUEUE_MAX + 1}, 1),
        VLY_E_INVALID);
}

static void announce(struct vly_link_model *l, uint64_t at_ns, enum vly_link_quantity what,
                     uint64_t value)
{
    assert_int_equal(vly_link_model_change(l, &(struct vly_link_change){at_ns, what, value}), 0);
}

/* Four packets of 1000 bytes: 1 MB/s until 1.5 ms, 2 MB/s until 2 ms, then 0.5 MB/s. Bytes gone out
 * by then: 1500, 2500; the fourth ends 1500 bytes = 3 ms later. */
static void test_link_rate_steps_within_the_queue(void **state)
{
    static const uint64_t want_ns[] = {VLY_US(1000), VLY_US(1750), VLY_US(3000), VLY_US(5000)};
    struct vly_link_model l = make(&(struct vly_link_spec){.rate_bytes_per_s = 1000000}, 1);

    (void)state;
    announce(&l, VLY_US(1500), VLY_LINK_RATE, 2000000);
    announce(&l, VLY_US(1600), VLY_LINK_MTU, 1000); /* another quantity is no step of the rate */
    announce(&l, VLY_US(2000), VLY_LINK_RATE, 500000);
    for (size_t i = 0; i < ARRAY_LEN(want_ns); i++)
        assert_int_equal(pass(&l, 0, 1000), want_ns[i]);
    assert_int_equal(vly_link_model_backlog_bytes(&l, VLY_US(2000)), 1500);
    assert_int_equal(pass(&l, VLY_US(4000), 1000), VLY_US(7000)); /* 500 bytes before it */
}

static void test_link_changes(void **state)
{
    struct vly_link_model l = make(&(struct vly_link_spec){.delay_ns = VLY_MS(10)}, 1);
    struct vly_link_copy out[2];

    (void)state;
    announce(&l, VLY_MS(1), VLY_LINK_MTU, 1400);
    announce(&l, VLY_MS(2), VLY_LINK_OUTAGE, 1);
    announce(&l, VLY_MS(3), VLY_LINK_OUTAGE, 0);
    announce(&l, VLY_MS(4), VLY_LINK_DELAY, VLY_MS(30));
    assert_int_equal(pass(&l, 0, 1401), VLY_MS(10));
    assert_int_equal(vly_link_model_offer(&l, VLY_MS(1), 1401, out), 0);
    assert_int_equal(pass(&l, VLY_MS(1), 1400), VLY_MS(11));
    assert_int_equal(vly_link_model_offer(&l, VLY_MS(3) - 1, 100, out), 0);
    assert_int_equal(pass(&l, VLY_MS(3), 100), VLY_MS(13));
    assert_int_equal(pass(&l, VLY_MS(4), 100), VLY_MS(34));
    assert_int_equal(l.counters.mtu_dropped_pkts, 1);
    assert_int_equal(l.counters.outage_dropped_pkts, 1);
    assert_int_equal(
        vly_link_model_change(&l, &(struct vly_link_change){VLY_MS(3), VLY_LINK_RATE, 1}),
        VLY_E_INVALID);
}

static void test_link_caps_its_changes(void **state)
{
    struct vly_link_change change = {VLY_MS(1), VLY_LINK_RATE, 1};
    struct vly_link_model l = make(&(struct vly_link_spec){0}, 1);

    (void)state;
    for (int i = 0; i < VLY_LINK_CHANGES_MAX; i++)
        assert_int_equal(vly_link_model_change(&l, &change), 0);
    assert_int_equal(vly_link_model_change(&l, &change), VLY_E_LIMIT);
}

/* Without `reorder` jitter stretches and squeezes, but nothing overtakes. */
static void test_link_jitter_keeps_order(void **state)
{
    struct vly_link_model l =
        make(&(struct vly_link_spec){.delay_ns = VLY_MS(5), .jitter_ns = VLY_MS(2)}, 4);
    uint64_t last_ns = 0, max_ns = 0;

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        uint64_t now_ns = i * VLY_US(10);
        uint64_t at_ns = pass(&l, now_ns, 100);

        assert_true(at_ns >= last_ns);
        assert_in_range(at_ns - now_ns, VLY_MS(5), VLY_MS(7));
        max_ns = at_ns - now_ns > max_ns ? at_ns - now_ns : max_ns;
        last_ns = at_ns;
    }
    assert_true(max_ns > VLY_US(6990));
}

static void test_link_reorder_holds_back(void **state)
{
    struct vly_link_model l = make(
        &(struct vly_link_spec){.delay_ns = VLY_MS(5), .reorder = 0.02, .reorder_ns = VLY_MS(1)},
        5);
    uint64_t held = 0;

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        uint64_t took_ns = pass(&l, i * 100, 100) - i * 100;

        assert_true(took_ns == VLY_MS(5) || took_ns == VLY_MS(6));
        held += took_ns == VLY_MS(6);
    }
    assert_share(held, N, 0.02);
    assert_int_equal(held, l.counters.reordered_pkts);
}

/* Every random knob alone: its share, and its counter. */
static void test_link_shares(void **state)
{
    struct vly_link_model l = make(&(struct vly_link_spec){.loss = 0.05}, 6);
    struct vly_link_copy out[2];
    unsigned copies = 0;

    (void)state;
    for (uint64_t i = 0; i < N; i++)
        copies += vly_link_model_offer(&l, i, 100, out);
    assert_share(N - copies, N, 0.05);
    assert_int_equal(l.counters.lost_pkts, N - copies);
    assert_int_equal(l.counters.delivered_pkts, copies);

    l = make(&(struct vly_link_spec){.duplicate = 0.1}, 7);
    copies = 0;
    for (uint64_t i = 0; i < N; i++)
        copies += vly_link_model_offer(&l, i, 100, out);
    assert_share(copies - N, N, 0.1);
    assert_int_equal(l.counters.duplicated_pkts, copies - N);

    l = make(&(struct vly_link_spec){.ce_mark = 0.3}, 8);
    copies = 0;
    for (uint64_t i = 0; i < N; i++) {
        assert_int_equal(vly_link_model_offer(&l, i, 100, out), 1);
        copies += out[0].ce_mark;
    }
    assert_share(copies, N, 0.3);
}

static void test_link_damage(void **state)
{
    struct vly_link_model l = make(&(struct vly_link_spec){.corrupt = 0.25, .truncate = 0.5}, 9);
    uint64_t cut = 0, flipped = 0, cut_sum = 0;

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        uint8_t data[101] = {0};
        struct vly_link_copy out[2];
        int bits = 0;

        assert_int_equal(vly_link_model_offer(&l, i, sizeof(data), out), 1);
        assert_in_range(out[0].len, 1, sizeof(data));
        cut += out[0].len < sizeof(data);
        cut_sum += out[0].len < sizeof(data) ? out[0].len : 0;
        vly_link_model_damage(&out[0], data);
        for (size_t k = 0; k < sizeof(data); k++)
            for (int bit = 0; bit < 8; bit++)
                bits += data[k] >> bit & 1;
        assert_true(bits == 0 || (bits == 1 && out[0].damage_bit < out[0].len * 8));
        if (bits == 1)
            assert_int_equal(data[out[0].damage_bit / 8], 1 << out[0].damage_bit % 8);
        flipped += bits == 1;
    }
    assert_share(cut, N, 0.5);
    assert_share(flipped, N, 0.25);
    /* Lengths 1 to 100 are as likely: mean 50.5, deviation of the mean 28.9 / sqrt(N / 2) = 0.13.
     */
    assert_true(fabs((double)cut_sum / (double)cut - 50.5) < 5 * 0.13);
}

/* Gilbert-Elliott, good to bad 1 %, bad to good 20 %, loss 75 % in bad: 1/21 of the time is bad, so
 * 3.57 % are lost, in bad periods of five packets on average. Losses come together, which widens
 * the deviation of their number: to 137, measured over 400 seeds. */
static void test_link_bursts(void **state)
{
    struct vly_link_model l = make(
        &(struct vly_link_spec){.burst_enter = 0.01, .burst_leave = 0.2, .burst_loss = 0.75}, 10);
    struct vly_link_copy out[2];
    uint64_t lost = 0, periods = 0;
    bool was_bad = false;

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        lost += vly_link_model_offer(&l, i, 100, out) == 0;
        periods += l.burst && !was_bad;
        was_bad = l.burst;
    }
    assert_true(fabs((double)lost - 0.75 * N / 21) < 5 * 137);
    assert_true(fabs((double)periods - N * 0.01 * 20 / 21) < 5 * 31); /* sqrt(952) = 31 */
    assert_int_equal(l.counters.burst_lost_pkts, lost);
}

/* Same seed, same link; another seed, another one. */
static void test_link_repeats(void **state)
{
    const struct vly_link_spec spec = {.rate_bytes_per_s = 1000000,
                                       .jitter_ns = VLY_MS(1),
                                       .loss = 0.1,
                                       .burst_enter = 0.05,
                                       .burst_leave = 0.5,
                                       .burst_loss = 0.5,
                                       .reorder = 0.1,
                                       .reorder_ns = VLY_MS(3),
                                       .duplicate = 0.1,
                                       .corrupt = 0.1,
                                       .truncate = 0.1,
                                       .ce_mark = 0.1};
    struct vly_link_model a = make(&spec, 11), b = make(&spec, 11), c = make(&spec, 12);
    bool differs = false;

    (void)state;
    for (uint64_t i = 0; i < 10000; i++) {
        struct vly_link_copy x[2] = {0}, y[2] = {0}, z[2] = {0};
        unsigned n = vly_link_model_offer(&a, i * VLY_MS(1), 1000, x);

        assert_int_equal(vly_link_model_offer(&b, i * VLY_MS(1), 1000, y), n);
        differs |= vly_link_model_offer(&c, i * VLY_MS(1), 1000, z) != n;
        for (unsigned k = 0; k < n; k++) {
            assert_int_equal(x[k].at_ns, y[k].at_ns);
            assert_int_equal(x[k].len, y[k].len);
            assert_int_equal(x[k].damage_bit, y[k].damage_bit);
            assert_int_equal(x[k].ce_mark, y[k].ce_mark);
        }
    }
    assert_memory_equal(&a.counters, &b.counters, sizeof(a.counters));
    assert_true(differs);
}

/* What befalls the n-th packet depends neither on when it comes nor on what the queue makes of
 * others, nor is it lost for another because of jitter, copies or damage. */
static void test_link_losses_do_not_depend_on_timing(void **state)
{
    const struct vly_link_spec bare = {
        .loss = 0.05, .burst_enter = 0.02, .burst_leave = 0.3, .burst_loss = 0.8};
    struct vly_link_spec full = bare;
    struct vly_link_model a = make(&bare, 13), b;
    uint64_t lost = 0, queue_dropped = 0, lost_in_queue = 0;

    (void)state;
    full.rate_bytes_per_s = 1000000;
    full.queue_bytes = 5000;
    full.jitter_ns = VLY_MS(1);
    full.reorder = full.duplicate = full.corrupt = full.truncate = full.ce_mark = 0.2;
    b = make(&full, 13);
    for (uint64_t i = 0; i < 20000; i++) {
        struct vly_link_copy out[2];
        bool is_lost = vly_link_model_offer(&a, i * VLY_MS(3), 1000, out) == 0;
        unsigned n = vly_link_model_offer(&b, i * VLY_US(900), 1000, out);

        lost += is_lost;
        if (b.counters.queue_dropped_pkts > queue_dropped) {
            queue_dropped = b.counters.queue_dropped_pkts;
            lost_in_queue += is_lost;
        } else {
            assert_int_equal(n == 0, is_lost);
        }
    }
    assert_true(queue_dropped > 1000 && lost > 1000);
    assert_int_equal(b.counters.lost_pkts + lost_in_queue, lost);
}

/* The same for all else that is random: two runs with other times differ in nothing but times. */
static void test_link_copies_do_not_depend_on_timing(void **state)
{
    const struct vly_link_spec spec = {.jitter_ns = VLY_MS(1),
                                       .loss = 0.1,
                                       .reorder = 0.2,
                                       .reorder_ns = VLY_MS(3),
                                       .duplicate = 0.2,
                                       .corrupt = 0.2,
                                       .truncate = 0.2,
                                       .ce_mark = 0.2};
    struct vly_link_spec busy = spec;
    struct vly_link_model a = make(&spec, 14), b;

    (void)state;
    busy.rate_bytes_per_s = 1000000;
    busy.queue_bytes = 3000;
    b = make(&busy, 14);
    for (uint64_t i = 0; i < 10000; i++) {
        struct vly_link_copy x[2] = {0}, y[2] = {0};
        uint64_t dropped = b.counters.queue_dropped_pkts;
        unsigned n = vly_link_model_offer(&a, i * VLY_MS(5), 1000, x);
        unsigned m = vly_link_model_offer(&b, i * VLY_US(900), 1000, y);

        if (b.counters.queue_dropped_pkts > dropped)
            continue;
        assert_int_equal(n, m);
        for (unsigned k = 0; k < n; k++) {
            assert_int_equal(x[k].len, y[k].len);
            assert_int_equal(x[k].damage_bit, y[k].damage_bit);
            assert_int_equal(x[k].ce_mark, y[k].ce_mark);
        }
    }
    assert_true(b.counters.queue_dropped_pkts > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_without_limits),
        cmocka_unit_test(test_link_rate_is_exact),
        cmocka_unit_test(test_link_idles),
        cmocka_unit_test(test_link_queue_drops_the_tail),
        cmocka_unit_test(test_link_queue_defaults),
        cmocka_unit_test(test_link_refuses_nonsense),
        cmocka_unit_test(test_link_rate_steps_within_the_queue),
        cmocka_unit_test(test_link_changes),
        cmocka_unit_test(test_link_caps_its_changes),
        cmocka_unit_test(test_link_jitter_keeps_order),
        cmocka_unit_test(test_link_reorder_holds_back),
        cmocka_unit_test(test_link_shares),
        cmocka_unit_test(test_link_damage),
        cmocka_unit_test(test_link_bursts),
        cmocka_unit_test(test_link_repeats),
        cmocka_unit_test(test_link_losses_do_not_depend_on_timing),
        cmocka_unit_test(test_link_copies_do_not_depend_on_timing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
