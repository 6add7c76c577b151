/*
 * sendbuf: one behaviour a test; prop_sendbuf.c plays all of them against a model.
 */
#include "proto/sendbuf.h"

#include <string.h>

#include "proto/wire.h"
#include "support/support.h"

#define BLOCK VLY_SENDBUF_BLOCK
#define NO_LIMIT UINT64_MAX

static uint8_t byte_of(uint64_t offset)
{
    return (uint8_t)(offset * 2654435761u >> 16);
}

/* Writes `len` bytes, in as many pieces as reserve gives. */
static void write_bytes(struct vly_sendbuf *b, size_t len, bool fin)
{
    do {
        size_t room = len > 0 ? len : 1;
        uint8_t *p;

        if (len > 0) {
            assert_int_equal(vly_sendbuf_reserve(b, &p, &room), 0);
            assert_in_range(room, 1, len);
            for (size_t i = 0; i < room; i++)
                p[i] = byte_of(b->end + i);
        } else {
            room = 0;
        }
        len -= room;
        assert_int_equal(vly_sendbuf_commit(b, room, fin && len == 0), 0);
        vly_sendbuf_check(b);
    } while (len > 0);
}

static struct vly_send_piece take(struct vly_sendbuf *b, size_t max_len)
{
    static uint8_t bytes[4 * BLOCK];
    struct vly_send_piece piece;
    struct vly_span last;

    assert_true(vly_sendbuf_peek(b, NO_LIMIT, max_len, &piece));
    memset(bytes, 0xee, sizeof(bytes));
    last = vly_sendbuf_take(b, &piece, bytes);
    vly_sendbuf_check(b);
    assert_true(last.len <= piece.len && last.len <= BLOCK);
    assert_int_equal(bytes[piece.len - last.len], 0xee); /* lent, not copied */
    memcpy(bytes + piece.len - last.len, last.len > 0 ? last.data : bytes, last.len);
    for (size_t i = 0; i < piece.len; i++)
        if (bytes[i] != byte_of(piece.offset + i)) /* an assert for each byte takes a minute */
            fail_msg("byte %zu of %zu is wrong", i, (size_t)piece.len);
    assert_int_equal(bytes[piece.len], 0xee);
    return piece;
}

static void acked(struct vly_sendbuf *b, const struct vly_send_piece *piece)
{
    assert_int_equal(vly_sendbuf_on_acked(b, piece), 0);
    vly_sendbuf_check(b);
}

static void lost(struct vly_sendbuf *b, const struct vly_send_piece *piece)
{
    assert_int_equal(vly_sendbuf_on_lost(b, piece), 0);
    vly_sendbuf_check(b);
}

static void assert_piece(const struct vly_send_piece *p, uint64_t offset, size_t len, bool fin)
{
    assert_int_equal(p->offset, offset);
    assert_int_equal(p->len, len);
    assert_int_equal(p->fin, fin);
}

static void test_sendbuf_in_order(void **state)
{
    struct test_counting_alloc a;
    struct vly_sendbuf b;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_sendbuf_init(&b, &a.alloc, 0);
    assert_int_equal(a.requests, 0);
    assert_false(vly_sendbuf_has_pending(&b));
    for (unsigned n = 0; n < 1000; n++) {
        struct vly_send_piece piece;

        write_bytes(&b, 1440, n == 999);
        piece = take(&b, 1440);
        assert_piece(&piece, n * 1440, 1440, n == 999);
        assert_int_equal(vly_sendbuf_held_bytes(&b), 1440);
        assert_false(vly_sendbuf_is_done(&b));
        acked(&b, &piece);
    }
    assert_true(vly_sendbuf_is_done(&b));
    /* Two blocks for the one at the border, the ring and one range: none of them for long. */
    assert_true(a.requests <= 5);
    vly_sendbuf_fini(&b);
    assert_int_equal(a.live_blocks, 0);
}

/* RULE 39: memory is what is held, rounded up to blocks, and what the acknowledged leaves is freed.
 */
static void test_sendbuf_memory_follows_what_is_held(void **state)
{
    const size_t overhead = 4096; /* ring and range sets */
    struct test_counting_alloc a;
    struct vly_send_piece pieces[64];
    struct vly_sendbuf b;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_sendbuf_init(&b, &a.alloc, 0);
    write_bytes(&b, 64 * BLOCK - 1, false);
    assert_in_range(a.live_bytes, 64 * BLOCK, 64 * BLOCK + overhead);
    for (size_t i = 0; i < 64; i++)
        pieces[i] = take(&b, BLOCK);
    /* Nothing is freed while the first byte is missing. */
    for (size_t i = 1; i < 64; i++)
        acked(&b, &pieces[i]);
    assert_true(a.live_bytes >= 64 * BLOCK);
    assert_int_equal(vly_sendbuf_held_bytes(&b), 64 * BLOCK - 1);
    acked(&b, &pieces[0]);
    assert_int_equal(vly_sendbuf_held_bytes(&b), 0);
    assert_true(a.live_bytes <= 2 * BLOCK + overhead);
    vly_sendbuf_fini(&b);
    assert_int_equal(a.live_bytes, 0);
}

/* The ring of blocks turns round many times and grows while its first block is not at its start. */
static void test_sendbuf_ring_turns_and_grows(void **state)
{
    struct vly_send_piece pieces[64];
    struct vly_sendbuf b;
    size_t head = 0, tail = 0;

    (void)state;
    vly_sendbuf_init(&b, &test_alloc, 0);
    for (unsigned n = 1; n <= 30; n++) {
        /* More is held each time, and more stays behind. */
        while (head - tail < n) {
            write_bytes(&b, BLOCK, false);
            pieces[head++ % 64] = take(&b, BLOCK);
        }
        while (head - tail > 1 + n / 3)
            acked(&b, &pieces[tail++ % 64]);
        lost(&b, &pieces[tail % 64]);
        pieces[tail % 64] = take(&b, BLOCK); /* its bytes are where they were */
    }
    vly_sendbuf_fini(&b);
}

static void test_sendbuf_reserve_is_contiguous(void **state)
{
    uint8_t *p, *q;
    struct vly_sendbuf b;
    size_t len = 3 * BLOCK;

    (void)state;
    vly_sendbuf_init(&b, &test_alloc, 100);
    assert_int_equal(vly_sendbuf_reserve(&b, &p, &len), 0);
    assert_int_equal(len, BLOCK);
    /* Less may be committed than was reserved; the rest is given again. */
    assert_int_equal(vly_sendbuf_commit(&b, 10, false), 0);
    len = 20;
    assert_int_equal(vly_sendbuf_reserve(&b, &q, &len), 0);
    assert_int_equal(len, 20);
    assert_ptr_equal(q, p + 10);
    assert_int_equal(vly_sendbuf_held_bytes(&b), 10);
    vly_sendbuf_fini(&b);
}

/* Lent memory is read where it stands, beside blocks, and nothing is allocated for it. */
static void test_sendbuf_lent_between_blocks(void **state)
{
    static const uint8_t lent[3000] = {[0] = 1, [999] = 2, [1000] = 3, [2999] = 4};
    struct test_counting_alloc a;
    struct vly_send_piece piece;
    struct vly_sendbuf b;
    struct vly_span last;
    uint8_t dst[4000];

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_sendbuf_init(&b, &a.alloc, 0);
    write_bytes(&b, 500, false);
    assert_int_equal(vly_sendbuf_lend(&b, (struct vly_span){lent, 1000}, false), 0);
    assert_int_equal(vly_sendbuf_lend(&b, (struct vly_span){lent + 1000, 2000}, false), 0);
    assert_int_equal(b.segments_n, 2); /* they follow each other */
    write_bytes(&b, 10, true);
    vly_sendbuf_check(&b);
    assert_true(a.live_bytes < 3 * BLOCK);

    assert_true(vly_sendbuf_peek(&b, UINT64_MAX, 600, &piece));
    last = vly_sendbuf_take(&b, &piece, dst);
    assert_ptr_equal(last.data, lent); /* the 500 before it were copied */
    assert_int_equal(last.len, 100);
    assert_true(vly_sendbuf_peek(&b, UINT64_MAX, 4000, &piece));
    assert_piece(&piece, 600, 2910, true);
    last = vly_sendbuf_take(&b, &piece, dst);
    assert_memory_equal(dst, lent + 100, 2900);
    assert_int_equal(last.len, 10);

    /* What was lost is read from there again, what was acknowledged never. */
    lost(&b, &(struct vly_send_piece){.offset = 1400, .len = 200});
    assert_true(vly_sendbuf_peek(&b, UINT64_MAX, 4000, &piece));
    assert_piece(&piece, 1400, 200, false);
    last = vly_sendbuf_take(&b, &piece, dst);
    assert_ptr_equal(last.data, lent + 900);
    acked(&b, &(struct vly_send_piece){.offset = 0, .len = 3500});
    assert_int_equal(b.segments_n, 1);
    acked(&b, &(struct vly_send_piece){.offset = 3500, .len = 10, .fin = true});
    assert_true(vly_sendbuf_is_done(&b));
    assert_int_equal(vly_sendbuf_lend(&b, (struct vly_span){lent, 1}, false), VLY_E_STATE);
    vly_sendbuf_fini(&b);
    assert_int_equal(a.live_blocks, 0);
}

/* Reserved and never filled; without memory nothing changes. */
static void test_sendbuf_lend_instead_of_filling(void **state)
{
    static const uint8_t lent[100];

    (void)state;
    for (uint64_t fail_at = 0; fail_at < 5; fail_at++) {
        struct test_counting_alloc a;
        struct vly_sendbuf b;
        uint8_t *p;
        size_t len = 1;

        test_counting_alloc_init(&a, fail_at);
        vly_sendbuf_init(&b, &a.alloc, 0);
        while (vly_sendbuf_lend(&b, (struct vly_span){lent, 100}, false) != 0) {
            assert_int_equal(b.end, 0);
            assert_int_equal(b.segments_n, 0);
            vly_sendbuf_check(&b);
        }
        while (vly_sendbuf_reserve(&b, &p, &len) != 0)
            vly_sendbuf_check(&b);
        while (vly_sendbuf_lend(&b, (struct vly_span){lent, 100}, true) != 0)
            vly_sendbuf_check(&b);
        assert_int_equal(b.end, 200);
        assert_int_equal(b.segments_n, 2); /* the same memory once more; the empty block is spare */
        vly_sendbuf_fini(&b);
        assert_int_equal(a.live_blocks, 0);
    }
}

/* RULE 36 */
static void test_sendbuf_ends_at_the_largest_offset(void **state)
{
    uint8_t *p, bytes[8];
    struct vly_send_piece piece;
    struct vly_span last;
    struct vly_sendbuf b;
    size_t len = 100;

    (void)state;
    vly_sendbuf_init(&b, &test_alloc, VLY_VARINT_MAX - 3);
    assert_int_equal(vly_sendbuf_reserve(&b, &p, &len), 0);
    assert_int_equal(len, 3);
    memcpy(p, "abc", 3);
    assert_int_equal(vly_sendbuf_commit(&b, 3, false), 0);
    len = 1;
    assert_int_equal(vly_sendbuf_reserve(&b, &p, &len), VLY_E_LIMIT);
    assert_int_equal(vly_sendbuf_commit(&b, 0, true), 0);
    assert_int_equal(vly_sendbuf_reserve(&b, &p, &len), VLY_E_STATE);
    assert_true(vly_sendbuf_peek(&b, NO_LIMIT, 8, &piece));
    assert_piece(&piece, VLY_VARINT_MAX - 3, 3, true);
    last = vly_sendbuf_take(&b, &piece, bytes);
    assert_int_equal(last.len, 3);
    assert_memory_equal(last.data, "abc", 3);
    acked(&b, &piece);
    assert_true(vly_sendbuf_is_done(&b));
    vly_sendbuf_fini(&b);
}

static void test_sendbuf_peek_keeps_within_flow_control(void **state)
{
    static const struct {
        const char *name;
        uint64_t max_end;
        size_t max_len;
        size_t len; /* 0: nothing may go */
    } cases[] = {
        {"no credit", 1000, 100, 0},
        {"less than none", 0, 100, 0},
        {"a little credit", 1001, 100, 1},
        {"the packet is the limit", 5000, 100, 100},
        {"the data is the limit", 5000, 5000, 500},
        {"no room in the packet", 5000, 0, 0},
    };
    struct vly_send_piece piece, first;
    struct vly_sendbuf b;

    (void)state;
    vly_sendbuf_init(&b, &test_alloc, 0);
    write_bytes(&b, 1000, false);
    first = take(&b, 1000);
    write_bytes(&b, 500, false);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  %s\n", cases[i].name);
        if (vly_sendbuf_peek(&b, cases[i].max_end, cases[i].max_len, &piece))
            assert_piece(&piece, 1000, cases[i].len, false);
        else
            assert_int_equal(cases[i].len, 0);
    }
    /* What went out before needs no credit, but ends where new data begins. */
    lost(&b, &first);
    assert_true(vly_sendbuf_peek(&b, 0, 5000, &piece));
    assert_piece(&piece, 0, 1000, false);
    assert_true(vly_sendbuf_peek(&b, 1200, 5000, &piece));
    assert_piece(&piece, 0, 1200, false);
    vly_sendbuf_fini(&b);
}

static void test_sendbuf_end_of_stream(void **state)
{
    struct vly_send_piece data, end;
    struct vly_sendbuf b;

    (void)state;
    /* An empty stream. */
    vly_sendbuf_init(&b, &test_alloc, 0);
    write_bytes(&b, 0, true);
    assert_true(vly_sendbuf_has_pending(&b));
    end = take(&b, 0);
    assert_piece(&end, 0, 0, true);
    assert_false(vly_sendbuf_has_pending(&b));
    assert_false(vly_sendbuf_is_done(&b));
    acked(&b, &end);
    assert_true(vly_sendbuf_is_done(&b));
    vly_sendbuf_fini(&b);

    /* The end alone is lost, the data alone is acknowledged. */
    vly_sendbuf_init(&b, &test_alloc, 0);
    write_bytes(&b, 100, false);
    data = take(&b, 100);
    assert_piece(&data, 0, 100, false);
    write_bytes(&b, 0, true);
    end = take(&b, 100);
    assert_piece(&end, 100, 0, true);
    lost(&b, &end);
    acked(&b, &data);
    assert_false(vly_sendbuf_is_done(&b));
    end = take(&b, 100);
    assert_piece(&end, 100, 0, true);
    acked(&b, &end);
    assert_true(vly_sendbuf_is_done(&b));
    /* RULE 18: a late loss report of an acknowledged end asks for nothing. */
    lost(&b, &end);
    lost(&b, &data);
    assert_false(vly_sendbuf_has_pending(&b));
    vly_sendbuf_fini(&b);
}

/* RULE 18: of a lost piece only what is not acknowledged goes out again, oldest first. */
static void test_sendbuf_lost_around_acknowledged(void **state)
{
    struct vly_send_piece pieces[5], again;
    const struct vly_send_piece whole = {0, 500, false};
    struct vly_sendbuf b;

    (void)state;
    vly_sendbuf_init(&b, &test_alloc, 0);
    write_bytes(&b, 600, false);
    for (size_t i = 0; i < 5; i++)
        pieces[i] = take(&b, 100);
    acked(&b, &pieces[1]);
    acked(&b, &pieces[3]);
    lost(&b, &whole);
    again = take(&b, 1000);
    assert_piece(&again, 0, 100, false);
    again = take(&b, 1000);
    assert_piece(&again, 200, 100, false);
    again = take(&b, 1000);
    assert_piece(&again, 400, 200, false);
    assert_false(vly_sendbuf_has_pending(&b));
    vly_sendbuf_fini(&b);
}

/* RULE 18, RULE 23: declared lost, acknowledged after all, and not yet sent again: it need not be.
 */
static void test_sendbuf_spurious_loss_is_not_sent_again(void **state)
{
    struct vly_send_piece pieces[5], again;
    struct vly_sendbuf b;

    (void)state;
    vly_sendbuf_init(&b, &test_alloc, 0);
    write_bytes(&b, 500, true);
    for (size_t i = 0; i < 5; i++)
        pieces[i] = take(&b, 100);
    for (size_t i = 0; i < 5; i++)
        lost(&b, &pieces[i]);
    acked(&b, &pieces[2]);
    acked(&b, &pieces[4]);
    acked(&b, &pieces[0]);
    again = take(&b, 1000);
    assert_piece(&again, 100, 100, false);
    again = take(&b, 1000);
    assert_piece(&again, 300, 100, false);
    assert_false(vly_sendbuf_has_pending(&b));
    acked(&b, &pieces[1]);
    acked(&b, &pieces[3]);
    assert_true(vly_sendbuf_is_done(&b));
    vly_sendbuf_fini(&b);
}

/* RULE 40: that acknowledgement cuts a pending range in two. When there is no memory for the second
 * half, or for the range acknowledged, neither set has changed. */
static void test_sendbuf_spurious_loss_without_memory(void **state)
{
    (void)state;
    for (unsigned nth = 1; nth <= 2; nth++) {
        struct vly_send_piece pieces[128];
        struct test_counting_alloc a;
        struct vly_sendbuf b;
        size_t n, ranges;

        test_counting_alloc_init(&a, 0);
        vly_sendbuf_init(&b, &a.alloc, 0);
        write_bytes(&b, 1280, false);
        for (size_t i = 0; i < 128; i++)
            pieces[i] = take(&b, 10);
        /* Three pieces a range, until the set has no slot left. */
        for (n = 0; b.pending.head + b.pending.n < b.pending.cap || n % 4 != 3; n++)
            if (n % 4 != 3)
                lost(&b, &pieces[n]);
        ranges = b.pending.n;
        a.fail_at = a.requests + nth;
        assert_int_equal(vly_sendbuf_on_acked(&b, &pieces[5]), VLY_E_NOMEM);
        vly_sendbuf_check(&b);
        assert_int_equal(b.pending.n, ranges);
        assert_int_equal(b.acked.n, 0);
        acked(&b, &pieces[5]);
        assert_int_equal(b.pending.n, ranges + 1);
        assert_int_equal(b.acked.n, 1);
        vly_sendbuf_fini(&b);
    }
}

static void test_sendbuf_drop(void **state)
{
    struct vly_send_piece pieces[3];
    struct test_counting_alloc a;
    struct vly_sendbuf b;
    size_t len = 1;
    uint8_t *p;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_sendbuf_init(&b, &a.alloc, 0);
    write_bytes(&b, 400, true);
    for (size_t i = 0; i < 3; i++)
        pieces[i] = take(&b, 100);
    vly_sendbuf_drop(&b);
    vly_sendbuf_check(&b);
    assert_int_equal(a.live_bytes, 0);
    assert_int_equal(b.sent_end, 300);
    assert_int_equal(vly_sendbuf_held_bytes(&b), 0);
    assert_int_equal(vly_sendbuf_reserve(&b, &p, &len), VLY_E_STATE);
    acked(&b, &pieces[1]);
    lost(&b, &pieces[0]);
    lost(&b, &(struct vly_send_piece){200, 100, true});
    assert_false(vly_sendbuf_has_pending(&b));
    acked(&b, &(struct vly_send_piece){200, 100, true});
    assert_int_equal(a.live_bytes, 0);
    vly_sendbuf_fini(&b);
}

/* Every second piece acknowledged: the sets are capped, and the cap is an error, not a crash. */
static void test_sendbuf_too_many_ranges(void **state)
{
    struct vly_sendbuf b;
    uint64_t n = 0;
    int err = 0;

    (void)state;
    vly_sendbuf_init(&b, &test_alloc, 0);
    write_bytes(&b, 2 * VLY_SENDBUF_RANGES_MAX + 10, false);
    while (vly_sendbuf_has_pending(&b))
        (void)take(&b, BLOCK);
    for (; err == 0; n++)
        err = vly_sendbuf_on_acked(&b, &(struct vly_send_piece){2 * n + 1, 1, false});
    assert_int_equal(err, VLY_E_LIMIT);
    assert_int_equal(n - 1, VLY_SENDBUF_RANGES_MAX);
    vly_sendbuf_check(&b);
    vly_sendbuf_fini(&b);
}

/* RULE 40: after a failure the same call succeeds, and nothing was lost in between. */
static void test_sendbuf_out_of_memory(void **state)
{
    bool failed = true;

    (void)state;
    for (uint64_t fail_at = 1; failed; fail_at++) {
        struct vly_send_piece pieces[40];
        struct test_counting_alloc a;
        struct vly_sendbuf b;
        size_t len = 0;

        test_counting_alloc_init(&a, fail_at);
        vly_sendbuf_init(&b, &a.alloc, 0);
        failed = false;
        while (b.end < 6 * BLOCK) {
            uint8_t *p;

            len = BLOCK;
            if (vly_sendbuf_reserve(&b, &p, &len) == VLY_E_NOMEM) {
                failed = true;
                continue;
            }
            for (size_t i = 0; i < len; i++)
                p[i] = byte_of(b.end + i);
            while (vly_sendbuf_commit(&b, len, b.end + len == 6 * BLOCK) == VLY_E_NOMEM)
                failed = true;
            vly_sendbuf_check(&b);
        }
        for (size_t i = 0; i < 40; i++)
            pieces[i] = take(&b, BLOCK / 8);
        for (size_t i = 0; i < 40; i += 2)
            while (vly_sendbuf_on_lost(&b, &pieces[i]) == VLY_E_NOMEM)
                failed = true;
        for (size_t i = 0; i < 40; i += 2)
            while (vly_sendbuf_on_acked(&b, &pieces[39 - i]) == VLY_E_NOMEM) {
                assert_int_equal(vly_sendbuf_held_bytes(&b), 6 * BLOCK);
                vly_sendbuf_check(&b);
                failed = true;
            }
        while (vly_sendbuf_has_pending(&b)) {
            struct vly_send_piece piece = take(&b, BLOCK);

            while (vly_sendbuf_on_acked(&b, &piece) == VLY_E_NOMEM)
                failed = true;
        }
        assert_true(vly_sendbuf_is_done(&b));
        vly_sendbuf_fini(&b);
        assert_int_equal(a.live_blocks, 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sendbuf_in_order),
        cmocka_unit_test(test_sendbuf_memory_follows_what_is_held),
        cmocka_unit_test(test_sendbuf_ring_turns_and_grows),
        cmocka_unit_test(test_sendbuf_reserve_is_contiguous),
        cmocka_unit_test(test_sendbuf_lent_between_blocks),
        cmocka_unit_test(test_sendbuf_lend_instead_of_filling),
        cmocka_unit_test(test_sendbuf_ends_at_the_largest_offset),
        cmocka_unit_test(test_sendbuf_peek_keeps_within_flow_control),
        cmocka_unit_test(test_sendbuf_end_of_stream),
        cmocka_unit_test(test_sendbuf_lost_around_acknowledged),
        cmocka_unit_test(test_sendbuf_spurious_loss_is_not_sent_again),
        cmocka_unit_test(test_sendbuf_spurious_loss_without_memory),
        cmocka_unit_test(test_sendbuf_drop),
        cmocka_unit_test(test_sendbuf_too_many_ranges),
        cmocka_unit_test(test_sendbuf_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
