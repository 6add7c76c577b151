/*
 * Flow control: tiny windows, slow readers, many streams. Link of 100 Mbit/s and 20 ms round trip.
 */
#include "support/scenario.h"

#include <inttypes.h>

/* A queue deep enough to lose nothing by itself. */
#define LINK .rate_bytes_per_s = 100 * SCENARIO_MBIT, .delay_ns = VLY_MS(10), .queue_bytes = 4000000

static void run(struct scenario *s, const struct vly_conn_config *conn, double loss,
                const struct vly_bulk_spec *spec)
{
    scenario_init(s, 1);
    scenario_conn(s, conn);
    scenario_link(s, &(struct vly_link_spec){LINK, .loss = loss});
    scenario_transfer(s, spec);
    scenario_run(s, VLY_S(600));
}

/* One window a round trip, whatever its size: bytes / window * 20 ms, and 60 ms of set-up. The
 * limit is announced when half of the window is free, so that it may take up to twice the round
 * trips. */
static void test_tiny_windows(void **state)
{
    static const struct {
        uint64_t window_bytes, bytes;
    } rows[] = {{1, 100}, {100, 10000}, {4096, 400000}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const uint64_t rounds = rows[i].bytes / rows[i].window_bytes;
        const struct vly_conn_config conn = {.window_bytes = rows[i].window_bytes,
                                             .window_max_bytes = rows[i].window_bytes};
        struct scenario s;

        print_message("  %" PRIu64 " bytes\n", rows[i].window_bytes);
        run(&s, &conn, 0, &(struct vly_bulk_spec){.bytes = rows[i].bytes});
        assert_int_equal(s.sender.retransmits, 0);
        assert_int_equal(s.sender.pto_count, 0);
        assert_in_range(s.elapsed_ns, rounds * VLY_MS(20), 2 * rounds * VLY_MS(21) + VLY_MS(80));
        /* It was the window that it waited for. */
        assert_true(s.sender.limited_flow_ns > s.elapsed_ns / 10 * 9 - VLY_MS(80));
        scenario_fini(&s);

        /* Each window is a tail: what is lost waits for a PTO of about 50 to 100 ms, in one of five
         * of the rounds (data, acknowledgement or credit), seldom twice. */
        run(&s, &conn, 0.05, &(struct vly_bulk_spec){.bytes = rows[i].bytes});
        assert_true(s.elapsed_ns < rounds * (2 * VLY_MS(21) + VLY_MS(100) / 4) + VLY_MS(600));
        scenario_fini(&s);
    }
}

/* The reader sets the pace, and the sender is stopped by credit, not by loss: nothing is sent
 * again. All but the last window is paid for by the reader before the last byte is sent. */
static void test_slow_reader(void **state)
{
    const struct vly_conn_config conn = {.window_bytes = 65536, .window_max_bytes = 262144};
    const struct vly_bulk_spec spec = {.bytes = 3000000, .read_bytes_per_s = 1000000};
    struct scenario s;

    (void)state;
    run(&s, &conn, 0, &spec);
    assert_int_equal(s.sender.retransmits, 0);
    assert_in_range(s.elapsed_ns, VLY_S(3) - VLY_MS(262), VLY_S(3) + VLY_MS(100));
    assert_true(s.sender.limited_flow_ns > VLY_MS(2000));
    scenario_fini(&s);
}

/* A reader so slow that the connection is silent for longer than the answer timeout of 10 s: that
 * alone is no reason to end it, for nothing is unanswered. */
static void test_very_slow_reader(void **state)
{
    const struct vly_conn_config conn = {.window_bytes = 65536, .window_max_bytes = 65536};
    const struct vly_bulk_spec spec = {.bytes = 200000, .read_bytes_per_s = 2500};
    struct scenario s;

    (void)state;
    run(&s, &conn, 0.02, &spec);
    /* Half a window is 13 s of reading. */
    assert_in_range(s.elapsed_ns, VLY_S(80) - VLY_S(27), VLY_S(81));
    scenario_fini(&s);
}

/* The same with gaps in the data, in both orders, over several streams that share the credit. */
static void test_slow_reader_of_streams_with_loss(void **state)
{
    const struct vly_conn_config conn = {.window_bytes = 65536, .window_max_bytes = 262144};
    struct vly_bulk_spec spec = {.bytes = 1000000, .streams = 16, .read_bytes_per_s = 300000};
    struct scenario s;

    (void)state;
    for (spec.order = VLY_IN_ORDER; spec.order <= VLY_ANY_ORDER; spec.order++) {
        run(&s, &conn, 0.02, &spec);
        assert_int_equal(s.sender.spurious_losses, 0);
        assert_in_range(s.elapsed_ns, VLY_MS(3333 - 874), VLY_MS(4000));
        scenario_fini(&s);
    }
}

/* 64 streams cost what one does: 1.6 s of bytes, 150 ms of set-up and slow start, and the headers.
 */
static void test_64_streams(void **state)
{
    const struct vly_conn_config conn = {0};
    struct scenario s;

    (void)state;
    run(&s, &conn, 0, &(struct vly_bulk_spec){.bytes = 20000000, .streams = 64});
    assert_int_equal(s.sender.retransmits, 0);
    assert_true(s.elapsed_ns < VLY_MS(1850));
    scenario_fini(&s);
}

/* Both ways at once, each at the link's rate; then with loss, where 4.1 MB/s / RTT.. is the
 * window's. */
static void test_64_streams_both_ways(void **state)
{
    const struct vly_bulk_spec spec = {.bytes = 20000000, .streams = 64, .way = VLY_BULK_BOTH_WAYS};
    const struct vly_bulk_spec less = {
        .bytes = 2000000, .streams = 64, .way = VLY_BULK_BOTH_WAYS, .order = VLY_ANY_ORDER};
    const struct vly_conn_config conn = {0};
    struct scenario s;

    (void)state;
    run(&s, &conn, 0, &spec);
    assert_int_equal(s.sender.retransmits + s.receiver.retransmits, 0);
    assert_true(s.elapsed_ns < VLY_MS(1950)); /* acknowledgements share the way: 5 % */
    scenario_fini(&s);
    run(&s, &conn, 0.01, &less);
    assert_int_equal(s.sender.spurious_losses + s.receiver.spurious_losses, 0);
    /* test_loss.c: 1.1 s for each MB at 1 %, one way. */
    assert_true(s.elapsed_ns < VLY_MS(3500));
    scenario_fini(&s);
}

/* More streams than may be open at a time (256): the next ones open as others end. Sixteen times
 * 256 streams need as many round trips, and a few for loss. */
static void test_more_streams_than_fit(void **state)
{
    const struct vly_conn_config conn = {0};
    struct scenario s;

    (void)state;
    run(&s, &conn, 0.01, &(struct vly_bulk_spec){.bytes = 40960, .streams = 4096});
    assert_true(s.elapsed_ns < 16 * VLY_MS(40) + VLY_MS(500));
    scenario_fini(&s);
}

/* Nothing at all, and a single byte: set-up, one answer, one acknowledgement. */
static void test_least_transfers(void **state)
{
    const struct vly_conn_config conn = {0};
    struct scenario s;

    (void)state;
    for (uint64_t bytes = 0; bytes <= 1; bytes++) {
        run(&s, &conn, 0, &(struct vly_bulk_spec){.bytes = bytes});
        assert_in_range(s.elapsed_ns, VLY_MS(70), VLY_MS(76)); /* three and a half round trips */
        assert_true(s.sender.packets_sent <= 4);
        scenario_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_windows),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_very_slow_reader),
        cmocka_unit_test(test_slow_reader_of_streams_with_loss),
        cmocka_unit_test(test_64_streams),
        cmocka_unit_test(test_64_streams_both_ways),
        cmocka_unit_test(test_more_streams_than_fit),
        cmocka_unit_test(test_least_transfers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
