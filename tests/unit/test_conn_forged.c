/*
 * conn: what is forged leaves no trace. RULE 9: of a packet whose tag does not verify nothing
 * remains but that it was counted; of an ACCEPT or FINISH likewise, though its checksum is right.
 *
 * Every byte that the connection holds, in either kind of memory, is compared before and after:
 * the replay window, the streams and what they buffer, credit, times, keys, the handshake.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "proto/conn_internal.h"
#include "support/pair.h"

#define BLOCKS_MAX 64u

struct block {
    uint8_t *ptr, *before;
    size_t len;
};

/* What one side has asked for since `watch`: the connection and all that belongs to it, not the
 * endpoint. */
static struct {
    struct vly_crypto crypto; /* the pair's */
    struct block block[BLOCKS_MAX];
    size_t n;
} held;

static void note_freed(const void *ptr)
{
    size_t i = 0;

    while (i < held.n && held.block[i].ptr != ptr)
        i++;
    if (i == held.n)
        return; /* NULL, or the endpoint's */
    free(held.block[i].before);
    held.n--;
    memmove(&held.block[i], &held.block[i + 1], (held.n - i) * sizeof(held.block[0]));
}

static void note_made(void *ptr, size_t len)
{
    assert_true(held.n < BLOCKS_MAX);
    if (ptr != NULL)
        held.block[held.n++] = (struct block){ptr, NULL, len};
}

static void *resize(void *ctx, void *ptr, size_t old_size, size_t size)
{
    struct pair_alloc *a = ctx;
    void *fresh;

    note_freed(ptr);
    fresh = a->counting.alloc.resize(a->counting.alloc.ctx, ptr, old_size, size);
    note_made(fresh, size);
    return fresh;
}

static void *secret_new(size_t len)
{
    void *p = held.crypto.secret_new(len);

    note_made(p, len);
    return p;
}

static void secret_free(void *p, size_t len)
{
    note_freed(p);
    held.crypto.secret_free(p, len);
}

/* A pair whose side `who` is watched. */
static struct pair *watched(enum vly_method method, enum pair_who who)
{
    const struct vly_endpoint_config c = pair_sealed(PAIR_CLIENT, method);
    const struct vly_endpoint_config s = pair_sealed(PAIR_SERVER, method);
    struct pair *p = pair_new(&c, &s);
    struct pair_side *side = &p->side[who];

    memset(&held, 0, sizeof(held));
    held.crypto = side->crypto;
    side->alloc.alloc.resize = resize;
    side->crypto.secret_new = secret_new;
    side->crypto.secret_free = secret_free;
    return p;
}

/* A suite works in the memory that holds its keys, and may. */
static bool is_workspace(const struct vly_conn *c, const uint8_t *ptr)
{
    const struct vly_recv_keys *k = c->recv_keys;

    return k != NULL && (ptr == k->now.keys || ptr == k->next.keys || ptr == k->old.keys);
}

static void remember(void)
{
    for (size_t i = 0; i < held.n; i++) {
        free(held.block[i].before);
        held.block[i].before = test_exact_copy(held.block[i].ptr, held.block[i].len);
    }
}

/* Whatever was asked for since then was given back, and no byte of the rest has changed. */
static void assert_unchanged(const struct vly_conn *c)
{
    for (size_t i = 0; i < held.n; i++) {
        assert_non_null(held.block[i].before);
        if (!is_workspace(c, held.block[i].ptr))
            assert_memory_equal(held.block[i].ptr, held.block[i].before, held.block[i].len);
    }
}

/* ---- flipped ---- */

static struct vly_conn *conn_of(struct pair *p, enum pair_who who)
{
    struct vly_conn *c = p->side[who].conn;

    for (size_t i = 0; c == NULL && i < held.n; i++) /* a server's, not accepted yet */
        c = held.block[i].len == sizeof(*c) ? (struct vly_conn *)(void *)held.block[i].ptr : NULL;
    assert_non_null(c);
    return c;
}

/* Gives the datagram with each bit flipped; `summed`: with a checksum that is right again. Its
 * counts are all that may have changed, and are set back. */
static void give_flipped(struct pair *p, enum pair_who to, const struct pair_datagram *d,
                         const struct vly_addr *from, bool summed)
{
    struct vly_conn *c = conn_of(p, to);
    size_t text = d->len - VLY_TAG_BYTES;
    uint64_t forgeries = 0, dropped = c->stats.dropped_received;
    size_t n = c->recv_keys != NULL ? (size_t)c->recv_keys->forgeries : 0;

    remember();
    for (size_t bit = 0; bit < 8 * (summed ? text : d->len); bit++) {
        uint8_t *copy = test_exact_copy(d->data, d->len);

        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (summed)
            vly_seal_one(&vly_suite_plain, NULL, 0, copy, text, text);
        pair_give(p, to, from, VLY_ECN_NONE, (struct vly_span){copy, d->len});
        free(copy);
        c->stats.dropped_received = dropped;
        c->unproved = 0;
        if (c->recv_keys != NULL) {
            forgeries += c->recv_keys->forgeries - n;
            c->recv_keys->forgeries = n;
        }
        assert_unchanged(c);
    }
    /* All bits but those of type and id, which lead elsewhere, and two that make no number. */
    if (d->data[0] == VLY_PACKET_DATA)
        assert_true(forgeries >= 8 * (d->len - 9) - 2);
    pair_flush(p, to); /* UNKNOWN to ids there are not */
    pair_drop(p, to);
}

static struct pair_datagram keep(const struct pair_side *s)
{
    struct pair_datagram d;

    assert_int_equal(s->out_n, 1);
    d = s->out[0];
    d.data = test_exact_copy(d.data, d.len);
    return d;
}

static void give(struct pair *p, enum pair_who to, struct pair_datagram *d)
{
    pair_give(p, to, &p->side[1 - to].addr, VLY_ECN_NONE, (struct vly_span){d->data, d->len});
    free(d->data);
}

/* The next hundred bytes of stream 0, in a packet of their own. */
static struct pair_datagram next_piece(struct pair *p, uint64_t offset)
{
    struct pair_datagram d;

    assert_int_equal(pair_write_some(p, PAIR_CLIENT, 0, offset, 100, offset == 200), 100);
    pair_flush(p, PAIR_CLIENT);
    d = keep(&p->side[PAIR_CLIENT]);
    pair_drop(p, PAIR_CLIENT);
    return d;
}

/* RULE 9: DATA that ends a stream, with an ACK in it, while the server waits for a piece before it
 * and for that ACK. From the client's address and from another one. */
static void test_conn_forged_data_leaves_no_trace(void **state)
{
    static const struct vly_addr elsewhere = {.len = 3, .data = {'e', 'l', 's'}};
    struct pair *p = watched(VLY_METHOD_KEYS, PAIR_SERVER);
    struct pair_side *server = &p->side[PAIR_SERVER];
    struct pair_datagram first, second, last;

    (void)state;
    pair_connect(p);
    assert_int_equal(pair_open(p, PAIR_CLIENT), 0);
    first = next_piece(p, 0);
    second = next_piece(p, 100);
    give(p, PAIR_SERVER, &second);
    pair_write(p, PAIR_SERVER, 0, 5000, false);
    pair_flush(p, PAIR_SERVER);
    pair_deliver(p, PAIR_SERVER);
    last = next_piece(p, 200);
    give_flipped(p, PAIR_SERVER, &last, &p->side[PAIR_CLIENT].addr, false);
    give_flipped(p, PAIR_SERVER, &last, &elsewhere, false);
    assert_int_equal(server->stream[0].bytes, 0);
    assert_true(server->conn->log.in_flight_pkts > 0);
    give(p, PAIR_SERVER, &last);
    assert_int_equal(server->conn->log.in_flight_pkts, 0);
    give(p, PAIR_SERVER, &first);
    assert_int_equal(server->stream[0].bytes, 300);
    assert_int_equal(server->stream[0].final_bytes, 300);
    pair_free(p);
}

/* RULE 9: ACCEPT, which is datagram 3 of the set-up, and FINISH, 4. */
static void forge_message(enum vly_method method, unsigned nth)
{
    enum pair_who to = nth == 3 ? PAIR_CLIENT : PAIR_SERVER;
    struct pair *p = watched(method, to);
    struct pair_datagram d;

    pair_begin(p);
    for (unsigned i = 0; i < nth; i++) {
        pair_flush(p, (enum pair_who)(i % 2));
        pair_deliver(p, (enum pair_who)(i % 2));
    }
    pair_flush(p, 1 - to);
    while (p->side[1 - to].out_n > 1) /* DATA behind FINISH */
        pair_drop_nth(p, 1 - to, 1);
    d = keep(&p->side[1 - to]);
    pair_drop(p, 1 - to);
    assert_int_equal(d.data[0], nth == 3 ? VLY_PACKET_ACCEPT : VLY_PACKET_FINISH);
    give_flipped(p, to, &d, &p->side[1 - to].addr, false);
    give_flipped(p, to, &d, &p->side[1 - to].addr, true);
    assert_string_equal(p->side[to].log, "");
    give(p, to, &d);
    assert_string_equal(p->side[to].log, nth == 3 ? "C" : "A");
    pair_run(p, VLY_S(1));
    assert_string_equal(p->side[PAIR_CLIENT].log, "C");
    assert_string_equal(p->side[PAIR_SERVER].log, "A");
    pair_free(p);
}

static void test_conn_forged_accept_leaves_no_trace(void **state)
{
    (void)state;
    forge_message(VLY_METHOD_KEYS, 3);
    forge_message(VLY_METHOD_PSK, 3);
}

static void test_conn_forged_finish_leaves_no_trace(void **state)
{
    (void)state;
    forge_message(VLY_METHOD_KEYS, 4);
    forge_message(VLY_METHOD_CODE, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_forged_data_leaves_no_trace),
        cmocka_unit_test(test_conn_forged_accept_leaves_no_trace),
        cmocka_unit_test(test_conn_forged_finish_leaves_no_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
