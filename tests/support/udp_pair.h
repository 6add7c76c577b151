/*
 * udp_pair - two UDP sockets on the loopback interface, and what has gone from one to the other.
 */
#ifndef VLY_TESTS_UDP_PAIR_H
#define VLY_TESTS_UDP_PAIR_H

#include "net/addr.h"
#include "net/udp_socket.h"
#include "support.h"

#define RECEIVED_MAX 512

struct received {
    size_t len;
    uint8_t first;
    bool whole; /* all bytes are equal to the first */
    enum vly_ecn ecn;
    struct vly_addr from;
};

struct udp_pair {
    struct vly_udp *tx, *rx;
    struct vly_addr tx_addr, rx_addr;
    struct vly_batch batch; /* to rx */
    struct received got[RECEIVED_MAX];
    size_t n_got, n_handed; /* datagrams, and how often some were handed on */
};

/* 127.0.0.1 or ::1, port 0. */
union vly_sockaddr test_loopback(int family);
bool test_has_ipv6(void);
/* Owned by the caller, vly_udp_close. */
struct vly_udp *test_udp_open(int family, enum vly_io io, uint32_t buffer_bytes);
struct vly_addr test_udp_address(const struct vly_udp *s);

struct udp_pair *udp_pair_new(int family, enum vly_io tx, enum vly_io rx);
void udp_pair_free(struct udp_pair *p);
/* Sets the batch to `len` bytes: datagram i is filled with the byte i + 1. */
void udp_pair_fill(struct udp_pair *p, size_t len, size_t segment_bytes);
/* The whole batch goes out in one call of vly_udp_send. */
void udp_pair_send(struct udp_pair *p);
/* A vly_udp_on_datagrams: notes each datagram in the pair `ctx`. */
void udp_pair_on_datagrams(void *ctx, const struct vly_datagram *d, size_t n);
/* Waits until `n` datagrams have arrived in all; more must not be there. */
void udp_pair_receive(struct udp_pair *p, size_t n);
/* Exactly the datagrams [begin, end) of the batch have arrived, in order. */
void udp_pair_assert_got(const struct udp_pair *p, unsigned begin, unsigned end);
/* Sends the batch and tells whether it crosses the kernel as one run. rx is of gso, its queue
 * empty. */
bool udp_pair_goes_as_run(struct udp_pair *p);

/* Fails after ten seconds. */
void test_wait_readable(const struct vly_udp *s);

#endif
