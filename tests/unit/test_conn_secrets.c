/*
 * conn: no memory for secrets, at each point of a connection's life. RULE 40
 */
#include <string.h>

#include "proto/conn_internal.h"
#include "support/pair.h"

static const enum vly_method methods[] = {VLY_METHOD_KEYS, VLY_METHOD_PSK, VLY_METHOD_CODE};

static struct pair_side *client(struct pair *p)
{
    return &p->side[PAIR_CLIENT];
}

static struct pair_side *server(struct pair *p)
{
    return &p->side[PAIR_SERVER];
}

static struct pair *pair_of(enum vly_method method)
{
    struct vly_endpoint_config c = pair_sealed(PAIR_CLIENT, method);
    struct vly_endpoint_config s = pair_sealed(PAIR_SERVER, method);

    c.conn.key_update_pkts = s.conn.key_update_pkts = 16;
    return pair_new(&c, &s);
}

/* Packet by packet, each acknowledged, through some updates of the keys. */
static void transfer(struct pair *p)
{
    uint64_t id;

    if (client(p)->conn == NULL || vly_conn_open_stream(client(p)->conn, &id) != 0)
        return;
    for (uint64_t i = 0; i < 60 && client(p)->events[VLY_EV_CLOSED] == 0; i++) {
        assert_int_equal(pair_write_some(p, PAIR_CLIENT, id, i * 100, 100, i == 59), 100);
        pair_run(p, VLY_MS(20));
    }
}

/* Either all is well in the end, a message having come again, or both ends know that it is not. */
static void check_ends(struct pair *p)
{
    if (client(p)->events[VLY_EV_CLOSED] == 0)
        assert_int_equal(server(p)->stream[0].final_bytes, 6000);
    else
        assert_int_equal(server(p)->events[VLY_EV_CLOSED], server(p)->events[VLY_EV_ACCEPTED]);
}

/* Every single request for secret memory fails once. */
static void test_conn_secrets_each_request_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        bool failed = true;

        for (uint64_t nth = 1; failed; nth++) {
            struct pair *p = pair_of(methods[i]);
            int err;

            sealed_memory.fail_at = sealed_memory.requests + nth;
            err =
                vly_endpoint_connect(client(p)->ep, &server(p)->addr, p->now_ns, &client(p)->conn);
            if (err == 0) {
                pair_run(p, VLY_MS(600));
                transfer(p);
                check_ends(p);
            } else {
                assert_int_equal(err, VLY_E_NOMEM);
            }
            failed = sealed_memory.requests >= sealed_memory.fail_at;
            sealed_memory.fail_at = 0;
            pair_free(p);
            assert_in_range(nth, 1, 100);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_secrets_each_request_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
