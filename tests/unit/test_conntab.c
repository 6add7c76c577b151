/*
 * conntab: connections by id and by deadline, against a plain array.
 */
#include "proto/conntab.h"

#include "crypto/crypto.h"
#include "proto/conn_internal.h"
#include "support/support.h"

#define CONNS 200u

struct bench {
    struct test_counting_alloc alloc;
    struct vly_prng prng;
    struct vly_crypto crypto;
    struct vly_shared sh;
    struct vly_conntab t;
    struct vly_conn *conn[CONNS]; /* NULL: not in the table */
};

static void draw(void *ctx, void *buf, size_t len)
{
    vly_prng_fill(ctx, buf, len);
}

static void bench_init(struct bench *b, uint64_t seed, uint64_t fail_at)
{
    *b = (struct bench){0};
    test_counting_alloc_init(&b->alloc, fail_at);
    vly_prng_init(&b->prng, seed);
    vly_crypto_with_random(&b->crypto, draw, &b->prng);
    b->sh.alloc = &b->alloc.alloc;
    b->sh.crypto = &b->crypto;
    b->sh.config = (struct vly_conn_config){.cc = &vly_cc_cubic_ops,
                                            .ack_every_pkts = VLY_ACK_EVERY_MAX,
                                            .max_datagram_bytes = 1472,
                                            .window_bytes = 1000,
                                            .window_max_bytes = 1000,
                                            .handshake_timeout_ns = VLY_NEVER};
    vly_conntab_init(&b->t, &b->alloc.alloc);
}

static struct vly_conn *conn_new(struct bench *b, uint64_t cid)
{
    static const struct vly_addr peer = {.len = 1};
    struct vly_conn *c;

    assert_int_equal(vly_conn_new(&c, &b->sh, VLY_CLIENT, &peer, 0), 0);
    c->cid = cid;
    return c;
}

static void add(struct bench *b, unsigned i, uint64_t cid)
{
    assert_int_equal(vly_conntab_reserve(&b->t), 0);
    b->conn[i] = conn_new(b, cid);
    vly_conntab_add(&b->t, b->conn[i]);
}

/* The deadline of a client that has not been answered is that of its HELLO. */
static void set_deadline(struct bench *b, unsigned i, uint64_t deadline_ns)
{
    b->conn[i]->hello_due_ns = deadline_ns;
    vly_conntab_update(&b->t, b->conn[i]);
}

static void drop(struct bench *b, unsigned i)
{
    vly_conntab_remove(&b->t, b->conn[i]);
    vly_conn_free(b->conn[i]);
    b->conn[i] = NULL;
}

static uint64_t earliest(const struct bench *b)
{
    uint64_t at_ns = VLY_NEVER;

    for (unsigned i = 0; i < CONNS; i++)
        if (b->conn[i] != NULL && b->conn[i]->heap_index != SIZE_MAX &&
            b->conn[i]->deadline_ns < at_ns)
            at_ns = b->conn[i]->deadline_ns;
    return at_ns;
}

static void test_conntab_empty(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b, 1, 0);
    assert_null(vly_conntab_find(&b.t, 1));
    assert_null(vly_conntab_due(&b.t, VLY_NEVER));
    assert_int_equal(vly_conntab_deadline(&b.t), VLY_NEVER);
    vly_conntab_fini(&b.t);
}

/* Ids that all want the same slot, and wrap around the table's end. */
static void test_conntab_ids_that_collide(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b, 1, 0);
    for (unsigned i = 0; i < 100; i++)
        add(&b, i, (uint64_t)i << 32 | 0xffffffff);
    for (unsigned i = 0; i < 100; i += 2)
        drop(&b, i);
    for (unsigned i = 0; i < 100; i++)
        assert_ptr_equal(vly_conntab_find(&b.t, (uint64_t)i << 32 | 0xffffffff), b.conn[i]);
    assert_int_equal(b.t.n, 50);
    vly_conntab_fini(&b.t);
    assert_int_equal(b.alloc.live_blocks, 0);
}

static void test_conntab_against_a_model(void **state)
{
    uint64_t cid[CONNS];
    struct bench b;

    (void)state;
    bench_init(&b, test_seed(), 0);
    for (unsigned i = 0; i < CONNS; i++)
        cid[i] = vly_prng_u64(&b.prng);
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = (unsigned)vly_prng_below(&b.prng, CONNS);
        uint64_t action = vly_prng_below(&b.prng, 8);

        if (b.conn[i] == NULL)
            add(&b, i, cid[i]);
        else if (action == 0)
            drop(&b, i);
        else if (action == 1)
            vly_conntab_unschedule(&b.t, b.conn[i]);
        else
            set_deadline(&b, i, action == 2 ? VLY_NEVER : vly_prng_below(&b.prng, 1000));
        assert_ptr_equal(vly_conntab_find(&b.t, cid[i]), b.conn[i]);
        assert_int_equal(vly_conntab_deadline(&b.t), earliest(&b));
    }
    for (unsigned i = 0; i < CONNS; i++)
        assert_ptr_equal(vly_conntab_find(&b.t, cid[i]), b.conn[i]);
    vly_conntab_fini(&b.t);
    assert_int_equal(b.alloc.live_blocks, 0);
}

/* Those that are due come out in the order of their deadlines. */
static void test_conntab_due(void **state)
{
    struct vly_conn *c;
    uint64_t last_ns = 0;
    unsigned n = 0;
    struct bench b;

    (void)state;
    bench_init(&b, 3, 0);
    for (unsigned i = 0; i < CONNS; i++) {
        add(&b, i, i + 1);
        set_deadline(&b, i, vly_prng_below(&b.prng, 200));
    }
    while ((c = vly_conntab_due(&b.t, 99)) != NULL) {
        assert_true(c->deadline_ns >= last_ns);
        last_ns = c->deadline_ns;
        vly_conntab_unschedule(&b.t, c);
        vly_conntab_unschedule(&b.t, c); /* a no-op */
        n++;
    }
    for (unsigned i = 0; i < CONNS; i++)
        assert_int_equal(b.conn[i]->heap_index == SIZE_MAX, b.conn[i]->deadline_ns <= 99);
    assert_in_range(n, CONNS / 4, 3 * CONNS / 4);
    vly_conntab_fini(&b.t);
}

/* Table and heap grow together or not at all. */
static void test_conntab_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 4; n++) {
        unsigned failed = 0;
        struct bench b;

        bench_init(&b, 1, 0);
        for (unsigned i = 0; i < 20; i++) {
            if (i == 0 || i == 12) /* where it grows */
                b.alloc.fail_at = b.alloc.requests + (n - 1) % 2 + 1;
            if ((i == 0) == (n > 2))
                b.alloc.fail_at = 0;
            while (vly_conntab_reserve(&b.t) != 0)
                failed++;
            b.alloc.fail_at = 0;
            add(&b, i, i + 1);
        }
        assert_int_equal(failed, 1);
        for (unsigned i = 0; i < 20; i++)
            assert_ptr_equal(vly_conntab_find(&b.t, i + 1), b.conn[i]);
        vly_conntab_fini(&b.t);
        assert_int_equal(b.alloc.live_blocks, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conntab_empty),
        cmocka_unit_test(test_conntab_ids_that_collide),
        cmocka_unit_test(test_conntab_against_a_model),
        cmocka_unit_test(test_conntab_due),
        cmocka_unit_test(test_conntab_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
