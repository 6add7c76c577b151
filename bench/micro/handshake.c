/*
 * handshake - see handshake.h.
 */
#include "bench/micro/handshake.h"

#include "bench/load/flow_ops.h"
#include "crypto/crypto.h"
#include "proto/endpoint.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define CODE_FINISHED 1

/* What cannot go wrong here: these are the program's own two ends. */
static void must(bool good)
{
    if (!good)
        abort();
}

/* ---- in memory ---- */

struct end {
    struct vly_endpoint *ep;
    struct vly_credentials *credentials; /* owned, in secret memory */
    struct vly_addr addr;
    struct vly_conn *conn; /* once it stands, until it is closed */
};

struct micro_pair {
    struct end client, server;
    uint64_t now_ns;
    struct vly_batch batch;
};

static void *resize(void *ctx, void *ptr, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    if (size > 0)
        return realloc(ptr, size);
    free(ptr);
    return NULL;
}

static const struct vly_alloc alloc = {.resize = resize};

static int end_new(struct end *e, enum vly_method method, bool is_server)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    struct vly_endpoint_config cfg = {
        .alloc = &alloc,
        .crypto = crypto,
        .allow_plain = method == VLY_METHOD_NONE,
        .is_server = is_server,
    };

    e->addr = (struct vly_addr){.len = 1, .data = {is_server}};
    e->credentials = crypto->secret_new(sizeof(*e->credentials));
    if (e->credentials == NULL)
        return VLY_E_NOMEM;
    e->credentials->method = method;
    e->credentials->accept_new = true;
    crypto->random(crypto->random_ctx, e->credentials->secret, VLY_KEY_BYTES);
    if (!cfg.allow_plain)
        cfg.credentials = e->credentials;
    return vly_endpoint_new(&e->ep, &cfg, 0);
}

static void end_free(struct end *e)
{
    vly_endpoint_free(e->ep);
    vly_crypto_system()->secret_free(e->credentials, sizeof(*e->credentials));
}

int micro_pair_new(struct micro_pair **out, enum vly_method method)
{
    struct micro_pair *p = calloc(1, sizeof(*p));

    *out = p;
    if (p == NULL)
        return VLY_E_NOMEM;
    if (end_new(&p->client, method, false) == 0 && end_new(&p->server, method, true) == 0)
        return 0;
    micro_pair_free(p);
    *out = NULL;
    return VLY_E_NOMEM;
}

void micro_pair_free(struct micro_pair *p)
{
    if (p == NULL)
        return;
    end_free(&p->client);
    end_free(&p->server);
    free(p);
}

static void drain(struct end *e)
{
    struct vly_event ev;

    while (vly_endpoint_next_event(e->ep, &ev)) {
        if (ev.type == VLY_EV_CONNECTED || ev.type == VLY_EV_ACCEPTED)
            e->conn = ev.conn;
        if (ev.type != VLY_EV_CLOSED)
            continue;
        vly_endpoint_release(e->ep, ev.conn);
        e->conn = NULL;
    }
}

/* Takes what `from` has to send to `to`. Returns whether there was anything. */
static bool carry(struct micro_pair *p, struct end *from, struct end *to)
{
    bool any = false;

    while (vly_endpoint_send(from->ep, &p->batch, p->now_ns)) {
        for (size_t at = 0; at < p->batch.len; at += p->batch.segment_bytes) {
            size_t left = p->batch.len - at;
            struct vly_datagram d = {
                .data = p->batch.data + at,
                .len = left < p->batch.segment_bytes ? left : p->batch.segment_bytes,
                .from = &from->addr,
            };

            vly_endpoint_recv(to->ep, &d, p->now_ns);
        }
        drain(to);
        any = true;
    }
    drain(from);
    return any;
}

static void settle(struct micro_pair *p)
{
    bool there, back;

    do {
        there = carry(p, &p->client, &p->server);
        back = carry(p, &p->server, &p->client);
    } while (there || back);
}

void micro_pair_shake(struct micro_pair *p)
{
    struct vly_conn *conn;

    p->now_ns += VLY_MS(1);
    must(vly_endpoint_connect(p->client.ep, &p->server.addr, p->now_ns, &conn) == 0);
    settle(p);
    must(p->client.conn != NULL && p->server.conn != NULL);
    vly_conn_close(p->client.conn, p->now_ns, CODE_FINISHED, "");
    settle(p);
    must(p->client.conn == NULL && p->server.conn == NULL);
}

/* ---- over loopback ---- */

struct micro_loopback {
    uv_loop_t loop;
    struct vly_transport *client, *server;
    struct sockaddr_storage at;
    struct vly_link *link; /* the client's */
    unsigned n_closed;     /* ends of the present connection */
};

static void on_open(void *user)
{
    struct micro_loopback *l = user;

    l->link->ops->close(l->link, CODE_FINISHED, "");
}

static void on_number(void *user, uint64_t stream)
{
    (void)user;
    (void)stream;
}

static void on_data(void *user, uint64_t stream, uint64_t offset, struct vly_span data)
{
    (void)user;
    (void)stream;
    (void)offset;
    (void)data;
}

static void on_numbers(void *user, uint64_t stream, uint64_t number)
{
    (void)user;
    (void)stream;
    (void)number;
}

static void on_closed(void *user, int err, uint64_t code, const char *reason)
{
    struct micro_loopback *l = user;

    (void)code;
    (void)reason;
    must(err == 0);
    l->n_closed++;
}

static const struct vly_link_events events = {
    .on_open = on_open,
    .on_stream = on_number,
    .on_data = on_data,
    .on_end = on_numbers,
    .on_reset = on_numbers,
    .on_stopped = on_numbers,
    .on_writable = on_number,
    .on_closed = on_closed,
};

static int on_accept(void *ctx, struct vly_link *link)
{
    link->events = &events;
    link->user = ctx;
    return 0;
}

static int transport_open(struct micro_loopback *l, struct vly_transport **out,
                          enum vly_carrier carrier, const struct vly_security *security)
{
    struct vly_transport_spec spec = {
        .size = sizeof(spec),
        .options = {.size = sizeof(spec.options), .carrier = carrier, .security = security},
        .application = "volley-micro/1",
        .bind = (const struct sockaddr *)&l->at,
        .is_server = security->secret_key != NULL,
        .on_accept = on_accept,
        .ctx = l,
        .reject_code = CODE_FINISHED,
    };

    return vly_transport_open(out, &l->loop, &spec);
}

static int transports_open(struct micro_loopback *l, enum vly_carrier carrier)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    uint8_t secret[VLY_KEY_BYTES], public[VLY_KEY_BYTES];
    struct vly_security security = {.size = sizeof(security), .secret_key = secret};
    int err;

    crypto->random(crypto->random_ctx, secret, sizeof(secret));
    crypto->x25519_public(public, secret);
    err = transport_open(l, &l->server, carrier, &security);
    security = (struct vly_security){.size = sizeof(security), .server_key = public};
    if (err == 0)
        err = transport_open(l, &l->client, carrier, &security);
    crypto->wipe(secret, sizeof(secret));
    return err;
}

int micro_loopback_new(struct micro_loopback **out, enum vly_carrier carrier)
{
    struct micro_loopback *l = calloc(1, sizeof(*l));
    int err;

    *out = NULL;
    if (l == NULL)
        return VLY_E_NOMEM;
    must(uv_loop_init(&l->loop) == 0);
    *(struct sockaddr_in *)&l->at =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    err = transports_open(l, carrier);
    if (err != 0) {
        micro_loopback_free(l);
        return err;
    }
    (void)bench_sockaddr_port(&l->at, vly_transport_port(l->server));
    *out = l;
    return 0;
}

void micro_loopback_free(struct micro_loopback *l)
{
    if (l == NULL)
        return;
    if (l->client != NULL)
        vly_transport_close(l->client, CODE_FINISHED, "", NULL, NULL);
    if (l->server != NULL)
        vly_transport_close(l->server, CODE_FINISHED, "", NULL, NULL);
    (void)uv_run(&l->loop, UV_RUN_DEFAULT);
    must(uv_loop_close(&l->loop) == 0);
    free(l);
}

void micro_loopback_shake(struct micro_loopback *l)
{
    l->n_closed = 0;
    must(vly_transport_connect(l->client, (const struct sockaddr *)&l->at, &l->link) == 0);
    l->link->events = &events;
    l->link->user = l;
    while (l->n_closed < 2)
        (void)uv_run(&l->loop, UV_RUN_ONCE);
}
