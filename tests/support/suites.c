#include "suites.h"

const struct vly_suite_ops *test_suite(enum vly_backend backend, enum vly_suite id)
{
    struct vly_crypto c = *vly_crypto_system();
    int err = vly_crypto_choose(&c, backend, "auto,aes-128-gcm");

    if (err == VLY_E_STATE)
        return NULL;
    assert_int_equal(err, 0);
    for (size_t i = 0; i < VLY_SUITES_SEALED_MAX && c.sealed[i] != NULL; i++)
        if (c.sealed[i]->id == id)
            return c.sealed[i];
    fail_msg("no suite %d", (int)id);
    return NULL;
}

const struct vly_suite_ops *test_suite_or_skip(enum vly_backend backend, enum vly_suite id)
{
    const struct vly_suite_ops *suite = test_suite(backend, id);

    if (suite == NULL) {
        print_message("  this machine has no such backend\n");
        skip();
    }
    return suite;
}

void *test_keys_new(const struct vly_suite_ops *suite, const uint8_t key[VLY_KEY_BYTES],
                    const uint8_t iv[VLY_IV_BYTES])
{
    void *keys = vly_crypto_system()->secret_new(suite->keys_bytes);

    assert_non_null(keys);
    assert_true(suite->init(keys, key, iv));
    return keys;
}

void test_keys_free(const struct vly_suite_ops *suite, void *keys)
{
    suite->fini(keys);
    vly_crypto_system()->secret_free(keys, suite->keys_bytes);
}
