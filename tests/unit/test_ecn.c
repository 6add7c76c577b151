/*
 * ecn: when marks are believed, and when they are switched off. RFC 9000 13.4.2.
 */
#include "proto/ecn.h"

#include "support/support.h"

/* RULE 32 */
static void test_ecn_counts(void **state)
{
    static const struct {
        const char *name;
        uint64_t newly_ect;
        bool has_counts;
        uint64_t counts[3]; /* ECT(0), ECT(1), CE; before: 10, 0, 2 */
        uint64_t new_ce;
        bool off;
    } cases[] = {
        {"nothing new", 0, true, {10, 0, 2}, 0, false},
        {"all ECT(0)", 5, true, {15, 0, 2}, 0, false},
        {"some CE", 5, true, {12, 0, 5}, 3, false},
        {"all CE", 5, true, {10, 0, 7}, 5, false},
        {"more than acknowledged: older ones", 5, true, {30, 0, 2}, 0, false},
        {"one is missing", 5, true, {14, 0, 2}, 0, true},
        {"all are missing", 5, true, {10, 0, 2}, 0, true},
        {"ECT(1)", 5, true, {15, 1, 2}, 0, true},
        {"ECT(1) and nothing else", 0, true, {10, 1, 2}, 0, true},
        {"no counts, with marks sent", 1, false, {0, 0, 0}, 0, true},
        {"no counts, nothing marked", 0, false, {0, 0, 0}, 0, false},
        {"overtaken", 1, true, {9, 0, 2}, 0, false},
        {"overtaken, CE", 1, true, {20, 0, 1}, 0, false},
        {"all at the largest",
         5,
         true,
         {(UINT64_C(1) << 62) - 1, 0, (UINT64_C(1) << 62) - 1},
         (UINT64_C(1) << 62) - 3,
         false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_ecn_path e = {.ect0 = 10, .ce = 2};
        bool taken = !cases[i].off && cases[i].has_counts && cases[i].counts[0] >= 10 &&
                     cases[i].counts[2] >= 2;

        print_message("  %s\n", cases[i].name);
        assert_int_equal(
            vly_ecn_on_ack(&e, cases[i].newly_ect, cases[i].has_counts, cases[i].counts),
            cases[i].new_ce);
        assert_int_equal(e.off, cases[i].off);
        assert_int_equal(e.ect0, taken ? cases[i].counts[0] : 10);
        assert_int_equal(e.ce, taken ? cases[i].counts[2] : 2);
    }
}

static void test_ecn_off_is_for_good(void **state)
{
    static const uint64_t counts[3] = {100, 0, 50};
    struct vly_ecn_path e = {.off = true};

    (void)state;
    assert_int_equal(vly_ecn_on_ack(&e, 1, true, counts), 0);
    assert_true(e.off);
    assert_int_equal(e.ce, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ecn_counts),
        cmocka_unit_test(test_ecn_off_is_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
