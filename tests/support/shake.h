/*
 * shake - two ends of a handshake that hand each other its messages, for tests and fuzzers.
 *
 * Randomness is seeded: the same seed gives the same messages. Contradictions abort (assert).
 */
#ifndef VLY_TESTS_SHAKE_H
#define VLY_TESTS_SHAKE_H

#include "crypto/crypto.h"
#include "proto/handshake.h"
#include "sim/prng.h"

struct shake_message {
    uint8_t data[VLY_HANDSHAKE_MAX];
    size_t len;
};

/* Ends are indexed by enum vly_handshake_end. `crypto.random_ctx` points into it: do not move it.
 */
struct shake {
    struct vly_crypto crypto;
    struct vly_prng prng;
    struct vly_credentials credentials[2];
    uint8_t prologue[2][VLY_HANDSHAKE_PROLOGUE_MAX];
    size_t prologue_len[2];
    struct vly_handshake *end[2];
};

/* Credentials and prologues that fit; change what the test is about, then shake_start. */
void shake_init(struct shake *s, enum vly_method method, uint64_t seed);
void shake_start(struct shake *s);
void shake_fini(struct shake *s);

/* How many messages the method has; who writes message `nth`. */
unsigned shake_messages(enum vly_method method);
enum vly_handshake_end shake_writer(unsigned nth);
/* The payload of message `nth`: empty where there is none. Static. */
struct vly_span shake_payload(enum vly_method method, unsigned nth);

/* Makes message `nth` with its payload. Returns what vly_handshake_write does. */
int shake_write(struct shake *s, unsigned nth, struct shake_message *out);
/* Has the other end read it; when it verifies, the payload has to be the one that was put in. */
int shake_read(struct shake *s, unsigned nth, struct vly_span message);
/* Both of them. Returns the first error. */
int shake_step(struct shake *s, unsigned nth);
/* From message `nth` to the end; 0 when both ends are done and hold the same secrets. */
int shake_finish(struct shake *s, unsigned nth);

#endif
