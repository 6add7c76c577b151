#include "cookie.h"

#include <string.h>

void vly_cookie_keys_init(struct vly_cookie_keys *k, const struct vly_crypto *crypto,
                          uint64_t now_ns)
{
    memset(k, 0, sizeof(*k));
    crypto->random(crypto->random_ctx, k->key, sizeof(k->key));
    k->made_ns = now_ns;
}

static void rotate(struct vly_cookie_keys *k, const struct vly_crypto *crypto, uint64_t now_ns)
{
    if (vly_time_since(now_ns, k->made_ns) < VLY_COOKIE_KEY_NS)
        return;
    k->newest++;
    crypto->random(crypto->random_ctx, k->key[k->newest & 1], sizeof(k->key[0]));
    k->made_ns = now_ns;
}

/* RULE 3: binds address and port (both in `address`), the HELLO without its cookie, the time and
 * the key. */
static void mac(const uint8_t key[32], const struct vly_crypto *crypto, struct vly_span address,
                const struct vly_hello *hello, const uint8_t head[9], uint8_t out[VLY_MAC_BYTES])
{
    uint8_t fixed[9 + 1 + 4 + 8 + 1 + 2 + 2];
    struct vly_wr w = vly_wr_init(fixed, sizeof(fixed));
    struct vly_span parts[5];

    vly_wr_bytes(&w, head, 9);
    vly_wr_u8(&w, (uint8_t)address.len);
    vly_wr_u32(&w, hello->version);
    vly_wr_u64(&w, hello->client_cid);
    vly_wr_u8(&w, (uint8_t)hello->suites.len);
    vly_wr_u16(&w, (uint16_t)hello->handshake.len);
    vly_wr_u16(&w, (uint16_t)hello->params.len);
    parts[0] = (struct vly_span){fixed, vly_wr_len(&w)};
    parts[1] = address;
    parts[2] = hello->suites;
    parts[3] = hello->handshake;
    parts[4] = hello->params;
    crypto->hmac(key, parts, 5, out);
}

void vly_cookie_make(struct vly_cookie_keys *k, const struct vly_crypto *crypto,
                     struct vly_span address, const struct vly_hello *hello, uint64_t now_ns,
                     uint8_t out[VLY_COOKIE_BYTES])
{
    struct vly_wr w = vly_wr_init(out, VLY_COOKIE_BYTES);

    rotate(k, crypto, now_ns);
    vly_wr_u8(&w, k->newest);
    vly_wr_u64(&w, now_ns / VLY_MS(1));
    mac(k->key[k->newest & 1], crypto, address, hello, out, out + 9);
}

bool vly_cookie_is_valid(const struct vly_cookie_keys *k, const struct vly_crypto *crypto,
                         struct vly_span address, const struct vly_hello *hello, uint64_t now_ns)
{
    struct vly_rd r = vly_rd_init(hello->cookie.data, hello->cookie.len);
    uint8_t number = vly_rd_u8(&r);
    uint64_t made_ms = vly_rd_u64(&r);
    uint64_t now_ms = now_ns / VLY_MS(1);
    uint8_t want[VLY_MAC_BYTES];

    if (hello->cookie.len != VLY_COOKIE_BYTES)
        return false;
    if (number != k->newest && (uint8_t)(number + 1) != k->newest)
        return false;
    if (made_ms > now_ms || now_ms - made_ms > VLY_COOKIE_LIFE_NS / VLY_MS(1))
        return false;
    mac(k->key[number & 1], crypto, address, hello, hello->cookie.data, want);
    return vly_equal_secret(want, hello->cookie.data + 9, sizeof(want));
}

/* RULE 41 */
bool vly_equal_secret(const uint8_t *a, const uint8_t *b, size_t len)
{
    uint8_t diff = 0;

    for (size_t i = 0; i < len; i++)
        diff |= (uint8_t)(a[i] ^ b[i]);
    return diff == 0;
}
