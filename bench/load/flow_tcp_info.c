/*
 * flow_tcp_info - what the kernel tells of a TCP connection.
 */
#include "bench/load/flow_tcp_info.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

bool flow_tcp_info(int fd, struct flow_tcp_info *out)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return false;
    *out = (struct flow_tcp_info){
        .cwnd_bytes = (uint64_t)info.tcpi_snd_cwnd * info.tcpi_snd_mss,
        .in_flight_bytes = (uint64_t)info.tcpi_unacked * info.tcpi_snd_mss,
        .smoothed_rtt_ns = (uint64_t)info.tcpi_rtt * 1000,
        .retransmits = info.tcpi_total_retrans,
        .segments_sent = info.tcpi_data_segs_out,
    };
    return true;
}
