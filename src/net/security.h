/*
 * security - struct vly_security as engine and TCP need it: credentials in secret memory, the
 * chosen backend, a key log of lines.
 *
 * Owned by a transport; both carriers use it alike.
 */
#ifndef VLY_NET_SECURITY_H
#define VLY_NET_SECURITY_H

#include "proto/handshake.h"
#include "proto/keys.h"

#include <volley/transport.h>

struct vly_net_security {
    struct vly_crypto crypto;            /* narrowed to what was asked for */
    struct vly_credentials *credentials; /* owned, in secret memory */
    struct vly_keylog keylog;
    void (*on_key)(void *ctx, const char *line);
    void *ctx;
};

/* `s` is copied, also what its pointers name, but for `ctx`; NULL: the defaults. A client without a
 * key gets a fresh one. Returns 0 and *out, which the caller frees; VLY_E_INVALID (a server without
 * a key, an unknown suite or backend), VLY_E_STATE (a backend this machine does not have),
 * VLY_E_NOMEM. */
VLY_MUST_USE int vly_net_security_new(struct vly_net_security **out, const struct vly_security *s,
                                      bool is_server);
/* Wipes it. NULL is allowed. */
void vly_net_security_free(struct vly_net_security *s);

#endif
