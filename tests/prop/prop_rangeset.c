/*
 * A rangeset against the plainest model: one bool for each number.
 *
 * Random adds, removes and trims over a small universe, at the low end of the numbers, somewhere in
 * the middle, and at the very top; with small limits, and with memory that runs out.
 */
#include "support/support.h"

#include "proto/rangeset.h"

#include <string.h>

#define UNIVERSE 200
#define RUNS 300
#define STEPS 300

struct model {
    uint64_t base;
    bool has[UNIVERSE];
};

static size_t model_ranges(const struct model *m)
{
    size_t n = 0;

    for (size_t i = 0; i < UNIVERSE; i++)
        n += m->has[i] && (i == 0 || !m->has[i - 1]);
    return n;
}

/* The ranges of the set are those of the model, in order. */
static void assert_equal(const struct vly_rangeset *s, const struct model *m)
{
    size_t i = 0;
    uint64_t count = 0;

    assert_int_equal(s->n, model_ranges(m));
    for (size_t r = 0; r < s->n; r++) {
        for (; i < UNIVERSE && !m->has[i]; i++)
            continue;
        assert_true(s->r[r].begin == m->base + i);
        for (; i < UNIVERSE && m->has[i]; i++)
            count++;
        assert_true(s->r[r].end == m->base + i);
    }
    assert_true(vly_rangeset_count(s) == count);
}

static void assert_queries(const struct vly_rangeset *s, const struct model *m, size_t begin,
                           size_t end)
{
    struct vly_range gap = {0, 0};
    size_t gap_begin = begin;
    size_t gap_end;
    bool has_gap;

    while (gap_begin < end && m->has[gap_begin])
        gap_begin++;
    for (gap_end = gap_begin; gap_end < end && !m->has[gap_end];)
        gap_end++;
    has_gap = gap_begin < end;
    assert_int_equal(vly_rangeset_covers(s, m->base + begin, m->base + end), !has_gap);
    assert_int_equal(vly_rangeset_next_gap(s, m->base + begin, m->base + end, &gap), has_gap);
    if (has_gap)
        assert_true(gap.begin == m->base + gap_begin && gap.end == m->base + gap_end);
    if (begin < UNIVERSE) {
        size_t i = vly_rangeset_find(s, m->base + begin);

        assert_int_equal(vly_rangeset_has(s, m->base + begin), m->has[begin]);
        assert_true(i == s->n || s->r[i].end > m->base + begin);
        assert_true(i == 0 || s->r[i - 1].end <= m->base + begin);
    }
}

/* Adds or removes in both; a refusal must be the model's, or of memory, and change nothing. */
static void edit(struct vly_rangeset *s, struct model *m, bool add, const size_t range[2])
{
    struct model after = *m;
    uint64_t begin = m->base + range[0];
    uint64_t end = m->base + range[1];
    int err;

    for (size_t i = range[0]; i < range[1]; i++)
        after.has[i] = add;
    err = add ? vly_rangeset_add(s, begin, end) : vly_rangeset_remove(s, begin, end);
    if (model_ranges(&after) > s->max)
        assert_int_equal(err, VLY_E_LIMIT);
    else if (err != 0)
        assert_int_equal(err, VLY_E_NOMEM);
    if (err == 0)
        *m = after;
}

static void step(struct vly_rangeset *s, struct model *m, struct vly_prng *p)
{
    uint64_t longest = vly_prng_chance(p, 0.2) ? UNIVERSE : 6;
    size_t begin = (size_t)vly_prng_below(p, UNIVERSE + 1);
    size_t end = begin + (size_t)vly_prng_below(p, longest);
    uint64_t what = vly_prng_below(p, 100);

    if (end > UNIVERSE)
        end = UNIVERSE;
    if (what < 55) {
        edit(s, m, true, (const size_t[]){begin, end});
    } else if (what < 90) {
        edit(s, m, false, (const size_t[]){begin, end});
    } else if (what < 99) {
        size_t floor = (size_t)vly_prng_below(p, 20);

        vly_rangeset_trim(s, m->base + floor);
        memset(m->has, 0, floor * sizeof(m->has[0]));
    } else {
        vly_rangeset_clear(s);
        memset(m->has, 0, sizeof(m->has));
    }
    assert_equal(s, m);
    assert_queries(s, m, begin, end);
}

static void test_rangeset_equals_the_bitmap(void **state)
{
    static const uint64_t bases[] = {0, UINT64_C(1) << 40, UINT64_MAX - UNIVERSE};
    static const size_t limits[] = {1, 5, 9, 40, 1000};
    uint64_t seed = test_seed();

    (void)state;
    for (uint64_t run = 0; run < RUNS; run++) {
        struct vly_prng p;
        struct test_counting_alloc a;
        struct vly_rangeset s;
        struct model m = {.base = bases[run % ARRAY_LEN(bases)]};

        vly_prng_init(&p, vly_prng_fork(seed, run));
        test_counting_alloc_init(&a, vly_prng_below(&p, 8));
        vly_rangeset_init(&s, &a.alloc, limits[vly_prng_below(&p, ARRAY_LEN(limits))]);
        for (unsigned i = 0; i < STEPS; i++)
            step(&s, &m, &p);
        vly_rangeset_fini(&s);
        assert_int_equal(a.live_bytes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rangeset_equals_the_bitmap)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
