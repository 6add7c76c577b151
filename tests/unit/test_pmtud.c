/*
 * pmtud: the search alone, against paths that carry so much and hosts that send so much.
 */
#include "proto/packet.h"
#include "proto/pmtud.h"

#include "support/support.h"

#define RTT VLY_MS(20)
#define PTO VLY_MS(30)

struct path {
    uint32_t host_bytes; /* what the sender's own device takes */
    uint32_t path_bytes;
};

struct search {
    struct vly_pmtud p;
    uint64_t now_ns, next_pn;
    unsigned probes, refused; /* that went out, that did not */
    uint32_t longest_sent;
};

static void begin(struct search *s, uint32_t start_bytes, uint32_t max_bytes)
{
    *s = (struct search){.next_pn = 100};
    vly_pmtud_init(&s->p, start_bytes, max_bytes);
}

/* One probe and what becomes of it. False when none may go. */
static bool step(struct search *s, const struct path *path)
{
    uint32_t bytes = vly_pmtud_next_bytes(&s->p, s->now_ns);

    if (bytes == 0)
        return false;
    assert_true(bytes > s->p.size_bytes && bytes <= s->p.max_bytes);
    vly_pmtud_on_sent(&s->p, s->next_pn++, s->now_ns + PTO);
    assert_int_equal(vly_pmtud_next_bytes(&s->p, s->now_ns), 0); /* one at a time */
    assert_int_equal(vly_pmtud_deadline_ns(&s->p), s->now_ns + PTO);
    if (bytes > path->host_bytes) {
        s->refused++;
        vly_pmtud_on_refused(&s->p, bytes, s->now_ns);
    } else {
        s->probes++;
        if (bytes > s->longest_sent)
            s->longest_sent = bytes;
        s->now_ns += bytes > path->path_bytes ? PTO : RTT;
        if (bytes > path->path_bytes)
            vly_pmtud_on_lost(&s->p, s->now_ns);
        else
            vly_pmtud_on_acked(&s->p, s->now_ns);
    }
    assert_int_equal(vly_pmtud_deadline_ns(&s->p), VLY_NEVER);
    return true;
}

static void search(struct search *s, const struct path *path)
{
    for (unsigned i = 0; step(s, path); i++)
        assert_true(i < 100);
    assert_int_equal(s->p.state, VLY_PMTUD_DONE);
}

/* The common cases take one probe on the wire or none; what vanishes on the way costs three each.
 */
static void test_pmtud_finds(void **state)
{
    static const struct {
        struct path path;
        uint32_t start, max, found;
        unsigned probes_max;
    } rows[] = {
        {{65507, 65507}, 1472, 65507, 65507, 1}, /* loopback */
        {{65488, 65488}, 1452, 65487, 65487, 1}, /* with IPv6 */
        {{8972, 8972}, 1472, 65507, 8972, 1},    /* jumbo frames */
        {{8952, 8952}, 1452, 65487, 8952, 2},    /* with IPv6 */
        {{1472, 1472}, 1472, 65507, 1472, 0},    /* Ethernet */
        {{1452, 1452}, 1452, 65487, 1452, 0},
        {{1464, 1464}, 1200, 65507, 1464, 4}, /* PPPoE, after 1472 has failed */
        {{1392, 1392}, 1200, 65507, 1392, 4},
        {{1220, 1220}, 1200, 65507, 1200, 0},  /* between two of the table */
        {{8972, 1472}, 1472, 65507, 1472, 12}, /* a jumbo frame host, a wide path to Ethernet */
        {{65507, 8972}, 1472, 65507, 8972, 13},
        {{65507, 1472}, 1472, 65507, 1472, 15},
        {{65507, 1200}, 1200, 65507, 1200, 18},
        {{65507, 65507}, 1472, 20000, 20000, 1}, /* the peer takes no more */
        {{65507, 65507}, 8000, 8000, 8000, 0},   /* the user's choice */
        {{65507, 65507}, 8000, 1472, 8000, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct search s;

        begin(&s, rows[i].start, rows[i].max);
        search(&s, &rows[i].path);
        assert_int_equal(s.p.size_bytes, rows[i].found);
        assert_in_range(s.probes, 0, rows[i].probes_max);
    }
}

/* A probe that is lost at random says nothing: the size is tried three times. */
static void test_pmtud_tries_three_times(void **state)
{
    const struct path narrow = {65507, 1472}, wide = {65507, 65507};
    struct search s;

    (void)state;
    begin(&s, 1472, 65507);
    assert_true(step(&s, &narrow));
    assert_true(step(&s, &narrow));
    assert_int_equal(s.p.probe_bytes, 65507);
    assert_true(step(&s, &wide));
    assert_int_equal(s.p.size_bytes, 65507);

    begin(&s, 1472, 65507);
    for (unsigned i = 0; i < VLY_PMTUD_TRIES; i++) {
        assert_int_equal(vly_pmtud_next_bytes(&s.p, s.now_ns), 65507);
        assert_true(step(&s, &narrow));
    }
    assert_true(vly_pmtud_next_bytes(&s.p, s.now_ns) < 65507);
}

/* Ten minutes later all is tried again, whatever failed before; not a moment earlier. */
static void test_pmtud_raises(void **state)
{
    const struct path narrow = {1472, 1472}, wide = {8972, 8972};
    struct search s;
    uint64_t done_ns;

    (void)state;
    begin(&s, 1472, 65507);
    search(&s, &narrow);
    done_ns = s.now_ns;
    s.now_ns = done_ns + VLY_PMTUD_RAISE_NS - 1;
    assert_false(step(&s, &wide));
    s.now_ns++;
    search(&s, &wide);
    assert_int_equal(s.p.size_bytes, 8972);
}

static void test_pmtud_off(void **state)
{
    struct search s;

    (void)state;
    begin(&s, 9000, 0);
    assert_int_equal(vly_pmtud_next_bytes(&s.p, VLY_S(1000)), 0);
    assert_int_equal(vly_pmtud_deadline_ns(&s.p), VLY_NEVER);
    for (unsigned i = 0; i < 100; i++)
        assert_false(vly_pmtud_note_lost(&s.p, i, 9000, VLY_MS(10) * (i), PTO));
    assert_false(vly_pmtud_fall_back(&s.p, 200, 0));
    assert_int_equal(s.p.size_bytes, 9000);
}

/* A fall waits until the base size is known to pass; then the old size is tried again at once, for
 * it may have been an outage. Later falls wait longer each time. */
static void test_pmtud_falls_back(void **state)
{
    const struct path wide = {8972, 8972};
    const uint64_t waits_ns[] = {0, VLY_S(2), VLY_S(4), VLY_S(8)};
    struct search s;

    (void)state;
    begin(&s, 1472, 65507);
    search(&s, &wide);
    for (size_t i = 0; i < sizeof(waits_ns) / sizeof(waits_ns[0]); i++) {
        s.next_pn = 1000 * (i + 1);
        assert_true(vly_pmtud_fall_back(&s.p, s.next_pn, s.now_ns));
        assert_int_equal(s.p.size_bytes, VLY_DATAGRAM_BASE);
        assert_false(vly_pmtud_fall_back(&s.p, s.next_pn, s.now_ns)); /* there is no less */
        assert_false(step(&s, &wide));
        vly_pmtud_on_heard(&s.p, s.next_pn - 1); /* sent before: says nothing */
        assert_int_equal(s.p.state, VLY_PMTUD_BASE);
        vly_pmtud_on_heard(&s.p, s.next_pn);
        assert_int_equal(s.p.state, VLY_PMTUD_SEARCHING);
        if (waits_ns[i] > 0) {
            s.now_ns += waits_ns[i] - 1;
            assert_false(step(&s, &wide));
            s.now_ns++;
        }
        search(&s, &wide);
        assert_int_equal(s.p.size_bytes, 8972);
    }
}

static void test_pmtud_fall_forgets_the_probe(void **state)
{
    struct search s;

    (void)state;
    begin(&s, 1472, 65507);
    assert_int_equal(vly_pmtud_next_bytes(&s.p, 0), 65507);
    vly_pmtud_on_sent(&s.p, 100, PTO);
    assert_true(vly_pmtud_fall_back(&s.p, 101, 0));
    assert_false(s.p.probing);
    vly_pmtud_on_heard(&s.p, 101);
    assert_int_equal(vly_pmtud_next_bytes(&s.p, 0), 65507);
}

/* The device of the host has become smaller: what it refuses is not tried again. */
static void test_pmtud_data_refused(void **state)
{
    const struct path wide = {65507, 65507}, now = {1372, 1372};
    struct search s;

    (void)state;
    begin(&s, 1472, 65507);
    search(&s, &wide);
    vly_pmtud_on_refused(&s.p, 65507, s.now_ns);
    assert_true(vly_pmtud_fall_back(&s.p, s.next_pn, s.now_ns));
    vly_pmtud_on_heard(&s.p, s.next_pn);
    search(&s, &now);
    assert_int_equal(s.p.size_bytes, 1372);
    /* The base is never given up, and what never was sent is no matter. */
    vly_pmtud_on_refused(&s.p, VLY_DATAGRAM_BASE, s.now_ns);
    assert_int_equal(s.p.failed_bytes, 1392);
}

/* Six long packets lost and none newer acknowledged: a black hole; short ones count neither way. */
static void test_pmtud_black_hole(void **state)
{
    struct search s;

    (void)state;
    begin(&s, 1472, 65507);
    for (unsigned i = 0; i < VLY_PMTUD_LARGE_LOST - 1; i++) {
        assert_false(vly_pmtud_note_lost(&s.p, 10 + i, 1472, VLY_MS(10) * (10 + i), PTO));
        assert_false(vly_pmtud_note_lost(&s.p, 20 + i, 1200, VLY_MS(10) * (20 + i), PTO));
        vly_pmtud_note_acked(&s.p, 30 + i, 1200);
    }
    assert_true(vly_pmtud_note_lost(&s.p, 40, 1472, VLY_MS(10) * (40), PTO));
}

/* Many lost at once, of which the last was sent less than a PTO after the first, are a queue that
 * overflowed. */
static void test_pmtud_black_hole_lasts(void **state)
{
    struct search s;

    (void)state;
    begin(&s, 1472, 65507);
    for (unsigned i = 0; i < 100; i++)
        assert_false(vly_pmtud_note_lost(&s.p, 10 + i, 1472, VLY_MS(100), PTO));
    assert_false(vly_pmtud_note_lost(&s.p, 110, 1472, VLY_MS(100) + PTO - 1, PTO));
    assert_true(vly_pmtud_note_lost(&s.p, 111, 1472, VLY_MS(100) + PTO, PTO));
}

/* A queue that overflows loses many at once, and the packet behind them arrives. */
static void test_pmtud_burst_is_no_black_hole(void **state)
{
    struct search s;

    (void)state;
    begin(&s, 1472, 65507);
    for (unsigned i = 0; i < VLY_PMTUD_LARGE_LOST - 1; i++)
        assert_false(vly_pmtud_note_lost(&s.p, 1 + i, 1472, VLY_MS(10) * (1 + i), PTO));
    vly_pmtud_note_acked(&s.p, 50, 1400);
    for (unsigned i = 10; i < 50; i++)
        assert_false(vly_pmtud_note_lost(&s.p, i, 1472, VLY_MS(10) * (i), PTO));
    /* What is acknowledged late does not count for newer ones. */
    for (unsigned i = 0; i < VLY_PMTUD_LARGE_LOST - 1; i++)
        assert_false(vly_pmtud_note_lost(&s.p, 60 + i, 1472, VLY_MS(10) * (60 + i), PTO));
    vly_pmtud_note_acked(&s.p, 49, 1472);
    assert_true(vly_pmtud_note_lost(&s.p, 70, 1472, VLY_MS(10) * (70), PTO));
}

/* Packets may be shorter than they could: the long ones are those above half of what is used. */
static void test_pmtud_used_size_counts(void **state)
{
    struct search s;

    (void)state;
    begin(&s, 1472, 65507);
    vly_pmtud_set_used(&s.p, 8000);
    assert_int_equal(s.p.large_bytes, 4001);
    vly_pmtud_set_used(&s.p, 2000);
    assert_int_equal(s.p.large_bytes, 1201);
    /* Growing: losses from before the probe that passed are no matter. */
    assert_int_equal(vly_pmtud_next_bytes(&s.p, 0), 65507);
    vly_pmtud_on_sent(&s.p, 500, PTO);
    vly_pmtud_on_acked(&s.p, 0);
    for (unsigned i = 0; i < 20; i++)
        assert_false(vly_pmtud_note_lost(&s.p, 480 + i, 1472, VLY_MS(10) * (480 + i), PTO));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pmtud_finds),
        cmocka_unit_test(test_pmtud_tries_three_times),
        cmocka_unit_test(test_pmtud_raises),
        cmocka_unit_test(test_pmtud_off),
        cmocka_unit_test(test_pmtud_falls_back),
        cmocka_unit_test(test_pmtud_fall_forgets_the_probe),
        cmocka_unit_test(test_pmtud_data_refused),
        cmocka_unit_test(test_pmtud_black_hole),
        cmocka_unit_test(test_pmtud_black_hole_lasts),
        cmocka_unit_test(test_pmtud_burst_is_no_black_hole),
        cmocka_unit_test(test_pmtud_used_size_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
