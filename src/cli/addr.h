/*
 * addr - HOST[:PORT][/PATH] as operands write it, and the socket addresses behind a host name.
 */
#ifndef VLY_CLI_ADDR_H
#define VLY_CLI_ADDR_H

#include <volley/base.h>

#include <sys/socket.h>

struct uv_loop_s;

#define VLY_HOST_BYTES 256
#define VLY_ADDR_LIST_MAX 4

struct vly_addr {
    char host[VLY_HOST_BYTES];     /* without brackets */
    char name[VLY_HOST_BYTES + 8]; /* "HOST:PORT" for messages, with the port always there */
    uint16_t port;
    bool has_path;    /* there was a slash */
    const char *path; /* what follows the slash; within the parsed text, "" when there is none */
};

/* Splits `text`; an IPv6 address stands in brackets: "[::1]:7711/dir". On VLY_E_INVALID *out_why is
 * a static text such as "the port is not a number from 1 to 65535". */
VLY_MUST_USE int vly_addr_parse(const char *text, struct vly_addr *out, const char **out_why);

/* Addresses to try, best first: those of IPv4 before those of IPv6, since a server listens on
 * 0.0.0.0 unless told otherwise. */
struct vly_addr_list {
    struct sockaddr_storage at[VLY_ADDR_LIST_MAX];
    size_t n; /* at least 1 */
};

/* Looks `host` up, waiting at most `timeout_ns`, and gives the addresses `port`. Runs the loop.
 * Returns VLY_E_UNREACHABLE when the name does not exist or has no address, VLY_E_NO_ANSWER when
 * the look-up took too long; *out_why is then the reason, static. After VLY_E_NO_ANSWER a thread
 * may still be waiting for the look-up: leave by _exit. */
VLY_MUST_USE int vly_addr_resolve(struct uv_loop_s *loop, const char *host, uint16_t port,
                                  uint64_t timeout_ns, struct vly_addr_list *out,
                                  const char **out_why);

#endif
