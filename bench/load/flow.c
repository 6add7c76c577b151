/*
 * flow - what all flows share: the hot block, socket addresses, making and freeing.
 */
#include "bench/load/flow_ops.h"

#include "net/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Compared, unless all is asked for: so many bytes of each so many of a stream, whatever the pieces
 * it arrives in, so that checking costs no protocol more than another. */
#define CHECK_BYTES 8u
#define CHECK_EVERY_BYTES 16384u

/* Words that differ, so that a shifted byte shows (splitmix64). */
static uint64_t word(uint64_t i)
{
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Writing it touches all its pages before anything is timed. */
static int hot_make(struct bench_hot *hot, uint64_t block_bytes)
{
    assert(block_bytes > 0); /* bench_request_check */
    hot->block_bytes = block_bytes;
    hot->bytes = malloc((size_t)block_bytes + CHECK_BYTES);
    if (hot->bytes == NULL)
        return VLY_E_NOMEM;
    for (uint64_t i = 0; i < block_bytes; i++)
        hot->bytes[i] = (uint8_t)(word(i / 8) >> (i % 8 * 8));
    for (uint64_t i = 0; i < CHECK_BYTES; i++)
        hot->bytes[block_bytes + i] = hot->bytes[i % block_bytes];
    return 0;
}

static bool check_some(const struct bench_hot *hot, uint64_t offset, struct vly_span data)
{
    for (size_t at = (size_t)(-offset % CHECK_EVERY_BYTES); at + CHECK_BYTES <= data.len;
         at += CHECK_EVERY_BYTES) {
        const uint8_t *expected = hot->bytes + bench_hot_index(hot, offset + at);

        if (memcmp(expected, data.data + at, CHECK_BYTES) != 0) /* no call: it is one word */
            return false;
    }
    return true;
}

bool bench_hot_check(const struct bench_hot *hot, uint64_t offset, struct vly_span data, bool all)
{
    if (!all && hot->block_bytes >= CHECK_BYTES)
        return check_some(hot, offset, data);
    while (data.len > 0) {
        size_t len;
        const uint8_t *expected = bench_hot_at(hot, offset, offset + data.len, &len);

        if (memcmp(expected, data.data, len) != 0)
            return false;
        offset += len;
        data.data += len;
        data.len -= len;
    }
    return true;
}

/* ---- addresses ---- */

socklen_t bench_sockaddr_port(struct sockaddr_storage *sa, uint16_t port)
{
    if (sa->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
        return sizeof(struct sockaddr_in6);
    }
    ((struct sockaddr_in *)sa)->sin_port = htons(port);
    return sizeof(struct sockaddr_in);
}

uint16_t bench_sockaddr_port_of(const struct sockaddr_storage *sa)
{
    if (sa->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)sa)->sin6_port);
    return ntohs(((const struct sockaddr_in *)sa)->sin_port);
}

/* ---- making and freeing ---- */

static const struct bench_flow_ops *ops_of(enum bench_protocol protocol)
{
    switch (protocol) {
    case BENCH_TCP:
        return &bench_flow_tcp;
    case BENCH_TLS:
        return &bench_flow_tls;
    case BENCH_UDP_RAW:
        return &bench_flow_udp_raw;
    case BENCH_VOLLEY:
    case BENCH_VOLLEY_PLAIN:
    case BENCH_VOLLEY_TCP:
        break;
    }
    return &bench_flow_volley;
}

int bench_flow_open(struct bench_flow **out, const struct bench_flow_setup *setup,
                    struct vly_fault *why)
{
    const struct bench_flow_ops *ops = ops_of(setup->request->protocol);
    struct bench_flow *f = calloc(1, ops->size);

    *out = f;
    if (f == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    f->ops = ops;
    f->setup = *setup;
    f->n_conns = bench_request_conns(setup->request);
    if (hot_make(&f->hot, setup->request->block_bytes) != 0)
        return vly_fault_plain(why, VLY_E_NOMEM);
    f->opened_ns = vly_clock_now_ns();
    return ops->open(f, why);
}

void bench_flow_free(struct bench_flow *f)
{
    if (f == NULL)
        return;
    f->ops->fini(f);
    free(f->hot.bytes);
    free(f);
}
