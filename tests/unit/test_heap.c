/*
 * heap: events come out by time, equal times in the order they went in.
 */
#include "sim/heap.h"
#include "support/support.h"

#include <stdlib.h>

struct event {
    uint64_t at_ns;
    size_t order;
};

static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;

    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void test_heap_empty(void **state)
{
    struct vly_heap h;

    (void)state;
    vly_heap_init(&h);
    assert_int_equal(vly_heap_next_ns(&h), VLY_NEVER);
    assert_null(vly_heap_pop(&h));
    vly_heap_fini(&h);
}

/* All at once, against qsort: few different times, so that equal ones abound. */
static void test_heap_sorts(void **state)
{
    static struct event events[5000], sorted[ARRAY_LEN(events)];
    struct vly_prng p;
    struct vly_heap h;

    (void)state;
    vly_prng_init(&p, test_seed());
    vly_heap_init(&h);
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        events[i] = sorted[i] = (struct event){vly_prng_below(&p, 500), i};
        assert_int_equal(vly_heap_push(&h, events[i].at_ns, &events[i]), 0);
    }
    qsort(sorted, ARRAY_LEN(sorted), sizeof(sorted[0]), by_time);
    for (size_t i = 0; i < ARRAY_LEN(sorted); i++) {
        const struct event *e;

        assert_int_equal(vly_heap_next_ns(&h), sorted[i].at_ns);
        e = vly_heap_pop(&h);
        assert_int_equal(e->order, sorted[i].order);
    }
    assert_null(vly_heap_pop(&h));
    vly_heap_fini(&h);
}

/* As the simulator uses it: what is pushed is never before what was popped last. */
static void test_heap_runs(void **state)
{
    static struct event events[20000];
    struct event last = {0, 0};
    size_t pushed = 0, popped = 0;
    struct vly_prng p;
    struct vly_heap h;

    (void)state;
    vly_prng_init(&p, test_seed());
    vly_heap_init(&h);
    while (popped < ARRAY_LEN(events)) {
        if (pushed < ARRAY_LEN(events) && (h.n == 0 || vly_prng_chance(&p, 0.52))) {
            struct event *e = &events[pushed];

            *e = (struct event){last.at_ns + vly_prng_below(&p, 50), pushed++};
            assert_int_equal(vly_heap_push(&h, e->at_ns, e), 0);
        } else {
            const struct event *e = vly_heap_pop(&h);

            assert_true(popped == 0 || by_time(&last, e) < 0);
            last = *e;
            popped++;
        }
    }
    vly_heap_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_empty),
        cmocka_unit_test(test_heap_sorts),
        cmocka_unit_test(test_heap_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
