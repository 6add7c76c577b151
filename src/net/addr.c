/*
 * addr - socket addresses as the engine carries them; the layout stands in the header.
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define V4_BYTES 6
#define V6_BYTES 22

int vly_addr_encode(struct vly_addr *out, const struct sockaddr *sa)
{
    union vly_sockaddr in;

    memset(out, 0, sizeof(*out));
    if (sa->sa_family == AF_INET) {
        memcpy(&in.v4, sa, sizeof(in.v4));
        out->len = V4_BYTES;
        memcpy(out->data, &in.v4.sin_port, VLY_ADDR_PORT_BYTES);
        memcpy(out->data + VLY_ADDR_PORT_BYTES, &in.v4.sin_addr, 4);
        return 0;
    }
    if (sa->sa_family == AF_INET6) {
        memcpy(&in.v6, sa, sizeof(in.v6));
        out->len = V6_BYTES;
        memcpy(out->data, &in.v6.sin6_port, VLY_ADDR_PORT_BYTES);
        memcpy(out->data + VLY_ADDR_PORT_BYTES, &in.v6.sin6_addr, 16);
        memcpy(out->data + VLY_ADDR_PORT_BYTES + 16, &in.v6.sin6_scope_id, 4);
        return 0;
    }
    return VLY_E_INVALID;
}

socklen_t vly_addr_decode(union vly_sockaddr *out, const struct vly_addr *a)
{
    memset(out, 0, sizeof(*out));
    if (a->len == V4_BYTES) {
        out->v4.sin_family = AF_INET;
        memcpy(&out->v4.sin_port, a->data, VLY_ADDR_PORT_BYTES);
        memcpy(&out->v4.sin_addr, a->data + VLY_ADDR_PORT_BYTES, 4);
        return sizeof(out->v4);
    }
    assert(a->len == V6_BYTES);
    out->v6.sin6_family = AF_INET6;
    memcpy(&out->v6.sin6_port, a->data, VLY_ADDR_PORT_BYTES);
    memcpy(&out->v6.sin6_addr, a->data + VLY_ADDR_PORT_BYTES, 16);
    memcpy(&out->v6.sin6_scope_id, a->data + VLY_ADDR_PORT_BYTES + 16, 4);
    return sizeof(out->v6);
}

void vly_addr_text(const struct vly_addr *a, char text[VLY_ADDR_TEXT_MAX])
{
    union vly_sockaddr sa;
    char host[INET6_ADDRSTRLEN] = "?";
    char zone[IF_NAMESIZE] = "";
    unsigned scope;

    vly_addr_decode(&sa, a);
    if (sa.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &sa.v4.sin_addr, host, sizeof(host));
        snprintf(text, VLY_ADDR_TEXT_MAX, "%s:%u", host, ntohs(sa.v4.sin_port));
        return;
    }
    inet_ntop(AF_INET6, &sa.v6.sin6_addr, host, sizeof(host));
    scope = sa.v6.sin6_scope_id;
    if (scope != 0 && if_indextoname(scope, zone) == NULL)
        snprintf(zone, sizeof(zone), "%u", scope);
    snprintf(text, VLY_ADDR_TEXT_MAX, "[%s%s%s]:%u", host, scope != 0 ? "%" : "", zone,
             ntohs(sa.v6.sin6_port));
}
