/*
 * Loss on both ways of a link of 100 Mbit/s and 20 ms round trip: independent, in bursts, of
 * acknowledgements alone. Each row is run with many seeds and its median and 90th percentile
 * bounded.
 *
 * The model behind the bounds: a million bytes are 699 packets. Of the packets sent a share p is
 * lost, repairs too, so 699 * p / (1 - p) are sent again. The window follows 1.22 / sqrt(p) packets
 * a round trip (RFC 3649), but not below two.
 */
#include "support/scenario.h"

#include <math.h>

#define BYTES 1000000u
#define PACKETS 699.0

struct row {
    const char *name;
    struct vly_link_spec to_client, to_server;
    double lost_share; /* of the packets to the client */
    double clump_pkts; /* how many are lost together, which widens the spread by the root of it */
    uint64_t median_ns, p90_ns;
};

#define LINK .rate_bytes_per_s = 100 * SCENARIO_MBIT, .delay_ns = VLY_MS(10)
/* As large as all of the transfer: what is lost is lost by the knob at hand. */
#define DEEP_LINK LINK, .queue_bytes = BYTES

static struct scenario_sample elapsed, retransmits;

static void run_seed(const struct row *row, uint64_t seed)
{
    struct scenario s;

    scenario_init(&s, seed);
    if (row->lost_share >= 0.5) /* the default of 10 s is too little for some seeds, see below */
        scenario_conn(&s, &(struct vly_conn_config){.answer_timeout_ns = VLY_S(20)});
    s.link[TO_CLIENT] = row->to_client;
    s.link[TO_SERVER] = row->to_server;
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = BYTES});
    scenario_run(&s, VLY_S(600));
    scenario_sample_add(&elapsed, s.elapsed_ns);
    scenario_sample_add(&retransmits, s.sender.retransmits);
    /* Nothing overtakes: what is declared lost is lost. */
    assert_int_equal(s.sender.spurious_losses, 0);
    scenario_fini(&s);
}

static void run_row(const struct row *row)
{
    double expected = PACKETS * row->lost_share / (1 - row->lost_share);
    double deviation = sqrt(expected * row->clump_pkts);
    size_t seeds = scenario_seeds();
    uint64_t median, p90;

    elapsed.n = retransmits.n = 0;
    for (size_t i = 0; i < seeds; i++)
        run_seed(row, scenario_first_seed() + i);
    median = scenario_quantile(&retransmits, 0.5);
    p90 = scenario_quantile(&retransmits, 0.9);
    print_message("  %-28s sent again %3llu, p90 %3llu (model %3.0f); took %5llu ms, p90 %5llu\n",
                  row->name, (unsigned long long)median, (unsigned long long)p90, expected,
                  (unsigned long long)scenario_quantile(&elapsed, 0.5) / 1000000,
                  (unsigned long long)scenario_quantile(&elapsed, 0.9) / 1000000);
    /* The median of 30 runs strays by a quarter of a deviation; probes, two for each of up to six
     * silences, come on top. */
    assert_true((double)median >= 0.8 * expected - 2 && (double)median <= 1.15 * expected + 4);
    assert_true((double)p90 <= 1.05 * expected + 2.5 * deviation + 12);
    assert_true(scenario_quantile(&elapsed, 0.5) <= row->median_ns);
    assert_true(scenario_quantile(&elapsed, 0.9) <= row->p90_ns);
}

/* Times: 80 ms of bytes at the rate, 60 ms of set-up and five round trips of slow start are 220 ms
 * without loss. At 1 and 5 % the model's windows of 12 and 5.5 packets give 1.1 and 2.5 s, less
 * what slow start brings before the first loss. From 20 % on the window is at its minimum: 874
 * packets by two a round trip are 8.7 s, 1398 are 14 s; with half of the probes and of their
 * answers lost too, most round trips then wait for a timer of up to 500 ms that gets no answer in
 * nine of sixteen cases. Twenty of these in a row, all that 10 s of patience hold, happen in one of
 * some hundred such runs. */
static void test_loss_both_ways(void **state)
{
    static const struct row rows[] = {
        {"0 %", {DEEP_LINK}, {DEEP_LINK}, 0, 1, VLY_MS(225), VLY_MS(225)},
        {"1 %", {LINK, .loss = 0.01}, {LINK, .loss = 0.01}, 0.01, 1, VLY_MS(1100), VLY_MS(2000)},
        {"5 %", {LINK, .loss = 0.05}, {LINK, .loss = 0.05}, 0.05, 1, VLY_MS(3500), VLY_MS(4500)},
        {"20 %", {LINK, .loss = 0.2}, {LINK, .loss = 0.2}, 0.2, 1, VLY_S(12), VLY_S(15)},
        {"50 %", {LINK, .loss = 0.5}, {LINK, .loss = 0.5}, 0.5, 1, VLY_S(90), VLY_S(120)},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        run_row(&rows[i]);
}

/* Bursts of 3.3 packets each 100: 3.2 % are lost, but a burst is one congestion episode. A burst
 * that takes a whole small flight or a repair waits for the probe timer: 100 to 200 ms each. */
static void test_loss_in_bursts(void **state)
{
    static const struct vly_link_spec bursty = {DEEP_LINK, .burst_enter = 0.01, .burst_leave = 0.3,
                                                .burst_loss = 1};
    const struct row row = {"bursts, 3.2 %", bursty, bursty, 0.0323, 5.7, VLY_MS(1000), VLY_S(4)};

    (void)state;
    run_row(&row);
}

/* Acknowledgements are cumulative: losing half of them costs time (the window's growth, the
 * set-up's timers of 250 ms, which half of the runs meet at least twice), but nothing is sent again
 * but the probes of a silence. */
static void test_loss_of_acknowledgements(void **state)
{
    const struct row few = {"ACKs alone, 20 %", {DEEP_LINK}, {DEEP_LINK, .loss = 0.2}, 0, 1,
                            VLY_MS(700),        VLY_MS(1300)};
    const struct row half = {"ACKs alone, 50 %", {DEEP_LINK}, {DEEP_LINK, .loss = 0.5}, 0, 1,
                             VLY_MS(1400),       VLY_S(4)};

    (void)state;
    run_row(&few);
    run_row(&half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_both_ways),
        cmocka_unit_test(test_loss_in_bursts),
        cmocka_unit_test(test_loss_of_acknowledgements),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
