/*
 * Memory: each allocation fails once, and what is held stays within what was promised.
 * Link of 100 Mbit/s and 20 ms round trip.
 */
#include "support/scenario.h"

#include <inttypes.h>

#define LINK .rate_bytes_per_s = 100 * SCENARIO_MBIT, .delay_ns = VLY_MS(10)

/* What the one run of a node with a failing allocator came to. */
struct outcome {
    uint64_t requests;
    bool is_intact;
};

/* Loss at a fixed seed brings in what only loss needs: gaps, retransmissions, ranges. */
static struct outcome run_with_failure(enum scenario_node node, uint64_t fail_at)
{
    const struct vly_bulk_spec spec = {.bytes = 300000, .streams = 3, .way = VLY_BULK_BOTH_WAYS};
    struct test_counting_alloc alloc;
    struct outcome out = {0};
    struct vly_bulk bulk = {0};
    struct vly_world *w = vly_world_new(1);
    const struct vly_link_spec link = {LINK, .loss = 0.02};
    int err = 0;

    assert_non_null(w);
    test_counting_alloc_init(&alloc, fail_at);
    for (int i = CLIENT; i <= SERVER && err == 0; i++) {
        const struct vly_endpoint_config cfg = {.alloc = i == (int)node ? &alloc.alloc : NULL,
                                                .allow_plain = true,
                                                .is_server = i == SERVER};

        err = vly_world_add_node(w, &cfg);
    }
    if (err == 0) {
        assert_int_equal(vly_world_add_link(w, CLIENT, SERVER, &link), 0);
        assert_int_equal(vly_world_add_link(w, SERVER, CLIENT, &link), 0);
        err = vly_bulk_start(&bulk, w, CLIENT, SERVER, &spec);
    }
    assert_true(err == 0 || err == VLY_E_NOMEM);
    if (err == 0) {
        vly_world_run(w, VLY_S(100));
        assert_null(vly_world_failure(w));
        out.is_intact = vly_bulk_is_intact(&bulk);
        /* The handshake timeout, the answer timeout, the idle timeout: none leaves anything open.
         */
        assert_true(bulk.is_over);
    }
    out.requests = alloc.requests;
    vly_bulk_fini(&bulk);
    vly_world_free(w); /* asserts that the other node gave all back */
    assert_int_equal(alloc.live_blocks, 0);
    assert_int_equal(alloc.live_bytes, 0);
    return out;
}

/* RULE 40: whichever allocation fails, at the client or at the server: the connection goes on or
 * ends on both sides, nothing wrong is handed on, and nothing leaks. */
static void test_memory_fails_at_each_allocation(void **state)
{
    (void)state;
    for (int node = CLIENT; node <= SERVER; node++) {
        struct outcome whole = run_with_failure((enum scenario_node)node, 0);
        uint64_t survived = 0;

        assert_true(whole.is_intact);
        for (uint64_t fail_at = 1; fail_at <= whole.requests; fail_at++)
            survived += run_with_failure((enum scenario_node)node, fail_at).is_intact;
        print_message("  %s: %" PRIu64 " allocations, %" PRIu64 " of them are not missed\n",
                      node == CLIENT ? "client" : "server", whole.requests, survived);
        assert_true(whole.requests > 20);
    }
}

/* The receiver keeps what is out of order, at most the promised window and a block for each stream;
 * the sender what is not acknowledged, at most its buffer, in whole blocks. */
static void test_memory_is_bounded_by_the_windows(void **state)
{
    const uint64_t window = 500000, buffer = 300000;
    const struct vly_conn_config conn = {
        .window_bytes = window, .window_max_bytes = window, .send_buffer_max_bytes = buffer};
    struct scenario s;
    uint64_t idle_bytes;

    (void)state;
    scenario_init(&s, 1);
    scenario_conn(&s, &conn);
    scenario_link(&s, &(struct vly_link_spec){LINK, .reorder = 0.1, .reorder_ns = VLY_MS(8)});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 0, .linger_ns = VLY_MS(10)});
    scenario_run(&s, VLY_MS(200));
    idle_bytes = vly_world_memory_max_bytes(s.world);
    scenario_fini(&s);

    scenario_init(&s, 1);
    scenario_conn(&s, &conn);
    scenario_link(
        &s, &(struct vly_link_spec){LINK, .loss = 0.01, .reorder = 0.1, .reorder_ns = VLY_MS(8)});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 10000000});
    scenario_run(&s, VLY_S(60));
    /* Windows, two blocks of 64 KiB at the ends of the send buffer, one of 16 KiB, and 256 KiB for
     * the logs of packets and ranges. */
    assert_true(vly_world_memory_max_bytes(s.world) <
                idle_bytes + window + buffer + 2 * 65536 + 16384 + 262144);
    scenario_fini(&s);
}

/* RULE 39: nothing is acknowledged any more, while the application writes whatever it may. */
static void test_memory_without_acknowledgements(void **state)
{
    const uint64_t buffer = 4000000;
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_conn(&s, &(struct vly_conn_config){.send_buffer_max_bytes = buffer});
    scenario_link(&s, &(struct vly_link_spec){LINK});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = UINT64_C(1) << 40});
    scenario_change(&s, TO_SERVER, VLY_MS(500), VLY_LINK_OUTAGE, 1);
    scenario_run_any(&s, VLY_S(60));
    assert_int_equal(s.bulk.side[VLY_SERVER].closed.err, VLY_E_LOST);
    /* Both sides' structures, logs of some thousand packets, and what the receiver holds of a gap.
     */
    assert_true(vly_world_memory_max_bytes(s.world) < buffer + 2 * 65536 + 2000000);
    scenario_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_fails_at_each_allocation),
        cmocka_unit_test(test_memory_is_bounded_by_the_windows),
        cmocka_unit_test(test_memory_without_acknowledgements),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
