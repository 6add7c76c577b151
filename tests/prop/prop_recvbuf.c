/*
 * recvbuf against an array.
 *
 * A stream arrives in random frames that overlap, repeat and contradict each other: the bytes of a
 * frame depend on the frame, so that it shows whose copy is handed on, and the first one must be
 * (RULE 35). Every byte is handed on exactly once, in order or at once, also where the order
 * changes on the way, and each piece stays readable until the release. With the n-th request for
 * memory failing, for each n, a refused frame that comes again is taken as if it had not come
 * before.
 */
#include "proto/recvbuf.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"

#define SIZE_MAX_BYTES 300000u
#define BASE 777u
#define KEPT_MAX 4096u

struct kept {
    struct vly_recv_piece piece;
    uint8_t *frame; /* owned; of the last piece of a frame only */
};

struct model {
    struct vly_prng prng;
    struct test_counting_alloc alloc;
    struct vly_recvbuf b;
    uint64_t size;
    uint64_t delivered; /* how many bytes were handed on */
    size_t frame_most;
    bool here[SIZE_MAX_BYTES], handed[SIZE_MAX_BYTES]; /* by offset - BASE */
    uint8_t first[SIZE_MAX_BYTES];
    struct kept kept[KEPT_MAX]; /* since the last release */
    size_t kept_n;
    bool failed;
    bool switches; /* the order changes */
};

static void kept_check(const struct model *m)
{
    for (size_t i = 0; i < m->kept_n; i++) {
        const struct vly_recv_piece *p = &m->kept[i].piece;

        if (p->data.len > 0)
            assert_memory_equal(p->data.data, &m->first[p->offset - BASE], p->data.len);
    }
}

static void release(struct model *m)
{
    kept_check(m);
    for (size_t i = 0; i < m->kept_n; i++)
        free(m->kept[i].frame);
    m->kept_n = 0;
    vly_recvbuf_release(&m->b);
    vly_recvbuf_check(&m->b);
}

static void keep(struct model *m, struct vly_recv_piece piece, uint8_t *frame)
{
    assert_true(m->kept_n < KEPT_MAX);
    m->kept[m->kept_n++] = (struct kept){piece, frame};
}

static void deliver(struct model *m)
{
    struct vly_recv_piece piece;

    while (vly_recvbuf_next(&m->b, &piece)) {
        assert_true(piece.data.len > 0);
        if (m->b.order == VLY_IN_ORDER)
            assert_int_equal(piece.offset, BASE + m->delivered);
        for (size_t i = 0; i < piece.data.len; i++) {
            size_t at = (size_t)(piece.offset - BASE) + i;

            assert_true(m->here[at]);
            assert_false(m->handed[at]);
            m->handed[at] = true;
            assert_int_equal(piece.data.data[i], m->first[at]);
        }
        m->delivered += piece.data.len;
        keep(m, piece, NULL);
    }
}

/* What is contiguous from the beginning, and in any order all of it, has been handed on. */
static void compare(const struct model *m)
{
    uint64_t prefix = 0, here = 0;

    while (prefix < m->size && m->here[prefix])
        prefix++;
    for (uint64_t i = 0; i < m->size; i++)
        here += m->here[i];
    assert_int_equal(m->b.frontier, BASE + prefix);
    assert_int_equal(m->delivered, m->b.order == VLY_IN_ORDER ? prefix : here);
    assert_int_equal(vly_rangeset_count(&m->b.have), here - prefix);
}

/* One frame of [at, at + len); again until there is memory for it. */
static void arrive(struct model *m, size_t at, size_t len)
{
    uint8_t *frame = malloc(len > 0 ? len : 1);
    bool fin = at + len == m->size && vly_prng_chance(&m->prng, 0.5);
    int err;

    assert_non_null(frame);
    vly_prng_fill(&m->prng, frame, len);
    while ((err = vly_recvbuf_insert(&m->b, BASE + at, (struct vly_span){frame, len}, fin)) != 0) {
        struct vly_recv_piece piece;

        assert_int_equal(err, VLY_E_NOMEM);
        assert_false(vly_recvbuf_next(&m->b, &piece));
        vly_recvbuf_check(&m->b);
        compare(m);
        m->failed = true;
        vly_prng_fill(&m->prng, frame, len); /* what was refused must not come back */
    }
    for (size_t i = at; i < at + len; i++) {
        if (!m->here[i])
            m->first[i] = frame[i - at];
        m->here[i] = true;
    }
    vly_recvbuf_check(&m->b);
    deliver(m);
    keep(m, (struct vly_recv_piece){0}, frame);
    /* Rarely enough that pieces of many inserts are alive, often enough for the table. */
    if (vly_prng_chance(&m->prng, 0.05) || m->kept_n > KEPT_MAX / 4)
        release(m);
}

/* Any order at any time: what waited is handed on. In order when there is no gap. */
static void switch_order(struct model *m)
{
    enum vly_order order = m->b.order == VLY_IN_ORDER ? VLY_ANY_ORDER : VLY_IN_ORDER;
    bool may = order == VLY_ANY_ORDER || m->b.have.n == 0;

    assert_int_equal(vly_recvbuf_set_order(&m->b, order), may ? 0 : VLY_E_STATE);
    vly_recvbuf_check(&m->b);
    if (vly_prng_chance(&m->prng, 0.5))
        release(m);
    deliver(m);
    compare(m);
}

static void model_init(struct model *m, uint64_t seed, enum vly_order order, uint64_t fail_at)
{
    memset(m, 0, sizeof(*m));
    vly_prng_init(&m->prng, seed);
    test_counting_alloc_init(&m->alloc, fail_at);
    m->size = 1 + vly_prng_below(&m->prng, SIZE_MAX_BYTES);
    m->frame_most = (size_t)(1 + vly_prng_below(&m->prng, 1 + m->size / 30));
    vly_recvbuf_init(&m->b, &m->alloc.alloc, BASE);
    assert_int_equal(vly_recvbuf_set_order(&m->b, order), 0);
}

/* Frames anywhere within a window above the frontier, then whatever is missing. Few of them are
 * tiny, so the gaps stay far from their cap. */
static void model_run(struct model *m)
{
    for (unsigned n = 0; n < 400; n++) {
        uint64_t done = m->b.frontier - BASE, window = m->size - done;
        size_t at, len = (size_t)vly_prng_below(&m->prng, m->frame_most + 1);

        if (window > 20 * m->frame_most)
            window = 20 * m->frame_most;
        at = (size_t)(done + vly_prng_below(&m->prng, window + 1));
        if (vly_prng_chance(&m->prng, 0.3))
            at = (size_t)done;
        if (vly_prng_chance(&m->prng, 0.1))
            at -= at < len ? at : len; /* all old, or half */
        if (len > m->size - at)
            len = (size_t)(m->size - at);
        arrive(m, at, len);
        if (m->switches && vly_prng_chance(&m->prng, 0.1))
            switch_order(m);
        if (n % 50 == 0)
            compare(m);
    }
    while (m->b.frontier < BASE + m->size) {
        size_t at = (size_t)(m->b.frontier - BASE), len = m->frame_most;

        arrive(m, at, len < m->size - at ? len : (size_t)(m->size - at));
    }
    compare(m);
    assert_int_equal(vly_recvbuf_set_final(&m->b, BASE + m->size), 0);
    assert_true(vly_recvbuf_is_complete(&m->b));
    assert_int_equal(m->delivered, m->size);
    release(m);
    assert_int_equal(vly_recvbuf_held_bytes(&m->b), 0);
    vly_recvbuf_fini(&m->b);
    assert_int_equal(m->alloc.live_blocks, 0);
}

static const enum vly_order orders[] = {VLY_IN_ORDER, VLY_ANY_ORDER};

static void prop_recvbuf_hands_on_each_byte_once(void **state)
{
    static struct model m;
    uint64_t seed = test_seed();

    (void)state;
    for (unsigned run = 0; run < 60; run++) {
        model_init(&m, vly_prng_fork(seed, run), orders[run % 2], 0);
        m.switches = run % 4 >= 2;
        model_run(&m);
    }
}

/* RULE 40 */
static void prop_recvbuf_survives_failing_memory(void **state)
{
    static struct model m;
    uint64_t seed = test_seed();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        uint64_t n = 0;

        do {
            model_init(&m, vly_prng_fork(seed, i), orders[i], ++n);
            m.switches = n % 2 == 0;
            model_run(&m);
        } while (m.failed && n < 100);
        assert_true(n > 1);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(prop_recvbuf_hands_on_each_byte_once),
        cmocka_unit_test(prop_recvbuf_survives_failing_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
