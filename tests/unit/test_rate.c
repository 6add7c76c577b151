/*
 * rate: delivery rate samples from packets whose send and ACK times are drawn in each test.
 */
#include "proto/rate.h"

#include "support/support.h"

#define PKT 1000u

struct sent {
    uint64_t sent_ns;
    struct vly_rate_snapshot snap;
};

static struct sent send_at(struct vly_rate *r, uint64_t now_ns, uint64_t in_flight_bytes)
{
    struct sent s = {.sent_ns = now_ns};

    vly_rate_on_sent(r, now_ns, in_flight_bytes, &s.snap);
    return s;
}

static void ack_at(struct vly_rate *r, uint64_t now_ns, const struct sent *s)
{
    vly_rate_on_acked(r, now_ns, s->sent_ns, PKT, &s->snap);
}

/* n packets sent at send_ms[], acknowledged one by one at ack_ms[]; the sample of the last ACK. */
static struct vly_rate_sample run(const uint64_t *send_ms, const uint64_t *ack_ms, size_t n)
{
    struct vly_rate_sample sample = {0};
    struct vly_rate r;
    struct sent sent[16];

    assert_true(n <= ARRAY_LEN(sent));
    vly_rate_init(&r, VLY_MS(send_ms[0]));
    for (size_t i = 0; i < n; i++)
        sent[i] = send_at(&r, VLY_MS(send_ms[i]), i * PKT);
    for (size_t i = 0; i < n; i++) {
        ack_at(&r, VLY_MS(ack_ms[i]), &sent[i]);
        sample = vly_rate_finish(&r, VLY_MS(1));
    }
    return sample;
}

static void test_rate_is_bounded_by_the_slower_side(void **state)
{
    static const struct {
        const char *name;
        uint64_t send_ms[5], ack_ms[5];
        uint64_t interval_ms;
    } cases[] = {
        {"evenly", {0, 1, 2, 3, 4}, {10, 11, 12, 13, 14}, 14},
        {"one burst, spread by the path", {0, 0, 0, 0, 0}, {10, 12, 14, 16, 18}, 18},
        {"ACKs bunched on their way", {0, 5, 10, 15, 20}, {30, 30, 30, 30, 30}, 30},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_rate_sample s = run(cases[i].send_ms, cases[i].ack_ms, 5);

        print_message("  %s\n", cases[i].name);
        assert_int_equal(s.interval_ns, VLY_MS(cases[i].interval_ms));
        assert_int_equal(s.bytes_per_s, 5 * PKT * 1000 / cases[i].interval_ms);
        assert_int_equal(s.prior_delivered_bytes, 0);
        assert_false(s.app_limited);
    }
}

/* A packet every ms over a 10 ms path: each round trip delivers ten, so 1 MB/s in every sample. */
static void test_rate_steady_flow(void **state)
{
    struct vly_rate r;
    struct sent sent[100];

    (void)state;
    vly_rate_init(&r, 0);
    for (uint64_t ms = 0; ms < 110; ms++) {
        if (ms >= 10) {
            struct vly_rate_sample s;

            ack_at(&r, VLY_MS(ms), &sent[ms - 10]);
            s = vly_rate_finish(&r, VLY_MS(10));
            if (ms >= 20) {
                assert_int_equal(s.bytes_per_s, 1000 * PKT);
                assert_int_equal(s.interval_ns, VLY_MS(10));
                assert_int_equal(s.prior_delivered_bytes, (ms - 20) * PKT + PKT);
            }
        }
        if (ms < 100)
            sent[ms] = send_at(&r, VLY_MS(ms), ms < 10 ? ms * PKT : 9 * PKT);
    }
    assert_int_equal(r.delivered_bytes, 100 * PKT);
}

/* The send interval: sent over 40 ms, ACKs compressed behind a first one. Without it the last
 * sample would say 4 packets in 5 ms. */
static void test_rate_compressed_acks_do_not_inflate(void **state)
{
    struct vly_rate_sample s;
    struct vly_rate r;
    struct sent sent[5];

    (void)state;
    vly_rate_init(&r, 0);
    sent[0] = send_at(&r, 0, 0);
    ack_at(&r, VLY_MS(50), &sent[0]);
    (void)vly_rate_finish(&r, VLY_MS(1));
    for (unsigned i = 1; i < 5; i++)
        sent[i] = send_at(&r, VLY_MS(50) + VLY_MS(10) * i, PKT * i);
    for (unsigned i = 1; i < 5; i++)
        ack_at(&r, VLY_MS(55) + VLY_MS(40), &sent[i]);
    s = vly_rate_finish(&r, VLY_MS(1));
    assert_int_equal(s.interval_ns, VLY_MS(90)); /* since the packet of 0 ms was sent */
    assert_int_equal(s.bytes_per_s, 4 * PKT * 1000 / 90);
}

static void test_rate_short_interval_is_no_sample(void **state)
{
    struct vly_rate_sample s;
    struct vly_rate r;
    struct sent sent;

    (void)state;
    vly_rate_init(&r, 0);
    sent = send_at(&r, VLY_MS(1), 0);
    ack_at(&r, VLY_MS(6), &sent);
    s = vly_rate_finish(&r, VLY_MS(6));
    assert_int_equal(s.bytes_per_s, 0);
    assert_int_equal(s.interval_ns, VLY_MS(5));
    /* Nothing acknowledged, no sample. */
    s = vly_rate_finish(&r, VLY_MS(1));
    assert_int_equal(s.bytes_per_s, 0);
    assert_int_equal(s.interval_ns, 0);
}

static void test_rate_idle_time_does_not_count(void **state)
{
    struct vly_rate_sample s;
    struct vly_rate r;
    struct sent sent;

    (void)state;
    vly_rate_init(&r, 0);
    sent = send_at(&r, 0, 0);
    ack_at(&r, VLY_MS(10), &sent);
    (void)vly_rate_finish(&r, VLY_MS(10));
    sent = send_at(&r, VLY_S(60), 0);
    ack_at(&r, VLY_S(60) + VLY_MS(10), &sent);
    s = vly_rate_finish(&r, VLY_MS(10));
    assert_int_equal(s.bytes_per_s, 100 * PKT);
}

/* A late ACK for an old packet adds to what was delivered and takes no part in the interval. */
static void test_rate_newest_packet_decides(void **state)
{
    struct vly_rate_sample s;
    struct vly_rate r;
    struct sent a, b, c;

    (void)state;
    vly_rate_init(&r, 0);
    a = send_at(&r, 0, 0);
    b = send_at(&r, VLY_MS(1), PKT);
    c = send_at(&r, VLY_MS(2), 2 * PKT);
    ack_at(&r, VLY_MS(12), &c);
    ack_at(&r, VLY_MS(12), &a);
    s = vly_rate_finish(&r, VLY_MS(10));
    assert_int_equal(s.interval_ns, VLY_MS(12));
    assert_int_equal(s.bytes_per_s, 2 * PKT * 1000 / 12);
    ack_at(&r, VLY_MS(13), &b);
    s = vly_rate_finish(&r, VLY_MS(10));
    assert_int_equal(s.bytes_per_s, 0);
    assert_int_equal(r.delivered_bytes, 3 * PKT);
}

/* One batch, two ACKs: the second has the send time of the first's newest packet and still counts.
 */
static void test_rate_batch_split_over_two_acks(void **state)
{
    struct vly_rate_sample s;
    struct vly_rate r;
    struct sent sent[4];

    (void)state;
    vly_rate_init(&r, 0);
    for (unsigned i = 0; i < 4; i++)
        sent[i] = send_at(&r, VLY_MS(5), i * PKT);
    ack_at(&r, VLY_MS(15), &sent[0]);
    ack_at(&r, VLY_MS(15), &sent[1]);
    s = vly_rate_finish(&r, VLY_MS(10));
    assert_int_equal(s.bytes_per_s, 2 * PKT * 100);
    ack_at(&r, VLY_MS(25), &sent[2]);
    ack_at(&r, VLY_MS(25), &sent[3]);
    s = vly_rate_finish(&r, VLY_MS(10));
    assert_int_equal(s.bytes_per_s, 4 * PKT * 50);
}

static void test_rate_app_limited_phase(void **state)
{
    struct vly_rate_sample s;
    struct vly_rate r;
    struct sent a, b, c;

    (void)state;
    vly_rate_init(&r, 0);
    a = send_at(&r, 0, 0);
    vly_rate_on_app_limited(&r, PKT);
    b = send_at(&r, VLY_MS(1), PKT);
    ack_at(&r, VLY_MS(10), &a);
    s = vly_rate_finish(&r, VLY_MS(1));
    assert_false(s.app_limited);
    ack_at(&r, VLY_MS(11), &b); /* the phase ends: all that was in flight is delivered */
    s = vly_rate_finish(&r, VLY_MS(1));
    assert_true(s.app_limited);
    c = send_at(&r, VLY_MS(12), 0);
    ack_at(&r, VLY_MS(22), &c);
    s = vly_rate_finish(&r, VLY_MS(1));
    assert_false(s.app_limited);
    /* Nothing delivered and nothing in flight: still a phase. */
    vly_rate_init(&r, 0);
    vly_rate_on_app_limited(&r, 0);
    a = send_at(&r, VLY_MS(1), 0);
    assert_true(a.snap.app_limited);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_is_bounded_by_the_slower_side),
        cmocka_unit_test(test_rate_steady_flow),
        cmocka_unit_test(test_rate_compressed_acks_do_not_inflate),
        cmocka_unit_test(test_rate_short_interval_is_no_sample),
        cmocka_unit_test(test_rate_idle_time_does_not_count),
        cmocka_unit_test(test_rate_newest_packet_decides),
        cmocka_unit_test(test_rate_batch_split_over_two_acks),
        cmocka_unit_test(test_rate_app_limited_phase),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
