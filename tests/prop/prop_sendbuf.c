/*
 * sendbuf against a model that keeps a state for each byte.
 *
 * Random writes, takes, acknowledgements and losses in any order, spurious ones among them, with a
 * request for memory failing now and then; afterwards the rest is sent until all is acknowledged.
 * Checked: which piece is next, its bytes, what is pending and held, and that no acknowledged byte
 * is ever given out again (RULE 18).
 */
#include "proto/sendbuf.h"

#include <string.h>

#include "support/support.h"

#define SIZE_MAX_BYTES (3 * VLY_SENDBUF_BLOCK)
#define PIECES_MAX 4096u
#define BASE 1000u /* not at a block's beginning */

struct model {
    struct vly_prng prng;
    struct test_counting_alloc alloc;
    struct vly_sendbuf b;
    uint64_t end, sent_end; /* as of the buffer */
    bool fin, fin_pending, fin_acked;
    bool pending[SIZE_MAX_BYTES], acked[SIZE_MAX_BYTES]; /* by offset - BASE */
    struct vly_send_piece pieces[PIECES_MAX];            /* taken: outstanding or declared lost */
    size_t pieces_n;
    unsigned failures;
};

static uint8_t byte_of(uint64_t offset)
{
    return (uint8_t)(offset * 2654435761u >> 16);
}

static uint64_t below(struct model *m, uint64_t n)
{
    return vly_prng_below(&m->prng, n);
}

/* Mostly the size of packets, sometimes of whole blocks, sometimes tiny. */
static size_t some_len(struct model *m)
{
    static const size_t most[] = {3, 1500, 1500, 9000, 70000};

    return (size_t)(1 + below(m, most[below(m, ARRAY_LEN(most))]));
}

/* Lets the allocator fail at the next request or the one after, sometimes. */
static void maybe_fail(struct model *m)
{
    if (m->failures > 0 && vly_prng_chance(&m->prng, 0.05)) {
        m->failures--;
        m->alloc.fail_at = m->alloc.requests + 1 + below(m, 2);
    }
}

/* Whether `at` is in the set; for rising `at`, with a cursor that starts at 0. */
static bool in_set(const struct vly_rangeset *s, size_t *cursor, uint64_t at)
{
    while (*cursor < s->n && s->r[*cursor].end <= at)
        ++*cursor;
    return *cursor < s->n && s->r[*cursor].begin <= at;
}

/* The whole state, byte by byte. */
static void compare(const struct model *m)
{
    const struct vly_sendbuf *b = &m->b;
    size_t pending_at = 0, acked_at = 0;
    uint64_t base = BASE;

    while (base < m->end && m->acked[base - BASE])
        base++;
    assert_int_equal(b->base, base);
    assert_int_equal(vly_sendbuf_held_bytes(b), m->end - base);
    assert_int_equal(b->sent_end, m->sent_end);
    for (uint64_t at = base; at < m->end; at++) {
        if (in_set(&b->pending, &pending_at, at) != m->pending[at - BASE] ||
            in_set(&b->acked, &acked_at, at) != m->acked[at - BASE])
            fail_msg("the state of byte %llu differs", (unsigned long long)at);
    }
    assert_int_equal(b->fin_pending, m->fin_pending);
    assert_int_equal(vly_sendbuf_is_done(b), m->fin && m->fin_acked && base == m->end);
}

static void do_write(struct model *m)
{
    size_t len = some_len(m), fill;
    uint64_t left = BASE + SIZE_MAX_BYTES - m->end;
    bool fin;
    uint8_t *p;
    int err;

    if (m->fin || left == 0)
        return;
    maybe_fail(m);
    err = vly_sendbuf_reserve(&m->b, &p, &len);
    if (err != 0) {
        assert_int_equal(err, VLY_E_NOMEM);
        return;
    }
    fill = (size_t)below(m, len + 1);
    if (fill > left)
        fill = (size_t)left;
    for (size_t i = 0; i < fill; i++)
        p[i] = byte_of(m->end + i);
    fin = vly_prng_chance(&m->prng, 0.002) || fill == left;
    maybe_fail(m);
    err = vly_sendbuf_commit(&m->b, fill, fin);
    if (err != 0) {
        assert_int_equal(err, VLY_E_NOMEM);
        return;
    }
    memset(&m->pending[m->end - BASE], true, fill);
    m->end += fill;
    m->fin = m->fin_pending = fin;
}

/* The first offset from the beginning to `end` whose flag is `value`, `end` when there is none. */
static uint64_t first_with(const bool *flags, bool value, uint64_t end)
{
    const bool *at = memchr(flags, value, (size_t)(end - BASE));

    return at == NULL ? end : BASE + (uint64_t)(at - flags);
}

/* The piece the model expects; false when none may go. */
static bool expected_piece(const struct model *m, uint64_t max_end, size_t max_len,
                           struct vly_send_piece *want)
{
    uint64_t allowed = max_end > m->sent_end ? max_end : m->sent_end;
    uint64_t at = first_with(m->pending, true, m->end);

    *want = (struct vly_send_piece){.offset = at};
    if (at == m->end) {
        want->fin = true;
        return m->fin_pending;
    }
    while (at < m->end && at < allowed && want->len < max_len && m->pending[at - BASE]) {
        at++;
        want->len++;
    }
    want->fin = m->fin_pending && at == m->end;
    return want->len > 0;
}

static void do_take(struct model *m)
{
    static uint8_t bytes[2 * VLY_SENDBUF_BLOCK];
    uint64_t max_end = vly_prng_chance(&m->prng, 0.5) ? UINT64_MAX : BASE + below(m, m->end);
    size_t max_len = vly_prng_chance(&m->prng, 0.02) ? 0 : some_len(m);
    struct vly_send_piece piece, want;
    struct vly_span last;
    bool may = expected_piece(m, max_end, max_len, &want);

    if (m->pieces_n == PIECES_MAX)
        return;
    assert_int_equal(vly_sendbuf_peek(&m->b, max_end, max_len, &piece), may);
    if (!may)
        return;
    assert_int_equal(piece.offset, want.offset);
    assert_int_equal(piece.len, want.len);
    assert_int_equal(piece.fin, want.fin);
    last = vly_sendbuf_take(&m->b, &piece, bytes);
    assert_int_equal(last.len > 0, piece.len > 0);
    memcpy(bytes + piece.len - last.len, last.data, last.len);
    for (size_t i = 0; i < piece.len; i++) {
        assert_int_equal(bytes[i], byte_of(piece.offset + i));
        assert_false(m->acked[piece.offset - BASE + i]);
        m->pending[piece.offset - BASE + i] = false;
    }
    if (piece.offset + piece.len > m->sent_end)
        m->sent_end = piece.offset + piece.len;
    if (piece.fin)
        m->fin_pending = false;
    m->pieces[m->pieces_n++] = piece;
}

static void do_ack(struct model *m)
{
    struct vly_send_piece piece;
    size_t i;
    int err;

    if (m->pieces_n == 0)
        return;
    /* The oldest often, as on a path without reordering. */
    i = vly_prng_chance(&m->prng, 0.5) ? 0 : (size_t)below(m, m->pieces_n);
    piece = m->pieces[i];
    maybe_fail(m);
    err = vly_sendbuf_on_acked(&m->b, &piece);
    if (err != 0) {
        assert_int_equal(err, VLY_E_NOMEM);
        compare(m); /* nothing has changed */
        return;
    }
    memset(&m->acked[piece.offset - BASE], true, piece.len);
    memset(&m->pending[piece.offset - BASE], false, piece.len);
    if (piece.fin) {
        m->fin_acked = true;
        m->fin_pending = false;
    }
    memmove(&m->pieces[i], &m->pieces[i + 1], (m->pieces_n - i - 1) * sizeof(piece));
    m->pieces_n--;
}

/* The piece stays in the list: its acknowledgement may still come, and so may a second loss. */
static void do_lose(struct model *m)
{
    struct vly_send_piece piece;

    if (m->pieces_n == 0)
        return;
    piece = m->pieces[below(m, m->pieces_n)];
    maybe_fail(m);
    while (vly_sendbuf_on_lost(&m->b, &piece) != 0)
        ; /* repeated, it does what is left of it */
    for (size_t i = 0; i < piece.len; i++)
        if (!m->acked[piece.offset - BASE + i])
            m->pending[piece.offset - BASE + i] = true;
    if (piece.fin && !m->fin_acked)
        m->fin_pending = true;
}

static void model_run(struct model *m, uint64_t seed, unsigned failures)
{
    static void (*const ops[])(struct model *) = {do_write, do_take, do_take, do_take,
                                                  do_ack,   do_ack,  do_lose};

    memset(m, 0, sizeof(*m));
    vly_prng_init(&m->prng, seed);
    test_counting_alloc_init(&m->alloc, 0);
    m->failures = failures;
    m->end = m->sent_end = BASE;
    vly_sendbuf_init(&m->b, &m->alloc.alloc, BASE);
    for (unsigned n = 0; n < 1500; n++) {
        ops[below(m, ARRAY_LEN(ops))](m);
        m->alloc.fail_at = 0;
        vly_sendbuf_check(&m->b);
        assert_int_equal(vly_sendbuf_has_pending(&m->b), m->b.pending.n > 0 || m->fin_pending);
        if (n % 100 == 0)
            compare(m);
    }
    compare(m);
    m->failures = 0;
    while (!vly_sendbuf_is_done(&m->b)) {
        do_write(m);
        do_take(m);
        do_ack(m);
        vly_sendbuf_check(&m->b);
    }
    compare(m);
    vly_sendbuf_fini(&m->b);
    assert_int_equal(m->alloc.live_blocks, 0);
}

static void prop_sendbuf_is_the_model(void **state)
{
    static struct model m;
    uint64_t seed = test_seed();

    (void)state;
    for (unsigned run = 0; run < 60; run++)
        model_run(&m, vly_prng_fork(seed, run), run % 2 == 0 ? 0 : 20);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(prop_sendbuf_is_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
