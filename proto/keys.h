/*
 * keys - the keys of one direction of a connection and their generations, SPEC 2.12.
 *
 * Each direction has a secret; key, IV and the next secret are derived from it. The sender goes to
 * the next generation by flipping the key phase bit (UDP) or after a fixed number of records (TCP).
 * The receiver computes the next keys ahead, so that a flipped bit costs the same as any other, and
 * keeps the old ones for what was under way. Suite plain has no generations and no secrets.
 *
 * Rules: RULE 10 (no nonce twice: a number under one key once), RULE 12, RULE 13.
 */
#ifndef VLY_PROTO_KEYS_H
#define VLY_PROTO_KEYS_H

#include "crypto.h"

#define VLY_KEY_UPDATE_PKTS (UINT64_C(1) << 22)      /* packets under one key: then the next one */
#define VLY_KEY_LIMIT_PKTS (2 * VLY_KEY_UPDATE_PKTS) /* never more than these */

/* Told of each key that is taken into use, for --keylog only; NULL: nobody. `cid` is the connection
 * id in the packets it protects (TCP: 0). */
struct vly_keylog {
    void (*on_key)(void *ctx, uint64_t cid, const struct vly_suite_ops *suite, uint64_t generation,
                   const uint8_t key[VLY_KEY_BYTES], const uint8_t iv[VLY_IV_BYTES]);
    void *ctx;
};

/* How keys start and how long they last. */
struct vly_keys_start {
    const struct vly_crypto *crypto;   /* borrowed */
    const struct vly_suite_ops *suite; /* static */
    const uint8_t *secret;             /* 32 bytes, borrowed by the call; NULL for plain */
    uint64_t update_pkts;              /* 0: VLY_KEY_UPDATE_PKTS; twice as many are the limit */
    uint64_t forgery_limit_pkts;       /* 0: the suite's */
    struct vly_keylog keylog;
    uint64_t cid;
};

/* The suite's keys, with the secret they came from. */
struct vly_generation {
    void *keys; /* NULL: none, or the suite is plain */
    uint8_t secret[VLY_KEY_BYTES];
};

/* In secret memory, by vly_send_keys_new. */
struct vly_send_keys {
    struct vly_keys_start start;
    struct vly_generation now;
    uint64_t generation; /* its lowest bit is the key phase */
    uint64_t first_pn;   /* the first packet under it */
    uint64_t next_pn;    /* what is sealed has this number or a higher one */
    bool acked;          /* one of them was acknowledged */
};

struct vly_recv_keys {
    struct vly_keys_start start;
    struct vly_generation now, next, old;
    uint64_t generation;
    uint64_t lowest_pn;    /* the lowest number seen under `now` */
    bool acked;            /* we acknowledged a packet under `now` */
    uint64_t old_until_ns; /* when `old` goes */
    uint64_t forgeries;
};

/* Return 0 or VLY_E_NOMEM; `*out` is NULL then. */
VLY_MUST_USE int vly_send_keys_new(struct vly_send_keys **out, const struct vly_keys_start *start);
VLY_MUST_USE int vly_recv_keys_new(struct vly_recv_keys **out, const struct vly_keys_start *start);
/* NULL is allowed. */
void vly_send_keys_free(struct vly_send_keys *k);
void vly_recv_keys_free(struct vly_recv_keys *k);

/* The phase of packet `pn`, which is about to be made: goes to the next generation when it is time
 * and an acknowledgement under this one has come. Returns 0, VLY_E_NOMEM, or VLY_E_LIMIT: nothing
 * more may be sealed. To be called before each packet (its cost then is one compare). */
VLY_MUST_USE int vly_send_keys_for(struct vly_send_keys *k, uint64_t pn, bool *phase);
/* Whether that call for `pn` may go to the next generation: what was built is to be sealed first.
 */
static inline bool vly_send_keys_is_due(const struct vly_send_keys *k, uint64_t pn)
{
    return pn - k->first_pn >= k->start.update_pkts;
}
/* Whether an acknowledgement is missing for going on: half of what one key may seal before the next
 * has been used, and none has come. */
static inline bool vly_send_keys_wants_ack(const struct vly_send_keys *k, uint64_t pn)
{
    return !k->acked && pn - k->first_pn >= k->start.update_pkts / 2;
}
/* How many packets from `pn` on belong to the present generation for certain, whatever comes. */
static inline uint64_t vly_send_keys_left(const struct vly_send_keys *k, uint64_t pn)
{
    return vly_send_keys_is_due(k, pn) ? 0 : k->start.update_pkts - (pn - k->first_pn);
}
static inline bool vly_send_keys_phase(const struct vly_send_keys *k)
{
    return (k->generation & 1) != 0;
}
/* Whether `pn` is the last number that the present key may seal. */
static inline bool vly_send_keys_is_last(const struct vly_send_keys *k, uint64_t pn)
{
    return !k->acked && k->start.update_pkts <= VLY_KEY_UPDATE_PKTS &&
           pn - k->first_pn + 1 >= 2 * k->start.update_pkts;
}
/* `pn` was acknowledged. */
void vly_send_keys_on_ack(struct vly_send_keys *k, uint64_t pn);
/* Seals packets that all are of the present generation, with rising numbers (RULE 10: asserted,
 * also from call to call). */
void vly_send_keys_seal(struct vly_send_keys *k, struct vly_aead_job *jobs, size_t n);

/* Opens one packet that came with this phase. Returns 0; VLY_E_AUTH: a forgery, nothing has changed
 * but its count (RULE 9, 13); VLY_E_LIMIT: likewise, and one too many; VLY_E_PROTOCOL: it is
 * genuine, and an update too early (RULE 12); VLY_E_NOMEM. `keep_old_ns`: for how long after an
 * update old packets are still read, 3 PTO. */
VLY_MUST_USE int vly_recv_keys_open(struct vly_recv_keys *k, struct vly_aead_job *job, bool phase,
                                    uint64_t now_ns, uint64_t keep_old_ns);
/* Whether a packet of that phase is of the present keys for certain. */
static inline bool vly_recv_keys_is_present(const struct vly_recv_keys *k, bool phase)
{
    return phase == ((k->generation & 1) != 0);
}
/* Opens packets that are; sets each one's `ok`. Returns 0; or VLY_E_LIMIT after a forgery too many
 * (RULE 13). */
VLY_MUST_USE int vly_recv_keys_open_run(struct vly_recv_keys *k, struct vly_aead_job *jobs,
                                        size_t n, uint64_t now_ns);
/* An ACK that covers `largest_pn` was sent. */
void vly_recv_keys_on_ack_sent(struct vly_recv_keys *k, uint64_t largest_pn);

#endif
