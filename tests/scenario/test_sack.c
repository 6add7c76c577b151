/*
 * What acknowledgements promise, watched on the wire: what was acknowledged is never sent again,
 * what is replayed changes nothing. Link of 100 Mbit/s and 20 ms round trip.
 */
#include "proto/frame.h"
#include "support/scenario.h"

#include <stdlib.h>
#include <string.h>

#define LINK .rate_bytes_per_s = 100 * SCENARIO_MBIT, .delay_ns = VLY_MS(10)
#define PACKETS_MAX 8192
#define PIECES_MAX 8 /* in a packet */

/* Somebody beside the server who keeps the book of what it sent and what was acknowledged to it. */
struct ledger {
    struct {
        struct vly_range piece[PIECES_MAX]; /* of the one stream; empty ones at the end */
        bool is_acked;
    } sent[PACKETS_MAX];       /* by packet number */
    struct vly_rangeset acked; /* bytes */
    const struct scenario *s;
    uint64_t repeated_bytes; /* sent although acknowledged */
    uint64_t sent_bytes;
};

static struct vly_rd frames_of(const struct scenario *s, struct vly_span data, uint64_t *pn)
{
    static uint8_t buf[VLY_DATAGRAM_MAX];
    struct vly_rd r = vly_rd_init(data.data, data.len);
    struct vly_span frames;

    if ((vly_rd_u8(&r) & ~VLY_KEY_PHASE_BIT) != VLY_PACKET_DATA)
        return vly_rd_init(NULL, 0);
    (void)vly_rd_u64(&r);
    *pn = vly_rd_u64(&r);
    frames = scenario_frames(s, data, buf);
    return vly_rd_init(frames.data, frames.len);
}

static void note_sent(struct ledger *l, uint64_t pn, const struct vly_frame *f)
{
    uint64_t begin = f->stream.offset, end = begin + f->stream.data.len;
    struct vly_range gap;
    uint64_t fresh = 0;
    size_t i = 0;

    assert_true(pn < PACKETS_MAX);
    while (i < PIECES_MAX && l->sent[pn].piece[i].end > 0)
        i++;
    assert_true(i < PIECES_MAX);
    l->sent[pn].piece[i] = (struct vly_range){begin, end};
    l->sent_bytes += end - begin;
    for (uint64_t at = begin; vly_rangeset_next_gap(&l->acked, at, end, &gap); at = gap.end)
        fresh += gap.end - gap.begin;
    l->repeated_bytes += end - begin - fresh;
}

static enum vly_world_verdict ledger_sent(void *ctx, const struct vly_world_view *v)
{
    uint64_t pn = 0;
    struct vly_rd r = frames_of(((const struct ledger *)ctx)->s, v->data, &pn);
    struct vly_frame f;

    while (v->from == SERVER && vly_rd_left(&r) > 0) {
        assert_int_equal(vly_frame_decode(&f, &r), 0);
        if ((f.type == VLY_FRAME_STREAM || f.type == VLY_FRAME_STREAM_FIN) && f.stream.data.len > 0)
            note_sent(ctx, pn, &f);
    }
    return VLY_WORLD_PASS;
}

static void note_packet_acked(struct ledger *l, uint64_t pn)
{
    const struct vly_range *piece = l->sent[pn].piece;

    for (size_t i = 0; !l->sent[pn].is_acked && i < PIECES_MAX; i++)
        assert_int_equal(vly_rangeset_add(&l->acked, piece[i].begin, piece[i].end), 0);
    l->sent[pn].is_acked = true;
}

static void note_acked(struct ledger *l, const struct vly_ack *ack)
{
    struct vly_ack_iter it;
    struct vly_range r;

    vly_ack_iter_init(&it, ack);
    while (vly_ack_next(&it, &r))
        for (uint64_t pn = r.begin; pn < r.end; pn++)
            note_packet_acked(l, pn);
}

static void ledger_arrived(void *ctx, const struct vly_world_view *v)
{
    uint64_t pn = 0;
    struct vly_rd r = frames_of(((const struct ledger *)ctx)->s, v->data, &pn);
    struct vly_frame f;

    while (v->to == SERVER && vly_rd_left(&r) > 0) {
        assert_int_equal(vly_frame_decode(&f, &r), 0);
        if (f.type == VLY_FRAME_ACK || f.type == VLY_FRAME_ACK_ECN)
            note_acked(ctx, &f.ack);
    }
}

/* RULE 18, of the sender: no byte that was acknowledged to it goes out again, not even within a
 * larger piece that was lost. Reordering and late packets see to it that losses are often spurious.
 */
static void test_acknowledged_bytes_are_not_sent_again(void **state)
{
    static struct ledger ledger;
    struct scenario s;

    (void)state;
    for (uint64_t i = 0; i < 10; i++) {
        memset(&ledger, 0, sizeof(ledger));
        vly_rangeset_init(&ledger.acked, &test_alloc, 10000);
        scenario_init(&s, scenario_first_seed() + i);
        scenario_link(&s, &(struct vly_link_spec){LINK, .loss = 0.03, .reorder = 0.05,
                                                  .reorder_ns = VLY_MS(25), .duplicate = 0.05,
                                                  .jitter_ns = VLY_MS(2)});
        ledger.s = &s;
        s.hooks = (struct vly_world_hooks){&ledger, ledger_sent, ledger_arrived};
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 3000000});
        scenario_run(&s, VLY_S(120));
        assert_true(s.sender.spurious_losses > 10); /* else this has shown nothing */
        assert_true(ledger.sent_bytes > 3000000);
        assert_int_equal(ledger.repeated_bytes, 0);
        vly_rangeset_fini(&ledger.acked);
        scenario_fini(&s);
    }
}

/* Everything that arrived, to be played again. */
struct tape {
    struct {
        unsigned from, to;
        size_t len;
        uint8_t data[1500];
    } * packet;
    size_t n;
};

static void tape_arrived(void *ctx, const struct vly_world_view *v)
{
    struct tape *t = ctx;

    if (t->n == PACKETS_MAX)
        return;
    t->packet[t->n].from = v->from;
    t->packet[t->n].to = v->to;
    t->packet[t->n].len = v->data.len;
    memcpy(t->packet[t->n].data, v->data.data, v->data.len);
    t->n++;
}

static void replay(struct scenario *s, const struct tape *t, size_t i, uint64_t at_ns)
{
    const struct vly_world_view v = {.now_ns = at_ns,
                                     .from = t->packet[i].from,
                                     .to = t->packet[i].to,
                                     .data = {t->packet[i].data, t->packet[i].len}};

    assert_int_equal(vly_world_inject(s->world, &v), 0);
}

/* The bulk's counts of events; equal ones: nothing was told to the application. */
static uint64_t events_of(const struct scenario *s)
{
    return s->bulk.side[VLY_CLIENT].data_events + s->bulk.side[VLY_SERVER].data_events;
}

/* RULE 11: the whole trace of a finished transfer, both ways, in random order, twice, while the
 * connection is still there. No event follows, no window moves, and no connection is made. */
static void test_replayed_trace_has_no_effect(void **state)
{
    struct tape tape = {.packet = malloc(PACKETS_MAX * sizeof(*tape.packet))};
    struct vly_conn_stats sender;
    struct vly_endpoint_stats endpoint;
    struct vly_prng prng;
    struct scenario s;
    uint64_t events;
    size_t n;

    (void)state;
    assert_non_null(tape.packet);
    vly_prng_init(&prng, scenario_first_seed());
    scenario_init(&s, 1);
    scenario_link(&s, &(struct vly_link_spec){LINK, .loss = 0.01});
    s.hooks = (struct vly_world_hooks){&tape, NULL, tape_arrived};
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 1000000, .linger_ns = VLY_S(8)});
    scenario_run_any(&s, VLY_S(4));
    assert_int_not_equal(s.bulk.finished_ns, VLY_NEVER);
    sender = s.sender;
    events = events_of(&s);
    n = tape.n;
    for (size_t i = 0; i < 2 * n; i++)
        replay(&s, &tape, (size_t)vly_prng_below(&prng, n), VLY_S(4) + i * VLY_US(10));
    scenario_run_any(&s, VLY_S(8));
    assert_int_equal(events_of(&s), events);
    assert_int_equal(s.sender.cwnd_bytes, sender.cwnd_bytes);
    assert_int_equal(s.sender.smoothed_rtt_ns, sender.smoothed_rtt_ns);
    assert_int_equal(s.sender.retransmits, sender.retransmits);
    assert_int_equal(s.sender.lost_packets, sender.lost_packets);
    assert_int_equal(s.receiver.stream_bytes_received, 1000000);
    vly_endpoint_stats(vly_world_endpoint(s.world, SERVER), &endpoint);
    assert_int_equal(endpoint.conns_made, 1);
    scenario_run(&s, VLY_S(60));
    scenario_fini(&s);
    free(tape.packet);
}

/* RULE 11: the same while data flow, so that most of the replayed packets are below what the
 * receiver still knows. The transfer is as long as without, but for the acknowledgements of
 * duplicates. */
static void test_replays_during_a_transfer(void **state)
{
    struct tape tape = {.packet = malloc(PACKETS_MAX * sizeof(*tape.packet))};
    struct vly_prng prng;
    struct scenario s;

    (void)state;
    assert_non_null(tape.packet);
    vly_prng_init(&prng, scenario_first_seed());
    scenario_init(&s, 1);
    scenario_link(&s, &(struct vly_link_spec){LINK, .queue_bytes = 1000000});
    s.hooks = (struct vly_world_hooks){&tape, NULL, tape_arrived};
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 1000000});
    while (scenario_continue(&s, VLY_MS(1))) {
        for (int i = 0; i < 10 && tape.n > 0; i++)
            replay(&s, &tape, (size_t)vly_prng_below(&prng, tape.n),
                   vly_world_now_ns(s.world) + vly_prng_below(&prng, VLY_MS(1)));
    }
    scenario_run(&s, VLY_S(60));
    assert_int_equal(s.sender.retransmits, 0);
    assert_true(s.elapsed_ns < VLY_MS(225)); /* as without: test_loss.c */
    scenario_fini(&s);
    free(tape.packet);
}

/* RULE 11: when all is over, and the cookie with it, the trace moves nothing at either side: a few
 * stateless answers, no connection. */
static void test_replay_after_the_end(void **state)
{
    struct tape tape = {.packet = malloc(PACKETS_MAX * sizeof(*tape.packet))};
    struct vly_endpoint_stats endpoint;
    struct scenario s;
    uint64_t sent;
    size_t n;

    (void)state;
    assert_non_null(tape.packet);
    scenario_init(&s, 1);
    scenario_link(&s, &(struct vly_link_spec){LINK});
    s.hooks = (struct vly_world_hooks){&tape, NULL, tape_arrived};
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 1000000});
    scenario_run(&s, VLY_S(60));
    assert_true(s.bulk.is_over);
    n = tape.n;
    sent = vly_world_datagrams(s.world);
    for (size_t i = 0; i < n; i++)
        replay(&s, &tape, n - 1 - i, VLY_S(200) + i * VLY_US(100));
    vly_world_run(s.world, VLY_S(300));
    assert_null(vly_world_failure(s.world));
    vly_endpoint_stats(vly_world_endpoint(s.world, SERVER), &endpoint);
    assert_int_equal(endpoint.conns_made, 1);
    assert_int_equal(endpoint.conns, 0);
    assert_true(vly_world_datagrams(s.world) - sent <= 2 + 101); /* RETRY, and UNKNOWN's limit */
    scenario_fini(&s);
    free(tape.packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acknowledged_bytes_are_not_sent_again),
        cmocka_unit_test(test_replayed_trace_has_no_effect),
        cmocka_unit_test(test_replays_during_a_transfer),
        cmocka_unit_test(test_replay_after_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
