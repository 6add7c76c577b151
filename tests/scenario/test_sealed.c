/*
 * Sealed connections over a link of 100 Mbit/s and 20 ms round trip that loses, reorders and
 * damages: keys that change all the time, numbers that never come twice, memory that fails, and
 * secrets that nobody sees.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/conn_internal.h"
#include "support/scenario.h"

#define LINK .rate_bytes_per_s = 100 * SCENARIO_MBIT, .delay_ns = VLY_MS(10)
#define NUMBERS_MAX (1u << 16)

/* Which (connection id, packet number) were sent, and under which phase the last one was. */
struct numbers {
    uint64_t cid[2];
    bool sent[2][NUMBERS_MAX];
    uint64_t flips[2];
    uint8_t phase[2];
};

static enum vly_world_verdict note_number(void *ctx, const struct vly_world_view *v)
{
    struct numbers *n = ctx;
    uint64_t pn;

    if ((v->data.data[0] & ~VLY_KEY_PHASE_BIT) != VLY_PACKET_DATA)
        return VLY_WORLD_PASS;
    pn = vly_load_u64(v->data.data + 9);
    assert_true(n->cid[v->from] == 0 || n->cid[v->from] == vly_load_u64(v->data.data + 1));
    n->cid[v->from] = vly_load_u64(v->data.data + 1);
    assert_in_range(pn, 0, NUMBERS_MAX - 1);
    assert_false(n->sent[v->from][pn]);
    n->sent[v->from][pn] = true;
    n->flips[v->from] += n->phase[v->from] != v->data.data[0] ? 1 : 0;
    n->phase[v->from] = v->data.data[0];
    return VLY_WORLD_PASS;
}

/* RULE 12, RULE 10: a new key every 64 packets in both directions, on a link that loses, reorders,
 * repeats and damages. All arrives; no number is used twice, whatever its key: so no nonce is,
 * since the keys of all generations differ (which the key log shows). */
static void test_sealed_keys_change_every_64_packets(void **state)
{
    static struct numbers numbers;
    const struct vly_conn_config conn = {.key_update_pkts = 64};

    (void)state;
    for (uint64_t seed = scenario_first_seed(); seed < scenario_first_seed() + 5; seed++) {
        struct scenario s;

        memset(&numbers, 0, sizeof(numbers));
        scenario_init(&s, seed);
        scenario_seal(&s, VLY_METHOD_KEYS);
        scenario_conn(&s, &conn);
        scenario_link(&s, &(struct vly_link_spec){LINK, .loss = 0.02, .reorder = 0.02,
                                                  .reorder_ns = VLY_MS(3), .duplicate = 0.01,
                                                  .corrupt = 0.01});
        s.hooks = (struct vly_world_hooks){&numbers, note_number, NULL};
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 3000000});
        scenario_run(&s, VLY_S(120));
        /* 2,100 packets at least: some 30 generations; the client's, of ACKs, are fewer. */
        assert_true(s.sender.key_updates_sent > 15);
        assert_int_equal(numbers.flips[SERVER], 1 + s.sender.key_updates_sent);
        assert_int_equal(s.receiver.key_updates_received, s.sender.key_updates_sent);
        assert_true(s.receiver.key_updates_sent > 3);
        assert_true(s.sender.forgeries + s.receiver.forgeries > 0);
        for (size_t i = 0; i < s.keys->n; i++)
            for (size_t k = 0; k < i; k++)
                assert_memory_not_equal(s.keys->key[i].key, s.keys->key[k].key, VLY_KEY_BYTES);
        scenario_fini(&s);
    }
}

/* RULE 12: the phase of a packet is that of the key it is sealed with, also where the key changes
 * within a batch: without damage on the way nothing looks like a forgery, and nothing is sent
 * again. */
static void test_sealed_keys_change_within_a_batch(void **state)
{
    /* The window is less than a generation, or there would be no acknowledgement in time. */
    const struct vly_conn_config conn = {
        .key_update_pkts = 50, .window_bytes = 40000, .window_max_bytes = 40000};
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_seal(&s, VLY_METHOD_PSK);
    scenario_conn(&s, &conn);
    scenario_link(&s, &(struct vly_link_spec){LINK});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 3000000});
    scenario_run(&s, VLY_S(20));
    assert_true(s.sender.key_updates_sent > 15);
    assert_int_equal(s.receiver.forgeries + s.sender.forgeries, 0);
    assert_int_equal(s.sender.retransmits, 0);
    scenario_fini(&s);
}

/* RULE 12: a receiver sends nothing but ACKs, which nobody acknowledges, once its window is twice
 * as large as the transfer. It asks for an acknowledgement when half of what a key may seal is
 * used, since without one there is no next key, and an end at the limit. */
static void test_sealed_keys_change_where_only_acks_are_sent(void **state)
{
    const struct vly_conn_config conn = {.window_bytes = 16000000, .window_max_bytes = 16000000};
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_seal(&s, VLY_METHOD_KEYS);
    scenario_conn(&s, &conn);
    s.config[CLIENT].conn.key_update_pkts = 64;
    scenario_link(&s, &(struct vly_link_spec){LINK});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 7500000});
    scenario_run(&s, VLY_S(20));
    assert_true(s.receiver.key_updates_sent >= 2);
    assert_int_equal(s.sender.key_updates_received, s.receiver.key_updates_sent);
    assert_int_equal(s.receiver.frames_sent[VLY_FRAME_MAX_DATA], 0);
    scenario_fini(&s);
}

/* RULE 13: so many bad tags, and the connection ends, at the end that saw them. */
static void test_sealed_forgeries_are_counted(void **state)
{
    const struct vly_conn_config conn = {.forgery_limit_pkts = 20};
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_seal(&s, VLY_METHOD_KEYS);
    scenario_conn(&s, &conn);
    s.link[TO_SERVER] = (struct vly_link_spec){LINK};
    s.link[TO_CLIENT] = (struct vly_link_spec){LINK, .corrupt = 0.1};
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 10000000});
    scenario_run_any(&s, VLY_S(30));
    assert_int_equal(s.bulk.side[VLY_CLIENT].closed.err, VLY_E_LIMIT);
    assert_int_equal(s.bulk.side[VLY_CLIENT].closed.code, VLY_CLOSE_AEAD_LIMIT);
    assert_int_equal(s.bulk.side[VLY_CLIENT].stats.forgeries, 20);
    assert_int_equal(s.bulk.side[VLY_SERVER].closed.code, VLY_CLOSE_AEAD_LIMIT);
    scenario_fini(&s);
}

/* ---- RULE 40 ---- */

static bool run_with_failing_secrets(uint64_t fail_at, uint64_t *requests)
{
    struct scenario s;
    struct vly_conn_config conn = {.key_update_pkts = 64};
    bool intact;

    scenario_init(&s, 1);
    scenario_seal(&s, VLY_METHOD_KEYS);
    scenario_conn(&s, &conn);
    scenario_link(&s, &(struct vly_link_spec){LINK, .loss = 0.02});
    scenario_build(&s);
    for (unsigned node = CLIENT; node <= SERVER; node++)
        sealed_memory_install(vly_world_crypto(s.world, node));
    sealed_memory.requests = 0;
    sealed_memory.fail_at = fail_at;
    intact = vly_bulk_start(&s.bulk, s.world, CLIENT, SERVER,
                            &(struct vly_bulk_spec){.bytes = 200000}) == 0;
    if (intact)
        scenario_run_any(&s, VLY_S(60));
    intact = intact && scenario_is_intact(&s);
    *requests = sealed_memory.requests;
    scenario_fini(&s);
    sealed_memory.fail_at = 0;
    assert_int_equal(sealed_memory.live_blocks, 0);
    return intact;
}

/* RULE 40: whichever request for secret memory fails, of handshake or keys, at either end: it goes
 * on or ends, and nothing leaks. */
static void test_sealed_memory_for_secrets_fails(void **state)
{
    uint64_t whole, requests, survived = 0;

    (void)state;
    assert_true(run_with_failing_secrets(0, &whole));
    for (uint64_t fail_at = 1; fail_at <= whole; fail_at++)
        survived += run_with_failing_secrets(fail_at, &requests);
    print_message("  %" PRIu64 " requests, %" PRIu64 " of them are not missed\n", whole, survived);
    assert_true(whole > 20);
}

/* ---- secrets are not told ---- */

struct told {
    const struct sealed_keys *keys;
    uint64_t events;
    uint8_t bytes[1 << 22];
    size_t len;
};

static void on_trace(void *ctx, const struct vly_trace_event *ev)
{
    struct told *t = ctx;

    t->events++;
    if (t->len + sizeof(*ev) <= sizeof(t->bytes)) {
        memcpy(t->bytes + t->len, ev, sizeof(*ev));
        t->len += sizeof(*ev);
    }
}

static void assert_untold(const struct told *t, const uint8_t *secret, size_t len)
{
    for (size_t i = 0; i + 8 <= len; i += 8)
        for (size_t at = 0; at + 8 <= t->len; at++)
            assert_true(t->bytes[at] != secret[i] || memcmp(t->bytes + at, secret + i, 8) != 0);
}

/* A whole transfer with the trace on: no eight bytes of any key or secret are in it. */
static void test_sealed_trace_tells_no_secret(void **state)
{
    static struct told told;
    const struct vly_credentials *c = sealed_credentials(VLY_CLIENT, VLY_METHOD_KEYS);
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_seal(&s, VLY_METHOD_KEYS);
    for (int node = CLIENT; node <= SERVER; node++)
        s.config[node].trace = (struct vly_trace){on_trace, &told};
    scenario_link(&s, &(struct vly_link_spec){LINK, .loss = 0.02, .corrupt = 0.01});
    scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 300000});
    scenario_run(&s, VLY_S(60));
    assert_true(told.events > 500);
    for (size_t i = 0; i < s.keys->n; i++) {
        assert_untold(&told, s.keys->key[i].key, VLY_KEY_BYTES);
        assert_untold(&told, s.keys->key[i].iv, 8);
    }
    assert_untold(&told, c->secret, sizeof(c->secret));
    scenario_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sealed_keys_change_every_64_packets),
        cmocka_unit_test(test_sealed_keys_change_within_a_batch),
        cmocka_unit_test(test_sealed_keys_change_where_only_acks_are_sent),
        cmocka_unit_test(test_sealed_forgeries_are_counted),
        cmocka_unit_test(test_sealed_memory_for_secrets_fails),
        cmocka_unit_test(test_sealed_trace_tells_no_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
