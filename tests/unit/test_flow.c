/*
 * flow: credit and auto-tuning. A sender that always uses its credit up is played over a path of
 * fixed delay and rate; the window must open when it is the bottleneck, and only then.
 */
#include "proto/flow.h"

#include "proto/wire.h"
#include "support/support.h"

#define KIB 1024u
#define MIB (1024u * KIB)

/* RULE 33 */
static void test_flow_recv_never_promises_more_than_the_window(void **state)
{
    struct vly_flow_recv f;

    (void)state;
    vly_flow_recv_init(&f, 1000, 1000, 0);
    assert_int_equal(f.limit_bytes, 1000);
    assert_int_equal(vly_flow_recv_use(&f, 600), 0);
    assert_int_equal(vly_flow_recv_use(&f, 401), VLY_E_LIMIT);
    assert_int_equal(f.highest_bytes, 600);
    assert_int_equal(vly_flow_recv_use(&f, UINT64_MAX), VLY_E_LIMIT);
    assert_int_equal(vly_flow_recv_use(&f, 400), 0);
    assert_int_equal(vly_flow_recv_use(&f, 1), VLY_E_LIMIT);
    /* At its largest, the window is announced by halves. */
    assert_false(vly_flow_recv_consume(&f, 499, 0, 0));
    assert_int_equal(f.limit_bytes, 1000);
    assert_true(vly_flow_recv_consume(&f, 1, 0, 0));
    assert_int_equal(f.limit_bytes, 1500);
    assert_false(vly_flow_recv_consume(&f, 0, 0, 0));
    assert_int_equal(vly_flow_recv_use(&f, 501), VLY_E_LIMIT);
}

/* What overflowed is halved once a millisecond, what was promised stands, and the window comes back
 * slowly. */
static void test_flow_recv_gives_way_to_a_full_socket(void **state)
{
    struct vly_flow_recv f;
    uint64_t limit_bytes, now_ns = VLY_S(1);

    (void)state;
    vly_flow_recv_init(&f, MIB, 8 * MIB, 0);
    assert_int_equal(vly_flow_recv_use(&f, MIB), 0);
    limit_bytes = f.limit_bytes;
    vly_flow_recv_throttle(&f, now_ns);
    vly_flow_recv_throttle(&f, now_ns + VLY_FLOW_THROTTLE_NS - 1);
    assert_int_equal(f.window_bytes, MIB / 2);
    /* Half of what is consumed pays for the smaller window; only then does the limit rise. */
    assert_false(vly_flow_recv_consume(&f, MIB / 2, now_ns, 0));
    assert_int_equal(f.limit_bytes, limit_bytes);
    assert_true(vly_flow_recv_consume(&f, MIB / 2, now_ns, 0));
    assert_int_equal(f.limit_bytes, limit_bytes + MIB / 2);
    for (unsigned i = 0; i < 10; i++)
        vly_flow_recv_throttle(&f, now_ns += VLY_FLOW_THROTTLE_NS);
    assert_int_equal(f.window_bytes, VLY_FLOW_WINDOW_MIN);

    /* A sender that uses all of it: an eighth more each tenth of a second, up to the largest. */
    for (unsigned i = 0; i < 100; i++) {
        uint64_t before_bytes = f.window_bytes;

        now_ns += VLY_FLOW_REGROW_NS;
        assert_int_equal(vly_flow_recv_use(&f, f.limit_bytes - f.highest_bytes), 0);
        (void)vly_flow_recv_consume(&f, f.highest_bytes - f.consumed_bytes, now_ns, VLY_MS(90));
        assert_true(f.window_bytes <= before_bytes + before_bytes / 8);
    }
    assert_int_equal(f.window_bytes, 8 * MIB);
}

static void test_flow_recv_limit_stops_at_the_largest_offset(void **state)
{
    struct vly_flow_recv f;

    (void)state;
    vly_flow_recv_init(&f, VLY_VARINT_MAX, VLY_VARINT_MAX, 0);
    assert_int_equal(vly_flow_recv_use(&f, VLY_VARINT_MAX), 0);
    assert_false(vly_flow_recv_consume(&f, VLY_VARINT_MAX, 1, 1));
    assert_int_equal(f.limit_bytes, VLY_VARINT_MAX);
}

/* What a sender does that is limited by nothing but the credit and the rate of the path: in ticks
 * of a 1/16 round trip, limits take half a round trip to it and data as long back. */
struct path {
    uint64_t rtt_ns, min_rtt_ns;
    uint64_t bytes_per_tick;
    uint64_t app_bytes_per_tick; /* what the receiving application takes */
};

static void play(struct vly_flow_recv *f, const struct path *p, unsigned round_trips)
{
    uint64_t limits[8], sent[8] = {0}, used = 0, unread = 0, now_ns = 0;

    for (size_t i = 0; i < 8; i++)
        limits[i] = f->limit_bytes;
    for (unsigned tick = 0; tick < 16 * round_trips; tick++) {
        uint64_t arriving = sent[tick % 8], room = limits[tick % 8] - used, eaten;

        sent[tick % 8] = room < p->bytes_per_tick ? room : p->bytes_per_tick;
        used += sent[tick % 8];
        now_ns += p->rtt_ns / 16;
        assert_int_equal(vly_flow_recv_use(f, arriving), 0);
        unread += arriving;
        eaten = unread < p->app_bytes_per_tick ? unread : p->app_bytes_per_tick;
        unread -= eaten;
        (void)vly_flow_recv_consume(f, eaten, now_ns, p->min_rtt_ns);
        limits[tick % 8] = f->limit_bytes;
        assert_true(f->limit_bytes - f->consumed_bytes <= f->window_bytes);
    }
}

/* 64 KiB to 32 MiB is nine doublings; each takes a round trip, and the first one two to get going.
 */
static void test_flow_recv_doubles_each_round_trip(void **state)
{
    const struct path p = {VLY_MS(50), VLY_MS(50), UINT32_MAX, UINT32_MAX};
    struct vly_flow_recv f;

    (void)state;
    vly_flow_recv_init(&f, 64 * KIB, 32 * MIB, 0);
    play(&f, &p, 12);
    assert_int_equal(f.window_bytes, 32 * MIB);
}

/* One round of 40 ms and what is consumed in it. Three quarters of a window are all of it, as
 * limits go out in quarters; less than a round trip is no measure, more is brought to its length.
 */
static void test_flow_recv_doubles_above_half_a_window_a_round_trip(void **state)
{
    static const struct {
        uint64_t consumed_bytes, elapsed_ms, window_bytes;
    } cases[] = {{500, 40, 1000}, {501, 40, 2000}, {750, 40, 2000}, {1000, 40, 2000},
                 {750, 39, 1000}, {750, 60, 1000}, {760, 60, 2000}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_flow_recv f;

        vly_flow_recv_init(&f, 1000, 100000, 0);
        assert_int_equal(vly_flow_recv_use(&f, cases[i].consumed_bytes), 0);
        (void)vly_flow_recv_consume(&f, cases[i].consumed_bytes, VLY_MS(cases[i].elapsed_ms),
                                    VLY_MS(40));
        assert_int_equal(f.window_bytes, cases[i].window_bytes);
    }
}

static void test_flow_recv_stops_between_two_and_four_bdps(void **state)
{
    /* 16 KiB in 1/16 round trip: 256 KiB. */
    const struct path p = {VLY_MS(40), VLY_MS(40), 16 * KIB, UINT32_MAX};
    struct vly_flow_recv f;

    (void)state;
    vly_flow_recv_init(&f, 64 * KIB, 32 * MIB, 0);
    play(&f, &p, 100);
    assert_in_range(f.window_bytes, 512 * KIB, 1024 * KIB);
}

/* The same rate with the round trip stretched tenfold by a queue: nothing to gain by a window. */
static void test_flow_recv_ignores_queueing(void **state)
{
    const struct path p = {VLY_MS(400), VLY_MS(40), 160 * KIB, UINT32_MAX};
    struct vly_flow_recv f;

    (void)state;
    vly_flow_recv_init(&f, 512 * KIB, 32 * MIB, 0);
    play(&f, &p, 100);
    assert_int_equal(f.window_bytes, 512 * KIB);
}

static void test_flow_recv_slow_reader_gets_no_larger_window(void **state)
{
    const struct path p = {VLY_MS(40), VLY_MS(40), UINT32_MAX, KIB};
    struct vly_flow_recv f;

    (void)state;
    vly_flow_recv_init(&f, 64 * KIB, 32 * MIB, 0);
    play(&f, &p, 100);
    assert_int_equal(f.window_bytes, 64 * KIB);
}

static void test_flow_recv_unknown_rtt_does_not_tune(void **state)
{
    static const uint64_t unknown_ns[] = {0, VLY_NEVER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(unknown_ns); i++) {
        const struct path p = {VLY_MS(16), unknown_ns[i], UINT32_MAX, UINT32_MAX};
        struct vly_flow_recv f;

        vly_flow_recv_init(&f, 64 * KIB, 32 * MIB, 0);
        play(&f, &p, 20);
        assert_int_equal(f.window_bytes, 64 * KIB);
    }
}

/* min RTT 40 us, but the hosts take 160 us to turn a packet round: the wire alone is no measure.
 * What 3.3 GB/s need then is 512 KiB; in 40 us they carry a quarter of that. */
static void test_flow_recv_below_a_millisecond_counts_the_hosts(void **state)
{
    const struct path p = {VLY_US(160), VLY_US(40), 32 * KIB, UINT32_MAX};
    struct vly_flow_recv f;

    (void)state;
    vly_flow_recv_init(&f, 64 * KIB, 8 * MIB, 0);
    play(&f, &p, 200);
    assert_in_range(f.window_bytes, 1 * MIB, 8 * MIB);
}

static void test_flow_send_credit(void **state)
{
    struct vly_flow_send f = {.limit_bytes = 100, .used_bytes = 40};

    (void)state;
    assert_int_equal(vly_flow_send_room(&f), 60);
    assert_false(vly_flow_send_raise(&f, 99));
    assert_false(vly_flow_send_raise(&f, 100));
    assert_int_equal(vly_flow_send_room(&f), 60);
    assert_true(vly_flow_send_raise(&f, 140));
    assert_int_equal(vly_flow_send_room(&f), 100);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flow_recv_never_promises_more_than_the_window),
        cmocka_unit_test(test_flow_recv_gives_way_to_a_full_socket),
        cmocka_unit_test(test_flow_recv_limit_stops_at_the_largest_offset),
        cmocka_unit_test(test_flow_recv_doubles_each_round_trip),
        cmocka_unit_test(test_flow_recv_doubles_above_half_a_window_a_round_trip),
        cmocka_unit_test(test_flow_recv_stops_between_two_and_four_bdps),
        cmocka_unit_test(test_flow_recv_ignores_queueing),
        cmocka_unit_test(test_flow_recv_slow_reader_gets_no_larger_window),
        cmocka_unit_test(test_flow_recv_unknown_rtt_does_not_tune),
        cmocka_unit_test(test_flow_recv_below_a_millisecond_counts_the_hosts),
        cmocka_unit_test(test_flow_send_credit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
