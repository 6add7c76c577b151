/*
 * The client's address changes under way, as behind a NAT or when a laptop takes another network.
 * Interop link: 10 Mbit/s, 15 ms each way, 25 packets of queue; 10 MB take 8.1 s without trouble.
 *
 * The world holds the server to three times of what an address sent until the engine says that the
 * client is there (checks.h), so each of these tests asserts RULE 6 at each step.
 */
#include "support/scenario.h"
#include "support/sealed.h"

#define LINK \
    .rate_bytes_per_s = 10 * SCENARIO_MBIT, .delay_ns = VLY_MS(15), .queue_bytes = 25 * 1500
#define BYTES 10000000u
#define EVERY_NS VLY_S(1)
#define SEEDS 6u

/* Moves the client each second, `max` times. */
struct mover {
    struct scenario *s;
    unsigned number, step, moves, max;
};

#define PORT 16u /* steps of the number: another port, another host */
#define HOST 1u

static void move_on(void *ctx, uint64_t now_ns)
{
    struct mover *m = ctx;

    if (m->moves == m->max)
        return;
    m->moves++;
    m->number += m->step;
    if (m->number == SERVER)
        m->number += m->step;
    vly_world_move(m->s->world, CLIENT, m->number);
    assert_int_equal(vly_world_at(m->s->world, now_ns + EVERY_NS, move_on, m), 0);
}

/* Runs a transfer with a move in each second, `max` at most; where in the second depends on the
 * seed. */
static void run_moving(struct scenario *s, struct mover *m, enum vly_method method, double loss)
{
    m->s = s;
    m->number = CLIENT;
    sealed_config(&s->config[CLIENT], method);
    sealed_config(&s->config[SERVER], method);
    scenario_link(s, &(struct vly_link_spec){LINK, .loss = loss});
    scenario_build(s);
    assert_int_equal(vly_world_at(s->world, VLY_MS(500) + s->seed * VLY_MS(7), move_on, m), 0);
    scenario_transfer(s, &(struct vly_bulk_spec){.bytes = BYTES, .expect_answer = true});
    scenario_run(s, VLY_S(200));
}

/* RULE 6: another port each second. A client that has just acknowledged everything is silent for
 * 250 ms before it shows itself, else it is found by its next ACK; challenge, response and the
 * first packet to the new address take two round trips of at most 60 ms (the queue). That is less
 * than 0.4 s a move; the window stays what it was. */
static void test_rebind_port_each_second(void **state)
{
    static const enum vly_method methods[] = {VLY_METHOD_NONE, VLY_METHOD_KEYS};

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct mover m = {.step = PORT, .max = 15};
        struct scenario s;

        scenario_init(&s, seed);
        run_moving(&s, &m, methods[seed % 2], 0);
        assert_true(s.elapsed_ns < VLY_MS(8200) + m.moves * VLY_MS(400));
        assert_in_range(s.sender.path_changes, m.moves - 1, m.moves);
        assert_int_equal(s.sender.persistent_congestions, 0);
        scenario_fini(&s);
    }
}

/* RULE 6: another host each second, that is another network: the window starts at ten packets and
 * takes two round trips to be worth the path's 25 again: 0.5 s a move. */
static void test_rebind_host_each_second(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct mover m = {.step = HOST, .max = 14};
        struct scenario s;

        scenario_init(&s, seed);
        run_moving(&s, &m, VLY_METHOD_KEYS, 0);
        assert_true(s.elapsed_ns < VLY_MS(8200) + m.moves * VLY_MS(500));
        assert_in_range(s.sender.path_changes, m.moves - 1, m.moves);
        scenario_fini(&s);
    }
}

/* 2 % of all packets are lost, both ways. Challenge and response each come through at the second
 * try at worst almost always, 250 ms later, and what shows the client is repeated by its PTO: 0.9 s
 * a move at most, on top of what the same seed takes without moves. */
static void run_with_loss(enum vly_method method, unsigned step, unsigned max)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct mover none = {.step = step}, m = {.step = step, .max = max};
        struct scenario still, s;

        scenario_init(&still, seed);
        run_moving(&still, &none, method, 0.02);
        scenario_init(&s, seed);
        run_moving(&s, &m, method, 0.02);
        assert_true(m.moves >= 8);
        assert_true(s.elapsed_ns < still.elapsed_ns + m.moves * VLY_MS(900));
        assert_in_range(s.sender.path_changes, m.moves - 2, m.moves);
        scenario_fini(&s);
        scenario_fini(&still);
    }
}

static void test_rebind_port_with_loss(void **state)
{
    (void)state;
    run_with_loss(VLY_METHOD_NONE, PORT, 15);
}

static void test_rebind_host_with_loss(void **state)
{
    (void)state;
    run_with_loss(VLY_METHOD_PSK, HOST, 14);
}

/* Copies each datagram of the client; the copy comes from addresses of its own. */
struct racer {
    struct scenario *s;
    bool before; /* it outruns the original, by the whole way; else it comes just after it */
    unsigned addresses, copies;
};

#define RACER 64u /* the first of its addresses; nobody else's */

static enum vly_world_verdict race(void *ctx, const struct vly_world_view *v)
{
    struct racer *r = ctx;
    struct vly_world_view copy = *v;

    if (v->to != SERVER || v->data.data[0] != VLY_PACKET_DATA)
        return VLY_WORLD_PASS;
    copy.from = RACER + r->copies++ % r->addresses;
    copy.now_ns += r->before ? 0 : VLY_MS(16);
    assert_int_equal(vly_world_inject(r->s->world, &copy), 0);
    return VLY_WORLD_PASS;
}

static void run_raced(struct scenario *s, struct racer *r, struct mover *m)
{
    scenario_init(s, 1);
    r->s = s;
    s->hooks = (struct vly_world_hooks){r, race, NULL};
    run_moving(s, m, VLY_METHOD_KEYS, 0);
    assert_true(r->copies > 1000);
}

/* Whoever races the client from where he cannot answer gets challenges, and nothing else: the
 * connection stays where it is, and takes no longer (5 %: acknowledgements that come early change
 * what is lost at the end of slow start). */
static void test_rebind_racer_steals_nothing(void **state)
{
    struct mover none = {0};
    struct scenario still, s;

    (void)state;
    scenario_init(&still, 1);
    run_moving(&still, &none, VLY_METHOD_KEYS, 0);
    for (unsigned before = 0; before <= 1; before++) {
        struct racer r = {.before = before, .addresses = 1 + 29 * before};

        run_raced(&s, &r, &none);
        assert_int_equal(s.sender.path_changes, 0);
        assert_true(s.elapsed_ns < still.elapsed_ns / 100 * 105);
        scenario_fini(&s);
    }
    scenario_fini(&still);
}

/* He does so while the client moves each second: late copies change nothing; if each of his comes
 * first, it is by lot that the client is asked: one try in two, each 250 to 500 ms, 1 s a move on
 * average. */
static void test_rebind_among_copies(void **state)
{
    (void)state;
    for (unsigned before = 0; before <= 1; before++) {
        struct racer r = {.before = before, .addresses = 40};
        struct mover m = {.step = HOST, .max = 8};
        struct scenario s;

        run_raced(&s, &r, &m);
        assert_true(s.sender.path_changes >= m.moves / 2);
        assert_true(s.elapsed_ns < VLY_MS(8200) + m.moves * (before ? VLY_S(1) : VLY_MS(500)));
        scenario_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rebind_port_each_second),
        cmocka_unit_test(test_rebind_host_each_second),
        cmocka_unit_test(test_rebind_port_with_loss),
        cmocka_unit_test(test_rebind_host_with_loss),
        cmocka_unit_test(test_rebind_racer_steals_nothing),
        cmocka_unit_test(test_rebind_among_copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
