/*
 * keyfile - files that hold one secret key: a line that says what it is, and 32 bytes in base64.
 *
 *     volley secret key 1            or    volley pre-shared key 1
 *     EBi0...=                             3vQ9...=
 */
#ifndef VLY_CLI_KEYFILE_H
#define VLY_CLI_KEYFILE_H

#include "file/fault.h"

#include <volley/transport.h>

#define VLY_SECRET_BYTES 32

enum vly_keyfile_kind {
    VLY_KEYFILE_SECRET, /* of a user or a host: X25519 */
    VLY_KEYFILE_SHARED, /* the same at both ends, for --key */
};

/* 32 bytes of locked memory, to be given back with vly_keyfile_key_free (which wipes it; NULL is
 * allowed). NULL: out of memory. */
uint8_t *vly_keyfile_key_new(void);
void vly_keyfile_key_free(uint8_t *secret);

/* *out is the caller's, by vly_keyfile_key_free. Errors: as vly_guard_open, VLY_E_MALFORMED. */
VLY_MUST_USE int vly_keyfile_read(const char *path, enum vly_keyfile_kind kind, uint8_t **out,
                                  struct vly_fault *why);
/* Makes a new key and writes it, mode 0600, with the directories above it. VLY_E_EXISTS: there is a
 * file, and `replace` is not set. */
VLY_MUST_USE int vly_keyfile_make(const char *path, enum vly_keyfile_kind kind, bool replace,
                                  struct vly_fault *why);
/* Reads a secret key, which is made first when there is no file. Of two that do so at once both get
 * the same one. */
VLY_MUST_USE int vly_keyfile_read_or_make(const char *path, uint8_t **out, bool *made,
                                          struct vly_fault *why);

void vly_keyfile_public(const uint8_t *secret, uint8_t out[VLY_PUBLIC_KEY_BYTES]);

#endif
