/*
 * choose - which backend computes the sealed suites.
 */
#include "crypto/crypto.h"

#include <string.h>

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
