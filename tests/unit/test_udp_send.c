/*
 * What becomes of a batch when the kernel refuses it, wholly or in part. To fail at a chosen call,
 * sendto, sendmsg and sendmmsg are defined here in front of the C library's.
 */
#include "support/udp_pair.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FAULTS_MAX 6

/* What the next send calls do: an errno, 0 for success, or PARTIAL(n). After them all is well. */
#define PARTIAL(n) (-(n)) /* sendmmsg sends n messages only */

static struct {
    int outcome[FAULTS_MAX];
    unsigned n, at;
} faults;

static int next_fault(void)
{
    return faults.at < faults.n ? faults.outcome[faults.at++] : 0;
}

ssize_t sendto(int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG addr,
               socklen_t addr_len)
{
    errno = next_fault();
    return errno != 0 ? -1 : syscall(SYS_sendto, fd, buf, n, flags, addr.__sockaddr__, addr_len);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    errno = next_fault();
    return errno != 0 ? -1 : syscall(SYS_sendmsg, fd, message, flags);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    int fault = next_fault();

    errno = fault;
    if (fault > 0)
        return -1;
    return (int)syscall(SYS_sendmmsg, fd, messages, fault < 0 ? (unsigned)-fault : n, flags);
}

/* Ten datagrams of 100 bytes; the calls of vly_udp_send fail as scripted. */
static void test_udp_send_failures(void **state)
{
    static const struct {
        const char *name;
        enum vly_io io;
        int outcome[FAULTS_MAX];
        int err;                       /* of the first call; a second one returns 0 */
        size_t done;                   /* after the first */
        unsigned lost_begin, lost_end; /* datagrams that never arrive */
        unsigned fallbacks;
    } cases[] = {
        {"gso: full", VLY_IO_GSO, {EAGAIN}, VLY_E_AGAIN, 0, 0, 0, 0},
        {"mmsg: full", VLY_IO_MMSG, {EAGAIN}, VLY_E_AGAIN, 0, 0, 0, 0},
        {"mmsg: full after three", VLY_IO_MMSG, {PARTIAL(3), EAGAIN}, VLY_E_AGAIN, 300, 0, 0, 0},
        {"basic: full after two", VLY_IO_BASIC, {0, 0, EAGAIN}, VLY_E_AGAIN, 200, 0, 0, 0},
        {"no memory is full, too", VLY_IO_MMSG, {ENOBUFS}, VLY_E_AGAIN, 0, 0, 0, 0},
        {"interrupted", VLY_IO_GSO, {EINTR, EINTR}, 0, 1000, 0, 0, 0},
        {"mmsg: cut short", VLY_IO_MMSG, {PARTIAL(1), PARTIAL(2)}, 0, 1000, 0, 0, 0},
        {"gso: EINVAL", VLY_IO_GSO, {EINVAL}, 0, 1000, 0, 0, 1},
        {"gso: EIO", VLY_IO_GSO, {EIO}, 0, 1000, 0, 0, 1},
        {"gso: EMSGSIZE", VLY_IO_GSO, {EMSGSIZE}, 0, 1000, 0, 0, 1},
        {"gso: EOPNOTSUPP", VLY_IO_GSO, {EOPNOTSUPP}, 0, 1000, 0, 0, 1},
        {"gso: refused, full", VLY_IO_GSO, {EINVAL, PARTIAL(4), EAGAIN}, VLY_E_AGAIN, 400, 0, 0, 1},
        {"gso: a filter drops the run", VLY_IO_GSO, {EPERM}, 0, 1000, 0, 10, 0},
        {"mmsg: a filter drops the third", VLY_IO_MMSG, {PARTIAL(2), EPERM}, 0, 1000, 2, 3, 0},
        {"basic: a filter drops the second", VLY_IO_BASIC, {0, EPERM}, 0, 1000, 1, 2, 0},
        {"an old error is reported", VLY_IO_BASIC, {ECONNREFUSED}, 0, 1000, 0, 1, 0},
        {"gso: no way there", VLY_IO_GSO, {ENETUNREACH}, VLY_E_UNREACHABLE, 1000, 0, 10, 0},
        {"basic: no way on", VLY_IO_BASIC, {0, 0, EHOSTUNREACH}, VLY_E_UNREACHABLE, 1000, 2, 10, 0},
        {"not allowed", VLY_IO_MMSG, {EACCES}, VLY_E_PERMISSION, 1000, 0, 10, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct udp_pair *p = udp_pair_new(AF_INET, cases[i].io, VLY_IO_MMSG);
        struct vly_udp_stats stats;
        unsigned lost = cases[i].lost_end - cases[i].lost_begin;
        struct vly_udp_progress progress = {0};

        print_message("  %s\n", cases[i].name);
        udp_pair_fill(p, 1000, 100);
        memcpy(faults.outcome, cases[i].outcome, sizeof(faults.outcome));
        faults.at = 0;
        faults.n = FAULTS_MAX;
        assert_int_equal(vly_udp_send(p->tx, &p->batch, &progress), cases[i].err);
        assert_int_equal(progress.done, cases[i].done);
        assert_int_equal(vly_udp_send(p->tx, &p->batch, &progress), 0);
        assert_int_equal(progress.done, 1000);

        udp_pair_receive(p, 10 - lost);
        for (unsigned k = 0; k < p->n_got; k++) {
            unsigned sent = k < cases[i].lost_begin ? k : k + lost;

            assert_int_equal(p->got[k].first, sent + 1);
            assert_int_equal(p->got[k].len, 100);
        }
        vly_udp_stats(p->tx, &stats);
        assert_int_equal(stats.gso_fallbacks, cases[i].fallbacks);
        assert_int_equal(stats.send_errors, lost);
        assert_int_equal(stats.datagrams_sent, 10 - lost);
        udp_pair_free(p);
    }
}

static void set_no_checksum(const struct vly_udp *s, int on)
{
    assert_int_equal(setsockopt(vly_udp_fd(s), SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
}

/* A socket that sends without checksums cannot segment: the kernel itself refuses. */
static void test_udp_send_refusal_holds_for_that_address_and_size(void **state)
{
    struct udp_pair *p = udp_pair_new(AF_INET, VLY_IO_GSO, VLY_IO_GSO);
    struct udp_pair *other = udp_pair_new(AF_INET, VLY_IO_GSO, VLY_IO_GSO);
    struct vly_udp_stats stats;

    (void)state;
    udp_pair_fill(p, 5 * 1200, 1200);
    set_no_checksum(p->tx, 1);
    udp_pair_send(p);
    udp_pair_receive(p, 5);
    udp_pair_assert_got(p, 0, 5);
    assert_int_equal(vly_udp_io_to(p->tx, &p->rx_addr), VLY_IO_MMSG);
    set_no_checksum(p->tx, 0);

    assert_false(udp_pair_goes_as_run(p));
    udp_pair_fill(p, 5 * 1300, 1300);
    assert_false(udp_pair_goes_as_run(p));
    udp_pair_fill(p, 5 * 1199, 1199);
    assert_true(udp_pair_goes_as_run(p));
    vly_udp_stats(p->tx, &stats);
    assert_int_equal(stats.gso_fallbacks, 1);

    assert_int_equal(vly_udp_io_to(p->tx, &other->rx_addr), VLY_IO_GSO);
    p->batch.to = other->rx_addr;
    udp_pair_fill(p, 5 * 1300, 1300);
    udp_pair_send(p);
    test_wait_readable(other->rx);
    assert_true(recv(vly_udp_fd(other->rx), other->batch.data, VLY_BATCH_BYTES, 0) == 6500);
    udp_pair_free(other);
    udp_pair_free(p);
}

static void test_udp_send_tries_segmentation_again_some_day(void **state)
{
    struct udp_pair *p = udp_pair_new(AF_INET, VLY_IO_GSO, VLY_IO_GSO);
    unsigned batches = 0;

    (void)state;
    udp_pair_fill(p, 2 * 100, 100);
    set_no_checksum(p->tx, 1);
    udp_pair_send(p);
    set_no_checksum(p->tx, 0);
    udp_pair_receive(p, 2);
    for (; !udp_pair_goes_as_run(p); batches++)
        assert_true(batches < 10000);
    assert_true(batches > 1000);
    udp_pair_free(p);
}

/* Loopback with an MTU of 1300, in a network namespace of our own. Comes last: there is no way
 * back. The kernel refuses to segment at 1472 bytes, and to send single datagrams of them: nothing
 * is fragmented. Shorter ones of the same batch go out. SPEC 5.7 */
static void test_udp_send_never_fragments(void **state)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_mtu = 1300};
    struct vly_udp_stats stats;
    struct udp_pair *p;
    int fd;

    (void)state;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        skip();
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCSIFMTU, &lo), 0);
    lo.ifr_flags = IFF_UP;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
    close(fd);
    p = udp_pair_new(AF_INET, VLY_IO_GSO, VLY_IO_GSO);
    assert_int_equal(vly_udp_take_too_long(p->tx), 0);
    udp_pair_fill(p, 10 * 1472 + 50, 1472);
    udp_pair_send(p);
    udp_pair_receive(p, 1);
    assert_int_equal(p->got[0].len, 50);
    vly_udp_stats(p->tx, &stats);
    assert_int_equal(stats.gso_fallbacks, 1);
    assert_int_equal(stats.send_errors, 10);
    assert_int_equal(vly_udp_take_too_long(p->tx), 1472);
    assert_int_equal(vly_udp_take_too_long(p->tx), 0);
    udp_pair_fill(p, 10 * 1200, 1200);
    assert_true(udp_pair_goes_as_run(p));
    udp_pair_fill(p, 1273, 1273);
    udp_pair_send(p);
    assert_int_equal(vly_udp_take_too_long(p->tx), 1273);
    udp_pair_fill(p, 1272, 1272);
    udp_pair_send(p);
    assert_int_equal(vly_udp_take_too_long(p->tx), 0);
    udp_pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_udp_send_failures),
        cmocka_unit_test(test_udp_send_refusal_holds_for_that_address_and_size),
        cmocka_unit_test(test_udp_send_tries_segmentation_again_some_day),
        cmocka_unit_test(test_udp_send_never_fragments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
