/*
 * system - the backends put together, with the randomness of the kernel.
 *
 * Nothing here can fail towards the engine: what would make a key, a cookie or a connection id
 * guessable ends the process instead.
 */
#include "crypto/backend.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void vly_crypto_give_up(const char *what)
{
    fprintf(stderr, "volley: %s\n", what);
    abort();
}

static void system_random(void *ctx, void *buf, size_t len)
{
    uint8_t *p = buf;

    (void)ctx;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno != EINTR)
            vly_crypto_give_up("the system gives no random numbers");
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

static struct vly_crypto shared = {
    .plain = &vly_suite_plain,
    .sha256 = vly_digest_sha256,
    .sha512 = vly_digest_sha512,
    .hmac = vly_digest_hmac,
    .x25519 = vly_curve_x25519,
    .x25519_public = vly_curve_x25519_public,
    .group_map = vly_group_map,
    .group_scalar = vly_group_scalar,
    .group_multiply = vly_group_multiply,
    .random = system_random,
    .secret_new = vly_secret_new,
    .secret_free = vly_secret_free,
    .wipe = vly_secret_wipe,
};

static void fill_suites(void)
{
    shared.noise = vly_openssl_suite(VLY_SUITE_AES_256_GCM);
    if (vly_crypto_choose(&shared, VLY_BACKEND_AUTO, NULL) != 0)
        vly_crypto_give_up("no cipher");
}

const struct vly_crypto *vly_crypto_system(void)
{
    static pthread_once_t filled = PTHREAD_ONCE_INIT;

    pthread_once(&filled, fill_suites);
    return &shared;
}

void vly_crypto_with_random(struct vly_crypto *out, void (*draw)(void *ctx, void *buf, size_t len),
                            void *ctx)
{
    *out = *vly_crypto_system();
    out->random = draw;
    out->random_ctx = ctx;
}
