/*
 * direction - the keys of both ends of one direction, and packets between them.
 */
#ifndef VLY_TESTS_DIRECTION_H
#define VLY_TESTS_DIRECTION_H

#include "crypto/crypto.h"
#include "proto/keys.h"

#define DIRECTION_UPDATE_PKTS 64u
#define DIRECTION_KEEP_OLD_NS VLY_MS(300)

/* A key that was taken into use, as the key log is told of it. */
struct direction_key {
    uint64_t generation, cid;
    uint8_t suite, key[VLY_KEY_BYTES], iv[VLY_IV_BYTES];
};

struct direction_log {
    struct direction_key told[64];
    size_t n;
};

/* `crypto` counts its secret memory (support/secrets.h). Do not move it. */
struct direction {
    struct vly_crypto crypto;
    struct vly_keys_start start;
    struct vly_send_keys *send;
    struct vly_recv_keys *recv;
    struct direction_log sent_log, recv_log;
    uint64_t now_ns;
};

/* A packet on its way: sealed, with its clear header beside it. */
struct direction_packet {
    uint64_t pn;
    bool phase;
    uint8_t head[17];
    uint8_t sealed[8 + VLY_TAG_BYTES];
};

const struct vly_suite_ops *direction_suite(uint8_t id);

/* What the keys start from: change `start` as the test needs it, then direction_open. */
void direction_init(struct direction *d, uint8_t suite);
void direction_open(struct direction *d);
/* Both, for AES-256-GCM. */
void direction_start(struct direction *d);
/* Fails when memory is left over. */
void direction_fini(struct direction *d);

/* Seals packet `pn`. Returns what vly_send_keys_for does. */
int direction_make(struct direction *d, uint64_t pn, struct direction_packet *p);
/* Opens it; when it verifies its text has to be the one that was sealed. */
int direction_read(struct direction *d, const struct direction_packet *p);
/* Packet `pn` goes over; when `ack`, it is acknowledged at once. */
void direction_pass(struct direction *d, uint64_t pn, bool ack);

#endif
