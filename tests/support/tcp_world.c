#include "tcp_world.h"

#include "crypto/crypto.h"
#include "udp_pair.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const uint8_t tcp_client_secret[32] = {1, 2, 3}, tcp_server_secret[32] = {4, 5, 6},
              tcp_psk[32] = {7, 8, 9};
bool tcp_worlds_sealed;

int tcp_worlds_seal(void **state)
{
    (void)state;
    tcp_worlds_sealed = true;
    return 0;
}

const uint8_t *tcp_public_key(const uint8_t secret[32])
{
    static uint8_t key[2][32];
    unsigned i = secret == tcp_server_secret;

    vly_crypto_system()->x25519_public(key[i], secret);
    return key[i];
}

void tcp_pattern(uint8_t *out, size_t len, uint64_t stream, uint64_t offset)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)((offset + i) * 31 + (offset + i) / 251 + stream);
}

/* ---- writing ---- */

static void pump_stream(struct tcp_end *e, uint64_t stream)
{
    const struct vly_link_ops *ops = e->link->ops;
    unsigned i = (unsigned)(stream / 2);

    while (e->link != NULL && !e->fin_sent[i]) {
        size_t len = (size_t)(e->to_send[i] - e->sent[i]);
        uint8_t *ptr;
        int err;

        if (len == 0) {
            assert_int_equal(ops->commit(e->link, stream, 0, true), 0);
            e->fin_sent[i] = true;
            return;
        }
        err = ops->reserve(e->link, stream, &ptr, &len);
        if (err != 0) {
            assert_true(err == VLY_E_AGAIN || err == VLY_E_STATE);
            return;
        }
        tcp_pattern(ptr, len, stream, e->sent[i]);
        e->sent[i] += len;
        e->fin_sent[i] = e->sent[i] == e->to_send[i];
        assert_int_equal(ops->commit(e->link, stream, len, e->fin_sent[i]), 0);
    }
}

void tcp_end_pump(struct tcp_end *e)
{
    for (unsigned i = 0; i < TCP_WORLD_STREAMS && e->link != NULL; i++)
        if (e->to_send[i] != UINT64_MAX)
            pump_stream(e, 2 * (uint64_t)i);
}

uint64_t tcp_end_send(struct tcp_end *e, uint64_t bytes)
{
    uint64_t stream;
    int err = e->link->ops->open_stream(e->link, &stream);

    if (err == VLY_E_AGAIN)
        return UINT64_MAX;
    assert_int_equal(err, 0);
    assert_true(stream / 2 < TCP_WORLD_STREAMS);
    e->to_send[stream / 2] = bytes;
    pump_stream(e, stream);
    return stream;
}

/* ---- events ---- */

static void on_open(void *user)
{
    ((struct tcp_end *)user)->open = true;
}

static void on_stream(void *user, uint64_t stream)
{
    struct tcp_end *e = user;

    assert_int_equal(stream, 2 * (uint64_t)e->streams_opened); /* lower ones come first */
    e->streams_opened++;
}

static void on_data(void *user, uint64_t stream, uint64_t offset, struct vly_span data)
{
    static uint8_t expected[TCP_IN_BYTES];
    struct tcp_end *e = user;

    assert_int_equal(offset, e->received[stream / 2]);
    assert_true(data.len > 0 && data.len <= sizeof expected);
    assert_false(e->ended[stream / 2]);
    tcp_pattern(expected, data.len, stream, offset);
    if (stream != e->any_stream)
        assert_memory_equal(expected, data.data, data.len);
    e->received[stream / 2] += data.len;
    if (stream != e->hold_stream)
        e->link->ops->consume(e->link, stream, data.len);
}

static void on_end(void *user, uint64_t stream, uint64_t final_bytes)
{
    struct tcp_end *e = user;

    assert_int_equal(final_bytes, e->received[stream / 2]);
    e->ended[stream / 2] = true;
}

static void on_reset(void *user, uint64_t stream, uint64_t code)
{
    struct tcp_end *e = user;

    if (stream / 2 < TCP_WORLD_STREAMS)
        e->reset_code[stream / 2] = code;
    if (e->gives_up)
        e->link->ops->reset(e->link, stream, code);
}

static void on_stopped(void *user, uint64_t stream, uint64_t code)
{
    struct tcp_end *e = user;

    e->stop_code[stream / 2] = code;
    e->fin_sent[stream / 2] = true;
}

static void on_writable(void *user, uint64_t stream)
{
    struct tcp_end *e = user;

    e->writable_opens += stream == UINT64_MAX;
    if (!e->takes_turns)
        tcp_end_pump(e);
    else if (stream != UINT64_MAX)
        pump_stream(e, stream);
}

static void on_closed(void *user, int err, uint64_t code, const char *reason)
{
    struct tcp_end *e = user;

    e->link->ops->stats(e->link, &e->stats);
    e->has_peer_key = e->link->ops->peer_key(e->link, e->peer_key);
    e->link = NULL;
    e->closed++;
    e->err = err;
    e->code = code;
    (void)snprintf(e->reason, sizeof e->reason, "%s", reason);
}

static const struct vly_link_events end_events = {.on_open = on_open,
                                                  .on_stream = on_stream,
                                                  .on_data = on_data,
                                                  .on_end = on_end,
                                                  .on_reset = on_reset,
                                                  .on_stopped = on_stopped,
                                                  .on_writable = on_writable,
                                                  .on_closed = on_closed};

static void take_link(struct tcp_end *e, struct vly_link *link)
{
    e->link = link;
    link->events = &end_events;
    link->user = e;
}

static int on_accept(void *ctx, struct vly_link *link)
{
    struct tcp_world *w = ctx;

    if (w->accept_err == 0)
        take_link(&w->server, link);
    return w->accept_err;
}

static void on_turned_away(void *ctx, const char *client, const char *why)
{
    struct tcp_world *w = ctx;

    assert_non_null(strstr(client, "127.0.0.1:"));
    w->turned_away++;
    (void)snprintf(w->turned_away_why, sizeof w->turned_away_why, "%s", why);
}

/* ---- life ---- */

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happens any more");
}

static void end_init(struct tcp_world *w, struct tcp_end *e)
{
    e->world = w;
    e->hold_stream = e->any_stream = UINT64_MAX;
    memset(e->reset_code, 0xff, sizeof e->reset_code);
    memset(e->stop_code, 0xff, sizeof e->stop_code);
    memset(e->to_send, 0xff, sizeof e->to_send);
}

struct tcp_world *tcp_world_new(void)
{
    struct tcp_world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    uv_timer_init(&w->loop, &w->watchdog);
    uv_timer_start(&w->watchdog, on_watchdog, 60000, 0);
    w->options = (struct vly_transport_options){
        .size = sizeof w->options, .plain = true, .carrier = VLY_CARRIER_TCP};
    end_init(w, &w->client);
    end_init(w, &w->server);
    if (tcp_worlds_sealed)
        tcp_world_seal(w);
    return w;
}

void tcp_world_seal(struct tcp_world *w)
{
    w->options.plain = false;
    w->client.security = (struct vly_security){.size = sizeof w->client.security,
                                               .secret_key = tcp_client_secret,
                                               .server_key = tcp_public_key(tcp_server_secret)};
    w->server.security =
        (struct vly_security){.size = sizeof w->server.security, .secret_key = tcp_server_secret};
}

void tcp_world_seal_psk(struct tcp_world *w)
{
    tcp_world_seal(w);
    w->client.security.psk = w->server.security.psk = tcp_psk;
}

static void on_transport_closed(void *ctx)
{
    ((struct tcp_end *)ctx)->transports_closed++;
}

static void end_close(struct tcp_end *e)
{
    if (e->transport != NULL)
        vly_transport_close(e->transport, 0, "over", on_transport_closed, e);
    e->transport = NULL;
}

void tcp_world_free(struct tcp_world *w)
{
    end_close(&w->client);
    end_close(&w->server);
    uv_close((uv_handle_t *)&w->watchdog, NULL);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_null(w->client.link);
    assert_null(w->server.link);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    free(w);
}

static void open_transport(struct tcp_world *w, struct tcp_end *e)
{
    union vly_sockaddr at = test_loopback(AF_INET);
    struct vly_transport_spec spec = {.size = sizeof spec,
                                      .options = w->options,
                                      .application = "test/1",
                                      .bind = &at.any,
                                      .is_server = e == &w->server,
                                      .max_links = w->max_links,
                                      .on_accept = on_accept,
                                      .on_turned_away = on_turned_away,
                                      .ctx = w,
                                      .reject_code = TCP_WORLD_REJECT};

    spec.options.security = w->options.plain ? NULL : &e->security;
    assert_int_equal(vly_transport_open(&e->transport, &w->loop, &spec), 0);
    if (w->options.carrier == VLY_CARRIER_TCP)
        ((struct tcp_transport *)e->transport)->generation_blocks = w->generation_blocks;
}

void tcp_world_serve(struct tcp_world *w)
{
    open_transport(w, &w->server);
    assert_true(vly_transport_port(w->server.transport) > 0);
    assert_string_equal(vly_transport_address(w->server.transport), "127.0.0.1");
}

void tcp_world_connect(struct tcp_world *w, struct tcp_end *e, uint16_t port)
{
    union vly_sockaddr to = test_loopback(AF_INET);
    struct vly_link *link;

    to.v4.sin_port = htons(port);
    open_transport(w, e);
    assert_int_equal(vly_transport_connect(e->transport, &to.any, &link), 0);
    take_link(e, link);
}

static bool not_open(const struct tcp_world *w)
{
    return !w->client.open || w->server.link == NULL;
}

void tcp_world_open(struct tcp_world *w)
{
    tcp_world_serve(w);
    tcp_world_connect(w, &w->client, vly_transport_port(w->server.transport));
    tcp_world_run_while(w, not_open);
}

void tcp_world_run_until(struct tcp_world *w, const unsigned *flag)
{
    while (*flag == 0)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
}

void tcp_world_run_while(struct tcp_world *w, bool (*condition)(const struct tcp_world *w))
{
    while (condition(w))
        (void)uv_run(&w->loop, UV_RUN_ONCE);
}

void tcp_world_turn(struct tcp_world *w, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++)
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
}

/* ---- bare sockets ---- */

int tcp_raw_connect(uint16_t port)
{
    union vly_sockaddr to = test_loopback(AF_INET);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    to.v4.sin_port = htons(port);
    assert_int_equal(connect(fd, &to.any, sizeof to.v4), 0);
    return fd;
}

int tcp_raw_listen(uint16_t *port)
{
    union vly_sockaddr at = test_loopback(AF_INET);
    socklen_t len = sizeof at.v4;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &at.any, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, &at.any, &len), 0);
    *port = ntohs(at.v4.sin_port);
    return fd;
}
