/*
 * An ackset against one bool for each packet number.
 *
 * A sender's numbers reach the receiver late, twice or never, as a random path pleases; FLOOR moves
 * up now and then. RULE 11: each number is accepted at most once. RULE 16: the ranges of an ACK
 * hold what was processed and nothing else. RULE 19: never more than 256 ranges.
 */
#include "support/support.h"

#include "proto/ackset.h"

#define UNIVERSE 3000
#define RUNS 12

struct model {
    bool processed[UNIVERSE]; /* ever */
    bool known[UNIVERSE];     /* and not forgotten */
    uint64_t floor;
};

static size_t model_ranges(const struct model *m)
{
    size_t n = 0;

    for (size_t i = 0; i < UNIVERSE; i++)
        n += m->known[i] && (i == 0 || !m->known[i - 1]);
    return n;
}

static void model_set_floor(struct model *m, uint64_t floor)
{
    for (; m->floor < floor; m->floor++)
        m->known[m->floor] = false;
}

/* Forgets the oldest range, and that there was room for anything below its end. */
static void model_forget_oldest(struct model *m)
{
    uint64_t end = m->floor;

    while (!m->known[end])
        end++;
    while (end < UNIVERSE && m->known[end])
        end++;
    model_set_floor(m, end);
}

static void model_add(struct model *m, uint64_t pn)
{
    m->processed[pn] = true;
    m->known[pn] = true;
    if (model_ranges(m) > VLY_ACKSET_MAX)
        model_forget_oldest(m);
}

static int model_test(const struct model *m, uint64_t pn)
{
    if (pn < m->floor)
        return VLY_E_STALE;
    return m->known[pn] ? VLY_E_DUPLICATE : 0;
}

static void assert_equal(const struct vly_ackset *set, const struct model *m)
{
    struct vly_ack_fields fields = {.n_ranges = 0};
    uint64_t i = 0;

    assert_int_equal(vly_ackset_fields(set, 0, &fields), model_ranges(m) > 0);
    assert_int_equal(fields.n_ranges, model_ranges(m));
    assert_true(fields.n_ranges <= VLY_ACKSET_MAX);
    assert_true(set->floor == m->floor);
    for (size_t r = 0; r < fields.n_ranges; r++) {
        for (; i < UNIVERSE && !m->known[i]; i++)
            continue;
        assert_true(fields.ranges[r].begin == i);
        for (; i < UNIVERSE && m->known[i]; i++)
            assert_true(m->processed[i]);
        assert_true(fields.ranges[r].end == i);
    }
}

static void receive(struct vly_ackset *set, struct model *m, uint64_t pn, struct vly_prng *p)
{
    int want = model_test(m, pn);

    assert_int_equal(vly_ackset_test(set, pn), want);
    if (want != 0)
        return;
    assert_false(m->processed[pn]);
    model_add(m, pn);
    vly_ackset_add(set, pn, pn, vly_prng_chance(p, 0.5), VLY_ECN_NONE, 1000);
}

/* The next number to arrive: mostly near the newest one, sometimes anywhere. */
static uint64_t next_arrival(uint64_t newest, uint64_t reach, struct vly_prng *p)
{
    uint64_t back = vly_prng_below(p, vly_prng_chance(p, 0.1) ? UNIVERSE : reach);

    return newest > back ? newest - back : 0;
}

static void run(uint64_t seed)
{
    struct vly_prng p;
    struct vly_ackset set;
    static struct model m;
    uint64_t reach;
    double loss;

    m = (struct model){.floor = 0};
    vly_prng_init(&p, seed);
    vly_ackset_init(&set);
    reach = 1 + vly_prng_below(&p, 40);
    loss = vly_prng_unit(&p) * 0.6;
    for (uint64_t newest = 0; newest < UNIVERSE; newest++) {
        if (!vly_prng_chance(&p, loss))
            receive(&set, &m, newest, &p);
        if (vly_prng_chance(&p, 0.3))
            receive(&set, &m, next_arrival(newest, reach, &p), &p);
        if (vly_prng_chance(&p, 0.002)) {
            uint64_t floor = next_arrival(newest, 1000, &p);

            vly_ackset_set_floor(&set, floor);
            model_set_floor(&m, floor);
        }
        if (newest % 16 == 0 || newest > UNIVERSE - 100)
            assert_equal(&set, &m);
    }
}

static void test_ackset_equals_the_bitmap(void **state)
{
    uint64_t seed = test_seed();

    (void)state;
    for (uint64_t i = 0; i < RUNS; i++)
        run(vly_prng_fork(seed, i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ackset_equals_the_bitmap)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
