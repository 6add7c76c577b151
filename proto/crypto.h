/*
 * crypto - what the engine needs of cryptography and randomness, handed in by the embedder.
 *
 * The engine itself computes no hash and draws no random number. src/crypto holds the backends.
 */
#ifndef VLY_PROTO_CRYPTO_H
#define VLY_PROTO_CRYPTO_H

#include <volley/base.h>

#define VLY_TAG_BYTES 16
#define VLY_MAC_BYTES 32

/* Suite ids on the wire, SPEC 2.1. */
enum vly_suite { VLY_SUITE_PLAIN = 0x01, VLY_SUITE_AES_256_GCM = 0x02, VLY_SUITE_CHACHA20 = 0x03 };

/* Protection of one direction of DATA packets. `keys` is the suite's own; plain has none (NULL). */
struct vly_suite_ops {
    uint8_t id;
    const char *name;
    /* Seals in place: `pkt[0, header)` stays clear, `pkt[header, len)` is sealed, the tag is
     * written to `pkt[len, len + VLY_TAG_BYTES)`. Cannot fail. */
    void (*seal)(const void *keys, uint64_t pn, uint8_t *pkt, size_t header, size_t len);
    /* Opens in place a packet whose tag stands at `pkt[len, len + VLY_TAG_BYTES)`. Returns false,
     * with the content undefined, when the tag does not verify. */
    bool (*open)(const void *keys, uint64_t pn, uint8_t *pkt, size_t header, size_t len);
};

struct vly_crypto {
    /* The suite `plain`: also protects the handshake packets against damage. */
    const struct vly_suite_ops *plain;
    /* HMAC-SHA256 of `n` spans in a row under a 32-byte key. */
    void (*hmac)(const uint8_t key[32], const struct vly_span *parts, size_t n,
                 uint8_t out[VLY_MAC_BYTES]);
    /* Unguessable bytes; deterministic ones in the simulator. */
    void (*random)(void *ctx, void *buf, size_t len);
    void *random_ctx;
};

#endif
