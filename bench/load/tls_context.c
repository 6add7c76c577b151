/*
 * tls_context - TLS 1.3 as a yardstick: AES-128-GCM alone, a key made for the run.
 */
#include "bench/load/tls_context.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#define SUITE "TLS_AES_128_GCM_SHA256"
#define VALID_S 86400
#define READ_AHEAD_BYTES (128u << 10) /* many records a system call */

static bool name_certificate(X509 *x)
{
    static const unsigned char name[] = "volley-bench";
    X509_NAME *subject = X509_get_subject_name(x);

    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(x, subject) == 1;
}

/* Signs it with its own key. */
static bool make_certificate(X509 *x, EVP_PKEY *key)
{
    return X509_set_version(x, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(x), -VALID_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(x), VALID_S) != NULL &&
           X509_set_pubkey(x, key) == 1 && name_certificate(x) &&
           X509_sign(x, key, EVP_sha256()) > 0;
}

static bool use_fresh_key(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    bool made = key != NULL && x != NULL && make_certificate(x, key) &&
                SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1;

    X509_free(x);
    EVP_PKEY_free(key);
    return made;
}

SSL_CTX *bench_tls_context_new(bool server, struct vly_fault *why)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, SUITE) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
        (server && !use_fresh_key(ctx))) {
        (void)vly_fault_set(why, VLY_E_FAILED, "OpenSSL gives no TLS 1.3: %s",
                            ERR_reason_error_string(ERR_peek_last_error()));
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    /* A write that was taken in part goes on from elsewhere in the same block. */
    (void)SSL_CTX_set_mode(ctx,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD_BYTES);
    return ctx;
}
