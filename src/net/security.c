/*
 * security - see security.h.
 */
#include "net/security.h"

#include "crypto/crypto.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 160 /* "VOLLEY1", 16 hex, suite, generation of 20 digits, 64 hex, 24 hex */

static void hex(char *out, const uint8_t *in, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * len] = '\0';
}

/* SPEC appendix B. */
static void log_key(void *ctx, uint64_t cid, const struct vly_suite_ops *suite, uint64_t generation,
                    const uint8_t key[VLY_KEY_BYTES], const uint8_t iv[VLY_IV_BYTES])
{
    struct vly_net_security *s = ctx;
    char key_hex[2 * VLY_KEY_BYTES + 1], iv_hex[2 * VLY_IV_BYTES + 1], line[LINE_BYTES];

    hex(key_hex, key, VLY_KEY_BYTES);
    hex(iv_hex, iv, VLY_IV_BYTES);
    (void)snprintf(line, sizeof line, "VOLLEY1 %016" PRIx64 " %u %" PRIu64 " %s %s", cid, suite->id,
                   generation, key_hex, iv_hex);
    s->on_key(s->ctx, line);
    s->crypto.wipe(line, sizeof line);
    s->crypto.wipe(key_hex, sizeof key_hex);
    s->crypto.wipe(iv_hex, sizeof iv_hex);
}

static int take_credentials(struct vly_net_security *s, const struct vly_security *from,
                            bool is_server)
{
    struct vly_credentials *c = s->credentials;

    if (from->psk != NULL) {
        c->method = VLY_METHOD_PSK;
        memcpy(c->psk, from->psk, VLY_KEY_BYTES);
        return 0;
    }
    c->method = VLY_METHOD_KEYS;
    if (from->secret_key != NULL)
        memcpy(c->secret, from->secret_key, VLY_KEY_BYTES);
    else if (is_server)
        return VLY_E_INVALID;
    else
        s->crypto.random(s->crypto.random_ctx, c->secret, VLY_KEY_BYTES);
    c->accept_new = from->accept_new;
    c->has_pin = from->server_key != NULL;
    if (c->has_pin)
        memcpy(c->pin, from->server_key, VLY_KEY_BYTES);
    return 0;
}

static int choose_crypto(struct vly_net_security *s, const struct vly_security *from)
{
    enum vly_backend backend = VLY_BACKEND_AUTO;

    if (from->crypto != NULL && !vly_backend_parse(from->crypto, &backend))
        return VLY_E_INVALID;
    return vly_crypto_choose(&s->crypto, backend, from->suite);
}

int vly_net_security_new(struct vly_net_security **out, const struct vly_security *given,
                         bool is_server)
{
    struct vly_net_security *s = calloc(1, sizeof *s);
    struct vly_security from = {0};
    int err = VLY_E_NOMEM;

    *out = NULL;
    if (s == NULL)
        return VLY_E_NOMEM;
    if (given != NULL) /* may be of another version than ours */
        memcpy(&from, given, given->size < sizeof from ? given->size : sizeof from);
    s->crypto = *vly_crypto_system();
    s->on_key = from.on_key;
    s->ctx = from.ctx;
    if (s->on_key != NULL)
        s->keylog = (struct vly_keylog){.on_key = log_key, .ctx = s};
    s->credentials = s->crypto.secret_new(sizeof *s->credentials);
    if (s->credentials == NULL || (err = take_credentials(s, &from, is_server)) != 0 ||
        (err = choose_crypto(s, &from)) != 0) {
        vly_net_security_free(s);
        return err;
    }
    *out = s;
    return 0;
}

void vly_net_security_free(struct vly_net_security *s)
{
    if (s == NULL)
        return;
    s->crypto.secret_free(s->credentials, sizeof *s->credentials);
    free(s);
}
