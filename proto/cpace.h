/*
 * cpace - CPACE-RISTR255-SHA512 (draft-irtf-cfrg-cpace): a shared key from a short code, of which
 * each run lets an attacker try one guess. Used between initiator and responder (transcript_ir).
 *
 * Holds secrets: keep it in memory from vly_crypto.secret_new.
 */
#ifndef VLY_PROTO_CPACE_H
#define VLY_PROTO_CPACE_H

#include "crypto.h"

#define VLY_CPACE_SHARE_BYTES 32
#define VLY_CPACE_KEY_BYTES 64 /* ISK */

struct vly_cpace {
    const struct vly_crypto *crypto; /* borrowed */
    uint8_t scalar[32];
    uint8_t share[VLY_CPACE_SHARE_BYTES]; /* ours: Ya or Yb */
};

/* What both ends know before. Spans are borrowed during the call. */
struct vly_cpace_start {
    struct vly_span code;    /* PRS */
    struct vly_span channel; /* CI */
    struct vly_span session; /* sid */
    const uint8_t *scalar;   /* tests with known answers only; NULL: drawn */
};

/* The generator of a code: calculate_generator of the draft. */
void vly_cpace_generator(const struct vly_crypto *crypto, const struct vly_cpace_start *start,
                         uint8_t out[32]);
void vly_cpace_init(struct vly_cpace *c, const struct vly_crypto *crypto,
                    const struct vly_cpace_start *start);
/* What the shared key is made of; index 0 is the initiator's. */
struct vly_cpace_run {
    struct vly_span session;
    const uint8_t *point;    /* K, the product of either scalar and the other one's share */
    const uint8_t *share[2]; /* Ya, Yb */
    struct vly_span data[2]; /* ADa, ADb: associated data, empty in this protocol */
};
void vly_cpace_isk(const struct vly_crypto *crypto, const struct vly_cpace_run *run,
                   uint8_t isk[VLY_CPACE_KEY_BYTES]);
/* The shared key of both shares, without associated data. Returns 0 or VLY_E_AUTH (the other one's
 * share is no element, or the identity). */
VLY_MUST_USE int vly_cpace_key(const struct vly_cpace *c, struct vly_span session, bool initiator,
                               const uint8_t share[VLY_CPACE_SHARE_BYTES],
                               uint8_t isk[VLY_CPACE_KEY_BYTES]);

#endif
