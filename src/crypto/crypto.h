/*
 * crypto - the backends of proto/crypto.h: libcrypto and libipsec-mb (ciphers), libsodium
 * (curves), ISA-L (suite plain), and the system's randomness.
 */
#ifndef VLY_CRYPTO_CRYPTO_H
#define VLY_CRYPTO_CRYPTO_H

#include "proto/crypto.h"
#include "proto/seal.h"

/* Bad tags that end a connection (SPEC 2.12): the limit of RFC 9001 6.6 for ChaCha20, for all. */
#define VLY_FORGERY_LIMIT_PKTS (UINT64_C(1) << 36)

/* CRC-32C, SPEC 2.1. Takes no keys (NULL). */
extern const struct vly_suite_ops vly_suite_plain;

/* CRC-32C (RFC 3720 B.4) of at most INT_MAX bytes; that of "123456789" is 0xe3069283. */
uint32_t vly_crc32c(const void *data, size_t len);

/* All of it with system randomness; aborts when the kernel has none to give. Static, shared. */
const struct vly_crypto *vly_crypto_system(void);

/* The same with other randomness: the simulator's, a test's. */
void vly_crypto_with_random(struct vly_crypto *out, void (*draw)(void *ctx, void *buf, size_t len),
                            void *ctx);

/* Whether all memory for secrets so far could be locked (RLIMIT_MEMLOCK); true before the first. */
bool vly_secrets_are_locked(void);

/* What computes the sealed suites. AUTO: ipsec-mb where the processor has what it needs, else
 * libcrypto. */
enum vly_backend { VLY_BACKEND_AUTO, VLY_BACKEND_OPENSSL, VLY_BACKEND_IPSEC_MB };

/* "auto", "openssl", "ipsec-mb"; false for anything else. */
bool vly_backend_parse(const char *name, enum vly_backend *out);
/* Narrows `c` to one backend and to the sealed suites in the list `suites_named`, best first with
 * commas between. "auto" among them, as NULL, stands for AES-256-GCM and ChaCha20-Poly1305;
 * AES-128-GCM is there only by its name. A suite named twice counts where it stands first. Returns
 * 0, VLY_E_INVALID (no such suite) or VLY_E_STATE (this machine has no such backend), leaving `c`.
 */
VLY_MUST_USE int vly_crypto_choose(struct vly_crypto *c, enum vly_backend backend,
                                   const char *suites_named);

#endif
