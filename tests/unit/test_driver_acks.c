/*
 * How often an end acknowledges when it is told to: two drivers over loopback, and that the option
 * of a transport gets there. That the socket is full at chosen calls is done as in test_driver.c.
 */
#include "support/driver_world.h"
#include "support/tcp_world.h"

#include <errno.h>
#include <sys/syscall.h>

#define DATAGRAM_BYTES 1472u
#define DATA_PKTS_MIN (2 * BULK_BYTES / DATAGRAM_BYTES)

static unsigned full_every; /* every n-th send call fails with EAGAIN; 0: none */
static unsigned send_calls;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    errno = EAGAIN;
    return full_every != 0 && ++send_calls % full_every == 0
               ? -1
               : syscall(SYS_sendmsg, fd, message, flags);
}

/* Moves 6 MB in short datagrams. */
static struct world *transfer(uint32_t ack_every_pkts)
{
    struct world *w = world_new();

    w->client_opt.conn.max_datagram_bytes = w->server_opt.conn.max_datagram_bytes = DATAGRAM_BYTES;
    w->client_opt.conn.ack_every_pkts = w->server_opt.conn.ack_every_pkts = ack_every_pkts;
    w->on_open = world_send_three_streams;
    w->streams = 3;
    world_start(w, AF_INET);
    world_run(w);
    assert_int_equal(w->server.received, 2 * BULK_BYTES + 1);
    return w;
}

/* Batches are cut: else there would be one ACK for each of them, some forty packets. More ACKs come
 * of what is due at the end of a batch, or at once. */
static void test_driver_acknowledges_every_so_many(void **state)
{
    static const uint32_t every[] = {1, 2, 10, 64, 128};

    (void)state;
    full_every = 0;
    for (size_t i = 0; i < ARRAY_LEN(every); i++) {
        struct world *w = transfer(every[i]);
        uint64_t acks = w->server.conn_stats.acks_sent;

        print_message("  every %u: %u ACKs of %u packets\n", every[i], (unsigned)acks,
                      (unsigned)w->server.conn_stats.packets_received);
        assert_true(acks >= DATA_PKTS_MIN / every[i]);
        /* one each two packets is the most that is asked for without the option */
        if (every[i] > 1)
            assert_true(acks <= w->server.conn_stats.packets_received / 2 + 50);
        world_free(w);
    }
}

/* The batch that a full socket refuses is kept while the next pieces come in, and nothing is sent
 * before it. */
static void test_driver_pieces_while_the_socket_is_full(void **state)
{
    (void)state;
    for (uint32_t every = 1; every <= 3; every++) {
        struct world *w;

        full_every = 3;
        w = transfer(every);
        assert_int_equal(w->client.stats.lost_packets, 0);
        assert_int_equal(w->server.stats.lost_packets, 0);
        assert_int_equal(w->server.conn_stats.duplicates_received, 0);
        world_free(w);
    }
}

/* Through volley/transport.h, which takes no number that the engine does not know. */
static void test_transport_option_reaches_the_engine(void **state)
{
    struct tcp_world *w = tcp_world_new();
    struct vly_conn_stats stats;
    uint64_t stream;

    (void)state;
    full_every = 0;
    w->options.carrier = VLY_CARRIER_UDP;
    w->options.max_datagram_bytes = DATAGRAM_BYTES;
    w->options.ack_every_pkts = 1;
    tcp_world_open(w);
    stream = tcp_end_send(&w->client, BULK_BYTES);
    while (!w->server.ended[stream / 2])
        uv_run(&w->loop, UV_RUN_ONCE);
    vly_conn_stats(((struct udp_link *)w->server.link)->conn, &stats);
    assert_true(stats.acks_sent >= BULK_BYTES / DATAGRAM_BYTES);
    tcp_world_free(w);
}

static void test_transport_refuses_a_number_out_of_bounds(void **state)
{
    struct vly_transport_spec spec = {.size = sizeof(spec), .application = "test/1"};
    union vly_sockaddr local = test_loopback(AF_INET);
    struct vly_transport *t;
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    spec.bind = &local.any;
    spec.options = (struct vly_transport_options){
        .size = sizeof(spec.options), .plain = true, .ack_every_pkts = VLY_ACK_EVERY_MAX + 1};
    assert_int_equal(vly_transport_open(&t, &loop, &spec), VLY_E_INVALID);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_driver_acknowledges_every_so_many),
        cmocka_unit_test(test_driver_pieces_while_the_socket_is_full),
        cmocka_unit_test(test_transport_option_reaches_the_engine),
        cmocka_unit_test(test_transport_refuses_a_number_out_of_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
