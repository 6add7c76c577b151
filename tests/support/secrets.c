#include "support/secrets.h"

struct test_secrets test_secrets;

static void *counted_new(size_t len)
{
    if (++test_secrets.requests == test_secrets.fail_at)
        return NULL;
    test_secrets.live++;
    return vly_crypto_system()->secret_new(len);
}

static void counted_free(void *p, size_t len)
{
    if (p != NULL)
        test_secrets.live--;
    vly_crypto_system()->secret_free(p, len);
}

void test_secrets_count(struct vly_crypto *crypto, uint64_t fail_at)
{
    test_secrets = (struct test_secrets){.fail_at = fail_at};
    crypto->secret_new = counted_new;
    crypto->secret_free = counted_free;
}
