/*
 * handshake - see handshake.h.
 */
#include "bench/micro/handshake.h"

#include "bench/load/flow_ops.h"
#include "crypto/crypto.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define CODE_FINISHED 1

/* ---- in memory ---- */

void micro_pair_shake(struct micro_pair *p)
{
    micro_pair_open(p);
    vly_conn_close(p->client.conn, p->now_ns, CODE_FINISHED, "");
    micro_pair_settle(p);
    micro_must(p->client.conn == NULL && p->server.conn == NULL);
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
    micro_must(err == 0);
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
    micro_must(uv_loop_init(&l->loop) == 0);
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
    micro_must(uv_loop_close(&l->loop) == 0);
    free(l);
}

void micro_loopback_shake(struct micro_loopback *l)
{
    l->n_closed = 0;
    micro_must(vly_transport_connect(l->client, (const struct sockaddr *)&l->at, &l->link) == 0);
    l->link->events = &events;
    l->link->user = l;
    while (l->n_closed < 2)
        (void)uv_run(&l->loop, UV_RUN_ONCE);
}
