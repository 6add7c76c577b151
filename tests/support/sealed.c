#include "support/sealed.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

/* ---- credentials ---- */

enum vly_method sealed_method(void)
{
    static const char *const names[] = {"", "keys", "psk", "code"};
    const char *name = getenv("VLY_METHOD");

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (name == NULL || strcmp(name, names[i]) == 0)
            return (enum vly_method)i;
    fail_msg("VLY_METHOD is none of keys, psk, code: %s", name);
    return VLY_METHOD_NONE;
}

static struct vly_credentials made[2][VLY_METHOD_CODE + 1];

static void make(struct vly_credentials *c, enum vly_role role, enum vly_method method)
{
    uint8_t server_secret[VLY_KEY_BYTES];

    *c = (struct vly_credentials){.method = method, .code_len = 9};
    memset(server_secret, 's', sizeof(server_secret));
    memset(c->secret, role == VLY_CLIENT ? 'c' : 's', sizeof(c->secret));
    memset(c->psk, 'p', sizeof(c->psk));
    memcpy(c->code, "7-guitars", 9);
    c->has_pin = role == VLY_CLIENT;
    vly_crypto_system()->x25519_public(c->pin, server_secret);
}

const struct vly_credentials *sealed_credentials(enum vly_role role, enum vly_method method)
{
    struct vly_credentials *c = &made[role][method];

    if (c->method == VLY_METHOD_NONE)
        make(c, role, method);
    return c;
}

void sealed_config(struct vly_endpoint_config *cfg, enum vly_method method)
{
    if (method == VLY_METHOD_NONE)
        return;
    cfg->allow_plain = false;
    cfg->credentials = sealed_credentials(cfg->is_server ? VLY_SERVER : VLY_CLIENT, method);
}

/* ---- memory ---- */

struct sealed_memory sealed_memory;

static void *counted_new(size_t len)
{
    void *p;

    if (++sealed_memory.requests == sealed_memory.fail_at)
        return NULL;
    p = vly_crypto_system()->secret_new(len);
    sealed_memory.live_blocks += p != NULL;
    return p;
}

static void counted_free(void *p, size_t len)
{
    sealed_memory.live_blocks -= p != NULL;
    vly_crypto_system()->secret_free(p, len);
}

void sealed_memory_install(struct vly_crypto *crypto)
{
    crypto->secret_new = counted_new;
    crypto->secret_free = counted_free;
}

/* ---- key log ---- */

static void on_key(void *ctx, uint64_t cid, const struct vly_suite_ops *suite, uint64_t generation,
                   const uint8_t key[VLY_KEY_BYTES], const uint8_t iv[VLY_IV_BYTES])
{
    struct sealed_keys *keys = ctx;
    struct sealed_key *k = &keys->key[keys->n];

    for (size_t i = 0; i < keys->n; i++) { /* both ends tell of it */
        if (keys->key[i].cid == cid && keys->key[i].generation == generation) {
            assert_memory_equal(keys->key[i].key, key, VLY_KEY_BYTES);
            return;
        }
    }
    assert_true(keys->n < SEALED_KEYS_MAX);
    keys->n++;
    *k = (struct sealed_key){.cid = cid, .generation = generation, .suite = suite};
    memcpy(k->key, key, VLY_KEY_BYTES);
    memcpy(k->iv, iv, VLY_IV_BYTES);
}

struct vly_keylog sealed_keylog(struct sealed_keys *keys)
{
    return (struct vly_keylog){on_key, keys};
}

static bool open_with(const struct sealed_key *k, struct vly_span packet, uint8_t *out)
{
    size_t len = packet.len - VLY_TAG_BYTES;
    void *keys = vly_crypto_system()->secret_new(k->suite->keys_bytes);
    bool ok;

    assert_non_null(keys);
    assert_true(k->suite->init(keys, k->key, k->iv));
    memcpy(out, packet.data, packet.len);
    ok = vly_open_one(k->suite, keys, vly_load_u64(packet.data + 9), out, VLY_DATA_HEADER_BYTES,
                      len);
    k->suite->fini(keys);
    vly_crypto_system()->secret_free(keys, k->suite->keys_bytes);
    return ok;
}

size_t sealed_open(const struct sealed_keys *keys, struct vly_span packet, uint8_t *out)
{
    for (size_t i = keys->n; i-- > 0;) {
        const struct sealed_key *k = &keys->key[i];

        if (k->cid == vly_load_u64(packet.data + 1) &&
            (k->generation & 1) == (packet.data[0] & 1) && open_with(k, packet, out))
            return packet.len - VLY_TAG_BYTES;
    }
    return 0;
}
