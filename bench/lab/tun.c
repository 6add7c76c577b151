/*
 * tun - the device through which the emulator sees the packets of a side.
 */
#include "bench/lab/tun.h"

#include "bench/lab/netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

int bench_tun_open(struct bench_netns_answer *out)
{
    struct ifreq r = {.ifr_name = BENCH_NETDEV};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return bench_netns_fail(out, 0,
                                "cannot open /dev/net/tun; an emulated link needs it (modprobe "
                                "tun), and leave to open it");
    r.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (ioctl(fd, TUNSETIFF, &r) != 0) {
        (void)bench_netns_fail(out, 0, "cannot make a TUN device");
        (void)close(fd);
        return out->err;
    }
    out->fds[out->n_fds++] = fd;
    return 0;
}
