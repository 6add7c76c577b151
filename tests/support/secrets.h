/*
 * secrets - memory for secrets that counts, and fails once.
 */
#ifndef VLY_TESTS_SECRETS_H
#define VLY_TESTS_SECRETS_H

#include "crypto/crypto.h"

extern struct test_secrets {
    uint64_t fail_at; /* the n-th request gives NULL, from 1; 0: none */
    uint64_t requests;
    uint64_t live; /* blocks not given back */
} test_secrets;

/* From now on `crypto` takes its secret memory here, and the counts start anew. */
void test_secrets_count(struct vly_crypto *crypto, uint64_t fail_at);

#endif
