#include "support/support.h"

#include "proto/ackset.h"

#define MAX_ACK_DELAY_NS VLY_MS(5)

/* Adds a counted packet at time 0 without ECN. */
static void add(struct vly_ackset *set, uint64_t pn)
{
    assert_int_equal(vly_ackset_test(set, pn), 0);
    vly_ackset_add(set, pn, 0, true, VLY_ECN_NONE, 0);
}

static bool is_due_now(const struct vly_ackset *set)
{
    return vly_ackset_due_ns(set, MAX_ACK_DELAY_NS) == 0;
}

static void test_ackset_add_merges(void **state)
{
    static const struct {
        const char *name;
        uint64_t in[5];
        size_t n_in;
        struct vly_range want[3];
        size_t n_want;
    } cases[] = {
        {"in order is one range", {0, 1, 2}, 3, {{0, 3}}, 1},
        {"a gap splits", {0, 2}, 2, {{0, 1}, {2, 3}}, 2},
        {"filling the gap joins", {0, 2, 1}, 3, {{0, 3}}, 1},
        {"backwards is one range", {3, 2, 1, 0}, 4, {{0, 4}}, 1},
        {"joins the left of a gap", {0, 3, 1}, 3, {{0, 2}, {3, 4}}, 2},
        {"joins the right of a gap", {0, 3, 2}, 3, {{0, 1}, {2, 4}}, 2},
        {"stands free in a gap", {0, 4, 2}, 3, {{0, 1}, {2, 3}, {4, 5}}, 3},
        {"the highest there is", {VLY_VARINT_MAX}, 1, {{VLY_VARINT_MAX, VLY_VARINT_MAX + 1}}, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_ackset set;

        print_message("  %s\n", cases[i].name);
        vly_ackset_init(&set);
        for (size_t k = 0; k < cases[i].n_in; k++)
            add(&set, cases[i].in[k]);
        assert_int_equal(set.n, cases[i].n_want);
        assert_memory_equal(set.r, cases[i].want, set.n * sizeof(set.r[0]));
    }
}

/* RULE 11: what was received is a duplicate, wherever it stands. RULE 16: asking changes nothing,
 * so that a packet which is then dropped is never acknowledged. */
static void test_ackset_test_tells_duplicates(void **state)
{
    struct vly_ackset set;
    struct vly_ack_fields fields;

    (void)state;
    vly_ackset_init(&set);
    assert_int_equal(vly_ackset_test(&set, 5), 0);
    assert_int_equal(vly_ackset_test(&set, 5), 0);
    assert_false(vly_ackset_fields(&set, 0, &fields));
    assert_true(vly_ackset_due_ns(&set, MAX_ACK_DELAY_NS) == VLY_NEVER);
    add(&set, 5);
    add(&set, 6);
    add(&set, 9);
    assert_int_equal(vly_ackset_test(&set, 4), 0);
    assert_int_equal(vly_ackset_test(&set, 5), VLY_E_DUPLICATE);
    assert_int_equal(vly_ackset_test(&set, 6), VLY_E_DUPLICATE);
    assert_int_equal(vly_ackset_test(&set, 7), 0);
    assert_int_equal(vly_ackset_test(&set, 9), VLY_E_DUPLICATE);
    assert_int_equal(vly_ackset_test(&set, 10), 0);
}

/* RULE 11, RULE 19: with 256 ranges the oldest is forgotten, and what is forgotten is stale, not
 * new. */
static void test_ackset_forgets_the_oldest(void **state)
{
    struct vly_ackset set;

    (void)state;
    vly_ackset_init(&set);
    for (uint64_t i = 0; i < VLY_ACKSET_MAX; i++)
        add(&set, 10 * i + 5);
    assert_int_equal(set.n, VLY_ACKSET_MAX);
    assert_int_equal(vly_ackset_test(&set, 0), 0);
    add(&set, 10 * VLY_ACKSET_MAX + 5); /* at the end: 5 goes */
    assert_int_equal(set.n, VLY_ACKSET_MAX);
    assert_int_equal(vly_ackset_test(&set, 5), VLY_E_STALE);
    assert_int_equal(vly_ackset_test(&set, 6), 0);
    add(&set, 100); /* in the middle: 15 goes */
    assert_int_equal(set.n, VLY_ACKSET_MAX);
    assert_int_equal(vly_ackset_test(&set, 15), VLY_E_STALE);
    assert_int_equal(vly_ackset_test(&set, 25), VLY_E_DUPLICATE);
    assert_int_equal(vly_ackset_test(&set, 95), VLY_E_DUPLICATE);
    assert_int_equal(vly_ackset_test(&set, 100), VLY_E_DUPLICATE);
    assert_int_equal(vly_ackset_test(&set, 105), VLY_E_DUPLICATE);
    add(&set, 20); /* itself the oldest: processed, then forgotten */
    assert_int_equal(set.n, VLY_ACKSET_MAX);
    assert_int_equal(vly_ackset_test(&set, 20), VLY_E_STALE);
    assert_int_equal(set.r[0].begin, 25);
    add(&set, 24); /* touches one: nothing goes */
    assert_int_equal(set.r[0].begin, 24);
    assert_int_equal(vly_ackset_test(&set, 21), 0);
}

static void test_ackset_floor(void **state)
{
    struct vly_ackset set;
    struct vly_ack_fields fields;

    (void)state;
    vly_ackset_init(&set);
    for (uint64_t pn = 0; pn < 20; pn++)
        if (pn != 10)
            add(&set, pn);
    vly_ackset_set_floor(&set, 5);
    assert_int_equal(vly_ackset_test(&set, 4), VLY_E_STALE);
    assert_int_equal(vly_ackset_test(&set, 5), VLY_E_DUPLICATE);
    assert_int_equal(set.r[0].begin, 5);
    vly_ackset_set_floor(&set, 3); /* never falls */
    assert_int_equal(vly_ackset_test(&set, 4), VLY_E_STALE);
    vly_ackset_set_floor(&set, 11);
    assert_int_equal(set.n, 1);
    assert_int_equal(vly_ackset_test(&set, 10), VLY_E_STALE);
    vly_ackset_set_floor(&set, 30);
    assert_int_equal(set.n, 0);
    assert_int_equal(vly_ackset_test(&set, 19), VLY_E_STALE);
    assert_int_equal(vly_ackset_test(&set, 30), 0);
    assert_false(vly_ackset_fields(&set, 0, &fields));
}

/* SPEC 5.1 rule 1. */
static void test_ackset_asks_at_once(void **state)
{
    static const struct {
        const char *name;
        uint64_t pn;
        bool counted;
        enum vly_ecn ecn;
        bool want;
    } cases[] = {
        {"in order", 11, true, VLY_ECN_ECT0, false},
        {"leaves a gap", 12, true, VLY_ECN_ECT0, true},
        {"out of order", 5, true, VLY_ECN_ECT0, true},
        {"congestion experienced", 11, true, VLY_ECN_CE, true},
        {"leaves a gap, not counted", 12, false, VLY_ECN_NONE, false},
        {"congestion experienced, not counted", 11, false, VLY_ECN_CE, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_ackset set;

        print_message("  %s\n", cases[i].name);
        vly_ackset_init(&set);
        vly_ackset_set_floor(&set, 4);
        add(&set, 10);
        vly_ackset_sent(&set);
        vly_ackset_add(&set, cases[i].pn, 0, cases[i].counted, cases[i].ecn, 0);
        assert_int_equal(is_due_now(&set), cases[i].want);
    }
}

/* The very first packet is expected to be 0, or what FLOOR says. */
static void test_ackset_first_packet_may_leave_a_gap(void **state)
{
    struct vly_ackset set;

    (void)state;
    vly_ackset_init(&set);
    add(&set, 0);
    assert_false(is_due_now(&set));
    vly_ackset_init(&set);
    add(&set, 1);
    assert_true(is_due_now(&set));
    vly_ackset_init(&set);
    vly_ackset_set_floor(&set, 7);
    add(&set, 7);
    assert_false(is_due_now(&set));
}

/* SPEC 5.1: rule 3, and that packets which are not counted make nothing due. */
static void test_ackset_due_after_max_ack_delay(void **state)
{
    struct vly_ackset set;

    (void)state;
    vly_ackset_init(&set);
    vly_ackset_add(&set, 0, VLY_MS(10), false, VLY_ECN_NONE, 0);
    assert_true(vly_ackset_due_ns(&set, MAX_ACK_DELAY_NS) == VLY_NEVER);
    vly_ackset_add(&set, 1, VLY_MS(11), true, VLY_ECN_NONE, 0);
    vly_ackset_add(&set, 2, VLY_MS(12), false, VLY_ECN_NONE, 0);
    assert_true(vly_ackset_due_ns(&set, MAX_ACK_DELAY_NS) == VLY_MS(16));
    vly_ackset_add(&set, 3, VLY_MS(13), true, VLY_ECN_NONE, 0); /* the second counted one */
    assert_true(is_due_now(&set));
    vly_ackset_sent(&set);
    assert_true(vly_ackset_due_ns(&set, MAX_ACK_DELAY_NS) == VLY_NEVER);
    vly_ackset_ask(&set);
    assert_true(is_due_now(&set));
    vly_ackset_sent(&set);
    assert_true(vly_ackset_due_ns(&set, MAX_ACK_DELAY_NS) == VLY_NEVER);
}

static void test_ackset_ask_before_anything_came(void **state)
{
    struct vly_ackset set;

    (void)state;
    vly_ackset_init(&set);
    vly_ackset_ask(&set);
    assert_true(vly_ackset_due_ns(&set, MAX_ACK_DELAY_NS) == VLY_NEVER);
    add(&set, 0);
    assert_true(is_due_now(&set));
}

/* SPEC 5.1 rule 2: k is what arrives in a quarter of a round trip. Sends `pkts` packets, one each
 * `every_ns`, and returns k. */
static uint32_t every_after(uint64_t pkts, uint64_t every_ns, uint64_t srtt_ns)
{
    struct vly_ackset set;

    vly_ackset_init(&set);
    for (uint64_t pn = 0; pn < pkts; pn++)
        vly_ackset_add(&set, pn, VLY_S(1) + pn * every_ns, true, VLY_ECN_NONE, srtt_ns);
    return set.every_pkts;
}

static void test_ackset_every_quarter_of_a_round_trip(void **state)
{
    (void)state;
    assert_int_equal(every_after(1000, VLY_US(100), 0), 2);           /* no RTT yet */
    assert_int_equal(every_after(1000, VLY_US(100), VLY_MS(4)), 10);  /* 1 ms / 100 us */
    assert_int_equal(every_after(1000, VLY_US(50), VLY_MS(40)), 128); /* 200, capped */
    assert_int_equal(every_after(1000, VLY_MS(1), VLY_MS(4)), 2);     /* 1, raised */
    assert_int_equal(every_after(1000, 0, VLY_MS(4)), 2);             /* no time passed */
    assert_int_equal(every_after(1000, VLY_US(1), 3), 2);             /* a quarter of 0 ns */
    assert_int_equal(every_after(1000, 0, 3), 2);
    assert_int_equal(every_after(5, VLY_S(1000000000), VLY_S(1000000000)), 2);
}

/* The delay counts from the first packet that waits, not from the latest. */
static void test_ackset_due_after_the_first_of_many(void **state)
{
    struct vly_ackset set;
    uint64_t pn = 0;

    (void)state;
    vly_ackset_init(&set);
    for (; pn < 100; pn++)
        vly_ackset_add(&set, pn, pn * VLY_US(100), true, VLY_ECN_NONE, VLY_MS(4));
    vly_ackset_sent(&set);
    vly_ackset_add(&set, pn++, VLY_MS(10), true, VLY_ECN_NONE, VLY_MS(4));
    vly_ackset_add(&set, pn++, VLY_US(10200), true, VLY_ECN_NONE, VLY_MS(4));
    assert_true(vly_ackset_due_ns(&set, MAX_ACK_DELAY_NS) == VLY_MS(15));
}

/* Who is told to acknowledge every so many packets does, though a quarter of a round trip brings
 * more; and no more seldom where it brings fewer. */
static void test_ackset_every_is_limited(void **state)
{
    static const struct {
        uint32_t max, want_before, want;
    } cases[] = {{1, 1, 1}, {2, 2, 2}, {10, 2, 10}, {25, 2, 25}, {64, 2, 25}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_ackset set;
        uint64_t pn = 0;

        vly_ackset_init(&set);
        vly_ackset_set_every_max(&set, cases[i].max);
        assert_int_equal(set.every_pkts, cases[i].want_before); /* no RTT yet */
        for (; pn < 1000; pn++)
            vly_ackset_add(&set, pn, pn * VLY_US(40), true, VLY_ECN_NONE, VLY_MS(4));
        assert_int_equal(set.every_pkts, cases[i].want);
        vly_ackset_sent(&set);
        for (uint32_t k = 1; k <= cases[i].want; k++) {
            add(&set, pn++);
            assert_int_equal(is_due_now(&set), k == cases[i].want);
        }
    }
}

/* A batch that carries one time stamp brings what its interval says: 60 packets each 6 ms are 10 a
 * millisecond, however many come at once. */
static void test_ackset_every_is_scaled_over_batches(void **state)
{
    struct vly_ackset set;
    uint64_t pn = 0;

    (void)state;
    vly_ackset_init(&set);
    for (uint64_t batch = 0; batch < 20; batch++)
        for (unsigned i = 0; i < 60; i++)
            vly_ackset_add(&set, pn++, VLY_MS(6 * batch), true, VLY_ECN_NONE, VLY_MS(4));
    /* The packets after the one that closes a quarter count to the next: 59 + 1 in 6 ms. */
    assert_int_equal(set.every_pkts, 10);
    vly_ackset_sent(&set);
    for (unsigned i = 0; i < 9; i++)
        vly_ackset_add(&set, pn++, VLY_MS(6 * 19), true, VLY_ECN_NONE, VLY_MS(4));
    assert_false(is_due_now(&set));
    vly_ackset_add(&set, pn++, VLY_MS(6 * 19), true, VLY_ECN_NONE, VLY_MS(4));
    assert_true(is_due_now(&set));
}

/* Rule 2 again: four of the longest packets are 256 KiB, however many a quarter of a round trip
 * brings; an ACK begins the count anew. */
static void test_ackset_due_after_so_many_bytes(void **state)
{
    struct vly_ackset set;

    (void)state;
    vly_ackset_init(&set);
    set.every_pkts = VLY_ACK_EVERY_MAX;
    for (uint64_t pn = 0; pn < 8; pn++) {
        add(&set, pn);
        vly_ackset_add_bytes(&set, VLY_ACK_EVERY_BYTES / 4);
        assert_int_equal(is_due_now(&set), pn % 4 == 3);
        if (pn % 4 == 3)
            vly_ackset_sent(&set);
    }
}

static void test_ackset_fields(void **state)
{
    struct vly_ackset set;
    struct vly_ack_fields fields;

    (void)state;
    vly_ackset_init(&set);
    vly_ackset_add(&set, 0, VLY_MS(1), true, VLY_ECN_NONE, 0);
    vly_ackset_add(&set, 2, VLY_MS(2), true, VLY_ECN_NONE, 0);
    vly_ackset_add(&set, 1, VLY_MS(3), true, VLY_ECN_NONE, 0); /* not the largest */
    assert_true(vly_ackset_fields(&set, VLY_US(2750), &fields));
    assert_int_equal(fields.n_ranges, 1);
    assert_true(fields.ranges[0].begin == 0 && fields.ranges[0].end == 3);
    assert_int_equal(fields.delay_us, 750);
    assert_int_equal(fields.kernel_drops, 0);
    assert_false(fields.has_ecn);
    assert_true(vly_ackset_fields(&set, VLY_MS(1), &fields)); /* a clock behind gives no delay */
    assert_int_equal(fields.delay_us, 0);
    vly_ackset_add(&set, 3, VLY_MS(4), true, VLY_ECN_ECT0, 0);
    vly_ackset_add(&set, 4, VLY_MS(4), true, VLY_ECN_ECT0, 0);
    vly_ackset_add(&set, 5, VLY_MS(4), true, VLY_ECN_ECT1, 0);
    vly_ackset_add(&set, 6, VLY_MS(4), false, VLY_ECN_CE, 0);
    assert_true(vly_ackset_fields(&set, VLY_MS(4), &fields));
    assert_true(fields.has_ecn);
    assert_int_equal(fields.ect0, 2);
    assert_int_equal(fields.ect1, 1);
    assert_int_equal(fields.ce, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ackset_add_merges),
        cmocka_unit_test(test_ackset_test_tells_duplicates),
        cmocka_unit_test(test_ackset_forgets_the_oldest),
        cmocka_unit_test(test_ackset_floor),
        cmocka_unit_test(test_ackset_asks_at_once),
        cmocka_unit_test(test_ackset_first_packet_may_leave_a_gap),
        cmocka_unit_test(test_ackset_due_after_max_ack_delay),
        cmocka_unit_test(test_ackset_ask_before_anything_came),
        cmocka_unit_test(test_ackset_every_quarter_of_a_round_trip),
        cmocka_unit_test(test_ackset_due_after_the_first_of_many),
        cmocka_unit_test(test_ackset_every_is_limited),
        cmocka_unit_test(test_ackset_every_is_scaled_over_batches),
        cmocka_unit_test(test_ackset_due_after_so_many_bytes),
        cmocka_unit_test(test_ackset_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
