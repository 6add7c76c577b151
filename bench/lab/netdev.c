/*
 * netdev - the devices of a lab, configured through the kernel's own interfaces.
 */
#include "bench/lab/netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ifreq request(const char *device)
{
    struct ifreq r;

    memset(&r, 0, sizeof(r));
    memcpy(r.ifr_name, device, strlen(device) + 1);
    return r;
}

static int up(int fd, const char *device, struct bench_netns_answer *out)
{
    struct ifreq r = request(device);

    if (ioctl(fd, SIOCGIFFLAGS, &r) != 0)
        return bench_netns_fail(out, 0, "cannot find the device %s", device);
    r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
    if (ioctl(fd, SIOCSIFFLAGS, &r) != 0)
        return bench_netns_fail(out, 0, "cannot bring up the device %s", device);
    return 0;
}

static int socket_open(int *out_fd, struct bench_netns_answer *out)
{
    *out_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return *out_fd >= 0 ? 0 : bench_netns_fail(out, 0, "cannot make a socket");
}

int bench_netdev_loopback_up(struct bench_netns_answer *out)
{
    int fd;
    int err = socket_open(&fd, out);

    if (err == 0) {
        err = up(fd, "lo", out);
        (void)close(fd);
    }
    return err;
}

static int set_address(int fd, unsigned long what, const char *text, struct bench_netns_answer *out)
{
    struct ifreq r = request(BENCH_NETDEV);
    struct sockaddr_in a = {.sin_family = AF_INET};

    if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
        return bench_netns_fail(out, VLY_E_INVALID, "%s is no address", text);
    memcpy(&r.ifr_addr, &a, sizeof(a));
    if (ioctl(fd, what, &r) != 0)
        return bench_netns_fail(out, 0, "cannot set the address %s", text);
    return 0;
}

/* ---- rtnetlink, for what ioctl cannot do, or not in a user namespace ---- */

struct netlink {
    size_t len;
    _Alignas(NLMSG_ALIGNTO) uint8_t bytes[512];
};

static void put_bytes(struct netlink *n, const void *data, size_t len)
{
    memcpy(n->bytes + n->len, data, len);
    n->len += NLMSG_ALIGN(len);
}

static size_t attribute_begin(struct netlink *n, uint16_t type)
{
    size_t at = n->len;

    put_bytes(n, &(struct rtattr){.rta_type = type}, sizeof(struct rtattr));
    return at;
}

static void attribute_end(struct netlink *n, size_t at)
{
    uint16_t len = (uint16_t)(n->len - at);

    memcpy(n->bytes + at + offsetof(struct rtattr, rta_len), &len, sizeof(len));
}

static void put_attribute(struct netlink *n, uint16_t type, const void *data, size_t len)
{
    struct rtattr head = {(uint16_t)RTA_LENGTH(len), type};

    put_bytes(n, &head, sizeof(head));
    put_bytes(n, data, len);
}

static void request_begin(struct netlink *n, const struct ifinfomsg *info)
{
    *n = (struct netlink){.len = sizeof(struct nlmsghdr)};
    put_bytes(n, info, sizeof(*info));
}

static void request_end(struct netlink *n, uint16_t flags)
{
    const struct nlmsghdr head = {.nlmsg_len = (uint32_t)n->len,
                                  .nlmsg_type = RTM_NEWLINK,
                                  .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags)};

    memcpy(n->bytes, &head, sizeof(head));
}

static void veth_request(struct netlink *n, int peer_net_fd)
{
    const struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    size_t link, data, peer;

    request_begin(n, &info);
    put_attribute(n, IFLA_IFNAME, BENCH_NETDEV, sizeof(BENCH_NETDEV));
    link = attribute_begin(n, IFLA_LINKINFO);
    put_attribute(n, IFLA_INFO_KIND, "veth", sizeof("veth"));
    data = attribute_begin(n, IFLA_INFO_DATA);
    peer = attribute_begin(n, VETH_INFO_PEER);
    put_bytes(n, &info, sizeof(info));
    put_attribute(n, IFLA_IFNAME, BENCH_NETDEV, sizeof(BENCH_NETDEV));
    put_attribute(n, IFLA_NET_NS_FD, &peer_net_fd, sizeof(peer_net_fd));
    attribute_end(n, peer);
    attribute_end(n, data);
    attribute_end(n, link);
    request_end(n, NLM_F_CREATE | NLM_F_EXCL);
}

/* Sends the request and hears the answer; 0, or -1 with errno. */
static int exchange(int fd, const struct netlink *request)
{
    struct {
        struct nlmsghdr head;
        struct nlmsgerr body;
        uint8_t rest[512];
    } reply;
    ssize_t n;

    if (send(fd, request->bytes, request->len, 0) != (ssize_t)request->len)
        return -1;
    n = recv(fd, &reply, sizeof(reply), 0);
    if (n < 0)
        return -1;
    if ((size_t)n < sizeof(reply.head) + sizeof(reply.body) || reply.head.nlmsg_type != NLMSG_ERROR)
        errno = EPROTO;
    else
        errno = -reply.body.error;
    return errno == 0 ? 0 : -1;
}

static int ask(const struct netlink *request)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    int result;

    if (fd < 0)
        return -1;
    result = exchange(fd, request);
    (void)close(fd);
    return result;
}

int bench_netdev_make_veth(int peer_net_fd, struct bench_netns_answer *out)
{
    struct netlink message;

    veth_request(&message, peer_net_fd);
    if (ask(&message) != 0)
        return bench_netns_fail(out, 0, "cannot make a veth pair (kernel module veth)");
    return 0;
}

static int set_queue(uint32_t queue_pkts)
{
    const struct ifinfomsg info = {.ifi_family = AF_UNSPEC,
                                   .ifi_index = (int)if_nametoindex(BENCH_NETDEV)};
    struct netlink message;

    request_begin(&message, &info);
    put_attribute(&message, IFLA_TXQLEN, &queue_pkts, sizeof(queue_pkts));
    request_end(&message, 0);
    return ask(&message);
}

/* ---- addresses ---- */

static int configure(int fd, uint32_t mtu_bytes, unsigned queue_pkts,
                     struct bench_netns_answer *out)
{
    struct ifreq r = request(BENCH_NETDEV);

    r.ifr_mtu = (int)mtu_bytes;
    if (ioctl(fd, SIOCSIFMTU, &r) != 0)
        return bench_netns_fail(out, 0, "cannot set an MTU of %u bytes", mtu_bytes);
    if (queue_pkts > 0 && set_queue(queue_pkts) != 0)
        return bench_netns_fail(out, 0, "cannot set a queue of %u packets", queue_pkts);
    return up(fd, BENCH_NETDEV, out);
}

int bench_netdev_configure(const char *address, uint32_t mtu_bytes, unsigned queue_pkts,
                           struct bench_netns_answer *out)
{
    int fd;
    int err = socket_open(&fd, out);

    if (err != 0)
        return err;
    err = set_address(fd, SIOCSIFADDR, address, out);
    if (err == 0)
        err = set_address(fd, SIOCSIFNETMASK, "255.255.255.0", out);
    if (err == 0)
        err = configure(fd, mtu_bytes, queue_pkts, out);
    (void)close(fd);
    return err;
}

/* ---- offloads ---- */

static int ethtool(int fd, void *command)
{
    struct ifreq r = request(BENCH_NETDEV);

    r.ifr_data = command;
    return ioctl(fd, SIOCETHTOOL, &r);
}

/* The names of the device's features: *out_n of ETH_GSTRING_LEN bytes each. NULL with errno. */
static struct ethtool_gstrings *feature_names(int fd, uint32_t *out_n)
{
    const struct ethtool_sset_info head = {.cmd = ETHTOOL_GSSET_INFO,
                                           .sset_mask = 1u << ETH_SS_FEATURES};
    _Alignas(struct ethtool_sset_info) uint8_t count[sizeof(head) + sizeof(uint32_t)];
    struct ethtool_gstrings *names;
    uint32_t n;

    memcpy(count, &head, sizeof(head));
    if (ethtool(fd, count) != 0)
        return NULL;
    memcpy(&n, count + sizeof(head), sizeof(n)); /* the kernel writes it behind the head */
    names = calloc(1, sizeof(*names) + (size_t)n * ETH_GSTRING_LEN);
    if (names == NULL)
        return NULL;
    names->cmd = ETHTOOL_GSTRINGS;
    names->string_set = ETH_SS_FEATURES;
    names->len = n;
    *out_n = n;
    if (ethtool(fd, names) == 0)
        return names;
    free(names);
    return NULL;
}

/* "tx-tcp-segmentation", "tx-udp-segmentation", "tx-gso-list", "rx-gro", ... */
static bool joins_packets(const char *feature)
{
    return strstr(feature, "segmentation") != NULL || strstr(feature, "gso") != NULL ||
           strstr(feature, "gro") != NULL;
}

static int features_off(int fd)
{
    uint32_t n = 0;
    struct ethtool_gstrings *names = feature_names(fd, &n);
    uint32_t blocks = (n + 31) / 32;
    struct ethtool_sfeatures *set =
        calloc(1, sizeof(*set) + blocks * sizeof(struct ethtool_set_features_block));
    int result = -1;

    if (names != NULL && set != NULL) {
        set->cmd = ETHTOOL_SFEATURES;
        set->size = blocks;
        for (uint32_t i = 0; i < n; i++)
            if (joins_packets((const char *)names->data + (size_t)i * ETH_GSTRING_LEN))
                set->features[i / 32].valid |= 1u << i % 32;
        /* It returns a positive word of flags when the device cannot change some of them. */
        result = ethtool(fd, set) < 0 ? -1 : 0;
    }
    free(names);
    free(set);
    return result;
}

int bench_netdev_offloads_off(struct bench_netns_answer *out)
{
    int fd;
    int err = socket_open(&fd, out);

    if (err != 0)
        return err;
    if (features_off(fd) != 0)
        err = bench_netns_fail(out, 0, "cannot turn off segmentation offloads");
    (void)close(fd);
    return err;
}
