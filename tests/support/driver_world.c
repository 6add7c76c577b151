#include "driver_world.h"

#include <stdlib.h>
#include <string.h>

uint8_t world_byte(uint64_t stream, uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) + stream * 7);
}

static void on_driver_closed(void *ctx)
{
    struct end *e = ctx;

    e->drivers_closed++;
}

void end_close(struct end *e, const char *reason)
{
    struct vly_driver *d = e->driver;

    e->driver = NULL;
    if (d != NULL)
        vly_driver_close(d, 0, reason, on_driver_closed, e);
}

/* Writes what the stream takes. */
static void feed(struct end *e, uint64_t stream)
{
    uint64_t *left = &e->left[stream / 2];
    uint64_t *sent = &e->sent[stream / 2];

    while (*left > 0) {
        size_t len = *left;
        uint8_t *room;
        int err = e->link->ops->reserve(e->link, stream, &room, &len);

        if (err == VLY_E_AGAIN)
            return;
        assert_int_equal(err, 0);
        assert_in_range(len, 1, *left);
        for (size_t i = 0; i < len; i++)
            room[i] = world_byte(stream, *sent + i);
        *left -= len;
        *sent += len;
        assert_int_equal(e->link->ops->commit(e->link, stream, len, *left == 0), 0);
    }
}

void end_send(struct end *e, uint64_t bytes)
{
    uint64_t stream;

    assert_int_equal(e->link->ops->open_stream(e->link, &stream), 0);
    e->left[stream / 2] = bytes;
    feed(e, stream);
}

static void on_open(void *user)
{
    struct end *e = user;

    assert_false(e->open);
    e->open = true;
    if (e->world->on_open != NULL)
        e->world->on_open(e->world);
}

static void on_stream(void *user, uint64_t stream)
{
    struct end *e = user;

    assert_int_equal(e->link->ops->set_order(e->link, stream, VLY_LINK_ANY_ORDER), 0);
}

static void on_data(void *user, uint64_t stream, uint64_t offset, struct vly_span data)
{
    struct end *e = user;

    for (size_t i = 0; i < data.len; i++)
        if (data.data[i] != world_byte(stream, offset + i))
            fail_msg("stream %d differs at %d", (int)stream, (int)(offset + i));
    e->received += data.len;
    e->link->ops->consume(e->link, stream, data.len);
}

static void on_end(void *user, uint64_t stream, uint64_t final_bytes)
{
    struct end *e = user;
    struct world *w = e->world;

    (void)stream;
    (void)final_bytes;
    if (++e->streams_ended < w->streams)
        return;
    if (w->on_received != NULL)
        w->on_received(w);
    else
        w->client.link->ops->close(w->client.link, 7, "bye");
}

static void on_reset(void *user, uint64_t stream, uint64_t code)
{
    (void)user;
    fail_msg("stream %d was reset, code %d", (int)stream, (int)code);
}

static void on_writable(void *user, uint64_t stream)
{
    if (stream != UINT64_MAX)
        feed(user, stream);
}

static void on_closed(void *user, int err, uint64_t code, const char *reason)
{
    struct end *e = user;

    e->closed++;
    e->err = err;
    e->code = code;
    strcpy(e->reason, reason);
    e->link->ops->stats(e->link, &e->stats);
    vly_conn_stats(((struct udp_link *)e->link)->conn, &e->conn_stats);
    e->link = NULL;
    end_close(e, "");
}

static const struct vly_link_events link_events = {
    .on_open = on_open,
    .on_stream = on_stream,
    .on_data = on_data,
    .on_end = on_end,
    .on_reset = on_reset,
    .on_stopped = on_reset,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

void end_take(struct end *e, struct vly_link *link)
{
    e->link = link;
    link->events = &link_events;
    link->user = e;
    strcpy(e->peer, link->ops->peer(link));
}

static int on_accept(void *ctx, struct vly_link *link)
{
    struct world *w = ctx;

    if (w->accept_err == 0)
        end_take(&w->server, link);
    return w->accept_err;
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing more happens");
}

struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    uv_timer_init(&w->loop, &w->watchdog);
    uv_timer_start(&w->watchdog, on_watchdog, 60000, 0);
    uv_unref((uv_handle_t *)&w->watchdog);
    w->client.world = w->server.world = w;
    w->client_opt = (struct vly_driver_options){.allow_plain = true};
    w->server_opt = (struct vly_driver_options){
        .allow_plain = true,
        .is_server = true,
        .on_accept = on_accept,
        .ctx = w,
        .reject_code = REJECT_CODE,
    };
    w->streams = 1;
    return w;
}

void world_open(struct world *w, struct end *e, int family)
{
    const struct vly_driver_options *opt = e == &w->client ? &w->client_opt : &w->server_opt;
    union vly_sockaddr sa = test_loopback(family);

    assert_int_equal(vly_driver_open(&e->driver, &w->loop, &sa.any, opt), 0);
}

void world_start(struct world *w, int family)
{
    struct sockaddr_storage sa;
    struct vly_link *link;

    world_open(w, &w->server, family);
    world_open(w, &w->client, family);
    vly_udp_local(vly_driver_socket(w->server.driver), &sa);
    assert_int_equal(vly_driver_connect(w->client.driver, (const void *)&sa, &link), 0);
    end_take(&w->client, link);
}

void world_run(struct world *w)
{
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(w->client.drivers_closed, 1);
    assert_int_equal(w->server.drivers_closed, 1);
}

void world_free(struct world *w)
{
    uv_close((uv_handle_t *)&w->watchdog, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    free(w);
}

void world_run_until_open(struct world *w)
{
    while (!w->client.open || w->server.link == NULL)
        uv_run(&w->loop, UV_RUN_ONCE);
}

void world_turn(struct world *w, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++)
        uv_run(&w->loop, UV_RUN_NOWAIT);
}

void world_send_three_streams(struct world *w)
{
    end_send(&w->client, BULK_BYTES);
    end_send(&w->client, BULK_BYTES);
    end_send(&w->client, 1);
}
