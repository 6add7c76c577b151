#include "net/udp_internal.h"
#include "support/udp_pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const enum vly_io all_io[] = {VLY_IO_BASIC, VLY_IO_MMSG, VLY_IO_GSO};

static struct vly_udp *open_at(const union vly_sockaddr *sa)
{
    const struct vly_udp_options opt = {0};
    struct vly_udp *s;

    assert_int_equal(vly_udp_open(&s, &sa->any, &opt), 0);
    return s;
}

static void test_udp_every_strategy_speaks_to_every_other(void **state)
{
    static const int families[] = {AF_INET, AF_INET6};

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(all_io) * ARRAY_LEN(all_io); i++) {
        enum vly_io tx = all_io[i / 2 % 3];
        enum vly_io rx = all_io[i / 6];
        struct vly_udp_stats stats;
        struct udp_pair *p;

        if (families[i % 2] == AF_INET6 && !test_has_ipv6())
            continue;
        p = udp_pair_new(families[i % 2], tx, rx);
        print_message("  IPv%c %s to %s\n", i % 2 == 0 ? '4' : '6', vly_io_name(tx),
                      vly_io_name(rx));
        udp_pair_fill(p, 30 * 1000 + 137, 1000);
        udp_pair_send(p);
        udp_pair_receive(p, 31);
        udp_pair_assert_got(p, 0, 31);
        vly_udp_stats(p->tx, &stats);
        assert_int_equal(stats.send_calls, tx == VLY_IO_BASIC ? 31 : 1);
        assert_int_equal(stats.datagrams_sent, 31);
        assert_int_equal(stats.send_errors, 0);
        vly_udp_stats(p->rx, &stats);
        assert_int_equal(stats.datagrams_received, 31);
        udp_pair_free(p);
    }
}

static void test_udp_batches_of_any_shape(void **state)
{
    static const struct {
        const char *name;
        size_t len, segment_bytes;
    } cases[] = {
        {"one datagram", 1472, 1472},
        {"one byte", 1, 1472},
        {"two, the last of one byte", 1473, 1472},
        {"equal ones", 20 * 1200, 1200},
        {"44 and a rest", 65507, 1472},
        {"64 small ones", 64 * 100, 100},
        {"the largest datagram", 65507, 65507},
        {"two large ones", 65507, 40000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(all_io); i++) {
        size_t k = i / ARRAY_LEN(all_io);
        struct udp_pair *p = udp_pair_new(AF_INET, all_io[i % ARRAY_LEN(all_io)], VLY_IO_GSO);

        print_message("  %s\n", cases[k].name);
        udp_pair_fill(p, cases[k].len, cases[k].segment_bytes);
        udp_pair_send(p);
        udp_pair_receive(p, p->batch.n);
        udp_pair_assert_got(p, 0, p->batch.n);
        udp_pair_free(p);
    }
}

/* A part that stands elsewhere is sent from there. */
static void test_udp_sends_a_datagram_in_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all_io); i++) {
        struct udp_pair *p = udp_pair_new(AF_INET, all_io[i], VLY_IO_GSO);
        uint8_t *apart = malloc(20000);

        udp_pair_fill(p, 30000, 30000);
        memset(apart, p->batch.data[0], 20000);
        memset(p->batch.data + 30000 - VLY_TAG_BYTES - 20000, 0xee, 20000);
        p->batch.apart = (struct vly_span){apart, 20000};
        udp_pair_send(p);
        udp_pair_receive(p, 1);
        udp_pair_assert_got(p, 0, 1);
        free(apart);
        udp_pair_free(p);
    }
}

static void test_udp_gso_sends_runs_and_others_do_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all_io); i++) {
        struct udp_pair *p = udp_pair_new(AF_INET, all_io[i], VLY_IO_GSO);

        udp_pair_fill(p, 5000, 1000);
        assert_int_equal(vly_udp_io(p->tx), all_io[i]);
        assert_int_equal(udp_pair_goes_as_run(p), all_io[i] == VLY_IO_GSO);
        udp_pair_free(p);
    }
}

static void test_udp_ecn_arrives_as_it_was_sent(void **state)
{
    static const enum vly_ecn ecn[] = {VLY_ECN_ECT0, VLY_ECN_CE, VLY_ECN_ECT1, VLY_ECN_NONE};

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(all_io); i++) {
        int family = i % 2 == 0 ? AF_INET : AF_INET6;
        struct udp_pair *p;

        if (family == AF_INET6 && !test_has_ipv6())
            continue;
        p = udp_pair_new(family, all_io[i / 2], all_io[i / 2]);
        udp_pair_fill(p, 2000, 1000);
        for (size_t k = 0; k < ARRAY_LEN(ecn); k++) {
            p->batch.ecn = ecn[k];
            p->n_got = 0;
            udp_pair_send(p);
            udp_pair_receive(p, 2);
            udp_pair_assert_got(p, 0, 2);
            assert_int_equal(p->got[0].ecn, ecn[k]);
            assert_int_equal(p->got[1].ecn, ecn[k]);
        }
        udp_pair_free(p);
    }
}

/* The kernel stamps its count on datagrams as it queues them: the last one, sent after the
 * overflow, brings the news. The count of 32 bits wraps round on the way. */
static void test_udp_drops_are_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all_io); i++) {
        struct udp_pair *p = udp_pair_new(AF_INET, VLY_IO_MMSG, all_io[i]);
        struct vly_udp_stats stats;

        vly_udp_close(p->rx);
        p->rx = test_udp_open(AF_INET, all_io[i], 10000);
        p->batch.to = test_udp_address(p->rx);
        assert_in_range(vly_udp_recv_buffer_bytes(p->rx), 10000, 20000);
        udp_pair_fill(p, 60 * 1000, 1000);
        udp_pair_send(p);
        while (vly_udp_recv(p->rx, udp_pair_on_datagrams, p) == VLY_E_AGAIN)
            continue;
        udp_pair_fill(p, 100, 100);
        p->rx->drops_seen = UINT32_MAX - 4; /* five drops ago */
        udp_pair_send(p);
        udp_pair_receive(p, p->n_got + 1);
        vly_udp_stats(p->rx, &stats);
        assert_true(stats.kernel_drops > 5);
        assert_int_equal(stats.kernel_drops - 5 + stats.datagrams_received, 61);
        udp_pair_free(p);
    }
}

/* More waits than a call takes, which says that there may be more; while single datagrams come, the
 * next call takes more. Datagrams of different lengths are not joined by the kernel; each is to be
 * found once, whole and in its place. */
static void test_udp_recv_says_when_the_socket_is_drained(void **state)
{
    static const struct {
        enum vly_io io;
        unsigned at_first, then, in_all, calls; /* calls of the kernel */
    } cases[] = {{VLY_IO_BASIC, 64, 128, 160, 161},
                 {VLY_IO_MMSG, 8, 72, 100, 3},
                 {VLY_IO_GSO, 8, 72, 100, 3}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct udp_pair *p = udp_pair_new(AF_INET, VLY_IO_BASIC, cases[i].io);
        unsigned n = cases[i].in_all;
        struct vly_udp_stats stats;

        for (unsigned k = 0; k < n; k++) {
            udp_pair_fill(p, 100 + k, 100 + k);
            memset(p->batch.data, (int)k + 1, 100 + k);
            udp_pair_send(p);
        }
        assert_int_equal(vly_udp_recv(p->rx, udp_pair_on_datagrams, p), VLY_E_AGAIN);
        assert_int_equal(p->n_got, cases[i].at_first);
        assert_int_equal(p->n_handed, 1); /* what belongs together can be opened together */
        assert_int_equal(vly_udp_recv(p->rx, udp_pair_on_datagrams, p), VLY_E_AGAIN);
        assert_int_equal(p->n_got, cases[i].then);
        assert_int_equal(vly_udp_recv(p->rx, udp_pair_on_datagrams, p), 0);
        assert_int_equal(p->n_got, n);
        vly_udp_stats(p->rx, &stats);
        assert_int_equal(stats.recv_calls, cases[i].calls);
        assert_int_equal(stats.datagrams_received, n);
        assert_int_equal(vly_udp_recv(p->rx, udp_pair_on_datagrams, p), 0);
        for (unsigned k = 0; k < n; k++) {
            assert_int_equal(p->got[k].first, k + 1);
            assert_int_equal(p->got[k].len, 100 + k);
            assert_true(p->got[k].whole);
        }
        assert_int_equal(p->n_got, n);
        udp_pair_free(p);
    }
}

/* Where slots are filled by runs, or by long datagrams as here, few are read at once: all of them
 * are to stay in the cache. Whether the last batch was full is no matter: one of runs hardly is. */
static void test_udp_recv_takes_few_slots_while_they_are_long(void **state)
{
    static const unsigned counts[] = {64, 30, 1}; /* the first batch */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct udp_pair *p = udp_pair_new(AF_INET, VLY_IO_BASIC, VLY_IO_GSO);
        unsigned n = counts[i];

        p->rx->n_slots = 64;
        for (unsigned k = 0; k < n + 16; k++) {
            udp_pair_fill(p, 5000 + k, 5000 + k);
            udp_pair_send(p);
            if (k + 1 == n)
                assert_int_equal(vly_udp_recv(p->rx, udp_pair_on_datagrams, p),
                                 n == 64 ? VLY_E_AGAIN : 0);
        }
        assert_int_equal(p->n_got, n);
        assert_int_equal(vly_udp_recv(p->rx, udp_pair_on_datagrams, p), VLY_E_AGAIN);
        assert_int_equal(p->n_got, n + 8);
        udp_pair_free(p);
    }
}

/* Datagrams of several senders are handed on together; each says from where it came. */
static void test_udp_recv_knows_who_sent_what(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all_io); i++) {
        struct udp_pair *p = udp_pair_new(AF_INET, VLY_IO_BASIC, all_io[i]);
        struct vly_udp *other = test_udp_open(AF_INET, VLY_IO_BASIC, 0);
        struct vly_addr other_addr = test_udp_address(other);

        udp_pair_fill(p, 100, 100);
        for (unsigned k = 0; k < 6; k++) {
            struct vly_udp_progress sent = {0};

            assert_int_equal(vly_udp_send(k % 2 == 0 ? p->tx : other, &p->batch, &sent), 0);
        }
        udp_pair_receive(p, 6);
        for (unsigned k = 0; k < 6; k++)
            assert_memory_equal(&p->got[k].from, k % 2 == 0 ? &p->tx_addr : &other_addr,
                                sizeof(other_addr));
        vly_udp_close(other);
        udp_pair_free(p);
    }
}

static void test_udp_empty_datagrams_are_passed_over(void **state)
{
    struct udp_pair *p = udp_pair_new(AF_INET, VLY_IO_BASIC, VLY_IO_GSO);
    union vly_sockaddr to;
    socklen_t len = vly_addr_decode(&to, &p->rx_addr);

    (void)state;
    udp_pair_fill(p, 100, 100);
    assert_int_equal(sendto(vly_udp_fd(p->tx), "", 0, 0, &to.any, len), 0);
    udp_pair_send(p);
    udp_pair_receive(p, 1);
    udp_pair_assert_got(p, 0, 1);
    udp_pair_free(p);
}

/* RULE 15: ICMP says that nobody is there any more. The kernel tells a connected socket of it,
 * others with IP_RECVERR, and anybody can forge it: reading takes it away, and what came stays
 * readable. */
static void test_udp_recv_takes_icmp_away(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all_io); i++) {
        struct udp_pair *p = udp_pair_new(AF_INET, VLY_IO_BASIC, all_io[i]);
        union vly_sockaddr to;
        socklen_t len = vly_addr_decode(&to, &p->tx_addr);
        int err;

        udp_pair_fill(p, 100, 100);
        udp_pair_send(p);
        test_wait_readable(p->rx);
        vly_udp_close(p->tx);
        p->tx = NULL;
        assert_int_equal(connect(vly_udp_fd(p->rx), &to.any, len), 0);
        assert_int_equal(send(vly_udp_fd(p->rx), "a", 1, 0), 1);
        err = vly_udp_recv(p->rx, udp_pair_on_datagrams, p);
        if (err == 0 && p->n_got == 0) /* the error came first */
            err = vly_udp_recv(p->rx, udp_pair_on_datagrams, p);
        assert_true(err == 0 || err == VLY_E_AGAIN);
        udp_pair_assert_got(p, 0, 1);
        udp_pair_free(p);
    }
}

static void test_udp_open_says_what_is_wrong(void **state)
{
    struct vly_udp *held = test_udp_open(AF_INET, VLY_IO_AUTO, 0);
    const struct vly_udp_options opt = {0};
    union vly_sockaddr sa;
    struct vly_addr a = test_udp_address(held);
    struct vly_udp *s;

    (void)state;
    vly_addr_decode(&sa, &a);
    assert_int_equal(vly_udp_open(&s, &sa.any, &opt), VLY_E_EXISTS);
    assert_int_equal(errno, EADDRINUSE);
    assert_null(s);
    sa.v4.sin_port = 0;
    sa.v4.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1: of no machine, RFC 5737 */
    assert_int_equal(vly_udp_open(&s, &sa.any, &opt), VLY_E_UNREACHABLE);
    sa.any.sa_family = AF_UNIX;
    assert_int_equal(vly_udp_open(&s, &sa.any, &opt), VLY_E_INVALID);
    vly_udp_close(held);
    vly_udp_close(NULL);
}

static void test_udp_an_ipv6_wildcard_leaves_ipv4_alone(void **state)
{
    union vly_sockaddr any = {.v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT}};
    struct sockaddr_storage local;
    struct vly_udp *v6;
    struct vly_udp *v4;

    (void)state;
    if (!test_has_ipv6())
        skip();
    v6 = open_at(&any);
    vly_udp_local(v6, &local);
    memcpy(&any.v6, &local, sizeof(any.v6));
    any = (union vly_sockaddr){.v4 = {.sin_family = AF_INET, .sin_port = any.v6.sin6_port}};
    v4 = open_at(&any); /* the same port */
    vly_udp_close(v4);
    vly_udp_close(v6);
}

static void test_udp_check_route(void **state)
{
    struct vly_udp *s = test_udp_open(AF_INET, VLY_IO_AUTO, 0);
    union vly_sockaddr far = {.v4 = {.sin_family = AF_INET, .sin_port = htons(9)}};
    struct vly_addr a;

    (void)state;
    a = test_udp_address(s);
    assert_int_equal(vly_udp_check_route(s, &a), 0);
    far.v4.sin_addr.s_addr = htonl(0xc0000201); /* not from the loopback interface */
    assert_int_equal(vly_addr_encode(&a, &far.any), 0);
    assert_int_equal(vly_udp_check_route(s, &a), VLY_E_UNREACHABLE);
    far = test_loopback(AF_INET6);
    assert_int_equal(vly_addr_encode(&a, &far.any), 0);
    assert_int_equal(vly_udp_check_route(s, &a), VLY_E_INVALID);
    vly_udp_close(s);
}

static void test_udp_io_names(void **state)
{
    static const char *const names[] = {"auto", "basic", "mmsg", "gso", "splice"};
    struct vly_udp *s = test_udp_open(AF_INET, VLY_IO_AUTO, 0);
    enum vly_io io;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_true(vly_io_parse(names[i], &io));
        assert_string_equal(vly_io_name(io), names[i]);
    }
    assert_false(vly_io_parse("", &io));
    assert_false(vly_io_parse("gsoo", &io));
    assert_int_not_equal(vly_udp_io(s), VLY_IO_AUTO);
    vly_udp_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_udp_every_strategy_speaks_to_every_other),
        cmocka_unit_test(test_udp_batches_of_any_shape),
        cmocka_unit_test(test_udp_sends_a_datagram_in_parts),
        cmocka_unit_test(test_udp_gso_sends_runs_and_others_do_not),
        cmocka_unit_test(test_udp_ecn_arrives_as_it_was_sent),
        cmocka_unit_test(test_udp_drops_are_counted),
        cmocka_unit_test(test_udp_recv_says_when_the_socket_is_drained),
        cmocka_unit_test(test_udp_recv_takes_few_slots_while_they_are_long),
        cmocka_unit_test(test_udp_recv_knows_who_sent_what),
        cmocka_unit_test(test_udp_empty_datagrams_are_passed_over),
        cmocka_unit_test(test_udp_recv_takes_icmp_away),
        cmocka_unit_test(test_udp_open_says_what_is_wrong),
        cmocka_unit_test(test_udp_an_ipv6_wildcard_leaves_ipv4_alone),
        cmocka_unit_test(test_udp_check_route),
        cmocka_unit_test(test_udp_io_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
