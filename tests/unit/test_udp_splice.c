/*
 * Long batches that the kernel reads where they stand, and what becomes of them where it does not.
 * To fail at a chosen call and to count, the calls are defined here in front of the C library's.
 */
#include "net/udp_internal.h"
#include "support/udp_pair.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define RUN_SEGMENT_BYTES 1455u
#define RUN_BYTES (44u * RUN_SEGMENT_BYTES)
#define COPIED_AFTER_FAILURE 4096u

enum call { SENDTO, SENDMSG, PIPE2, FCNTL, VMSPLICE, SPLICE, N_CALLS };

/* The next `left` calls end as `outcome` says: an errno, or SHORT(n). After them all is well. */
#define SHORT(n) (-(int)(n)) /* n bytes are taken only */

static struct {
    unsigned n; /* calls so far */
    unsigned left;
    int outcome;
} calls[N_CALLS];

static bool swallows; /* what is copied goes nowhere */

/* Returns how many bytes may be taken, or -1. Success leaves errno as it is, as everywhere. */
static ssize_t next_limit(enum call c, size_t len)
{
    int outcome = calls[c].outcome;

    calls[c].n++;
    if (calls[c].left == 0)
        return (ssize_t)len;
    calls[c].left--;
    if (outcome < 0)
        return (size_t)-outcome < len ? -outcome : (ssize_t)len;
    errno = outcome;
    return -1;
}

ssize_t sendto(int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG addr,
               socklen_t addr_len)
{
    if (next_limit(SENDTO, n) < 0)
        return -1;
    return swallows ? (ssize_t)n
                    : syscall(SYS_sendto, fd, buf, n, flags, addr.__sockaddr__, addr_len);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (next_limit(SENDMSG, 0) < 0)
        return -1;
    return swallows ? 0 : syscall(SYS_sendmsg, fd, message, flags);
}

static const char *fake_release; /* NULL: the kernel's own */

int uname(struct utsname *u)
{
    int err = (int)syscall(SYS_uname, u);

    if (fake_release != NULL)
        snprintf(u->release, sizeof(u->release), "%s", fake_release);
    return err;
}

int pipe2(int fds[2], int flags)
{
    return next_limit(PIPE2, 0) < 0 ? -1 : (int)syscall(SYS_pipe2, fds, flags);
}

int fcntl(int fd, int command, ...)
{
    va_list args;
    long arg;

    va_start(args, command);
    arg = va_arg(args, long);
    va_end(args);
    return next_limit(FCNTL, 0) < 0 ? -1 : (int)syscall(SYS_fcntl, fd, command, arg);
}

ssize_t vmsplice(int fd, const struct iovec *parts, size_t n, unsigned flags)
{
    ssize_t limit = next_limit(VMSPLICE, SSIZE_MAX);
    struct iovec first = parts[0];

    if (limit < 0)
        return -1;
    if (limit == SSIZE_MAX)
        return syscall(SYS_vmsplice, fd, parts, n, flags);
    assert_true((size_t)limit < first.iov_len);
    first.iov_len = (size_t)limit;
    return syscall(SYS_vmsplice, fd, &first, 1, flags);
}

/* After fewer bytes than were asked for the message still waits for the others. */
ssize_t splice(int from, off64_t *from_at, int to, off64_t *to_at, size_t len, unsigned flags)
{
    ssize_t limit = next_limit(SPLICE, len);

    if (limit < 0)
        return -1;
    if ((size_t)limit < len)
        flags |= SPLICE_F_MORE;
    return syscall(SYS_splice, from, from_at, to, to_at, (size_t)limit, flags);
}

static void fail_next(enum call c, unsigned n, int outcome)
{
    calls[c].left = n;
    calls[c].outcome = outcome;
}

/* A sender, a batch that begins with a page, and what has arrived of real datagrams. No two places
 * of the content look alike. */
struct fixture {
    struct udp_pair *pair;
    uint8_t *memory;         /* a page longer than a batch */
    struct vly_batch *batch; /* in it */
    size_t n_fds;            /* open before */
    uint8_t content[VLY_BATCH_BYTES];
    uint8_t in[2 * VLY_BATCH_BYTES];
    size_t in_bytes;
    unsigned n_runts; /* shorter than any real datagram; empty ones are not counted */
};

static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static struct fixture *fixture_new(int family, enum vly_io io)
{
    struct fixture *f = calloc(1, sizeof(*f));
    size_t pages = (sizeof(*f->batch) + PAGE_BYTES - 1) / PAGE_BYTES;

    assert_non_null(f);
    memset(calls, 0, sizeof(calls));
    swallows = false;
    f->n_fds = count_fds();
    f->pair = udp_pair_new(family, io, VLY_IO_GSO);
    if (io == VLY_IO_SPLICE && vly_udp_io(f->pair->tx) != io) { /* Linux before 6.5 */
        udp_pair_free(f->pair);
        free(f);
        skip();
    }
    f->memory = aligned_alloc(PAGE_BYTES, (pages + 1) * PAGE_BYTES);
    assert_non_null(f->memory);
    f->batch = (struct vly_batch *)(void *)f->memory;
    *f->batch = (struct vly_batch){.to = f->pair->rx_addr};
    for (size_t i = 0; i < sizeof(f->content); i++)
        f->content[i] = (uint8_t)(i * UINT32_C(2654435761) >> 16);
    return f;
}

static void fixture_free(struct fixture *f)
{
    udp_pair_free(f->pair);
    assert_int_equal(count_fds(), f->n_fds);
    free(f->memory);
    free(f);
}

static void fill(struct fixture *f, size_t len, size_t segment_bytes)
{
    struct vly_batch *b = f->batch;

    assert_true(len <= sizeof(b->data));
    b->len = len;
    b->segment_bytes = segment_bytes;
    b->n = (unsigned)((len + segment_bytes - 1) / segment_bytes);
    b->apart = (struct vly_span){0};
    memcpy(b->data, f->content, len);
}

static void flip(void *data, size_t len)
{
    uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++)
        bytes[i] ^= 0xff;
}

static struct vly_udp_progress send_batch(struct fixture *f, bool may_lend)
{
    struct vly_udp_progress p = {.may_lend = may_lend};

    assert_int_equal(vly_udp_send(f->pair->tx, f->batch, &p), 0);
    assert_int_equal(p.done, f->batch->len);
    return p;
}

static void on_datagrams(void *ctx, const struct vly_datagram *d, size_t n)
{
    struct fixture *f = ctx;
    size_t last = f->batch->len % f->batch->segment_bytes;

    for (size_t i = 0; i < n; i++) {
        if (d[i].len != f->batch->segment_bytes && d[i].len != last) {
            assert_true(d[i].len < f->batch->segment_bytes);
            assert_true(last == 0 || d[i].len < last);
            f->n_runts++;
            continue;
        }
        assert_true(f->in_bytes + d[i].len <= sizeof(f->in));
        memcpy(f->in + f->in_bytes, d[i].data, d[i].len);
        f->in_bytes += d[i].len;
    }
}

/* Waits for `bytes` of real datagrams; more must not be there. */
static void receive(struct fixture *f, size_t bytes)
{
    f->in_bytes = 0;
    f->n_runts = 0;
    while (f->in_bytes < bytes) {
        int err;

        test_wait_readable(f->pair->rx);
        err = vly_udp_recv(f->pair->rx, on_datagrams, f);
        assert_true(err == 0 || err == VLY_E_AGAIN);
    }
    assert_int_equal(vly_udp_recv(f->pair->rx, on_datagrams, f), 0);
    assert_int_equal(f->in_bytes, bytes);
}

static void receive_batch(struct fixture *f)
{
    receive(f, f->batch->len);
    assert_memory_equal(f->in, f->content, f->batch->len);
    assert_int_equal(f->n_runts, 0);
}

/* That a datagram of 100 bytes goes alone says that nothing is left in the socket. */
static void assert_sends_alone(struct fixture *f)
{
    fill(f, 100, 100);
    assert_false(send_batch(f, true).lent);
    receive_batch(f);
}

/* The longest datagram that the loopback interface takes. */
static size_t longest(int family)
{
    return family == AF_INET6 ? 65488 : 65507;
}

static void check_whole_batches(int family)
{
    const size_t shapes[][2] = {{RUN_BYTES, RUN_SEGMENT_BYTES},
                                {RUN_BYTES + 1, RUN_SEGMENT_BYTES},
                                {64 * 1000, 1000},
                                {32768, 1024},
                                {longest(family), longest(family)},
                                {32768, 32768},
                                {65507, 40000}};
    struct fixture *f = fixture_new(family, VLY_IO_SPLICE);
    struct vly_udp_stats stats;
    unsigned n = 0, datagrams = 0;

    for (size_t i = 0; i < 3 * ARRAY_LEN(shapes); i++) {
        const size_t *shape = shapes[i % ARRAY_LEN(shapes)];

        fill(f, shape[0], shape[1]);
        assert_true(send_batch(f, true).lent);
        receive_batch(f);
        vly_udp_stats(f->pair->tx, &stats);
        n++;
        datagrams += f->batch->n;
        assert_int_equal(stats.send_calls, n);
        assert_int_equal(stats.datagrams_sent, datagrams);
        vly_udp_stats(f->pair->rx, &stats);
        assert_int_equal(stats.datagrams_received, datagrams);
    }
    assert_int_equal(calls[PIPE2].n, 1);
    assert_int_equal(calls[SENDMSG].n, n);
    assert_int_equal(calls[VMSPLICE].n, n);
    assert_int_equal(calls[SPLICE].n, n);
    assert_int_equal(calls[SENDTO].n, 0);
    fixture_free(f);
}

static void test_udp_splice_long_batches_arrive_whole(void **state)
{
    (void)state;
    check_whole_batches(AF_INET);
}

static void test_udp_splice_long_batches_arrive_whole_by_ipv6(void **state)
{
    (void)state;
    if (!test_has_ipv6())
        skip();
    check_whole_batches(AF_INET6);
}

/* What is written into the batch after it was sent tells whether the kernel has a copy. */
static void test_udp_splice_is_no_copy(void **state)
{
    static const struct {
        const char *name;
        enum vly_io io;
        bool may_lend;
        size_t len, segment_bytes;
        bool lent;
    } cases[] = {
        {"a run", VLY_IO_SPLICE, true, RUN_BYTES, RUN_SEGMENT_BYTES, true},
        {"one datagram", VLY_IO_SPLICE, true, 65507, 65507, true},
        {"auto", VLY_IO_AUTO, true, RUN_BYTES, RUN_SEGMENT_BYTES, true},
        {"just long enough", VLY_IO_SPLICE, true, 32768, RUN_SEGMENT_BYTES, true},
        {"too short", VLY_IO_SPLICE, true, 32767, RUN_SEGMENT_BYTES, false},
        {"one datagram, too short", VLY_IO_SPLICE, true, 32767, 32767, false},
        {"may not lend", VLY_IO_SPLICE, false, RUN_BYTES, RUN_SEGMENT_BYTES, false},
        {"one datagram, may not lend", VLY_IO_SPLICE, false, 65507, 65507, false},
        {"gso", VLY_IO_GSO, true, RUN_BYTES, RUN_SEGMENT_BYTES, false},
        {"gso, one datagram", VLY_IO_GSO, true, 65507, 65507, false},
        {"mmsg", VLY_IO_MMSG, true, RUN_BYTES, RUN_SEGMENT_BYTES, false},
        {"basic", VLY_IO_BASIC, true, 65507, 65507, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture *f = fixture_new(AF_INET, cases[i].io);

        print_message("  %s\n", cases[i].name);
        fill(f, cases[i].len, cases[i].segment_bytes);
        assert_int_equal(send_batch(f, cases[i].may_lend).lent, cases[i].lent);
        assert_int_equal(calls[VMSPLICE].n, cases[i].lent);
        flip(f->batch->data, f->batch->len);
        receive(f, f->batch->len);
        if (cases[i].lent)
            flip(f->in, f->in_bytes);
        assert_memory_equal(f->in, f->content, f->batch->len);
        fixture_free(f);
    }
}

/* ---- a part that stands apart ---- */

#define APART_BYTES (18u * PAGE_BYTES)

/* The datagram that fill() makes, of which `len` bytes before the tag stand apart at `offset`. */
static void put_apart(struct fixture *f, uint8_t *memory, size_t offset, size_t len)
{
    struct vly_batch *b = f->batch;
    uint8_t *place = b->data + b->len - VLY_TAG_BYTES - len;

    assert_true(offset + len <= APART_BYTES);
    memset(memory, 0x55, APART_BYTES);
    memcpy(memory + offset, place, len);
    memset(place, 0xaa, len);
    b->apart = (struct vly_span){memory + offset, len};
}

/* Memory of the application is never lent: nobody knows what will stand there. */
static void test_udp_splice_copies_what_stands_apart(void **state)
{
    static const size_t offsets[] = {0, 1, 97, 4095};
    uint8_t *memory = aligned_alloc(PAGE_BYTES, APART_BYTES);
    struct fixture *f = fixture_new(AF_INET, VLY_IO_SPLICE);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
        fill(f, 65507, 65507);
        put_apart(f, memory, offsets[i], 65400);
        assert_false(send_batch(f, true).lent);
        flip(memory, APART_BYTES);
        receive(f, 65507);
        assert_int_equal(f->n_runts, 0);
        assert_memory_equal(f->in, f->content, 65507);
    }
    assert_int_equal(calls[VMSPLICE].n, 0);
    fixture_free(f);
    free(memory);
}

/* ---- failures ---- */

static unsigned tries(void)
{
    return calls[PIPE2].n + calls[VMSPLICE].n;
}

/* So many batches that could be lent are copied, and then one is lent. */
static void assert_copies(struct fixture *f, unsigned n)
{
    const struct vly_udp *tx = f->pair->tx;
    unsigned before = tries();

    assert_int_equal(vly_udp_io_to(tx, &f->pair->rx_addr), n > 0 ? VLY_IO_GSO : VLY_IO_SPLICE);
    fill(f, RUN_BYTES, RUN_SEGMENT_BYTES);
    swallows = true;
    for (unsigned i = 0; i < n; i++)
        assert_false(send_batch(f, true).lent);
    assert_int_equal(tries(), before);
    assert_int_equal(vly_udp_io_to(tx, &f->pair->rx_addr), VLY_IO_SPLICE);
    swallows = false;
    assert_true(send_batch(f, true).lent);
    receive_batch(f);
}

static const struct failure {
    const char *name;
    enum call call;
    int outcome;
    bool single;      /* one datagram, else a run */
    unsigned n_runts; /* what the socket had of a datagram goes as one */
    unsigned twice;   /* datagrams of which it had all bytes */
    bool says_nothing_of_splicing;
} failures[] = {
    {"no pipe", PIPE2, EMFILE, false, 0, 0, false},
    {"no pipe, one datagram", PIPE2, EMFILE, true, 0, 0, false},
    {"no room in the pipe", FCNTL, EPERM, false, 0, 0, false},
    {"the message does not begin", SENDMSG, EAGAIN, false, 0, 0, true},
    {"the message does not begin, one datagram", SENDMSG, EAGAIN, true, 0, 0, true},
    {"vmsplice: EINVAL", VMSPLICE, EINVAL, false, 0, 0, false},
    {"vmsplice: EAGAIN", VMSPLICE, EAGAIN, false, 0, 0, false},
    {"vmsplice: ENOMEM, one datagram", VMSPLICE, ENOMEM, true, 0, 0, false},
    {"vmsplice: short", VMSPLICE, SHORT(10000), false, 0, 0, false},
    {"vmsplice: short, one datagram", VMSPLICE, SHORT(10000), true, 0, 0, false},
    {"splice: EINVAL", SPLICE, EINVAL, false, 0, 0, false},
    {"splice: EPERM", SPLICE, EPERM, false, 0, 0, false},
    {"splice: EAGAIN", SPLICE, EAGAIN, false, 0, 0, false},
    {"splice: EMSGSIZE", SPLICE, EMSGSIZE, false, 0, 0, false},
    {"splice: EPERM, one datagram", SPLICE, EPERM, true, 0, 0, false},
    {"splice: EAGAIN, one datagram", SPLICE, EAGAIN, true, 0, 0, false},
    {"splice: EMSGSIZE, one datagram", SPLICE, EMSGSIZE, true, 0, 0, false},
    {"splice: EINVAL, one datagram", SPLICE, EINVAL, true, 0, 0, false},
    {"splice: short", SPLICE, SHORT(1000), false, 1, 0, false},
    {"splice: short, one datagram", SPLICE, SHORT(30000), true, 1, 0, false},
    {"splice: five and a bit", SPLICE, SHORT(5 * RUN_SEGMENT_BYTES + 100), false, 1, 5, false},
};

/* The kernel may have taken some of it before it failed. */
static bool may_have_lent(enum call failed)
{
    return failed == VMSPLICE || failed == SPLICE;
}

/* The same batch arrives by copying, and nothing of it stays behind. */
static void test_udp_splice_failures(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        const struct failure *c = &failures[i];
        struct fixture *f = fixture_new(AF_INET, VLY_IO_SPLICE);
        size_t twice = c->twice * RUN_SEGMENT_BYTES;
        struct vly_udp_stats stats;

        print_message("  %s\n", c->name);
        if (c->single)
            fill(f, 65507, 65507);
        else
            fill(f, RUN_BYTES, RUN_SEGMENT_BYTES);
        fail_next(c->call, 1, c->outcome);
        errno = EMSGSIZE; /* a short call leaves it as it is */
        assert_int_equal(send_batch(f, true).lent, may_have_lent(c->call));
        assert_int_equal(calls[c->call].left, 0);
        receive(f, twice + f->batch->len);
        assert_memory_equal(f->in, f->content, twice);
        assert_memory_equal(f->in + twice, f->content, f->batch->len);
        assert_int_equal(f->n_runts, c->n_runts);
        vly_udp_stats(f->pair->tx, &stats);
        assert_int_equal(stats.datagrams_sent, f->batch->n);
        assert_int_equal(stats.send_errors + stats.gso_fallbacks, 0);
        assert_sends_alone(f);
        assert_copies(f, c->says_nothing_of_splicing ? 0 : COPIED_AFTER_FAILURE);
        assert_sends_alone(f);
        fixture_free(f);
    }
}

static void test_udp_splice_goes_on_after_a_signal(void **state)
{
    struct fixture *f = fixture_new(AF_INET, VLY_IO_SPLICE);

    (void)state;
    fill(f, RUN_BYTES, RUN_SEGMENT_BYTES);
    fail_next(SPLICE, 1, EINTR);
    assert_true(send_batch(f, true).lent);
    assert_int_equal(calls[SPLICE].n, 2);
    receive_batch(f);
    assert_int_equal(f->n_runts, 0);
    fixture_free(f);
}

/* Neither the message that waits for content nor the copy finds room. */
static void test_udp_splice_into_a_full_socket(void **state)
{
    (void)state;
    for (unsigned single = 0; single < 2; single++) {
        struct fixture *f = fixture_new(AF_INET, VLY_IO_SPLICE);
        struct vly_udp_progress p = {.may_lend = true};

        fill(f, RUN_BYTES, single ? RUN_BYTES : RUN_SEGMENT_BYTES);
        fail_next(SENDMSG, 2 - single, EAGAIN);
        fail_next(SENDTO, single, EAGAIN);
        assert_int_equal(vly_udp_send(f->pair->tx, f->batch, &p), VLY_E_AGAIN);
        assert_int_equal(calls[SENDMSG].left + calls[SENDTO].left, 0);
        assert_int_equal(p.done, 0);
        assert_false(p.lent);
        receive(f, 0);
        assert_int_equal(f->n_runts, 0);
        assert_int_equal(vly_udp_send(f->pair->tx, f->batch, &p), 0);
        assert_int_equal(p.done, RUN_BYTES);
        assert_true(p.lent);
        receive_batch(f);
        fixture_free(f);
    }
}

static void set_no_checksum(const struct vly_udp *s, int on)
{
    assert_int_equal(setsockopt(vly_udp_fd(s), SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
}

/* Segments of the size that was refused are not spliced, shorter ones are at once. */
static void assert_copied_size_only(struct fixture *f)
{
    unsigned before = tries();

    fill(f, RUN_BYTES, RUN_SEGMENT_BYTES);
    assert_false(send_batch(f, true).lent);
    receive_batch(f);
    assert_int_equal(tries(), before);
    fill(f, RUN_BYTES, RUN_SEGMENT_BYTES - 1);
    assert_true(send_batch(f, true).lent);
    receive_batch(f);
}

/* A socket that sends without checksums cannot segment: the kernel itself refuses, here the message
 * whose content it has. */
static void test_udp_splice_refused_by_the_kernel(void **state)
{
    struct fixture *f = fixture_new(AF_INET, VLY_IO_SPLICE);

    (void)state;
    set_no_checksum(f->pair->tx, 1);
    fill(f, RUN_BYTES, RUN_SEGMENT_BYTES);
    assert_true(send_batch(f, true).lent);
    assert_int_equal(calls[SPLICE].n, 1);
    receive_batch(f);
    assert_int_equal(vly_udp_io_to(f->pair->tx, &f->pair->rx_addr), VLY_IO_MMSG);
    assert_sends_alone(f);
    set_no_checksum(f->pair->tx, 0);
    assert_copied_size_only(f);
    fixture_free(f);
}

/* Where a run was refused that was copied, none of that size is spliced. */
static void test_udp_splice_heeds_refusals(void **state)
{
    struct fixture *f = fixture_new(AF_INET, VLY_IO_SPLICE);

    (void)state;
    fill(f, RUN_BYTES, RUN_SEGMENT_BYTES);
    set_no_checksum(f->pair->tx, 1);
    assert_false(send_batch(f, false).lent);
    set_no_checksum(f->pair->tx, 0);
    receive_batch(f);
    assert_int_equal(tries(), 0);
    assert_copied_size_only(f);
    fixture_free(f);
}

/* The loopback interface takes no such datagram by IPv6. */
static void test_udp_splice_drops_what_is_too_long(void **state)
{
    struct vly_udp_stats stats;
    struct fixture *f;

    (void)state;
    if (!test_has_ipv6())
        skip();
    f = fixture_new(AF_INET6, VLY_IO_SPLICE);
    fill(f, 65507, 65507);
    assert_true(send_batch(f, true).lent);
    assert_int_equal(calls[SPLICE].n, 1);
    assert_int_equal(vly_udp_take_too_long(f->pair->tx), 65507);
    vly_udp_stats(f->pair->tx, &stats);
    assert_int_equal(stats.send_errors, 1);
    fill(f, 65488, 65488);
    assert_true(send_batch(f, true).lent);
    receive_batch(f);
    fixture_free(f);
}

/* Each fixture counts them when it ends; here also before. */
static void test_udp_splice_leaves_no_descriptor_open(void **state)
{
    static const enum call failing[] = {N_CALLS, PIPE2, FCNTL, SENDMSG, VMSPLICE, SPLICE};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(failing); i++) {
        struct fixture *f = fixture_new(AF_INET, VLY_IO_SPLICE);
        size_t opened = count_fds();

        if (failing[i] != N_CALLS)
            fail_next(failing[i], 1, EPERM);
        fill(f, RUN_BYTES, RUN_SEGMENT_BYTES);
        assert_int_equal(send_batch(f, true).lent, i == 0 || may_have_lent(failing[i]));
        assert_int_equal(count_fds(), opened + (i == 0 || failing[i] == SENDMSG ? 2 : 0));
        fixture_free(f); /* with what was lent still unread */
    }
}

/* MSG_SPLICE_PAGES came with Linux 6.5. */
static void test_udp_splice_asks_the_kernel_for_its_version(void **state)
{
    static const struct {
        const char *release;
        bool can;
    } cases[] = {{"4.18.0-553.el8", false},
                 {"5.15.0-91-generic", false},
                 {"6.1.0-18-amd64", false},
                 {"6.4.16", false},
                 {"6.5.0-rc1", true},
                 {"6.12.9+bpo", true},
                 {"7.0", true},
                 {"10.2.3", true},
                 {"6", false},
                 {"", false},
                 {"unknown", false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fake_release = cases[i].release;
        assert_int_equal(vly_udp_can_splice(), cases[i].can);
    }
    fake_release = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_udp_splice_asks_the_kernel_for_its_version),
        cmocka_unit_test(test_udp_splice_long_batches_arrive_whole),
        cmocka_unit_test(test_udp_splice_long_batches_arrive_whole_by_ipv6),
        cmocka_unit_test(test_udp_splice_is_no_copy),
        cmocka_unit_test(test_udp_splice_copies_what_stands_apart),
        cmocka_unit_test(test_udp_splice_failures),
        cmocka_unit_test(test_udp_splice_goes_on_after_a_signal),
        cmocka_unit_test(test_udp_splice_into_a_full_socket),
        cmocka_unit_test(test_udp_splice_refused_by_the_kernel),
        cmocka_unit_test(test_udp_splice_heeds_refusals),
        cmocka_unit_test(test_udp_splice_drops_what_is_too_long),
        cmocka_unit_test(test_udp_splice_leaves_no_descriptor_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
