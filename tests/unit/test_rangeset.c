#include "support/support.h"

#include "proto/rangeset.h"

#define MAX_RANGES 16

/* Ranges in the tables; the first empty one ends them. */
struct list {
    struct vly_range r[6];
};

static size_t list_len(const struct list *list)
{
    size_t n = 0;

    while (n < ARRAY_LEN(list->r) && list->r[n].begin < list->r[n].end)
        n++;
    return n;
}

static void fill(struct vly_rangeset *s, const struct list *list)
{
    vly_rangeset_init(s, &test_alloc, MAX_RANGES);
    for (size_t i = 0; i < list_len(list); i++)
        assert_int_equal(vly_rangeset_add(s, list->r[i].begin, list->r[i].end), 0);
}

static void assert_ranges(const struct vly_rangeset *s, const struct list *want)
{
    assert_int_equal(s->n, list_len(want));
    if (s->n > 0)
        assert_memory_equal(s->r, want->r, s->n * sizeof(s->r[0]));
}

struct edit_case {
    const char *name;
    struct list before;
    struct vly_range edit;
    struct list after;
};

static void run_edits(const struct edit_case *cases, size_t n,
                      int (*edit)(struct vly_rangeset *s, uint64_t begin, uint64_t end))
{
    for (size_t i = 0; i < n; i++) {
        struct vly_rangeset s;

        print_message("  %s\n", cases[i].name);
        fill(&s, &cases[i].before);
        assert_int_equal(edit(&s, cases[i].edit.begin, cases[i].edit.end), 0);
        assert_ranges(&s, &cases[i].after);
        vly_rangeset_fini(&s);
    }
}

static void test_rangeset_add(void **state)
{
    static const struct edit_case cases[] = {
        {"empty set", {{{0, 0}}}, {5, 8}, {{{5, 8}}}},
        {"empty range", {{{5, 8}}}, {20, 20}, {{{5, 8}}}},
        {"touches the last from above", {{{5, 8}}}, {8, 9}, {{{5, 9}}}},
        {"leaves a gap above", {{{5, 8}}}, {9, 10}, {{{5, 8}, {9, 10}}}},
        {"touches the first from below", {{{5, 8}}}, {4, 5}, {{{4, 8}}}},
        {"leaves a gap below", {{{5, 8}}}, {3, 4}, {{{3, 4}, {5, 8}}}},
        {"lies within", {{{5, 8}}}, {6, 7}, {{{5, 8}}}},
        {"is there already", {{{5, 8}}}, {5, 8}, {{{5, 8}}}},
        {"covers both sides", {{{5, 8}}}, {4, 9}, {{{4, 9}}}},
        {"closes a gap exactly", {{{1, 3}, {5, 8}}}, {3, 5}, {{{1, 8}}}},
        {"touches the left of a gap", {{{1, 3}, {5, 8}}}, {3, 4}, {{{1, 4}, {5, 8}}}},
        {"touches the right of a gap", {{{1, 3}, {6, 8}}}, {5, 6}, {{{1, 3}, {5, 8}}}},
        {"stands free in a gap", {{{1, 3}, {6, 8}}}, {4, 5}, {{{1, 3}, {4, 5}, {6, 8}}}},
        {"swallows many", {{{1, 2}, {3, 4}, {5, 6}, {9, 10}}}, {2, 7}, {{{1, 7}, {9, 10}}}},
        {"swallows all", {{{1, 2}, {3, 4}, {5, 6}}}, {0, 10}, {{{0, 10}}}},
        {"begins at zero", {{{5, 8}}}, {0, 1}, {{{0, 1}, {5, 8}}}},
        {"overlaps the last", {{{1, 2}, {5, 8}}}, {7, 12}, {{{1, 2}, {5, 12}}}},
        {"the highest there are",
         {{{UINT64_MAX - 4, UINT64_MAX - 2}}},
         {UINT64_MAX - 2, UINT64_MAX},
         {{{UINT64_MAX - 4, UINT64_MAX}}}},
    };

    (void)state;
    run_edits(cases, ARRAY_LEN(cases), vly_rangeset_add);
}

static void test_rangeset_remove(void **state)
{
    static const struct edit_case cases[] = {
        {"from an empty set", {{{0, 0}}}, {5, 8}, {{{0, 0}}}},
        {"an empty range", {{{5, 8}}}, {6, 6}, {{{5, 8}}}},
        {"all", {{{5, 8}}}, {5, 8}, {{{0, 0}}}},
        {"the beginning", {{{5, 8}}}, {4, 6}, {{{6, 8}}}},
        {"the end", {{{5, 8}}}, {7, 9}, {{{5, 7}}}},
        {"the middle: a split", {{{5, 8}}}, {6, 7}, {{{5, 6}, {7, 8}}}},
        {"a split with more above", {{{5, 8}, {10, 11}}}, {6, 7}, {{{5, 6}, {7, 8}, {10, 11}}}},
        {"only a gap", {{{5, 8}, {10, 11}}}, {8, 10}, {{{5, 8}, {10, 11}}}},
        {"below all", {{{5, 8}}}, {1, 5}, {{{5, 8}}}},
        {"above all", {{{5, 8}}}, {8, 20}, {{{5, 8}}}},
        {"across ranges", {{{1, 3}, {5, 8}, {10, 14}}}, {2, 12}, {{{1, 2}, {12, 14}}}},
        {"whole ranges", {{{1, 3}, {5, 8}, {10, 14}}}, {4, 9}, {{{1, 3}, {10, 14}}}},
        {"to the end of one", {{{1, 3}, {5, 8}, {10, 14}}}, {1, 8}, {{{10, 14}}}},
    };

    (void)state;
    run_edits(cases, ARRAY_LEN(cases), vly_rangeset_remove);
}

static void test_rangeset_trim(void **state)
{
    static const struct {
        uint64_t floor;
        struct list after;
    } cases[] = {
        {0, {{{2, 4}, {6, 9}}}}, {2, {{{2, 4}, {6, 9}}}},  {3, {{{3, 4}, {6, 9}}}},
        {4, {{{6, 9}}}},         {5, {{{6, 9}}}},          {8, {{{8, 9}}}},
        {9, {{{0, 0}}}},         {UINT64_MAX, {{{0, 0}}}},
    };
    static const struct list before = {{{2, 4}, {6, 9}}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_rangeset s;

        fill(&s, &before);
        vly_rangeset_trim(&s, cases[i].floor);
        assert_ranges(&s, &cases[i].after);
        vly_rangeset_fini(&s);
    }
}

static void test_rangeset_queries(void **state)
{
    static const struct list list = {{{2, 4}, {6, 9}}};
    struct vly_rangeset s;
    struct vly_range gap;

    (void)state;
    fill(&s, &list);
    assert_int_equal(vly_rangeset_count(&s), 5);
    assert_false(vly_rangeset_has(&s, 1));
    assert_true(vly_rangeset_has(&s, 2));
    assert_false(vly_rangeset_has(&s, 4));
    assert_true(vly_rangeset_has(&s, 8));
    assert_false(vly_rangeset_has(&s, 9));
    assert_int_equal(vly_rangeset_find(&s, 3), 0);
    assert_int_equal(vly_rangeset_find(&s, 4), 1);
    assert_int_equal(vly_rangeset_find(&s, 9), 2);
    assert_true(vly_rangeset_covers(&s, 6, 9));
    assert_true(vly_rangeset_covers(&s, 5, 5));
    assert_false(vly_rangeset_covers(&s, 3, 7));
    assert_false(vly_rangeset_covers(&s, 8, 10));
    assert_true(vly_rangeset_next_gap(&s, 3, 10, &gap));
    assert_true(gap.begin == 4 && gap.end == 6);
    assert_true(vly_rangeset_next_gap(&s, 3, 5, &gap));
    assert_true(gap.begin == 4 && gap.end == 5);
    assert_true(vly_rangeset_next_gap(&s, 7, 20, &gap));
    assert_true(gap.begin == 9 && gap.end == 20);
    assert_true(vly_rangeset_next_gap(&s, 0, 3, &gap));
    assert_true(gap.begin == 0 && gap.end == 2);
    assert_false(vly_rangeset_next_gap(&s, 6, 9, &gap));
    assert_false(vly_rangeset_next_gap(&s, 4, 4, &gap));
    vly_rangeset_fini(&s);
}

/* At `max` ranges nothing more opens, while everything that needs no further range still works. */
static void test_rangeset_limit(void **state)
{
    struct vly_rangeset s;

    (void)state;
    vly_rangeset_init(&s, &test_alloc, 3);
    for (uint64_t v = 0; v < 3; v++)
        assert_int_equal(vly_rangeset_add(&s, 10 * v, 10 * v + 5), 0);
    assert_int_equal(vly_rangeset_add(&s, 30, 31), VLY_E_LIMIT);
    assert_int_equal(vly_rangeset_add(&s, 7, 8), VLY_E_LIMIT);
    assert_int_equal(vly_rangeset_remove(&s, 11, 12), VLY_E_LIMIT);
    assert_ranges(&s, &(struct list){{{0, 5}, {10, 15}, {20, 25}}});
    assert_int_equal(vly_rangeset_add(&s, 25, 30), 0);
    assert_int_equal(vly_rangeset_add(&s, 5, 10), 0);
    assert_int_equal(vly_rangeset_remove(&s, 11, 12), 0);
    assert_ranges(&s, &(struct list){{{0, 11}, {12, 15}, {20, 30}}});
    vly_rangeset_fini(&s);
}

/* RULE 40: without memory the set is as it was, and works again afterwards. */
static void test_rangeset_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1; fail_at <= 4; fail_at++) {
        struct test_counting_alloc a;
        struct vly_rangeset s;
        unsigned failures = 0;

        test_counting_alloc_init(&a, fail_at);
        vly_rangeset_init(&s, &a.alloc, 50);
        assert_int_equal(a.requests, 0);
        for (uint64_t v = 0; v < 50; v++) {
            int err = vly_rangeset_add(&s, 2 * v, 2 * v + 1);

            if (err != 0) {
                assert_int_equal(err, VLY_E_NOMEM);
                assert_int_equal(s.n, v);
                assert_int_equal(vly_rangeset_count(&s), v);
                assert_int_equal(vly_rangeset_add(&s, 2 * v, 2 * v + 1), 0);
                failures++;
            }
        }
        assert_int_equal(failures, 1);
        assert_int_equal(s.n, 50);
        vly_rangeset_fini(&s);
        assert_int_equal(a.live_blocks, 0);
        assert_int_equal(a.live_bytes, 0);
    }
}

/* A window of ranges that moves up, as unacknowledged data does, keeps its memory: 100 ranges at
 * a time need four doublings from 8 and no more than one more. */
static void test_rangeset_moving_window_stays_small(void **state)
{
    struct test_counting_alloc a;
    struct vly_rangeset s;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_rangeset_init(&s, &a.alloc, 65536);
    for (uint64_t v = 0; v < 100000; v++) {
        assert_int_equal(vly_rangeset_add(&s, 2 * v, 2 * v + 1), 0);
        if (v % 2 == 0 && v >= 100)
            assert_int_equal(vly_rangeset_remove(&s, 2 * v - 200, 2 * v - 198), 0);
        if (v % 2 == 1 && v >= 100)
            vly_rangeset_trim(&s, 2 * v - 198);
    }
    assert_int_equal(s.n, 100);
    assert_true(a.requests <= 6);
    assert_true(a.live_bytes <= 256 * sizeof(struct vly_range));
    vly_rangeset_fini(&s);
    assert_int_equal(a.live_bytes, 0);
}

static void test_rangeset_clear_and_fini_leave_it_usable(void **state)
{
    struct vly_rangeset s;

    (void)state;
    fill(&s, &(struct list){{{1, 2}, {4, 5}}});
    vly_rangeset_trim(&s, 3);
    vly_rangeset_clear(&s);
    assert_int_equal(s.n, 0);
    assert_int_equal(vly_rangeset_add(&s, 7, 9), 0);
    assert_ranges(&s, &(struct list){{{7, 9}}});
    vly_rangeset_fini(&s);
    assert_int_equal(vly_rangeset_add(&s, 3, 4), 0);
    assert_ranges(&s, &(struct list){{{3, 4}}});
    vly_rangeset_fini(&s);
    vly_rangeset_clear(&s);
    vly_rangeset_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rangeset_add),
        cmocka_unit_test(test_rangeset_remove),
        cmocka_unit_test(test_rangeset_trim),
        cmocka_unit_test(test_rangeset_queries),
        cmocka_unit_test(test_rangeset_limit),
        cmocka_unit_test(test_rangeset_out_of_memory),
        cmocka_unit_test(test_rangeset_moving_window_stays_small),
        cmocka_unit_test(test_rangeset_clear_and_fini_leave_it_usable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
