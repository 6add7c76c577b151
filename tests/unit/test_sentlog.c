/*
 * sentlog: what was sent, by number, until it is settled.
 */
#include "proto/sentlog.h"

#include "support/support.h"

static struct vly_sent *append(struct vly_sentlog *log, enum vly_sent_state state, uint64_t now_ns)
{
    assert_int_equal(vly_sentlog_reserve(log, 1), 0);
    return vly_sentlog_append(log, state, now_ns, 1000);
}

/* `n` packets in flight, number i sent at i. */
static void fill(struct vly_sentlog *log, uint64_t n)
{
    while (n-- > 0)
        append(log, VLY_SENT_IN_FLIGHT, log->next);
    vly_sentlog_check(log);
}

static void settle(struct vly_sentlog *log, uint64_t pn, enum vly_sent_state state)
{
    vly_sentlog_settle(log, vly_sentlog_at(log, pn), state);
    vly_sentlog_check(log);
}

static void test_sentlog_numbers_and_counts(void **state)
{
    struct vly_sentlog log;

    (void)state;
    vly_sentlog_init(&log, &test_alloc, 5);
    assert_int_equal(log.next, 5);
    append(&log, VLY_SENT_IN_FLIGHT, 10);
    append(&log, VLY_SENT_UNCOUNTED, 11);
    append(&log, VLY_SENT_SKIPPED, 12);
    assert_int_equal(log.next, 8);
    assert_int_equal(log.in_flight_pkts, 1);
    assert_int_equal(log.in_flight_bytes, 1000);
    assert_int_equal(vly_sentlog_at(&log, 6)->state, VLY_SENT_UNCOUNTED);
    assert_int_equal(vly_sentlog_at(&log, 7)->sent_ns, 12);
    assert_null(vly_sentlog_at(&log, 4));
    assert_null(vly_sentlog_at(&log, 8));
    settle(&log, 5, VLY_SENT_LOST);
    assert_int_equal(log.in_flight_bytes, 0);
    settle(&log, 5, VLY_SENT_ACKED); /* late after all */
    assert_int_equal(log.in_flight_pkts, 0);
    vly_sentlog_fini(&log);
}

/* RULE 39: the ring doubles up to its bound; entries keep their places by number. */
static void test_sentlog_grows_to_its_bound(void **state)
{
    struct test_counting_alloc a;
    struct vly_sentlog log;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_sentlog_init(&log, &a.alloc, 1000);
    for (uint64_t i = 0; i < VLY_SENTLOG_MAX; i++) {
        assert_int_equal(vly_sentlog_reserve(&log, 0), 0);
        vly_sentlog_append(&log, VLY_SENT_IN_FLIGHT, i, (uint32_t)i % 1000);
    }
    for (uint64_t i = 0; i < VLY_SENTLOG_MAX; i++)
        assert_int_equal(vly_sentlog_at(&log, 1000 + i)->sent_ns, i);
    assert_true(vly_sentlog_is_full(&log));
    assert_int_equal(vly_sentlog_reserve(&log, 0), VLY_E_LIMIT);
    assert_in_range(a.live_bytes, 1, VLY_SENTLOG_MAX * sizeof(struct vly_sent) + 10000);
    /* The oldest one is lost: it only waits to be proved spurious, and makes room. */
    settle(&log, 1000, VLY_SENT_LOST);
    assert_int_equal(vly_sentlog_reserve(&log, 0), 0);
    assert_int_equal(log.oldest, 1001);
    assert_false(vly_sentlog_is_full(&log));
    vly_sentlog_fini(&log);
    assert_int_equal(a.live_blocks, 0);
}

/* What is settled already makes room before the ring grows. */
static void test_sentlog_forgets_before_it_grows(void **state)
{
    struct test_counting_alloc a;
    struct vly_sentlog log;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_sentlog_init(&log, &a.alloc, 0);
    for (unsigned i = 0; i < 100000; i++)
        append(&log, VLY_SENT_UNCOUNTED, i);
    assert_int_equal(log.cap, VLY_SENTLOG_MIN);
    vly_sentlog_fini(&log);
}

static void test_sentlog_out_of_memory(void **state)
{
    struct test_counting_alloc a;
    struct vly_sentlog log;

    (void)state;
    for (uint64_t n = 1; n <= 3; n++) {
        test_counting_alloc_init(&a, n); /* the ring, the items, the larger ring */
        vly_sentlog_init(&log, &a.alloc, 0);
        for (unsigned i = 0; i <= VLY_SENTLOG_MIN; i++) {
            int err = vly_sentlog_reserve(&log, 2);

            if (err != 0) {
                assert_int_equal(err, VLY_E_NOMEM);
                assert_int_equal(vly_sentlog_reserve(&log, 2), 0); /* as it was: try again */
            }
            vly_sentlog_append(&log, VLY_SENT_IN_FLIGHT, i, 1);
        }
        assert_true(a.requests > n);
        vly_sentlog_check(&log);
        vly_sentlog_fini(&log);
        assert_int_equal(a.live_blocks, 0);
    }
}

/* ---- items ---- */

static void add_items(struct vly_sentlog *log, unsigned n)
{
    struct vly_sent *s;

    assert_int_equal(vly_sentlog_reserve(log, n), 0);
    s = vly_sentlog_append(log, VLY_SENT_IN_FLIGHT, 0, 1000);
    for (unsigned i = 0; i < n; i++) {
        struct vly_sent_item item = {
            .kind = VLY_ITEM_STREAM, .stream = log->next - 1, .offset = i, .len = 7};

        vly_sentlog_add_item(log, s, &item);
    }
}

/* All items of the packet, each once, in whatever order. */
static void assert_items(const struct vly_sentlog *log, uint64_t pn, unsigned n)
{
    const struct vly_sent_item *item = &vly_sentlog_at(log, pn)->item;
    uint64_t seen = 0;

    for (; item != NULL && item->kind != VLY_ITEM_NONE; item = vly_sentlog_next_item(log, item)) {
        assert_int_equal(item->stream, pn);
        assert_int_equal(item->len, 7);
        assert_in_range(item->offset, 0, n - 1);
        assert_false(seen >> item->offset & 1);
        seen |= UINT64_C(1) << item->offset;
    }
    assert_int_equal(seen, (UINT64_C(1) << n) - 1);
}

static void test_sentlog_items(void **state)
{
    static const unsigned counts[] = {0, 1, 2, 32, 5, 32, 32, 1};
    struct vly_sentlog log;

    (void)state;
    vly_sentlog_init(&log, &test_alloc, 0);
    for (unsigned i = 0; i < 100; i++)
        add_items(&log, counts[i % ARRAY_LEN(counts)]);
    for (uint64_t pn = 0; pn < 100; pn++)
        assert_items(&log, pn, counts[pn % ARRAY_LEN(counts)]);
    /* A lost packet keeps what it carried, for the case that it was not lost; an acknowledged one
     * gives it back. */
    settle(&log, 3, VLY_SENT_LOST);
    assert_items(&log, 3, 32);
    settle(&log, 5, VLY_SENT_ACKED);
    assert_items(&log, 5, 0);
    add_items(&log, 20);
    assert_items(&log, 100, 20);
    assert_items(&log, 3, 32);
    vly_sentlog_fini(&log);
}

/* The pool of items is used again and again. */
static void test_sentlog_items_are_given_back(void **state)
{
    struct vly_sentlog log;
    uint32_t cap = 0;

    (void)state;
    vly_sentlog_init(&log, &test_alloc, 0);
    for (unsigned i = 0; i < 10000; i++) {
        add_items(&log, 32);
        settle(&log, log.next - 1, i % 2 == 0 ? VLY_SENT_ACKED : VLY_SENT_LOST);
        vly_sentlog_trim(&log, VLY_NEVER);
        if (i == 10)
            cap = log.items_cap;
    }
    assert_int_equal(log.items_cap, cap);
    vly_sentlog_fini(&log);
}

/* ---- what is settled ---- */

static void test_sentlog_lowest_in_flight(void **state)
{
    struct vly_sentlog log;
    uint64_t pn = 99;

    (void)state;
    vly_sentlog_init(&log, &test_alloc, 0);
    fill(&log, 6);
    assert_non_null(vly_sentlog_lowest(&log, 6, &pn));
    assert_int_equal(pn, 0);
    settle(&log, 0, VLY_SENT_ACKED);
    settle(&log, 1, VLY_SENT_LOST);
    settle(&log, 3, VLY_SENT_ACKED);
    assert_null(vly_sentlog_lowest(&log, 2, &pn));
    assert_ptr_equal(vly_sentlog_lowest(&log, 6, &pn), vly_sentlog_at(&log, 2));
    assert_int_equal(pn, 2);
    vly_sentlog_trim(&log, VLY_NEVER);
    assert_int_equal(log.oldest, 2);
    settle(&log, 2, VLY_SENT_ACKED);
    vly_sentlog_trim(&log, 0);
    assert_non_null(vly_sentlog_lowest(&log, 6, &pn));
    assert_int_equal(pn, 4);
    vly_sentlog_fini(&log);
}

/* From the old end: in flight stays, lost stays until it is old enough, all else goes. */
static void test_sentlog_trim(void **state)
{
    static const struct {
        const char *name;
        enum vly_sent_state states[4];
        uint64_t lost_before_ns, oldest;
    } cases[] = {
        {"acknowledged", {VLY_SENT_ACKED, VLY_SENT_ACKED, VLY_SENT_IN_FLIGHT}, 0, 2},
        {"in flight stops it", {VLY_SENT_IN_FLIGHT, VLY_SENT_ACKED}, VLY_NEVER, 0},
        {"uncounted and skipped", {VLY_SENT_UNCOUNTED, VLY_SENT_SKIPPED, VLY_SENT_IN_FLIGHT}, 0, 2},
        {"lost, too young", {VLY_SENT_ACKED, VLY_SENT_LOST, VLY_SENT_ACKED}, 1, 1},
        {"lost, old enough", {VLY_SENT_ACKED, VLY_SENT_LOST, VLY_SENT_LOST}, 2, 2},
        {"everything", {VLY_SENT_ACKED, VLY_SENT_LOST, VLY_SENT_LOST, VLY_SENT_LOST}, 4, 4},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_sentlog log;

        print_message("  %s\n", cases[i].name);
        vly_sentlog_init(&log, &test_alloc, 0);
        for (uint64_t pn = 0; pn < 4; pn++) {
            enum vly_sent_state s = cases[i].states[pn];
            bool counted = s == VLY_SENT_ACKED || s == VLY_SENT_LOST;

            append(&log, counted ? VLY_SENT_IN_FLIGHT : s, pn);
            if (counted)
                settle(&log, pn, s);
        }
        vly_sentlog_mark_acked(&log, 0, 1);
        vly_sentlog_trim(&log, cases[i].lost_before_ns);
        vly_sentlog_check(&log);
        assert_int_equal(log.oldest, cases[i].oldest);
        assert_int_equal(log.acked.n, cases[i].oldest == 0);
        vly_sentlog_fini(&log);
    }
}

/* The set of acknowledged ranges only saves work: when it is full nothing happens. */
static void test_sentlog_marks_what_it_can(void **state)
{
    struct vly_sentlog log;

    (void)state;
    vly_sentlog_init(&log, &test_alloc, 0);
    for (uint64_t pn = 0; pn < 2 * VLY_SENTLOG_ACKED_MAX + 100; pn += 2)
        vly_sentlog_mark_acked(&log, pn, pn + 1);
    assert_int_equal(log.acked.n, VLY_SENTLOG_ACKED_MAX);
    vly_sentlog_fini(&log);
}

static void test_sentlog_items_have_a_bound(void **state)
{
    struct test_counting_alloc a;
    struct vly_sentlog log;
    int err;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_sentlog_init(&log, &a.alloc, 0);
    while ((err = vly_sentlog_reserve(&log, 32)) == 0)
        add_items(&log, 32);
    assert_int_equal(err, VLY_E_LIMIT);
    assert_int_equal(log.next, VLY_SENT_ITEMS_MAX / 31);
    assert_int_equal(vly_sentlog_reserve(&log, 1),
                     0); /* a packet with one thing in it still goes */
    vly_sentlog_fini(&log);
    assert_int_equal(a.live_blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentlog_numbers_and_counts),
        cmocka_unit_test(test_sentlog_grows_to_its_bound),
        cmocka_unit_test(test_sentlog_forgets_before_it_grows),
        cmocka_unit_test(test_sentlog_out_of_memory),
        cmocka_unit_test(test_sentlog_items),
        cmocka_unit_test(test_sentlog_items_are_given_back),
        cmocka_unit_test(test_sentlog_lowest_in_flight),
        cmocka_unit_test(test_sentlog_trim),
        cmocka_unit_test(test_sentlog_marks_what_it_can),
        cmocka_unit_test(test_sentlog_items_have_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
