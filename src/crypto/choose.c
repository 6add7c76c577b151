/*
 * choose - which backend computes the sealed suites.
 */
#include "crypto/backend.h"

#include <string.h>

/* The order in which suites are offered. */
static const enum vly_suite suite_ids[] = {VLY_SUITE_AES_256_GCM, VLY_SUITE_CHACHA20};

bool vly_backend_parse(const char *name, enum vly_backend *out)
{
    static const char *const names[] = {"auto", "openssl", "ipsec-mb"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum vly_backend)i;
            return true;
        }
    }
    return false;
}

static const struct vly_suite_ops *suite_of(enum vly_backend backend, enum vly_suite id)
{
    const struct vly_suite_ops *ipsec = NULL;

    if (backend != VLY_BACKEND_OPENSSL)
        ipsec = vly_ipsec_suite(id);
    return ipsec != NULL || backend == VLY_BACKEND_IPSEC_MB ? ipsec : vly_openssl_suite(id);
}

int vly_crypto_choose(struct vly_crypto *c, enum vly_backend backend, const char *suite)
{
    const struct vly_suite_ops *found[VLY_SUITES_SEALED_MAX] = {NULL};
    bool any_suite = suite == NULL || strcmp(suite, "auto") == 0;
    size_t n = 0;

    for (size_t i = 0; i < sizeof(suite_ids) / sizeof(suite_ids[0]); i++) {
        const struct vly_suite_ops *ops = suite_of(backend, suite_ids[i]);

        if (ops == NULL)
            return VLY_E_STATE;
        if (any_suite || strcmp(suite, ops->name) == 0)
            found[n++] = ops;
    }
    if (n == 0)
        return VLY_E_INVALID;
    memcpy(c->sealed, found, sizeof(found));
    return 0;
}
