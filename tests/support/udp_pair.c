#include "udp_pair.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>

union vly_sockaddr test_loopback(int family)
{
    union vly_sockaddr sa = {.any = {.sa_family = (sa_family_t)family}};

    if (family == AF_INET6)
        sa.v6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
    else
        sa.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sa;
}

bool test_has_ipv6(void)
{
    const union vly_sockaddr sa = test_loopback(AF_INET6);
    const struct vly_udp_options opt = {0};
    struct vly_udp *s;
    int err = vly_udp_open(&s, &sa.any, &opt);

    vly_udp_close(s);
    return err == 0;
}

struct vly_udp *test_udp_open(int family, enum vly_io io, uint32_t buffer)
{
    const union vly_sockaddr sa = test_loopback(family);
    const struct vly_udp_options opt = {.io = io, .buffer_bytes = buffer};
    struct vly_udp *s;

    assert_int_equal(vly_udp_open(&s, &sa.any, &opt), 0);
    return s;
}

struct vly_addr test_udp_address(const struct vly_udp *s)
{
    struct sockaddr_storage sa;
    struct vly_addr a;

    vly_udp_local(s, &sa);
    assert_int_equal(vly_addr_encode(&a, (const void *)&sa), 0);
    return a;
}

struct udp_pair *udp_pair_new(int family, enum vly_io tx, enum vly_io rx)
{
    struct udp_pair *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->tx = test_udp_open(family, tx, 0);
    p->rx = test_udp_open(family, rx, 0);
    p->tx_addr = test_udp_address(p->tx);
    p->rx_addr = test_udp_address(p->rx);
    p->batch.to = p->rx_addr;
    return p;
}

void udp_pair_free(struct udp_pair *p)
{
    vly_udp_close(p->tx);
    vly_udp_close(p->rx);
    free(p);
}

void udp_pair_fill(struct udp_pair *p, size_t len, size_t segment_bytes)
{
    struct vly_batch *b = &p->batch;

    assert_true(len <= sizeof(b->data));
    b->len = len;
    b->segment_bytes = segment_bytes;
    b->n = (unsigned)((len + segment_bytes - 1) / segment_bytes);
    for (size_t i = 0; i < len; i++)
        b->data[i] = (uint8_t)(i / segment_bytes + 1);
}

static void on_datagram(struct udp_pair *p, const struct vly_datagram *d)
{
    struct received *r = &p->got[p->n_got++];

    assert_true(p->n_got <= RECEIVED_MAX);
    *r = (struct received){
        .len = d->len, .first = d->data[0], .whole = true, .ecn = d->ecn, .from = *d->from};
    for (size_t i = 0; i < d->len; i++)
        r->whole = r->whole && d->data[i] == r->first;
}

void udp_pair_on_datagrams(void *ctx, const struct vly_datagram *d, size_t n)
{
    struct udp_pair *p = ctx;

    p->n_handed++;
    for (size_t i = 0; i < n; i++)
        on_datagram(ctx, &d[i]);
}

void test_wait_readable(const struct vly_udp *s)
{
    struct pollfd fd = {.fd = vly_udp_fd(s), .events = POLLIN};

    assert_int_equal(poll(&fd, 1, 10000), 1);
}

void udp_pair_receive(struct udp_pair *p, size_t n)
{
    int err = 0;

    while (p->n_got < n) {
        test_wait_readable(p->rx);
        err = vly_udp_recv(p->rx, udp_pair_on_datagrams, p);
        assert_true(err == 0 || err == VLY_E_AGAIN);
    }
    assert_int_equal(vly_udp_recv(p->rx, udp_pair_on_datagrams, p), 0);
    assert_int_equal(p->n_got, n);
}

void udp_pair_send(struct udp_pair *p)
{
    struct vly_udp_progress sent = {0};

    assert_int_equal(vly_udp_send(p->tx, &p->batch, &sent), 0);
    assert_int_equal(sent.done, p->batch.len);
}

void udp_pair_assert_got(const struct udp_pair *p, unsigned begin, unsigned end)
{
    const struct vly_batch *b = &p->batch;

    assert_int_equal(p->n_got, end - begin);
    for (unsigned i = begin; i < end; i++) {
        const struct received *r = &p->got[i - begin];
        size_t last = b->len - (b->n - 1) * b->segment_bytes;

        assert_int_equal(r->first, i + 1);
        assert_int_equal(r->len, i + 1 == b->n ? last : b->segment_bytes);
        assert_true(r->whole);
        assert_memory_equal(&r->from, &p->tx_addr, sizeof(p->tx_addr));
    }
}

bool udp_pair_goes_as_run(struct udp_pair *p)
{
    static uint8_t buf[65536];
    unsigned reads = 0;

    udp_pair_send(p);
    for (ssize_t left = (ssize_t)p->batch.len; left > 0; reads++) {
        test_wait_readable(p->rx);
        left -= recv(vly_udp_fd(p->rx), buf, sizeof(buf), MSG_DONTWAIT);
        assert_true(left >= 0);
    }
    assert_true(reads == 1 || reads == p->batch.n);
    return reads == 1;
}
