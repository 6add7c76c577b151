#include "tcp_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void make_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

struct tcp_relay *tcp_relay_new(uint16_t server_port)
{
    struct tcp_relay *r = calloc(1, sizeof *r);

    assert_non_null(r);
    r->listener = tcp_raw_listen(&r->port);
    make_nonblocking(r->listener);
    r->server_port = server_port;
    r->fd[0] = r->fd[1] = -1;
    for (unsigned i = 0; i < 2; i++)
        r->way[i].flip_bit = r->way[i].cut_at = UINT64_MAX;
    return r;
}

static void hang_up(struct tcp_relay *r)
{
    for (unsigned i = 0; i < 2; i++) {
        if (r->fd[i] >= 0)
            close(r->fd[i]);
        r->fd[i] = -1;
    }
}

void tcp_relay_free(struct tcp_relay *r)
{
    hang_up(r);
    close(r->listener);
    free(r);
}

/* What was read last is changed and kept as the test wants. */
static void handle(struct tcp_relay_way *way)
{
    size_t room = sizeof way->kept - way->kept_len;
    uint64_t flip_at = way->flip_bit / 8;

    if (room > way->len)
        room = way->len;
    memcpy(way->kept + way->kept_len, way->waiting, room);
    way->kept_len += room;
    if (flip_at >= way->passed_bytes && flip_at < way->passed_bytes + way->len)
        way->waiting[flip_at - way->passed_bytes] ^= (uint8_t)(1u << way->flip_bit % 8);
    way->passed_bytes += way->len;
    if (way->passed_bytes > way->cut_at) {
        size_t excess = (size_t)(way->passed_bytes - way->cut_at);

        way->len = way->len > excess ? way->len - excess : 0;
        way->over = true;
    }
}

/* Returns whether the connection is still there. */
static bool pass(struct tcp_relay_way *way, int from, int to)
{
    ssize_t n;

    if (way->pos == way->len && !way->over) {
        n = read(from, way->waiting, sizeof way->waiting);
        if (n < 0)
            return errno == EAGAIN;
        way->pos = 0;
        way->len = (size_t)n;
        way->over = n == 0;
        handle(way);
    }
    if (way->pos < way->len) {
        n = send(to, way->waiting + way->pos, way->len - way->pos, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        way->pos += (size_t)n;
    }
    if (way->over && way->pos == way->len)
        (void)shutdown(to, SHUT_WR);
    return true;
}

void tcp_relay_step(struct tcp_relay *r)
{
    if (r->fd[0] < 0) {
        int fd = accept(r->listener, NULL, NULL);

        if (fd < 0)
            return;
        r->fd[0] = fd;
        r->fd[1] = tcp_raw_connect(r->server_port);
        make_nonblocking(r->fd[0]);
        make_nonblocking(r->fd[1]);
    }
    if (!pass(&r->way[RELAY_TO_SERVER], r->fd[0], r->fd[1]) ||
        !pass(&r->way[RELAY_TO_CLIENT], r->fd[1], r->fd[0]) ||
        (r->way[0].over && r->way[1].over && r->way[0].pos == r->way[0].len &&
         r->way[1].pos == r->way[1].len))
        hang_up(r);
}

void tcp_relay_run_while(struct tcp_relay *r, struct tcp_world *w,
                         bool (*condition)(const struct tcp_world *w))
{
    while (condition(w)) {
        tcp_relay_step(r);
        tcp_world_turn(w, 1);
    }
}
