/*
 * netdev - the devices of a lab, configured through the kernel's own interfaces (no program of
 * iproute2 is needed). All of it acts in the network namespace of the calling process.
 */
#ifndef BENCH_NETDEV_H
#define BENCH_NETDEV_H

#include "bench/lab/netns.h"

#define BENCH_NETDEV "volley0" /* the device's name on either side */

/* All return 0, or fill the answer and return its error. */

VLY_MUST_USE int bench_netdev_loopback_up(struct bench_netns_answer *out);
/* Two devices named BENCH_NETDEV, one here, one in the namespace `peer_net_fd`. */
VLY_MUST_USE int bench_netdev_make_veth(int peer_net_fd, struct bench_netns_answer *out);
/* Gives BENCH_NETDEV an address in a /24 net, an MTU and a queue of so many packets (0: its
 * default), and brings it up. */
VLY_MUST_USE int bench_netdev_configure(const char *address, uint32_t mtu_bytes,
                                        unsigned queue_pkts, struct bench_netns_answer *out);
/* Turns off whatever joins or leaves joined what the wire would carry as single packets. */
VLY_MUST_USE int bench_netdev_offloads_off(struct bench_netns_answer *out);

#endif
