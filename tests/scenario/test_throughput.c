/*
 * How much of a link a transfer gets: with CUBIC on a long fast path, and with loss.
 *
 * The full sizes are those of an optimised build. Others (sanitizers, coverage), which run a tenth
 * to a thirtieth as fast, move less and are held to the same formula, of which start-up then is a
 * larger part. VLY_SCENARIO_BYTES sets the size of the volume test by hand.
 */
#include "support/scenario.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define GIB (UINT64_C(1) << 30)

static void report(const char *name, const struct scenario *s, uint64_t bytes, uint64_t rate)
{
    double seconds = (double)s->elapsed_ns / 1e9;

    print_message("  %s: %.3f s, %.1f %% of the link, %" PRIu64 " of %" PRIu64
                  " packets sent again\n",
                  name, seconds, 100 * (double)bytes / seconds / (double)rate,
                  s->sender.retransmits, s->sender.packets_sent);
}

/* 10 Gbit/s, 50 ms, no loss but the queue's: 95 % of the link over the whole run, start-up
 * included.
 *
 * Start-up: 125 ms of set-up, then slow start doubles ten datagrams of 9000 bytes until they fill
 * the path of 62.5 MB, ten round trips: 0.7 s, almost all of the rate lost. In 20 GB, 16 s, this
 * is 4.2 %; headers are 0.5 %. Slow start's overshoot, five halves of the path at most
 * (test_paths.c), queues meanwhile. */
static void test_cubic_fills_a_long_fast_path(void **state)
{
    const uint64_t rate = 10000 * (uint64_t)SCENARIO_MBIT;
    const uint64_t bytes = scenario_scaled(20000, 500) * 1000000;
    const struct vly_conn_config conn = {
        .max_datagram_bytes = 9000, .window_max_bytes = GIB / 4, .send_buffer_max_bytes = GIB / 4};
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_conn(&s, &conn);
    scenario_link(&s, &(struct vly_link_spec){.rate_bytes_per_s = rate, .delay_ns = VLY_MS(25)});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = bytes, .order = VLY_ANY_ORDER});
    scenario_run(&s, VLY_S(60));
    report("10 Gbit/s x 50 ms", &s, bytes, rate);
    assert_true((double)s.elapsed_ns / 1e9 < (double)bytes / (double)rate / 0.985 + 0.7);
    if (bytes >= UINT64_C(20000000000))
        assert_true((double)bytes / ((double)s.elapsed_ns / 1e9) >= 0.95 * (double)rate);
    assert_int_equal(s.sender.pto_count, 0);
    assert_true(s.sender.retransmits * 9000 < 5 * UINT64_C(62500000) / 2);
    scenario_fini(&s);
}

/* 1 Gbit/s, 20 ms, 1 % loss both ways: every byte once. 100 MB are 69,881 packets: 706 are sent
 * again, with five deviations of 26. CUBIC does 12 packets a round trip there, 0.9 MB/s. */
static void test_fast_path_with_loss(void **state)
{
    const uint64_t bytes = scenario_scaled(100, 20) * 1000000;
    const double expected = (double)bytes / 1431 * 0.0101;
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_link(&s, &(struct vly_link_spec){.rate_bytes_per_s = 1000 * SCENARIO_MBIT,
                                              .delay_ns = VLY_MS(10),
                                              .loss = 0.01});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = bytes, .order = VLY_ANY_ORDER});
    scenario_run(&s, VLY_S(600));
    report("1 Gbit/s x 20 ms x 1 %", &s, bytes, 1000 * SCENARIO_MBIT);
    assert_int_equal(s.receiver.stream_bytes_received, bytes);
    assert_true(fabs((double)s.sender.retransmits - expected) < 5 * sqrt(expected));
    assert_int_equal(s.sender.spurious_losses, 0);
    assert_true((double)s.elapsed_ns / 1e9 < (double)bytes / 0.7e6);
    scenario_fini(&s);
}

/* A controller that does not take loss for congestion fills the same path: 95 % of its 900 Mbit/s,
 * of which 3 % are headers and 1 % is sent again; 0.2 s for set-up and the last repairs. */
static void test_fixed_rate_ignores_loss(void **state)
{
    const uint64_t rate = 900 * SCENARIO_MBIT;
    const uint64_t bytes = scenario_scaled(200, 40) * 1000000;
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_conn(&s,
                  &(struct vly_conn_config){.cc = vly_cc_find("fixed"), .rate_bytes_per_s = rate});
    scenario_link(&s, &(struct vly_link_spec){.rate_bytes_per_s = 1000 * SCENARIO_MBIT,
                                              .delay_ns = VLY_MS(10),
                                              .loss = 0.01});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = bytes, .order = VLY_ANY_ORDER});
    scenario_run(&s, VLY_S(600));
    report("fixed 900 Mbit/s, 1 %", &s, bytes, rate);
    assert_true((double)s.elapsed_ns / 1e9 < 0.2 + (double)bytes / ((double)rate * 0.95));
    scenario_fini(&s);
}

/* 64 GiB in datagrams of 9000 bytes through 100 Gbit/s: 7.6 million packets, 2^36 offsets. The path
 * is short, so that all that is under way stays in the processor's cache: this is about volume. */
static void test_volume(void **state)
{
    const uint64_t rate = 100000 * (uint64_t)SCENARIO_MBIT;
    const char *given = getenv("VLY_SCENARIO_BYTES");
    const uint64_t bytes =
        given != NULL ? strtoull(given, NULL, 0) : scenario_scaled(64 * GIB, GIB / 4);
    const struct vly_conn_config conn = {
        .max_datagram_bytes = 9000, .window_max_bytes = 1000000, .send_buffer_max_bytes = 1000000};
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_conn(&s, &conn);
    scenario_link(&s, &(struct vly_link_spec){
                          .rate_bytes_per_s = rate, .delay_ns = VLY_US(5), .queue_bytes = 1000000});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = bytes});
    scenario_run(&s, VLY_S(60));
    report("volume", &s, bytes, rate);
    assert_int_equal(s.receiver.stream_bytes_received, bytes);
    assert_int_equal(s.sender.retransmits, 0); /* the window is the queue's size */
    /* 0.5 % of headers. */
    assert_true((double)s.elapsed_ns / 1e9 < 0.001 + (double)bytes / ((double)rate * 0.99));
    assert_true(vly_world_memory_max_bytes(s.world) < 4000000);
    scenario_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cubic_fills_a_long_fast_path),
        cmocka_unit_test(test_fast_path_with_loss),
        cmocka_unit_test(test_fixed_rate_ignores_loss),
        cmocka_unit_test(test_volume),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
