/*
 * checks: each rule that the simulator watches is seen to be broken when it is.
 */
#include "sim/checks.h"
#include "support/support.h"

#include <string.h>

#define PEER 3u

static struct vly_span data_packet(uint8_t out[64], uint64_t cid, uint64_t pn)
{
    struct vly_wr w = vly_wr_init(out, 64);

    vly_data_header_encode(&w, &(struct vly_data_header){.cid = cid, .pn = pn});
    vly_wr_zeros(&w, 20);
    return (struct vly_span){out, vly_wr_len(&w)};
}

/* RULE 10 */
static void test_checks_packet_numbers(void **state)
{
    static struct vly_checks c;
    uint8_t buf[64];

    (void)state;
    vly_checks_init(&c, false);
    assert_null(vly_checks_on_sent(&c, PEER, data_packet(buf, 1, 0)));
    assert_null(vly_checks_on_sent(&c, PEER, data_packet(buf, 1, 1)));
    assert_null(vly_checks_on_sent(&c, PEER, data_packet(buf, 1, 7)));
    assert_null(vly_checks_on_sent(&c, PEER, data_packet(buf, 2, 1))); /* another connection's */
    assert_non_null(vly_checks_on_sent(&c, PEER, data_packet(buf, 1, 7)));
    assert_non_null(vly_checks_on_sent(&c, PEER, data_packet(buf, 1, 2)));
    assert_null(vly_checks_on_sent(&c, PEER, data_packet(buf, 1, VLY_VARINT_MAX)));
    assert_non_null(vly_checks_on_sent(&c, PEER, data_packet(buf, 1, VLY_VARINT_MAX)));
    memset(buf + 9, 0xff, 8);
    assert_non_null(vly_checks_on_sent(&c, PEER, (struct vly_span){buf, 37}));
    assert_non_null(vly_checks_on_sent(&c, PEER, (struct vly_span){buf, 10})); /* cut */
}

/* More connections than fit are let pass, not mistaken for each other. */
static void test_checks_many_connections(void **state)
{
    static struct vly_checks c;
    uint8_t buf[64];

    (void)state;
    vly_checks_init(&c, false);
    for (uint64_t pn = 0; pn < 2; pn++)
        for (uint64_t cid = 1; cid <= VLY_CHECKS_CIDS_MAX + 5; cid++)
            assert_null(vly_checks_on_sent(&c, PEER, data_packet(buf, cid, pn)));
    assert_non_null(vly_checks_on_sent(&c, PEER, data_packet(buf, VLY_CHECKS_CIDS_MAX, 1)));
}

/* RULE 2 */
static void test_checks_amplification(void **state)
{
    static const uint8_t answer[100] = {VLY_PACKET_ACCEPT};
    const struct vly_span span = {answer, sizeof(answer)};
    static struct vly_checks c;

    (void)state;
    vly_checks_init(&c, true);
    assert_non_null(vly_checks_on_sent(&c, PEER, span)); /* unasked */
    vly_checks_init(&c, true);
    vly_checks_on_received(&c, PEER, 100);
    for (int i = 0; i < 3; i++)
        assert_null(vly_checks_on_sent(&c, PEER, span));
    assert_non_null(vly_checks_on_sent(&c, PEER, span));
    assert_non_null(vly_checks_on_sent(&c, PEER + 1, span));
    vly_checks_on_validated(&c, PEER);
    assert_null(vly_checks_on_sent(&c, PEER, span));
    vly_checks_init(&c, false); /* a client asks unasked */
    assert_null(vly_checks_on_sent(&c, PEER, span));
}

/* RULE 26 */
static void test_checks_in_flight(void **state)
{
    static const struct {
        const char *name;
        uint64_t before_bytes, after_bytes, cwnd_bytes, probes;
        bool is_wrong;
    } cases[] = {
        {"up to the window", 0, 1000, 1000, 0, false},
        {"beyond it", 900, 1001, 1000, 0, true},
        {"beyond it by a probe", 900, 1001, 1000, 1, false},
        {"above a window that was reduced, no more added", 5000, 5000, 1000, 0, false},
        {"above it, and more", 5000, 5100, 1000, 0, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct vly_conn_stats before = {.in_flight_bytes = cases[i].before_bytes,
                                              .probes_sent = 5};
        const struct vly_conn_stats after = {.in_flight_bytes = cases[i].after_bytes,
                                             .cwnd_bytes = cases[i].cwnd_bytes,
                                             .probes_sent = 5 + cases[i].probes};

        print_message("  %s\n", cases[i].name);
        assert_int_equal(vly_checks_in_flight(&before, &after) != NULL, cases[i].is_wrong);
    }
}

static void test_checks_busy_loop(void **state)
{
    static struct vly_checks c;

    (void)state;
    vly_checks_init(&c, false);
    for (uint64_t i = 0; i < 1000; i++)
        assert_null(vly_checks_on_deadline(&c, i));
    for (unsigned i = 0; i <= VLY_CHECKS_STUCK_MAX; i++)
        assert_null(vly_checks_on_deadline(&c, 1000));
    assert_non_null(vly_checks_on_deadline(&c, 1000));
    assert_null(vly_checks_on_deadline(&c, 1001));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks_packet_numbers),
        cmocka_unit_test(test_checks_many_connections),
        cmocka_unit_test(test_checks_amplification),
        cmocka_unit_test(test_checks_in_flight),
        cmocka_unit_test(test_checks_busy_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
