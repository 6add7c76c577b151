/*
 * stream: the table of open streams and the queue of those with something to send.
 */
#include "proto/stream.h"

#include "support/support.h"

static struct vly_stream *add(struct vly_streams *t, uint64_t id)
{
    struct vly_stream *s = NULL;

    assert_int_equal(vly_streams_add(t, id, 0, &s), 0);
    assert_int_equal(s->id, id);
    return s;
}

static void test_stream_table_adds_finds_removes(void **state)
{
    struct test_counting_alloc a;
    struct vly_streams t;

    (void)state;
    test_counting_alloc_init(&a, 0);
    vly_streams_init(&t, &a.alloc);
    assert_null(vly_streams_find(&t, 0));
    for (uint64_t id = 0; id < 1000; id++)
        add(&t, id);
    for (uint64_t id = 0; id < 1000; id += 3)
        vly_streams_remove(&t, vly_streams_find(&t, id));
    assert_int_equal(t.n, 666);
    for (uint64_t id = 0; id < 1001; id++) {
        const struct vly_stream *s = vly_streams_find(&t, id);

        assert_int_equal(s != NULL, id < 1000 && id % 3 != 0);
        assert_true(s == NULL || s->id == id);
    }
    vly_streams_fini(&t);
    assert_int_equal(a.live_blocks, 0);
}

/* Random adds and removes against an array of what there is: the holes that removing leaves must
 * not hide anything. */
static void test_stream_table_against_a_model(void **state)
{
    bool there[400] = {false};
    struct vly_streams t;
    struct vly_prng prng;
    size_t n = 0;

    (void)state;
    vly_prng_init(&prng, test_seed());
    vly_streams_init(&t, &test_alloc);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t k = vly_prng_below(&prng, ARRAY_LEN(there));
        uint64_t id = k * UINT64_C(0x100000001); /* ids far apart, too */
        size_t seen = 0;

        if (there[k])
            vly_streams_remove(&t, vly_streams_find(&t, id));
        else
            add(&t, id);
        there[k] = !there[k];
        n += there[k] ? 1 : (size_t)-1;
        assert_int_equal(t.n, n);
        assert_int_equal(vly_streams_find(&t, id) != NULL, there[k]);
        if (i % 100 != 0)
            continue;
        for (size_t slot = 0; slot < t.cap; slot++)
            seen += vly_streams_slot(&t, slot) != NULL;
        assert_int_equal(seen, n);
        for (k = 0; k < ARRAY_LEN(there); k++)
            assert_int_equal(vly_streams_find(&t, k * UINT64_C(0x100000001)) != NULL, there[k]);
    }
    vly_streams_fini(&t);
}

static void test_stream_table_out_of_memory(void **state)
{
    struct test_counting_alloc a;
    struct vly_streams t;
    struct vly_stream *s;

    (void)state;
    for (uint64_t n = 1; n <= 20; n++) {
        unsigned failed = 0;

        test_counting_alloc_init(&a, n);
        vly_streams_init(&t, &a.alloc);
        for (uint64_t id = 0; id < 20; id++) {
            if (vly_streams_add(&t, id, 0, &s) == 0)
                continue;
            failed++;
            assert_null(vly_streams_find(&t, id));
            add(&t, id);
        }
        assert_int_equal(failed, 1);
        for (uint64_t id = 0; id < 20; id++)
            assert_non_null(vly_streams_find(&t, id));
        vly_streams_fini(&t);
        assert_int_equal(a.live_blocks, 0);
    }
}

/* ---- send queue ---- */

static void assert_queue(struct vly_streams *t, const char *ids)
{
    for (; *ids != '\0'; ids++) {
        struct vly_stream *s = vly_streams_pop(t);

        assert_non_null(s);
        assert_int_equal(s->id, *ids - '0');
        assert_false(s->queued);
    }
    assert_null(vly_streams_pop(t));
}

static void test_stream_queue_is_first_in_first_out(void **state)
{
    struct vly_streams t;
    struct vly_stream *s[5];

    (void)state;
    vly_streams_init(&t, &test_alloc);
    for (uint64_t id = 0; id < 5; id++)
        s[id] = add(&t, id);
    assert_queue(&t, "");
    vly_streams_push(&t, s[2]);
    vly_streams_push(&t, s[0]);
    vly_streams_push(&t, s[2]); /* is in it already */
    vly_streams_push(&t, s[4]);
    assert_queue(&t, "204");
    vly_streams_push(&t, s[1]);
    assert_queue(&t, "1");
    vly_streams_fini(&t);
}

/* Out of its middle, at both ends, alone, and not at all. */
static void test_stream_queue_unqueue(void **state)
{
    static const struct {
        const char *name;
        uint64_t out;
        const char *left;
    } cases[] = {
        {"first", 0, "123"}, {"middle", 2, "013"}, {"last", 3, "012"}, {"none", 4, "0123"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_streams t;

        print_message("  %s\n", cases[i].name);
        vly_streams_init(&t, &test_alloc);
        for (uint64_t id = 0; id < 5; id++) {
            struct vly_stream *s = add(&t, id);

            if (id < 4)
                vly_streams_push(&t, s);
        }
        vly_streams_unqueue(&t, vly_streams_find(&t, cases[i].out));
        vly_streams_remove(&t, vly_streams_find(&t, cases[i].out));
        assert_queue(&t, cases[i].left);
        vly_streams_push(&t, vly_streams_find(&t, 1)); /* the tail was right */
        vly_streams_unqueue(&t, vly_streams_find(&t, 1));
        assert_queue(&t, "");
        vly_streams_fini(&t);
    }
}

static void test_stream_is_over_when_both_directions_are(void **state)
{
    static const struct {
        enum vly_stream_send sent;
        enum vly_stream_recv received;
        bool need_stop, over;
    } cases[] = {
        {VLY_SEND_DONE, VLY_RECV_DONE, false, true},
        {VLY_SEND_DONE, VLY_RECV_DONE, true, false},
        {VLY_SEND_OPEN, VLY_RECV_DONE, false, false},
        {VLY_SEND_RESET, VLY_RECV_DONE, false, false},
        {VLY_SEND_DONE, VLY_RECV_OPEN, false, false},
        {VLY_SEND_DONE, VLY_RECV_STOPPED, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct vly_stream s = {.send_state = cases[i].sent,
                                     .recv_state = cases[i].received,
                                     .need_stop = cases[i].need_stop};

        assert_int_equal(vly_stream_is_over(&s), cases[i].over);
        assert_int_equal(vly_stream_has_control(&s), cases[i].need_stop);
    }
    assert_true(vly_stream_has_control(&(struct vly_stream){.need_reset = true}));
    assert_true(vly_stream_has_control(&(struct vly_stream){.need_max = true}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_table_adds_finds_removes),
        cmocka_unit_test(test_stream_table_against_a_model),
        cmocka_unit_test(test_stream_table_out_of_memory),
        cmocka_unit_test(test_stream_queue_is_first_in_first_out),
        cmocka_unit_test(test_stream_queue_unqueue),
        cmocka_unit_test(test_stream_is_over_when_both_directions_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
