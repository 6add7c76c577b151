#include "hkdf.h"

#include <assert.h>
#include <string.h>

#define BLOCK_BYTES 64 /* of SHA-256 */

/* The HMAC of crypto.h has keys of 32 bytes; a salt may be longer, so this one is spelled out. */
void vly_hkdf_extract(const struct vly_crypto *crypto, struct vly_span salt, struct vly_span ikm,
                      uint8_t prk[32])
{
    uint8_t key[BLOCK_BYTES] = {0}, inner[BLOCK_BYTES], outer[BLOCK_BYTES];

    if (salt.len > sizeof(key))
        crypto->sha256(&salt, 1, key);
    else if (salt.len > 0)
        memcpy(key, salt.data, salt.len);
    for (size_t i = 0; i < sizeof(key); i++) {
        inner[i] = key[i] ^ 0x36;
        outer[i] = key[i] ^ 0x5c;
    }
    crypto->sha256((const struct vly_span[]){{inner, sizeof(inner)}, ikm}, 2, prk);
    crypto->sha256((const struct vly_span[]){{outer, sizeof(outer)}, {prk, 32}}, 2, prk);
    crypto->wipe(key, sizeof(key));
    crypto->wipe(inner, sizeof(inner));
    crypto->wipe(outer, sizeof(outer));
}

void vly_hkdf_expand(const struct vly_crypto *crypto, const uint8_t prk[32], struct vly_span info,
                     uint8_t *out, size_t len)
{
    uint8_t block[32], number = 0;
    struct vly_span parts[] = {{block, 0}, info, {&number, 1}};

    assert(len <= VLY_HKDF_OUT_MAX);
    for (size_t done = 0, n; done < len; done += n) {
        n = len - done < sizeof(block) ? len - done : sizeof(block);
        number++;
        crypto->hmac(prk, parts, 3, block);
        memcpy(out + done, block, n);
        parts[0].len = sizeof(block);
    }
    crypto->wipe(block, sizeof(block));
}
