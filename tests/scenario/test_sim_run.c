/*
 * vly_sim_run, the public door to the simulator: same seed, same packets; figures; refusals.
 */
#include "support/scenario.h"

#include <volley/sim.h>

/* Every knob at once. */
static struct vly_sim_options nasty(uint64_t seed)
{
    const struct vly_link_spec link = {.rate_bytes_per_s = 50 * SCENARIO_MBIT,
                                       .delay_ns = VLY_MS(8),
                                       .jitter_ns = VLY_MS(1),
                                       .loss = 0.01,
                                       .burst_enter = 0.003,
                                       .burst_leave = 0.3,
                                       .burst_loss = 0.9,
                                       .reorder = 0.02,
                                       .reorder_ns = VLY_MS(3),
                                       .duplicate = 0.01,
                                       .corrupt = 0.01,
                                       .truncate = 0.005,
                                       .ce_mark = 0.005};

    return (struct vly_sim_options){.size = sizeof(struct vly_sim_options),
                                    .seed = seed,
                                    .bytes = 500000,
                                    .streams = 3,
                                    .forward = link,
                                    .back = link};
}

static struct vly_sim_result run(const struct vly_sim_options *opt)
{
    struct vly_sim_result r;

    assert_int_equal(vly_sim_run(opt, &r), 0);
    return r;
}

static void test_same_seed_same_trace(void **state)
{
    uint64_t first = scenario_first_seed();

    (void)state;
    for (uint64_t seed = first; seed < first + 10; seed++) {
        struct vly_sim_options opt = nasty(seed), next = nasty(seed + 1);
        struct vly_sim_result a = run(&opt), b = run(&opt), c = run(&next);

        assert_int_equal(a.err, 0);
        assert_int_equal(a.trace_hash, b.trace_hash);
        assert_int_equal(a.elapsed_ns, b.elapsed_ns);
        assert_int_equal(a.packets_sent, b.packets_sent);
        assert_int_not_equal(a.trace_hash, c.trace_hash);
    }
}

/* The hash covers what is sent, not only when: one byte more or less is another trace. */
static void test_trace_depends_on_options(void **state)
{
    struct vly_sim_options opt = nasty(1);
    uint64_t hash = run(&opt).trace_hash;

    (void)state;
    opt.bytes--;
    assert_int_not_equal(run(&opt).trace_hash, hash);
    opt = nasty(1);
    opt.cc = "reno";
    assert_int_not_equal(run(&opt).trace_hash, hash);
    opt = nasty(1);
    opt.cc = "cubic";
    assert_int_equal(run(&opt).trace_hash, hash); /* the default, spelled out */
}

/* 1 MB at 8 Mbit/s is 1 s; 80 ms of set-up and the last acknowledgement, 3 % of headers. */
static void test_figures(void **state)
{
    const struct vly_link_spec link = {.rate_bytes_per_s = 1000000, .delay_ns = VLY_MS(10)};
    const struct vly_sim_options opt = {
        .size = sizeof(opt), .seed = 1, .bytes = 1000000, .forward = link, .back = link};
    struct vly_sim_result r = run(&opt);

    (void)state;
    assert_int_equal(r.err, 0);
    assert_int_equal(r.bytes, 1000000);
    assert_in_range(r.elapsed_ns, VLY_MS(1080), VLY_MS(1140));
    assert_in_range(r.packets_sent, 699, 725);
    assert_in_range(r.retransmits, r.link_drops, r.link_drops + 2); /* and a probe */
    assert_int_equal(r.spurious_losses, 0);
    assert_true(r.goodput_bytes_per_s > 870000 && r.goodput_bytes_per_s < 930000);
}

static void test_failures_are_results(void **state)
{
    struct vly_sim_options opt = nasty(1);

    (void)state;
    opt.give_up_ns = VLY_MS(100);
    assert_int_equal(run(&opt).err, VLY_E_LIMIT);
    opt = nasty(1);
    opt.forward.loss = 1;
    assert_int_equal(run(&opt).err, VLY_E_NO_ANSWER);
}

static void test_nonsense_is_refused(void **state)
{
    struct vly_sim_options opt = nasty(1);
    struct vly_sim_result r;

    (void)state;
    opt.size = 1;
    assert_int_equal(vly_sim_run(&opt, &r), VLY_E_INVALID);
    opt = nasty(1);
    opt.cc = "wishful";
    assert_int_equal(vly_sim_run(&opt, &r), VLY_E_INVALID);
    opt = nasty(1);
    opt.back.loss = 2;
    assert_int_equal(vly_sim_run(&opt, &r), VLY_E_INVALID);
    opt = nasty(1);
    opt.max_datagram_bytes = 100;
    assert_int_equal(vly_sim_run(&opt, &r), VLY_E_INVALID);
    opt = nasty(1);
    opt.streams = VLY_BULK_STREAMS_MAX + 1;
    assert_int_equal(vly_sim_run(&opt, &r), VLY_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_trace),
        cmocka_unit_test(test_trace_depends_on_options),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_failures_are_results),
        cmocka_unit_test(test_nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
