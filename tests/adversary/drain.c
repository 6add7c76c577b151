/*
 * drain - reads datagrams and does nothing with them, but for as long as a server would.
 *
 *     drain NS_PER_PACKET
 *
 * The control of a flood: beside a transfer it takes the processor time that the flood takes of the
 * server, and nothing else. It prints its port, reads until SIGTERM, computes for each datagram
 * until it has used NS_PER_PACKET of processor time, reading included, and prints what it read.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64u
#define DATAGRAM_MAX 2048u
#define BUFFER_BYTES (4 << 20) /* the socket's, as the server's */
#define NS_PER_S UINT64_C(1000000000)

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Returns a socket at a free port of 127.0.0.1, which is printed; -1 on error. */
static int open_socket(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int bytes = BUFFER_BYTES;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    printf("%u\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static uint64_t drain(int fd, uint64_t ns_per_packet)
{
    static uint8_t data[BATCH][DATAGRAM_MAX];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    uint64_t begin_ns = cpu_ns(), received = 0;

    while (!stopped) {
        int n;

        memset(messages, 0, sizeof messages);
        for (size_t i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){.iov_base = data[i], .iov_len = DATAGRAM_MAX};
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        received += n > 0 ? (uint64_t)n : 0;
        while (!stopped && cpu_ns() - begin_ns < received * ns_per_packet)
            continue;
    }
    return received;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal}; /* recvmmsg is to end: no SA_RESTART */
    int fd;

    if (argc != 2) {
        fprintf(stderr, "usage: drain NS_PER_PACKET\n");
        return 2;
    }
    sigaction(SIGTERM, &action, NULL);
    fd = open_socket();
    if (fd < 0) {
        perror("drain");
        return 1;
    }
    printf("{\"received\":%" PRIu64 ",", drain(fd, strtoull(argv[1], NULL, 10)));
    printf("\"cpu_ns\":%" PRIu64 "}\n", cpu_ns());
    return 0;
}
