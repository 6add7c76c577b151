/*
 * The client's address changes under way, as behind a NAT or when a laptop takes another network.
 * Interop link: 10 Mbit/s, 15 ms each way, 25 packets of queue; 10 MB take 8.1 s without trouble.
 *
 * The world holds the server to three times of what an address sent until the engine says that the
 * client is there (checks.h), so each of these tests asserts RULE 6 at each step.
 */
#include "support/scenario.h"

#define LINK \
    .rate_bytes_per_s = 10 * SCENARIO_MBIT, .delay_ns = VLY_MS(15), .queue_bytes = 25 * 1500
#define BYTES 10000000u
#define EVERY_NS VLY_S(1)
#define SEEDS 20u

/* Moves the client each second, `max` times. */
struct mover {
    struct scenario *s;
    unsigned number, step, moves, max;
};

static void move_on(void *ctx, uint64_t now_ns)
{
    struct mover *m = ctx;

    if (m->moves == m->max)
        return;
    m->moves++;
    m->number += m->step;
    vly_world_move(m->s->world, CLIENT, m->number);
    assert_int_equal(vly_world_at(m->s->world, now_ns + EVERY_NS, move_on, m), 0);
}

/* Runs it with a move in each second, `max` at most; where in the second depends on the seed. */
static void run_moving(struct scenario *s, struct mover *m, double loss)
{
    m->s = s;
    m->number = CLIENT;
    scenario_link(s, &(struct vly_link_spec){LINK, .loss = loss});
    scenario_build(s);
    assert_int_equal(vly_world_at(s->world, VLY_MS(500) + s->seed * VLY_MS(7), move_on, m), 0);
    scenario_transfer(s, &(struct vly_bulk_spec){.bytes = BYTES, .expect_answer = true});
    scenario_run(s, VLY_S(200));
}

/* RULE 6: another port each second. A client that has just acknowledged everything is silent for
 * 250 ms before it shows itself, else it is found by its next ACK; challenge, response and the
 * first packet to the new address take two round trips of at most 60 ms each: at most 0.4 s a move,
 * of which the queue, still full, gives back a part. */
static void test_rebind_port_each_second(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct mover m = {.step = 16, .max = 15};
        struct scenario s;

        scenario_init(&s, seed);
        run_moving(&s, &m, 0);
        assert_true(s.elapsed_ns < VLY_MS(8100) + m.moves * VLY_MS(400));
        assert_in_range(s.sender.path_changes, m.moves - 1, m.moves);
        assert_int_equal(s.sender.persistent_congestions, 0);
        scenario_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rebind_port_each_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
