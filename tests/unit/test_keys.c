/* The keys of one direction, SPEC 2.12: a sender, a receiver, and what lies between them. */
#include "sim/prng.h"
#include "support/direction.h"
#include "support/secrets.h"
#include "support/support.h"

#include <string.h>

#define UPDATE_PKTS DIRECTION_UPDATE_PKTS

/* Both ends to generation 1, of which `UPDATE_PKTS` is the first packet; p[i] are packets before it
 * that have not arrived. */
static void pass_update(struct direction *d, struct direction_packet *p, unsigned n)
{
    for (uint64_t pn = 0; pn < UPDATE_PKTS - n; pn++)
        direction_pass(d, pn, true);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(direction_make(d, UPDATE_PKTS - n + i, &p[i]), 0);
    assert_int_equal(d->recv->generation, 0);
    direction_pass(d, UPDATE_PKTS, true);
    assert_int_equal(d->recv->generation, 1);
}

/* SPEC 2.12, by Python's hmac: the secret 00 01 .. 1f and the two after it. */
static void test_keys_known_answers(void **state)
{
    static const struct {
        uint8_t suite;
        const char *key, *iv;
    } answers[] = {
        {VLY_SUITE_AES_256_GCM, "c53542129c4008696b9d1eba18db3c5ea4a898e66cc7805defd0a6cf03982e55",
         "b34e2e91a1688e1de3ffa24a"},
        {VLY_SUITE_AES_256_GCM, "f204dc1a989dd09a15b714a333d7bcfaf0763154b2de05255084c13f35e9941d",
         "53fd7e66d84e144e2817a03e"},
        {VLY_SUITE_AES_256_GCM, "2c3b007ec70442aeef88c94a9c1ebe16f80e817ce88da3e5758d89b23ffb9364",
         "8be71fa66931e6e70b0d767a"},
        {VLY_SUITE_CHACHA20, "865575bc5f42d364064172f5d45475cdd9a3d7da5c7f5c27a28595f452389ecf",
         "c8beb808d0d3a131d0aeb41d"},
        {VLY_SUITE_CHACHA20, "a9c22b4ef01fe25b90830b698d415cd635c413f495a6e09c4662175f08ee43db",
         "78de00cd2f76bccdc8997ae7"},
        {VLY_SUITE_CHACHA20, "7a1178e1eebd9a7b353c74e74de44e65e5db6a30b4b91cdd627fead4f4bdc731",
         "0e00ebe016be9bc8dea55495"},
        {VLY_SUITE_AES_128_GCM, "b7d4ab004026bda617ba7c940db9668b59367dd66571300d92dc15129760ca27",
         "91352a5e28ea154cda114406"},
        {VLY_SUITE_AES_128_GCM, "27571352010c8e83924498a8ee1e4bda7f2c2d7006dc867ded0f039bc851e381",
         "b2250eb376472276627c1e14"},
        {VLY_SUITE_AES_128_GCM, "e67cf96d69fc9212552516570af111fb7b3dddaf0ab043c3876949027ed32fd8",
         "2480d148577a47995ff53b8b"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i += 3) {
        struct direction d;

        direction_init(&d, answers[i].suite);
        direction_open(&d);
        for (uint64_t pn = 0; pn <= 2 * UPDATE_PKTS; pn++)
            direction_pass(&d, pn, true);
        assert_int_equal(d.sent_log.n, 3);
        assert_int_equal(d.recv_log.n, 3);
        for (uint64_t g = 0; g < 3; g++) {
            const struct direction_key *t = &d.sent_log.told[g];

            assert_int_equal(t->generation, g);
            assert_int_equal(t->cid, 0xc1d);
            assert_int_equal(t->suite, answers[i].suite);
            test_assert_hex(t->key, sizeof(t->key), answers[i + g].key);
            test_assert_hex(t->iv, sizeof(t->iv), answers[i + g].iv);
            assert_memory_equal(t, &d.recv_log.told[g], sizeof(*t));
        }
        direction_fini(&d);
    }
}

/* RULE 12: the sender takes the next keys after so many packets, numbers left out included, when
 * one of them was acknowledged; an acknowledgement of the generation before does not count. */
static void test_keys_update_waits_for_an_acknowledgement(void **state)
{
    struct direction d;
    bool phase;

    (void)state;
    direction_start(&d);
    for (uint64_t pn = 0; pn < UPDATE_PKTS + 10; pn++)
        direction_pass(&d, pn, false);
    assert_int_equal(d.send->generation, 0);
    vly_send_keys_on_ack(d.send, 3);
    vly_recv_keys_on_ack_sent(d.recv, 3);
    direction_pass(&d, UPDATE_PKTS + 20, false); /* nine numbers are left out */
    assert_int_equal(d.send->generation, 1);
    vly_send_keys_on_ack(d.send, UPDATE_PKTS + 19); /* of generation 0 */
    assert_int_equal(vly_send_keys_for(d.send, 2 * UPDATE_PKTS + 19, &phase), 0);
    assert_true(phase);
    assert_int_equal(vly_send_keys_for(d.send, 2 * UPDATE_PKTS + 20, &phase), 0);
    assert_true(phase);
    vly_send_keys_on_ack(d.send, UPDATE_PKTS + 20);
    assert_int_equal(vly_send_keys_for(d.send, 2 * UPDATE_PKTS + 20, &phase), 0);
    assert_false(phase);
    assert_int_equal(d.send->generation, 2);
    direction_fini(&d);
}

/* RULE 12: twice as many packets are the end, unless an acknowledgement comes after all. */
static void test_keys_limit_without_acknowledgement(void **state)
{
    struct direction d;
    struct direction_packet p;

    (void)state;
    assert_true(VLY_KEY_LIMIT_PKTS == UINT64_C(1) << 23);
    direction_start(&d);
    for (uint64_t pn = 0; pn < 2 * UPDATE_PKTS; pn++) {
        assert_int_equal(vly_send_keys_is_last(d.send, pn), pn == 2 * UPDATE_PKTS - 1);
        assert_int_equal(vly_send_keys_wants_ack(d.send, pn), pn >= UPDATE_PKTS / 2);
        assert_int_equal(vly_send_keys_is_due(d.send, pn), pn >= UPDATE_PKTS);
        direction_pass(&d, pn, false);
    }
    assert_int_equal(direction_make(&d, 2 * UPDATE_PKTS, &p), VLY_E_LIMIT);
    assert_int_equal(direction_make(&d, 2 * UPDATE_PKTS + 5, &p), VLY_E_LIMIT);
    assert_int_equal(d.send->generation, 0);
    vly_recv_keys_on_ack_sent(d.recv, 0);
    vly_send_keys_on_ack(d.send, 0);
    assert_false(vly_send_keys_is_last(d.send, 2 * UPDATE_PKTS + 5));
    assert_false(vly_send_keys_wants_ack(d.send, 2 * UPDATE_PKTS + 5));
    direction_pass(&d, 2 * UPDATE_PKTS + 5, false);
    assert_int_equal(d.recv->generation, 1);
    direction_fini(&d);
}

/* The defaults are those of SPEC 2.12. */
static void test_keys_default_limits(void **state)
{
    struct direction d;
    bool phase;

    (void)state;
    direction_init(&d, VLY_SUITE_CHACHA20);
    d.start.update_pkts = 0;
    direction_open(&d);
    vly_send_keys_on_ack(d.send, 0);
    assert_int_equal(vly_send_keys_for(d.send, (1u << 22) - 1, &phase), 0);
    assert_false(phase);
    assert_int_equal(vly_send_keys_for(d.send, 1u << 22, &phase), 0);
    assert_true(phase);
    assert_int_equal(vly_send_keys_for(d.send, 3u * (1u << 22) - 1, &phase), 0);
    assert_int_equal(vly_send_keys_for(d.send, 3u * (1u << 22), &phase), VLY_E_LIMIT);
    assert_true(d.recv->start.forgery_limit_pkts == UINT64_C(1) << 36);
    direction_fini(&d);
}

/* RULE 12: an update before the receiver acknowledged anything of the present generation. */
static void test_keys_early_update_is_refused(void **state)
{
    struct direction d;
    struct direction_packet p;

    (void)state;
    direction_start(&d);
    for (uint64_t pn = 0; pn < UPDATE_PKTS; pn++)
        direction_pass(&d, pn, false);
    vly_send_keys_on_ack(d.send, 0); /* it was never sent */
    assert_int_equal(direction_make(&d, UPDATE_PKTS, &p), 0);
    assert_int_equal(direction_read(&d, &p), VLY_E_PROTOCOL);
    assert_int_equal(d.recv->generation, 0);
    assert_int_equal(d.recv->forgeries, 0);
    direction_fini(&d);
}

/* RULE 12: likewise the second update, when only packets of the generation before were
 * acknowledged. */
static void test_keys_early_second_update_is_refused(void **state)
{
    struct direction d;
    struct direction_packet p;

    (void)state;
    direction_start(&d);
    for (uint64_t pn = 0; pn < UPDATE_PKTS; pn++)
        direction_pass(&d, pn, true);
    for (uint64_t pn = UPDATE_PKTS; pn < 2 * UPDATE_PKTS; pn++)
        direction_pass(&d, pn, false);
    vly_recv_keys_on_ack_sent(d.recv, UPDATE_PKTS - 1);
    vly_send_keys_on_ack(d.send, UPDATE_PKTS);
    assert_int_equal(direction_make(&d, 2 * UPDATE_PKTS, &p), 0);
    assert_int_equal(direction_read(&d, &p), VLY_E_PROTOCOL);
    vly_recv_keys_on_ack_sent(d.recv, UPDATE_PKTS); /* a lower number than the latest will do */
    assert_int_equal(direction_read(&d, &p), 0);
    assert_int_equal(d.recv->generation, 2);
    direction_fini(&d);
}

/* Packets under way during an update are read with the old keys, for as long as was said. */
static void test_keys_old_ones_read_what_was_under_way(void **state)
{
    struct direction d;
    struct direction_packet p[3];

    (void)state;
    direction_start(&d);
    pass_update(&d, p, 3);
    assert_int_equal(direction_read(&d, &p[2]), 0);
    d.now_ns = DIRECTION_KEEP_OLD_NS - 1;
    assert_int_equal(direction_read(&d, &p[0]), 0);
    assert_non_null(d.recv->old.keys);
    d.now_ns = DIRECTION_KEEP_OLD_NS;
    assert_int_equal(direction_read(&d, &p[1]), VLY_E_AUTH);
    assert_null(d.recv->old.keys);
    assert_int_equal(d.recv->forgeries, 1);
    direction_fini(&d);
}

/* No less when packets come in runs, which none of the old keys is ever among. */
static void test_keys_old_ones_end_with_a_run(void **state)
{
    struct direction d;
    struct direction_packet old[1], p;
    uint8_t text[sizeof(p.sealed)];
    struct vly_aead_job job = {.head = p.head,
                               .head_bytes = sizeof(p.head),
                               .in = p.sealed,
                               .len = sizeof(p.sealed) - VLY_TAG_BYTES,
                               .out = text};

    (void)state;
    direction_start(&d);
    pass_update(&d, old, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(direction_make(&d, d.send->next_pn, &p), 0);
        job.number = p.pn;
        d.now_ns = i == 0 ? DIRECTION_KEEP_OLD_NS - 1 : DIRECTION_KEEP_OLD_NS;
        assert_int_equal(vly_recv_keys_open_run(d.recv, &job, 1, d.now_ns), 0);
        assert_true(job.ok);
        assert_int_equal(d.recv->old.keys != NULL, i == 0);
    }
    direction_fini(&d);
}

/* The first packet of a generation that arrives need not be its first. */
static void test_keys_update_out_of_order(void **state)
{
    struct direction d;
    struct direction_packet p[4];

    (void)state;
    direction_start(&d);
    for (uint64_t pn = 0; pn < UPDATE_PKTS - 1; pn++)
        direction_pass(&d, pn, true);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(direction_make(&d, UPDATE_PKTS - 1 + i, &p[i]), 0);
    assert_false(p[0].phase);
    assert_true(p[1].phase);
    assert_int_equal(direction_read(&d, &p[3]), 0); /* generation 1 begins here */
    assert_int_equal(direction_read(&d, &p[0]), 0);
    assert_int_equal(direction_read(&d, &p[1]), 0);
    assert_int_equal(direction_read(&d, &p[2]), 0);
    assert_int_equal(d.recv->lowest_pn, UPDATE_PKTS);
    assert_int_equal(d.recv->generation, 1);
    direction_fini(&d);
}

/* A late packet does not bring the old generation back, and an update that comes while old keys are
 * still kept is an update. */
static void test_keys_two_updates_in_a_row(void **state)
{
    struct direction d;
    struct direction_packet p[2];

    (void)state;
    direction_start(&d);
    pass_update(&d, p, 2);
    assert_int_equal(direction_read(&d, &p[0]), 0);
    assert_int_equal(d.recv->generation, 1);
    for (uint64_t pn = UPDATE_PKTS + 1; pn <= 2 * UPDATE_PKTS; pn++)
        direction_pass(&d, pn, true);
    assert_int_equal(d.recv->generation, 2);
    assert_int_equal(direction_read(&d, &p[1]), VLY_E_AUTH); /* two generations ago */
    direction_fini(&d);
}

/* The whole state of the receiver but the counter. */
static void assert_unchanged(const struct vly_recv_keys *k, const struct vly_recv_keys *before,
                             uint64_t forgeries)
{
    struct vly_recv_keys now = *k;

    assert_int_equal(now.forgeries, forgeries);
    now.forgeries = before->forgeries;
    assert_memory_equal(&now, before, sizeof(now));
}

/* Every bit of the packet turned over, and its phase and number wrong. */
static uint64_t forge(struct direction *d, struct direction_packet *p)
{
    struct vly_recv_keys before = *d->recv;
    uint64_t forgeries = before.forgeries;

    for (size_t bit = 0; bit < 8 * (sizeof(p->head) + sizeof(p->sealed)); bit++) {
        uint8_t *at =
            bit / 8 < sizeof(p->head) ? p->head + bit / 8 : p->sealed + bit / 8 - sizeof(p->head);

        *at ^= (uint8_t)(1 << bit % 8);
        for (int phase = 0; phase < 2; phase++) {
            struct direction_packet changed = *p;

            changed.phase = phase != 0;
            assert_int_equal(direction_read(d, &changed), VLY_E_AUTH);
            assert_unchanged(d->recv, &before, ++forgeries);
        }
        *at ^= (uint8_t)(1 << bit % 8);
    }
    for (int bit = 0; bit < 62; bit++) {
        struct direction_packet changed = *p;

        changed.pn ^= UINT64_C(1) << bit;
        assert_int_equal(direction_read(d, &changed), VLY_E_AUTH);
        assert_unchanged(d->recv, &before, ++forgeries);
    }
    return forgeries;
}

/* RULE 9: packets of the present, of the next and of the old generation, with any bit wrong, change
 * nothing but the count of forgeries; the true ones are taken afterwards. */
static void test_keys_forgeries_change_nothing(void **state)
{
    struct direction_packet p, old[1];
    struct direction d;

    (void)state;
    direction_start(&d);
    assert_int_equal(direction_make(&d, 0, &p), 0);
    forge(&d, &p);
    assert_int_equal(direction_read(&d, &p), 0);
    direction_fini(&d);

    direction_start(&d);
    for (uint64_t pn = 0; pn < UPDATE_PKTS; pn++)
        direction_pass(&d, pn, true);
    assert_int_equal(direction_make(&d, UPDATE_PKTS, &p), 0);
    forge(&d, &p);
    assert_int_equal(direction_read(&d, &p), 0);
    assert_int_equal(d.recv->generation, 1);
    direction_fini(&d);

    direction_start(&d);
    pass_update(&d, old, 1);
    forge(&d, &old[0]);
    assert_int_equal(direction_read(&d, &old[0]), 0);
    direction_fini(&d);
}

/* RULE 13: so many forgeries end it; genuine packets between them do not start the count anew. */
static void test_keys_forgery_limit(void **state)
{
    struct direction d;

    (void)state;
    direction_init(&d, VLY_SUITE_AES_256_GCM);
    d.start.forgery_limit_pkts = 5;
    direction_open(&d);
    for (uint64_t pn = 0; pn < 6; pn++) {
        struct direction_packet p;

        assert_int_equal(direction_make(&d, pn, &p), 0);
        assert_int_equal(direction_read(&d, &p), 0);
        p.sealed[0] ^= 1;
        assert_int_equal(direction_read(&d, &p), pn < 4 ? VLY_E_AUTH : VLY_E_LIMIT);
    }
    assert_int_equal(d.recv->forgeries, 6);
    direction_fini(&d);
}

/* Suite plain: no secrets, no generations, no limit; a set phase bit is damage. */
static void test_keys_plain(void **state)
{
    struct direction d;
    struct direction_packet p;

    (void)state;
    direction_init(&d, VLY_SUITE_PLAIN);
    direction_open(&d);
    for (uint64_t pn = 0; pn < 4 * UPDATE_PKTS; pn++)
        direction_pass(&d, pn, pn % 2 == 0);
    direction_pass(&d, VLY_KEY_LIMIT_PKTS, false);
    direction_pass(&d, (UINT64_C(1) << 62) - 2, false);
    assert_int_equal(d.send->generation, 0);
    assert_int_equal(direction_make(&d, (UINT64_C(1) << 62) - 1, &p), 0);
    assert_false(p.phase);
    p.phase = true;
    assert_int_equal(direction_read(&d, &p), VLY_E_AUTH);
    p.phase = false;
    p.sealed[3] ^= 0x10;
    assert_int_equal(direction_read(&d, &p), VLY_E_AUTH);
    assert_int_equal(d.recv->forgeries, 2);
    assert_int_equal(d.sent_log.n + d.recv_log.n, 0);
    direction_fini(&d);
    vly_send_keys_free(NULL);
    vly_recv_keys_free(NULL);
}

/* What a suite was asked to seal: its keys are numbered by their content. */
static struct {
    uint8_t keys[64][VLY_KEY_BYTES + VLY_IV_BYTES];
    size_t n_keys;
    uint64_t next_number[64]; /* numbers rise: a lower one was there before */
    size_t sealed;
} nonces;

struct spy_keys {
    size_t key;
};

static bool spy_init(void *keys, const uint8_t key[VLY_KEY_BYTES], const uint8_t iv[VLY_IV_BYTES])
{
    struct spy_keys *k = keys;
    uint8_t both[VLY_KEY_BYTES + VLY_IV_BYTES];

    memcpy(both, key, VLY_KEY_BYTES);
    memcpy(both + VLY_KEY_BYTES, iv, VLY_IV_BYTES);
    for (k->key = 0; k->key < nonces.n_keys; k->key++)
        if (memcmp(nonces.keys[k->key], both, sizeof(both)) == 0)
            return true;
    assert_true(nonces.n_keys < ARRAY_LEN(nonces.keys));
    memcpy(nonces.keys[nonces.n_keys++], both, sizeof(both));
    return true;
}

static void spy_fini(void *keys)
{
    (void)keys;
}

static void spy_seal(void *keys, struct vly_aead_job *jobs, size_t n)
{
    const struct spy_keys *k = keys;

    for (size_t i = 0; i < n; i++) {
        assert_true(jobs[i].number >= nonces.next_number[k->key]);
        nonces.next_number[k->key] = jobs[i].number + 1;
        nonces.sealed++;
    }
}

/* RULE 10: over fifty generations no number is sealed twice under one key, and no key comes back.
 */
static void test_keys_nonces_never_repeat(void **state)
{
    static const struct vly_suite_ops spy = {
        .id = VLY_SUITE_AES_256_GCM,
        .keys_bytes = sizeof(struct spy_keys),
        .init = spy_init,
        .fini = spy_fini,
        .seal = spy_seal,
    };
    struct vly_prng prng;
    struct direction d;
    struct direction_packet p;
    uint64_t pn = 0;

    (void)state;
    memset(&nonces, 0, sizeof(nonces));
    vly_prng_init(&prng, test_seed());
    direction_init(&d, VLY_SUITE_AES_256_GCM);
    d.start.suite = &spy;
    direction_open(&d);
    while (d.send->generation < 50) {
        pn += 1 + vly_prng_below(&prng, 3);
        assert_int_equal(direction_make(&d, pn, &p), 0);
        if (vly_prng_below(&prng, 4) == 0)
            vly_send_keys_on_ack(d.send, pn - vly_prng_below(&prng, 5));
    }
    assert_int_equal(nonces.n_keys, 51);
    assert_true(nonces.sealed >= 50 * UPDATE_PKTS / 3);
    direction_fini(&d);
}

/* Packets arrive in any order, less than a generation late, some twice, some never;
 * acknowledgements now and then. Whatever was sealed opens, through all updates. */
static void test_keys_through_a_network(void **state)
{
    enum { WINDOW = 16 };
    struct direction_packet window[WINDOW];
    bool full[WINDOW] = {false};
    uint64_t largest = 0;
    struct vly_prng prng;
    struct direction d;

    (void)state;
    vly_prng_init(&prng, test_seed());
    direction_start(&d);
    for (uint64_t pn = 0; pn < 100 * (uint64_t)UPDATE_PKTS; pn++) {
        size_t i = (size_t)vly_prng_below(&prng, WINDOW);

        if (full[i] && pn - window[i].pn < UPDATE_PKTS && !vly_prng_chance(&prng, 0.1)) {
            assert_int_equal(direction_read(&d, &window[i]), 0);
            if (vly_prng_chance(&prng, 0.05))
                assert_int_equal(direction_read(&d, &window[i]), 0);
            if (window[i].pn > largest)
                largest = window[i].pn;
        }
        if (vly_prng_chance(&prng, 0.1)) {
            vly_recv_keys_on_ack_sent(d.recv, largest);
            vly_send_keys_on_ack(d.send, largest);
        }
        assert_int_equal(direction_make(&d, pn, &window[i]), 0);
        full[i] = true;
        d.now_ns += VLY_MS(1);
    }
    assert_true(d.recv->generation > 50);
    assert_int_equal(d.recv->forgeries, 0);
    direction_fini(&d);
}

/* Opens both ends and brings them to generation 1; counts what failed, and tries it again. */
static unsigned run_out_of_memory(struct direction *d)
{
    struct direction_packet p;
    unsigned failures = 0;

    d->send = (struct vly_send_keys *)d; /* to be overwritten */
    d->recv = (struct vly_recv_keys *)d;
    for (; vly_send_keys_new(&d->send, &d->start) == VLY_E_NOMEM; failures++)
        assert_null(d->send);
    for (; vly_recv_keys_new(&d->recv, &d->start) == VLY_E_NOMEM; failures++)
        assert_null(d->recv);
    for (uint64_t pn = 0; pn < UPDATE_PKTS; pn++)
        direction_pass(d, pn, true);
    for (; direction_make(d, UPDATE_PKTS, &p) == VLY_E_NOMEM; failures++)
        assert_int_equal(d->send->generation, 0);
    for (; direction_read(d, &p) == VLY_E_NOMEM; failures++)
        assert_int_equal(d->recv->generation, 0);
    assert_int_equal(d->recv->generation, 1);
    return failures;
}

/* RULE 40: each request for memory fails once. */
static void test_keys_out_of_memory(void **state)
{
    struct direction d;
    uint64_t at = 1;

    (void)state;
    for (unsigned failures = 1; failures > 0; at++) {
        direction_init(&d, VLY_SUITE_AES_256_GCM);
        test_secrets.fail_at = at;
        failures = run_out_of_memory(&d);
        assert_int_equal(failures, at <= test_secrets.requests);
        direction_fini(&d);
    }
    assert_true(at > 8); /* two ends, three generations at first, two more with the update */
}

static bool init_fails;

static bool failing_init(void *keys, const uint8_t key[VLY_KEY_BYTES],
                         const uint8_t iv[VLY_IV_BYTES])
{
    return !init_fails && direction_suite(VLY_SUITE_AES_256_GCM)->init(keys, key, iv);
}

/* RULE 40: a library that has no memory for its part. */
static void test_keys_library_out_of_memory(void **state)
{
    struct vly_suite_ops suite = *direction_suite(VLY_SUITE_AES_256_GCM);
    struct direction d;
    struct direction_packet p;

    (void)state;
    suite.init = failing_init;
    direction_init(&d, VLY_SUITE_AES_256_GCM);
    d.start.suite = &suite;
    init_fails = true;
    assert_int_equal(vly_send_keys_new(&d.send, &d.start), VLY_E_NOMEM);
    assert_int_equal(vly_recv_keys_new(&d.recv, &d.start), VLY_E_NOMEM);
    init_fails = false;
    direction_open(&d);
    pass_update(&d, NULL, 0);
    for (uint64_t pn = UPDATE_PKTS + 1; pn < 2 * UPDATE_PKTS; pn++)
        direction_pass(&d, pn, true);
    init_fails = true;
    assert_int_equal(direction_make(&d, 2 * UPDATE_PKTS, &p), VLY_E_NOMEM);
    init_fails = false;
    assert_int_equal(direction_make(&d, 2 * UPDATE_PKTS, &p), 0);
    init_fails = true;
    assert_int_equal(direction_read(&d, &p), VLY_E_NOMEM);
    init_fails = false;
    assert_int_equal(direction_read(&d, &p), 0);
    direction_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_known_answers),
        cmocka_unit_test(test_keys_update_waits_for_an_acknowledgement),
        cmocka_unit_test(test_keys_limit_without_acknowledgement),
        cmocka_unit_test(test_keys_default_limits),
        cmocka_unit_test(test_keys_early_update_is_refused),
        cmocka_unit_test(test_keys_early_second_update_is_refused),
        cmocka_unit_test(test_keys_old_ones_read_what_was_under_way),
        cmocka_unit_test(test_keys_old_ones_end_with_a_run),
        cmocka_unit_test(test_keys_update_out_of_order),
        cmocka_unit_test(test_keys_two_updates_in_a_row),
        cmocka_unit_test(test_keys_forgeries_change_nothing),
        cmocka_unit_test(test_keys_forgery_limit),
        cmocka_unit_test(test_keys_plain),
        cmocka_unit_test(test_keys_nonces_never_repeat),
        cmocka_unit_test(test_keys_through_a_network),
        cmocka_unit_test(test_keys_out_of_memory),
        cmocka_unit_test(test_keys_library_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
