/*
 * The beginning of a sealed connection over TCP. The first byte says who hears what:
 *
 *     bit 0  with a pre-shared key      bit 1  the rest of the input is what a stranger says to
 *                                              the server; else client and server speak, and the
 *                                              rest says which of their bytes are changed
 *
 * Changes are pairs: how many bytes pass before it, and what the next one is XORed with. Invariant:
 * a link opens if nothing was changed before, and content is delivered as it was sent.
 */
#include "fuzz.h"

#include "crypto/crypto.h"
#include "net/tcp_internal.h"
#include "sim/prng.h"

#include <stdlib.h>
#include <string.h>

#define CONTENT "what the client has to say"
#define ROUNDS 8u

static void require(bool condition)
{
    if (!condition)
        abort();
}

struct end {
    struct tcp_transport transport;
    struct tcp_link link;
    struct vly_net_security security;
    struct vly_credentials credentials;
    struct session *session;
    bool open;
};

struct session {
    struct end client, server;
    struct vly_prng prng;
    struct vly_span changes;
    unsigned until_change; /* bytes; of the next pair */
    bool has_change, changed, delivered;
};

/* ---- the users of the two links ---- */

static void opened(struct end *e)
{
    require(!e->session->changed && !e->open);
    e->open = true;
}

/* There is no socket that could be full, or fail. */
static void unblock(struct tcp_link *l)
{
    l->broken = 0;
    l->out.blocked = false;
}

static void on_open(void *user)
{
    struct end *e = user;
    const struct vly_link_ops *ops = e->link.base.ops;
    uint64_t stream;
    size_t len = strlen(CONTENT);
    uint8_t *room;

    opened(e);
    unblock(&e->link);
    require(ops->open_stream(&e->link.base, &stream) == 0);
    require(ops->reserve(&e->link.base, stream, &room, &len) == 0 && len == strlen(CONTENT));
    memcpy(room, CONTENT, len);
    require(ops->commit(&e->link.base, stream, len, true) == 0);
}

static void on_stream(void *user, uint64_t stream)
{
    (void)user;
    require(stream == 0);
}

static void on_data(void *user, uint64_t stream, uint64_t offset, struct vly_span data)
{
    (void)user;
    (void)stream;
    require(offset + data.len <= strlen(CONTENT));
    require(memcmp(&CONTENT[offset], data.data, data.len) == 0);
}

static void on_end(void *user, uint64_t stream, uint64_t final_bytes)
{
    struct end *e = user;

    (void)stream;
    require(final_bytes == strlen(CONTENT));
    e->session->delivered = true;
}

static const struct vly_link_events events = {
    .on_open = on_open, .on_stream = on_stream, .on_data = on_data, .on_end = on_end};

static int on_accept(void *ctx, struct vly_link *link)
{
    struct end *e = ctx;

    opened(e);
    link->events = &events;
    link->user = e;
    return 0;
}

/* ---- two ends without sockets, and without a loop ---- */

static void draw(void *ctx, void *buf, size_t len)
{
    vly_prng_fill(ctx, buf, len);
}

static void end_init(struct session *s, struct end *e, bool psk)
{
    bool is_server = e == &s->server;

    e->session = s;
    vly_crypto_with_random(&e->security.crypto, draw, &s->prng);
    e->credentials.method = psk ? VLY_METHOD_PSK : VLY_METHOD_KEYS;
    e->credentials.accept_new = true;
    memset(e->credentials.secret, 1 + is_server, VLY_KEY_BYTES);
    memset(e->credentials.psk, 3, VLY_KEY_BYTES);
    e->security.credentials = &e->credentials;
    e->transport = (struct tcp_transport){
        .spec = {.is_server = is_server, .on_accept = on_accept, .ctx = e, .max_links = 1},
        .timeout_ns = VLY_S(10),
        .credit_bytes = 4096,
        .security = &e->security,
        .application = "volley-file/1"};
    e->link = (struct tcp_link){.base = {.ops = &tcp_sealed_link_ops, .events = &events, .user = e},
                                .transport = &e->transport,
                                .state = LINK_PREFACE,
                                .is_server = is_server,
                                .fd = -1,
                                .pumping = true,
                                .next_id = {0, 1},
                                .out.file_fd = -1};
}

static void end_fini(struct end *e)
{
    tcp_streams_free(&e->link);
    tcp_out_free(&e->link);
    tcp_handshake_free(e->link.handshake);
    vly_tcp_seal_fini(&e->link.seal);
}

/* What waits to be written, as there is no socket to take it. */
static struct vly_span output(struct tcp_link *l)
{
    unblock(l);
    tcp_flush(l);
    if (l->out.data == NULL)
        return (struct vly_span){0};
    return (struct vly_span){l->out.data + l->out.pos, l->out.len - l->out.pos};
}

static void next_change(struct session *s)
{
    s->has_change = s->changes.len >= 2;
    if (s->has_change)
        s->until_change = s->changes.data[0];
}

static void deliver(struct session *s, struct end *to, uint8_t byte)
{
    if (s->has_change && s->until_change-- == 0) {
        byte ^= s->changes.data[1];
        s->changed |= s->changes.data[1] != 0;
        s->changes.data += 2;
        s->changes.len -= 2;
        next_change(s);
    }
    tcp_take(&to->link, (struct vly_tcp_bytes){&byte, 1});
}

/* Returns whether anything was said. */
static bool speak(struct session *s, struct end *from, struct end *to)
{
    struct vly_span out = output(&from->link);

    for (size_t i = 0; i < out.len; i++)
        deliver(s, to, out.data[i]);
    from->link.out.pos = from->link.out.len = 0;
    return out.len > 0;
}

static void converse(struct session *s)
{
    tcp_handshake_start(&s->client.link);
    for (unsigned i = 0; i < ROUNDS; i++) {
        bool any = speak(s, &s->client, &s->server);

        if (!speak(s, &s->server, &s->client) && !any)
            break;
    }
    if (!s->changed)
        require(s->client.open && s->server.open && s->delivered);
}

static void hear_a_stranger(struct session *s)
{
    for (size_t i = 0; i < s->changes.len; i++) {
        uint8_t byte = s->changes.data[i];

        tcp_take(&s->server.link, (struct vly_tcp_bytes){&byte, 1});
    }
    require(!s->server.open);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session *s = calloc(1, sizeof *s);
    uint8_t how = size > 0 ? data[0] : 0;

    require(s != NULL);
    vly_prng_init(&s->prng, 1);
    end_init(s, &s->client, (how & 1) != 0);
    end_init(s, &s->server, (how & 1) != 0);
    if (size > 0)
        s->changes = (struct vly_span){data + 1, size - 1};
    next_change(s);
    if ((how & 2) != 0)
        hear_a_stranger(s);
    else
        converse(s);
    end_fini(&s->client);
    end_fini(&s->server);
    free(s);
    return 0;
}
