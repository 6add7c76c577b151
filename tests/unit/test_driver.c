/*
 * Streams through two drivers. To make a socket full at chosen calls, sendto, sendmsg and sendmmsg
 * are defined here in front of the C library's, and vmsplice to count its calls.
 */
#include "support/driver_world.h"

#include "proto/packet.h"

#include <errno.h>
#include <sys/syscall.h>

#define KNOCKS 200u

static unsigned full_every; /* every n-th send call fails with EAGAIN; 0: none */
static unsigned send_calls;
static bool refuse_parts;      /* the next datagram that stands in parts fails with EAGAIN */
static unsigned parts_refused; /* so many did */
static unsigned lent_batches;

static bool is_full(void)
{
    errno = EAGAIN;
    return full_every != 0 && ++send_calls % full_every == 0;
}

ssize_t sendto(int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG addr,
               socklen_t addr_len)
{
    return is_full() ? -1 : syscall(SYS_sendto, fd, buf, n, flags, addr.__sockaddr__, addr_len);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (refuse_parts && message->msg_iovlen > 1) {
        refuse_parts = false;
        parts_refused++;
        errno = EAGAIN;
        return -1;
    }
    return is_full() ? -1 : syscall(SYS_sendmsg, fd, message, flags);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    return is_full() ? -1 : (int)syscall(SYS_sendmmsg, fd, messages, n, flags);
}

ssize_t vmsplice(int fd, const struct iovec *parts, size_t n, unsigned flags)
{
    lent_batches++;
    return syscall(SYS_vmsplice, fd, parts, n, flags);
}

static int setup(void **state)
{
    (void)state;
    full_every = 0;
    lent_batches = 0;
    return 0;
}

static void assert_clean_close(const struct end *e)
{
    assert_int_equal(e->closed, 1);
    assert_int_equal(e->err, 0);
    assert_int_equal(e->code, 7);
    assert_string_equal(e->reason, "bye");
}

static void test_driver_streams_arrive_whole(void **state)
{
    static const enum vly_io io[] = {VLY_IO_BASIC, VLY_IO_MMSG, VLY_IO_GSO, VLY_IO_SPLICE};

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(io); i++) {
        int family = i % 2 == 0 ? AF_INET : AF_INET6;
        struct world *w;

        if (family == AF_INET6 && !test_has_ipv6())
            continue;
        print_message("  IPv%c %s\n", i % 2 == 0 ? '4' : '6', vly_io_name(io[i / 2]));
        w = world_new();
        w->client_opt.udp.io = w->server_opt.udp.io = io[i / 2];
        w->on_open = world_send_three_streams;
        w->streams = 3;
        world_start(w, family);
        world_run(w);
        assert_int_equal(w->server.received, 2 * BULK_BYTES + 1);
        assert_clean_close(&w->client);
        assert_clean_close(&w->server);
        assert_string_equal(w->client.stats.io, vly_io_name(io[i / 2]));
        world_free(w);
    }
}

/* The socket is full at every third call: the batch must be kept, and go out when it may. A lost
 * one would have to be sent again. */
static void test_driver_keeps_what_a_full_socket_refuses(void **state)
{
    static const enum vly_io io[] = {VLY_IO_BASIC, VLY_IO_MMSG, VLY_IO_GSO, VLY_IO_SPLICE};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(io); i++) {
        struct world *w = world_new();

        w->client_opt.udp.io = w->server_opt.udp.io = io[i];
        w->on_open = world_send_three_streams;
        w->streams = 3;
        full_every = 3;
        world_start(w, AF_INET);
        world_run(w);
        assert_int_equal(w->server.received, 2 * BULK_BYTES + 1);
        assert_int_equal(w->client.stats.lost_packets, 0);
        assert_int_equal(w->server.stats.lost_packets, 0);
        assert_clean_close(&w->client);
        world_free(w);
    }
}

static uint8_t lent[60000];

/* Runs between the idle handle, by which the driver sends, and the wait for the socket. */
static void spoil(uv_prepare_t *prepare)
{
    if (parts_refused == 0)
        return;
    memset(lent, 0, sizeof(lent));
    uv_close((uv_handle_t *)prepare, NULL);
}

/* A batch that is kept goes out after the engine was entered again: what stood apart, here lent by
 * the application, may hold something else by then. */
static void test_driver_copies_what_a_kept_batch_has_lent(void **state)
{
    struct world *w = world_new();
    size_t len = sizeof(lent);
    uv_prepare_t prepare;
    uint64_t stream;

    (void)state;
    w->client_opt.conn.max_datagram_bytes = VLY_DATAGRAM_MAX;
    w->client_opt.udp.io = VLY_IO_GSO;
    world_start(w, AF_INET);
    world_run_until_open(w);
    uv_prepare_init(&w->loop, &prepare);
    uv_prepare_start(&prepare, spoil);
    assert_int_equal(w->client.link->ops->open_stream(w->client.link, &stream), 0);
    for (size_t i = 0; i < len; i++)
        lent[i] = world_byte(stream, i);
    refuse_parts = true;
    assert_int_equal(w->client.link->ops->lend(w->client.link, stream, lent, &len, true), 0);
    assert_int_equal(len, sizeof(lent));
    world_run(w);
    assert_int_equal(parts_refused, 1);
    assert_int_equal(w->server.received, len);
    assert_int_equal(w->server.conn_stats.dropped_received, 0);
    world_free(w);
}

/* In clear, what a peer is late to read must not be somebody else's: a client with one server
 * lends, a server or a client with two does not, and says so. Before Linux 6.5 nobody does. */
static void test_driver_lends_to_one_peer_alone(void **state)
{
    static const struct {
        bool server_sends, two_peers, lends;
    } cases[] = {{false, false, true}, {true, false, false}, {false, true, false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = world_new();
        struct vly_udp *stranger = test_udp_open(AF_INET, VLY_IO_AUTO, 0);
        struct end *sender = cases[i].server_sends ? &w->server : &w->client;
        bool splices = vly_udp_io(stranger) == VLY_IO_SPLICE;
        struct end other = {.world = w};
        struct sockaddr_storage there;
        struct vly_link *link;

        lent_batches = 0;
        w->client_opt.conn.max_datagram_bytes = w->server_opt.conn.max_datagram_bytes = 1472;
        world_start(w, AF_INET);
        world_run_until_open(w);
        vly_udp_local(stranger, &there);
        if (cases[i].two_peers) {
            assert_int_equal(vly_driver_connect(w->client.driver, (const void *)&there, &link), 0);
            end_take(&other, link);
        }
        end_send(sender, BULK_BYTES);
        world_run(w);
        assert_int_equal(w->server.received + w->client.received, BULK_BYTES);
        assert_int_equal(lent_batches > 5, cases[i].lends && splices);
        assert_true(cases[i].lends || lent_batches == 0);
        assert_string_equal(sender->stats.io, cases[i].lends && splices ? "splice" : "gso");
        vly_udp_close(stranger);
        world_free(w);
    }
}

/* More HELLOs than one read takes, and more than a pump's share of batches: each is answered all
 * the same, or strangers could keep a client out by being many. */
static void test_driver_answers_all_who_knock(void **state)
{
    struct world *w = world_new();
    struct vly_udp *stranger = test_udp_open(AF_INET, VLY_IO_BASIC, 0);
    struct sockaddr_storage here, there;
    uint8_t hello[2048], answer[2048];
    unsigned answers = 0;
    struct vly_link *link;
    ssize_t len;

    (void)state;
    world_open(w, &w->server, AF_INET);
    world_open(w, &w->client, AF_INET);
    vly_udp_local(stranger, &here);
    vly_udp_local(vly_driver_socket(w->server.driver), &there);
    assert_int_equal(vly_driver_connect(w->client.driver, (const void *)&here, &link), 0);
    end_take(&w->client, link);
    world_turn(w, 1);
    test_wait_readable(stranger);
    len = recv(vly_udp_fd(stranger), hello, sizeof(hello), 0);
    assert_in_range(len, 1, sizeof(hello));
    for (unsigned i = 0; i < KNOCKS; i++)
        assert_int_equal(sendto(vly_udp_fd(stranger), hello, (size_t)len, 0, (const void *)&there,
                                sizeof(struct sockaddr_in)),
                         len);
    world_turn(w, 50);
    while (recv(vly_udp_fd(stranger), answer, sizeof(answer), 0) > 0)
        answers += answer[0] == VLY_PACKET_RETRY;
    assert_int_equal(answers, KNOCKS);
    end_close(&w->client, "");
    end_close(&w->server, "");
    world_run(w);
    vly_udp_close(stranger);
    world_free(w);
}

/* The server's socket holds a tenth of what its window invites. */
static void test_driver_reports_drops_to_both_ends(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->server_opt.udp.buffer_bytes = 50000;
    w->server_opt.conn.window_bytes = 1000000;
    w->on_open = world_send_three_streams;
    w->streams = 3;
    world_start(w, AF_INET);
    world_run(w);
    assert_int_equal(w->server.received, 2 * BULK_BYTES + 1);
    assert_true(w->server.stats.kernel_drops_local > 0);
    assert_true(w->client.stats.kernel_drops_peer > 0);
    assert_true(w->client.stats.kernel_drops_peer <= w->server.stats.kernel_drops_local);
    assert_int_equal(w->client.stats.kernel_drops_local, 0);
    world_free(w);
}

/* The first window is what the socket holds, between 256 KiB and 4 MiB; growth begins later. */
static void test_driver_window_follows_the_socket(void **state)
{
    static const struct {
        uint32_t buffer_bytes;
        uint64_t window_bytes, window_max_bytes; /* options */
        uint64_t min, max;
    } cases[] = {
        {100000, 0, 0, 256 << 10, 256 << 10},
        {1000000, 0, 0, 1000000, 1100000},
        {1000000, 300000, 0, 300000, 300000},
        {1000000, 0, 400000, 400000, 400000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = world_new();

        w->server_opt.udp.buffer_bytes = cases[i].buffer_bytes;
        w->server_opt.conn.window_bytes = cases[i].window_bytes;
        w->server_opt.conn.window_max_bytes = cases[i].window_max_bytes;
        w->on_open = world_send_three_streams;
        world_start(w, AF_INET);
        w->streams = 1; /* that of one byte: before much has arrived */
        world_run(w);
        assert_in_range(w->server.conn_stats.recv_window_bytes, cases[i].min, cases[i].max);
        world_free(w);
    }
}

/* Nobody is there any more to confirm the close. */
static void test_driver_close_does_not_wait_for_ever(void **state)
{
    struct world *w = world_new();
    uint64_t begun_ns;

    (void)state;
    world_start(w, AF_INET);
    world_run_until_open(w);
    full_every = 1;
    begun_ns = vly_clock_now_ns();
    end_close(&w->server, "");
    end_close(&w->client, "");
    world_run(w);
    assert_int_equal(w->client.closed, 1);
    assert_int_equal(w->server.closed, 1);
    assert_true(vly_time_since(vly_clock_now_ns(), begun_ns) < VLY_S(5));
    world_free(w);
}

static void on_async(uv_async_t *async)
{
    struct world *w = async->data;

    end_send(&w->client, 1000);
    uv_close((uv_handle_t *)async, NULL);
}

/* The loop sleeps, no timer is due for seconds, and the write must go out all the same. */
static void test_driver_writes_from_outside_go_out_at_once(void **state)
{
    struct world *w = world_new();
    uint64_t begun_ns;
    uv_async_t async;

    (void)state;
    world_start(w, AF_INET);
    world_run_until_open(w);
    assert_int_equal(uv_async_init(&w->loop, &async, on_async), 0);
    async.data = w;
    uv_async_send(&async);
    begun_ns = vly_clock_now_ns();
    world_run(w);
    assert_int_equal(w->server.received, 1000);
    assert_true(vly_time_since(vly_clock_now_ns(), begun_ns) < VLY_S(2));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_driver_streams_arrive_whole, setup),
        cmocka_unit_test_setup(test_driver_lends_to_one_peer_alone, setup),
        cmocka_unit_test_setup(test_driver_keeps_what_a_full_socket_refuses, setup),
        cmocka_unit_test_setup(test_driver_copies_what_a_kept_batch_has_lent, setup),
        cmocka_unit_test_setup(test_driver_answers_all_who_knock, setup),
        cmocka_unit_test_setup(test_driver_reports_drops_to_both_ends, setup),
        cmocka_unit_test_setup(test_driver_window_follows_the_socket, setup),
        cmocka_unit_test_setup(test_driver_close_does_not_wait_for_ever, setup),
        cmocka_unit_test_setup(test_driver_writes_from_outside_go_out_at_once, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
