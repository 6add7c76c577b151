/*
 * endpoint: its settings, and connections beyond what it takes.
 */
#include "crypto/crypto.h"
#include "support/pair.h"

static struct pair_side *client(struct pair *p)
{
    return &p->side[PAIR_CLIENT];
}

static struct pair_side *server(struct pair *p)
{
    return &p->side[PAIR_SERVER];
}

/* ---- making endpoints ---- */

static void test_endpoint_settings(void **state)
{
    static const struct {
        const char *name;
        struct vly_conn_config conn;
        unsigned max_batch_pkts;
        int err;
    } cases[] = {
        {"defaults", {0}, 0, 0},
        {"datagram too small", {.max_datagram_bytes = 1199}, 0, VLY_E_INVALID},
        {"datagram too large", {.max_datagram_bytes = 65508}, 0, VLY_E_INVALID},
        {"announced too small", {.announced_datagram_bytes = 1199}, 0, VLY_E_INVALID},
        {"announced too large", {.announced_datagram_bytes = 65508}, 0, VLY_E_INVALID},
        {"window too large", {.window_bytes = UINT64_C(1) << 62}, 0, VLY_E_INVALID},
        {"too many streams", {.max_streams = VLY_STREAMS_MAX + 1}, 0, VLY_E_INVALID},
        {"idle too short", {.idle_timeout_ns = VLY_MS(999)}, 0, VLY_E_INVALID},
        {"idle too long", {.idle_timeout_ns = VLY_S(601)}, 0, VLY_E_INVALID},
        {"ACK too late", {.max_ack_delay_ns = VLY_MS(1001)}, 0, VLY_E_INVALID},
        {"no name", {.application = ""}, 0, VLY_E_INVALID},
        {"name of 33 bytes",
         {.application = "123456789012345678901234567890123"},
         0,
         VLY_E_INVALID},
        {"name of 32 bytes", {.application = "12345678901234567890123456789012"}, 0, 0},
        {"fixed rate of none", {.cc = &vly_cc_fixed_ops}, 0, VLY_E_INVALID},
        {"batch too large", {0}, VLY_BATCH_PKTS + 1, VLY_E_INVALID},
        {"batch of one", {0}, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_endpoint_config cfg = {.conn = cases[i].conn,
                                          .alloc = &test_alloc,
                                          .crypto = vly_crypto_system(),
                                          .max_batch_pkts = cases[i].max_batch_pkts};
        struct vly_endpoint *ep;

        print_message("  %s\n", cases[i].name);
        assert_int_equal(vly_endpoint_new(&ep, &cfg, 0), cases[i].err);
        assert_int_equal(ep != NULL, cases[i].err == 0);
        vly_endpoint_free(ep);
    }
}

static void test_endpoint_connect_fails_at_once(void **state)
{
    struct vly_endpoint_config cfg = pair_config(PAIR_CLIENT);
    struct pair *p;
    struct vly_conn *c;

    (void)state;
    cfg.allow_plain = false;
    p = pair_new(&cfg, NULL);
    assert_int_equal(vly_endpoint_connect(client(p)->ep, &server(p)->addr, p->now_ns, &c),
                     VLY_E_SUITE);
    assert_null(c);
    pair_free(p);
    cfg.allow_plain = true;
    cfg.max_conns = 2;
    p = pair_new(&cfg, NULL);
    pair_begin(p);
    pair_begin(p);
    assert_int_equal(vly_endpoint_connect(client(p)->ep, &server(p)->addr, p->now_ns, &c),
                     VLY_E_LIMIT);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoint_settings),
        cmocka_unit_test(test_endpoint_connect_fails_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
