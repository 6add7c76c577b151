/*
 * tls_context - TLS 1.3 as a yardstick: AES-128-GCM alone, a key made for the run, no check of the
 * certificate, no session tickets.
 *
 * It protects nothing: it costs what a protected connection costs.
 */
#ifndef BENCH_TLS_CONTEXT_H
#define BENCH_TLS_CONTEXT_H

#include "file/fault.h"

#include <openssl/ssl.h>

/* A context for either side, which the caller frees; NULL with a line in `why`. */
SSL_CTX *bench_tls_context_new(bool server, struct vly_fault *why);

#endif
