/*
 * prr: RFC 9937, ACK by ACK. Datagrams are 1000 bytes, so that the figures can be read.
 */
#include "proto/prr.h"

#include "support/support.h"

#define PKT 1000u

/* A sender in recovery that sends whatever it may. */
struct sender {
    struct vly_prr prr;
    uint64_t in_flight_bytes;
    uint64_t ssthresh_bytes;
    uint64_t sent_bytes;
};

static void send_all_allowed(struct sender *s)
{
    while (s->prr.allowance_bytes >= PKT) {
        vly_prr_on_sent(&s->prr, PKT);
        s->in_flight_bytes += PKT;
        s->sent_bytes += PKT;
    }
}

static void on_ack(struct sender *s, uint64_t acked_pkts, uint64_t lost_pkts)
{
    s->in_flight_bytes -= (acked_pkts + lost_pkts) * PKT;
    vly_prr_on_ack(&s->prr, acked_pkts * PKT, lost_pkts * PKT, s->in_flight_bytes,
                   s->ssthresh_bytes, PKT);
    send_all_allowed(s);
}

static void test_prr_first_datagram_goes_at_once(void **state)
{
    struct vly_prr prr;

    (void)state;
    vly_prr_begin(&prr, 100 * PKT, PKT);
    assert_true(prr.active);
    assert_int_equal(prr.allowance_bytes, PKT);
    /* The proportion of one delivered packet is half a datagram; the first goes nevertheless. */
    vly_prr_on_ack(&prr, PKT, PKT, 98 * PKT, 50 * PKT, PKT);
    assert_int_equal(prr.allowance_bytes, PKT);
    vly_prr_on_sent(&prr, PKT);
    assert_int_equal(prr.allowance_bytes, 0);
    vly_prr_on_ack(&prr, PKT, 0, 98 * PKT, 50 * PKT, PKT);
    assert_int_equal(prr.allowance_bytes, 0);
    /* An ACK that brings nothing changes nothing. */
    vly_prr_on_ack(&prr, 0, 0, 98 * PKT, 50 * PKT, PKT);
    assert_int_equal(prr.allowance_bytes, 0);
    vly_prr_end(&prr);
    assert_false(prr.active);
    vly_prr_on_ack(&prr, PKT, 0, 10 * PKT, 50 * PKT, PKT);
    vly_prr_on_sent(&prr, PKT);
    assert_int_equal(prr.allowance_bytes, 0);
}

/* One of 100 is lost: over the round trip 99 ACKs arrive, and the sender must have sent as many
 * datagrams as ssthresh holds, evenly. */
static void test_prr_spreads_the_reduction(void **state)
{
    static const uint64_t ssthresh_pkts[] = {50, 70, 85};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ssthresh_pkts); i++) {
        struct sender s = {.in_flight_bytes = 100 * PKT, .ssthresh_bytes = ssthresh_pkts[i] * PKT};
        uint64_t silent = 0, longest_silence = 0;

        vly_prr_begin(&s.prr, s.in_flight_bytes, PKT);
        for (unsigned n = 0; n < 99; n++) {
            uint64_t before = s.sent_bytes;

            on_ack(&s, 1, n == 0);
            silent = s.sent_bytes == before ? silent + 1 : 0;
            if (silent > longest_silence)
                longest_silence = silent;
        }
        assert_in_range(s.in_flight_bytes, s.ssthresh_bytes - PKT, s.ssthresh_bytes);
        /* A window cut to half sends on every second ACK; the first datagram went early. */
        assert_in_range(longest_silence, 1, 2);
    }
}

/* Of 100, 80 are lost at once: in flight is far below ssthresh. By packet conservation as many go
 * out as are delivered while losses still show, one more an ACK when none do; never above ssthresh.
 */
static void test_prr_after_heavy_loss(void **state)
{
    struct sender s = {.in_flight_bytes = 100 * PKT, .ssthresh_bytes = 50 * PKT};

    (void)state;
    vly_prr_begin(&s.prr, s.in_flight_bytes, PKT);
    on_ack(&s, 1, 80);
    assert_int_equal(s.sent_bytes, PKT);
    on_ack(&s, 1, 1); /* a further loss: conservation */
    assert_int_equal(s.sent_bytes, 2 * PKT);
    on_ack(&s, 1, 0); /* none: slow start */
    assert_int_equal(s.sent_bytes, 4 * PKT);
    on_ack(&s, 0, 0); /* an ACK that brings nothing brings no datagram either */
    assert_int_equal(s.sent_bytes, 4 * PKT);
    on_ack(&s, 4, 0);
    assert_int_equal(s.sent_bytes, 9 * PKT);
    for (unsigned n = 0; n < 40; n++) {
        on_ack(&s, 5, 0);
        assert_true(s.in_flight_bytes <= s.ssthresh_bytes);
    }
    assert_int_equal(s.in_flight_bytes, s.ssthresh_bytes);
}

/* What the application did not send then, it may catch up with later, still within ssthresh. */
static void test_prr_catches_up(void **state)
{
    struct vly_prr prr;

    (void)state;
    vly_prr_begin(&prr, 100 * PKT, PKT);
    for (uint64_t n = 1; n <= 60; n++)
        vly_prr_on_ack(&prr, PKT, 0, (100 - n) * PKT, 50 * PKT, PKT);
    assert_int_equal(prr.delivered_bytes, 60 * PKT);
    assert_int_equal(prr.allowance_bytes, 10 * PKT);
}

static void test_prr_without_flight(void **state)
{
    struct vly_prr prr;

    (void)state;
    vly_prr_begin(&prr, 0, PKT);
    vly_prr_on_ack(&prr, PKT, 0, PKT, 0, PKT);
    assert_int_equal(prr.allowance_bytes, PKT);
    vly_prr_on_sent(&prr, 3 * PKT); /* a probe goes beyond */
    assert_int_equal(prr.allowance_bytes, 0);
}

/* RULE 26: whatever is lost and delivered, in flight never rises above ssthresh, and never rises at
 * all while it is above. */
static void test_prr_bound_holds_for_any_losses(void **state)
{
    struct vly_prng prng;

    (void)state;
    vly_prng_init(&prng, test_seed());
    for (unsigned run = 0; run < 2000; run++) {
        uint64_t flight_pkts = 2 + vly_prng_below(&prng, 200);
        struct sender s = {.in_flight_bytes = flight_pkts * PKT,
                           .ssthresh_bytes = PKT + vly_prng_below(&prng, flight_pkts * PKT)};

        vly_prr_begin(&s.prr, s.in_flight_bytes, PKT);
        for (unsigned n = 0; n < 300 && s.in_flight_bytes > 0; n++) {
            uint64_t before = s.in_flight_bytes, there = before / PKT;
            uint64_t acked = 1 + vly_prng_below(&prng, there < 8 ? there : 8);
            uint64_t lost =
                vly_prng_chance(&prng, 0.3) ? vly_prng_below(&prng, there - acked + 1) : 0;

            on_ack(&s, acked, lost);
            if (n == 0 || s.sent_bytes == PKT)
                continue; /* the fast retransmit is free */
            assert_true(s.in_flight_bytes <= s.ssthresh_bytes || s.in_flight_bytes <= before);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prr_first_datagram_goes_at_once),
        cmocka_unit_test(test_prr_spreads_the_reduction),
        cmocka_unit_test(test_prr_after_heavy_loss),
        cmocka_unit_test(test_prr_catches_up),
        cmocka_unit_test(test_prr_without_flight),
        cmocka_unit_test(test_prr_bound_holds_for_any_losses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
