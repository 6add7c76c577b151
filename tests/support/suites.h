/*
 * suites - every sealed suite of every backend, for tests that hold them against each other.
 */
#ifndef VLY_TESTS_SUITES_H
#define VLY_TESTS_SUITES_H

#include "crypto/crypto.h"
#include "support/support.h"

/* Any of SPEC 2.1; NULL when this machine has no such backend. */
const struct vly_suite_ops *test_suite(enum vly_backend backend, enum vly_suite id);

/* The same, or else the running test is skipped, visibly. */
const struct vly_suite_ops *test_suite_or_skip(enum vly_backend backend, enum vly_suite id);

/* Keys in memory of their own; to be given back by test_keys_free. */
void *test_keys_new(const struct vly_suite_ops *suite, const uint8_t key[VLY_KEY_BYTES],
                    const uint8_t iv[VLY_IV_BYTES]);
void test_keys_free(const struct vly_suite_ops *suite, void *keys);

#endif
