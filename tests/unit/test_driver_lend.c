/*
 * An application that lends its memory to a link: through two drivers over loopback.
 */
#include "support/driver_world.h"

#include <stdlib.h>
#include <string.h>

#define RING_BYTES 300000u

/* The client's application: a ring of which [released, lent) is the link's. */
struct lender {
    struct vly_link_events events; /* on_writable is its own */
    uint8_t ring[RING_BYTES];
    uint64_t stream, released, lent;
    bool over;
};

static struct lender *lender; /* of the running test */

/* What the link has released is spoilt at once: whoever still reads it sends garbage. */
static void spoil(struct vly_link *link)
{
    uint64_t released = link->ops->released(link, lender->stream);

    if (released > lender->lent)
        released = lender->lent; /* the stream is over */
    for (; lender->released < released; lender->released++)
        lender->ring[lender->released % RING_BYTES] ^= 0xff;
}

static void lend(struct end *e)
{
    struct vly_link *link = e->link;

    spoil(link);
    while (!lender->over) {
        size_t at = (size_t)(lender->lent % RING_BYTES), len = RING_BYTES - at;
        uint64_t room = lender->released + RING_BYTES - lender->lent;
        uint64_t left = BULK_BYTES - lender->lent;
        int err;

        len = len < room ? len : (size_t)room;
        len = len < left ? len : (size_t)left;
        if (len == 0)
            return;
        for (size_t i = 0; i < len; i++)
            lender->ring[at + i] = world_byte(lender->stream, lender->lent + i);
        err = link->ops->lend(link, lender->stream, lender->ring + at, &len, len == left);
        if (err == VLY_E_AGAIN)
            return;
        assert_int_equal(err, 0);
        lender->lent += len;
        lender->over = lender->lent == BULK_BYTES;
    }
}

static void on_writable(void *user, uint64_t stream)
{
    if (stream == lender->stream)
        lend(user);
}

static void on_turn(uv_prepare_t *turn)
{
    struct end *e = turn->data;

    if (e->link != NULL && e->open)
        lend(e);
}

static void on_open(struct world *w)
{
    assert_int_equal(w->client.link->ops->open_stream(w->client.link, &lender->stream), 0);
    lend(&w->client);
}

/* What is lent has to stay until it is acknowledged, and no longer. Nothing tells of an
 * acknowledgement: who waits for its own memory looks at each turn of the loop. */
static void test_driver_lent_memory_is_read_until_released(void **state)
{
    struct world *w = world_new();
    uv_prepare_t turn;

    (void)state;
    lender = calloc(1, sizeof(*lender));
    w->on_open = on_open;
    world_start(w, AF_INET);
    lender->events = *w->client.link->events;
    lender->events.on_writable = on_writable;
    w->client.link->events = &lender->events;
    uv_prepare_init(&w->loop, &turn);
    uv_prepare_start(&turn, on_turn);
    uv_unref((uv_handle_t *)&turn);
    turn.data = &w->client;
    world_run(w);
    assert_int_equal(w->server.received, BULK_BYTES);
    assert_true(lender->over);
    assert_true(lender->released >= BULK_BYTES - RING_BYTES);
    uv_close((uv_handle_t *)&turn, NULL);
    world_free(w);
    free(lender);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_driver_lent_memory_is_read_until_released),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
