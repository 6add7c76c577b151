/*
 * cases - known answers in blocks: the published vectors of a primitive, tests/vectors/FILE.
 *
 * A block is lines "name = value" up to an empty line, the first of them `case`, which says what it
 * is; "#" starts a comment. What goes wrong fails the running test.
 */
#ifndef VLY_TESTS_CASES_H
#define VLY_TESTS_CASES_H

#include "support/support.h"

#define TEST_CASE_FIELDS_MAX 8

struct test_case {
    struct test_case_field {
        char *name, *text;
        struct test_bytes bytes; /* of `text` as hex; empty where it is none */
    } fields[TEST_CASE_FIELDS_MAX];
    size_t n;
};

struct test_cases {
    struct test_case *v;
    size_t n;
};

/* Owned by the caller: test_cases_free. */
struct test_cases test_cases_load(const char *file);
void test_cases_free(struct test_cases *cases);

/* The text of a field; NULL when there is none of that name. */
const char *test_case_text(const struct test_case *c, const char *name);
/* The bytes of a field that must be there; valid as long as the case. */
struct vly_span test_case_bytes(const struct test_case *c, const char *name);
/* Those of a field that must be there and have so many bytes. */
const uint8_t *test_case_exactly(const struct test_case *c, const char *name, size_t len);
/* Whether `result` is that. */
bool test_case_is(const struct test_case *c, const char *result);

#endif
