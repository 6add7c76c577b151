/*
 * world, bulk: hooks, injected packets, calls, links; and that a wrong byte does not pass unseen.
 */
#include "crypto/crypto.h"
#include "support/scenario.h"

#include <string.h>

static void note_time(void *ctx, uint64_t now_ns)
{
    uint64_t *times = ctx;

    times[++times[0]] = now_ns;
}

static void test_world_calls_in_time(void **state)
{
    uint64_t times[8] = {0};
    struct vly_world *w = vly_world_new(1);

    (void)state;
    assert_non_null(w);
    assert_int_equal(vly_world_at(w, VLY_MS(5), note_time, times), 0);
    assert_int_equal(vly_world_at(w, VLY_MS(2), note_time, times), 0);
    assert_int_equal(vly_world_at(w, VLY_MS(9), note_time, times), 0);
    vly_world_run(w, VLY_MS(8));
    assert_int_equal(times[0], 2);
    assert_int_equal(times[1], VLY_MS(2));
    assert_int_equal(times[2], VLY_MS(5));
    assert_int_equal(vly_world_now_ns(w), VLY_MS(8));
    vly_world_free(w); /* with one call still to come */
}

static void test_world_quiet_ends_the_run(void **state)
{
    struct scenario s;

    (void)state;
    scenario_init(&s, 1);
    scenario_build(&s);
    vly_world_run(s.world, VLY_S(100));
    assert_int_equal(vly_world_datagrams(s.world), 0);
    assert_true(vly_world_now_ns(s.world) <= VLY_S(100));
    scenario_fini(&s);
}

static void test_world_keeps_the_first_failure(void **state)
{
    struct vly_world *w = vly_world_new(7);

    (void)state;
    assert_non_null(w);
    assert_null(vly_world_failure(w));
    vly_world_fail(w, "the %s", "first");
    vly_world_fail(w, "the second");
    assert_non_null(strstr(vly_world_failure(w), "the first"));
    assert_non_null(strstr(vly_world_failure(w), "seed 7"));
    vly_world_free(w);
}

static void test_world_links_once(void **state)
{
    const struct vly_link_spec spec = {0}, wrong = {.loss = 7};
    const struct vly_endpoint_config cfg = {.allow_plain = true};
    struct vly_world *w = vly_world_new(1);

    (void)state;
    assert_non_null(w);
    for (int i = 0; i < VLY_WORLD_NODES_MAX; i++)
        assert_int_equal(vly_world_add_node(w, &cfg), 0);
    assert_int_equal(vly_world_add_node(w, &cfg), VLY_E_LIMIT);
    assert_int_equal(vly_world_add_link(w, 0, 1, &wrong), VLY_E_INVALID);
    assert_null(vly_world_link(w, 0, 1));
    assert_int_equal(vly_world_add_link(w, 0, 1, &spec), 0);
    assert_int_equal(vly_world_add_link(w, 0, 1, &spec), VLY_E_STATE);
    assert_int_equal(vly_world_share_link(w, 0, 2, 1), 0);
    assert_int_equal(vly_world_share_link(w, 0, 2, 1), VLY_E_STATE);
    assert_int_equal(vly_world_share_link(w, 0, 3, 4), VLY_E_INVALID);
    assert_ptr_equal(vly_world_link(w, 0, 1), vly_world_link(w, 0, 2));
    vly_world_free(w);
}

/* A conjurer on the way: swaps the nth packet with data for one with a byte changed and a right
 * tag. */
struct conjurer {
    struct scenario *s;
    uint64_t left;
    size_t at; /* which byte, from the end of the data */
};

static enum vly_world_verdict swap(void *ctx, const struct vly_world_view *v)
{
    struct conjurer *c = ctx;
    uint8_t packet[1500];
    struct vly_world_view swapped = *v;
    size_t body;

    if (v->to != CLIENT || scenario_packet_kind(c->s, v->data) != PKT_STREAM || --c->left != 0)
        return VLY_WORLD_PASS;
    memcpy(packet, v->data.data, v->data.len);
    body = v->data.len - VLY_TAG_BYTES;
    packet[body - c->at] ^= 0x10;
    vly_seal_one(&vly_suite_plain, NULL, 0, packet, VLY_DATA_HEADER_BYTES, body);
    swapped.data.data = packet;
    assert_int_equal(vly_world_inject(c->s->world, &swapped), 0);
    return VLY_WORLD_DROP;
}

static void test_bulk_sees_a_wrong_byte(void **state)
{
    static const size_t at[] = {1, 8, 700, 1400};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(at); i++)
        for (enum vly_order order = VLY_IN_ORDER; order <= VLY_ANY_ORDER; order++) {
            struct scenario s;
            struct conjurer c = {&s, 3, at[i]};

            scenario_init(&s, 1);
            s.hooks = (struct vly_world_hooks){&c, swap, NULL};
            scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = 100000, .order = order});
            vly_world_run(s.world, VLY_S(10));
            assert_non_null(vly_world_failure(s.world));
            assert_non_null(strstr(vly_world_failure(s.world), "wrong data"));
            assert_false(scenario_is_intact(&s));
            scenario_fini(&s);
        }
}

/* Equal datagrams but for one byte in the middle of one: another trace. */
static void test_world_trace_covers_each_byte(void **state)
{
    uint64_t hash[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        uint8_t data[1000] = {0};
        struct vly_conn *conn;
        struct scenario s;
        size_t written;
        uint64_t id;

        scenario_init(&s, 1);
        scenario_build(&s);
        assert_int_equal(vly_world_connect(s.world, CLIENT, SERVER, &conn), 0);
        vly_world_run(s.world, VLY_MS(1));
        assert_int_equal(vly_conn_open_stream(conn, &id), 0);
        data[600] = (uint8_t)i;
        assert_int_equal(
            vly_conn_write(conn, id, (struct vly_span){data, sizeof(data)}, true, &written), 0);
        assert_int_equal(written, sizeof(data));
        vly_world_touch(s.world, CLIENT);
        vly_world_run(s.world, VLY_MS(2));
        hash[i] = vly_world_trace_hash(s.world);
        assert_null(vly_world_failure(s.world));
        scenario_fini(&s);
    }
    assert_int_not_equal(hash[0], hash[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_world_calls_in_time),
        cmocka_unit_test(test_world_quiet_ends_the_run),
        cmocka_unit_test(test_world_keeps_the_first_failure),
        cmocka_unit_test(test_world_links_once),
        cmocka_unit_test(test_bulk_sees_a_wrong_byte),
        cmocka_unit_test(test_world_trace_covers_each_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
