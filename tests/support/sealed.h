/*
 * sealed - made-up keys for both ends, memory for secrets that can fail, and packets opened with
 * the keys that a key log told.
 */
#ifndef VLY_TESTS_SEALED_H
#define VLY_TESTS_SEALED_H

#include "proto/endpoint.h"
#include "support/support.h"

/* The method this run of a test program is about: VLY_METHOD in the environment, "keys", "psk" or
 * "code"; NONE, plain, when it is not set. */
enum vly_method sealed_method(void);
/* Credentials that fit each other; the client has the server's key pinned. Static. */
const struct vly_credentials *sealed_credentials(enum vly_role role, enum vly_method method);
/* Turns a configuration for plain into one for this method; NONE: leaves it plain. */
void sealed_config(struct vly_endpoint_config *cfg, enum vly_method method);

/* Memory for secrets, counted: one count for all of a test program. */
struct sealed_memory {
    uint64_t requests;
    uint64_t fail_at; /* the n-th request gives NULL, from 1; 0: none */
    size_t live_blocks;
};
extern struct sealed_memory sealed_memory;
/* Makes `crypto` use it. */
void sealed_memory_install(struct vly_crypto *crypto);

/* Every key a key log told of. */
#define SEALED_KEYS_MAX 4096u

struct sealed_key {
    uint64_t cid, generation;
    const struct vly_suite_ops *suite;
    uint8_t key[VLY_KEY_BYTES], iv[VLY_IV_BYTES];
};

struct sealed_keys {
    struct sealed_key key[SEALED_KEYS_MAX];
    size_t n;
};

/* A key log that fills `keys`. */
struct vly_keylog sealed_keylog(struct sealed_keys *keys);
/* Opens a sealed DATA packet, header and tag included, in a copy: `out` has room for its length.
 * Returns the length without the tag, 0 when no key of its connection fits. */
size_t sealed_open(const struct sealed_keys *keys, struct vly_span packet, uint8_t *out);

#endif
