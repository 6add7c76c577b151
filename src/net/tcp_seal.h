/*
 * tcp_seal - the blocks in which a sealed connection over TCP carries its records, SPEC 13.5.
 *
 *     0   4  length n of the text      sealing: a text of any length becomes as many blocks as it
 *     4   n  sealed text               takes; opening: bytes cut anywhere give one text a block
 *        16  tag
 *
 * Pure: no socket and no clock. Blocks are counted in each direction; the count is the nonce and,
 * every 2^22 blocks, the step to the next keys. A block that does not verify is the end: nothing
 * after it can be opened. Cost: out, the cipher is the copy; in, opened in place, and only a block
 * that a read has cut is copied.
 */
#ifndef VLY_NET_TCP_SEAL_H
#define VLY_NET_TCP_SEAL_H

#include "proto/keys.h"

#define VLY_TCP_BLOCK_TEXT_MAX 65536u
#define VLY_TCP_BLOCK_HEAD_BYTES 4u
#define VLY_TCP_BLOCK_EXTRA_BYTES (VLY_TCP_BLOCK_HEAD_BYTES + VLY_TAG_BYTES)
#define VLY_TCP_BLOCK_MAX (VLY_TCP_BLOCK_TEXT_MAX + VLY_TCP_BLOCK_EXTRA_BYTES)
/* What `len` bytes of text take when sealed at once. */
#define VLY_TCP_SEALED_BYTES(len) \
    ((len) +                      \
     VLY_TCP_BLOCK_EXTRA_BYTES * (((len) + VLY_TCP_BLOCK_TEXT_MAX - 1) / VLY_TCP_BLOCK_TEXT_MAX))

/* Both directions of a connection. */
struct vly_tcp_seal {
    struct vly_send_keys *send; /* owned */
    struct vly_recv_keys *recv; /* owned */
    uint64_t generation_blocks;
    uint64_t sealed_blocks, opened_blocks;
    uint8_t *kept; /* owned: the beginning of a block; NULL until a read has cut one */
    size_t kept_len;
};

/* Borrowed during the call, but for the crypto. */
struct vly_tcp_seal_start {
    const struct vly_crypto *crypto;
    const struct vly_suite_ops *suite;
    const uint8_t *send_secret, *recv_secret; /* 32 bytes, SPEC 2.12 */
    uint64_t generation_blocks;               /* tests only; 0: VLY_KEY_UPDATE_PKTS */
    struct vly_keylog keylog;
};

/* Bytes that are opened in place. */
struct vly_tcp_bytes {
    uint8_t *data;
    size_t len;
};

/* Returns 0 or VLY_E_NOMEM: there is nothing to be freed then. */
VLY_MUST_USE int vly_tcp_seal_init(struct vly_tcp_seal *s, const struct vly_tcp_seal_start *start);
/* Allowed after a failed init, and on zeroes. */
void vly_tcp_seal_fini(struct vly_tcp_seal *s);

/* Seals `text` into `wire`, which has room for VLY_TCP_SEALED_BYTES(text.len) and overlaps it not.
 * Returns 0, VLY_E_NOMEM (no memory for the next keys), VLY_E_LIMIT. */
VLY_MUST_USE int vly_tcp_seal_text(struct vly_tcp_seal *s, struct vly_span text, uint8_t *wire);
/* Takes bytes from the front of `in`. *text is that of the next block, borrowed until the next call
 * or as long as the bytes are, or empty when more bytes are needed. Returns 0; after any error the
 * direction is over: VLY_E_MALFORMED (a length that cannot be), VLY_E_AUTH (does not verify),
 * VLY_E_NOMEM. */
VLY_MUST_USE int vly_tcp_seal_open(struct vly_tcp_seal *s, struct vly_tcp_bytes *in,
                                   struct vly_span *text);

#endif
