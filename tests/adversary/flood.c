/*
 * flood - sends the same datagrams again and again, as fast as asked or as one core can.
 *
 *     flood PORT PACKETS_PER_S SECONDS SOURCES <datagrams
 *
 * The datagrams come on the standard input, each after its length as u16. They go to 127.0.0.1:PORT
 * in turn, each sendmmsg from the next of SOURCES addresses of 127.0.0.0/8; with 0 SOURCES from
 * 127.0.0.1 alone. 0 PACKETS_PER_S is no limit. It ends after SECONDS or at SIGTERM and prints a
 * line of JSON: what was sent and the processor time taken.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64u
#define DATAGRAMS_MAX 4096u
#define NS_PER_S UINT64_C(1000000000)

struct datagram {
    uint8_t *data;
    size_t len;
};

struct flood {
    int fd;
    uint32_t sources;
    uint64_t packets_per_s, end_ns;
    struct datagram datagrams[DATAGRAMS_MAX];
    size_t count, next;
    uint64_t sent, batches;
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_in to;
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* The datagrams of the standard input; false when they are cut short or too many. */
static bool read_datagrams(struct flood *f)
{
    uint8_t head[2];

    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        struct datagram *d = &f->datagrams[f->count];

        if (f->count == DATAGRAMS_MAX)
            return false;
        d->len = (size_t)head[0] << 8 | head[1];
        d->data = malloc(d->len + 1);
        if (d->data == NULL || fread(d->data, 1, d->len, stdin) != d->len)
            return false;
        f->count++;
    }
    return f->count > 0;
}

/* One control message for all datagrams of a batch: where they pretend to come from. */
static void prepare(struct flood *f)
{
    struct cmsghdr *head = (void *)f->control;

    head->cmsg_level = IPPROTO_IP;
    head->cmsg_type = IP_PKTINFO;
    head->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
    for (size_t i = 0; i < BATCH; i++) {
        struct msghdr *m = &f->messages[i].msg_hdr;

        m->msg_name = &f->to;
        m->msg_namelen = sizeof f->to;
        m->msg_iov = &f->parts[i];
        m->msg_iovlen = 1;
        if (f->sources > 0) {
            m->msg_control = f->control;
            m->msg_controllen = sizeof f->control;
        }
    }
}

/* Sends one batch; what the kernel has no room for is lost. */
static void send_batch(struct flood *f, unsigned count)
{
    /* 127.1.0.0 and up; the step is odd, so that all come to be used in no obvious order */
    uint32_t source = 0x7f010000u + (uint32_t)(f->batches * 7919u) % (f->sources + 1u);
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(source)};
    int sent;

    memcpy(CMSG_DATA((struct cmsghdr *)(void *)f->control), &info, sizeof info);
    for (unsigned i = 0; i < count; i++) {
        const struct datagram *d = &f->datagrams[f->next];

        f->parts[i] = (struct iovec){.iov_base = d->data, .iov_len = d->len};
        f->next = (f->next + 1) % f->count;
    }
    sent = sendmmsg(f->fd, f->messages, count, 0);
    if (sent > 0)
        f->sent += (uint64_t)sent;
    f->batches++;
}

static void run(struct flood *f)
{
    uint64_t begin_ns = now_ns();

    f->end_ns += begin_ns;
    for (uint64_t t_ns = begin_ns; !stopped && t_ns < f->end_ns; t_ns = now_ns()) {
        uint64_t due = (t_ns - begin_ns) * f->packets_per_s / NS_PER_S;

        if (f->packets_per_s == 0 || due >= f->sent + BATCH) {
            send_batch(f, BATCH);
        } else {
            uint64_t missing = f->sent + BATCH - due;
            uint64_t wait_ns = missing * NS_PER_S / f->packets_per_s + 1;

            nanosleep(&(struct timespec){.tv_sec = (time_t)(wait_ns / NS_PER_S),
                                         .tv_nsec = (long)(wait_ns % NS_PER_S)},
                      NULL);
        }
    }
    f->end_ns = now_ns() - begin_ns;
}

static uint64_t cpu_ns(void)
{
    struct rusage u;
    uint64_t us;

    getrusage(RUSAGE_SELF, &u);
    us = (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) +
         UINT64_C(1000000) * (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec);
    return us * 1000;
}

static int flood(struct flood *f)
{
    f->fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (f->fd < 0 || !read_datagrams(f)) {
        fprintf(stderr, "flood: %s\n", f->fd < 0 ? strerror(errno) : "no datagrams, or too many");
        return 1;
    }
    prepare(f);
    run(f);
    printf("{\"sent\":%" PRIu64 ",\"ns\":%" PRIu64 ",\"cpu_ns\":%" PRIu64 "}\n", f->sent, f->end_ns,
           cpu_ns());
    close(f->fd);
    for (size_t i = 0; i < f->count; i++)
        free(f->datagrams[i].data);
    return 0;
}

int main(int argc, char **argv)
{
    static struct flood f;

    if (argc != 5) {
        fprintf(stderr, "usage: flood PORT PACKETS_PER_S SECONDS SOURCES <datagrams\n");
        return 2;
    }
    signal(SIGTERM, on_signal);
    f.to = (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    f.packets_per_s = strtoull(argv[2], NULL, 10);
    f.end_ns = (uint64_t)(strtod(argv[3], NULL) * (double)NS_PER_S);
    f.sources = (uint32_t)strtoul(argv[4], NULL, 10);
    return flood(&f);
}
