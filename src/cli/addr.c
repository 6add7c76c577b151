/*
 * addr - HOST[:PORT][/PATH] as operands write it, and the socket addresses behind a host name.
 */
#include "cli/addr.h"

#include "cli/quantity.h"

#include <volley/transfer.h>

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

/* ---- splitting ---- */

static int port_parse(const char *text, size_t len, uint16_t *out)
{
    char digits[8];
    uint64_t port;

    if (len == 0 || len >= sizeof(digits))
        return VLY_E_INVALID;
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (vly_number_parse(digits, &port) != 0 || port == 0 || port > UINT16_MAX)
        return VLY_E_INVALID;
    *out = (uint16_t)port;
    return 0;
}

/* Copies the host, and tells where it ends: *out_rest is at the colon, the slash or the end. */
static int host_split(const char *text, char host[VLY_HOST_BYTES], const char **out_rest,
                      const char **out_why)
{
    const char *begin = text;
    size_t len = strcspn(text, ":/");

    *out_rest = text + len;
    if (*text == '[') {
        begin = text + 1;
        len = strcspn(begin, "]/");
        *out_why = "the bracket is not closed, as in [::1]:7711";
        if (begin[len] != ']')
            return VLY_E_INVALID;
        *out_rest = begin + len + 1;
        *out_why = "only a port or a path can follow the bracket, as in [::1]:7711/dir";
        if (strchr(":/", **out_rest) == NULL)
            return VLY_E_INVALID;
    } else if (text[len] == ':' && text[len + 1 + strcspn(text + len + 1, ":/")] == ':') {
        *out_why = "an IPv6 address stands in brackets, as in [::1]:7711";
        return VLY_E_INVALID;
    }
    *out_why = "the host name is missing";
    if (len == 0)
        return VLY_E_INVALID;
    *out_why = "the host name is too long";
    if (len >= VLY_HOST_BYTES)
        return VLY_E_INVALID;
    memcpy(host, begin, len);
    host[len] = '\0';
    return 0;
}

int vly_addr_parse(const char *text, struct vly_addr *out, const char **out_why)
{
    const char *rest;

    memset(out, 0, sizeof(*out));
    out->port = VLY_PORT_DEFAULT;
    if (host_split(text, out->host, &rest, out_why) != 0)
        return VLY_E_INVALID;
    if (*rest == ':') {
        size_t len = strcspn(rest + 1, "/");
        *out_why = "the port is not a number from 1 to 65535";
        if (port_parse(rest + 1, len, &out->port) != 0)
            return VLY_E_INVALID;
        rest += 1 + len;
    }
    out->has_path = *rest == '/';
    out->path = out->has_path ? rest + 1 : rest;
    (void)snprintf(out->name, sizeof(out->name),
                   strchr(out->host, ':') != NULL ? "[%s]:%u" : "%s:%u", out->host, out->port);
    return 0;
}

/* ---- looking up ---- */

struct lookup {
    uv_getaddrinfo_t request;
    uv_timer_t timer;
    struct addrinfo *found;
    int status; /* a uv error; UV_EAGAIN while it runs */
};

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct lookup *l = request->data;

    l->status = status;
    l->found = found;
    uv_stop(request->loop);
}

static void on_timeout(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void list_add(struct vly_addr_list *list, const struct addrinfo *found, uint16_t port,
                     int family)
{
    for (; found != NULL && list->n < VLY_ADDR_LIST_MAX; found = found->ai_next) {
        struct sockaddr_storage *to = &list->at[list->n];
        if (found->ai_family != family || found->ai_addrlen > sizeof(*to))
            continue;
        memset(to, 0, sizeof(*to));
        memcpy(to, found->ai_addr, found->ai_addrlen);
        if (family == AF_INET)
            ((struct sockaddr_in *)to)->sin_port = htons(port);
        else
            ((struct sockaddr_in6 *)to)->sin6_port = htons(port);
        list->n++;
    }
}

/* Waits until the look-up has answered or the timer has fired. */
static int lookup_run(struct lookup *l, uv_loop_t *loop, const char *host, uint64_t timeout_ns)
{
    /* One answer an address, not one for each kind of socket. */
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    int status;

    l->status = UV_EAGAIN;
    l->request.data = l;
    status = uv_getaddrinfo(loop, &l->request, on_found, host, NULL, &hints);
    if (status != 0)
        return status;
    (void)uv_timer_init(loop, &l->timer);
    (void)uv_timer_start(&l->timer, on_timeout, timeout_ns / VLY_MS(1), 0);
    (void)uv_run(loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&l->timer, NULL);
    if (l->status != UV_EAGAIN)
        (void)uv_run(loop, UV_RUN_NOWAIT); /* takes the closed timer off the loop */
    return l->status;
}

int vly_addr_resolve(uv_loop_t *loop, const char *host, uint16_t port, uint64_t timeout_ns,
                     struct vly_addr_list *out, const char **out_why)
{
    /* Static: after a timeout the look-up still writes to it. */
    static struct lookup lookup;
    int status = lookup_run(&lookup, loop, host, timeout_ns);

    out->n = 0;
    *out_why = "the name look-up does not answer";
    if (status == UV_EAGAIN)
        return VLY_E_NO_ANSWER;
    *out_why = "there is no host of that name";
    if (status == 0) {
        list_add(out, lookup.found, port, AF_INET);
        list_add(out, lookup.found, port, AF_INET6);
        uv_freeaddrinfo(lookup.found);
        return out->n > 0 ? 0 : VLY_E_UNREACHABLE;
    }
    if (status != UV_EAI_NONAME && status != UV_EAI_NODATA)
        *out_why = uv_strerror(status);
    return VLY_E_UNREACHABLE;
}
