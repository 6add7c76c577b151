/*
 * The memory of a driver's batches: none is filled anew while the kernel may still read it.
 */
#include "net/batches.h"
#include "support/support.h"

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define CONNS 3
#define LENT_MAX (VLY_BATCHES - 1)

/* In place of the engine's: what its connections, of the ids 0 to 2, have settled. */
struct vly_endpoint {
    uint64_t settled_pn[CONNS];
};

bool vly_endpoint_has_settled(const struct vly_endpoint *ep, uint64_t cid, uint64_t end_pn)
{
    assert_true(cid < CONNS);
    return ep->settled_pn[cid] >= end_pn;
}

struct lent {
    const struct vly_batch *batch;
    uint64_t cid, end_pn;
};

struct bench {
    struct vly_batches batches;
    struct vly_endpoint ep;
    uint64_t next_pn[CONNS];
    struct lent lent[LENT_MAX]; /* not settled when last looked at */
    unsigned n_lent;
};

static void bench_init(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    assert_int_equal(vly_batches_init(&b->batches), 0);
}

/* Fills the batch at hand and lends it. Returns its number, which is that of its last packet. */
static uint64_t lend(struct bench *b, uint64_t cid)
{
    struct vly_batch *batch = vly_batches_now(&b->batches);

    assert_true(b->n_lent < LENT_MAX);
    batch->cid = cid;
    batch->end_pn = b->next_pn[cid] += 44;
    b->lent[b->n_lent++] = (struct lent){batch, cid, batch->end_pn};
    vly_batches_lend(&b->batches);
    return batch->end_pn;
}

static bool may_lend(struct bench *b)
{
    return vly_batches_may_lend(&b->batches, &b->ep);
}

static void settle_all(struct bench *b)
{
    memcpy(b->ep.settled_pn, b->next_pn, sizeof(b->next_pn));
    b->n_lent = 0;
}

static void test_batches_begin_with_a_page_and_share_none(void **state)
{
    const uint8_t *at[VLY_BATCHES];
    struct bench b;

    (void)state;
    bench_init(&b);
    for (unsigned i = 0; i < VLY_BATCHES; i++) {
        struct vly_batch *batch = vly_batches_now(&b.batches);

        at[i] = batch->data;
        assert_int_equal((uintptr_t)at[i] % PAGE_BYTES, 0);
        memset(batch, (int)i, sizeof(*batch));
        for (unsigned k = 0; k < i; k++) {
            assert_true(at[k] + sizeof(*batch) <= at[i] || at[i] + sizeof(*batch) <= at[k]);
            assert_int_equal(*at[k], k);
        }
        if (i < LENT_MAX)
            lend(&b, 0);
    }
    vly_batches_fini(&b.batches);
}

static void test_batches_used_last_are_used_next(void **state)
{
    const struct vly_batch *lent[5];
    struct bench b;

    (void)state;
    bench_init(&b);
    for (size_t i = 0; i < ARRAY_LEN(lent); i++) {
        lent[i] = vly_batches_now(&b.batches);
        assert_true(may_lend(&b));
        lend(&b, 0);
    }
    settle_all(&b);
    assert_true(may_lend(&b));
    for (size_t i = ARRAY_LEN(lent); i-- > 0;) {
        lend(&b, 0);
        assert_ptr_equal(vly_batches_now(&b.batches), lent[i]);
    }
    vly_batches_fini(&b.batches);
}

/* One that is acknowledged before the next is filled is the only other one in use. */
static void test_batches_take_turns_where_they_settle_at_once(void **state)
{
    const struct vly_batch *in_use[2];
    struct bench b;

    (void)state;
    bench_init(&b);
    for (unsigned i = 0; i < 1000; i++) {
        if (i < 2)
            in_use[i] = vly_batches_now(&b.batches);
        assert_ptr_equal(vly_batches_now(&b.batches), in_use[i % 2]);
        assert_true(may_lend(&b));
        lend(&b, 0);
        settle_all(&b);
    }
    vly_batches_fini(&b.batches);
}

static void lend_for_ever(struct bench *b)
{
    struct vly_batch *batch = vly_batches_now(&b->batches);

    batch->cid = 1;
    batch->end_pn = UINT64_MAX;
    vly_batches_lend(&b->batches);
}

static void test_batches_keep_the_last_one(void **state)
{
    const struct vly_batch *first, *last;
    struct bench b;

    (void)state;
    bench_init(&b);
    first = vly_batches_now(&b.batches);
    for (unsigned i = 0; i < LENT_MAX; i++) {
        assert_true(may_lend(&b));
        lend(&b, 0);
    }
    last = vly_batches_now(&b.batches);
    assert_false(may_lend(&b));
    b.ep.settled_pn[0] = b.lent[0].end_pn - 1;
    assert_false(may_lend(&b));
    assert_ptr_equal(vly_batches_now(&b.batches), last);
    b.ep.settled_pn[0]++;
    assert_true(may_lend(&b));
    assert_ptr_equal(vly_batches_now(&b.batches), last);
    lend_for_ever(&b);
    assert_ptr_equal(vly_batches_now(&b.batches), first);
    assert_false(may_lend(&b));
    vly_batches_fini(&b.batches);
}

/* What connections 0 and 2 have lent settles, before and behind what connection 1 has: it keeps a
 * batch from being filled for each that it has lent, no more. */
static void test_batches_unsettled_hold_back_none_of_others(void **state)
{
    const struct vly_batch *held[2];
    struct bench b;

    (void)state;
    bench_init(&b);
    while (b.n_lent < LENT_MAX) {
        if (b.n_lent == 10 || b.n_lent == 30)
            held[b.n_lent == 30] = vly_batches_now(&b.batches);
        lend(&b, b.n_lent == 10 || b.n_lent == 30 ? 1 : b.n_lent % 2 * 2);
    }
    assert_false(may_lend(&b));
    b.ep.settled_pn[0] = b.ep.settled_pn[2] = UINT64_MAX;
    for (unsigned i = 0; i < LENT_MAX - 2; i++) {
        assert_true(may_lend(&b));
        assert_ptr_not_equal(vly_batches_now(&b.batches), held[0]);
        assert_ptr_not_equal(vly_batches_now(&b.batches), held[1]);
        lend_for_ever(&b);
    }
    assert_false(may_lend(&b));
    vly_batches_fini(&b.batches);
}

static void forget_settled(struct bench *b)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < b->n_lent; i++)
        if (!vly_endpoint_has_settled(&b->ep, b->lent[i].cid, b->lent[i].end_pn))
            b->lent[kept++] = b->lent[i];
    b->n_lent = kept;
}

static void assert_now_is_ours(const struct bench *b)
{
    const struct vly_batch *now = vly_batches_now(&b->batches);

    for (unsigned i = 0; i < b->n_lent; i++)
        if (!vly_endpoint_has_settled(&b->ep, b->lent[i].cid, b->lent[i].end_pn))
            assert_ptr_not_equal(now, b->lent[i].batch);
}

/* Times when much is lent alternate with times when much settles. */
static void test_batches_of_any_sequence(void **state)
{
    unsigned full = 0, empty = 0;
    struct vly_prng prng;
    struct bench b;

    (void)state;
    bench_init(&b);
    vly_prng_init(&prng, test_seed());
    for (unsigned step = 0; step < 20000; step++) {
        bool more = vly_prng_chance(&prng, step / 500 % 2 == 0 ? 0.95 : 0.4);

        if (!more && b.n_lent > 0) {
            const struct lent *l = &b.lent[vly_prng_below(&prng, b.n_lent)];

            if (b.ep.settled_pn[l->cid] < l->end_pn)
                b.ep.settled_pn[l->cid] = l->end_pn;
            assert_now_is_ours(&b);
            continue;
        }
        forget_settled(&b);
        assert_int_equal(may_lend(&b), b.n_lent < LENT_MAX);
        full += b.n_lent == LENT_MAX;
        empty += b.n_lent == 0;
        if (b.n_lent < LENT_MAX)
            lend(&b, vly_prng_below(&prng, CONNS));
        assert_now_is_ours(&b);
    }
    assert_true(full > 100);
    assert_true(empty > 100);
    vly_batches_fini(&b.batches);
}

/* What was lent stays as it was for whoever still reads it. */
static void test_batches_renew_keeps_the_batch_of_now(void **state)
{
    struct bench b;
    struct vly_batch *now;
    int pipe_fds[2];
    uint8_t read_late;

    (void)state;
    bench_init(&b);
    assert_int_equal(pipe(pipe_fds), 0);
    now = vly_batches_now(&b.batches);
    now->data[0] = 7;
    assert_int_equal(vmsplice(pipe_fds[1], &(struct iovec){now->data, 1}, 1, 0), 1);
    lend(&b, 1);
    now = vly_batches_now(&b.batches);
    now->data[0] = 8;
    now->len = 9;
    assert_int_equal(vly_batches_renew(&b.batches), 0);
    now = vly_batches_now(&b.batches);
    assert_int_equal(now->data[0], 8);
    assert_int_equal(now->len, 9);
    for (unsigned i = 0; i < LENT_MAX; i++) {
        assert_true(may_lend(&b));
        vly_batches_now(&b.batches)->data[0] = 1;
        lend_for_ever(&b);
    }
    assert_int_equal(read(pipe_fds[0], &read_late, 1), 1);
    assert_int_equal(read_late, 7);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    vly_batches_fini(&b.batches);
}

static void test_batches_fini_of_nothing(void **state)
{
    struct vly_batches none = {0};
    struct bench b;

    (void)state;
    vly_batches_fini(&none);
    bench_init(&b);
    vly_batches_fini(&b.batches);
    assert_null(b.batches.memory);
    vly_batches_fini(&b.batches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches_begin_with_a_page_and_share_none),
        cmocka_unit_test(test_batches_used_last_are_used_next),
        cmocka_unit_test(test_batches_take_turns_where_they_settle_at_once),
        cmocka_unit_test(test_batches_keep_the_last_one),
        cmocka_unit_test(test_batches_unsettled_hold_back_none_of_others),
        cmocka_unit_test(test_batches_renew_keeps_the_batch_of_now),
        cmocka_unit_test(test_batches_of_any_sequence),
        cmocka_unit_test(test_batches_fini_of_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
