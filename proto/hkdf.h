/*
 * hkdf - RFC 5869 with SHA-256, over the HMAC of crypto.h.
 */
#ifndef VLY_PROTO_HKDF_H
#define VLY_PROTO_HKDF_H

#include "crypto.h"

#define VLY_HKDF_OUT_MAX (255u * 32u)

/* HKDF-Extract; `salt` of any length. */
void vly_hkdf_extract(const struct vly_crypto *crypto, struct vly_span salt, struct vly_span ikm,
                      uint8_t prk[32]);
/* HKDF-Expand of `len` bytes, at most VLY_HKDF_OUT_MAX (asserted). */
void vly_hkdf_expand(const struct vly_crypto *crypto, const uint8_t prk[32], struct vly_span info,
                     uint8_t *out, size_t len);

#endif
