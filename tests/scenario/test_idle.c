/*
 * Nothing is sent: when a connection is kept, asked for, and forgotten. RTT 20 ms.
 */
#include "support/scenario.h"

#define LINK .rate_bytes_per_s = 100 * SCENARIO_MBIT, .delay_ns = VLY_MS(10)

/* When each side sent DATA packets that ask for an answer, after the transfer. */
struct log {
    const struct scenario *s;
    uint64_t asked_ns[2][64];
    size_t asked_n[2];
    size_t sent_n; /* of any kind */
};

static enum vly_world_verdict on_sent(void *ctx, const struct vly_world_view *v)
{
    struct log *log = ctx;

    if (log->s->bulk.finished_ns == VLY_NEVER)
        return VLY_WORLD_PASS;
    log->sent_n++;
    if (scenario_packet_kind(log->s, v->data) != PKT_ACK && log->asked_n[v->from] < 64)
        log->asked_ns[v->from][log->asked_n[v->from]++] = v->now_ns;
    return VLY_WORLD_PASS;
}

static void begin(struct scenario *s, struct log *log, const struct vly_bulk_spec *spec)
{
    scenario_init(s, 1);
    scenario_link(s, &(struct vly_link_spec){LINK});
    *log = (struct log){.s = s};
    s->hooks = (struct vly_world_hooks){log, on_sent, NULL};
    scenario_transfer(s, spec);
}

/* RULE 8: a client that waits for the server asks after each 15 s of silence, never more often, and
 * so keeps the connection far beyond the idle timeout of 30 s. */
static void test_idle_is_bridged_by_keepalives(void **state)
{
    const struct vly_bulk_spec spec = {
        .bytes = 1000, .linger_ns = VLY_S(100), .expect_answer = true};
    struct log log;
    struct scenario s;

    (void)state;
    begin(&s, &log, &spec);
    scenario_run_any(&s, VLY_S(99));
    assert_int_equal(log.asked_n[SERVER], 0);
    assert_int_equal(log.asked_n[CLIENT], 7); /* 5, 20, 35, 50, 65, 80, 95 s */
    for (size_t i = 1; i < log.asked_n[CLIENT]; i++)
        assert_in_range(log.asked_ns[CLIENT][i] - log.asked_ns[CLIENT][i - 1], VLY_S(15),
                        VLY_S(15) + VLY_MS(100));
    assert_int_equal(log.sent_n, 2 * 7); /* each is answered by one ACK */
    scenario_run(&s, VLY_S(200));
    assert_int_equal(s.bulk.side[VLY_CLIENT].closed.err, 0);
    scenario_fini(&s);
}

/* RULE 8: who waits for nothing sends nothing; after the idle timeout both forget the connection in
 * silence. */
static void test_idle_is_forgotten_in_silence(void **state)
{
    const struct vly_bulk_spec spec = {.bytes = 1000, .linger_ns = VLY_S(100)};
    struct log log;
    struct scenario s;

    (void)state;
    begin(&s, &log, &spec);
    scenario_run_any(&s, VLY_S(29));
    assert_false(s.bulk.side[VLY_CLIENT].is_closed || s.bulk.side[VLY_SERVER].is_closed);
    scenario_run_any(&s, VLY_S(31));
    assert_true(s.bulk.side[VLY_CLIENT].is_closed && s.bulk.side[VLY_SERVER].is_closed);
    assert_int_equal(s.bulk.side[VLY_CLIENT].closed.err, VLY_E_LOST);
    assert_int_equal(log.sent_n, 0);
    scenario_fini(&s);
}

/* RULE 8: each side announces its idle timeout, and the smaller one holds for both. */
static void test_idle_timeout_is_the_smaller_one(void **state)
{
    const struct vly_bulk_spec spec = {.bytes = 1000, .linger_ns = VLY_S(100)};
    struct scenario s;

    (void)state;
    for (int node = CLIENT; node <= SERVER; node++) {
        scenario_init(&s, 1);
        scenario_link(&s, &(struct vly_link_spec){LINK});
        s.config[node].conn.idle_timeout_ns = VLY_S(5);
        scenario_transfer(&s, &spec);
        scenario_run_any(&s, VLY_MS(4900));
        assert_false(s.bulk.side[VLY_CLIENT].is_closed || s.bulk.side[VLY_SERVER].is_closed);
        scenario_run_any(&s, VLY_MS(5300));
        assert_true(s.bulk.side[VLY_CLIENT].is_closed && s.bulk.side[VLY_SERVER].is_closed);
        scenario_fini(&s);
    }
}

/* The peer is gone: the keepalive after 15 s of silence goes unanswered, is probed, and after the
 * answer timeout of 10 s the client knows. */
static void test_keepalive_finds_a_dead_peer(void **state)
{
    const struct vly_bulk_spec spec = {
        .bytes = 1000, .linger_ns = VLY_S(100), .expect_answer = true};
    struct log log;
    struct scenario s;

    (void)state;
    begin(&s, &log, &spec);
    scenario_outage(&s, VLY_S(1), VLY_S(1000));
    scenario_run_any(&s, VLY_S(15));
    assert_false(s.bulk.side[VLY_CLIENT].is_closed);
    scenario_run_any(&s, VLY_MS(15200));
    assert_true(s.bulk.side[VLY_CLIENT].is_closed);
    assert_int_equal(s.bulk.side[VLY_CLIENT].closed.err, VLY_E_LOST);
    scenario_fini(&s);
}

/* SPEC 7: a CLOSE that is lost is repeated at 50, 100 and 200 ms; when all four are lost the client
 * gives up after 500 ms, and the server, which never hears of it, by its idle timeout. */
static void test_close_is_repeated(void **state)
{
    (void)state;
    for (unsigned lost = 0; lost <= 4; lost++) {
        static const uint64_t knows_ms[] = {0, 50, 100, 200};
        struct scenario s;
        uint64_t close_ns;

        scenario_init(&s, 1);
        scenario_link(&s, &(struct vly_link_spec){LINK});
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 1000, .linger_ns = VLY_S(1)});
        scenario_run_any(&s, VLY_MS(500));
        close_ns = s.bulk.finished_ns + VLY_S(1);
        scenario_change(&s, TO_SERVER, close_ns - 1, VLY_LINK_OUTAGE, lost > 0);
        if (lost > 0 && lost < 4)
            scenario_change(&s, TO_SERVER, close_ns + VLY_MS(knows_ms[lost] - 1), VLY_LINK_OUTAGE,
                            0);
        scenario_run_any(&s, close_ns + VLY_MS(lost < 4 ? knows_ms[lost] + 15 : 510));
        assert_int_equal(s.bulk.side[VLY_SERVER].is_closed, lost < 4);
        assert_int_equal(s.bulk.side[VLY_CLIENT].is_closed, lost == 4);
        scenario_run_any(&s, VLY_S(60));
        assert_int_equal(s.bulk.side[VLY_CLIENT].closed.err, 0);
        assert_int_equal(s.bulk.side[VLY_SERVER].closed.err, lost < 4 ? VLY_E_CLOSED : VLY_E_LOST);
        scenario_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_is_bridged_by_keepalives),
        cmocka_unit_test(test_idle_is_forgotten_in_silence),
        cmocka_unit_test(test_idle_timeout_is_the_smaller_one),
        cmocka_unit_test(test_keepalive_finds_a_dead_peer),
        cmocka_unit_test(test_close_is_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
