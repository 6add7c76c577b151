#include "support/support.h"

#include <string.h>

static void test_base_err_names_and_texts(void **state)
{
    static const struct {
        int err;
        const char *name, *text;
    } cases[] = {
        {VLY_OK, "OK", "success"},
        {VLY_E_NOMEM, "NOMEM", "out of memory"},
        {VLY_E_CANCELLED, "CANCELLED", "cancelled"},
        {1, "UNKNOWN", "unknown error"},
        {-1000, "UNKNOWN", "unknown error"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(vly_err_name(cases[i].err), cases[i].name);
        assert_string_equal(vly_err_text(cases[i].err), cases[i].text);
    }
}

static void test_base_err_values_are_distinct_and_negative(void **state)
{
    static const int values[] = {
#define X(name, value, text) VLY_E_##name,
        VLY_ERRORS(X)
#undef X
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        assert_true(values[i] < 0);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(values[i], values[k]);
            assert_string_not_equal(vly_err_name(values[i]), vly_err_name(values[k]));
            assert_string_not_equal(vly_err_text(values[i]), vly_err_text(values[k]));
        }
    }
}

static void test_base_time_saturates(void **state)
{
    (void)state;
    assert_true(vly_time_add(VLY_S(1), VLY_MS(2)) == 1002000000);
    assert_true(vly_time_add(VLY_NEVER - 1, 1) == VLY_NEVER);
    assert_true(vly_time_add(VLY_NEVER - 1, 2) == VLY_NEVER);
    assert_true(vly_time_add(VLY_NEVER, VLY_US(5)) == VLY_NEVER);
    assert_true(vly_time_add(VLY_US(5), VLY_NEVER) == VLY_NEVER);
    assert_true(vly_time_since(VLY_US(7), VLY_US(5)) == 2000);
    assert_true(vly_time_since(5, 5) == 0);
    assert_true(vly_time_since(5, 7) == 0);
    assert_true(vly_time_since(5, VLY_NEVER) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_err_names_and_texts),
        cmocka_unit_test(test_base_err_values_are_distinct_and_negative),
        cmocka_unit_test(test_base_time_saturates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
