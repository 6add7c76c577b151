/*
 * handshake - the messages by which two ends of a connection agree on keys, SPEC 3.1: the same over
 * UDP (in HELLO, ACCEPT, FINISH) and TCP (behind the prefaces).
 *
 * Each method is a row of a table: who writes the n-th message and what stands in it. A message is
 * made once; whoever has to send it again keeps its bytes. A message that does not verify leaves
 * the handshake as it was: anybody may have sent it, and the true one may still come. Payloads are
 * the caller's matter.
 */
#ifndef VLY_PROTO_HANDSHAKE_H
#define VLY_PROTO_HANDSHAKE_H

#include "cpace.h"
#include "noise.h"

#define VLY_HANDSHAKE_MAX 512         /* bytes of a message */
#define VLY_HANDSHAKE_PAYLOAD_MAX 320 /* of those, payload */
#define VLY_HANDSHAKE_PROLOGUE_MAX 128
#define VLY_CODE_MAX 64
#define VLY_CODE_FAILURES_MAX 3 /* then the code is dead */

/* On the wire, SPEC 3.1. NONE is suite plain's. */
enum vly_method {
    VLY_METHOD_NONE = 0,
    VLY_METHOD_KEYS = 1, /* Noise XX: static keys, pinned */
    VLY_METHOD_PSK = 2,  /* Noise NNpsk0: a key file */
    VLY_METHOD_CODE = 3, /* CPace, then NNpsk0: a short one-time code */
};

/* How an endpoint proves itself and whom it believes. Whoever owns it keeps it in secret memory. */
struct vly_credentials {
    enum vly_method method;
    uint8_t secret[VLY_KEY_BYTES]; /* KEYS: our static secret */
    uint8_t psk[VLY_KEY_BYTES];    /* PSK */
    uint8_t code[VLY_CODE_MAX];    /* CODE */
    uint8_t code_len;
    /* KEYS, client: the server's public key; without a pin the server is believed only when
     * `accept_new` is set. */
    bool has_pin, accept_new;
    uint8_t pin[VLY_KEY_BYTES];
};

enum vly_handshake_end { VLY_HANDSHAKE_CLIENT, VLY_HANDSHAKE_SERVER };

struct vly_handshake; /* in secret memory */

/* `prologue`: what both ends have said in clear so far, SPEC 3.1; at most
 * VLY_HANDSHAKE_PROLOGUE_MAX bytes. `credentials` is borrowed during the call. Returns 0 or
 * VLY_E_NOMEM. */
VLY_MUST_USE int vly_handshake_new(struct vly_handshake **out, const struct vly_crypto *crypto,
                                   enum vly_handshake_end end,
                                   const struct vly_credentials *credentials,
                                   struct vly_span prologue);
/* A copy that goes its own way: to read a message whose payload may turn out wrong. Returns 0 or
 * VLY_E_NOMEM. */
VLY_MUST_USE int vly_handshake_clone(struct vly_handshake **out, const struct vly_handshake *h);
/* Wipes it. NULL is allowed. */
void vly_handshake_free(struct vly_handshake *h);

/* Whether the next message is ours, and whether it carries a payload (else it must be empty, which
 * is asserted of ours). */
bool vly_handshake_is_our_turn(const struct vly_handshake *h);
bool vly_handshake_has_payload(const struct vly_handshake *h);
/* Appends our next message. Returns 0, VLY_E_STATE (it is not our turn), VLY_E_LIMIT (no room, or
 * more payload than VLY_HANDSHAKE_PAYLOAD_MAX), VLY_E_AUTH (what the other end sent shares no
 * secret with anybody), VLY_E_NOMEM; after an error the handshake is as it was, and so is `w`. */
VLY_MUST_USE int vly_handshake_write(struct vly_handshake *h, struct vly_span payload,
                                     struct vly_wr *w);
/* Reads the other end's next message and its payload (room: `message.len`). Returns 0, VLY_E_STATE,
 * VLY_E_MALFORMED, VLY_E_AUTH (does not verify), VLY_E_NOMEM; after an error the handshake is as it
 * was, and the payload is of no worth. */
VLY_MUST_USE int vly_handshake_read(struct vly_handshake *h, struct vly_span message,
                                    uint8_t *payload, size_t *payload_len);
bool vly_handshake_is_done(const struct vly_handshake *h);
/* After the last message: the secrets that keys.h starts from. */
void vly_handshake_secrets(const struct vly_handshake *h, uint8_t client[32], uint8_t server[32]);
/* KEYS: the other end's public key once its message was read; else NULL. Borrowed. */
const uint8_t *vly_handshake_peer_key(const struct vly_handshake *h);

/* Whether the client believes the server that has this key: 0, VLY_E_HOST_UNKNOWN,
 * VLY_E_HOST_CHANGED. */
VLY_MUST_USE int vly_credentials_check(const struct vly_credentials *c,
                                       const uint8_t key[VLY_KEY_BYTES]);

#endif
