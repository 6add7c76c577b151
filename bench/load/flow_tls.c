/*
 * flow_tls - TLS 1.3 by OpenSSL over the same sockets as flow_tcp.
 *
 * Records have 16 KiB, OpenSSL's largest; each is a system call of its own when sent, and several
 * are read at once.
 */
#include "bench/load/flow_stream.h"
#include "bench/load/tls_context.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdio.h>

static SSL *ssl_of(const struct stream_conn *conn)
{
    return conn->wire;
}

static int wire_open(struct flow_stream *flow, struct vly_fault *why)
{
    flow->wire_context = bench_tls_context_new(flow->base.setup.server, why);
    return flow->wire_context != NULL ? 0 : why->err;
}

static void wire_close(struct flow_stream *flow)
{
    SSL_CTX_free(flow->wire_context);
    flow->wire_context = NULL;
}

static int wire_attach(struct stream_conn *conn)
{
    SSL *ssl = SSL_new(conn->flow->wire_context);

    if (ssl == NULL || SSL_set_fd(ssl, conn->fd) != 1) {
        SSL_free(ssl);
        return VLY_E_NOMEM;
    }
    if (conn->flow->base.setup.server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    conn->wire = ssl;
    return 0;
}

static void wire_detach(struct stream_conn *conn)
{
    SSL_free(ssl_of(conn));
    conn->wire = NULL;
}

/* What a call that returned `n` amounts to: the end, VLY_E_AGAIN, VLY_E_LOST with errno. */
static int outcome(const struct stream_conn *conn, int n)
{
    switch (SSL_get_error(ssl_of(conn), n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return VLY_E_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        if (errno == 0)
            errno = ECONNRESET;
        return VLY_E_LOST;
    default:
        errno = EPROTO;
        return VLY_E_LOST;
    }
}

static int wire_shake(struct stream_conn *conn, int *events)
{
    int n, err;

    ERR_clear_error();
    errno = 0;
    n = SSL_do_handshake(ssl_of(conn));
    if (n == 1)
        return 0;
    err = outcome(conn, n);
    *events = SSL_want_write(ssl_of(conn)) ? UV_WRITABLE : UV_READABLE;
    return err != 0 ? err : VLY_E_LOST;
}

static ssize_t wire_read(struct stream_conn *conn, void *data, size_t len)
{
    int n;

    ERR_clear_error();
    errno = 0;
    n = SSL_read(ssl_of(conn), data, len < INT_MAX ? (int)len : INT_MAX);
    return n > 0 ? n : outcome(conn, n);
}

static ssize_t wire_write(struct stream_conn *conn, const void *data, size_t len)
{
    int n, err;

    ERR_clear_error();
    errno = 0;
    n = SSL_write(ssl_of(conn), data, len < INT_MAX ? (int)len : INT_MAX);
    if (n > 0)
        return n;
    err = outcome(conn, n);
    if (err == 0)
        errno = ECONNRESET;
    return err != 0 ? err : VLY_E_LOST;
}

static bool wire_pending(const struct stream_conn *conn)
{
    return SSL_has_pending(ssl_of(conn)) == 1;
}

static const struct bench_wire tls_wire = {
    .open = wire_open,
    .close = wire_close,
    .attach = wire_attach,
    .detach = wire_detach,
    .shake = wire_shake,
    .read = wire_read,
    .write = wire_write,
    .pending = wire_pending,
};

static void flow_state(const struct bench_flow *f, enum bench_way way, struct bench_flow_state *out)
{
    flow_stream_state(f, way, out);
    (void)snprintf(out->suite, sizeof(out->suite), "aes-128-gcm");
    (void)snprintf(out->crypto, sizeof(out->crypto), "openssl");
}

static int flow_open(struct bench_flow *f, struct vly_fault *why)
{
    return flow_stream_open(f, why, &tls_wire);
}

const struct bench_flow_ops bench_flow_tls = {
    .size = sizeof(struct flow_stream),
    .n_ports = 1,
    .open = flow_open,
    .start = flow_stream_start,
    .halt = flow_stream_halt,
    .state = flow_state,
    .close = flow_stream_close,
    .fini = flow_stream_fini,
};
