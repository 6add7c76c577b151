/*
 * crypto - what the engine needs of cryptography and randomness, handed in by the embedder.
 *
 * The engine itself computes no hash and no cipher and draws no random number; src/crypto holds the
 * backends. What cannot fail towards the engine (a library that refuses SHA-256) ends the process.
 */
#ifndef VLY_PROTO_CRYPTO_H
#define VLY_PROTO_CRYPTO_H

#include <volley/base.h>

#define VLY_TAG_BYTES 16
#define VLY_MAC_BYTES 32
#define VLY_KEY_BYTES 32 /* of every suite; also X25519 keys, pre-shared keys, secrets */
#define VLY_IV_BYTES 12
#define VLY_SUITES_SEALED_MAX 4

/* Suite ids on the wire, SPEC 2.1. */
enum vly_suite {
    VLY_SUITE_PLAIN = 0x01,
    VLY_SUITE_AES_256_GCM = 0x02,
    VLY_SUITE_CHACHA20 = 0x03,
    VLY_SUITE_AES_128_GCM = 0x04
};

/* One packet to seal or to open. What a job does not need is zero. */
struct vly_aead_job {
    uint64_t number; /* packet number: the nonce is the IV with it XORed into its last 8 bytes */
    const uint8_t *head; /* associated data */
    size_t head_bytes;
    const uint8_t *in; /* seal: `len` bytes of text; open: `len` bytes and VLY_TAG_BYTES of tag */
    size_t len;
    uint8_t *out; /* open: `len` bytes; seal: those and the tag. Is `in` or does not overlap it */
    struct vly_span more; /* seal: the rest of the text; does not overlap `out` */
    bool apart; /* seal by plain: `more` stays where it is; the tag goes behind its place */
    bool ok;    /* open: the tag verified; when not, `out` holds nothing of worth */
};

/* Protection of packets: an AEAD, or the checksum of `plain`. `keys` is `keys_bytes` of memory from
 * vly_crypto.secret_new that init has filled; plain has none (NULL). */
struct vly_suite_ops {
    uint8_t id;
    const char *name;    /* "aes-256-gcm" */
    const char *backend; /* "openssl", "ipsec-mb" */
    size_t keys_bytes;
    uint64_t forgery_limit_pkts; /* RFC 9001 6.6: so many bad tags end a connection; 0: no limit */
    /* Returns false when out of memory; `keys` needs no fini then. A suite with shorter keys uses
     * the beginning of `key`. */
    bool (*init)(void *keys, const uint8_t key[VLY_KEY_BYTES], const uint8_t iv[VLY_IV_BYTES]);
    void (*fini)(void *keys);
    void (*seal)(void *keys, struct vly_aead_job *jobs, size_t n);
    void (*open)(void *keys, struct vly_aead_job *jobs, size_t n);
};

struct vly_crypto {
    /* The suite `plain`: also protects the handshake packets against damage. */
    const struct vly_suite_ops *plain;
    /* What is offered and accepted for sealed packets, best first; the rest NULL. */
    const struct vly_suite_ops *sealed[VLY_SUITES_SEALED_MAX];
    /* AES-256-GCM for handshake messages (Noise's AESGCM). */
    const struct vly_suite_ops *noise;

    /* Hashes of `n` spans in a row; here and in hmac `out` may be one of them. */
    void (*sha256)(const struct vly_span *parts, size_t n, uint8_t out[32]);
    void (*sha512)(const struct vly_span *parts, size_t n, uint8_t out[64]);
    /* HMAC-SHA256; a shorter key is the same as that key followed by zeros (RFC 2104). */
    void (*hmac)(const uint8_t key[32], const struct vly_span *parts, size_t n,
                 uint8_t out[VLY_MAC_BYTES]);

    /* X25519, RFC 7748: out = secret * point. Returns false when that is all zero. */
    VLY_MUST_USE bool (*x25519)(uint8_t out[32], const uint8_t secret[32], const uint8_t point[32]);
    void (*x25519_public)(uint8_t out[32], const uint8_t secret[32]);

    /* ristretto255, RFC 9496: the element a 64-byte hash maps to; a scalar of 64 uniform bytes; and
     * scalar * point, false when `point` does not decode or the product is the identity. */
    void (*group_map)(uint8_t out[32], const uint8_t hash[64]);
    void (*group_scalar)(uint8_t out[32], const uint8_t uniform[64]);
    VLY_MUST_USE bool (*group_multiply)(uint8_t out[32], const uint8_t scalar[32],
                                        const uint8_t point[32]);

    /* Unguessable bytes; deterministic ones in the simulator. */
    void (*random)(void *ctx, void *buf, size_t len);
    void *random_ctx;

    /* Memory for secrets, zeroed, aligned to 64: locked and left out of core dumps where the system
     * allows. NULL when out of memory. Freeing wipes it; NULL is allowed. */
    void *(*secret_new)(size_t len);
    void (*secret_free)(void *p, size_t len);
    /* Overwrites what the compiler must not think dead. */
    void (*wipe)(void *p, size_t len);
};

#endif
