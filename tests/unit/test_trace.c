/*
 * trace: names of all events, and what a connection tells its sink from beginning to end.
 */
#include "proto/trace.h"

#include <ctype.h>
#include <string.h>

#include "proto/conn_internal.h"
#include "support/pair.h"

static void test_trace_every_event_has_its_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VLY_TRACE_TYPES; i++) {
        const struct vly_trace_info *info = vly_trace_info((enum vly_trace_type)i);

        for (const char *c = info->name; *c != '\0'; c++)
            assert_true(isupper((unsigned char)*c) || *c == '_');
        for (size_t k = 0; k < ARRAY_LEN(info->field); k++) {
            assert_non_null(info->field[k]);
            assert_true(strlen(info->field[k]) > 0);
        }
    }
    assert_string_equal(vly_trace_info(VLY_TRACE_PACKET_SENT)->name, "PACKET_SENT");
    assert_string_equal(vly_trace_info(VLY_TRACE_STATE)->field[1], "to");
}

/* What a sink adds up, to be compared with the connection's own statistics. */
struct sums {
    uint64_t count[VLY_TRACE_TYPES];
    uint64_t last_time_ns;
    uint64_t cid;
    uint64_t states; /* the sequence, an octal digit each */
    uint64_t next_pn;
};

static void on_event(void *ctx, const struct vly_trace_event *ev)
{
    struct sums *s = ctx;

    assert_in_range(ev->type, 0, VLY_TRACE_TYPES - 1);
    s->count[ev->type]++;
    assert_true(ev->time_ns >= s->last_time_ns);
    s->last_time_ns = ev->time_ns;
    assert_true(s->cid == 0 || ev->cid == s->cid);
    s->cid = ev->cid;
    if (ev->type == VLY_TRACE_STATE)
        s->states = s->states << 3 | ev->b;
    if (ev->type == VLY_TRACE_PACKET_SENT) {
        assert_true(ev->a >= s->next_pn);
        s->next_pn = ev->a + 1;
    }
}

static void test_trace_of_a_connection(void **state)
{
    struct sums sums[2] = {{{0}, 0, 0, 0, 0}};
    struct vly_endpoint_config c = pair_config(PAIR_CLIENT), s = pair_config(PAIR_SERVER);
    struct vly_conn_stats stats;
    struct pair *p;
    uint64_t id;

    (void)state;
    c.trace = (struct vly_trace){on_event, &sums[0]};
    s.trace = (struct vly_trace){on_event, &sums[1]};
    p = pair_new(&c, &s);
    pair_connect(p);
    id = pair_open(p, PAIR_CLIENT);
    pair_write(p, PAIR_CLIENT, id, 12000, true);
    pair_flush(p, PAIR_CLIENT);
    pair_drop_nth(p, PAIR_CLIENT, 1);
    pair_give(p, PAIR_SERVER, &p->side[PAIR_CLIENT].addr, VLY_ECN_NONE,
              (struct vly_span){p->side[PAIR_CLIENT].out[0].data, p->side[PAIR_CLIENT].out[0].len});
    pair_run(p, VLY_S(1)); /* one lost, one twice */
    stats = pair_stats(p, PAIR_CLIENT);
    assert_int_equal(sums[0].count[VLY_TRACE_PACKET_LOST], stats.lost_packets);
    assert_int_equal(sums[0].count[VLY_TRACE_CONGESTION], stats.congestion_events);
    assert_true(stats.lost_packets == 1 && stats.congestion_events == 1);
    assert_int_equal(sums[0].count[VLY_TRACE_PACKET_RECEIVED], stats.packets_received);
    assert_int_equal(sums[0].next_pn, p->side[PAIR_CLIENT].conn->log.next);
    assert_true(sums[0].count[VLY_TRACE_PACKET_ACKED] + 1 <= sums[0].count[VLY_TRACE_PACKET_SENT]);
    assert_true(sums[0].count[VLY_TRACE_METRICS] > 0);
    assert_int_equal(sums[1].count[VLY_TRACE_PACKET_DROPPED], 1);
    vly_conn_close(p->side[PAIR_CLIENT].conn, p->now_ns, 0, "");
    pair_settle(p);
    assert_int_equal(sums[0].states, 01345); /* cookie sent, open, closing, closed */
    assert_int_equal(sums[1].states, 035);   /* open, closed */
    pair_free(p);
}

static void test_trace_of_a_probe(void **state)
{
    struct sums sums = {{0}, 0, 0, 0, 0};
    struct vly_endpoint_config c = pair_config(PAIR_CLIENT);
    struct pair *p;

    (void)state;
    c.trace = (struct vly_trace){on_event, &sums};
    p = pair_new(&c, NULL);
    pair_connect(p);
    pair_write(p, PAIR_CLIENT, pair_open(p, PAIR_CLIENT), 100, true);
    pair_flush(p, PAIR_CLIENT);
    pair_drop(p, PAIR_CLIENT);
    pair_run(p, VLY_S(1));
    assert_int_equal(sums.count[VLY_TRACE_PTO], 1);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).pto_count, 1);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace_every_event_has_its_names),
        cmocka_unit_test(test_trace_of_a_connection),
        cmocka_unit_test(test_trace_of_a_probe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
