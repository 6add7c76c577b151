/*
 * flow_tcp_info - what the kernel tells of a TCP connection.
 *
 * On its own, since the kernel's header, which alone has the newer members, and the C library's,
 * which libuv's needs, cannot be used together.
 */
#ifndef BENCH_FLOW_TCP_INFO_H
#define BENCH_FLOW_TCP_INFO_H

#include <stdbool.h>
#include <stdint.h>

struct flow_tcp_info {
    uint64_t cwnd_bytes, in_flight_bytes, smoothed_rtt_ns;
    uint64_t retransmits, segments_sent; /* with payload */
};

/* Returns false when `fd` is no TCP connection. */
bool flow_tcp_info(int fd, struct flow_tcp_info *out);

#endif
