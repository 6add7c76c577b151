/*
 * shared: the queues that the connections of an endpoint share: events, answers, what is ready.
 */
#include "proto/shared.h"

#include "proto/conn_internal.h"
#include "support/support.h"

static int push(struct vly_shared *sh, struct vly_conn *c, uint64_t offset)
{
    return vly_events_push(
        sh, &(struct vly_queued_event){.type = VLY_EV_DATA, .conn = c, .offset = offset});
}

static void shared_init(struct vly_shared *sh, struct test_counting_alloc *a, uint64_t fail_at)
{
    test_counting_alloc_init(a, fail_at);
    *sh = (struct vly_shared){.alloc = &a->alloc};
}

static void shared_fini(struct vly_shared *sh, const struct test_counting_alloc *a)
{
    if (sh->events.ring != NULL)
        sh->alloc->resize(sh->alloc->ctx, sh->events.ring,
                          sh->events.cap * sizeof(*sh->events.ring), 0);
    assert_int_equal(a->live_blocks, 0);
}

/* ---- events ---- */

/* First in, first out, whatever the ring's head is when it grows. */
static void test_shared_events_in_order(void **state)
{
    (void)state;
    for (uint64_t head = 0; head < 64; head += 9) {
        struct test_counting_alloc a;
        struct vly_shared sh;
        struct vly_queued_event ev;

        shared_init(&sh, &a, 0);
        assert_false(vly_events_pop(&sh, &ev));
        for (uint64_t i = 0; i < head; i++) {
            assert_int_equal(push(&sh, NULL, 0), 0);
            assert_true(vly_events_pop(&sh, &ev));
        }
        for (uint64_t i = 0; i < 1000; i++)
            assert_int_equal(push(&sh, NULL, i), 0);
        for (uint64_t i = 0; i < 1000; i++) {
            assert_true(vly_events_pop(&sh, &ev));
            assert_int_equal(ev.offset, i);
        }
        assert_false(vly_events_pop(&sh, &ev));
        shared_fini(&sh, &a);
    }
}

static void test_shared_events_of_a_connection_are_forgotten(void **state)
{
    struct test_counting_alloc a;
    struct vly_conn one, two;
    struct vly_queued_event ev;
    struct vly_shared sh;

    (void)state;
    shared_init(&sh, &a, 0);
    vly_events_forget(&sh, &one);
    for (uint64_t i = 0; i < 100; i++) /* around the ring's end */
        if (push(&sh, &one, i) == 0 && i < 50)
            assert_true(vly_events_pop(&sh, &ev));
    for (uint64_t i = 100; i < 110; i++)
        assert_int_equal(push(&sh, i % 3 == 0 ? &two : &one, i), 0);
    vly_events_forget(&sh, &one);
    for (uint64_t i = 102; i < 110; i += 3) {
        assert_true(vly_events_pop(&sh, &ev));
        assert_ptr_equal(ev.conn, &two);
        assert_int_equal(ev.offset, i);
    }
    assert_false(vly_events_pop(&sh, &ev));
    shared_fini(&sh, &a);
}

static void test_shared_events_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 3; n++) {
        struct test_counting_alloc a;
        struct vly_queued_event ev;
        struct vly_shared sh;
        unsigned failed = 0;

        shared_init(&sh, &a, n);
        for (uint64_t i = 0; i < 200; i++) {
            int err = push(&sh, NULL, i);

            if (err == 0)
                continue;
            assert_int_equal(err, VLY_E_NOMEM);
            assert_int_equal(push(&sh, NULL, i), 0);
            failed++;
        }
        assert_int_equal(failed, 1);
        for (uint64_t i = 0; i < 200; i++) {
            assert_true(vly_events_pop(&sh, &ev));
            assert_int_equal(ev.offset, i);
        }
        shared_fini(&sh, &a);
    }
}

/* ---- answers ---- */

/* RULE 37: so many slots, and not one more. */
static void test_shared_replies_are_few(void **state)
{
    static struct vly_replies r;

    (void)state;
    r.head = VLY_REPLIES_MAX - 3;
    for (unsigned i = 0; i < VLY_REPLIES_MAX; i++) {
        struct vly_reply *slot = vly_replies_free_slot(&r);

        assert_ptr_equal(slot, &r.slot[(r.head + i) % VLY_REPLIES_MAX]);
        r.n++;
    }
    assert_null(vly_replies_free_slot(&r));
    r.head = (r.head + 1) % VLY_REPLIES_MAX;
    r.n--;
    assert_non_null(vly_replies_free_slot(&r));
}

/* ---- ready ---- */

static void test_shared_ready_list(void **state)
{
    static struct vly_conn c[3];
    struct vly_shared sh = {0};

    (void)state;
    assert_null(vly_ready_pop(&sh));
    for (unsigned round = 0; round < 2; round++) {
        vly_ready_push(&sh, &c[1]);
        vly_ready_push(&sh, &c[0]);
        vly_ready_push(&sh, &c[1]); /* is in it already */
        vly_ready_push_first(&sh, &c[0]);
        vly_ready_push(&sh, &c[2]);
        assert_ptr_equal(vly_ready_pop(&sh), &c[1]);
        vly_ready_push(&sh, &c[1]);
        assert_ptr_equal(vly_ready_pop(&sh), &c[0]);
        assert_ptr_equal(vly_ready_pop(&sh), &c[2]);
        assert_ptr_equal(vly_ready_pop(&sh), &c[1]);
        assert_null(vly_ready_pop(&sh));
        assert_int_equal(sh.ready_n, 0);
        vly_ready_push_first(&sh, &c[2]); /* the head and the tail */
        vly_ready_push(&sh, &c[0]);
        vly_ready_push_first(&sh, &c[1]);
        assert_ptr_equal(vly_ready_pop(&sh), &c[1]);
        assert_ptr_equal(vly_ready_pop(&sh), &c[2]);
        assert_ptr_equal(vly_ready_pop(&sh), &c[0]);
        assert_null(vly_ready_pop(&sh));
    }
}

/* Whoever is taken out, the others keep their places. */
static void test_shared_ready_list_without_one(void **state)
{
    static struct vly_conn c[4];

    (void)state;
    for (size_t out = 0; out < 3; out++) {
        struct vly_shared sh = {0};

        for (size_t i = 0; i < 3; i++)
            vly_ready_push(&sh, &c[i]);
        vly_ready_remove(&sh, &c[out]);
        vly_ready_remove(&sh, &c[out]); /* is not in it */
        assert_int_equal(sh.ready_n, 2);
        vly_ready_push(&sh, &c[3]);
        for (size_t i = 0; i < 4; i++) {
            if (i != out)
                assert_ptr_equal(vly_ready_pop(&sh), &c[i]);
        }
        assert_null(vly_ready_pop(&sh));
        assert_int_equal(sh.ready_n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_events_in_order),
        cmocka_unit_test(test_shared_events_of_a_connection_are_forgotten),
        cmocka_unit_test(test_shared_events_out_of_memory),
        cmocka_unit_test(test_shared_replies_are_few),
        cmocka_unit_test(test_shared_ready_list),
        cmocka_unit_test(test_shared_ready_list_without_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
