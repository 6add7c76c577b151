/*
 * spin: when a short wait is tried, and that it ends.
 */
#include <unistd.h>

#include "net/clock.h"
#include "net/spin.h"
#include "support/support.h"

static void test_spin_stops_when_it_does_not_pay(void **state)
{
    struct vly_spin s = {.allowed = true, .credit = 8};
    unsigned tries = 0;

    (void)state;
    while (vly_spin_is_due(&s) && tries < 100) {
        vly_spin_note(&s, false);
        tries++;
    }
    assert_in_range(tries, 1, 4);
    /* From then on one turn in 64 asks whether times have changed. */
    tries = 0;
    for (unsigned i = 0; i < 640; i++)
        if (vly_spin_is_due(&s)) {
            vly_spin_note(&s, false);
            tries++;
        }
    assert_in_range(tries, 9, 11);
    while (!vly_spin_is_due(&s))
        continue;
    vly_spin_note(&s, true);
    assert_true(vly_spin_is_due(&s));
}

static void test_spin_goes_on_while_most_pay(void **state)
{
    struct vly_spin s = {.allowed = true, .credit = 8};

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(vly_spin_is_due(&s));
        vly_spin_note(&s, i % 8 != 0);
    }
}

static void test_spin_never_where_it_is_not_allowed(void **state)
{
    struct vly_spin s;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    vly_spin_init(&s, false);
    assert_int_equal(write(ends[1], "x", 1), 1);
    for (unsigned i = 0; i < 200; i++)
        assert_false(vly_spin_wait(&s, ends[0]));
    close(ends[0]);
    close(ends[1]);
}

static void test_spin_sees_what_is_there_and_gives_up_else(void **state)
{
    struct vly_spin s = {.allowed = true, .credit = 1};
    uint64_t begin_ns = vly_clock_now_ns();
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_false(vly_spin_wait(&s, ends[0]));
    assert_true(vly_clock_now_ns() - begin_ns >= VLY_SPIN_NS); /* no less than it says */
    assert_int_equal(s.credit, 0);
    s.credit = 1;
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(vly_spin_wait(&s, ends[0]));
    assert_int_equal(s.credit, 2);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spin_stops_when_it_does_not_pay),
        cmocka_unit_test(test_spin_goes_on_while_most_pay),
        cmocka_unit_test(test_spin_never_where_it_is_not_allowed),
        cmocka_unit_test(test_spin_sees_what_is_there_and_gives_up_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
