/*
 * stats - see stats.h.
 */
#include "file/stats.h"

#include <string.h>

void vly_stats_from_link(struct vly_transfer_stats *out, const struct vly_link *link)
{
    struct vly_link_stats l = {0};

    link->ops->stats(link, &l);
    *out = (struct vly_transfer_stats){
        .packets_sent = l.packets_sent,
        .packets_received = l.packets_received,
        .retransmits = l.retransmits,
        .lost_packets = l.lost_packets,
        .spurious_losses = l.spurious_losses,
        .wire_bytes_sent = l.bytes_sent,
        .wire_bytes_received = l.bytes_received,
        .smoothed_rtt_ns = l.smoothed_rtt_ns,
        .min_rtt_ns = l.min_rtt_ns,
        .cwnd_bytes = l.cwnd_bytes,
        .kernel_drops_local = l.kernel_drops_local,
        .kernel_drops_peer = l.kernel_drops_peer,
        .limited_cwnd_ns = l.limited_cwnd_ns,
        .limited_flow_ns = l.limited_flow_ns,
        .limited_pacing_ns = l.limited_pacing_ns,
        .limited_app_ns = l.limited_app_ns,
        .path_changes = l.path_changes,
        .datagram_bytes = l.datagram_bytes,
        .datagram_received_bytes = l.datagram_received_bytes,
        .transport = l.transport,
        .io = l.io,
        .suite = l.suite,
        .crypto = l.crypto,
    };
    memcpy(out->cc, l.cc, sizeof(out->cc));
    memcpy(out->frames_sent, l.frames_sent, sizeof(out->frames_sent));
    memcpy(out->frames_received, l.frames_received, sizeof(out->frames_received));
}
