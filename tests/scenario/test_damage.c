/*
 * Damaged, cut and forged datagrams: each is dropped as if it had been lost, and nothing else
 * happens. Link of 100 Mbit/s and 20 ms round trip.
 */
#include "crypto/crypto.h"
#include "proto/frame.h"
#include "support/scenario.h"

#include <math.h>
#include <string.h>

#define BYTES 1000000u
#define PACKETS 699.0
#define LINK .rate_bytes_per_s = 100 * SCENARIO_MBIT, .delay_ns = VLY_MS(10), .queue_bytes = BYTES

static struct scenario_sample elapsed, retransmits;

/* Every receiver drops what was damaged on its way, and counts it. */
static void run_seed(const struct vly_link_spec *link, uint64_t seed)
{
    const struct vly_link_counters *forward;
    struct scenario s;
    uint64_t damaged;

    scenario_init(&s, seed);
    scenario_link(&s, link);
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = BYTES, .order = VLY_ANY_ORDER});
    scenario_run(&s, VLY_S(600));
    scenario_sample_add(&elapsed, s.elapsed_ns);
    scenario_sample_add(&retransmits, s.sender.retransmits);
    forward = scenario_counters(&s, TO_CLIENT);
    damaged = forward->corrupted_pkts + forward->truncated_pkts;
    assert_true(damaged > 100 && s.sender.lost_packets <= damaged);
    assert_int_equal(s.sender.spurious_losses, 0);
    scenario_fini(&s);
}

/* A quarter of all datagrams is of no use. As in test_loss.c: 699 * 0.25 / 0.75 = 233 are sent
 * again, at the minimum window of two packets a round trip: 932 packets take 9.3 s, and with the
 * timers that small flights need less than twice that. */
static void run_damage(const struct vly_link_spec *link)
{
    double expected = PACKETS * 0.25 / 0.75;

    elapsed.n = retransmits.n = 0;
    for (size_t i = 0; i < scenario_seeds(); i++)
        run_seed(link, scenario_first_seed() + i);
    assert_true(fabs((double)scenario_quantile(&retransmits, 0.5) - expected) < 0.1 * expected);
    assert_true((double)scenario_quantile(&retransmits, 0.9) < 1.2 * expected + 10);
    assert_true(scenario_quantile(&elapsed, 0.5) < VLY_MS(14000));
    assert_true(scenario_quantile(&elapsed, 0.9) < VLY_MS(18600));
}

static void test_corrupt_a_quarter(void **state)
{
    (void)state;
    run_damage(&(struct vly_link_spec){LINK, .corrupt = 0.25});
}

static void test_truncate_a_quarter(void **state)
{
    (void)state;
    run_damage(&(struct vly_link_spec){LINK, .truncate = 0.25});
}

/* Builds a CLOSE for `cid` with a right tag: the plain suite has no secret that it would need. */
static size_t forge_close(uint8_t out[256], uint64_t cid, uint64_t pn)
{
    struct vly_wr w = vly_wr_init(out, 256 - VLY_TAG_BYTES);
    const struct vly_data_header h = {.cid = cid, .pn = pn};
    size_t len;

    vly_data_header_encode(&w, &h);
    vly_frame_close_encode(&w, VLY_FRAME_CLOSE, VLY_CLOSE_INTERNAL, (struct vly_span){NULL, 0});
    assert_false(w.failed);
    len = vly_wr_len(&w);
    vly_seal_one(&vly_suite_plain, NULL, pn, out, VLY_DATA_HEADER_BYTES, len);
    return len + VLY_TAG_BYTES;
}

/* The ids that the two sides put into their packets, as somebody on the way sees them. */
struct eavesdropper {
    uint64_t cid[2], pn[2]; /* by receiver */
};

static enum vly_world_verdict on_sent(void *ctx, const struct vly_world_view *v)
{
    struct eavesdropper *e = ctx;

    if (v->data.len > VLY_DATA_HEADER_BYTES && (v->data.data[0] & ~1) == VLY_PACKET_DATA) {
        e->cid[v->to] = vly_load_u64(v->data.data + 1);
        e->pn[v->to] = vly_load_u64(v->data.data + 9);
    }
    return VLY_WORLD_PASS;
}

static void inject(struct scenario *s, unsigned from, unsigned to, const uint8_t *data, size_t len)
{
    const struct vly_world_view v = {
        .now_ns = vly_world_now_ns(s->world) + 1, .from = from, .to = to, .data = {data, len}};

    assert_int_equal(vly_world_inject(s->world, &v), 0);
}

/* RULE 15, as far as a suite without secrets can keep it: a CLOSE counts only with the connection's
 * id, from the peer's address. Both ways, each millisecond, and the transfer is as long as without.
 */
static void test_forged_close_is_ignored(void **state)
{
    struct eavesdropper ears = {0};
    struct scenario s;
    uint8_t packet[256];

    (void)state;
    scenario_init(&s, 1);
    scenario_link(&s, &(struct vly_link_spec){LINK});
    s.hooks = (struct vly_world_hooks){&ears, on_sent, NULL};
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = BYTES});
    while (scenario_continue(&s, VLY_MS(1))) {
        for (unsigned to = CLIENT; to <= SERVER && ears.cid[to] != 0; to++) {
            size_t len = forge_close(packet, ears.cid[to] ^ 1, ears.pn[to] + 100);

            inject(&s, 1 - to, to, packet, len); /* another id, from the right address */
            len = forge_close(packet, ears.cid[to], ears.pn[to] + 100);
            inject(&s, 77, to, packet, len); /* the right id, from another address */
        }
    }
    scenario_run(&s, VLY_S(2));
    assert_int_equal(s.sender.retransmits, 0);
    assert_true(s.elapsed_ns < VLY_MS(225)); /* as test_loss.c without loss */
    scenario_fini(&s);
}

/* Garbage in all sizes, some of it looking like packets: dropped, without a lasting effect. */
static void test_garbage_is_dropped(void **state)
{
    static uint8_t packet[2000];
    struct vly_endpoint_stats stats;
    struct vly_prng prng;
    struct scenario s;

    (void)state;
    vly_prng_init(&prng, scenario_first_seed());
    scenario_init(&s, 1);
    scenario_link(&s, &(struct vly_link_spec){LINK});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = BYTES});
    while (scenario_continue(&s, VLY_MS(1))) {
        for (unsigned to = CLIENT; to <= SERVER; to++)
            for (int i = 0; i < 10; i++) {
                size_t len = 1 + (size_t)vly_prng_below(&prng, sizeof(packet) - 1);

                vly_prng_fill(&prng, packet, len);
                packet[0] = (uint8_t)vly_prng_below(&prng, 2 * VLY_PACKET_DATA);
                inject(&s, 1 - to, to, packet, len);
            }
    }
    scenario_run(&s, VLY_S(2));
    assert_int_equal(s.sender.retransmits, 0);
    assert_true(s.elapsed_ns < VLY_MS(225));
    vly_endpoint_stats(vly_world_endpoint(s.world, SERVER), &stats);
    assert_int_equal(stats.conns_made, 1);
    assert_true(stats.datagrams_dropped >= 10 * 150); /* all of those of 150 ms, at least */
    scenario_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corrupt_a_quarter),
        cmocka_unit_test(test_truncate_a_quarter),
        cmocka_unit_test(test_forged_close_is_ignored),
        cmocka_unit_test(test_garbage_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
