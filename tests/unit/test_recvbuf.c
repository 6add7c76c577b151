/*
 * recvbuf: one behaviour a test; prop_recvbuf.c plays all of them against a model.
 */
#include "proto/recvbuf.h"

#include <string.h>

#include "proto/wire.h"
#include "support/support.h"

#define BLOCK VLY_RECVBUF_BLOCK

static uint8_t byte_of(uint64_t offset)
{
    return (uint8_t)(offset * 2654435761u >> 16);
}

/* The frame's bytes of [offset, offset + len), valid until the next call. */
static struct vly_span bytes_at(uint64_t offset, size_t len)
{
    static uint8_t bytes[8 * BLOCK];

    assert_true(len <= sizeof(bytes));
    for (size_t i = 0; i < len; i++)
        bytes[i] = byte_of(offset + i);
    return (struct vly_span){bytes, len};
}

/* Compares what is handed on with `want`: begin, end pairs up to {0, 0}. */
static void expect(struct vly_recvbuf *b, const struct vly_range *want)
{
    struct vly_recv_piece piece;

    vly_recvbuf_check(b);
    for (; vly_recvbuf_next(b, &piece); want++) {
        assert_int_equal(piece.offset, want->begin);
        assert_int_equal(piece.offset + piece.data.len, want->end);
        for (size_t i = 0; i < piece.data.len; i++)
            assert_int_equal(piece.data.data[i], byte_of(piece.offset + i));
        vly_recvbuf_check(b);
    }
    assert_int_equal(want->end, 0);
    assert_false(vly_recvbuf_next(b, &piece));
}

static void insert(struct vly_recvbuf *b, uint64_t begin, uint64_t end,
                   const struct vly_range *want)
{
    struct vly_span frame = bytes_at(begin, (size_t)(end - begin));

    assert_int_equal(vly_recvbuf_insert(b, begin, frame, false), 0);
    expect(b, want);
}

struct step {
    uint64_t begin, end;
    struct vly_range want[5];
    uint64_t frontier;
};

static void run_steps(enum vly_order order, const struct step *steps, size_t n)
{
    struct vly_recvbuf b;

    vly_recvbuf_init(&b, &test_alloc, 0);
    assert_int_equal(vly_recvbuf_set_order(&b, order), 0);
    for (size_t i = 0; i < n; i++) {
        insert(&b, steps[i].begin, steps[i].end, steps[i].want);
        assert_int_equal(b.frontier, steps[i].frontier);
    }
    vly_recvbuf_release(&b);
    vly_recvbuf_check(&b);
    vly_recvbuf_fini(&b);
}

/* RULE 35 */
static void test_recvbuf_in_order(void **state)
{
    static const struct step steps[] = {
        {0, 10, {{0, 10}}, 10},
        {0, 10, {{0}}, 10},       /* again */
        {5, 20, {{10, 20}}, 20},  /* half of it again */
        {30, 40, {{0}}, 20},      /* ahead */
        {50, 60, {{0}}, 20},      /* further ahead */
        {35, 45, {{0}}, 20},      /* over the end of what is kept */
        {20, 25, {{20, 25}}, 25}, /* the gap is smaller */
        {15, 30, {{25, 30}, {30, 45}}, 45},
        {45, 70, {{45, 50}, {50, 60}, {60, 70}}, 70}, /* around what was kept */
        {70, 70, {{0}}, 70},
        {100, 100, {{0}}, 70},
        {70, 71, {{70, 71}}, 71},
    };

    (void)state;
    run_steps(VLY_IN_ORDER, steps, ARRAY_LEN(steps));
}

/* RULE 35 */
static void test_recvbuf_any_order(void **state)
{
    static const struct step steps[] = {
        {10, 20, {{10, 20}}, 0},
        {30, 40, {{30, 40}}, 0},
        {15, 35, {{20, 30}}, 0},
        {50, 60, {{50, 60}}, 0},
        {0, 70, {{0, 10}, {40, 50}, {60, 70}}, 70},
        {0, 70, {{0}}, 70},
        {69, 71, {{70, 71}}, 71},
    };

    (void)state;
    run_steps(VLY_ANY_ORDER, steps, ARRAY_LEN(steps));
}

/* In order no byte is copied; out of order the block is. */
static void test_recvbuf_in_order_hands_on_the_frame_itself(void **state)
{
    struct vly_span frame = bytes_at(0, 1000);
    struct vly_recv_piece piece;
    struct test_counting_alloc a;
    struct vly_recvbuf b;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_recvbuf_init(&b, &a.alloc, 0);
    assert_false(vly_recvbuf_next(&b, &piece));
    assert_int_equal(vly_recvbuf_insert(&b, 0, frame, false), 0);
    assert_true(vly_recvbuf_next(&b, &piece));
    assert_ptr_equal(piece.data.data, frame.data);
    assert_int_equal(a.requests, 0);
    vly_recvbuf_fini(&b);
}

/* Kept blocks are handed on block by block, live until release, and go then. */
static void test_recvbuf_blocks_live_until_release(void **state)
{
    struct vly_recv_piece piece, kept[4];
    struct test_counting_alloc a;
    struct vly_recvbuf b;
    size_t n = 0;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_recvbuf_init(&b, &a.alloc, 0);
    insert(&b, BLOCK / 2, 3 * BLOCK + 7, (struct vly_range[]){{0}});
    assert_int_equal(vly_recvbuf_held_bytes(&b), 4 * BLOCK);
    assert_int_equal(vly_recvbuf_insert(&b, 0, bytes_at(0, BLOCK / 2), false), 0);
    assert_true(vly_recvbuf_next(&b, &piece)); /* from the frame */
    while (vly_recvbuf_next(&b, &piece))
        kept[n++] = piece;
    assert_int_equal(n, 4);
    /* Data in the same block and behind it does not disturb them. */
    insert(&b, 3 * BLOCK + 7, 3 * BLOCK + 20,
           (struct vly_range[]){{3 * BLOCK + 7, 3 * BLOCK + 20}, {0}});
    insert(&b, 3 * BLOCK + 30, 5 * BLOCK, (struct vly_range[]){{0}});
    assert_int_equal(kept[3].offset, 3 * BLOCK);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < kept[i].data.len; k++)
            assert_int_equal(kept[i].data.data[k], byte_of(kept[i].offset + k));
    vly_recvbuf_release(&b);
    vly_recvbuf_check(&b);
    assert_int_equal(vly_recvbuf_held_bytes(&b), 2 * BLOCK);
    insert(&b, 3 * BLOCK + 20, 3 * BLOCK + 30,
           (struct vly_range[]){{3 * BLOCK + 20, 3 * BLOCK + 30},
                                {3 * BLOCK + 30, 4 * BLOCK},
                                {4 * BLOCK, 5 * BLOCK},
                                {0}});
    vly_recvbuf_release(&b);
    assert_int_equal(vly_recvbuf_held_bytes(&b), 0);
    vly_recvbuf_fini(&b);
    assert_int_equal(a.live_blocks, 0);
}

/* The ring of blocks turns round many times and grows while it is in use. */
static void test_recvbuf_ring_turns_and_grows(void **state)
{
    struct vly_recvbuf b;
    uint64_t at = 12345;

    (void)state;
    vly_recvbuf_init(&b, &test_alloc, at);
    for (unsigned n = 0; n < 60; n++) {
        /* Far blocks first, then nearer ones, the gap last. */
        uint64_t far = at + (1 + n % 20) * (uint64_t)BLOCK;
        struct vly_recv_piece piece;
        uint64_t next = at;

        insert(&b, far, far + 100, (struct vly_range[]){{0}});
        insert(&b, at + 10, at + 20, (struct vly_range[]){{0}});
        for (uint64_t from = at; from < far; from += 5000) {
            uint64_t end = from + 5000 < far ? from + 5000 : far;

            assert_int_equal(vly_recvbuf_insert(&b, from, bytes_at(from, (size_t)(end - from)), 0),
                             0);
            vly_recvbuf_check(&b);
            while (vly_recvbuf_next(&b, &piece)) {
                assert_int_equal(piece.offset, next);
                for (size_t i = 0; i < piece.data.len; i++)
                    assert_int_equal(piece.data.data[i], byte_of(next + i));
                next += piece.data.len;
            }
        }
        assert_int_equal(next, far + 100);
        if (n % 3 == 0)
            vly_recvbuf_release(&b);
        at = far + 100;
    }
    vly_recvbuf_fini(&b);
}

/* RULE 35 */
static void test_recvbuf_final_size_is_fixed(void **state)
{
    static const struct {
        const char *name;
        uint64_t begin, end;
        bool fin;
        int err;
    } cases[] = {
        {"the same end", 90, 100, true, 0},
        {"an empty frame at the end", 100, 100, true, 0},
        {"data within", 0, 100, false, 0},
        {"data beyond", 95, 101, false, VLY_E_PROTOCOL},
        {"an earlier end", 0, 99, true, VLY_E_PROTOCOL},
        {"a later end", 90, 101, true, VLY_E_PROTOCOL},
        {"an earlier empty end", 99, 99, true, VLY_E_PROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_recv_piece piece;
        struct vly_recvbuf b;

        print_message("  %s\n", cases[i].name);
        vly_recvbuf_init(&b, &test_alloc, 0);
        assert_int_equal(vly_recvbuf_insert(&b, 90, bytes_at(90, 10), true), 0);
        assert_int_equal(b.final_bytes, 100);
        assert_int_equal(
            vly_recvbuf_insert(&b, cases[i].begin,
                               bytes_at(cases[i].begin, (size_t)(cases[i].end - cases[i].begin)),
                               cases[i].fin),
            cases[i].err);
        vly_recvbuf_check(&b);
        assert_int_equal(b.final_bytes, 100);
        assert_int_equal(b.highest, 100);
        if (cases[i].err != 0)
            assert_false(vly_recvbuf_next(&b, &piece));
        vly_recvbuf_fini(&b);
    }
}

/* RULE 35 */
static void test_recvbuf_final_size_below_what_came(void **state)
{
    struct vly_recvbuf b;

    (void)state;
    vly_recvbuf_init(&b, &test_alloc, 0);
    insert(&b, 50, 60, (struct vly_range[]){{0}});
    assert_int_equal(vly_recvbuf_insert(&b, 0, bytes_at(0, 59), true), VLY_E_PROTOCOL);
    assert_int_equal(vly_recvbuf_set_final(&b, 59), VLY_E_PROTOCOL);
    assert_int_equal(b.final_bytes, UINT64_MAX);
    assert_int_equal(b.frontier, 0);
    assert_int_equal(vly_recvbuf_set_final(&b, 60), 0);
    assert_int_equal(vly_recvbuf_set_final(&b, 60), 0);
    assert_int_equal(vly_recvbuf_set_final(&b, 61), VLY_E_PROTOCOL);
    vly_recvbuf_fini(&b);

    vly_recvbuf_init(&b, &test_alloc, 0); /* known without data */
    assert_int_equal(vly_recvbuf_set_final(&b, 60), 0);
    assert_int_equal(vly_recvbuf_insert(&b, 40, bytes_at(40, 10), true), VLY_E_PROTOCOL);
    assert_int_equal(vly_recvbuf_insert(&b, 55, bytes_at(55, 6), false), VLY_E_PROTOCOL);
    assert_int_equal(vly_recvbuf_insert(&b, 50, bytes_at(50, 10), true), 0);
    vly_recvbuf_fini(&b);
}

static void test_recvbuf_complete(void **state)
{
    struct vly_recvbuf b;

    (void)state;
    vly_recvbuf_init(&b, &test_alloc, 0);
    assert_false(vly_recvbuf_is_complete(&b));
    assert_int_equal(vly_recvbuf_insert(&b, 10, bytes_at(10, 10), true), 0);
    assert_false(vly_recvbuf_is_complete(&b));
    assert_int_equal(vly_recvbuf_insert(&b, 0, bytes_at(0, 10), false), 0);
    assert_true(vly_recvbuf_is_complete(&b));
    vly_recvbuf_fini(&b);

    vly_recvbuf_init(&b, &test_alloc, 0); /* an empty stream */
    assert_int_equal(vly_recvbuf_insert(&b, 0, (struct vly_span){NULL, 0}, true), 0);
    assert_true(vly_recvbuf_is_complete(&b));
    vly_recvbuf_fini(&b);
}

/* A long stream in order leaves the ring alone: a piece ahead then takes no more than at its start.
 */
static void test_recvbuf_ring_starts_at_the_frontier(void **state)
{
    struct test_counting_alloc a;
    struct vly_recvbuf b;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_recvbuf_init(&b, &a.alloc, 0);
    for (uint64_t at = 0; at < 10000 * (uint64_t)BLOCK; at += 8 * BLOCK)
        assert_int_equal(
            vly_recvbuf_insert(&b, at, (struct vly_span){bytes_at(0, 1).data, 8 * BLOCK}, false),
            0);
    insert(&b, b.frontier + 1, b.frontier + 2, (struct vly_range[]){{0}});
    assert_true(a.live_bytes < 2 * BLOCK);
    vly_recvbuf_fini(&b);
}

static void test_recvbuf_in_order_again_when_no_gap_is_left(void **state)
{
    struct vly_recvbuf b;

    (void)state;
    vly_recvbuf_init(&b, &test_alloc, 7);
    assert_int_equal(vly_recvbuf_set_order(&b, VLY_ANY_ORDER), 0);
    assert_int_equal(vly_recvbuf_set_order(&b, VLY_IN_ORDER), 0);
    insert(&b, 7, 9, (struct vly_range[]){{7, 9}, {0}});
    insert(&b, 10, 11, (struct vly_range[]){{0}});
    insert(&b, 9, 10, (struct vly_range[]){{9, 10}, {10, 11}, {0}});
    /* The piece handed on last still stands in a block. */
    assert_int_equal(vly_recvbuf_set_order(&b, VLY_ANY_ORDER), 0);
    expect(&b, (struct vly_range[]){{0}});
    vly_recvbuf_release(&b);
    assert_int_equal(vly_recvbuf_held_bytes(&b), 0);
    insert(&b, 12, 13, (struct vly_range[]){{12, 13}, {0}});
    assert_int_equal(vly_recvbuf_set_order(&b, VLY_ANY_ORDER), 0); /* as it is */
    assert_int_equal(vly_recvbuf_set_order(&b, VLY_IN_ORDER), VLY_E_STATE);
    insert(&b, 11, 13, (struct vly_range[]){{11, 12}, {0}});
    assert_int_equal(vly_recvbuf_set_order(&b, VLY_IN_ORDER), 0);
    expect(&b, (struct vly_range[]){{0}}); /* though what came last is not the highest */
    insert(&b, 13, 14, (struct vly_range[]){{13, 14}, {0}});
    vly_recvbuf_fini(&b);
}

/* What waits behind gaps when any order is asked for is handed on from its blocks, which are kept
 * until then and go after it; the gaps are gaps still. */
static void test_recvbuf_any_order_hands_on_what_waits(void **state)
{
    struct test_counting_alloc a;
    struct vly_recvbuf b;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_recvbuf_init(&b, &a.alloc, 0);
    insert(&b, 0, 10, (struct vly_range[]){{0, 10}, {0}});
    insert(&b, 20, 30, (struct vly_range[]){{0}});
    insert(&b, 2 * BLOCK - 5, 3 * BLOCK + 5, (struct vly_range[]){{0}});
    assert_int_equal(vly_recvbuf_set_order(&b, VLY_ANY_ORDER), 0);
    vly_recvbuf_release(&b); /* of the verb that comes next */
    assert_int_equal(vly_recvbuf_held_bytes(&b), 4 * BLOCK);
    expect(&b, (struct vly_range[]){{20, 30},
                                    {2 * BLOCK - 5, 2 * BLOCK},
                                    {2 * BLOCK, 3 * BLOCK},
                                    {3 * BLOCK, 3 * BLOCK + 5},
                                    {0}});
    assert_int_equal(b.frontier, 10);
    insert(&b, 15, 40, (struct vly_range[]){{15, 20}, {30, 40}, {0}});
    vly_recvbuf_release(&b);
    vly_recvbuf_check(&b);
    assert_int_equal(vly_recvbuf_held_bytes(&b), 0);
    insert(&b, 10, 15, (struct vly_range[]){{10, 15}, {0}});
    insert(&b, 40, 3 * BLOCK, (struct vly_range[]){{40, 2 * BLOCK - 5}, {0}});
    assert_int_equal(b.frontier, 3 * BLOCK + 5);
    vly_recvbuf_fini(&b);
    assert_int_equal(a.live_blocks, 0);
}

/* The direction is over before that could be handed on. */
static void test_recvbuf_what_waits_can_be_dropped(void **state)
{
    struct test_counting_alloc a;
    struct vly_recvbuf b;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_recvbuf_init(&b, &a.alloc, 0);
    insert(&b, 20, 30, (struct vly_range[]){{0}});
    assert_int_equal(vly_recvbuf_set_order(&b, VLY_ANY_ORDER), 0);
    vly_recvbuf_drop(&b);
    expect(&b, (struct vly_range[]){{0}});
    assert_int_equal(a.live_blocks, 0);
    vly_recvbuf_fini(&b);
}

/* Nobody wants the data any more: only its size still counts, and no memory is held. */
static void test_recvbuf_drop_and_discard(void **state)
{
    struct test_counting_alloc a;
    struct vly_recv_piece piece;
    struct vly_recvbuf b;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_recvbuf_init(&b, &a.alloc, 0);
    insert(&b, 10, 3 * BLOCK, (struct vly_range[]){{0}});
    vly_recvbuf_drop(&b);
    vly_recvbuf_check(&b);
    assert_int_equal(a.live_blocks, 0);
    assert_false(vly_recvbuf_next(&b, &piece));
    assert_int_equal(b.highest, 3 * BLOCK);
    assert_int_equal(vly_recvbuf_discard(&b, BLOCK, false), 0);
    assert_int_equal(b.highest, 3 * BLOCK);
    assert_int_equal(vly_recvbuf_discard(&b, BLOCK, true), VLY_E_PROTOCOL);
    assert_int_equal(vly_recvbuf_discard(&b, 4 * BLOCK, true), 0);
    assert_int_equal(b.highest, 4 * BLOCK);
    assert_int_equal(vly_recvbuf_discard(&b, 4 * BLOCK + 1, false), VLY_E_PROTOCOL);
    assert_int_equal(vly_recvbuf_set_final(&b, 4 * BLOCK), 0);
    vly_recvbuf_fini(&b);
    assert_int_equal(a.live_blocks, 0);
}

static void test_recvbuf_new_bytes(void **state)
{
    struct vly_recvbuf b;

    (void)state;
    vly_recvbuf_init(&b, &test_alloc, 100);
    assert_int_equal(vly_recvbuf_new_bytes(&b, 100), 0);
    assert_int_equal(vly_recvbuf_new_bytes(&b, 150), 50);
    insert(&b, 120, 140, (struct vly_range[]){{0}});
    assert_int_equal(vly_recvbuf_new_bytes(&b, 150), 10);
    assert_int_equal(vly_recvbuf_new_bytes(&b, 110), 0);
    insert(&b, 160, 160, (struct vly_range[]){{0}}); /* an empty frame is accounted for too */
    assert_int_equal(vly_recvbuf_new_bytes(&b, 170), 10);
    vly_recvbuf_fini(&b);
}

/* RULE 34: every other byte. The gap too many is refused, nothing changes, and memory for all of it
 * is the ranges and the blocks under them. */
static void test_recvbuf_gaps_are_capped(void **state)
{
    static const enum vly_order orders[] = {VLY_IN_ORDER, VLY_ANY_ORDER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        struct test_counting_alloc a;
        struct vly_recv_piece piece;
        struct vly_recvbuf b;
        uint64_t at = 1;

        test_counting_alloc_init(&a, 0);
        vly_recvbuf_init(&b, &a.alloc, 0);
        assert_int_equal(vly_recvbuf_set_order(&b, orders[i]), 0);
        for (unsigned n = 0; n < VLY_RECVBUF_GAPS_MAX; n++, at += 2)
            assert_int_equal(vly_recvbuf_insert(&b, at, bytes_at(at, 1), false), 0);
        assert_int_equal(vly_recvbuf_insert(&b, at, bytes_at(at, 1), true), VLY_E_LIMIT);
        vly_recvbuf_check(&b);
        assert_false(vly_recvbuf_next(&b, &piece));
        assert_int_equal(b.highest, at - 1);
        assert_int_equal(b.final_bytes, UINT64_MAX);
        assert_true(a.live_bytes <= VLY_RECVBUF_GAPS_MAX * sizeof(struct vly_range) + 2 * BLOCK);
        /* Closing a gap, or going on where the last range ends, is still welcome. */
        assert_int_equal(vly_recvbuf_insert(&b, at - 1, bytes_at(at - 1, 1), false), 0);
        assert_int_equal(vly_recvbuf_insert(&b, 2, bytes_at(2, 1), false), 0);
        assert_int_equal(vly_recvbuf_insert(&b, at, bytes_at(at, 1), false), 0);
        assert_int_equal(vly_recvbuf_insert(&b, 0, bytes_at(0, 1), false), 0);
        assert_int_equal(b.frontier, 4);
        vly_recvbuf_check(&b);
        vly_recvbuf_fini(&b);
        assert_int_equal(a.live_blocks, 0);
    }
}

/* RULE 36 */
static void test_recvbuf_largest_offset(void **state)
{
    struct vly_recvbuf b;

    (void)state;
    vly_recvbuf_init(&b, &test_alloc, VLY_VARINT_MAX - 10);
    insert(&b, VLY_VARINT_MAX - 5, VLY_VARINT_MAX, (struct vly_range[]){{0}});
    insert(&b, VLY_VARINT_MAX - 10, VLY_VARINT_MAX - 5,
           (struct vly_range[]){{VLY_VARINT_MAX - 10, VLY_VARINT_MAX - 5},
                                {VLY_VARINT_MAX - 5, VLY_VARINT_MAX},
                                {0}});
    assert_int_equal(vly_recvbuf_set_final(&b, VLY_VARINT_MAX), 0);
    assert_true(vly_recvbuf_is_complete(&b));
    vly_recvbuf_fini(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recvbuf_in_order),
        cmocka_unit_test(test_recvbuf_any_order),
        cmocka_unit_test(test_recvbuf_in_order_hands_on_the_frame_itself),
        cmocka_unit_test(test_recvbuf_blocks_live_until_release),
        cmocka_unit_test(test_recvbuf_ring_turns_and_grows),
        cmocka_unit_test(test_recvbuf_final_size_is_fixed),
        cmocka_unit_test(test_recvbuf_final_size_below_what_came),
        cmocka_unit_test(test_recvbuf_complete),
        cmocka_unit_test(test_recvbuf_ring_starts_at_the_frontier),
        cmocka_unit_test(test_recvbuf_in_order_again_when_no_gap_is_left),
        cmocka_unit_test(test_recvbuf_any_order_hands_on_what_waits),
        cmocka_unit_test(test_recvbuf_what_waits_can_be_dropped),
        cmocka_unit_test(test_recvbuf_drop_and_discard),
        cmocka_unit_test(test_recvbuf_new_bytes),
        cmocka_unit_test(test_recvbuf_gaps_are_capped),
        cmocka_unit_test(test_recvbuf_largest_offset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
