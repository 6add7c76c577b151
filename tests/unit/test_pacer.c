/*
 * pacer: what leaves in any interval, with on-time, late and early timers.
 */
#include "proto/pacer.h"

#include "support/support.h"

#define DATAGRAM 1200u

static void test_pacer_without_rate_lets_all_pass(void **state)
{
    struct vly_pacer p;

    (void)state;
    vly_pacer_init(&p, 0);
    assert_int_equal(vly_pacer_budget(&p, 5, 0, DATAGRAM), UINT64_MAX);
    vly_pacer_on_sent(&p, DATAGRAM);
    assert_int_equal(vly_pacer_budget(&p, 5, 0, DATAGRAM), UINT64_MAX);
    assert_int_equal(vly_pacer_due_ns(&p, 7, 0, DATAGRAM), 7);
}

static void test_pacer_burst(void **state)
{
    static const struct {
        const char *name;
        uint64_t bytes_per_s;
        uint32_t datagram_bytes;
        uint64_t burst_bytes;
    } cases[] = {
        {"two datagrams at least", 1000, 1200, 2400},
        {"two datagrams where they are long", 12500000, 60000, 120000},
        {"a millisecond's worth and a quarter", 12500000, 1200, 15625},
        {"64 KiB and a quarter millisecond's worth at 1 Gbit/s", 125000000, 1200, 96786},
        {"twice a timer's lateness at 10 Gbit/s", 1250000000, 1200, 625000},
        {"no rate is too high", UINT64_MAX, 1200, 500000000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_pacer p;

        print_message("  %s\n", cases[i].name);
        vly_pacer_init(&p, VLY_S(1));
        assert_int_equal(
            vly_pacer_budget(&p, VLY_S(1), cases[i].bytes_per_s, cases[i].datagram_bytes),
            cases[i].burst_bytes);
        /* Idle time gives no more than that. */
        assert_int_equal(
            vly_pacer_budget(&p, VLY_S(100000), cases[i].bytes_per_s, cases[i].datagram_bytes),
            cases[i].burst_bytes);
    }
}

/* Once the credit is used up, nothing goes before a quantum is there: a millisecond's worth. A
 * timer that fires late finds what accrued meanwhile. */
static void test_pacer_waits_for_a_quantum(void **state)
{
    const uint64_t rate = 12500000; /* 100 Mbit/s: 12.5 bytes a microsecond */
    struct vly_pacer p;

    (void)state;
    vly_pacer_init(&p, 0);
    vly_pacer_on_sent(&p, (uint32_t)vly_pacer_budget(&p, 0, rate, DATAGRAM));
    assert_int_equal(vly_pacer_budget(&p, 0, rate, DATAGRAM), 0);
    assert_int_equal(vly_pacer_due_ns(&p, 0, rate, DATAGRAM), VLY_MS(1));
    assert_int_equal(vly_pacer_budget(&p, VLY_MS(1) - 1, rate, DATAGRAM), 0);
    assert_int_equal(vly_pacer_budget(&p, VLY_US(1040), rate, DATAGRAM), 13000);
    /* A clock that seems to run backwards gives and takes nothing. */
    assert_int_equal(vly_pacer_budget(&p, VLY_US(400), rate, DATAGRAM), 13000);
    assert_int_equal(vly_pacer_budget(&p, VLY_US(1040), rate, DATAGRAM), 13000);
    /* Now less than a quantum may go, too, while it is a datagram. */
    vly_pacer_on_sent(&p, 13000 - DATAGRAM);
    assert_int_equal(vly_pacer_budget(&p, VLY_US(1040), rate, DATAGRAM), DATAGRAM);
    vly_pacer_on_sent(&p, 1);
    assert_int_equal(vly_pacer_budget(&p, VLY_US(1040), rate, DATAGRAM), 0);
    assert_int_equal(vly_pacer_budget(&p, VLY_US(1048), rate, DATAGRAM), 0);
}

/* After a full batch the rest goes only when it would fill another. */
static void test_pacer_full_batches(void **state)
{
    const uint64_t rate = 125000000; /* 1 Gbit/s; a burst is 96,786 bytes */
    struct vly_pacer p;

    (void)state;
    vly_pacer_init(&p, 0);
    assert_int_equal(vly_pacer_budget(&p, 0, rate, DATAGRAM), 96786);
    vly_pacer_on_sent(&p, 40000);
    vly_pacer_on_full_batch(&p, 40000);
    assert_int_equal(vly_pacer_budget(&p, 0, rate, DATAGRAM), 56786);
    vly_pacer_on_sent(&p, 40000);
    vly_pacer_on_full_batch(&p, 40000);
    assert_int_equal(vly_pacer_budget(&p, 0, rate, DATAGRAM), 0);
    assert_int_equal(vly_pacer_due_ns(&p, 0, rate, DATAGRAM), (65536 - 16786) * 8);
    assert_int_equal(vly_pacer_budget(&p, (65536 - 16786) * 8, rate, DATAGRAM), 65536);
}

static void test_pacer_probe_leaves_no_debt(void **state)
{
    const uint64_t rate = 12500000;
    struct vly_pacer p;

    (void)state;
    vly_pacer_init(&p, 0);
    vly_pacer_on_sent(&p, (uint32_t)vly_pacer_budget(&p, 0, rate, DATAGRAM));
    vly_pacer_on_sent(&p, DATAGRAM);
    assert_int_equal(vly_pacer_budget(&p, VLY_MS(1), rate, DATAGRAM), 12500);
}

/* Sends whenever a datagram fits, looks again at random times or when told; returns the bytes. */
static uint64_t greedy_send(struct vly_prng *prng, uint64_t rate, uint64_t until_ns, uint64_t looks)
{
    struct vly_pacer p;
    uint64_t now_ns = 0, sent = 0;

    vly_pacer_init(&p, 0);
    while (looks-- > 0 && now_ns < until_ns) {
        uint64_t due_ns;

        for (; vly_pacer_budget(&p, now_ns, rate, DATAGRAM) >= DATAGRAM; sent += DATAGRAM)
            vly_pacer_on_sent(&p, DATAGRAM);
        due_ns = vly_pacer_due_ns(&p, now_ns, rate, DATAGRAM);
        assert_true(due_ns > now_ns);
        if (vly_prng_chance(prng, 0.02)) {
            /* One nanosecond before, it is not yet enough; at that time it is. */
            struct vly_pacer early = p, due = p;

            assert_true(vly_pacer_budget(&early, due_ns - 1, rate, DATAGRAM) < DATAGRAM);
            assert_true(vly_pacer_budget(&due, due_ns, rate, DATAGRAM) >= DATAGRAM);
            now_ns = due_ns;
        } else {
            now_ns += 1 + vly_prng_below(prng, (due_ns - now_ns) / 20 + 1);
        }
    }
    return now_ns < until_ns ? UINT64_MAX : sent;
}

/* RULE 26: no rate is rounded away and none exceeded, however often the clock is read. */
static void test_pacer_long_run_rate(void **state)
{
    static const struct {
        uint64_t bytes_per_s, until_s;
    } cases[] = {{7, 100000}, {1200, 1000}, {333333, 10}, {125000000, 1}};
    struct vly_prng prng;

    (void)state;
    vly_prng_init(&prng, test_seed());
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t rate = cases[i].bytes_per_s, exact = rate * cases[i].until_s;
        uint64_t sent = greedy_send(&prng, rate, VLY_S(cases[i].until_s), 10000000);
        uint64_t burst = (rate > 65536000 ? 65536 : rate / 1000) + rate / 4000;

        if (burst < 2 * DATAGRAM)
            burst = 2 * DATAGRAM;
        print_message("  %llu bytes a second\n", (unsigned long long)rate);
        assert_int_not_equal(sent, UINT64_MAX);
        /* The burst at the start on top, a quantum not yet complete at the end below; the last look
         * may lie one wait behind the end. */
        assert_in_range(sent, exact > burst ? exact - burst : 0, exact + 2 * burst);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pacer_without_rate_lets_all_pass),
        cmocka_unit_test(test_pacer_burst),
        cmocka_unit_test(test_pacer_waits_for_a_quantum),
        cmocka_unit_test(test_pacer_full_batches),
        cmocka_unit_test(test_pacer_probe_leaves_no_debt),
        cmocka_unit_test(test_pacer_long_run_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
