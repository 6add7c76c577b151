/*
 * How drivers and their links begin and end.
 */
#include "support/driver_world.h"

#include <arpa/inet.h>
#include <semaphore.h>
#include <stdlib.h>

static void test_driver_peer_is_named(void **state)
{
    struct world *w = world_new();
    struct sockaddr_storage sa;
    struct vly_addr a;
    char text[VLY_ADDR_TEXT_MAX];

    (void)state;
    world_start(w, AF_INET);
    vly_udp_local(vly_driver_socket(w->server.driver), &sa);
    assert_int_equal(vly_addr_encode(&a, (const void *)&sa), 0);
    vly_addr_text(&a, text);
    assert_string_equal(w->client.peer, text);
    end_close(&w->client, "");
    end_close(&w->server, "");
    world_run(w);
    world_free(w);
}

static void test_driver_turned_away_by_on_accept(void **state)
{
    struct world *w = world_new();
    struct vly_endpoint_stats stats;

    (void)state;
    w->accept_err = VLY_E_BUSY;
    world_start(w, AF_INET);
    while (w->client.closed == 0)
        uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(w->client.err, 0);
    assert_int_equal(w->client.code, REJECT_CODE);
    assert_string_equal(w->client.reason, vly_err_text(VLY_E_BUSY));
    do { /* the connection without a link is released, too */
        vly_endpoint_stats(vly_driver_endpoint(w->server.driver), &stats);
    } while (stats.conns > 0 && uv_run(&w->loop, UV_RUN_ONCE) != 0);
    assert_int_equal(stats.conns, 0);
    end_close(&w->server, "");
    world_run(w);
    world_free(w);
}

static void test_driver_no_answer(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->client_opt.conn.handshake_timeout_ns = VLY_MS(20);
    world_start(w, AF_INET);
    end_close(&w->server, "");
    world_run(w);
    assert_int_equal(w->client.closed, 1);
    assert_int_equal(w->client.err, VLY_E_NO_ANSWER);
    assert_false(w->client.open);
    world_free(w);
}

static void test_driver_connect_errors(void **state)
{
    struct world *w = world_new();
    union vly_sockaddr v6 = test_loopback(AF_INET6);
    union vly_sockaddr here = test_loopback(AF_INET);
    union vly_sockaddr far = {.v4 = {.sin_family = AF_INET, .sin_port = htons(9)}};
    struct vly_driver *closing;
    struct vly_link *link;

    (void)state;
    far.v4.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1: not from the loopback interface */
    world_open(w, &w->server, AF_INET);
    world_open(w, &w->client, AF_INET);
    assert_int_equal(vly_driver_connect(w->client.driver, &v6.any, &link), VLY_E_INVALID);
    assert_null(link);
    assert_int_equal(vly_driver_connect(w->client.driver, &far.any, &link), VLY_E_UNREACHABLE);
    closing = w->client.driver;
    end_close(&w->client, "");
    assert_int_equal(vly_driver_connect(closing, &here.any, &link), VLY_E_STATE);
    end_close(&w->server, "");
    world_run(w);
    world_free(w);
}

static void test_driver_open_fails_cleanly(void **state)
{
    struct world *w = world_new();
    struct sockaddr_storage sa;
    struct vly_driver *d;

    (void)state;
    world_open(w, &w->server, AF_INET);
    world_open(w, &w->client, AF_INET);
    vly_udp_local(vly_driver_socket(w->server.driver), &sa);
    assert_int_equal(vly_driver_open(&d, &w->loop, (const void *)&sa, &w->client_opt),
                     VLY_E_EXISTS);
    assert_null(d);
    w->client_opt.conn.max_datagram_bytes = 3;
    sa = (struct sockaddr_storage){.ss_family = AF_INET};
    assert_int_equal(vly_driver_open(&d, &w->loop, (const void *)&sa, &w->client_opt),
                     VLY_E_INVALID);
    end_close(&w->client, "");
    end_close(&w->server, "");
    world_run(w);
    world_free(w);
}

static void count_datagrams(void *ctx, const struct vly_datagram *d, size_t n)
{
    unsigned *sum = ctx;

    (void)d;
    *sum += (unsigned)n;
}

/* More than one pump may send, to a socket that never answers: the loop alone brings the rest out.
 */
static void test_driver_many_connections_begin_and_end(void **state)
{
    enum { MANY = 50, MIDDLE = 25 };
    struct world *w = world_new();
    struct vly_udp *silent = test_udp_open(AF_INET, VLY_IO_AUTO, 0);
    struct end *ends = calloc(MANY, sizeof(*ends));
    unsigned hellos = 0;
    struct sockaddr_storage sa;

    (void)state;
    assert_non_null(ends);
    vly_udp_local(silent, &sa);
    world_open(w, &w->client, AF_INET);
    for (size_t i = 0; i < MANY; i++) {
        struct vly_link *link;

        assert_int_equal(vly_driver_connect(w->client.driver, (const void *)&sa, &link), 0);
        end_take(&ends[i], link);
    }
    world_turn(w, 10);
    while (vly_udp_recv(silent, count_datagrams, &hellos) == VLY_E_AGAIN)
        continue;
    assert_int_equal(hellos, MANY);

    ends[MIDDLE].link->ops->close(ends[MIDDLE].link, 0, "");
    world_turn(w, 10);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(ends[i].closed, i == MIDDLE);
    end_close(&w->client, "");
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(ends[i].closed, 1);
    vly_udp_close(silent);
    free(ends);
    world_free(w);
}

static void close_server(struct world *w)
{
    end_close(&w->server, "going down");
}

/* In the middle of a transfer, from within an event of the server's own link. */
static void test_driver_close_ends_its_connections(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->on_open = world_send_three_streams;
    w->on_received = close_server;
    world_start(w, AF_INET);
    world_run(w);
    assert_true(w->server.received < 2 * BULK_BYTES);
    assert_int_equal(w->client.closed, 1);
    assert_int_equal(w->server.closed, 1);
    assert_string_equal(w->client.reason, "going down");
    world_free(w);
}

/* A connected socket is told that nobody listens yet: an error, at which libuv stops polling. */
static void test_driver_survives_an_error_of_the_socket(void **state)
{
    struct world *w = world_new();
    struct sockaddr_storage sa;
    struct vly_link *link;
    struct vly_udp *held = test_udp_open(AF_INET, VLY_IO_AUTO, 0);
    int fd;
    int error;
    socklen_t len = sizeof(error);

    (void)state;
    vly_udp_local(held, &sa);
    vly_udp_close(held);
    world_open(w, &w->client, AF_INET);
    fd = vly_udp_fd(vly_driver_socket(w->client.driver));
    assert_int_equal(connect(fd, (const void *)&sa, sizeof(struct sockaddr_in)), 0);
    assert_int_equal(vly_driver_connect(w->client.driver, (const void *)&sa, &link), 0);
    end_take(&w->client, link);
    world_turn(w, 10);
    assert_true(uv_is_active((const void *)&w->client.driver->socket_poll));
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
    assert_int_equal(error, 0); /* else the loop would spin */

    assert_int_equal(
        vly_driver_open(&w->server.driver, &w->loop, (const void *)&sa, &w->server_opt), 0);
    w->on_open = world_send_three_streams;
    w->streams = 3;
    world_run(w); /* the client says HELLO again after 250 ms */
    assert_int_equal(w->server.received, 2 * BULK_BYTES + 1);
    world_free(w);
}

struct job {
    struct world *w;
    sem_t may_end;
    unsigned worked, done;
};

static void job_work(void *arg)
{
    struct job *job = arg;

    sem_wait(&job->may_end);
    job->worked++;
}

static void job_done(void *arg)
{
    struct job *job = arg;

    assert_int_equal(job->worked, 1);
    assert_null(job->w->client.link);
    assert_int_equal(job->w->client.drivers_closed, 0);
    job->done++;
}

/* The work ends only after its link has closed and the driver wanted to: `done` comes first still.
 */
static void test_driver_waits_for_what_was_offloaded(void **state)
{
    struct world *w = world_new();
    struct job job = {.w = w};

    (void)state;
    assert_int_equal(sem_init(&job.may_end, 0, 0), 0);
    world_start(w, AF_INET);
    world_run_until_open(w);
    assert_int_equal(w->client.link->ops->offload(w->client.link, job_work, job_done, &job), 0);
    w->client.link->ops->close(w->client.link, 7, "bye");
    while (w->client.closed == 0) /* which closes the driver */
        uv_run(&w->loop, UV_RUN_ONCE);
    world_turn(w, 10);
    assert_int_equal(w->client.drivers_closed, 0);
    sem_post(&job.may_end);
    world_run(w);
    assert_int_equal(job.done, 1);
    sem_destroy(&job.may_end);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_driver_peer_is_named),
        cmocka_unit_test(test_driver_turned_away_by_on_accept),
        cmocka_unit_test(test_driver_no_answer),
        cmocka_unit_test(test_driver_connect_errors),
        cmocka_unit_test(test_driver_open_fails_cleanly),
        cmocka_unit_test(test_driver_many_connections_begin_and_end),
        cmocka_unit_test(test_driver_close_ends_its_connections),
        cmocka_unit_test(test_driver_survives_an_error_of_the_socket),
        cmocka_unit_test(test_driver_waits_for_what_was_offloaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
