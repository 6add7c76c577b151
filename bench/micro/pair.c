/*
 * pair - see pair.h.
 */
#include "bench/micro/pair.h"

#include "net/memory.h"

#include <stdlib.h>

void micro_must(bool good)
{
    if (!good)
        abort();
}

static int end_new(struct micro_end *e, const struct vly_crypto *crypto, enum vly_method method,
                   uint32_t datagram_bytes)
{
    struct vly_endpoint_config cfg = {
        .conn = {.max_datagram_bytes = datagram_bytes},
        .alloc = &vly_alloc_system,
        .crypto = &e->crypto,
        .allow_plain = method == VLY_METHOD_NONE,
        .is_server = e->addr.data[0] != 0,
    };

    e->crypto = *crypto;
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

static void end_free(struct micro_end *e)
{
    vly_endpoint_free(e->ep);
    if (e->credentials != NULL)
        e->crypto.secret_free(e->credentials, sizeof(*e->credentials));
}

int micro_pair_new(struct micro_pair **out, const struct vly_crypto *crypto, enum vly_method method,
                   uint32_t datagram_bytes)
{
    struct micro_pair *p = calloc(1, sizeof(*p));

    *out = p;
    if (p == NULL)
        return VLY_E_NOMEM;
    p->client.addr = (struct vly_addr){.len = 1, .data = {0}};
    p->server.addr = (struct vly_addr){.len = 1, .data = {1}};
    if (end_new(&p->client, crypto, method, datagram_bytes) == 0 &&
        end_new(&p->server, crypto, method, datagram_bytes) == 0)
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

static void on_event(struct micro_end *e, const struct vly_event *ev, uint64_t now_ns)
{
    switch (ev->type) {
    case VLY_EV_CONNECTED:
    case VLY_EV_ACCEPTED:
        e->conn = ev->conn;
        break;
    case VLY_EV_DATA:
        e->data_bytes += ev->data.len;
        vly_conn_consume(ev->conn, ev->stream, ev->data.len, now_ns);
        break;
    case VLY_EV_CLOSED:
        vly_endpoint_release(e->ep, ev->conn);
        e->conn = NULL;
        break;
    default:
        break;
    }
}

static void drain(struct micro_end *e, uint64_t now_ns)
{
    struct vly_event ev;

    while (vly_endpoint_next_event(e->ep, &ev))
        on_event(e, &ev, now_ns);
}

void micro_batch_receive(struct vly_batch *b, const struct micro_end *from, struct micro_end *to,
                         uint64_t now_ns)
{
    struct vly_datagram run[VLY_BATCH_PKTS];
    size_t n = 0;

    for (size_t at = 0; at < b->len; at += b->segment_bytes) {
        size_t left = b->len - at;

        run[n++] = (struct vly_datagram){
            .data = b->data + at,
            .len = left < b->segment_bytes ? left : b->segment_bytes,
            .from = &from->addr,
        };
    }
    if (n > 0)
        vly_endpoint_recv_run(to->ep, run, n, now_ns);
    drain(to, now_ns);
}

/* Takes what `from` has to send to `to`. Returns whether there was anything. */
static bool carry(struct micro_pair *p, struct micro_end *from, struct micro_end *to)
{
    bool any = false;

    while (vly_endpoint_send(from->ep, &p->batch, p->now_ns)) {
        micro_batch_receive(&p->batch, from, to, p->now_ns);
        any = true;
    }
    drain(from, p->now_ns);
    return any;
}

void micro_pair_settle(struct micro_pair *p)
{
    bool there, back;

    do {
        there = carry(p, &p->client, &p->server);
        back = carry(p, &p->server, &p->client);
    } while (there || back);
}

void micro_pair_open(struct micro_pair *p)
{
    struct vly_conn *conn;

    p->now_ns += VLY_MS(1);
    micro_must(vly_endpoint_connect(p->client.ep, &p->server.addr, p->now_ns, &conn) == 0);
    micro_pair_settle(p);
    micro_must(p->client.conn != NULL && p->server.conn != NULL);
}
