/*
 * handshake: sealed connections, by each method: packet by packet, each one lost or doubled, what
 * either end believes, and what it says when it does not. SPEC 3, 3.1.
 */
#include <string.h>

#include "crypto/crypto.h"
#include "proto/conn_internal.h"
#include "support/raw.h"

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
    const struct vly_endpoint_config c = pair_sealed(PAIR_CLIENT, method);
    const struct vly_endpoint_config s = pair_sealed(PAIR_SERVER, method);

    return pair_new(&c, &s);
}

/* Every method: connected, the suite agreed, data both ways, closed; nothing readable on the way.
 */
static void test_handshake_sealed_transfers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct pair *p = pair_of(methods[i]);
        bool keys = methods[i] == VLY_METHOD_KEYS;

        print_message("  method %d\n", methods[i]);
        pair_connect(p);
        assert_ptr_equal(vly_conn_suite(client(p)->conn), client(p)->crypto.sealed[0]);
        assert_ptr_equal(vly_conn_suite(server(p)->conn), server(p)->crypto.sealed[0]);
        assert_int_equal(vly_conn_peer_key(client(p)->conn) != NULL, keys);
        assert_int_equal(vly_conn_peer_key(server(p)->conn) != NULL, keys);
        if (keys)
            assert_memory_equal(vly_conn_peer_key(client(p)->conn),
                                sealed_credentials(VLY_CLIENT, VLY_METHOD_KEYS)->pin, 32);
        pair_write(p, PAIR_CLIENT, pair_open(p, PAIR_CLIENT), 100000, true);
        pair_write(p, PAIR_SERVER, pair_open(p, PAIR_SERVER), 50000, true);
        pair_run(p, VLY_S(1));
        assert_int_equal(server(p)->stream[0].final_bytes, 100000);
        assert_int_equal(client(p)->stream[1].final_bytes, 50000);
        assert_int_equal(pair_stats(p, PAIR_CLIENT).retransmits, 0);
        assert_null(client(p)->conn->handshake);
        assert_null(client(p)->conn->message);
        assert_null(server(p)->conn->handshake);
        vly_conn_close(client(p)->conn, p->now_ns, 0, "");
        pair_run(p, VLY_S(1));
        assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, 0);
        assert_int_equal(server(p)->last[VLY_EV_CLOSED].err, VLY_E_CLOSED);
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_sealed_transfers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
