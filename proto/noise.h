/*
 * noise - the Noise handshakes XX and NNpsk0 with 25519, AESGCM, SHA256 (Noise revision 34).
 *
 * Messages are made and read in turn; the tokens of each stand in a table. After an error the state
 * is not to be used again, unless it is put back to what it was: it owns nothing, so a copy will
 * do. Holds secrets: keep it in memory from vly_crypto.secret_new.
 */
#ifndef VLY_PROTO_NOISE_H
#define VLY_PROTO_NOISE_H

#include "crypto.h"
#include "wire.h"

enum vly_noise_pattern { VLY_NOISE_XX, VLY_NOISE_NNPSK0 };

struct vly_noise {
    const struct vly_crypto *crypto; /* borrowed */
    enum vly_noise_pattern pattern;
    bool initiator;
    uint8_t next; /* index of the next message */
    bool has_key; /* `k` is set */
    uint64_t n;   /* nonce of the next encryption under `k` */
    uint8_t ck[32], h[32], k[32];
    uint8_t s[32], s_public[32]; /* our static key pair (XX) */
    uint8_t e[32], e_public[32]; /* our ephemeral one */
    uint8_t rs[32], re[32];      /* the other side's public keys, once read */
    uint8_t psk[32];
    bool fixed_ephemeral; /* tests: `e` is given */
};

/* What a handshake starts from. Pointers are borrowed during vly_noise_init only. */
struct vly_noise_start {
    enum vly_noise_pattern pattern;
    bool initiator;
    struct vly_span prologue;
    const uint8_t *secret;    /* XX: our static secret, 32 bytes */
    const uint8_t *psk;       /* NNpsk0: 32 bytes */
    const uint8_t *ephemeral; /* tests with known answers only; NULL: drawn */
};

void vly_noise_init(struct vly_noise *n, const struct vly_crypto *crypto,
                    const struct vly_noise_start *start);
/* Appends our next message. Returns 0, VLY_E_STATE (it is not our turn), VLY_E_LIMIT (no room),
 * VLY_E_AUTH (the other side's public key has no shared secret), VLY_E_NOMEM. */
VLY_MUST_USE int vly_noise_write(struct vly_noise *n, struct vly_span payload, struct vly_wr *w);
/* Reads the other side's next message; its payload goes to `payload`, which has room for
 * `message.len` bytes. Returns 0, VLY_E_STATE, VLY_E_MALFORMED (too short), VLY_E_AUTH (does not
 * verify), VLY_E_NOMEM. */
VLY_MUST_USE int vly_noise_read(struct vly_noise *n, struct vly_span message, uint8_t *payload,
                                size_t *payload_len);
bool vly_noise_is_done(const struct vly_noise *n);
/* After the last message: Split(). */
void vly_noise_split(const struct vly_noise *n, uint8_t from_initiator[32],
                     uint8_t from_responder[32]);

#endif
